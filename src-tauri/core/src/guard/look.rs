//! Which files are guarded, and what they are now: those that an agent, an editor, a shell or git runs by itself, the
//! repositories that git could find, and the programs that all of these name. It compares nothing.

mod repository;

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::kept::{self, Budget, Kept, Kind, failed, kind};
use super::reach::{self, is_within};
use super::{GuardError, names};

/// Files that name programs which an agent, an editor or a shell runs by itself, in whatever folder they are.
const FILES: [&str; 11] = [
    ".mcp.json",
    ".envrc",
    ".pre-commit-config.yaml",
    ".lefthook.yml",
    ".lefthook.yaml",
    "lefthook.yml",
    "lefthook.yaml",
    ".lefthook-local.yml",
    ".lefthook-local.yaml",
    "lefthook-local.yml",
    "lefthook-local.yaml",
];
/// Folders of which everything counts.
const FOLDERS: [&str; 3] = [".husky", ".githooks", ".lefthook"];
/// Folders of which a few files and folders count.
const PARTS: [(&str, &[&str], &[&str]); 2] = [
    (".claude", &["settings.json", "settings.local.json"], &["hooks", "skills", "agents", "commands"]),
    (".vscode", &["tasks.json", "settings.json", "launch.json", "mcp.json"], &[]),
];
/// Folders that tools fill with other people's projects. Nobody opens those, so that in them only repositories count,
/// which git can be led to from outside.
const HEAVY: [&str; 4] = ["node_modules", "target", ".venv", "venv"];
/// In how many folders is looked. Those near the top come first, and what is beyond is told.
const MOST_FOLDERS: usize = 250_000;
/// How many files and folders are listed.
const MOST_ENTRIES: usize = 4_000_000;
/// How many files are guarded.
const MOST_FILES: usize = 20_000;

/// What there is.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Every guarded file.
    pub(super) files: BTreeMap<PathBuf, Kept>,
    /// Those that git reads as its settings.
    pub(super) configs: BTreeSet<PathBuf>,
    /// Whatever guarded files could name, whether it is there or not.
    pub(super) named: BTreeSet<PathBuf>,
    /// Those that are guarded only because another one names them.
    pub(super) only_named: BTreeSet<PathBuf>,
}

/// Reads every guarded file in these folders, or these files themselves, and those that are known to have been one.
///
/// # Errors
/// [`GuardError::File`] where the system would not let us look.
pub(super) fn collect<'k>(
    roots: &[PathBuf],
    known: impl IntoIterator<Item = &'k PathBuf>,
) -> Result<Found, GuardError> {
    let mut look = Look::new(roots);
    for root in roots {
        // What lies within another one is looked at with that.
        if roots.iter().any(|other| other != root && root.starts_with(other)) && root.is_dir() {
            continue;
        }
        match kind(root)? {
            // Git's own folder: no repository is in there but those that git itself finds.
            Some(Kind::Folder) if root.file_name().is_some_and(is_git) => look.repository(root, None)?,
            Some(Kind::Folder) => look.all(root)?,
            _ => look.at(root)?,
        }
    }
    // Nothing may look as if it were gone only because nobody names it any more.
    for path in known {
        look.at(path)?;
    }
    look.programs()?;
    if let Some(folder) = look.passed_over.take() {
        let root = roots.iter().find(|root| folder.starts_with(root)).unwrap_or(&folder).clone();
        let why = format!(
            "There is more here than Gemra looks through. It has not looked at {}, nor at what lies deeper. Look \
             yourself, and then keep this.",
            folder.display()
        );
        look.found.files.insert(root, Kept::Unseen { why });
    }
    Ok(look.found)
}

struct Look<'a> {
    roots: &'a [PathBuf],
    found: Found,
    /// Folders of which everything counts, links resolved, so that links cannot make a circle.
    walked: BTreeSet<PathBuf>,
    /// Repositories, links resolved.
    repositories: BTreeSet<PathBuf>,
    budget: Budget,
    /// The first folder that was not looked at, or not whole, because it would have been too many.
    passed_over: Option<PathBuf>,
    /// How much may still be looked at.
    folders: usize,
    entries: usize,
    files: usize,
}

