// The scenes that the fake host can begin with: every state of the page has one.
import type { Failure } from "../wire/Failure";
import type { Refusal } from "../wire/Refusal";
import type { SyncConflict } from "../wire/SyncConflict";
import type { WindowState } from "../wire/WindowState";
import { FACTS, off, tool } from "./parts";
import { FakeTab } from "./tab";
import { BROKEN_BUILD, BUILD, MARKDOWN, REPLY } from "./texts";

export interface Scene {
  window: WindowState;
  tabs: FakeTab[];
}

const WORKSPACE = "/home/ada/projects/orchard";

/** The scene of that name; an unknown name is an error that lists the known ones. */
export function scene(name: string): Scene {
  const make = SCENES[name];
  if (make === undefined) throw new Error(`No scene “${name}”. There are: ${Object.keys(SCENES).join(", ")}`);
  return make();
}

const SCENES: Record<string, () => Scene> = {
  "new-tab": () => ({ ...withTabs([conversation()]), window: { ...base(), active: null } }),
  first: () => ({ window: { ...base(), recent: [], active: null }, tabs: [] }),
  empty: () => withTabs([tab()]),
  conversation: () => withTabs([conversation()]),
  streaming: () => withTabs([streaming()]),
  working: () => withTabs([working()]),
  markdown: () => withTabs([said(MARKDOWN)]),
  tools: () => withTabs([tools()]),
  ask: () => withTabs([asking()]),
  answered: () => withTabs([answered()]),
  error: () => withTabs([failed()]),
  retry: () => withTabs([retrying()]),
  interrupted: () => withTabs([interrupted()]),
  queue: () => withTabs([queued()]),
  long: () => withTabs([long()]),
  missing: () => withTabs([missing()]),
  installing: () => withTabs([installing()]),
  died: () => withTabs([died("agent-crashed")]),
  "session-missing": () => withTabs([died("session-missing")]),
  building: () => withTabs([contained({ state: "building" })]),
  starting: () => withTabs([contained({ state: "starting" })]),
  running: () => withTabs([contained({ state: "running" })]),
  refused: () => withTabs([refused()]),
  "sync-conflicts": () => withTabs([inConflict()]),
  stopping: () => withTabs([contained({ state: "stopping" })]),
  "build-failed": () => withTabs([broken(true)]),
  crashed: () => withTabs([broken(false)]),
  problem: () => withProblems([badSettings()]),
  problems: () => withProblems([noFolder("/nope1"), noFolder("/nope2")]),
  leaving: () => leaving(),
  many: () => withTabs(many()),
};

function base(): WindowState {
  return {
    tabs: [],
    active: "tab-1",
    recent: [WORKSPACE, "/home/ada/projects/api-gateway", "/home/ada/projects/telescope", "/home/ada/notes"],
    settings: {
      engine: "",
      freshOnToggle: false,
      certificates: ["/etc/ssl/company/root.pem"],
      environment: { [WORKSPACE]: { DATABASE_URL: "postgres://orchard:apple@localhost/orchard" } },
      container: {},
      projects: {},
    },
    problems: [],
    leaving: null,
    version: "0.1.0",
    mac: false,
  };
}

function withTabs(tabs: FakeTab[]): Scene {
  return { window: base(), tabs };
}

function tab(): FakeTab {
  const made = FakeTab.fresh("tab-1", WORKSPACE);
  const usage = { contextTokens: 48_200, contextWindow: 200_000, inputTokens: 312_450, outputTokens: 9_870 };
  made.show({ usage: { ...usage, cost: 0.4137, turns: 6 } });
  return made;
}

function user(made: FakeTab, text: string): void {
  made.add({ kind: "user", text, interrupted: false });
}

function run(made: FakeTab, secondsAgo: number): void {
  made.show({ turn: { state: "running", since: Date.now() - secondsAgo * 1000, retry: null } });
}

function said(text: string): FakeTab {
  const made = tab();
  user(made, "How does the cache work?");
  made.add({ kind: "assistant", text });
  return made;
}

function conversation(): FakeTab {
  const made = tab();
  user(made, "The retry loop seems to give up too early. Can you look at src/retry.ts?");
  made.add({
    kind: "thinking",
    text: "The counter is raised before the comparison.\nSo with max = 3 there are only two attempts.",
  });
  made.add(
    tool({
      name: "Read",
      summary: "src/retry.ts",
      input: JSON.stringify({ file_path: `${WORKSPACE}/src/retry.ts` }, null, 2),
      result: "export async function withRetry(max: number) {\n  let attempt = 0;\n  …",
    }),
  );
  made.add(
    tool({
      name: "Bash",
      summary: "npm test -- retry",
      input: JSON.stringify({ command: "npm test -- retry", description: "Run the retry tests" }, null, 2),
      result: "✓ retries three times\n✗ gives up after max\n\n1 failed, 1 passed",
      status: "failed",
    }),
  );
  made.add({ kind: "assistant", text: REPLY });
  return made;
}

