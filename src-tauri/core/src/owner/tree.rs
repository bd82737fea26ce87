//! Gives a folder and all that is in it to a user, as root. Somebody who may write into it can do so meanwhile, and
//! swap a folder for a link to one of root's: so no path is ever looked up twice. Each folder is opened once, without
//! following links, and what is in it is looked at and given by its name in that open folder alone. It knows nothing of
//! whose the files should be.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;

use super::Owner;

/// How many folders may be in one another. The CLI makes four; each takes an open file and room on the stack.
const DEEPEST: usize = 64;

type Failed = (PathBuf, io::Error);

/// Gives `path` and what is in it.
///
/// # Errors
/// Whatever the system says, with the path; and where `path` is a link to something that is somebody else's.
pub(super) fn give(path: &Path, owner: Owner) -> Result<(), Failed> {
    match open(CWD, path) {
        Ok(folder) => give_folder(&folder, path, owner, DEEPEST),
        // Systems differ in how they say that a link was not followed.
        Err(_) if path.is_symlink() => leave_link(path, owner),
        Err(error) => Err((path.to_owned(), error.into())),
    }
}

/// What a link leads to was put there by somebody for a purpose of their own. It is good as it is, or it is told.
fn leave_link(path: &Path, owner: Owner) -> Result<(), Failed> {
    let stat = rustix::fs::stat(path).map_err(|error| (path.to_owned(), error.into()))?;
    if is_of(&stat, owner) {
        return Ok(());
    }
    let Owner { uid, gid } = owner;
    let words = format!("it is a link, what it leads to does not belong to {uid}:{gid}, and links are not given away");
    Err((path.to_owned(), io::Error::new(io::ErrorKind::PermissionDenied, words)))
}

fn give_folder(folder: &OwnedFd, path: &Path, owner: Owner, deeper: usize) -> Result<(), Failed> {
    let failed = |error: Errno| (path.to_owned(), io::Error::from(error));
    let stat = rustix::fs::fstat(folder).map_err(failed)?;
    if !is_of(&stat, owner) {
        rustix::fs::fchown(folder, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid))).map_err(failed)?;
    }
    for name in names(folder).map_err(failed)? {
        let below = path.join(name.to_string_lossy().as_ref());
        match give_entry(folder.as_fd(), &name, owner) {
            Ok(None) => {}
            Ok(Some(_)) if deeper == 0 => {
                let words = format!("more than {DEEPEST} folders are in one another");
                return Err((below, io::Error::other(words)));
            }
            Ok(Some(folder)) => give_folder(&folder, &below, owner, deeper - 1)?,
            // The agent may remove its own files meanwhile; what is gone need not be given.
            Err(Errno::NOENT) => {}
            Err(error) => return Err((below, error.into())),
        }
    }
    Ok(())
}

/// Gives what has this name in the folder; where it is a folder, opens it instead.
fn give_entry(folder: BorrowedFd<'_>, name: &CString, owner: Owner) -> Result<Option<OwnedFd>, Errno> {
    let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        match open(folder, name) {
            Ok(below) => return Ok(Some(below)),
            // It is no folder any more, and is given as what it is now.
            Err(Errno::NOTDIR | Errno::LOOP | Errno::MLINK) => {}
            Err(error) => return Err(error),
        }
    } else if is_of(&stat, owner) {
        return Ok(None);
    }
    let (user, group) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
    rustix::fs::chownat(folder, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(None)
}

fn open(folder: BorrowedFd<'_>, name: impl rustix::path::Arg) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::empty())
}

fn names(folder: &OwnedFd) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_owned();
        if name.as_bytes() != b"." && name.as_bytes() != b".." {
            names.push(name);
        }
    }
    Ok(names)
}

