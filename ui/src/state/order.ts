// The order of tabs while one is dragged: pure arithmetic on places, no pointer and no document.

/** The list with one item taken from `from` and put at `to`. */
export function moved<T>(items: readonly T[], from: number, to: number): T[] {
  const list = [...items];
  const [item] = list.splice(from, 1);
  if (item !== undefined) list.splice(to, 0, item);
  return list;
}

export interface Extent {
  left: number;
  width: number;
}

/**
 * Where a tab that is dragged by `dx` pixels would land: past every neighbour whose middle its leading edge has
 * crossed.
 */
export function dropIndex(tabs: readonly Extent[], from: number, dx: number): number {
  const dragged = tabs[from];
  if (dragged === undefined) return from;
  const left = dragged.left + dx;
  const right = left + dragged.width;
  let index = from;
  for (let at = from + 1; at < tabs.length; at++) {
    const { left: start, width } = tabs[at]!;
    if (right > start + width / 2) index = at;
  }
  for (let at = from - 1; at >= 0; at--) {
    const { left: start, width } = tabs[at]!;
    if (left < start + width / 2) index = at;
  }
  return index;
}

/** How far a tab at `at` gives way, in pixels, while another goes from `from` to `to`. */
export function shift(at: number, from: number, to: number, width: number): number {
  if (at > from && at <= to) return -width;
  if (at < from && at >= to) return width;
  return 0;
}
