//! The names on everything that Gemra makes at an engine, by which it finds its own again. Scripts rely on them.

use std::collections::HashMap;

/// On every container, volume and image; its value is `1`.
pub const MANAGED: &str = "dev.gemra.managed";
/// The running Gemra that made it: one for each `GEMRA_HOME`.
pub const INSTANCE: &str = "dev.gemra.instance";
/// The tab that it serves.
pub const TAB: &str = "dev.gemra.tab";
/// The workspace's path on the host.
pub const WORKSPACE: &str = "dev.gemra.workspace";
/// The fingerprint of what it was made from.
pub const SPEC: &str = "dev.gemra.spec";
/// On an image: what it is one of a row of, so that a new one replaces those before it.
pub const SOURCE: &str = "dev.gemra.source";
/// On a container that prepares a volume: the volume's name.
pub const PREPARES: &str = "dev.gemra.prepares";

/// The label of what prepares a volume, as the engine's filters spell it.
pub(crate) fn preparing(volume: &str) -> String {
    format!("{PREPARES}={volume}")
}

/// The label that all carry, as the engine's filters spell it.
pub fn managed() -> String {
    format!("{MANAGED}=1")
}

/// A filter for what carries our label, and the others given.
pub(crate) fn filter(more: impl IntoIterator<Item = String>) -> HashMap<String, Vec<String>> {
    let labels = std::iter::once(managed()).chain(more).collect();
    HashMap::from([("label".to_owned(), labels)])
}

/// A set of labels, with the one that all carry.
fn set<'a>(more: impl IntoIterator<Item = (&'a str, &'a str)>) -> HashMap<String, String> {
    std::iter::once((MANAGED, "1")).chain(more).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Whom something is made for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Owner {
    /// The running Gemra.
    pub instance: String,
    /// The tab that asked for it; others may use it as well.
    pub tab: String,
    /// The workspace's path on the host.
    pub workspace: String,
}

impl Owner {
    /// All labels, with the fingerprint of what the thing is made from.
    pub fn labels(&self, spec: &str) -> HashMap<String, String> {
        set([
            (INSTANCE, self.instance.as_str()),
            (TAB, self.tab.as_str()),
            (WORKSPACE, self.workspace.as_str()),
            (SPEC, spec),
        ])
    }
}
