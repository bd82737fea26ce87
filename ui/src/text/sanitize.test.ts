// The second lock: what reaches the document even if the parser let something through.
import { describe, expect, it } from "vitest";

import { parseWhole } from "./markdown";
import { isOpenable, sanitize } from "./sanitize";

describe("sanitising", () => {
  it.each([
    ["<script>alert(1)</script><p>x</p>", "<p>x</p>"],
    ['<p onclick="alert(1)">x</p>', "<p>x</p>"],
    ['<a href="javascript:alert(1)">x</a>', "<a>x</a>"],
    ['<a href="JaVaScRiPt:alert(1)">x</a>', "<a>x</a>"],
    ['<a href="data:text/html,<script>">x</a>', "<a>x</a>"],
    ['<a href="file:///etc/passwd">x</a>', "<a>x</a>"],
    ['<a href="src/main.rs">x</a>', "<a>x</a>"],
    ['<img src="x" onerror="alert(1)">', ""],
    ['<iframe src="https://example.com"></iframe>', ""],
    ["<style>p{display:none}</style><p>x</p>", "<p>x</p>"],
    ['<p style="position:fixed">x</p>', "<p>x</p>"],
    ['<form><input name="x"></form>', ""],
    ["<svg><script>alert(1)</script></svg>", ""],
  ])("takes the harm out of %s", (dirty, clean) => {
    expect(sanitize(dirty)).toBe(clean);
  });

  it.each([
    '<a href="https://example.com/a?b=c">x</a>',
    '<a href="mailto:a@example.com">x</a>',
    '<ol start="3">\n<li>x</li>\n</ol>',
    '<pre class="nested-code" data-language="rust"><code>x</code></pre>',
    '<span class="hljs-keyword">fn</span>',
    '<table><thead><tr><th style="text-align:right">x</th></tr></thead></table>',
  ])("leaves %s as it is", (html) => {
    expect(sanitize(html)).toBe(html);
  });

  it("leaves what the parser makes of ordinary text as it is", () => {
    const text = "3. a **b** `c`\n\n| a |\n|--:|\n| 1 |\n\n> q\n\n- x\n\n  ```js\n  1\n  ```";
    const prose = parseWhole(text).flatMap((block) => (block.kind === "html" ? [block.html] : []));
    expect(prose).toHaveLength(4);
    expect(prose.map(sanitize)).toEqual(prose);
  });
});

describe("an address", () => {
  it.each([
    ["https://example.com", true],
    ["http://localhost:3000", true],
    ["mailto:a@example.com", true],
    ["javascript:alert(1)", false],
    ["file:///etc/passwd", false],
    ["/etc/passwd", false],
    ["", false],
  ])("%s may be opened: %s", (url, openable) => {
    expect(isOpenable(url)).toBe(openable);
  });
});
