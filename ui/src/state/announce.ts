// Which change is worth saying aloud, and in what words.
import type { Ask } from "../host/wire/Ask";
import type { Body } from "../host/wire/Body";
import type { TabView } from "../host/wire/TabView";
import type { WindowState } from "../host/wire/WindowState";

/**
 * What to say of a tab whose page is shown; `news` is what the transcript has got together with the change. None where
 * nothing happened that a listener would want to hear.
 */
export function announcement(before: TabView, after: TabView, news: readonly Body[] = []): string | null {
  const said = [
    guard(before, after),
    trust(before, after),
    container(before, after),
    agent(before, after) ?? turn(before, after, news),
    ...asked(news),
  ];
  return said.filter((words) => words !== null).join(" ") || null;
}

/** The questions among the entries that wait for an answer. */
export function asked(entries: readonly Body[]): string[] {
  return entries.flatMap((body) => (body.kind === "ask" && body.answer === null ? [question(body)] : []));
}

function question(ask: Ask): string {
  switch (ask.wants.kind) {
    case "answers":
      return `The agent asks you: ${ask.wants.inquiries.map((inquiry) => inquiry.question).join(" ")}`;
    case "approval":
      return "The agent asks whether it shall carry out its plan.";
    default:
      return `The agent asks whether it may use ${ask.tool}: ${ask.summary}`;
  }
}

/** Which tabs behind the active one have begun to ask; the active one's page says more itself. */
export function newQuestions(before: WindowState | null, after: WindowState): string | null {
  if (before === null) return null;
  const known = new Set(before.tabs.flatMap((tab) => (tab.asking ? [tab.id] : [])));
  const asking = after.tabs.filter((tab) => tab.asking && tab.id !== after.active && !known.has(tab.id));
  return asking.map((tab) => `In the tab ${tab.title}, the agent asks you something.`).join(" ") || null;
}

function guard(before: TabView, after: TabView): string | null {
  if (after.guard === null || before.guard !== null) return null;
  return "The container changed files that this machine would execute. Keep them or revert them before the agent starts here.";
}

function trust(before: TabView, after: TabView): string | null {
  if (after.trust === null || before.trust !== null) return null;
  return "This project asks for more than a container has. Allow it, start without it, or do not start.";
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

function turn(before: TabView, after: TabView, news: readonly Body[]): string | null {
  // Where a message has waited, the next turn runs already: how this one ended is in the transcript alone.
  const bad = news.map(badEnd).find((words) => words !== null);
  if (bad !== undefined) return bad;
  if (before.turn.state !== "idle" && after.turn.state === "idle") {
    return "The agent has finished.";
  }
  if (after.turn.state !== "running" || after.turn.retry === null) return null;
  const known = before.turn.state === "running" ? before.turn.retry : null;
  return known?.attempt === after.turn.retry.attempt ? null : after.turn.retry.reason;
}

function badEnd(body: Body): string | null {
  if (body.kind === "error") {
    const { code, title, cause } = body.failure;
    return code === "turn-failed" ? `The turn failed. ${cause}` : `The turn failed: ${title}.`;
  }
  return body.kind === "notice" && body.topic === "interrupted" ? body.text : null;
}
