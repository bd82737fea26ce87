//! What a project asks for beyond what a container has is shown in the window before anything is built, and counts only
//! after the user's answer. The engine and the CLI are real.

use std::fs;
use std::sync::Arc;

use tests::desktop::app::{LONG, SOON};
use tests::desktop::{App, Home, Options, flip};
use tests::model_api::ModelApi;

/// Waits until the user is asked, and says what is shown.
async fn asked(app: &App) -> String {
    app.until("the user is asked", LONG, async |page| page.trust.clone()).await
}

#[tokio::test]
async fn a_project_that_asks_for_more_waits_for_each_of_the_three_answers() {
    let api = ModelApi::start();
    let home: Arc<Home> = Home::new();
    let project = home.workspace("project");
    let file = project.join(".gemra.json");
    home.write(&file, "{\"pids\": 5000, \"shmMb\": 64}\n");
    let options = Options::real(std::slice::from_ref(&project)).engine();
    let app = App::launch("trust", &home, &api, &options).await;

    app.click("container-button").await;
    let shown = asked(&app).await;
    for words in [".gemra.json", "pids", "5000"] {
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
    app.until_container("running", LONG).await;
    app.click("container-button").await;
    app.until_container("off", LONG).await;

    app.click("container-button").await;
    asked(&app).await;
    app.click("trust-allow").await;
    app.until_container("running", LONG).await;
    app.click("container-button").await;
    app.until_container("off", LONG).await;

    // What was allowed is remembered, and nothing beyond it.
    app.enter().await;
    assert_eq!(app.page().await.trust, None, "exactly this was allowed before");
    app.click("container-button").await;
    app.until_container("off", LONG).await;
    fs::write(&file, "{\"pids\": 6000}\n").expect("the file is ours");
    app.click("container-button").await;
    assert!(asked(&app).await.contains("6000"), "a changed file asks again");
    app.click("trust-refuse").await;
    app.until_container("off", LONG).await;
}
