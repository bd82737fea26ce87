// The lines of a hunk with their numbers. Core has computed the change; this only counts.
import type { Hunk } from "../host/wire/Hunk";

export interface DiffLine {
  kind: "added" | "removed" | "same";
  sign: string;
  text: string;
  /** The line's number before and after; none where it is not there. */
  old: number | null;
  new: number | null;
}

export function numbered(hunk: Hunk): DiffLine[] {
  let before = hunk.oldStart;
  let after = hunk.newStart;
  return hunk.lines.map((line) => {
    const text = line.slice(1);
    switch (line[0]) {
      case "+":
        return { kind: "added", sign: "+", text, old: null, new: after++ };
      case "-":
        return { kind: "removed", sign: "−", text, old: before++, new: null };
      case "\\":
        // "\ No newline at end of file" is said about a line and is none.
        return { kind: "same", sign: "", text: line, old: null, new: null };
      default:
        return { kind: "same", sign: "", text, old: before++, new: after++ };
    }
  });
}
