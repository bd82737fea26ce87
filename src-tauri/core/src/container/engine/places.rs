//! Where engines are looked for when nobody names one: the sockets that engines are known to use, and the folders that
//! their programs are installed in. It connects to nothing.

use std::path::PathBuf;

use super::address::Address;
use crate::environment::Environment;

/// The programs that come with an engine.
#[cfg(not(windows))]
const PROGRAMS: &[&str] = &["docker", "dockerd", "podman"];
/// The programs that come with an engine.
#[cfg(windows)]
const PROGRAMS: &[&str] = &["docker.exe", "podman.exe"];

/// Folders beside those on PATH, because a program opened from a desktop may have a short PATH.
#[cfg(not(windows))]
const USUAL_FOLDERS: &[&str] = &[
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/snap/bin",
    "/opt/homebrew/bin",
    "/Applications/Docker.app/Contents/Resources/bin",
];
/// Folders beside those on PATH, because a program opened from a desktop may have a short PATH.
#[cfg(windows)]
const USUAL_FOLDERS: &[&str] = &[r"C:\Program Files\Docker\Docker\resources\bin"];

/// Where engines are looked for when nobody names one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Sockets, or pipes on Windows; the first that answers is the engine.
    pub sockets: Vec<Address>,
    /// Folders of programs, by which an engine that is not running is told from one that is not installed.
    pub folders: Vec<PathBuf>,
}

impl Places {
    /// Those of this system and this user.
    pub fn usual(environment: &Environment) -> Self {
        let path = environment.os("PATH").unwrap_or_default();
        let mut folders: Vec<PathBuf> = Vec::new();
        for folder in std::env::split_paths(&path).chain(USUAL_FOLDERS.iter().map(PathBuf::from)) {
            // An empty entry of PATH means the working folder, which is nobody's to install into.
            if !folder.as_os_str().is_empty() && !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        Self { sockets: sockets(environment), folders }
    }

    /// True where an engine's program is installed, running or not. Blocks on a look at each folder.
    pub(super) fn have_program(&self) -> bool {
        self.folders.iter().any(|folder| PROGRAMS.iter().any(|program| folder.join(program).is_file()))
    }

    /// What was looked for, line by line.
    pub(super) fn in_words(&self) -> Vec<String> {
        let sockets = self.sockets.iter().map(ToString::to_string);
        let programs = PROGRAMS.join(", ");
        sockets.chain(self.folders.iter().map(|folder| format!("{programs} in {}", folder.display()))).collect()
    }
}

#[cfg(unix)]
fn sockets(environment: &Environment) -> Vec<Address> {
    let mut paths: Vec<PathBuf> = vec!["/var/run/docker.sock".into()];
    let runtime = environment.path("XDG_RUNTIME_DIR");
    if let Some(runtime) = &runtime {
        paths.push(runtime.join("docker.sock"));
        paths.push(runtime.join(".docker/run/docker.sock"));
    }
    if let Some(home) = environment.home() {
        let places = [
            ".docker/run/docker.sock",
            ".docker/desktop/docker.sock",
            ".orbstack/run/docker.sock",
            ".colima/default/docker.sock",
            ".colima/docker.sock",
            ".rd/docker.sock",
            ".lima/docker/sock/docker.sock",
            ".lima/default/sock/docker.sock",
            ".local/share/containers/podman/machine/podman.sock",
        ];
        paths.extend(places.iter().map(|place| home.join(place)));
    }
    if let Some(runtime) = &runtime {
        paths.push(runtime.join("podman/podman.sock"));
    }
    paths.push("/run/podman/podman.sock".into());
    paths.into_iter().map(Address::Unix).collect()
}

#[cfg(windows)]
fn sockets(_environment: &Environment) -> Vec<Address> {
    ["//./pipe/docker_engine", "//./pipe/dockerDesktopLinuxEngine"]
        .into_iter()
        .map(|path| Address::Pipe(path.to_owned()))
        .collect()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[test]
    fn the_users_own_places_are_among_the_usual_ones() {
        let environment =
            Environment::of([("HOME", "/home/me"), ("XDG_RUNTIME_DIR", "/run/me"), ("PATH", "/mine::/usr/bin")]);
        let usual = Places::usual(&environment);
        let at = |path: &str| usual.sockets.iter().position(|socket| *socket == Address::Unix(path.into()));
        assert_eq!(at("/var/run/docker.sock"), Some(0), "the system's own comes first");
        for path in ["/run/me/docker.sock", "/home/me/.colima/default/docker.sock", "/run/me/podman/podman.sock"] {
            assert!(at(path).is_some(), "{path} is looked at: {:?}", usual.sockets);
        }
        assert_eq!(usual.folders[0], PathBuf::from("/mine"), "PATH comes first");
        let count = |folder: &str| usual.folders.iter().filter(|known| known.as_os_str() == folder).count();
        assert_eq!((count("/usr/bin"), count("/usr/sbin"), count("")), (1, 1, 0), "each once: {:?}", usual.folders);
    }

    #[test]
    fn programs_are_looked_for_in_the_folders() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { sockets: Vec::new(), folders: vec![folder.path().to_path_buf()] };
        assert!(!places.have_program(), "an empty folder holds no engine");
        std::fs::create_dir(folder.path().join("docker")).unwrap();
        assert!(!places.have_program(), "a folder is no program");
        std::fs::write(folder.path().join("podman"), "").unwrap();
        assert!(places.have_program(), "podman is an engine too");
    }
}
