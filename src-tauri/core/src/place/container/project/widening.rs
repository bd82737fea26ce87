//! What of a devcontainer's properties would widen the sandbox, in words, and what is left of them without it. Who is
//! asked about it is not known here.

use std::path::Path;

use crate::container::devcontainer::Properties;
use crate::container::devcontainer::mounts::Source as Mount;
use crate::trust::Widening;

/// Variables by which an agent is directed to another model, or made to run something else.
const DIRECTING: &[&str] = &["ANTHROPIC_", "CLAUDE_", "AWS_", "GOOGLE_", "NODE_", "LD_", "GIT_"];

/// What of a devcontainer's properties would widen the sandbox. What only runs inside, as the agent's user, is not
/// among it: it reaches nothing that the project's own Dockerfile, which makes the agent's very program, does not.
pub(in super::super) fn widening(properties: &Properties, file: &str, workspace: &Path) -> Vec<Widening> {
    let mut items = Vec::new();
    let mut add = |key: &str, value: String| {
        items.push(Widening { key: key.to_owned(), value, file: file.to_owned(), text: None });
    };
    if let Some(command) = &properties.initialize {
        add("initializeCommand", format!("runs on this machine: {}", command.in_words()));
    }
    if let Some(image) = &properties.image {
        add("image", image.clone());
    }
    if let Some(folder) = outside(properties, workspace) {
        add("build.context", format!("the build may copy everything in {folder}, which is outside of the project"));
    }
    for mount in &properties.mounts {
        if mount.source != Mount::Memory {
            add("mounts", mount.in_words());
        }
    }
    if let Some(mount) = &properties.workspace_mount
        && mount.source != Mount::Path(workspace.display().to_string())
    {
        add("workspaceMount", mount.in_words());
    }
    if properties.privileged {
        add("privileged", "all devices and all rights of this machine's root".to_owned());
    }
    properties.cap_add.iter().for_each(|one| add("capAdd", one.clone()));
    properties.security_opt.iter().for_each(|one| add("securityOpt", one.clone()));
    properties.devices.iter().for_each(|one| add("device", one.clone()));
    properties.add_hosts.iter().for_each(|one| add("add-host", one.clone()));
    properties.local.iter().for_each(|one| add("localEnv", format!("reads {one} of your environment")));
    for (name, value) in &properties.container_env {
        if directs(name) {
            add("containerEnv", format!("{name}={}", if value.private { "…" } else { &value.text }));
        }
    }
    for (name, value) in &properties.remote_env {
        if directs(name) {
            add(
                "remoteEnv",
                value.as_ref().map_or_else(|| format!("{name} is taken away"), |value| format!("{name}={value}")),
            );
        }
    }
    items
}

/// What is left of properties where none of what widens may be.
pub(in super::super) fn narrow(properties: &mut Properties, workspace: &Path) {
    properties.initialize = None;
    properties.mounts.retain(|mount| mount.source == Mount::Memory);
    if properties
        .workspace_mount
        .as_ref()
        .is_some_and(|mount| mount.source != Mount::Path(workspace.display().to_string()))
    {
        properties.workspace_mount = None;
        properties.workspace_folder = None;
    }
    properties.privileged = false;
    properties.cap_add.clear();
    properties.security_opt.clear();
    properties.devices.clear();
    properties.add_hosts.clear();
    properties.container_env.retain(|name, value| !directs(name) && !value.private);
    properties.remote_env.retain(|name, _| !directs(name));
}

fn directs(name: &str) -> bool {
    DIRECTING.iter().any(|prefix| name.starts_with(prefix)) || name.to_ascii_uppercase().ends_with("_PROXY")
}

