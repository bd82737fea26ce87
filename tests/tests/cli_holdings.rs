//! `gemra ps`, `disk`, `prune` and `exec` as their users run them, at a real engine.

#![allow(clippy::unwrap_used)] // What cannot be set up fails the test, which is what it is for.

use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;
use tests::engine::Engine;
use tests::engine::lab::{self, Lab};
use tests::{desktop, spawn};

/// Runs the command line as its users get it, with nothing of this process's environment but the path.
fn gemra(arguments: &[&str]) -> Output {
    let program: PathBuf = desktop::target().join("release/gemra");
    assert!(program.exists(), "{} is missing: `cargo xtask build` builds it", program.display());
    let home = tempfile::tempdir().unwrap();
    let mut command = spawn::command(program);
    command.args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", home.path()).env("GEMRA_HOME", home.path()).env("DOCKER_HOST", Engine::shared().address());
    spawn::output(&mut command).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_is_told_in_words_and_json_and_a_command_runs_in_it() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    let tab = uuid::Uuid::new_v4().simple().to_string()[..8].to_owned();
    let mut wish = lab.wish(&image, lab::user());
    wish.owner.tab.clone_from(&tab);
    let process = lab.start(&wish).await;

    let told = gemra(&["ps", "--json"]);
    assert!(told.status.success(), "the engine answers: {}", text(&told.stderr));
    let all: Value = serde_json::from_slice(&told.stdout).unwrap();
    let one = all["containers"].as_array().unwrap().iter().find(|one| one["tab"] == tab.as_str()).unwrap().clone();
    assert_eq!((&one["state"], &one["workspace"]), (&"running".into(), &wish.owner.workspace.clone().into()), "{one}");
    assert!(one["memory"].as_u64().is_some_and(|bytes| bytes > 0), "what it uses is told: {one}");
    let words = text(&gemra(&["ps"]).stdout);
    assert!(words.contains(one["name"].as_str().unwrap()) && words.contains("running"), "in words too: {words}");

    let told: Value = serde_json::from_slice(&gemra(&["disk", "--json"]).stdout).unwrap();
    let holdings = told["holdings"].as_array().unwrap();
    let used = |kind: &str, name: &str| {
        holdings.iter().any(|one| one["kind"] == kind && one["name"] == name && one["used"] == true)
    };
    assert!(used("image", &image.tag), "its image is in use: {told}");
    assert!(used("container", one["name"].as_str().unwrap()), "and so is itself: {told}");
    let of = |project: &str| {
        let told: Value = serde_json::from_slice(&gemra(&["ps", "--json", "--project", project]).stdout).unwrap();
        told["containers"].as_array().unwrap().iter().any(|one| one["tab"] == tab.as_str())
    };
    assert!(of(&wish.owner.workspace), "a project's own is told for it");
    assert!(!of("/somewhere/else"), "and for no other");
    let told: Value =
        serde_json::from_slice(&gemra(&["disk", "--json", "--project", &wish.owner.workspace]).stdout).unwrap();
    let kinds: Vec<&Value> = told["holdings"].as_array().unwrap().iter().map(|one| &one["kind"]).collect();
    assert_eq!(kinds, ["container"], "of what is held the project's alone: {told}");
    let would = gemra(&["prune"]);
    assert!(would.status.success(), "nothing is removed without a word: {}", text(&would.stderr));
    assert!(!text(&would.stdout).contains("Removed"), "it only tells: {}", text(&would.stdout));

    let ran = gemra(&["exec", "--tab", &tab, "--", "sh", "-c", "echo out; echo err >&2; exit 9"]);
    assert_eq!(ran.status.code(), Some(9), "its code is handed on: {}", text(&ran.stderr));
    assert_eq!((text(&ran.stdout), text(&ran.stderr)), ("out\n".to_owned(), "err\n".to_owned()), "each to its place");
    let late = gemra(&["exec", "--workspace", &wish.owner.workspace, "--timeout", "2", "--", "sleep", "6543"]);
    assert_eq!(late.status.code(), Some(124), "as `timeout` has it: {}", text(&late.stderr));
    let none = gemra(&["exec", "--tab", "nobody", "--", "true"]);
    assert_eq!(none.status.code(), Some(125), "what could not be run is told apart");
    assert!(text(&none.stderr).contains("gemra ps"), "with the way on: {}", text(&none.stderr));
    process.stop.stop().await;
}
