//! Where engines differ, and what is done about it: all of it here and in the rooms below, as pure functions of what an
//! engine said of itself. It asks no engine anything.

mod cards;
mod container;
mod mounts;
mod network;

use bollard::models::{ContainerCreateBody, MountType, SystemInfo};

use super::{About, Supported};
pub use cards::{gives_cards, note_on_cards};
pub use container::is_rootless;
pub(super) use container::says_otherwise_that_it_is_rootless;
pub(crate) use container::{
    brings_ssh_agent, has_one_builder, knows_groups, names_unknown_states, names_user_by_letter,
    prefers_logins_of_podman,
};
pub(crate) use mounts::unspeakable;
pub use network::{HostNetwork, host_network};
pub(crate) use network::{has_gateways, has_internal_gateways, usual_network};
pub(super) use network::{is_virtual, kernel};

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
        cards::name_cards(about, host);
        mounts::part_commas(host);
    }
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
