// How the entries of a tab follow what core says.
import { describe, expect, it } from "vitest";

import type { Entry } from "../host/wire/Entry";
import { MOUNTED, SLACK, STEP, Transcript } from "./transcript.svelte";

function said(id: number, text: string, streaming = false): Entry {
  return { id, at: 0, streaming, body: { kind: "assistant", text } };
}

function sent(id: number, text: string): Entry {
  return { id, at: 0, streaming: false, body: { kind: "user", text, interrupted: false } };
}

function many(from: number, to: number): Entry[] {
  return Array.from({ length: to - from + 1 }, (_, at) => said(from + at, `entry ${from + at}`));
}

function texts(transcript: Transcript): string[] {
  return transcript.entries.map(({ body }) => ("text" in body ? body.text : body.kind));
}

describe("changes", () => {
  it("append, grow and replace entries in order", () => {
    const transcript = new Transcript();
    transcript.reset([said(1, "one")], 0);
    const fits = transcript.apply([
      { kind: "append", entry: said(2, "t", true) },
      { kind: "text", id: 2, text: "wo" },
      { kind: "replace", entry: said(1, "uno") },
      { kind: "text", id: 2, text: "!" },
    ]);
    expect(fits).toBe(true);
    expect(texts(transcript)).toEqual(["uno", "two!"]);
    expect(transcript.entries[1]?.streaming).toBe(true);
  });

  it("grow a thought's text and a tool's input", () => {
    const transcript = new Transcript();
    const tool = { name: "Bash", summary: "", input: '{"comm', status: "pending" as const, nested: false };
    transcript.reset(
      [
        { id: 1, at: 0, streaming: true, body: { kind: "thinking", text: "Hm" } },
        {
          id: 2,
          at: 0,
          streaming: true,
          body: { kind: "tool", ...tool, result: null, truncated: false, diff: null },
        },
      ],
      0,
    );
    expect(
      transcript.apply([
        { kind: "text", id: 1, text: "m" },
        { kind: "text", id: 2, text: 'and":1}' },
      ]),
    ).toBe(true);
    expect(transcript.entries[0]?.body).toMatchObject({ text: "Hmm" });
    expect(transcript.entries[1]?.body).toMatchObject({ input: '{"command":1}' });
  });

  it("leave entries that they do not name the same objects", () => {
    const transcript = new Transcript();
    transcript.reset([said(1, "one"), said(2, "two")], 0);
    const [first] = transcript.entries;
    transcript.apply([{ kind: "text", id: 2, text: "!" }]);
    transcript.apply([{ kind: "append", entry: said(3, "three") }]);
    expect(transcript.entries[0]).toBe(first);
  });

  it.each([
    ["text for an entry that never was", { kind: "text", id: 9, text: "x" }],
    ["an entry anew that never was", { kind: "replace", entry: said(9, "x") }],
    ["an entry that is there already", { kind: "append", entry: said(2, "x") }],
    ["text for what has none", { kind: "text", id: 1, text: "x" }],
  ] as const)("do not fit: %s", (_, change) => {
    const transcript = new Transcript();
    transcript.reset([sent(1, "one"), said(2, "two")], 0);
    expect(transcript.apply([change])).toBe(false);
  });

  it("to an entry that was not fetched yet are no loss: it comes as it is then", () => {
    const transcript = new Transcript();
    transcript.reset(many(50, 60), 49);
    expect(transcript.apply([{ kind: "replace", entry: said(3, "x") }])).toBe(true);
    expect(transcript.entries).toHaveLength(11);
  });
});

describe("the entries in the document", () => {
  it("are the newest of a long snapshot", () => {
    const transcript = new Transcript();
    transcript.reset(many(1, 100), 0);
    expect(transcript.mounted).toHaveLength(MOUNTED);
    expect(transcript.mounted.at(-1)?.id).toBe(100);
    expect(transcript.hasOlder).toBe(true);
  });

  it("are let go only in batches, and only when asked", () => {
    const transcript = new Transcript();
    transcript.reset(many(1, MOUNTED), 0);
    transcript.apply(many(MOUNTED + 1, MOUNTED + SLACK).map((entry) => ({ kind: "append", entry })));
    transcript.trim();
    expect(transcript.mounted).toHaveLength(MOUNTED + SLACK);
    transcript.apply([{ kind: "append", entry: said(1000, "x") }]);
    expect(transcript.mounted).toHaveLength(MOUNTED + SLACK + 1);
    transcript.trim();
    expect(transcript.mounted).toHaveLength(MOUNTED);
  });

  it("grow upwards, first by what the page has, then by what core gives", () => {
    const transcript = new Transcript();
    transcript.reset(many(31, 100), 30);
    expect(transcript.revealKept()).toBe(true);
    expect(transcript.mounted[0]?.id).toBe(31);
    expect(transcript.revealKept(), "all that the page has is shown").toBe(false);
    expect(transcript.hasOlder).toBe(true);
    transcript.prepend(many(1, STEP));
    expect(transcript.mounted[0]?.id).toBe(1);
    expect(transcript.earlier).toBe(0);
    expect(transcript.hasOlder).toBe(false);
  });

  it("hold no entry twice", () => {
    const transcript = new Transcript();
    transcript.reset(many(5, 8), 4);
    transcript.prepend(many(3, 6));
    expect(transcript.entries.map(({ id }) => id)).toEqual([3, 4, 5, 6, 7, 8]);
    expect(transcript.earlier).toBe(2);
  });

  it("have nothing before them once core has nothing more, whatever the snapshot counted", () => {
    const transcript = new Transcript();
    transcript.reset(many(5, 8), 4);
    transcript.prepend([]);
    expect(transcript.hasOlder).toBe(false);
  });
});

describe("what Up recalls", () => {
  it("is what was sent, newest first, and no text twice in a row", () => {
    const transcript = new Transcript();
    transcript.reset([sent(1, "a"), said(2, "x"), sent(3, "b"), sent(4, "b"), sent(5, "a")], 0);
    expect(transcript.sent()).toEqual(["a", "b", "a"]);
  });
});

describe("a question that waits", () => {
  const ask = {
    kind: "ask",
    tool: "Bash",
    summary: "",
    input: "",
    always: null,
    wants: { kind: "leave" },
  } as const;

  it("is the oldest without an answer", () => {
    const transcript = new Transcript();
    transcript.reset(
      [
        { id: 1, at: 0, streaming: false, body: { ...ask, ask: "a", answer: { kind: "allowed" } } },
        { id: 2, at: 0, streaming: false, body: { ...ask, ask: "b", answer: null } },
        { id: 3, at: 0, streaming: false, body: { ...ask, ask: "c", answer: null } },
      ],
      0,
    );
    expect(transcript.waiting()?.ask).toBe("b");
  });

  it("is none where all are answered", () => {
    const transcript = new Transcript();
    transcript.reset([sent(1, "a")], 0);
    expect(transcript.waiting()).toBe(null);
  });
});
