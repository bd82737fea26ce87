// Text that goes somewhere in the order in which it came. Commands may overtake each other on their way, so that one is
// under way at a time, and what has come meanwhile goes along with the next. It does not know where the text goes.
export class Outgoing {
  readonly #send: (text: string) => Promise<void>;
  #waiting = "";
  #busy = false;

  constructor(send: (text: string) => Promise<void>) {
    this.#send = send;
  }

  /** Resolves when nothing waits any more, or at once where somebody sends already. Fails as `send` does. */
  async write(text: string): Promise<void> {
    this.#waiting += text;
    if (this.#busy) return;
    this.#busy = true;
    try {
      while (this.#waiting !== "") {
        const next = this.#waiting;
        this.#waiting = "";
        await this.#send(next);
      }
    } finally {
      this.#busy = false;
    }
  }
}
