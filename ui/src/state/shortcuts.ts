// Which keys mean what to the window as a whole. Pure: it reads an event and names an action.

export type WindowAction =
  | { kind: "new" | "close" | "rename" | "settings" }
  | { kind: "nth"; number: number }
  | { kind: "beside" | "move"; step: 1 | -1 };

type Keys = Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "shiftKey" | "altKey">;

/** What the window shall do; null where the key is not for it. `mac`: shortcuts use Cmd. */
export function shortcut(event: Keys, mac: boolean): WindowAction | null {
  const { key, ctrlKey, metaKey, shiftKey, altKey } = event;
  if (altKey) return null;
  if (key === "F2" && !ctrlKey && !metaKey && !shiftKey) return { kind: "rename" };
  // These are Ctrl on every platform, as browsers have it.
  if (ctrlKey && key === "Tab") return { kind: "beside", step: shiftKey ? -1 : 1 };
  if (ctrlKey && (key === "PageUp" || key === "PageDown")) {
    return { kind: shiftKey ? "move" : "beside", step: key === "PageUp" ? -1 : 1 };
  }
  const command = mac ? metaKey && !ctrlKey : ctrlKey && !metaKey;
  if (!command || shiftKey) return null;
  if (/^[1-9]$/.test(key)) return { kind: "nth", number: Number(key) };
  switch (key.toLowerCase()) {
    case "t":
      return { kind: "new" };
    case "w":
      return { kind: "close" };
    case ",":
      return { kind: "settings" };
    default:
      return null;
  }
}
