//! Finds the Claude CLI on this machine and asks its version. Starts no conversation.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::environment::Environment;
use crate::failure::{Code, Failure};
use crate::process::spawn::{self, Program};

/// The command that installs the CLI, as it is shown and as it is run.
pub const INSTALL: &str = "npm install -g @anthropic-ai/claude-code";

/// Where to look.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// `GEMRA_CLAUDE`: final where it is set.
    pub named: Option<PathBuf>,
    /// `PATH`.
    pub path: Option<OsString>,
    /// `SHELL`: the user's login shell, whose profile may add folders to PATH.
    pub shell: Option<PathBuf>,
    /// `HOME`: where that profile is.
    pub home: Option<PathBuf>,
    /// `PATHEXT`: on Windows, the endings of programs in the order in which they are tried.
    pub endings: Option<String>,
}

impl Search {
    /// What the environment says.
    pub fn of(environment: &Environment) -> Self {
        Self {
            named: environment.path("GEMRA_CLAUDE"),
            path: environment.os("PATH"),
            shell: environment.path("SHELL"),
            home: environment.home(),
            endings: environment.text("PATHEXT"),
        }
    }

    /// The PATH that a terminal of the user's would have, with our own behind it: what the user would run there is
    /// what this finds first, and nothing that we find ourselves is missing. `None` where the shell does not tell.
    pub async fn terminal_path(&self) -> Option<OsString> {
        let login = self.login_path().await?;
        let ours = self.path.clone().unwrap_or_default();
        let folders = std::env::split_paths(&login).chain(std::env::split_paths(&ours));
        let mut whole: Vec<PathBuf> = Vec::new();
        for folder in folders.filter(|folder| !folder.as_os_str().is_empty()) {
            if !whole.contains(&folder) {
                whole.push(folder);
            }
        }
        std::env::join_paths(whole).ok()
    }

    /// The PATH of the user's login shell: a program started from a desktop does not get what the shell's profile adds.
    async fn login_path(&self) -> Option<OsString> {
        let shell = self.shell.as_ref()?;
        let ways = ways_to_ask(shell.file_name()?.to_str()?);
        let known = [("HOME", self.home.clone().map(OsString::from)), ("PATH", self.path.clone())];
        let environment: Vec<_> = known.into_iter().filter(|(_, value)| value.is_some()).collect();
        for flags in ways {
            let program = Program {
                path: shell.clone(),
                args: flags.iter().chain([&TELL_PATH]).map(Into::into).collect(),
                folder: std::env::temp_dir(),
                environment: environment.iter().map(|(name, value)| ((*name).into(), value.clone())).collect(),
            };
            if let Ok(finished) = spawn::run(&program, Duration::from_secs(5)).await
                && let Some(path) = finished.stdout.lines().find_map(|line| line.strip_prefix("__gemra__"))
            {
                return Some(path.into());
            }
        }
        None
    }
}

/// What a shell is told to run. Shells write a list of folders in several ways, and hand it on to programs in one: so
/// another program says it, by its full path, because the list need not hold the usual folders. This is quoted so that
/// every family of shells reads the same words.
const TELL_PATH: &str = r#"/bin/sh -c 'printf "\n__gemra__%s\n" "$PATH"'"#;

/// How a shell of this name is asked, one way after the other: as the one of a terminal, which reads what a user
/// writes into it, and as a login shell at least. A program of another name is no shell that is known to come back.
fn ways_to_ask(shell: &str) -> &'static [&'static [&'static str]] {
    match shell {
        "sh" | "bash" | "zsh" | "dash" | "ksh" | "mksh" | "fish" | "nu" => &[&["-i", "-l", "-c"], &["-l", "-c"]],
        // With a command they take no `-l`; their `.tcshrc` or `.cshrc` is read in any case.
        "tcsh" | "csh" => &[&["-c"]],
        _ => &[],
    }
}

/// The CLI is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    /// `GEMRA_CLAUDE` names something that cannot be run.
    #[error("GEMRA_CLAUDE names {path}, which is not a program that can be run", path = .0.display())]
    Named(PathBuf),
    /// No folder of PATH, the login shell's included, has one.
    #[error("there is no program called claude on PATH, nor on the login shell's PATH")]
    NotOnPath,
}

impl From<&NotFound> for Failure {
    fn from(error: &NotFound) -> Self {
        let action = match error {
            NotFound::Named(_) => "Correct GEMRA_CLAUDE or install the CLI there, then press Retry.",
            NotFound::NotOnPath => "Install it with the command below, then press Retry.",
        };
        let title = match error {
            NotFound::Named(_) => "The Claude CLI is not there",
            NotFound::NotOnPath => "Claude Code is not installed",
        };
        Self::new(Code::ClaudeMissing, title, format!("Gemra found no Claude CLI: {error}."), action)
    }
}

/// A CLI that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The program.
    pub program: PathBuf,
    /// The PATH that it was found on, where that is not our own: what it starts has to find its parts there too.
    pub path: Option<OsString>,
}

