// Which change of a tab is worth saying aloud, and in what words.
import type { TabView } from "../host/wire/TabView";

/** None where nothing changed that a listener would want to hear. */
export function announcement(before: TabView, after: TabView): string | null {
  return container(before, after) ?? agent(before, after) ?? turn(before, after);
}

function container(before: TabView, after: TabView): string | null {
  if (before.container.state === after.container.state) return null;
  switch (after.container.state) {
    case "off":
      return "Container off. The agent runs on this machine.";
    case "building":
      return "Building the container image.";
    case "starting":
      return "Starting the container.";
    case "running":
      return "Container running. The agent runs in it.";
    case "stopping":
      return "Stopping the container.";
    case "error":
      return `Container error. ${after.container.failure?.title ?? ""}`.trim();
  }
}

function agent(before: TabView, after: TabView): string | null {
  if (before.agent.state === after.agent.state) return null;
  switch (after.agent.state) {
    case "missing":
    case "failed":
      return after.agent.failure.title;
    default:
      return null;
  }
}

function turn(before: TabView, after: TabView): string | null {
  if (before.turn.state !== "idle" && after.turn.state === "idle") return "The agent has finished.";
  if (after.turn.state !== "running" || after.turn.retry === null) return null;
  const known = before.turn.state === "running" ? before.turn.retry : null;
  return known?.attempt === after.turn.retry.attempt ? null : after.turn.retry.reason;
}
