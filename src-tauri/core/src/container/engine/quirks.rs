//! Where engines differ, and what is done about it: all of it here, as pure functions of what an engine said of itself.
//! It asks no engine anything.

use bollard::models::{ContainerCreateBody, DeviceRequest, HostConfig, Mount, MountType, SystemInfo};

use super::{About, Supported};

/// The first Podman whose API takes graphics cards, and then by their names alone.
const TAKES_CARDS: (u32, u32) = (5, 4);
/// What the cards are called of which machines keep a description, in `/etc/cdi` or `/var/run/cdi`.
const CARDS: &str = "nvidia.com/gpu";

/// The user that the agent is in a container. `owner` is the app's own user, or where the app runs as root the
/// workspace's owner. Root in a rootless Docker's container is the user who runs the engine, and nobody else is; a
/// rootless Podman can make any id that user's.
pub fn user(about: &About, owner: (u32, u32)) -> (u32, u32) {
    if about.rootless && !about.podman { (0, 0) } else { owner }
}

/// Changes a create body into what this engine understands. `user` is the agent's, as `uid:gid`; the body's own may be
/// another, where it prepares something for the agent.
pub(crate) fn adapt(about: &About, body: &mut ContainerCreateBody, user: &str) {
    let (uid, gid) = user.split_once(':').unwrap_or((user, user));
    let host = body.host_config.get_or_insert_default();
    if about.podman && about.rootless && host.userns_mode.is_none() {
        // The user who runs the engine is the agent's user inside, whatever that one's number.
        host.userns_mode = Some(format!("keep-id:uid={uid},gid={gid}"));
        // Of all the user's groups none but the first is known inside.
        host.group_add = None;
    }
    if about.podman {
        name_cards(about, host);
        part_commas(host);
    }
}

/// Podman knows no number of cards, and passes over whatever has not the name of one.
fn name_cards(about: &About, host: &mut HostConfig) {
    let wished = host.device_requests.take().unwrap_or_default();
    if !gives_cards(about) {
        return;
    }
    let named = |request: DeviceRequest| {
        let of_cards = request.capabilities.as_ref().is_some_and(|all| all.iter().flatten().any(|one| one == "gpu"));
        if !of_cards {
            return request;
        }
        let ids = match request.count {
            Some(count) if count >= 0 => (0..count).map(|number| format!("{CARDS}={number}")).collect(),
            _ => vec![format!("{CARDS}=all")],
        };
        DeviceRequest { driver: Some("cdi".to_owned()), device_ids: Some(ids), ..DeviceRequest::default() }
    };
    if !wished.is_empty() {
        host.device_requests = Some(wished.into_iter().map(named).collect());
    }
}

/// Podman's API writes the parts of a mount into one line with commas between them, and reads that again. What has a
/// comma, or a quote, which is to be around a comma there, goes as a bind, which has colons.
fn part_commas(host: &mut HostConfig) {
    let (parted, whole): (Vec<Mount>, Vec<Mount>) =
        host.mounts.take().unwrap_or_default().into_iter().partition(|mount| has(mount, &[',', '"']));
    for mount in parted {
        let (source, target) = (mount.source.unwrap_or_default(), mount.target.unwrap_or_default());
        let mode = if mount.read_only == Some(true) { "ro" } else { "rw" };
        let no_copy = mount.volume_options.is_some_and(|options| options.no_copy == Some(true));
        let copy = if no_copy { ",nocopy" } else { "" };
        host.binds.get_or_insert_default().push(format!("{source}:{target}:{mode}{copy}"));
    }
    host.mounts = Some(whole);
}

fn has(mount: &Mount, characters: &[char]) -> bool {
    [&mount.source, &mount.target].into_iter().flatten().any(|path| path.contains(characters))
}

