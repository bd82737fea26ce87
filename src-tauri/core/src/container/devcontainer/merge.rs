//! Several sources of properties put together: the parts of an image's label in their order, and the project's own file
//! last. The rules are the specification's.

use super::lifecycle::INSIDE;
use super::mounts::Mounted;
use super::properties::Properties;

/// Puts them together; the later one counts where only one can.
pub fn all(sources: impl IntoIterator<Item = Properties>) -> Properties {
    let mut merged = sources.into_iter().fold(Properties::default(), two);
    // Each stage's commands together, in the order of their sources.
    merged.commands.sort_by_key(|(stage, _)| INSIDE.iter().position(|known| known == stage));
    merged
}

fn two(below: Properties, above: Properties) -> Properties {
    Properties {
        image: above.image.or(below.image),
        build: above.build.or(below.build),
        workspace_folder: above.workspace_folder.or(below.workspace_folder),
        workspace_mount: above.workspace_mount.or(below.workspace_mount),
        container_env: below.container_env.into_iter().chain(above.container_env).collect(),
        remote_env: below.remote_env.into_iter().chain(above.remote_env).collect(),
        container_user: above.container_user.or(below.container_user),
        remote_user: above.remote_user.or(below.remote_user),
        update_remote_user_uid: above.update_remote_user_uid.or(below.update_remote_user_uid),
        initialize: above.initialize.or(below.initialize),
        commands: below.commands.into_iter().chain(above.commands).collect(),
        mounts: mounts(below.mounts, above.mounts),
        init: below.init || above.init,
        privileged: below.privileged || above.privileged,
        cap_add: union(below.cap_add, above.cap_add),
        security_opt: union(below.security_opt, above.security_opt),
        devices: union(below.devices, above.devices),
        add_hosts: union(below.add_hosts, above.add_hosts),
        wishes: above.wishes.over(&below.wishes),
        local: below.local.into_iter().chain(above.local).collect(),
        not_applied: union(below.not_applied, above.not_applied),
    }
}

/// One at each place: the later one.
fn mounts(below: Vec<Mounted>, above: Vec<Mounted>) -> Vec<Mounted> {
    let mut all: Vec<Mounted> = Vec::new();
    for mount in below.into_iter().chain(above) {
        all.retain(|known| known.target != mount.target);
        all.push(mount);
    }
    all
}

fn union(below: Vec<String>, above: Vec<String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for one in below.into_iter().chain(above) {
        if !all.contains(&one) {
            all.push(one);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;
    use crate::container::devcontainer::lifecycle::Stage;
    use crate::container::devcontainer::variables::Variables;
    use crate::environment::Environment;

    fn read(value: &Value) -> Properties {
        let variables = Variables::new(Path::new("/p"), &Environment::of([]));
        Properties::read(value.as_object().unwrap(), Path::new("/p"), &variables).unwrap()
    }

    type Case = (&'static str, Value, Value, fn(&Properties) -> bool);

    #[test]
    fn each_property_has_its_rule() {
        let cases: &[Case] = &[
            ("users: the last", json!({"remoteUser": "a", "containerUser": "c"}), json!({"remoteUser": "b"}), |all| {
                all.remote_user.as_deref() == Some("b") && all.container_user.as_deref() == Some("c")
            }),
            (
                "a variable: the last, one by one",
                json!({"containerEnv": {"A": "1", "B": "1"}}),
                json!({"containerEnv": {"A": "2"}}),
                |all| all.container_env["A"].text == "2" && all.container_env["B"].text == "1",
            ),
            ("one that is taken away", json!({"remoteEnv": {"A": "1"}}), json!({"remoteEnv": {"A": null}}), |all| {
                all.remote_env["A"].is_none()
            }),
            (
                "flags: where anybody wants them",
                json!({"init": true, "privileged": true}),
                json!({"init": false}),
                |all| all.init && all.privileged,
            ),
            (
                "lists: all, once",
                json!({"capAdd": ["A", "B"], "securityOpt": ["x"]}),
                json!({"capAdd": ["B", "C"]}),
                |all| all.cap_add == ["A", "B", "C"] && all.security_opt == ["x"],
            ),
            (
                "mounts: all, the last at each place",
                json!({"mounts": ["source=a,target=/x", "source=b,target=/y"]}),
                json!({"mounts": ["source=c,target=/x"]}),
                |all| {
                    let words: Vec<_> = all.mounts.iter().map(Mounted::in_words).collect();
                    words == ["the volume b → /y", "the volume c → /x"]
                },
            ),
            (
                "commands: all, stage by stage",
                json!({"postStartCommand": "a", "onCreateCommand": "b"}),
                json!({"onCreateCommand": "c"}),
                |all| {
                    let told: Vec<_> =
                        all.commands.iter().map(|(stage, command)| (*stage, command.in_words())).collect();
                    told == [
                        (Stage::OnCreate, "b".to_owned()),
                        (Stage::OnCreate, "c".to_owned()),
                        (Stage::PostStart, "a".to_owned()),
                    ]
                },
            ),
            (
                "limits: the last",
                json!({"runArgs": ["--cpus=1", "--memory=1g"]}),
                json!({"runArgs": ["--cpus=2"]}),
                |all| all.wishes.cpus == Some(2.0) && all.wishes.memory_mb == Some(1024),
            ),
            ("what is not done: all", json!({"customizations": {}}), json!({"forwardPorts": []}), |all| {
                all.not_applied == ["customizations", "forwardPorts"]
            }),
        ];
        for (what, below, above, expected) in cases {
            let merged = all([read(below), read(above)]);
            assert!(expected(&merged), "{what}: {merged:#?}");
        }
    }
}
