// One tab of the fake host: its entries, its scripted replies, and a container that goes through its states.
import type { Ask } from "../wire/Ask";
import type { Body } from "../wire/Body";
import type { Catalog } from "../wire/Catalog";
import type { Change } from "../wire/Change";
import type { Choice } from "../wire/Choice";
import type { Container } from "../wire/Container";
import type { Entry } from "../wire/Entry";
import type { SyncConflict } from "../wire/SyncConflict";
import type { TabFrame } from "../wire/TabFrame";
import type { TabSummary } from "../wire/TabSummary";
import type { TabView } from "../wire/TabView";
import type { TrustDecision } from "../wire/TrustDecision";
import { CATALOG, FACTS, off } from "./parts";
import { BUILD, REPLY } from "./texts";

const DELTA_MS = 40;
const DELTA_CHARS = 12;
const STEP_MS = 500;
const SNAPSHOT_ENTRIES = 100;

export class FakeTab {
  view: TabView;
  entries: Entry[] = [];
  catalog: Catalog = CATALOG;
  log: string[] = [];
  /** What the page has acknowledged, newest last. */
  readonly acknowledged: number[] = [];
  /** As after a crash in a turn. */
  interrupted = false;
  onSummary: () => void = () => {};

  readonly #watchers = new Map<number, (frame: TabFrame) => void>();
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  #nextWatch = 1;
  #nextQueued = 1;
  #seq = 0;

  constructor(view: TabView) {
    this.view = view;
  }

  static fresh(id: string, workspace: string): FakeTab {
    return new FakeTab({
      id,
      title: workspace.split("/").at(-1) ?? workspace,
      workspace,
      agent: { state: "ready", version: "2.1.197" },
      turn: { state: "idle" },
      queue: [],
      container: off(),
      guard: null,
      trust: null,
      model: "claude-sonnet-4-5",
      mode: "default",
      modes: ["default", "acceptEdits", "plan"],
      usage: { contextTokens: 0, contextWindow: 200_000, inputTokens: 0, outputTokens: 0, cost: 0, turns: 0 },
    });
  }

  summary(): TabSummary {
    return {
      id: this.view.id,
      title: this.view.title,
      workspace: this.view.workspace,
      busy: this.view.turn.state !== "idle",
      interrupted: this.interrupted,
      asking: this.entries.some(({ body }) => body.kind === "ask" && body.answer === null),
      container: this.view.container.state,
    };
  }

  watch(onFrame: (frame: TabFrame) => void): number {
    const watch = this.#nextWatch++;
    this.#watchers.set(watch, onFrame);
    const newest = this.entries.slice(-SNAPSHOT_ENTRIES);
    onFrame({
      kind: "snapshot",
      seq: ++this.#seq,
      tab: this.view,
      catalog: this.catalog,
      entries: newest,
      earlier: this.entries.length - newest.length,
      log: this.log,
    });
    return watch;
  }

  unwatch(watch: number): void {
    this.#watchers.delete(watch);
  }

