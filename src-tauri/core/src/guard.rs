//! The files of a workspace that the host would execute later: hooks, and settings that name programs. What they were
//! before a container could write to them is kept, and what has changed since is shown before an agent of the host's
//! starts again. It knows files, and neither containers nor agents.

mod config;
mod kept;
mod look;
mod names;
pub(crate) mod reach;
mod store;
mod stored;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use similar::TextDiff;

use crate::agent::Hunk;
use kept::Kept;
use look::Found;
pub(crate) use store::Store;

/// How much text of changes is shown at once, in bytes.
const SHOWN: usize = 2 * 1024 * 1024;
/// How long comparing two texts line by line may take.
const COMPARING: Duration = Duration::from_millis(300);

/// What the guarded files were in the folders that a container can write to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Baseline {
    /// The workspace first.
    #[serde(with = "stored::several")]
    roots: Vec<PathBuf>,
    #[serde(with = "stored::of_each")]
    files: BTreeMap<PathBuf, Kept>,
    /// Those that git reads as its settings.
    #[serde(with = "stored::several")]
    configs: BTreeSet<PathBuf>,
    /// What they could name, whether it was there or not.
    #[serde(with = "stored::several")]
    named: BTreeSet<PathBuf>,
}

/// Of a baseline, what it is about.
#[derive(Deserialize)]
struct Roots {
    #[serde(with = "stored::several")]
    roots: Vec<PathBuf>,
}

/// A file that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where it is on the host.
    pub path: PathBuf,
    /// What has happened to it.
    pub kind: ChangeKind,
    /// Its lines, where it is text.
    pub hunks: Vec<Hunk>,
    /// What there is to say where lines cannot.
    pub note: Option<String>,
    /// Names exactly what the file is now, so that an answer is about this and nothing later.
    pub seen: String,
}

/// What the user says to changes that were shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Keep what is there now, or bring back what was.
    pub keep: bool,
    /// The one file that it is about; `None`: all that are shown.
    pub path: Option<PathBuf>,
}

/// What has happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was not there.
    Added,
    /// It is not there any more.
    Removed,
    /// It is another one.
    Changed,
}

/// Why a workspace cannot be guarded.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// A file or folder could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// What it was is not known, only that it was something else.
    #[error("{path} was too large to keep, so that only you can bring it back", path = .0.display())]
    TooLarge(PathBuf),
    /// What it was is not known at all.
    #[error("{path} was not looked at before, so that only you can bring it back", path = .0.display())]
    Unknown(PathBuf),
    /// It would be written through a link that leads out of the workspace.
    #[error("{path} lies behind a link that leads elsewhere", path = .0.display())]
    Elsewhere(PathBuf),
}

impl Baseline {
    /// What the guarded files are now.
    ///
    /// # Errors
    /// [`GuardError::File`].
    pub(crate) fn take(roots: &[PathBuf]) -> Result<Self, GuardError> {
        let Found { mut files, configs, named, .. } = look::collect(roots, [])?;
        // What was not looked at is no better known because that is always so: it is asked about each time.
        files.retain(|_, kept| !matches!(kept, Kept::Unseen { .. }));
        Ok(Self { roots: roots.to_vec(), files, configs, named })
    }

    /// Takes over what an older baseline says of the files that both are about: nobody has answered for those yet.
    ///
    /// # Errors
    /// [`GuardError::File`].
    pub(crate) fn inherit(&mut self, older: &Self) -> Result<(), GuardError> {
        let now = look::collect(&older.roots, older.files.keys())?;
        let both = now.files.keys().chain(older.files.keys()).filter(|path| reach::is_within(&self.roots, path));
        for path in both {
            match older.files.get(path) {
                Some(kept) => drop(self.files.insert(path.clone(), kept.clone())),
                // What is only named now was not looked at then.
                None if now.only_named.contains(path) && !older.named.contains(path) => {}
                None => drop(self.files.remove(path)),
            }
        }
        Ok(())
    }

    /// What is not what it was, in the order of the paths.
    ///
    /// # Errors
    /// [`GuardError::File`].
    pub(crate) fn changes(&self) -> Result<Vec<Change>, GuardError> {
        Ok(self.compared(&look::collect(&self.roots, self.files.keys())?))
    }

