// A tool's input as named fields. It knows JSON and no tool.
import type { Hunk } from "../host/wire/Hunk";

export interface InputField {
  name: string;
  value: string;
  /** Where this is one of the pair "old_…" and "new_…": both, as a change. */
  change?: Hunk;
}

/** The fields of an input that is a whole JSON object; null while it still streams in, or where it is none. */
export function inputFields(input: string): InputField[] | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(input);
  } catch {
    return null;
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return null;
  const values = new Map(Object.entries(parsed).map(([name, value]) => [name, asText(value)]));
  return [...values].flatMap(([name, value]): InputField[] => {
    const before = name.startsWith("new_") ? values.get(name.replace("new_", "old_")) : undefined;
    if (before !== undefined)
      return [{ name: name.replace("new_", ""), value, change: replaced(before, value) }];
    // Told with what shall be.
    return name.startsWith("old_") && values.has(name.replace("old_", "new_")) ? [] : [{ name, value }];
  });
}

function replaced(before: string, after: string): Hunk {
  const old = before.split("\n");
  const now = after.split("\n");
  let same = 0;
  while (same < old.length && same < now.length && old[same] === now[same]) same++;
  let tail = 0;
  while (tail < old.length - same && tail < now.length - same && old.at(-1 - tail) === now.at(-1 - tail))
    tail++;
  const lines = [
    ...old.slice(0, same).map((line) => ` ${line}`),
    ...old.slice(same, old.length - tail).map((line) => `-${line}`),
    ...now.slice(same, now.length - tail).map((line) => `+${line}`),
    ...now.slice(now.length - tail).map((line) => ` ${line}`),
  ];
  return { oldStart: 1, newStart: 1, lines };
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}
