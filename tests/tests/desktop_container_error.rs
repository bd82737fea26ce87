//! What goes wrong with the container: each failure is an error of its own class, with its cause and a next step, can
//! be copied, and is over with Retry once its cause is gone. The engine and, where an agent can run, the CLI are real.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use bollard::models::ContainerUpdateBody;
use gemra_core::container::engine::Places;
use gemra_core::environment::Environment;
use tests::desktop::app::{LONG, SOON};
use tests::desktop::flip::{self, BUILT};
use tests::desktop::{App, Home, Options, Page};
use tests::engine::{BASE, Engine};
use tests::model_api::ModelApi;
use tests::needs;

/// The user `nobody`, whom every Debian has.
const NOBODY: u32 = 65534;

/// A stand-in API and the app with one tab, its agent the real CLI, at the tests' engine.
async fn tab(name: &str) -> (ModelApi, Arc<Home>, App) {
    let api = ModelApi::start();
    let home = Home::new();
    let app = App::launch(name, &home, &api, &Options::real(&[home.workspace("project")]).engine()).await;
    (api, home, app)
}

/// Waits for the error, checks that it is of exactly this class and that its details and what they copy tell the class
/// and all these.
async fn until_error(app: &App, class: &str, parts: &[&str]) -> String {
    app.until(&format!("the error {class}"), BUILT, async |page| {
        (page.container.as_deref() == Some("error")).then_some(())
    })
    .await;
    let details = app.details().await;
    let code = app.page().await.details_code;
    assert_eq!(code.as_deref(), Some(class), "the class is told to scripts, exactly: {details}");
    assert!(details.lines().any(|line| line.trim() == class), "and to the eye, as the README lists it: {details}");
    for part in parts {
        assert!(details.contains(part), "the details of {class} tell {part:?}: {details}");
    }
    assert!(details.contains("Retry") && details.contains("Use host"), "there are ways on: {details}");
    let name = app.page().await.container_name.unwrap_or_default();
    assert_eq!(name, "Container: Error", "the name says the state");
    app.screenshot(&format!("container-error-{class}")).await;
    app.click("copy-details").await;
    let copied = app.clipboard().await;
    assert!(copied.contains(&format!("({class})")), "what was copied names the class {class}: {copied}");
    for part in parts {
        assert!(copied.contains(part), "what was copied tells {part:?}: {copied}");
    }
    app.details().await;
    details
}

/// Says something and waits for the answer, with the whole conversation.
async fn said(app: &App, api: &ModelApi, text: &str) -> String {
    app.send(&format!("say: {text}")).await;
    app.until_entry("assistant", text, LONG).await;
    app.until_idle(SOON).await;
    api.last().expect("the model was asked").conversation()
}

#[tokio::test]
async fn a_dockerfile_that_is_broken_in_one_way_after_another() {
    let (api, home, app) = tab("container-dockerfile").await;
    let file = home.workspace("project").join("Dockerfile.claude");
    said(&app, &api, "remember the blue door").await;

    home.write(&file, &format!("FROM {BASE}\nRUN echo the last words && exit 7\n"));
    app.click("container-button").await;
    let failed = ["The image could not be built", "step 2 of", "with code 7", "Dockerfile.claude", "the last words"];
    until_error(&app, "build-failed", &failed).await;
    assert!(said(&app, &api, "the host goes on").await.contains("the blue door"), "in the same conversation");
    app.details().await;

    home.write(&file, &format!("FROM {BASE}\nBANANA split\n"));
    app.click("retry").await;
    app.until("it tries again", SOON, async |page| page.details.clone().filter(|text| !text.contains("code 7"))).await;
    until_error(&app, "bad-dockerfile", &["The Dockerfile is not valid", "BANANA", "Mend the line"]).await;
    flip::assert_no_container(&home).await;

    home.write(&file, &format!("FROM {BASE}\nRUN rm -f /usr/local/bin/claude\n"));
    app.click("retry").await;
    app.until("it tries again", SOON, async |page| page.details.clone().filter(|text| !text.contains("BANANA"))).await;
    let missing = ["The image has no Claude CLI", "npm install --global @anthropic-ai/claude-code", "No agent runs"];
    until_error(&app, "agent-missing", &missing).await;
    flip::assert_no_container(&home).await;

    // Here no agent runs: what is sent waits, and the host takes it when told to.
    app.send("say: this has waited").await;
    app.use_host().await;
    app.until_entry("assistant", "this has waited", LONG).await;
    assert!(api.last().unwrap().conversation().contains("the blue door"), "in the same conversation");

    app.click("container-button").await;
    until_error(&app, "agent-missing", &missing).await;
    std::fs::remove_file(&file).unwrap();
    app.click("retry").await;
    app.until("it tries again", SOON, async |page| (page.container.as_deref() != Some("error")).then_some(())).await;
    app.until_container("running", BUILT).await;
    assert!(said(&app, &api, "all is well").await.contains("the blue door"), "in the same conversation");
}

