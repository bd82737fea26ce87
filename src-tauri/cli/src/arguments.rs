//! The command line: `gemra doctor`, `ps`, `disk`, `prune`, `exec`, `image`, `--version`, `--help`. It decides nothing about what the commands find.

use crate::exec::Asked;
use crate::image::Order;

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arguments {
    /// Look at everything that Gemra needs, and report.
    Doctor {
        /// For programs, not for people.
        json: bool,
    },
    /// List the containers.
    Ps {
        /// For programs, not for people.
        json: bool,
        /// Only this project's, at the engine that is meant for it.
        project: Option<String>,
    },
    /// List everything that Gemra holds at the engine.
    Disk {
        /// For programs, not for people.
        json: bool,
        /// Only what this project alone uses.
        project: Option<String>,
    },
    /// Remove what of it nobody uses.
    Prune {
        /// Do it, and do not only tell what would be done.
        yes: bool,
        /// Only what this project alone used.
        project: Option<String>,
    },
    /// Run a command in a container.
    Exec(Asked),
    /// Do something about images.
    Image(Order),
    /// Say this and end well.
    Say(String),
}

/// Reads the command line, without the program's name.
///
/// # Errors
/// One sentence that says what is wrong with it.
pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = arguments.into_iter();
    let Some(first) = arguments.next() else { return Ok(Arguments::Say(HELP.to_owned())) };
    let unknown = |argument: &str| Err(format!("{argument:?} is not known; see gemra --help"));
    let read = match first.as_str() {
        "doctor" | "ps" | "disk" | "prune" => {
            let (mut json, mut yes, mut project) = (false, false, None);
            while let Some(argument) = arguments.next() {
                match argument.as_str() {
                    "--project" if first != "doctor" => {
                        let path = arguments.next().ok_or("--project needs a folder; see gemra --help")?;
                        project = Some(path);
                    }
                    "--json" if first != "prune" => json = true,
                    "--yes" if first == "prune" => yes = true,
                    "--help" | "-h" => return Ok(Arguments::Say(HELP.to_owned())),
                    other => return unknown(other),
                }
            }
            match first.as_str() {
                "ps" => Arguments::Ps { json, project },
                "disk" => Arguments::Disk { json, project },
                "prune" => Arguments::Prune { yes, project },
                _ => Arguments::Doctor { json },
            }
        }
        "exec" => return exec(arguments),
        "image" => match image(&mut arguments)? {
            Some(order) => Arguments::Image(order),
            None => return Ok(Arguments::Say(HELP.to_owned())),
        },
        "--version" | "-V" => Arguments::Say(format!("gemra {}", env!("CARGO_PKG_VERSION"))),
        "--help" | "-h" => Arguments::Say(HELP.to_owned()),
        other => return unknown(other),
    };
    match arguments.next() {
        None => Ok(read),
        Some(other) => unknown(&other),
    }
}

fn exec(mut arguments: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut asked = Asked::default();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value; see gemra --help"));
        match argument.as_str() {
            "--tab" => asked.tab = Some(value()?),
            "--workspace" => asked.workspace = Some(value()?),
            "--timeout" => {
                let said = value()?;
                let seconds = said.parse().ok().filter(|&seconds: &u64| seconds > 0);
                asked.timeout = Some(seconds.ok_or_else(|| format!("{said:?} is no number of seconds"))?);
            }
            "--help" | "-h" => return Ok(Arguments::Say(HELP.to_owned())),
            "--" => {
                asked.command = arguments.collect();
                break;
            }
            other => return Err(format!("{other:?} is not known; the command follows after --; see gemra --help")),
        }
    }
    if asked.command.is_empty() {
        return Err("there is no command after --; see gemra --help".to_owned());
    }
    Ok(Arguments::Exec(asked))
}

/// What is asked of images; none where help is.
fn image(arguments: &mut impl Iterator<Item = String>) -> Result<Option<Order>, String> {
    let see = "see gemra --help";
    let what = arguments.next().ok_or_else(|| format!("image needs one of list, save, load; {see}"))?;
    let mut next = |name: &str| arguments.next().ok_or_else(|| format!("image {what} needs {name}; {see}"));
    match what.as_str() {
        "list" => Ok(Some(Order::List)),
        "save" => Ok(Some(Order::Save { name: next("an image's name")?, file: next("a file")? })),
        "load" => Ok(Some(Order::Load { file: next("a file")? })),
        "--help" | "-h" => Ok(None),
        other => Err(format!("{other:?} is not known; {see}")),
    }
}

