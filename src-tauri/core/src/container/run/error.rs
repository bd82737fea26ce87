//! Why there is no agent in the container. Each class has its cause and its next step.

use std::time::Duration;

use crate::container::engine::EngineError;
use crate::container::spec::SpecError;
use crate::container::spec::wrapper::AGENT_MISSING;
use crate::failure::{Code, Failure};
use crate::process::Exit;

/// What is being done on the way to a running container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its volumes are being looked for or made.
    Volumes,
    /// It is being made.
    Create,
    /// Its stdin and stdout are being connected.
    Attach,
    /// It is being started.
    Start,
    /// It is being removed.
    Remove,
}

impl Phase {
    /// How long it may take. Each needs less than a second; an engine that others keep busy is no failure.
    pub fn limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::Volumes => 45,
            Self::Create | Self::Attach | Self::Start => 60,
            Self::Remove => 30,
        })
    }

    /// In words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Volumes => "Preparing the volumes",
            Self::Create => "Creating the container",
            Self::Attach => "Connecting to the container",
            Self::Start => "Starting the container",
            Self::Remove => "Removing the container",
        }
    }
}

/// Why there is no agent in the container.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The image vanished between build and start.
    #[error("The image {image} is not there any more")]
    ImageMissing {
        /// Its name.
        image: String,
    },
    /// The image holds no Claude CLI.
    #[error("The image has no claude on its PATH")]
    AgentMissing,
    /// A folder could not be mounted.
    #[error("A folder could not be mounted: {cause}")]
    BadMount {
        /// The engine's words.
        cause: String,
    },
    /// A folder's name has characters that the engine's own language needs.
    #[error("{cause}")]
    Unspeakable {
        /// Which, and why.
        cause: String,
    },
    /// A container of that name is there and is not this tab's.
    #[error("A container named {name} is there already and is not this tab's")]
    NameConflict {
        /// The name.
        name: String,
    },
    /// A phase took too long.
    #[error("{} took longer than {:?}", .phase.in_words(), .phase.limit())]
    Timeout {
        /// Which.
        phase: Phase,
    },
    /// Its start took longer than the settings allow.
    #[error("{} took longer than {limit:?}", Phase::Start.in_words())]
    StartTooSlow {
        /// What it was allowed.
        limit: Duration,
    },
    /// The engine would not start it.
    #[error("{} failed: {cause}", .phase.in_words())]
    StartFailed {
        /// Where on the way.
        phase: Phase,
        /// The engine's words.
        cause: String,
    },
    /// A volume could not be given to the agent's user.
    #[error("The volume {name} could not be prepared: {cause}")]
    BadVolume {
        /// The volume.
        name: String,
        /// Why.
        cause: String,
    },
    /// The wish cannot be granted.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The agent ended by itself.
    #[error("The agent in the container ended{}", code.map(|code| format!(" with code {code}")).unwrap_or_default())]
    Crashed {
        /// Its exit code, where the engine told it.
        code: Option<i32>,
        /// The last it said on stderr.
        stderr: String,
    },
    /// The agent was killed because the container's memory was used up.
    #[error("The container ran out of memory, and the agent was killed")]
    OutOfMemory {
        /// The last it said on stderr.
        stderr: String,
    },
    /// It was killed, at an engine that does not tell when memory ran out.
    #[error("The agent in the container was killed, probably because memory was used up: this engine does not tell")]
    ProbablyOutOfMemory {
        /// The last it said on stderr.
        stderr: String,
    },
    /// Somebody else killed it.
    #[error("The container was killed from outside of Gemra")]
    KilledExternally {
        /// The last it said on stderr.
        stderr: String,
    },
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine would not remove the container.
    #[error("The engine did not remove the container, which may still run and hold the conversation")]
    Left,
    /// It is not wanted any more.
    #[error("The start was cancelled")]
    Cancelled,
}

/// Why an agent ended that nobody had asked to. With a stop of ours under way, its answer means nothing.
pub fn why(exit: &Exit) -> RunError {
    let stderr = exit.stderr.clone();
    match exit.code {
        _ if exit.out_of_memory => RunError::OutOfMemory { stderr },
        Some(127) if stderr.contains(AGENT_MISSING) => RunError::AgentMissing,
        // The init process inside finds no shell to run.
        Some(127) if stderr.contains("exec /bin/sh failed") => {
            RunError::StartFailed { phase: Phase::Start, cause: stderr }
        }
        Some(137) if exit.memory_untold => RunError::ProbablyOutOfMemory { stderr },
        Some(137) => RunError::KilledExternally { stderr },
        code => RunError::Crashed { code, stderr },
    }
}

