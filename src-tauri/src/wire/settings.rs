//! Settings as the page shows and changes them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::tab::Mode;

/// The user's settings.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Settings {
    /// The engine's address, such as `unix:///run/docker.sock`; empty: found as the docker CLI finds it.
    pub(crate) engine: String,
    /// Begin a new conversation when the agent moves between host and container.
    pub(crate) fresh_on_toggle: bool,
    /// Certificate files (PEM) that builds and containers shall trust too.
    pub(crate) certificates: Vec<String>,
    /// Additional environment variables of the agent, by workspace path.
    pub(crate) environment: BTreeMap<String, BTreeMap<String, String>>,
    /// What is wished for the containers of all projects.
    pub(crate) container: Wishes,
    /// What is wished for single projects, by workspace path.
    pub(crate) projects: BTreeMap<String, Project>,
}

/// Declares the page's counterpart of the wishes, of the same names and words.
macro_rules! wishes {
    ($($(#[$doc:meta])* $name:ident: $kind:ty,)*) => {
        /// What is wished for containers. Absent or null: what the layer below says.
        #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, TS)]
        #[serde(rename_all = "camelCase", default)]
        #[ts(optional_fields = nullable)]
        pub(crate) struct Wishes {
            $($(#[$doc])* pub(crate) $name: Option<$kind>,)*
        }
    };
}

gemra_core::each_wish!(wishes);

/// What is wished for one project.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Project {
    /// The engine's address. Empty: that of all projects.
    pub(crate) engine: String,
    /// Its containers.
    pub(crate) container: Wishes,
}

/// Which network containers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) enum NetworkChoice {
    Host,
    Bridge,
    Isolated,
}

/// How much a container is held down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Preset {
    Hardened,
    WithSudo,
}