/// What a folder holds of interest.
#[derive(Default)]
struct Listed {
    inner: Vec<PathBuf>,
    git: Option<PathBuf>,
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
    parts: Vec<(PathBuf, usize)>,
    /// How much of it looks like a repository: `HEAD`, and what has to be beside it.
    head: bool,
    objects: bool,
}

impl<'a> Look<'a> {
    fn new(roots: &'a [PathBuf]) -> Self {
        Self {
            roots,
            found: Found::default(),
            walked: BTreeSet::new(),
            repositories: BTreeSet::new(),
            budget: Budget::default(),
            passed_over: None,
            folders: most_folders(),
            entries: MOST_ENTRIES,
            files: MOST_FILES,
        }
    }

    /// A folder and all below it.
    fn all(&mut self, root: &Path) -> Result<(), GuardError> {
        let mut level = vec![(root.to_path_buf(), false)];
        while !level.is_empty() {
            let mut below = Vec::new();
            for (folder, heavy) in std::mem::take(&mut level) {
                let Some(listed) = self.list(&folder) else { continue };
                self.take_up(&folder, &listed, heavy)?;
                let is_heavy =
                    |path: &Path| path.file_name().is_some_and(|name| HEAVY.iter().any(|known| name == *known));
                below.extend(listed.inner.into_iter().map(|inner| {
                    let heavy = heavy || is_heavy(&inner);
                    (inner, heavy)
                }));
            }
            // In an order of their own, so that two looks stop at the same one.
            below.sort_unstable();
            level = below;
        }
        Ok(())
    }

