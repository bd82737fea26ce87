//! A quit at a real engine: how long it takes with many containers, agents in mid-turn among them, and that neither a
//! container nor a word of a conversation is left behind.

#![allow(clippy::unwrap_used)] // What cannot be set up fails the test, which is what it is for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use gemra_core::app::QUIT;
use gemra_core::container::state::State;
use gemra_core::tab::view::TurnView;
use tests::engine::desk::Desk;
use tests::engine::follow::Follow;
use tests::engine::{BASE, Engine, see};

/// How many containers there are.
const MANY: usize = 8;

/// The conversations of a desk: each file's messages, every line of which has to be whole.
fn conversations(folder: &Path) -> Vec<Vec<String>> {
    let mut files: Vec<PathBuf> =
        walk(folder).into_iter().filter(|file| file.extension().is_some_and(|of| of == "jsonl")).collect();
    files.sort();
    let message = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        line["message"]["content"].as_str().unwrap().to_owned()
    };
    files.iter().map(|file| std::fs::read_to_string(file).unwrap().lines().map(message).collect()).collect()
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .flatten()
        .map(|entry| entry.path())
        .flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_containers_end_in_time_and_no_word_is_lost() {
    let desk = Desk::new().dockerfile(&format!("FROM {BASE}"), "true");
    let home = desk.user_home();
    let mut moving = desk.open().await;
    moving.enter().await;
    let workspace = moving.workspace().display().to_string();
    let app = Arc::clone(moving.app());
    let mut tabs = vec![Follow::of(Arc::clone(moving.tab())).await];
    for number in 1..MANY {
        // A new tab begins where the project's last one was.
        let id = app.open_tab(&format!("tab {number}"), workspace.clone()).await.unwrap();
        tabs.push(Follow::of(app.tab(&id).unwrap()).await);
    }
    for tab in &mut tabs {
        tab.until_state(&State::Running).await;
    }
    // Three wait for the user, three stop when they are told to, and two hear nothing.
    for (number, tab) in tabs.iter_mut().enumerate() {
        match number {
            0..3 => tab.turn("remember this").await,
            3..6 => tab.send("slow and steady").await,
            _ => tab.send("sh sleep 600").await,
        }
    }
    for tab in &mut tabs[3..] {
        tab.until("its turn runs", |view| view.queue.is_empty() && view.turn != TurnView::Idle).await;
    }
    see::until("each has kept what it was told", std::time::Duration::from_mins(1), async || {
        (conversations(&home).iter().filter(|all| !all.is_empty()).count() == MANY).then_some(())
    })
    .await;
    let of_us = format!("dev.gemra.workspace={workspace}");
    assert_eq!(see::containers(Engine::shared(), &of_us).await.len(), MANY, "there are as many containers");

    let began = Instant::now();
    app.quit().await;
    let took = began.elapsed();
    let left = see::containers(Engine::shared(), &of_us).await;
    assert!(left.is_empty(), "nothing is left after {took:?}: {left:#?}");
    assert!(took < QUIT, "a quit takes {took:?}, and may take {QUIT:?}");

    let all = conversations(&home);
    let with = |text: &str| all.iter().filter(|messages| messages.iter().any(|message| message == text)).count();
    assert_eq!(with("the last word"), 3, "who ends with its input had the time for it: {all:?}");
    assert_eq!(with("[Request interrupted by user]"), 3, "who was interrupted has kept that: {all:?}");
    assert_eq!(with("sh sleep 600"), 2, "and who heard nothing has what it had: {all:?}");
}
