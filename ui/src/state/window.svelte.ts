// Everything outside the tabs' pages, as core says it, and the page of the active tab. Only that one is watched.
import type { Host } from "../host/types";
import type { WindowState } from "../host/wire/WindowState";
import { newQuestions } from "./announce";
import { Announcer } from "./announcer.svelte";
import { Composer, type DraftStore } from "./composer.svelte";
import { Engines } from "./engines.svelte";
import { Failures } from "./failures.svelte";
import { Focus } from "./focus";
import { ImageFiles } from "./image-files.svelte";
import { TabPage } from "./tab.svelte";
import { moved } from "./order";

export class WindowModel {
  readonly host: Host;
  readonly failures = new Failures();
  readonly announcer = new Announcer();
  readonly focus = new Focus();
  /** None until core has answered. */
  state = $state.raw<WindowState | null>(null);
  /** The active tab's page; none on the new-tab page. */
  page = $state.raw<TabPage | null>(null);
  settingsOpen = $state(false);
  containersOpen = $state(false);
  /** Images that are being saved or loaded, whether the list of containers is open or not. */
  readonly images: ImageFiles;
  readonly engines: Engines;
  /** The tab whose title is being edited. */
  renaming = $state<string | null>(null);

  // Where the user dropped a tab, until core says the same or refuses.
  #dropped = $state.raw<{ tab: string; index: number } | null>(null);
  // True once core has agreed: its next word on the order is the last.
  #agreed = false;
  // The tab that was reached along the tab bar by its keys: its page leaves the focus there.
  #passing: string | null = null;
  readonly #store: DraftStore;
  readonly #composers = new Map<string, Composer>();

  /** The tabs in the order of the tab bar. */
  readonly tabs = $derived.by(() => {
    const tabs = this.state?.tabs ?? [];
    const dropped = this.#dropped;
    if (dropped === null) return tabs;
    const from = tabs.findIndex((tab) => tab.id === dropped.tab);
    return from < 0 ? tabs : moved(tabs, from, dropped.index);
  });

  constructor(host: Host, store: DraftStore) {
    this.host = host;
    this.#store = store;
    this.engines = new Engines(host, this.failures);
    this.images = new ImageFiles(host, this.failures, this.announcer, () => this.containersOpen);
  }

  open(): void {
    this.host
      .watchWindow((frame) => {
        const { kind: _, ...state } = frame;
        this.#receive(state);
      })
      .catch((reason: unknown) => this.failures.add(reason, "reach Gemra's core"));
  }

  composer(tab: string): Composer {
    let composer = this.#composers.get(tab);
    if (composer === undefined) {
      composer = new Composer(tab, this.host, this.#store);
      this.#composers.set(tab, composer);
    }
    return composer;
  }

  /** `passing`: along the tab bar by its keys, which shall go on to work there. */
  activate(tab: string | null, passing = false): void {
    this.#passing = passing ? tab : null;
    void this.failures.watch(this.host.activateTab(tab), "switch tabs");
  }

  /** The nth tab, from 1; 9 is the last, however many there are. */
  activateNth(number: number): void {
    const tab = number === 9 ? this.tabs.at(-1) : this.tabs[number - 1];
    if (tab) this.activate(tab.id);
  }

  /** The tab beside the active one, going round at the ends. */
  activateBeside(step: 1 | -1): void {
    const at = this.tabs.findIndex((tab) => tab.id === this.state?.active);
    const tab = this.tabs.at((at + step) % this.tabs.length);
    if (at >= 0 && tab) this.activate(tab.id);
  }

  /** Whether a tab's page that has just come may take the focus. */
  takesFocus(tab: string): boolean {
    return this.#passing !== tab && this.renaming === null && !this.settingsOpen;
  }

  close(tab: string): void {
    void this.failures.watch(this.host.closeTab(tab), "close the tab");
  }

  rename(tab: string, title: string): void {
    this.renaming = null;
    const trimmed = title.trim();
    const current = this.state?.tabs.find((summary) => summary.id === tab)?.title;
    if (trimmed === "" || trimmed === current) return;
    void this.failures.watch(this.host.renameTab(tab, trimmed), "rename the tab");
  }

  /** Moves a tab to a place in the bar; a place outside it is none. */
  move(tab: string, index: number): void {
    const from = this.tabs.findIndex((summary) => summary.id === tab);
    if (from < 0 || index < 0 || index >= this.tabs.length || index === from) return;
    const dropped = { tab, index };
    this.#dropped = dropped;
    this.#agreed = false;
    void this.failures.watch(this.host.moveTab(tab, index), "move the tab").then((done) => {
      if (this.#dropped !== dropped) return;
      if (done) this.#agreed = true;
      else this.#dropped = null;
    });
  }

  #receive(state: WindowState): void {
    if (this.#agreed || this.#isWhereDropped(state)) this.#dropped = null;
    const words = newQuestions(this.state, state);
    if (words !== null) this.announcer.say(words);
    this.state = state;
    const known = new Set(state.tabs.map((tab) => tab.id));
    for (const [tab, composer] of this.#composers) {
      if (known.has(tab)) continue;
      composer.forget();
      this.#composers.delete(tab);
    }
    if (this.page?.id === state.active) return;
    this.page?.close();
    this.page =
      state.active === null ? null : new TabPage(state.active, this.host, this.failures, this.announcer);
    this.page?.open();
  }

  // News of another kind may come before core has moved the tab; the drop stays in sight until then.
  #isWhereDropped(state: WindowState): boolean {
    return this.#dropped !== null && state.tabs[this.#dropped.index]?.id === this.#dropped.tab;
  }
}
