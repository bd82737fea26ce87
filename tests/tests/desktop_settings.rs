//! The settings dialog, worked by hand: what is saved stands in the file and is in effect, and what cannot be saved
//! leaves the file as it is.

use std::fs;
use std::sync::Arc;

use serde_json::{Value, json};
use tests::desktop::app::{LONG, SOON};
use tests::desktop::{App, Home, Options};
use tests::model_api::ModelApi;

/// Opens the dialog from the tab bar.
fn saved(home: &Home) -> Value {
    let text = fs::read_to_string(home.settings()).expect("the settings are there");
    serde_json::from_str(&text).expect("the settings are JSON")
}

#[tokio::test]
async fn what_is_saved_is_in_the_file_and_in_effect_on_either_side() {
    let api = ModelApi::start();
    let home = Home::new();
    let workspace = home.workspace("project");
    home.write(&home.settings(), "{\"fromAnotherVersion\": [1, 2]}\n");
    let options = Options::real(std::slice::from_ref(&workspace)).engine();
    let app = App::launch("settings-saved", &home, &api, &options).await;
    app.send("say: said before the move").await;
    app.until_entry("assistant", "said before the move", LONG).await;
    app.until_idle(SOON).await;
    app.open_settings().await;
    app.click("settings-fresh").await;
    app.add_variable("SPICE", "saffron").await;
    app.screenshot("settings").await;
    let shown = app.page().await.text;
    assert!(!shown.contains("saffron"), "a value is not shown before it is asked for: {shown}");
    app.save_settings().await;
    let path = workspace.display().to_string();
    let file = saved(&home);
    assert_eq!(file["freshOnToggle"], json!(true), "the choice is in the file: {file}");
    assert_eq!(file["environment"], json!({path: {"SPICE": "saffron"}}), "and the variable, of this project: {file}");
    assert_eq!(file["fromAnotherVersion"], json!([1, 2]), "what the dialog does not know is kept: {file}");

    for place in ["inside", "outside"] {
        let page = if place == "inside" { app.enter().await } else { app.leave().await };
        let notices: Vec<&str> = page.of_kind("notice").iter().map(|notice| notice.text.as_str()).collect();
        app.send(&format!("bash: echo $SPICE {place}")).await;
        app.allow_until(&format!("done: saffron {place}")).await;
        let said = api.last().unwrap().conversation();
        assert!(!said.contains("said before the move"), "a new conversation began {place}: {notices:?} {said}");
    }

    app.open_settings().await;
    let script = "return [document.querySelector('[data-testid=settings-fresh]').checked,
                  document.querySelector('[data-testid=settings] input[aria-label=Name]').value];";
    assert_eq!(app.script(script).await, json!([true, "SPICE"]), "the dialog shows what holds");
    app.click("settings-fresh").await;
    app.click_button("Cancel").await;
    app.until_settings(false).await;
    assert_eq!(saved(&home), file, "what was cancelled is not saved");
}

#[tokio::test]
async fn a_value_that_cannot_be_used_is_refused_and_what_was_typed_stays() {
    let (_api, home, app) = scripted("settings-refused", None).await;
    app.open_settings().await;
    app.type_into("settings-engine", "docker.sock").await;
    app.click("settings-save").await;
    app.until_failure("settings-not-saved", &["docker.sock", "not an engine's address"], SOON).await;
    app.screenshot("settings-refused").await;
    assert!(!home.settings().exists(), "nothing was written");
    app.empty("settings-engine").await;
    app.type_into("settings-engine", "unix:///nowhere/docker.sock").await;
    app.save_settings().await;
    assert_eq!(saved(&home)["engine"], "unix:///nowhere/docker.sock");
    app.click("container-button").await;
    app.until_failure("engine-not-running", &["/nowhere/docker.sock"], SOON).await;
}

