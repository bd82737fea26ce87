// Figures and short sentences: each line is an input and what a reader sees.
import { describe, expect, it } from "vitest";

import { announcement, newQuestions } from "../state/announce";
import { asFailure, failureText } from "../state/failure";
import { scene } from "../host/fake/scenes";
import { FakeTab } from "../host/fake/tab";
import type { Ask } from "../host/wire/Ask";
import type { TabSummary } from "../host/wire/TabSummary";
import type { WindowState } from "../host/wire/WindowState";
import { answerWords } from "./answer";
import { numbered } from "./diff";
import { age, baseName, dollars, duration, tokens, wholeDuration } from "./format";
import { chosenModel } from "./models";
import { retryWords } from "./retry";
import { inputFields } from "./tool-input";
import { contextShare } from "./usage";

describe("figures", () => {
  it.each([
    [0, "0 s"],
    [840, "0.8 s"],
    [12_300, "12 s"],
    [185_000, "3 min 5 s"],
    [7_800_000, "2 h 10 min"],
  ])("%i ms last %s", (ms, words) => expect(duration(ms)).toBe(words));

  it.each([
    [-5, "0 s"],
    [999, "0 s"],
    [59_999, "59 s"],
    [60_000, "1 min 0 s"],
  ])("%i ms tick as %s", (ms, words) => expect(wholeDuration(ms)).toBe(words));

  it.each([
    [-5, "0 s"],
    [59_000, "59 s"],
    [60_000, "1 min"],
    [3_599_000, "59 min"],
    [47 * 3_600_000, "47 h"],
    [48 * 3_600_000, "2 days"],
    [40 * 86_400_000, "40 days"],
  ])("%i ms old is %s", (ms, words) => expect(age(ms)).toBe(words));

  it.each([
    [0, "0"],
    [999, "999"],
    [1000, "1k"],
    [12_340, "12.3k"],
    [999_499, "999k"],
    [999_500, "1M"],
    [1_200_000, "1.2M"],
  ])("%i tokens are %s", (count, words) => expect(tokens(count)).toBe(words));

  it.each([
    [0, "$0"],
    [0.004, "< $0.01"],
    [0.4137, "$0.41"],
    [12, "$12.00"],
  ])("%d dollars are %s", (amount, words) => expect(dollars(amount)).toBe(words));

  it.each([
    ["/home/ada/orchard", "orchard"],
    ["/home/ada/orchard/", "orchard"],
    ["C:\\work\\orchard", "orchard"],
    ["/", "/"],
  ])("%s is called %s", (path, name) => expect(baseName(path)).toBe(name));

  it("a context whose size is unknown has no share", () => {
    const usage = { contextTokens: 50, contextWindow: 0, inputTokens: 0, outputTokens: 0, cost: 0, turns: 0 };
    expect(contextShare(usage)).toBe(null);
    expect(contextShare({ ...usage, contextWindow: 200 })).toBe(0.25);
    expect(contextShare({ ...usage, contextTokens: 500, contextWindow: 200 })).toBe(1);
  });
});

describe("an API that makes us wait", () => {
  const retry = { attempt: 2, max: 10, at: 10_000, reason: "The API is overloaded (529)" };

  it.each([
    [7_200, "The API is overloaded (529). Trying again in 3 s (attempt 2 of 10)"],
    [10_000, "The API is overloaded (529). Trying again now (attempt 2 of 10)"],
    [12_000, "The API is overloaded (529). Trying again now (attempt 2 of 10)"],
  ])("at %i", (now, words) => expect(retryWords(retry, now)).toBe(words));
});

