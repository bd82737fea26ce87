//! Installing the CLI from a tab, with the same command that the tab shows.

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
        let Some(reports) = self.reports() else { return };
        let lines = reports.downgrade();
        let say = move |line: String| {
            if let Some(reports) = lines.upgrade() {
                let _ = reports.send(Message::Done(Done::Installing { line }));
            }
        };
        drop(reports);
        let folder = self.workspace.path().to_path_buf();
        let task = self.task(async move {
            let result = tokio::time::timeout(LIMIT, install(folder, say))
                .await
                .unwrap_or_else(|_| Err(failed(&format!("npm did not end within {} minutes", LIMIT.as_secs() / 60))));
            Done::Installed { result }
        });
        if let Some(task) = task {
            self.slot = Slot::Installing { line: find::INSTALL.to_owned(), _task: task };
        }
    }

    pub(super) fn on_installing(&mut self, text: String) {
        if let Slot::Installing { line, .. } = &mut self.slot {
            *line = text;
        }
    }

    pub(super) fn on_installed(&mut self, result: Result<(), Failure>) {
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
async fn install(folder: std::path::PathBuf, say: impl Fn(String)) -> Result<(), Failure> {
    // Through a shell, because on Windows `npm` is a script, and because a version manager may have defined it.
    let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("/bin/sh", "-c") };
    let program = Program {
        path: shell.into(),
        args: vec![flag.into(), format!("{} 2>&1", find::INSTALL).into()],
        folder,
        environment: Vec::new(),
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
    let cause = if log.contains("EACCES") {
        "npm may not write to its global folder"
    } else if exit.code == Some(127) {
        "npm is not installed"
    } else {
        "npm reported an error"
    };
    Err(failed(cause).with_detail(log))
}

fn failed(cause: &str) -> Failure {
    Failure::new(
        Code::InstallFailed,
        "The Claude CLI was not installed",
        format!("{cause}."),
        "Run the command in a terminal, with the rights it needs, then press Retry.",
    )
}
