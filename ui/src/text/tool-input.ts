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
  return Object.entries(parsed).map(([name, value]) => ({ name, value: asText(value) }));
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}
