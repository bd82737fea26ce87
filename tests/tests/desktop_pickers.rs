//! The status bar, worked by click: what is chosen in its pickers reaches the real CLI and the model, its meter tells the
//! usage, and the details' buttons leave the keyboard where it was.

use std::sync::Arc;

use tests::desktop::app::{LONG, SOON};
use tests::desktop::flip;
use tests::desktop::{App, Home, Options};
use tests::model_api::ModelApi;
use thirtyfour::prelude::Key;

/// A stand-in API and the app with one tab, its agent the real CLI, at the tests' engine where it says so.
async fn tab(name: &str, engine: bool) -> (ModelApi, Arc<Home>, App) {
    let api = ModelApi::start();
    let home = Home::new();
    let options = Options::real(&[home.workspace("project")]);
    let options = if engine { options.engine() } else { options };
    let app = App::launch(name, &home, &api, &options).await;
    (api, home, app)
}

/// What a control of the status bar reads.
async fn reads(app: &App, id: &str) -> String {
    let read = app.script(&format!("return document.querySelector('[data-testid={id}]').innerText.trim();")).await;
    read.as_str().map(str::to_owned).unwrap_or_default()
}

async fn until_reads(app: &App, id: &str, words: &str) {
    app.until(&format!("{id} reads {words:?}"), SOON, async |_| (reads(app, id).await == words).then_some(())).await;
}

/// Chooses a permission mode with the pointer and waits until the agent has agreed.
async fn choose_mode(app: &App, mode: &str, name: &str) {
    app.click("mode-picker").await;
    app.click_css(&format!("[data-mode={mode}]")).await;
    until_reads(app, "mode-picker", name).await;
}

/// Whether a mode can be chosen, as its entry in the open menu says.
async fn offered(app: &App, mode: &str) -> bool {
    let css = format!("[data-mode={mode}]");
    let script = format!("return document.querySelector('{css}')?.getAttribute('aria-disabled') ?? 'absent';");
    let said = app
        .until("the menu is open", SOON, async |_| Some(app.script(&script).await).filter(|said| said != "absent"))
        .await;
    said != "true"
}

#[tokio::test]
async fn in_accept_edits_a_change_of_a_file_asks_nothing_and_a_command_still_does() {
    let (_api, home, app) = tab("mode-edits", false).await;
    let file = home.workspace("project").join("poem.txt");
    home.write(&file, "roses are red\n");
    app.send(&format!("edit: {} red => white", file.display())).await;
    app.until("at first it asks", LONG, async |page| (page.asks == 1).then_some(())).await;
    app.click("deny").await;
    app.until_idle(LONG).await;
    until_reads(&app, "mode-picker", "Ask").await;
    app.click("mode-picker").await;
    assert!(offered(&app, "plan").await, "what can be chosen here is offered");
    assert!(!offered(&app, "bypassPermissions").await, "acting without asking is not offered on the host");
    app.screenshot("mode-picker").await;
    app.press(Key::Escape).await;
    choose_mode(&app, "acceptEdits", "Accept edits").await;
    app.send(&format!("edit: {} red => blue", file.display())).await;
    app.until("the file is changed", LONG, async |page| {
        assert_eq!(page.asks, 0, "nothing is asked: {page:#?}");
        (std::fs::read_to_string(&file).unwrap() == "roses are blue\n").then_some(())
    })
    .await;
    app.until_idle(LONG).await;
    app.send("bash: node -e 'console.log(6 * 7)'").await;
    app.until("a command asks as before", LONG, async |page| (page.asks == 1).then_some(())).await;
    app.click("deny").await;
    app.until_idle(LONG).await;
    app.screenshot("mode-accept-edits").await;
    assert_eq!(app.page().await.of_kind("ask").len(), 2, "one question for each that was due");
}

#[tokio::test]
async fn in_plan_the_model_is_told_to_change_nothing() {
    let (api, _home, app) = tab("mode-plan", false).await;
    app.send("say: before the plan").await;
    app.until_entry("assistant", "before the plan", LONG).await;
    app.until_idle(SOON).await;
    assert!(!api.last().unwrap().conversation().contains("Plan mode is active"), "not before it was chosen");
    choose_mode(&app, "plan", "Plan").await;
    app.send("say: while planning").await;
    app.until_entry("assistant", "while planning", LONG).await;
    assert!(api.last().unwrap().conversation().contains("Plan mode is active"), "the CLI's own words for the mode");
    app.until_idle(SOON).await;
    assert_eq!(reads(&app, "mode-picker").await, "Plan", "the mode holds over the turn");
}

