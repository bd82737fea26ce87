// What the hover, the shell and the list of containers show of a container that lives.
import { tick } from "svelte";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { all, one, settle, show } from "../../test/mount";
import { OPEN_MS } from "./hover-panel.svelte";

async function hover(): Promise<void> {
  one("container-button").parentElement!.dispatchEvent(new Event("pointerenter"));
  await vi.advanceTimersByTimeAsync(OPEN_MS);
  await tick();
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
  sessionStorage.clear();
});

describe("the figures", () => {
  it("are asked for while the details are open, and no longer", async () => {
    const { host } = await show("running");
    expect(host.containers.visits.size, "nobody looks").toBe(0);
    await hover();
    expect(one("container-stats").textContent).toContain("shared with the host");
    expect(host.containers.visits.size, "one request for what is in sight").toBe(1);
    one("container-button").parentElement!.dispatchEvent(new Event("pointerleave"));
    await vi.advanceTimersByTimeAsync(1000);
    await settle();
    expect(all("container-stats")).toHaveLength(0);
    expect(host.containers.visits.size, "it has ended with the details").toBe(0);
  }, 60_000);

  it("are not there without a container", async () => {
    await show("conversation");
    await hover();
    expect(all("container-stats")).toHaveLength(0);
    expect(all("refresh")).toHaveLength(0);
  });
});

describe("refresh", () => {
  it("asks core for a new container", async () => {
    const { host } = await show("running");
    const refresh = vi.spyOn(host, "refreshContainer");
    await hover();
    one("refresh").click();
    expect(refresh).toHaveBeenCalledOnce();
  });
});

function images(): number {
  return all("held-image").length;
}

describe("the list of containers", () => {
  it("shows what runs and what is held, and stops and removes", async () => {
    const { host } = await show("running");
    const stop = vi.spyOn(host, "stopContainer");
    one("containers-button").click();
    await settle();
    await vi.advanceTimersByTimeAsync(50);
    expect(one("container-count").textContent).toContain("Docker 27.3.1");
    expect(all("held-container")).toHaveLength(1);
    expect(images()).toBe(2);
    one("prune").click();
    await settle();
    expect(images(), "nothing goes before it was asked").toBe(2);
    one("prune-yes").click();
    await settle();
    await settle();
    expect(images(), "the one that nobody uses").toBe(1);
    expect(one("pruned").textContent).toContain("1 thing was removed.");
    one("stop-container").click();
    await settle();
    expect(stop).toHaveBeenCalledOnce();
  }, 60_000);

  it("shows and removes only what is the project’s, where that is wished", async () => {
    const { host } = await show("running");
    const prune = vi.spyOn(host, "prune");
    one("containers-button").click();
    await settle();
    await vi.advanceTimersByTimeAsync(50);
    one("of-project").click();
    await settle();
    expect(all("held-container"), "its own container").toHaveLength(1);
    expect(images(), "images are made for all projects").toBe(0);
    expect(one("prune").hasAttribute("disabled"), "and nothing of its own is unused").toBe(true);
    one("of-project").click();
    await settle();
    expect(images()).toBe(2);
    expect(prune).not.toHaveBeenCalled();
  }, 60_000);
});
