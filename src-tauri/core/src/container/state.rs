//! The machine behind the Container button: pure and total. It decides what happens next and does nothing itself; an
//! event that a state has no use for is ignored, because it is late.

use crate::failure::Failure;

/// Where the button is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum State {
    /// The agent runs on the host.
    #[default]
    Off,
    /// The image is being looked for and built.
    Building {
        /// True where the host's agent goes on working; false after a failure that left none.
        host_agent: bool,
    },
    /// The container is being started; the host's agent is leaving.
    Starting,
    /// The agent in the container has answered.
    Running,
    /// On the way back to the host.
    Stopping {
        /// True where the host's agent works already, because only a build beside it was cancelled.
        host_agent: bool,
    },
    /// It failed, and says so until somebody tries again or gives up.
    Error {
        /// Why.
        failure: Failure,
        /// True where the host's agent still works.
        host_agent: bool,
    },
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The button was clicked.
    Click,
    /// "Use host" was clicked.
    UseHost,
    /// The tab was in a container when its instance died, and goes back there before anything runs on the host.
    TakenUp,
    /// Before the host's agent starts somebody has to look at what a container has changed.
    Guarded,
    /// The image is there.
    ImageReady,
    /// The agent in the container has answered.
    AgentAnswered,
    /// Something failed, or took too long.
    Failed(Failure),
    /// The agent in the container is gone.
    AgentGone(Failure),
    /// The agent in the container is to be started again, in a new container; the old one is gone or is let go.
    Again,
    /// Whatever was being stopped is gone.
    Stopped,
}

/// What has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Find the engine and the image; build it if need be.
    Prepare,
    /// Stop that.
    CancelPrepare,
    /// Let the host's agent leave, and start the container.
    Enter,
    /// Stop and remove the container, whatever state it is in; say when it is gone.
    Leave,
    /// Remove what is left of the container; nobody waits for it.
    Discard,
    /// Start the agent on the host.
    UseHost,
    /// Give the waiting messages to the agent in the container.
    Settle,
}

impl State {
    /// True where no container of this tab exists or is about to.
    pub fn is_off(&self) -> bool {
        matches!(self, Self::Off)
    }

    /// True where the user wants the agent in a container, whether it is there or not.
    pub fn wants_container(&self) -> bool {
        matches!(self, Self::Building { .. } | Self::Starting | Self::Running | Self::Error { .. })
    }

    /// True where the agent of this tab is, or is about to be, the one in the container.
    pub fn is_inside(&self) -> bool {
        matches!(self, Self::Starting | Self::Running)
    }
}

