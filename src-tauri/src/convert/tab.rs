//! The types around a transcript.

use gemra_core::agent::claude::find;
use gemra_core::agent::{Mode, ModelOption, Offer, SlashCommand};
use gemra_core::container::state::State;
use gemra_core::guard::{Change, ChangeKind};
use gemra_core::place::container::{Refusal, Refusals};
use gemra_core::sync::Conflict;
use gemra_core::tab::view::{AgentView, BuildStep, ContainerView, Queued, TurnView, Usage, View};
use gemra_core::tab::{Summary, retry_reason};
use gemra_core::trust::{Decision, Widening};

use super::{count, milliseconds};
use crate::wire::tab as wire;

impl From<&Summary> for wire::TabSummary {
    fn from(summary: &Summary) -> Self {
        let Summary { id, title, workspace, busy, asking, interrupted, container } = summary;
        Self {
            id: id.to_string(),
            title: title.clone(),
            workspace: workspace.display().to_string(),
            busy: *busy,
            asking: *asking,
            interrupted: *interrupted,
            container: container.into(),
        }
    }
}

impl From<&View> for wire::TabView {
    fn from(view: &View) -> Self {
        // Whether a question waits is for the tab bar; on the page it is an entry.
        let View {
            id,
            title,
            workspace,
            agent,
            turn,
            queue,
            container,
            guard,
            trust,
            model,
            mode,
            modes,
            usage,
            asking: _,
        } = view;
        Self {
            id: id.to_string(),
            title: title.clone(),
            workspace: workspace.display().to_string(),
            agent: agent.into(),
            turn: turn.into(),
            queue: queue.iter().map(Into::into).collect(),
            container: container.into(),
            guard: guard.as_ref().map(|changes| changes.iter().map(Into::into).collect()),
            trust: trust.as_ref().map(|items| items.iter().map(Into::into).collect()),
            model: model.clone(),
            mode: (*mode).into(),
            modes: modes.iter().map(|mode| (*mode).into()).collect(),
            usage: (*usage).into(),
        }
    }
}

impl From<&Change> for wire::GuardedChange {
    fn from(change: &Change) -> Self {
        // What exactly was shown core remembers by itself.
        let Change { path, kind, hunks, note, seen: _ } = change;
        let kind = match kind {
            ChangeKind::Added => wire::GuardedKind::Added,
            ChangeKind::Removed => wire::GuardedKind::Removed,
            ChangeKind::Changed => wire::GuardedKind::Changed,
        };
        let hunks = hunks.iter().map(Into::into).collect();
        Self { path: path.display().to_string(), kind, hunks, note: note.clone() }
    }
}

impl From<&Widening> for wire::Widening {
    fn from(widening: &Widening) -> Self {
        let Widening { key, value, file, text } = widening;
        Self { key: key.clone(), value: value.clone(), file: file.clone(), text: text.clone() }
    }
}

impl From<wire::TrustDecision> for Decision {
    fn from(decision: wire::TrustDecision) -> Self {
        match decision {
            wire::TrustDecision::Allow => Self::Allow,
            wire::TrustDecision::Without => Self::Without,
            wire::TrustDecision::Refuse => Self::Refuse,
        }
    }
}

impl From<&AgentView> for wire::Agent {
    fn from(agent: &AgentView) -> Self {
        match agent {
            AgentView::Idle => Self::Idle,
            AgentView::Starting => Self::Starting,
            AgentView::Ready { version } => Self::Ready { version: version.clone() },
            AgentView::Missing { failure } => {
                Self::Missing { failure: failure.into(), install: find::INSTALL.to_owned() }
            }
            AgentView::Installing { line } => Self::Installing { line: line.clone() },
            AgentView::Failed { failure } => Self::Failed { failure: failure.into() },
        }
    }
}

impl From<&TurnView> for wire::Turn {
    fn from(turn: &TurnView) -> Self {
        match turn {
            TurnView::Idle => Self::Idle,
            TurnView::Running { since, retry } => Self::Running {
                since: milliseconds(*since),
                retry: retry.as_ref().map(|(retry, at)| wire::ApiRetry {
                    attempt: retry.attempt,
                    max: retry.max,
                    at: milliseconds(*at),
                    reason: retry_reason(retry),
                }),
            },
            TurnView::Interrupting { since } => Self::Interrupting { since: milliseconds(*since) },
        }
    }
}

impl From<&Queued> for wire::Queued {
    fn from(queued: &Queued) -> Self {
        let Queued { id, text } = queued;
        Self { id: id.clone(), text: text.clone() }
    }
}

