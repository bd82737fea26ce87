//! The life of a container in the window: what it uses, its log, a new one in its place, a shell in it, the list of all
//! containers, and the guard's answers file by file. The engine and the CLI are real.

#![allow(clippy::unwrap_used)] // What cannot be set up fails the test, which is what it is for.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use tests::desktop::app::{LONG, SOON};
use tests::desktop::flip::{self, DOCKERFILE};
use tests::desktop::{App, Home, Options};
use tests::model_api::ModelApi;

/// The agent says something on stderr before it begins.
const COMPLAINS: &str = r#"USER root
RUN claude="$(command -v claude)" && mv "$claude" "$claude-itself" && \
    printf '#!/bin/sh\necho a word of its own >&2\nexec "$0-itself" "$@"\n' >"$claude" && chmod 755 "$claude"
"#;
/// The engine takes its first figures after seconds.
const FIGURES: Duration = Duration::from_mins(2);

async fn inside(name: &str) -> (ModelApi, Arc<Home>, App) {
    let api = ModelApi::start();
    let home = Home::new();
    let app = App::launch(name, &home, &api, &Options::real(&[home.workspace("project")]).engine()).await;
    app.enter().await;
    (api, home, app)
}

/// The text of the first element with this test id, once it reads as wanted.
async fn reads(app: &App, id: &str, what: &str, wanted: impl Fn(&str) -> bool) -> String {
    let script = format!("return document.querySelector('[data-testid=\"{id}\"]')?.innerText ?? null;");
    app.until(what, FIGURES, async |_| {
        let text = app.script(&script).await.as_str().map(str::to_owned);
        text.filter(|text| wanted(text))
    })
    .await
}

#[tokio::test]
async fn the_hover_tells_what_it_uses_and_refresh_makes_a_new_one() {
    let (api, home, app) = inside("life-hover").await;
    app.send("say: remember the blue door").await;
    app.until_entry("assistant", "the blue door", LONG).await;
    app.until_idle(SOON).await;
    app.details().await;
    let parts = ["Processor", "Memory", "shared with the host", "Disk", "Health"];
    let measured = |text: &str| parts.iter().all(|part| text.contains(part)) && text.contains(" % of ");
    let stats = reads(&app, "container-stats", "the figures are there", measured).await;
    assert!(!stats.contains("measuring") && !stats.contains("not told"), "each of them is: {stats}");
    app.screenshot("life-stats").await;

    let before = flip::container(&home).await.id;
    app.watch_states().await;
    app.click("refresh").await;
    app.until("the agent moves", LONG, async |page| (page.container.as_deref() != Some("running")).then_some(())).await;
    app.until_container("running", flip::BUILT).await;
    let after = flip::container(&home).await.id;
    assert_ne!(after, before, "it is a new container");
    assert!(!app.seen_states().await.iter().any(|state| state == "off"), "the host's agent has no part in it");
    app.send("say: and the green house").await;
    app.until_entry("assistant", "the green house", LONG).await;
    assert!(api.last().unwrap().conversation().contains("the blue door"), "the conversation stays");
}

#[tokio::test]
async fn the_log_is_there_while_it_runs_and_tells_what_the_agent_says_on_stderr() {
    let api = ModelApi::start();
    let home = Home::new();
    let workspace = home.workspace("project");
    home.write(&workspace.join("Dockerfile.claude"), &format!("{DOCKERFILE}{COMPLAINS}"));
    let app = App::launch("life-log", &home, &api, &Options::real(&[workspace]).engine()).await;
    app.enter().await;
    app.details().await;
    app.click("show-build-log").await;
    let complaint = "agent: a word of its own";
    let log = app
        .until("the log is open", SOON, async |page| page.build_log.clone().filter(|log| log.contains(complaint)))
        .await;
    assert_eq!(log.lines().filter(|line| *line == complaint).count(), 1, "marked, and once: {log}");
    app.screenshot("life-log").await;
    app.click("copy-log").await;
    let copied = app.clipboard().await;
    assert!(copied.contains(complaint), "it can be copied: {copied}");
    app.empty("composer").await;
    app.click("close-build-log").await;
    app.until("the log is closed", SOON, async |page| page.build_log.is_none().then_some(())).await;
}

