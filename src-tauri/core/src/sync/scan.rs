//! Reads what a folder of this machine holds. What has the same stamp as before is not read again; what cannot be read
//! is said, so that nobody takes it for removed. It changes nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, FileType, Stat};
use rustix::io::Errno;

use super::SyncError;
use super::manifest::{Entry, Manifest, PERMISSIONS, is_plain};
use super::rules::Rules;
use super::tree::{self, Refused, Tree, copy, stamp};

/// How many paths one side may have. Listing more would take longer than the pause between two looks.
pub(super) const MOST: usize = 300_000;
/// The largest file that is carried, in bytes.
pub(super) const LARGEST: u64 = 4 * 1024 * 1024 * 1024;
/// How many folders may be in one another; each takes an open file.
const DEEPEST: usize = 100;
/// What changed less than so many seconds ago may change again without its stamp saying so.
const RECENT: i64 = 2;

/// What is known of a path on one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) entry: Entry,
    pub(super) mode: u32,
    pub(super) length: u64,
    /// In seconds since 1970.
    pub(super) modified: i64,
    pub(super) stamp: String,
}

/// What one side holds.
#[derive(Debug, Default)]
pub(super) struct Side {
    pub(super) seen: BTreeMap<String, Seen>,
    /// What could not be read, and what is not carried: neither is touched on the other side.
    pub(super) held: BTreeMap<String, String>,
    /// True where something may be missing that is there.
    pub(super) partial: bool,
}

impl Side {
    pub(super) fn manifest(&self) -> Manifest {
        self.seen.iter().map(|(path, seen)| (path.clone(), seen.entry.clone())).collect()
    }

    pub(super) fn held_paths(&self) -> BTreeSet<String> {
        self.held.keys().cloned().collect()
    }
}

/// What the digests of files were, by path and stamp.
pub(super) type Known = HashMap<String, (String, String)>;

/// Reads a tree. With `rules`, what these name is left out; those found on the way are added.
///
/// # Errors
/// [`SyncError`] where its own folder cannot be read, or it holds too much.
pub(super) fn scan(tree: &Tree, rules: &mut Rules, known: &mut Known) -> Result<Side, SyncError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut walk = Walk {
        tree,
        rules,
        known: std::mem::take(known),
        next: Known::new(),
        side: Side::default(),
        now: i64::try_from(now).unwrap_or(i64::MAX),
    };
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    let root = rustix::fs::openat(tree.root(), c".", flags, rustix::fs::Mode::empty());
    let unreadable =
        |error: Errno| SyncError::Here { path: tree.path().display().to_string(), cause: error.to_string() };
    walk.folder(&root.map_err(unreadable)?, "", DEEPEST).map_err(|error| match error {
        Stop::TooMany => SyncError::TooMuch { limit: format!("{MOST} files") },
        Stop::Unreadable(error) => unreadable(error),
    })?;
    *known = walk.next;
    Ok(walk.side)
}

struct Walk<'a> {
    tree: &'a Tree,
    rules: &'a mut Rules,
    known: Known,
    next: Known,
    side: Side,
    now: i64,
}

enum Stop {
    TooMany,
    Unreadable(Errno),
}

impl Walk<'_> {
    fn folder(&mut self, folder: &OwnedFd, path: &str, deeper: usize) -> Result<(), Stop> {
        if !path.is_empty() {
            self.rules.add(self.tree.path(), path);
        }
        let listed = Dir::read_from(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) if path.is_empty() => return Err(Stop::Unreadable(error)),
            Err(error) => {
                self.side.held.insert(path.to_owned(), error.to_string());
                return Ok(());
            }
        };
        for entry in listed {
            let name = entry.file_name().to_owned();
            if matches!(name.as_bytes(), b"." | b"..") {
                continue;
            }
            let Ok(text) = name.to_str() else {
                let shown = format!("{path}/{}", name.to_string_lossy());
                self.side.held.insert(shown.trim_start_matches('/').to_owned(), "its name is not UTF-8".to_owned());
                continue;
            };
            let below = if path.is_empty() { text.to_owned() } else { format!("{path}/{text}") };
            if !is_plain(&below) {
                self.side.held.insert(below, "its name cannot be carried".to_owned());
                continue;
            }
            self.entry(folder.as_fd(), &name, below, deeper)?;
            if self.side.seen.len() > MOST {
                return Err(Stop::TooMany);
            }
        }
        Ok(())
    }

    fn entry(&mut self, folder: BorrowedFd<'_>, name: &CString, path: String, deeper: usize) -> Result<(), Stop> {
        let stat = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => {
                self.side.held.insert(path, error.to_string());
                return Ok(());
            }
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        let is_folder = kind == FileType::Directory;
        let ignored = self.rules.ignores(&path, is_folder);
        if is_folder {
            if self.rules.ignores_all_below(&path) {
                return Ok(());
            }
            match tree::open_folder(folder, name) {
                Ok(_) if deeper == 0 => {
                    self.side.held.insert(path, format!("more than {DEEPEST} folders are in one another"));
                }
                Ok(opened) => {
                    if !ignored {
                        self.side.seen.insert(path.clone(), seen(&stat, Entry::Folder));
                    }
                    self.folder(&opened, &path, deeper - 1)?;
                }
                Err(Errno::NOENT) => {}
                Err(error) => drop(self.side.held.insert(path, error.to_string())),
            }
            return Ok(());
        }
        if ignored {
            return Ok(());
        }
        let entry =
            match kind {
                FileType::RegularFile if stat_length(&stat) > LARGEST => {
                    Err(format!("it is larger than {} GB", LARGEST / (1024 * 1024 * 1024)))
                }
                FileType::RegularFile => self.file(folder, name, &path, &stat),
                FileType::Symlink => rustix::fs::readlinkat(folder, name, Vec::new())
                    .map_err(|error| error.to_string())
                    .and_then(|target| target.into_string().map_err(|_| "its target is not UTF-8".to_owned()))
                    .and_then(|target| {
                        if target.contains('\n') { Err("its target is not one line".to_owned()) } else { Ok(target) }
                    })
                    .map(|target| Some(Entry::Link { target })),
                _ => Err("it is neither a file nor a folder nor a link".to_owned()),
            };
        match entry {
            Ok(Some(entry)) => drop(self.side.seen.insert(path, seen(&stat, entry))),
            Ok(None) => {}
            Err(why) => drop(self.side.held.insert(path, why)),
        }
        Ok(())
    }

    /// None where it has gone meanwhile.
    fn file(
        &mut self,
        folder: BorrowedFd<'_>,
        name: &CString,
        path: &str,
        stat: &Stat,
    ) -> Result<Option<Entry>, String> {
        let (mode, mark) = (permissions(stat), stamp(stat));
        let digest = match self.known.remove(path) {
            Some((known, digest)) if known == mark => digest,
            _ => {
                let read = tree::open_file(folder, name)
                    .and_then(|mut file| copy(&mut file, &mut std::io::sink(), LARGEST).map_err(Refused::Failed));
                match read {
                    Ok(copied) => copied.digest,
                    Err(Refused::Failed(error)) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                    Err(Refused::Failed(error)) => return Err(error.to_string()),
                    Err(Refused::Changed) => return Err("it changes".to_owned()),
                }
            }
        };
        if self.now - stat.st_ctime > RECENT {
            self.next.insert(path.to_owned(), (mark, digest.clone()));
        }
        Ok(Some(Entry::File { digest, mode }))
    }
}

