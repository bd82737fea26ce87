// Pieces that the fake host's scenes are made of.
import type { Catalog } from "../wire/Catalog";
import type { Container } from "../wire/Container";
import type { Fact } from "../wire/Fact";
import type { Template } from "../wire/Template";
import type { Tool } from "../wire/Tool";

export const TEMPLATES: Template[] = [
  { id: "minimal", name: "Minimal", words: "The agent, git and little else, on Alpine.", text: "FROM a\n" },
  { id: "python", name: "Python", words: "Python with venv, pip and uv, on Debian.", text: "FROM b\n" },
];

export const CATALOG: Catalog = {
  models: [
    {
      value: "default",
      name: "Default",
      description: "Sonnet 4.5, best for everyday tasks",
      resolved: "claude-sonnet-4-5",
    },
    { value: "opus", name: "Opus 4.1", description: "For complex work", resolved: "claude-opus-4-1" },
    { value: "haiku", name: "Haiku 4.5", description: "Fastest", resolved: "claude-haiku-4-5" },
  ],
  commands: [
    { name: "clear", description: "Begin a new conversation", hint: "" },
    { name: "compact", description: "Summarise the conversation to make room", hint: "[what to keep]" },
    { name: "context", description: "Show what fills the context", hint: "" },
    { name: "init", description: "Write a CLAUDE.md for this project", hint: "" },
    { name: "review", description: "Review a pull request", hint: "[number]" },
    { name: "security-review", description: "Look for security problems in the pending changes", hint: "" },
  ],
};

export const FACTS: Fact[] = [
  { name: "Engine", value: "Docker 27.3.1 at unix:///run/docker.sock (found by context “default”)" },
  { name: "Image", value: "gemra-claude:latest (embedded Dockerfile.claude)" },
  { name: "User", value: "1000:1000, the workspace’s owner" },
  { name: "Network", value: "host" },
  {
    name: "Mounts",
    value:
      "/home/ada/projects/orchard → /workspace and the same path\nits conversations → ~/.claude/projects",
  },
  { name: "Agent", value: "Claude CLI 2.1.197" },
];

export function off(): Container {
  return {
    state: "off",
    since: Date.now(),
    phase: null,
    step: null,
    facts: [],
    took: null,
    failure: null,
    hostAgent: false,
    hasLog: false,
    imageChanged: false,
    conflicts: [],
    refusals: { targets: [], times: 0, malformed: 0 },
  };
}

export function tool(part: Partial<Tool> & Pick<Tool, "name" | "summary">): { kind: "tool" } & Tool {
  return {
    kind: "tool",
    input: "{}",
    status: "done",
    result: null,
    truncated: false,
    diff: null,
    nested: false,
    ...part,
  };
}
