// The composer in the document: its keys, its buttons, and what happens to a text.
import { afterEach, describe, expect, it, vi } from "vitest";

import { all, one, press, settle, show, type } from "../../test/mount";

function field(): HTMLTextAreaElement {
  return one("composer") as HTMLTextAreaElement;
}

function sentEntries(): string[] {
  return all("entry").flatMap((entry) => (entry.dataset["kind"] === "user" ? [entry.textContent ?? ""] : []));
}

afterEach(() => {
  sessionStorage.clear();
});

describe("the composer", () => {
  it("sends with Enter and is empty then", async () => {
    const { host } = await show("empty");
    const send = vi.spyOn(host, "send");
    await type(field(), "hello");
    expect(await press(field(), "Enter"), "no line break is made").toBe(true);
    expect(send).toHaveBeenCalledExactlyOnceWith(expect.any(String), "tab-1", "hello");
    expect(field().value).toBe("");
    expect(sentEntries()[0]).toContain("hello");
  });

  it.each([
    ["Shift", { shiftKey: true }],
    ["an input method", { isComposing: true }],
    ["an input method of WebKit", { keyCode: 229 }],
  ])("does not send with Enter and %s", async (_, more) => {
    const { host } = await show("empty");
    const send = vi.spyOn(host, "send");
    await type(field(), "hello");
    expect(await press(field(), "Enter", more)).toBe(false);
    expect(send).not.toHaveBeenCalled();
    expect(field().value).toBe("hello");
  });

  it("keeps the text where it was refused, and says why", async () => {
    const { host } = await show("empty");
    const refusal = { code: "x", title: "Not now", cause: "Because.", action: "Wait.", detail: null };
    vi.spyOn(host, "send").mockRejectedValue(refusal);
    await type(field(), "precious");
    one("send").click();
    await settle();
    expect(field().value).toBe("precious");
    expect(one("send-failure").textContent).toMatch(/Not now.*Because\..*Wait\./s);
  });

  it("has a draft for each tab", async () => {
    await show("many");
    await type(field(), "for the first");
    await press(window, "3", { ctrlKey: true });
    expect(field().value).toBe("");
    await type(field(), "for the third");
    await press(window, "1", { ctrlKey: true });
    expect(field().value).toBe("for the first");
  });

  it("sends while a turn runs; the message waits, and can be taken back", async () => {
    await show("working");
    await type(field(), "and then this");
    one("send").click();
    await settle();
    const waiting = document.querySelector<HTMLElement>("[data-queued=true]");
    expect(waiting?.dataset).toMatchObject({ testid: "entry", kind: "user", streaming: "false" });
    expect(waiting?.textContent).toContain("waiting");
    one("unqueue").click();
    await settle();
    expect(document.querySelector("[data-queued=true]")).toBe(null);
    expect(field().value).toBe("and then this");
  });

  it("recalls what was sent with Up, and comes back with Down", async () => {
    await show("conversation");
    await press(field(), "ArrowUp");
    expect(field().value).toBe("The retry loop seems to give up too early. Can you look at src/retry.ts?");
    await press(field(), "ArrowDown");
    expect(field().value).toBe("");
  });
});

describe("Stop", () => {
  it("exists only while a turn runs", async () => {
    await show("conversation");
    expect(all("stop")).toHaveLength(0);
    await show("ask");
    expect(all("stop")).toHaveLength(1);
  });

  it.each(["click", "Escape"])("stops the turn: %s", async (how) => {
    const { host } = await show("working");
    const stop = vi.spyOn(host, "stopTurn");
    if (how === "click") one("stop").click();
    else await press(field(), "Escape");
    expect(stop).toHaveBeenCalledExactlyOnceWith("tab-1");
  });
});

describe("slash commands", () => {
  it("are offered, chosen with the arrows and written out with Tab", async () => {
    await show("empty");
    await type(field(), "/co");
    expect(
      [...document.querySelectorAll("#commands [role=option]")].map((option) => option.textContent),
    ).toEqual([expect.stringContaining("/compact"), expect.stringContaining("/context")]);
    await press(field(), "ArrowDown");
    await press(field(), "Tab");
    expect(field().value).toBe("/context ");
    expect(document.querySelector("#commands")).toBe(null);
  });

  it("are told to a screen reader, the chosen one by its name", async () => {
    await show("empty");
    expect(field().getAttribute("aria-haspopup")).toBe("listbox");
    expect(field().getAttribute("aria-controls"), "there is no list yet").toBe(null);
    await type(field(), "/co");
    const list = document.getElementById(field().getAttribute("aria-controls") ?? "");
    expect(list?.getAttribute("role")).toBe("listbox");
    expect(one("announcer").textContent?.trim()).toBe("2 commands fit");
    const chosen = (): string | null | undefined =>
      list?.querySelector(`#${field().getAttribute("aria-activedescendant")}[aria-selected=true]`)
        ?.textContent;
    expect(chosen()).toContain("/compact");
    await press(field(), "ArrowDown");
    expect(chosen()).toContain("/context");
    await press(field(), "Escape");
    expect(field().getAttribute("aria-controls")).toBe(null);
    expect(field().getAttribute("aria-activedescendant")).toBe(null);
  });

  it("are completed by the first Enter and sent by the next", async () => {
    const { host } = await show("empty");
    const send = vi.spyOn(host, "send");
    await type(field(), "/cle");
    await press(field(), "Enter");
    expect(send).not.toHaveBeenCalled();
    await press(field(), "Enter");
    expect(send).toHaveBeenCalledWith(expect.any(String), "tab-1", "/clear");
  });

  it("are put away with Escape, which then stops nothing", async () => {
    const { host } = await show("working");
    const stop = vi.spyOn(host, "stopTurn");
    await type(field(), "/co");
    await press(field(), "Escape");
    expect(document.querySelector("#commands")).toBe(null);
    expect(stop).not.toHaveBeenCalled();
  });
});
