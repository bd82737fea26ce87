//! The engine's side: find it, build the image, run the agent in a container, clean up. `state` is the machine behind
//! the Container button. Nothing here knows tabs, transcripts or what the agent says.

pub mod devcontainer;
pub mod engine;
pub mod exec;
pub mod held;
pub mod holdings;
pub mod image;
pub mod labels;
pub mod life;
pub mod network;
pub mod run;
pub mod spec;
pub mod state;
pub mod stats;
pub mod sweep;