#[tokio::test]
async fn an_engine_that_is_not_there_or_does_not_run() {
    let api = ModelApi::start();
    let home = Home::new();
    let socket = home.path("engine.sock");
    let address = format!("unix://{}", socket.display());
    let options = Options::real(&[home.workspace("project")]).env("DOCKER_HOST", &address);
    let app = App::launch("container-engine", &home, &api, &options).await;
    app.click("container-button").await;
    let missing = ["The container engine is not running", &address, "DOCKER_HOST", "systemctl start docker"];
    let first = until_error(&app, "engine-not-running", &missing).await;
    app.screenshot("container-error-engine-not-there").await;
    said(&app, &api, "the host goes on").await;

    // The socket that a daemon leaves behind when it dies.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    app.details().await;
    app.click("retry").await;
    app.until("it tries again", SOON, async |page| page.details.clone().filter(|text| *text != first)).await;
    until_error(&app, "engine-not-running", &["The container engine is not running", &address]).await;

    std::fs::remove_file(&socket).unwrap();
    link_engine(Engine::shared().address(), &socket);
    app.click("retry").await;
    app.until("it tries again", SOON, async |page| (page.container.as_deref() != Some("error")).then_some(())).await;
    app.until_container("running", BUILT).await;
    assert!(said(&app, &api, "and inside too").await.contains("the host goes on"), "in the same conversation");
    app.leave().await;
    flip::assert_no_container(&home).await;
}

/// Lines of shell that hide every engine that is installed or runs on this machine. What stands over a program is no
/// file, so that it is none; the sockets' folder is an empty one.
fn no_engine(path: &str) -> String {
    let folders = Places::usual(&Environment::of([("PATH", path)])).folders;
    let folders: Vec<String> = folders.iter().map(|folder| format!("'{}'", folder.display())).collect();
    format!(
        "mount -t tmpfs none /run\n\
         for folder in {}; do for program in docker dockerd podman; do\n\
         if [ -e \"$folder/$program\" ]; then mount --bind /dev/null \"$folder/$program\"; fi\ndone; done",
        folders.join(" ")
    )
}

#[tokio::test]
async fn an_engine_that_is_installed_and_then_started() {
    if !needs::root("only root can hide the engines that this machine has") {
        return;
    }
    let engine = Engine::shared();
    let api = ModelApi::start();
    let home = Home::new();
    // What will have been installed later: a folder on PATH that is empty yet.
    let tools = home.path("tools");
    std::fs::create_dir(&tools).unwrap();
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let mut options = Options::real(&[home.workspace("project")]).env("PATH", &path);
    options.mounts = Some(no_engine(&path));
    let app = App::launch("container-no-engine", &home, &api, &options).await;
    app.click("container-button").await;
    let docker = format!("docker, dockerd, podman in {}", tools.display());
    let socket = home.runtime().join("docker.sock");
    let known = format!("unix://{}", socket.display());
    let parts = ["No container engine is installed", "apt install docker.io", "Looked for", &docker, &known];
    until_error(&app, "engine-not-installed", &parts).await;
    said(&app, &api, "the host goes on").await;

    home.write(&tools.join("docker"), "");
    app.details().await;
    app.click("retry").await;
    let another = |page: &Page| page.details_code.as_deref().is_some_and(|code| code != "engine-not-installed");
    app.until("another error", SOON, async |page| another(page).then_some(())).await;
    let parts = ["The container engine is not running", "an engine's program is installed", "systemctl start docker"];
    until_error(&app, "engine-not-running", &parts).await;

    link_engine(engine.address(), &socket);
    app.click("retry").await;
    app.until("it tries again", SOON, async |page| (page.container.as_deref() != Some("error")).then_some(())).await;
    app.until_container("running", BUILT).await;
    let details = app.details().await;
    assert!(details.contains(&known) && details.contains("a known socket"), "nobody has named it: {details}");
    assert!(said(&app, &api, "and inside too").await.contains("the host goes on"), "in the same conversation");
    app.leave().await;
    flip::assert_no_container(&home).await;
}

/// Gives the engine's socket another path.
fn link_engine(address: &str, path: &Path) {
    symlink(address.trim_start_matches("unix://"), path).expect("the temp folder is ours");
}

