//! Two apps at once, each with a home of its own, at one engine: whatever becomes of one, the other's agent works on.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gemra_core::app::QUIT;
use serde_json::Value;
use tests::desktop::app::{LONG, SOON};
use tests::desktop::{App, Home, Options, flip};
use tests::model_api::ModelApi;

/// What the window and its web view need to end, beside what a quit does.
const WINDOW: Duration = Duration::from_secs(2);

async fn inside(name: &str, home: &Arc<Home>, api: &ModelApi) -> App {
    let options = Options::real(&[home.workspace("project")]).engine();
    let app = App::launch(name, home, api, &options).await;
    app.enter().await;
    app
}

/// Says something, which the agent inside answers.
async fn works(app: &App, text: &str) {
    app.send(&format!("say: {text}")).await;
    app.until_entry("assistant", text, LONG).await;
    app.until_idle(SOON).await;
    app.until_container("running", SOON).await;
}

/// A turn that is in its midst.
async fn begins_a_long_turn(app: &App) {
    app.send("slow: 600 100").await;
    app.until("the turn runs", LONG, async |page| {
        page.last_of("assistant").filter(|entry| entry.streaming && entry.text.contains("w2")).map(drop)
    })
    .await;
}

/// The conversations of a home: all the lines of each, which have to be whole.
fn conversations(folder: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(folder).map(|entries| entries.flatten().map(|entry| entry.path()).collect::<Vec<PathBuf>>());
    let mut all = Vec::new();
    for path in entries.unwrap_or_default() {
        if path.is_dir() {
            all.extend(conversations(&path));
        } else if path.extension().is_some_and(|of| of == "jsonl") {
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(text.ends_with('\n'), "the last line of {} is whole: {text}", path.display());
            for line in text.lines() {
                let _: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
            }
            all.push(text);
        }
    }
    all
}

#[tokio::test]
async fn what_becomes_of_one_does_not_disturb_the_other() {
    let api = ModelApi::start();
    let (home, other) = (Home::new(), Home::new());
    let app = inside("two-one", &home, &api).await;
    let beside = inside("two-other", &other, &api).await;
    works(&app, "in the one").await;
    works(&beside, "in the other").await;
    let id = flip::container(&other).await.id;

    // One quits in the middle of a turn.
    begins_a_long_turn(&app).await;
    let began = Instant::now();
    app.terminate().await;
    let took = began.elapsed();
    flip::assert_no_container(&home).await;
    assert!(took < QUIT + WINDOW, "it took {took:?}");
    drop(app);
    let all = conversations(&home.home().join(".claude"));
    assert!(all.iter().any(|text| text.contains("in the one")), "what was said is kept: {all:?}");
    assert!(all.iter().any(|text| text.contains("slow: 600 100")), "and what was cut off: {all:?}");
    works(&beside, "after the quit").await;
    assert_eq!(flip::container(&other).await.id, id, "in the same container as before");

    // It comes again, and is killed.
    let options = Options::real(&[home.workspace("project")]).engine();
    let app = App::launch("two-one-again", &home, &api, &options).await;
    app.until_container("running", LONG).await;
    works(&app, "in the one again").await;
    app.kill();
    app.until_dead(SOON).await;
    flip::until_no_container(&home, LONG).await;
    drop(app);
    works(&beside, "after the kill").await;

    // What it finds of its own at its next start is none of the other's.
    let app = App::launch("two-one-taken-up", &home, &api, &Options::real(&[]).engine()).await;
    app.until_container("running", LONG).await;
    works(&app, "and on").await;
    works(&beside, "all the while").await;
    assert_eq!(flip::container(&other).await.id, id, "in the same container as before");
    beside.screenshot("two").await;
    app.terminate().await;
    works(&beside, "to the end").await;
    beside.terminate().await;
    for home in [&home, &other] {
        flip::assert_no_container(home).await;
    }
}
