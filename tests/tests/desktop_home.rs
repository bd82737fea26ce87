//! Where a run leaves files: with `GEMRA_HOME` set, in that folder and nowhere else, but for the agent's own.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tests::desktop::app::{LONG, SOON};
use tests::desktop::{App, Home, Options};
use tests::model_api::ModelApi;

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("the folder can be read").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Uses the app as one does, the real agent included: a chat, a setting, the clipboard, a tab more.
async fn used(name: &str, home: &Arc<Home>, runtime: bool) {
    let api = ModelApi::start();
    let options = Options::real(&[home.workspace("project")]);
    let options = if runtime { options } else { options.env("XDG_RUNTIME_DIR", "") };
    let app = App::launch(name, home, &api, &options).await;
    app.send("say: a word").await;
    app.until_entry("assistant", "a word", LONG).await;
    app.until_idle(SOON).await;
    app.click("settings-button").await;
    app.click("settings-fresh").await;
    app.click("settings-save").await;
    app.until("the setting is saved", SOON, async |_| home.settings().exists().then_some(())).await;
    app.hover("container-button").await;
    app.click("copy-details").await;
    assert!(!app.clipboard().await.is_empty(), "the clipboard was used");
    app.click("new-tab").await;
    app.open_workspace(&home.workspace("other").display().to_string()).await;
    app.until("the second tab", SOON, async |page| (page.tabs.len() == 2).then_some(())).await;
    app.terminate().await;
}

#[tokio::test]
async fn nothing_is_written_outside_of_gemra_home_but_by_the_agent() {
    for (name, runtime) in [("home-with-runtime", true), ("home-without-runtime", false)] {
        let home = Home::new();
        used(name, &home, runtime).await;
        let left = names(&home.home());
        let foreign: Vec<&String> = left.iter().filter(|name| !name.starts_with(".claude")).collect();
        assert!(foreign.is_empty(), "{name}: HOME holds more than the agent's own: {foreign:?}");
        assert!(!left.is_empty(), "{name}: the agent did run in this HOME");
        for workspace in ["project", "other"] {
            let made = names(&home.workspace(workspace));
            assert!(made.is_empty(), "{name}: nothing was put into the workspace: {made:?}");
        }
        let own = names(&home.gemra());
        assert_eq!(
            own.iter().any(|name| name == "runtime"),
            !runtime,
            "{name}: the session's own folder is used if it has one"
        );
        for wanted in ["logs", "recent.json", "settings.json", "webview"] {
            assert!(own.iter().any(|name| name == wanted), "{name}: {wanted} is under GEMRA_HOME: {own:?}");
        }
        assert!(!names(&home.gemra().join("webview")).is_empty(), "{name}: the webview's data is there");
        assert!(
            !own.iter().any(|name| name == "runs") || names(&home.gemra().join("runs")).is_empty(),
            "{name}: it ended well"
        );
    }
}

#[tokio::test]
async fn what_the_window_sets_for_itself_is_not_handed_on_to_the_agent() {
    let api = ModelApi::start();
    let home = Home::new();
    let options = Options::scripted(&[home.workspace("project")]).env("XDG_RUNTIME_DIR", "");
    let app = App::launch("home-agent", &home, &api, &options).await;
    app.send("env GEMRA_HOME").await;
    app.until_entry("assistant", &home.gemra().display().to_string(), LONG).await;
    app.until_idle(SOON).await;
    for (count, name) in [(2, "XDG_RUNTIME_DIR"), (3, "GSETTINGS_BACKEND")] {
        app.send(&format!("env {name}")).await;
        let said = app
            .until("the agent has said it", LONG, async |page| {
                let answers = page.of_kind("assistant");
                let answer = answers.get(count - 1).filter(|answer| !answer.streaming);
                answer.map(|answer| answer.text.clone())
            })
            .await;
        assert!(said.contains("(unset)"), "the agent has no {name}: {said}");
        app.until_idle(SOON).await;
    }
}
