//! What counts of a repository: its settings and those that they include, its hooks wherever they are, the repositories
//! of its modules and worktrees, and the programs that its settings name. Git itself is never asked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Kind, Look, kept, kind, names, reach};
use crate::guard::{GuardError, config};

/// How deep settings may include others; git goes no deeper either.
const DEEPEST: usize = 10;
/// How deep folders of modules are looked through by their place alone. A module that is in use is found by its `.git`.
const MODULES: usize = 8;

/// Where a repository's settings are read.
struct Place<'a> {
    git: &'a Path,
    /// The folders of its files, from which paths are seen.
    tops: Vec<PathBuf>,
    /// What was read, so that files which include each other end.
    read: BTreeSet<PathBuf>,
}

impl Look<'_> {
    /// What is at `.git` in a folder: a repository, or the name of another place for one.
    pub(super) fn git(&mut self, own: &Path, top: &Path) -> Result<(), GuardError> {
        match kind(own)? {
            Some(Kind::Folder) => self.repository(own, Some(top)),
            Some(Kind::Link) => {
                self.found.files.insert(own.to_path_buf(), kept::link(own)?);
                let Ok(real) = own.canonicalize() else { return Ok(()) };
                if !self.may_be_walked(&real) {
                    return Ok(());
                }
                if real.is_dir() { self.repository(&real, Some(top)) } else { self.pointer(&real, top) }
            }
            Some(_) => self.pointer(own, top),
            None => Ok(()),
        }
    }

    /// A file that says where the repository is.
    fn pointer(&mut self, file: &Path, top: &Path) -> Result<(), GuardError> {
        self.at(file)?;
        let text = self.text(file);
        let Some(named) = text.as_deref().and_then(|text| text.trim_end().strip_prefix("gitdir:")) else {
            return Ok(());
        };
        let real = reach::real(&reach::resolved(file.parent().unwrap_or(top), named.trim()));
        if reach::is_within(self.roots, &real) { self.repository(&real, Some(top)) } else { Ok(()) }
    }

    /// A repository's own folder, and where its files are.
    pub(super) fn repository(&mut self, folder: &Path, top: Option<&Path>) -> Result<(), GuardError> {
        let mut tops: Vec<PathBuf> = top.map(Path::to_path_buf).into_iter().collect();
        // Another place of the same one may know another folder for its files.
        let first = self.repositories.insert(reach::real(folder));
        if !first && tops.is_empty() {
            return Ok(());
        }
        for name in ["config", "config.worktree", "commondir", "info/attributes"] {
            self.at(&folder.join(name))?;
        }
        self.tree(&folder.join("hooks"))?;
        tops.extend(worktrees(folder));
        if tops.is_empty() {
            tops.push(folder.to_path_buf());
        }
        let mut place = Place { git: folder, tops, read: BTreeSet::new() };
        for name in ["config", "config.worktree"] {
            self.config(&folder.join(name), &mut place, 0)?;
        }
        if !first {
            return Ok(());
        }
        if let Some(common) = reach::common_folder(folder).filter(|common| reach::is_within(self.roots, common)) {
            self.repository(&common, top)?;
        }
        self.modules(&folder.join("modules"), 0)?;
        for inner in self.below(&folder.join("worktrees"))? {
            self.repository(&inner, None)?;
        }
        Ok(())
    }

    /// Repositories of modules, whose names may have slashes in them.
    fn modules(&mut self, folder: &Path, depth: usize) -> Result<(), GuardError> {
        if depth > MODULES {
            return Ok(());
        }
        for inner in self.below(folder)? {
            let holds = |name: &str| inner.join(name).symlink_metadata().is_ok();
            if ["HEAD", "config", "hooks", "modules"].into_iter().any(holds) {
                self.repository(&inner, None)?;
            }
            // A module lies in another one only where that says so.
            if !reach::is_repository(&inner) {
                self.modules(&inner, depth + 1)?;
            }
        }
        Ok(())
    }

    fn below(&mut self, folder: &Path) -> Result<Vec<PathBuf>, GuardError> {
        if kind(folder)? != Some(Kind::Folder) {
            return self.at(folder).map(|()| Vec::new());
        }
        let mut inner = self.list(folder).map(|listed| listed.inner).unwrap_or_default();
        inner.sort_unstable();
        Ok(inner)
    }

    /// A file of settings, of a repository.
    fn config(&mut self, path: &Path, place: &mut Place, depth: usize) -> Result<(), GuardError> {
        if !place.read.insert(path.to_path_buf()) {
            return Ok(());
        }
        self.at(path)?;
        self.found.configs.insert(path.to_path_buf());
        let Some(text) = self.text(path) else { return Ok(()) };
        let Some(settings) = config::settings(&text) else {
            self.names(&text, &place.tops);
            return Ok(());
        };
        for setting in settings.iter().filter(|setting| setting.key == "core.worktree") {
            place.tops.push(reach::resolved(place.git, setting.text()));
        }
        let from = path.parent().unwrap_or(path).to_path_buf();
        for setting in &settings {
            if setting.includes() {
                let more = reach::resolved(&from, setting.text());
                if depth < DEEPEST && !setting.text().is_empty() && reach::is_within(self.roots, &more) {
                    self.config(&more, place, depth + 1)?;
                }
            } else if setting.key == "core.hookspath" && !setting.text().is_empty() {
                for top in place.tops.clone() {
                    self.hooks(&reach::resolved(&top, setting.text()), &top)?;
                }
            } else if !setting.is_harmless(|_| true) {
                self.names(setting.text(), &place.tops);
            }
        }
        Ok(())
    }

    /// A folder of hooks that settings name.
    fn hooks(&mut self, folder: &Path, top: &Path) -> Result<(), GuardError> {
        if !reach::is_within(self.roots, folder) {
            return Ok(());
        }
        if self.may_be_walked(folder) && !top.starts_with(folder) {
            return self.tree(folder);
        }
        // A whole project is no folder of hooks: git looks only for files right in it.
        for inner in self.inner(folder) {
            if !matches!(kind(&inner)?, None | Some(Kind::Folder)) && names::could_run(&inner, false) {
                self.at(&inner)?;
            }
        }
        Ok(())
    }
}

/// The folders of a repository's worktrees, as it knows them.
fn worktrees(folder: &Path) -> Vec<PathBuf> {
    // A worktree's own folder in the repository knows it too.
    let pointers = std::fs::read_dir(folder.join("worktrees")).into_iter().flatten().flatten().take(1000);
    let pointers = pointers.map(|entry| entry.path()).chain([folder.to_path_buf()]);
    let named = pointers.filter_map(|own| {
        let text = reach::small(&own.join("gitdir"))?;
        reach::resolved(&own, text.trim()).parent().map(Path::to_path_buf)
    });
    named.collect()
}
