// Where a dragged tab lands.
import { describe, expect, it } from "vitest";

import { dropIndex, moved, shift } from "./order";

// Four tabs, 100 pixels wide, without gaps.
const tabs = [0, 100, 200, 300].map((left) => ({ left, width: 100 }));

describe("a dragged tab", () => {
  it.each([
    [1, 0, 1],
    [1, 49, 1],
    [1, 51, 2],
    [1, 149, 2],
    [1, 151, 3],
    [1, 5000, 3],
    [1, -49, 1],
    [1, -51, 0],
    [3, -260, 0],
    [0, -500, 0],
  ])("from %i by %i pixels lands at %i", (from, dx, to) => {
    expect(dropIndex(tabs, from, dx)).toBe(to);
  });

  it("passes a narrow neighbour sooner than a wide one", () => {
    const uneven = [
      { left: 0, width: 100 },
      { left: 100, width: 40 },
      { left: 140, width: 200 },
    ];
    expect(dropIndex(uneven, 0, 30)).toBe(1);
    expect(dropIndex(uneven, 0, 130)).toBe(1);
    expect(dropIndex(uneven, 0, 145)).toBe(2);
  });

  it("makes those that it passes give way", () => {
    expect([0, 1, 2, 3].map((at) => shift(at, 0, 2, 100))).toEqual([0, -100, -100, 0]);
    expect([0, 1, 2, 3].map((at) => shift(at, 3, 1, 100))).toEqual([0, 100, 100, 0]);
  });
});

describe("a moved item", () => {
  it.each([
    [0, 2, "bcad"],
    [3, 0, "dabc"],
    [1, 1, "abcd"],
    [9, 0, "abcd"],
  ])("from %i to %i", (from, to, order) => {
    expect(moved([..."abcd"], from, to).join("")).toBe(order);
  });
});
