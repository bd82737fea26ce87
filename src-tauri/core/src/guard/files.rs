//! Which files are guarded, reading them without believing their links, and bringing them back. It compares nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::{GuardError, config};
use crate::git;

/// Files that name programs which an agent, an editor or a shell runs by itself.
const FILES: [&str; 10] = [
    ".claude/settings.json",
    ".claude/settings.local.json",
    ".mcp.json",
    ".vscode/tasks.json",
    ".vscode/settings.json",
    ".vscode/launch.json",
    ".envrc",
    ".pre-commit-config.yaml",
    ".lefthook.yml",
    "lefthook.yml",
];
/// Folders of which everything counts.
const FOLDERS: [&str; 3] = [".husky", ".claude/hooks", ".githooks"];
/// The largest file that is kept whole.
const LARGEST: u64 = 1024 * 1024;
/// How deep repositories of modules are looked for.
const DEEPEST: usize = 4;
/// How deep repositories within the workspace are looked for, and in how many folders: those near its top first, so that
/// a container cannot hide one there behind a great number of others.
const NESTED: (usize, usize) = (6, 20_000);

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
    /// A file that is too large to keep.
    Large { digest: String, length: u64 },
    /// A link.
    Link { target: PathBuf },
    /// Something else, which nobody reads.
    Other,
}

fn encode<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&STANDARD.encode(bytes))
}

fn decode<'a, D: Deserializer<'a>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(from)?;
    STANDARD.decode(text).map_err(serde::de::Error::custom)
}

/// Whether a path is a configuration of git's.
pub(super) fn is_git_config(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "config" || name == "config.worktree")
        && path.components().any(|part| part.as_os_str().to_string_lossy().ends_with(".git"))
}

/// Reads every guarded file of a workspace.
///
/// # Errors
/// [`GuardError::File`] where the system would not let us look.
pub(super) fn collect(workspace: &Path) -> Result<BTreeMap<PathBuf, Kept>, GuardError> {
    let mut look = Look { workspace, found: BTreeMap::new(), walked: BTreeSet::new() };
    for name in FILES {
        look.at(&workspace.join(name))?;
    }
    for name in FOLDERS {
        look.tree(&workspace.join(name))?;
    }
    let own = workspace.join(".git");
    match kind(&own)? {
        Some(Kind::Folder) => look.repository(&own, 0)?,
        Some(_) => look.at(&own)?,
        None => {}
    }
    if let Some(common) = git::common_folder(workspace) {
        look.repository(&common, 0)?;
    }
    look.nested()?;
    Ok(look.found)
}

struct Look<'a> {
    workspace: &'a Path,
    found: BTreeMap<PathBuf, Kept>,
    /// Folders that were walked, so that links cannot make a circle.
    walked: BTreeSet<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Folder,
    Link,
    Other,
}

impl Look<'_> {
    /// A repository's own folder.
    fn repository(&mut self, folder: &Path, depth: usize) -> Result<(), GuardError> {
        for name in ["config", "config.worktree", "commondir", "info/attributes"] {
            self.at(&folder.join(name))?;
        }
        self.tree(&folder.join("hooks"))?;
        if let Some(Kept::File { bytes, .. }) = self.found.get(&folder.join("config")) {
            // Hooks may be kept anywhere; outside of the workspace no container writes.
            let named = config::hooks_path(&String::from_utf8_lossy(bytes)).map(|path| self.workspace.join(path));
            if let Some(hooks) = named.filter(|path| path.starts_with(self.workspace)) {
                self.tree(&hooks)?;
            }
        }
        if depth < DEEPEST {
            for name in ["modules", "worktrees"] {
                self.repositories(&folder.join(name), depth + 1)?;
            }
        }
        Ok(())
    }

    /// Repositories within the workspace, such as modules, and what was cloned into it.
    fn nested(&mut self) -> Result<(), GuardError> {
        let (deepest, most) = NESTED;
        let mut level = vec![self.workspace.to_path_buf()];
        let mut seen = 0;
        for _ in 0..deepest {
            let mut below = Vec::new();
            for folder in std::mem::take(&mut level) {
                // What is gone meanwhile, or may not be entered, nobody's git enters either.
                let Ok(entries) = std::fs::read_dir(&folder) else { continue };
                let inner = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
                below.extend(
                    inner.map(|entry| entry.path()).filter(|path| path.file_name().is_some_and(|name| name != ".git")),
                );
            }
            below.sort();
            for folder in below {
                seen += 1;
                if seen > most {
                    return Ok(());
                }
                let own = folder.join(".git");
                match kind(&own) {
                    Ok(Some(Kind::Folder)) => self.repository(&own, 0)?,
                    Ok(Some(_)) => self.at(&own)?,
                    Ok(None) | Err(_) => {}
                }
                level.push(folder);
            }
        }
        Ok(())
    }

    fn repositories(&mut self, folder: &Path, depth: usize) -> Result<(), GuardError> {
        if depth > DEEPEST || kind(folder)? != Some(Kind::Folder) {
            return Ok(());
        }
        for inner in entries(folder)? {
            if kind(&inner)? == Some(Kind::Folder) {
                self.repository(&inner, depth)?;
                self.repositories(&inner, depth + 1)?;
            }
        }
        Ok(())
    }

    fn tree(&mut self, path: &Path) -> Result<(), GuardError> {
        match kind(path)? {
            Some(Kind::Folder) => {}
            Some(Kind::File) if is_sample(path) => return Ok(()),
            _ => return self.at(path),
        }
        self.links_above(path)?;
        let real = path.canonicalize().map_err(|source| failed(path, source))?;
        if self.walked.insert(real) {
            for inner in entries(path)? {
                self.tree(&inner)?;
            }
        }
        Ok(())
    }

    /// One path. What is not there is no entry.
    fn at(&mut self, path: &Path) -> Result<(), GuardError> {
        self.links_above(path)?;
        let Some(kind) = kind(path)? else { return Ok(()) };
        let kept = match kind {
            Kind::File if is_usual_commondir(path)? => return Ok(()),
            Kind::File => read(path)?,
            Kind::Link => return self.link(path),
            Kind::Folder | Kind::Other => Kept::Other,
        };
        self.found.insert(path.to_path_buf(), kept);
        Ok(())
    }

    /// A link counts, and so does what it leads to where a container can write there.
    fn link(&mut self, path: &Path) -> Result<(), GuardError> {
        let target = std::fs::read_link(path).map_err(|source| failed(path, source))?;
        let known = self.found.insert(path.to_path_buf(), Kept::Link { target });
        match path.canonicalize() {
            Ok(real) if known.is_none() && real.starts_with(self.workspace) && real != *self.workspace => {
                self.tree(&real)
            }
            _ => Ok(()),
        }
    }

    /// A folder on the way that is a link makes everything behind it another file.
    fn links_above(&mut self, path: &Path) -> Result<(), GuardError> {
        let above: Vec<PathBuf> = path
            .ancestors()
            .skip(1)
            .take_while(|folder| folder.starts_with(self.workspace) && *folder != self.workspace)
            .map(Path::to_path_buf)
            .collect();
        for folder in above {
            if !self.found.contains_key(&folder) && kind(&folder)? == Some(Kind::Link) {
                let target = std::fs::read_link(&folder).map_err(|source| failed(&folder, source))?;
                self.found.insert(folder, Kept::Link { target });
            }
        }
        Ok(())
    }
}

