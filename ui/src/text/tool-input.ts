// A tool's input as named fields. It knows JSON and no tool.

export interface InputField {
  name: string;
  value: string;
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
  const entries = Object.entries(parsed);
  const names = entries.map(([name]) => name);
  // Names come in the order of the alphabet; what was is read before what shall be.
  const place = (name: string): number => {
    const old = name.startsWith("new_") ? names.indexOf(name.replace("new_", "old_")) : -1;
    return old < 0 ? names.indexOf(name) : old + 0.5;
  };
  return entries
    .toSorted(([one], [other]) => place(one) - place(other))
    .map(([name, value]) => ({ name, value: asText(value) }));
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}
