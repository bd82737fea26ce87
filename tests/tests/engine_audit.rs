//! What an agent in a real container does without a question is in its project's log, whichever way it came to need none:
//! each call, why, and what came of it. What the user was asked about is not.

#![allow(clippy::unwrap_used)] // What cannot be set up fails the test, which is what it is for.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gemra_core::agent::{Choice, Mode};
use gemra_core::tab::view::TurnView;
use serde_json::{Value, json};
use tests::engine::desk::{Desk, fact};
use tests::engine::follow::Follow;
use tests::engine::{BASE, see};

const PATIENCE: Duration = Duration::from_mins(2);

/// The lines of the log.
fn logged(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits for so many lines, and gives the last two: a call, and what came of it.
async fn last_two(file: &Path, expected: usize) -> (Value, Value) {
    let lines = see::until("the log has its lines", PATIENCE, async || {
        let lines = logged(file);
        (lines.len() >= expected).then_some(lines)
    })
    .await;
    assert_eq!(lines.len(), expected, "and no others: {lines:#?}");
    (lines[expected - 2].clone(), lines[expected - 1].clone())
}

async fn choose(follow: &mut Follow, mode: Mode) {
    follow.tab.set_mode(mode);
    follow.until("the mode is chosen", |view| view.mode == mode).await;
}

/// Sends a message whose call is asked about, and answers.
async fn asked(follow: &mut Follow, text: &str, choice: Choice) {
    follow.send(text).await;
    follow.until("it asks", |view| view.asking).await;
    follow.tab.answer(follow.ask(), choice);
    follow.until("it has gone on", |view| !view.asking && view.turn == TurnView::Idle).await;
}

#[tokio::test]
async fn what_no_question_preceded_is_written_down_in_every_mode() {
    let mut moving = Desk::new().dockerfile(&format!("FROM {BASE}"), "true").open().await;
    let view = moving.enter().await;
    let told = fact(&moving.until("the log is told", |view| !view.facts.is_empty()).await, "Audit log").to_owned();
    let file = Path::new(told.split(" (").next().unwrap()).to_path_buf();
    assert_eq!(view.state, gemra_core::container::state::State::Running, "the agent is inside");
    let mut follow = Follow::of(Arc::clone(moving.tab())).await;

    // It asks: what was asked about is no business of the log, what needs no leave is.
    asked(&mut follow, "asked Bash touch once", Choice::Allow).await;
    follow.turn("call Read echo what it says").await;
    let (call, came) = last_two(&file, 2).await;
    assert_eq!((&call["tool"], &call["mode"]), (&json!("Read"), &json!("default")), "{call}");
    assert_eq!(call["why"], json!(["the agent needs no leave for it"]), "{call}");
    assert_eq!(call["input"], json!({"command": "echo what it says"}), "{call}");
    assert_eq!((&came["result"], &came["code"]), (&json!("what it says\n"), &json!(0)), "{came}");
    assert_eq!(call["call"], came["call"], "the two belong together");

    // What was allowed for ever is asked about once.
    asked(&mut follow, "asked Bash touch always", Choice::AllowAlways).await;
    follow.turn("call Bash touch again; echo oh; exit 3").await;
    let (call, came) = last_two(&file, 4).await;
    assert_eq!(call["why"], json!(["always allowed: Bash(touch *)"]), "{call}");
    assert_eq!((&came["failed"], &came["code"]), (&json!(true), &json!(3)), "how it ended: {came}");
    assert!(came["result"].as_str().unwrap().contains("oh"), "and what it said: {came}");

    choose(&mut follow, Mode::AcceptEdits).await;
    follow.turn("call Write echo made >made.txt").await;
    let (call, came) = last_two(&file, 6).await;
    assert_eq!((&call["tool"], &call["mode"]), (&json!("Write"), &json!("acceptEdits")), "{call}");
    assert!(call["why"].to_string().contains("Accept edits"), "{call}");
    assert_eq!(came["failed"], json!(false), "{came}");

    choose(&mut follow, Mode::BypassPermissions).await;
    follow.turn("call Bash echo unasked").await;
    let (call, came) = last_two(&file, 8).await;
    let expected = (&json!("bypassPermissions"), &json!(["Bypass: nothing is asked"]));
    assert_eq!((&call["mode"], &call["why"]), expected, "{call}");
    assert_eq!(came["result"], json!("unasked\n"), "{came}");

    // What the agent does not live to tell is there all the same.
    follow.send("call Bash die").await;
    let (call, came) = last_two(&file, 10).await;
    assert_eq!(call["input"], json!({"command": "die"}), "{call}");
    assert!(came["noResult"].is_string() && came["result"].is_null(), "nothing came of it: {came}");
    moving.quit().await;
}
