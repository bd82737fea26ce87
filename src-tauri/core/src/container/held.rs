//! A container that runs, as somebody outside of it holds on to it: who has this can look into it, and see from it when
//! a process inside ran out of memory. It knows neither the agent nor how the container was made.

use tokio::sync::watch;

use super::engine::Engine;

/// A container that runs.
#[derive(Debug, Clone)]
pub struct Held {
    /// The engine that has it.
    pub engine: Engine,
    /// The engine's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How often a process in it was killed for want of memory, as far as the engine tells.
    pub ran_out: watch::Receiver<u32>,
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}
