//! What a start does with what an earlier run has left, without a window: processes that still end, and tabs that
//! cannot be opened any more.

#![allow(clippy::unwrap_used)] // What cannot be set up fails the test, which is what it is for.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use gemra_core::app::App;
use gemra_core::environment::Environment;
use gemra_core::failure::Code;
use gemra_core::reaper;
use tests::desktop::program;
use tests::spawn::{self, Running};

/// Longer than the reaper's grace.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_start_waits_until_what_a_killed_run_has_left_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (project, runs) = (folder.path().join("user/project"), folder.path().join("home/runs"));
    std::fs::create_dir_all(&project).unwrap();
    leave(&runs, "tab-1", &project);
    let lock = folder.path().join("home/reaper.lock");

    // An agent that is deaf to kind words, as one in the middle of a turn can be.
    let mut deaf = Running::start(
        spawn::command("sh")
            .args(["-c", "trap '' TERM; echo deaf; read line"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped()),
    )
    .unwrap();
    let mut said = String::new();
    BufReader::new(deaf.child().stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "deaf\n", "it ignores SIGTERM from now on");
    let mut running =
        Running::start(spawn::command(program("engine-probe")).arg(reaper::ARGUMENT).stdin(Stdio::piped())).unwrap();
    let mut orders = running.child().stdin.take().unwrap();
    write!(orders, "lock {}\nhold {}\n", lock.display(), deaf.id()).unwrap();
    orders.flush().unwrap();
    while reaper::gone(&lock, Duration::ZERO).await {
        assert!(running.ended().unwrap().is_none(), "the reaper runs, and takes the lock");
        tokio::task::yield_now().await;
    }
    assert!(spawn::alive(deaf.id()), "nothing is ended as long as the app lives");

    // The pipe breaks, as when the app is killed.
    drop(orders);
    let app = tokio::time::timeout(PATIENCE, App::start(environment(folder.path()), None)).await.unwrap().unwrap();
    assert!(!spawn::alive(deaf.id()), "no tab is taken up while an agent of the last run may hold its conversation");
    assert_eq!(app.window().borrow().tabs.len(), 1, "the tab of the last run is there");
    app.quit().await;
}

#[tokio::test]
async fn a_tab_whose_folder_is_gone_is_told_until_it_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("home/runs");
    std::fs::create_dir_all(folder.path().join("user")).unwrap();
    leave(&runs, "tab-1", &folder.path().join("gone-1"));
    leave(&runs, "tab-2", &folder.path().join("gone-2"));
    for round in ["at first", "again, where nobody has read it"] {
        let app = start(folder.path()).await;
        let window = app.window().borrow().clone();
        let mut causes: Vec<&str> = window.problems.iter().map(|problem| problem.failure.cause.as_str()).collect();
        causes.sort_unstable();
        assert_eq!(causes.len(), 2, "{round}: {causes:?}");
        assert!(causes[0].contains("gone-1") && causes[1].contains("gone-2"), "{round}: each names its folder");
        assert!(window.problems.iter().all(|problem| problem.failure.code == Code::WorkspaceInvalid), "{round}");
    }
    let app = start(folder.path()).await;
    let read = app.window().borrow().problems.iter().find(|one| one.failure.cause.contains("gone-1")).unwrap().id;
    app.dismiss_problem(read);
    let aside = runs.join("tab-1.dismissed");
    while !aside.exists() {
        tokio::task::yield_now().await;
    }
    drop(app);
    let app = start(folder.path()).await;
    let window = app.window().borrow().clone();
    assert_eq!(window.problems.len(), 1, "what was read is not told again, and its record is kept aside");
    assert!(window.problems[0].failure.cause.contains("gone-2"), "the other one still is");
}

/// A record as a run that was killed leaves it.
fn leave(runs: &Path, tab: &str, workspace: &Path) {
    std::fs::create_dir_all(runs).unwrap();
    let record = serde_json::json!({
        "tab": tab, "workspace": workspace, "title": "project", "conversation": uuid::Uuid::new_v4().to_string(),
        "container": false, "turn": false, "model": null, "mode": "default",
    });
    std::fs::write(runs.join(format!("{tab}.json")), record.to_string()).unwrap();
}

async fn start(folder: &Path) -> Arc<App> {
    // An instance that was dropped lets its lock go when its last task has ended.
    loop {
        match App::start(environment(folder), None).await {
            Ok(app) => return app,
            Err(gemra_core::home::HomeError::Taken(_)) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

fn environment(folder: &Path) -> Environment {
    let text = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
    let (home, user, cli) = (text(folder.join("home")), text(folder.join("user")), text(program("scripted-agent")));
    Environment::of([("GEMRA_HOME", home.as_str()), ("HOME", user.as_str()), ("GEMRA_CLAUDE", cli.as_str())])
}
