// How a tab's page watches: a snapshot first, changes after it, each frame acknowledged once it has been painted.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { Host } from "../host/types";
import type { Entry } from "../host/wire/Entry";
import type { TabFrame } from "../host/wire/TabFrame";
import { FakeTab } from "../host/fake/tab";
import { deferred } from "../test/deferred";
import { Announcer } from "./announcer.svelte";
import { Failures } from "./failures.svelte";
import { TabPage } from "./tab.svelte";

const view = FakeTab.fresh("t", "/home/ada").view;
const catalog = { models: [], commands: [] };

function entry(id: number, words: string): Entry {
  return { id, at: 0, streaming: true, body: { kind: "assistant", text: words } };
}

function snapshot(seq: number, entries: Entry[] = [], earlier = 0): TabFrame {
  return { kind: "snapshot", seq, tab: view, catalog, entries, earlier, log: [] };
}

function text(seq: number, id: number, words: string, arrived: number | null = null): TabFrame {
  return { kind: "changes", seq, arrived, changes: [{ kind: "text", id, text: words }] };
}

function log(seq: number, reset: boolean, lines: string[]): TabFrame {
  return { kind: "changes", seq, arrived: null, changes: [{ kind: "log", reset, lines }] };
}

function stage() {
  const watches: ((frame: TabFrame) => void)[] = [];
  const host = {
    watchTab: vi.fn(async (_: string, onFrame: (frame: TabFrame) => void) => watches.push(onFrame)),
    unwatchTab: vi.fn(async () => {}),
    acknowledge: vi.fn(async () => {}),
    earlier: vi.fn(async (): Promise<Entry[]> => []),
  };
  const failures = new Failures();
  const announcer = new Announcer();
  const page = new TabPage("t", host as unknown as Host, failures, announcer);
  page.open();
  return { host, page, failures, announcer, watches };
}

async function frame(): Promise<void> {
  await vi.advanceTimersToNextFrame();
  await vi.advanceTimersByTimeAsync(0);
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
  delete window.__gemraPaints;
});

describe("a tab's page", () => {
  it("shows the snapshot and then the changes", () => {
    const { page, watches } = stage();
    expect(page.view).toBe(null);
    watches[0]?.(snapshot(1, [entry(1, "He")]));
    watches[0]?.(text(2, 1, "llo"));
    expect(page.view).toBe(view);
    expect(page.transcript.entries[0]?.body).toMatchObject({ text: "Hello" });
  });

  it("acknowledges each frame once it has been painted, and not before", async () => {
    const { host, watches } = stage();
    watches[0]?.(snapshot(7));
    await vi.advanceTimersByTimeAsync(0);
    expect(host.acknowledge).not.toHaveBeenCalled();
    await frame();
    expect(host.acknowledge).toHaveBeenCalledExactlyOnceWith("t", 1, 7);
  });

  it("acknowledges in a window that is not drawn as well", async () => {
    vi.spyOn(window, "requestAnimationFrame").mockReturnValue(0);
    const { host, watches } = stage();
    watches[0]?.(snapshot(7));
    await vi.advanceTimersByTimeAsync(300);
    expect(host.acknowledge).toHaveBeenCalledExactlyOnceWith("t", 1, 7);
  });

  it("watches anew where changes come before a snapshot", async () => {
    const { host, watches } = stage();
    watches[0]?.(text(1, 1, "x"));
    await vi.advanceTimersByTimeAsync(0);
    expect(watches).toHaveLength(2);
    expect(host.unwatchTab).toHaveBeenCalledWith("t", 1);
  });

  it("watches anew where a change names an entry it never saw, and ignores the old watch then", async () => {
    const { page, watches } = stage();
    watches[0]?.(snapshot(1, [entry(1, "a")]));
    watches[0]?.(text(2, 9, "x"));
    await vi.advanceTimersByTimeAsync(0);
    expect(watches).toHaveLength(2);
    watches[1]?.(snapshot(1, [entry(1, "b")]));
    watches[0]?.(text(3, 1, "late"));
    expect(page.transcript.entries[0]?.body).toMatchObject({ text: "b" });
  });

  it("keeps the build log, and begins it anew with a new build", () => {
    const { page, watches } = stage();
    watches[0]?.(snapshot(1));
    watches[0]?.(log(2, true, ["a"]));
    watches[0]?.(log(3, false, ["b", "c"]));
    expect(page.log).toEqual(["a", "b", "c"]);
    watches[0]?.(log(4, true, ["d"]));
    expect(page.log).toEqual(["d"]);
  });

  it("says aloud that the container runs and that a turn has ended", () => {
    const { announcer, watches } = stage();
    watches[0]?.(snapshot(1));
    const tab = (seq: number, change: Partial<typeof view>): TabFrame => ({
      kind: "changes",
      seq,
      arrived: null,
      changes: [{ kind: "tab", tab: { ...view, ...change } }],
    });
    watches[0]?.(tab(2, { container: { ...view.container, state: "running" } }));
    expect(announcer.text.trim()).toBe("Container running. The agent runs in it.");
    watches[0]?.(tab(3, { turn: { state: "running", since: 0, retry: null } }));
    watches[0]?.(tab(4, {}));
    expect(announcer.text.trim()).toBe("The agent has finished.");
  });

  it("fetches older entries from core once all of its own are shown", async () => {
    const { host, page, watches } = stage();
    watches[0]?.(snapshot(1, [entry(5, "five")], 4));
    host.earlier.mockResolvedValue([entry(3, "three"), entry(4, "four")]);
    await page.showOlder();
    expect(host.earlier).toHaveBeenCalledExactlyOnceWith("t", 5, 30);
    expect(page.transcript.entries.map(({ id }) => id)).toEqual([3, 4, 5]);
    expect(page.transcript.earlier).toBe(2);
  });

  it("drops older entries that come after a new snapshot", async () => {
    const { host, page, watches } = stage();
    watches[0]?.(snapshot(1, [entry(5, "five")], 4));
    const answer = deferred<Entry[]>();
    host.earlier.mockReturnValue(answer.promise);
    const shown = page.showOlder();
    watches[0]?.(snapshot(2, [entry(9, "nine")], 8));
    answer.resolve([entry(4, "four")]);
    await shown;
    expect(page.transcript.entries.map(({ id }) => id)).toEqual([9]);
  });

  it("says why older entries did not come", async () => {
    const { host, page, failures, watches } = stage();
    watches[0]?.(snapshot(1, [entry(5, "five")], 4));
    host.earlier.mockRejectedValue(new Error("gone"));
    await page.showOlder();
    expect(failures.list[0]?.failure.title).toBe("Could not load earlier messages");
    expect(page.fetching).toBe(false);
  });
});

describe("the bench's figures", () => {
  it("are written in the frame after the document holds a delta", async () => {
    window.__gemraPaints = [];
    const { watches } = stage();
    watches[0]?.(snapshot(1, [entry(1, "a")]));
    watches[0]?.(text(2, 1, "b", 1234));
    expect(window.__gemraPaints).toHaveLength(0);
    await frame();
    expect(window.__gemraPaints).toHaveLength(1);
    expect(window.__gemraPaints[0]?.arrived).toBe(1234);
  });

  it("are not kept where nobody asked for them", async () => {
    const { watches } = stage();
    watches[0]?.(snapshot(1, [entry(1, "a")]));
    watches[0]?.(text(2, 1, "b", 1234));
    await frame();
    expect(window.__gemraPaints).toBeUndefined();
  });
});
