//! The Claude CLI: where it is found, how it is started, and its stream-json in both directions.
//!
//! Only this room knows the protocol. Facts come from `PROTOCOL.md` and the recordings in `tests/data/protocol`.

pub(crate) mod account;
pub mod find;
pub mod history;
pub mod launch;
pub mod reader;
pub mod session;
pub mod sessions;
mod shape;
pub mod writer;
