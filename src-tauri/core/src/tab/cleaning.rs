//! The volumes that only one project uses go with its last container, where the user wants that: at the engines where
//! the tab had containers, and before the next one is made there. What is in a volume is not known here.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::Message;
use super::actor::{Actor, Deadline, Done};
use super::guarding::Guarding;
use crate::app::Surroundings;
use crate::container::engine::Engine;
use crate::container::holdings::{self, Pruned};
use crate::container::state::{Event, State};
use crate::failure::{Code, Failure};
use crate::transcript::Topic;

/// How long the engines may take.
const LIMIT: Duration = Duration::from_mins(1);

/// Where the tab is with them.
#[derive(Debug, Default)]
pub(super) struct Cleaning {
    /// Where containers were since volumes were last removed, by address.
    engines: BTreeMap<String, Engine>,
    /// True while they are being removed.
    busy: bool,
    /// Why some are there still, of a tab that is being closed.
    pub(super) failure: Option<Failure>,
}

impl Cleaning {
    /// A container is about to be made there.
    pub(super) fn begins_at(&mut self, engine: &Engine) {
        self.engines.insert(engine.address().to_string(), engine.clone());
    }
}

impl Actor {
    /// True where volumes are being removed: what follows has to wait for [`Self::on_cleaned`].
    pub(super) fn cleans_volumes(&mut self) -> bool {
        let engines = std::mem::take(&mut self.cleaning.engines);
        let workspace = self.workspace.path().to_path_buf();
        let wanted = self.surroundings.settings().wishes(&workspace).clean_volumes == Some(true);
        if !wanted || self.surroundings.is_worked_in(&workspace) {
            return false;
        }
        let Some(reports) = self.reports() else { return false };
        self.cleaning.busy = true;
        let surroundings = self.surroundings.clone();
        tokio::spawn(async move {
            let cleaned = tokio::time::timeout(LIMIT, clean(&surroundings, engines, &workspace)).await;
            let failure = match cleaned {
                Ok(Ok(pruned)) => {
                    tracing::info!(removed = pruned.removed.len(), "the project's volumes are cleaned up");
                    stayed(&pruned)
                }
                Ok(Err(failure)) => Some(Failure { title: TITLE.to_owned(), ..failure }),
                Err(_) => Some(Failure::new(
                    Code::Timeout,
                    TITLE,
                    format!("The engine did not remove them within {} seconds.", LIMIT.as_secs()),
                    "Look whether it still answers. The list of all containers removes them too.",
                )),
            };
            let _ = reports.send(Message::Done(Done::Cleaned(failure.map(Box::new))));
        });
        true
    }

    /// The way back ends here, but for the volumes.
    pub(super) fn passes(&mut self) {
        if self.cleans_volumes() {
            self.guarding = Guarding::Busy;
            self.forget_deadline(Deadline::Container(self.flip.entered()));
            self.flip.waits_for("Removing the project's volumes");
            return;
        }
        self.guarding = Guarding::Passed;
        self.drive(Event::Stopped);
    }

    pub(super) fn on_cleaned(&mut self, failure: Option<Failure>) {
        self.cleaning.busy = false;
        if self.is_closing() {
            self.cleaning.failure = failure;
            return;
        }
        if let Some(Failure { title, cause, action, .. }) = failure {
            self.transcript.notice(Topic::Warning, format!("{title}."), Some(format!("{cause} {action}")));
        }
        if matches!(self.flip.state(), State::Stopping { .. }) {
            self.guarding = Guarding::Passed;
            self.drive(Event::Stopped);
        }
    }

    /// True where a tab that is being closed has nothing to remove any more.
    pub(super) fn has_cleaned(&mut self) -> bool {
        if self.cleaning.busy {
            return false;
        }
        if self.cleaning.engines.is_empty() {
            return true;
        }
        self.inside = None;
        !self.cleans_volumes()
    }
}

const TITLE: &str = "The project's volumes were not all removed";

/// At the engines where the tab's containers were; where that was before this run, at the one that is meant now.
async fn clean(
    surroundings: &Surroundings,
    engines: BTreeMap<String, Engine>,
    workspace: &Path,
) -> Result<Pruned, Failure> {
    let _alone = surroundings.volumes_of(workspace).await;
    let mut all = Pruned::default();
    if surroundings.is_worked_in(workspace) {
        return Ok(all);
    }
    let mut engines: Vec<Engine> = engines.into_values().collect();
    if engines.is_empty() {
        engines.push(surroundings.engine_of(workspace).await.map_err(|error| Failure::from(&error))?);
    }
    for engine in engines {
        let needed = |volume: &str| surroundings.needs(volume);
        let cleaned = holdings::clean_volumes(&engine, &workspace.display().to_string(), needed).await;
        let Pruned { removed, stayed } = cleaned.map_err(|error| Failure::from(&error))?;
        all.removed.extend(removed);
        // Those of another machine are its own affair, and said nothing about.
        all.stayed.extend(stayed.into_iter().filter(|(one, _)| !surroundings.is_anothers(&one.name)));
    }
    Ok(all)
}

fn stayed(pruned: &Pruned) -> Option<Failure> {
    let causes: Vec<String> = pruned.stayed.iter().map(|(one, why)| format!("{}: {why}.", one.name)).collect();
    let action = "The list of all containers shows what is there.";
    (!causes.is_empty()).then(|| Failure::new(Code::EngineFailed, TITLE, causes.join("\n"), action))
}