/// Git brings a sample of every hook along, and runs none of them.
fn is_sample(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "sample")
        && path.parent().and_then(Path::file_name).is_some_and(|folder| folder == "hooks")
}

/// A worktree's pointer to its repository, where it points to the one that it lies in.
fn is_usual_commondir(path: &Path) -> Result<bool, GuardError> {
    if path.file_name().is_none_or(|name| name != "commondir") {
        return Ok(false);
    }
    Ok(std::fs::read(path).map_err(|source| failed(path, source))?.trim_ascii() == b"../..")
}

fn kind(path: &Path) -> Result<Option<Kind>, GuardError> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => Ok(Some(Kind::Link)),
        Ok(found) if found.is_dir() => Ok(Some(Kind::Folder)),
        Ok(found) if found.is_file() => Ok(Some(Kind::File)),
        Ok(_) => Ok(Some(Kind::Other)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        // A circle of links leads nowhere, for whoever would execute it too.
        #[cfg(unix)]
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => Ok(None),
        Err(source) => Err(failed(path, source)),
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, GuardError> {
    let listed = std::fs::read_dir(folder).and_then(|list| list.map(|one| Ok(one?.path())).collect());
    listed.map_err(|source| failed(folder, source))
}

fn read(path: &Path) -> Result<Kept, GuardError> {
    let read = || {
        let metadata = std::fs::metadata(path)?;
        let bytes = std::fs::read(path)?;
        if metadata.len() > LARGEST {
            let digest = STANDARD.encode(Sha256::digest(&bytes));
            return Ok(Kept::Large { digest, length: metadata.len() });
        }
        #[cfg(unix)]
        let (mode, owner) = {
            use std::os::unix::fs::MetadataExt as _;
            (metadata.mode() & 0o7777, (metadata.uid(), metadata.gid()))
        };
        #[cfg(windows)]
        let (mode, owner) = (0, (0, 0));
        Ok(Kept::File { bytes, mode, owner })
    };
    read().map_err(|source| failed(path, source))
}

/// Moves what is at `path` away, so that it is neither executed nor lost.
pub(super) fn put_aside(path: &Path, to: &Path) -> Result<(), GuardError> {
    let Some(kind) = kind(path)? else { return Ok(()) };
    let moved = || {
        std::fs::create_dir_all(to)?;
        let name = path.file_name().unwrap_or_default();
        match kind {
            Kind::Link => {
                let target = std::fs::read_link(path)?;
                std::fs::write(to.join(name), format!("a link to {}\n", target.display()))?;
            }
            Kind::File => drop(std::fs::copy(path, to.join(name))?),
            // Nothing to keep of a pipe or a socket; a folder is moved whole where that can be done.
            Kind::Other => {}
            Kind::Folder => return std::fs::rename(path, to.join(name)),
        }
        std::fs::remove_file(path)
    };
    moved().map_err(|source| failed(path, source))
}

/// Writes what was at `path`.
pub(super) fn restore(workspace: &Path, path: &Path, kept: &Kept) -> Result<(), GuardError> {
    let folder = path.parent().unwrap_or(workspace);
    std::fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
    let real = folder.canonicalize().map_err(|source| failed(folder, source))?;
    if path.starts_with(workspace) && !real.starts_with(workspace) {
        return Err(GuardError::Elsewhere(path.to_path_buf()));
    }
    match kept {
        Kept::File { bytes, mode, owner } => write(&real, path, bytes, *mode, *owner),
        Kept::Large { .. } => Err(GuardError::TooLarge(path.to_path_buf())),
        #[cfg(unix)]
        Kept::Link { target } => std::os::unix::fs::symlink(target, path).map_err(|source| failed(path, source)),
        #[cfg(windows)]
        Kept::Link { .. } => Ok(()),
        Kept::Other => Ok(()),
    }
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
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    written().map_err(|source| failed(path, source))
}

fn failed(path: &Path, source: std::io::Error) -> GuardError {
    GuardError::File { path: path.to_path_buf(), source }
}