const HELP: &str = "Gemra: a coding agent in chat tabs, on the host or in a container

Usage: gemra COMMAND

  doctor [--json]  look at what Gemra needs: the Claude CLI, the container engine, the settings.
                   Ends with code 0 if chat on the host works, else with 1; changes nothing
  ps [--json]      list the containers of all tabs: workspace, state, age, memory
  disk [--json]    list what Gemra has made at the engine, with sizes
  prune [--yes]    tell what of that nobody uses; with --yes, remove it
                   Each with --project DIR: only what is that project's, at the engine that is meant for it
  exec [--tab ID | --workspace DIR] [--timeout SECONDS] -- COMMAND…
                   run a command in a tab's container; ends with its code, and with 124 when its time is over
  image list       the images that Gemra has built at the engine
  image save NAME FILE
                   write an image to a file, for a machine that cannot fetch any
  image load FILE  read it there; it is found by its fingerprint, so that nothing has to be built
  --version        print the version
  --help           print this

The app itself is gemra-desktop. GEMRA_HOME, GEMRA_CLAUDE, DOCKER_HOST, DOCKER_CONTEXT and DOCKER_CONFIG mean the same
to both.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_read() {
        let read = |line: &str| parse(line.split_whitespace().map(str::to_owned));
        assert_eq!(read("doctor"), Ok(Arguments::Doctor { json: false }), "for people");
        assert_eq!(read("ps --json"), Ok(Arguments::Ps { json: true, project: None }), "what runs");
        let project = Some("/a/b".to_owned());
        let disk = Arguments::Disk { json: false, project: project.clone() };
        assert_eq!(read("disk --project /a/b"), Ok(disk), "what is held for a project");
        assert_eq!(read("prune --yes --project /a/b"), Ok(Arguments::Prune { yes: true, project }), "and no more");
        let asked = |tab: Option<&str>, timeout| Asked {
            tab: tab.map(str::to_owned),
            timeout,
            command: vec!["ls".to_owned(), "--help".to_owned()],
            workspace: None,
        };
        assert_eq!(read("exec -- ls --help"), Ok(Arguments::Exec(asked(None, None))), "what follows -- is not ours");
        assert_eq!(read("exec --tab a1 --timeout 5 -- ls --help"), Ok(Arguments::Exec(asked(Some("a1"), Some(5)))));
        assert_eq!(read("doctor --json"), Ok(Arguments::Doctor { json: true }), "for programs");
        assert!(matches!(read("--version"), Ok(Arguments::Say(said)) if said.contains("0.1.0")), "the version is said");
        let save = Order::Save { name: "a:1".to_owned(), file: "f.tar".to_owned() };
        assert_eq!(read("image save a:1 f.tar"), Ok(Arguments::Image(save)), "an image and a file");
        for line in ["", "--help", "-h", "doctor --help", "image --help"] {
            assert_eq!(read(line), Ok(Arguments::Say(HELP.to_owned())), "{line:?} asks for help");
        }
        for (wrong, named) in [
            ("docter", "\"docter\""),
            ("doctor --jsn", "\"--jsn\""),
            ("doctor all", "\"all\""),
            ("prune --json", "\"--json\""),
            ("ps --project", "--project"),
            ("doctor --project x", "\"--project\""),
            ("exec ls", "\"ls\""),
            ("exec --tab", "--tab"),
            ("exec --", "after --"),
            ("image", "list, save, load"),
            ("image sve", "\"sve\""),
            ("image save one", "needs a file"),
            ("image load", "needs a file"),
            ("image list all", "\"all\""),
            ("--version --loud", "\"--loud\""),
        ] {
            let error = read(wrong).unwrap_err();
            assert!(error.contains(named) && error.contains("--help"), "{wrong} is named, with the way on: {error}");
        }
    }
}