#[tokio::test]
async fn a_broken_file_is_left_byte_for_byte_whatever_the_dialog_is_told() {
    let broken = "{ \"engine\": \"unix:///mine.sock\", oops\n// my notes \u{e4}\r\n";
    let (_api, home, app) = scripted("settings-broken", Some(broken)).await;
    app.until_failure("settings-invalid", &["settings.json"], SOON).await;
    app.open_settings().await;
    app.click("settings-fresh").await;
    app.add_variable("SPICE", "saffron").await;
    app.click("settings-save").await;
    app.until("the dialog stays and says why, with what was edited", SOON, async |_| {
        let script = "const said = document.querySelector('[data-testid=settings-failure] [data-code]');
                      return [said?.dataset.code ?? null, document.querySelector('[data-testid=settings-fresh]')?.checked];";
        (app.script(script).await == json!(["settings-invalid", true])).then_some(())
    })
    .await;
    app.screenshot("settings-broken").await;
    assert_eq!(fs::read_to_string(home.settings()).unwrap(), broken, "not a byte was changed");
    // Once it is out of the way, the same edits can be saved.
    let aside = home.path("mine.json");
    fs::rename(home.settings(), &aside).unwrap();
    app.save_settings().await;
    assert_eq!(saved(&home)["freshOnToggle"], json!(true), "what was edited was not lost");
    app.terminate().await;
    assert_eq!(fs::read_to_string(&aside).unwrap(), broken, "and neither was the file");
}

/// The app with the scripted agent in one tab; `settings` is what the file holds at its start.
async fn scripted(name: &str, settings: Option<&str>) -> (ModelApi, Arc<Home>, App) {
    let api = ModelApi::start();
    let home = Home::new();
    if let Some(settings) = settings {
        home.write(&home.settings(), settings);
    }
    let app = App::launch(name, &home, &api, &Options::scripted(&[home.workspace("project")])).await;
    (api, home, app)
}

#[tokio::test]
async fn wishes_are_saved_for_all_and_for_one_project_and_shown_again() {
    let (_api, home, app) = scripted("settings-wishes", None).await;
    let workspace = home.workspace("project").display().to_string();
    let own = |key: &str| format!("projects.{workspace}.container.{key}");
    app.open_settings().await;
    for section in ["general", "engine", "container", "credentials", "projects"] {
        app.settings_section(section).await;
        app.screenshot(&format!("settings-{section}")).await;
    }
    app.type_wish("container.cpus", "1.5").await;
    app.type_wish("container.volumeFolders", "node_modules").await;
    app.choose_wish("container.preset", "withSudo").await;
    app.type_wish(&own("memoryMb"), "2048").await;
    app.choose_wish(&own("containerMode"), "acceptEdits").await;
    app.save_settings().await;
    let file = saved(&home);
    let all = json!({"cpus": 1.5, "volumeFolders": ["node_modules"], "preset": "withSudo"});
    assert_eq!(file["container"], all, "what is wished for all, and nothing else: {file}");
    let project = json!({"memoryMb": 2048, "containerMode": "acceptEdits"});
    assert_eq!(file["projects"][&workspace]["container"], project, "what is wished for the project: {file}");

    app.open_settings().await;
    assert_eq!(app.wish("container.cpus").await.0, "1.5", "the dialog shows what holds");
    assert_eq!(app.wish(&own("memoryMb")).await.0, "2048", "for the project too");
    let hint = format!("return document.getElementById('{}').placeholder;", own("cpus"));
    assert_eq!(app.script(&hint).await, "1.5", "where the project says nothing, what holds for all is shown");
    app.settings_section("projects").await;
    app.screenshot("settings-project").await;
}

#[tokio::test]
async fn a_wish_that_cannot_be_granted_is_told_beside_its_field() {
    let (_api, home, app) = scripted("settings-field", None).await;
    app.open_settings().await;
    app.type_wish("container.mounts", "/nowhere/at/all:/data:ro").await;
    app.click("settings-save").await;
    app.until_failure("settings-not-saved", &["/nowhere/at/all:/data:ro", "is not there"], SOON).await;
    let (typed, error) = app.wish("container.mounts").await;
    assert_eq!(typed, "/nowhere/at/all:/data:ro", "what was typed stays");
    assert!(error.contains("is not there"), "the reason stands beside it: {error:?}");
    app.screenshot("settings-field-refused").await;
    assert!(!home.settings().exists(), "nothing was written");
}
