//! The texts that the stand-in answers with: data alone.

/// A rich answer: headings, lists, a table, a quotation, and code in three languages.
pub(super) const RICH: &str = r#"# A tour of what an answer can hold

Plain text with **bold**, *italic*, ~~struck~~ and `inline code`, and a [link](https://example.com/docs) to follow.

## Lists

1. First, read the failing test.
2. Then find out *why* it fails:
   - the input is empty
   - or the clock went backwards
3. At last, mend the cause.

- [x] reproduce it
- [ ] write the regression test

## A table

| state | meaning | what a click does |
|:------|:-------:|------------------:|
| off | the agent runs on the host | starts the container |
| running | the agent runs in the container | stops the container |
| error | something failed | tries again |

> A quotation, over
> two lines.

## Code

```rust
/// Adds up what is there, and nothing else.
fn sum(values: &[u64]) -> u64 {
    values.iter().sum()
}
```

```typescript
export const sum = (values: readonly number[]): number =>
  values.reduce((total, value) => total + value, 0);
```

```bash
set -euo pipefail
for file in *.txt; do
  printf '%s\n' "$file"
done
```

---

That is all.
"#;

/// What a person says in plain words, and what follows: for the picture of the app that people see first.
pub(super) struct Scene {
    pub(super) question: &'static str,
    /// The tools that are called, one after the other.
    pub(super) calls: &'static [Call],
    pub(super) answer: &'static str,
}

/// A tool call of a scene.
pub(super) enum Call {
    Read { path: &'static str },
    Edit { path: &'static str, old: &'static str, new: &'static str },
    Bash { command: &'static str },
}

/// A conversation about a small project; the paths are those of a container.
pub(super) const SCENES: [Scene; 1] = [Scene {
    question: "The checkout shows NaN for an empty basket. Please mend it, and run the tests.",
    calls: &[
        Call::Read { path: "/workspace/src/order.js" },
        Call::Edit {
            path: "/workspace/src/order.js",
            old: "  return sum / items.length;",
            new: "  return items.length === 0 ? 0 : sum / items.length;",
        },
        Call::Bash { command: "npm test" },
    ],
    answer: r#"An empty basket costs nothing now, and all **3 tests** pass. Shall I add this one, to keep it so?

```js
test("an empty basket costs nothing", () => {
  assert.equal(average([]), 0);
});
```
"#,
}];

/// What is said when nothing was scripted.
pub(super) fn friendly(said: &str) -> String {
    let quoted: Vec<String> = said.lines().take(8).map(|line| format!("> {line}")).collect();
    format!(
        "You said:\n\n{}\n\nThis is a **demo** with a stand-in model, so I cannot think about that. Some things that I \
         can do:\n\n- `say: TEXT` repeats the text\n- `bash: COMMAND` runs a command\n- `write: PATH TEXT` makes a file\n\
         - `slow: 50` talks slowly\n- `md:` shows a long answer\n",
        quoted.join("\n")
    )
}