#[tokio::test]
async fn no_permission_on_the_socket() {
    if !needs::root("the app must run as somebody whom the engine refuses") {
        return;
    }
    let engine = Engine::shared();
    let api = ModelApi::start();
    let home = Home::of_user(NOBODY);
    let socket = home.path("engine.sock");
    let address = format!("unix://{}", socket.display());
    link_engine(engine.address(), &socket);
    let options = Options::real(&[home.workspace("project")]).env("DOCKER_HOST", &address);
    let app = App::launch("container-permission", &home, &api, &options).await;
    app.click("container-button").await;
    let parts = ["No permission to use the container engine", &address, "usermod -aG docker"];
    until_error(&app, "engine-no-permission", &parts).await;
    said(&app, &api, "the host goes on").await;
    std::fs::remove_file(&socket).unwrap();
    link_engine(engine.open_address(), &socket);
    app.details().await;
    app.click("retry").await;
    app.until("it tries again", SOON, async |page| (page.container.as_deref() != Some("error")).then_some(())).await;
    app.until_container("running", BUILT).await;
    assert!(said(&app, &api, "and inside too").await.contains("the host goes on"), "in the same conversation");
}

#[tokio::test]
async fn a_container_that_is_killed_from_outside() {
    let (api, home, app) = tab("container-killed").await;
    said(&app, &api, "remember the blue door").await;
    app.enter().await;
    app.send("slow: 600 100").await;
    app.until("the turn runs in the container", LONG, async |page| {
        page.last_of("assistant").filter(|entry| entry.streaming && entry.text.contains("w3")).map(drop)
    })
    .await;
    let id = flip::container(&home).await.id.unwrap_or_default();
    let options = bollard::query_parameters::KillContainerOptionsBuilder::new().signal("SIGKILL").build();
    Engine::shared().api().kill_container(&id, Some(options)).await.expect("the engine kills it");
    let parts = ["The container was killed from outside", "Press Retry to go on", "No agent runs"];
    until_error(&app, "killed-externally", &parts).await;
    flip::assert_no_container(&home).await;
    let page = app.page().await;
    assert!(page.of_kind("user")[1].text.contains("Interrupted"), "the turn is marked: {:#?}", page.entries);
    assert!(page.entries.iter().all(|entry| !entry.streaming), "nothing streams any more: {:#?}", page.entries);
    assert!(!page.has_stop, "no turn runs");
    app.send("say: sent while there was none").await;
    app.details().await;
    app.click("retry").await;
    app.until_entry("assistant", "sent while there was none", LONG).await;
    let conversation = api.last().unwrap().conversation();
    assert!(conversation.contains("the blue door") && conversation.contains("slow: 600"), "in the same conversation");
    assert_eq!(app.page().await.container.as_deref(), Some("running"));
}

/// An agent that answers the handshake and, at the first message, takes memory until there is none.
const GREEDY: &str = r#"#!/usr/bin/env node
const say = line => process.stdout.write(JSON.stringify(line) + "\n");
const initialized = {commands: [], agents: [], models: [], output_style: "default", available_output_styles: [], account: {}};
const held = [];
require("readline").createInterface({input: process.stdin}).on("line", text => {
  const line = JSON.parse(text);
  if (line.type === "control_request") {
    const response = line.request.subtype === "initialize" ? initialized : null;
    say({type: "control_response", response: {subtype: "success", request_id: line.request_id, response}});
  } else if (line.type === "user") {
    process.stderr.write("taking all there is\n");
    for (;;) held.push(Buffer.alloc(8 << 20, 1));
  }
});
"#;

#[tokio::test]
async fn a_container_that_runs_out_of_memory() {
    let (api, home, app) = tab("container-memory").await;
    let workspace = home.workspace("project");
    home.write(&workspace.join("greedy.js"), GREEDY);
    home.write(
        &workspace.join("Dockerfile.claude"),
        &format!("FROM {BASE}\nCOPY greedy.js /usr/local/bin/claude\nRUN chmod 755 /usr/local/bin/claude\n"),
    );
    app.enter().await;
    let id = flip::container(&home).await.id.unwrap_or_default();
    // The app's own limit is a share of the machine's memory, which no test should use up.
    let limit = Some(192 << 20);
    let body = ContainerUpdateBody { memory: limit, memory_swap: limit, ..ContainerUpdateBody::default() };
    Engine::shared().api().update_container(&id, body).await.expect("the engine lowers the limit");
    app.send("say: anything").await;
    let parts = ["The container ran out of memory", "more memory", "taking all there is", "No agent runs"];
    until_error(&app, "out-of-memory", &parts).await;
    flip::assert_no_container(&home).await;
    std::fs::remove_file(workspace.join("Dockerfile.claude")).unwrap();
    app.click("retry").await;
    app.until("it tries again", SOON, async |page| (page.container.as_deref() != Some("error")).then_some(())).await;
    app.until_container("running", BUILT).await;
    said(&app, &api, "enough for everybody").await;
}
