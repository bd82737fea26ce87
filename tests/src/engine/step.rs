//! A step of a build as the machine sees it, where the engine is on this one: its process, and the folder of the layer that
//! it writes. It asks no engine.

use std::path::PathBuf;
use std::time::Duration;

use super::see;
use crate::spawn;

/// A command that sleeps for ten minutes, and that nobody else has.
pub fn sleep() -> String {
    format!("sleep 600.{}", uuid::Uuid::new_v4().as_u128() % 1_000_000_007)
}

/// The process whose command line is exactly this.
pub fn process(command: &str) -> Option<u32> {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut ids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.find(|id: &u32| {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ").trim() == command
    })
}

/// Ends what a step sleeps with, that Podman goes on with though nobody waits for its build: its API cannot end one. To the
/// builder the step has succeeded. Returns when the builder has put away what it wrote.
///
/// # Panics
/// Where the step does not go on, or what it wrote stays.
pub async fn outlives_its_build(command: &str) {
    let id = process(command).expect("Podman goes on with the step");
    let layer = layer(id).expect("the step's root is a layer of the engine's");
    assert!(layer.is_dir(), "it is on this machine: {}", layer.display());
    spawn::kill(id);
    let gone = async || (!layer.exists()).then_some(());
    see::until("the builder puts the step's container away", Duration::from_mins(1), gone).await;
}

/// The folder to which what a process changes of its root goes.
fn layer(id: u32) -> Option<PathBuf> {
    let mounts = std::fs::read_to_string(format!("/proc/{id}/mountinfo")).ok()?;
    let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/"))?;
    root.split([',', ' ']).find_map(|option| option.strip_prefix("upperdir=")).map(PathBuf::from)
}
