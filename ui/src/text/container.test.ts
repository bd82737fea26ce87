// What the Container button, its details and the copied text say in each state.
import { describe, expect, it } from "vitest";

import { FACTS, off } from "../host/fake/parts";
import type { Container } from "../host/wire/Container";
import { accessibleName, clickMeans, detailsText, heading, label, sentence } from "./container";

const SINCE = 1_000_000;
const failure = {
  code: "build-failed",
  title: "No image",
  cause: "Step 3.",
  action: "Mend it.",
  detail: "E: no\nE: way",
};

function container(change: Partial<Container>): Container {
  return { ...off(), since: SINCE, ...change };
}

describe("the button", () => {
  it.each<[Partial<Container>, string, string]>([
    [{ state: "off" }, "Container: off", "Container: off"],
    [{ state: "building" }, "Building image…", "Container: Building image…"],
    [
      { state: "building", step: { index: 3, total: 12, line: "RUN x" } },
      "Building image… 3/12",
      "Container: Building image… 3/12",
    ],
    [{ state: "starting" }, "Starting…", "Container: Starting…"],
    [{ state: "running" }, "Running", "Container: Running"],
    [{ state: "stopping" }, "Stopping…", "Container: Stopping…"],
    [{ state: "error", failure }, "Error", "Container: Error"],
  ])("in %o", (change, words, name) => {
    expect(label(container(change))).toBe(words);
    expect(accessibleName(container(change))).toBe(name);
  });

  it("says what a click would do, and nothing where it does nothing", () => {
    expect(clickMeans(container({ state: "building" }))).toBe("Click to cancel.");
    expect(clickMeans(container({ state: "starting" }))).toBe("Click to cancel.");
    expect(clickMeans(container({ state: "stopping" }))).toBe(null);
  });
});

describe("the details", () => {
  it("say that the tab still works where a host agent is behind the error", () => {
    expect(sentence(container({ state: "error", hostAgent: true }))).toContain("still works");
    expect(sentence(container({ state: "error", hostAgent: false }))).toContain("No agent runs");
  });

  it("say where the agent works while there is no container", () => {
    expect(sentence(container({ state: "building", hostAgent: true }))).toContain(
      "goes on working on this machine",
    );
    expect(sentence(container({ state: "building", hostAgent: false }))).toContain("starts in the container");
    expect(sentence(container({ state: "stopping", hostAgent: true }))).toContain("being cancelled");
    expect(sentence(container({ state: "stopping", hostAgent: false }))).toContain("moving back");
  });

  it("are headed by the failure's class", () => {
    expect(heading(container({ state: "error", failure }))).toBe("No image");
    expect(heading(container({ state: "running" }))).toBe("Container running");
  });
});

describe("the copied text", () => {
  it("holds the step, the phase and the facts", () => {
    const text = detailsText(
      container({
        state: "building",
        hostAgent: true,
        phase: "Building the image",
        step: { index: 3, total: 12, line: "RUN x" },
        facts: FACTS.slice(3, 4),
      }),
      SINCE + 65_000,
    );
    expect(text).toBe(
      [
        "Container: Building image… 3/12",
        "Until the image is ready, the agent goes on working on this machine.",
        "For 1 min 5 s",
        "Phase: Building the image",
        "Step 3 of 12: RUN x",
        "Network: host",
      ].join("\n"),
    );
  });

  it("holds the whole failure, its log included", () => {
    const text = detailsText(container({ state: "error", failure, took: 1240 }), SINCE);
    expect(text.split("\n").slice(-6)).toEqual([
      "No image (build-failed)",
      "Step 3.",
      "Mend it.",
      "",
      "E: no",
      "E: way",
    ]);
    expect(text).toContain("Ready in 1.2 s");
  });
});
