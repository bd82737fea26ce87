// What the splitter promises: however a text arrives, the blocks are those of the whole text, and finished blocks
// are not touched again.
import { describe, expect, it } from "vitest";

import { MARKDOWN, REPLY } from "../host/fake/texts";
import { GrowingMarkdown, LONGEST_PARAGRAPH, parseWhole, type Block } from "./markdown";

const TEXTS: Record<string, string> = {
  empty: "",
  "one line": "Hello.",
  paragraphs: "One.\n\nTwo\nstill two.\n\n\nThree.\n",
  headings: "# A\nText\n## B ##\nUnder\n===\nmore\n---\n#not a heading\n",
  "setext that becomes a list": "para\n- item\n- item 2\n\nnext",
  rules: "a\n\n---\n\nb\n***\nc",
  lists: "- a\n- b\n\n  deep\n\n- c\n* other\n\n3. three\n4. four\n\nafter",
  "loose after tight": "- a\n- b\n\n- c\n\npara",
  "code in a list": "1. one\n\n   ```js\n   x();\n   ```\n\n2. two\n",
  fences: "before\n```rust\nfn a() {}\n\n# not a heading\n```\nafter\n~~~\nx\n~~~~\nend",
  "an open fence": "text\n\n```py\nprint(1)\n",
  "a fence in a fence": "````md\n```js\n1\n```\n````\nafter",
  "indented code": "para\n\n    code\n\n    more\n\npara",
  quotes: "> a\n> b\nlazy\n\n> c\n\nd",
  "a table": "x\na | b\n--|--\n1 | 2\n3 | 4\n\nafter",
  "a table that is none": "x\na | b\n--|--x\n1 | 2\n",
  "tables after text": "| a | b |\n|---|:-:|\n| 1 | 2 |\ntext\n",
  html: "<div>\n\n<script>alert(1)</script>\n\n<b>x</b>",
  "a reference":
    "See [a] and [b].\n\nMore.\n\n[a]: https://example.com/a\n[b]: <https://example.com/b> 'B'\n\nEnd [a].",
  "a reference with a late title": '[a]: /x\n"late\ntitle"\n\n[a]\n',
  "brackets that are none": "const x: [a]: number\n\nlist[1]:\n\n[x] y",
  "carriage returns": "a\r\n\r\nb\r\nc\r\n",
  emoji: "Grüße 👩‍👩‍👧 **fett**\n\n✅ done\n",
  markdown: MARKDOWN,
  reply: REPLY,
};

describe("blocks of a growing text", () => {
  it.each(Object.entries(TEXTS))("are those of the whole text: %s", (_, text) => {
    const random = numbers(text.length + 1);
    for (let round = 0; round < 40; round++) {
      const growing = new GrowingMarkdown();
      for (const end of cuts(text.length, random)) {
        const shown = growing.update(text.slice(0, end), false);
        expect(withoutClosed(shown), `after ${end} characters`).toEqual(
          withoutClosed(parseWhole(text.slice(0, end))),
        );
      }
      expect(growing.update(text, true)).toEqual(parseWhole(text));
    }
  });

  it("stay the same objects once they are finished", () => {
    const growing = new GrowingMarkdown();
    const [first, second] = growing.update("# One\n\nTwo.\n\nThree", false);
    const after = growing.update("# One\n\nTwo.\n\nThree and more\n\nFour", false);
    expect(after[0]).toBe(first);
    expect(after[1]).toBe(second);
    expect(after).toHaveLength(4);
  });

  it("are parsed anew where the text was replaced", () => {
    const growing = new GrowingMarkdown();
    growing.update("# One\n\nTwo.\n\nThree", false);
    expect(growing.update("Other", true)).toEqual(parseWhole("Other"));
  });

  it("reach back where a later line defines a link", () => {
    const growing = new GrowingMarkdown();
    growing.update("See [a].\n\nMore.\n\n", false);
    const [first] = growing.update("See [a].\n\nMore.\n\n[a]: https://example.com\n", true);
    expect(html(first)).toContain('href="https://example.com"');
  });
});

