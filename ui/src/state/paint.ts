// Waiting for the screen: acknowledgements and the bench's figures are due once a frame has been painted.

export interface Paint {
  /** In milliseconds since the Unix epoch, on the agent's clock. */
  arrived: number;
  /** The first animation frame after the document held it, on the same clock. */
  painted: number;
}

declare global {
  interface Window {
    /** The bench makes it; without it nothing is recorded. */
    __gemraPaints?: Paint[];
  }
}

const KEPT_PAINTS = 10_000;
// A window that is minimised gets no animation frames; core must not wait for it for ever.
const HIDDEN_MS = 250;

/** Calls back in the next animation frame, or after a quarter of a second where the window is not drawn. */
export function afterNextFrame(then: () => void): void {
  let called = false;
  const once = (): void => {
    if (called) return;
    called = true;
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    then();
  };
  const frame = requestAnimationFrame(once);
  const timer = setTimeout(once, HIDDEN_MS);
}

/** Writes down when a frame that `arrived` then was painted. Called in the animation frame. */
export function recordPaint(arrived: number): void {
  const paints = window.__gemraPaints;
  if (paints === undefined) return;
  paints.push({ arrived, painted: performance.timeOrigin + performance.now() });
  if (paints.length > KEPT_PAINTS) paints.splice(0, paints.length - KEPT_PAINTS);
}
