//! Folders of this machine at an engine that cannot see them: each has a volume there that stands for it, and both are
//! kept the same. What has changed on one side is carried to the other; what has changed on both is carried nowhere,
//! and shown. It knows nothing of agents, and of containers only the small one through which it reaches a volume.

#[cfg(unix)]
mod archive;
#[cfg(unix)]
mod compare;
#[cfg(unix)]
mod links;
#[cfg(unix)]
mod manifest;
#[cfg(unix)]
mod remote;
#[cfg(unix)]
mod round;
#[cfg(unix)]
mod rules;
#[cfg(unix)]
mod scan;
#[cfg(unix)]
mod session;
#[cfg(unix)]
mod store;
#[cfg(unix)]
mod tree;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::container::run::RunError;
use crate::failure::{Code, Failure};
#[cfg(unix)]
pub use session::{Folder, Kind, Session, Terms};
#[cfg(unix)]
pub use store::{Store, Turn};

/// How the names of the volumes begin that stand for folders of this machine, or of another one.
pub const VOLUMES: &str = "gemra-sync-";

/// Why a volume has to stay, where it is one of those by which folders are kept the same: it may hold the only copy of
/// something. None where it may go. `records` is where the home remembers what was the same. Blocks.
pub fn needed(records: Option<&Path>, volume: &str) -> Option<String> {
    let key = volume.strip_prefix(VOLUMES)?;
    #[cfg(unix)]
    match records.map(|records| store::record_of(records, key)) {
        Some(Ok(Some(record))) => return record.why_needed(),
        Some(Err(error)) => return Some(error.to_string()),
        Some(Ok(None)) | None => {}
    }
    #[cfg(not(unix))]
    let _ = (key, records);
    Some("another Gemra keeps it the same with its own files, and it alone knows whether they are all there".to_owned())
}

/// True for a volume by which another Gemra keeps its own files the same. Blocks.
pub fn is_anothers(records: &Path, volume: &str) -> bool {
    #[cfg(unix)]
    return volume.strip_prefix(VOLUMES).is_some_and(|key| matches!(store::record_of(records, key), Ok(None)));
    #[cfg(not(unix))]
    return records.is_absolute() && volume.starts_with(VOLUMES);
}

/// A path that has changed on both sides, differently. Neither was overwritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The folder that is kept the same: the workspace, its conversations, or its repository.
    pub root: PathBuf,
    /// Below that.
    pub path: String,
    /// Where the version of this machine is.
    pub mine: PathBuf,
    /// What that is, in words.
    pub mine_is: &'static str,
    /// Where a copy of the container's version is kept, where it is a file.
    pub theirs: Option<PathBuf>,
    /// What that is, in words.
    pub theirs_is: String,
}

/// What came of a choice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answered {
    /// What still waits in the same folder.
    pub left: Vec<Conflict>,
    /// Where the version of this machine is now, where the other one takes its place and it has got another name.
    pub aside: Option<PathBuf>,
}

/// How it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// What is being done, in words.
    Doing(String),
    /// Both sides were looked at.
    Same {
        /// How it stands, in words.
        words: String,
        /// What has changed on both sides.
        conflicts: Vec<Conflict>,
    },
    /// A round failed; it is tried again.
    Failed(Failure),
    /// The agent has gone, and what it has written last is being brought back.
    Last,
}

/// Why two sides are not the same.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// A file or folder of this machine.
    #[error("{path} could not be read or written here: {cause}")]
    Here {
        /// Which.
        path: String,
        /// The system's words.
        cause: String,
    },
    /// The other side.
    #[error("{what}: {cause}")]
    There {
        /// What failed.
        what: &'static str,
        /// The engine's words, or the shell's.
        cause: String,
    },
    /// The other side says nothing.
    #[error("{what} said nothing for {limit:?}")]
    Silent {
        /// What was being done.
        what: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// A side holds more than is carried.
    #[error("There is more than {limit} on one side")]
    TooMuch {
        /// The limit, in words.
        limit: String,
    },
    /// One side has nothing any more.
    #[error(
        "Everything that was in {path} is gone {place}, so that nothing was removed on the other side",
        path = path.display(),
        place = if *there { "in the container" } else { "on this machine" }
    )]
    Emptied {
        /// The folder here.
        path: PathBuf,
        /// Which side.
        there: bool,
    },
    /// What was remembered cannot be read or written.
    #[error("{path}: {cause}", path = path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// The companion's container.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl SyncError {
    #[cfg(unix)]
    fn there(what: &'static str, cause: String) -> Self {
        Self::There { what, cause }
    }
}

impl From<&SyncError> for Failure {
    fn from(error: &SyncError) -> Self {
        let action = match error {
            SyncError::Here { .. } => "See that it can be read and written, then press Retry.",
            SyncError::There { .. } | SyncError::Silent { .. } | SyncError::Run(_) => {
                "See that the engine can be reached, then press Retry: it goes on where it stopped, and nothing is lost."
            }
            SyncError::TooMuch { .. } => {
                "Name in .gitignore or .dockerignore what need not be carried, then press Retry."
            }
            SyncError::Emptied { .. } => {
                "See that the disk is mounted. If it was emptied on purpose, remove its gemra-sync volume at the engine, then press Retry."
            }
            SyncError::Record { .. } => {
                "See that it can be read and written, then press Retry. Without it, every file that differs is told as a conflict."
            }
        };
        Failure::new(Code::SyncFailed, "The files could not be kept the same", format!("{error}."), action)
    }
}

/// "1,234 files".
#[cfg(unix)]
fn counted(count: usize, what: &str) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{text} {what}{}", if count == 1 { "" } else { "s" })
}

/// "56 MB".
#[cfg(unix)]
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} KB", bytes / 1_000),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes / 100_000_000 % 10),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_words() {
        let cases =
            [(0, "0 files"), (1, "1 file"), (999, "999 files"), (1234, "1,234 files"), (1_234_567, "1,234,567 files")];
        for (count, expected) in cases {
            assert_eq!(counted(count, "file"), expected, "{count}");
        }
        let cases = [(12, "12 B"), (1_900, "1 KB"), (56_000_000, "56 MB"), (3_250_000_000, "3.2 GB")];
        for (bytes, expected) in cases {
            assert_eq!(size(bytes), expected, "{bytes}");
        }
    }
}
