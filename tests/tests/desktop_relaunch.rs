//! After the app was killed: what the next start takes up, what it says of each tab, and what it does not do twice.

use std::sync::Arc;

use tests::desktop::app::{LONG, SOON};
use tests::desktop::{App, Home, Options, Page};
use tests::model_api::ModelApi;

/// Says something in the shown tab and waits until it was answered.
async fn said(app: &App, text: &str) {
    app.send(&format!("say: {text}")).await;
    app.until_entry("assistant", text, LONG).await;
    app.until_idle(SOON).await;
}

/// Kills the app and waits until it is gone.
async fn killed(app: App) {
    app.kill();
    app.until_dead(SOON).await;
}

/// The one notice that a tab was taken up.
fn taken_up(page: &Page) -> String {
    let notices: Vec<&str> = page.of_kind("notice").iter().map(|notice| notice.text.trim()).collect();
    let told: Vec<&&str> = notices.iter().filter(|text| text.contains("ended unexpectedly")).collect();
    assert_eq!(told.len(), 1, "each tab is told once what happened: {notices:?}");
    (*told[0]).to_owned()
}

#[tokio::test]
async fn a_tab_that_was_taken_up_is_shown_for_its_folder_and_not_doubled() {
    let api = ModelApi::start();
    let home = Home::new();
    let (first, second) = (home.workspace("first"), home.workspace("second"));
    let app = App::launch("relaunch", &home, &api, &Options::real(&[first.clone(), second.clone()])).await;
    app.activate(1).await;
    said(&app, "in the second folder").await;
    let before: Vec<String> = app.page().await.tabs.iter().map(|tab| tab.id.clone()).collect();
    killed(app).await;

    let new = home.workspace("new");
    let app = App::launch("relaunch-again", &home, &api, &Options::real(&[second, new])).await;
    let page = app
        .until("both tabs are back, and a new one", SOON, async |page| (page.tabs.len() == 3).then(|| page.clone()))
        .await;
    let titles: Vec<&str> = page.tabs.iter().map(|tab| tab.text.trim()).collect();
    assert_eq!(titles, ["second", "new", "first"], "what was asked for comes first, each folder once");
    assert_eq!(page.tabs[0].id, before[1], "it is the tab of before");
    assert!(page.tabs[0].active, "and it is the one that is shown");
    app.until_entry("assistant", "in the second folder", LONG).await;
    app.screenshot("relaunch").await;
    said(&app, "and on").await;
    let request = api.last().unwrap().conversation();
    assert!(request.contains("in the second folder"), "the conversation is the one of before: {request}");
    assert_eq!(app.page().await.tabs.len(), 3, "nothing more was opened meanwhile");
}

#[tokio::test]
async fn of_two_tabs_the_one_that_was_in_a_turn_is_told_from_the_idle_one() {
    let api = ModelApi::start();
    let home = Home::new();
    let options = Options::real(&[home.workspace("busy"), home.workspace("idle")]);
    let app = App::launch("relaunch-two", &home, &api, &options).await;
    app.activate(1).await;
    said(&app, "all is said here").await;
    app.activate(0).await;
    app.send("slow: 600 100").await;
    app.until("the turn runs", LONG, async |page| {
        page.last_of("assistant").filter(|entry| entry.streaming && entry.text.contains("w2")).map(drop)
    })
    .await;
    killed(app).await;

    let app = App::launch("relaunch-two-again", &home, &api, &Options::real(&[])).await;
    let opened = async |name: &str, text: &str| {
        let tabs = app.page().await.tabs;
        let index = tabs.iter().position(|tab| tab.text.trim() == name);
        app.activate(index.unwrap_or_else(|| panic!("the tab {name} is back: {tabs:#?}"))).await;
        app.until(&format!("the tab with {text:?}, and why it is here again"), LONG, async |page| {
            let told = page.entries.iter().any(|entry| entry.kind == "notice");
            (told && page.entries.iter().any(|entry| entry.text.contains(text))).then(|| page.clone())
        })
        .await
    };
    let busy = opened("busy", "slow: 600").await;
    assert!(taken_up(&busy).contains("in the middle of a turn"), "this one was cut off: {}", taken_up(&busy));
    let cut = busy.last_of("user").map(|entry| entry.text.clone()).unwrap_or_default();
    assert!(cut.contains("Interrupted"), "its message is marked: {cut}");
    app.screenshot("relaunch-busy").await;
    let idle = opened("idle", "all is said here").await;
    assert!(taken_up(&idle).contains("between two turns"), "this one lost nothing: {}", taken_up(&idle));
    assert!(!idle.text.contains("Interrupted"), "nothing is marked that was not cut off: {}", idle.text);
    app.screenshot("relaunch-idle").await;
    said(&app, "the idle one goes on").await;
    opened("busy", "slow: 600").await;
    said(&app, "the busy one goes on").await;
    assert!(api.last().unwrap().conversation().contains("slow: 600"), "each in its own conversation");
}

#[tokio::test]
async fn a_tab_that_was_closed_by_hand_or_with_the_app_is_not_taken_up() {
    let api = ModelApi::start();
    let home = Home::new();
    let options = Options::scripted(&[home.workspace("one"), home.workspace("two")]);
    let app = App::launch("relaunch-closed", &home, &api, &options).await;
    app.click_nth("close-tab", 0).await;
    app.until("one tab is left", SOON, async |page| (page.tabs.len() == 1).then_some(())).await;
    app.terminate().await;
    drop(app);
    let app = relaunch(&home, &api, "relaunch-closed-again").await;
    let page = app.page().await;
    assert!(page.tabs.is_empty() && page.workspace_path.is_some(), "it ended well; nothing was interrupted: {page:#?}");
}

async fn relaunch(home: &Arc<Home>, api: &ModelApi, name: &str) -> App {
    App::launch(name, home, api, &Options::scripted(&[])).await
}
