//! Images in the window: a Dockerfile that changes while its container runs is noticed, and an image is made anew from
//! the details; a Dockerfile to start from is written from the settings.

use std::time::Duration;

use tests::desktop::app::{LONG, SOON};
use tests::desktop::{App, Home, Options, flip};
use tests::engine::BASE;
use tests::engine::desk::AGENT;
use tests::model_api::ModelApi;

/// How long an image may take on a busy machine.
const BUILT: Duration = flip::BUILT;

/// The image of the one container.
async fn image_of(home: &Home) -> String {
    let found = flip::containers(home).await;
    assert_eq!(found.len(), 1, "the tab has one container: {found:#?}");
    found[0].image_id.clone().expect("a container has an image")
}

#[tokio::test]
async fn a_dockerfile_that_changes_is_noticed_and_taken_up_when_the_user_says_so() {
    let api = ModelApi::start();
    let home = Home::new();
    let project = home.workspace("project");
    let dockerfile = |more: &str| {
        let copy = "COPY claude.js /usr/local/bin/claude\nRUN chmod 755 /usr/local/bin/claude";
        home.write(&project.join("Dockerfile.claude"), &format!("FROM {BASE}\n{copy}\n{more}\n"));
    };
    home.write(&project.join("claude.js"), AGENT);
    home.write(&project.join("at-start.sh"), "true");
    dockerfile("RUN echo one >/made");
    let options = Options::scripted(std::slice::from_ref(&project)).engine();
    let app = App::launch("image-changed", &home, &api, &options).await;
    app.enter().await;
    let first = image_of(&home).await;
    let details = app.details().await;
    assert!(!details.contains("has changed"), "nothing has changed yet: {details}");

    dockerfile("RUN date +%N >/made");
    app.until("the change is noticed", LONG, async |page| {
        page.details.as_ref().filter(|details| details.contains("The Dockerfile has changed")).map(drop)
    })
    .await;
    app.screenshot("image-changed").await;
    assert_eq!(image_of(&home).await, first, "nothing happens before the user says so");
    app.click("take-changes").await;
    let second = newer(&app, &home, &first).await;
    let details = app.details().await;
    assert!(!details.contains("has changed"), "it is in the image now: {details}");

    app.click("rebuild").await;
    let third = newer(&app, &home, &second).await;
    assert_ne!(third, first, "each is another one");
    app.leave().await;
    flip::assert_no_container(&home).await;
}

/// Waits until the agent runs in a container of another image.
async fn newer(app: &App, home: &Home, before: &str) -> String {
    let deadline = tokio::time::Instant::now() + BUILT;
    loop {
        let found = flip::containers(home).await;
        let image = found.first().and_then(|container| container.image_id.clone());
        if let Some(image) = image.filter(|image| found.len() == 1 && image != before) {
            app.until_container("running", LONG).await;
            return image;
        }
        assert!(tokio::time::Instant::now() < deadline, "a container of another image runs at last: {found:#?}");
        tokio::time::sleep(tests::desktop::app::LOOK).await;
    }
}

#[tokio::test]
async fn a_dockerfile_to_start_from_is_written_from_the_settings_and_never_over_another() {
    let api = ModelApi::start();
    let home = Home::new();
    let project = home.workspace("project");
    let app = App::launch("image-template", &home, &api, &Options::scripted(std::slice::from_ref(&project))).await;
    app.open_settings().await;
    app.click("write-template").await;
    app.until("it says where it is", SOON, async |page| page.text.contains("Written to").then_some(())).await;
    app.screenshot("image-template").await;
    let written = std::fs::read_to_string(project.join("Dockerfile.claude"));
    assert!(written.is_ok_and(|text| text.contains("FROM node:22-alpine")), "the first one was written");
    app.click("write-template").await;
    app.until("it is not written over", SOON, async |page| page.text.contains("is there already").then_some(())).await;
}
