//! One step of a suite: a check that holds or does not, or test programs whose results are counted. Compiling is a part
//! of its own, so that a deadline is about tests and not about the machine.

use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use super::set_environment;
use crate::spawn;
use crate::tally::{Libtest, Lines, Reader, Tally, Vitest};
use crate::tree::Tree;
use crate::trouble::Trouble;

/// What a first build from nothing may take on a slow machine.
const COMPILING: Duration = Duration::from_mins(90);

/// A step that is not run yet.
#[derive(Debug)]
pub(super) struct Step {
    name: String,
    program: fn() -> Command,
    words: Vec<String>,
    kind: Kind,
    in_ui: bool,
    environment: Vec<(&'static str, &'static str)>,
    /// Why it cannot run on this machine, where that is so.
    obstacle: fn() -> Option<String>,
    /// What it leaves out wherever it runs, and why.
    left_out: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Counts as one test.
    Check,
    /// `cargo test`, compiled first; `own` words at the end are for the test programs.
    Libtest {
        own: usize,
    },
    Vitest,
    /// There is nothing to run; the name says why.
    Nothing,
}

impl Step {
    pub(super) fn check(name: &str, program: fn() -> Command, words: &[&str]) -> Self {
        Self::new(name.to_owned(), program, words, Kind::Check)
    }

    /// `cargo test --release SELECTION -- OWN`
    pub(super) fn cargo_test(selection: &[&str], own: &[&str]) -> Self {
        let words: Vec<_> = ["test", "--release"].iter().chain(selection).chain(own).copied().collect();
        let name = format!("cargo test {}", selection.join(" "));
        Self::new(name, spawn::cargo, &words, Kind::Libtest { own: own.len() })
    }

    /// The programs found for a suite under `tests/tests`; where there is none yet, a step that says so.
    pub(super) fn found(suite: &str, programs: &[String], own: &[&str]) -> Self {
        if programs.is_empty() {
            let wanted = if suite == "lint" { "tidy.rs".to_owned() } else { format!("{suite}_*.rs") };
            let why = format!("no tests yet: no file tests/tests/{wanted}");
            return Self::new(why, spawn::cargo, &[], Kind::Nothing);
        }
        let mut selection = vec!["-p", "tests"];
        selection.extend(programs.iter().flat_map(|program| ["--test", program.as_str()]));
        Self::cargo_test(&selection, own)
    }

    pub(super) fn vitest() -> Self {
        Self::new("npm test".into(), spawn::npm, &["test"], Kind::Vitest).in_ui()
    }

    /// Runs in the page's folder, where npm finds its package.
    pub(super) fn in_ui(mut self) -> Self {
        self.in_ui = true;
        self
    }

    /// A variable that its programs see, which its name then tells.
    pub(super) fn with(mut self, variable: &'static str, value: &'static str) -> Self {
        self.name = format!("{} ({variable}={value})", self.name);
        self.environment.push((variable, value));
        self
    }

    /// Is skipped where `obstacle` says why it cannot run here.
    pub(super) fn unless(mut self, obstacle: fn() -> Option<String>) -> Self {
        self.obstacle = obstacle;
        self
    }

    /// Counts these, each with its reason, as skipped: what it is made of leaves them out.
    pub(super) fn leaving_out(mut self, left_out: Vec<String>) -> Self {
        self.left_out = left_out;
        self
    }

    pub(super) fn runs_something(&self) -> bool {
        self.kind != Kind::Nothing
    }

    /// Runs it until `deadline`. Answers its results, and how long it was compiling, which the deadline is extended by.
    pub(super) fn run(&self, tree: &Tree, deadline: Instant) -> (Tally, Duration) {
        println!("\n== {}", self.name);
        if let Some(why) = (self.obstacle)() {
            return (Tally::one_skipped(why), Duration::ZERO);
        }
        let outcome = match self.kind {
            Kind::Nothing => return (Tally::one_skipped(&self.name), Duration::ZERO),
            Kind::Check => return (self.checked(tree), Duration::ZERO),
            Kind::Vitest => {
                self.counted(tree, Box::<Vitest>::default(), &self.words, deadline).map(|tally| (tally, Duration::ZERO))
            }
            Kind::Libtest { own } => self.compiled_and_counted(tree, own, deadline),
        };
        let (mut tally, compiling) = outcome.unwrap_or_else(|trouble| {
            println!("{trouble}");
            (Tally::one_failed(format!("{}: {trouble}", self.name)), Duration::ZERO)
        });
        self.left_out.iter().for_each(|one| tally.add(Tally::one_skipped(one)));
        (tally, compiling)
    }

    fn new(name: String, program: fn() -> Command, words: &[&str], kind: Kind) -> Self {
        let words = words.iter().map(ToString::to_string).collect();
        Self {
            name,
            program,
            words,
            kind,
            in_ui: false,
            environment: Vec::new(),
            obstacle: || None,
            left_out: Vec::new(),
        }
    }

    fn command(&self, tree: &Tree, words: &[String]) -> Command {
        let mut command = (self.program)();
        command.args(words).current_dir(if self.in_ui { tree.ui() } else { tree.root.clone() });
        set_environment(tree, &mut command);
        command.envs(self.environment.iter().copied());
        command
    }