    /// What is in a folder; `None` where nobody can look, or it is gone.
    fn list(&mut self, folder: &Path) -> Option<Listed> {
        if self.folders == 0 || self.entries == 0 {
            self.passed_over.get_or_insert_with(|| folder.to_path_buf());
            return None;
        }
        self.folders -= 1;
        let mut listed = Listed::default();
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                self.unlisted(folder, &error);
                return None;
            }
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.unlisted(folder, &error);
                    break;
                }
            };
            if self.entries == 0 {
                self.passed_over.get_or_insert_with(|| folder.to_path_buf());
                break;
            }
            self.entries -= 1;
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            listed.note(&entry.file_name(), is_folder, || entry.path());
        }
        Some(listed)
    }

    /// A folder that cannot be listed. Whoever knows the names in it may still be able to run what is there.
    fn unlisted(&mut self, folder: &Path, error: &std::io::Error) {
        let closed = |error: std::io::Error| error.kind() == ErrorKind::PermissionDenied;
        let is_closed = || folder.join(".").symlink_metadata().is_err_and(closed);
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => {}
            ErrorKind::PermissionDenied if is_closed() => {}
            _ => {
                let why = format!("It cannot be listed ({error}). Look at it yourself, and then keep this.");
                self.found.files.insert(folder.to_path_buf(), Kept::Unseen { why });
            }
        }
    }

    /// What counts of a folder.
    fn take_up(&mut self, folder: &Path, listed: &Listed, heavy: bool) -> Result<(), GuardError> {
        if let Some(own) = &listed.git {
            self.git(own, folder)?;
        }
        if listed.head && listed.objects {
            self.repository(folder, None)?;
        }
        if heavy {
            return Ok(());
        }
        for path in &listed.files {
            self.settings(path, folder)?;
        }
        for path in &listed.folders {
            self.tree(path)?;
        }
        for (path, which) in &listed.parts {
            // A link in place of the folder counts too, wherever it leads.
            if kind(path)? != Some(Kind::Folder) {
                self.at(path)?;
            }
            let (_, files, folders) = PARTS[*which];
            for name in files {
                self.settings(&path.join(name), folder)?;
            }
            for name in folders {
                self.tree(&path.join(name))?;
            }
        }
        Ok(())
    }

    /// A file of settings of the project in `folder`, and the names in it.
    fn settings(&mut self, path: &Path, folder: &Path) -> Result<(), GuardError> {
        self.at(path)?;
        if let Some(text) = self.text(path) {
            let bases: Vec<PathBuf> =
                std::iter::once(folder.to_path_buf()).chain(self.roots.first().cloned()).collect();
            self.names(&text, &bases);
        }
        Ok(())
    }

    /// Keeps in mind what a text could name.
    fn names(&mut self, text: &str, bases: &[PathBuf]) {
        let roots = self.roots;
        self.found.named.extend(names::in_text(text, bases).into_iter().filter(|path| is_within(roots, path)));
    }

    /// The text of a file that was read, behind a link too.
    fn text(&self, path: &Path) -> Option<String> {
        let kept = match self.found.files.get(path)? {
            Kept::Link { .. } => self.found.files.get(&path.canonicalize().ok()?)?,
            kept => kept,
        };
        match kept {
            Kept::File { bytes, .. } => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        }
    }

    /// The programs that were named, where they are files that a container can change.
    fn programs(&mut self) -> Result<(), GuardError> {
        let before: BTreeSet<PathBuf> = self.found.files.keys().cloned().collect();
        for path in self.found.named.clone() {
            let Ok(metadata) = path.metadata() else { continue };
            #[cfg(unix)]
            let executable = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0;
            #[cfg(windows)]
            let executable = false;
            if metadata.is_file() && names::could_run(&path, executable) {
                self.at(&path)?;
            }
        }
        let new = self.found.files.keys().filter(|path| !before.contains(*path)).cloned();
        self.found.only_named = new.collect();
        Ok(())
    }

    /// A folder of which everything counts, or whatever is there instead.
    fn tree(&mut self, path: &Path) -> Result<(), GuardError> {
        match kind(path)? {
            Some(Kind::Folder) => {}
            Some(Kind::File) if is_sample(path) => return Ok(()),
            _ => return self.at(path),
        }
        self.links_above(path)?;
        let real = path.canonicalize().map_err(|source| failed(path, source))?;
        if self.walked.insert(real) {
            for inner in self.inner(path) {
                self.tree(&inner)?;
            }
        }
        Ok(())
    }

    /// What is in a folder of which everything counts, in an order of its own.
    fn inner(&mut self, folder: &Path) -> Vec<PathBuf> {
        let most = self.entries;
        let listed: std::io::Result<Vec<PathBuf>> =
            std::fs::read_dir(folder).and_then(|list| list.take(most).map(|one| Ok(one?.path())).collect());
        match listed {
            Ok(mut all) => {
                self.entries -= all.len();
                if self.entries == 0 {
                    self.passes_over(folder);
                }
                all.sort_unstable();
                all
            }
            Err(error) => {
                self.unlisted(folder, &error);
                Vec::new()
            }
        }
    }

    /// Says of a folder that not all of it was looked at.
    fn passes_over(&mut self, folder: &Path) {
        let why = "There is more here than Gemra compares. Look yourself, and then keep this.".to_owned();
        self.found.files.insert(folder.to_path_buf(), Kept::Unseen { why });
    }

    /// One path. What is not there is no entry.
    fn at(&mut self, path: &Path) -> Result<(), GuardError> {
        if self.found.files.contains_key(path) {
            return Ok(());
        }
        self.links_above(path)?;
        let Some(kind) = kind(path)? else { return Ok(()) };
        match self.files {
            0 => return Ok(()),
            1 => self.passes_over(path.parent().unwrap_or(path)),
            _ => {}
        }
        self.files -= 1;
        let kept = match kind {
            Kind::File if is_usual_commondir(path) => return Ok(()),
            Kind::File => kept::read(path, &mut self.budget)?,
            Kind::Link => return self.link(path),
            Kind::Folder | Kind::Other => Kept::Other,
        };
        self.found.files.insert(path.to_path_buf(), kept);
        Ok(())
    }

    /// A link counts, and so does what it leads to where a container can write there.
    fn link(&mut self, path: &Path) -> Result<(), GuardError> {
        let known = self.found.files.insert(path.to_path_buf(), kept::link(path)?);
        match path.canonicalize() {
            Ok(real) if known.is_none() && self.may_be_walked(&real) => self.tree(&real),
            _ => Ok(()),
        }
    }

    /// True for what a container can write to, unless it is a whole workspace.
    fn may_be_walked(&self, path: &Path) -> bool {
        is_within(self.roots, path) && !self.roots.iter().any(|root| root.starts_with(path))
    }

    /// A folder on the way that is a link makes everything behind it another file.
    fn links_above(&mut self, path: &Path) -> Result<(), GuardError> {
        let is_inside = |folder: &&Path| is_within(self.roots, folder) && !self.roots.iter().any(|root| root == folder);
        let above: Vec<PathBuf> = path.ancestors().skip(1).take_while(is_inside).map(Path::to_path_buf).collect();
        for folder in above {
            if !self.found.files.contains_key(&folder) && kind(&folder)? == Some(Kind::Link) {
                self.found.files.insert(folder.clone(), kept::link(&folder)?);
            }
        }
        Ok(())
    }
}

