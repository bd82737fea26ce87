//! How long the Container button may be on its way, and what is said where that was not enough. Building has limits of its
//! own, because it may rightly take long.

use std::time::Duration;

use super::super::actor::Actor;
use crate::container::run::Phase;
use crate::container::state::Event;
use crate::failure::{Code, Failure};

/// How long the engine, the container and the agent in it may take to start together.
pub(super) const STARTING: Duration = Duration::from_secs(90);
/// How long the way back may take: the ladder's graces and the removal of the container.
pub(super) const STOPPING: Duration = Duration::from_secs(30);

impl Actor {
    pub(in crate::tab) fn on_container_too_slow(&mut self, entered: u32) {
        if entered != self.flip.entered {
            return;
        }
        let phase = self.flip.phase.clone().unwrap_or_else(|| "Moving the agent".to_owned());
        let failure = Failure::new(
            Code::Timeout,
            "The container took too long",
            format!("It did not get further than this: {phase}."),
            "Look whether the engine still answers, then press Retry.",
        );
        self.drive(Event::Failed(failure));
    }

    /// How long all of the start may take: as usual, but for what the settings say of the engine's part in it.
    pub(super) fn start_limit(&self) -> Duration {
        let wished = self.surroundings.settings().wishes(self.workspace.path()).start_seconds;
        let usual = Phase::Start.limit();
        let start = wished.map_or(usual, |seconds| Duration::from_secs(seconds.into()));
        STARTING + start.saturating_sub(usual)
    }
}
