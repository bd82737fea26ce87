//! Heavy folders of a project that are volumes of the engine's inside, such as `node_modules`: which ones the user's
//! patterns mean, and the places for them in the project. It does not know how an engine makes a volume.

mod walk;

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::digest::hexadecimal;
use crate::owner::Owner;

/// More folders than anybody wants as volumes.
const MOST: usize = 64;
/// How many folders are looked at for patterns.
const LOOKED: usize = 50_000;

/// What patterns mean in a project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Folders, from the project's on, with slashes. They are there.
    pub folders: Vec<String>,
    /// Those of them that were made for it.
    pub made: Vec<String>,
    /// How many folders were looked at, where there are more, so that some may not have been found.
    pub cut: Option<usize>,
}

/// Why a pattern cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It is no pattern of folders in a project.
    #[error("The pattern {pattern:?} cannot be used: {why}")]
    Pattern {
        /// As it was written.
        pattern: String,
        /// Why.
        why: String,
    },
    /// A folder cannot be made, or is none.
    #[error("{folder} cannot be a volume inside: {why}")]
    Folder {
        /// From the project's folder on.
        folder: String,
        /// Why.
        why: String,
    },
    /// There are too many.
    #[error("The patterns for volumes mean more than {MOST} folders")]
    TooMany,
}

/// Checks a pattern without looking at any project.
///
/// # Errors
/// [`FolderError::Pattern`] says what is wrong with it.
pub fn check(pattern: &str) -> Result<(), FolderError> {
    read(pattern).map(drop)
}

/// Finds the folders that the patterns mean. A plain name is made where it is not there, as `owner`'s, because an
/// engine would make it as root's; a pattern with `*`, `?`, `[` or `{` means what is there.
/// `**` does not lead into what git ignores.
///
/// # Errors
/// [`FolderError`] where a pattern is none, a folder is a link or cannot be made, or there are too many.
pub(crate) fn find(workspace: &Path, patterns: &[String], owner: Owner) -> Result<Found, FolderError> {
    let mut found = Found::default();
    let mut globs = Vec::new();
    for pattern in patterns {
        match read(pattern)? {
            Pattern::Plain(folder) if found.folders.contains(&folder) => {}
            Pattern::Plain(folder) => {
                let failed =
                    |error: std::io::Error| FolderError::Folder { folder: folder.clone(), why: error.to_string() };
                if make(workspace, &folder, owner).map_err(failed)? {
                    found.made.push(folder.clone());
                }
                found.folders.push(folder);
            }
            Pattern::Glob(glob) => globs.push(glob),
        }
    }
    if !globs.is_empty() {
        let mut walk = walk::Walk { patterns: &globs, left: LOOKED, most: MOST, found: Vec::new(), cut: false };
        walk.go(workspace);
        found.folders.append(&mut walk.found);
        found.cut = walk.cut.then_some(LOOKED);
    }
    found.folders.sort();
    found.folders.dedup();
    // What lies within another volume is in it.
    let all = found.folders.clone();
    found.folders.retain(|folder| {
        !all.iter().any(|above| Path::new(folder) != Path::new(above) && Path::new(folder).starts_with(above))
    });
    if found.folders.len() > MOST { Err(FolderError::TooMany) } else { Ok(found) }
}

/// The volume of a folder: the same for the same folder of the same project and user, and for no other.
pub fn volume(workspace: &Path, folder: &str, uid: u32) -> String {
    let mut digest = Sha256::new();
    for part in [workspace.as_os_str().as_encoded_bytes(), folder.as_bytes(), &uid.to_be_bytes()] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    format!("gemra-folder-{}", hexadecimal(&digest.finalize()[..8]))
}

enum Pattern {
    Plain(String),
    Glob(walk::Pattern),
}

fn read(pattern: &str) -> Result<Pattern, FolderError> {
    let bad = |why: &str| FolderError::Pattern { pattern: pattern.to_owned(), why: why.to_owned() };
    let folder = pattern.trim().trim_start_matches("./").trim_end_matches('/');
    if folder.is_empty() || folder == "." {
        return Err(bad("it means the whole project"));
    }
    if folder.starts_with(['/', '~']) {
        return Err(bad("it has to be a path within the project"));
    }
    if folder.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return Err(bad("it has to be a path without . and .."));
    }
    if folder.split('/').any(|part| part == ".git") {
        return Err(bad("git would not find its own folder any more"));
    }
    if !folder.contains(['*', '?', '[', '{', '\\']) {
        return Ok(Pattern::Plain(folder.to_owned()));
    }
    walk::Pattern::read(folder).map(Pattern::Glob).map_err(|error| bad(&error.kind().to_string()))
}

