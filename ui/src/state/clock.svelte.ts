// The time of day for what ticks. It runs only while something on the page reads it: an idle page stands still.
import { createSubscriber } from "svelte/reactivity";

const TICK_MS = 1000;

const subscribe = createSubscriber((update) => {
  const timer = setInterval(update, TICK_MS);
  return () => clearInterval(timer);
});

/** Milliseconds since the Unix epoch; whoever reads it in a component is run again every second. */
export function now(): number {
  subscribe();
  return Date.now();
}
