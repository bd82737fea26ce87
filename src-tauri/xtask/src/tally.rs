//! What the test programs said, in numbers and names, and the table made of it. Reads words only: it runs nothing.

use std::fmt::Write;

mod libtest;
mod vitest;

pub(crate) use libtest::Libtest;
pub(crate) use vitest::Vitest;

/// Counted results of one suite, or of a part of one.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    /// What failed, by name; at least one line where `failed` is not 0.
    pub(crate) failures: Vec<String>,
    /// What was skipped, each with its reason.
    pub(crate) skips: Vec<String>,
}

impl Tally {
    pub(crate) fn one_passed() -> Self {
        Self { passed: 1, ..Self::default() }
    }

    pub(crate) fn one_failed(name: impl Into<String>) -> Self {
        Self { failed: 1, failures: vec![name.into()], ..Self::default() }
    }

    pub(crate) fn one_skipped(why: impl Into<String>) -> Self {
        Self { skipped: 1, skips: vec![why.into()], ..Self::default() }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.failures.extend(other.failures);
        self.skips.extend(other.skips);
    }

    /// Counts tests as skipped that were counted as passed; not more than there are.
    fn take_back(&mut self, mut skips: Vec<String>) {
        skips.truncate(self.passed);
        self.passed -= skips.len();
        self.skipped += skips.len();
        self.skips.extend(skips);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.passed + self.failed + self.skipped == 0
    }
}

/// Reads a test program's output, piece by piece, and tallies it at the end.
pub(crate) trait Reader {
    /// One whole line, without its end and without colours.
    fn line(&mut self, line: &str);
    /// The output is over. `rest` is a last line that was never ended.
    fn finish(self: Box<Self>, rest: &str) -> Tally;
}

/// Cuts pieces of output into lines for a [`Reader`].
pub(crate) struct Lines {
    reader: Box<dyn Reader>,
    open: Vec<u8>,
}

impl Lines {
    pub(crate) fn new(reader: Box<dyn Reader>) -> Self {
        Self { reader, open: Vec::new() }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                let line = plain(&self.open);
                self.reader.line(line.trim_end_matches('\r'));
                self.open.clear();
            } else {
                self.open.push(byte);
            }
        }
    }

    pub(crate) fn finish(self) -> Tally {
        self.reader.finish(&plain(&self.open))
    }
}

/// A suite's line in the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) suite: &'static str,
    pub(crate) tally: Tally,
    pub(crate) seconds: f64,
}

/// The table, what was skipped and why, what failed, and as its last line the sum that others read.
pub(crate) fn report(rows: &[Row]) -> String {
    let mut text = format!("\n{:<10}{:>8}{:>8}{:>9}{:>10}\n", "suite", "passed", "failed", "skipped", "seconds");
    let mut sum = Tally::default();
    for Row { suite, tally, seconds } in rows {
        // Writing to a String cannot fail.
        let (passed, failed, skipped) = (tally.passed, tally.failed, tally.skipped);
        let _ = writeln!(text, "{suite:<10}{passed:>8}{failed:>8}{skipped:>9}{seconds:>10.1}");
        sum.add(tally.clone());
    }
    for (title, names) in [("skipped", names(rows, |tally| &tally.skips)), ("failed", names(rows, |t| &t.failures))] {
        if !names.is_empty() {
            let _ = writeln!(text, "\n{title}:\n  {}", names.join("\n  "));
        }
    }
    if is_failure(rows) && sum.failed == 0 {
        text.push_str("\nnothing ran: no test passed or failed\n");
    }
    let _ = writeln!(text, "\n{} passed, {} failed, {} skipped", sum.passed, sum.failed, sum.skipped);
    text
}

/// True if a test failed, or if none ran at all.
pub(crate) fn is_failure(rows: &[Row]) -> bool {
    rows.iter().any(|row| row.tally.failed > 0) || rows.iter().all(|row| row.tally.passed == 0)
}

fn names(rows: &[Row], of: impl Fn(&Tally) -> &Vec<String>) -> Vec<String> {
    rows.iter().flat_map(|row| of(&row.tally).iter().map(|name| format!("{}: {name}", row.suite))).collect()
}

/// The text without terminal colours (`ESC [ … letter`).
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(char) = rest.next() {
        if char == '\u{1b}' {
            rest.by_ref().take(64).find(char::is_ascii_alphabetic);
        } else {
            plain.push(char);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(suite: &'static str, tally: Tally) -> Row {
        Row { suite, tally, seconds: 1.25 }
    }

    #[test]
    fn the_last_line_is_the_sum() {
        let mut core = Tally { passed: 7, ..Tally::default() };
        core.add(Tally::one_failed("agent::answers"));
        let rows = [row("core", core), row("cli", Tally::one_skipped("no tests yet"))];
        let text = report(&rows);
        assert_eq!(text.lines().last(), Some("7 passed, 1 failed, 1 skipped"));
        assert!(text.contains("\n  core: agent::answers\n"), "what failed is named again: {text}");
        assert!(text.contains("\n  cli: no tests yet\n"), "a skipped suite says why: {text}");
        assert!(is_failure(&rows), "one failed test fails the run");
    }

    #[test]
    fn a_run_in_which_nothing_ran_has_failed() {
        let rows = [row("cli", Tally::one_skipped("no tests yet"))];
        assert!(is_failure(&rows), "skipping everything is not success");
        assert!(report(&rows).contains("nothing ran"), "and it says so");
        assert!(is_failure(&[]), "nor is an empty run");
        assert!(!is_failure(&[row("lint", Tally::one_passed())]), "one passed test is a run");
    }

    #[test]
    fn pieces_are_put_together_to_lines_without_colours() {
        struct Said(Vec<String>);
        impl Reader for Said {
            fn line(&mut self, line: &str) {
                self.0.push(line.to_owned());
            }
            fn finish(self: Box<Self>, rest: &str) -> Tally {
                Tally { skips: self.0, failures: vec![rest.to_owned()], ..Tally::default() }
            }
        }
        let mut lines = Lines::new(Box::new(Said(Vec::new())));
        for piece in ["\u{1b}[1", "mone\u{1b}[0m\r\n\nt", "w\u{c3}\u{a9}", "o\nrest"] {
            lines.push(piece.as_bytes());
        }
        let tally = lines.finish();
        assert_eq!(tally.skips, ["one", "", "tw\u{c3}\u{a9}o"]);
        assert_eq!(tally.failures, ["rest"]);
    }
}
