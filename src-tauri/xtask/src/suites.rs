//! The suites: which there are, what each needs and runs, and one report over all of them. What the tests are about is
//! not known here; a suite goes on after a failure, and so does the run.

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::node;
use crate::spawn;
use crate::system::{self, Consent, Purpose};
use crate::tally::{self, Row, Tally};
use crate::tree::Tree;
use crate::trouble::Trouble;

mod step;
mod targets;

use step::Step;
use targets::Targets;

/// A suite's name, what must be there before it runs, and how long it may run once it is compiled.
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    needs: &'static [Need],
    minutes: u64,
    /// Why it cannot run on other systems than Linux, where that is so.
    linux_only: Option<&'static str>,
}

/// Something to be made or installed before a suite can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    BuildPackages,
    TestPackages,
    Components,
    PagePackages,
    Page,
    Claude,
    Programs,
}

use Need::{BuildPackages, Claude, Components, Page, PagePackages, Programs, TestPackages};

/// All suites, in the order in which they run: what fails soonest comes first.
pub(crate) const SUITES: [Suite; 7] = [
    Suite { name: "lint", needs: &[BuildPackages, Components, Page], minutes: 15, linux_only: None },
    Suite { name: "core", needs: &[BuildPackages], minutes: 15, linux_only: None },
    Suite { name: "ui", needs: &[PagePackages], minutes: 10, linux_only: None },
    Suite { name: "shell", needs: &[BuildPackages, Page], minutes: 15, linux_only: None },
    Suite { name: "engine", needs: &[TestPackages, Claude], minutes: 70, linux_only: None },
    Suite { name: "cli", needs: &[TestPackages, Page, Claude, Programs], minutes: 20, linux_only: None },
    Suite {
        name: "desktop",
        needs: &[TestPackages, Page, Claude, Programs],
        minutes: 40,
        linux_only: Some("the window is driven through WebKitGTK's WebDriver, which only Linux has"),
    },
];

/// By which the tests' fixture knows whose engine to start.
const ENGINE: &str = "GEMRA_TEST_ENGINE";
/// What of the engine suite runs at Docker alone, and why: programs, and single tests as `program::test`. All others run
/// once at Docker and once at Podman. The report counts these as skipped.
const DOCKER_ALONE: &[(&str, &str)] = &[];

