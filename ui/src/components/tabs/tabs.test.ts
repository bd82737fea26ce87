// The tab bar in the document: opening, closing, switching, renaming, and reordering by pointer and by keyboard.
import { tick } from "svelte";
import { afterEach, describe, expect, it, vi } from "vitest";

import { all, one, press, settle, show, type } from "../../test/mount";

function order(): string[] {
  return all("tab").map((tab) => tab.dataset["tabId"] ?? "");
}

function active(): string[] {
  return all("tab").flatMap((tab) => (tab.dataset["active"] === "true" ? [tab.dataset["tabId"] ?? ""] : []));
}

// jsdom lays nothing out: tabs are 100 pixels wide and stand side by side.
function layOut(): void {
  vi.spyOn(HTMLElement.prototype, "offsetWidth", "get").mockReturnValue(100);
  vi.spyOn(HTMLElement.prototype, "offsetLeft", "get").mockImplementation(function (this: HTMLElement) {
    return 100 * all("tab").indexOf(this);
  });
}

async function drag(tab: HTMLElement, dx: number, drop = "pointerup"): Promise<void> {
  const at = (kind: string, clientX: number): void => {
    const event = new MouseEvent(kind, { bubbles: true, cancelable: true, clientX, button: 0 });
    Object.defineProperty(event, "pointerId", { value: 1 });
    (kind === "pointerdown" ? tab : one("tab-bar").querySelector("[role=tablist]"))?.dispatchEvent(event);
  };
  at("pointerdown", 10);
  at("pointermove", 10 + dx / 2);
  at("pointermove", 10 + dx);
  await tick();
  at(drop, 10 + dx);
  await settle();
}

afterEach(() => {
  sessionStorage.clear();
});

describe("the tab bar", () => {
  it("shows the tabs in core's order, one of them active", async () => {
    await show("many");
    expect(order()).toEqual(Array.from({ length: 11 }, (_, at) => `tab-${at + 1}`));
    expect(active()).toEqual(["tab-1"]);
  });

  it("says in a tab's name what its agent does and where it is", async () => {
    await show("many");
    const names = all("tab").map((tab) => tab.querySelector("[role=tab]")?.getAttribute("aria-label"));
    expect(names.slice(0, 6)).toEqual([
      "orchard",
      "api-gateway, working",
      "telescope, container running",
      "notes, container building",
      "a project with a very long name indeed, asks you something",
      "infra, container error",
    ]);
  });

  it("switches on a press, and has the page of the active tab alone in the document", async () => {
    await show("many");
    all("tab")[2]?.dispatchEvent(new MouseEvent("pointerdown", { bubbles: true, button: 0 }));
    await settle();
    expect(active()).toEqual(["tab-3"]);
    for (const id of ["composer", "transcript", "status-bar"]) expect(all(id)).toHaveLength(1);
    expect(one("container-button").dataset["state"]).toBe("running");
  });

  it.each([
    ["3", "tab-3"],
    ["9", "tab-11"],
  ])("switches with Ctrl+%s to %s", async (key, tab) => {
    await show("many");
    await press(window, key, { ctrlKey: true });
    expect(active()).toEqual([tab]);
  });

  it("opens the new-tab page with + and with Ctrl+T, and comes back", async () => {
    await show("conversation");
    one("new-tab").click();
    await settle();
    expect(one("workspace-path")).toBeTruthy();
    expect(active()).toEqual([]);
    await press(window, "1", { ctrlKey: true });
    expect(active()).toEqual(["tab-1"]);
    await press(window, "t", { ctrlKey: true });
    expect(all("composer")).toHaveLength(0);
  });

  it("closes with its button and with Ctrl+W", async () => {
    await show("many");
    one("close-tab", all("tab")[1]).click();
    await settle();
    expect(order()).not.toContain("tab-2");
    await press(window, "w", { ctrlKey: true });
    expect(order()).not.toContain("tab-1");
    expect(active()).toEqual(["tab-3"]);
  });

  it("renames with F2 and with a double click; Escape leaves the name", async () => {
    await show("conversation");
    await press(window, "F2");
    const field = one("tab").querySelector("input");
    await type(field!, "plums");
    await press(field!, "Enter");
    expect(one("tab").textContent?.trim()).toBe("plums");

    one("tab").dispatchEvent(new MouseEvent("dblclick", { bubbles: true }));
    await settle();
    await type(one("tab").querySelector("input")!, "pears");
    await press(one("tab").querySelector("input")!, "Escape");
    expect(one("tab").textContent?.trim()).toBe("plums");
  });
});

describe("reordering", () => {
  it("by pointer asks core once, on the drop", async () => {
    const { host } = await show("many");
    layOut();
    const moveTab = vi.spyOn(host, "moveTab");
    await drag(all("tab")[0]!, 160);
    expect(moveTab).toHaveBeenCalledExactlyOnceWith("tab-1", 2);
    expect(order().slice(0, 4)).toEqual(["tab-2", "tab-3", "tab-1", "tab-4"]);
  });

  it("by pointer is called off where the pointer is lost, and a small move is a click", async () => {
    const { host } = await show("many");
    layOut();
    const moveTab = vi.spyOn(host, "moveTab");
    await drag(all("tab")[0]!, 160, "pointercancel");
    await drag(all("tab")[0]!, 3);
    expect(moveTab).not.toHaveBeenCalled();
  });

  it("by keyboard stops at the ends", async () => {
    await show("many");
    await press(window, "PageUp", { ctrlKey: true, shiftKey: true });
    expect(order()[0]).toBe("tab-1");
    await press(window, "PageDown", { ctrlKey: true, shiftKey: true });
    expect(order().slice(0, 2)).toEqual(["tab-2", "tab-1"]);
  });

  it("goes back to core's order where core refuses, and says why", async () => {
    const { host } = await show("many");
    layOut();
    vi.spyOn(host, "moveTab").mockRejectedValue({
      code: "x",
      title: "No",
      cause: "Why",
      action: "Do",
      detail: null,
    });
    await drag(all("tab")[0]!, 160);
    expect(order()[0]).toBe("tab-1");
    expect(one("failure").textContent).toContain("Why");
  });

  it("shows the drop until core has moved the tab, whatever else core says meanwhile", async () => {
    const { host } = await show("many");
    layOut();
    vi.spyOn(host, "moveTab").mockReturnValue(new Promise(() => {}));
    await drag(all("tab")[0]!, 160);
    host.tab("tab-5").rename("other news");
    await settle();
    expect(order().slice(0, 3)).toEqual(["tab-2", "tab-3", "tab-1"]);
  });
});
