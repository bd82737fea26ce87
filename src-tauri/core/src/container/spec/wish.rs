//! What a container is wished for, in the tab's words.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::container::engine::quirks::{self, HostNetwork};
use crate::container::engine::{About, Engine};
use crate::container::labels::Owner;

use super::extra::Held;

/// Memory for `/dev/shm`, in bytes: browsers that agents start need more than the usual 64 MiB.
const SHM: u64 = 256 * 1024 * 1024;
/// How many processes a container may have: far more than builds start, far fewer than a fork bomb wants.
const PIDS: u64 = 4096;
/// The most memory that is taken unasked: enough for the builds of real projects.
const MEMORY: u64 = 8 << 30;
/// The most processors that are taken unasked, in thousandths.
const CPUS: u64 = 4000;

/// What a container is wished for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Wish {
    /// Whose it is.
    pub owner: Owner,
    /// Tells containers of one tab apart: letters, digits, at most a dozen.
    pub short_id: String,
    /// The workspace on the host, absolute.
    pub workspace: PathBuf,
    /// Where the workspace is a git worktree: the repository's common folder, which its files name by its own path.
    pub git_common_dir: Option<PathBuf>,
    /// Other names by which its files call that folder, as they are understood inside.
    pub git_common_names: Vec<PathBuf>,
    /// The workspace's session bucket on the host. It must be there and belong to `uid`.
    pub session_bucket: PathBuf,
    /// The image, by the name of its fingerprint.
    pub image: String,
    /// The user that the agent is.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// More groups that it has: those of mounted folders that the user may write to through them alone.
    pub groups: Vec<u32>,
    /// The network.
    pub network: Network,
    /// The engine's name for it, where it is one that was made for this container.
    pub network_name: Option<String>,
    /// This machine's address in it; where it is not known, the engine is left to say it.
    pub host_address: Option<IpAddr>,
    /// Limits.
    pub limits: Limits,
    /// How much it is held down, and what it has of the machine.
    pub held: Held,
    /// Folders of the project that are volumes inside. They must be there on the host.
    pub folders: Vec<VolumeFolder>,
    /// True where the settings name certificates, which the image then trusts.
    pub certificates: bool,
    /// Who the user is for git.
    pub git_name: Option<String>,
    /// The same.
    pub git_email: Option<String>,
    /// More settings for git, such as a credential helper; `inspect` shows them.
    pub git_settings: Vec<(String, String)>,
    /// More mounts than the workspace's and the volumes, in this order. A source of the host's must be there.
    pub mounts: Vec<ExtraMount>,
    /// The image has no home for the user: one is made, in memory, and goes with the container.
    pub homeless: bool,
    /// The platform, such as `linux/arm64`; `None` for the engine's own.
    pub platform: Option<String>,
    /// What the project's devcontainer asks for, as far as it may.
    pub asked: super::Asked,
    /// Volumes that stand for folders of the host, at an engine that cannot see these.
    pub stand_ins: BTreeMap<PathBuf, String>,
    /// More variables that are no secrets: `inspect` shows them.
    pub environment: Vec<(String, String)>,
    /// The agent's arguments. Never secrets.
    pub args: Vec<String>,
    /// What the engine can do.
    pub engine: Abilities,
}

/// A folder, a file or a volume that is in a container beside the usual ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraMount {
    /// What is mounted.
    pub source: MountSource,
    /// Where, absolute.
    pub target: String,
    /// Nobody inside can change it.
    pub read_only: bool,
}

/// A folder of the project that is a volume of the engine's inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeFolder {
    /// From the project's folder, with slashes.
    pub path: String,
    /// The volume's name.
    pub volume: String,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountSource {
    /// A folder or a file of the host's, absolute.
    Path(PathBuf),
    /// A volume of the engine's, by its name.
    Volume(String),
}

/// Which network a container has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Network {
    /// The host's own: everything on the user's loopback is there. No sandbox.
    #[default]
    Host,
    /// The engine's bridge: outwards only.
    Bridge,
    /// One made for this container alone, without a way out.
    Isolated,
    /// None but a loopback of its own.
    None,
}

impl Network {
    /// As the engine spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Bridge => "bridge",
            // Its own name says which.
            Self::Isolated | Self::None => "none",
        }
    }
}

/// What a container may use. `None`: no limit, or none that the engine could keep.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits {
    /// Memory in bytes, swap included.
    pub memory: Option<u64>,
    /// True where swap can be limited too.
    pub swap: bool,
    /// Processors, in thousandths.
    pub cpu_thousandths: Option<u64>,
    /// Processes.
    pub pids: Option<u64>,
    /// Shared memory in bytes.
    pub shm: u64,
}

impl Limits {
    /// What lets a real project compile and leaves the machine its share: 8 GiB, or three quarters of what there is
    /// where that is less; four processors, or what there is.
    pub fn usual(about: &About) -> Self {
        Self {
            memory: (about.limits.memory && about.memory > 0).then(|| (about.memory / 4 * 3).min(MEMORY)),
            swap: about.limits.swap,
            cpu_thousandths: (about.limits.cpu && about.cpus > 0).then(|| (about.cpus * 1000).min(CPUS)),
            pids: about.limits.pids.then_some(PIDS),
            shm: SHM,
        }
    }
}

/// What of an engine decides how a container is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Abilities {
    /// `SELinux` confines containers.
    pub selinux: bool,
    /// The engine's host network is not this machine's.
    pub other_host: bool,
    /// Whose a folder in memory is, is said by a letter.
    pub names_user_by_letter: bool,
}

impl From<&Engine> for Abilities {
    fn from(engine: &Engine) -> Self {
        let about = engine.about();
        Self {
            selinux: about.selinux,
            other_host: engine.host_network() != HostNetwork::Ours,
            names_user_by_letter: quirks::names_user_by_letter(about),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::engine::Supported;

    #[test]
    fn limits_are_asked_for_only_where_they_are_kept() {
        let all = Supported { memory: true, swap: true, cpu: true, pids: true };
        let about = About { cpus: 2, memory: 8 << 30, limits: all, ..About::default() };
        let limits = Limits::usual(&about);
        assert_eq!(
            (limits.memory, limits.cpu_thousandths, limits.pids),
            (Some(6 << 30), Some(2000), Some(PIDS)),
            "all"
        );
        let none = Limits::usual(&About { limits: Supported::default(), ..about });
        assert_eq!((none.memory, none.cpu_thousandths, none.pids), (None, None, None), "none");
    }
}
