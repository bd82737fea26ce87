// Images on their way to a file and back: one at a time, which goes on while nobody looks. What comes of it is kept for the
// list that shows it; where that is closed, it is told in the window. It knows nothing of lists and forms.
import type { Host } from "../host/types";
import type { Failure } from "../host/wire/Failure";
import type { ImageProgress } from "../host/wire/ImageProgress";
import type { Announcer } from "./announcer.svelte";
import { asFailure } from "./failure";
import type { Failures } from "./failures.svelte";
import { requestId } from "./request";

export interface Carried {
  request: string;
  kind: "save" | "load";
  /** Such as `Saving gemra-claude:5f0c as /home/ada/image.tar`. */
  words: string;
  progress: ImageProgress | null;
  /** The user has given it up, and it is about to end. */
  ending: boolean;
}

export class ImageFiles {
  /** What is under way. */
  carried = $state.raw<Carried | null>(null);
  /** What came of the last one, in words. */
  outcome = $state.raw<string | null>(null);
  failure = $state.raw<Failure | null>(null);

  readonly #host: Host;
  readonly #failures: Failures;
  readonly #announcer: Announcer;
  readonly #isShown: () => boolean;

  constructor(host: Host, failures: Failures, announcer: Announcer, isShown: () => boolean) {
    this.#host = host;
    this.#failures = failures;
    this.#announcer = announcer;
    this.#isShown = isShown;
  }

  /** True when it is there. `replace`: also where the file is there already, which the user has said. */
  save(name: string, file: string, replace: boolean): Promise<boolean> {
    return this.#carry("save", `Saving ${name} as ${file}`, "save the image", async (request, tell) => {
      const saved = await this.#host.saveImage(request, name, file, replace, tell);
      return saved ? `Saved ${name} as ${file}.` : null;
    });
  }

  /** True when the engine has it. */
  load(file: string): Promise<boolean> {
    return this.#carry("load", `Loading ${file}`, "load the image", async (request, tell) => {
      const loaded = await this.#host.loadImage(request, file, tell);
      if (loaded === null) return null;
      const end = loaded.ours ? "" : " Gemra has not built it: name it in the settings to use it.";
      return `Loaded ${loaded.names.join(", ")}.${end}`;
    });
  }

  /** Gives up what is under way. */
  cancel(): void {
    const carried = this.carried;
    if (carried === null || carried.ending) return;
    this.carried = { ...carried, ending: true };
    void this.#failures.watch(this.#host.cancelImage(carried.request), "give it up");
  }

  /** Whoever begins something else has read what came of the last one. */
  forget(): void {
    this.outcome = null;
    this.failure = null;
  }

  async #carry(
    kind: Carried["kind"],
    words: string,
    what: string,
    work: (request: string, tell: (progress: ImageProgress) => void) => Promise<string | null>,
  ): Promise<boolean> {
    if (this.carried !== null) return false;
    this.forget();
    const request = requestId();
    this.carried = { request, kind, words, progress: null, ending: false };
    const tell = (progress: ImageProgress): void => {
      // What was on its way when it ended says nothing any more.
      if (this.carried?.request === request) this.carried = { ...this.carried, progress };
    };
    try {
      const outcome = await work(request, tell);
      this.outcome = outcome ?? (kind === "save" ? "Not saved; nothing is left of it." : "Not loaded.");
      if (!this.#isShown()) this.#announcer.say(this.outcome);
      return outcome !== null;
    } catch (reason) {
      if (this.#isShown()) this.failure = asFailure(reason, what);
      else this.#failures.add(reason, what);
      return false;
    } finally {
      this.carried = null;
    }
  }
}