/// The folder that a build takes files from, where that is not the project's: it would send files of the user's.
pub(super) fn outside(properties: &Properties, workspace: &Path) -> Option<String> {
    let context = properties.build.as_ref()?.context.canonicalize().ok()?;
    let workspace = workspace.canonicalize().ok()?;
    (!context.starts_with(workspace)).then(|| context.display().to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::container::devcontainer::variables::Variables;
    use crate::environment::Environment;

    fn properties(value: &serde_json::Value) -> Properties {
        let variables = Variables::new(Path::new("/p"), &Environment::of([("TOKEN", "secret")]));
        Properties::read(value.as_object().unwrap(), Path::new("/p"), &variables).unwrap()
    }

    #[test]
    fn each_property_that_widens_is_shown_and_goes_where_it_may_not_be() {
        let cases = [
            (json!({"initializeCommand": "make"}), Some("initializeCommand")),
            (json!({"mounts": ["type=bind,source=/a,target=/b"]}), Some("mounts")),
            (json!({"mounts": ["source=a,target=/b"]}), Some("mounts")),
            (json!({"mounts": ["type=tmpfs,target=/b"]}), None),
            (
                json!({"workspaceMount": "type=bind,source=/,target=/w", "workspaceFolder": "/w"}),
                Some("workspaceMount"),
            ),
            (
                json!({"workspaceMount": "type=bind,source=${localWorkspaceFolder},target=/w", "workspaceFolder": "/w"}),
                None,
            ),
            (json!({"privileged": true}), Some("privileged")),
            (json!({"capAdd": ["SYS_ADMIN"]}), Some("capAdd")),
            (json!({"securityOpt": ["seccomp=unconfined"]}), Some("securityOpt")),
            (json!({"runArgs": ["--device=/dev/kvm"]}), Some("device")),
            (json!({"runArgs": ["--add-host=api.anthropic.com:10.0.0.1"]}), Some("add-host")),
            (json!({"runArgs": ["-v", "/:/host"]}), Some("mounts")),
            (json!({"runArgs": ["--privileged"]}), Some("privileged")),
            (json!({"containerEnv": {"A": "${localEnv:TOKEN}"}}), Some("localEnv")),
            (json!({"containerEnv": {"ANTHROPIC_BASE_URL": "http://evil"}}), Some("containerEnv")),
            (json!({"remoteEnv": {"https_proxy": "http://evil"}}), Some("remoteEnv")),
            (json!({"containerEnv": {"A": "b"}, "remoteEnv": {"C": null}}), None),
            (json!({"postCreateCommand": "npm ci", "init": true, "remoteUser": "node"}), None),
        ];
        let workspace = Path::new("/p");
        for (value, expected) in cases {
            let mut all = properties(&value);
            let found = widening(&all, "f", workspace);
            let keys: Vec<&str> = found.iter().map(|item| item.key.as_str()).collect();
            assert_eq!(keys, expected.into_iter().collect::<Vec<_>>(), "{value}");
            assert!(found.iter().all(|item| !item.value.contains("secret")), "no value of this machine's is shown");
            narrow(&mut all, workspace);
            all.local.clear();
            assert_eq!(widening(&all, "f", workspace), [], "{value} is narrow without it");
        }
    }

    #[test]
    fn a_build_that_takes_files_from_beside_the_project_is_asked_about() {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("project");
        std::fs::create_dir_all(project.join("deep")).unwrap();
        let found = |context: &str| {
            let map = json!({"build": {"dockerfile": "d", "context": context}});
            let variables = Variables::new(&project, &Environment::of([]));
            let properties = Properties::read(map.as_object().unwrap(), &project, &variables).unwrap();
            let found = widening(&properties, "f", &project);
            found.into_iter().map(|item| (item.key, item.value)).collect::<Vec<_>>()
        };
        assert_eq!(found("."), [], "the project's own files");
        assert_eq!(found("deep/.."), [], "however they are written");
        assert_eq!(found("missing"), [], "what is not there is told by the build");
        let parent = folder.path().canonicalize().unwrap().display().to_string();
        let (key, value) = found("..").remove(0);
        assert!(key == "build.context" && value.contains(&parent), "by its path: {key} {value}");
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("/", project.join("link")).unwrap();
            assert_eq!(found("link").len(), 1, "a link leads there, too");
        }
    }
}
