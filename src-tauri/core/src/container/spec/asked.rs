//! What a project's devcontainer asks of the engine beyond what every container has. Whether it may is decided before.

use std::collections::HashMap;

use bollard::models::{DeviceMapping, HostConfig};

use super::Volume;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// Everything of this machine.
    pub privileged: bool,
    /// Capabilities.
    pub cap_add: Vec<String>,
    /// Security options.
    pub security_opt: Vec<String>,
    /// Devices: `/dev/a`, `/dev/a:/dev/b` or `/dev/a:/dev/b:rwm`.
    pub devices: Vec<String>,
    /// Names of hosts, as `name:address`.
    pub hosts: Vec<String>,
    /// Folders in memory.
    pub memory: Vec<String>,
    /// Volumes by name, and where they are mounted.
    pub volumes: Vec<(String, String)>,
}

impl Asked {
    /// Grants it.
    pub(super) fn apply(&self, host: &mut HostConfig) {
        if self.privileged {
            host.privileged = Some(true);
        }
        if !self.cap_add.is_empty() {
            host.cap_add.get_or_insert_default().extend(self.cap_add.iter().cloned());
        }
        let security = host.security_opt.get_or_insert_default();
        for option in &self.security_opt {
            // The file's word on an option replaces ours, since the engine refuses to hear two.
            let name = |option: &str| option.split([':', '=']).next().unwrap_or_default().to_owned();
            security.retain(|known| name(known) != name(option) || name(option) == "label");
            security.push(option.clone());
        }
        if !self.devices.is_empty() {
            host.devices.get_or_insert_default().extend(self.devices.iter().map(|device| mapping(device)));
        }
        if !self.hosts.is_empty() {
            host.extra_hosts.get_or_insert_default().extend(self.hosts.iter().cloned());
        }
        if !self.memory.is_empty() {
            let tmpfs = host.tmpfs.get_or_insert_default();
            tmpfs.extend(self.memory.iter().map(|folder| (folder.clone(), String::new())));
        }
    }

    /// The volumes, to be made where they are missing, and given to the agent's user then.
    pub(super) fn volumes(&self) -> impl Iterator<Item = Volume> {
        self.volumes.iter().map(|(name, target)| Volume {
            name: name.clone(),
            target: target.clone(),
            folders: Vec::new(),
            labels: HashMap::new(),
        })
    }
}

fn mapping(device: &str) -> DeviceMapping {
    let mut parts = device.splitn(3, ':');
    let host = parts.next().unwrap_or_default().to_owned();
    let inside = parts.next().unwrap_or(&host).to_owned();
    DeviceMapping {
        path_on_host: Some(host.clone()),
        path_in_container: Some(inside),
        cgroup_permissions: Some(parts.next().unwrap_or("rwm").to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(asked: &Asked) -> HostConfig {
        let mut host = HostConfig {
            security_opt: Some(vec!["no-new-privileges".to_owned(), "label=disable".to_owned()]),
            extra_hosts: Some(vec!["host.docker.internal:127.0.0.1".to_owned()]),
            ..HostConfig::default()
        };
        asked.apply(&mut host);
        host
    }

    #[test]
    fn nothing_asked_changes_nothing() {
        let host = applied(&Asked::default());
        assert_eq!((host.privileged, host.cap_add, host.devices, host.tmpfs), (None, None, None, None), "as it was");
        assert_eq!(host.security_opt.unwrap().len(), 2, "options too");
    }

    #[test]
    fn what_is_asked_is_added_to_what_there_is() {
        let texts = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
        let host = applied(&Asked {
            privileged: true,
            cap_add: texts(&["SYS_PTRACE"]),
            security_opt: texts(&["seccomp=unconfined", "no-new-privileges:false", "label=type:x"]),
            devices: texts(&["/dev/fuse", "/dev/a:/dev/b", "/dev/c:/dev/d:r"]),
            hosts: texts(&["box:10.0.0.1"]),
            memory: texts(&["/scratch"]),
            volumes: vec![],
        });
        assert_eq!(host.privileged, Some(true), "everything");
        assert_eq!(host.cap_add.unwrap(), ["SYS_PTRACE"], "capabilities");
        assert_eq!(
            host.security_opt.unwrap(),
            ["label=disable", "seccomp=unconfined", "no-new-privileges:false", "label=type:x"],
            "an option is said once, and labels have several parts"
        );
        let devices: Vec<String> = host
            .devices
            .unwrap()
            .into_iter()
            .map(|one| [one.path_on_host, one.path_in_container, one.cgroup_permissions].map(Option::unwrap).join(" "))
            .collect();
        assert_eq!(devices, ["/dev/fuse /dev/fuse rwm", "/dev/a /dev/b rwm", "/dev/c /dev/d r"], "devices");
        assert_eq!(host.extra_hosts.unwrap(), ["host.docker.internal:127.0.0.1", "box:10.0.0.1"], "names");
        assert!(host.tmpfs.unwrap().contains_key("/scratch"), "memory");
    }

    #[test]
    fn volumes_are_prepared_like_our_own() {
        let asked = Asked { volumes: vec![("name".to_owned(), "/data".to_owned())], ..Asked::default() };
        let all: Vec<Volume> = asked.volumes().collect();
        assert_eq!((all[0].name.as_str(), all[0].target.as_str()), ("name", "/data"), "the engine's own");
    }
}
