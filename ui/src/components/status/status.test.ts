// The status bar in the document: the Container button, its details in every state, the build log, the pickers.
import { tick } from "svelte";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { all, one, settle, show } from "../../test/mount";
import { OPEN_MS } from "./hover-panel.svelte";

function button(): HTMLElement {
  return one("container-button");
}

function root(): HTMLElement {
  return button().parentElement!;
}

async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  await tick();
}

async function hover(): Promise<void> {
  root().dispatchEvent(new Event("pointerenter"));
  await pass(OPEN_MS);
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
  sessionStorage.clear();
});

describe("the Container button", () => {
  it.each([
    ["conversation", "off", "Container: off"],
    ["building", "building", "Container: Building image… 3/12"],
    ["starting", "starting", "Container: Starting…"],
    ["running", "running", "Container: Running"],
    ["stopping", "stopping", "Container: Stopping…"],
    ["build-failed", "error", "Container: Error"],
  ])("%s: says its state to the eye, the ear and the script", async (scene, state, name) => {
    await show(scene);
    expect(button().dataset["state"]).toBe(state);
    expect(button().getAttribute("aria-label")).toBe(name);
    expect(name).toContain(button().textContent?.trim());
  });

  it("asks core once for each click, each under its own name", async () => {
    const { host } = await show("conversation");
    const toggle = vi.spyOn(host, "toggleContainer");
    button().click();
    button().click();
    expect(toggle).toHaveBeenCalledTimes(2);
    expect(toggle.mock.calls[0]?.[0]).not.toBe(toggle.mock.calls[1]?.[0]);
  });

  it("goes from off to running, and the transcript says so", async () => {
    await show("conversation");
    button().click();
    await pass(1000);
    expect(button().dataset["state"]).toBe("building");
    expect(one("container-details").textContent).toMatch(/Step \d of 9/);
    await pass(10_000);
    expect(button().dataset["state"]).toBe("running");
    expect(all("entry").at(-1)?.textContent).toContain("The agent runs in the container now.");
    expect(one("announcer").textContent).toContain("Container running");
  });
});

describe("files that have changed on both sides", () => {
  it("are named with both versions, and each waits for its own choice", async () => {
    const { host } = await show("sync-conflicts");
    const answer = vi.spyOn(host, "answerConflict");
    await hover();
    const text = one("sync-conflicts").textContent ?? "";
    expect(text).toContain("3 files changed on both sides");
    expect(text, "yours is named").toContain("/home/ada/parser/src/parser.rs");
    expect(text, "and theirs").toContain("conflicts/parser-4f2a9c10/1795272000000/src/parser.rs");
    expect(text, "a file elsewhere by its whole path").toContain("/home/ada/main/.git/notes.md");
    const [id, here] = [expect.any(String), "/home/ada/parser"];
    all("use-theirs")[0]?.click();
    await pass(0);
    expect(answer).toHaveBeenLastCalledWith(id, here, "src/parser.rs", true);
    expect(one("sync-conflicts").textContent).toContain("2 files changed on both sides");
    all("use-theirs")[1]?.click();
    await pass(0);
    expect(answer).toHaveBeenLastCalledWith(id, "/home/ada/main/.git", "notes.md", true);
    const left = all("use-mine").map((each) => each.closest("li")?.dataset["root"]);
    expect(left, "the file of the same name in the workspace waits on").toEqual([here]);
    one("use-mine").click();
    await pass(0);
    expect(answer).toHaveBeenLastCalledWith(id, here, "notes.md", false);
    expect(all("sync-conflicts"), "nothing is asked any more").toHaveLength(0);
  });
});

