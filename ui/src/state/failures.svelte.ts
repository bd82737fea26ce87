// What went wrong with something the user asked for and that has no place of its own on the page. Shown until
// dismissed: nothing fails silently.
import type { Failure } from "../host/wire/Failure";
import { asFailure } from "./failure";

const KEPT = 3;

export interface ShownFailure {
  readonly id: number;
  readonly failure: Failure;
}

export class Failures {
  list = $state.raw<readonly ShownFailure[]>([]);
  #next = 0;

  /** `doing` completes "Could not …", for a rejection that is no failure of core's. */
  add(reason: unknown, doing: string): void {
    const failure = asFailure(reason, doing);
    const others = this.list.filter((shown) => shown.failure.title !== failure.title);
    this.list = [...others, { id: this.#next++, failure }].slice(-KEPT);
  }

  dismiss(id: number): void {
    this.list = this.list.filter((shown) => shown.id !== id);
  }

  /** Waits for `asked` and shows why it was refused. True where it was done. */
  async watch(asked: Promise<unknown>, doing: string): Promise<boolean> {
    try {
      await asked;
      return true;
    } catch (reason) {
      this.add(reason, doing);
      return false;
    }
  }
}
