//! Where Gemra keeps its own files: one folder under `GEMRA_HOME`, or the platform's folders. Knows the places, not
//! what is in the files; the lock on the folder makes sure that one instance runs in it.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::digest::hexadecimal;
use crate::environment::Environment;
use crate::file;

const SETTINGS: &str = "settings.json";
const PROJECTS: &str = "projects.json";
const SYNC: &str = "sync";

/// A file that is locked.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // A program that is just being started has the open file too, until it becomes itself: closing ours would not be
        // enough.
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the home could not be let go of");
        }
    }
}

/// Gemra's own folders, made and locked.
#[derive(Debug)]
pub struct Home {
    config: PathBuf,
    data: PathBuf,
    name: Name,
    /// Holds the lock for as long as this instance lives.
    _lock: Lock,
}

/// Where Gemra's own files are or would be; see [`Home::locate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The user's settings.
    pub settings: PathBuf,
    /// The folder that everything else is in.
    pub data: PathBuf,
}

impl Located {
    /// What is remembered of each project.
    pub fn projects(&self) -> PathBuf {
        self.data.join(PROJECTS)
    }
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
        let is_new = !path.exists();
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {
                let name = Name::of(&data, is_new).map_err(|(path, source)| HomeError::Unusable { path, source })?;
                Ok(Self { config, data, name, _lock: Lock(lock) })
            }
            Err(TryLockError::WouldBlock) => Err(HomeError::Taken(data)),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// Where the files are or would be, for whoever only looks: nothing is made, and the lock is left to the app.
    ///
    /// # Errors
    /// [`HomeError::Unknown`], and [`HomeError::Unusable`] where [`Self::open`] could not make or use a folder.
    pub fn locate(environment: &Environment) -> Result<Located, HomeError> {
        let (config, data) = folders(environment).ok_or(HomeError::Unknown)?;
        for folder in [&config, &data] {
            could_use(folder).map_err(|source| HomeError::Unusable { path: folder.clone(), source })?;
        }
        Ok(Located { settings: config.join(SETTINGS), data })
    }

    /// The user's settings.
    pub fn settings(&self) -> PathBuf {
        self.config.join(SETTINGS)
    }

    /// The user's own keys, where there is no keyring for them.
    pub fn credentials(&self) -> PathBuf {
        self.config.join("credentials.json")
    }

    /// Workspaces that were opened before.
    pub fn recent(&self) -> PathBuf {
        self.data.join("recent.json")
    }

    /// What is remembered of each project.
    pub fn projects(&self) -> PathBuf {
        self.data.join(PROJECTS)
    }

    /// A record for each tab that is open.
    pub fn runs(&self) -> PathBuf {
        self.data.join("runs")
    }

    /// Held by the reaper for as long as something of ours may run.
    pub fn reaper_lock(&self) -> PathBuf {
        self.data.join("reaper.lock")
    }

    /// What the host would execute, as it was before containers could write to it.
    pub fn guard(&self) -> PathBuf {
        self.data.join("guard")
    }

    /// Sockets through which containers find this program, where they cannot by a network.
    pub fn sockets(&self) -> PathBuf {
        self.data.join("sockets")
    }

    /// What agents did in containers without asking.
    pub fn audit(&self) -> PathBuf {
        self.data.join("audit")
    }

    /// What projects may do beyond what containers usually may.
    pub fn trust(&self) -> PathBuf {
        self.data.join("trust")
    }

    /// What was the same on both sides, of each folder that is kept the same at another machine.
    pub fn sync(&self) -> PathBuf {
        self.data.join(SYNC)
    }

    /// Copies of files that have changed on both sides.
    pub fn conflicts(&self) -> PathBuf {
        self.data.join("conflicts")
    }

    /// The webview's own data.
    pub fn webview(&self) -> PathBuf {
        self.data.join("webview")
    }

    /// The folder that everything else is in.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// What engines know this home by. The path would not do: another machine has a home at the same one.
    pub fn name(&self) -> &str {
        &self.name.now
    }

    /// All names by which engines may know this home: one that is older than its name was known by its path.
    pub fn names(&self) -> Vec<&str> {
        std::iter::once(self.name.now.as_str()).chain(self.name.before.as_deref()).collect()
    }
}

impl Located {
    /// What was the same on both sides, of each folder that is kept the same at another machine.
    pub fn sync(&self) -> PathBuf {
        self.data.join(SYNC)
    }
}