describe("what a container was refused", () => {
  it("is listed with the reason, and each can be allowed for the project", async () => {
    const { host, model } = await show("refused");
    const allow = vi.spyOn(host, "allowName");
    await hover();
    const text = one("refused").textContent ?? "";
    for (const words of ["Refused 4 times", "stranger.example:443", "3 times: the name and port", "once"]) {
      expect(text).toContain(words);
    }
    expect(one("malformed").textContent).toContain("2 requests were malformed");
    all("allow-name")[0]?.click();
    await pass(0);
    expect(allow).toHaveBeenCalledExactlyOnceWith("tab-1", "stranger.example");
    const workspace = model.state?.tabs[0]?.workspace ?? "";
    expect(model.state?.settings.projects[workspace]?.container.allowedDomains).toEqual(["stranger.example"]);
    expect(one("allowed-name").textContent, "it is allowed, and offered no more").toBe("Allowed now");
    expect(all("allow-name"), "the other one still is").toHaveLength(1);
    one("copy-details").click();
    await pass(0);
    expect(host.copied[0]).toContain("Refused: stranger.example:443, 3 times");
    expect(host.copied[0]).toContain("2 requests were malformed");
  });

  it("is not there where nothing was", async () => {
    await show("running");
    await hover();
    expect(all("refused")).toHaveLength(0);
  });
});

describe("the details", () => {
  it("open on hover within half a second, and go when the pointer has gone", async () => {
    await show("running");
    root().dispatchEvent(new Event("pointerenter"));
    await pass(50);
    expect(all("container-details"), "a passing pointer opens nothing").toHaveLength(0);
    await pass(400);
    expect(one("container-details")).toBeTruthy();
    root().dispatchEvent(new Event("pointerleave"));
    await pass(1000);
    expect(all("container-details")).toHaveLength(0);
  });

  it("open at once on focus, and stay until it has gone", async () => {
    await show("running");
    button().focus();
    await tick();
    expect(one("container-details")).toBeTruthy();
    await pass(60_000);
    expect(one("container-details")).toBeTruthy();
    one("composer").focus();
    await tick();
    expect(all("container-details")).toHaveLength(0);
  });

  it("open at once after a click, and stay while the focus is inside", async () => {
    await show("running");
    root().dispatchEvent(new Event("pointerenter"));
    root().dispatchEvent(new Event("pointerdown", { bubbles: true }));
    button().focus();
    root().dispatchEvent(new Event("pointerup", { bubbles: true }));
    button().click();
    await tick();
    expect(one("container-details")).toBeTruthy();
    one("copy-details").focus();
    root().dispatchEvent(new Event("pointerleave"));
    await pass(5000);
    expect(one("container-details")).toBeTruthy();
  });

  it("go with Escape, and with a press elsewhere", async () => {
    await show("running");
    button().focus();
    await tick();
    button().dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
    await tick();
    expect(all("container-details")).toHaveLength(0);
    await hover();
    one("transcript").dispatchEvent(new Event("pointerdown", { bubbles: true }));
    await tick();
    expect(all("container-details")).toHaveLength(0);
  });

  it("go with Escape while a message is being written, and the turn goes on", async () => {
    const { host } = await show("working");
    const stop = vi.spyOn(host, "stopTurn");
    one("composer").focus();
    await hover();
    one("composer").dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
    await tick();
    expect(all("container-details")).toHaveLength(0);
    expect(stop).not.toHaveBeenCalled();
  });

  it("hold what is in effect", async () => {
    await show("running");
    await hover();
    const text = one("container-details").textContent ?? "";
    for (const words of [
      "/run/docker.sock",
      "gemra-claude:latest",
      "1000:1000",
      "host",
      "/workspace",
      "1.2 s",
    ]) {
      expect(text).toContain(words);
    }
  });

  it("count the seconds while they are open", async () => {
    await show("running");
    await hover();
    expect(one("container-details").textContent).toContain("for 23 s");
    await pass(2000);
    expect(one("container-details").textContent).toContain("for 25 s");
  });

  it("hold the cause, the next step and the log of a failure, and copy all of it", async () => {
    const { host } = await show("build-failed");
    await hover();
    const text = one("container-details").textContent ?? "";
    const words = [
      "The image could not be built",
      "Unable to locate package ripgrepp",
      "Mend Dockerfile.claude",
      "This tab still works",
      "returned a non-zero code: 100",
    ];
    for (const part of words) expect(text).toContain(part);
    one("copy-details").click();
    await pass(0);
    for (const part of [...words, "Engine: Docker 27.3.1", "Container: Error"])
      expect(host.copied[0]).toContain(part);
    expect(one("copy-details").textContent).toContain("Copied");
  });

  it("offer retry and the host in an error, and there alone", async () => {
    const { host } = await show("build-failed");
    const toggle = vi.spyOn(host, "toggleContainer");
    await hover();
    one("retry").click();
    expect(toggle).toHaveBeenCalledOnce();

    const crashed = await show("crashed");
    const useHost = vi.spyOn(crashed.host, "useHost");
    await hover();
    expect(one("container-details").textContent).toContain("No agent runs in this tab");
    one("use-host").click();
    expect(useHost).toHaveBeenCalledExactlyOnceWith("tab-1");

    await show("running");
    await hover();
    expect(all("retry")).toHaveLength(0);
    expect(all("use-host")).toHaveLength(0);
  });

  it("offer to make the image anew, and tell where it has changed", async () => {
    const { host } = await show("running");
    const rebuild = vi.spyOn(host, "rebuild");
    await hover();
    expect(all("take-changes")).toHaveLength(0);
    one("rebuild").click();
    expect(rebuild).toHaveBeenCalledExactlyOnceWith("tab-1", true);

    host.tab("tab-1").contain({ imageChanged: true });
    await tick();
    expect(one("image-changed").textContent).toContain("has changed");
    one("take-changes").click();
    expect(rebuild).toHaveBeenLastCalledWith("tab-1", false);
    await tick();
    expect(all("image-changed")).toHaveLength(0);

    await show("building");
    await hover();
    expect(all("rebuild")).toHaveLength(0);
  });

  it("name the class of the failure, and only where there is one", async () => {
    const { host } = await show("build-failed");
    await hover();
    expect(one("container-details").dataset["code"]).toBe("build-failed");
    expect(one("failure-code", one("container-details")).textContent).toBe("build-failed");
    one("copy-details").click();
    await pass(0);
    expect(host.copied[0]).toContain("(build-failed)");

    await show("running");
    await hover();
    expect(one("container-details").dataset["code"]).toBeUndefined();
    expect(all("failure-code")).toHaveLength(0);
  });

  it("say that a click cancels while it builds", async () => {
    await show("building");
    await hover();
    expect(one("container-details").textContent).toContain("Click to cancel.");
  });
});

