//! Turns core's types into their wire twins and back. Every struct is taken apart whole, so that a new field in core
//! does not compile until somebody has decided whether the page sees it.

mod container;
mod credentials;
pub(crate) mod engine;
mod frames;
mod image;
mod settings;
mod tab;
mod transcript;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gemra_core::app::{Problem, WindowState};

use crate::wire;

/// Milliseconds since the Unix epoch.
fn milliseconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64() * 1000.0
}

/// Counts never come near the limit; one that did would be shown as it.
fn count(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl From<&WindowState> for wire::frames::WindowState {
    fn from(state: &WindowState) -> Self {
        let WindowState { tabs, active, recent, settings, problems, leaving } = state;
        Self {
            tabs: tabs.iter().map(Into::into).collect(),
            active: active.as_ref().map(ToString::to_string),
            recent: recent.iter().map(|path| path.display().to_string()).collect(),
            settings: settings.into(),
            problems: problems.iter().map(Into::into).collect(),
            leaving: leaving.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            mac: cfg!(target_os = "macos"),
        }
    }
}

impl From<&Problem> for wire::frames::Problem {
    fn from(problem: &Problem) -> Self {
        let Problem { id, failure } = problem;
        Self { id: id.0, failure: failure.into() }
    }
}

impl From<wire::requests::Choice> for gemra_core::agent::Choice {
    fn from(choice: wire::requests::Choice) -> Self {
        match choice {
            wire::requests::Choice::Allow => Self::Allow,
            wire::requests::Choice::AllowAlways => Self::AllowAlways,
            wire::requests::Choice::Deny { reason } => Self::Deny { reason },
            wire::requests::Choice::Answers { replies } => Self::Answers(replies.into_iter().map(Into::into).collect()),
        }
    }
}
