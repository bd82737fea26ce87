// The page's side of the highlighter: asked once for each text, harmless, and silent where it cannot help.
import { describe, expect, it, vi } from "vitest";

import { Highlighter, LONGEST, type HighlightRequest } from "./highlight";

class StandInWorker extends EventTarget {
  readonly asked: HighlightRequest[] = [];

  postMessage(request: HighlightRequest): void {
    this.asked.push(request);
  }

  answer(at: number, html: string | null): void {
    const id = this.asked[at]?.id;
    this.dispatchEvent(new MessageEvent("message", { data: { id, html } }));
  }
}

function stage() {
  const worker = new StandInWorker();
  const start = vi.fn(() => worker as unknown as Worker);
  return { worker, start, highlighter: new Highlighter(start) };
}

describe("the highlighter", () => {
  it("asks the worker once for the same text, and starts it only when needed", async () => {
    const { worker, start, highlighter } = stage();
    expect(start).not.toHaveBeenCalled();
    const first = highlighter.highlight("fn", "rust");
    const second = highlighter.highlight("fn", "rust");
    worker.answer(0, '<span class="hljs-keyword">fn</span>');
    expect(await first).toBe('<span class="hljs-keyword">fn</span>');
    expect(await second).toBe(await first);
    expect(worker.asked).toHaveLength(1);
    expect(start).toHaveBeenCalledOnce();
  });

  it("tells the same text in two languages apart, and answers that come out of order", async () => {
    const { worker, highlighter } = stage();
    const rust = highlighter.highlight("x", "rust");
    const go = highlighter.highlight("x", "go");
    worker.answer(1, "go");
    worker.answer(0, "rust");
    expect([await rust, await go]).toEqual(["rust", "go"]);
  });

  it("lets nothing harmful through", async () => {
    const { worker, highlighter } = stage();
    const coloured = highlighter.highlight("x", "js");
    worker.answer(0, '<img src=x onerror="alert(1)">x');
    expect(await coloured).toBe("x");
  });

  it.each([
    ["x", ""],
    ["x".repeat(LONGEST + 1), "rust"],
  ])("leaves code as it is where there is no language or too much of it", async (code, language) => {
    const { worker, highlighter } = stage();
    expect(await highlighter.highlight(code, language)).toBe(null);
    expect(worker.asked).toHaveLength(0);
  });

  it("leaves code as it is where the worker fails, and says so in the log", async () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    const { worker, highlighter } = stage();
    const coloured = highlighter.highlight("x", "rust");
    worker.dispatchEvent(new ErrorEvent("error", { message: "no worker" }));
    expect(await coloured).toBe(null);
    expect(log).toHaveBeenCalledOnce();
  });
});
