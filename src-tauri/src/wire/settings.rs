//! Settings as the page shows and changes them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// The user's settings.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Settings {
    /// The engine's address, such as `unix:///run/docker.sock`; empty: found as the docker CLI finds it.
    pub(crate) engine: String,
    /// Begin a new conversation when the agent moves between host and container.
    pub(crate) fresh_on_toggle: bool,
    /// Certificate files (PEM) that builds and containers shall trust too.
    pub(crate) certificates: Vec<String>,
    /// Additional environment variables of the agent, by workspace path.
    pub(crate) environment: BTreeMap<String, BTreeMap<String, String>>,
    /// What is wished for the containers of all projects.
    pub(crate) container: Wishes,
    /// What is wished for single projects, by workspace path.
    pub(crate) projects: BTreeMap<String, Project>,
}

/// What is wished for containers. Absent or null: what the layer below says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", default)]
#[ts(optional_fields = nullable)]
pub(crate) struct Wishes {
    /// Which network containers have. Default: the host's.
    pub(crate) network: Option<NetworkChoice>,
    /// Where the network is isolated: names that can be reached beside the usual ones, such as `example.com` or
    /// `*.example.com`.
    pub(crate) allowed_domains: Option<Vec<String>>,
    /// How much a container is held down. Default: hardened.
    pub(crate) preset: Option<Preset>,
    /// Processors, such as `1.5`. Default: four, or what there is.
    pub(crate) cpus: Option<f64>,
    /// Memory in MiB. Default: 8192, or three quarters of what there is.
    pub(crate) memory_mb: Option<u32>,
    /// How many processes. Default: 4096.
    pub(crate) pids: Option<u32>,
    /// How many files a process may have open. Default: the engine's.
    pub(crate) open_files: Option<u32>,
    /// Memory for `/dev/shm` in MiB. Default: 256.
    pub(crate) shm_mb: Option<u32>,
    /// The image's own folders cannot be changed; `/tmp` and the home can, in memory. Default: no.
    pub(crate) read_only_system: Option<bool>,
    /// The project cannot be changed. Default: no.
    pub(crate) read_only_workspace: Option<bool>,
    /// Graphics cards: `all` or how many. Default, and empty: none.
    pub(crate) gpus: Option<String>,
    /// Seconds that the engine may take to start a container. Default: 60.
    pub(crate) start_seconds: Option<u32>,
    /// Minutes that a build may go on without a word. Default: 10.
    pub(crate) build_silent_minutes: Option<u32>,
    /// Further folders or files, as `host:container:mode`, the mode `ro` or `rw`.
    pub(crate) mounts: Option<Vec<String>>,
    /// Patterns of folders in the project that are volumes of the engine inside, such as `node_modules`.
    pub(crate) volume_folders: Option<Vec<String>>,
    /// An image by its name, instead of one that is built. Empty: none.
    pub(crate) image: Option<String>,
    /// Use the project's `.devcontainer/devcontainer.json` where there is no `Dockerfile.claude`. Default: yes.
    pub(crate) use_devcontainer: Option<bool>,
    /// Use the project's `Dockerfile` where it has no `Dockerfile.claude`. Default: no.
    pub(crate) use_dockerfile: Option<bool>,
    /// Build arguments. They are no secrets: an image tells them.
    pub(crate) build_args: Option<BTreeMap<String, String>>,
    /// The stage to build. Empty: the last.
    pub(crate) build_target: Option<String>,
    /// The platform, such as `linux/arm64`. Empty: the engine's own.
    pub(crate) platform: Option<String>,
    /// Never pull. Default: no.
    pub(crate) offline: Option<bool>,
    /// Start the container again where the agent in it has crashed, three times at most. Default: no.
    pub(crate) restart_after_crash: Option<bool>,
    /// Hours after which a container is made anew. Default: 72. Zero: never.
    pub(crate) refresh_hours: Option<u32>,
    /// Remove the volumes of a project when its last container goes. Default: no.
    pub(crate) clean_volumes: Option<bool>,
    /// `GITHUB_TOKEN`, or what `gh` has, for git inside. Default: no.
    pub(crate) github: Option<bool>,
    /// The SSH agent inside. Default: no.
    pub(crate) ssh_agent: Option<bool>,
    /// `~/.gitconfig` inside, read-only. Default: no.
    pub(crate) git_config: Option<bool>,
    /// `~/.ssh` inside, read-only. Default: no.
    pub(crate) ssh_folder: Option<bool>,
    /// The permission mode with which an agent begins on the host. Default: ask.
    pub(crate) host_mode: Option<super::tab::Mode>,
    /// The permission mode with which an agent begins in a container. Default: ask.
    pub(crate) container_mode: Option<super::tab::Mode>,
}

/// What is wished for one project.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Project {
    /// The engine's address. Empty: that of all projects.
    pub(crate) engine: String,
    /// Its containers.
    pub(crate) container: Wishes,
}

/// Which network containers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) enum NetworkChoice {
    Host,
    Bridge,
    Isolated,
}

/// How much a container is held down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Preset {
    Hardened,
    WithSudo,
}
