// The active tab's page: what core says of it, kept as it comes. It asks for the tab to be watched, acknowledges
// what was painted, and watches anew when a frame does not fit.
import { flushSync } from "svelte";

import type { Host } from "../host/types";
import type { Catalog } from "../host/wire/Catalog";
import type { TabFrame } from "../host/wire/TabFrame";
import type { TabView } from "../host/wire/TabView";
import { announcement } from "./announce";
import type { Announcer } from "./announcer.svelte";
import type { Failures } from "./failures.svelte";
import { afterNextFrame, recordPaint } from "./paint";
import { STEP, Transcript, type EntryChange } from "./transcript.svelte";

export class TabPage {
  readonly id: string;
  /** None until the snapshot has come. */
  view = $state.raw<TabView | null>(null);
  catalog = $state.raw<Catalog>({ models: [], commands: [] });
  /** The build log, line by line. */
  log = $state.raw<readonly string[]>([]);
  /** True while older entries are on their way. */
  fetching = $state(false);
  readonly transcript = new Transcript();

  readonly #host: Host;
  readonly #failures: Failures;
  readonly #announcer: Announcer;
  // Counts the watches, so that a late frame of an older one is known as such.
  #generation = 0;
  #watch: Promise<number> | null = null;
  #seq: number | null = null;

  constructor(id: string, host: Host, failures: Failures, announcer: Announcer) {
    this.id = id;
    this.#host = host;
    this.#failures = failures;
    this.#announcer = announcer;
  }

  open(): void {
    const generation = ++this.#generation;
    this.#seq = null;
    const watch = this.#host.watchTab(this.id, (frame) => {
      if (generation === this.#generation) this.#receive(frame);
    });
    this.#watch = watch;
    watch.catch((reason: unknown) => {
      if (generation === this.#generation) this.#failures.add(reason, "show this tab");
    });
  }

  close(): void {
    this.#generation += 1;
    const watch = this.#watch;
    this.#watch = null;
    // The core may have closed the tab already; then there is nothing left to unwatch.
    watch?.then((number) => this.#host.unwatchTab(this.id, number)).catch(() => {});
  }

  /** Brings older entries into the document: those that the page has first, then core's. */
  async showOlder(): Promise<void> {
    if (this.fetching || this.transcript.revealKept()) return;
    const before = this.transcript.oldest();
    if (before === null || this.transcript.earlier === 0) return;
    const generation = this.#generation;
    this.fetching = true;
    try {
      const entries = await this.#host.earlier(this.id, before, STEP);
      // A snapshot may have come meanwhile: then these entries would stand in the wrong place.
      if (generation === this.#generation && before === this.transcript.oldest()) {
        this.transcript.prepend(entries);
      }
    } catch (reason) {
      this.#failures.add(reason, "load earlier messages");
    } finally {
      this.fetching = false;
    }
  }

  #receive(frame: TabFrame): void {
    if (frame.kind === "snapshot") this.#applySnapshot(frame);
    else if (this.#seq === null || !this.#applyChanges(frame)) {
      this.#rewatch();
      return;
    }
    this.#seq = frame.seq;
    const generation = this.#generation;
    const arrived = frame.kind === "changes" ? frame.arrived : null;
    // The document must hold the change before the animation frame is asked for, or the wrong one is measured.
    flushSync();
    afterNextFrame(() => {
      if (arrived !== null) recordPaint(arrived);
      if (generation === this.#generation) this.#acknowledge(frame.seq);
    });
  }

  #applySnapshot(frame: Extract<TabFrame, { kind: "snapshot" }>): void {
    this.view = frame.tab;
    this.catalog = frame.catalog;
    this.log = frame.log;
    this.transcript.reset(frame.entries, frame.earlier);
  }

  #applyChanges(frame: Extract<TabFrame, { kind: "changes" }>): boolean {
    const entryChanges: EntryChange[] = [];
    for (const change of frame.changes) {
      switch (change.kind) {
        case "tab":
          this.#announce(change.tab);
          this.view = change.tab;
          break;
        case "catalog":
          this.catalog = change.catalog;
          break;
        case "log":
          this.log = change.reset ? change.lines : [...this.log, ...change.lines];
          break;
        default:
          entryChanges.push(change);
      }
    }
    return this.transcript.apply(entryChanges);
  }

  #announce(next: TabView): void {
    if (this.view === null) return;
    const words = announcement(this.view, next);
    if (words !== null) this.#announcer.say(words);
  }

  #acknowledge(seq: number): void {
    const watch = this.#watch;
    if (watch === null) return;
    watch
      .then((number) => this.#host.acknowledge(this.id, number, seq))
      .catch((reason: unknown) => {
        if (this.#watch === watch) this.#failures.add(reason, "follow this tab");
      });
  }

  #rewatch(): void {
    this.close();
    this.open();
  }
}
