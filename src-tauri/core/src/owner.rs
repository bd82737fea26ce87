//! Whose the files are: the agent in a container has the app's own user, or, where the app runs as root, that of the
//! workspace's owner. The conversation's files follow it, because they are readable by their owner alone.

use std::path::{Path, PathBuf};

#[cfg(unix)]
mod tree;

/// A user and a group of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The user's id.
    pub(crate) uid: u32,
    /// The group's id.
    pub(crate) gid: u32,
}

/// The app's own user.
#[cfg(unix)]
pub(crate) fn of_us() -> Owner {
    Owner { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
}

/// The app's own user. Windows has no such ids; its engines give files to the caller.
#[cfg(windows)]
pub(crate) fn of_us() -> Owner {
    Owner { uid: 1000, gid: 1000 }
}

/// The user that the agent in a container has.
///
/// # Errors
/// Whatever the system says about the workspace.
#[cfg(unix)]
pub(crate) fn of(workspace: &Path) -> std::io::Result<Owner> {
    use std::os::unix::fs::MetadataExt;
    let own = of_us();
    if own.uid != 0 {
        return Ok(own);
    }
    let metadata = std::fs::metadata(workspace)?;
    Ok(Owner { uid: metadata.uid(), gid: metadata.gid() })
}

/// The user that the agent in a container has.
#[cfg(windows)]
pub(crate) fn of(_workspace: &Path) -> std::io::Result<Owner> {
    Ok(of_us())
}

/// The group of a folder, where it is ours beside our own first one: what we may do there by it, the agent in a container
/// may do only if it is given that group too. `None` for root, whose agent has the workspace's own group.
///
/// # Errors
/// Whatever the system says about the folder.
#[cfg(unix)]
pub(crate) fn shared_group(folder: &Path) -> std::io::Result<Option<u32>> {
    use std::os::unix::fs::MetadataExt;
    let group = std::fs::metadata(folder)?.gid();
    let ours = rustix::process::getgroups()?.into_iter().map(rustix::process::Gid::as_raw);
    Ok(is_shared(group, of_us(), ours).then_some(group))
}

/// Windows has no such groups.
#[cfg(windows)]
pub(crate) fn shared_group(_folder: &Path) -> std::io::Result<Option<u32>> {
    Ok(None)
}

#[cfg(unix)]
fn is_shared(group: u32, own: Owner, mut ours: impl Iterator<Item = u32>) -> bool {
    own.uid != 0 && group != own.gid && ours.any(|known| known == group)
}

/// Makes the folder of a workspace's conversations, and gives it and what is in it to `owner` where that is allowed,
/// which it is for root: a conversation that its reader may not open looks as if it were not there
/// (`DESIGN.md`, "Whose files").
///
/// # Errors
/// Whatever the system says, with the path.
pub(crate) fn hand_over(bucket: &Path, owner: Owner) -> Result<(), (PathBuf, std::io::Error)> {
    std::fs::create_dir_all(bucket).map_err(|error| (bucket.to_path_buf(), error))?;
    give(bucket, owner)
}

#[cfg(unix)]
fn give(path: &Path, owner: Owner) -> Result<(), (PathBuf, std::io::Error)> {
    if rustix::process::geteuid().as_raw() != 0 {
        return Ok(());
    }
    tree::give(path, owner)
}

#[cfg(windows)]
fn give(_path: &Path, _owner: Owner) -> Result<(), (PathBuf, std::io::Error)> {
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn conversations_follow_the_owner_and_links_are_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let (bucket, outside) = (root.path().join("projects/-p"), root.path().join("outside"));
        std::fs::create_dir_all(bucket.join("memory")).unwrap();
        std::fs::write(bucket.join("a.jsonl"), "").unwrap();
        std::fs::write(&outside, "").unwrap();
        std::os::unix::fs::symlink(&outside, bucket.join("link")).unwrap();
        let own = of(root.path()).unwrap();
        // Only root can give files away; everybody else keeps them, which is what is wanted there.
        let owner = if own.uid == 0 { Owner { uid: 1234, gid: 1235 } } else { own };
        hand_over(&bucket, owner).unwrap();
        for path in [bucket.clone(), bucket.join("memory"), bucket.join("a.jsonl"), bucket.join("link")] {
            let metadata = path.symlink_metadata().unwrap();
            assert_eq!((metadata.uid(), metadata.gid()), (owner.uid, owner.gid), "{} is given", path.display());
        }
        assert_eq!(outside.metadata().unwrap().uid(), own.uid, "what a link leads to is not given");
    }

    #[test]
    fn a_group_is_shared_where_it_is_ours_and_not_our_first() {
        let cases = [
            (1000, 50, vec![100, 50], true),
            (1000, 50, vec![100], false),
            (1000, 100, vec![100, 50], false),
            (0, 50, vec![100, 50], false),
        ];
        for (uid, group, ours, expected) in cases {
            let own = Owner { uid, gid: 100 };
            let shared = is_shared(group, own, ours.iter().copied());
            assert_eq!(shared, expected, "the group {group} and {uid} in {ours:?}");
        }
    }

    #[test]
    fn a_new_bucket_is_made() {
        let root = tempfile::tempdir().unwrap();
        let bucket = root.path().join("a/b/c");
        hand_over(&bucket, of(root.path()).unwrap()).unwrap();
        assert!(bucket.is_dir(), "the engine refuses to mount what is not there");
    }
}
