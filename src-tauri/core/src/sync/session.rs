//! Keeps folders the same for as long as an agent works on the other side: a first round before it begins, one every
//! few seconds while it works, and a last one when it has gone. It knows the agent only by its end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::remote::{Companion, Shelf, volume};
use super::round::{Outcome, Root, Ways};
use super::store::{Lent, Turn};
use super::{Conflict, Store, SyncError, Told, VOLUMES, counted};
use crate::container::engine::Engine;
use crate::container::labels;
use crate::failure::Failure;
use crate::owner::Owner;
use crate::process::{Exit, Process};

/// The pause between two rounds.
const PAUSE: Duration = Duration::from_secs(2);
/// A round that takes long is followed by a pause so many times as long, so that most of the engine is the agent's.
const SHARE: u32 = 3;
/// The pause after a round that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// How often the last round is tried, with a pause of [`PAUSE`].
const TRIES: u32 = 3;
/// Where the volumes are in the companion.
const SHELVES: &str = "/gemra";
/// How many of the paths that are not carried are named.
const NAMED: usize = 5;

/// A folder that is to be at the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Here, absolute.
    pub here: PathBuf,
    /// What it is to Gemra.
    pub kind: Kind,
}

/// What a folder is to Gemra.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The workspace, of which `.gitignore` and `.dockerignore` name what stays where it is.
    Project,
    /// Its conversations. The agent removes those that are old, all of them it may be.
    Conversations,
    /// A worktree's repository, which is elsewhere.
    Repository,
}

/// On what terms folders are kept the same.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Whose the containers are.
    pub labels: labels::Owner,
    /// The companion's name.
    pub name: String,
    /// An image with a shell and the usual small tools.
    pub image: String,
    /// The agent's user and group there.
    pub user: (u32, u32),
    /// Whose new files are here: a user and a group. Only root can give files away.
    pub owner: (u32, u32),
}

/// Folders that are kept the same. Dropped, it stops between two files, and loses nothing.
#[derive(Debug)]
pub struct Session {
    companion: Companion,
    roots: Vec<Root>,
    store: Store,
    /// Which volume stands for which folder.
    volumes: BTreeMap<PathBuf, String>,
    /// One for each root, from when a container may write there.
    lent: Vec<Lent>,
    _turn: Turn,
}

impl Session {
    /// Makes volumes and the companion, where they are not there yet. Nothing is carried before [`Self::round`]. `turn` is
    /// the tab's, which has one session at a time.
    ///
    /// # Errors
    /// [`SyncError`]; no container is left behind.
    pub async fn open(
        engine: &Engine,
        terms: &Terms,
        folders: &[Folder],
        store: &Store,
        turn: Turn,
    ) -> Result<Self, SyncError> {
        let (mut shelves, mut lives, mut volumes) = (Vec::new(), Vec::new(), BTreeMap::new());
        for (number, folder) in folders.iter().enumerate() {
            let name = format!("{VOLUMES}{}", store.key(&folder.here));
            lives.push(volume(engine, &name, &terms.labels).await?);
            volumes.insert(folder.here.clone(), name.clone());
            shelves.push(Shelf { volume: name, target: format!("{SHELVES}/{number}") });
        }
        let names = (terms.name.as_str(), terms.image.as_str());
        let companion = Companion::start(engine, names, &terms.labels, terms.user, &shelves).await?;
        let owner = Owner { uid: terms.owner.0, gid: terms.owner.1 };
        let roots = folders
            .iter()
            .zip(shelves)
            .zip(lives)
            .map(|((folder, shelf), life)| Root::new(folder.clone(), shelf.target, life, owner));
        let roots = roots.collect();
        Ok(Self { companion, roots, store: store.clone(), volumes, lent: Vec::new(), _turn: turn })
    }

    /// A container is about to be given the volumes. From now on nobody may remove them, until a last round has found
    /// here all that is there.
    ///
    /// # Errors
    /// [`SyncError::Record`] where that cannot be written down.
    pub async fn lend(&mut self) -> Result<(), SyncError> {
        if self.lent.is_empty() {
            for root in &self.roots {
                self.lent.push(self.store.lend(&root.here, &root.life).await?);
            }
        }
        Ok(())
    }

    /// The container has not written anything, or was never made: what was known of the volumes before holds again.
    pub async fn take_back(&mut self) {
        for (root, lent) in self.roots.iter().zip(self.lent.drain(..)) {
            if let Err(error) = self.store.take_back(lent, &root.here, &root.life).await {
                tracing::warn!(%error, "that all is here cannot be written down, so that the volume stays");
            }
        }
    }

    /// Which volume stands for which folder of this machine.
    pub fn volumes(&self) -> &BTreeMap<PathBuf, String> {
        &self.volumes
    }

    /// Carries what has changed on one side, of every folder.
    ///
    /// # Errors
    /// [`SyncError`]; what was carried until then is remembered.
    pub async fn round(&mut self, tell: &(dyn Fn(Told) + Send + Sync)) -> Result<(), SyncError> {
        self.carry(Ways::Both, tell).await.map(drop)
    }

