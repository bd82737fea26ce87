// The images in the list of containers: what is told of each, and the way to a file and back.
import { tick } from "svelte";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { TENTH_MS } from "../../host/fake/containers";
import { all, one, settle, show, type, type MountedPage } from "../../test/mount";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
  sessionStorage.clear();
});

async function open(): Promise<MountedPage> {
  const page = await show("running");
  await list();
  return page;
}

async function list(): Promise<void> {
  one("containers-button").click();
  await settle();
  await vi.advanceTimersByTimeAsync(50);
}

async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  await settle();
}

async function close(): Promise<void> {
  const buttons = [...one("containers").querySelectorAll("button")];
  buttons.find((button) => button.textContent.trim() === "Close")?.click();
  await settle();
  await pass(50);
  expect(all("containers"), "the list is closed").toHaveLength(0);
}

/** Presses the button of the image that is in use, or of the one that is not. */
async function press(id: string, used: boolean): Promise<void> {
  const row = all("held-image").find((element) => element.dataset["used"] === String(used));
  one(id, row).click();
  await tick();
}

async function go(file: string): Promise<void> {
  await type(one("image-file"), file);
  one("image-file-go").click();
  await settle();
}

describe("an image", () => {
  it("is told with what it was made from, and goes only where nothing uses it", async () => {
    await open();
    const rows = all("held-image");
    expect(rows.map((row) => row.dataset["image"])).toEqual([
      "gemra-claude:5f0c9e1d",
      "gemra-claude:0b7712aa",
    ]);
    for (const words of ["Gemra's own Dockerfile.claude", "1.1 GB", "1 h", "yes"]) {
      expect(rows[0]?.textContent).toContain(words);
    }
    expect(rows[1]?.textContent).toContain("2 days");
    expect(one("remove-image", rows[0])).toHaveProperty("disabled", true);
    await press("remove-image", false);
    expect(all("held-image"), "nothing goes before it was asked").toHaveLength(2);
    one("remove-image-yes").click();
    await settle();
    await settle();
    expect(all("held-image").map((row) => row.dataset["image"])).toEqual(["gemra-claude:5f0c9e1d"]);
    expect(one("pruned").textContent).toContain("1 thing was removed.");
  });
});

describe("saving", () => {
  it("tells how far it is, and what came of it", async () => {
    const { host } = await open();
    await press("save-image", true);
    await go(" /home/ada/image.tar ");
    expect(one("image-progress").textContent).toContain("Asking the engine");
    expect(document.activeElement, "the focus does not fall on what stops a container").toBe(
      one("image-progress"),
    );
    await pass(4 * TENTH_MS);
    expect(one("image-progress").textContent).toContain("440.0 MB of about 1.1 GB (40 %)");
    expect(all("image-file-form"), "one at a time").toHaveLength(0);
    await pass(6 * TENTH_MS);
    expect(all("image-progress")).toHaveLength(0);
    expect(one("image-outcome").textContent).toBe("Saved gemra-claude:5f0c9e1d as /home/ada/image.tar.");
    expect(host.containers.files).toEqual(["/home/ada/image.tar"]);
    expect(all("image-file-form"), "nothing more is asked").toHaveLength(0);
    expect(document.activeElement).toBe(one("load-image"));
  });

  it("leaves what was typed where it is refused, with the reason", async () => {
    await open();
    await press("save-image", false);
    await go("/root/image.tar");
    expect(one("containers").querySelector("[data-code=image-file]")?.textContent).toContain("was not saved");
    expect(one("image-file")).toHaveProperty("value", "/root/image.tar");
    await go("/home/ada/image.tar");
    expect(one("containers").querySelector("[data-code=image-file]"), "it is read").toBeNull();
  });

  it("is given up when the user says so", async () => {
    const { host } = await open();
    await press("save-image", true);
    await go("/home/ada/image.tar");
    await pass(2 * TENTH_MS);
    one("cancel-image").click();
    await settle();
    expect(one("image-progress").textContent).toContain("Giving it up");
    await pass(TENTH_MS);
    expect(one("image-outcome").textContent).toContain("Not saved");
    expect(host.containers.files).toEqual([]);
  });

  it("replaces a file only where the platform's dialog has asked", async () => {
    const { host } = await open();
    host.containers.files.push("/home/ada/gemra-claude-5f0c9e1d.tar");
    await press("save-image", true);
    await go("/home/ada/gemra-claude-5f0c9e1d.tar");
    expect(one("containers").querySelector("[data-code=image-file]")?.textContent).toContain("already");
    const browse = [...one("image-file-form").querySelectorAll("button")].find((button) =>
      button.textContent.includes("Browse"),
    );
    browse?.click();
    await settle();
    await pass(10 * TENTH_MS);
    expect(one("image-outcome").textContent).toContain("Saved");
  });

  it("goes on while nobody looks, and its failure is told in the window then", async () => {
    const { host, model } = await open();
    await press("save-image", true);
    await go("/home/ada/image.tar");
    await close();
    await list();
    expect(one("image-progress").textContent, "it is still on its way").toContain("Saving");
    await close();
    await pass(10 * TENTH_MS);
    expect(host.containers.files).toEqual(["/home/ada/image.tar"]);
    expect(model.announcer.text).toContain("Saved gemra-claude:5f0c9e1d");

    vi.spyOn(host, "saveImage").mockImplementation(async () => {
      await new Promise((passed) => setTimeout(passed, TENTH_MS));
      throw {
        code: "image-file",
        title: "The image was not saved",
        cause: "The disk is full.",
        action: "Make room.",
      };
    });
    await list();
    await press("save-image", true);
    await go("/home/ada/other.tar");
    await close();
    await pass(TENTH_MS);
    expect(one("failure").textContent).toContain("The disk is full.");
  });
});

describe("loading", () => {
  it("tells the names, and that an image of somebody else's has to be named", async () => {
    const { host } = await open();
    const holdings = vi.spyOn(host, "holdings");
    one("load-image").click();
    await tick();
    await go("/home/ada/tools.tar");
    await pass(10 * TENTH_MS);
    expect(one("image-outcome").textContent).toBe(
      "Loaded tools:1. Gemra has not built it: name it in the settings to use it.",
    );
    expect(holdings, "the list is taken anew").toHaveBeenCalledOnce();
  });
});
