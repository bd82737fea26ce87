//! The engine's side: find it, build the image, run the agent in a container, clean up. `state` is the machine behind
//! the Container button.

pub mod state;

use crate::failure::{Code, Failure};
use crate::process::Exit;

/// Why the agent in the container is gone.
pub(crate) fn gone(exit: &Exit, _ready: bool, missing: bool) -> Failure {
    if missing {
        return crate::tab::session_missing(&exit.stderr);
    }
    Failure::new(Code::AgentCrashed, "The agent ended unexpectedly", "It ended.", "Press Retry.")
        .with_detail(&exit.stderr)
}
