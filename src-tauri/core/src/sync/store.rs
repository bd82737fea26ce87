//! What is remembered of each tree between two looks and two runs: what both sides held when they were last the same,
//! and what has changed on both since. On disk, so that neither a crash nor a lost connection makes an old file look
//! like a new one. It knows no engine.

mod whole;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::manifest::{Entry, Manifest, below};
use super::scan::LARGEST;
use super::tree::{Refused, Tree, stamp};
use super::{Answered, Conflict, SyncError};
use crate::digest::hexadecimal;
use crate::file;
pub(super) use whole::Lent;

/// What is remembered of a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Record {
    /// The tree here.
    pub(super) here: PathBuf,
    /// Which life of the volume this is about.
    pub(super) life: String,
    /// What both sides held when they were last the same.
    pub(super) base: Manifest,
    /// What has changed on both sides since.
    pub(super) clashes: BTreeMap<String, Clash>,
    /// What the user has chosen against there, where that is a folder, and the path that it is to get there.
    pub(super) aside: BTreeMap<String, String>,
    /// True where all that the volume holds is here as well, so that it may go.
    pub(super) whole: bool,
    /// What of it was not here when that was looked at last, in words.
    pub(super) apart: Vec<String>,
}

/// A path that has changed on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Clash {
    pub(super) here: Option<Entry>,
    pub(super) there: Option<Entry>,
    /// Where a copy of theirs is kept, where theirs is a file.
    pub(super) kept: Option<PathBuf>,
}

/// A tab's one session at a time.
#[derive(Debug)]
pub struct Turn {
    _held: tokio::sync::OwnedMutexGuard<()>,
}

/// The home's records and kept copies.
#[derive(Debug, Clone)]
pub struct Store {
    records: PathBuf,
    kept: PathBuf,
    /// The home's name, the same for as long as there is the home.
    home: String,
    locks: Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>>,
    /// How many sessions have given a tree's volume to a container.
    lent: Arc<Mutex<HashMap<String, usize>>>,
}

impl Store {
    /// Records in one folder, copies of what has changed on both sides in another. `home` is the name by which this
    /// home is told from every other one, those of other machines included.
    pub fn new(records: PathBuf, kept: PathBuf, home: &str) -> Self {
        Self { records, kept, home: home.to_owned(), locks: Arc::default(), lent: Arc::default() }
    }

    /// The name of a tree, which is also its volume's: the same for the same folder in the same home, and another one
    /// in another home at the same path, which may be another machine's.
    pub(super) fn key(&self, here: &Path) -> String {
        let name = |home: &[u8]| {
            let mut digest = Sha256::new();
            digest.update(home);
            digest.update([0]);
            digest.update(here.as_os_str().as_encoded_bytes());
            hexadecimal(&digest.finalize()[..12])
        };
        // Before homes had names their paths were used: what was begun under such a name may not be here yet.
        let before = name(self.records.as_os_str().as_encoded_bytes());
        if self.path(&before).exists() { before } else { name(self.home.as_bytes()) }
    }

    /// Waits until no session of the tab's keeps anything the same any more: a container that takes another's place
    /// must not begin before what was written in that one is here.
    pub async fn turn(&self, tab: &str) -> Turn {
        Turn { _held: self.lock(&format!("tab {tab}")).await }
    }

