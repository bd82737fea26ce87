// What the composer promises: no text is lost, and a draft is there again.
import { beforeEach, describe, expect, it, vi } from "vitest";

import { CATALOG } from "../host/fake/parts";
import type { Host } from "../host/types";
import { deferred } from "../test/deferred";
import { Composer } from "./composer.svelte";

const send = vi.fn<Host["send"]>();
const host = { send } as unknown as Host;

function composer(text = ""): Composer {
  const made = new Composer("t", host, sessionStorage);
  made.text = text;
  return made;
}

beforeEach(() => {
  sessionStorage.clear();
  send.mockReset();
  send.mockResolvedValue();
});

describe("sending", () => {
  it("clears the text only once core has it", async () => {
    const taken = deferred<void>();
    send.mockReturnValue(taken.promise);
    const writing = composer("  hello\n");
    const sent = writing.send();
    expect(writing.text).toBe("  hello\n");
    expect(writing.canSend, "not twice").toBe(false);
    taken.resolve();
    expect(await sent).toBe(true);
    expect(writing.text).toBe("");
    expect(send).toHaveBeenCalledExactlyOnceWith(expect.stringMatching(/^[0-9a-f-]{36}$/), "t", "hello");
  });

  it("keeps the text and says why where core refuses", async () => {
    const failure = { code: "tab-closed", title: "Closed", cause: "", action: "", detail: null };
    send.mockRejectedValue(failure);
    const writing = composer("hello");
    expect(await writing.send()).toBe(false);
    expect(writing.text).toBe("hello");
    expect(writing.failure).toEqual(failure);
    send.mockResolvedValue();
    expect(await writing.send()).toBe(true);
    expect(writing.failure).toBe(null);
  });

  it("keeps what was typed while the message was on its way", async () => {
    const taken = deferred<void>();
    send.mockReturnValue(taken.promise);
    const writing = composer("hello");
    const sent = writing.send();
    writing.text = "hello and more";
    taken.resolve();
    await sent;
    expect(writing.text).toBe(" and more");
  });

  it("keeps a text that was written anew meanwhile", async () => {
    const taken = deferred<void>();
    send.mockReturnValue(taken.promise);
    const writing = composer("hello");
    const sent = writing.send();
    writing.text = "other";
    taken.resolve();
    await sent;
    expect(writing.text).toBe("other");
  });

  it.each(["", "  \n"])("does nothing with %j", async (text) => {
    expect(await composer(text).send()).toBe(false);
    expect(send).not.toHaveBeenCalled();
  });

  it("names each attempt anew, so that a refusal is not repeated from memory", async () => {
    send.mockRejectedValueOnce(new Error("no"));
    const writing = composer("hello");
    await writing.send();
    await writing.send();
    expect(send.mock.calls[0]?.[0]).not.toBe(send.mock.calls[1]?.[0]);
  });
});

describe("a draft", () => {
  it("survives a reload of the page", () => {
    composer("half a sen");
    expect(new Composer("t", host, sessionStorage).text).toBe("half a sen");
    expect(new Composer("other", host, sessionStorage).text).toBe("");
  });

  it("is forgotten once it was sent, or its tab was closed", async () => {
    await composer("hello").send();
    expect(sessionStorage).toHaveLength(0);
    composer("half").forget();
    expect(sessionStorage).toHaveLength(0);
  });

  it("takes a message back before what is there", () => {
    const writing = composer("now");
    writing.restore("earlier");
    expect(writing.text).toBe("earlier\n\nnow");
    const empty = composer("");
    empty.restore("earlier");
    expect(empty.text).toBe("earlier");
  });
});

describe("recalling", () => {
  const sent = ["newest", "older", "oldest"];

  it("goes back and forth through what was sent", () => {
    const writing = composer();
    const shown = [1, 1, 1, 1, -1, -1, -1].map((direction) => {
      writing.recall(direction as 1 | -1, sent);
      return writing.text;
    });
    expect(shown).toEqual(["newest", "older", "oldest", "oldest", "older", "newest", ""]);
  });

  it("leaves alone what the user has written", () => {
    const writing = composer("mine");
    expect(writing.recall(1, sent)).toBe(false);
    expect(writing.text).toBe("mine");
  });

  it("leaves alone a recalled text that was changed", () => {
    const writing = composer();
    writing.recall(1, sent);
    writing.text = "newest, changed";
    expect(writing.recall(1, sent)).toBe(false);
  });

  it("has nothing after the newest", () => {
    expect(composer().recall(-1, sent)).toBe(false);
  });
});

describe("slash commands", () => {
  it.each([
    ["", []],
    ["hello", []],
    ["/", ["clear", "compact", "context", "init", "review", "security-review"]],
    ["/co", ["compact", "context"]],
    ["/REV", ["review", "security-review"]],
    ["/review 12", []],
    ["/nothing", []],
    ["a /co", []],
  ])("offered for %j", (text, names) => {
    const offered = composer(text).offered(CATALOG.commands);
    expect(offered.map(({ name }) => name)).toEqual(names);
  });
});
