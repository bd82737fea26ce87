//! What a tab hears of files that are kept the same with another machine's: how it stands, what has changed on both
//! sides, and what the user chooses. How files are carried is not known here.

use std::path::{Path, PathBuf};

use tokio::sync::watch;

use super::Message;
use super::actor::{Actor, Deadline, Done};
use crate::container::state::State;
use crate::failure::Failure;
use crate::place::Place;
use crate::sync::{Answered, Conflict, SyncError, Told};
use crate::transcript::Topic;

/// The name of the fact that says how it stands.
const FILES: &str = "Files";

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct Syncing {
    /// What waits for the user's choice.
    pub(super) conflicts: Vec<Conflict>,
    /// Why what the agent has written last is not here.
    pub(super) failure: Option<Failure>,
    /// True while what the agent writes has to be brought back when it ends.
    brings: watch::Sender<bool>,
}

impl Syncing {
    /// Whether what the agent writes has to be brought back, as it changes.
    pub(super) fn brings_back(&self) -> watch::Receiver<bool> {
        self.brings.subscribe()
    }

    /// Nothing is kept the same any more: the agent has ended, or did not begin.
    pub(super) fn ends(&self) {
        self.brings.send_if_modified(std::mem::take);
    }
}

/// What tasks of it report.
#[derive(Debug)]
pub(crate) enum Report {
    /// How it goes.
    Told(Told),
    /// The user has chosen between two versions of a file.
    Chosen {
        /// In which folder.
        root: PathBuf,
        /// What came of it.
        answered: Result<Answered, SyncError>,
    },
}

impl Actor {
    pub(super) fn on_sync(&mut self, report: Report) {
        match report {
            Report::Told(told) => self.on_told(told),
            Report::Chosen { root, answered } => self.on_chosen(&root, answered),
        }
    }

    fn on_told(&mut self, told: Told) {
        let moving = self.flip.is_moving();
        // The last words of one that has ended may come after its end.
        let inside = self.slot.running().is_some_and(|running| running.place == Place::Container);
        if inside || self.flip.is_entering() {
            self.flip.syncing.brings.send_if_modified(|brings| !std::mem::replace(brings, true));
        }
        match told {
            Told::Doing(words) if moving => self.flip.waits_for(&words),
            Told::Doing(_) => {}
            Told::Same { words, conflicts } => {
                if !self.flip.state().is_off() {
                    self.flip.states(FILES, words);
                }
                self.tell_conflicts(conflicts);
            }
            Told::Failed(failure) => {
                let words = format!("not kept the same at the moment; it is tried again. {}", failure.cause);
                self.flip.states(FILES, words);
            }
            Told::Last => {
                if matches!(self.flip.state(), State::Stopping { .. }) {
                    // It takes what the network takes, and gives up by itself where nothing moves.
                    self.forget_deadline(Deadline::Container(self.flip.entered()));
                    self.flip.waits_for("Bringing back what the agent has written");
                }
            }
        }
    }

    /// The user has chosen between two versions of a file.
    pub(super) fn on_answer_conflict(&mut self, root: PathBuf, path: String, theirs: bool) {
        #[cfg(unix)]
        {
            let Some(reports) = self.reports() else { return };
            let store = self.surroundings.sync().clone();
            tokio::spawn(async move {
                let answered = store.answer(&root, &path, theirs).await;
                let _ = reports.send(Message::Done(Done::Sync(Report::Chosen { root, answered })));
            });
        }
        #[cfg(not(unix))]
        let _ = (root, path, theirs);
    }

    fn on_chosen(&mut self, root: &Path, answered: Result<Answered, SyncError>) {
        match answered {
            Ok(Answered { left, aside }) => {
                let all = &mut self.flip.syncing.conflicts;
                all.retain(|one| one.root != root);
                all.extend(left);
                if let Some(aside) = aside {
                    let words = format!("Your version is {} now.", aside.display());
                    self.transcript.notice(Topic::Info, words, None);
                }
            }
            Err(error) => {
                let words = "A file that has changed on both sides was left as it is.";
                self.transcript.notice(Topic::Warning, words, Some(format!("{error}.")));
            }
        }
    }

    /// What a session of the tab's tells, for as long as the tab is there.
    pub(super) fn tells_of_sync(&self) -> impl Fn(Told) + Send + Sync + Clone + 'static {
        let reports = self.reports().map(|reports| reports.downgrade());
        move |told| {
            if let Some(reports) = reports.as_ref().and_then(tokio::sync::mpsc::WeakUnboundedSender::upgrade) {
                let _ = reports.send(Message::Done(Done::Sync(Report::Told(told))));
            }
        }
    }

    fn tell_conflicts(&mut self, conflicts: Vec<Conflict>) {
        let known = |one: &&Conflict| {
            self.flip.syncing.conflicts.iter().any(|known| (&known.root, &known.path) == (&one.root, &one.path))
        };
        let new: Vec<String> = conflicts.iter().filter(|one| !known(one)).map(Conflict::in_words).collect();
        if !new.is_empty() {
            let words = if new.len() == 1 {
                "A file has changed here and in the container. Neither was overwritten.".to_owned()
            } else {
                format!("{} files have changed here and in the container. None was overwritten.", new.len())
            };
            self.transcript.notice(Topic::Warning, words, Some(new.join("\n")));
        }
        self.flip.syncing.conflicts = conflicts;
    }
}
