//! What the page asks for, and the answers.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::transcript::{Failure, Reply};

/// The answer to a question of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, TS)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub(crate) enum Choice {
    Allow,
    AllowAlways,
    /// Declined; the agent is told `reason`, or a stock sentence where it is empty.
    Deny {
        reason: String,
    },
    /// To the agent's own questions.
    Answers {
        replies: Vec<Reply>,
    },
}

/// Folders that complete a typed path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Completion {
    /// Absolute paths of folders, at most 50.
    pub(crate) folders: Vec<String>,
}

/// A container engine that can be chosen, or what could be one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Engine {
    /// What the settings have to say to mean it.
    pub(crate) setting: String,
    /// Its address; what was named, where that is none.
    pub(crate) address: String,
    /// Where its address comes from, in words.
    pub(crate) origin: String,
    /// How it is reached: `socket`, `tcp`, `tls`, `ssh` or `pipe`; empty where the address is none.
    pub(crate) kind: String,
    /// True where it does not see this machine's files.
    pub(crate) remote: bool,
    /// Its name and version, where it answers.
    pub(crate) name: Option<String>,
    /// True where it runs as an ordinary user.
    pub(crate) rootless: bool,
    /// Why it does not answer.
    pub(crate) failure: Option<Failure>,
}