/// Runs the suites named, or all of them, and prints the report. Fails if a test failed or none ran.
pub(crate) fn test(tree: &Tree, names: &[String], consent: Consent) -> Result<ExitCode, Trouble> {
    let targets = Targets::find(&tree.root.join("tests/tests"))?;
    let mut preparation = Preparation { tree, consent, done: BTreeMap::new() };
    let wanted: Vec<&Suite> =
        SUITES.iter().filter(|suite| names.is_empty() || names.iter().any(|name| name == suite.name)).collect();
    tell_what_cannot_run(&wanted, &mut preparation);
    let mut rows = Vec::new();
    for suite in wanted {
        println!("\n==== {} ====", suite.name);
        let started = Instant::now();
        let tally = run(suite, &targets, &mut preparation);
        rows.push(Row { suite: suite.name, tally, seconds: started.elapsed().as_secs_f64() });
    }
    let text = tally::report(&rows);
    print!("{text}");
    Ok(if tally::is_failure(&rows) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What the machine lacks is told now: the suites that need it come last, after much building.
fn tell_what_cannot_run(wanted: &[&Suite], preparation: &mut Preparation) {
    let needy: Vec<&str> = wanted.iter().filter(|suite| can_be_needy(suite)).map(|suite| suite.name).collect();
    if !needy.is_empty()
        && let Err(why) = preparation.ensure(TestPackages)
    {
        println!("== these suites cannot run: {}\n   {why}", needy.join(", "));
        if needy.len() < wanted.len() {
            println!("   The others run now.");
        }
    }
}

fn can_be_needy(suite: &Suite) -> bool {
    suite.needs.contains(&TestPackages) && (cfg!(target_os = "linux") || suite.linux_only.is_none())
}

/// Gives a command the environment that tests run in: the CLI and the programs of this checkout, and no account.
pub(crate) fn set_environment(tree: &Tree, command: &mut Command) {
    spawn::without_accounts(command);
    // Whoever names other programs wants those tested.
    for (name, program) in [("GEMRA_TEST_CLAUDE", tree.claude()), ("GEMRA_DESKTOP_BIN", tree.program("gemra-desktop"))]
    {
        if std::env::var_os(name).is_none() {
            command.env(name, program);
        }
    }
}

fn run(suite: &Suite, targets: &Targets, preparation: &mut Preparation) -> Tally {
    if let Some(why) = suite.linux_only.filter(|_| cfg!(not(target_os = "linux"))) {
        return Tally::one_skipped(why);
    }
    let steps = steps(suite.name, targets);
    let mut sum = Tally::default();
    // A suite that has nothing to run yet needs nothing either.
    if steps.iter().any(Step::runs_something) {
        for need in suite.needs {
            if let Err(why) = preparation.ensure(*need) {
                println!("{why}");
                return Tally::one_failed(format!("not run, because it could not be prepared: {why}"));
            }
        }
    }
    let deadline = Instant::now() + Duration::from_mins(suite.minutes);
    // Compiling on a slow machine takes as long as it takes; only the tests' own time counts.
    let mut allowance = Duration::ZERO;
    for step in &steps {
        let (tally, compiling) = step.run(preparation.tree, deadline + allowance);
        allowance += compiling;
        sum.add(tally);
    }
    if sum.is_empty() {
        return Tally::one_skipped("no tests yet: its test programs hold none");
    }
    sum
}

/// What each suite runs. The programs under `tests/tests` are found by name, so none is forgotten here.
fn steps(suite: &str, targets: &Targets) -> Vec<Step> {
    let found = |extra: &[&str]| Step::found(suite, &targets.of(suite), extra);
    let mut steps = match suite {
        "lint" => vec![
            Step::check("cargo fmt --check", spawn::cargo, &["fmt", "--all", "--check"]),
            Step::check(
                "cargo clippy",
                spawn::cargo,
                &["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"],
            ),
            Step::found(suite, &targets.of("tidy"), &[]),
            Step::check("npm run check", spawn::npm, &["run", "check"]).in_ui(),
        ],
        "core" => vec![
            Step::cargo_test(&["-p", "gemra-core", "-p", "xtask"], &[]),
            Step::cargo_test(&["-p", "tests", "--lib", "--bins"], &[]),
        ],
        "ui" => vec![Step::vitest()],
        "shell" => vec![Step::cargo_test(&["-p", "gemra-desktop"], &[])],
        "engine" => {
            let all = targets.of(suite);
            let is_left_out = |name: &str| DOCKER_ALONE.iter().any(|(alone, _)| *alone == name);
            let both: Vec<String> = all.iter().filter(|name| !is_left_out(name)).cloned().collect();
            let tests = DOCKER_ALONE.iter().filter_map(|(alone, _)| alone.split_once("::"));
            let skipped: Vec<&str> = tests.flat_map(|(_, test)| ["--skip", test]).collect();
            let left_out = DOCKER_ALONE.iter().map(|(alone, why)| format!("{alone} at Podman: {why}")).collect();
            let podman = Step::found(suite, &both, &skipped).with(ENGINE, "podman").unless(system::no_podman);
            vec![Step::found(suite, &all, &[]).with(ENGINE, "docker"), podman.leaving_out(left_out)]
        }
        "cli" => vec![Step::cargo_test(&["-p", "gemra"], &[]), found(&[])],
        // One window and one display at a time.
        "desktop" => vec![found(&["--test-threads=1"])],
        _ => vec![found(&[])],
    };
    // These two have tests of their own package; programs under `tests/tests` come on top, where there are any.
    if matches!(suite, "core" | "shell") && !targets.of(suite).is_empty() {
        steps.push(found(&[]));
    }
    steps
}

/// What has been prepared in this run. A need that failed once is not tried again: its suites all say why.
struct Preparation<'a> {
    tree: &'a Tree,
    consent: Consent,
    done: BTreeMap<Need, Result<(), String>>,
}

impl Preparation<'_> {
    fn ensure(&mut self, need: Need) -> Result<(), String> {
        if let Some(outcome) = self.done.get(&need) {
            return outcome.clone();
        }
        let outcome = match need {
            Need::BuildPackages => system::ensure(Purpose::Build, self.consent),
            Need::TestPackages => system::ensure(Purpose::Tests, self.consent),
            Need::Components => system::ensure_components(),
            Need::PagePackages => node::ensure_page_packages(self.tree),
            Need::Page => node::ensure_page(self.tree),
            Need::Claude => node::ensure_claude(self.tree).map(drop),
            Need::Programs => crate::build::programs(self.tree),
        };
        let outcome = outcome.map_err(|trouble| trouble.to_string());
        self.done.insert(need, outcome.clone());
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_runs_something_and_names_its_programs() {
        let names = ["core_tab", "engine_build", "engine_run", "cli_doctor", "desktop_chat", "tidy"];
        let targets = Targets::from_names(&names).expect("all are known");
        let words = |suite| format!("{:?}", steps(suite, &targets));
        for suite in &SUITES {
            let steps = steps(suite.name, &targets);
            assert!(steps.iter().all(Step::runs_something), "{}: {steps:?}", suite.name);
        }
        let engine = words("engine");
        assert!(engine.contains("engine_build") && engine.contains("engine_run"), "both are run: {engine}");
        assert!(!engine.contains("desktop_chat"), "and no other suite's: {engine}");
        for kind in ["docker", "podman"] {
            assert!(engine.contains(&format!("GEMRA_TEST_ENGINE={kind}")), "it runs at {kind}: {engine}");
        }
        for (alone, why) in DOCKER_ALONE {
            let known = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/tests");
            let (program, test) = alone.split_once("::").unwrap_or((alone, ""));
            let source = std::fs::read_to_string(known.join(format!("{program}.rs"))).unwrap_or_default();
            let is_there = if test.is_empty() { !source.is_empty() } else { source.contains(&format!("fn {test}()")) };
            assert!(is_there, "{alone} is there to be left out");
            assert!(!why.is_empty(), "{alone} is left out for a reason");
            if !test.is_empty() {
                assert!(engine.contains(&format!("\"--skip\", {test:?}")), "{alone} is left out: {engine}");
            }
        }
        assert!(words("core").contains("core_tab"), "core has programs beside its own package");
        assert!(words("lint").contains("tidy"), "tidy belongs to lint");
        assert!(words("desktop").contains("--test-threads=1"), "one window at a time");
    }

    #[test]
    fn a_suite_without_programs_runs_nothing_and_says_so() {
        let steps = steps("engine", &Targets::from_names::<&str>(&[]).expect("nothing is fine"));
        assert!(!steps.iter().any(Step::runs_something), "there is nothing to run");
        let tree = Tree { root: "/nowhere".into(), target: "/nowhere".into() };
        let (tally, _) = steps[0].run(&tree, Instant::now());
        assert_eq!(tally.skips, ["no tests yet: no file tests/tests/engine_*.rs (GEMRA_TEST_ENGINE=docker)"]);
    }
}
