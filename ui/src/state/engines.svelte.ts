// The engines there are to choose from. Looking for them asks each, machines that are far away too, so that it is done when
// somebody wants to choose and not before, once for all who do, and what was found is taken for true for a minute.
import type { Host } from "../host/types";
import type { Engine } from "../host/wire/Engine";
import type { Failures } from "./failures.svelte";

/** How long what was found is taken for true. */
export const FRESH_MS = 60_000;

export class Engines {
  /** What was found last; null before anybody has looked. */
  found = $state.raw<readonly Engine[] | null>(null);
  looking = $state(false);

  readonly #host: Host;
  readonly #failures: Failures;
  #at = 0;
  #asked: Promise<void> | null = null;

  constructor(host: Host, failures: Failures) {
    this.#host = host;
    this.#failures = failures;
  }

  /** True where what was found is as good as a new look. */
  isFresh(): boolean {
    return this.found !== null && Date.now() - this.#at < FRESH_MS;
  }

  /** Looks, unless that was done just now; who comes while that is being done waits for the same. */
  async look(): Promise<void> {
    if (this.isFresh()) return;
    this.#asked ??= this.#ask();
    await this.#asked;
  }

  async #ask(): Promise<void> {
    this.looking = true;
    try {
      this.found = await this.#host.listEngines();
      this.#at = Date.now();
    } catch (reason) {
      this.#failures.add(reason, "look for container engines");
    } finally {
      this.looking = false;
      this.#asked = null;
    }
  }
}