    fn compared(&self, now: &Found) -> Vec<Change> {
        let mut paths: Vec<&PathBuf> = self.files.keys().chain(now.files.keys()).collect();
        paths.sort();
        paths.dedup();
        let mut room = SHOWN;
        paths.into_iter().filter_map(|path| self.change(path, now, &mut room)).collect()
    }

    /// Takes over what these files are now, where they still are what was shown. What has changed meanwhile has not
    /// been seen by anybody, and stays a change.
    ///
    /// # Errors
    /// [`GuardError::File`].
    pub(crate) fn keep(&mut self, shown: &[Change]) -> Result<(), GuardError> {
        let mut now = look::collect(&self.roots, self.files.keys())?;
        for change in shown {
            if seen(now.files.get(&change.path)) != change.seen {
                continue;
            }
            match now.files.remove(&change.path) {
                Some(kept) => drop(self.files.insert(change.path.clone(), kept)),
                None => drop(self.files.remove(&change.path)),
            }
            if now.configs.contains(&change.path) {
                self.configs.insert(change.path.clone());
            }
        }
        Ok(())
    }

    /// Brings back what these files were. What they are now is moved to `aside`, so that nothing is lost.
    ///
    /// # Errors
    /// [`GuardError`] for the first that cannot be brought back; the others are.
    pub(crate) fn revert(&self, shown: &[Change], aside: &Path) -> Result<(), GuardError> {
        let shown = |change: &Change| shown.iter().any(|known| known.path == change.path);
        let now = look::collect(&self.roots, self.files.keys())?;
        let mut done = Ok(());
        // A link comes before what lies behind it, so that it is gone when that is written.
        for (number, change) in self.compared(&now).into_iter().filter(shown).enumerate() {
            if !self.is_unknown(&change.path, &now) {
                done = done.and(self.bring_back(&change.path, &aside.join(number.to_string())));
            }
        }
        // What is only named by another one is no change any more where that is what it was.
        let left = look::collect(&self.roots, self.files.keys())?;
        let unknown =
            self.compared(&left).into_iter().find(|change| shown(change) && self.is_unknown(&change.path, &left));
        done.and(unknown.map_or(Ok(()), |change| Err(GuardError::Unknown(change.path))))
    }

    fn bring_back(&self, path: &Path, aside: &Path) -> Result<(), GuardError> {
        let kept = self.files.get(path);
        if let Some(Kept::Large { .. } | Kept::Unread { .. }) = kept {
            // Better there than nowhere.
            return Err(GuardError::TooLarge(path.to_path_buf()));
        }
        kept::put_aside(&self.roots, path, aside)?;
        kept.map_or(Ok(()), |kept| kept::restore(&self.roots, path, kept))
    }

    /// True where nobody knows what a file was: another file names it only now, or it is more than was looked at.
    fn is_unknown(&self, path: &Path, now: &Found) -> bool {
        let unseen = matches!(now.files.get(path), Some(Kept::Unseen { .. }));
        let only_named = now.only_named.contains(path) && !self.named.contains(path);
        unseen || (only_named && !self.files.contains_key(path))
    }

    fn change(&self, path: &Path, now: &Found, room: &mut usize) -> Option<Change> {
        let (before, after) = (self.files.get(path), now.files.get(path));
        if before == after {
            return None;
        }
        let (old, new) = (text(before), text(after));
        if let (Some(old), Some(new)) = (&old, &new)
            && (self.configs.contains(path) || now.configs.contains(path))
            && self.run_the_same(path, old, new)
        {
            // Branches and remotes come and go, and nothing of that is ever run.
            return None;
        }
        let kind = match (before, after) {
            _ if self.is_unknown(path, now) => ChangeKind::Changed,
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Removed,
            _ => ChangeKind::Changed,
        };
        let (hunks, note) = match (old, new) {
            _ if let Some(Kept::Unseen { why }) = after => (Vec::new(), Some(why.clone())),
            (Some(old), Some(new)) if old == new => (Vec::new(), Some(mode_words(before, after))),
            (Some(old), Some(new)) if old.len() + new.len() > *room => {
                (Vec::new(), Some(format!("{} → {}, too long to show here", words(before), words(after))))
            }
            (Some(old), Some(new)) => {
                *room -= old.len() + new.len();
                let note = self.is_unknown(path, now).then(|| NAMED.to_owned());
                (hunks(&old, &new), note)
            }
            _ => (Vec::new(), Some(format!("{} → {}", words(before), words(after)))),
        };
        Some(Change { path: path.to_path_buf(), kind, hunks, note, seen: seen(after) })
    }

