//! The Container button on the good way: the agent moves into a real container and back, in one conversation. The
//! engine and the CLI are real; only the model behind the API is a stand-in.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::sync::Arc;

use tests::desktop::app::{LONG, SOON};
use tests::desktop::flip::{self, BUILT, DOCKERFILE};
use tests::desktop::gate::Gate;
use tests::desktop::verbs::DETAILS_WITHIN;
use tests::desktop::{App, Home, Options};
use tests::engine::Engine;
use tests::model_api::{ModelApi, Recorded};
use tests::spawn;

/// The key that the harness puts into the app's environment.
const KEY: &str = "made-up-key-of-the-tests";

/// A stand-in API and the app with one tab, its agent the real CLI, at the tests' engine.
async fn tab(name: &str) -> (ModelApi, Arc<Home>, App) {
    let api = ModelApi::start();
    let home = Home::new();
    let app = App::launch(name, &home, &api, &Options::real(&[home.workspace("project")]).engine()).await;
    (api, home, app)
}

#[tokio::test]
async fn off_building_starting_running_and_the_details_tell_each() {
    let engine = Engine::shared();
    let api = ModelApi::start();
    let home = Home::new();
    let workspace = home.workspace("project");
    let gate = Gate::closed().await;
    let words = format!("the first words of {}", uuid::Uuid::new_v4().simple());
    let more = format!("RUN echo {words}\n{}", gate.instruction());
    home.write(&workspace.join("Dockerfile.claude"), &format!("{DOCKERFILE}{more}"));
    let app =
        App::launch("container-way", &home, &api, &Options::real(std::slice::from_ref(&workspace)).engine()).await;
    let page = app.until_container("off", SOON).await;
    assert_eq!(page.container_name.as_deref(), Some("Container: off"), "the name says the state in words");
    app.hover("container-button").await;
    let shown = app.until("the details show in time", DETAILS_WITHIN, async |page| page.details.clone()).await;
    assert!(shown.contains("on this machine"), "they say where the agent is: {shown}");
    app.screenshot("container-off").await;

    app.watch_states().await;
    app.click("container-button").await;
    let waiting = gate.reached(BUILT).await;
    let details = app
        .until("the details tell the step", SOON, async |page| {
            page.details.clone().filter(|text| text.contains("Step 21 of 22"))
        })
        .await;
    let (step, total) = steps(&details);
    assert!(step > 10 && step + 1 == total, "the last but our label, of a whole Dockerfile: {details}");
    let page = app.page().await;
    assert_eq!(page.container.as_deref(), Some("building"));
    let name = page.container_name.unwrap_or_default();
    assert!(name.contains(&format!("{step}/{total}")), "the button says it too: {name}");
    app.screenshot("container-building").await;
    app.send("say: the host works while the image builds").await;
    app.until_entry("assistant", "the host works while", LONG).await;
    app.hover("container-button").await;
    app.click("show-build-log").await;
    let log = app.until("the log is open", SOON, async |page| page.build_log.clone()).await;
    assert!(log.lines().any(|line| line == words), "it holds what commands said, not only what they are: {log}");
    app.screenshot("container-build-log").await;
    waiting.let_through().await;
    app.until_container("running", LONG).await;
    assert_eq!(app.seen_states().await, ["off", "building", "starting", "running"], "nothing was left out");

    let details = app.details().await;
    for part in ["Container running", "Docker ", engine.address(), "gemra-claude:", "host", "/workspace", "Ready in"] {
        assert!(details.contains(part), "the details tell {part:?}: {details}");
    }
    app.screenshot("container-running").await;
    app.click("copy-details").await;
    let copied = app.clipboard().await;
    assert!(copied.contains("Container: Running") && copied.contains(engine.address()), "copied: {copied}");
    app.click("container-button").await;
    app.until_container("off", LONG).await;
    flip::assert_no_container(&home).await;
}

/// What "Step i of n" says.
fn steps(details: &str) -> (usize, usize) {
    let numbers = details.split_once("Step ").and_then(|(_, rest)| {
        let (step, rest) = rest.split_once(" of ")?;
        let total: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some((step.parse().ok()?, total.parse().ok()?))
    });
    numbers.unwrap_or_else(|| panic!("the details tell a step: {details}"))
}

