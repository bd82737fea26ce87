// What the page's live region says. WebKitGTK has no `ariaNotify`, so that a region's text must change.

export class Announcer {
  text = $state("");
  #flip = false;

  say(words: string): void {
    // The same sentence twice changes nothing in the document: a trailing no-break space tells them apart.
    this.#flip = !this.#flip;
    this.text = this.#flip ? words : `${words}\u00a0`;
  }
}
