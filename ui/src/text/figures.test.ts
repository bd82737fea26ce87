// Figures of containers in words.
import { describe, expect, it } from "vitest";

import type { ContainerFigures } from "../host/wire/ContainerFigures";
import { bytes, figureRows, howFar } from "./figures";

const NOW = 1_000_000;
const FIGURES: ContainerFigures = {
  cpu: 4.25,
  cpus: 2,
  memory: 250_000_000,
  memoryLimit: 1_000_000_000,
  network: null,
  disk: [1_200_000, 34_000],
  processes: 5,
  said: NOW - 3000,
  answered: null,
  unanswered: 0,
};

describe("bytes", () => {
  it.each([
    [0, "0 kB"],
    [1, "1 kB"],
    [999_499, "1000 kB"],
    [3_400_000, "3.4 MB"],
    [1_250_000_000, "1.3 GB"],
  ])("%d are %s", (count, words) => expect(bytes(count)).toBe(words));
});

describe("how far an image is", () => {
  it.each([
    ["save", 0, 1_000_000_000, "0 kB of about 1.0 GB (0 %)"],
    ["save", 412_300_000, 1_100_000_000, "412.3 MB of about 1.1 GB (37 %)"],
    ["save", 1_200_000, 1_100_000, "1.2 MB of about 1.1 MB (100 %)"],
    ["load", 999, 1000, "1 kB of 1 kB (99 %)"],
    ["load", 1_100_000_000, 1_100_000_000, "1.1 GB, and the engine unpacks it"],
    ["save", 0, 0, "0 kB of about 0 kB (0 %)"],
  ] as const)("%s: %d of %d is %s", (kind, done, total, words) =>
    expect(howFar({ bytes: done, total }, kind)).toBe(words),
  );
});

describe("the rows", () => {
  it("say that nobody counts the host's network", () => {
    expect(Object.fromEntries(figureRows(FIGURES, NOW))).toEqual({
      Processor: "4.3 % of 2 processors",
      Memory: "250.0 MB of 1.0 GB (25 %)",
      Network: "shared with the host",
      Disk: "1.2 MB read, 34 kB written",
      Health: "last word 3 s ago",
    });
  });

  it.each<[Partial<ContainerFigures>, string, string]>([
    [{ cpu: null }, "Processor", "measuring…"],
    [{ cpu: 150, cpus: 1 }, "Processor", "150 % of one processor"],
    [{ network: [1000, 2000] }, "Network", "1 kB in, 2 kB out"],
    [{ memoryLimit: 0 }, "Memory", "250.0 MB"],
    [{ said: null }, "Health", "the agent has said nothing yet"],
    [{ answered: NOW - 30_000 }, "Health", "last word 3 s ago, check answered 30 s ago"],
    [{ unanswered: 2 }, "Health", "2 checks were not answered"],
  ])("of %o: %s is %s", (change, name, words) => {
    const rows = Object.fromEntries(figureRows({ ...FIGURES, ...change }, NOW));
    expect(rows[name]).toBe(words);
  });
});
