//! However a tab or the app ends, no container is left, and what was interrupted is taken up again.

use std::time::Duration;

use tests::desktop::app::{LONG, SOON};
use tests::desktop::flip::{self, BUILT};
use tests::desktop::{App, Home, Options};
use tests::engine::{Engine, see};
use tests::model_api::ModelApi;

#[tokio::test]
async fn killing_the_app_leaves_no_container_and_the_next_start_goes_back_inside() {
    let api = ModelApi::start();
    let home = Home::new();
    let options = Options::real(&[home.workspace("project")]).engine();
    let app = App::launch("container-killed-app", &home, &api, &options).await;
    app.send("say: remember the blue door").await;
    app.until_entry("assistant", "the blue door", LONG).await;
    app.until_idle(SOON).await;
    app.enter().await;
    app.send("slow: 600 100").await;
    app.until("the turn runs in the container", LONG, async |page| {
        page.last_of("assistant").filter(|entry| entry.streaming && entry.text.contains("w3")).map(drop)
    })
    .await;
    let first = flip::container(&home).await.id;
    app.kill();
    flip::until_no_container(&home, Duration::from_secs(5)).await;
    app.until_dead(SOON).await;
    drop(app);

    let app = App::launch("container-killed-app-again", &home, &api, &Options::real(&[]).engine()).await;
    app.until_entry("notice", "in the middle of a turn", LONG).await;
    assert_eq!(app.page().await.tabs.len(), 1, "the tab is back");
    let cut = app.page().await.last_of("user").map(|entry| entry.text.clone()).unwrap_or_default();
    assert!(cut.contains("slow: 600") && cut.contains("Interrupted"), "the message that was cut off is marked: {cut}");
    app.until_container("running", LONG).await;
    app.screenshot("container-taken-up").await;
    let second = flip::container(&home).await.id;
    assert_ne!(first, second, "it runs in a new container");
    app.send("say: the door is still blue").await;
    app.until_entry("assistant", "the door is still blue", LONG).await;
    let said = api.last().unwrap().conversation();
    for part in ["remember the blue door", "slow: 600"] {
        assert!(said.contains(part), "the model has {part:?} from before: {said}");
    }
    app.leave().await;
    flip::assert_no_container(&home).await;
}

#[tokio::test]
async fn killing_the_app_while_the_container_starts_leaves_none() {
    let api = ModelApi::start();
    let home = Home::new();
    let options = Options::real(&[home.workspace("project")]).engine();
    let app = App::launch("container-killed-start", &home, &api, &options).await;
    app.enter().await;
    app.leave().await;
    app.click("container-button").await;
    // The earliest moment that can be seen from outside: the engine has been asked to make one.
    see::until("a container is being made", BUILT, async || (!flip::containers(&home).await.is_empty()).then_some(()))
        .await;
    app.kill();
    app.until_dead(SOON).await;
    flip::until_no_container(&home, Duration::from_secs(5)).await;
}

#[tokio::test]
async fn closing_a_tab_and_quitting_the_app_leave_no_container() {
    let api = ModelApi::start();
    let home = Home::new();
    let options = Options::real(&[home.workspace("one"), home.workspace("two")]).engine();
    let app = App::launch("container-closing", &home, &api, &options).await;
    for tab in [0, 1] {
        app.activate(tab).await;
        app.enter().await;
    }
    assert_eq!(flip::containers(&home).await.len(), 2, "one for each tab");
    app.send("slow: 600 100").await;
    app.until("the turn runs", LONG, async |page| page.last_of("assistant").map(drop)).await;
    app.click_nth("close-tab", 0).await;
    see::until("the closed tab's container goes", SOON, async || {
        (flip::containers(&home).await.len() == 1).then_some(())
    })
    .await;
    let left = flip::container(&home).await;
    let labels = left.config.and_then(|config| config.labels).unwrap_or_default();
    assert!(labels["dev.gemra.workspace"].ends_with("/two"), "the other tab's stays: {labels:#?}");
    app.terminate().await;
    flip::assert_no_container(&home).await;
}

#[tokio::test]
async fn a_gemra_that_died_is_swept_up_after_and_another_home_is_left_alone() {
    let api = ModelApi::start();
    let (home, other) = (Home::new(), Home::new());
    let theirs =
        App::launch("container-other-home", &other, &api, &Options::real(&[other.workspace("project")]).engine()).await;
    theirs.enter().await;
    let app = App::launch("container-swept", &home, &api, &Options::real(&[home.workspace("project")]).engine()).await;
    app.enter().await;
    let id = flip::container(&home).await.id.unwrap_or_default();
    // Frozen, it cannot end with its stdin; and nothing of the dead app may end it either.
    Engine::shared().api().pause_container(&id).await.expect("the engine freezes it");
    let everything = app.processes();
    app.kill();
    for process in everything {
        tests::spawn::kill(process);
    }
    app.until_dead(SOON).await;
    assert_eq!(flip::containers(&home).await.len(), 1, "it is left behind");
    drop(app);
    let app = App::launch("container-swept-again", &home, &api, &Options::real(&[]).engine()).await;
    see::until("the next start removes it", SOON, async || {
        let found = flip::containers(&home).await;
        found.iter().all(|one| one.id.as_deref() != Some(id.as_str())).then_some(())
    })
    .await;
    app.until_container("running", LONG).await;
    assert_eq!(flip::containers(&other).await.len(), 1, "another home's is another's business");
    theirs.send("say: undisturbed").await;
    theirs.until_entry("assistant", "undisturbed", LONG).await;
}
