//! What is remembered of each project beside the user's settings: where its last tab was. One owner writes the file,
//! one change after another, and what another version has put into it is kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};

use crate::file;
use crate::place::Place;

/// What is remembered of all projects.
#[derive(Debug)]
pub(crate) struct Projects {
    known: Mutex<Known>,
    orders: mpsc::UnboundedSender<Order>,
}

#[derive(Debug)]
enum Order {
    Write(Known),
    Tell(oneshot::Sender<()>),
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Known {
    /// By workspace path.
    projects: BTreeMap<String, Project>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Project {
    /// True where the agent of its last tab was in a container.
    container: bool,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Projects {
    /// Reads the file, and begins to write it. One that cannot be read is set aside under another name, never lost.
    pub(crate) fn open(path: PathBuf) -> Self {
        let known = read(&path);
        let (orders, mut inbox) = mpsc::unbounded_channel();
        tokio::task::spawn_blocking(move || {
            while let Some(order) = inbox.blocking_recv() {
                match order {
                    Order::Write(known) => {
                        let written = serde_json::to_vec_pretty(&known)
                            .map_err(std::io::Error::from)
                            .and_then(|text| file::replace(&path, &text));
                        if let Err(error) = written {
                            tracing::warn!(%error, "what is remembered of the projects was not written");
                        }
                    }
                    Order::Tell(done) => drop(done.send(())),
                }
            }
        });
        Self { known: Mutex::new(known), orders }
    }

    /// Where the last tab of a workspace was; on the host where none was ever elsewhere.
    pub(crate) fn place(&self, workspace: &Path) -> Place {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let project = workspace.to_str().and_then(|workspace| known.projects.get(workspace));
        if project.is_some_and(|project| project.container) { Place::Container } else { Place::Host }
    }

    /// A tab of a workspace has come to a place.
    pub(crate) fn remember(&self, workspace: &Path, place: Place) {
        // A path that is no text cannot be a key, and such a project begins on the host each time.
        let Some(workspace) = workspace.to_str() else { return };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let container = place == Place::Container;
        let before = known.projects.get(workspace).is_some_and(|project| project.container);
        if before != container {
            known.projects.entry(workspace.to_owned()).or_default().container = container;
            // Sent under the lock, so that the later of two changes is written last.
            let _ = self.orders.send(Order::Write(known.clone()));
        }
    }

    /// Resolves when everything that was remembered is on the disk.
    pub(crate) async fn written(&self) {
        let (done, told) = oneshot::channel();
        let _ = self.orders.send(Order::Tell(done));
        let _ = told.await;
    }
}

fn read(path: &Path) -> Known {
    let Ok(text) = std::fs::read(path) else { return Known::default() };
    serde_json::from_slice(&text).unwrap_or_else(|error| {
        tracing::warn!(%error, path = %path.display(), "what is remembered of the projects is set aside");
        let _ = std::fs::rename(path, path.with_extension("unreadable"));
        Known::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_place_of_each_project_survives() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("projects.json");
        let (one, other) = (Path::new("/p"), Path::new("/q"));
        let projects = Projects::open(path.clone());
        assert_eq!(projects.place(one), Place::Host, "nothing is remembered yet");
        projects.remember(other, Place::Host);
        projects.written().await;
        assert!(!path.exists(), "what goes without saying is not written");
        for place in [Place::Container, Place::Host, Place::Container] {
            projects.remember(one, place);
            assert_eq!(projects.place(one), place, "the newest counts at once");
        }
        projects.remember(other, Place::Container);
        projects.remember(other, Place::Host);
        projects.written().await;
        let again = Projects::open(path);
        assert_eq!((again.place(one), again.place(other)), (Place::Container, Place::Host), "and after a restart");
    }

    #[tokio::test]
    async fn what_is_not_ours_is_kept_and_what_cannot_be_read_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("projects.json");
        std::fs::write(&path, r#"{"soon": 1, "projects": {"/p": {"colour": "red"}}}"#).unwrap();
        let projects = Projects::open(path.clone());
        projects.remember(Path::new("/p"), Place::Container);
        projects.written().await;
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("soon") && text.contains("colour"), "keys of another version stay: {text}");
        std::fs::write(&path, "{").unwrap();
        let projects = Projects::open(path.clone());
        assert_eq!(projects.place(Path::new("/p")), Place::Host, "it goes on with nothing");
        assert!(path.with_extension("unreadable").exists(), "and nothing is lost");
    }
}