fn seen(stat: &Stat, entry: Entry) -> Seen {
    Seen { entry, mode: permissions(stat), length: stat_length(stat), modified: stat.st_mtime, stamp: stamp(stat) }
}

/// The number is a shorter one at some systems.
#[allow(clippy::useless_conversion)] // At the others it is not.
fn permissions(stat: &Stat) -> u32 {
    u32::from(stat.st_mode) & PERMISSIONS
}

fn stat_length(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::owner::of_us;

    fn paths(side: &Side) -> Vec<&str> {
        side.seen.keys().map(String::as_str).collect()
    }

    #[test]
    fn a_workspace_is_read_without_what_its_rules_name() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(".gitignore", "target\n*.log\n");
        write(".dockerignore", ".git\nnotes\n");
        write(".git/config", "");
        write(".git/x.log", "");
        write("src/main.rs", "fn main() {}");
        write("target/deep/x", "");
        write("sub/.gitignore", "made\n");
        write("sub/made/x", "");
        write("sub/.git/HEAD", "");
        write("notes", "");
        symlink("/etc/passwd", root.path().join("link")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, root.path().join("pipe"), rustix::fs::Mode::RWXU).unwrap();
        let tree = Tree::open(root.path(), of_us()).unwrap();
        let mut rules = Rules::of(root.path());
        let side = scan(&tree, &mut rules, &mut Known::new()).unwrap();
        let expected = [
            ".dockerignore",
            ".git",
            ".git/config",
            ".git/x.log",
            ".gitignore",
            "link",
            "src",
            "src/main.rs",
            "sub",
            "sub/.git",
            "sub/.git/HEAD",
            "sub/.gitignore",
        ];
        assert_eq!(paths(&side), expected, "git's folders are whole, and nothing ignored is there");
        assert_eq!(side.seen["link"].entry, Entry::Link { target: "/etc/passwd".to_owned() }, "links are not followed");
        assert_eq!(side.held.keys().collect::<Vec<_>>(), ["pipe"], "what cannot be carried is said");
        let all = scan(&tree, &mut Rules::none(), &mut Known::new()).unwrap();
        assert!(all.seen.contains_key("target/deep/x"), "without rules everything is read");
    }

    #[test]
    fn digests_are_kept_by_stamp_but_not_of_what_has_just_changed() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("a");
        std::fs::write(&file, "one").unwrap();
        let tree = Tree::open(root.path(), of_us()).unwrap();
        let mut known = Known::new();
        let first = scan(&tree, &mut Rules::none(), &mut known).unwrap();
        assert!(known.is_empty(), "a file that may change within the clock's tick is read again");
        let mark = first.seen["a"].stamp.clone();
        known.insert("a".to_owned(), (mark, "kept".to_owned()));
        let second = scan(&tree, &mut Rules::none(), &mut known).unwrap();
        let digest = |side: &Side| match &side.seen["a"].entry {
            Entry::File { digest, .. } => digest.clone(),
            other => panic!("a file is one, and not {other:?}"),
        };
        assert_eq!(digest(&second), "kept", "the same stamp means the same bytes");
        assert_eq!(digest(&first).len(), 64, "SHA-256");
        std::fs::write(&file, "two and more").unwrap();
        known.insert("a".to_owned(), (first.seen["a"].stamp.clone(), "kept".to_owned()));
        assert_ne!(digest(&scan(&tree, &mut Rules::none(), &mut known).unwrap()), "kept", "another stamp does not");
    }
}