fn is_of(stat: &Stat, owner: Owner) -> bool {
    (stat.st_uid, stat.st_gid) == (owner.uid, owner.gid)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use super::super::of_us;
    use super::*;

    /// Somebody to give to: root gives to anybody, everybody else keeps.
    fn somebody() -> Owner {
        let own = of_us();
        if own.uid == 0 { Owner { uid: 1234, gid: 1235 } } else { own }
    }

    /// Tells the other thread to end, also where an assertion fails: a scope waits for it.
    struct Ends<'a>(&'a AtomicBool);

    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    fn owner_of(path: &Path) -> (u32, u32) {
        let metadata = path.symlink_metadata().unwrap();
        (metadata.uid(), metadata.gid())
    }

    /// A folder outside with a file in it.
    fn outside(root: &Path) -> PathBuf {
        let outside = root.join("outside");
        std::fs::create_dir_all(outside.join("below")).unwrap();
        std::fs::write(outside.join("file"), "").unwrap();
        outside
    }

    fn assert_untouched(outside: &Path) {
        let own = (of_us().uid, of_us().gid);
        for path in [outside.to_owned(), outside.join("below"), outside.join("file")] {
            assert_eq!(owner_of(&path), own, "{} is outside, and stays whose it is", path.display());
        }
    }

    #[test]
    fn links_are_given_themselves_and_nothing_behind_them() {
        let root = tempfile::tempdir().unwrap();
        let outside = outside(root.path());
        let bucket = root.path().join("bucket");
        std::fs::create_dir_all(bucket.join("a/b")).unwrap();
        let links = [bucket.join("folder"), bucket.join("a/file"), bucket.join("a/b/nowhere")];
        for (link, target) in links.iter().zip([outside.clone(), outside.join("file"), root.path().join("gone")]) {
            symlink(target, link).unwrap();
        }
        assert!(
            open(CWD, &links[0]).is_err(),
            "a link to a folder is not entered, whatever it was when it was looked at"
        );
        let owner = somebody();
        give(&bucket, owner).unwrap();
        for path in [bucket.clone(), bucket.join("a"), bucket.join("a/b")].iter().chain(&links) {
            assert_eq!(owner_of(path), (owner.uid, owner.gid), "{} is given", path.display());
        }
        assert_untouched(&outside);
    }

    #[test]
    fn a_bucket_that_is_a_link_is_left_alone_and_told_where_it_is_somebody_elses() {
        let root = tempfile::tempdir().unwrap();
        let outside = outside(root.path());
        let bucket = root.path().join("bucket");
        symlink(&outside, &bucket).unwrap();
        let (path, error) = give(&bucket, Owner { uid: 1234, gid: 1235 }).unwrap_err();
        assert_eq!((path, error.kind()), (bucket.clone(), io::ErrorKind::PermissionDenied), "it is not followed");
        assert!(error.to_string().contains("it is a link") && error.to_string().contains("1234:1235"), "{error}");
        give(&bucket, of_us()).expect("what belongs to the user already need not be given");
        assert_untouched(&outside);
        assert_eq!(owner_of(&bucket), (of_us().uid, of_us().gid), "nor is the link given");
    }

    /// The race that a container on the same folder can play: a folder is there when it is looked at, and a link to
    /// somebody else's when it is entered.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_becomes_a_link_meanwhile_leads_nowhere() {
        use rustix::fs::{RenameFlags, renameat_with};
        let root = tempfile::tempdir().unwrap();
        let outside = outside(root.path());
        let (bucket, aside) = (root.path().join("bucket"), root.path().join("aside"));
        std::fs::create_dir_all(bucket.join("folder/below")).unwrap();
        std::fs::write(bucket.join("folder/file"), "").unwrap();
        symlink(&outside, &aside).unwrap();
        let (over, swapped) = (AtomicBool::new(false), AtomicU32::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    renameat_with(CWD, bucket.join("folder"), CWD, &aside, RenameFlags::EXCHANGE).unwrap();
                    swapped.fetch_add(1, Ordering::Relaxed);
                }
            });
            let _ends = Ends(&over);
            // Until both have met often: without `NOFOLLOW` about ten thousand rounds show it.
            for round in 0_u32.. {
                // Given away and taken back, so that there is something to be done each time.
                let owner = if round % 2 == 0 { somebody() } else { of_us() };
                let given = give(&bucket, owner);
                assert!(given.is_ok(), "a swap stops nothing: {given:?}");
                assert_untouched(&outside);
                if round > 30_000 && swapped.load(Ordering::Relaxed) > 30_000 {
                    break;
                }
            }
        });
    }

    #[test]
    fn what_goes_away_meanwhile_is_no_failure_but_the_bucket_itself_is() {
        let root = tempfile::tempdir().unwrap();
        let own = of_us();
        let gone = root.path().join("gone");
        let (path, error) = give(&gone, own).unwrap_err();
        assert_eq!((path, error.kind()), (gone, io::ErrorKind::NotFound), "a bucket that has gone is missed");
        let file = root.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(give(&file, own).unwrap_err().1.kind(), io::ErrorKind::NotADirectory, "any other trouble is told");

        // Files that come and go while the folder is gone through, until both have met often enough.
        let busy = root.path().join("busy");
        std::fs::create_dir(&busy).unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    for number in 0..50 {
                        std::fs::write(busy.join(format!("{number}")), "").unwrap();
                    }
                    for number in 0..50 {
                        std::fs::remove_file(busy.join(format!("{number}"))).unwrap();
                    }
                }
            });
            let _ends = Ends(&over);
            let given = (0..500).try_for_each(|_| give(&busy, own));
            assert!(given.is_ok(), "files that vanish on the way stop nothing: {given:?}");
        });
    }

    #[test]
    fn a_tree_without_an_end_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let deep = |levels: usize| vec!["d"; levels].join("/");
        std::fs::create_dir_all(root.path().join(deep(DEEPEST))).unwrap();
        give(root.path(), of_us()).expect("as many are gone through");
        std::fs::create_dir_all(root.path().join(deep(DEEPEST + 1))).unwrap();
        let (path, error) = give(root.path(), of_us()).unwrap_err();
        assert_eq!(path, root.path().join(deep(DEEPEST + 1)), "the first that is too much is named: {error}");
    }
}
