//! From the user's wishes to what a container is asked for beside the usual: limits, powers, places that cannot be
//! changed, graphics cards. Pure: it knows the engine by what that says of itself, and asks nobody.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{DeviceRequest, HostConfig, ResourcesUlimits};

use super::{Limits, Wish};
use crate::container::engine::About;
use crate::settings::container::{Preset, Wishes};

/// What Docker leaves to a container's root by default, without the raw network: `sudo` and `apt` need most of it.
const OF_ROOT: &[&str] = &[
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
/// Where programs write that have no folder of their own, and with which rights.
const SCRATCH: &[(&str, &str)] = &[("/tmp", "1777"), ("/run", "755"), ("/var/tmp", "1777")];

/// How much a container is held down, and what it has of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Held {
    /// Which powers are left to it.
    pub preset: Preset,
    /// The image's own folders cannot be changed.
    pub read_only_system: bool,
    /// The project cannot be changed.
    pub read_only_workspace: bool,
    /// How many files a process may have open.
    pub open_files: Option<u32>,
    /// Graphics cards.
    pub gpus: Option<Gpus>,
    /// How long the engine may take to start it, where not the usual time.
    pub start: Option<Duration>,
}

/// Graphics cards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gpus {
    /// All that there are.
    All,
    /// So many.
    Count(u16),
}

impl Gpus {
    /// Reads `all` or a number; `None` for anything else but nothing, which is `Some(None)`.
    pub fn read(text: &str) -> Option<Option<Self>> {
        match text.trim() {
            "" => Some(None),
            "all" => Some(Some(Self::All)),
            number => number.parse().ok().filter(|count| *count > 0).map(|count| Some(Self::Count(count))),
        }
    }
}

impl Held {
    /// What the wishes come to.
    pub fn of(wishes: &Wishes) -> Self {
        Self {
            preset: wishes.preset.unwrap_or_default(),
            read_only_system: wishes.read_only_system.unwrap_or_default(),
            read_only_workspace: wishes.read_only_workspace.unwrap_or_default(),
            open_files: wishes.open_files,
            gpus: wishes.gpus.as_deref().and_then(Gpus::read).flatten(),
            start: wishes.start_seconds.map(|seconds| Duration::from_secs(seconds.into())),
        }
    }

    /// What is in effect, for the details of the button: names and values.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let security = match self.preset {
            Preset::Hardened => "hardened: no capabilities, and nothing inside can gain any",
            Preset::WithSudo => {
                "with sudo: the agent can become root inside, with the capabilities that sudo and apt need; \
                 the container alone holds it then"
            }
        };
        let mut facts = vec![("Security", security.to_owned())];
        let mut fixed = Vec::new();
        if self.read_only_system {
            fixed.push("the image's folders; /tmp and the home are in memory, and gone with the container");
        }
        if self.read_only_workspace {
            fixed.push("the project");
        }
        if !fixed.is_empty() {
            facts.push(("Read-only", fixed.join("\n")));
        }
        if let Some(gpus) = self.gpus {
            let words = match gpus {
                Gpus::All => "all".to_owned(),
                Gpus::Count(count) => count.to_string(),
            };
            facts.push(("Graphics cards", words));
        }
        facts
    }
}

/// The limits: what is wished where the engine can keep it, else the usual ones. And what it cannot keep, in words.
pub fn limits(wishes: &Wishes, about: &About) -> (Limits, Vec<String>) {
    let usual = Limits::usual(about);
    let mut notes = Vec::new();
    let mut keep = |wished: Option<u64>, can: bool, usual: Option<u64>, what: &str| {
        if wished.is_some() && !can {
            notes.push(format!("{what} is not limited: this engine cannot keep such a limit"));
        }
        if can { wished.or(usual) } else { None }
    };
    let supported = about.limits;
    let memory = keep(wishes.memory_mb.map(mebibytes), supported.memory, usual.memory, "Memory");
    let asked = wishes.cpus.map(thousandths);
    let cpus = keep(asked, supported.cpu, usual.cpu_thousandths, "Processor time");
    let pids = keep(wishes.pids.map(u64::from), supported.pids, usual.pids, "The number of processes");
    // An engine refuses more than there are.
    let there = about.cpus.saturating_mul(1000);
    let cpu_thousandths = cpus.map(|cpus| if there > 0 { cpus.min(there) } else { cpus });
    if cpu_thousandths < cpus {
        notes.push(format!("The container has {} processors: the engine has no more", about.cpus));
    }
    let shm = wishes.shm_mb.map_or(usual.shm, mebibytes);
    (Limits { memory, cpu_thousandths, pids, shm, ..usual }, notes)
}

