// Turns whatever a command rejected with into a `Failure` that can be shown. It knows no classes of its own but
// one: what broke the rule that commands reject with failures.
import type { Failure } from "../host/wire/Failure";

export function asFailure(reason: unknown, doing: string): Failure {
  if (isFailure(reason)) return reason;
  return {
    code: "unexpected",
    title: `Could not ${doing}`,
    cause: reason instanceof Error ? reason.message : String(reason),
    action: "Try again. If it happens again, restart Gemra.",
    detail: reason instanceof Error ? (reason.stack ?? null) : null,
  };
}

/** A failure as plain text, for the clipboard: with its class, by which the README and others can be asked. */
export function failureText(failure: Failure): string {
  const parts = [`${failure.title} (${failure.code})`, failure.cause, failure.action];
  if (failure.detail) parts.push("", failure.detail);
  return parts.filter((part, index) => part !== "" || index > 2).join("\n");
}

function isFailure(value: unknown): value is Failure {
  return (
    typeof value === "object" &&
    value !== null &&
    "code" in value &&
    "title" in value &&
    "cause" in value &&
    "action" in value
  );
}