impl From<&RunError> for Failure {
    fn from(error: &RunError) -> Self {
        let cause = format!("{error}.");
        match error {
            RunError::ImageMissing { .. } => Self::new(
                Code::ImageMissing,
                "The image is gone",
                cause,
                "Somebody removed it while the container was starting. Press Retry to build it again.",
            ),
            RunError::AgentMissing => Self::new(
                Code::AgentMissing,
                "The image has no Claude CLI",
                cause,
                "Install it in the workspace's Dockerfile.claude (npm install --global @anthropic-ai/claude-code), then press Retry.",
            ),
            RunError::BadMount { .. } | RunError::Spec(SpecError::Path { .. }) => Self::new(
                Code::BadMount,
                "A folder could not be mounted",
                cause,
                "Check that the folder is there and that the engine may share it (Docker Desktop: Settings, Resources, File sharing), then press Retry.",
            ),
            RunError::Unspeakable { .. } => Self::new(
                Code::BadMount,
                "A folder could not be mounted",
                cause,
                "Rename the folder, or choose Docker in the settings; then press Retry.",
            ),
            RunError::Spec(SpecError::Variable(_)) => Self::new(
                Code::SettingsInvalid,
                "An environment variable cannot be used",
                cause,
                "Mend it in the settings or in the environment that Gemra is started from, then press Retry.",
            ),
            RunError::NameConflict { .. } => Self::new(
                Code::StartFailed,
                "The container's name is taken",
                cause,
                "Remove that container with docker rm -f, then press Retry.",
            ),
            RunError::Timeout { .. } => Self::new(
                Code::Timeout,
                "The container took too long",
                cause,
                "See whether the machine or the engine is overloaded, then press Retry.",
            ),
            RunError::StartTooSlow { .. } => Self::new(
                Code::Timeout,
                "The container took too long",
                cause,
                "See whether the machine or the engine is overloaded, or give it more time in Settings; then press Retry.",
            ),
            RunError::StartFailed { .. } | RunError::BadVolume { .. } => Self::new(
                Code::StartFailed,
                "The container did not start",
                cause,
                "Read the engine's words below, mend the cause, then press Retry.",
            ),
            RunError::Crashed { stderr, .. } => Self::new(
                Code::AgentCrashed,
                "The agent in the container ended unexpectedly",
                cause,
                "Read its last words below, then press Retry: the conversation goes on where it was.",
            )
            .with_detail(stderr),
            RunError::OutOfMemory { stderr } => Self::new(
                Code::OutOfMemory,
                "The container ran out of memory",
                cause,
                "Ask for less at a time, or give the engine more memory; then press Retry.",
            )
            .with_detail(stderr),
            RunError::ProbablyOutOfMemory { stderr } => Self::new(
                Code::OutOfMemory,
                "The container was killed, probably for want of memory",
                cause,
                "Ask for less at a time, or give the engine more memory; then press Retry.",
            )
            .with_detail(stderr),
            RunError::KilledExternally { stderr } => Self::new(
                Code::KilledExternally,
                "The container was killed from outside",
                cause,
                "Somebody stopped it, or the engine or the machine did for want of memory. Press Retry to go on.",
            )
            .with_detail(stderr),
            RunError::Engine(error) => Self::from(error),
            RunError::Left => Self::new(
                Code::NotRemoved,
                "The container was not removed",
                cause,
                "See whether the engine still answers; Gemra goes on trying. Use host starts the agent here all the same.",
            ),
            RunError::Cancelled => Self::new(Code::Gone, "The start was cancelled", cause, "Press Retry to start."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_becomes_a_class() {
        let exit = |code, out_of_memory, stderr: &str| Exit {
            code,
            out_of_memory,
            stderr: stderr.to_owned(),
            ..Exit::default()
        };
        let cases = [
            (exit(Some(137), true, ""), Code::OutOfMemory),
            (exit(Some(137), false, ""), Code::KilledExternally),
            (Exit { memory_untold: true, ..exit(Some(137), false, "") }, Code::OutOfMemory),
            (Exit { memory_untold: true, ..exit(Some(1), false, "") }, Code::AgentCrashed),
            (exit(Some(127), false, AGENT_MISSING), Code::AgentMissing),
            (exit(Some(127), false, "sh: npm: not found"), Code::AgentCrashed),
            (exit(Some(127), false, "[FATAL tini (7)] exec /bin/sh failed: No such file"), Code::StartFailed),
            (exit(Some(1), false, "oops"), Code::AgentCrashed),
            (exit(Some(0), false, ""), Code::AgentCrashed),
            (exit(None, false, ""), Code::AgentCrashed),
        ];
        for (exit, code) in cases {
            let failure = Failure::from(&why(&exit));
            assert_eq!(failure.code, code, "{exit:?}");
            assert!(!failure.action.is_empty(), "there is a next step for {code:?}");
        }
        let failure = Failure::from(&why(&exit(Some(1), false, "oops")));
        assert_eq!(failure.detail.as_deref(), Some("oops"), "its last words go along");
    }
}