/// Why a mount of the body cannot be told to this engine, whatever is there.
pub(crate) fn unspeakable(about: &About, body: &ContainerCreateBody) -> Option<String> {
    let mounts = body.host_config.as_ref().and_then(|host| host.mounts.as_deref()).unwrap_or_default();
    let mount = mounts.iter().find(|mount| about.podman && has(mount, &[',', '"']) && has(mount, &[':']))?;
    let (source, target) = (mount.source.as_deref().unwrap_or_default(), mount.target.as_deref().unwrap_or_default());
    Some(format!("{source} cannot be mounted at {target}: Podman takes no path with a colon and a comma or a quote"))
}

/// True where a wish for graphics cards is heard.
pub fn gives_cards(about: &About) -> bool {
    !about.podman || version(about) >= TAKES_CARDS
}

/// What comes of a wish for graphics cards, where that is not the usual.
pub fn note_on_cards(about: &About) -> Option<String> {
    if !gives_cards(about) {
        let (major, minor) = TAKES_CARDS;
        return Some(format!("No graphics card is inside: Podman before {major}.{minor} takes no such wish"));
    }
    about.podman.then(|| {
        format!("Podman gives the cards that /etc/cdi describes as {CARDS}; nvidia-ctk cdi generate writes that")
    })
}

/// The first two numbers of its version; zeros where it does not tell.
pub(crate) fn version(about: &About) -> (u32, u32) {
    let number = about.name.rsplit(' ').next().unwrap_or_default();
    let mut numbers = number.split('.').map(|part| part.parse().unwrap_or_default());
    (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default())
}

/// Which limits the engine keeps, as it says itself, but for those of which it does not know better: as an ordinary user
/// it has no share in the older cgroups, and one that is asked for all the same is an error at each start.
pub(super) fn supported(info: &SystemInfo, rootless: bool, cgroup: &str) -> Supported {
    if rootless && cgroup == "1" {
        return Supported::default();
    }
    Supported {
        memory: info.memory_limit == Some(true),
        swap: info.swap_limit == Some(true),
        cpu: info.cpu_cfs_quota == Some(true),
        pids: info.pids_limit == Some(true),
    }
}

/// What a user should know of how this engine differs, in words.
pub fn notes(about: &About) -> Vec<String> {
    let mut notes = Vec::new();
    if about.rootless && about.cgroup == "1" {
        notes.push(
            "No limit of memory, processors or processes holds: this engine is rootless, and the system's cgroups are of \
             version 1"
                .to_owned(),
        );
    }
    notes
}

/// True where the engine tells when memory ran out. Otherwise an agent that was killed probably had too little.
pub fn tells_of_memory(about: &About) -> bool {
    !about.podman
}

/// What the engine's events call the removal of a container.
pub fn removal(about: &About) -> &'static str {
    if about.podman { "remove" } else { "destroy" }
}

/// True where a volume that is made along with a container gets the labels that are asked for.
pub(crate) fn labels_volumes(about: &About) -> bool {
    !about.podman
}

/// True where a refusal means that another container has the name: Docker says it by the status, Podman in words.
pub(crate) fn is_name_taken(status: Option<u16>, words: &str) -> bool {
    status == Some(409) || words.contains("name is already in use") || words.contains("name is in use")
}

/// A folder or a file that a body mounts and that is not there. Docker says so itself; Podman makes a folder, as root's.
pub(crate) async fn missing_source(about: &About, body: &ContainerCreateBody) -> Option<String> {
    // Elsewhere its files are those of a virtual machine, of which we know nothing.
    if !about.podman || !cfg!(target_os = "linux") {
        return None;
    }
    let mounts = body.host_config.as_ref().and_then(|host| host.mounts.as_deref()).unwrap_or_default();
    for mount in mounts.iter().filter(|mount| mount.typ == Some(MountType::BIND)) {
        let Some(source) = &mount.source else { continue };
        if tokio::fs::symlink_metadata(source).await.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            return Some(source.clone());
        }
    }
    None
}

