//! Images and the Dockerfiles that they begin with, for the settings and for the list of what is held.

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

/// An image that was loaded from a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LoadedImage {
    /// Of which there is at least one.
    pub(crate) names: Vec<String>,
    /// True where Gemra has built it, so that it is found by itself.
    pub(crate) ours: bool,
}

/// An image that Gemra has made.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HeldImage {
    pub(crate) id: String,
    /// The one by its fingerprint first; none where it has lost them.
    pub(crate) names: Vec<String>,
    /// What it was made from, in words; empty where nobody has noted it.
    pub(crate) source: String,
    /// In bytes.
    pub(crate) size: f64,
    /// In milliseconds since the Unix epoch.
    pub(crate) made: f64,
    /// True where a container is made from it.
    pub(crate) used: bool,
}
