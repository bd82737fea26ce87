// What jsdom lacks and the page takes for granted in a browser.

class NoResizes implements ResizeObserver {
  observe(): void {}
  unobserve(): void {}
  disconnect(): void {}
}

globalThis.ResizeObserver ??= NoResizes;
Element.prototype.scrollIntoView ??= () => {};
Element.prototype.setPointerCapture ??= () => {};

// jsdom has no workers. Whoever highlights in a test brings a stand-in; for everyone else code stays uncoloured.
class SilentWorker extends EventTarget {
  postMessage(): void {}
  terminate(): void {}
}
globalThis.Worker ??= SilentWorker as unknown as typeof Worker;
