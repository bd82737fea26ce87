//! The way back is guarded: before an agent starts on the host, the user sees what a container has changed in files
//! that the host would execute, and keeps it or has it brought back. Which files those are is not known here.

use std::path::PathBuf;

use super::actor::{Actor, Deadline, Done};
use crate::container::state::{Event, State};
use crate::failure::{Code, Failure};
use crate::guard::{Change, GuardError};
use crate::transcript::Topic;

/// Where the tab is with the files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Guarding {
    /// Nothing is asked of them.
    #[default]
    Idle,
    /// They are being looked at, or what the user has said is being done.
    Busy,
    /// The user is asked.
    Asks(Vec<Change>),
    /// All is answered; the next start on the host needs no look.
    Passed,
}

/// What tasks of the guard report.
#[derive(Debug)]
pub(crate) enum Report {
    /// What has changed.
    Looked(Result<Vec<Change>, GuardError>),
    /// What has changed stays.
    Kept(Result<(), GuardError>),
    /// What was is back; what has changed is in this folder.
    Reverted(Result<PathBuf, GuardError>),
}

impl Guarding {
    /// What the user is asked.
    pub(super) fn changes(&self) -> Option<&[Change]> {
        match self {
            Self::Asks(changes) => Some(changes),
            _ => None,
        }
    }
}

impl Actor {
    /// True where an agent must not start on the host yet; then it starts by itself when it may.
    pub(super) fn waits_for_the_guard(&mut self) -> bool {
        if self.guarding == Guarding::Passed {
            self.guarding = Guarding::Idle;
            return false;
        }
        if *self.flip.state() != State::Off || !self.surroundings.guard().knows(self.workspace.path()) {
            return false;
        }
        self.drive(Event::Guarded);
        self.look_at_files();
        true
    }

    /// Looks whether there is anything to ask before the way back ends.
    pub(super) fn look_at_files(&mut self) {
        if matches!(self.guarding, Guarding::Busy | Guarding::Asks(_)) {
            return;
        }
        self.inside = None;
        if !self.surroundings.guard().knows(self.workspace.path()) {
            self.passes();
            return;
        }
        self.guarding = Guarding::Busy;
        let (store, workspace) = (self.surroundings.guard().clone(), self.workspace.path().to_path_buf());
        let stays = self.surroundings.is_inside(&workspace);
        self.guards(move || Report::Looked(store.check(&workspace, stays)));
    }

    /// The user keeps what has changed, or wants back what was.
    pub(super) fn on_answer_guard(&mut self, keep: bool) {
        if !matches!(self.guarding, Guarding::Asks(_)) {
            return;
        }
        self.guarding = Guarding::Busy;
        let (store, workspace) = (self.surroundings.guard().clone(), self.workspace.path().to_path_buf());
        let stays = self.surroundings.is_inside(&workspace);
        self.guards(move || {
            if keep {
                Report::Kept(store.keep(&workspace, stays))
            } else {
                Report::Reverted(store.revert(&workspace, stays))
            }
        });
    }

    pub(super) fn on_guard(&mut self, report: Report) {
        self.guarding = Guarding::Idle;
        let done = match report {
            Report::Looked(Ok(changes)) if changes.is_empty() => Ok(None),
            Report::Looked(Ok(changes)) => {
                // The user may take all the time there is.
                self.forget_container_deadline();
                self.flip.waits_for("Waiting for you to look at what has changed");
                self.guarding = Guarding::Asks(changes);
                return;
            }
            Report::Kept(Ok(())) => Ok(Some(("You kept what the container has changed in files that run here.", None))),
            Report::Reverted(Ok(aside)) => Ok(Some((
                "What the container has changed in files that run here was brought back.",
                Some(format!("What it had written is in {}.", aside.display())),
            ))),
            Report::Looked(Err(error)) | Report::Kept(Err(error)) | Report::Reverted(Err(error)) => Err(error),
        };
        match done {
            Ok(told) => {
                if let Some((text, detail)) = told {
                    self.transcript.notice(Topic::Host, text, detail);
                }
                self.passes();
            }
            Err(error) => self.drive(Event::Failed((&error).into())),
        }
    }

    fn passes(&mut self) {
        self.guarding = Guarding::Passed;
        self.drive(Event::Stopped);
    }

    fn guards(&self, work: impl FnOnce() -> Report + Send + 'static) {
        let Some(reports) = self.reports() else { return };
        tokio::spawn(async move {
            if let Ok(report) = tokio::task::spawn_blocking(work).await {
                let _ = reports.send(super::Message::Done(Done::Guard(report)));
            }
        });
    }

    fn forget_container_deadline(&mut self) {
        let entered = self.flip.entered();
        self.forget_deadline(Deadline::Container(entered));
    }
}

impl From<&GuardError> for Failure {
    fn from(error: &GuardError) -> Self {
        Self::new(
            Code::GuardFailed,
            "Files that run on this machine cannot be checked",
            format!("{error}."),
            "See that the file can be read and written, then press Retry or Use host.",
        )
    }
}
