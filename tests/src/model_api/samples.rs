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

/// A conversation in plain words, for the picture of the app that people see first: what the user says, the command
/// that the agent runs then, and its answer.
pub(super) const SCENE: [(&str, &str, &str); 2] = [
    (
        "What does an order with an empty basket cost?",
        "grep -n 'fn ' src/order.rs",
        "Nothing, and that is the bug: `total` divides by the number of items, so an empty basket **panics**.\n",
    ),
    (
        "Please mend it, and run the tests in the container.",
        "./run-tests",
        r"Both are done. An empty basket now leaves early:

```rust
pub fn total(items: &[Item], discount: u64) -> u64 {
    if items.is_empty() { return 0; }
    let sum: u64 = items.iter().map(|item| item.price).sum();
    sum - discount / items.len() as u64
}
```

- `an_empty_basket_costs_nothing` is new, and failed before the change
- the other **14 tests** pass as they did

The same division stands in `invoice.rs`. There an empty list cannot come in today, because the caller checks it.
",
    ),
];

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