function streaming(): FakeTab {
  const made = tab();
  user(made, "The retry loop seems to give up too early. Can you look at src/retry.ts?");
  run(made, 4);
  made.add({ kind: "thinking", text: "The counter is raised before the comparison." });
  made.add({ kind: "assistant", text: REPLY.slice(0, REPLY.indexOf("console.log") + 14) }, true);
  return made;
}

function working(): FakeTab {
  const made = tab();
  user(made, "Run the whole test suite, please.");
  run(made, 37);
  const input = JSON.stringify({ command: "npm test" }, null, 2);
  made.add(tool({ name: "Bash", summary: "npm test", input, status: "running" }), true);
  return made;
}

function tools(): FakeTab {
  const made = tab();
  user(made, "Mend the loop and run the tests.");
  made.add(
    tool({
      name: "Edit",
      summary: "src/retry.ts",
      input: JSON.stringify({ file_path: "src/retry.ts" }),
      result: "The file has been updated.",
      diff: [
        {
          oldStart: 3,
          newStart: 3,
          lines: [
            " export async function withRetry(max: number, tryOnce: Attempt) {",
            "-  let attempt = 0;",
            "-  while (++attempt < max) {",
            "+  for (let attempt = 1; attempt <= max; attempt++) {",
            "     if (await tryOnce()) return;",
            "   }",
          ],
        },
        {
          oldStart: 41,
          newStart: 40,
          lines: [" ", '-export const VERSION = "1.0.3";', '+export const VERSION = "1.0.4";'],
        },
      ],
    }),
  );
  const agent = { name: "Task", summary: "Find other callers of withRetry" };
  made.add(tool({ ...agent, result: "Two callers: src/fetch.ts and src/sync.ts." }));
  made.add(
    tool({
      name: "Grep",
      summary: "withRetry in src/",
      nested: true,
      result: "src/fetch.ts:12\nsrc/sync.ts:88",
    }),
  );
  made.add(tool({ name: "Read", summary: "src/sync.ts", nested: true, result: "…" }));
  made.add(
    tool({
      name: "Bash",
      summary: "npm test -- --run",
      input: JSON.stringify({ command: "npm test -- --run", timeout: 120000 }, null, 2),
      result: "✓ src/retry.test.ts (2)\n\nTests  2 passed (2)\nDuration  412ms",
    }),
  );
  made.add(
    tool({ name: "Bash", summary: "git push", status: "declined", result: "The user declined: not yet" }),
  );
  made.add(tool({ name: "WebFetch", summary: "https://example.com/retry", status: "interrupted" }));
  made.add(tool({ name: "mcp__tracker__create_ticket", summary: "Release 1.0.4", status: "pending" }));
  made.add({ kind: "assistant", text: "The loop is mended and both tests pass." });
  return made;
}

function asking(): FakeTab {
  const made = tab();
  user(made, "Remove the build output.");
  run(made, 6);
  made.add({ kind: "assistant", text: "I will delete `dist/` and the cache beside it." });
  const command = "rm -rf dist node_modules/.cache";
  made.add({
    kind: "ask",
    ask: "ask-1",
    tool: "Bash",
    summary: command,
    input: JSON.stringify({ command, description: "Delete the build output and its cache" }, null, 2),
    wants: { kind: "leave" },
    always: "Commands that begin with “rm -rf dist” run without asking, in this project.",
    answer: null,
  });
  return made;
}

