//! Whose the agent is and what it may do, where the machine or a workspace says something else than the window: no
//! login, a mode in a workspace's settings, the CLI's folder of a project's own. The CLI is real.

use serde_json::json;
use tests::desktop::app::{LONG, SOON};
use tests::desktop::{App, Home, Options, flip};
use tests::model_api::ModelApi;

#[tokio::test]
async fn without_a_login_the_tab_says_so_and_retry_works_once_there_is_a_key() {
    for inside in [false, true] {
        let api = ModelApi::start();
        let home = Home::new();
        let options = Options::real(&[home.workspace("project")]).engine().env("ANTHROPIC_API_KEY", "");
        let name = if inside { "no-login-inside" } else { "no-login" };
        let app = App::launch(name, &home, &api, &options).await;
        if inside {
            app.enter().await;
        }
        app.send("say: hello after all").await;
        let way = if inside { "Log in inside" } else { "Run `claude` in a terminal" };
        let words = ["You are not logged in", way, "key in Settings"];
        app.until_failure("not-logged-in", &words, LONG).await;
        app.screenshot(name).await;
        assert!(api.main_requests().is_empty(), "nobody asked the API");
        app.open_settings().await;
        app.add_variable("ANTHROPIC_API_KEY", "made-up-key-of-the-project").await;
        app.save_settings().await;
        app.click_button("Retry").await;
        app.until_entry("assistant", "hello after all", LONG).await;
        app.until_idle(SOON).await;
        let page = app.page().await;
        assert_eq!(page.container.as_deref(), Some(if inside { "running" } else { "off" }), "where it was before");
        if inside {
            app.leave().await;
            flip::assert_no_container(&home).await;
        }
    }
}

#[tokio::test]
async fn ask_means_ask_whatever_a_workspace_says() {
    let api = ModelApi::start();
    let home = Home::new();
    let project = home.workspace("project");
    let mode = json!({"permissions": {"defaultMode": "acceptEdits"}});
    std::fs::create_dir_all(project.join(".claude")).unwrap();
    home.write(&project.join(".claude/settings.json"), &mode.to_string());
    let app = App::launch("mode-of-the-workspace", &home, &api, &Options::real(std::slice::from_ref(&project))).await;
    app.send(&format!("write: {} planted", project.join("new.txt").display())).await;
    app.until("it asks", LONG, async |page| (page.asks == 1).then_some(())).await;
    assert!(!project.join("new.txt").exists(), "nothing was written unasked");
    app.click("deny").await;
    app.until_idle(LONG).await;
}

#[tokio::test]
async fn always_for_a_file_is_shown_by_the_mode_picker_and_taken_back_there() {
    let api = ModelApi::start();
    let home = Home::new();
    let project = home.workspace("project");
    let app = App::launch("mode-by-always", &home, &api, &Options::real(std::slice::from_ref(&project))).await;
    let write = |name: &str| format!("write: {} text", project.join(name).display());
    let mode = async |words: &str| {
        let script = "return document.querySelector('[data-testid=mode-picker]').innerText.trim();";
        app.until("the picker", SOON, async |_| (app.script(script).await == words).then_some(())).await;
    };
    app.send(&write("one.txt")).await;
    app.until("it asks", LONG, async |page| (page.asks == 1).then_some(())).await;
    mode("Ask").await;
    app.click("allow-always").await;
    mode("Accept edits").await;
    app.until_idle(LONG).await;
    app.send(&write("two.txt")).await;
    app.until("the second file", LONG, async |page| {
        assert_eq!(page.asks, 0, "nothing is asked any more: {page:#?}");
        project.join("two.txt").exists().then_some(())
    })
    .await;
    app.until_idle(LONG).await;
    app.click("mode-picker").await;
    app.click_css("[data-mode=default]").await;
    mode("Ask").await;
    app.send(&write("three.txt")).await;
    app.until("it asks again", LONG, async |page| (page.asks == 1).then_some(())).await;
    app.click("deny").await;
    app.until_idle(LONG).await;
    assert!(!project.join("three.txt").exists(), "what was denied was not written");
}

#[tokio::test]
async fn a_project_with_a_cli_folder_of_its_own_keeps_its_conversation_on_both_sides() {
    let api = ModelApi::start();
    let home = Home::new();
    let project = home.workspace("project");
    let own = home.path("claude-of-the-project");
    let settings = json!({"environment": {project.display().to_string(): {"CLAUDE_CONFIG_DIR": own}}});
    home.write(&home.settings(), &settings.to_string());
    let app = App::launch("own-cli-folder", &home, &api, &Options::real(&[project]).engine()).await;
    app.send("say: the orange bird").await;
    app.until_entry("assistant", "the orange bird", LONG).await;
    app.until_idle(SOON).await;
    assert!(own.join("projects").is_dir(), "the agent keeps its conversations where the project says");
    for (place, text) in [("inside", "said inside"), ("outside", "said outside")] {
        if place == "inside" {
            app.enter().await
        } else {
            app.leave().await
        };
        app.send(&format!("say: {text}")).await;
        app.until_entry("assistant", text, LONG).await;
        app.until_idle(SOON).await;
        let said = api.last().unwrap().conversation();
        assert!(said.contains("the orange bird"), "{place} it is the same conversation: {said}");
    }
    assert!(api.last().unwrap().conversation().contains("said inside"), "the way back brings what was said inside");
}
