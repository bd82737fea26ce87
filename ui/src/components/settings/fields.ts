// The table of what can be wished for containers: how each wish is called, what it means in words, and how it is
// written. The same table draws the fields for all projects and those for one.
import type { Wishes } from "../../host/wire/Wishes";

export type Key = keyof Wishes;

export type Group = "limits" | "preset" | "network" | "image" | "files" | "life" | "modes" | "credentials";

interface Common {
  key: Key;
  group: Group;
  name: string;
  words: string;
  /** What holds where nobody says anything. */
  usual: string;
}

export type Field = Common &
  (
    | { kind: "number"; unit?: string; whole: boolean }
    | { kind: "text" }
    | { kind: "switch" }
    | { kind: "choice"; choices: readonly { value: string; name: string }[] }
    /** One a line. */
    | { kind: "list" }
    /** `NAME=value`, one a line. */
    | { kind: "pairs" }
  );

export const GROUPS: readonly { group: Group; name: string }[] = [
  { group: "preset", name: "Security" },
  { group: "limits", name: "Limits" },
  { group: "network", name: "Network" },
  { group: "image", name: "Image" },
  { group: "files", name: "Files" },
  { group: "life", name: "Life" },
  { group: "modes", name: "Permission modes" },
];

const ASKING = [
  { value: "default", name: "Ask" },
  { value: "acceptEdits", name: "Accept edits" },
  { value: "plan", name: "Plan" },
] as const;

export const FIELDS: readonly Field[] = [
  {
    key: "preset",
    group: "preset",
    name: "Preset",
    kind: "choice",
    choices: [
      { value: "hardened", name: "Hardened" },
      { value: "withSudo", name: "With sudo" },
    ],
    usual: "hardened",
    words:
      "Hardened: no capabilities, and nothing inside can gain any. With sudo: the agent can become root inside and install packages, in Gemra’s own image or one whose sudo asks for no password; then the container alone holds it.",
  },
  {
    key: "readOnlySystem",
    group: "preset",
    name: "Read-only system",
    kind: "switch",
    usual: "no",
    words: "The image’s own folders cannot be changed. /tmp and the home are in memory.",
  },
  {
    key: "readOnlyWorkspace",
    group: "preset",
    name: "Read-only project",
    kind: "switch",
    usual: "no",
    words: "The agent in the container can read the project and not change it.",
  },
  {
    key: "cpus",
    group: "limits",
    name: "Processors",
    kind: "number",
    whole: false,
    usual: "4, or what there is",
    words: "Such as 1.5.",
  },
  {
    key: "memoryMb",
    group: "limits",
    name: "Memory",
    kind: "number",
    unit: "MB",
    whole: true,
    usual: "8192, or 75 % of what there is",
    words: "Swap included.",
  },
  {
    key: "pids",
    group: "limits",
    name: "Processes",
    kind: "number",
    whole: true,
    usual: "4096",
    words: "How many at the same time.",
  },
  {
    key: "openFiles",
    group: "limits",
    name: "Open files",
    kind: "number",
    whole: true,
    usual: "the engine’s",
    words: "How many a process may have open.",
  },
  {
    key: "shmMb",
    group: "limits",
    name: "Shared memory",
    kind: "number",
    unit: "MB",
    whole: true,
    usual: "256",
    words: "Browsers in tests need it.",
  },
  {
    key: "gpus",
    group: "limits",
    name: "Graphics cards",
    kind: "text",
    usual: "none",
    words: "All, or how many: all, 1, 2.",
  },
  {
    key: "startSeconds",
    group: "limits",
    name: "Time to start",
    kind: "number",
    unit: "seconds",
    whole: true,
    usual: "60",
    words:
      "How long the engine may take to start a container. What comes before, and the agent in it, have their own time.",
  },
  {
    key: "buildSilentMinutes",
    group: "limits",
    name: "Silence of a build",
    kind: "number",
    unit: "minutes",
    whole: true,
    usual: "10",
    words: "A build that says nothing for so long counts as stuck. All of it may take two hours.",
  },
  {
    key: "network",
    group: "network",
    name: "Network",
    kind: "choice",
    choices: [
      { value: "host", name: "Host" },
      { value: "bridge", name: "Bridge" },
      { value: "isolated", name: "Isolated" },
    ],
    usual: "host",
    words:
      "Host: everything that listens on this machine can be reached. Bridge: the world outside. Isolated: allowed names only.",
  },
  {
    key: "allowedDomains",
    group: "network",
    name: "Allowed names",
    kind: "list",
    usual: "the usual ones",
    words: "For the isolated network, one a line: example.com or *.example.com.",
  },
  {
    key: "image",
    group: "image",
    name: "Image",
    kind: "text",
    usual: "one that is built",
    words: "An image by its name, such as node:22-bookworm, instead of one that is built.",
  },
  {
    key: "useDevcontainer",
    group: "image",
    name: "Use devcontainer.json",
    kind: "switch",
    usual: "yes",
    words: "Where the project has no Dockerfile.claude.",
  },
  {
    key: "useDockerfile",
    group: "image",
    name: "Use the project’s Dockerfile",
    kind: "switch",
    usual: "no",
    words: "Where it has no Dockerfile.claude.",
  },
  {
    key: "buildTarget",
    group: "image",
    name: "Stage to build",
    kind: "text",
    usual: "the last",
    words: "The name of a stage in the Dockerfile.",
  },
  {
    key: "platform",
    group: "image",
    name: "Platform",
    kind: "text",
    usual: "the engine’s own",
    words: "Such as linux/arm64.",
  },
  {
    key: "buildArgs",
    group: "image",
    name: "Build arguments",
    kind: "pairs",
    usual: "none",
    words: "NAME=value, one a line. They are no secrets: an image tells them.",
  },
  {
    key: "offline",
    group: "image",
    name: "Offline",
    kind: "switch",
    usual: "no",
    words: "Never pull: build and start from what the engine has.",
  },
  {
    key: "mounts",
    group: "files",
    name: "Further mounts",
    kind: "list",
    usual: "none",
    words: "host:container:mode, one a line, the mode ro or rw: ~/data:/data:ro. A colon in a name is \\:.",
  },
  {
    key: "volumeFolders",
    group: "files",
    name: "Folders as volumes",
    kind: "list",
    usual: "none",
    words:
      "Heavy folders of the project that the engine keeps inside, one a line: node_modules, packages/*/node_modules. What this machine has there is not seen inside.",
  },
  {
    key: "restartAfterCrash",
    group: "life",
    name: "Restart after a crash",
    kind: "switch",
    usual: "no",
    words: "Three times at most; the conversation goes on.",
  },
  {
    key: "refreshHours",
    group: "life",
    name: "Renew after",
    kind: "number",
    unit: "hours",
    whole: true,
    usual: "72",
    words: "0: never.",
  },
  {
    key: "cleanVolumes",
    group: "life",
    name: "Remove the project’s volumes",
    kind: "switch",
    usual: "no",
    words: "When its last container goes.",
  },
  {
    key: "hostMode",
    group: "modes",
    name: "On this machine",
    kind: "choice",
    choices: ASKING,
    usual: "ask",
    words: "How an agent begins here.",
  },
  {
    key: "containerMode",
    group: "modes",
    name: "In a container",
    kind: "choice",
    choices: [...ASKING, { value: "bypassPermissions", name: "Bypass" }],
    usual: "ask",
    words: "How an agent begins there, whatever it may on this machine. Bypass never asks.",
  },
  {
    key: "github",
    group: "credentials",
    name: "GitHub",
    kind: "switch",
    usual: "no",
    words:
      "git and gh inside use GITHUB_TOKEN, or what gh has on this machine: whoever is inside can do what the token may.",
  },
  {
    key: "sshAgent",
    group: "credentials",
    name: "SSH agent",
    kind: "switch",
    usual: "no",
    words:
      "Whoever is inside can sign with every key that your SSH agent holds, for as long as the container runs.",
  },
  {
    key: "gitConfig",
    group: "credentials",
    name: "~/.gitconfig",
    kind: "switch",
    usual: "no",
    words: "Read-only. Name and e-mail are inside anyhow.",
  },
  {
    key: "sshFolder",
    group: "credentials",
    name: "~/.ssh",
    kind: "switch",
    usual: "no",
    words: "Read-only, the private keys in it too: whoever is inside can copy them.",
  },
];

