// Where the keyboard's focus goes when what had it leaves the page: to the heir that stands nearest around it, else
// home, where the user writes. It never takes the focus from anything that has it, and knows no component.

/** Takes the focus where it can; where it cannot, it leaves it alone. */
export type Heir = () => void;

export class Focus {
  readonly #heirs = new WeakMap<Element, Heir>();
  #home: HTMLElement | null = null;
  // What had the focus last, and who inherits it, the nearest first. A removed element has lost its surroundings, so
  // that they are noted while it is still in its place.
  #last: HTMLElement | null = null;
  #line: readonly Heir[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Watches over the page inside `root`. What stands outside of it, as menus and dialogs do, minds its own focus. */
  readonly keep = (root: HTMLElement): (() => void) => {
    const focused = (event: FocusEvent): void => this.#focused(event, root);
    const blurred = (event: FocusEvent): void => this.#blurred(event);
    const observer = new MutationObserver(() => this.#changed());
    document.addEventListener("focusin", focused);
    document.addEventListener("focusout", blurred);
    observer.observe(root, { childList: true, subtree: true });
    return () => {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      observer.disconnect();
      document.removeEventListener("focusin", focused);
      document.removeEventListener("focusout", blurred);
    };
  };

  /** Says who inherits the focus of anything inside the element that this is attached to. */
  heir(take: Heir): (element: HTMLElement) => () => void {
    return (element) => {
      this.#heirs.set(element, take);
      return () => this.#heirs.delete(element);
    };
  }

  /** For the field that the page is there for. */
  readonly home = (element: HTMLElement): (() => void) => {
    this.#home = element;
    return () => {
      if (this.#home === element) this.#home = null;
    };
  };

  goHome(): void {
    this.#home?.focus();
  }

  #focused(event: FocusEvent, root: HTMLElement): void {
    const target = event.target;
    const inside = target instanceof HTMLElement && root.contains(target);
    this.#last = inside ? target : null;
    const line: Heir[] = [];
    for (let at: Element | null = inside ? target : null; at !== null; at = at.parentElement) {
      const heir = this.#heirs.get(at);
      if (heir !== undefined) line.push(heir);
    }
    this.#line = line;
  }

  // A press on what takes no focus leaves it nowhere, and there it stays: that is the user's own doing. What was
  // disabled or removed while it had the focus is not, and has not lost it where only another window covers this one;
  // they can be told apart after the event.
  #blurred(event: FocusEvent): void {
    const { target, relatedTarget } = event;
    if (relatedTarget !== null || target !== this.#last) return;
    queueMicrotask(() => {
      const last = this.#last;
      if (last !== target || !isNowhere()) return;
      if (last?.isConnected && !last.matches(":disabled")) this.#last = null;
    });
  }

  // Not at once: in the middle of a press elsewhere the focus is nowhere for a moment.
  #changed(): void {
    if (this.#last === null || !isNowhere()) return;
    this.#timer ??= setTimeout(() => this.#mend(), 0);
  }

  #mend(): void {
    this.#timer = undefined;
    const last = this.#last;
    if (last === null || !isNowhere()) return;
    if (last.isConnected) {
      // It was moved, as a tab is in the bar; what waits disabled for its answer takes no focus.
      last.focus();
      return;
    }
    for (const take of [...this.#line, () => this.goHome()]) {
      take();
      if (!isNowhere()) return;
    }
  }
}

function isNowhere(): boolean {
  return document.activeElement === document.body;
}