  acknowledge(watch: number, seq: number): void {
    if (this.#watchers.has(watch)) this.acknowledged.push(seq);
  }

  earlier(before: number, count: number): Entry[] {
    return this.entries.filter((entry) => entry.id < before).slice(-count);
  }

  /** Stops whatever is on its way. */
  end(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#watchers.clear();
  }

  add(body: Body, streaming = false): Entry {
    const entry = { id: (this.entries.at(-1)?.id ?? 0) + 1, at: Date.now(), streaming, body };
    this.entries.push(entry);
    this.#tell([{ kind: "append", entry }]);
    return entry;
  }

  replace(entry: Entry): void {
    this.entries = this.entries.map((known) => (known.id === entry.id ? entry : known));
    this.#tell([{ kind: "replace", entry }]);
  }

  show(change: Partial<TabView>): void {
    this.view = { ...this.view, ...change };
    this.#tell([{ kind: "tab", tab: this.view }]);
  }

  rename(title: string): void {
    this.show({ title });
  }

  send(text: string): void {
    if (this.view.turn.state !== "idle" || this.view.agent.state !== "ready") {
      this.show({ queue: [...this.view.queue, { id: `queued-${this.#nextQueued++}`, text }] });
      return;
    }
    this.add({ kind: "user", text, interrupted: false });
    this.show({ turn: { state: "running", since: Date.now(), retry: null } });
    this.#after(3 * DELTA_MS, () => this.stream(REPLY));
  }

  /** Streams a text block, a few characters at a time, and ends the turn. */
  stream(text: string): void {
    const entry = this.add({ kind: "assistant", text: "" }, true);
    const next = (from: number): void => {
      const delta = text.slice(from, from + DELTA_CHARS);
      if (delta === "") {
        this.replace({ ...this.#current(entry), streaming: false });
        this.#finish();
        return;
      }
      const before = this.#current(entry);
      const said = before.body.kind === "assistant" ? before.body.text : "";
      this.entries = this.entries.map((known) =>
        known.id === entry.id ? { ...known, body: { kind: "assistant", text: said + delta } } : known,
      );
      this.#tell([{ kind: "text", id: entry.id, text: delta }], Date.now());
      this.#after(DELTA_MS, () => next(from + DELTA_CHARS));
    };
    next(0);
  }

  unqueue(id: string): string | null {
    const queued = this.view.queue.find((waiting) => waiting.id === id);
    if (queued === undefined) return null;
    this.show({ queue: this.view.queue.filter((waiting) => waiting.id !== id) });
    return queued.text;
  }

  stop(): void {
    if (this.view.turn.state !== "running") return;
    this.#cancelTimers();
    this.show({ turn: { state: "interrupting", since: Date.now() } });
    this.#after(2 * DELTA_MS, () => {
      for (const entry of this.entries.filter(({ streaming }) => streaming)) {
        this.replace({ ...entry, streaming: false });
      }
      const sent = this.entries.findLast(({ body }) => body.kind === "user");
      if (sent?.body.kind === "user") this.replace({ ...sent, body: { ...sent.body, interrupted: true } });
      this.add({ kind: "notice", topic: "interrupted", text: "Interrupted.", detail: null });
      this.#finish();
    });
  }

  answer(ask: string, choice: Choice): void {
    const entry = this.entries.find(({ body }) => body.kind === "ask" && body.ask === ask);
    if (entry?.body.kind !== "ask") return;
    const asked: Ask = entry.body;
    const answer = {
      allow: { kind: "allowed" },
      allowAlways: { kind: "allowedAlways" },
      deny: { kind: "denied", reason: choice.kind === "deny" ? choice.reason : "" },
      answers: { kind: "replied", replies: choice.kind === "answers" ? choice.replies : [] },
    } as const;
    this.replace({ ...entry, body: { kind: "ask", ...asked, answer: answer[choice.kind] } });
    this.onSummary();
    this.#after(3 * DELTA_MS, () => this.stream(choice.kind === "deny" ? "All right, I leave it." : REPLY));
  }

  retry(): void {
    this.show({ turn: { state: "running", since: Date.now(), retry: null } });
    this.#after(3 * DELTA_MS, () => this.stream(REPLY));
  }

  install(): void {
    const lines = ["npm http fetch @anthropic-ai/claude-code", "added 1 package in 9s"];
    this.show({ agent: { state: "installing", line: "" } });
    for (const [at, line] of lines.entries()) {
      this.#after((at + 1) * STEP_MS, () => this.show({ agent: { state: "installing", line } }));
    }
    this.#after(3 * STEP_MS, () => this.show({ agent: { state: "ready", version: "2.1.197" } }));
  }

  toggle(): void {
    switch (this.view.container.state) {
      case "off":
      case "error":
        this.#build();
        return;
      case "building":
      case "starting":
      case "running":
        this.#cancelTimers();
        this.contain({ state: "stopping", phase: "Removing the container", step: null, took: null });
        this.#after(2 * STEP_MS, () => this.useHost());
        return;
      case "stopping":
    }
  }

  refresh(): void {
    if (this.view.container.state !== "running") return;
    const text = "The container is made anew, because you asked for it.";
    this.add({ kind: "notice", topic: "container", text, detail: null });
    this.contain({ state: "starting", phase: "Starting the container" });
    this.#after(2 * STEP_MS, () => this.contain({ state: "running", phase: null }));
  }

  answerGuard(keep: boolean, path: string | null): void {
    const left = path === null ? [] : (this.view.guard ?? []).filter((change) => change.path !== path);
    if (left.length > 0) {
      this.show({ guard: left });
      return;
    }
    const text = keep
      ? "You kept what the container has changed in files that run here."
      : "What the container has changed in files that run here was brought back.";
    this.add({ kind: "notice", topic: "host", text, detail: null });
    this.show({ guard: null });
    this.useHost();
  }

  answerTrust(decision: TrustDecision): void {
    this.show({ trust: null });
    if (decision === "refuse") this.useHost();
    else this.#build();
  }

  answerConflict(root: string, path: string, theirs: boolean): void {
    const isAnother = (one: SyncConflict): boolean => one.root !== root || one.path !== path;
    const conflicts = this.view.container.conflicts.filter(isAnother);
    this.show({ container: { ...this.view.container, conflicts } });
    const whose = theirs ? "the container's" : "yours";
    this.add({ kind: "notice", topic: "info", text: `${path} is ${whose} now.`, detail: null });
  }

  useHost(): void {
    this.contain({ ...off(), hasLog: this.log.length > 0 });
    this.add({ kind: "notice", topic: "host", text: "The agent runs on this machine now.", detail: null });
  }

  /** The image is made anew; what had changed is in it then. */
  rebuild(): void {
    if (this.view.container.state === "running") this.contain({ imageChanged: false });
    else this.toggle();
  }

  contain(change: Partial<Container>): void {
    const modes: TabView["modes"] = ["default", "acceptEdits", "plan"];
    if (change.state === "running") modes.push("bypassPermissions");
    this.show({ modes, container: { ...this.view.container, since: Date.now(), ...change } });
    this.onSummary();
  }

  #build(): void {
    const total = BUILD.length;
    this.log = [];
    this.#tell([{ kind: "log", reset: true, lines: [] }]);
    this.contain({
      ...off(),
      state: "building",
      hostAgent: true,
      phase: "Building the image",
      facts: FACTS.slice(0, 2),
    });
    for (const [at, line] of BUILD.entries()) {
      this.#after(at * STEP_MS, () => {
        const lines = [`Step ${at + 1}/${total} : ${line}`, ` ---> ${(0xa1b2c3 + at * 7919).toString(16)}`];
        this.log.push(...lines);
        this.#tell([{ kind: "log", reset: false, lines }]);
        const step = { index: at + 1, total, line };
        this.show({ container: { ...this.view.container, step, hasLog: true } });
      });
    }
    this.#after(total * STEP_MS, () =>
      this.contain({ state: "starting", phase: "Waiting for the agent to answer", step: null, facts: FACTS }),
    );
    this.#after((total + 2) * STEP_MS, () => {
      this.contain({ state: "running", phase: null, took: (total + 2) * STEP_MS });
      this.add({
        kind: "notice",
        topic: "container",
        text: "The agent runs in the container now.",
        detail: null,
      });
    });
  }

  #finish(): void {
    const usage = { ...this.view.usage, turns: this.view.usage.turns + 1 };
    const [next, ...queue] = this.view.queue;
    this.show({ turn: { state: "idle" }, usage, queue });
    if (next) this.send(next.text);
  }

  #current(entry: Entry): Entry {
    return this.entries.find(({ id }) => id === entry.id) ?? entry;
  }

  #tell(changes: Change[], arrived: number | null = null): void {
    const seq = ++this.#seq;
    for (const watcher of this.#watchers.values()) watcher({ kind: "changes", seq, changes, arrived });
    if (changes.some(({ kind }) => kind === "tab" || kind === "append")) this.onSummary();
  }

  #after(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms);
    this.#timers.add(timer);
  }

  #cancelTimers(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }
}
