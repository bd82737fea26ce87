// Markdown into blocks that stay: finished top-level blocks are never parsed again, so that a long answer costs
// no more per delta than a short one. It refuses to know the document; `sanitize.ts` is the second lock.
import MarkdownIt, { type Token } from "markdown-it";

/** A top-level block. The same object comes back as long as nothing about it has changed. */
export type Block = HtmlBlock | CodeBlock;

export interface HtmlBlock {
  readonly kind: "html";
  /** The block's place among the blocks. */
  readonly key: number;
  readonly html: string;
}

export interface CodeBlock {
  readonly kind: "code";
  readonly key: number;
  /** The word after the opening fence; empty where there is none. */
  readonly language: string;
  readonly code: string;
  /** False while more of it can come. */
  readonly closed: boolean;
}

/**
 * A longer paragraph, in characters, is cut where a word begins. Nobody writes one, but a program that runs away
 * does, and each delta would parse and lay out all of it anew.
 */
export const LONGEST_PARAGRAPH = 10_000;

type Env = Record<string, unknown>;

const md = new MarkdownIt({ html: false, linkify: true, typographer: false });
// Without a scheme it is more often a file than a site: `main.rs`, `setup.py`, `build.sh`.
md.linkify.set({ fuzzyLink: false, fuzzyEmail: false });
md.renderer.rules["fence"] = (tokens, index) => {
  const token = tokens[index]!;
  return codeHtml(token.content, languageOf(token));
};
md.renderer.rules["code_block"] = (tokens, index) => codeHtml(tokens[index]!.content, "");
// A picture would be fetched from wherever the text says; its link is shown instead.
md.renderer.rules["image"] = (tokens, index) => {
  const token = tokens[index]!;
  const source = md.utils.escapeHtml(String(token.attrGet("src") ?? ""));
  const words = md.utils.escapeHtml(token.content || "image");
  return `<a href="${source}">${words}</a>`;
};
md.renderer.rules["table_open"] = () => '<div class="table"><table>\n';
md.renderer.rules["table_close"] = () => "</table></div>\n";

/** The blocks of a text that does not change any more, its paragraphs uncut. */
export function parseWhole(text: string): Block[] {
  return blocksOf(text, 0, true, {});
}

/**
 * The blocks of a text that grows at its end.
 *
 * A block is final once a line that is complete belongs to the next one: Markdown reads line by line and a closed
 * block never opens again. Two things would break that, and both make the whole text be parsed each time: a
 * link's definition, which reaches back to earlier blocks, and a text that does not begin with the one before.
 */
export class GrowingMarkdown {
  #text = "";
  #done = false;
  #blocks: Block[] = [];
  // Where the first block begins that is not final, in characters, and how many blocks are.
  #settledTo = 0;
  #settled = 0;
  // The end of the complete lines that have been looked at already.
  #seenTo = 0;

