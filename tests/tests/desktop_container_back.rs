//! The way back to the host while something goes on inside, and that the two agents never hold the conversation at
//! once. The engine is real, and so is the CLI where it is asked anything.

use std::sync::Arc;
use std::time::Duration;

use tests::desktop::app::{LONG, LOOK, SOON};
use tests::desktop::{App, Home, Options, flip};
use tests::engine::BASE;
use tests::model_api::ModelApi;

/// A stand-in API and the app with one tab, whose agent is the real CLI in its container.
async fn inside(name: &str) -> (ModelApi, Arc<Home>, App) {
    let api = ModelApi::start();
    let home = Home::new();
    let app = App::launch(name, &home, &api, &Options::real(&[home.workspace("project")]).engine()).await;
    app.enter().await;
    (api, home, app)
}

#[tokio::test]
async fn a_flip_back_in_a_turn_interrupts_it_and_what_waits_is_answered_on_the_host() {
    let (api, home, app) = inside("container-back-mid-turn").await;
    app.stream_and_send("I have waited").await;
    app.leave().await;
    flip::assert_no_container(&home).await;
    app.cut_and_answered(&api, "I have waited").await;
    app.screenshot("container-back-mid-turn").await;
}

#[tokio::test]
async fn a_flip_back_while_a_question_waits_denies_it_and_says_why() {
    let (api, home, app) = inside("container-back-asking").await;
    app.send("bash: touch asked.txt").await;
    app.until("the agent asks", LONG, async |page| (page.asks == 1).then_some(())).await;
    app.leave().await;
    flip::assert_no_container(&home).await;
    app.until_idle(SOON).await;
    let page = app.page().await;
    assert_eq!(page.asks, 0, "nobody waits for an answer any more: {page:#?}");
    assert!(page.of_kind("error").is_empty(), "what the user asked for is no error: {:#?}", page.entries);
    app.unfold().await;
    app.until("the page says why it was denied", SOON, async |page| {
        page.text.contains("the agent moved back to the host").then_some(())
    })
    .await;
    app.send("say: and on we go").await;
    app.until_entry("assistant", "and on we go", LONG).await;
    let said = api.last().unwrap().conversation();
    assert!(said.contains("the agent moved back to the host"), "the model was told why: {said}");
    assert!(!home.workspace("project").join("asked.txt").exists(), "the command ran nowhere");
}

#[tokio::test]
async fn the_agent_inside_begins_only_when_the_one_on_the_host_has_gone() {
    let api = ModelApi::start();
    let home = Home::new();
    let project = home.workspace("project");
    // It says that it has begun before it would read anything.
    let claude = "RUN printf '#!/bin/sh\\n: >/workspace/began\\nexec sleep 600\\n' >/usr/local/bin/claude \
                  && chmod 755 /usr/local/bin/claude";
    home.write(&project.join("Dockerfile.claude"), &format!("FROM {BASE}\n{claude}\n"));
    let app = App::launch(
        "container-one-at-a-time",
        &home,
        &api,
        &Options::scripted(std::slice::from_ref(&project)).engine(),
    )
    .await;
    // Deaf to the end of its input, so that its leaving takes the whole ladder.
    for text in ["ignore-eof", "say ready"] {
        app.send(text).await;
    }
    app.until_entry("assistant", "ready", LONG).await;
    app.until_idle(SOON).await;
    let host = app.processes_of("stream-json");
    assert_eq!(host.len(), 1, "one agent runs on the host");
    app.click("container-button").await;
    let waits = "Waiting for the host's agent to leave";
    let details = app
        .until("the container is there and waits", flip::BUILT, async |page| {
            page.details.clone().filter(|details| details.contains(waits))
        })
        .await;
    assert_eq!(flip::containers(&home).await.len(), 1, "it runs already: {details}");
    // What has begun is looked for first, so that an agent seen afterwards was there at the same time.
    let mut looks = 0;
    loop {
        let began = project.join("began").exists();
        if app.processes_of("stream-json").is_empty() {
            break;
        }
        assert!(!began, "the agent inside has begun while the one on the host still lived");
        looks += 1;
        tokio::time::sleep(LOOK).await;
    }
    assert!(looks > 10, "the agent on the host took its time, as it was told to: {looks} looks");
    app.until("the agent inside begins", SOON, async |_| project.join("began").exists().then_some(())).await;
    app.click("container-button").await;
    app.until_container("off", LONG + Duration::from_secs(15)).await;
    flip::assert_no_container(&home).await;
}