/// Makes a folder as `owner`'s, and those above it within the workspace; true where it was not there. An agent may
/// swap a folder for a link meanwhile, so that each is opened once and none is looked up by its path twice.
#[cfg(unix)]
fn make(workspace: &Path, folder: &str, owner: Owner) -> std::io::Result<bool> {
    use rustix::fs::{CWD, Gid, Mode, OFlags, Uid};
    use rustix::io::Errno;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at = rustix::fs::openat(CWD, workspace, flags, Mode::empty())?;
    let mut made = false;
    for name in folder.split('/') {
        made = match rustix::fs::mkdirat(&at, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(error.into()),
        };
        at = rustix::fs::openat(&at, name, flags, Mode::empty()).map_err(|error| match error {
            Errno::NOTDIR | Errno::LOOP | Errno::MLINK => {
                std::io::Error::other("it is a link or a file in the project, and not a folder")
            }
            error => error.into(),
        })?;
        if made && rustix::process::geteuid().is_root() {
            rustix::fs::fchown(&at, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))?;
        }
    }
    Ok(made)
}

/// Makes a folder; true where it was not there.
#[cfg(windows)]
fn make(workspace: &Path, folder: &str, _owner: Owner) -> std::io::Result<bool> {
    let path = workspace.join(folder);
    let there = path.is_dir();
    std::fs::create_dir_all(&path).map(|()| !there)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn somebody() -> Owner {
        let own = crate::owner::of_us();
        if own.uid == 0 { Owner { uid: 1234, gid: 1235 } } else { own }
    }

    fn project(folders: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for folder in folders {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        root
    }

    fn found(root: &Path, patterns: &[&str]) -> Result<Found, FolderError> {
        let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        find(root, &patterns, somebody())
    }

    #[test]
    fn patterns_mean_folders() {
        let root =
            project(&["packages/a/node_modules/deep/node_modules", "packages/b/node_modules", "target", ".git/x"]);
        std::fs::write(root.path().join("packages/node_modules"), "a file").unwrap();
        std::os::unix::fs::symlink(root.path().join("target"), root.path().join("packages/link")).unwrap();
        let cases: &[(&[&str], &[&str])] = &[
            (&[], &[]),
            (&["target"], &["target"]),
            (&["./target/"], &["target"]),
            (&["packages/*/node_modules"], &["packages/a/node_modules", "packages/b/node_modules"]),
            (&["**/node_modules"], &["packages/a/node_modules", "packages/b/node_modules"]),
            (&["t*", "target"], &["target"]),
            (&["packages/l*"], &[]),
            (&["*/x"], &[]),
            (&["packages/a", "packages/*/node_modules"], &["packages/a", "packages/b/node_modules"]),
        ];
        for (patterns, expected) in cases {
            let found = found(root.path(), patterns).unwrap();
            assert_eq!(found.folders, *expected, "{patterns:?} mean these");
            assert!(found.made.is_empty(), "nothing had to be made for {patterns:?}");
        }
    }

    #[test]
    fn a_plain_name_is_made_as_the_users() {
        let root = project(&[]);
        let found = found(root.path(), &["a b/Ü", "target"]).unwrap();
        assert_eq!(found.made, ["a b/Ü", "target"], "both are told");
        for folder in ["a b", "a b/Ü", "target"] {
            let metadata = root.path().join(folder).metadata().unwrap();
            assert_eq!((metadata.uid(), metadata.gid()), (somebody().uid, somebody().gid), "{folder} is the user's");
        }
    }

    #[test]
    fn links_and_files_are_refused() {
        let root = project(&["real"]);
        let outside = project(&[]);
        std::os::unix::fs::symlink(outside.path(), root.path().join("link")).unwrap();
        std::fs::write(root.path().join("file"), "").unwrap();
        for folder in ["link", "link/below", "file"] {
            let error = found(root.path(), &[folder]).unwrap_err().to_string();
            assert!(error.contains("a link or a file") && error.contains(folder), "{folder} is refused: {error}");
        }
        assert_eq!(outside.path().read_dir().unwrap().count(), 0, "nothing was made behind a link");
    }

    #[test]
    fn what_is_no_pattern_is_refused_by_its_name() {
        for (pattern, why) in [
            ("", "whole project"),
            (".", "whole project"),
            ("/abs", "within the project"),
            ("~/x", "within the project"),
            ("a/../b", "without . and .."),
            ("a//b", "without . and .."),
            (".git", "git would not find"),
            ("sub/.git/hooks", "git would not find"),
            ("a[", "unclosed"),
        ] {
            let error = check(pattern).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains(&format!("{pattern:?}")), "{pattern:?}: {error}");
        }
    }

    #[test]
    fn a_volume_belongs_to_one_folder_of_one_project() {
        let name = volume(Path::new("/p"), "target", 1000);
        assert!(name.starts_with("gemra-folder-") && name.len() == "gemra-folder-".len() + 16, "{name}");
        assert_eq!(volume(Path::new("/p"), "target", 1000), name, "the same each time");
        let others = [(Path::new("/q"), "target", 1000), (Path::new("/p"), "t", 1000), (Path::new("/p"), "target", 0)];
        for (workspace, folder, uid) in others {
            assert_ne!(volume(workspace, folder, uid), name, "{workspace:?} {folder} {uid} has its own");
        }
    }
}
