//! The whole of Gemra without a window: agents, the places they run in, containers, transcripts, settings.
//!
//! It knows nothing of Tauri, windows or TypeScript. A shell starts an [`App`](app::App) and talks to it and to its
//! tabs' handles.

pub mod agent;
pub mod app;
mod audit;
pub mod container;
pub mod credentials;
mod digest;
pub mod environment;
pub mod failure;
mod file;
mod git;
pub mod guard;
pub mod home;
mod owner;
pub mod place;
pub mod process;
pub mod project;
pub mod reaper;
mod record;
pub mod settings;
pub mod stream;
pub mod sync;
pub mod tab;
pub mod transcript;
pub mod trust;
pub mod workspace;
