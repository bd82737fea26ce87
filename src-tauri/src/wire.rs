//! What crosses the bridge to the page: serialisable twins of core's types, and nothing that thinks.
//!
//! Core's types are free to change shape; these are the contract with the UI. Each twin is made by an exhaustive
//! `From`, so a new field in core does not compile until somebody has decided whether the page sees it.
//! The TypeScript in `ui/src/host/wire/` is generated from here (`cargo xtask test shell` checks that it is fresh).

pub(crate) mod frames;
pub(crate) mod requests;
pub(crate) mod settings;
pub(crate) mod tab;
pub(crate) mod transcript;