describe("the log", () => {
  it("is offered while the container runs, even where nothing was built", async () => {
    await show("running");
    await hover();
    expect(one("show-build-log").textContent).toContain("Log");
  });

  it("opens on demand, is whole, and grows with the build", async () => {
    const { host } = await show("build-failed");
    expect(all("build-log")).toHaveLength(0);
    await hover();
    one("show-build-log").click();
    await tick();
    expect(one("build-log").textContent).toBe(host.tab("tab-1").log.join("\n"));
    button().click();
    await pass(600);
    expect(one("build-log").textContent).toMatch(/^Step 1\/9[^]*Step 2\/9/);
    expect(one("build-log").textContent).not.toContain("ripgrepp");
    one("close-build-log").click();
    await tick();
    expect(all("build-log")).toHaveLength(0);
  });
});

describe("the pickers", () => {
  it("name the model and the mode in use", async () => {
    await show("conversation");
    expect(one("model-picker").textContent?.trim()).toBe("Default");
    expect(one("mode-picker").textContent?.trim()).toBe("Ask");
    expect(one("usage").getAttribute("aria-label")).toBe("Context: 24% full. Cost: $0.41");
  });

  it("say why a mode was refused", async () => {
    const { model, host } = await show("conversation");
    await model.failures.watch(host.setMode("tab-1", "bypassPermissions"), "change the mode");
    await settle();
    expect(one("failure").textContent).toContain("The agent refused this permission mode");
    expect(one("mode-picker").textContent?.trim()).toBe("Ask");
  });
});
