// Where the keyboard's focus is after what had it has left the page.
import { tick } from "svelte";
import { afterEach, describe, expect, it } from "vitest";

import { all, one, press, settle, show, type } from "../test/mount";

/** Lets the page answer, and then what is put off until after the event that is being handled. */
async function after(): Promise<void> {
  await settle();
  await new Promise((resolve) => setTimeout(resolve, 0));
  await tick();
}

/** Presses a button as the keyboard does: it has the focus then. */
async function push(element: HTMLElement): Promise<void> {
  element.focus();
  element.click();
  await after();
}

function focused(): string | undefined {
  return document.activeElement instanceof HTMLElement ? document.activeElement.dataset["testid"] : undefined;
}

function dismissals(): HTMLElement[] {
  return [...document.querySelectorAll<HTMLElement>("[aria-label=Dismiss]")];
}

function tabs(): HTMLElement[] {
  return [...document.querySelectorAll<HTMLElement>("[role=tab]")];
}

afterEach(() => {
  sessionStorage.clear();
});

describe("the focus", () => {
  it.each(["allow", "allow-always", "deny"])("goes to the composer after %s", async (id) => {
    await show("ask");
    await push(one(id));
    expect(all(id)).toHaveLength(0);
    expect(focused()).toBe("composer");
  });

  it("stays where the user has put it while the answer was on its way", async () => {
    const { host } = await show("ask");
    one("allow").focus();
    one("mode-picker").focus();
    host.tab("tab-1").answer("ask-1", { kind: "allow" });
    await after();
    expect(all("ask")).toHaveLength(0);
    expect(focused()).toBe("mode-picker");
  });

  it("stays nowhere where the user has put it nowhere", async () => {
    const { host } = await show("ask");
    one("allow").focus();
    one("allow").blur();
    await after();
    host.tab("tab-1").answer("ask-1", { kind: "allow" });
    await after();
    expect(document.activeElement).toBe(document.body);
  });

  it("is not lost while another window covers this one", async () => {
    const { host } = await show("ask");
    one("allow").focus();
    one("allow").dispatchEvent(new FocusEvent("focusout", { bubbles: true, relatedTarget: null }));
    await after();
    host.tab("tab-1").answer("ask-1", { kind: "allow" });
    await after();
    expect(focused()).toBe("composer");
  });

  it("goes to the composer when the turn that was stopped has ended", async () => {
    const { host } = await show("working");
    await push(one("stop"));
    host.tab("tab-1").show({ turn: { state: "idle" } });
    await after();
    expect(all("stop")).toHaveLength(0);
    expect(focused()).toBe("composer");
  });

  it("goes to the composer after a turn is tried again", async () => {
    const { host } = await show("error");
    const entry = host.tab("tab-1").entries[1]!;
    one("retry-turn").focus();
    if (entry.body.kind === "error") {
      host.tab("tab-1").replace({ ...entry, body: { ...entry.body, retry: false } });
    }
    await after();
    expect(all("retry-turn")).toHaveLength(0);
    expect(focused()).toBe("composer");
  });

  it.each(["retry", "use-host"])("goes to the Container button after %s", async (id) => {
    await show("build-failed");
    one("container-button").focus();
    await tick();
    await push(one(id));
    expect(all(id)).toHaveLength(0);
    expect(focused()).toBe("container-button");
  });

  it("goes from one problem to the next, and to the composer after the last", async () => {
    await show("problems");
    await push(dismissals()[0]!);
    expect(dismissals()).toHaveLength(1);
    expect(document.activeElement).toBe(dismissals()[0]);
    await push(dismissals()[0]!);
    expect(dismissals()).toHaveLength(0);
    expect(focused()).toBe("composer");
  });

  it("is in the path field on the new-tab page, and comes back there", async () => {
    const { model } = await show("new-tab");
    expect(focused()).toBe("workspace-path");
    model.failures.add(new Error("no"), "do it");
    await after();
    await push(dismissals()[0]!);
    expect(focused()).toBe("workspace-path");
  });

  it("goes into the build log when it is opened, and back to the Container button, whose details stay shut", async () => {
    await show("build-failed");
    one("container-button").focus();
    await tick();
    await push(one("show-build-log"));
    expect(document.activeElement?.contains(one("build-log"))).toBe(true);
    expect(all("container-details")).toHaveLength(0);
    await push(one("close-build-log"));
    expect(focused()).toBe("container-button");
    expect(all("container-details")).toHaveLength(0);
  });

  it.each(["Enter", "Escape"])("is on the tab after its renaming ended with %s", async (key) => {
    await show("conversation");
    await press(window, "F2");
    const field = one("tab").querySelector("input")!;
    await type(field, "plums");
    await press(field, key);
    await after();
    expect(document.activeElement).toBe(tabs()[0]);
  });

  it("is not taken from a title by the page of its tab, which comes later", async () => {
    const { model } = await show("many");
    model.activate("tab-3");
    model.renaming = "tab-3";
    await after();
    expect(model.page?.view?.id).toBe("tab-3");
    expect(document.activeElement).toBe(all("tab")[2]?.querySelector("input"));
  });
});

describe("the keys of the tab list", () => {
  it("go along it and stay in it, and lead to the page with Enter", async () => {
    const { model } = await show("many");
    tabs()[0]?.focus();
    for (const [key, index] of [
      ["ArrowRight", 1],
      ["ArrowRight", 2],
      ["ArrowLeft", 1],
      ["End", 10],
      ["ArrowRight", 0],
      ["ArrowLeft", 10],
      ["Home", 0],
    ] as const) {
      await press(document.activeElement!, key);
      await after();
      expect(document.activeElement, `${key} moves the focus`).toBe(tabs()[index]);
      expect(model.state?.active, `${key} shows the tab`).toBe(`tab-${index + 1}`);
      expect(tabs().map((tab) => tab.tabIndex === 0)).toEqual(tabs().map((_, at) => at === index));
    }
    await push(tabs()[0]!);
    expect(focused()).toBe("composer");
  });

  it("do not wait for core from one tab to the next", async () => {
    const { host } = await show("many");
    host.activateTab = () => new Promise(() => {});
    tabs()[0]?.focus();
    await press(document.activeElement!, "ArrowRight");
    await press(document.activeElement!, "ArrowRight");
    expect(document.activeElement).toBe(tabs()[2]);
  });

  it("leave the page's own keys alone", async () => {
    await show("many");
    tabs()[0]?.focus();
    await press(document.activeElement!, "3", { ctrlKey: true });
    await after();
    expect(focused()).toBe("composer");
  });

  it("reach the list from the new-tab page", async () => {
    const { model } = await show("new-tab");
    expect(tabs().map((tab) => tab.tabIndex)).toEqual([0]);
    await push(tabs()[0]!);
    expect(model.state?.active).toBe("tab-1");
    expect(focused()).toBe("composer");
  });
});
