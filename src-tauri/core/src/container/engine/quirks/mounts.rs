//! How engines are told what is mounted. It asks no engine anything, and looks at no file.

use bollard::models::{ContainerCreateBody, HostConfig, Mount};

use crate::container::engine::About;

/// Podman's API writes the parts of a mount into one line with commas between them, and reads that again. What has a
/// comma, or a quote, which is to be around a comma there, goes as a bind, which has colons.
pub(super) fn part_commas(host: &mut HostConfig) {
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

#[cfg(test)]
mod tests {
    use bollard::models::MountType;

    use super::*;
    use crate::container::engine::quirks::adapt;

    fn podman() -> About {
        About { name: "Podman 4.3.1".to_owned(), podman: true, ..About::default() }
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
            (About::default(), mounts.clone(), None),
            (podman(), vec![plain], Some(vec!["/a,\"b\":/workspace:rw".to_owned(), "a-volume:/d\"e:ro".to_owned()])),
        ] {
            let mut body = body(mounts.clone());
            assert_eq!(unspeakable(&about, &body), None, "each can be told to {}", about.name);
            adapt(&about, &mut body, "1000:1000");
            let host = body.host_config.unwrap();
            assert_eq!((host.mounts, host.binds), (Some(whole), parted), "{}", about.name);
        }
        let both = body(vec![mount("/a,b:c", "/workspace", false)]);
        assert_eq!(unspeakable(&About::default(), &both), None, "Docker takes any path");
        let refused = unspeakable(&podman(), &both).unwrap();
        assert!(refused.contains("/a,b:c") && refused.contains("/workspace"), "it is named: {refused}");
    }
}
