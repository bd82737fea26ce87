//! Settings as the page shows and changes them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// The user's settings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct Settings {
    /// The engine's address, such as `unix:///run/docker.sock`; empty: found as the docker CLI finds it.
    pub engine: String,
    /// Begin a new conversation when the agent moves between host and container.
    pub fresh_on_toggle: bool,
    /// Certificate files (PEM) that builds and containers shall trust too.
    pub certificates: Vec<String>,
    /// Additional environment variables of the agent, by workspace path.
    pub environment: BTreeMap<String, BTreeMap<String, String>>,
}
