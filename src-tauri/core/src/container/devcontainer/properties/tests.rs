//! Each property of the specification's table, with what becomes of it.

use serde_json::json;

use super::*;
use crate::container::devcontainer::mounts::Source;
use crate::environment::Environment;
use crate::settings::container::NetworkChoice;

fn read(value: &Value) -> Result<Properties, String> {
    let environment = Environment::of([("TOKEN", "secret"), ("HOME", "/home/user")]);
    let variables = Variables::new(Path::new("/home/user/project"), &environment);
    Properties::read(value.as_object().unwrap(), Path::new("/home/user/project/.devcontainer"), &variables)
}

type Case = (&'static str, Value, fn(&Properties) -> bool);

#[test]
fn each_property_is_read() {
    let cases: &[Case] = &[
        ("an image", json!({"image": "debian:12"}), |all| all.image.as_deref() == Some("debian:12")),
        ("a build", json!({"build": {"dockerfile": "D"}}), |all| {
            all.build.as_ref().unwrap().dockerfile == Path::new("/home/user/project/.devcontainer/D")
        }),
        ("its old spelling", json!({"dockerFile": "D", "context": ".."}), |all| {
            all.build.as_ref().unwrap().context == Path::new("/home/user/project")
        }),
        ("the folder inside", json!({"workspaceFolder": "/w/${localWorkspaceFolderBasename}"}), |all| {
            all.workspace_folder.as_deref() == Some("/w/project")
        }),
        (
            "how it comes there",
            json!({"workspaceMount": "source=${localWorkspaceFolder},target=/w,type=bind"}),
            |all| all.workspace_mount.as_ref().unwrap().source == Source::Path("/home/user/project".to_owned()),
        ),
        ("a variable of the container", json!({"containerEnv": {"A": "b", "N": 1}}), |all| {
            all.container_env["A"].text == "b" && !all.container_env["A"].private && all.container_env["N"].text == "1"
        }),
        ("one of this machine's", json!({"containerEnv": {"A": "x${localEnv:TOKEN}"}}), |all| {
            all.container_env["A"] == Private { text: "xsecret".to_owned(), private: true }
                && all.local.contains("TOKEN")
        }),
        ("a variable of the agent", json!({"remoteEnv": {"A": "${containerEnv:B}", "C": null}}), |all| {
            all.remote_env["A"].as_deref() == Some("${containerEnv:B}") && all.remote_env["C"].is_none()
        }),
        ("users", json!({"containerUser": "a", "remoteUser": "b", "updateRemoteUserUID": false}), |all| {
            all.container_user.as_deref() == Some("a")
                && all.remote_user.as_deref() == Some("b")
                && all.update_remote_user_uid == Some(false)
        }),
        ("the command here", json!({"initializeCommand": "a"}), |all| {
            all.initialize.is_some() && all.commands.is_empty()
        }),
        (
            "the commands inside",
            json!({"onCreateCommand": "a", "updateContentCommand": ["b"], "postCreateCommand": {"c": "d"},
                   "postStartCommand": "e", "postAttachCommand": "f"}),
            |all| all.commands.len() == 5 && all.initialize.is_none(),
        ),
        (
            "mounts",
            json!({"mounts": ["source=a,target=/b,type=volume", {"type": "bind", "source": "/c", "target": "/d"}]}),
            |all| all.mounts.len() == 2,
        ),
        ("an init process", json!({"init": true}), |all| all.init),
        ("everything", json!({"privileged": true}), |all| all.privileged),
        ("capabilities", json!({"capAdd": ["SYS_PTRACE"]}), |all| all.cap_add == ["SYS_PTRACE"]),
        ("security options", json!({"securityOpt": ["seccomp=unconfined"]}), |all| {
            all.security_opt == ["seccomp=unconfined"]
        }),
        ("arguments", json!({"runArgs": ["--network=bridge", "--cap-add", "NET_ADMIN"]}), |all| {
            all.wishes.network == Some(NetworkChoice::Bridge) && all.cap_add == ["NET_ADMIN"]
        }),
        ("names", json!({"name": "n", "$schema": "s"}), |all| *all == Properties::default()),
        ("overrideCommand as it always is", json!({"overrideCommand": true}), |all| *all == Properties::default()),
    ];
    for (what, value, expected) in cases {
        let all = read(value).unwrap_or_else(|error| panic!("{what} is read: {error}"));
        assert!(expected(&all), "{what} is understood: {all:#?}");
        assert_eq!(all.not_applied, Vec::<String>::new(), "{what} is applied");
    }
}

#[test]
fn what_gemra_does_not_do_is_told_and_never_dropped() {
    let cases = [
        (json!({"features": {"ghcr.io/a/b:1": {}}}), "features: ghcr.io/a/b:1"),
        (json!({"overrideCommand": false}), "overrideCommand: the agent is the container's command"),
        (
            json!({"waitFor": "onCreateCommand"}),
            "waitFor: onCreateCommand: all commands have ended before the agent begins",
        ),
        (json!({"build": {"dockerfile": "d", "options": ["--pull"]}}), "build.options: [\"--pull\"]"),
        (json!({"build": {"dockerfile": "d", "cacheFrom": "x"}}), "build.cacheFrom: \"x\""),
        (json!({"runArgs": ["--hostname", "a"]}), "runArgs: --hostname a"),
        (
            json!({"runArgs": ["--network=none"]}),
            "runArgs: --network none: isolated instead, because the agent has to reach its model",
        ),
        (json!({"containerEnv": {"HOME": "/x"}}), "HOME: Gemra sets it"),
        (json!({"remoteEnv": {"CLAUDE_CONFIG_DIR": "/x"}}), "CLAUDE_CONFIG_DIR: Gemra sets it"),
        (json!({"fromTheFuture": 1}), "fromTheFuture: Gemra does not know it"),
        (json!({"customizations": {}}), "customizations"),
        (json!({"forwardPorts": [1]}), "forwardPorts"),
        (json!({"hostRequirements": {}}), "hostRequirements"),
        (json!({"userEnvProbe": "none"}), "userEnvProbe"),
        (json!({"shutdownAction": "none"}), "shutdownAction"),
    ];
    for (value, told) in cases {
        assert_eq!(read(&value).unwrap().not_applied, [told], "{value}");
    }
}

#[test]
fn what_came_from_this_machine_is_not_printed() {
    let all = read(&json!({"containerEnv": {"A": "${localEnv:TOKEN}"}})).unwrap();
    assert!(!format!("{all:?}").contains("secret"), "Debug ends up in logs");
}

#[test]
fn values_of_the_wrong_kind_name_their_property() {
    for (key, value) in [
        ("init", json!("yes")),
        ("capAdd", json!("A")),
        ("runArgs", json!([1])),
        ("mounts", json!({})),
        ("build", json!("x")),
        ("workspaceFolder", json!("relative")),
        ("remoteEnv", json!([])),
        ("features", json!(["a"])),
        ("remoteUser", json!(null)),
    ] {
        let error = read(&json!({ key: value })).unwrap_err();
        assert!(error.starts_with(key), "{key} is named: {error}");
    }
}