    /// Held while a tree is compared or changed: two tabs may work in the same workspace.
    pub(super) async fn lock(&self, key: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(locks.entry(key.to_owned()).or_default())
        };
        lock.lock_owned().await
    }

    /// What is remembered; nothing where the volume is not the one that it was about. Blocks.
    ///
    /// # Errors
    /// [`SyncError::Record`] where there is a record that cannot be read: to begin anew would take every old file for
    /// a new one.
    pub(super) fn load(&self, here: &Path, life: &str) -> Result<Record, SyncError> {
        let new = || Record { here: here.to_owned(), life: life.to_owned(), ..Record::default() };
        let record = self.read(&self.key(here))?.filter(|record| record.life == life && record.here == here);
        Ok(record.unwrap_or_else(new))
    }

    /// Blocks.
    pub(super) fn save(&self, record: &Record) -> Result<(), SyncError> {
        let path = self.path(&self.key(&record.here));
        let failed = |cause: String| SyncError::Record { path: path.clone(), cause };
        let text = serde_json::to_vec(record).map_err(|error| failed(error.to_string()))?;
        file::replace(&path, &text).map_err(|error| failed(error.to_string()))
    }

    /// A new folder for copies of a tree's files. Blocks.
    pub(super) fn new_kept(&self, here: &Path) -> std::io::Result<PathBuf> {
        let name = here.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let folder = self.kept.join(format!("{name}-{}", &self.key(here)[..8])).join(time.to_string());
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// What has changed on both sides of a workspace. Blocks.
    pub fn conflicts(&self, here: &Path) -> Vec<Conflict> {
        match self.read(&self.key(here)) {
            Ok(record) => record.map(|record| record.conflicts()).unwrap_or_default(),
            Err(error) => {
                tracing::warn!(%error, "what has changed on both sides cannot be told");
                Vec::new()
            }
        }
    }

    /// The user has chosen. Where theirs is wanted, it is put in place here, and ours is kept beside it; where ours is
    /// wanted, the next round sends it. What the other one was, is known from now on. Where one of them is a folder, the
    /// other one of the two is not overwritten but gets another name, in its own folder.
    ///
    /// # Errors
    /// [`SyncError`] where there is no such conflict, or a file cannot be written.
    pub async fn answer(&self, here: &Path, path: &str, theirs: bool) -> Result<Answered, SyncError> {
        let _locked = self.lock(&self.key(here)).await;
        let (store, here, path) = (self.clone(), here.to_owned(), path.to_owned());
        let answered = tokio::task::spawn_blocking(move || store.settle(&here, &path, theirs));
        answered.await.map_err(|error| SyncError::Here { path: String::new(), cause: error.to_string() })?
    }

    fn settle(&self, here: &Path, path: &str, theirs: bool) -> Result<Answered, SyncError> {
        let key = self.key(here);
        let mut record = self.read(&key)?.unwrap_or_default();
        let Some(clash) = record.clashes.get(path).cloned() else {
            return Err(SyncError::Here { path: path.to_owned(), cause: "it is no conflict any more".to_owned() });
        };
        let is_folder = |entry: &Option<Entry>| entry.as_ref().is_some_and(Entry::is_folder);
        let in_the_way = is_folder(&clash.there);
        let mut aside = None;
        let known = if !in_the_way && !is_folder(&clash.here) {
            if theirs {
                self.take_theirs(here, path, &clash)?;
            }
            clash.there
        } else {
            // What was below a folder is compared as if neither had known it: each goes where the folder goes.
            let below: Vec<String> = below(&record.base, path).map(|(path, _)| path.clone()).collect();
            for path in below {
                record.base.remove(&path);
            }
            if theirs {
                aside = move_aside(here, path)?.map(|to| here.join(to));
                None
            } else if in_the_way {
                record.aside.insert(path.to_owned(), format!("{path}.of-the-container"));
                None
            } else {
                clash.there
            }
        };
        match known {
            Some(entry) => drop(record.base.insert(path.to_owned(), entry)),
            None => drop(record.base.remove(path)),
        }
        record.clashes.remove(path);
        self.save(&record)?;
        Ok(Answered { left: record.conflicts(), aside })
    }

    fn take_theirs(&self, here: &Path, path: &str, clash: &Clash) -> Result<(), SyncError> {
        let failed = |refused: Refused| refused_at(path, &refused);
        let io = |error: std::io::Error| failed(Refused::Failed(error));
        // A file that is replaced stays whose it is, and a new one is given to the workspace's owner.
        let tree = Tree::open(here, crate::owner::of(here).map_err(io)?).map_err(io)?;
        let now = tree.look(path).map_err(failed)?;
        let before = now.as_ref().map(stamp);
        if matches!(clash.here, Some(Entry::File { .. })) && now.is_some() {
            let aside = Tree::open(&self.new_kept(here).map_err(io)?, crate::owner::of_us()).map_err(io)?;
            let mut mine = tree.file(path).map_err(failed)?;
            aside.put_file(path, (0o600, 0), None, &mut mine, LARGEST).map_err(failed)?;
        }
        match (&clash.there, &clash.kept) {
            (None, _) => tree.remove(path, before.as_deref()).map_err(failed),
            (Some(Entry::Link { target }), _) => {
                if !super::links::stays_inside(path, target, here) {
                    let cause = format!("theirs is a link that leads out of the workspace, to {target}");
                    return Err(SyncError::Here { path: path.to_owned(), cause });
                }
                tree.put_link(path, target, before.as_deref()).map_err(failed)
            }
            (Some(Entry::File { mode, .. }), Some(kept)) => {
                let mut file = std::fs::File::open(kept).map_err(io)?;
                let modified = file.metadata().and_then(|metadata| metadata.modified()).map_err(io)?;
                let seconds = modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
                let times = (*mode, i64::try_from(seconds).unwrap_or_default());
                tree.put_file(path, times, before.as_deref(), &mut file, LARGEST).map(drop).map_err(failed)
            }
            _ => Err(SyncError::Here { path: path.to_owned(), cause: "no copy of theirs was kept".to_owned() }),
        }
    }

    fn read(&self, key: &str) -> Result<Option<Record>, SyncError> {
        read(self.path(key))
    }

    fn path(&self, key: &str) -> PathBuf {
        file_of(&self.records, key)
    }
}