#[tokio::test]
async fn bypass_is_there_in_the_container_alone_and_gone_on_the_way_back() {
    let (_api, home, app) = tab("mode-bypass", true).await;
    app.enter().await;
    app.click("mode-picker").await;
    assert!(offered(&app, "bypassPermissions").await, "inside it is offered");
    app.screenshot("mode-picker-inside").await;
    app.click_css("[data-mode=bypassPermissions]").await;
    until_reads(&app, "mode-picker", "Bypass").await;
    app.send("bash: node -e 'console.log(6 * 7)' > made.txt; cat made.txt").await;
    app.until_entry("assistant", "done: 42", LONG).await;
    app.until_idle(SOON).await;
    assert!(app.page().await.of_kind("ask").is_empty(), "it acts without asking");
    app.leave().await;
    until_reads(&app, "mode-picker", "Ask").await;
    app.click("mode-picker").await;
    assert!(!offered(&app, "bypassPermissions").await, "on the host it cannot be chosen");
    app.press(Key::Escape).await;
    app.send("bash: touch outside.txt").await;
    app.until("the agent on the host asks", LONG, async |page| (page.asks == 1).then_some(())).await;
    app.click("deny").await;
    app.until_idle(LONG).await;
    assert!(!home.workspace("project").join("outside.txt").exists(), "what was not allowed did not happen");
    flip::assert_no_container(&home).await;
}

#[tokio::test]
async fn the_chosen_model_answers_and_goes_along_into_the_container() {
    let (api, _home, app) = tab("model", true).await;
    app.send("say: by the first model").await;
    app.until_entry("assistant", "by the first model", LONG).await;
    app.until_idle(SOON).await;
    let first = api.last().unwrap().model;
    assert!(!first.contains("haiku"), "the model of the beginning is another one: {first}");
    app.click("model-picker").await;
    app.until("the menu is open", SOON, async |page| page.text.contains("Haiku").then_some(())).await;
    app.screenshot("model-picker").await;
    app.click_css("[data-model=haiku]").await;
    until_reads(&app, "model-picker", "Haiku").await;
    for (where_, word) in [("on the host", "host"), ("in the container", "inside")] {
        if word == "inside" {
            app.enter().await;
        }
        app.send(&format!("say: by the other model {word}")).await;
        app.until_entry("assistant", &format!("by the other model {word}"), LONG).await;
        app.until_idle(SOON).await;
        let model = api.last().unwrap().model;
        assert!(model.contains("haiku"), "{where_} the chosen model is asked: {model}");
        assert_eq!(reads(&app, "model-picker").await, "Haiku", "and the picker says so");
    }
}

#[tokio::test]
async fn usage_is_shown_after_a_turn() {
    let (_api, _home, app) = tab("usage", false).await;
    let before = reads(&app, "usage").await;
    assert!(before.contains("$0"), "nothing was used yet: {before}");
    app.send("say: a few words").await;
    app.until_entry("assistant", "a few words", LONG).await;
    app.until_idle(SOON).await;
    let after = app
        .until("the share of the context and the cost are shown", SOON, async |_| {
            let now = reads(&app, "usage").await;
            (now.contains('%') && now.contains("$0.")).then_some(now)
        })
        .await;
    assert_ne!(after, before, "the turn has changed them");
    app.hover("usage").await;
    let figures = app
        .until("the figures behind it", SOON, async |page| {
            page.text.split_once("Sent in all").map(|(_, rest)| rest.to_owned())
        })
        .await;
    let lines: Vec<&str> = figures.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(
        lines.iter().position(|line| *line == "Turns").map(|at| lines[at + 1]),
        Some("1"),
        "one turn: {lines:?}"
    );
    assert!(!lines[0].starts_with("0 "), "the stand-in says how many tokens it was sent: {lines:?}");
    app.screenshot("usage").await;
}

#[tokio::test]
async fn retry_and_use_host_leave_the_focus_with_the_container_button() {
    let api = ModelApi::start();
    let home = Home::new();
    let nobody = format!("unix://{}", home.path("no-engine.sock").display());
    let options = Options::real(&[home.workspace("project")]).env("DOCKER_HOST", &nobody);
    let app = App::launch("details-focus", &home, &api, &options).await;
    app.click("container-button").await;
    app.until("nothing answers there", SOON, async |page| (page.details_code.is_some()).then_some(())).await;
    app.watch_states().await;
    app.click("retry").await;
    // The second error comes from the retry, whose state before it took the button away.
    app.until("it was tried again", SOON, async |_| {
        let states = app.seen_states().await;
        (states.len() > 2 && states.last().is_some_and(|state| state == "error")).then_some(())
    })
    .await;
    app.until_focus("container-button").await;
    app.screenshot("details-focus").await;
    app.click("use-host").await;
    app.until("the agent is on the host", SOON, async |page| (page.container.as_deref() == Some("off")).then_some(()))
        .await;
    app.until_focus("container-button").await;
}
