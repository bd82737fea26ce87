// The conversation in the document: what each entry shows, and how the agent's questions are answered.
import { tick } from "svelte";
import { afterEach, describe, expect, it, vi } from "vitest";

import { tool } from "../../host/fake/parts";
import { all, one, press, settle, show, type } from "../../test/mount";

function kinds(): string[] {
  return all("entry").map((entry) => entry.dataset["kind"] ?? "");
}

async function unfold(entry: HTMLElement): Promise<void> {
  entry.querySelector<HTMLElement>("[aria-expanded]")?.click();
  await tick();
}

afterEach(() => {
  sessionStorage.clear();
});

describe("entries", () => {
  it("are siblings with their kind and whether more will come", async () => {
    await show("streaming");
    expect(kinds()).toEqual(["user", "thinking", "assistant"]);
    expect(all("entry").map((entry) => entry.dataset["streaming"])).toEqual(["false", "false", "true"]);
    expect(new Set(all("entry").map((entry) => entry.parentElement)).size).toBe(1);
  });

  it("grow as the agent writes, and only the last block is drawn again", async () => {
    const { host } = await show("empty");
    const entry = host.tab("tab-1").add({ kind: "assistant", text: "First.\n\nSec" }, true);
    await settle();
    const [first] = one("entry").querySelectorAll("p");
    host.tab("tab-1").replace({ ...entry, body: { kind: "assistant", text: "First.\n\nSecond." } });
    await settle();
    expect([...one("entry").querySelectorAll("p")].map((p) => p.textContent)).toEqual(["First.", "Second."]);
    expect(one("entry").querySelector("p")).toBe(first);
  });

  it("fold tools and thoughts; a tool's result is there once it is opened", async () => {
    await show("conversation");
    const bash = all("entry")[3]!;
    expect(bash.textContent).toContain("npm test -- retry");
    expect(bash.textContent).toContain("failed");
    expect(bash.textContent).not.toContain("gives up after max");
    await unfold(bash);
    expect(bash.textContent).toContain("gives up after max");
    const thought = all("entry")[1]!;
    expect(thought.textContent).not.toContain("only two attempts");
    await unfold(thought);
    expect(thought.textContent).toContain("only two attempts");
  });

  it("draw a change with the lines' numbers", async () => {
    await show("tools");
    const edit = all("entry")[1]!;
    await unfold(edit);
    const added = [...edit.querySelectorAll("tr.added")].map((row) => row.textContent?.trim());
    expect(added[0]).toMatch(/^4\s*\+\s*for \(let attempt/);
    expect(edit.querySelectorAll("tr.removed")).toHaveLength(3);
    const result = [...edit.querySelectorAll<HTMLElement>("[aria-expanded=false]")];
    expect(
      result.map((fold) => fold.textContent?.trim()),
      "what the tool said is one fold away",
    ).toEqual(["Result"]);
    result[0]?.click();
    await tick();
    expect(edit.textContent).toContain("The file has been updated.");
  });

  it("mark a turn that was interrupted", async () => {
    await show("interrupted");
    expect(all("entry")[0]?.textContent).toContain("Interrupted");
  });

  it("tell an answer right below its own call without the call again", async () => {
    const { host } = await show("empty");
    const ask = {
      kind: "ask",
      ask: "a",
      tool: "Bash",
      summary: "git push",
      input: "{}",
      always: null,
      wants: { kind: "leave" },
    } as const;
    const declined = tool({ name: "Bash", summary: "git push", status: "declined" });
    host.tab("tab-1").add(declined);
    host.tab("tab-1").add({ ...ask, answer: { kind: "denied", reason: "" } });
    host.tab("tab-1").add({ ...ask, summary: "git pull", answer: { kind: "denied", reason: "" } });
    await settle();
    expect(all("entry")[1]?.textContent?.trim()).toBe("Denied");
    expect(all("entry")[2]?.textContent).toMatch(/Denied.*git pull/s);
  });

  it("copy code as it was written", async () => {
    const { host } = await show("conversation");
    const copy = [...document.querySelectorAll<HTMLElement>("figcaption button")][0];
    copy?.click();
    await settle();
    expect(host.copied[0]).toMatch(/^export async function withRetry[\s\S]*\n}$/);
    expect(copy?.textContent).toContain("Copied");
  });

  it("open links in the browser and navigate nowhere", async () => {
    const { host } = await show("conversation");
    const link = document.querySelector<HTMLAnchorElement>('a[href="https://example.com/retry"]');
    const click = new MouseEvent("click", { bubbles: true, cancelable: true });
    link?.dispatchEvent(click);
    expect(click.defaultPrevented).toBe(true);
    expect(host.opened).toEqual(["https://example.com/retry"]);
  });

  it("offer a retry where it may help", async () => {
    const { host } = await show("error");
    const retry = vi.spyOn(host, "retryTurn");
    expect(all("entry")[1]?.textContent).toMatch(/refused the key.*401.*ANTHROPIC_API_KEY/s);
    one("retry-turn").click();
    expect(retry).toHaveBeenCalledExactlyOnceWith("tab-1", Number(all("entry")[1]?.dataset["entryId"]));
  });

  it("name an error's class, to the eye and to the script", async () => {
    await show("error");
    const error = all("entry")[1];
    expect(error?.dataset["code"]).toBe("api-error");
    expect(error?.textContent).toContain("api-error");
    expect(all("entry")[0]?.dataset["code"]).toBeUndefined();
  });

  it("are about sixty in a long conversation", async () => {
    await show("long");
    expect(all("entry")).toHaveLength(60);
    expect(all("entry").at(-1)?.dataset["entryId"]).toBe("180");
  });
});