/// What engines know a home by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Name {
    now: String,
    /// The one that was made of its path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<String>,
}

impl Name {
    /// The home's name, which is made by chance and written down at its first start.
    fn of(data: &Path, is_new: bool) -> Result<Self, (PathBuf, std::io::Error)> {
        let path = data.join("name.json");
        let failed = |error: std::io::Error| (path.clone(), error);
        match std::fs::read(&path) {
            // To make another name would leave everything at the engines to nobody.
            Ok(text) => serde_json::from_slice(&text).map_err(|error| failed(error.into())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let now = uuid::Uuid::new_v4().simple().to_string()[..12].to_owned();
                let before = (!is_new).then(|| {
                    let digest = Sha256::digest(data.as_os_str().as_encoded_bytes());
                    hexadecimal(&digest[..6])
                });
                let name = Self { now, before };
                let text = serde_json::to_vec(&name).map_err(|error| failed(error.into()))?;
                file::replace(&path, &text).map_err(failed)?;
                Ok(name)
            }
            Err(error) => Err(failed(error)),
        }
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

/// Whether the folder, or the nearest one above it that is there, can be written to.
fn could_use(folder: &Path) -> std::io::Result<()> {
    let mut there = folder;
    let metadata = loop {
        match (std::fs::metadata(there), there.parent()) {
            (Ok(metadata), _) => break metadata,
            (Err(error), Some(above)) if error.kind() == std::io::ErrorKind::NotFound => there = above,
            (Err(error), _) => return Err(error),
        }
    };
    if !metadata.is_dir() {
        return Err(std::io::ErrorKind::NotADirectory.into());
    }
    #[cfg(unix)]
    rustix::fs::access(there, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)?;
    Ok(())
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

    #[test]
    fn two_homes_at_one_path_have_two_names() {
        let folder = tempfile::tempdir().unwrap();
        let named = folder.path().join("home");
        let environment = Environment::of([("GEMRA_HOME", named.to_str().unwrap())]);
        let first = Home::open(&environment).unwrap();
        let name = first.name().to_owned();
        assert_eq!(first.names(), [name.as_str()], "it has never had another one");
        drop(first);
        let again = Home::open(&environment).unwrap();
        assert_eq!(again.name(), name, "a home keeps its name");
        drop(again);
        // Another machine's, with the same path.
        std::fs::rename(&named, folder.path().join("elsewhere")).unwrap();
        assert_ne!(Home::open(&environment).unwrap().name(), name, "a path names no home");
        std::fs::remove_dir_all(&named).unwrap();
        // One of before homes had names.
        std::fs::create_dir(&named).unwrap();
        std::fs::write(named.join("instance.lock"), "").unwrap();
        let old = hexadecimal(&Sha256::digest(named.as_os_str().as_encoded_bytes())[..6]);
        for _ in 0..2 {
            let home = Home::open(&environment).unwrap();
            assert_eq!(home.names(), [home.name(), old.as_str()], "what it has left under its path is its own still");
            assert_ne!(home.name(), old, "and nothing new is named so");
        }
        std::fs::write(named.join("name.json"), "{").unwrap();
        let error = Home::open(&environment).unwrap_err().to_string();
        assert!(error.contains("name.json"), "a name that cannot be read is told: {error}");
    }

    #[test]
    fn looking_makes_nothing_and_takes_no_lock() {
        let folder = tempfile::tempdir().unwrap();
        let named = folder.path().join("a/b");
        let environment = Environment::of([("GEMRA_HOME", named.to_str().unwrap())]);
        let located = Home::locate(&environment).unwrap();
        assert_eq!((located.settings, &located.data), (named.join("settings.json"), &named), "where they would be");
        assert!(!named.exists(), "nothing was made");
        let open = Home::open(&environment).unwrap();
        assert_eq!(Home::locate(&environment).unwrap().settings, open.settings(), "a home in use can be looked at");
        std::fs::write(folder.path().join("file"), "").unwrap();
        for taken in ["file", "file/below"] {
            let path = folder.path().join(taken);
            let environment = Environment::of([("GEMRA_HOME", path.to_str().unwrap())]);
            let error = Home::locate(&environment).unwrap_err().to_string();
            assert!(error.contains(taken), "a file in the way is named: {error}");
        }
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
