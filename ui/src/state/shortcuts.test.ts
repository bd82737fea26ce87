// Keys of the window, on both kinds of keyboard.
import { describe, expect, it } from "vitest";

import { shortcut } from "./shortcuts";

function keys(chord: string) {
  const parts = chord.split("+");
  return {
    key: parts.at(-1) ?? "",
    ctrlKey: parts.includes("Ctrl"),
    metaKey: parts.includes("Cmd"),
    shiftKey: parts.includes("Shift"),
    altKey: parts.includes("Alt"),
  };
}

describe("a chord", () => {
  it.each([
    ["Ctrl+t", false, { kind: "new" }],
    ["Cmd+t", true, { kind: "new" }],
    ["Ctrl+T", false, { kind: "new" }],
    ["Ctrl+w", false, { kind: "close" }],
    ["Ctrl+1", false, { kind: "nth", number: 1 }],
    ["Cmd+9", true, { kind: "nth", number: 9 }],
    ["Ctrl+,", false, { kind: "settings" }],
    ["F2", false, { kind: "rename" }],
    ["Ctrl+Shift+PageUp", false, { kind: "move", step: -1 }],
    ["Ctrl+Shift+PageDown", true, { kind: "move", step: 1 }],
    ["Ctrl+PageDown", false, { kind: "beside", step: 1 }],
    ["Ctrl+Shift+Tab", false, { kind: "beside", step: -1 }],
  ])("%s (mac: %s)", (chord, mac, action) => {
    expect(shortcut(keys(chord), mac)).toEqual(action);
  });

  it.each([
    ["t", false],
    ["Cmd+t", false],
    ["Ctrl+t", true],
    ["Ctrl+Alt+t", false],
    ["Ctrl+Shift+t", false],
    ["Ctrl+0", false],
    ["Shift+F2", false],
    ["Ctrl+c", false],
  ])("%s (mac: %s) is not for the window", (chord, mac) => {
    expect(shortcut(keys(chord), mac)).toBe(null);
  });
});