#[tokio::test]
async fn the_container_is_what_was_promised() {
    let api = ModelApi::start();
    let home = Home::new();
    let workspace = home.workspace("project");
    // Only root can work on another's files; then the agent must be that other one.
    let root = rustix::process::geteuid().is_root();
    if root {
        chown(&workspace, Some(1000), Some(1000)).unwrap();
    }
    let owner = workspace.metadata().unwrap();
    let app =
        App::launch("container-spec", &home, &api, &Options::real(std::slice::from_ref(&workspace)).engine()).await;
    app.enter().await;
    let inspected = flip::container(&home).await;
    let name = inspected.name.clone().unwrap_or_default();
    let config = inspected.config.clone().unwrap();
    assert_eq!(config.user.as_deref(), Some(format!("{}:{}", owner.uid(), owner.gid()).as_str()), "the owner's ids");
    assert_eq!(config.working_dir.as_deref(), Some("/workspace"));
    let host = inspected.host_config.clone().unwrap();
    assert_eq!(host.network_mode.as_deref(), Some("host"), "the host's network");
    assert_eq!(host.privileged, Some(false));
    let path = workspace.display().to_string();
    let mounts = inspected.mounts.clone().unwrap_or_default();
    for target in ["/workspace", path.as_str()] {
        let mount = mounts.iter().find(|mount| mount.destination.as_deref() == Some(target));
        let source = mount.and_then(|mount| mount.source.as_deref());
        assert_eq!(source, Some(path.as_str()), "the workspace is mounted at {target}: {mounts:#?}");
    }
    assert!(
        !mounts.iter().any(|mount| mount.source.as_deref().is_some_and(|source| source.ends_with("docker.sock"))),
        "the engine's socket is not given away: {mounts:#?}"
    );
    let labels = config.labels.clone().unwrap_or_default();
    let label = |name: &str| labels.get(&format!("dev.gemra.{name}")).cloned().unwrap_or_default();
    let tab = app.page().await.tabs[0].id.clone();
    assert_eq!((label("managed"), label("tab"), label("workspace")), ("1".to_owned(), tab.clone(), path));
    assert!(!label("instance").is_empty() && !label("spec").is_empty(), "and the others: {labels:#?}");
    let short: String = tab.chars().filter(char::is_ascii_alphanumeric).collect();
    assert!(name.starts_with(&format!("/gemra-{short}")), "the name tells the tab {tab}: {name}");

    app.send("bash: pwd; id -u; echo from inside > inside.txt").await;
    app.allow_until("done: /workspace").await;
    let made = workspace.join("inside.txt").metadata().unwrap();
    assert_eq!((made.uid(), made.gid()), (owner.uid(), owner.gid()), "the file belongs to the workspace's owner");
    assert!(api.last().unwrap().api_key_seen, "the key reached the agent in the container");
    let json = serde_json::to_string(&inspected).unwrap();
    assert!(!json.contains(KEY), "and yet the engine does not know it");
    let lines = every_command_line();
    assert!(lines.iter().any(|line| line.contains("--input-format stream-json")), "the agent is among them");
    let told: Vec<_> = lines.iter().filter(|line| line.contains(KEY)).collect();
    assert!(told.is_empty(), "no argument list holds it: {told:#?}");
    let logs = everything_under(&home.gemra().join("logs"));
    assert!(logs.contains("click to running"), "the log tells of the move");
    assert!(!logs.contains(KEY), "and not of the key");
}

/// The argument lists of all processes of the machine.
fn every_command_line() -> Vec<String> {
    let entries = std::fs::read_dir("/proc").expect("/proc can be read").flatten();
    entries.filter_map(|entry| Some(spawn::command_line(entry.file_name().to_str()?.parse().ok()?))).collect()
}

fn everything_under(folder: &std::path::Path) -> String {
    let files = std::fs::read_dir(folder).expect("the folder is there").flatten();
    files.map(|file| std::fs::read_to_string(file.path()).expect("its files are text")).collect()
}

#[tokio::test]
async fn one_conversation_goes_in_and_out_and_the_agent_knows_where_it_is() {
    let (api, home, app) = tab("container-conversation").await;
    app.send("say: remember the blue door").await;
    app.until_entry("assistant", "the blue door", LONG).await;
    // A move in the middle of a turn would be told, too.
    app.until_idle(SOON).await;
    app.enter().await;
    app.until_entry("notice", "runs in a container now", SOON).await;
    app.send("say: inside the green house").await;
    app.until_entry("assistant", "the green house", LONG).await;
    let request = api.last().unwrap();
    assert!(request.conversation().contains("the blue door"), "the model has what was said on the host");
    assert_eq!(told(&request), Some("container"), "the agent was told where it is");
    app.until_idle(SOON).await;
    app.screenshot("container-conversation").await;
    app.leave().await;
    flip::assert_no_container(&home).await;
    app.until_entry("notice", "on the host again", SOON).await;
    app.send("say: outside on the white road").await;
    app.until_entry("assistant", "the white road", LONG).await;
    let request = api.last().unwrap();
    for said in ["the blue door", "the green house"] {
        assert!(request.conversation().contains(said), "the model has {said:?}, said on either side");
    }
    assert_eq!(told(&request), Some("host"), "the agent was told that it is back");
    let page = app.page().await;
    assert_eq!(page.of_kind("user").len(), 3, "the transcript stays, each message once: {:#?}", page.entries);
    assert_eq!(page.of_kind("notice").len(), 2, "with a note for each move: {:#?}", page.entries);
    app.until_idle(SOON).await;
    app.screenshot("container-back-on-host").await;
}

/// Where the model was told last that it is.
fn told(request: &Recorded) -> Option<&'static str> {
    let all = format!("{}{}", request.system, request.conversation());
    let container = all.rfind("inside a Linux container").map(|at| (at, "container"));
    let host = all.rfind("directly on the user's machine").map(|at| (at, "host"));
    container.max(host).map(|(_, place)| place)
}
