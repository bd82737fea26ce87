//! The user's settings: one JSON file, read at the start and written whole. What we do not know in it is kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::failure::{Code, Failure};
use crate::file;

mod check;
pub mod container;

use container::{Project, Wishes};

/// The user's settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// The engine's address, such as `unix:///run/docker.sock`; empty: found as the docker CLI finds it.
    pub engine: String,
    /// Begin a new conversation when the agent moves between host and container.
    pub fresh_on_toggle: bool,
    /// Certificate files (PEM) that builds and containers trust too.
    pub certificates: Vec<PathBuf>,
    /// Environment variables of the agent, by workspace path.
    pub environment: BTreeMap<String, Variables>,
    /// What is wished for the containers of all projects.
    pub container: Wishes,
    /// What is wished for single projects, by workspace path.
    pub projects: BTreeMap<String, Project>,
    /// What projects wish for their own containers, as far as they may. It is theirs, and in no file of the user's.
    #[serde(skip)]
    pub asked: BTreeMap<PathBuf, Wishes>,
    /// Keys of another version, kept as they are.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Environment variables. `Debug` shows names only, because values may be keys.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Variables(pub BTreeMap<String, String>);

impl std::fmt::Debug for Variables {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

/// Why settings were not read or written.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file could not be read.
    #[error("{path} could not be read: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{path} is not valid: {source}", path = path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The file could not be written.
    #[error("{path} could not be written: {source}", path = path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A value is not one that can be used.
    #[error("{why}")]
    BadValue {
        /// Which, as the file and the page call it, such as `container.cpus` or `projects./p.container.mounts`.
        field: String,
        /// What is wrong with it.
        why: String,
    },
}

impl From<&SettingsError> for Failure {
    fn from(error: &SettingsError) -> Self {
        let cause = format!("{error}.");
        match error {
            SettingsError::Unreadable { .. } | SettingsError::Invalid { .. } => Self::new(
                Code::SettingsInvalid,
                "The settings could not be read",
                cause,
                "Gemra goes on with its defaults and leaves the file as it is. Mend it and start Gemra again; or move it away, and save what you want anew.",
            ),
            SettingsError::Unwritable { .. } => Self::new(
                Code::SettingsNotSaved,
                "The settings were not saved",
                cause,
                "Make room or give yourself the right to write there, then save again.",
            ),
            SettingsError::BadValue { field, .. } => Self::new(
                Code::SettingsNotSaved,
                "The settings were not saved",
                cause,
                "Correct the value, then save again.",
            )
            .at(field),
        }
    }
}

