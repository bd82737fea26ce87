// The new-tab page in the document: a path that completes itself, and refusals that lose nothing.
import { afterEach, describe, expect, it, vi } from "vitest";

import { all, one, press, settle, show, type } from "../../test/mount";

function field(): HTMLInputElement {
  return one("workspace-path") as HTMLInputElement;
}

function offered(): (string | undefined)[] {
  return [...document.querySelectorAll("#path-completions [role=option]")].map((option) =>
    option.textContent?.trim(),
  );
}

afterEach(() => {
  sessionStorage.clear();
});

describe("the path field", () => {
  it("offers folders, and Tab after Tab goes down the tree", async () => {
    await show("first");
    await type(field(), "/home/ada/p");
    await settle();
    expect(offered()).toEqual(["/home/ada/projects"]);
    await press(field(), "Tab");
    expect(field().value).toBe("/home/ada/projects/");
    expect(offered()).toHaveLength(4);
    await press(field(), "ArrowDown");
    await press(field(), "ArrowDown");
    await press(field(), "Tab");
    expect(field().value).toBe("/home/ada/projects/api-gateway/");
  });

  it("goes on to the next field with Tab where it offers nothing", async () => {
    await show("first");
    await type(field(), "/nowhere");
    await settle();
    expect(await press(field(), "Tab")).toBe(false);
  });

  it("puts its list away with Escape", async () => {
    await show("first");
    await type(field(), "/home/ada/p");
    await settle();
    await press(field(), "Escape");
    expect(offered()).toEqual([]);
  });

  it("ignores an answer that came too late", async () => {
    const { host } = await show("first");
    const late = Promise.resolve({ folders: ["/late"] }).then((answer) => answer);
    vi.spyOn(host, "completePath")
      .mockReturnValueOnce(late)
      .mockResolvedValueOnce({ folders: ["/newer"] });
    await type(field(), "/a");
    await type(field(), "/ab");
    await settle();
    expect(offered()).toEqual(["/newer"]);
  });
});

describe("opening a folder", () => {
  it("shows its tab", async () => {
    await show("first");
    await type(field(), "/home/ada/notes");
    one("open-workspace").click();
    await settle();
    expect(all("tab").map((tab) => tab.textContent?.trim())).toEqual(["notes"]);
    expect(one("composer")).toBeTruthy();
  });

  it.each([
    ["/home/ada/nowhere", "This folder does not exist", "Check the spelling"],
    ["/", "This folder is too wide to work in", "Choose the folder of one project"],
  ])("that is refused says why and keeps the path: %s", async (path, title, action) => {
    await show("first");
    await type(field(), path);
    one("open-workspace").click();
    await settle();
    const alert = document.querySelector("[role=alert]");
    expect(alert?.textContent).toContain(title);
    expect(alert?.textContent).toContain(action);
    expect(field().value).toBe(path);
    await type(field(), `${path}x`);
    expect(document.querySelector("[role=alert]"), "typing on puts it away").toBe(null);
  });

  it("needs one click for a recent one", async () => {
    await show("new-tab");
    all("recent-workspace")[1]?.click();
    await settle();
    expect(all("tab").at(-1)?.textContent?.trim()).toBe("api-gateway");
  });

  it("needs a path", async () => {
    await show("first");
    expect(one("open-workspace")).toHaveProperty("disabled", true);
  });
});