#[tokio::test]
async fn a_shell_in_the_container_takes_commands_and_ends_with_exit() {
    let (_api, _home, app) = inside("life-shell").await;
    app.details().await;
    app.click("open-shell").await;
    let script = "return document.querySelector('[data-testid=shell] .xterm-rows')?.innerText ?? null;";
    let screen = async |what: &str, words: &str| {
        app.until(what, LONG, async |_| {
            let text = app.script(script).await.as_str().unwrap_or_default().replace('\u{a0}', " ");
            text.contains(words).then_some(text)
        })
        .await
    };
    screen("the shell asks for a command", "workspace").await;
    let field = "[data-testid=shell] textarea";
    // What is typed is not what is waited for.
    app.type_css(field, "echo \"it is $((40 + 2)) in $PROJECT_NAME, $PWD\"\n").await;
    let text = screen("the command's output is there", "it is 42 in project, /workspace").await;
    assert!(!text.contains("command not found"), "nothing went wrong on the way: {text}");
    assert_eq!(app.page().await.details, None, "the details do not lie over it");
    app.screenshot("life-shell").await;
    app.type_css(field, "exit 7\n").await;
    reads(&app, "shell-ended", "its end is told", |text| text.contains("code 7")).await;
    app.click("close-shell").await;
    let there = "return document.querySelector('[data-testid=shell]') !== null;";
    app.until("the shell is closed", SOON, async |_| (app.script(there).await == false).then_some(())).await;
    assert_eq!(app.page().await.container.as_deref(), Some("running"), "the agent is none the worse for it");
}

#[tokio::test]
async fn the_list_of_containers_tells_of_each_and_stops_one() {
    let (_api, home, app) = inside("life-list").await;
    app.click("containers-button").await;
    let list = reads(&app, "containers", "the engine has answered", |text| text.contains("running")).await;
    for words in ["project", "What else Gemra has made there", "gemra-claude:"] {
        assert!(list.contains(words), "the list tells {words:?}: {list}");
    }
    app.screenshot("life-list").await;
    let id = flip::container(&home).await.id.unwrap();
    let tab = app.page().await.tabs[0].id.clone();
    app.click_css(&format!("[data-testid=held-container][data-tab='{tab}'] [data-testid=stop-container]")).await;
    let row = format!("return document.querySelector(\"[data-testid=held-container][data-tab='{tab}']\") === null;");
    app.until("it is listed no more", LONG, async |_| (app.script(&row).await == true).then_some(())).await;
    let left = flip::containers(&home).await;
    assert!(left.iter().all(|one| one.id.as_deref() != Some(id.as_str())), "it is gone: {left:#?}");
    app.screenshot("life-list-stopped").await;
    app.click_button("Close").await;
    app.until("the tab says what has become of its agent", LONG, async |page| {
        page.container.as_deref().filter(|state| matches!(*state, "off" | "error")).map(str::to_owned)
    })
    .await;
}

#[tokio::test]
async fn the_guard_is_answered_file_by_file() {
    let (_api, home, app) = inside("life-guard").await;
    app.send("bash: echo one > .envrc; mkdir -p .husky; echo two > .husky/pre-push; echo well").await;
    app.allow_until("done: well").await;
    app.click("container-button").await;
    let shown = app.until("the user is asked", LONG, async |page| page.guard.clone()).await;
    assert!(shown.contains(".envrc") && shown.contains(".husky/pre-push"), "both are shown: {shown}");
    app.screenshot("life-guard").await;
    app.click_css("[data-testid=guard-revert-file][aria-label*='.envrc']").await;
    let shown = app
        .until("the other one is left", LONG, async |page| page.guard.clone().filter(|text| !text.contains(".envrc")))
        .await;
    assert!(shown.contains(".husky/pre-push"), "it is still asked about: {shown}");
    app.click("guard-keep").await;
    app.until_container("off", LONG).await;
    let project = home.path("work").join("project");
    assert!(!project.join(".envrc").exists(), "what was reverted is gone");
    assert_eq!(fs::read_to_string(project.join(".husky/pre-push")).unwrap(), "two\n", "what was kept stays");
}