describe("an answer", () => {
  const ask: Ask = {
    ask: "a",
    tool: "Bash",
    summary: "",
    input: "",
    always: null,
    wants: { kind: "leave" },
    answer: null,
  };

  it.each<[Ask["answer"], string]>([
    [null, ""],
    [{ kind: "allowed" }, "Allowed"],
    [{ kind: "allowedAlways" }, "Always allowed"],
    [{ kind: "denied", reason: "" }, "Denied"],
    [{ kind: "denied", reason: "not now" }, "Denied: not now"],
    [{ kind: "lapsed", reason: "the turn ended" }, "Not answered: the turn ended"],
  ])("%o", (answer, words) => expect(answerWords({ ...ask, answer })).toBe(words));

  it("leaves its reason to the line below where that says it", () => {
    const lapsed = { ...ask, answer: { kind: "lapsed" as const, reason: "the agent moved" } };
    const notice = { kind: "notice" as const, topic: "interrupted" as const, detail: null };
    expect(answerWords(lapsed, { ...notice, text: "Interrupted: the agent moved." })).toBe("Not answered");
    expect(answerWords(lapsed, { ...notice, text: "Interrupted." })).toBe("Not answered: the agent moved");
    const denied = { ...ask, answer: { kind: "denied" as const, reason: "the agent moved" } };
    expect(answerWords(denied, { ...notice, text: "Interrupted: the agent moved." })).toBe(
      "Denied: the agent moved",
    );
  });
});

describe("a tool's input", () => {
  it("is shown field by field, texts as they are", () => {
    expect(inputFields('{"command":"a\\nb","timeout":5,"env":{"A":1}}')).toEqual([
      { name: "command", value: "a\nb" },
      { name: "timeout", value: "5" },
      { name: "env", value: '{\n  "A": 1\n}' },
    ]);
  });

  it("tells what was and what shall be as one change, whatever the order they come in", () => {
    const fields = inputFields(
      '{"file_path":"/a","new_string":"1\\nb\\n3\\n3","old_string":"1\\na\\n3","replace_all":false}',
    );
    expect(fields?.map(({ name }) => name)).toEqual(["file_path", "string", "replace_all"]);
    expect(fields?.[1]?.change?.lines).toEqual([" 1", "-a", "+b", "+3", " 3"]);
    expect(inputFields('{"new_name":"n"}')).toEqual([{ name: "new_name", value: "n" }]);
    expect(inputFields('{"old_name":"o"}')).toEqual([{ name: "old_name", value: "o" }]);
  });

  it.each(['{"command":"a', "[1]", "null", '"x"', ""])("is no set of fields: %s", (input) => {
    expect(inputFields(input)).toBe(null);
  });
});

describe("a hunk", () => {
  it("counts the lines on both sides", () => {
    const lines = [" a", "-b", "+c", "+d", " e", "\\ No newline at end of file"];
    expect(
      numbered({ oldStart: 7, newStart: 9, lines }).map((line) => [line.sign, line.old, line.new]),
    ).toEqual([
      ["", 7, 9],
      ["−", 8, null],
      ["+", null, 10],
      ["+", null, 11],
      ["", 9, 12],
      ["", null, null],
    ]);
  });
});

describe("the model in use", () => {
  const models = [
    { value: "default", name: "Default", description: "", resolved: "sonnet-5" },
    { value: "sonnet-5", name: "Sonnet", description: "", resolved: "sonnet-5" },
    { value: "opus", name: "Opus", description: "", resolved: "opus-5" },
  ];

  it.each([
    ["opus", "opus"],
    ["opus-5", "opus"],
    ["sonnet-5", "sonnet-5"],
    ["other", undefined],
    [null, undefined],
  ])("%s is the option %s", (model, value) => expect(chosenModel(models, model)?.value).toBe(value));
});

describe("a rejection", () => {
  it("that is a failure is shown as it is", () => {
    const failure = { code: "x", title: "T", cause: "C", action: "A", detail: null };
    expect(asFailure(failure, "do it")).toBe(failure);
    expect(failureText({ ...failure, detail: "log" })).toBe("T (x)\nC\nA\n\nlog");
  });

  it.each([new Error("boom"), "boom"])(
    "that is none still has a class, a cause and a next step",
    (reason) => {
      const failure = asFailure(reason, "do it");
      expect(failure).toMatchObject({ code: "unexpected", title: "Could not do it", cause: "boom" });
      expect(failure.action).not.toBe("");
    },
  );
});

