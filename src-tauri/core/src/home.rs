//! Where Gemra keeps its own files: one folder under `GEMRA_HOME`, or the platform's folders. Knows the places, not
//! what is in the files; the lock on the folder makes sure that one instance runs in it.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::environment::Environment;

/// Gemra's own folders, made and locked.
#[derive(Debug)]
pub struct Home {
    config: PathBuf,
    data: PathBuf,
    /// Holds the lock for as long as this instance lives.
    _lock: File,
}

/// Why there is no home.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Neither `GEMRA_HOME` nor a home folder is set.
    #[error("neither GEMRA_HOME nor a home folder is known")]
    Unknown,
    /// A folder could not be made or used.
    #[error("{path} cannot be used: {source}", path = path.display())]
    Unusable {
        /// The folder or file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// Another instance runs in it.
    #[error("Gemra is already running with its files in {path}", path = .0.display())]
    Taken(PathBuf),
}

impl Home {
    /// Makes the folders and takes the lock.
    ///
    /// # Errors
    /// [`HomeError`], [`HomeError::Taken`] where another instance runs.
    pub fn open(environment: &Environment) -> Result<Self, HomeError> {
        let (config, data) = folders(environment).ok_or(HomeError::Unknown)?;
        for folder in [&config, &data] {
            make_private(folder).map_err(|source| HomeError::Unusable { path: folder.clone(), source })?;
        }
        let path = data.join("instance.lock");
        let unusable = |source| HomeError::Unusable { path: path.clone(), source };
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { config, data, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(HomeError::Taken(data)),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// The user's settings.
    pub fn settings(&self) -> PathBuf {
        self.config.join("settings.json")
    }

    /// Workspaces that were opened before.
    pub fn recent(&self) -> PathBuf {
        self.data.join("recent.json")
    }

    /// A record for each tab that is open.
    pub fn runs(&self) -> PathBuf {
        self.data.join("runs")
    }

    /// The webview's own data.
    pub fn webview(&self) -> PathBuf {
        self.data.join("webview")
    }

    /// The folder that everything else is in; names this home to the engine's labels.
    pub fn data(&self) -> &Path {
        &self.data
    }
}

fn folders(environment: &Environment) -> Option<(PathBuf, PathBuf)> {
    if let Some(home) = environment.path("GEMRA_HOME") {
        let home = std::path::absolute(home).ok()?;
        return Some((home.clone(), home));
    }
    let home = environment.home()?;
    let (config, data) = if cfg!(target_os = "macos") {
        let support = home.join("Library/Application Support");
        (support.clone(), support)
    } else if cfg!(windows) {
        let roaming = environment.path("APPDATA").unwrap_or_else(|| home.join("AppData/Roaming"));
        let local = environment.path("LOCALAPPDATA").unwrap_or_else(|| home.join("AppData/Local"));
        (roaming, local)
    } else {
        let config = environment.path("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
        let data = environment.path("XDG_DATA_HOME").unwrap_or_else(|| home.join(".local/share"));
        (config, data)
    };
    Some((config.join("gemra"), data.join("gemra")))
}

#[cfg(unix)]
fn make_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(windows)]
fn make_private(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_instance_a_home() {
        let folder = tempfile::tempdir().unwrap();
        let named = folder.path().join("home");
        let environment = Environment::of([("GEMRA_HOME", named.to_str().unwrap())]);
        let first = Home::open(&environment).unwrap();
        assert!(first.settings().starts_with(&named), "everything is under GEMRA_HOME");
        assert!(matches!(Home::open(&environment), Err(HomeError::Taken(_))), "the second instance is told");
        drop(first);
        Home::open(&environment).expect("a home is free again once its instance is gone");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn without_gemra_home_the_platform_decides() {
        let environment = Environment::of([("HOME", "/home/user"), ("XDG_CONFIG_HOME", "/home/user/etc")]);
        let (config, data) = folders(&environment).unwrap();
        assert_eq!(config, Path::new("/home/user/etc/gemra"), "settings follow XDG_CONFIG_HOME");
        assert_eq!(data, Path::new("/home/user/.local/share/gemra"), "data has its default place");
    }
}
