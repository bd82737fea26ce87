// How a question of the agent was answered, in words.
import type { Ask } from "../host/wire/Ask";
import type { Body } from "../host/wire/Body";

/** Empty while it waits. `after` is the entry below: why nobody answered is often said there already. */
export function answerWords(ask: Ask, after?: Body): string {
  switch (ask.answer?.kind) {
    case "allowed":
      return "Allowed";
    case "allowedAlways":
      return "Always allowed";
    case "replied":
      return "Answered";
    case "denied":
      return withReason("Denied", ask.answer.reason);
    case "lapsed":
      return withReason("Not answered", says(after, ask.answer.reason) ? "" : ask.answer.reason);
    default:
      return "";
  }
}

function says(after: Body | undefined, reason: string): boolean {
  return after?.kind === "notice" && after.topic === "interrupted" && after.text.includes(reason);
}

function withReason(word: string, reason: string): string {
  return reason === "" ? word : `${word}: ${reason}`;
}
