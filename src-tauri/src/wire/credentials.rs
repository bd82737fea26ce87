//! The user's own keys as the page shows them, and how a login inside a container goes. Values come from the page and
//! never go to it.

use serde::Serialize;
use ts_rs::TS;

use super::transcript::Failure;

/// What of the user's own keys is set, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Credentials {
    /// In the order in which they are shown.
    pub(crate) known: Vec<Credential>,
    /// Where the next one that is set will be kept.
    pub(crate) keeps_in: Kept,
    /// The file that keeps what the keyring does not.
    pub(crate) file: String,
    /// Why it is the file, where it is.
    pub(crate) reason: Option<String>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Credential {
    /// The variable by which the agent gets it.
    pub(crate) variable: String,
    /// Where it is kept; null where it is not set.
    pub(crate) kept: Option<Kept>,
    /// The environment that Gemra was started with has it too; it counts where none is set here.
    pub(crate) inherited: bool,
    /// What can be shown: of an address all but its user and password, of a key nothing.
    pub(crate) shown: Option<String>,
}

/// Where something is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Kept {
    Keyring,
    File,
}

/// Who the agent in a container is logged in as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Account {
    pub(crate) logged_in: bool,
    /// Who, where it is known.
    pub(crate) email: Option<String>,
    /// What they have subscribed to, such as `max`.
    pub(crate) plan: Option<String>,
}

/// How a login goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub(crate) enum LoginStep {
    /// The page that gives the code.
    Address { address: String },
    /// It is over, and somebody is logged in.
    Done { account: Account },
    /// It is over, and nobody is.
    Failed { failure: Failure },
}