export function fieldsOf(group: Group): readonly Field[] {
  return FIELDS.filter((field) => field.group === group);
}

/** A wish as it stands in its field; empty where there is none. */
export function written(field: Field, wishes: Wishes): string {
  const value: unknown = wishes[field.key];
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.join("\n");
  if (typeof value === "object") {
    return Object.entries(value)
      .map(([name, text]) => `${name}=${String(text)}`)
      .join("\n");
  }
  if (typeof value === "boolean") return value ? "yes" : "no";
  return String(value);
}

/** What is written in a field, as a wish. A number that is none is NaN; nothing is no wish. */
export function read(field: Field, text: string): Wishes {
  return { [field.key]: meant(field, text) } as Wishes;
}

function meant(field: Field, text: string): unknown {
  const trimmed = text.trim();
  if (trimmed === "") return undefined;
  const lines = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  switch (field.kind) {
    case "number": {
      const number = Number(trimmed.replace(",", "."));
      const fits = number >= 0 && number <= 4_294_967_295 && (!field.whole || Number.isInteger(number));
      return fits ? number : Number.NaN;
    }
    case "switch":
      return trimmed === "yes";
    case "list":
      return lines;
    case "pairs":
      return Object.fromEntries(
        lines.map((line) => {
          const at = line.indexOf("=");
          return at < 0 ? [line, ""] : [line.slice(0, at).trim(), line.slice(at + 1)];
        }),
      );
    case "text":
    case "choice":
      return trimmed;
  }
}

/** What holds where the field is empty: what is said for all projects, else what is usual. */
export function otherwise(field: Field, inherited: Wishes | null): string {
  const said = inherited === null ? "" : shown(field, inherited);
  return said === "" ? field.usual : said;
}

/** A wish in words. */
function shown(field: Field, wishes: Wishes): string {
  const text = written(field, wishes);
  if (field.kind === "choice") return field.choices.find((choice) => choice.value === text)?.name ?? text;
  return text.replaceAll("\n", ", ");
}