/// Something that a create body asked for, that the engine lacks, and that an agent can do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lack {
    /// A name for the host.
    HostName,
    /// An init process: Docker's is a part of it, Podman's a package of its own.
    Init,
}

impl Lack {
    /// What the engine's words complain about, where it is one of these.
    pub(crate) fn of(words: &str) -> Option<Self> {
        let words = words.to_lowercase();
        let has = |all: &[&str]| all.iter().any(|one| words.contains(one));
        if has(&["host-gateway", "add-host", "extra host"]) {
            Some(Self::HostName)
        } else if has(&["container-init", "catatonit", "docker-init"]) {
            Some(Self::Init)
        } else {
            None
        }
    }

    /// Takes it out of the body. `None` where it is not in it; otherwise what that means, in words.
    pub(crate) fn give_in(self, body: &mut ContainerCreateBody) -> Option<&'static str> {
        let host = body.host_config.get_or_insert_default();
        match self {
            Self::HostName => host
                .extra_hosts
                .take()
                .map(|_| "host.docker.internal is not known inside: this engine is too old for it"),
            Self::Init => (host.init.take() == Some(true)).then_some(
                "The engine has no init process (for Podman: the package catatonit); the image's tini is used where it \
                 has one",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(podman: bool, rootless: bool) -> About {
        About { podman, rootless, ..About::default() }
    }

    #[test]
    fn each_kind_of_engine_has_its_own_way_to_be_the_user() {
        let owner = (1000, 1001);
        let cases = [
            (about(false, false), (1000, 1001), None),
            (about(false, true), (0, 0), None),
            (about(true, false), (1000, 1001), None),
            (about(true, true), (1000, 1001), Some("keep-id:uid=1000,gid=1001")),
        ];
        for (about, inside, mapping) in cases {
            let ids = user(&about, owner);
            let mut body = ContainerCreateBody::default();
            adapt(&about, &mut body, &format!("{}:{}", ids.0, ids.1));
            let mapped = body.host_config.and_then(|host| host.userns_mode);
            assert_eq!((ids, mapped.as_deref()), (inside, mapping), "{about:?}");
        }
    }

    fn podman(version: &str) -> About {
        About { name: format!("Podman {version}"), ..about(true, false) }
    }

    #[test]
    fn graphics_cards_have_names_at_podman() {
        let request = |count| DeviceRequest {
            count: Some(count),
            capabilities: Some(vec![vec!["gpu".to_owned()]]),
            ..DeviceRequest::default()
        };
        let named = |names: &[&str]| {
            let ids = names.iter().map(|&name| name.to_owned()).collect();
            let cdi = Some("cdi".to_owned());
            Some(vec![DeviceRequest { driver: cdi, device_ids: Some(ids), ..DeviceRequest::default() }])
        };
        let docker = || About { name: "Docker 20.10.24".to_owned(), ..about(false, false) };
        let cases = [
            (docker(), -1, Some(vec![request(-1)])),
            (docker(), 2, Some(vec![request(2)])),
            (podman("4.3.1"), -1, None),
            (podman("5.3.2"), 1, None),
            (podman("5.4.0"), -1, named(&["nvidia.com/gpu=all"])),
            (podman("6.0.0"), 2, named(&["nvidia.com/gpu=0", "nvidia.com/gpu=1"])),
        ];
        for (about, count, expected) in cases {
            let mut body = ContainerCreateBody::default();
            body.host_config.get_or_insert_default().device_requests = Some(vec![request(count)]);
            adapt(&about, &mut body, "1000:1000");
            let sent = body.host_config.and_then(|host| host.device_requests);
            assert_eq!(sent, expected, "{count} at {}", about.name);
            assert_eq!(
                sent.is_some(),
                gives_cards(&about),
                "what is not sent is known not to be given: {}",
                about.name
            );
            let note = note_on_cards(&about).unwrap_or_default();
            let words = match (about.podman, sent.is_some()) {
                (false, _) => "",
                (true, true) => "nvidia-ctk",
                (true, false) => "No graphics card is inside",
            };
            assert!(note.contains(words) && note.is_empty() == words.is_empty(), "{}: {note:?}", about.name);
        }
    }

    #[test]
    fn a_comma_in_a_path_survives_podmans_way_to_write_mounts() {
        let mount = |source: &str, target: &str, read_only| Mount {
            typ: Some(MountType::BIND),
            source: Some(source.to_owned()),
            target: Some(target.to_owned()),
            read_only: Some(read_only),
            ..Mount::default()
        };
        let body = |mounts: Vec<Mount>| {
            let mut body = ContainerCreateBody::default();
            body.host_config.get_or_insert_default().mounts = Some(mounts);
            body
        };
        let plain = mount("/a:b", "/c", false);
        let mounts = vec![mount("/a,\"b\"", "/workspace", false), plain.clone(), mount("a-volume", "/d\"e", true)];
        for (about, whole, parted) in [
            (about(false, false), mounts.clone(), None),
            (
                podman("4.3.1"),
                vec![plain],
                Some(vec!["/a,\"b\":/workspace:rw".to_owned(), "a-volume:/d\"e:ro".to_owned()]),
            ),
        ] {
            let mut body = body(mounts.clone());
            assert_eq!(unspeakable(&about, &body), None, "each can be told to {}", about.name);
            adapt(&about, &mut body, "1000:1000");
            let host = body.host_config.unwrap();
            assert_eq!((host.mounts, host.binds), (Some(whole), parted), "{}", about.name);
        }
        let both = body(vec![mount("/a,b:c", "/workspace", false)]);
        assert_eq!(unspeakable(&about(false, false), &both), None, "Docker takes any path");
        let refused = unspeakable(&podman("4.3.1"), &both).unwrap();
        assert!(refused.contains("/a,b:c") && refused.contains("/workspace"), "it is named: {refused}");
    }

    #[test]
    fn limits_are_asked_for_only_where_they_hold() {
        let info = SystemInfo {
            memory_limit: Some(true),
            swap_limit: Some(true),
            cpu_cfs_quota: Some(true),
            pids_limit: Some(true),
            ..SystemInfo::default()
        };
        let all = Supported { memory: true, swap: true, cpu: true, pids: true };
        for (rootless, cgroup, expected) in
            [(false, "1", all), (false, "2", all), (true, "2", all), (true, "1", Supported::default())]
        {
            assert_eq!(supported(&info, rootless, cgroup), expected, "rootless {rootless}, version {cgroup}");
            let about = About { rootless, cgroup: cgroup.to_owned(), ..About::default() };
            assert_eq!(notes(&about).is_empty(), expected == all, "and what does not hold is told");
        }
    }

    #[test]
    fn a_name_that_is_taken_is_known_by_each_engines_words() {
        let podman = "creating container storage: the container name \"x\" is already in use by 26cb. You have to remove \
                      that container to be able to reuse that name: that name is already in use";
        for (status, words, taken) in [(409, "Conflict", true), (500, podman, true), (500, "no space left", false)] {
            assert_eq!(is_name_taken(Some(status), words), taken, "{status} {words}");
        }
    }

    #[test]
    fn what_an_engine_lacks_is_left_out_once() {
        for (words, lack) in [
            ("container-init binary not found on the host: stat /usr/libexec/podman/catatonit", Some(Lack::Init)),
            ("invalid IP address in add-host: \"host-gateway\"", Some(Lack::HostName)),
            ("no space left on device", None),
        ] {
            assert_eq!(Lack::of(words), lack, "{words}");
        }
        let mut body = ContainerCreateBody::default();
        body.host_config.get_or_insert_default().init = Some(true);
        assert!(Lack::Init.give_in(&mut body).is_some(), "it was asked for");
        assert_eq!(Lack::Init.give_in(&mut body), None, "and is not any more, so that nothing is tried for ever");
    }
}
