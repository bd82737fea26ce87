// How a question of the agent was answered, in words.
import type { Ask } from "../host/wire/Ask";

/** Empty while it waits. */
export function answerWords(ask: Ask): string {
  switch (ask.answer?.kind) {
    case "allowed":
      return "Allowed";
    case "allowedAlways":
      return "Always allowed";
    case "denied":
      return withReason("Denied", ask.answer.reason);
    case "lapsed":
      return withReason("Not answered", ask.answer.reason);
    default:
      return "";
  }
}

function withReason(word: string, reason: string): string {
  return reason === "" ? word : `${word}: ${reason}`;
}
