//! A folder of this machine, read and written without ever leaving it: what comes from the other side may name a path
//! that somebody has meanwhile made into a link to elsewhere. So no path is looked up as a whole: each folder is opened
//! in the one above, links are not followed, files are written beside and renamed, and what is there is looked at just
//! before it is replaced. It knows nothing of the other side.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::manifest::PERMISSIONS;
use super::rules::OURS;
use crate::digest::hexadecimal;
use crate::owner::Owner;

const PIECE: usize = 128 * 1024;

/// An open folder.
#[derive(Debug)]
pub(super) struct Tree {
    root: OwnedFd,
    path: PathBuf,
    /// To whom new files are given; none where they are ours anyway.
    owner: Option<Owner>,
}

/// Why something was not written.
#[derive(Debug)]
pub(super) enum Refused {
    /// It is not what it was when it was looked at.
    Changed,
    /// The system's words.
    Failed(io::Error),
}

impl From<Errno> for Refused {
    fn from(error: Errno) -> Self {
        match error {
            // A folder on the way is gone, or is a link or a file now.
            Errno::LOOP | Errno::NOTDIR | Errno::MLINK | Errno::ISDIR => Self::Changed,
            error => Self::Failed(error.into()),
        }
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// What tells one state of a path from another, without reading it.
pub(super) fn stamp(stat: &Stat) -> String {
    let (modified, modified_part) = (stat.st_mtime, stat.st_mtime_nsec);
    let (changed, changed_part) = (stat.st_ctime, stat.st_ctime_nsec);
    let (inode, mode, size) = (stat.st_ino, stat.st_mode, stat.st_size);
    format!("{inode} {mode:o} {size} {modified}.{modified_part} {changed}.{changed_part}")
}

/// What has been read, and its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Copied {
    pub(super) digest: String,
    pub(super) length: u64,
}

/// Copies until the end, or `most` bytes, and tells the digest of what was copied.
pub(super) fn copy(from: &mut impl Read, to: &mut impl Write, most: u64) -> io::Result<Copied> {
    let (mut digest, mut length) = (Sha256::new(), 0_u64);
    let mut piece = vec![0; PIECE];
    loop {
        let left = usize::try_from(most - length).unwrap_or(PIECE).min(PIECE);
        let read = if left == 0 { 0 } else { from.read(&mut piece[..left])? };
        if read == 0 {
            return Ok(Copied { digest: hexadecimal(&digest.finalize()), length });
        }
        digest.update(&piece[..read]);
        to.write_all(&piece[..read])?;
        length += read as u64;
    }
}

impl Tree {
    /// Opens a folder, which may itself be a link of the user's.
    ///
    /// # Errors
    /// Whatever the system says.
    pub(super) fn open(path: &Path, owner: Owner) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        let owner = rustix::process::geteuid().is_root().then_some(owner);
        Ok(Self { root, path: path.to_owned(), owner })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// What is at a path now; none where nothing is, or a folder on the way is something else.
    pub(super) fn look(&self, path: &str) -> Result<Option<Stat>, Refused> {
        match self.parent(path, false) {
            Ok((folder, name)) => look(folder.as_fd(), &name),
            Err(Refused::Changed) => Ok(None),
            Err(Refused::Failed(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(refused) => Err(refused),
        }
    }

    /// Opens a file to read.
    pub(super) fn file(&self, path: &str) -> Result<File, Refused> {
        let (folder, name) = self.parent(path, false)?;
        open_file(folder.as_fd(), &name)
    }

    /// Writes a file beside and puts it in place, where that is still what `before` says. Its time of change is
    /// `modified`, in seconds since 1970.
    pub(super) fn put_file(
        &self,
        path: &str,
        (mode, modified): (u32, i64),
        before: Option<&str>,
        from: &mut impl Read,
        most: u64,
    ) -> Result<Copied, Refused> {
        let (folder, name) = self.parent(path, true)?;
        let new = unused();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&folder, &new, flags, Mode::from_raw_mode(0o600))?;
        let mut file = File::from(file);
        let written = (|| {
            let copied = copy(from, &mut file, most)?;
            let now = look(folder.as_fd(), &name)?;
            // A file that others may use as somebody's stays that somebody's.
            let owner = now.as_ref().map_or(self.owner, |stat| self.owner.map(|_| owner_of(stat)));
            if let Some(owner) = owner {
                let (user, group) = ids(owner);
                rustix::fs::fchown(&file, user, group)?;
            }
            rustix::fs::fchmod(&file, Mode::from_raw_mode(mode & PERMISSIONS))?;
            let time = Timespec { tv_sec: modified, tv_nsec: 0 };
            rustix::fs::futimens(&file, &Timestamps { last_access: time, last_modification: time })?;
            expect(now.as_ref(), before)?;
            rustix::fs::renameat(&folder, &new, &folder, &name)?;
            Ok(copied)
        })();
        if written.is_err() {
            let _ = rustix::fs::unlinkat(&folder, &new, AtFlags::empty());
        }
        written
    }

    /// The same for a link.
    pub(super) fn put_link(&self, path: &str, target: &str, before: Option<&str>) -> Result<(), Refused> {
        let (folder, name) = self.parent(path, true)?;
        let new = unused();
        rustix::fs::symlinkat(target, &folder, &new)?;
        let written = (|| {
            if let Some(owner) = self.owner {
                let (user, group) = ids(owner);
                rustix::fs::chownat(&folder, &new, user, group, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            expect(look(folder.as_fd(), &name)?.as_ref(), before)?;
            rustix::fs::renameat(&folder, &new, &folder, &name)?;
            Ok(())
        })();
        if written.is_err() {
            let _ = rustix::fs::unlinkat(&folder, &new, AtFlags::empty());
        }
        written
    }

    /// Makes a folder, where there is none yet.
    pub(super) fn put_folder(&self, path: &str, mode: u32) -> Result<(), Refused> {
        let (folder, name) = self.parent(path, true)?;
        let opened = self.enter(folder.as_fd(), &name, true)?;
        if mode & PERMISSIONS != 0 {
            // Whoever brings what is in it has to be able to.
            rustix::fs::fchmod(&opened, Mode::from_raw_mode(mode & PERMISSIONS | 0o700))?;
        }
        Ok(())
    }

    /// Removes a file or a link, where it is still what `before` says.
    pub(super) fn remove(&self, path: &str, before: Option<&str>) -> Result<(), Refused> {
        let (folder, name) = self.parent(path, false)?;
        let now = look(folder.as_fd(), &name)?;
        expect(now.as_ref(), before)?;
        if now.is_some() {
            rustix::fs::unlinkat(&folder, &name, AtFlags::empty())?;
        }
        Ok(())
    }

    /// Removes a folder with nothing in it. One with something in it stays; false then.
    pub(super) fn remove_folder(&self, path: &str) -> Result<bool, Refused> {
        let (folder, name) = match self.parent(path, false) {
            Err(Refused::Failed(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            parent => parent?,
        };
        match rustix::fs::unlinkat(&folder, &name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives what is at a path, a whole folder it may be, another name in the same folder: `path` with `ending`, and a
    /// number where there is such a thing already. The new path; none where nothing is there.
    pub(super) fn move_aside(&self, path: &str, ending: &str) -> Result<Option<String>, Refused> {
        let (folder, name) = self.parent(path, false)?;
        if look(folder.as_fd(), &name)?.is_none() {
            return Ok(None);
        }
        for number in 1..1000 {
            let ending = if number == 1 { ending.to_owned() } else { format!("{ending}-{number}") };
            let new = [name.as_bytes(), ending.as_bytes()].concat();
            let new = CString::new(new).map_err(|error| Refused::Failed(error.into()))?;
            if look(folder.as_fd(), &new)?.is_none() {
                rustix::fs::renameat(&folder, &name, &folder, &new)?;
                return Ok(Some(format!("{path}{ending}")));
            }
        }
        Err(Refused::Changed)
    }

    /// The open folder that a path is in, and its name there.
    fn parent(&self, path: &str, make: bool) -> Result<(OwnedFd, CString), Refused> {
        let mut folder = rustix::io::fcntl_dupfd_cloexec(&self.root, 0)?;
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            let name = CString::new(part).map_err(|error| Refused::Failed(error.into()))?;
            if parts.peek().is_none() {
                return Ok((folder, name));
            }
            folder = self.enter(folder.as_fd(), &name, make)?;
        }
        Err(Refused::Changed)
    }

    fn enter(&self, folder: BorrowedFd<'_>, name: &CString, make: bool) -> Result<OwnedFd, Refused> {
        match open_folder(folder, name) {
            Err(Errno::NOENT) if make => {
                match rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o755)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                let opened = open_folder(folder, name)?;
                if let Some(owner) = self.owner {
                    let (user, group) = ids(owner);
                    rustix::fs::fchown(&opened, user, group)?;
                }
                Ok(opened)
            }
            opened => Ok(opened?),
        }
    }
}

pub(super) fn open_folder(folder: BorrowedFd<'_>, name: &CString) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::empty())
}

/// Opens a file to read; what is none is refused, and not waited for.
pub(super) fn open_file(folder: BorrowedFd<'_>, name: &CString) -> Result<File, Refused> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, name, flags, Mode::empty())?;
    if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(Refused::Changed);
    }
    Ok(File::from(file))
}

fn look(folder: BorrowedFd<'_>, name: &CString) -> Result<Option<Stat>, Refused> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn expect(now: Option<&Stat>, before: Option<&str>) -> Result<(), Refused> {
    if now.map(stamp).as_deref() == before { Ok(()) } else { Err(Refused::Changed) }
}

fn owner_of(stat: &Stat) -> Owner {
    Owner { uid: stat.st_uid, gid: stat.st_gid }
}

fn ids(owner: Owner) -> (Option<Uid>, Option<Gid>) {
    (Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))
}

fn unused() -> String {
    format!("{OURS}{}", uuid::Uuid::new_v4().simple())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;
    use crate::owner::of_us;

    fn somebody() -> Owner {
        let own = of_us();
        if own.uid == 0 { Owner { uid: 1234, gid: 1235 } } else { own }
    }

    fn put(tree: &Tree, path: &str, text: &str, before: Option<&str>) -> Result<Copied, Refused> {
        tree.put_file(path, (0o640, 1_000_000_000), before, &mut text.as_bytes(), 1000)
    }

    fn now(tree: &Tree, path: &str) -> Option<String> {
        tree.look(path).unwrap().as_ref().map(stamp)
    }

    #[test]
    fn files_are_given_to_the_owner_and_keep_their_mode_and_time() {
        let root = tempfile::tempdir().unwrap();
        let tree = Tree::open(root.path(), somebody()).unwrap();
        let copied = put(&tree, "a/b/c", "text", None).unwrap();
        assert_eq!(copied.length, 4, "all of it");
        for path in ["a", "a/b", "a/b/c"] {
            let metadata = root.path().join(path).metadata().unwrap();
            assert_eq!((metadata.uid(), metadata.gid()), (somebody().uid, somebody().gid), "{path} is the owner's");
        }
        let metadata = root.path().join("a/b/c").metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o640, "its permissions come along");
        assert_eq!(metadata.mtime(), 1_000_000_000, "and its time");
        let left = std::fs::read_dir(root.path().join("a/b")).unwrap().count();
        assert_eq!(left, 1, "nothing is left beside it");
    }

    #[test]
    fn what_has_changed_meanwhile_is_not_replaced_and_not_removed() {
        let root = tempfile::tempdir().unwrap();
        let tree = Tree::open(root.path(), of_us()).unwrap();
        let file = root.path().join("a");
        std::fs::write(&file, "mine").unwrap();
        let seen = now(&tree, "a");
        std::fs::write(&file, "mine, changed").unwrap();
        for before in [None, seen.as_deref()] {
            assert!(matches!(put(&tree, "a", "theirs", before), Err(Refused::Changed)), "{before:?} is not it");
            assert!(matches!(tree.put_link("a", "b", before), Err(Refused::Changed)), "nor for a link");
            assert!(matches!(tree.remove("a", before), Err(Refused::Changed)), "nor for a removal");
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine, changed", "it is as it was");
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1, "and nothing is left beside it");
        let seen = now(&tree, "a");
        put(&tree, "a", "theirs", seen.as_deref()).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "theirs", "what was looked at is replaced");
    }

    #[test]
    fn no_path_leads_out() {
        let root = tempfile::tempdir().unwrap();
        let (inside, outside) = (root.path().join("inside"), root.path().join("outside"));
        std::fs::create_dir_all(&inside).unwrap();
        std::fs::create_dir_all(outside.join("below")).unwrap();
        std::fs::write(outside.join("file"), "safe").unwrap();
        symlink(&outside, inside.join("folder")).unwrap();
        symlink(outside.join("file"), inside.join("link")).unwrap();
        let tree = Tree::open(&inside, of_us()).unwrap();
        for path in ["folder/file", "folder/new", "folder/below/new", "../outside/file"] {
            if path.starts_with("..") {
                assert!(!super::super::manifest::is_plain(path), "such a path is not even taken");
                continue;
            }
            assert!(matches!(put(&tree, path, "bad", None), Err(Refused::Changed)), "{path} is behind a link");
            assert!(tree.put_link(path, "x", None).is_err() && tree.put_folder(path, 0o755).is_err(), "{path}");
            assert!(tree.remove(path, None).is_err() && tree.remove_folder(path).is_err(), "{path} stays");
            assert!(tree.file(path).is_err(), "{path} is not read either");
        }
        assert!(tree.file("link").is_err(), "a link is not read through");
        let seen = now(&tree, "link");
        put(&tree, "link", "mine now", seen.as_deref()).unwrap();
        assert_eq!(std::fs::read_to_string(outside.join("file")).unwrap(), "safe", "a link is replaced, not followed");
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 2, "nothing was made outside");
    }