impl From<&State> for wire::ContainerState {
    fn from(state: &State) -> Self {
        match state {
            State::Off => Self::Off,
            State::Building { .. } => Self::Building,
            State::Starting => Self::Starting,
            State::Running => Self::Running,
            State::Stopping { .. } => Self::Stopping,
            State::Error { .. } => Self::Error,
        }
    }
}

impl From<&Conflict> for wire::SyncConflict {
    fn from(conflict: &Conflict) -> Self {
        let Conflict { root, path, mine, mine_is, theirs, theirs_is } = conflict;
        Self {
            root: root.display().to_string(),
            path: path.clone(),
            mine: mine.display().to_string(),
            mine_is: (*mine_is).to_owned(),
            theirs: theirs.as_ref().map(|path| path.display().to_string()),
            theirs_is: theirs_is.clone(),
        }
    }
}

impl From<&ContainerView> for wire::Container {
    fn from(container: &ContainerView) -> Self {
        let ContainerView { state, since, phase, step, facts, took, has_log, image_changed, conflicts, refusals } =
            container;
        let (failure, host_agent) = match state {
            State::Error { failure, host_agent } => (Some(failure.into()), *host_agent),
            State::Building { host_agent } | State::Stopping { host_agent } => (None, *host_agent),
            _ => (None, false),
        };
        let fact = |(name, value): &(String, String)| wire::Fact { name: name.clone(), value: value.clone() };
        Self {
            state: state.into(),
            since: milliseconds(*since),
            phase: phase.clone(),
            step: step.as_ref().map(Into::into),
            facts: facts.iter().map(fact).collect(),
            took: took.map(|took| took.as_secs_f64() * 1000.0),
            failure,
            host_agent,
            has_log: *has_log,
            image_changed: *image_changed,
            conflicts: conflicts.iter().map(Into::into).collect(),
            refusals: refusals.into(),
        }
    }
}

impl From<&Refusals> for wire::Refusals {
    fn from(refusals: &Refusals) -> Self {
        let Refusals { targets, times, malformed } = refusals;
        let target = |one: &Refusal| {
            let Refusal { target, entry, why, times } = one;
            wire::Refusal { target: target.clone(), entry: entry.clone(), why: (*why).to_owned(), times: *times }
        };
        Self { targets: targets.iter().map(target).collect(), times: *times, malformed: *malformed }
    }
}

impl From<&BuildStep> for wire::BuildStep {
    fn from(step: &BuildStep) -> Self {
        let BuildStep { index, total, line } = step;
        Self { index: *index, total: *total, line: line.clone() }
    }
}

impl From<Mode> for wire::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Default => Self::Default,
            Mode::AcceptEdits => Self::AcceptEdits,
            Mode::Plan => Self::Plan,
            Mode::BypassPermissions => Self::BypassPermissions,
        }
    }
}

impl From<wire::Mode> for Mode {
    fn from(mode: wire::Mode) -> Self {
        match mode {
            wire::Mode::Default => Self::Default,
            wire::Mode::AcceptEdits => Self::AcceptEdits,
            wire::Mode::Plan => Self::Plan,
            wire::Mode::BypassPermissions => Self::BypassPermissions,
        }
    }
}

impl From<Usage> for wire::Usage {
    fn from(usage: Usage) -> Self {
        let Usage { context_tokens, context_window, input_tokens, output_tokens, cost, turns } = usage;
        Self {
            context_tokens: count(context_tokens),
            context_window: count(context_window),
            input_tokens: count(input_tokens),
            output_tokens: count(output_tokens),
            cost,
            turns,
        }
    }
}

impl From<&Offer> for wire::Catalog {
    fn from(offer: &Offer) -> Self {
        let Offer { models, commands } = offer;
        Self { models: models.iter().map(Into::into).collect(), commands: commands.iter().map(Into::into).collect() }
    }
}

impl From<&ModelOption> for wire::ModelOption {
    fn from(model: &ModelOption) -> Self {
        let ModelOption { value, name, description, resolved } = model;
        Self { value: value.clone(), name: name.clone(), description: description.clone(), resolved: resolved.clone() }
    }
}

impl From<&SlashCommand> for wire::SlashCommand {
    fn from(command: &SlashCommand) -> Self {
        let SlashCommand { name, description, hint } = command;
        Self { name: name.clone(), description: description.clone(), hint: hint.clone() }
    }
}
