//! What one `devcontainer.json`, or one part of an image's label, asks for: each property read once, and what Gemra
//! does not do told by name. How several are put together is `merge`'s business.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value};

use super::image::Build;
use super::lifecycle::{Command, Stage};
use super::mounts::Mounted;
use super::run_args;
use super::variables::Variables;
use crate::container::spec::{self, wrapper};
use crate::settings::container::Wishes;

/// What is asked for.
#[allow(clippy::struct_excessive_bools)] // Each is a property of the specification's own.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Properties {
    /// An image by its name.
    pub image: Option<String>,
    /// An image that is built.
    pub build: Option<Build>,
    /// Where the project is inside, beside where it always is.
    pub workspace_folder: Option<String>,
    /// How it comes there.
    pub workspace_mount: Option<Mounted>,
    /// Variables of the container.
    pub container_env: BTreeMap<String, Private>,
    /// Variables of the agent alone; `None` takes one away.
    pub remote_env: BTreeMap<String, Option<String>>,
    /// The container's user.
    pub container_user: Option<String>,
    /// The tools' user.
    pub remote_user: Option<String>,
    /// Whether that one gets the ids of the workspace's owner. Default: yes.
    pub update_remote_user_uid: Option<bool>,
    /// The command that runs on this machine.
    pub initialize: Option<Command>,
    /// Those that run inside, in the order in which they were collected.
    pub commands: Vec<(Stage, Command)>,
    /// More mounts.
    pub mounts: Vec<Mounted>,
    /// An init process. Gemra always has one.
    pub init: bool,
    /// Everything of this machine.
    pub privileged: bool,
    /// Capabilities beside those that are there.
    pub cap_add: Vec<String>,
    /// Security options.
    pub security_opt: Vec<String>,
    /// Devices, as docker writes them.
    pub devices: Vec<String>,
    /// Names of hosts, as docker writes them.
    pub add_hosts: Vec<String>,
    /// What is a wish like the user's own: network, memory, processors.
    pub wishes: Wishes,
    /// Variables of this machine that it reads.
    pub local: BTreeSet<String>,
    /// What Gemra does not do, in words.
    pub not_applied: Vec<String>,
}

/// The value of a variable. `Debug` hides what came from this machine: it may be a key.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Private {
    /// The value.
    pub text: String,
    /// True where it came from this machine's environment, so that no inspection may show it.
    pub private: bool,
}

impl std::fmt::Debug for Private {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.private { formatter.write_str("(private)") } else { self.text.fmt(formatter) }
    }
}

/// Properties that mean nothing to Gemra and harm nobody by that.
const SILENT: &[&str] = &["name", "$schema", "id", "legacyContainerEnv"];
/// Properties that are known and not done; each is told by its name.
const NOT_DONE: &[&str] = &[
    "appPort",
    "customizations",
    "entrypoint",
    "extensions",
    "forwardPorts",
    "hostRequirements",
    "otherPortsAttributes",
    "portsAttributes",
    "secrets",
    "settings",
    "shutdownAction",
    "userEnvProbe",
];

impl Properties {
    /// Reads an object whose relative paths begin at `folder`.
    ///
    /// # Errors
    /// In words, which property is not what it should be.
    pub fn read(map: &Map<String, Value>, folder: &Path, variables: &Variables) -> Result<Self, String> {
        let mut all = Self::default();
        let inside = map.get("workspaceFolder").and_then(Value::as_str);
        let variables = variables.inside(inside.unwrap_or(&variables.usual_folder()))?;
        for (key, value) in map {
            all.take(key, value, folder, &variables).map_err(|why| format!("{key}: {why}"))?;
        }
        all.legacy(map, folder, &variables)?;
        Ok(all)
    }

