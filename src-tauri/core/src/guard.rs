//! The files of a workspace that the host would execute later: hooks, and settings that name programs. What they were
//! before a container could write to them is kept, and what has changed since is shown before an agent of the host's
//! starts again. It knows files, and neither containers nor agents.

mod config;
mod files;
mod store;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use similar::TextDiff;

use crate::agent::Hunk;
use files::Kept;
pub(crate) use store::Store;

/// What the guarded files of a workspace were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Baseline {
    workspace: PathBuf,
    files: BTreeMap<PathBuf, Kept>,
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
    /// It would be written through a link that leads out of the workspace.
    #[error("{path} lies behind a link that leads elsewhere", path = .0.display())]
    Elsewhere(PathBuf),
}

impl Baseline {
    /// What the guarded files are now.
    ///
    /// # Errors
    /// [`GuardError::File`].
    pub(crate) fn take(workspace: &Path) -> Result<Self, GuardError> {
        Ok(Self { workspace: workspace.to_path_buf(), files: files::collect(workspace)? })
    }

    /// What is not what it was, in the order of the paths.
    ///
    /// # Errors
    /// [`GuardError::File`].
    pub(crate) fn changes(&self) -> Result<Vec<Change>, GuardError> {
        let now = files::collect(&self.workspace)?;
        let mut paths: Vec<&PathBuf> = self.files.keys().chain(now.keys()).collect();
        paths.sort();
        paths.dedup();
        Ok(paths.into_iter().filter_map(|path| change(path, self.files.get(path), now.get(path))).collect())
    }

    /// Takes over what these files are now, where they still are what was shown. What has changed meanwhile has not
    /// been seen by anybody, and stays a change.
    ///
    /// # Errors
    /// [`GuardError::File`].
    pub(crate) fn keep(&mut self, shown: &[Change]) -> Result<(), GuardError> {
        let mut now = files::collect(&self.workspace)?;
        for change in shown {
            if seen(now.get(&change.path)) == change.seen {
                match now.remove(&change.path) {
                    Some(kept) => drop(self.files.insert(change.path.clone(), kept)),
                    None => drop(self.files.remove(&change.path)),
                }
            }
        }
        Ok(())
    }

    /// Brings back what these files were. What they are now is moved to `aside`, so that nothing is lost.
    ///
    /// # Errors
    /// [`GuardError`]; what was brought back until then stays so.
    pub(crate) fn revert(&self, shown: &[Change], aside: &Path) -> Result<(), GuardError> {
        let shown = |change: &Change| shown.iter().any(|known| known.path == change.path);
        // A link comes before what lies behind it, so that it is gone when that is written.
        for (number, change) in self.changes()?.into_iter().filter(shown).enumerate() {
            files::put_aside(&change.path, &aside.join(number.to_string()))?;
            if let Some(kept) = self.files.get(&change.path) {
                files::restore(&self.workspace, &change.path, kept)?;
            }
        }
        Ok(())
    }
}

fn change(path: &Path, before: Option<&Kept>, after: Option<&Kept>) -> Option<Change> {
    if before == after {
        return None;
    }
    let text = |kept: Option<&Kept>| match kept {
        None => Some(String::new()),
        Some(Kept::File { bytes, .. }) => String::from_utf8(bytes.clone()).ok(),
        Some(_) => None,
    };
    let (old, new) = (text(before), text(after));
    if files::is_git_config(path)
        && let (Some(old), Some(new)) = (&old, &new)
        && config::runs(old) == config::runs(new)
    {
        // Branches and remotes come and go, and nothing of that is ever run.
        return None;
    }
    let kind = match (before, after) {
        (None, _) => ChangeKind::Added,
        (_, None) => ChangeKind::Removed,
        _ => ChangeKind::Changed,
    };
    let (hunks, note) = match (old, new) {
        (Some(old), Some(new)) if old == new => (Vec::new(), Some(mode_words(before, after))),
        (Some(old), Some(new)) => (hunks(&old, &new), None),
        _ => (Vec::new(), Some(format!("{} → {}", words(before), words(after)))),
    };
    Some(Change { path: path.to_path_buf(), kind, hunks, note, seen: seen(after) })
}

/// Names what a file is.
fn seen(kept: Option<&Kept>) -> String {
    use sha2::{Digest, Sha256};
    // JSON of this type cannot fail; where it did, no two would be told apart and the user asked once more.
    let text = serde_json::to_vec(&kept).unwrap_or_default();
    crate::digest::hexadecimal(&Sha256::digest(text)[..16])
}

fn hunks(old: &str, new: &str) -> Vec<Hunk> {
    let diff = TextDiff::from_lines(old, new);
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
        Some(Kept::Link { target }) => format!("a link to {}", target.display()),
        Some(Kept::Other) => "something that is no file".to_owned(),
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
