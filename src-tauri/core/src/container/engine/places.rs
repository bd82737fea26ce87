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
        Self { sockets: sockets(SYSTEM, environment), folders }
    }

    /// The same, where the socket at this address comes before all others. One that is none of them changes nothing.
    #[must_use]
    pub fn preferring(mut self, address: Option<&str>) -> Self {
        // What is equal stays in its order.
        self.sockets.sort_by_key(|socket| address != Some(socket.to_string().as_str()));
        self
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

/// Where docker listens that nobody has told anything else.
pub(super) fn default_of_docker() -> Address {
    match SYSTEM {
        System::Windows => Address::Pipe("//./pipe/docker_engine".to_owned()),
        System::Linux | System::MacOs => Address::Unix(SYSTEM_SOCKET.into()),
    }
}

/// The systems that engines are known on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum System {
    Linux,
    MacOs,
    Windows,
}

/// The one that this program is built for; what is no other is like Linux.
const SYSTEM: System = if cfg!(windows) {
    System::Windows
} else if cfg!(target_os = "macos") {
    System::MacOs
} else {
    System::Linux
};

/// Where engines listen, in the order in which they are tried: the system's own, then those of Docker and its kin, then
/// Podman. A folder that the environment does not name is passed over.
fn sockets(system: System, environment: &Environment) -> Vec<Address> {
    let home = environment.home();
    let runtime = environment.path("XDG_RUNTIME_DIR");
    let of_home = |places: &[&str]| -> Vec<PathBuf> {
        home.iter().flat_map(|home| places.iter().map(|place| home.join(place))).collect()
    };
    let of_runtime = |places: &[&str]| -> Vec<PathBuf> {
        runtime.iter().flat_map(|runtime| places.iter().map(|place| runtime.join(place))).collect()
    };
    let paths: Vec<PathBuf> = match system {
        System::Windows => {
            let pipes = ["docker_engine", "dockerDesktopLinuxEngine", "podman-machine-default"];
            return pipes.into_iter().map(|name| Address::Pipe(format!("//./pipe/{name}"))).collect();
        }
        System::Linux => [
            vec![PathBuf::from(SYSTEM_SOCKET)],
            of_runtime(&[ROOTLESS, DESKTOP]),
            of_home(&[DESKTOP, DESKTOP_LINUX, COLIMA, COLIMA_BEFORE, RANCHER, LIMA, LIMA_DEFAULT, MACHINE]),
            of_runtime(&[PODMAN]),
            vec![PathBuf::from("/run").join(PODMAN)],
        ]
        .concat(),
        System::MacOs => [
            vec![PathBuf::from(SYSTEM_SOCKET)],
            of_home(&[DESKTOP, ORBSTACK, COLIMA, COLIMA_BEFORE, RANCHER, LIMA, LIMA_DEFAULT, MACHINE]),
            // Podman 5 listens where the system keeps what is temporary.
            environment.path("TMPDIR").iter().map(|folder| folder.join(MACHINE_TEMPORARY)).collect(),
        ]
        .concat(),
    };
    paths.into_iter().map(Address::Unix).collect()
}

/// Docker, or whoever stands in for it.
const SYSTEM_SOCKET: &str = "/var/run/docker.sock";
/// Docker without root.
const ROOTLESS: &str = "docker.sock";
/// Docker Desktop.
const DESKTOP: &str = ".docker/run/docker.sock";
/// Docker Desktop for Linux.
const DESKTOP_LINUX: &str = ".docker/desktop/docker.sock";
/// `OrbStack`.
const ORBSTACK: &str = ".orbstack/run/docker.sock";
/// Colima.
const COLIMA: &str = ".colima/default/docker.sock";
/// The same, before it had profiles.
const COLIMA_BEFORE: &str = ".colima/docker.sock";
/// Rancher Desktop.
const RANCHER: &str = ".rd/docker.sock";
/// Lima with the template for Docker.
const LIMA: &str = ".lima/docker/sock/docker.sock";
/// The same in the default instance.
const LIMA_DEFAULT: &str = ".lima/default/sock/docker.sock";
/// Podman, in the user's or the system's folder of what runs.
const PODMAN: &str = "podman/podman.sock";
/// Podman's virtual machine.
const MACHINE: &str = ".local/share/containers/podman/machine/podman.sock";
/// The same since Podman 5, on macOS.
const MACHINE_TEMPORARY: &str = "podman/podman-machine-default-api.sock";

#[cfg(test)]
mod tests {
    use super::*;

    /// Whose it is, and where it listens.
    type Row = (&'static str, &'static str);
    /// The system, the environment, and the rows that are looked at.
    type Case<'a> = (System, &'a [(&'a str, &'a str)], Vec<&'a Row>);