    fn take(&mut self, key: &str, value: &Value, folder: &Path, variables: &Variables) -> Result<(), String> {
        let mut used = BTreeSet::new();
        let given = variables.value(value, &mut used)?;
        match key {
            "image" => self.image = Some(string(&given)?),
            "build" => {
                let map = value.as_object().ok_or("it is no object")?;
                self.build = Some(Build::read(map, folder, variables, &mut used, &mut self.not_applied)?);
            }
            // Read together, once all is known.
            "dockerFile" | "context" => {}
            "workspaceFolder" => {
                let folder = string(&given)?;
                if !folder.starts_with('/') {
                    return Err("it is not absolute".to_owned());
                }
                self.workspace_folder = Some(folder);
            }
            "workspaceMount" => self.workspace_mount = Some(Mounted::read(&given)?),
            "containerEnv" => return self.container_env(value, variables),
            "remoteEnv" => {
                for (name, value) in object(&given)? {
                    let value = match value {
                        Value::Null => None,
                        other => Some(text(other)?),
                    };
                    self.remote_variable(name, value)?;
                }
            }
            "containerUser" => self.container_user = Some(string(&given)?),
            "remoteUser" => self.remote_user = Some(string(&given)?),
            "updateRemoteUserUID" => self.update_remote_user_uid = Some(flag(&given)?),
            "mounts" => {
                for mount in list(&given)? {
                    let mount = Mounted::read(mount)?;
                    self.mounts.push(mount);
                }
            }
            "runArgs" => run_args::read(&texts(&given)?, variables, self)?,
            "init" => self.init |= flag(&given)?,
            "privileged" => self.privileged |= flag(&given)?,
            "capAdd" => self.cap_add.extend(texts(&given)?),
            "securityOpt" => self.security_opt.extend(texts(&given)?),
            "waitFor" => {
                // More than any value asks for.
                let words = "all commands have ended before the agent begins";
                self.not_applied.push(format!("waitFor: {}: {words}", string(&given)?));
            }
            "overrideCommand" => {
                if !flag(&given)? {
                    self.not_applied.push("overrideCommand: the agent is the container's command".to_owned());
                }
            }
            "features" => {
                let names: Vec<&str> = object(&given)?.keys().map(String::as_str).collect();
                if !names.is_empty() {
                    self.not_applied.push(format!("features: {}", names.join(", ")));
                }
            }
            key => match Stage::of(key) {
                Some(Stage::Initialize) => self.initialize = Command::read(&given)?,
                Some(stage) => self.commands.extend(Command::read(&given)?.map(|command| (stage, command))),
                None if SILENT.contains(&key) => {}
                None if NOT_DONE.contains(&key) => self.not_applied.push(key.to_owned()),
                None => self.not_applied.push(format!("{key}: Gemra does not know it")),
            },
        }
        self.local.extend(used);
        Ok(())
    }

    /// The old spelling of `build`.
    fn legacy(&mut self, map: &Map<String, Value>, folder: &Path, variables: &Variables) -> Result<(), String> {
        if self.build.is_some() || !map.contains_key("dockerFile") {
            return Ok(());
        }
        let old = ["dockerFile", "context"].iter().filter_map(|key| Some(((*key).to_owned(), map.get(*key)?.clone())));
        let build = Build::read(&old.collect(), folder, variables, &mut self.local, &mut self.not_applied)?;
        self.build = Some(build);
        Ok(())
    }

    fn container_env(&mut self, value: &Value, variables: &Variables) -> Result<(), String> {
        for (name, value) in object(value)? {
            let mut used = BTreeSet::new();
            let text = text(&variables.value(value, &mut used)?)?;
            let private = !used.is_empty();
            self.give(name, Private { text, private })?;
            self.local.extend(used);
        }
        Ok(())
    }

    /// Gives the container a variable.
    ///
    /// # Errors
    /// In words, where no environment can hold it.
    pub fn give(&mut self, name: &str, value: Private) -> Result<(), String> {
        if self.is_ours(name)? {
            return Ok(());
        }
        if value.text.contains('\0') {
            return Err(format!("the value of {name} holds a zero byte"));
        }
        self.container_env.insert(name.to_owned(), value);
        Ok(())
    }

    fn remote_variable(&mut self, name: &str, value: Option<String>) -> Result<(), String> {
        if !self.is_ours(name)? {
            self.remote_env.insert(name.to_owned(), value);
        }
        Ok(())
    }

    /// Some variables say where Gemra has mounted what it needs: these stay as they are.
    fn is_ours(&mut self, name: &str) -> Result<bool, String> {
        if !wrapper::is_name(name) {
            return Err(format!("{name:?} is not a name that an environment variable can have"));
        }
        let ours = name == "HOME" || name == spec::FOLDER;
        if ours {
            self.not_applied.push(format!("{name}: Gemra sets it"));
        }
        Ok(ours)
    }
}

fn string(value: &Value) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| "it is no text".to_owned())
}

/// The value of a variable, which may be written as what it says.
fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        _ => Err("it is no text".to_owned()),
    }
}

fn flag(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| "it is neither true nor false".to_owned())
}

fn list(value: &Value) -> Result<&Vec<Value>, String> {
    value.as_array().ok_or_else(|| "it is no list".to_owned())
}

fn texts(value: &Value) -> Result<Vec<String>, String> {
    list(value)?
        .iter()
        .map(|one| one.as_str().map(str::to_owned).ok_or_else(|| "a part of it is no text".to_owned()))
        .collect()
}

fn object(value: &Value) -> Result<&Map<String, Value>, String> {
    value.as_object().ok_or_else(|| "it is no object".to_owned())
}

#[cfg(test)]
mod tests;
