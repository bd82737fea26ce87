//! What is remembered of a project: where its last tab was, and which permission mode the agent has on either side.

use std::fs;

use serde_json::{Value, json};
use tests::desktop::app::{LONG, SOON};
use tests::desktop::{App, Home, Options, flip};
use tests::model_api::ModelApi;

/// Waits until the mode picker reads this.
async fn until_mode(app: &App, words: &str) {
    let script = "return document.querySelector('[data-testid=mode-picker]').innerText.trim();";
    app.until(&format!("the mode is {words}"), LONG, async |_| (app.script(script).await == words).then_some(())).await;
}

async fn choose_mode(app: &App, mode: &str, words: &str) {
    app.click("mode-picker").await;
    app.click_css(&format!("[data-mode={mode}]")).await;
    until_mode(app, words).await;
}

#[tokio::test]
async fn a_new_tab_begins_where_the_projects_last_one_was_also_after_a_restart() {
    let api = ModelApi::start();
    let home = Home::new();
    let workspace = home.workspace("project");
    let options = Options::real(std::slice::from_ref(&workspace)).engine();
    let app = App::launch("preference-place", &home, &api, &options).await;
    // Nothing is remembered of a new project.
    app.until_container("off", LONG).await;
    app.enter().await;
    app.terminate().await;
    drop(app);
    flip::assert_no_container(&home).await;
    let remembered: Value =
        serde_json::from_str(&fs::read_to_string(home.gemra().join("projects.json")).unwrap()).unwrap();
    let path = workspace.display().to_string();
    assert_eq!(remembered["projects"][&path]["container"], json!(true), "it is in a file of its own: {remembered}");

    let app = App::launch("preference-place-again", &home, &api, &options).await;
    app.until_container("running", LONG).await;
    app.send("bash: pwd").await;
    // The agent asks nobody for what only reads.
    app.until_entry("assistant", "done: /workspace", LONG).await;
    app.screenshot("begins-inside").await;
    app.leave().await;
    app.terminate().await;
    drop(app);
    let app = App::launch("preference-place-host", &home, &api, &options).await;
    app.send("say: on the host").await;
    app.until_entry("assistant", "on the host", LONG).await;
    // The last one was on the host again.
    app.until_container("off", SOON).await;
    flip::assert_no_container(&home).await;
}

#[tokio::test]
async fn each_side_has_its_own_mode_and_bypass_stays_in_the_container() {
    let api = ModelApi::start();
    let home = Home::new();
    let workspace = home.workspace("project");
    let wishes = json!({"container": {"hostMode": "plan", "containerMode": "bypassPermissions"}});
    home.write(&home.settings(), &wishes.to_string());
    let app = App::launch("preference-modes", &home, &api, &Options::real(&[workspace]).engine()).await;
    until_mode(&app, "Plan").await;
    app.enter().await;
    until_mode(&app, "Bypass").await;
    app.send("bash: echo made inside > made.txt; cat made.txt").await;
    app.until_entry("assistant", "done: made inside", LONG).await;
    app.until_idle(SOON).await;
    assert!(app.page().await.of_kind("ask").is_empty(), "inside it acts without asking");
    app.leave().await;
    until_mode(&app, "Plan").await;
    choose_mode(&app, "acceptEdits", "Accept edits").await;
    app.enter().await;
    until_mode(&app, "Bypass").await;
    choose_mode(&app, "default", "Ask").await;
    app.leave().await;
    until_mode(&app, "Accept edits").await;
    app.enter().await;
    until_mode(&app, "Ask").await;
    app.screenshot("modes").await;
}

#[tokio::test]
async fn what_is_chosen_or_wished_inside_is_not_chosen_on_the_host() {
    let api = ModelApi::start();
    let home = Home::new();
    let workspace = home.workspace("project");
    let app =
        App::launch("preference-inside-alone", &home, &api, &Options::real(std::slice::from_ref(&workspace)).engine())
            .await;
    until_mode(&app, "Ask").await;
    app.enter().await;
    until_mode(&app, "Ask").await;
    choose_mode(&app, "acceptEdits", "Accept edits").await;
    app.send("write: /workspace/inside.txt made inside").await;
    app.until("it is written", LONG, async |_| workspace.join("inside.txt").exists().then_some(())).await;
    app.until_idle(LONG).await;
    assert!(app.page().await.of_kind("ask").is_empty(), "inside it edits without asking");
    app.leave().await;
    until_mode(&app, "Ask").await;
    app.send(&format!("write: {} made outside", workspace.join("outside.txt").display())).await;
    app.until("the agent on the host asks", LONG, async |page| (page.asks == 1).then_some(())).await;
    assert!(!workspace.join("outside.txt").exists(), "and has written nothing");
    app.click("deny").await;
    app.until_idle(LONG).await;
    // Nor the other way round.
    choose_mode(&app, "plan", "Plan").await;
    app.enter().await;
    until_mode(&app, "Accept edits").await;
    app.terminate().await;
    drop(app);

    home.write(&home.settings(), &json!({"container": {"containerMode": "acceptEdits"}}).to_string());
    let options = Options::real(&[workspace]).engine();
    let app = App::launch("preference-wished-inside", &home, &api, &options).await;
    app.until_container("running", LONG).await;
    until_mode(&app, "Accept edits").await;
    app.leave().await;
    until_mode(&app, "Ask").await;
}