    #[test]
    fn what_is_moved_aside_takes_nobodys_place() {
        let root = tempfile::tempdir().unwrap();
        let tree = Tree::open(root.path(), of_us()).unwrap();
        for path in ["a/b/c", "a/b.mine"] {
            put(&tree, path, path, None).unwrap();
        }
        assert_eq!(tree.move_aside("a/b", ".mine").unwrap().as_deref(), Some("a/b.mine-2"), "under a name of its own");
        assert_eq!(std::fs::read_to_string(root.path().join("a/b.mine-2/c")).unwrap(), "a/b/c", "whole");
        assert_eq!(std::fs::read_to_string(root.path().join("a/b.mine")).unwrap(), "a/b.mine", "beside what was there");
        assert_eq!(tree.move_aside("a/b", ".mine").unwrap(), None, "it is there no more");
    }

    #[test]
    fn folders_with_something_in_them_stay() {
        let root = tempfile::tempdir().unwrap();
        let tree = Tree::open(root.path(), of_us()).unwrap();
        put(&tree, "a/b", "", None).unwrap();
        assert!(!tree.remove_folder("a").unwrap(), "what is in it may be ignored, and is nobody's to remove");
        let seen = now(&tree, "a/b");
        tree.remove("a/b", seen.as_deref()).unwrap();
        assert!(tree.remove_folder("a").unwrap() && tree.remove_folder("a").unwrap(), "an empty one goes, once");
    }
}
