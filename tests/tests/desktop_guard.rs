//! The way back is guarded: what a container has changed in files that the host would execute is shown before an agent
//! starts on the host. The engine and the CLI are real.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tests::desktop::app::{LONG, SOON};
use tests::desktop::{App, Home, Options, flip};
use tests::model_api::ModelApi;

/// A workspace that is a repository, as far as git's own folder goes.
fn repository(home: &Home) -> PathBuf {
    let project = home.workspace("project");
    for folder in [".git/hooks", ".git/objects", ".vscode"] {
        fs::create_dir_all(project.join(folder)).expect("the folder is ours");
    }
    home.write(&project.join(".git/HEAD"), "ref: refs/heads/main\n");
    home.write(&project.join(".git/config"), "[core]\n\tbare = false\n");
    home.write(&project.join(".vscode/tasks.json"), "{}\n");
    project
}

async fn inside(name: &str) -> (ModelApi, Arc<Home>, PathBuf, App) {
    let api = ModelApi::start();
    let home = Home::new();
    let project = repository(&home);
    let app = App::launch(name, &home, &api, &Options::real(std::slice::from_ref(&project)).engine()).await;
    app.enter().await;
    (api, home, project, app)
}

/// Lets the agent inside run a command.
async fn runs(app: &App, command: &str) {
    app.send(&format!("bash: {command} && echo well")).await;
    app.allow_until("done: well").await;
}

/// Waits until the user is asked, and says what is shown.
async fn asked(app: &App) -> String {
    app.until("the user is asked", LONG, async |page| page.guard.clone()).await
}

fn agents(app: &App) -> usize {
    app.processes_of("stream-json").len()
}

#[tokio::test]
async fn a_planted_hook_a_changed_setting_and_a_new_server_are_shown_before_the_host_and_reverted() {
    let (api, home, project, app) = inside("guard-revert").await;
    runs(&app, "printf '#!/bin/sh\\nevil\\n' > .git/hooks/pre-commit; chmod 755 .git/hooks/pre-commit").await;
    runs(&app, "printf '[core]\\n\\tbare = false\\n\\tfsmonitor = ./evil\\n' > .git/config").await;
    runs(&app, "printf '{\"mcpServers\": {}}\\n' > .mcp.json; rm .vscode/tasks.json; echo mine > notes.txt").await;
    app.click("container-button").await;
    let shown = asked(&app).await;
    for words in [".git/hooks/pre-commit", "evil", ".git/config", "fsmonitor", ".mcp.json", ".vscode/tasks.json"] {
        assert!(shown.contains(words), "{words} is shown: {shown}");
    }
    assert!(!shown.contains("notes.txt"), "what nobody executes is not: {shown}");
    app.screenshot("guard").await;
    let page = app.page().await;
    assert_eq!(page.container.as_deref(), Some("stopping"), "the way back has not ended");
    assert_eq!(agents(&app), 0, "no agent runs on the host");
    flip::assert_no_container(&home).await;
    app.send("say: this waits").await;
    app.until("what is said meanwhile waits", SOON, async |page| {
        page.entries.iter().any(|entry| entry.queued).then_some(())
    })
    .await;

    app.click("guard-revert").await;
    app.until_container("off", LONG).await;
    app.until_entry("assistant", "this waits", LONG).await;
    assert!(
        !project.join(".git/hooks/pre-commit").exists() && !project.join(".mcp.json").exists(),
        "what was new is gone"
    );
    assert_eq!(fs::read_to_string(project.join(".git/config")).unwrap(), "[core]\n\tbare = false\n", "as it was");
    assert_eq!(fs::read_to_string(project.join(".vscode/tasks.json")).unwrap(), "{}\n", "and back again");
    assert_eq!(fs::read_to_string(project.join("notes.txt")).unwrap(), "mine\n", "the work is untouched");
    assert!(find(&home.gemra().join("guard"), "pre-commit"), "what was reverted is put aside");
    app.until_entry("notice", "brought back", SOON).await;
    assert!(api.last().unwrap().conversation().contains("notes.txt"), "in the same conversation");
}

#[tokio::test]
async fn what_is_kept_is_kept_and_not_asked_about_again() {
    let (_api, _home, project, app) = inside("guard-keep").await;
    runs(&app, "echo 'use flake' > .envrc").await;
    app.click("container-button").await;
    assert!(asked(&app).await.contains("use flake"), "the change is shown");
    app.click("guard-keep").await;
    app.until_container("off", LONG).await;
    assert_eq!(fs::read_to_string(project.join(".envrc")).unwrap(), "use flake\n", "it stays");
    app.enter().await;
    app.click("container-button").await;
    app.until_container("off", LONG).await;
    assert_eq!(app.page().await.guard, None, "nothing has changed since");
    app.send("say: and on we go").await;
    app.until_entry("assistant", "and on we go", LONG).await;
}

#[tokio::test]
async fn a_change_outlives_a_closed_tab_and_a_kill() {
    let (api, home, project, app) = inside("guard-closed").await;
    runs(&app, "echo evil > .envrc").await;
    app.click("close-tab").await;
    app.until("the tab is closed", LONG, async |page| page.tabs.is_empty().then_some(())).await;
    flip::until_no_container(&home, LONG).await;
    app.kill();
    app.until_dead(SOON).await;
    drop(app);

    let options = Options::real(std::slice::from_ref(&project)).engine();
    let app = App::launch("guard-closed-again", &home, &api, &options).await;
    // The project's next tab begins where its last one was; what was changed then is still asked about on the way out.
    app.until_container("running", LONG).await;
    app.click("container-button").await;
    assert!(asked(&app).await.contains("evil"), "whoever leaves is asked about all of it");
    assert_eq!(agents(&app), 0, "before any agent runs on the host");
    app.click("guard-revert").await;
    app.until_container("off", LONG).await;
    app.send("say: and on we go").await;
    app.until_entry("assistant", "and on we go", LONG).await;
    assert!(!project.join(".envrc").exists(), "it was brought back");
}

#[tokio::test]
async fn a_tab_in_a_folder_below_is_asked_what_the_container_above_has_written() {
    let api = ModelApi::start();
    let home = Home::new();
    let project = repository(&home);
    let below = project.join("sub");
    fs::create_dir_all(&below).expect("the folder is ours");
    let options = Options::real(&[project.clone(), below.clone()]).engine();
    let app = App::launch("guard-below", &home, &api, &options).await;
    app.activate(0).await;
    app.enter().await;
    runs(&app, "printf '#!/bin/sh\nevil\n' > .git/hooks/post-checkout; echo '{}' > sub/.mcp.json").await;
    app.activate(1).await;
    app.until_container("off", SOON).await;
    app.send("say: this waits").await;
    let shown = asked(&app).await;
    for words in ["post-checkout", "evil", ".mcp.json"] {
        assert!(shown.contains(words), "{words} is shown in the tab below: {shown}");
    }
    app.until_gone("stream-json", LONG).await;
    assert!(!app.page().await.entries.iter().any(|entry| entry.text.contains("this waits") && !entry.queued));
    app.screenshot("guard-below").await;
    app.click("guard-revert").await;
    app.until_entry("assistant", "this waits", LONG).await;
    assert!(!below.join(".mcp.json").exists(), "what was new is gone");
    assert!(!project.join(".git/hooks/post-checkout").exists(), "in the repository above too");
}

/// Whether there is a file of this name anywhere in a folder.
fn find(folder: &Path, name: &str) -> bool {
    fs::read_dir(folder).expect("the folder is there").flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() { find(&path, name) } else { path.file_name().is_some_and(|found| found == name) }
    })
}
