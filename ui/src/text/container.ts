// What the Container button and its details say, in words. Pure, so that the button, the details and the copied
// text cannot disagree.
import type { Container } from "../host/wire/Container";
import { failureText } from "../state/failure";
import { duration, wholeDuration } from "./format";

/** The button's text. `waits`: nothing goes on before the user has answered. */
export function label(container: Container, waits = false): string {
  switch (container.state) {
    case "off":
      return "Container: off";
    case "building": {
      const { step } = container;
      if (waits) return "Waiting for you";
      return step === null ? "Building image…" : `Building image… ${step.index}/${step.total}`;
    }
    case "starting":
      return "Starting…";
    case "running":
      return "Running";
    case "stopping":
      return "Stopping…";
    case "error":
      return "Error";
  }
}

/** The button's accessible name: its text, and what it is about. */
export function accessibleName(container: Container, waits = false): string {
  return container.state === "off" ? "Container: off" : `Container: ${label(container, waits)}`;
}

/** The state, or the failure's class, as the details' heading. */
export function heading(container: Container): string {
  switch (container.state) {
    case "off":
      return "Container off";
    case "building":
      return "Building the image";
    case "starting":
      return "Starting the container";
    case "running":
      return "Container running";
    case "stopping":
      return "Stopping the container";
    case "error":
      return container.failure?.title ?? "Container error";
  }
}

/** What the state means for the agent. */
export function sentence(container: Container): string {
  switch (container.state) {
    case "off":
      return "The agent runs on this machine.";
    case "building":
      return container.hostAgent
        ? "Until the image is ready, the agent goes on working on this machine."
        : "The agent starts in the container as soon as the image is ready.";
    case "starting":
      return "The agent is moving into the container.";
    case "running":
      return "The agent runs in the container.";
    case "stopping":
      return container.hostAgent
        ? "The build is being cancelled; the agent goes on working on this machine."
        : "The agent is moving back to this machine.";
    case "error":
      return container.hostAgent
        ? "This tab still works: the agent runs on this machine."
        : "No agent runs in this tab until you retry or use this machine.";
  }
}

/** What a click on the button would do; none where it would do nothing or the details have buttons for it. */
export function clickMeans(container: Container): string | null {
  switch (container.state) {
    case "off":
      return "Click to move the agent into a container.";
    case "building":
    case "starting":
      return "Click to cancel.";
    case "running":
      return "Click to move the agent back to this machine.";
    case "stopping":
    case "error":
      return null;
  }
}

/** How long the state has lasted at `now`, in milliseconds since the Unix epoch. */
export function lasted(container: Container, now: number): string {
  return wholeDuration(now - container.since);
}

/** How many times, in words. */
export function often(times: number): string {
  return times === 1 ? "once" : `${times} times`;
}

/** How many requests on the way out were none. */
export function malformed(count: number): string {
  return count === 1
    ? "1 request was malformed, and was not passed on."
    : `${count} requests were malformed, and were not passed on.`;
}

/** Everything the details say, as plain text for the clipboard. */
export function detailsText(container: Container, now: number): string {
  const lines = [accessibleName(container), sentence(container)];
  if (container.state !== "off") lines.push(`For ${lasted(container, now)}`);
  if (container.phase !== null) lines.push(`Phase: ${container.phase}`);
  if (container.step !== null) {
    const { index, total, line } = container.step;
    lines.push(`Step ${index} of ${total}: ${line}`);
  }
  if (container.took !== null) lines.push(`Ready in ${duration(container.took)}`);
  for (const { name, value } of container.facts) lines.push(`${name}: ${value}`);
  for (const { target, why, times } of container.refusals.targets) {
    lines.push(`Refused: ${target}, ${often(times)}: ${why}`);
  }
  if (container.refusals.malformed > 0) lines.push(malformed(container.refusals.malformed));
  if (container.failure !== null) lines.push("", failureText(container.failure));
  return lines.join("\n");
}
