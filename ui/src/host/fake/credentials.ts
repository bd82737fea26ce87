// The fake host's keys and its login inside. It keeps what it is given, and takes one code alone for right.
import type { Account } from "../wire/Account";
import type { Credentials } from "../wire/Credentials";
import type { Failure } from "../wire/Failure";
import type { Kept } from "../wire/Kept";
import type { LoginStep } from "../wire/LoginStep";

const NOBODY: Account = { loggedIn: false, email: null, plan: null };
export const RIGHT_CODE = "right-code";

export class FakeCredentials {
  readonly values = new Map<string, string>();
  account: Account = NOBODY;
  /** What the listing fails with, while it does. */
  failure: Failure | null = null;
  /** Where what is set is kept. */
  place: Kept = "keyring";

  #onStep: ((step: LoginStep) => void) | null = null;

  /** True while a login waits for its code. */
  get waits(): boolean {
    return this.#onStep !== null;
  }

  list(): Credentials {
    if (this.failure) throw this.failure;
    const names = [
      "ANTHROPIC_API_KEY",
      "ANTHROPIC_BASE_URL",
      "ANTHROPIC_AUTH_TOKEN",
      "CLAUDE_CODE_OAUTH_TOKEN",
      "GITHUB_TOKEN",
    ];
    return {
      known: names.map((variable) => ({
        variable,
        kept: this.values.has(variable) ? this.place : null,
        inherited: variable === "ANTHROPIC_API_KEY",
        shown: variable === "ANTHROPIC_BASE_URL" ? (this.values.get(variable) ?? null) : null,
      })),
      keepsIn: this.place,
      file: "/home/ada/.config/gemra/credentials.json",
      reason: this.place === "file" ? "there is no keyring here" : null,
    };
  }

  set(variable: string, value: string): Kept {
    if (/\s/.test(value)) {
      throw failed(
        "credentials-failed",
        "The keys could not be used",
        `${variable} holds a blank.`,
        "Correct it.",
      );
    }
    this.values.set(variable, value);
    return this.place;
  }

  forget(variable: string): void {
    this.values.delete(variable);
  }

  logIn(onStep: (step: LoginStep) => void): void {
    this.#onStep = onStep;
    onStep({ kind: "address", address: "https://claude.com/cai/oauth/authorize?code=true&state=fake" });
  }

  code(code: string): void {
    const onStep = this.#onStep;
    this.#onStep = null;
    if (code !== RIGHT_CODE) {
      const failure = failed(
        "login-failed",
        "The login inside did not work",
        "The code is wrong.",
        "Try again.",
      );
      onStep?.({ kind: "failed", failure });
      return;
    }
    this.account = { loggedIn: true, email: "ada@example.org", plan: "max" };
    onStep?.({ kind: "done", account: this.account });
  }

  giveUp(): void {
    this.#onStep = null;
  }

  logOut(): Account {
    this.account = NOBODY;
    return this.account;
  }
}

function failed(code: string, title: string, cause: string, action: string): Failure {
  return { code, title, cause, action, detail: null };
}