/// The limits in words.
pub fn limits_in_words(limits: &Limits, held: &Held) -> String {
    let mut said = Vec::new();
    if let Some(memory) = limits.memory {
        said.push(format!("{} MB of memory", memory / (1024 * 1024)));
    }
    if let Some(cpus) = limits.cpu_thousandths {
        let (whole, part) = (cpus / 1000, cpus % 1000);
        let part = format!("{part:03}");
        let part = part.trim_end_matches('0');
        let number = if part.is_empty() { whole.to_string() } else { format!("{whole}.{part}") };
        said.push(format!("{number} processor{}", if cpus == 1000 { "" } else { "s" }));
    }
    if let Some(pids) = limits.pids {
        said.push(format!("{pids} processes"));
    }
    if let Some(files) = held.open_files {
        said.push(format!("{files} open files"));
    }
    if said.is_empty() { "none that this engine can keep".to_owned() } else { said.join(", ") }
}

/// Writes what is wished into the create body.
pub(super) fn apply(wish: &Wish, home: &str, host: &mut HostConfig) {
    let held = &wish.held;
    host.cap_drop = Some(vec!["ALL".to_owned()]);
    if held.preset == Preset::WithSudo {
        host.cap_add = Some(OF_ROOT.iter().map(|&name| name.to_owned()).collect());
    }
    let mut security = Vec::new();
    if held.preset == Preset::Hardened {
        security.push("no-new-privileges".to_owned());
    }
    if wish.engine.selinux {
        // The other way is to relabel the user's own files for good.
        security.push("label=disable".to_owned());
    }
    host.security_opt = Some(security);
    if held.read_only_system {
        host.readonly_rootfs = Some(true);
        host.tmpfs.get_or_insert_default().extend(scratch(wish, home));
    }
    if let Some(files) = held.open_files.map(i64::from) {
        let limit = ResourcesUlimits { name: Some("nofile".to_owned()), soft: Some(files), hard: Some(files) };
        host.ulimits = Some(vec![limit]);
    }
    if let Some(gpus) = held.gpus {
        let count = match gpus {
            Gpus::All => -1,
            Gpus::Count(count) => i64::from(count),
        };
        host.device_requests = Some(vec![DeviceRequest {
            count: Some(count),
            capabilities: Some(vec![vec!["gpu".to_owned()]]),
            ..DeviceRequest::default()
        }]);
    }
}

/// Folders in memory, for what programs write beside the project. The home belongs to the agent's user.
fn scratch(wish: &Wish, home: &str) -> HashMap<String, String> {
    let mut all: HashMap<String, String> =
        SCRATCH.iter().map(|(path, mode)| ((*path).to_owned(), format!("rw,exec,nosuid,nodev,mode={mode}"))).collect();
    all.insert(home.to_owned(), format!("rw,exec,nosuid,nodev,{}", of_the_user(wish)));
    all
}

/// The rights of a folder in memory that belongs to the agent's user. Podman takes no ids, but a letter that means the
/// container's own user. The owner has to be right: runtimes give it the mode of the folder that is there already.
pub(super) fn of_the_user(wish: &Wish) -> String {
    let whose = if wish.engine.podman { "U".to_owned() } else { format!("uid={},gid={}", wish.uid, wish.gid) };
    format!("{whose},mode=755")
}

fn mebibytes(number: u32) -> u64 {
    u64::from(number) * 1024 * 1024
}

