//! The one place of xtask that starts programs: to the end, to hear what they say, or supervised with a deadline.
//! It refuses to know what the programs are for.

// The workspace forbids `Command::new` so that the product spawns through gemra-core's `process` alone. xtask must
// compile before any of that does, on the standard library, so it has this module of its own instead.
#![allow(clippy::disallowed_methods)]

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::trouble::Trouble;

mod supervised;

pub(crate) use supervised::{Ended, supervise};

/// A command that is not started yet. `program` is a name to be found on PATH, or a path.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}

/// The very Cargo that runs xtask, so that the pinned toolchain stays in use.
pub(crate) fn cargo() -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// npm, which is a script on Windows and not found there without its ending.
pub(crate) fn npm() -> Command {
    command(if cfg!(windows) { "npm.cmd" } else { "npm" })
}

/// Runs to the end with the terminal's own input and output.
pub(crate) fn run(command: &mut Command, what: &str, next: &'static str) -> Result<(), Trouble> {
    let status = command.status().map_err(|source| not_started(command, source))?;
    if status.success() { Ok(()) } else { Err(failed(what, status, next)) }
}

/// Runs to the end and hands back the exit status, whatever it is.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus, Trouble> {
    command.status().map_err(|source| not_started(command, source))
}

/// What a program says on its standard output, and whether it ended well. Its standard error is dropped.
pub(crate) fn hear(command: &mut Command) -> Result<(String, bool), Trouble> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output();
    let output = output.map_err(|source| not_started(command, source))?;
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), output.status.success()))
}

/// True if the program is on PATH, or in a folder for root's programs that a user's PATH often lacks.
pub(crate) fn is_on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let endings: &[&str] = if cfg!(windows) { &[".exe", ".cmd"] } else { &[""] };
    let mut folders = env::split_paths(&path).chain(system);
    folders.any(|folder| endings.iter().any(|ending| folder.join(format!("{program}{ending}")).is_file()))
}

/// A program that runs beside us and ends when its standard input does, so it cannot outlive us.
#[derive(Debug)]
pub(crate) struct Companion {
    child: Child,
    stdin: Option<ChildStdin>,
    /// What followed `greeting` on the line that said the program is ready.
    pub(crate) said: String,
}

impl Companion {
    /// Starts it and waits for a line that begins with `greeting`.
    pub(crate) fn start(command: &mut Command, greeting: &'static str, patience: Duration) -> Result<Self, Trouble> {
        let what = command.get_program().to_string_lossy().into_owned();
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|source| not_started(command, source))?;
        let stdin = child.stdin.take();
        let (sender, receiver) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            // The thread reads on to the end, or the program would block once the pipe is full.
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if let Some(said) = line.strip_prefix(greeting) {
                        // Nobody listens any more after the first such line, and that is fine.
                        let _ = sender.send(said.trim().to_owned());
                    }
                }
            });
        }
        let mut companion = Self { child, stdin, said: String::new() };
        companion.said = receiver.recv_timeout(patience).map_err(|_| Trouble::Late {
            what: format!("the line \"{greeting}…\" from {what}"),
            seconds: patience.as_secs(),
        })?;
        Ok(companion)
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let (sender, receiver) = mpsc::channel::<()>();
        let pid = self.child.id();
        // It ends by itself at the end of its input; the thread only sees to it that we never wait for ever.
        let guard = std::thread::spawn(move || {
            if receiver.recv_timeout(Duration::from_secs(5)) == Err(mpsc::RecvTimeoutError::Timeout) {
                supervised::end_process(pid);
            }
        });
        // Neither result matters: the program is gone, or was ended by the guard.
        let _ = self.child.wait();
        drop(sender);
        let _ = guard.join();
    }
}

/// Takes out of a command's environment what `cargo run` and rustup have put there for us. The app hands its
/// environment on to the agent, and an agent that builds the user's project must not inherit our toolchain.
pub(crate) fn without_cargos_own(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if is_cargos_own(&name.to_string_lossy()) {
            command.env_remove(&name);
        }
    }
    for name in ["LD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"] {
        let Some(value) = env::var_os(name) else { continue };
        let kept: Vec<_> = env::split_paths(&value).filter(|folder| !is_toolchains(folder)).collect();
        match env::join_paths(kept) {
            Ok(kept) if !kept.is_empty() => command.env(name, kept),
            _ => command.env_remove(name),
        };
    }
}

