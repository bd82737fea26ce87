//! The folder that a tab works in: checked before it is handed to an agent, completed while it is typed.

use std::path::{Path, PathBuf};

use crate::failure::{Code, Failure};

pub mod folders;
pub mod mounts;

/// A folder that an agent may be given. Absolute, links resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Workspace {
    path: PathBuf,
}

/// Why a folder is not a workspace.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// Nothing was named.
    #[error("No folder was named")]
    Empty,
    /// It is not there.
    #[error("{path} is not there", path = .0.display())]
    Missing(PathBuf),
    /// It is something else.
    #[error("{path} is not a folder", path = .0.display())]
    NotAFolder(PathBuf),
    /// It may not be read.
    #[error("{path} cannot be read: {source}", path = path.display())]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// It is the whole machine, or the whole home folder.
    #[error("{path} holds {what}", path = path.display())]
    TooMuch {
        /// The folder.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
}

impl From<WorkspaceError> for Failure {
    fn from(error: WorkspaceError) -> Self {
        let action = match &error {
            WorkspaceError::Empty => "Type the path of your project's folder, or press Browse.",
            WorkspaceError::Missing(_) => "Check the spelling, or make the folder first.",
            WorkspaceError::NotAFolder(_) => "Choose the folder that it is in.",
            WorkspaceError::Unreadable { .. } => "Give yourself the right to read it, or choose another folder.",
            WorkspaceError::TooMuch { .. } => {
                "Choose your project's own folder: the agent may change everything in it."
            }
        };
        Self::new(Code::WorkspaceInvalid, "This folder cannot be opened", format!("{error}."), action)
    }
}

impl Workspace {
    /// Checks that `path` can be handed to an agent. `~` means `home`.
    ///
    /// # Errors
    /// [`WorkspaceError`] says what is wrong with it.
    pub fn open(path: &str, home: Option<&Path>) -> Result<Self, WorkspaceError> {
        let typed = path.trim();
        if typed.is_empty() {
            return Err(WorkspaceError::Empty);
        }
        let path = std::path::absolute(expand(typed, home)).map_err(|_| WorkspaceError::Empty)?;
        let path = match path.canonicalize() {
            Ok(path) => path,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(WorkspaceError::Missing(path)),
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
                return Err(WorkspaceError::NotAFolder(path));
            }
            Err(source) => return Err(WorkspaceError::Unreadable { path, source }),
        };
        if !path.is_dir() {
            return Err(WorkspaceError::NotAFolder(path));
        }
        if path.parent().is_none() {
            return Err(WorkspaceError::TooMuch { path, what: "the whole machine" });
        }
        if home.and_then(|home| home.canonicalize().ok()).is_some_and(|home| home == path) {
            return Err(WorkspaceError::TooMuch { path, what: "your whole home folder, with its keys and passwords" });
        }
        if let Err(source) = std::fs::read_dir(&path) {
            return Err(WorkspaceError::Unreadable { path, source });
        }
        Ok(Self { path })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its last part, to call a tab by.
    pub fn name(&self) -> String {
        self.path
            .file_name()
            .map_or_else(|| self.path.display().to_string(), |name| name.to_string_lossy().into_owned())
    }
}

/// Folders whose path begins with what was typed, at most 50, hidden ones only where a dot was typed.
pub fn complete(typed: &str, home: Option<&Path>) -> Vec<String> {
    let expanded = expand(typed, home);
    let text = expanded.to_string_lossy().into_owned();
    let (folder, prefix) = match text.rfind(std::path::is_separator) {
        Some(at) => (&text[..=at], &text[at + 1..]),
        None => return Vec::new(),
    };
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let wanted = prefix.to_lowercase();
    let mut folders: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.to_lowercase().starts_with(&wanted) && (!name.starts_with('.') || prefix.starts_with('.')))
        .map(|name| format!("{folder}{name}"))
        .collect();
    folders.sort_by_key(|folder| folder.to_lowercase());
    folders.truncate(50);
    folders
}

/// What was typed, where `~` means `home`.
pub(crate) fn expand(typed: &str, home: Option<&Path>) -> PathBuf {
    match (typed.strip_prefix('~'), home) {
        (Some(""), Some(home)) => home.to_path_buf(),
        (Some(rest), Some(home)) if rest.starts_with(std::path::is_separator) => {
            home.join(rest.trim_start_matches(std::path::is_separator))
        }
        _ => PathBuf::from(typed),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[test]
    fn bad_folders_are_refused_with_a_reason() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let home = root.join("home");
        std::fs::create_dir_all(home.join("project")).unwrap();
        std::fs::write(root.join("file"), "").unwrap();
        std::os::unix::fs::symlink(&home, root.join("link")).unwrap();
        let cases = [
            (String::new(), "No folder"),
            ("   ".to_owned(), "No folder"),
            (root.join("nowhere").display().to_string(), "is not there"),
            (root.join("file").display().to_string(), "is not a folder"),
            (root.join("file/below").display().to_string(), "is not a folder"),
            ("/".to_owned(), "the whole machine"),
            (home.display().to_string(), "home folder"),
            (format!("{}/", home.display()), "home folder"),
            (root.join("link").display().to_string(), "home folder"),
            ("~".to_owned(), "home folder"),
        ];
        for (path, expected) in cases {
            let error = Workspace::open(&path, Some(&home)).unwrap_err().to_string();
            assert!(error.contains(expected), "{path:?} is refused because it {expected}: {error}");
        }
        let opened = Workspace::open(" ~/project ", Some(&home)).unwrap();
        assert_eq!((opened.path(), opened.name().as_str()), (home.join("project").as_path(), "project"), "~ is home");
    }

    #[test]
    fn paths_are_completed() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| format!("{}/{name}", root.path().display());
        for folder in ["alpha", "Alps", "beta", ".hidden"] {
            std::fs::create_dir(at(folder)).unwrap();
        }
        std::fs::write(at("also-a-file"), "").unwrap();
        let cases = [
            ("al", vec!["alpha", "Alps"]),
            ("", vec!["alpha", "Alps", "beta"]),
            (".", vec![".hidden"]),
            ("zz", vec![]),
        ];
        for (typed, expected) in cases {
            let expected: Vec<String> = expected.into_iter().map(at).collect();
            assert_eq!(complete(&at(typed), None), expected, "{typed:?} is completed by folders only");
        }
        assert_eq!(complete("no-separator", None), Vec::<String>::new(), "a relative word completes to nothing");
    }
}