describe("a paragraph without end", () => {
  const words = Array.from({ length: 20_000 }, (_, at) => `w${at}`).join(" ");

  it("is cut, and no word is lost", () => {
    const growing = new GrowingMarkdown();
    for (let end = 0; end < words.length; end += 997) growing.update(words.slice(0, end), false);
    const blocks = growing.update(words, true);
    expect(blocks.length).toBeGreaterThan(words.length / LONGEST_PARAGRAPH);
    const shown = blocks.map((block) => html(block).replaceAll(/<[^>]*>/g, "")).join(" ");
    expect(shown.split(/\s+/).filter((word) => word !== "")).toEqual(words.split(" "));
  });

  it("costs as little at its end as at its beginning", () => {
    const growing = new GrowingMarkdown();
    growing.update(words, false);
    const before = growing.update(`${words} and`, false);
    const after = growing.update(`${words} and more`, false);
    expect(after.filter((block, at) => block !== before[at])).toHaveLength(1);
    expect(html(after.at(-1)).length).toBeLessThan(LONGEST_PARAGRAPH + 100);
  });

  it("is left whole where it is no paragraph: a list, a table, code", () => {
    const list = Array.from({ length: 3000 }, (_, at) => `- item ${at}`).join("\n");
    const code = `\`\`\`txt\n${words}\n\`\`\``;
    expect(new GrowingMarkdown().update(list, true)).toEqual(parseWhole(list));
    expect(new GrowingMarkdown().update(code, true)).toEqual(parseWhole(code));
  });
});

describe("a fence", () => {
  it.each([
    ["```js\n1", false],
    ["```js\n1\n", false],
    ["```js\n1\n``", false],
    ["```js\n1\n```", true],
    ["````js\n```\n", false],
    ["```js\n1\n```\n\nafter", true],
  ])("is closed only once its end is there: %j", (text, closed) => {
    const [block] = new GrowingMarkdown().update(text, false);
    expect(block).toMatchObject({ kind: "code", language: "js", closed });
  });

  it("is closed when no more will come", () => {
    expect(new GrowingMarkdown().update("```js\n1", true)[0]).toMatchObject({ closed: true, code: "1" });
  });
});

describe("what is not rendered", () => {
  it("is raw HTML: it is shown as text", () => {
    expect(html(parseWhole("<b>x</b>")[0])).toBe("<p>&lt;b&gt;x&lt;/b&gt;</p>\n");
  });

  it("is a picture: its link is shown, nothing is fetched", () => {
    const shown = html(parseWhole("![a cat](https://example.com/cat.png)")[0]);
    expect(shown).not.toContain("<img");
    expect(shown).toContain('<a href="https://example.com/cat.png">a cat</a>');
  });

  it("is a link to a script", () => {
    expect(html(parseWhole("[x](javascript:alert(1))")[0])).not.toContain("href");
  });

  it("is a file's name taken for a site", () => {
    expect(html(parseWhole("Look at main.rs and https://example.com.")[0])).toBe(
      '<p>Look at main.rs and <a href="https://example.com">https://example.com</a>.</p>\n',
    );
  });
});

function html(block: Block | undefined): string {
  if (block?.kind !== "html") throw new Error("not a block of prose");
  return block.html;
}

// Whether a fence is closed is a question of time, not of the text so far.
function withoutClosed(blocks: readonly Block[]): unknown[] {
  return blocks.map((block) => (block.kind === "code" ? { ...block, closed: null } : block));
}

// Rising places to cut a text at, the end included.
function cuts(length: number, random: () => number): number[] {
  const step = 1 + Math.floor(random() * 40);
  const ends: number[] = [];
  for (let end = 0; end < length; end += 1 + Math.floor(random() * step)) ends.push(end);
  return [...ends, length];
}

// A generator with a seed, so that a failure comes again.
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
