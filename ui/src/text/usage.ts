// How full the agent's context is.
import type { Usage } from "../host/wire/Usage";

/** From 0 to 1; none where the agent has not said how much fits. */
export function contextShare(usage: Usage): number | null {
  if (usage.contextWindow === 0) return null;
  return Math.min(1, usage.contextTokens / usage.contextWindow);
}
