//! One guarded file: what is kept of it, reading it without believing its links or its size, and bringing it back. Which
//! files are guarded is not known here.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::reach::{self, is_within};
use super::{GuardError, stored};

/// The largest file that is kept whole, in bytes.
const LARGEST: u64 = 1024 * 1024;
/// How much of a larger one is read, in bytes: what is beyond is known by its length and by when it was written.
const READ: u64 = 16 * 1024 * 1024;
/// How large a file may be that is copied aside where it cannot be moved, in bytes.
const COPIED: u64 = 1024 * 1024 * 1024;

/// What is known of a guarded file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kept {
    /// A file, whole.
    File {
        #[serde(serialize_with = "encode", deserialize_with = "decode")]
        bytes: Vec<u8>,
        mode: u32,
        owner: (u32, u32),
    },
    /// A file that is too large to keep: the digest of what was read of it, and where that was not all, when the system
    /// says that it was last written or changed in any way.
    Large { digest: String, length: u64, changed: Option<(i64, i64)> },
    /// A file that may not be read; it could still be executed.
    Unread { mode: u32, owner: (u32, u32), length: u64, changed: (i64, i64) },
    /// A link.
    Link {
        #[serde(with = "stored::one")]
        target: PathBuf,
    },
    /// Something else, which nobody reads.
    Other,
    /// Folders that were not looked at, and why.
    Unseen { why: String },
}

fn encode<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&STANDARD.encode(bytes))
}

fn decode<'a, D: Deserializer<'a>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(from)?;
    STANDARD.decode(text).map_err(serde::de::Error::custom)
}

/// How much may still be read in one look, in bytes. A container can write more than anybody wants to read.
#[derive(Debug)]
pub(super) struct Budget {
    /// Of what is kept whole.
    kept: u64,
    /// Of what is only digested.
    digested: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { kept: 64 * LARGEST, digested: 16 * READ }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Link,
    Other,
}

/// What there is at a path; `None` where there is nothing.
pub(super) fn kind(path: &Path) -> Result<Option<Kind>, GuardError> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => Ok(Some(Kind::Link)),
        Ok(found) if found.is_dir() => Ok(Some(Kind::Folder)),
        Ok(found) if found.is_file() => Ok(Some(Kind::File)),
        Ok(_) => Ok(Some(Kind::Other)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        // What may not be entered, nobody's git enters either; nor what has a name that no system call takes.
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::InvalidFilename) => Ok(None),
        // A circle of links leads nowhere, for whoever would execute it too.
        #[cfg(unix)]
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => Ok(None),
        Err(source) => Err(failed(path, source)),
    }
}

/// What a link at `path` says.
pub(super) fn link(path: &Path) -> Result<Kept, GuardError> {
    let target = std::fs::read_link(path).map_err(|source| failed(path, source))?;
    Ok(Kept::Link { target })
}

/// Reads a file, as much of it as the budget allows.
pub(super) fn read(path: &Path, budget: &mut Budget) -> Result<Kept, GuardError> {
    let mut read = || {
        let file = match open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                let metadata = std::fs::symlink_metadata(path)?;
                let ((mode, owner), changed) = (rights(&metadata), changed(&metadata));
                return Ok(Kept::Unread { mode, owner, length: metadata.len(), changed });
            }
            Err(error) => return Err(error),
        };
        // Asked of what is open: the name may lead to something else by now.
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(Kept::Other);
        }
        let length = metadata.len();
        if length <= LARGEST && length <= budget.kept {
            let mut bytes = Vec::new();
            (&file).take(LARGEST).read_to_end(&mut bytes)?;
            budget.kept = budget.kept.saturating_sub(length);
            let (mode, owner) = rights(&metadata);
            return Ok(Kept::File { bytes, mode, owner });
        }
        let most = length.min(READ).min(budget.digested);
        let (digest, read) = digest((&file).take(most))?;
        budget.digested = budget.digested.saturating_sub(read);
        let changed = (read < length).then(|| changed(&metadata));
        Ok(Kept::Large { digest, length, changed })
    };
    read().map_err(|source| failed(path, source))
}

/// Opens a file to read it, and neither follows a link nor waits for whoever is at the other end of a pipe.
fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.custom_flags(i32::try_from(flags.bits()).unwrap_or_default());
    }
    options.open(path)
}

