//! Installing the CLI from a tab, with the same command that the tab shows.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::Message;
use super::actor::{Actor, Done};
use super::agent::Slot;
use crate::agent::claude::find;
use crate::failure::{Code, Failure};
use crate::process::Output;
use crate::process::spawn::{self, Program};

/// How long the installer may take.
const LIMIT: Duration = Duration::from_mins(10);

impl Actor {
    pub(super) fn on_install(&mut self) {
        if !matches!(self.slot, Slot::Missing(_)) {
            return;
        }
        if self.installing.is_some() {
            self.shows_installing();
            return;
        }
        let Some(reports) = self.reports() else { return };
        let lines = reports.downgrade();
        let say = move |line: String| {
            if let Some(reports) = lines.upgrade() {
                let _ = reports.send(Message::Done(Done::Installing { line }));
            }
        };
        drop(reports);
        let folder = self.workspace.path().to_path_buf();
        let search = self.surroundings.search();
        let task = self.task(async move {
            // A program opened from a desktop has a shorter PATH than the terminal in which the user would do this.
            let path = search.terminal_path().await;
            let result = tokio::time::timeout(LIMIT, install(folder, path, say))
                .await
                .unwrap_or_else(|_| Err(failed(&format!("npm did not end within {} minutes", LIMIT.as_secs() / 60))));
            Done::Installed { result }
        });
        if task.is_some() {
            self.installing = task;
            self.shows_installing();
        }
    }

    pub(super) fn shows_installing(&mut self) {
        self.slot = Slot::Installing { line: find::INSTALL.to_owned() };
    }

    pub(super) fn on_installing(&mut self, text: String) {
        if let Slot::Installing { line } = &mut self.slot {
            *line = text;
        }
    }

    pub(super) fn on_installed(&mut self, result: Result<(), Failure>) {
        self.installing = None;
        if !matches!(self.slot, Slot::Installing { .. }) {
            return;
        }
        match result {
            Ok(()) => self.start_where_we_are(),
            Err(failure) => self.slot = Slot::Missing(failure),
        }
    }
}

/// Runs the installer with its output told line by line.
async fn install(folder: PathBuf, path: Option<OsString>, say: impl Fn(String)) -> Result<(), Failure> {
    // Through a shell, because on Windows `npm` is a script, and because a version manager may have defined it.
    let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("/bin/sh", "-c") };
    let program = Program {
        path: shell.into(),
        args: vec![flag.into(), format!("{} 2>&1", find::INSTALL).into()],
        folder,
        environment: path.map(|path| ("PATH".into(), Some(path))).into_iter().collect(),
    };
    let mut process = spawn::spawn(&program).map_err(|error| failed(&error.to_string()))?;
    process.input.close();
    let mut log = Vec::new();
    while let Some(output) = process.output.recv().await {
        if let Output::Line { text, .. } = output
            && !text.trim().is_empty()
        {
            log.push(text.clone());
            say(text);
        }
    }
    let exit = process.stop.gone().await;
    if exit.code == Some(0) {
        return Ok(());
    }
    let log = log.join("\n");
    // A shell's word for a program that it does not find; npm's own script gives it where there is no node.
    let failure = if exit.code == Some(127) {
        let mut failure = failed("npm, or the node that it runs on, is not installed");
        "Install Node.js, which brings npm along, then press Install with npm again.".clone_into(&mut failure.action);
        failure
    } else if log.contains("EACCES") {
        failed("npm may not write to its global folder")
    } else {
        failed("npm reported an error")
    };
    Err(failure.with_detail(log))
}

fn failed(cause: &str) -> Failure {
    Failure::new(
        Code::InstallFailed,
        "The Claude CLI was not installed",
        format!("{cause}."),
        "Run the command in a terminal, with the rights it needs, then press Retry.",
    )
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Mutex;

    use super::*;

    /// Installs with an npm of this script, and gives what came of it and what was said on the way.
    async fn with_npm(script: Option<&str>) -> (Result<(), Failure>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        if let Some(script) = script {
            let npm = folder.path().join("npm");
            std::fs::write(&npm, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(&npm, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let said = Mutex::new(Vec::new());
        let result =
            install(folder.path().to_path_buf(), Some(folder.path().into()), |line| said.lock().unwrap().push(line))
                .await;
        (result, said.into_inner().unwrap())
    }

    #[tokio::test]
    async fn the_npm_of_the_path_is_run_and_its_words_are_passed_on() {
        let (result, said) = with_npm(Some("echo \"$@\"; echo; echo 'a warning' >&2")).await;
        assert_eq!(result, Ok(()), "code 0 is success");
        assert_eq!(said, ["install -g @anthropic-ai/claude-code", "a warning"], "with the arguments that were shown");
    }

    #[tokio::test]
    async fn a_failed_install_has_its_cause_and_npms_words() {
        let cases = [
            (None, "is not installed", "Install Node.js", "npm"),
            (Some("echo 'npm error code EACCES' >&2; exit 243"), "may not write", "rights", "npm error code EACCES"),
            (Some("echo 'npm error code ENOTFOUND'; exit 1"), "reported an error", "terminal", "ENOTFOUND"),
        ];
        for (script, cause, action, detail) in cases {
            let failure = with_npm(script).await.0.unwrap_err();
            assert_eq!(failure.code, Code::InstallFailed, "{script:?}");
            assert!(failure.cause.contains(cause), "{script:?} is told as {}", failure.cause);
            assert!(failure.action.contains(action), "{script:?} has the next step {}", failure.action);
            let told = failure.detail.unwrap_or_default();
            assert!(told.contains(detail), "{script:?} comes with npm's words: {told}");
        }
    }
}
