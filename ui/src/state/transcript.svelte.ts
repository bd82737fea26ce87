// The entries of one tab, as far as the page has them, and which of them are in the document. It applies what
// core says in order and decides nothing; a change that does not fit is refused, and the tab is watched anew.
import type { Ask } from "../host/wire/Ask";
import type { Body } from "../host/wire/Body";
import type { Change } from "../host/wire/Change";
import type { Entry } from "../host/wire/Entry";

/** How many entries are in the document while the reader is at the bottom. */
export const MOUNTED = 60;
/** How many more may gather before the oldest leave the document, so that not every entry moves the window. */
export const SLACK = 20;
/** How many are added at once when the reader scrolls up. */
export const STEP = 30;

export type EntryChange = Extract<Change, { kind: "append" | "text" | "replace" }>;

/** One entry, whose text grows in place so that only its own component renders again. */
export class EntryState {
  readonly id: number;
  readonly at: number;
  streaming = $state(false);
  body = $state.raw<Body>({ kind: "assistant", text: "" });

  constructor(entry: Entry) {
    this.id = entry.id;
    this.at = entry.at;
    this.replace(entry);
  }

  replace(entry: Entry): void {
    this.streaming = entry.streaming;
    this.body = entry.body;
  }

  /** False where this kind of entry has no text that grows. */
  append(text: string): boolean {
    const body = this.body;
    switch (body.kind) {
      case "assistant":
      case "thinking":
        this.body = { ...body, text: body.text + text };
        return true;
      case "tool":
        this.body = { ...body, input: body.input + text };
        return true;
      default:
        return false;
    }
  }
}

export class Transcript {
  entries = $state.raw<readonly EntryState[]>([]);
  /** How many older entries core has that the page has not. */
  earlier = $state(0);
  #first = $state(0);
  #byId = new Map<number, EntryState>();

  /** The entries in the document, oldest first. */
  readonly mounted = $derived(this.entries.slice(this.#first));
  /** True where scrolling up can show more. */
  readonly hasOlder = $derived(this.#first > 0 || this.earlier > 0);

  reset(entries: readonly Entry[], earlier: number): void {
    const states = entries.map((entry) => new EntryState(entry));
    this.#byId = new Map(states.map((state) => [state.id, state]));
    this.entries = states;
    this.earlier = earlier;
    this.#first = Math.max(0, states.length - MOUNTED);
  }

  /** Applies changes in order. False where one names an entry that was never seen: the page has missed something. */
  apply(changes: readonly EntryChange[]): boolean {
    const added: EntryState[] = [];
    let fits = true;
    for (const change of changes) {
      fits = this.#applyOne(change, added) && fits;
    }
    if (added.length > 0) this.entries = [...this.entries, ...added];
    return fits;
  }

  /** Lets the oldest entries leave the document. Only for a reader at the bottom, who sees no difference. */
  trim(): void {
    if (this.entries.length - this.#first > MOUNTED + SLACK) {
      this.#first = this.entries.length - MOUNTED;
    }
  }

  /** Brings entries that the page already has back into the document. False where there are none. */
  revealKept(): boolean {
    if (this.#first === 0) return false;
    this.#first = Math.max(0, this.#first - STEP);
    return true;
  }

  /** The oldest entry the page has; none in an empty transcript. */
  oldest(): number | null {
    return this.entries[0]?.id ?? null;
  }

  /** Puts entries before the oldest. Those that are there already are left as they are. */
  prepend(entries: readonly Entry[]): void {
    const fresh = entries.filter((entry) => !this.#byId.has(entry.id)).map((entry) => new EntryState(entry));
    for (const state of fresh) this.#byId.set(state.id, state);
    this.entries = [...fresh, ...this.entries];
    // An empty answer means that there is nothing older, whatever the snapshot counted.
    this.earlier = fresh.length === 0 ? 0 : Math.max(0, this.earlier - fresh.length);
  }

  /** What the user sent, newest first: what Up recalls. */
  sent(): string[] {
    const texts: string[] = [];
    for (const { body } of this.entries.toReversed()) {
      if (body.kind === "user" && texts.at(-1) !== body.text) texts.push(body.text);
    }
    return texts;
  }

  /** The oldest question that waits for an answer. */
  waiting(): Ask | null {
    for (const { body } of this.entries) {
      if (body.kind === "ask" && body.answer === null) return body;
    }
    return null;
  }

  #applyOne(change: EntryChange, added: EntryState[]): boolean {
    if (change.kind === "append") {
      const known = this.#byId.get(change.entry.id);
      if (known) return false;
      const state = new EntryState(change.entry);
      this.#byId.set(state.id, state);
      added.push(state);
      return true;
    }
    const id = change.kind === "text" ? change.id : change.entry.id;
    const state = this.#byId.get(id);
    if (state === undefined) return this.#isOlder(id);
    if (change.kind === "text") return state.append(change.text);
    state.replace(change.entry);
    return true;
  }

  // An entry that has not been fetched yet will come as it is then: nothing is missed.
  #isOlder(id: number): boolean {
    const oldest = this.oldest();
    return this.earlier > 0 && oldest !== null && id < oldest;
  }
}