    /// True where git would run the same with either text of its settings.
    fn run_the_same(&self, path: &Path, old: &str, new: &str) -> bool {
        let may_be = |written: &str| self.may_be_a_module(path, written);
        match (config::runs(old, may_be), config::runs(new, may_be)) {
            (Some(old), Some(new)) => old == new,
            // Where git refuses a text, or might read it otherwise, any change counts.
            _ => false,
        }
    }

    /// True where git writes the files of a repository to a folder in which a container could write them too, because
    /// the repository is a module's.
    fn may_be_a_module(&self, path: &Path, written: &str) -> bool {
        let Some(git) = path.parent() else { return false };
        let is_modules = git.components().any(|part| part.as_os_str() == "modules")
            && git.components().any(|part| part.as_os_str().to_string_lossy().ends_with(".git"));
        is_modules && !written.is_empty() && reach::is_within(&self.roots, &reach::real(&reach::resolved(git, written)))
    }
}

/// What there is to say of a file that another one names now.
const NAMED: &str = "A changed file names it, and what it was before is not known. Read it before you keep this.";

fn text(kept: Option<&Kept>) -> Option<String> {
    match kept {
        None => Some(String::new()),
        Some(Kept::File { bytes, .. }) => String::from_utf8(bytes.clone()).ok(),
        Some(_) => None,
    }
}

/// Names what a file is.
fn seen(kept: Option<&Kept>) -> String {
    use sha2::{Digest, Sha256};
    // JSON of this type cannot fail; where it did, no two would be told apart and the user asked once more.
    let text = serde_json::to_vec(&kept).unwrap_or_default();
    crate::digest::hexadecimal(&Sha256::digest(text)[..16])
}

fn hunks(old: &str, new: &str) -> Vec<Hunk> {
    let diff = TextDiff::configure().timeout(COMPARING).diff_lines(old, new);
    diff.unified_diff()
        .context_radius(3)
        .iter_hunks()
        .map(|hunk| {
            let lines =
                hunk.iter_changes().map(|change| format!("{}{}", change.tag(), change.value().trim_end_matches('\n')));
            let start = |range: std::ops::Range<usize>| u32::try_from(range.start + 1).unwrap_or(u32::MAX);
            let first = hunk.ops().first();
            Hunk {
                old_start: first.map_or(1, |op| start(op.old_range())),
                new_start: first.map_or(1, |op| start(op.new_range())),
                lines: lines.collect(),
            }
        })
        .collect()
}

fn words(kept: Option<&Kept>) -> String {
    match kept {
        None => "nothing".to_owned(),
        Some(Kept::File { bytes, .. }) => format!("a file of {} bytes", bytes.len()),
        Some(Kept::Large { length, .. }) => format!("a file of {length} bytes"),
        Some(Kept::Unread { length, .. }) => format!("a file of {length} bytes that may not be read"),
        Some(Kept::Link { target }) => format!("a link to {}", target.display()),
        Some(Kept::Other) => "something that is no file".to_owned(),
        Some(Kept::Unseen { .. }) => "something that was not looked at".to_owned(),
    }
}

fn mode_words(before: Option<&Kept>, after: Option<&Kept>) -> String {
    let runs = |kept: Option<&Kept>| matches!(kept, Some(Kept::File { mode, .. }) if mode & 0o111 != 0);
    match (runs(before), runs(after)) {
        (false, true) => "It can be executed now.".to_owned(),
        (true, false) => "It cannot be executed any more.".to_owned(),
        _ => "Its text is the same; its permissions are not.".to_owned(),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