function answered(): FakeTab {
  const made = tab();
  user(made, "Remove the build output, then push.");
  const ask = { kind: "ask", tool: "Bash", always: null, wants: { kind: "leave" } } as const;
  const input = JSON.stringify({ command: "rm -rf dist" }, null, 2);
  made.add({ ...ask, ask: "a", summary: "rm -rf dist", input, answer: { kind: "allowed" } });
  made.add({ ...ask, ask: "b", summary: "npm run build", input, answer: { kind: "allowedAlways" } });
  made.add({
    ...ask,
    ask: "c",
    summary: "git push",
    input,
    answer: { kind: "denied", reason: "not on a Friday" },
  });
  const lapsed = { kind: "lapsed", reason: "the agent moved into the container" } as const;
  made.add({ ...ask, ask: "d", summary: "git tag v1", input, answer: lapsed });
  made.add({
    kind: "notice",
    topic: "container",
    text: "The agent runs in the container now.",
    detail: null,
  });
  made.add({ kind: "notice", topic: "host", text: "The agent runs on this machine now.", detail: null });
  made.add({
    kind: "notice",
    topic: "info",
    text: "The conversation was compacted.",
    detail: "12 messages became one.",
  });
  made.add({
    kind: "notice",
    topic: "warning",
    text: "The agent said something that Gemra does not know.",
    detail: "{…}",
  });
  return made;
}

function failed(): FakeTab {
  const made = tab();
  user(made, "And now the changelog, please.");
  made.add({
    kind: "error",
    retry: true,
    failure: {
      code: "api-error",
      title: "The API refused the key",
      cause: "The API answered 401: invalid x-api-key.",
      action: "Check ANTHROPIC_API_KEY, or run “claude /login” in a terminal. Then retry.",
      detail: '{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}',
    },
  });
  return made;
}

function retrying(): FakeTab {
  const made = tab();
  user(made, "And now the changelog, please.");
  const retry = { attempt: 2, max: 10, at: Date.now() + 60_000, reason: "The API is overloaded (529)" };
  made.show({ turn: { state: "running", since: Date.now() - 9000, retry } });
  return made;
}

function interrupted(): FakeTab {
  const made = tab();
  made.add({ kind: "user", text: "Rewrite everything in Haskell.", interrupted: true });
  made.add({ kind: "assistant", text: "I begin with the" });
  made.add({ kind: "notice", topic: "interrupted", text: "You stopped this turn.", detail: null });
  return made;
}

function queued(): FakeTab {
  const made = working();
  made.send("When it is done, update the changelog as well.");
  made.send("And tell me how long the slowest test took.\nA table would be nice.");
  return made;
}

function long(): FakeTab {
  const made = tab();
  for (let turn = 1; turn <= 90; turn++) {
    user(made, `Question ${turn}: what is step ${turn}?`);
    made.add({
      kind: "assistant",
      text: `Step ${turn} is the one after step ${turn - 1}.\n\n${REPLY.slice(0, 380)}`,
    });
  }
  return made;
}

function missing(): FakeTab {
  const made = tab();
  made.show({
    agent: {
      state: "missing",
      install: "npm install -g @anthropic-ai/claude-code",
      failure: {
        code: "claude-missing",
        title: "The Claude CLI is not on this machine",
        cause: "No “claude” was found on PATH, nor on the login shell’s PATH, and GEMRA_CLAUDE is not set.",
        action: "Install it with the command below, or set GEMRA_CLAUDE to where it is. Then retry.",
        detail: null,
      },
    },
  });
  return made;
}

function installing(): FakeTab {
  const made = tab();
  made.show({
    agent: { state: "installing", line: "npm http fetch GET 200 @anthropic-ai/claude-code 412ms" },
  });
  return made;
}

function died(code: string): FakeTab {
  const made = conversation();
  const gone = code === "session-missing";
  made.show({
    agent: {
      state: "failed",
      failure: {
        code,
        title: gone ? "The agent does not know this conversation any more" : "The agent ended unexpectedly",
        cause: gone ? "Its session file is gone." : "The Claude CLI exited with code 1.",
        action: gone
          ? "Start a new conversation. What is shown here stays."
          : "Retry goes on with the same conversation.",
        detail: gone
          ? null
          : "Error: EPIPE: broken pipe, write\n    at WriteStream._write (node:internal/fs/streams:412:14)",
      },
    },
  });
  return made;
}

function contained(change: { state: "building" | "starting" | "running" | "stopping" }): FakeTab {
  const made = conversation();
  made.log = BUILD.flatMap((line, at) => [`Step ${at + 1}/${BUILD.length} : ${line}`, ` ---> 4f2a9c${at}`]);
  const since = Date.now() - 23_000;
  const common = { ...off(), ...change, since, facts: FACTS, hasLog: true };
  switch (change.state) {
    case "building":
      made.contain({
        ...common,
        hostAgent: true,
        phase: "Building the image",
        step: {
          index: 3,
          total: 12,
          line: "RUN apt-get update && apt-get install -y git gh vim ripgrep curl jq",
        },
        facts: FACTS.slice(0, 2),
      });
      break;
    case "starting":
      made.contain({ ...common, phase: "Waiting for the agent to answer" });
      break;
    case "running":
      made.contain({ ...common, took: 1240 });
      made.add({
        kind: "notice",
        topic: "container",
        text: "The agent runs in the container now.",
        detail: null,
      });
      break;
    case "stopping":
      made.contain({ ...common, phase: "Removing the container" });
  }
  return made;
}