    #[test]
    fn each_engine_is_looked_for_where_it_listens_in_this_order() {
        let linux: &[Row] = &[
            ("Docker", "unix:///var/run/docker.sock"),
            ("Docker without root", "unix:///run/me/docker.sock"),
            ("Docker Desktop, in the folder of what runs", "unix:///run/me/.docker/run/docker.sock"),
            ("Docker Desktop", "unix:///home/me/.docker/run/docker.sock"),
            ("Docker Desktop for Linux", "unix:///home/me/.docker/desktop/docker.sock"),
            ("Colima", "unix:///home/me/.colima/default/docker.sock"),
            ("an old Colima", "unix:///home/me/.colima/docker.sock"),
            ("Rancher Desktop", "unix:///home/me/.rd/docker.sock"),
            ("Lima", "unix:///home/me/.lima/docker/sock/docker.sock"),
            ("Lima's default instance", "unix:///home/me/.lima/default/sock/docker.sock"),
            ("Podman's machine", "unix:///home/me/.local/share/containers/podman/machine/podman.sock"),
            ("Podman without root", "unix:///run/me/podman/podman.sock"),
            ("Podman", "unix:///run/podman/podman.sock"),
        ];
        let macos: &[Row] = &[
            ("Docker Desktop, or whoever stands in for it", "unix:///var/run/docker.sock"),
            ("Docker Desktop", "unix:///home/me/.docker/run/docker.sock"),
            ("OrbStack", "unix:///home/me/.orbstack/run/docker.sock"),
            ("Colima", "unix:///home/me/.colima/default/docker.sock"),
            ("an old Colima", "unix:///home/me/.colima/docker.sock"),
            ("Rancher Desktop", "unix:///home/me/.rd/docker.sock"),
            ("Lima", "unix:///home/me/.lima/docker/sock/docker.sock"),
            ("Lima's default instance", "unix:///home/me/.lima/default/sock/docker.sock"),
            ("Podman's machine", "unix:///home/me/.local/share/containers/podman/machine/podman.sock"),
            ("Podman's machine since 5", "unix:///var/tmp/me/podman/podman-machine-default-api.sock"),
        ];
        let windows: &[Row] = &[
            ("Docker", "npipe:////./pipe/docker_engine"),
            ("Docker Desktop's Linux engine", "npipe:////./pipe/dockerDesktopLinuxEngine"),
            ("Podman's machine", "npipe:////./pipe/podman-machine-default"),
        ];
        let full = [("HOME", "/home/me"), ("XDG_RUNTIME_DIR", "/run/me"), ("TMPDIR", "/var/tmp/me")];
        let of_home = |row: &&Row| row.1.contains("/home/me/");
        let of_system = |row: &&Row| !row.1.contains("/me/");
        let cases: &[Case<'_>] = &[
            (System::Linux, &full, linux.iter().collect()),
            (System::MacOs, &full, macos.iter().collect()),
            (System::Windows, &full, windows.iter().collect()),
            (System::Windows, &[], windows.iter().collect()),
            // Whoever runs without a session still finds those of the home and those that everybody has.
            (System::Linux, &full[..1], linux.iter().filter(|row| of_home(row) || of_system(row)).collect()),
            (System::MacOs, &full[..1], macos.iter().filter(|row| of_home(row) || of_system(row)).collect()),
        ];
        for (system, environment, expected) in cases {
            let found = sockets(*system, &Environment::of(environment.iter().copied()));
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            let wanted: Vec<&str> = expected.iter().map(|(_, address)| *address).collect();
            let whose: Vec<&str> = expected.iter().map(|(whose, _)| *whose).collect();
            assert_eq!(found, wanted, "{system:?} with {environment:?}: {whose:?}");
        }
    }

    #[test]
    fn one_that_was_used_last_comes_first_and_the_others_stay_in_their_order() {
        let [one, two, three] = ["/1", "/2", "/3"].map(|path| Address::Unix(path.into()));
        let places = Places { sockets: vec![one.clone(), two.clone(), three.clone()], folders: Vec::new() };
        let preferring = |address| places.clone().preferring(address).sockets;
        assert_eq!(preferring(Some("unix:///3")), [three, one, two], "the one that was used");
        for other in [None, Some("unix:///4"), Some("tcp://box:1")] {
            assert_eq!(preferring(other), places.sockets, "{other:?} is none of them");
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_folders_of_programs_are_those_on_path_and_the_usual_ones() {
        let usual = Places::usual(&Environment::of([("HOME", "/home/me"), ("PATH", "/mine::/usr/bin")]));
        let system = Address::Unix("/var/run/docker.sock".into());
        assert_eq!(usual.sockets.first(), Some(&system), "the sockets are this system's");
        assert_eq!(usual.folders[0], PathBuf::from("/mine"), "PATH comes first");
        let count = |folder: &str| usual.folders.iter().filter(|known| known.as_os_str() == folder).count();
        assert_eq!((count("/usr/bin"), count("/usr/sbin"), count("")), (1, 1, 0), "each once: {:?}", usual.folders);
    }

    #[cfg(unix)]
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