impl Settings {
    /// Reads the settings; the defaults where there is no file.
    ///
    /// # Errors
    /// [`SettingsError`] where there is one that cannot be used. It is left as it is.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(SettingsError::Unreadable { path: path.to_path_buf(), source }),
        };
        serde_json::from_slice(&bytes).map_err(|source| SettingsError::Invalid { path: path.to_path_buf(), source })
    }

    /// Writes the settings, unless the file that is there cannot be read: then it would be lost.
    ///
    /// # Errors
    /// [`SettingsError`]; the old file is then untouched.
    pub fn write(&self, path: &Path) -> Result<(), SettingsError> {
        check::all(self)?;
        Self::read(path)?;
        let unwritable = |source| SettingsError::Unwritable { path: path.to_path_buf(), source };
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| unwritable(error.into()))?;
        text.push(b'\n');
        file::replace(path, &text).map_err(unwritable)
    }

    /// The variables of a workspace.
    pub fn variables(&self, workspace: &Path) -> Vec<(String, String)> {
        let known = workspace.to_str().and_then(|workspace| self.environment.get(workspace));
        known.map(|variables| variables.0.clone().into_iter().collect()).unwrap_or_default()
    }

    /// These settings, with the keys of other versions that `before` had: whoever changes settings in the window has
    /// not seen them.
    #[must_use]
    pub fn keeping(mut self, before: &Self) -> Self {
        self.rest.clone_from(&before.rest);
        self.container.rest.clone_from(&before.container.rest);
        for (path, project) in &mut self.projects {
            if let Some(known) = before.projects.get(path) {
                project.rest.clone_from(&known.rest);
                project.container.rest.clone_from(&known.container.rest);
            }
        }
        self
    }

    /// What is wished for a workspace's containers: by the user for this project, else by the project itself, else by
    /// the user for all of them.
    pub fn wishes(&self, workspace: &Path) -> Wishes {
        let own = workspace.to_str().and_then(|workspace| self.projects.get(workspace));
        let below =
            self.asked.get(workspace).map_or_else(|| self.container.clone(), |asked| asked.over(&self.container));
        own.map_or_else(|| below.clone(), |project| project.container.over(&below))
    }

    /// The address of the engine that a workspace's containers are at; empty where none is named.
    pub fn engine_of(&self, workspace: &Path) -> &str {
        let own = workspace.to_str().and_then(|workspace| self.projects.get(workspace));
        own.map(|project| project.engine.trim()).filter(|engine| !engine.is_empty()).unwrap_or(self.engine.trim())
    }

    /// Checks that what is to be mounted is there. `~` means `home`. Asked where somebody saves what they have written:
    /// a folder that has gone since is told when a container wants it.
    ///
    /// # Errors
    /// [`SettingsError::BadValue`] names the entry.
    pub fn check_folders(&self, home: Option<&Path>) -> Result<(), SettingsError> {
        check::folders_of(self, home)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_a_round_and_keep_what_is_not_ours() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        assert_eq!(Settings::read(&path).unwrap(), Settings::default(), "no file means the defaults");
        std::fs::write(
            &path,
            r#"{"freshOnToggle": true, "fromTheFuture": {"a": 1}, "projects": {"/p": {"container": {"soon": 1}}}}"#,
        )
        .unwrap();
        let mut settings = Settings::read(&path).unwrap();
        settings.engine = "unix:///run/docker.sock".to_owned();
        settings.write(&path).unwrap();
        let again = Settings::read(&path).unwrap();
        assert_eq!(again, settings, "what was written is read");
        assert!(again.rest.contains_key("fromTheFuture"), "a key of another version is kept");
        let of_the_window =
            Settings { projects: [("/p".to_owned(), Project::default())].into(), ..Settings::default() };
        let kept = of_the_window.keeping(&again);
        assert!(kept.rest.contains_key("fromTheFuture"), "the window's save keeps it too");
        assert!(kept.projects["/p"].container.rest.contains_key("soon"), "also within a project");
    }

    #[test]
    fn a_broken_file_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        for broken in ["not json", "[1]", r#"{"freshOnToggle": "yes"}"#, ""] {
            std::fs::write(&path, broken).unwrap();
            assert!(matches!(Settings::read(&path), Err(SettingsError::Invalid { .. })), "{broken:?} is an error");
            assert!(Settings::default().write(&path).is_err(), "{broken:?} is not replaced");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), broken, "{broken:?} is still there");
        }
    }

    #[test]
    fn bad_values_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        let variables = |name: &str| Variables([(name.to_owned(), "v".to_owned())].into());
        let engine = |address: &str| Settings { engine: address.to_owned(), ..Settings::default() };
        let cases = [
            (engine("docker.sock"), "docker.sock"),
            // Each of these would fail at every click of the Container button.
            (engine("/run/docker.sock"), "no scheme such as unix://"),
            (engine("unix://docker.sock"), "must be absolute"),
            (engine("tcp://box"), "a host and a port"),
            (engine("ftp://box"), "ftp:// is not a kind of address"),
            (engine("ssh://me:secret@box"), "holds a password"),
            (engine("/run/docker.sock"), "Accepted are unix:///run/docker.sock"),
            (
                Settings {
                    container: Wishes { allowed_domains: Some(vec!["*.com".to_owned()]), ..Wishes::default() },
                    ..Settings::default()
                },
                "*.com",
            ),
            (Settings { certificates: vec!["/nonexistent.pem".into()], ..Settings::default() }, "/nonexistent.pem"),
            (Settings { environment: [("/p".to_owned(), variables("A B"))].into(), ..Settings::default() }, "A B"),
        ];
        for (settings, named) in cases {
            let error = settings.write(&path).unwrap_err().to_string();
            assert!(error.contains(named), "the message names what is wrong: {error}");
            assert!(!path.exists(), "nothing was written");
        }
        for (wishes, field, named) in bad_wishes() {
            let all = Settings { container: wishes.clone(), ..Settings::default() };
            let project = Project { container: wishes, ..Project::default() };
            let one = Settings { projects: [("/p".to_owned(), project)].into(), ..Settings::default() };
            for (settings, at) in [(all, "container"), (one, "projects./p.container")] {
                let failure = Failure::from(&settings.write(&path).unwrap_err());
                assert_eq!(failure.field.as_deref(), Some(format!("{at}.{field}").as_str()), "the field is named");
                assert!(failure.cause.contains(named), "{field}: the message names what is wrong: {}", failure.cause);
                assert!(!path.exists(), "nothing was written");
            }
        }
        for accepted in ["", "  ", "unix:///run/docker.sock", " unix:///run/docker.sock ", "tcp://127.0.0.1:2375"] {
            engine(accepted).write(&path).unwrap_or_else(|error| panic!("{accepted:?} is refused: {error}"));
        }
    }

    /// Wishes that cannot be granted, their field, and a part of why.
    fn bad_wishes() -> Vec<(Wishes, &'static str, &'static str)> {
        let none = Wishes::default;
        let list = |entry: &str| Some(vec![entry.to_owned()]);
        let text = |text: &str| Some(text.to_owned());
        vec![
            (Wishes { cpus: Some(0.0), ..none() }, "cpus", "0 processors"),
            (Wishes { cpus: Some(f64::NAN), ..none() }, "cpus", "from 0.01"),
            (Wishes { memory_mb: Some(1), ..none() }, "memoryMb", "from 64"),
            (Wishes { pids: Some(1), ..none() }, "pids", "from 16"),
            (Wishes { open_files: Some(2_000_000), ..none() }, "openFiles", "to 1048576"),
            (Wishes { shm_mb: Some(0), ..none() }, "shmMb", "from 1"),
            (Wishes { start_seconds: Some(0), ..none() }, "startSeconds", "from 1"),
            (Wishes { build_silent_minutes: Some(9999), ..none() }, "buildSilentMinutes", "to 1440"),
            (Wishes { refresh_hours: Some(99_999), ..none() }, "refreshHours", "to 8760"),
            (Wishes { gpus: text("some"), ..none() }, "gpus", "\"some\""),
            (Wishes { allowed_domains: list("https://x.org"), ..none() }, "allowedDomains", "https://x.org"),
            (Wishes { allowed_domains: list("*"), ..none() }, "allowedDomains", "\"*\""),
            (Wishes { allowed_domains: list("*.com"), ..none() }, "allowedDomains", "*.com"),
            (Wishes { mounts: list("/a"), ..none() }, "mounts", "\"/a\""),
            (Wishes { volume_folders: list("../x"), ..none() }, "volumeFolders", "../x"),
            (Wishes { image: text("a b"), ..none() }, "image", "a b"),
            (Wishes { platform: text("arm64"), ..none() }, "platform", "arm64"),
            (Wishes { build_target: text("a b"), ..none() }, "buildTarget", "a b"),
            (Wishes { build_args: Some([("A B".to_owned(), String::new())].into()), ..none() }, "buildArgs", "A B"),
            (Wishes { host_mode: Some(crate::agent::Mode::BypassPermissions), ..none() }, "hostMode", "without asking"),
        ]
    }

    #[test]
    fn good_wishes_are_saved() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        let list = |entries: &[&str]| Some(entries.iter().map(|&entry| entry.to_owned()).collect());
        let text = |text: &str| Some(text.to_owned());
        let container = Wishes {
            cpus: Some(0.5),
            memory_mb: Some(64),
            refresh_hours: Some(0),
            gpus: text(""),
            allowed_domains: list(&["example.com", "*.example.co.uk", "localhost:8080", "xn--bcher-kva.example"]),
            mounts: list(&["/nowhere:/data:ro"]),
            volume_folders: list(&["node_modules", "packages/*/target"]),
            image: text("registry.example:5000/a/b_c:1.2@sha256:0123456789abcdef"),
            platform: text("linux/arm/v7"),
            build_target: text(""),
            container_mode: Some(crate::agent::Mode::BypassPermissions),
            ..Wishes::default()
        };
        let settings = Settings { container, ..Settings::default() };
        settings.write(&path).unwrap();
        assert_eq!(Settings::read(&path).unwrap(), settings, "all of it is there");
        let error = Failure::from(&settings.check_folders(None).unwrap_err());
        assert_eq!(error.field.as_deref(), Some("container.mounts"), "a folder that is not there is told on a save");
    }
}
