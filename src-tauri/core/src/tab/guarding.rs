//! The way back is guarded: before an agent starts on the host, the user sees what a container has changed in files
//! that the host would execute, and keeps it or has it brought back. Which files those are is not known here.

use std::path::{Path, PathBuf};

use super::actor::{Actor, Deadline, Done};
use super::agent::Leaving;
use crate::container::state::{Event, State};
use crate::failure::{Code, Failure};
use crate::guard::{Answer, Change, GuardError};
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
    /// They were looked at for a turn on the host, which can begin.
    Seen,
}

/// What tasks of the guard report.
#[derive(Debug)]
pub(crate) enum Report {
    /// What has changed.
    Looked(Result<Vec<Change>, GuardError>),
    /// What the user has said is done: what there still is to ask, and where that is which was reverted.
    Answered { answer: Answer, left: Result<(Vec<Change>, Option<PathBuf>), GuardError> },
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
        self.looks();
    }

    /// True where a turn on the host has to wait, because another tab's container may have written to this workspace
    /// since somebody looked. The agent gets its message when it may.
    pub(super) fn looks_before_a_turn(&mut self) -> bool {
        if self.guarding == Guarding::Seen {
            self.guarding = Guarding::Idle;
            return false;
        }
        let workspace = self.workspace.path();
        let written = self.surroundings.is_inside(workspace) && self.surroundings.guard().knows(workspace);
        if self.guarding == Guarding::Idle && written && *self.flip.state() == State::Off {
            self.looks();
        }
        matches!(self.guarding, Guarding::Busy | Guarding::Asks(_))
    }

    fn looks(&mut self) {
        self.guarding = Guarding::Busy;
        let (surroundings, workspace) = (self.surroundings.clone(), self.workspace.path().to_path_buf());
        self.guards(move || {
            Report::Looked(surroundings.guard().check(&workspace, |folders| surroundings.is_written(folders)))
        });
    }

    /// The user keeps what has changed, or wants back what was.
    pub(super) fn on_answer_guard(&mut self, answer: Answer) {
        let shown = match &self.guarding {
            Guarding::Asks(shown) => shown.clone(),
            _ => return,
        };
        self.guarding = Guarding::Busy;
        let (surroundings, workspace) = (self.surroundings.clone(), self.workspace.path().to_path_buf());
        self.guards(move || {
            let stays = |folders: &[PathBuf]| surroundings.is_written(folders);
            let left = surroundings.guard().answer(&workspace, &shown, &answer, stays);
            Report::Answered { answer, left }
        });
    }

    pub(super) fn on_guard(&mut self, report: Report) {
        self.guarding = Guarding::Idle;
        let left = match report {
            Report::Looked(looked) => looked,
            Report::Answered { answer, left } => left.map(|(left, aside)| {
                let what = answer
                    .path
                    .as_ref()
                    .map(|path| path.strip_prefix(self.workspace.path()).unwrap_or(path).display().to_string());
                let (text, detail) = told(&answer, what.as_deref(), aside.as_deref());
                self.transcript.notice(Topic::Host, text, detail);
                left
            }),
        };
        let is_off = *self.flip.state() == State::Off;
        match left {
            Ok(changes) if changes.is_empty() && is_off => {
                self.guarding = Guarding::Seen;
                self.deliver();
                // Where there was nothing to deliver after all, the next message is looked at anew.
                if self.guarding == Guarding::Seen {
                    self.guarding = Guarding::Idle;
                }
            }
            Ok(changes) if changes.is_empty() => self.passes(),
            Ok(changes) => {
                self.leaves_the_host(is_off);
                // The user may take all the time there is.
                self.forget_container_deadline();
                self.flip.waits_for("Waiting for you to look at what has changed");
                self.guarding = Guarding::Asks(changes);
            }
            Err(error) => {
                self.leaves_the_host(is_off);
                self.drive(Event::Failed((&error).into()));
            }
        }
    }

    /// An agent that is on the host already goes, and starts again when all is answered: so that what it reads at its
    /// start is what the user has agreed to.
    fn leaves_the_host(&mut self, is_off: bool) {
        if is_off {
            self.drive(Event::Guarded);
            self.let_go(Leaving::ToHost);
        }
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

/// What was done, in words.
fn told(answer: &Answer, what: Option<&str>, aside: Option<&Path>) -> (String, Option<String>) {
    let text = match (answer.keep, what) {
        (true, None) => "You kept what the container has changed in files that run here.".to_owned(),
        (true, Some(file)) => format!("You kept what the container has changed in {file}."),
        (false, None) => "What the container has changed in files that run here was brought back.".to_owned(),
        (false, Some(file)) => format!("What the container has changed in {file} was brought back."),
    };
    (text, aside.map(|aside| format!("What it had written is in {}.", aside.display())))
}

impl From<&GuardError> for Failure {
    fn from(error: &GuardError) -> Self {
        let action = match error {
            GuardError::File { .. } => "See that the file can be read and written, then press Retry or Use host.",
            GuardError::TooLarge(_) | GuardError::Unknown(_) | GuardError::Elsewhere(_) => {
                "Look at it and mend it yourself, then press Retry or Use host; you can also keep it."
            }
        };
        Self::new(Code::GuardFailed, "Files that run on this machine cannot be checked", format!("{error}."), action)
    }
}