fn digest(mut from: impl std::io::Read) -> std::io::Result<(String, u64)> {
    let (mut sum, mut piece, mut read) = (Sha256::new(), vec![0; 64 * 1024], 0);
    loop {
        match from.read(&mut piece)? {
            0 => return Ok((STANDARD.encode(sum.finalize()), read)),
            some => {
                sum.update(&piece[..some]);
                read += some as u64;
            }
        }
    }
}

fn rights(metadata: &Metadata) -> (u32, (u32, u32)) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        (metadata.mode() & 0o7777, (metadata.uid(), metadata.gid()))
    }
    #[cfg(windows)]
    {
        let _ = metadata;
        (0, (0, 0))
    }
}

/// When anything of a file was last changed, which nobody can set to what they like where the system keeps it.
fn changed(metadata: &Metadata) -> (i64, i64) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        (metadata.ctime(), metadata.ctime_nsec())
    }
    #[cfg(windows)]
    {
        let modified = metadata.modified().unwrap_or(std::time::UNIX_EPOCH);
        let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        (i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos().into())
    }
}

/// Moves what is at `path` away, so that it is neither executed nor lost.
pub(super) fn put_aside(roots: &[PathBuf], path: &Path, to: &Path) -> Result<(), GuardError> {
    let Some(kind) = kind(path)? else { return Ok(()) };
    real_folder(roots, path)?;
    let moved = || {
        std::fs::create_dir_all(to)?;
        let name = path.file_name().unwrap_or_default();
        match kind {
            Kind::Link => {
                let target = std::fs::read_link(path)?;
                std::fs::write(to.join(name), format!("a link to {}\n", target.display()))?;
            }
            Kind::File if std::fs::rename(path, to.join(name)).is_ok() => return Ok(true),
            // It lies on another disk, and copying could fill ours.
            Kind::File if std::fs::symlink_metadata(path)?.len() > COPIED => return Ok(false),
            Kind::File => drop(std::fs::copy(path, to.join(name))?),
            // Nothing to keep of a pipe or a socket; a folder is moved whole where that can be done.
            Kind::Other => {}
            Kind::Folder => return std::fs::rename(path, to.join(name)).map(|()| true),
        }
        std::fs::remove_file(path).map(|()| true)
    };
    match moved() {
        Ok(true) => Ok(()),
        Ok(false) => Err(GuardError::TooLarge(path.to_path_buf())),
        Err(source) => Err(failed(path, source)),
    }
}

/// Writes what was at `path`.
pub(super) fn restore(roots: &[PathBuf], path: &Path, kept: &Kept) -> Result<(), GuardError> {
    let folder = path.parent().unwrap_or(path);
    if !is_within(roots, &reach::real(folder)) && !roots.iter().any(|root| root == path) {
        return Err(GuardError::Elsewhere(path.to_path_buf()));
    }
    std::fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
    let real = real_folder(roots, path)?;
    match kept {
        Kept::File { bytes, mode, owner } => write(&real, path, bytes, *mode, *owner),
        Kept::Large { .. } | Kept::Unread { .. } => Err(GuardError::TooLarge(path.to_path_buf())),
        #[cfg(unix)]
        Kept::Link { target } => std::os::unix::fs::symlink(target, path).map_err(|source| failed(path, source)),
        #[cfg(windows)]
        Kept::Link { .. } => Ok(()),
        Kept::Other | Kept::Unseen { .. } => Ok(()),
    }
}

/// The folder of `path`, links resolved, where that lies where a container can write. A file that is a root itself was
/// named by the user.
fn real_folder(roots: &[PathBuf], path: &Path) -> Result<PathBuf, GuardError> {
    let folder = path.parent().unwrap_or(path);
    let real = folder.canonicalize().map_err(|source| failed(folder, source))?;
    if is_within(roots, &real) || roots.iter().any(|root| root == path) {
        return Ok(real);
    }
    Err(GuardError::Elsewhere(path.to_path_buf()))
}

fn write(folder: &Path, path: &Path, bytes: &[u8], mode: u32, owner: (u32, u32)) -> Result<(), GuardError> {
    use std::io::Write as _;
    let written = || {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // Only root may give files away; anybody else's are the owner's already.
            let _ = std::os::unix::fs::fchown(file.as_file(), Some(owner.0), Some(owner.1));
            file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
        }
        #[cfg(windows)]
        let _ = (mode, owner);
        file.persist(folder.join(path.file_name().unwrap_or_default())).map_err(|error| error.error)?;
        Ok(())
    };
    written().map_err(|source| failed(path, source))
}

pub(super) fn failed(path: &Path, source: std::io::Error) -> GuardError {
    GuardError::File { path: path.to_path_buf(), source }
}
