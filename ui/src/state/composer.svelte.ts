// What the user is writing in one tab. It outlives the tab's page, so that a draft is there again after a
// switch, and lets go of a text only when core has it.
import type { Host } from "../host/types";
import type { Failure } from "../host/wire/Failure";
import type { SlashCommand } from "../host/wire/SlashCommand";
import { asFailure } from "./failure";
import { requestId } from "./request";
import type { Draft } from "../text/replies";

const OFFERED = 50;

/** Where drafts survive a reload of the page. */
export type DraftStore = Pick<Storage, "getItem" | "setItem" | "removeItem">;

export class Composer {
  /** Why the last message was not taken. */
  failure = $state.raw<Failure | null>(null);
  sending = $state(false);
  /** What the user has written next to questions of the agent, by question. */
  readonly reasons = new Map<string, string>();
  /** What the user has chosen there, by question. */
  readonly replies = new Map<string, Draft[]>();

  readonly #tab: string;
  readonly #host: Host;
  readonly #store: DraftStore;
  #text = $state("");
  // Which of the sent messages the composer shows; -1 for the user's own draft.
  #recalled = -1;

  constructor(tab: string, host: Host, store: DraftStore) {
    this.#tab = tab;
    this.#host = host;
    this.#store = store;
    this.#text = store.getItem(this.#key) ?? "";
  }

  get text(): string {
    return this.#text;
  }

  set text(text: string) {
    this.#recalled = -1;
    this.#put(text);
  }

  get canSend(): boolean {
    return this.#text.trim() !== "" && !this.sending;
  }

  /** Sends the text, and clears it once core has taken it. On a refusal it stays. True where it was taken. */
  async send(): Promise<boolean> {
    if (!this.canSend) return false;
    const sent = this.#text;
    this.sending = true;
    try {
      await this.#host.send(requestId(), this.#tab, sent.trim());
    } catch (reason) {
      this.failure = asFailure(reason, "send the message");
      return false;
    } finally {
      this.sending = false;
    }
    this.failure = null;
    // What was typed while the message was on its way stays.
    if (this.#text.startsWith(sent)) this.text = this.#text.slice(sent.length);
    return true;
  }

  /** Puts a message that was taken back before what is there. */
  restore(text: string): void {
    this.text = this.#text.trim() === "" ? text : `${text}\n\n${this.#text}`;
  }

  /** Shows an older (1) or newer (-1) message of `sent`, newest first. False where the key is not for this. */
  recall(direction: 1 | -1, sent: readonly string[]): boolean {
    const showsRecalled = this.#recalled >= 0 && this.#text === sent[this.#recalled];
    if (this.#text !== "" && !showsRecalled) return false;
    const next = (showsRecalled ? this.#recalled : -1) + direction;
    if (next < -1 || next >= sent.length) return false;
    this.#put(sent[next] ?? "");
    this.#recalled = next;
    return true;
  }

  /** The slash commands that complete what is written; none unless it is the beginning of one. */
  offered(commands: readonly SlashCommand[]): readonly SlashCommand[] {
    const match = /^\/(\S*)$/.exec(this.#text);
    if (match === null) return [];
    const typed = (match[1] ?? "").toLowerCase();
    const ranked = commands
      .map((command) => ({ command, at: command.name.toLowerCase().indexOf(typed) }))
      .filter(({ at }) => at >= 0);
    const first = ranked.filter(({ at }) => at === 0);
    const then = ranked.filter(({ at }) => at > 0);
    return [...first, ...then].slice(0, OFFERED).map(({ command }) => command);
  }

  /** Forgets the draft for good: the tab was closed. */
  forget(): void {
    this.#store.removeItem(this.#key);
  }

  get #key(): string {
    return `draft:${this.#tab}`;
  }

  #put(text: string): void {
    this.#text = text;
    if (text === "") this.#store.removeItem(this.#key);
    else this.#store.setItem(this.#key, text);
  }
}
