//! Baselines on disk, one for each set of folders that a container can write to or could: a crash must not make what was
//! changed look as if it had always been so. Whoever asks about a workspace is answered from all that concern it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use super::reach::{self, overlap};
use super::{Answer, Baseline, Change, GuardError, Roots};
use crate::digest::hexadecimal;
use crate::file;

/// How many changes are shown at once. The others are asked about when these are answered.
const SHOWN: usize = 500;

/// The folders of each baseline that is there, by its file.
type Known = BTreeMap<PathBuf, Vec<PathBuf>>;

/// Baselines in a folder of Gemra's own.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    folder: PathBuf,
    /// None before the first question.
    known: Arc<Mutex<Option<Known>>>,
    /// Held while one is made or changed.
    writes: Arc<Mutex<()>>,
}

impl Store {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, known: Arc::default(), writes: Arc::default() }
    }

    /// Takes the baseline of the folders that a container can write to, unless there is one that nobody has answered for
    /// yet. Where another one has some of the folders, what it says of them holds. Blocks.
    ///
    /// # Errors
    /// [`GuardError`]: then no container may be started.
    pub(crate) fn begin(&self, roots: &[PathBuf]) -> Result<(), GuardError> {
        let _alone = self.alone();
        let path = self.path(roots);
        let others = {
            let mut known = self.lock();
            let known = self.look(&mut known)?;
            if known.contains_key(&path) {
                return Ok(());
            }
            known.iter().filter(|(_, of)| overlap(of, roots)).map(|(path, _)| path.clone()).collect::<Vec<_>>()
        };
        let mut baseline = Baseline::take(roots)?;
        for other in others {
            if let Some(other) = read(&other)? {
                baseline.inherit(&other)?;
            }
        }
        write(&path, &baseline)?;
        self.look(&mut self.lock())?.insert(path, roots.to_vec());
        Ok(())
    }

    /// What has changed since its baselines in whatever concerns a workspace. A baseline of which nothing has is let go,
    /// unless it `stays`, because a container can still write to one of its folders. Blocks.
    ///
    /// # Errors
    /// [`GuardError`]: then nobody knows.
    pub(crate) fn check(
        &self,
        workspace: &Path,
        stays: impl Fn(&[PathBuf]) -> bool,
    ) -> Result<Vec<Change>, GuardError> {
        let mut all = BTreeMap::new();
        for path in self.concerning(&reach::of(workspace))? {
            let Some(baseline) = read(&path)? else { continue };
            let changes = baseline.changes()?;
            if changes.is_empty() {
                // Under the lock, so that no container begins in between with what is being let go.
                let mut known = self.lock();
                let known = self.look(&mut known)?;
                if !stays(&baseline.roots) {
                    forget(&path)?;
                    known.remove(&path);
                }
            }
            for change in changes {
                all.entry(change.path.clone()).or_insert(change);
            }
        }
        Ok(all.into_values().take(SHOWN).collect())
    }

    /// Does what the user says to changes that were shown; and says what has still changed since the baselines, which the
    /// user has to be asked about next. What is reverted goes to a new folder, which is returned. Blocks.
    ///
    /// # Errors
    /// [`GuardError`].
    pub(crate) fn answer(
        &self,
        workspace: &Path,
        shown: &[Change],
        answer: &Answer,
        stays: impl Fn(&[PathBuf]) -> bool,
    ) -> Result<(Vec<Change>, Option<PathBuf>), GuardError> {
        let aside = self.does(workspace, shown, answer)?;
        Ok((self.check(workspace, stays)?, aside))
    }

    fn does(&self, workspace: &Path, shown: &[Change], answer: &Answer) -> Result<Option<PathBuf>, GuardError> {
        let _alone = self.alone();
        let meant: Vec<Change> = shown
            .iter()
            .filter(|change| answer.path.as_ref().is_none_or(|path| *path == change.path))
            .cloned()
            .collect();
        // A file may be known to another workspace's baseline too: an answer holds for all of them.
        let mut reached = reach::of(workspace);
        reached.extend(meant.iter().map(|change| change.path.clone()));
        let aside = (!answer.keep).then(|| self.folder.join(format!("reverted-{}", uuid::Uuid::new_v4().simple())));
        let (mut failed, mut any) = (Ok(()), false);
        for (number, path) in self.concerning(&reached)?.into_iter().enumerate() {
            let Some(mut baseline) = read(&path)? else { continue };
            any = true;
            match &aside {
                None => {
                    baseline.keep(&meant)?;
                    write(&path, &baseline)?;
                }
                // What can be brought back is, whatever else cannot.
                Some(aside) => {
                    let here = if number == 0 { aside.clone() } else { aside.join(format!("more-{number}")) };
                    failed = failed.and(baseline.revert(&meant, &here));
                }
            }
        }
        failed.map(|()| aside.filter(|_| any))
    }

    /// True where there is a baseline that concerns a workspace. Blocks for as long as a few small files take.
    pub(crate) fn knows(&self, workspace: &Path) -> bool {
        let mut known = self.lock();
        match self.look(&mut known) {
            Ok(known) if known.is_empty() => false,
            Ok(known) => {
                let reached = reach::of(workspace);
                known.values().any(|roots| overlap(roots, &reached))
            }
            // Whoever asks what has changed is told what is wrong.
            Err(_) => true,
        }
    }

    /// The baselines that concern these folders.
    fn concerning(&self, folders: &[PathBuf]) -> Result<Vec<PathBuf>, GuardError> {
        let mut known = self.lock();
        let known = self.look(&mut known)?;
        Ok(known.iter().filter(|(_, roots)| overlap(roots, folders)).map(|(path, _)| path.clone()).collect())
    }

    fn alone(&self) -> MutexGuard<'_, ()> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What baselines there are, read once: nobody else writes here.
    fn look<'a>(&self, known: &'a mut Option<Known>) -> Result<&'a mut Known, GuardError> {
        if known.is_none() {
            let mut found = BTreeMap::new();
            for path in self.listed().map_err(|source| failed(&self.folder, source))? {
                let roots = read_as::<Roots>(&path)?.map(|known| known.roots).unwrap_or_default();
                found.insert(path, roots);
            }
            *known = Some(found);
        }
        Ok(known.get_or_insert_default())
    }

    fn listed(&self) -> std::io::Result<Vec<PathBuf>> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let all = entries.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<Vec<_>>>()?;
        Ok(all.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "json")).collect())
    }

    fn path(&self, roots: &[PathBuf]) -> PathBuf {
        let mut digest = Sha256::new();
        for root in roots {
            let name = root.as_os_str().as_encoded_bytes();
            digest.update(name.len().to_le_bytes());
            digest.update(name);
        }
        self.folder.join(format!("{}.json", hexadecimal(&digest.finalize()[..16])))
    }
}

fn read(path: &Path) -> Result<Option<Baseline>, GuardError> {
    read_as(path)
}

fn read_as<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, GuardError> {
    match std::fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| failed(path, error.into())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed(path, source)),
    }
}

fn write(path: &Path, baseline: &Baseline) -> Result<(), GuardError> {
    let written =
        serde_json::to_vec(baseline).map_err(std::io::Error::from).and_then(|text| file::replace(path, &text));
    written.map_err(|source| failed(path, source))
}

fn forget(path: &Path) -> Result<(), GuardError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(failed(path, source)),
        _ => Ok(()),
    }
}

fn failed(path: &Path, source: std::io::Error) -> GuardError {
    GuardError::File { path: path.to_path_buf(), source }
}
