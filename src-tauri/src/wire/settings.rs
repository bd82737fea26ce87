//! Settings as the page shows and changes them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// The user's settings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
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
}