/// Gives the user's own another name, so that theirs can take its place.
fn move_aside(here: &Path, path: &str) -> Result<Option<String>, SyncError> {
    let failed = |refused: Refused| refused_at(path, &refused);
    let tree = Tree::open(here, crate::owner::of_us()).map_err(|error| failed(error.into()))?;
    tree.move_aside(path, ".of-this-machine").map_err(failed)
}

fn refused_at(path: &str, refused: &Refused) -> SyncError {
    let cause = match refused {
        Refused::Changed => "it changes at this moment".to_owned(),
        Refused::Failed(error) => error.to_string(),
    };
    SyncError::Here { path: path.to_owned(), cause }
}

/// What is remembered of the tree that a volume stands for.
///
/// # Errors
/// [`SyncError::Record`] where there is a record that cannot be read.
pub(super) fn record_of(records: &Path, key: &str) -> Result<Option<Record>, SyncError> {
    read(file_of(records, key))
}

fn file_of(records: &Path, key: &str) -> PathBuf {
    records.join(format!("{key}.json"))
}

fn read(path: PathBuf) -> Result<Option<Record>, SyncError> {
    match std::fs::read(&path) {
        Ok(text) => match serde_json::from_slice(&text) {
            Ok(record) => Ok(Some(record)),
            Err(error) => Err(SyncError::Record { path, cause: error.to_string() }),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(SyncError::Record { path, cause: error.to_string() }),
    }
}

impl Record {
    pub(super) fn conflicts(&self) -> Vec<Conflict> {
        let told = |(path, clash): (&String, &Clash)| Conflict {
            root: self.here.clone(),
            path: path.clone(),
            mine: self.here.join(path),
            mine_is: Entry::in_words(clash.here.as_ref()),
            theirs: clash.kept.clone(),
            theirs_is: match &clash.there {
                Some(Entry::Link { target }) => format!("a link to {target}"),
                there => Entry::in_words(there.as_ref()).to_owned(),
            },
        };
        self.clashes.iter().map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::unnecessary_wraps)] // As what is at a path, where there may be nothing.
    fn file(digest: &str) -> Option<Entry> {
        Some(Entry::File { digest: digest.to_owned(), mode: 0o640 })
    }

    #[tokio::test]
    async fn a_choice_puts_theirs_in_place_or_lets_mine_go_and_loses_neither() {
        for (theirs, there) in [(true, file("theirs")), (true, None), (false, file("theirs")), (false, None)] {
            let home = tempfile::tempdir().unwrap();
            let here = tempfile::tempdir().unwrap();
            let store = Store::new(home.path().join("sync"), home.path().join("conflicts"), "h1");
            let path = here.path().join("a/b");
            std::fs::create_dir(here.path().join("a")).unwrap();
            std::fs::write(&path, "mine").unwrap();
            let kept = home.path().join("kept");
            std::fs::write(&kept, "theirs").unwrap();
            let clash = Clash { here: file("mine"), there: there.clone(), kept: there.as_ref().map(|_| kept) };
            let record = Record {
                here: here.path().to_owned(),
                life: "1".to_owned(),
                base: [("a/b".to_owned(), file("old").unwrap())].into(),
                clashes: [("a/b".to_owned(), clash)].into(),
                ..Record::default()
            };
            store.save(&record).unwrap();
            assert_eq!(store.conflicts(here.path()).len(), 1, "it is told after a restart too");
            let answered = store.answer(here.path(), "a/b", theirs).await.unwrap();
            assert_eq!(answered, Answered::default(), "it is none any more");
            let expected = match (theirs, &there) {
                (true, Some(_)) => Some("theirs"),
                (true, None) => None,
                (false, _) => Some("mine"),
            };
            assert_eq!(std::fs::read_to_string(&path).ok().as_deref(), expected, "theirs: {theirs}, {there:?}");
            let after = store.load(here.path(), "1").unwrap();
            assert_eq!(after.base.get("a/b"), there.as_ref(), "what theirs was is known from now on");
            let copies = walk(&home.path().join("conflicts"));
            assert_eq!(copies, if theirs { vec!["mine".to_owned()] } else { vec![] }, "mine is kept before it goes");
            let again = store.answer(here.path(), "a/b", theirs).await;
            assert!(again.is_err(), "there is nothing to choose any more");
        }
    }

    #[tokio::test]
    async fn a_choice_is_about_one_folder_and_no_other() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::new(home.path().join("sync"), home.path().join("conflicts"), "h1");
        let folders = ["workspace", "repository"].map(|name| home.path().join(name));
        for here in &folders {
            std::fs::create_dir(here).unwrap();
            std::fs::write(here.join("config"), "mine").unwrap();
            let clash = Clash { here: file("mine"), there: None, kept: None };
            let clashes = [("config".to_owned(), clash)].into();
            store.save(&Record { here: here.clone(), clashes, ..Record::default() }).unwrap();
        }
        let [workspace, repository] = &folders;
        assert_eq!(store.conflicts(repository)[0].root, *repository, "each says where it is");
        let answered = store.answer(repository, "config", true).await.unwrap();
        assert_eq!(answered.left, [], "this one is answered");
        assert!(!repository.join("config").exists(), "as it was chosen");
        assert!(workspace.join("config").exists(), "the other one of the same name is as it was");
        assert_eq!(store.conflicts(workspace).len(), 1, "and waits on");
    }

    #[test]
    fn homes_at_one_path_have_volumes_of_their_own() {
        let home = tempfile::tempdir().unwrap();
        let (records, kept) = (home.path().join("sync"), home.path().join("conflicts"));
        let [one, other] = ["h1", "h2"].map(|name| Store::new(records.clone(), kept.clone(), name));
        let here = Path::new("/work/project");
        assert_ne!(one.key(here), other.key(here), "another machine's home may be at the same path");
        let moved = Store::new(home.path().join("elsewhere"), kept, "h1");
        assert_eq!(moved.key(here), one.key(here), "and a home that was moved is the same");
        // What was begun under the name of before is gone on with: it may hold what is nowhere else.
        let mut digest = Sha256::new();
        digest.update(records.as_os_str().as_encoded_bytes());
        digest.update(b"\0/work/project");
        let before = hexadecimal(&digest.finalize()[..12]);
        file::replace(&one.path(&before), b"{}").unwrap();
        assert_eq!(one.key(here), before, "it is there");
        assert_ne!(one.key(Path::new("/work/other")), before, "and is no other folder's");
    }

    fn walk(folder: &Path) -> Vec<String> {
        let Ok(listed) = std::fs::read_dir(folder) else { return Vec::new() };
        let paths = listed.map(|entry| entry.unwrap().path());
        paths.flat_map(|path| std::fs::read_to_string(&path).map_or_else(|_| walk(&path), |text| vec![text])).collect()
    }

    #[test]
    fn a_volume_that_was_made_anew_is_another() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::new(home.path().join("sync"), home.path().join("conflicts"), "h1");
        let here = Path::new("/work/project");
        let base: Manifest = [("a".to_owned(), Entry::Folder)].into();
        store
            .save(&Record { here: here.to_owned(), life: "1".to_owned(), base: base.clone(), ..Record::default() })
            .unwrap();
        assert_eq!(store.load(here, "1").unwrap().base, base, "the same volume");
        assert_eq!(store.load(here, "2").unwrap().base, Manifest::new(), "what another holds was never the same");
        std::fs::write(store.path(&store.key(here)), "{").unwrap();
        assert!(store.load(here, "1").is_err(), "a record that is broken is told, not taken for none");
    }
}