/// What happens next. Every pair of state and event has an answer; one without a meaning changes nothing.
pub fn step(state: State, event: Event) -> (State, Vec<Effect>) {
    use Effect::{CancelPrepare, Discard, Enter, Leave, Prepare, Settle, UseHost};
    match (state, event) {
        (State::Off, Event::Click) => (State::Building { host_agent: true }, vec![Prepare]),
        (State::Off, Event::TakenUp) => (State::Building { host_agent: false }, vec![Prepare]),
        (State::Off, Event::Guarded) => (State::Stopping { host_agent: false }, vec![]),
        (State::Error { host_agent, .. }, Event::Click) => (State::Building { host_agent }, vec![Prepare]),

        (State::Building { host_agent }, Event::Click) => (State::Stopping { host_agent }, vec![CancelPrepare]),
        (State::Building { .. }, Event::ImageReady) => (State::Starting, vec![Enter]),
        (State::Building { host_agent }, Event::Failed(failure)) => (State::Error { failure, host_agent }, vec![]),

        (State::Starting | State::Running, Event::Click) => (State::Stopping { host_agent: false }, vec![Leave]),
        // Also from Starting: an agent that was started again and ended before it answered.
        (State::Starting | State::Running, Event::Again) => (State::Starting, vec![Enter]),
        (State::Starting, Event::AgentAnswered) => (State::Running, vec![Settle]),
        (State::Starting | State::Running, Event::Failed(failure) | Event::AgentGone(failure)) => {
            (State::Error { failure, host_agent: false }, vec![Discard])
        }

        (State::Stopping { host_agent: true }, Event::Stopped) => (State::Off, vec![]),
        (State::Stopping { host_agent: false }, Event::Stopped) => (State::Off, vec![UseHost]),
        (State::Stopping { host_agent }, Event::Failed(failure)) => {
            (State::Error { failure, host_agent }, if host_agent { vec![] } else { vec![Discard] })
        }

        (State::Error { host_agent: true, .. }, Event::UseHost) => (State::Off, vec![]),
        // Whatever the failure left is waited for: while a tab is off no container of it exists.
        (State::Error { host_agent: false, .. }, Event::UseHost) => {
            (State::Stopping { host_agent: false }, vec![Leave])
        }

        (state, _) => (state, vec![]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Code;

    fn failure() -> Failure {
        Failure::new(Code::StartFailed, "It failed", "For a reason.", "Try again.")
    }

    fn states() -> Vec<(&'static str, State)> {
        vec![
            ("off", State::Off),
            ("building", State::Building { host_agent: true }),
            ("building anew", State::Building { host_agent: false }),
            ("starting", State::Starting),
            ("running", State::Running),
            ("cancelling", State::Stopping { host_agent: true }),
            ("leaving", State::Stopping { host_agent: false }),
            ("not built", State::Error { failure: failure(), host_agent: true }),
            ("not running", State::Error { failure: failure(), host_agent: false }),
        ]
    }

    fn events() -> Vec<(&'static str, Event)> {
        vec![
            ("click", Event::Click),
            ("use host", Event::UseHost),
            ("taken up", Event::TakenUp),
            ("guarded", Event::Guarded),
            ("image", Event::ImageReady),
            ("answer", Event::AgentAnswered),
            ("failure", Event::Failed(failure())),
            ("gone", Event::AgentGone(failure())),
            ("again", Event::Again),
            ("stopped", Event::Stopped),
        ]
    }

    /// The table of `DESIGN.md`, spelled out: a cell names the next state and the effects; a cell that is not here
    /// changes nothing.
    const TABLE: &[(&str, &str, &str, &[Effect])] = &[
        ("off", "click", "building", &[Effect::Prepare]),
        ("off", "taken up", "building anew", &[Effect::Prepare]),
        ("off", "guarded", "leaving", &[]),
        ("building", "click", "cancelling", &[Effect::CancelPrepare]),
        ("building", "image", "starting", &[Effect::Enter]),
        ("building", "failure", "not built", &[]),
        ("building anew", "click", "leaving", &[Effect::CancelPrepare]),
        ("building anew", "image", "starting", &[Effect::Enter]),
        ("building anew", "failure", "not running", &[]),
        ("starting", "click", "leaving", &[Effect::Leave]),
        ("starting", "answer", "running", &[Effect::Settle]),
        ("starting", "again", "starting", &[Effect::Enter]),
        ("starting", "failure", "not running", &[Effect::Discard]),
        ("starting", "gone", "not running", &[Effect::Discard]),
        ("running", "click", "leaving", &[Effect::Leave]),
        ("running", "again", "starting", &[Effect::Enter]),
        ("running", "failure", "not running", &[Effect::Discard]),
        ("running", "gone", "not running", &[Effect::Discard]),
        ("cancelling", "stopped", "off", &[]),
        ("cancelling", "failure", "not built", &[]),
        ("leaving", "stopped", "off", &[Effect::UseHost]),
        ("leaving", "failure", "not running", &[Effect::Discard]),
        ("not built", "click", "building", &[Effect::Prepare]),
        ("not built", "use host", "off", &[]),
        ("not running", "click", "building anew", &[Effect::Prepare]),
        ("not running", "use host", "leaving", &[Effect::Leave]),
    ];

    #[test]
    fn every_state_meets_every_event() {
        let states = states();
        for (from, state) in &states {
            for (happens, event) in events() {
                let (next, effects) = step(state.clone(), event);
                let next = states.iter().find(|(_, known)| *known == next).map(|(name, _)| *name);
                let row = TABLE.iter().find(|row| row.0 == *from && row.1 == happens);
                let (expected, wanted) = row.map_or((*from, &[][..]), |row| (row.2, row.3));
                assert_eq!(next, Some(expected), "{from} + {happens} leads there");
                assert_eq!(effects, wanted, "{from} + {happens} has these effects");
            }
        }
    }

    #[test]
    fn off_always_has_an_agent_on_the_host() {
        // Every way from Off by six events of any kind: wherever it comes back to Off, either the host's agent
        // never left, or it is started.
        let mut ways = vec![(State::Off, true)];
        for _ in 0..6 {
            let mut longer = Vec::new();
            for (state, works) in &ways {
                for (happens, event) in events() {
                    let (next, effects) = step(state.clone(), event);
                    let works = (*works || effects.contains(&Effect::UseHost)) && !effects.contains(&Effect::Enter);
                    // A tab that is taken up has no agent yet, nor has one whose files are looked at before it starts.
                    let works = works && !(matches!(happens, "taken up" | "guarded") && state.is_off());
                    if next.is_off() {
                        assert!(works || *state == State::Off, "{state:?} + {happens} leaves a tab without an agent");
                    }
                    if let State::Error { host_agent, .. } | State::Building { host_agent } = &next {
                        assert_eq!(*host_agent, works, "{state:?} + {happens} says the truth about the host's agent");
                    }
                    if !longer.contains(&(next.clone(), works)) {
                        longer.push((next, works));
                    }
                }
            }
            ways = longer;
        }
    }

    #[test]
    fn ten_clicks_end_in_a_state_that_has_a_way_out() {
        let mut state = State::Off;
        for _ in 0..10 {
            state = step(state, Event::Click).0;
        }
        assert_eq!(state, State::Stopping { host_agent: true }, "clicks in motion cancel, and then are ignored");
        assert_eq!(step(state, Event::Stopped).0, State::Off, "and the cancelled build ends at Off");
    }
}