function refused(): FakeTab {
  const made = contained({ state: "running" });
  const targets: Refusal[] = [
    {
      target: "stranger.example:443",
      entry: "stranger.example",
      why: "the name and port are not on its list",
      times: 3,
    },
    { target: "10.1.2.3:8080", entry: "10.1.2.3:8080", why: "addresses are not on its list", times: 1 },
  ];
  made.contain({ refusals: { targets, times: 4, malformed: 2 } });
  return made;
}

function inConflict(): FakeTab {
  const made = contained({ state: "running" });
  const kept = "/home/ada/.local/share/gemra/conflicts/parser-4f2a9c10/1795272000000";
  const one = (path: string, removed: boolean, root = "/home/ada/parser"): SyncConflict => ({
    root,
    path,
    mine: `${root}/${path}`,
    mineIs: removed ? "removed" : "a file",
    theirs: `${kept}/${path}`,
    theirsIs: "a file",
  });
  const repository = "/home/ada/main/.git";
  made.contain({
    conflicts: [one("src/parser.rs", false), one("notes.md", true), one("notes.md", false, repository)],
  });
  return made;
}

function broken(hostAgent: boolean): FakeTab {
  const made = conversation();
  made.log = BROKEN_BUILD.split("\n");
  const failure: Failure = hostAgent
    ? {
        code: "build-failed",
        title: "The image could not be built",
        cause: "Step 3 of 9 ended with code 100: “E: Unable to locate package ripgrepp”.",
        action: "Mend Dockerfile.claude in the workspace and retry.",
        detail: BROKEN_BUILD,
      }
    : {
        code: "out-of-memory",
        title: "The container ran out of memory",
        cause: "The engine ended it at its limit of 4 GiB.",
        action: "Close what takes memory in it, or raise the limit, and retry.",
        detail: null,
      };
  if (!hostAgent) made.show({ agent: { state: "idle" } });
  made.contain({
    ...off(),
    state: "error",
    failure,
    hostAgent,
    facts: FACTS,
    hasLog: true,
    since: Date.now() - 65_000,
  });
  return made;
}

function leaving(): Scene {
  const words =
    "Bringing back what the agents have written on another machine. Gemra ends when that is done.";
  const made = withTabs([conversation()]);
  return { ...made, window: { ...made.window, leaving: words } };
}

function withProblems(failures: readonly Failure[]): Scene {
  const problems = failures.map((failure, id) => ({ id, failure }));
  return { ...withTabs([conversation()]), window: { ...base(), problems } };
}

function badSettings(): Failure {
  return {
    code: "settings-invalid",
    title: "The settings could not be read",
    cause: "/home/ada/.config/gemra/settings.json is not valid: expected `,` or `}` at line 4 column 3.",
    action:
      "Gemra goes on with its defaults and leaves the file as it is. Mend it and start Gemra again; or move it away, and save what you want anew.",
    detail: null,
  };
}

function noFolder(path: string): Failure {
  return {
    code: "workspace-invalid",
    title: "This folder cannot be opened",
    cause: `${path} is not there.`,
    action: "Check the spelling, or choose another folder.",
    detail: null,
  };
}

function many(): FakeTab[] {
  const names = [
    "orchard",
    "api-gateway",
    "telescope",
    "notes",
    "a project with a very long name indeed",
    "infra",
  ];
  return Array.from({ length: 11 }, (_, at) => {
    const name = names[at % names.length] ?? "tab";
    const made = at === 0 ? conversation() : FakeTab.fresh(`tab-${at + 1}`, `/home/ada/projects/${name}`);
    if (at === 1) run(made, 3);
    if (at === 2) made.contain({ state: "running" });
    if (at === 3) made.contain({ state: "building" });
    if (at === 4) made.add({ ...asked(), kind: "ask" });
    if (at === 5) made.contain({ state: "error" });
    return made;
  });
}

function asked(): {
  ask: string;
  tool: string;
  summary: string;
  input: string;
  always: null;
  wants: { kind: "leave" };
  answer: null;
} {
  return {
    ask: "x",
    tool: "Bash",
    summary: "ls",
    input: "{}",
    always: null,
    wants: { kind: "leave" },
    answer: null,
  };
}
