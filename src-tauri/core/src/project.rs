//! What is remembered of each project beside the user's settings: where its last tab was, and at which engine. One owner
//! writes the file, one change after another, and what another version has put into it is kept.

use std::collections::{BTreeMap, BTreeSet};
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
    /// Where any project's last container was.
    #[serde(skip_serializing_if = "Option::is_none")]
    engine: Option<UsedEngine>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Project {
    /// True where the agent of its last tab was in a container.
    container: bool,
    /// Where its last container was.
    #[serde(skip_serializing_if = "Option::is_none")]
    engine: Option<UsedEngine>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// An engine that was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UsedEngine {
    /// Its address, as Gemra writes it.
    pub(crate) address: String,
    /// What it said that it is, such as "Docker 20.10.24".
    pub(crate) name: String,
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

    /// Where the last container of a workspace was.
    pub(crate) fn engine_of(&self, workspace: &Path) -> Option<UsedEngine> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.projects.get(workspace.to_str()?)?.engine.clone()
    }

    /// Where any workspace's last container was.
    pub(crate) fn engine(&self) -> Option<UsedEngine> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).engine.clone()
    }

    /// The addresses of every engine that is remembered, each once.
    pub(crate) fn engines(&self) -> BTreeSet<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let of_projects = known.projects.values().filter_map(|project| project.engine.as_ref());
        of_projects.chain(&known.engine).map(|used| used.address.clone()).collect()
    }

    /// A tab of a workspace has come to a place.
    pub(crate) fn remember(&self, workspace: &Path, place: Place) {
        let container = place == Place::Container;
        self.change(workspace, |project, _| project.container = container);
    }

    /// A container of a workspace is made at an engine.
    pub(crate) fn used(&self, workspace: &Path, engine: UsedEngine) {
        self.change(workspace, |project, last| {
            project.engine = Some(engine.clone());
            *last = Some(engine);
        });
    }

    fn change(&self, workspace: &Path, change: impl FnOnce(&mut Project, &mut Option<UsedEngine>)) {
        // A path that is no text cannot be a key, and such a project begins anew each time.
        let Some(workspace) = workspace.to_str() else { return };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.projects.get(workspace).cloned().unwrap_or_default();
        let (mut project, mut last) = (before.clone(), known.engine.clone());
        change(&mut project, &mut last);
        if project != before || last != known.engine {
            known.projects.insert(workspace.to_owned(), project);
            known.engine = last;
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

/// The address of the engine that any project's last container was at, for whoever only looks.
pub fn last_engine(file: &Path) -> Option<String> {
    let text = std::fs::read(file).ok()?;
    Some(serde_json::from_slice::<Known>(&text).ok()?.engine?.address)
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
    async fn the_last_engine_of_each_project_and_of_all_survives() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("projects.json");
        let (one, other) = (Path::new("/p"), Path::new("/q"));
        let engine = |name: &str| UsedEngine { address: format!("unix:///{name}.sock"), name: name.to_owned() };
        let projects = Projects::open(path.clone());
        assert_eq!((projects.engine_of(one), projects.engine()), (None, None), "nothing is remembered yet");
        projects.used(one, engine("docker"));
        projects.used(other, engine("podman"));
        projects.remember(one, Place::Container);
        projects.written().await;
        assert_eq!(last_engine(&path).as_deref(), Some("unix:///podman.sock"), "whoever only looks finds the last one");
        let again = Projects::open(path.clone());
        assert_eq!(again.engine_of(one), Some(engine("docker")), "each project has its own");
        assert_eq!(again.engine(), Some(engine("podman")), "and of all it is the last");
        assert_eq!(again.place(one), Place::Container, "beside what else is remembered");
        assert_eq!(again.engines().len(), 2, "both are known: {:?}", again.engines());
        again.used(one, engine("podman"));
        assert_eq!(again.engine_of(one), Some(engine("podman")), "the newest counts");
        assert_eq!(last_engine(Path::new("/nowhere/at/all")), None, "where there is no file nothing is known");
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
