//! Runs the commands of a devcontainer: one kind on this machine, before anything is built, and the others in the
//! container that waits at its gate, before the agent begins. Which may run at all is decided before.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use futures_util::StreamExt as _;
use tokio::time::Instant;

use super::{News, Order};
use crate::container::devcontainer::lifecycle::{Command, Stage};
use crate::container::engine::{self, Engine};
use crate::failure::{Code, Failure};
use crate::process::lines::Tail;
use crate::process::spawn::{self, Program};

/// How long a command may take in all.
const WHOLE: Duration = Duration::from_hours(1);
/// How long one in the container may say nothing.
const SILENT: Duration = Duration::from_mins(15);
/// How much of what it says is kept for a failure's report, in bytes.
const KEPT: usize = 16 * 1024;
/// Larger files are no scripts.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Files by which the usual tools know what to run.
const MANIFESTS: &[&str] = &[
    ".npmrc",
    ".yarnrc",
    ".yarnrc.yml",
    "Cargo.toml",
    "GNUmakefile",
    "Gemfile",
    "Justfile",
    "Makefile",
    "Rakefile",
    "Taskfile.yml",
    "build.gradle",
    "build.rs",
    "composer.json",
    "docker-compose.yml",
    "justfile",
    "makefile",
    "package.json",
    "pom.xml",
    "pyproject.toml",
    "setup.py",
];

/// Files of the workspace that a command names, and those by which the usual tools know what to run. What is in them
/// is run with it, so that it counts as part of what the user is asked: a container could have changed them. Blocks.
pub(super) fn files(command: &Command, workspace: &Path) -> Vec<Vec<u8>> {
    let small = |path: &Path| std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() <= LARGEST);
    let manifests = MANIFESTS.iter().map(|name| workspace.join(name)).filter(|path| small(path));
    let mut found: Vec<Vec<u8>> = manifests.filter_map(|path| std::fs::read(path).ok()).collect();
    for (_, words) in command.processes() {
        let pieces = words
            .iter()
            .flat_map(|word| word.split(|letter: char| letter.is_whitespace() || ";&|()<>\"'`=".contains(letter)));
        for piece in pieces.filter(|piece| !piece.is_empty()) {
            let path = workspace.join(piece);
            if path.starts_with(workspace) && small(&path) {
                found.extend(std::fs::read(&path));
            }
        }
    }
    found
}

/// Runs the command that belongs on this machine.
///
/// # Errors
/// A [`Failure`] where it fails, or where a container has changed files that this machine would execute.
pub(super) async fn initialize(
    order: &Order,
    command: &Command,
    news: &(impl Fn(News) + Send + Sync),
) -> Result<(), Failure> {
    let workspace = order.workspace.path().to_path_buf();
    let (store, guarded) = (order.surroundings.guard().clone(), workspace.clone());
    // What runs here may call git, or whatever else the guard keeps an eye on.
    let changes = tokio::task::spawn_blocking(move || store.check(&guarded, |_| true));
    let changes = changes.await.map_err(|error| super::start_failed(&error.to_string()))?;
    if !changes.map_err(|error| Failure::from(&error))?.is_empty() {
        return Err(Failure::new(
            Code::GuardFailed,
            "Files that run on this machine have changed",
            "A container has changed them, and initializeCommand would run beside them.",
            "Press Use host, look at what has changed, and then start the container again.",
        ));
    }
    news(News::Phase(format!("Running {} on this machine", Stage::Initialize.key())));
    let all = command.processes().into_iter().map(|(name, words)| {
        let workspace = workspace.clone();
        async move {
            let failed = |cause: String, detail: String| command_failed(Stage::Initialize, &name, &cause, detail);
            let (program, args) = words.split_first().ok_or_else(|| failed("it is empty".to_owned(), String::new()))?;
            let program = Program {
                path: program.into(),
                args: args.iter().map(Into::into).collect(),
                folder: workspace,
                environment: Vec::new(),
            };
            let done = spawn::run(&program, WHOLE).await.map_err(|error| failed(error.to_string(), String::new()))?;
            let said: Vec<String> = done.stdout.lines().chain(done.exit.stderr.lines()).map(str::to_owned).collect();
            news(News::Log { reset: false, lines: said.clone() });
            if done.succeeded() {
                return Ok(());
            }
            let code = done.exit.code.map_or_else(|| "a signal".to_owned(), |code| format!("code {code}"));
            Err(failed(format!("it ended with {code}"), said.join("\n")))
        }
    });
    futures_util::future::try_join_all(all).await.map(|_| ())
}

