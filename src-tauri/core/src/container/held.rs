//! A container that runs, as somebody outside of it holds on to it: who has this can look into it, and see from it when
//! a process inside ran out of memory. It knows neither the agent nor how the container was made.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

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
    /// How often a process in it was killed for want of memory, as far as is known.
    pub ran_out: watch::Receiver<u32>,
    /// Asks for a look at that, where the engine does not tell it by itself.
    pub look: Arc<Notify>,
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}
