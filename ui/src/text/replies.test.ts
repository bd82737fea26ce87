// What comes of choosing and writing answers to the agent's own questions.
import { describe, expect, it } from "vitest";

import type { Inquiry } from "../host/wire/Inquiry";
import { blank, replies, toggled, written } from "./replies";

const option = (label: string): { label: string; description: string } => ({ label, description: "" });
const one: Inquiry = { question: "Which?", topic: "", options: [option("A"), option("B")], several: false };
const many: Inquiry = { ...one, question: "Which ones?", several: true };

describe("the answers to the agent's questions", () => {
  it("are not sent before each question has one", () => {
    const drafts = blank([one, many]);
    expect(replies([one, many], drafts)).toBe(null);
    const half = [toggled(drafts[0]!, "B", false), drafts[1]!];
    expect(replies([one, many], half)).toBe(null);
    const whole = [half[0]!, written(drafts[1]!, " neither ", true)];
    expect(replies([one, many], whole)).toEqual([
      { question: "Which?", answer: "B" },
      { question: "Which ones?", answer: "neither" },
    ]);
  });

  it("are one label or the user's own words where one is wanted", () => {
    const [draft] = blank([one]);
    const a = toggled(draft!, "A", false);
    expect(toggled(a, "B", false).chosen).toEqual(["B"]);
    const own = written(a, "C", false);
    expect(replies([one], [own])).toEqual([{ question: "Which?", answer: "C" }]);
    expect(replies([one], [toggled(own, "A", false)])).toEqual([{ question: "Which?", answer: "A" }]);
  });

  it("are all that was chosen, in the order they were offered, where several may be", () => {
    const [draft] = blank([many]);
    const both = toggled(toggled(draft!, "B", true), "A", true);
    expect(replies([many], [written(both, "and C", true)])).toEqual([
      { question: "Which ones?", answer: "A, B, and C" },
    ]);
    expect(replies([many], [toggled(toggled(both, "A", true), "B", true)])).toBe(null);
  });
});
