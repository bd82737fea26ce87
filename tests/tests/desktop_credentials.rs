//! Keys of the user's own and the login of containers, worked by hand: what the dialog keeps reaches the agent on either
//! side and is seen nowhere, and a login inside is asked for and tells a refusal. The CLI is real, but for the page that gives
//! the code.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};

use bollard::query_parameters::RemoveVolumeOptions;
use serde_json::json;
use tests::desktop::app::{LONG, SOON};
use tests::desktop::flip::DOCKERFILE;
use tests::desktop::{App, Home, Options, flip};
use tests::engine::Engine;
use tests::model_api::ModelApi;
use tests::needs;
use tests::spawn;

const KEY: &str = "sk-made-up-key-of-the-dialog";

/// The user whose workspaces, and so whose containers, the login is tried in.
const SOMEBODY: u32 = 4242;

/// A CLI whose login takes one code and keeps what the real one would; all else is the real one's.
const LOGIN: &str = r#"#!/bin/sh
[ "$1 $2" = "auth login" ] || exec claude-itself "$@"
echo "Opening browser to sign in…"
echo "If the browser didn't open, visit: https://claude.com/cai/oauth/authorize?code=true&state=scripted"
printf 'Paste code here if prompted > '
IFS= read -r code || exit 1
[ "$code" = right-code ] || { echo "Couldn't log in: that code is wrong"; exit 1; }
umask 077
cat >"$CLAUDE_CONFIG_DIR/.credentials.json" <<'END'
{"claudeAiOauth":{"accessToken":"sk-ant-oat01-made-up","refreshToken":"sk-ant-ort01-made-up","expiresAt":4102444800000,
"scopes":["user:inference","user:profile"],"subscriptionType":"max"}}
END
echo "Login successful."
"#;

/// Sets a key and waits until the dialog says that it is kept.
async fn set(app: &App, variable: &str, value: &str) {
    app.type_css(&format!("[id=credential-{variable}]"), value).await;
    app.click_css(&format!("[data-variable={variable}] [data-testid=credential-set]")).await;
    kept(app, variable, "file").await;
}

/// Waits until the dialog says where a key is kept.
async fn kept(app: &App, variable: &str, place: &str) {
    let script = format!(
        "return document.querySelector('[data-testid=credential][data-variable={variable}]')?.dataset.kept ?? 'none';"
    );
    app.until(&format!("{variable} is in {place}"), SOON, async |_| (app.script(&script).await == place).then_some(()))
        .await;
}

#[tokio::test]
async fn keys_of_the_dialog_reach_the_agent_on_both_sides_and_are_seen_nowhere() {
    let api = ModelApi::start();
    let home = Home::new();
    let options = Options::real(&[home.workspace("project")]).engine();
    let options = options.env("ANTHROPIC_API_KEY", "").env("ANTHROPIC_BASE_URL", "").env("GEMRA_LOG", "trace");
    let app = App::launch("keys", &home, &api, &options).await;
    app.open_settings().await;
    let place = "return document.querySelector('[data-testid=credentials-place]')?.innerText ?? '';";
    let said = app
        .until("the dialog says where", SOON, async |_| {
            app.script(place).await.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
        })
        .await;
    assert!(said.contains("credentials.json") && said.contains("GEMRA_HOME"), "where, and why there: {said}");
    set(&app, "ANTHROPIC_API_KEY", KEY).await;
    set(&app, "ANTHROPIC_BASE_URL", &api.url()).await;
    let shown = app.page().await.text;
    assert!(shown.contains(&api.url()) && !shown.contains(KEY), "an address is shown, a key is not: {shown}");
    app.screenshot("keys").await;
    app.click_button("Cancel").await;
    app.until_settings(false).await;

    app.send("say: with a key of my own").await;
    // The agent was started before there was one.
    app.until_failure("not-logged-in", &["You are not logged in"], LONG).await;
    app.click_button("Retry").await;
    app.until_entry("assistant", "with a key of my own", LONG).await;
    app.until_idle(SOON).await;
    assert!(api.last().unwrap().api_key_seen, "it reached the agent on this machine");
    app.enter().await;
    app.send("say: inside with it").await;
    app.until_entry("assistant", "inside with it", LONG).await;
    app.until_idle(SOON).await;
    assert!(api.last().unwrap().api_key_seen, "and the one in the container");
    let details = app.details().await;
    assert!(details.contains("ANTHROPIC_API_KEY from Settings"), "whence is told: {details}");
    app.screenshot("keys-inside").await;

    let inspected = serde_json::to_string(&flip::container(&home).await).unwrap();
    assert!(!inspected.contains(KEY), "the engine does not know it");
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let told: Vec<String> = ids.map(spawn::command_line).filter(|line| line.contains(KEY)).collect();
    assert!(told.is_empty(), "no argument list holds it: {told:#?}");
    let logs: String = fs::read_dir(home.gemra().join("logs"))
        .unwrap()
        .map(|file| String::from_utf8_lossy(&fs::read(file.unwrap().path()).unwrap()).into_owned())
        .collect();
    assert!(logs.contains("click to running") && logs.contains("TRACE"), "everything is logged");
    assert!(!logs.contains(KEY), "but for the key");
    assert!(!home.settings().exists(), "there was nothing to save among the settings");
    let file = home.gemra().join("credentials.json");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "its file is its owner's alone");

    app.open_settings().await;
    app.click_css("[data-variable=ANTHROPIC_API_KEY] [data-testid=credential-forget]").await;
    kept(&app, "ANTHROPIC_API_KEY", "none").await;
    assert!(!fs::read_to_string(&file).unwrap().contains(KEY), "what is forgotten is gone");
    app.click_button("Cancel").await;
    app.until_settings(false).await;
    app.leave().await;
    flip::assert_no_container(&home).await;
}