describe("a question of the agent", () => {
  it.each([
    ["allow", { kind: "allow" }, "Allowed"],
    ["allow-always", { kind: "allowAlways" }, "Always allowed"],
    ["deny", { kind: "deny", reason: "" }, "Denied"],
  ])("is answered with %s, and its buttons are gone then", async (id, choice, words) => {
    const { host } = await show("ask");
    const answer = vi.spyOn(host, "answer");
    one(id, one("ask")).click();
    await settle();
    expect(answer).toHaveBeenCalledExactlyOnceWith("tab-1", "ask-1", choice);
    for (const gone of ["ask", "allow", "allow-always", "deny"]) expect(all(gone)).toHaveLength(0);
    expect(all("entry")[2]?.dataset["kind"]).toBe("ask");
    expect(all("entry")[2]?.textContent).toContain(words);
  });

  it("takes a reason along", async () => {
    const { host } = await show("ask");
    const answer = vi.spyOn(host, "answer");
    const reason = one("ask").querySelector("input")!;
    await type(reason, " keep the cache ");
    await press(reason, "Enter");
    expect(answer).toHaveBeenCalledWith("tab-1", "ask-1", { kind: "deny", reason: "keep the cache" });
  });

  it("says what always would mean, and offers it only where there is such a rule", async () => {
    const { host } = await show("ask");
    expect(one("ask").textContent).toContain("run without asking, in this project");
    host.tab("tab-1").add({
      kind: "ask",
      ask: "other",
      tool: "Bash",
      summary: "ls",
      input: "{}",
      always: null,
      wants: { kind: "leave" },
      answer: null,
    });
    await settle();
    expect(all("allow-always")).toHaveLength(1);
    expect(all("ask")).toHaveLength(2);
  });

  it.each([
    ["Enter", { kind: "allow" }],
    ["Backspace", { kind: "deny", reason: "" }],
  ])("is answered with Ctrl+%s while nothing is written", async (key, choice) => {
    const { host } = await show("ask");
    const answer = vi.spyOn(host, "answer");
    await press(one("composer"), key, { ctrlKey: true });
    expect(answer).toHaveBeenCalledExactlyOnceWith("tab-1", "ask-1", choice);
  });

  it.each(["Enter", "Backspace"])("is not answered with Ctrl+%s while something is", async (key) => {
    const { host } = await show("ask");
    const answer = vi.spyOn(host, "answer");
    await type(one("composer"), "wait");
    await press(one("composer"), key, { ctrlKey: true });
    expect(answer).not.toHaveBeenCalled();
  });

  it("is said aloud, in this tab with its words and in another one with the tab's name", async () => {
    const { host, model } = await show("many");
    const ask = {
      kind: "ask",
      tool: "Edit",
      summary: "src/a.rs",
      input: "{}",
      always: null,
      wants: { kind: "leave" },
      answer: null,
    } as const;
    host.tab("tab-1").add({ ...ask, ask: "a" });
    await settle();
    expect(one("announcer").textContent?.trim()).toBe("The agent asks whether it may use Edit: src/a.rs");
    host.tab("tab-2").add({ ...ask, ask: "b" });
    await settle();
    expect(one("announcer").textContent?.trim()).toBe(
      "In the tab api-gateway, the agent asks you something.",
    );
    model.activate("tab-5");
    await settle();
    expect(one("announcer").textContent, "one that had waited, when its tab is looked at").toContain(
      "The agent asks whether it may use Bash: ls",
    );
  });

  it("leaves the focus where it is", async () => {
    const { host } = await show("empty");
    await type(one("composer"), "half a sentence");
    host.tab("tab-1").add({
      kind: "ask",
      ask: "a",
      tool: "Bash",
      summary: "ls",
      input: "{}",
      always: null,
      wants: { kind: "leave" },
      answer: null,
    });
    await settle();
    expect(document.activeElement).toBe(one("composer"));
  });
});

describe("an agent that is not there", () => {
  it("says how to get it, and installs it on a click", async () => {
    const { host } = await show("missing");
    const install = vi.spyOn(host, "installAgent");
    const card = one("agent-missing");
    expect(card.textContent).toContain("npm install -g @anthropic-ai/claude-code");
    [...card.querySelectorAll("button")].find((button) => button.textContent?.includes("Install"))?.click();
    expect(install).toHaveBeenCalledExactlyOnceWith("tab-1");
    await settle();
    expect(one("agent-installing")).toBeTruthy();
  });

  it.each([
    ["died", false],
    ["session-missing", true],
  ])("%s: a new conversation is offered: %s", async (scene, offered) => {
    await show(scene);
    expect(one("agent-failed").textContent?.includes("Start a new conversation")).toBe(offered);
    expect(one("agent-failed").textContent).toContain("Retry");
  });
});

describe("the end of the conversation", () => {
  it("says that the agent works, and for how long", async () => {
    await show("working");
    expect(one("working").textContent).toContain("37 s");
  });

  it("says why the API makes us wait, with a way to stop", async () => {
    const { host } = await show("retry");
    const stop = vi.spyOn(host, "stopTurn");
    expect(one("api-retry").textContent).toMatch(
      /overloaded \(529\)\. Trying again in \d+ s \(attempt 2 of 10\)/,
    );
    one("api-retry").querySelector("button")?.click();
    expect(stop).toHaveBeenCalledOnce();
  });
});
