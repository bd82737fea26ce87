//! What was asked for on the command line. Reads words only: whether the thing can be done is for the others to say.

use crate::suites::SUITES;
use crate::trouble::Trouble;

pub(crate) const HELP: &str = "\
cargo xtask: one command for each job

  cargo xtask run [--demo] [--yes] [-- ARGS]
      Install what is missing, build, and open the app with ARGS.
      --demo  with a stand-in for the model's API: needs no account, works on the host and in a container.
  cargo xtask test [--yes] [SUITE…]
      Install what is missing and run every suite, or those named:
      lint core ui shell engine cli desktop
      Ends with one line: N passed, N failed, N skipped.
  cargo xtask build [--yes]
      target/release/gemra-desktop (the page embedded) and target/release/gemra.
  cargo xtask bench [--yes] [--json FILE]
      The measurements, as ratios against the baseline taken in the same run.
  cargo xtask dist [--yes]
      Installable packages under target/dist/.
  cargo xtask help
      This text.

  --yes  install system packages without asking first. Root and CI are never asked.
";

/// One job.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Help,
    Run(RunRequest),
    Test(TestRequest),
    Build { yes: bool },
    Bench { arguments: Vec<String>, yes: bool },
    Dist { yes: bool },
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct RunRequest {
    pub(crate) demo: bool,
    pub(crate) yes: bool,
    /// For the app itself, untouched.
    pub(crate) arguments: Vec<String>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TestRequest {
    /// Names out of [`SUITES`]; empty: all of them.
    pub(crate) suites: Vec<String>,
    pub(crate) yes: bool,
}

impl Request {
    /// Reads the words after `cargo xtask`. No word at all asks for the help.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self, Trouble> {
        let mut words = words;
        let Some(job) = words.next() else { return Ok(Self::Help) };
        let (own, passed_on) = split_at_dashes(words.collect());
        if own.iter().any(|word| word == "--help" || word == "-h") {
            return Ok(Self::Help);
        }
        match job.as_str() {
            "help" | "--help" | "-h" => Ok(Self::Help),
            "run" => run(&own, passed_on).map(Self::Run),
            "test" => test(&own, &passed_on).map(Self::Test),
            "build" => only_yes(&job, &own, &passed_on).map(|yes| Self::Build { yes }),
            "dist" => only_yes(&job, &own, &passed_on).map(|yes| Self::Dist { yes }),
            "bench" => {
                let yes = own.iter().any(|word| word == "--yes");
                let arguments = own.into_iter().filter(|word| word != "--yes").chain(passed_on).collect();
                Ok(Self::Bench { arguments, yes })
            }
            other => Err(usage(format!("there is no job named `{other}`"))),
        }
    }
}

fn run(own: &[String], arguments: Vec<String>) -> Result<RunRequest, Trouble> {
    let mut request = RunRequest { arguments, ..RunRequest::default() };
    for word in own {
        match word.as_str() {
            "--demo" => request.demo = true,
            "--yes" => request.yes = true,
            other => return Err(usage(format!("`run` does not know `{other}`; words for the app come after `--`"))),
        }
    }
    Ok(request)
}

fn test(own: &[String], passed_on: &[String]) -> Result<TestRequest, Trouble> {
    let mut request = TestRequest::default();
    for word in own.iter().chain(passed_on) {
        match word.as_str() {
            "--yes" => request.yes = true,
            name if SUITES.iter().any(|suite| suite.name == name) => request.suites.push(name.to_owned()),
            other => {
                let names: Vec<_> = SUITES.iter().map(|suite| suite.name).collect();
                return Err(usage(format!("there is no suite named `{other}`; the suites are {}", names.join(" "))));
            }
        }
    }
    Ok(request)
}

fn only_yes(job: &str, own: &[String], passed_on: &[String]) -> Result<bool, Trouble> {
    match own.iter().chain(passed_on).find(|word| *word != "--yes") {
        Some(other) => Err(usage(format!("`{job}` does not know `{other}`"))),
        None => Ok(!own.is_empty()),
    }
}

fn split_at_dashes(words: Vec<String>) -> (Vec<String>, Vec<String>) {
    let mut own = words;
    let Some(at) = own.iter().position(|word| word == "--") else { return (own, Vec::new()) };
    let passed_on = own.split_off(at + 1);
    own.pop();
    (own, passed_on)
}

fn usage(cause: String) -> Trouble {
    Trouble::Usage { cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn check(line: &str, expected: &Request) {
        let request = Request::parse(words(line).into_iter()).unwrap_or_else(|trouble| panic!("`{line}`: {trouble}"));
        assert_eq!(&request, expected, "`{line}` is read as written");
    }

    fn check_refused(line: &str, says: &str) {
        let trouble = Request::parse(words(line).into_iter()).expect_err("a word nobody knows is refused");
        assert!(matches!(trouble, Trouble::Usage { .. }), "`{line}` is a mistake in usage");
        assert!(trouble.to_string().contains(says), "`{trouble}` names `{says}`");
    }

    #[test]
    fn every_job_is_read() {
        check("", &Request::Help);
        check("help", &Request::Help);
        check("run --help", &Request::Help);
        check("run", &Request::Run(RunRequest::default()));
        check("test", &Request::Test(TestRequest::default()));
        check("test ui lint", &Request::Test(TestRequest { suites: words("ui lint"), yes: false }));
        check("test --yes core", &Request::Test(TestRequest { suites: words("core"), yes: true }));
        check("build", &Request::Build { yes: false });
        check("build --yes", &Request::Build { yes: true });
        check("dist --yes", &Request::Dist { yes: true });
        check("bench", &Request::Bench { arguments: vec![], yes: false });
        check("bench --yes --json a.json", &Request::Bench { arguments: words("--json a.json"), yes: true });
    }

    #[test]
    fn words_after_the_dashes_belong_to_the_app() {
        let arguments = words("--workspace /tmp/a --demo -- --yes --help");
        let expected = Request::Run(RunRequest { demo: true, yes: false, arguments });
        check("run --demo -- --workspace /tmp/a --demo -- --yes --help", &expected);
    }

    #[test]
    fn what_nobody_knows_is_refused_by_name() {
        check_refused("rnu", "rnu");
        check_refused("run --dmo", "--dmo");
        check_refused("run /tmp/a", "after `--`");
        check_refused("test nosuch", "nosuch");
        check_refused("test nosuch", "lint core ui shell engine cli desktop");
        check_refused("build --fast", "--fast");
        check_refused("dist -- x", "x");
    }
}