/// Finds the CLI.
///
/// # Errors
/// [`NotFound`] with what was tried.
pub async fn find(search: Search) -> Result<Found, NotFound> {
    if let Some(named) = &search.named {
        let found = Found { program: named.clone(), path: None };
        return if runnable(named) { Ok(found) } else { Err(NotFound::Named(named.clone())) };
    }
    let names = names(cfg!(windows), search.endings.as_deref());
    if let Some(program) = search.path.as_deref().and_then(|path| on_path(path, &names)) {
        return Ok(Found { program, path: None });
    }
    let login = search.login_path().await.ok_or(NotFound::NotOnPath)?;
    on_path(&login, &names).map(|program| Found { program, path: Some(login) }).ok_or(NotFound::NotOnPath)
}

/// The version that a CLI says it has, such as `2.1.197`.
pub async fn version(cli: &Found) -> Option<String> {
    let mut environment = vec![("DISABLE_AUTOUPDATER".into(), Some("1".into()))];
    // A CLI that is a script is started by a program that may be on that PATH alone.
    environment.extend(cli.path.clone().map(|path| ("PATH".into(), Some(path))));
    let program = Program {
        path: cli.program.clone(),
        args: vec!["--version".into()],
        folder: std::env::temp_dir(),
        environment,
    };
    let finished = spawn::run(&program, Duration::from_secs(20)).await.ok()?;
    let version = finished.stdout.split_whitespace().next()?.to_owned();
    version.starts_with(|first: char| first.is_ascii_digit()).then_some(version)
}

/// What the CLI's file may be called. On Windows its own installer makes an `.exe` and npm a `.cmd`; other endings, which
/// are other people's programs or need one to run them, are not taken.
fn names(windows: bool, endings: Option<&str>) -> Vec<String> {
    if !windows {
        return vec!["claude".to_owned()];
    }
    let endings = endings.unwrap_or(".COM;.EXE;.BAT;.CMD").to_lowercase();
    let known = endings.split(';').filter(|ending| [".exe", ".cmd"].contains(ending));
    known.map(|ending| format!("claude{ending}")).collect()
}

/// The first of the names in the first folder that has one.
fn on_path(path: &OsStr, names: &[String]) -> Option<PathBuf> {
    let candidates = |folder: PathBuf| names.iter().map(move |name| folder.join(name));
    std::env::split_paths(path).flat_map(candidates).find(|candidate| runnable(candidate))
}

