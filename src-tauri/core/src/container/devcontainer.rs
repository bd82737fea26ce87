//! A project's `devcontainer.json`: where it is, what it asks for, and what of that Gemra does. It reads and reckons;
//! it runs nothing and asks no engine. The names and rules are those of the Development Container Specification.

pub mod file;
pub mod image;
pub mod lifecycle;
pub mod merge;
pub mod metadata;
pub mod mounts;
pub mod properties;
pub mod run_args;
pub mod users;
pub mod variables;

pub use file::{Devcontainer, DevcontainerError};
pub use properties::Properties;