/// Where and as whom commands run inside.
#[derive(Debug)]
pub(super) struct Inside<'a> {
    /// The engine.
    pub(super) engine: &'a Engine,
    /// The container.
    pub(super) id: &'a str,
    /// `uid:gid`.
    pub(super) user: String,
    /// The project's folder inside.
    pub(super) folder: String,
    /// Variables beside the container's own. They may be secrets; an inspection does not show them.
    pub(super) environment: BTreeMap<String, String>,
}

impl Inside<'_> {
    /// Runs the commands in their order. The first failure ends it.
    ///
    /// # Errors
    /// A [`Failure`] with what the command said.
    pub(super) async fn run(
        &self,
        commands: &[(Stage, Command)],
        news: &(impl Fn(News) + Send + Sync),
    ) -> Result<(), Failure> {
        for (stage, command) in commands {
            news(News::Phase(format!("Running {}", stage.key())));
            let all = command.processes().into_iter().map(|(name, words)| async move {
                let kept = Mutex::new(Tail::new(KEPT));
                let ended = tokio::time::timeout(WHOLE, self.exec(&words, &kept, news)).await;
                let cause = match ended {
                    Ok(Ok(Some(0))) => return Ok(()),
                    Ok(Ok(Some(code))) => format!("it ended with code {code}"),
                    Ok(Ok(None)) => "the container ended before it".to_owned(),
                    Ok(Err(cause)) => cause,
                    Err(_) => format!("it was not ready after {WHOLE:?}"),
                };
                let detail = kept.lock().map(|kept| kept.text()).unwrap_or_default();
                Err(command_failed(*stage, &name, &cause, detail))
            });
            futures_util::future::try_join_all(all).await?;
        }
        Ok(())
    }

    async fn exec(
        &self,
        words: &[String],
        kept: &Mutex<Tail>,
        news: &(impl Fn(News) + Send + Sync),
    ) -> Result<Option<i64>, String> {
        let failed = |error: bollard::errors::Error| engine::words(&error);
        let config = ExecConfig {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(words.to_vec()),
            user: Some(self.user.clone()),
            working_dir: Some(self.folder.clone()),
            env: Some(self.environment.iter().map(|(name, value)| format!("{name}={value}")).collect()),
            ..ExecConfig::default()
        };
        let made = self.engine.api().create_exec(self.id, config).await.map_err(failed)?.id;
        let started = self.engine.api().start_exec(&made, None::<StartExecOptions>).await.map_err(failed)?;
        let StartExecResults::Attached { mut output, .. } = started else {
            return Err("the engine did not give its output".to_owned());
        };
        let mut open = String::new();
        loop {
            let piece = tokio::time::timeout_at(Instant::now() + SILENT, output.next()).await;
            let piece = piece.map_err(|_| format!("it said nothing for {SILENT:?}"))?;
            let Some(piece) = piece else { break };
            let piece = piece.map_err(failed)?.into_bytes();
            if let Ok(mut kept) = kept.lock() {
                kept.push(&piece);
            }
            open.push_str(&String::from_utf8_lossy(&piece));
            if let Some(end) = open.rfind('\n') {
                let lines = open[..end].lines().map(str::to_owned).collect();
                news(News::Log { reset: false, lines });
                open.drain(..=end);
            }
        }
        if !open.is_empty() {
            news(News::Log { reset: false, lines: vec![open] });
        }
        match self.engine.api().inspect_exec(&made).await {
            Ok(exec) => Ok(exec.exit_code),
            Err(error) if engine::status(&error) == Some(404) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }
}

fn command_failed(stage: Stage, name: &str, cause: &str, detail: String) -> Failure {
    let which = if name.is_empty() { stage.key().to_owned() } else { format!("{} ({name})", stage.key()) };
    Failure::new(
        Code::CommandFailed,
        "A command of the devcontainer.json failed",
        format!("{which}: {cause}."),
        "Read what it said below, mend the command, then press Retry.",
    )
    .with_detail(detail)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_command_runs_of_the_workspace_counts_with_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("scripts")).unwrap();
        std::fs::write(folder.path().join("scripts/a.sh"), "one").unwrap();
        std::fs::write(folder.path().join("b"), "two").unwrap();
        let found = |value| files(&Command::read(&value).unwrap().unwrap(), folder.path());
        assert_eq!(found(json!("sh scripts/a.sh && ./b;true")), [b"one".to_vec(), b"two".to_vec()], "both are read");
        assert_eq!(found(json!(["sh", "./scripts/a.sh"])), [b"one".to_vec()], "of a list too");
        std::fs::write(folder.path().join("package.json"), "{}").unwrap();
        assert_eq!(found(json!("npm ci")), [b"{}".to_vec()], "a tool's manifest says what the tool runs");
        std::fs::remove_file(folder.path().join("package.json")).unwrap();
        assert_eq!(found(json!("/bin/sh -c true")), Vec::<Vec<u8>>::new(), "what is not the project's is not");
    }
}
