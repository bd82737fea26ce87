//! The folders that one user of the app has: HOME, `GEMRA_HOME` and workspaces, all in one temporary folder that goes
//! with the last test that holds it. It outlives an app run, so that a second run finds what the first left.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

/// One user's folders.
#[derive(Debug)]
pub struct Home {
    root: TempDir,
    user: Option<u32>,
}

impl Home {
    /// Folders of this process's own user.
    pub fn new() -> Arc<Self> {
        Self::of(None)
    }

    /// Folders of another user, who will also run the app; only root can do that.
    pub fn of_user(user: u32) -> Arc<Self> {
        Self::of(Some(user))
    }

    fn of(user: Option<u32>) -> Arc<Self> {
        let root = tempfile::Builder::new().prefix("gemra-test-").tempdir();
        let root = root.unwrap_or_else(|error| panic!("a temporary folder can be made: {error}"));
        let home = Self { root, user };
        home.own(home.root.path());
        for name in ["home", "gemra", "runtime", "work", "driver"] {
            home.folder(&home.root.path().join(name));
        }
        // The bus and the webview refuse a runtime folder that others could enter.
        fs::set_permissions(home.runtime(), fs::Permissions::from_mode(0o700))
            .unwrap_or_else(|error| panic!("the runtime folder can be closed: {error}"));
        Arc::new(home)
    }

    /// The user who runs the app; none for this process's own.
    pub fn user(&self) -> Option<u32> {
        self.user
    }

    /// A program that the user can start: the file itself, or, where a folder above it is closed to others, one of the
    /// same content in these folders.
    pub fn reach(&self, program: &Path) -> PathBuf {
        let real = program.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let open = |path: &Path| fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0);
        if self.user.is_none() || real.ancestors().all(open) {
            return program.to_owned();
        }
        let copy = self.root.path().join(program.file_name().unwrap_or(program.as_os_str()));
        if !copy.exists() {
            let linked = fs::hard_link(&real, &copy).or_else(|_| fs::copy(&real, &copy).map(drop));
            linked.unwrap_or_else(|error| panic!("{} can be put within reach: {error}", real.display()));
        }
        copy
    }

    /// What is `HOME` to the app.
    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// What is `HOME` to the `WebDriver`.
    pub(super) fn driver(&self) -> PathBuf {
        self.root.path().join("driver")
    }

    /// What is `GEMRA_HOME` to the app.
    pub fn gemra(&self) -> PathBuf {
        self.root.path().join("gemra")
    }

    /// What is `XDG_RUNTIME_DIR` to the app.
    pub fn runtime(&self) -> PathBuf {
        self.root.path().join("runtime")
    }

    /// The settings file.
    pub fn settings(&self) -> PathBuf {
        self.gemra().join("settings.json")
    }

    /// A path in this temporary folder, outside of the others.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A workspace by name, made and owned by the user if it is not there.
    pub fn workspace(&self, name: &str) -> PathBuf {
        let path = self.root.path().join("work").join(name);
        if !path.exists() {
            self.folder(&path);
        }
        path
    }

    /// Writes a file that belongs to the user.
    pub fn write(&self, path: &Path, text: &str) {
        fs::write(path, text).unwrap_or_else(|error| panic!("{} can be written: {error}", path.display()));
        self.own(path);
    }

    fn folder(&self, path: &Path) {
        fs::create_dir(path).unwrap_or_else(|error| panic!("{} can be made: {error}", path.display()));
        self.own(path);
    }

    fn own(&self, path: &Path) {
        if let Some(user) = self.user {
            chown(path, Some(user), Some(user))
                .unwrap_or_else(|error| panic!("{} can be given to {user}: {error}", path.display()));
        }
    }
}
