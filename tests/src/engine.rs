//! A container engine for the suites. As root: a private Docker daemon, or Podman's service where `GEMRA_TEST_ENGINE`
//! says `podman`, with its own sockets and data, that ends with the process that started it. Otherwise: the engine that
//! is reachable. But for [`lab`] and [`desk`], it knows nothing of Gemra's own code, so that what tests read from the
//! engine is not read through what they test.

mod base;
mod daemon;
pub mod desk;
pub mod far;
pub mod follow;
pub mod lab;
pub mod registry;
pub mod see;
pub mod step;

use std::path::PathBuf;
use std::sync::OnceLock;

use bollard::{API_DEFAULT_VERSION, Docker};

use daemon::Daemon;

/// The image that `Dockerfile.claude` begins from.
pub const BASE: &str = "node:22-bookworm";

/// Who runs the engine that is rootless.
pub const ROOTLESS_USER: u32 = daemon::USER;

/// Whose engine the suites run at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A Docker daemon.
    Docker,
    /// Podman's API service.
    Podman,
}

impl Kind {
    /// That of this run, as `GEMRA_TEST_ENGINE` says: Docker's where it says nothing.
    ///
    /// # Panics
    /// Where it says something else.
    pub fn of_this_run() -> Self {
        match std::env::var("GEMRA_TEST_ENGINE").unwrap_or_default().as_str() {
            "" | "docker" => Self::Docker,
            "podman" => Self::Podman,
            other => panic!("GEMRA_TEST_ENGINE is docker or podman, not {other:?}"),
        }
    }

    /// Its name, as `GEMRA_TEST_ENGINE` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }
}

/// An engine that answers and has [`BASE`].
#[derive(Debug)]
pub struct Engine {
    address: String,
    open_address: String,
    /// Held, because its end is the daemon's.
    _daemon: Option<Daemon>,
}

impl Engine {
    /// The one of this process, started and furnished on the first call. Takes seconds then; minutes where the base
    /// has to be made.
    ///
    /// # Panics
    /// Where there is no engine, or no base: no test of the engine can be true then.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Engine> = OnceLock::new();
        SHARED.get_or_init(|| {
            let engine = if rustix::process::geteuid().is_root() { Self::private() } else { Self::reachable() };
            // A thread of its own, since the caller's may be in the middle of an async test.
            std::thread::scope(|scope| scope.spawn(|| base::ensure(&engine)).join()).expect("the base is there");
            engine
        })
    }

    /// A rootless one beside it, which [`ROOTLESS_USER`] runs. Only root can start it.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn rootless() -> &'static Self {
        static ROOTLESS: OnceLock<Engine> = OnceLock::new();
        ROOTLESS.get_or_init(|| {
            let engine = Self::of(Daemon::start_rootless(Kind::of_this_run()));
            std::thread::scope(|scope| scope.spawn(|| base::ensure(&engine)).join()).expect("the base is there");
            engine
        })
    }

    /// True where it is Podman, which tells less.
    ///
    /// # Panics
    /// Where it does not tell its version.
    pub async fn shared_is_podman() -> bool {
        let version = Self::shared().api().version().await.expect("the engine tells its version");
        version.components.unwrap_or_default().iter().any(|component| component.name.contains("Podman"))
    }

    /// Its address, such as `unix:///tmp/…/docker.sock`. A private engine's socket is root's alone.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// An address that every user of the machine may use.
    pub fn open_address(&self) -> &str {
        &self.open_address
    }

    /// A client. Each belongs to the async runtime that it was first used on, so that tests do not share one.
    ///
    /// # Panics
    /// Where the socket has gone.
    pub fn api(&self) -> Docker {
        let timeout = 300;
        match self.address.strip_prefix("unix://") {
            Some(path) => Docker::connect_with_unix(path, timeout, API_DEFAULT_VERSION),
            None => Docker::connect_with_http(&self.address, timeout, API_DEFAULT_VERSION),
        }
        .expect("the engine's socket is there")
    }

    fn private() -> Self {
        Self::of(Daemon::start(Kind::of_this_run()))
    }

    fn of(daemon: Daemon) -> Self {
        let socket = |name: &str| format!("unix://{}", daemon.folder().join(name).display());
        Self { address: socket("docker.sock"), open_address: socket("open.sock"), _daemon: Some(daemon) }
    }

    fn reachable() -> Self {
        let addresses = addresses();
        let found = addresses.iter().find(|address| daemon::answers(address));
        let address = found.unwrap_or_else(|| {
            panic!("no engine answers at {}: `cargo xtask test engine` says what to do", addresses.join(", "))
        });
        Self { open_address: address.clone(), address: address.clone(), _daemon: None }
    }
}

/// Where an engine of the user's may be: where `DOCKER_HOST` says, or else where Docker, Podman and their kin are known
/// to listen. `cargo xtask` looks at the same (`src-tauri/xtask/src/engine.rs`), before it builds anything.
fn addresses() -> Vec<String> {
    if let Some(named) = std::env::var("DOCKER_HOST").ok().filter(|address| !address.is_empty()) {
        return vec![named];
    }
    let below = |variable: &str, names: &[&str]| -> Vec<PathBuf> {
        let folder = std::env::var_os(variable).map(PathBuf::from);
        folder.into_iter().flat_map(|folder| names.iter().map(move |name| folder.join(name))).collect()
    };
    if Kind::of_this_run() == Kind::Podman {
        let podman = below("XDG_RUNTIME_DIR", &["podman/podman.sock"]);
        return podman.into_iter().map(|path| format!("unix://{}", path.display())).collect();
    }
    let mut all = vec![PathBuf::from("/var/run/docker.sock")];
    all.extend(below("XDG_RUNTIME_DIR", &["docker.sock", "podman/podman.sock"]));
    let of_home = [".docker/run/docker.sock", ".orbstack/run/docker.sock", ".colima/default/docker.sock"];
    all.extend(below("HOME", &of_home));
    all.into_iter().map(|path| format!("unix://{}", path.display())).collect()
}

/// Says something to whoever watches the tests run: what takes minutes, or is otherwise than usual.
#[allow(clippy::print_stderr)]
fn tell(words: &str) {
    eprintln!("{words}");
}

/// The folder of this build's output, in which the engine keeps what is worth keeping between runs.
fn target() -> PathBuf {
    let program = std::env::current_exe().expect("this program has a path");
    let profile = program
        .ancestors()
        .find(|folder| folder.join("deps").is_dir() || folder.file_name().is_some_and(|name| name == "release"))
        .expect("tests run from a target folder");
    profile.parent().unwrap_or(profile).to_owned()
}