#[tokio::test]
async fn a_login_inside_shows_the_page_and_tells_a_refusal() {
    // All containers of a user share their login: nobody's own may be touched, nor another test's.
    if !needs::root("only root can have containers of a user of the test's own") {
        return;
    }
    let volume = format!("gemra-claude-{SOMEBODY}");
    // What a run that failed has left. Usually there is none.
    let _ = Engine::shared().api().remove_volume(&volume, None::<RemoveVolumeOptions>).await;
    let api = ModelApi::start();
    let home = Home::new();
    let workspaces = ["one", "two"].map(|name| home.workspace(name));
    for workspace in &workspaces {
        chown(workspace, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
        home.write(&workspace.join("login.sh"), LOGIN);
        let more = "USER root\nCOPY login.sh /usr/local/bin/claude-with-login\n\
                    RUN ln -s \"$(readlink -f \"$(command -v claude)\")\" /usr/local/bin/claude-itself; \
                    chmod 755 /usr/local/bin/claude-with-login; rm \"$(command -v claude)\"; \
                    mv /usr/local/bin/claude-with-login /usr/local/bin/claude\nUSER node\n";
        home.write(&workspace.join("Dockerfile.claude"), &format!("{DOCKERFILE}\n{more}"));
    }
    let options = Options::real(&workspaces).engine().env("ANTHROPIC_API_KEY", "");
    let app = App::launch("login-inside", &home, &api, &options).await;
    app.enter().await;
    app.send("say: hello after the login").await;
    app.until_failure("not-logged-in", &["You are not logged in", "Log in inside"], LONG).await;
    app.click("login-inside").await;
    logged_in(&app, false).await;
    app.screenshot("login-nobody").await;

    app.click("log-in").await;
    address(&app).await;
    app.screenshot("login-address").await;
    app.type_into("login-code", "wrong-code").await;
    app.click("login-send").await;
    app.until_failure("login-failed", &["that code is wrong"], LONG).await;
    app.screenshot("login-failed").await;
    app.click("close-login").await;
    app.leave().await;
    flip::assert_no_container(&home).await;
}

/// Waits until the panel says whether somebody is logged in.
async fn logged_in(app: &App, expected: bool) {
    let script = "return document.querySelector('[data-testid=login-account]')?.dataset.loggedIn ?? null;";
    let what = format!("the panel says that somebody is logged in: {expected}");
    app.until(&what, LONG, async |_| (app.script(script).await == json!(expected.to_string())).then_some(())).await;
}

/// Waits until the panel shows the page's address.
async fn address(app: &App) {
    let script = "return document.querySelector('[data-testid=login-address]')?.innerText ?? '';";
    let shown = |text: serde_json::Value| text.as_str().is_some_and(|text| text.contains("state=scripted"));
    app.until("the panel shows the address", LONG, async |_| shown(app.script(script).await).then_some(())).await;
}