/// Takes out what would let a test or the demo reach a real account, or would lead it away from its own settings.
pub(crate) fn without_accounts(command: &mut Command) {
    const PREFIXES: [&str; 2] = ["ANTHROPIC_", "CLAUDE"];
    const NAMES: [&str; 5] = ["GITHUB_TOKEN", "GH_TOKEN", "GEMRA_HOME", "GEMRA_CLAUDE", "IS_SANDBOX"];
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if PREFIXES.iter().any(|prefix| text.starts_with(prefix)) || NAMES.contains(&text.as_ref()) {
            command.env_remove(&name);
        }
    }
}

/// A list variable such as `NO_PROXY` with a value added at its end.
pub(crate) fn extended(name: &str, value: &str) -> OsString {
    match env::var(name) {
        Ok(set) if !set.is_empty() => format!("{set},{value}").into(),
        _ => value.into(),
    }
}

fn is_cargos_own(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "CARGO",
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_CRATE_NAME",
        "CARGO_PRIMARY_PACKAGE",
        "RUSTUP_TOOLCHAIN",
        "RUSTUP_TOOLCHAIN_SOURCE",
        "RUST_RECURSION_COUNT",
    ];
    NAMES.contains(&name) || name.starts_with("CARGO_PKG_")
}

fn is_toolchains(folder: &Path) -> bool {
    let ours = env::current_exe().ok().and_then(|program| program.parent().map(Path::to_owned));
    ours.is_some_and(|ours| folder.starts_with(ours)) || folder.iter().any(|part| part == "toolchains")
}

fn not_started(command: &Command, source: std::io::Error) -> Trouble {
    Trouble::NotStarted { program: command.get_program().to_string_lossy().into_owned(), source }
}

fn failed(what: &str, status: ExitStatus, next: &'static str) -> Trouble {
    Trouble::Failed { what: what.to_owned(), ended: status.to_string(), next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cargos_own_names_are_taken_out() {
        for own in ["CARGO", "CARGO_PKG_NAME", "CARGO_MANIFEST_DIR", "RUSTUP_TOOLCHAIN"] {
            assert!(is_cargos_own(own), "{own} is set by cargo run for us alone");
        }
        for users in ["CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_REGISTRIES_MINE_INDEX", "RUSTUP_HOME", "PATH"] {
            assert!(!is_cargos_own(users), "{users} is the user's");
        }
    }

    #[test]
    fn the_toolchains_own_libraries_are_told_from_the_users() {
        let program = env::current_exe().expect("a test has a program");
        let ours = program.parent().expect("in a folder");
        for own in [ours, &ours.join("deps"), Path::new("/home/u/.rustup/toolchains/1.95.0/lib")] {
            assert!(is_toolchains(own), "{} is there for us alone", own.display());
        }
        assert!(!is_toolchains(Path::new("/opt/release/lib")), "the user's own folder stays");
    }

    #[cfg(unix)]
    #[test]
    fn a_companion_says_it_is_ready_and_ends_with_its_input() {
        let mut script = command("sh");
        script.args(["-c", "echo starting; echo listening on http://here; read -r line; exit 0"]);
        let companion = Companion::start(&mut script, "listening on ", Duration::from_secs(20)).expect("it starts");
        assert_eq!(companion.said, "http://here", "what follows the greeting is handed on");
        let pid = companion.child.id();
        drop(companion);
        let (_, alive) = hear(command("sh").args(["-c", "kill -0 \"$1\"", "sh", &pid.to_string()])).expect("sh runs");
        assert!(!alive, "the end of its input ended it, and it was waited for");
    }

    #[cfg(unix)]
    #[test]
    fn a_companion_that_never_says_so_is_late() {
        let mut script = command("sh");
        script.args(["-c", "echo something else; read -r line"]);
        let trouble = Companion::start(&mut script, "listening on ", Duration::from_millis(300)).expect_err("too late");
        assert!(matches!(trouble, Trouble::Late { .. }), "{trouble}");
    }
}
