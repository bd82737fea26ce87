// When a panel beside a button is open: on hover, on focus and after a click, until all of them have gone. It
// knows events and time, and not what the panel shows.

/** How long the pointer rests on the button before the panel opens. */
export const OPEN_MS = 150;
/** How long the pointer may be on its way from the button to the panel. */
export const CLOSE_MS = 250;

export class HoverPanel {
  open = $state(false);
  #over = false;
  // The keyboard is in it, or a click inside has put the focus there.
  #held = false;
  #pressing = false;
  #returning = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** For the element that holds both the button and the panel. */
  readonly root = (element: HTMLElement): (() => void) => {
    const outside = (event: PointerEvent): void => {
      if (!(event.target instanceof Node && element.contains(event.target))) this.close();
    };
    const listeners: [string, (event: Event) => void][] = [
      ["pointerenter", () => this.#entered()],
      ["pointerleave", () => this.#left()],
      ["pointerdown", () => (this.#pressing = true)],
      ["pointerup", () => (this.#pressing = false)],
      ["focusin", (event) => this.#focused(event, element)],
      ["focusout", (event) => this.#blurred(event as FocusEvent, element)],
    ];
    for (const [name, listener] of listeners) element.addEventListener(name, listener);
    // Wherever the focus is, and before Escape means something else there.
    const pressed = (event: KeyboardEvent): void => this.#pressed(event);
    document.addEventListener("pointerdown", outside);
    document.addEventListener("keydown", pressed, { capture: true });
    return () => {
      clearTimeout(this.#timer);
      for (const [name, listener] of listeners) element.removeEventListener(name, listener);
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("keydown", pressed, { capture: true });
    };
  };

  /** Opens at once: the button was clicked. */
  clicked(): void {
    clearTimeout(this.#timer);
    this.open = true;
  }

  /** Gives the focus back to the button; what was closed around it stays closed. */
  giveBack(button: HTMLElement): void {
    this.#returning = true;
    button.focus();
    this.#returning = false;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#held = false;
    this.open = false;
  }

  #entered(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (this.open = true), OPEN_MS);
  }

  #left(): void {
    this.#over = false;
    this.#pressing = false;
    clearTimeout(this.#timer);
    if (!this.#held) this.#timer = setTimeout(() => (this.open = false), CLOSE_MS);
  }

  #focused(event: Event, root: HTMLElement): void {
    if (this.#returning) return;
    const inPanel = event.target !== root.querySelector("button");
    // A press on the button focuses it too; then the pointer decides how long the panel stays.
    if (this.#pressing && !inPanel) return;
    this.#held = true;
    clearTimeout(this.#timer);
    this.open = true;
  }

  #blurred(event: FocusEvent, root: HTMLElement): void {
    if (event.relatedTarget instanceof Node && root.contains(event.relatedTarget)) return;
    this.#held = false;
    if (!this.#over) this.close();
  }

  #pressed(event: KeyboardEvent): void {
    if (event.key !== "Escape" || !this.open) return;
    event.preventDefault();
    event.stopPropagation();
    this.close();
  }
}
