//! Images and the Dockerfiles that they begin with, for the settings.

use serde::Serialize;
use ts_rs::TS;

/// A Dockerfile to start from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Template {
    pub(crate) id: String,
    pub(crate) name: String,
    /// What is in it, in a sentence.
    pub(crate) words: String,
    /// The Dockerfile.
    pub(crate) text: String,
}

/// How much of an image is saved or loaded, in bytes.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImageProgress {
    pub(crate) bytes: f64,
    pub(crate) total: f64,
}