impl Listed {
    fn note(&mut self, name: &std::ffi::OsStr, is_folder: bool, path: impl Fn() -> PathBuf) {
        if is_git(name) {
            self.git = Some(path());
            return;
        }
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        // Most names are none of these, and begin otherwise.
        if matches!(name.as_encoded_bytes().first(), Some(b'.' | b'l' | b'L')) {
            if FILES.into_iter().any(is) {
                self.files.push(path());
            } else if FOLDERS.into_iter().any(is) {
                self.folders.push(path());
            } else if let Some(which) = PARTS.iter().position(|(known, _, _)| is(known)) {
                self.parts.push((path(), which));
            }
        }
        self.head |= is("HEAD");
        self.objects |= is("objects") || is("commondir");
        if is_folder {
            self.inner.push(path());
        }
    }
}

#[cfg(not(test))]
fn most_folders() -> usize {
    MOST_FOLDERS
}

#[cfg(test)]
thread_local! {
    /// Tests do not make so many.
    static MOST: std::cell::Cell<usize> = const { std::cell::Cell::new(MOST_FOLDERS) };
}

#[cfg(test)]
fn most_folders() -> usize {
    MOST.get()
}

#[cfg(all(test, unix))]
pub(super) fn limit_to(folders: usize) {
    MOST.set(folders);
}

/// What is told of a folder that the system would not list. Tests run as root too, whom it refuses nothing.
#[cfg(all(test, unix))]
pub(super) fn without_listing(root: &Path, folder: &Path, error: &std::io::Error) -> BTreeMap<PathBuf, Kept> {
    let roots = [root.to_path_buf()];
    let mut look = Look::new(&roots);
    look.unlisted(folder, error);
    look.found.files
}

/// Some file systems do not tell large letters from small ones.
fn is_git(name: &std::ffi::OsStr) -> bool {
    name.eq_ignore_ascii_case(".git")
}

/// Git brings a sample of every hook along, and runs none of them.
fn is_sample(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "sample")
        && path.parent().and_then(Path::file_name).is_some_and(|folder| folder == "hooks")
}

/// A worktree's pointer to its repository, where it points to the one that it lies in.
fn is_usual_commondir(path: &Path) -> bool {
    let is_worktree = || path.ancestors().nth(2).and_then(Path::file_name).is_some_and(|name| name == "worktrees");
    let is_small = || path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() < 64);
    path.file_name().is_some_and(|name| name == "commondir")
        && is_worktree()
        && is_small()
        && std::fs::read(path).is_ok_and(|text| text.trim_ascii() == b"../..")
}
