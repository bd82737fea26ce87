//! A tab as the page sees it: everything but its transcript.

use serde::Serialize;
use ts_rs::TS;

use super::transcript::{Failure, Hunk};

/// A tab in the tab bar.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TabSummary {
    pub(crate) id: String,
    pub(crate) title: String,
    /// The workspace's absolute path.
    pub(crate) workspace: String,
    /// True while a turn runs.
    pub(crate) busy: bool,
    /// True while a question waits for the user.
    pub(crate) asking: bool,
    /// True where the last run of Gemra was cut off in a turn of this tab, and none has begun since.
    pub(crate) interrupted: bool,
    pub(crate) container: ContainerState,
}

/// What the page shows of the active tab around its transcript.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TabView {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) workspace: String,
    pub(crate) agent: Agent,
    pub(crate) turn: Turn,
    /// Messages that wait for the agent, oldest first.
    pub(crate) queue: Vec<Queued>,
    pub(crate) container: Container,
    /// What a container has changed in files that this machine would execute, while the user is asked about it.
    pub(crate) guard: Option<Vec<GuardedChange>>,
    /// What the project asks for beyond what a container has, while the user is asked about it.
    pub(crate) trust: Option<Vec<Widening>>,
    /// The model in use, as the agent names it; none until it has said so.
    pub(crate) model: Option<String>,
    /// The permission mode in use.
    pub(crate) mode: Mode,
    /// The modes that can be chosen where the agent is now.
    pub(crate) modes: Vec<Mode>,
    pub(crate) usage: Usage,
}

/// A file that this machine would execute, and that is not what it was before the container.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GuardedChange {
    /// Its absolute path.
    pub(crate) path: String,
    pub(crate) kind: GuardedKind,
    /// Its lines, where it is text.
    pub(crate) hunks: Vec<Hunk>,
    /// What there is to say where lines cannot.
    pub(crate) note: Option<String>,
}

/// One thing that a project asks for and that would widen its container's sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Widening {
    /// The property, as the file spells it.
    pub(crate) key: String,
    /// What it asks for.
    pub(crate) value: String,
    /// The file, as the workspace names it.
    pub(crate) file: String,
    /// What would run of it, in full, for whoever wants to read it.
    pub(crate) text: Option<String>,
}

/// What the user says to what a project asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) enum TrustDecision {
    Allow,
    Without,
    Refuse,
}

/// What has happened to a guarded file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) enum GuardedKind {
    Added,
    Removed,
    Changed,
}

/// The agent's own state, wherever it runs.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "state")]
pub(crate) enum Agent {
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
pub(crate) enum Turn {
    Idle,
    /// A turn runs, a waiting question included. `since` is in milliseconds since the Unix epoch.
    Running {
        since: f64,
        retry: Option<ApiRetry>,
    },
    /// The user asked to stop and the agent has not confirmed yet.
    Interrupting {
        since: f64,
    },
}

/// The model's API refused and the agent tries again.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApiRetry {
    pub(crate) attempt: u32,
    pub(crate) max: u32,
    /// When it tries again, in milliseconds since the Unix epoch.
    pub(crate) at: f64,
    /// The reason in words, such as "The API is overloaded (529)".
    pub(crate) reason: String,
}

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Queued {
    pub(crate) id: String,
    pub(crate) text: String,
}

/// Where the container is on its way. The page's `data-state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ContainerState {
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
pub(crate) struct Container {
    pub(crate) state: ContainerState,
    /// Since when, in milliseconds since the Unix epoch.
    pub(crate) since: f64,
    /// What is being done just now, in words, such as "Creating the container".
    pub(crate) phase: Option<String>,
    pub(crate) step: Option<BuildStep>,
    /// What is in effect: engine, image, user, network, mounts, as far as it is known.
    pub(crate) facts: Vec<Fact>,
    /// From the click to Running, in milliseconds.
    pub(crate) took: Option<f64>,
    pub(crate) failure: Option<Failure>,
    /// True where the host's agent works behind a build, its end or an error: the tab is usable on the host.
    pub(crate) host_agent: bool,
    /// True where there is a log to show: of a build, or of what the agent said on stderr.
    pub(crate) has_log: bool,
    /// True where what the running container was made from has changed since.
    pub(crate) image_changed: bool,
    /// Files that have changed here and in a container on another machine, and wait for a choice.
    pub(crate) conflicts: Vec<SyncConflict>,
    pub(crate) refusals: Refusals,
}

/// What a container was refused on its way out of an isolated network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Refusals {
    /// The last ones, each target once, the last refused first.
    pub(crate) targets: Vec<Refusal>,
    /// How often a target was refused, those that are not shown too.
    pub(crate) times: u32,
    /// How many requests were none that can be passed on.
    pub(crate) malformed: u32,
}

/// A target that a container was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Refusal {
    /// Host and port.
    pub(crate) target: String,
    /// The entry among the allowed names that would allow it; what `allowName` takes.
    pub(crate) entry: String,
    /// Why, in words.
    pub(crate) why: String,
    pub(crate) times: u32,
}

/// A file that has changed on both sides. Neither was overwritten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SyncConflict {
    /// The folder that is kept the same: the workspace, its conversations or its repository. `answerConflict` takes it.
    pub(crate) root: String,
    /// Below that; `answerConflict` takes it as well.
    pub(crate) path: String,
    /// Where the version of this machine is.
    pub(crate) mine: String,
    /// What that is, in words, such as "a file" or "removed".
    pub(crate) mine_is: String,
    /// Where a copy of the container's version is, where it is a file.
    pub(crate) theirs: Option<String>,
    /// What that is, in words.
    pub(crate) theirs_is: String,
}

/// A named fact about the container, such as "Network" and "host".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Fact {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// How far a build is: step `index` of `total`, and the last line it said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BuildStep {
    pub(crate) index: u32,
    pub(crate) total: u32,
    pub(crate) line: String,
}

/// Permission modes that the page offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Mode {
    Default,
    AcceptEdits,
    Plan,
    BypassPermissions,
}

/// What the conversation has used so far.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Usage {
    /// Tokens of the last request, input and caches included: how full the context is.
    pub(crate) context_tokens: u32,
    /// How many fit; 0 where the agent has not said.
    pub(crate) context_window: u32,
    pub(crate) input_tokens: u32,
    pub(crate) output_tokens: u32,
    /// In US dollars, as the agent reckons it.
    pub(crate) cost: f64,
    pub(crate) turns: u32,
}

/// What the agent offers: models for the picker, slash commands for the composer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Catalog {
    pub(crate) models: Vec<ModelOption>,
    pub(crate) commands: Vec<SlashCommand>,
}

/// A model that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ModelOption {
    /// What `setModel` takes.
    pub(crate) value: String,
    pub(crate) name: String,
    pub(crate) description: String,
    /// The model's own name, as `TabView.model` says it.
    pub(crate) resolved: Option<String>,
}

/// A slash command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SlashCommand {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) hint: String,
}
