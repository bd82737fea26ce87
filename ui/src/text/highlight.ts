// The page's side of colouring code: asks the worker once for each text and keeps what it said. The seam behind
// which another highlighter would stand.
import HighlightWorker from "./highlight.worker?worker";
import { sanitize } from "./sanitize";

export interface HighlightRequest {
  id: number;
  language: string;
  code: string;
}

export interface HighlightAnswer {
  id: number;
  /** None where the language is unknown. */
  html: string | null;
}

/** Longer code stays uncoloured: it takes seconds on a slow machine, and nobody reads it here. */
export const LONGEST = 100_000;
const KEPT = 200;

export class Highlighter {
  readonly #start: () => Worker;
  #worker: Worker | null = null;
  #next = 0;
  readonly #waiting = new Map<number, (html: string | null) => void>();
  // The least recently asked for is first.
  readonly #kept = new Map<string, Promise<string | null>>();

  constructor(start: () => Worker) {
    this.#start = start;
  }

  /** Coloured HTML of a finished piece of code; null where it stays as it is. */
  highlight(code: string, language: string): Promise<string | null> {
    if (language === "" || code.length > LONGEST) return Promise.resolve(null);
    const key = `${language}\n${code}`;
    const known = this.#kept.get(key) ?? this.#ask(code, language);
    this.#kept.delete(key);
    this.#kept.set(key, known);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > KEPT && oldest !== undefined) this.#kept.delete(oldest);
    return known;
  }

  /** Starts the worker ahead of time: a fence has been opened, and it will be closed. */
  warm(): void {
    this.#worker ??= this.#listen();
  }

  #ask(code: string, language: string): Promise<string | null> {
    this.#worker ??= this.#listen();
    const id = this.#next++;
    const answer = new Promise<string | null>((resolve) => this.#waiting.set(id, resolve));
    const request: HighlightRequest = { id, language, code };
    this.#worker.postMessage(request);
    return answer;
  }

  #listen(): Worker {
    const worker = this.#start();
    worker.addEventListener("message", (event: MessageEvent<HighlightAnswer>) => {
      const { id, html } = event.data;
      this.#waiting.get(id)?.(html === null ? null : sanitize(html));
      this.#waiting.delete(id);
    });
    worker.addEventListener("error", (event) => {
      // Code without colours is still code: it is worth a line in the log, and no more.
      console.error("The highlighter failed", event.message);
      for (const resolve of this.#waiting.values()) resolve(null);
      this.#waiting.clear();
    });
    return worker;
  }
}

export const highlighter = new Highlighter(() => new HighlightWorker());