  /** The blocks of `text`; `done` says that no more will come. */
  update(text: string, done: boolean): readonly Block[] {
    if (text === this.#text && done === this.#done) return this.#blocks;
    if (!text.startsWith(this.#text)) this.#forget();
    this.#text = text;
    this.#done = done;
    if (hasDefinition(text)) {
      this.#forget();
      this.#blocks = kept(this.#blocks, blocksOf(text, 0, done, {}));
      return this.#blocks;
    }
    this.#cut();
    this.#settle();
    this.#cut();
    const tail = blocksOf(text.slice(this.#settledTo), this.#settled, done, {});
    this.#blocks = kept(this.#blocks, [...this.#blocks.slice(0, this.#settled), ...tail]);
    return this.#blocks;
  }

  #forget(): void {
    this.#settledTo = 0;
    this.#settled = 0;
    this.#seenTo = 0;
  }

  // Makes a block of the beginning of a paragraph that has grown too long, and again while it still is.
  #cut(): void {
    for (;;) {
      const head = this.#text.slice(this.#settledTo, this.#settledTo + LONGEST_PARAGRAPH + 1);
      const length = cutAt(head);
      if (length === 0) return;
      const [top] = topLevel(md.parse(head.slice(0, length), {}));
      if (top === undefined) return;
      this.#add([toBlock(top, this.#settled, true, {})], length);
    }
  }

  #add(blocks: Block[], length: number): void {
    this.#blocks = kept(this.#blocks, [...this.#blocks.slice(0, this.#settled), ...blocks]);
    this.#settled += blocks.length;
    this.#settledTo += length;
  }

  #settle(): void {
    const complete = this.#text.lastIndexOf("\n") + 1;
    if (complete <= this.#seenTo) return;
    this.#seenTo = complete;
    const lines = this.#text.slice(this.#settledTo, complete);
    const tops = topLevel(md.parse(lines, {}));
    const last = tops.at(-1);
    if (tops.length < 2 || last === undefined) return;
    const settled = tops.slice(0, -1).map((top, index) => toBlock(top, this.#settled + index, true, {}));
    this.#add(settled, lineStart(lines, last.line));
  }
}

interface TopLevel {
  tokens: Token[];
  /** The first line, and the one after the last. */
  line: number;
  end: number;
}

// How much of a text that is one endless paragraph becomes a block of its own; 0 where it is short, or none.
function cutAt(head: string): number {
  if (head.length <= LONGEST_PARAGRAPH) return 0;
  const tops = topLevel(md.parse(head, {}));
  if (tops.length !== 1 || tops[0]?.tokens[0]?.type !== "paragraph_open") return 0;
  // Only before a letter: anything else might become a list, a heading or a rule of its own.
  for (let at = LONGEST_PARAGRAPH; at > LONGEST_PARAGRAPH / 2; at--) {
    if (/\s/.test(head[at - 1] ?? "") && /\p{L}/u.test(head[at] ?? "")) return at;
  }
  return 0;
}

function blocksOf(text: string, firstKey: number, done: boolean, env: Env): Block[] {
  const tops = topLevel(md.parse(text, env));
  return tops.map((top, index) => {
    const closed = done || index < tops.length - 1 || isClosedFence(text, top);
    return toBlock(top, firstKey + index, closed, env);
  });
}

function topLevel(tokens: Token[]): TopLevel[] {
  const tops: TopLevel[] = [];
  let depth = 0;
  for (const token of tokens) {
    if (depth === 0) tops.push({ tokens: [], line: token.map?.[0] ?? 0, end: token.map?.[1] ?? 0 });
    tops.at(-1)?.tokens.push(token);
    depth += token.nesting;
  }
  return tops;
}

function toBlock(top: TopLevel, key: number, closed: boolean, env: Env): Block {
  const [first] = top.tokens;
  if (first?.type === "fence" || first?.type === "code_block") {
    const code = first.content.replace(/\n$/, "");
    return { kind: "code", key, language: languageOf(first), code, closed };
  }
  return { kind: "html", key, html: md.renderer.render(top.tokens, md.options, env) };
}

// An unchanged block keeps its object, so that its component is not touched.
function kept(before: readonly Block[], after: readonly Block[]): Block[] {
  return after.map((block, index) => {
    const old = before[index];
    return old !== undefined && isSame(old, block) ? old : block;
  });
}

function isSame(a: Block, b: Block): boolean {
  if (a === b) return true;
  if (a.key !== b.key) return false;
  if (a.kind === "html") return b.kind === "html" && a.html === b.html;
  return b.kind === "code" && a.closed === b.closed && a.language === b.language && a.code === b.code;
}

// More than is needed matches, such as one inside a fence; that costs time and nothing else.
function hasDefinition(text: string): boolean {
  return text.includes("]:") && /^[\s>*+\-\d.)]*\[[^\]]*\]:/m.test(text);
}

function isClosedFence(text: string, top: TopLevel): boolean {
  const [first] = top.tokens;
  if (first?.type !== "fence") return false;
  const lines = text.split("\n").slice(top.line, top.end);
  const last = lines.length > 1 ? (lines.at(-1) ?? "").trim() : "";
  const mark = first.markup[0] ?? "`";
  return last.length >= first.markup.length && last.split("").every((char) => char === mark);
}

function lineStart(text: string, line: number): number {
  let start = 0;
  for (let passed = 0; passed < line; passed++) start = text.indexOf("\n", start) + 1;
  return start;
}

function languageOf(fence: Token): string {
  return (fence.info.trim().split(/\s+/)[0] ?? "").toLowerCase();
}

function codeHtml(code: string, language: string): string {
  const name = md.utils.escapeHtml(language);
  return `<pre class="nested-code" data-language="${name}"><code>${md.utils.escapeHtml(code)}</code></pre>\n`;
}
