//! Which folders concern each other: those of which one lies within the other, and those that git on the host would read
//! from a workspace, wherever they are. It compares no files.

use std::path::{Component, Path, PathBuf};

use super::{config, names};

/// How large a file of git's may be that is read here, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// True where one of some folders lies within one of the others, or the other way round.
pub(crate) fn overlap(some: &[PathBuf], others: &[PathBuf]) -> bool {
    some.iter().any(|one| others.iter().any(|other| one.starts_with(other) || other.starts_with(one)))
}

/// True where a path is one of these folders or lies within one.
pub(super) fn is_within(folders: &[PathBuf], path: &Path) -> bool {
    folders.iter().any(|folder| path.starts_with(folder))
}

/// What an agent on the host would reach from a workspace without being told to: the workspace, and of every repository
/// that it lies in, git's own folders, and what their settings name. Blocks.
pub(crate) fn of(workspace: &Path) -> Vec<PathBuf> {
    let mut all = vec![workspace.to_path_buf()];
    for folder in workspace.ancestors() {
        let own = git_folder(folder).or_else(|| is_repository(folder).then(|| folder.to_path_buf()));
        for git in own.iter().flat_map(|own| std::iter::once(own.clone()).chain(common_folder(own))) {
            for name in ["config", "config.worktree"] {
                let path = git.join(name);
                for setting in small(&path).and_then(|text| config::settings(&text)).unwrap_or_default() {
                    if !setting.is_harmless(|_| true) {
                        all.extend(names::in_text(setting.text(), &[folder.to_path_buf(), git.clone()]));
                    }
                }
            }
            all.push(git);
        }
    }
    all
}

/// Where the repository of a worktree's top folder is, links resolved where it is there.
pub(super) fn git_folder(top: &Path) -> Option<PathBuf> {
    let own = top.join(".git");
    if own.is_dir() {
        return Some(real(&own));
    }
    Some(real(&resolved(top, small(&own)?.trim_end().strip_prefix("gitdir:")?.trim())))
}

/// The folder that a repository shares with others, where it has one.
pub(super) fn common_folder(git: &Path) -> Option<PathBuf> {
    Some(real(&resolved(git, small(&git.join("commondir"))?.trim())))
}

/// True for what git takes for a repository, whatever its name is.
pub(super) fn is_repository(folder: &Path) -> bool {
    folder.join("HEAD").symlink_metadata().is_ok()
        && (folder.join("objects").is_dir() || folder.join("commondir").is_file())
}

/// A path as a file in `base` writes it, `~/` included, without the dots in it.
pub(super) fn resolved(base: &Path, written: &str) -> PathBuf {
    let home = written.strip_prefix("~/").and_then(|rest| Some(std::env::home_dir()?.join(rest)));
    let path = home.unwrap_or_else(|| base.join(written));
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

/// With links resolved, as far as the path is there.
pub(super) fn real(path: &Path) -> PathBuf {
    let mut missing = Vec::new();
    for above in path.ancestors() {
        if let Ok(mut found) = above.canonicalize() {
            found.extend(missing.iter().rev());
            return found;
        }
        missing.extend(above.file_name());
    }
    path.to_path_buf()
}

/// A small file's text.
pub(super) fn small(path: &Path) -> Option<String> {
    let metadata = path.metadata().ok()?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return None;
    }
    std::fs::read_to_string(path).ok()
}
