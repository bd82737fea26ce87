//! A tab as the page sees it: everything but its transcript.

use serde::Serialize;
use ts_rs::TS;

use super::transcript::Failure;

/// A tab in the tab bar.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct TabSummary {
    pub id: String,
    pub title: String,
    /// The workspace's absolute path.
    pub workspace: String,
    /// True while a turn runs.
    pub busy: bool,
    /// True while a question waits for the user.
    pub asking: bool,
    pub container: ContainerState,
}

/// What the page shows of the active tab around its transcript.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct TabView {
    pub id: String,
    pub title: String,
    pub workspace: String,
    pub agent: Agent,
    pub turn: Turn,
    /// Messages that wait for the agent, oldest first.
    pub queue: Vec<Queued>,
    pub container: Container,
    /// The model in use, as the agent names it; none until it has said so.
    pub model: Option<String>,
    /// The permission mode in use.
    pub mode: Mode,
    pub usage: Usage,
}

/// The agent's own state, wherever it runs.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "state")]
#[ts(export)]
pub enum Agent {
    /// No agent runs, and none is wanted: an error of the container, or before the first start.
    Idle,
    /// It is starting, or moving between the host and a container.
    Starting,
    /// It answers.
    Ready { version: Option<String> },
    /// The CLI was not found on this machine. `install` is the command that gets it.
    Missing { failure: Failure, install: String },
    /// The CLI is being installed; `line` is the last thing the installer said.
    Installing { line: String },
    /// It ended, or would not start.
    Failed { failure: Failure },
}

/// What the current turn does.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "state")]
#[ts(export)]
pub enum Turn {
    Idle,
    /// A turn runs, a waiting question included. `since` is in milliseconds since the Unix epoch.
    Running { since: f64, retry: Option<ApiRetry> },
    /// The user asked to stop and the agent has not confirmed yet.
    Interrupting { since: f64 },
}

/// The model's API refused and the agent tries again.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct ApiRetry {
    pub attempt: u32,
    pub max: u32,
    /// When it tries again, in milliseconds since the Unix epoch.
    pub at: f64,
    /// The reason in words, such as "The API is overloaded (529)".
    pub reason: String,
}

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct Queued {
    pub id: String,
    pub text: String,
}

/// Where the container is on its way. The page's `data-state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub enum ContainerState {
    Off,
    Building,
    Starting,
    Running,
    Stopping,
    Error,
}

/// The Container button and its details.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct Container {
    pub state: ContainerState,
    /// Since when, in milliseconds since the Unix epoch.
    pub since: f64,
    /// What is being done just now, in words, such as "Creating the container".
    pub phase: Option<String>,
    pub step: Option<BuildStep>,
    /// What is in effect: engine, image, user, network, mounts, as far as it is known.
    pub facts: Vec<Fact>,
    /// From the click to Running, in milliseconds.
    pub took: Option<f64>,
    pub failure: Option<Failure>,
    /// True where a host agent still works behind an error: the tab is usable on the host.
    pub host_agent: bool,
    /// True where there is a build log to show.
    pub has_log: bool,
}

/// A named fact about the container, such as "Network" and "host".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct Fact {
    pub name: String,
    pub value: String,
}

/// How far a build is: step `index` of `total`, and the last line it said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct BuildStep {
    pub index: u32,
    pub total: u32,
    pub line: String,
}

/// Permission modes that the page offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub enum Mode {
    Default,
    AcceptEdits,
    Plan,
    BypassPermissions,
}

/// What the conversation has used so far.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct Usage {
    /// Tokens of the last request, input and caches included: how full the context is.
    pub context_tokens: u32,
    /// How many fit; 0 where the agent has not said.
    pub context_window: u32,
    pub input_tokens: u32,
    pub output_tokens: u32,
    /// In US dollars, as the agent reckons it.
    pub cost: f64,
    pub turns: u32,
}

/// What the agent offers: models for the picker, slash commands for the composer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct Catalog {
    pub models: Vec<ModelOption>,
    pub commands: Vec<SlashCommand>,
}

/// A model that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct ModelOption {
    /// What `setModel` takes.
    pub value: String,
    pub name: String,
    pub description: String,
    /// The model's own name, as `TabView.model` says it.
    pub resolved: Option<String>,
}

/// A slash command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct SlashCommand {
    pub name: String,
    pub description: String,
    pub hint: String,
}