/// A number of processors in thousandths. What is no number, or none that a machine has, is the least or the most.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates, which is what is wanted here.
fn thousandths(cpus: f64) -> u64 {
    ((cpus * 1000.0).round() as u64).max(10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::engine::Supported;
    use crate::container::spec::{MountSource, plan};

    fn about() -> About {
        let limits = Supported { memory: true, swap: true, cpu: true, pids: true };
        About { cpus: 2, memory: 16 << 30, limits, ..About::default() }
    }

    fn host(held: Held) -> HostConfig {
        let wish = Wish {
            workspace: "/home/me/project".into(),
            session_bucket: "/home/me/bucket".into(),
            uid: 1000,
            gid: 1001,
            held,
            ..Wish::default()
        };
        plan(&wish).unwrap().body.host_config.unwrap()
    }

    type Case = (&'static str, Wishes, fn(&HostConfig) -> bool);

    #[test]
    fn every_wish_is_in_the_create_body() {
        let cases: &[Case] = &[
            ("nothing", Wishes::default(), |host| {
                host.cap_add.is_none()
                    && host.security_opt.as_deref() == Some(&["no-new-privileges".to_owned()])
                    && host.readonly_rootfs.is_none()
                    && host.tmpfs.is_none()
                    && host.ulimits.is_none()
                    && host.device_requests.is_none()
            }),
            ("sudo", Wishes { preset: Some(Preset::WithSudo), ..Wishes::default() }, |host| {
                host.cap_drop.as_deref() == Some(&["ALL".to_owned()])
                    && host.cap_add.as_ref().is_some_and(|all| all.contains(&"SETUID".to_owned()) && all.len() == 13)
                    && host.security_opt.as_deref() == Some(&[])
            }),
            ("a fixed system", Wishes { read_only_system: Some(true), ..Wishes::default() }, |host| {
                let tmpfs = host.tmpfs.clone().unwrap_or_default();
                host.readonly_rootfs == Some(true)
                    && tmpfs.len() == 4
                    && tmpfs["/tmp"].contains("mode=1777")
                    && tmpfs["/home/node"].contains("uid=1000,gid=1001,mode=755")
            }),
            ("open files", Wishes { open_files: Some(5000), ..Wishes::default() }, |host| {
                let limits = host.ulimits.as_deref().unwrap_or_default();
                limits.len() == 1 && limits[0].soft == Some(5000) && limits[0].hard == Some(5000)
            }),
            ("all cards", Wishes { gpus: Some("all".to_owned()), ..Wishes::default() }, |host| {
                let asked = host.device_requests.as_deref().unwrap_or_default();
                asked.len() == 1
                    && asked[0].count == Some(-1)
                    && asked[0].capabilities == Some(vec![vec!["gpu".to_owned()]])
            }),
            ("two cards", Wishes { gpus: Some("2".to_owned()), ..Wishes::default() }, |host| {
                host.device_requests.as_ref().is_some_and(|asked| asked[0].count == Some(2))
            }),
            ("no card", Wishes { gpus: Some(String::new()), ..Wishes::default() }, |host| {
                host.device_requests.is_none()
            }),
        ];
        for (what, wishes, is_there) in cases {
            let host = host(Held::of(wishes));
            assert!(is_there(&host), "{what} reaches the body: {host:#?}");
        }
    }

    #[test]
    fn a_project_that_cannot_be_changed_is_so_at_both_its_paths() {
        let mounts = host(Held { read_only_workspace: true, ..Held::default() }).mounts.unwrap();
        for mount in mounts {
            let project = mount.source.as_deref() == Some("/home/me/project");
            assert_eq!(mount.read_only, Some(project), "{:?}", mount.target);
        }
    }

    #[test]
    fn podman_says_in_its_own_way_whose_a_folder_in_memory_is() {
        let mut wish = Wish { uid: 7, ..Wish::default() };
        wish.engine.podman = true;
        assert!(scratch(&wish, "/home/node")["/home/node"].ends_with(",U,mode=755"), "the container's user's");
        assert!(wish.mounts.iter().all(|mount| matches!(mount.source, MountSource::Path(_))), "and nothing is mounted");
    }

    #[test]
    fn limits_are_the_wished_ones_as_far_as_the_engine_can_keep_them() {
        let none = Wishes::default();
        let (usual, notes) = limits(&none, &about());
        assert_eq!((usual.memory, usual.cpu_thousandths), (Some(8 << 30), Some(2000)), "8 GiB, and what there is");
        assert!(notes.is_empty(), "nothing is otherwise: {notes:?}");
        let large = About { cpus: 64, memory: 8 << 30, ..about() };
        let (usual, _) = limits(&none, &large);
        assert_eq!((usual.memory, usual.cpu_thousandths), (Some(6 << 30), Some(4000)), "three quarters, and four");

        let wishes =
            Wishes { cpus: Some(1.5), memory_mb: Some(512), pids: Some(321), shm_mb: Some(64), ..Wishes::default() };
        let (asked, notes) = limits(&wishes, &about());
        assert_eq!(
            (asked.memory, asked.cpu_thousandths, asked.pids, asked.shm),
            (Some(512 << 20), Some(1500), Some(321), 64 << 20),
            "as wished"
        );
        assert!(notes.is_empty(), "and nothing else: {notes:?}");

        let many = Wishes { cpus: Some(8.0), ..Wishes::default() };
        let (there, notes) = limits(&many, &about());
        assert_eq!(there.cpu_thousandths, Some(2000), "no engine gives more than it has");
        assert!(notes.len() == 1 && notes[0].contains("2 processors"), "which is told: {notes:?}");

        let unable = About { limits: Supported::default(), ..about() };
        let (kept, notes) = limits(&wishes, &unable);
        assert_eq!((kept.memory, kept.cpu_thousandths, kept.pids), (None, None, None), "an engine that keeps none");
        assert_eq!(notes.len(), 3, "each is told: {notes:?}");
    }

    #[test]
    fn limits_are_told_in_words() {
        let said = |thousandths| {
            let limits = Limits { cpu_thousandths: Some(thousandths), ..Limits::default() };
            limits_in_words(&limits, &Held { open_files: Some(99), ..Held::default() })
        };
        assert_eq!(said(1500), "1.5 processors, 99 open files", "a part");
        assert_eq!(said(1000), "1 processor, 99 open files", "one");
        assert_eq!(said(50), "0.05 processors, 99 open files", "little");
        assert_eq!(limits_in_words(&Limits::default(), &Held::default()), "none that this engine can keep", "none");
    }

    #[test]
    fn graphics_cards_are_all_or_a_number() {
        let cases = [
            ("", Some(None)),
            (" all ", Some(Some(Gpus::All))),
            ("3", Some(Some(Gpus::Count(3)))),
            ("0", None),
            ("-1", None),
            ("some", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Gpus::read(text), expected, "{text:?}");
        }
    }
}