function summary(id: string, asking: boolean): TabSummary {
  return {
    id,
    title: `the ${id}`,
    workspace: "/p",
    busy: true,
    asking,
    interrupted: false,
    container: "off",
  };
}

function windowOf(...tabs: TabSummary[]): WindowState {
  return { ...scene("empty").window, tabs, active: "a" };
}

describe("what is said aloud", () => {
  const { view } = FakeTab.fresh("t", "/p");

  it("is nothing where nothing of note changed", () => {
    expect(announcement(view, { ...view, title: "other" })).toBe(null);
  });

  it("is the failure's class in an error", () => {
    const failure = { code: "x", title: "The engine is not running", cause: "", action: "", detail: null };
    const container = { ...view.container, state: "error" as const, failure };
    expect(announcement(view, { ...view, container })).toBe("Container error. The engine is not running");
  });

  it("is what a turn came to, and not that it has finished where it has not", () => {
    const running = { ...view, turn: { state: "running" as const, since: 0, retry: null } };
    const failure = {
      code: "api-error",
      title: "The API refused the key",
      cause: "401",
      action: "",
      detail: null,
    };
    const error = { kind: "error" as const, failure, retry: true };
    const cut = {
      kind: "notice" as const,
      topic: "interrupted" as const,
      text: "Interrupted.",
      detail: null,
    };
    expect(announcement(running, view)).toBe("The agent has finished.");
    expect(announcement(running, view, [error])).toBe("The turn failed: The API refused the key.");
    expect(announcement(running, running, [error]), "the next message had waited").toBe(
      "The turn failed: The API refused the key.",
    );
    const gaveUp = { ...failure, code: "turn-failed", title: "The turn failed", cause: "The agent gave up." };
    expect(announcement(running, view, [{ ...error, failure: gaveUp }])).toBe(
      "The turn failed. The agent gave up.",
    );
    expect(announcement({ ...view, turn: { state: "interrupting", since: 0 } }, view, [cut])).toBe(
      "Interrupted.",
    );
  });

  it("is a question that waits, beside whatever else happened", () => {
    const ask = {
      kind: "ask" as const,
      ask: "a",
      tool: "Edit",
      summary: "src/a.rs",
      input: "{}",
      always: null,
      wants: { kind: "leave" as const },
    };
    const words = "The agent asks whether it may use Edit: src/a.rs";
    expect(announcement(view, view, [{ ...ask, answer: null }])).toBe(words);
    expect(announcement(view, view, [{ ...ask, answer: { kind: "allowed" } }])).toBe(null);
    const container = { ...view.container, state: "running" as const };
    expect(announcement(view, { ...view, container }, [{ ...ask, answer: null }])).toBe(
      `Container running. The agent runs in it. ${words}`,
    );
  });

  it("is which tab behind the active one has begun to ask", () => {
    const quiet = windowOf(summary("a", false), summary("b", false));
    const asking = windowOf(summary("a", true), summary("b", true));
    expect(newQuestions(null, asking)).toBe(null);
    expect(newQuestions(quiet, asking)).toBe("In the tab the b, the agent asks you something.");
    expect(newQuestions(asking, asking)).toBe(null);
  });

  it("is each new attempt of the API once", () => {
    const retry = { attempt: 1, max: 10, at: 0, reason: "The API is overloaded (529)" };
    const waiting = { ...view, turn: { state: "running" as const, since: 0, retry } };
    const again = { ...view, turn: { ...waiting.turn, retry: { ...retry, attempt: 2 } } };
    expect(announcement(view, waiting)).toBe(retry.reason);
    expect(announcement(waiting, waiting)).toBe(null);
    expect(announcement(waiting, again)).toBe(retry.reason);
  });
});