    fn checked(&self, tree: &Tree) -> Tally {
        // A check compiles, so it has a compiler's time.
        match spawn::supervise(&mut self.command(tree, &self.words), COMPILING, pass_on) {
            Ok(ended) if ended.status.success() && !ended.left_behind => Tally::one_passed(),
            Ok(ended) => Tally::one_failed(format!("{} ({})", self.name, how(&ended))),
            Err(trouble) => Tally::one_failed(format!("{}: {trouble}", self.name)),
        }
    }

    fn compiled_and_counted(&self, tree: &Tree, own: usize, deadline: Instant) -> Result<(Tally, Duration), Trouble> {
        let (selection, own) = self.words.split_at(self.words.len() - own);
        let started = Instant::now();
        let with =
            |more: &[&str]| selection.iter().cloned().chain(more.iter().map(ToString::to_string)).collect::<Vec<_>>();
        let ended = spawn::supervise(&mut self.command(tree, &with(&["--no-run"])), COMPILING, pass_on)?;
        let compiling = started.elapsed();
        if !ended.status.success() {
            return Ok((Tally::one_failed(format!("{} does not compile ({})", self.name, how(&ended))), compiling));
        }
        let mut words = with(&["--no-fail-fast", "--"]);
        words.extend_from_slice(own);
        let tally = self.counted(tree, Box::<Libtest>::default(), &words, deadline + compiling)?;
        Ok((tally, compiling))
    }

    fn counted(
        &self,
        tree: &Tree,
        reader: Box<dyn Reader>,
        words: &[String],
        deadline: Instant,
    ) -> Result<Tally, Trouble> {
        let mut lines = Lines::new(reader);
        let patience = deadline.saturating_duration_since(Instant::now());
        let ended = spawn::supervise(&mut self.command(tree, words), patience, |bytes| {
            pass_on(bytes);
            lines.push(bytes);
        })?;
        let mut tally = lines.finish();
        // A bad end that no failed test accounts for is a failure of its own.
        let unexplained = !ended.status.success() && tally.failed == 0;
        if unexplained || ended.late || ended.left_behind {
            tally.add(Tally::one_failed(format!("{} ({})", self.name, how(&ended))));
        }
        Ok(tally)
    }
}

/// Shows output as it comes, a test's name before its result included.
fn pass_on(bytes: &[u8]) {
    let mut out = std::io::stdout();
    // Whoever reads us may have gone, as `head` does; the results are counted all the same.
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

fn how(ended: &spawn::Ended) -> String {
    if ended.late {
        "still running at its deadline, so it was ended with all its processes".into()
    } else if ended.left_behind {
        format!("{}, and left processes behind that had to be ended", ended.status)
    } else {
        ended.status.to_string()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn step(kind: Kind, script: &str) -> Step {
        Step::new("step".into(), || spawn::command("sh"), &["-c", script], kind)
    }

    fn run(step: &Step, patience: Duration) -> Tally {
        let tree = Tree { root: std::env::temp_dir(), target: std::env::temp_dir() };
        step.run(&tree, Instant::now() + patience).0
    }

    const PATIENT: Duration = Duration::from_mins(1);

    #[test]
    fn a_check_counts_as_one_test() {
        assert_eq!(run(&step(Kind::Check, "exit 0"), PATIENT), Tally::one_passed());
        assert_eq!(run(&step(Kind::Check, "exit 9"), PATIENT), Tally::one_failed("step (exit status: 9)"));
    }

    #[test]
    fn a_bad_end_without_a_failed_test_is_a_failure() {
        let tally = run(&step(Kind::Vitest, "echo '      Tests  4 passed (4)'; exit 1"), PATIENT);
        assert_eq!((tally.passed, tally.failed), (4, 1), "{tally:?}");
        let tally = run(&step(Kind::Vitest, "echo '      Tests  1 failed | 4 passed (5)'; exit 1"), PATIENT);
        assert_eq!((tally.passed, tally.failed), (4, 1), "the failed test explains the bad end: {tally:?}");
    }

    #[test]
    fn a_step_that_cannot_run_here_is_skipped_with_its_reason() {
        let tally = run(&step(Kind::Check, "exit 9").unless(|| Some("no engine".into())), PATIENT);
        assert_eq!(tally, Tally::one_skipped("no engine"), "nothing is run");
        let seen = step(Kind::Check, "test \"$GEMRA_TEST_ENGINE\" = podman").with("GEMRA_TEST_ENGINE", "podman");
        assert_eq!(run(&seen, PATIENT), Tally::one_passed(), "its programs see the variable");
    }

    #[test]
    fn what_a_step_leaves_out_is_counted_with_its_reason() {
        let passing = step(Kind::Vitest, "echo '      Tests  4 passed (4)'");
        let tally = run(&passing.leaving_out(vec!["one: why".into()]), PATIENT);
        assert_eq!((tally.passed, tally.skipped, tally.skips), (4, 1, vec!["one: why".to_owned()]), "beside what ran");
    }

    #[test]
    fn a_hung_step_is_ended_and_told() {
        let tally = run(&step(Kind::Vitest, "echo '      Tests  4 passed (4)'; sleep 600"), Duration::from_millis(300));
        assert_eq!((tally.passed, tally.failed), (4, 1), "{tally:?}");
        assert!(tally.failures[0].contains("deadline"), "{tally:?}");
    }

    #[test]
    fn a_program_that_is_not_there_is_a_failure_with_a_next_step() {
        let missing = Step::new("step".into(), || spawn::command("no-such-program"), &[], Kind::Vitest);
        let tally = run(&missing, PATIENT);
        assert_eq!(tally.failed, 1);
        assert!(tally.failures[0].contains("next:"), "{tally:?}");
    }
}
