//! What the page sees of containers beside a tab's own state: figures, shells, and what is held at the engine.

use serde::Serialize;
use ts_rs::TS;

use super::image::HeldImage;

/// What a container uses and how its agent is, about once a second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContainerFigures {
    /// Of one processor, in percent; none until two answers can be compared.
    pub(crate) cpu: Option<f64>,
    pub(crate) cpus: u32,
    /// In bytes.
    pub(crate) memory: f64,
    /// In bytes; 0 where nobody says.
    pub(crate) memory_limit: f64,
    /// Bytes in and out; none where the container shares the host's network.
    pub(crate) network: Option<(f64, f64)>,
    /// Bytes read and written.
    pub(crate) disk: (f64, f64),
    pub(crate) processes: u32,
    /// When the agent last said anything, in milliseconds since the Unix epoch.
    pub(crate) said: Option<f64>,
    /// When it last answered a check, in milliseconds since the Unix epoch.
    pub(crate) answered: Option<f64>,
    /// How many checks it has not answered since.
    pub(crate) unanswered: u32,
}

/// What a shell says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub(crate) enum ShellFrame {
    /// Output in base64, which may end in the middle of a character. The next one comes when this one was painted.
    Output { data: String },
    /// It has ended, with this code where it is known.
    Ended { code: Option<i32> },
}

/// What Gemra holds at the engine.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Holdings {
    /// The engine, in words.
    pub(crate) engine: String,
    pub(crate) containers: Vec<HeldContainer>,
    /// Everything, containers too.
    pub(crate) all: Vec<Holding>,
    /// Its images once more, newest first.
    pub(crate) images: Vec<HeldImage>,
}

/// A container of Gemra's.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HeldContainer {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) tab: String,
    pub(crate) workspace: String,
    /// As the engine names its state.
    pub(crate) state: String,
    /// When it was made, in milliseconds since the Unix epoch.
    pub(crate) since: f64,
    /// In bytes, where the engine tells it.
    pub(crate) memory: Option<f64>,
    /// True where this Gemra made it.
    pub(crate) ours: bool,
}

/// Something of Gemra's at the engine.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Holding {
    pub(crate) kind: HoldingKind,
    pub(crate) id: String,
    pub(crate) name: String,
    /// The workspace that alone uses it.
    pub(crate) workspace: Option<String>,
    /// In bytes, where the engine tells it.
    pub(crate) size: Option<f64>,
    pub(crate) used: bool,
}

/// What kind of thing is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) enum HoldingKind {
    Container,
    Image,
    Volume,
    Network,
}

/// What became of a clean-up.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pruned {
    pub(crate) removed: Vec<Holding>,
    /// What stayed, each with the reason.
    pub(crate) stayed: Vec<(Holding, String)>,
}
