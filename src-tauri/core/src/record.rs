//! A record of each open tab, so that the next start can say which was interrupted and take it up again. A record
//! that is there when Gemra starts belongs to an instance that died.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::file;

/// What is known of an open tab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Run {
    /// The tab.
    pub tab: String,
    /// Where it works.
    pub workspace: PathBuf,
    /// What it is called.
    pub title: String,
    /// The agent's conversation.
    pub conversation: String,
    /// True where the agent was in a container, or on its way.
    pub container: bool,
    /// True where a turn was running.
    pub turn: bool,
    /// The message of that turn.
    #[serde(default)]
    pub said: Option<String>,
    /// Messages that waited, oldest first.
    #[serde(default)]
    pub queue: Vec<String>,
    /// The model, where one was chosen.
    pub model: Option<String>,
    /// The permission mode.
    pub mode: String,
    /// When the tab was opened, in milliseconds since the Unix epoch: tabs are taken up in that order.
    #[serde(default)]
    pub opened: u64,
}

/// Writes records, one after another, so that the newest is the one that stays.
#[derive(Debug)]
pub(crate) struct Records {
    orders: mpsc::UnboundedSender<Order>,
}

#[derive(Debug)]
enum Order {
    Write(Run),
    Forget(String, Option<oneshot::Sender<()>>),
    SetAside(String),
}

/// The records that were left behind in `folder`, and the writer for new ones.
///
/// A record that cannot be read is set aside under another name, never deleted.
pub(crate) fn open(folder: PathBuf) -> (Vec<Run>, Records) {
    let left = read_all(&folder);
    let (orders, mut inbox) = mpsc::unbounded_channel();
    tokio::task::spawn_blocking(move || {
        while let Some(order) = inbox.blocking_recv() {
            match order {
                Order::Write(run) => {
                    let written = serde_json::to_vec_pretty(&run)
                        .map_err(std::io::Error::from)
                        .and_then(|text| file::replace(&path(&folder, &run.tab), &text));
                    if let Err(error) = written {
                        tracing::warn!(%error, "a tab's record was not written");
                    }
                }
                Order::SetAside(tab) => {
                    let path = path(&folder, &tab);
                    let _ = std::fs::rename(&path, path.with_extension("dismissed"));
                }
                Order::Forget(tab, done) => {
                    let _ = std::fs::remove_file(path(&folder, &tab));
                    if let Some(done) = done {
                        let _ = done.send(());
                    }
                }
            }
        }
    });
    (left, Records { orders })
}

impl Records {
    /// Writes a record.
    pub(crate) fn write(&self, run: Run) {
        let _ = self.orders.send(Order::Write(run));
    }

    /// Keeps a record under a name that no start looks for.
    pub(crate) fn set_aside(&self, tab: &str) {
        let _ = self.orders.send(Order::SetAside(tab.to_owned()));
    }

    /// Removes a record; resolves when it is gone.
    pub(crate) async fn forget(&self, tab: &str) {
        let (done, gone) = oneshot::channel();
        let _ = self.orders.send(Order::Forget(tab.to_owned(), Some(done)));
        let _ = gone.await;
    }

    /// Removes a record some time soon.
    pub(crate) fn forgets(&self, tab: &str) {
        let _ = self.orders.send(Order::Forget(tab.to_owned(), None));
    }
}

fn path(folder: &Path, tab: &str) -> PathBuf {
    folder.join(format!("{tab}.json"))
}

fn read_all(folder: &Path) -> Vec<Run> {
    let Ok(files) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut runs = Vec::new();
    let mut paths: Vec<PathBuf> = files.flatten().map(|file| file.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    for path in paths {
        let run = std::fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Run>(&text).ok());
        match run {
            Some(run) => runs.push(run),
            None => {
                let aside = path.with_extension("unreadable");
                tracing::warn!(path = %path.display(), "a tab's record cannot be read and is set aside");
                let _ = std::fs::rename(&path, aside);
            }
        }
    }
    runs.sort_by_key(|run| run.opened);
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(tab: &str) -> Run {
        Run {
            tab: tab.to_owned(),
            workspace: "/p".into(),
            title: "p".to_owned(),
            conversation: "c".to_owned(),
            container: true,
            turn: false,
            said: None,
            queue: vec!["next".to_owned()],
            model: None,
            mode: "default".to_owned(),
            opened: if tab == "a" { 2 } else { 1 },
        }
    }

    #[tokio::test]
    async fn what_was_not_forgotten_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path().join("runs");
        let (left, records) = open(runs.clone());
        assert!(left.is_empty(), "nothing was left behind");
        records.write(run("a"));
        records.write(run("b"));
        records.write(Run { turn: true, ..run("a") });
        records.write(run("c"));
        records.set_aside("c");
        records.forget("b").await;
        drop(records);
        std::fs::write(runs.join("broken.json"), "{").unwrap();
        let (left, _records) = open(runs.clone());
        assert_eq!(left, [Run { turn: true, ..run("a") }], "the newest record of each tab that was not closed");
        assert!(runs.join("broken.unreadable").exists(), "a broken record is set aside, not deleted");
        assert!(runs.join("c.dismissed").exists(), "one that was dismissed is kept, and nobody takes it up");
    }
}
