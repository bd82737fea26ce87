//! What the page asks for, and the answers.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::transcript::Reply;

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