#[cfg(unix)]
fn runnable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(windows)]
fn runnable(path: &Path) -> bool {
    path.is_file()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn fake_cli(folder: &Path, mode: u32) -> PathBuf {
        let path = folder.join("claude");
        std::fs::write(&path, "#!/bin/sh\necho '2.1.197 (Claude Code)'\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[tokio::test]
    async fn a_named_cli_is_final() {
        let folder = tempfile::tempdir().unwrap();
        let named = folder.path().join("nowhere");
        let search = Search { named: Some(named.clone()), path: std::env::var_os("PATH"), ..Search::default() };
        assert_eq!(find(search).await, Err(NotFound::Named(named)), "PATH is not asked when a CLI is named");
    }

    #[tokio::test]
    async fn path_is_searched_for_what_can_be_run() {
        let (bad, good) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fake_cli(bad.path(), 0o644);
        let expected = fake_cli(good.path(), 0o755);
        let path = std::env::join_paths([bad.path(), good.path()]).unwrap();
        let found = find(Search { path: Some(path), ..Search::default() }).await;
        assert_eq!(found, Ok(Found { program: expected, path: None }), "a file that cannot be run is passed over");
        let found = found.unwrap();
        assert_eq!(version(&found).await.as_deref(), Some("2.1.197"), "the version is its first word");
    }

    /// A user with this profile and a folder `tools`, and what the environment says to a program of a desktop's.
    fn desktop(profile: &str, shell: &str) -> (tempfile::TempDir, PathBuf, Environment) {
        let home = tempfile::tempdir().unwrap();
        let tools = home.path().join("tools");
        std::fs::create_dir(&tools).unwrap();
        std::fs::write(home.path().join(".profile"), profile).unwrap();
        let text = home.path().to_str().unwrap().to_owned();
        // Nothing of the machine's own is on it, which may have a CLI.
        let path = format!("{text}/system");
        let environment = Environment::of([("HOME", text.as_str()), ("PATH", path.as_str()), ("SHELL", shell)]);
        (home, tools, environment)
    }

    #[tokio::test]
    async fn the_login_shells_path_is_searched_too() {
        for shell in ["/bin/sh", "/bin/bash"] {
            // What a profile says on stdout is no part of the answer.
            let (home, tools, environment) =
                desktop("echo welcome; printf 'no newline'; PATH=\"$HOME/tools:$HOME/more\"", shell);
            let search = Search::of(&environment);
            assert_eq!(find(search.clone()).await, Err(NotFound::NotOnPath), "{shell}: there is none yet");
            let program = fake_cli(&tools, 0o755);
            let found = find(search.clone()).await.unwrap();
            assert_eq!(found.program, program, "{shell}: the profile's folder is looked in");
            let folders = ["tools", "more", "system"].map(|name| home.path().join(name));
            assert_eq!(
                found.path,
                Some(std::env::join_paths(&folders[..2]).unwrap()),
                "{shell}: what the CLI starts is found there too"
            );
            let terminal = search.terminal_path().await.unwrap();
            assert_eq!(terminal, std::env::join_paths(&folders).unwrap(), "{shell}: the terminal's first, then ours");
        }
    }

    /// Programs that are called like other families' shells and take only what those take: one flag after the other, or
    /// no flag but `-c`. Real ones are asked by the suite `cli`, where they are installed.
    #[tokio::test]
    async fn shells_of_other_families_are_asked_in_their_own_ways() {
        for (name, flags) in [("fish", "-i -l -c"), ("nu", "-l -c"), ("tcsh", "-c")] {
            let (home, tools, environment) = desktop("", &format!("{name} is put here"));
            let program = fake_cli(&tools, 0o755);
            let shell = home.path().join(name);
            let count = flags.split(' ').count();
            let text = format!(
                "#!/bin/sh\ncase \"$*\" in '{flags} /bin/sh '*) ;; *) echo no such option >&2; exit 1;; esac\n\
                 shift {count}; echo welcome; PATH=\"$HOME/tools\"; export PATH; eval \"$1\"\n"
            );
            std::fs::write(&shell, text).unwrap();
            std::fs::set_permissions(&shell, std::fs::Permissions::from_mode(0o755)).unwrap();
            let search = Search { shell: Some(shell), ..Search::of(&environment) };
            let expected = Found { program, path: Some(tools.into()) };
            assert_eq!(find(search).await, Ok(expected), "{name} tells where its tools are");
        }
    }

    #[tokio::test]
    async fn a_cli_that_is_a_script_is_asked_on_the_path_that_has_its_interpreter() {
        let (home, tools, environment) = desktop("PATH=\"$HOME/tools:/usr/bin:/bin\"", "/bin/sh");
        let node = format!("node-{}", uuid::Uuid::new_v4().simple());
        std::os::unix::fs::symlink("/bin/sh", tools.join(&node)).unwrap();
        let cli = tools.join("claude");
        std::fs::write(&cli, format!("#!/usr/bin/env {node}\necho '2.1.198 (Claude Code)'\n")).unwrap();
        std::fs::set_permissions(&cli, std::fs::Permissions::from_mode(0o755)).unwrap();
        let found = find(Search::of(&environment)).await.unwrap();
        assert_eq!(
            version(&found).await.as_deref(),
            Some("2.1.198"),
            "as it would answer in {}",
            home.path().display()
        );
        let alone = Found { path: None, ..found };
        assert_eq!(version(&alone).await, None, "nobody else's PATH has the interpreter");
    }

    #[test]
    fn on_windows_both_kinds_of_installation_are_found_in_the_systems_order() {
        let cases = [
            (None, vec!["claude.exe", "claude.cmd"]),
            (Some(".COM;.EXE;.BAT;.CMD;.VBS;.JS"), vec!["claude.exe", "claude.cmd"]),
            (Some(".CMD;.EXE"), vec!["claude.cmd", "claude.exe"]),
            (Some(".cmd"), vec!["claude.cmd"]),
        ];
        for (endings, expected) in cases {
            assert_eq!(names(true, endings), expected, "{endings:?}");
        }
        assert_eq!(names(false, Some(".EXE")), ["claude"], "elsewhere a program has no ending");
        let [one, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let file = |folder: &Path, name: &str| {
            std::fs::rename(fake_cli(folder, 0o755), folder.join(name)).unwrap();
            folder.join(name)
        };
        let path = std::env::join_paths([one.path(), other.path()]).unwrap();
        let (exe, shim) = (file(other.path(), "claude.exe"), file(one.path(), "claude.cmd"));
        let names = names(true, None);
        assert_eq!(on_path(&path, &names), Some(shim), "the first folder decides, and npm's shim is a CLI");
        let first = file(one.path(), "claude.exe");
        assert_eq!(on_path(&path, &names), Some(first), "and within it the order");
        assert_eq!(on_path(other.path().as_os_str(), &names), Some(exe));
    }

    #[tokio::test]
    async fn a_shell_that_does_not_tell_its_path_adds_nothing() {
        let (home, tools, environment) = desktop("PATH=\"$HOME/tools:$PATH\"", "/bin/sh");
        fake_cli(&tools, 0o755);
        let known = Search::of(&environment);
        assert!(find(known.clone()).await.is_ok(), "the profile is one that leads to the CLI");
        let unknown = home.path().join("hush");
        std::os::unix::fs::symlink("/bin/sh", &unknown).unwrap();
        for shell in [None, Some(unknown), Some(home.path().join("gone/sh"))] {
            let search = Search { shell: shell.clone(), ..known.clone() };
            assert_eq!(search.terminal_path().await, None, "{shell:?} is not asked, or says nothing");
            assert_eq!(find(search).await, Err(NotFound::NotOnPath), "{shell:?}");
        }
    }
}
