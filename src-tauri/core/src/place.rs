//! Where an agent runs. Both places give the same [`Process`](crate::process::Process), so that a tab never knows
//! which one it has, but for its words.

pub mod container;
pub mod host;

/// Where an agent runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On the user's machine.
    Host,
    /// In a container of ours.
    Container,
}
