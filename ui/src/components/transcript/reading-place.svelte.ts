// Where the reader of a scrolling column is, kept while the column changes above and below. It knows elements and
// distances, and nothing of what stands in them.

/** Nearer to the end than this, in pixels, the reader is at the bottom. */
const NEAR_BOTTOM = 24;
/** Nearer to the top than this, older entries are asked for. */
const NEAR_TOP = 400;

export class ReadingPlace {
  /** True while the reader is at the bottom and wants to stay there. */
  following = $state(true);

  readonly #atBottom: () => void;
  readonly #showOlder: () => Promise<void>;
  #scroller: HTMLElement | null = null;
  #content: HTMLElement | null = null;
  // The first element in sight, and how far its top is below the scroller's.
  #anchor: { element: Element; offset: number } | null = null;
  // Where the scroller was last put or seen, in pixels from its top.
  #top = 0;

  constructor(atBottom: () => void, showOlder: () => Promise<void>) {
    this.#atBottom = atBottom;
    this.#showOlder = showOlder;
  }

  readonly scroller = (element: HTMLElement): (() => void) => {
    this.#scroller = element;
    const scrolled = (): void => this.#scrolled();
    element.addEventListener("scroll", scrolled, { passive: true });
    // The window's height changes what "at the bottom" means.
    const observer = new ResizeObserver(() => this.hold());
    observer.observe(element);
    this.hold();
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", scrolled);
      this.#scroller = null;
    };
  };

  readonly content = (element: HTMLElement): (() => void) => {
    this.#content = element;
    const resized = new ResizeObserver(() => this.hold());
    resized.observe(element);
    // Entries that come and go at both ends may leave the height as it is.
    const changed = new MutationObserver(() => this.hold());
    changed.observe(element, { childList: true });
    this.hold();
    return () => {
      resized.disconnect();
      changed.disconnect();
      this.#content = null;
    };
  };

  toBottom(): void {
    this.following = true;
    this.#atBottom();
    this.hold();
  }

  /** Shows what is before the first entry; what is in sight stays where it is. */
  older(): void {
    this.#remember();
    this.following = false;
    void this.#showOlder();
  }

  /** The reader is about to fold or unfold something: it stays under their pointer, even at the bottom. */
  pin(): void {
    if (!this.following) return;
    this.#remember();
    this.following = false;
    // Two frames: the change is drawn in the first, and what it did to the height is known in the second.
    requestAnimationFrame(() => requestAnimationFrame(() => this.#judge()));
  }

  /** Puts the column back to where the reader was, after it has changed. */
  hold(): void {
    const scroller = this.#scroller;
    if (scroller === null) return;
    if (this.following) {
      scroller.scrollTop = scroller.scrollHeight;
    } else if (this.#anchor?.element.isConnected) {
      const moved = this.#offset(this.#anchor.element) - this.#anchor.offset;
      if (moved !== 0) scroller.scrollTop += moved;
    }
    this.#top = scroller.scrollTop;
  }

  #scrolled(): void {
    const scroller = this.#scroller;
    if (scroller === null) return;
    // Only the reader goes up. What grows below moves the end away and leaves the place as it is.
    if (this.following && scroller.scrollTop >= this.#top) {
      this.hold();
      return;
    }
    this.#judge();
    this.#remember();
    if (!this.following && scroller.scrollTop < NEAR_TOP) void this.#showOlder();
  }

  #judge(): void {
    const scroller = this.#scroller;
    if (scroller === null) return;
    const left = scroller.scrollHeight - scroller.clientHeight - scroller.scrollTop;
    const following = left <= NEAR_BOTTOM;
    if (following && !this.following) this.#atBottom();
    this.following = following;
    this.#top = scroller.scrollTop;
  }

  #remember(): void {
    const content = this.#content;
    if (content === null || this.#scroller === null) return;
    for (const element of content.querySelectorAll("[data-testid=entry]")) {
      const offset = this.#offset(element);
      if (offset + element.getBoundingClientRect().height > 0) {
        this.#anchor = { element, offset };
        return;
      }
    }
    this.#anchor = null;
  }

  #offset(element: Element): number {
    const top = this.#scroller?.getBoundingClientRect().top ?? 0;
    return element.getBoundingClientRect().top - top;
  }
}
