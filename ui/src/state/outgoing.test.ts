// Text that goes somewhere in the order in which it came, and what becomes of it where that fails.
import { expect, it } from "vitest";

import { Outgoing } from "./outgoing";

it("sends one piece at a time, in order, and nothing twice", async () => {
  const sent: string[] = [];
  const done: (() => void)[] = [];
  const outgoing = new Outgoing((text) => {
    sent.push(text);
    return new Promise((resolve) => done.push(resolve));
  });
  const first = outgoing.write("e");
  await outgoing.write("c");
  await outgoing.write("ho");
  expect(sent, "the first is still under way").toEqual(["e"]);
  done[0]?.();
  await Promise.resolve();
  await Promise.resolve();
  expect(sent, "what came meanwhile follows it").toEqual(["e", "cho"]);
  done[1]?.();
  await first;
  expect(sent).toHaveLength(2);
});

it("goes on after a failure", async () => {
  const sent: string[] = [];
  const outgoing = new Outgoing((text) => {
    sent.push(text);
    return text === "bad" ? Promise.reject(new Error("no")) : Promise.resolve();
  });
  await expect(outgoing.write("bad")).rejects.toThrow("no");
  await outgoing.write("good");
  expect(sent, "the next one is not held up").toEqual(["bad", "good"]);
});
