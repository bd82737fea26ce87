//! Reads what Rust's test programs print. Totals are taken from each program's own `test result:` line; where a program
//! died before it, from the lines of its tests, and the death is a failure with a name. A test that skips itself passes
//! as far as libtest knows, and is told apart by the line it says so with.

use super::{Reader, Tally};

/// How a test says that it skips itself, with its name and the reason behind; `tests/src/needs.rs` has the same.
const SKIPPED: &str = "skipped by itself: ";

/// Reads the output of `cargo test`, which holds that of any number of test programs, one after another.
#[derive(Debug, Default)]
pub(crate) struct Libtest {
    tally: Tally,
    program: Option<Program>,
    /// Inside a list of names under `failures:`.
    listing: bool,
}

/// A test program that has said `running N tests` and not yet its result.
#[derive(Debug, Default)]
struct Program {
    announced: usize,
    seen: Tally,
    listed: Vec<String>,
    /// Tests that skipped themselves, each with its reason.
    skipped: Vec<String>,
}

impl Reader for Libtest {
    fn line(&mut self, line: &str) {
        if let Some(announced) = announced(line) {
            self.close_dead("");
            self.program = Some(Program { announced, ..Program::default() });
        } else if let Some((passed, failed, ignored)) = result(line) {
            let program = self.program.take().unwrap_or_default();
            let named = if program.listed.is_empty() { program.seen.failures } else { program.listed };
            self.tally.add(Tally { passed, failed, skipped: ignored, failures: named, skips: program.seen.skips });
            self.tally.take_back(program.skipped);
            self.listing = false;
        } else if let Some(program) = &mut self.program {
            if let Some(skip) = line.strip_prefix(SKIPPED) {
                program.skipped.push(skip.to_owned());
            } else if line == "failures:" {
                self.listing = true;
                program.listed.clear();
            } else if let Some(name) = line.strip_prefix("    ").filter(|_| self.listing) {
                program.listed.push(name.trim().to_owned());
            } else {
                self.listing &= line.is_empty();
                program.see(line);
            }
        }
    }

    fn finish(mut self: Box<Self>, rest: &str) -> Tally {
        self.close_dead(rest);
        self.tally
    }
}

impl Libtest {
    fn close_dead(&mut self, rest: &str) {
        let Some(Program { announced, seen, skipped, .. }) = self.program.take() else { return };
        let ended = seen.passed + seen.failed + seen.skipped;
        // With one test at a time its name stands on the line that was never ended.
        let during = rest.strip_prefix("test ").and_then(|rest| rest.split(" ... ").next());
        let during = during.map(|name| format!(" during {name}")).unwrap_or_default();
        self.tally.add(seen);
        self.tally.take_back(skipped);
        let named = format!("a test program died or was ended{during}, {ended} of its {announced} tests done");
        self.tally.add(Tally::one_failed(named));
    }
}

impl Program {
    /// `test NAME ... ok`, `FAILED`, `ignored` or `ignored, REASON`.
    fn see(&mut self, line: &str) {
        let Some((name, how)) = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ")) else { return };
        if how == "ok" || how.starts_with("ok <") {
            self.seen.passed += 1;
        } else if how.starts_with("FAILED") {
            self.seen.failed += 1;
            self.seen.failures.push(name.to_owned());
        } else if let Some(why) = how.strip_prefix("ignored") {
            self.seen.skipped += 1;
            let why = why.strip_prefix(", ").unwrap_or("ignored without a reason");
            self.seen.skips.push(format!("{name}: {why}"));
        }
    }
}

fn announced(line: &str) -> Option<usize> {
    let (count, what) = line.strip_prefix("running ")?.split_once(' ')?;
    matches!(what, "test" | "tests").then(|| count.parse().ok()).flatten()
}

fn result(line: &str) -> Option<(usize, usize, usize)> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |word: &str| {
        counts.split("; ").find_map(|part| part.strip_suffix(word)?.strip_suffix(' ')?.parse::<usize>().ok())
    };
    Some((count("passed")?, count("failed")?, count("ignored")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &str, expected: (usize, usize, usize), failures: &[&str], skips: &[&str]) {
        let mut reader = Box::<Libtest>::default();
        let (whole, rest) = output.rsplit_once('\n').unwrap_or(("", output));
        whole.lines().for_each(|line| reader.line(line));
        let tally = reader.finish(rest);
        assert_eq!((tally.passed, tally.failed, tally.skipped), expected, "counts of:\n{output}");
        assert_eq!(tally.failures, failures, "failures of:\n{output}");
        assert_eq!(tally.skips, skips, "skips of:\n{output}");
    }

    #[test]
    fn programs_are_added_up() {
        let output = "\nrunning 2 tests\ntest a::b ... ok\ntest a::c - should panic ... ok\n\n\
            test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\n\
            \nrunning 0 tests\n\n\
            test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\n\
            \nrunning 1 test\ntest d ... ignored, needs a camera\n\n\
            test result: ok. 0 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.00s\n\n";
        check(output, (2, 0, 1), &[], &["d: needs a camera"]);
    }

    #[test]
    fn failed_tests_are_named_by_the_programs_own_list() {
        // A test that prints past the capture spoils its own line, but not the list at the end.
        let output = "running 3 tests\ntest one ... noise\nFAILED\ntest two ... FAILED\ntest three ... ok\n\nfailures:\n\n\
            ---- one stdout ----\n    indented noise\nfailures:\nthread 'one' panicked\n\n---- two stdout ----\nx\n\n\
            failures:\n    one\n    two\n\n\
            test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s\n\n";
        check(output, (1, 2, 0), &["one", "two"], &[]);
    }

    #[test]
    fn a_program_that_died_is_a_failure() {
        let output = "running 4 tests\ntest one ... ok\ntest two ... FAILED\ntest three ... ";
        let died = "a test program died or was ended during three, 2 of its 4 tests done";
        check(output, (1, 2, 0), &["two", died], &[]);
        let followed = "running 1 test\n\nrunning 1 test\ntest x ... ok\n\n\
            test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        check(followed, (1, 1, 0), &["a test program died or was ended, 0 of its 1 tests done"], &[]);
    }

    #[test]
    fn a_test_that_skips_itself_has_not_passed() {
        // As libtest prints it with one test at a time, and with several.
        let output = "\nrunning 3 tests\ntest one ... \nskipped by itself: one: needs root, because x\nok\n\
            test two ... ok\n\nskipped by itself: three: needs root, because y\ntest three ... ok\n\n\
            test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        check(output, (1, 0, 2), &[], &["one: needs root, because x", "three: needs root, because y"]);
        // Nobody counts below nothing, whatever is said.
        let output = "running 1 test\nskipped by itself: one: x\ntest one ... FAILED\n\nfailures:\n    one\n\n\
            test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        check(output, (0, 1, 0), &["one"], &[]);
    }

    #[test]
    fn the_tests_say_it_in_these_words() {
        let needs = include_str!("../../../../tests/src/needs.rs");
        assert!(needs.contains(&format!("{SKIPPED:?}")), "another mark would be counted as a test that passed");
    }

    #[test]
    fn other_words_are_not_results() {
        check("running late\ntest result: unclear\nrunning 3 miles\ntest x ... ok\n", (0, 0, 0), &[], &[]);
    }
}
