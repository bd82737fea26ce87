//! What a project asks for beyond what a container has is shown in the window before anything is built, and counts only
//! after the user's answer. The engine and the CLI are real.

use std::fs;
use std::sync::Arc;

use tests::desktop::app::{LONG, SOON};
use tests::desktop::flip::{self, BUILT};
use tests::desktop::{App, Home, Options};
use tests::model_api::ModelApi;

/// Waits until the user is asked, and says what is shown.
async fn asked(app: &App) -> String {
    app.until("the user is asked", LONG, async |page| page.trust.clone()).await
}

/// How many processes the container may have, and whether it has the folder that the project asks for.
async fn holds(home: &Home) -> (Option<i64>, bool) {
    let container = flip::container(home).await;
    let mounted = container.mounts.unwrap_or_default();
    let data = mounted.iter().any(|mount| mount.destination.as_deref() == Some("/data"));
    (container.host_config.and_then(|host| host.pids_limit), data)
}

#[tokio::test]
async fn a_project_that_asks_for_more_waits_for_each_of_the_three_answers() {
    let api = ModelApi::start();
    let home: Arc<Home> = Home::new();
    let project = home.workspace("project");
    let file = project.join(".gemra.json");
    let data = home.workspace("data");
    let mount = format!("{}:/data:ro", data.display());
    home.write(&file, &format!("{{\"pids\": 5000, \"shmMb\": 64, \"mounts\": [{mount:?}]}}\n"));
    let options = Options::real(std::slice::from_ref(&project)).engine();
    let app = App::launch("trust", &home, &api, &options).await;

    app.click("container-button").await;
    let shown = asked(&app).await;
    for words in [".gemra.json", "pids", "5000", "mounts", mount.as_str()] {
        assert!(shown.contains(words), "{words} is shown: {shown}");
    }
    assert!(!shown.contains("shmMb"), "what is narrower than usual is not asked about: {shown}");
    app.screenshot("asked").await;
    assert_eq!(app.page().await.container.as_deref(), Some("building"), "nothing goes on before the answer");
    flip::assert_no_container(&home).await;
    app.click("trust-refuse").await;
    app.until_container("off", LONG).await;
    app.until("nothing is asked any more", SOON, async |page| page.trust.is_none().then_some(())).await;
    app.send("say: still here").await;
    app.until_entry("assistant", "still here", LONG).await;

    app.click("container-button").await;
    asked(&app).await;
    app.click("trust-without").await;
    app.until("the question goes with its answer", SOON, async |page| page.trust.is_none().then_some(())).await;
    app.until_container("running", BUILT).await;
    assert_eq!(holds(&home).await, (Some(4096), false), "without it the container is a usual one");
    app.leave().await;

    app.click("container-button").await;
    asked(&app).await;
    app.click("trust-allow").await;
    app.until_container("running", BUILT).await;
    assert_eq!(holds(&home).await, (Some(5000), true), "what was allowed counts");
    app.leave().await;

    // What was allowed is remembered, and nothing beyond it.
    app.enter().await;
    assert_eq!(app.page().await.trust, None, "exactly this was allowed before");
    assert_eq!(holds(&home).await, (Some(5000), true), "and counts again");
    app.leave().await;
    fs::write(&file, "{\"pids\": 6000}\n").expect("the file is ours");
    app.click("container-button").await;
    assert!(asked(&app).await.contains("6000"), "a changed file asks again");
    app.click("trust-refuse").await;
    app.until_container("off", LONG).await;
}

#[tokio::test]
async fn a_build_with_more_than_its_container_is_shown_with_all_that_it_runs() {
    let api = ModelApi::start();
    let home: Arc<Home> = Home::new();
    let project = home.workspace("project");
    home.write(&home.settings(), r#"{"container": {"network": "isolated"}}"#);
    let text = "FROM node:22-bookworm\nCOPY setup.sh /setup.sh\nRUN sh /setup.sh\n";
    home.write(&project.join("Dockerfile.claude"), text);
    home.write(&project.join("setup.sh"), "true\n");
    let options = Options::real(std::slice::from_ref(&project)).engine();
    let app = App::launch("trust-build", &home, &api, &options).await;
    app.click("container-button").await;
    let shown = asked(&app).await;
    for words in ["Dockerfile.claude", "build", "as root with this machine's network", "files of the project: setup.sh"]
    {
        assert!(shown.contains(words), "{words} is shown: {shown}");
    }
    assert!(text.lines().all(|line| shown.contains(line)), "so is each line that would run: {shown}");
    app.screenshot("asked-build").await;
    app.click("trust-refuse").await;
    app.until_container("off", LONG).await;
    flip::assert_no_container(&home).await;
}
