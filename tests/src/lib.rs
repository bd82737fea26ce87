//! Stand-ins and fixtures: a Messages API on loopback, the desktop harness, and the one place where tests spawn
//! processes. Nothing here knows the inside of Gemra: it meets the programs as their users do.

pub mod desktop;
pub mod engine;
pub mod git_server;
pub mod model_api;
pub mod needs;
pub mod spawn;
