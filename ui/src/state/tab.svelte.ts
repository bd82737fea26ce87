// The active tab's page: what core says of it, kept as it comes. It asks for the tab to be watched, acknowledges
// what was painted, and watches anew when a frame does not fit.
import { flushSync } from "svelte";

import type { Host } from "../host/types";
import type { Catalog } from "../host/wire/Catalog";
import type { Entry } from "../host/wire/Entry";
import type { TabFrame } from "../host/wire/TabFrame";
import type { TabView } from "../host/wire/TabView";
import { announcement, asked } from "./announce";
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
  /** True while the login of containers is shown. */
  loginOpen = $state(false);
  readonly transcript = new Transcript();

  readonly #host: Host;
  readonly #failures: Failures;
  readonly #announcer: Announcer;
  // Counts the watches, so that a late frame of an older one is known as such.
  #generation = 0;
  #watch: Promise<number> | null = null;
  #seq: number | null = null;
  // The newest entry that was looked at for something to say.
  #heard = 0;

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
    this.#sayQuestions(frame.entries);
  }

  // A question may have been there before the page was. One that is in a second snapshot as well was said already.
  #sayQuestions(entries: readonly Entry[]): void {
    const fresh = entries.filter((entry) => entry.id > this.#heard);
    this.#heard = Math.max(this.#heard, entries.at(-1)?.id ?? 0);
    const words = asked(fresh.map((entry) => entry.body)).join(" ");
    if (words !== "") this.#announcer.say(words);
  }

  #applyChanges(frame: Extract<TabFrame, { kind: "changes" }>): boolean {
    const entryChanges: EntryChange[] = [];
    const before = this.view;
    for (const change of frame.changes) {
      switch (change.kind) {
        case "tab":
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
    const fits = this.transcript.apply(entryChanges);
    this.#announce(before, entryChanges);
    return fits;
  }

  #announce(before: TabView | null, changes: readonly EntryChange[]): void {
    if (before === null || this.view === null) return;
    const added = changes.filter((change) => change.kind === "append").length;
    // As they are at the frame's end: a question can come and go in one.
    const news = added === 0 ? [] : this.transcript.entries.slice(-added);
    this.#heard = news.at(-1)?.id ?? this.#heard;
    const words = announcement(
      before,
      this.view,
      news.map((entry) => entry.body),
    );
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
