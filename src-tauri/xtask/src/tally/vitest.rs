//! Reads what vitest prints: its summary for the numbers, its `FAIL` lines for the names.

use super::{Reader, Tally};

/// Reads one run of vitest.
#[derive(Debug, Default)]
pub(crate) struct Vitest {
    tally: Tally,
}

impl Reader for Vitest {
    fn line(&mut self, line: &str) {
        let line = line.trim();
        if let Some(name) = line.strip_prefix("FAIL ") {
            let name = name.trim().to_owned();
            // A failed test is printed once more with its details.
            if !self.tally.failures.contains(&name) {
                self.tally.failures.push(name);
            }
        } else if let Some(counts) = line.strip_prefix("Tests ") {
            self.tally.passed = count(counts, "passed");
            self.tally.failed = count(counts, "failed");
            self.tally.skipped = count(counts, "skipped") + count(counts, "todo");
        }
    }

    fn finish(mut self: Box<Self>, _rest: &str) -> Tally {
        // A file that could not even be loaded has a `FAIL` line, but no test in the summary.
        self.tally.failed = self.tally.failed.max(self.tally.failures.len());
        if self.tally.skipped > 0 {
            self.tally.skips = vec![format!("{} marked as skipped or to do in the source", self.tally.skipped)];
        }
        self.tally
    }
}

/// `1 failed | 20 passed | 2 skipped (23)`
fn count(counts: &str, word: &str) -> usize {
    let counts = counts.split('(').next().unwrap_or_default();
    let number = |part: &str| part.trim().strip_suffix(word)?.trim().parse().ok();
    counts.split('|').find_map(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &str, expected: (usize, usize, usize), failures: &[&str]) {
        let mut reader = Box::<Vitest>::default();
        output.lines().for_each(|line| reader.line(line));
        let tally = reader.finish("");
        assert_eq!((tally.passed, tally.failed, tally.skipped), expected, "counts of:\n{output}");
        assert_eq!(tally.failures, failures, "failures of:\n{output}");
    }

    #[test]
    fn the_summary_is_read() {
        check(" Test Files  3 passed (3)\n      Tests  20 passed (20)\n   Start at  10:00:00\n", (20, 0, 0), &[]);
        check(" Test Files  no tests\n      Tests  no tests\n", (0, 0, 0), &[]);
    }

    #[test]
    fn failures_are_named_once() {
        let output = " FAIL  src/a.test.ts > tabs > close\n FAIL  src/a.test.ts > tabs > close\n\
             Test Files  1 failed | 2 passed (3)\n      Tests  1 failed | 19 passed | 2 skipped | 1 todo (23)\n";
        check(output, (19, 1, 3), &["src/a.test.ts > tabs > close"]);
    }

    #[test]
    fn a_file_that_does_not_load_counts_as_failed() {
        let output = " FAIL  src/a.test.ts [ src/a.test.ts ]\n Test Files  1 failed (1)\n      Tests  no tests\n";
        check(output, (0, 1, 0), &["src/a.test.ts [ src/a.test.ts ]"]);
    }
}