    /// The same, but nothing is brought back.
    ///
    /// # Errors
    /// As [`Self::round`].
    pub async fn send(&mut self, tell: &(dyn Fn(Told) + Send + Sync)) -> Result<(), SyncError> {
        self.carry(Ways::Up, tell).await.map(drop)
    }

    /// For each root, what of it is there and not here.
    async fn carry(&mut self, ways: Ways, tell: &(dyn Fn(Told) + Send + Sync)) -> Result<Vec<Vec<String>>, SyncError> {
        let (mut words, mut conflicts, mut apart) = (Vec::new(), Vec::new(), Vec::new());
        for root in &mut self.roots {
            let doing = |words: String| tell(Told::Doing(words));
            let outcome = root.round(ways, &self.companion, &self.store, &doing).await?;
            if outcome.sent + outcome.brought > 0 {
                tracing::debug!(root = %root.here.display(), sent = outcome.sent, brought = outcome.brought, "synced");
            }
            if root.kind == Kind::Project || !outcome.held.is_empty() {
                words.push(in_words(&root.here, &outcome));
            }
            conflicts.extend(outcome.conflicts);
            apart.push(outcome.apart);
        }
        if !conflicts.is_empty() {
            words.push(format!(
                "{} changed on both sides, and overwritten on neither",
                counted(conflicts.len(), "file")
            ));
        }
        tell(Told::Same { words: words.join("\n"), conflicts });
        Ok(apart)
    }

    /// What was lent is given back, and a last round has found this apart.
    async fn settle(&self, apart: Vec<Vec<String>>) {
        for ((root, lent), apart) in self.roots.iter().zip(&self.lent).zip(apart) {
            if let Err(error) = self.store.settle_whole(lent, &root.here, &root.life, apart).await {
                tracing::warn!(%error, "that all is here cannot be written down, so that the volume stays");
            }
        }
    }

    /// Gives up; resolves when the companion is gone.
    pub async fn close(self) {
        self.companion.close().await;
    }

    /// Goes on for as long as the agent works. The process that is given back ends when the last round is done and the
    /// companion is gone: whoever waits for its end finds its files here.
    pub fn follow(self, process: Process, tell: impl Fn(Told) + Send + Sync + 'static) -> Process {
        let ended = process.exit.clone();
        let (sender, exit) = watch::channel(None);
        let tell: Arc<dyn Fn(Told) + Send + Sync> = Arc::new(tell);
        tokio::spawn(self.keep(ended, sender, tell));
        process.ending_with(exit)
    }

    async fn keep(
        mut self,
        mut ended: watch::Receiver<Option<Exit>>,
        sender: watch::Sender<Option<Exit>>,
        tell: Arc<dyn Fn(Told) + Send + Sync>,
    ) {
        let mut pause = PAUSE;
        let mut exit = loop {
            tokio::select! {
                exit = ended.wait_for(Option::is_some) => break exit.ok().and_then(|exit| exit.clone()),
                () = tokio::time::sleep(pause) => {}
            }
            // Not cut off by the agent's end: half a round is no round.
            let began = Instant::now();
            pause = match self.round(&*tell).await {
                Ok(()) => PAUSE.max(began.elapsed() * SHARE),
                Err(error) => {
                    tracing::warn!(%error, "a round failed");
                    tell(Told::Failed(Failure::from(&error)));
                    AFTER_FAILURE
                }
            };
        }
        .unwrap_or_default();
        tell(Told::Last);
        let mut tries = 0;
        let failure = loop {
            tries += 1;
            match self.carry(Ways::Both, &*tell).await {
                Ok(apart) => {
                    // One that the engine has left may still write.
                    if !exit.left {
                        self.settle(apart).await;
                    }
                    break None;
                }
                Err(error) if tries < TRIES => {
                    tracing::warn!(%error, tries, "the last round failed");
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => break Some(Failure::from(&error)),
            }
        };
        self.companion.close().await;
        exit.unsynced = failure.map(Box::new);
        sender.send_replace(Some(exit));
    }
}

fn in_words(here: &Path, outcome: &Outcome) -> String {
    let mut words = format!("{}: a copy in a volume, kept the same", here.display());
    if !outcome.held.is_empty() {
        let named: Vec<String> = outcome.held.iter().take(NAMED).map(|(path, why)| format!("{path} ({why})")).collect();
        let more = outcome.held.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        words = format!("{words}\nNot carried: {}{more}", named.join(", "));
    }
    words
}

impl Conflict {
    /// In one line, with where both versions are.
    pub fn in_words(&self) -> String {
        let theirs = self.theirs.as_ref().map_or_else(
            || format!("the container's is {}", self.theirs_is),
            |kept| format!("the container's is kept as {}", kept.display()),
        );
        let mine = if self.mine_is == "removed" {
            "yours was removed".to_owned()
        } else {
            format!("yours is {}", self.mine.display())
        };
        format!("{}: {mine}; {theirs}", self.path)
    }
}
