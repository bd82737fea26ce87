//! What the user wishes for containers, for all projects and for each: layers of the same shape, of which the nearer
//! one counts. What an engine makes of it is not known here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{SettingsError, check};
use crate::agent::Mode;

/// Hands the list of all wishes to the macro that is named: what each means, its name, and its kind, as whoever asks calls
/// it. Here is the one place that knows them all, so that none is forgotten on the way to the page and back.
#[macro_export]
macro_rules! each_wish {
    ($then:ident) => {
        $then! {
            /// Which network containers have. Default: the host's.
            network: NetworkChoice,
            /// Where the network is isolated: names that can be reached beside the usual ones, such as `example.com` or
            /// `*.example.com`.
            allowed_domains: Vec<String>,
            /// How much a container is held down. Default: hardened.
            preset: Preset,
            /// Processors, such as `1.5`. Default: four, or what there is.
            cpus: f64,
            /// Memory in MiB. Default: 8192, or three quarters of what there is.
            memory_mb: u32,
            /// How many processes. Default: 4096.
            pids: u32,
            /// How many files a process may have open. Default: the engine's.
            open_files: u32,
            /// Memory for `/dev/shm` in MiB. Default: 256.
            shm_mb: u32,
            /// The image's own folders cannot be changed; `/tmp` and the home can, in memory. Default: no.
            read_only_system: bool,
            /// The project cannot be changed. Default: no.
            read_only_workspace: bool,
            /// Graphics cards: `all` or how many. Default, and empty: none.
            gpus: String,
            /// Seconds that the engine may take to start a container. Default: 60.
            start_seconds: u32,
            /// Minutes that a build may go on without a word. Default: 10.
            build_silent_minutes: u32,
            /// Further folders or files, as `host:container:mode`, the mode `ro` or `rw`.
            mounts: Vec<String>,
            /// Patterns of folders in the project that are volumes of the engine inside, such as `node_modules`.
            volume_folders: Vec<String>,
            /// An image by its name, instead of one that is built. Empty: none.
            image: String,
            /// Use the project's `.devcontainer/devcontainer.json` where there is no `Dockerfile.claude`. Default: yes.
            use_devcontainer: bool,
            /// Use the project's `Dockerfile` where it has no `Dockerfile.claude`. Default: no.
            use_dockerfile: bool,
            /// Build arguments. They are no secrets: an image tells them.
            build_args: BTreeMap<String, String>,
            /// The stage to build. Empty: the last.
            build_target: String,
            /// The platform, such as `linux/arm64`. Empty: the engine's own.
            platform: String,
            /// Never pull. Default: no.
            offline: bool,
            /// Start the container again where the agent in it has crashed, three times at most. Default: no.
            restart_after_crash: bool,
            /// Hours after which a container is made anew. Default: 72. Zero: never.
            refresh_hours: u32,
            /// Remove the volumes of a project when its last container goes. Default: no.
            clean_volumes: bool,
            /// `GITHUB_TOKEN`, or what `gh` has, for git inside. Default: no.
            github: bool,
            /// The SSH agent inside. Default: no.
            ssh_agent: bool,
            /// `~/.gitconfig` inside, read-only. Default: no.
            git_config: bool,
            /// `~/.ssh` inside, read-only. Default: no.
            ssh_folder: bool,
            /// The permission mode with which an agent begins on the host. Default: ask.
            host_mode: Mode,
            /// The permission mode with which an agent begins in a container. Default: ask.
            container_mode: Mode,
        }
    };
}

/// Declares the wishes: each is absent or said, and a nearer layer's word counts.
macro_rules! wishes {
    ($($(#[$doc:meta])* $name:ident: $kind:ty,)*) => {
        /// What is wished for containers. Absent: what the layer below says, and at last Gemra's own default.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct Wishes {
            $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $name: Option<$kind>,)*
            /// Keys of another version, kept as they are.
            #[serde(flatten)]
            pub rest: Map<String, Value>,
        }

        impl Wishes {
            /// These wishes, and `below` where they say nothing.
            #[must_use]
            pub fn over(&self, below: &Self) -> Self {
                let mut rest = below.rest.clone();
                rest.extend(self.rest.clone());
                Self { $($name: self.$name.clone().or_else(|| below.$name.clone()),)* rest }
            }

            /// The keys of all wishes, as files spell them.
            #[cfg(test)]
            pub(crate) fn keys() -> Vec<String> {
                [$(stringify!($name)),*].iter().map(|name| camel(name)).collect()
            }
        }
    };
}

each_wish!(wishes);

impl Wishes {
    /// Checks wishes that are in a file of their own, such as a project's, as those of the settings are checked.
    ///
    /// # Errors
    /// [`SettingsError::BadValue`] for the first that nothing could come of, by its key.
    pub fn check(&self) -> Result<(), SettingsError> {
        check::wishes("", self)
    }
}

/// What the user wishes for one project.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Project {
    /// The engine's address. Empty: that of all projects.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub engine: String,
    /// Its containers.
    pub container: Wishes,
    /// Keys of another version, kept as they are.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Which network containers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkChoice {
    /// The host's own: everything on the user's loopback is there. No sandbox.
    #[default]
    Host,
    /// The engine's bridge: the world outside, and of this machine only what the agent needs.
    Bridge,
    /// Nothing but allowed names, through a proxy in Gemra.
    Isolated,
}

/// How much a container is held down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Preset {
    /// No capabilities, no new privileges.
    #[default]
    Hardened,
    /// Whoever is in the container can become its root, where the image has `sudo`.
    WithSudo,
}

/// A field's name, as files spell it.
#[cfg(test)]
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |so_far, word| {
        let (begin, rest) = word.split_at(1);
        so_far + &begin.to_uppercase() + rest
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearer_layer_counts_where_it_says_something() {
        let all = Wishes { cpus: Some(2.0), network: Some(NetworkChoice::Bridge), ..Wishes::default() };
        let project = Wishes { cpus: Some(0.5), offline: Some(true), ..Wishes::default() };
        let both = project.over(&all);
        assert_eq!(both.cpus, Some(0.5), "the project's word is nearer");
        assert_eq!(both.network, Some(NetworkChoice::Bridge), "where it is silent, that of all projects counts");
        assert_eq!(both.offline, Some(true), "what only the project says is there too");
        assert_eq!(both.memory_mb, None, "what nobody says is Gemra's to decide");
    }

    #[test]
    fn wishes_are_written_as_they_are_read() {
        let text = r#"{"network":"isolated","preset":"withSudo","cpus":1.5,"containerMode":"acceptEdits","new":1}"#;
        let wishes: Wishes = serde_json::from_str(text).unwrap();
        assert_eq!(wishes.preset, Some(Preset::WithSudo), "a key is spelled as in JSON");
        assert_eq!(wishes.container_mode, Some(Mode::AcceptEdits), "modes are spelled as the CLI spells them");
        assert!(wishes.rest.contains_key("new"), "a key of another version is kept");
        let again: Wishes = serde_json::from_str(&serde_json::to_string(&wishes).unwrap()).unwrap();
        assert_eq!(again, wishes, "nothing is lost on the way");
    }
}
