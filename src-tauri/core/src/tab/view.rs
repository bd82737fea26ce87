//! What is to be seen of a tab around its transcript. Data only; the actor fills it in.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::agent::{Mode, Retry};
use crate::failure::Failure;
use crate::guard::Change;
use crate::trust::Widening;

use super::TabId;

/// What is to be seen of a tab around its transcript.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The tab.
    pub id: TabId,
    /// What it is called.
    pub title: String,
    /// Where it works.
    pub workspace: PathBuf,
    /// Its agent.
    pub agent: AgentView,
    /// Its turn.
    pub turn: TurnView,
    /// Messages that wait, oldest first.
    pub queue: Vec<Queued>,
    /// The Container button.
    pub container: ContainerView,
    /// What a container has changed in files that the host would execute, while the user is asked about it.
    pub guard: Option<Vec<Change>>,
    /// What the project asks for beyond what a container has, while the user is asked about it.
    pub trust: Option<Vec<Widening>>,
    /// The model in use, where it is known.
    pub model: Option<String>,
    /// The permission mode in use.
    pub mode: Mode,
    /// The modes that can be chosen where the agent is.
    pub modes: Vec<Mode>,
    /// What the conversation has used.
    pub usage: Usage,
    /// True while a question waits.
    pub asking: bool,
}

/// The agent, wherever it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentView {
    /// None runs and none is wanted.
    Idle,
    /// It starts, or moves.
    Starting,
    /// It answers.
    Ready {
        /// Its version, once it has said so.
        version: Option<String>,
    },
    /// The CLI is not there.
    Missing {
        /// Why.
        failure: Failure,
    },
    /// The CLI is being installed.
    Installing {
        /// The last line of the installer.
        line: String,
    },
    /// It ended, or would not start.
    Failed {
        /// Why.
        failure: Failure,
    },
}

/// The turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TurnView {
    /// None runs.
    Idle,
    /// One runs.
    Running {
        /// Since when.
        since: SystemTime,
        /// Set while the agent waits to ask the model's API again, with the time when it will.
        retry: Option<(Retry, SystemTime)>,
    },
    /// One is being cut short.
    Interrupting {
        /// Since when it runs.
        since: SystemTime,
    },
}

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Names it; minted by the page.
    pub id: String,
    /// The text.
    pub text: String,
}

/// The Container button and its details.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerView {
    /// Where it is.
    pub state: crate::container::state::State,
    /// Since when.
    pub since: SystemTime,
    /// What is being done, in words.
    pub phase: Option<String>,
    /// How far the build is.
    pub step: Option<BuildStep>,
    /// What is in effect, as far as it is known: names and values.
    pub facts: Vec<(String, String)>,
    /// From the click to Running.
    pub took: Option<Duration>,
    /// True where there is a log: of a build, or of what the agent said on stderr.
    pub has_log: bool,
    /// True where what the running container was made from has changed since.
    pub image_changed: bool,
    /// Files that have changed here and in a container on another machine, and wait for a choice.
    pub conflicts: Vec<crate::sync::Conflict>,
    /// What the container was refused on its way out.
    pub refusals: crate::place::container::Refusals,
}

/// How far a build is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildStep {
    /// The step, counted from 1.
    pub index: u32,
    /// How many there are.
    pub total: u32,
    /// The last line it said.
    pub line: String,
}

/// What a conversation has used.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usage {
    /// Tokens of the last request.
    pub context_tokens: u64,
    /// How many fit; 0 where it is not known.
    pub context_window: u64,
    /// Tokens.
    pub input_tokens: u64,
    /// Tokens.
    pub output_tokens: u64,
    /// In US dollars.
    pub cost: f64,
    /// How many turns.
    pub turns: u32,
}
