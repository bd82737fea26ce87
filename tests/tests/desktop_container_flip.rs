//! The Container button while something goes on: a turn, a question, another tab, fast clicks, a change of mind. The
//! engine and the CLI are real.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tests::desktop::app::{LONG, SOON};
use tests::desktop::flip::{self, BUILT};
use tests::desktop::gate::Gate;
use tests::desktop::verbs::DETAILS_WITHIN;
use tests::desktop::{App, Home, Options, Page};
use tests::engine::{BASE, Engine};
use tests::model_api::{ModelApi, Recorded};
use thirtyfour::prelude::Key;

/// A stand-in API and the app with one tab, its agent the real CLI, at the tests' engine.
async fn tab(name: &str) -> (ModelApi, Arc<Home>, App) {
    let api = ModelApi::start();
    let home = Home::new();
    let app = App::launch(name, &home, &api, &Options::real(&[home.workspace("project")]).engine()).await;
    (api, home, app)
}

/// Gives the workspace a Dockerfile of its own.
fn write_dockerfile(home: &Home, text: &str) {
    home.write(&home.workspace("project").join("Dockerfile.claude"), text);
}

#[tokio::test]
async fn two_tabs_one_on_each_side_stream_at_once_and_nothing_of_one_is_in_the_other() {
    let api = ModelApi::start();
    let home = Home::new();
    let options = Options::real(&[home.workspace("inside"), home.workspace("outside")]).engine();
    let app = App::launch("container-two-tabs", &home, &api, &options).await;
    app.activate(0).await;
    app.enter().await;
    app.send("slow: 200 100 alpha").await;
    app.activate(1).await;
    app.until_container("off", SOON).await;
    app.send("slow: 200 100 beta").await;
    app.until("both answers stream at the API", LONG, async |_| (api.streaming() == 2).then_some(())).await;
    for (tab, own, other) in [(0, "alpha", "beta"), (1, "beta", "alpha"), (0, "alpha", "beta")] {
        app.activate(tab).await;
        let seen = app
            .until("this tab's own answer streams", LONG, async |page| {
                page.last_of("assistant").filter(|entry| entry.streaming && entry.text.contains(own)).map(|e| e.length)
            })
            .await;
        app.until("and grows before one's eyes", LONG, async |page| {
            page.last_of("assistant").filter(|entry| entry.length > seen).map(drop)
        })
        .await;
        let page = app.page().await;
        let foreign: Vec<_> = page.entries.iter().filter(|entry| entry.text.contains(other)).collect();
        assert!(foreign.is_empty(), "nothing of the other tab is shown: {foreign:#?}");
    }
    assert_eq!(api.streaming(), 2, "both streamed all the while");
    app.screenshot("container-two-tabs").await;
    for (tab, own, other) in [(0, "alpha199", "beta"), (1, "beta199", "alpha")] {
        app.activate(tab).await;
        let answer = app.until_entry("assistant", own, LONG).await;
        assert!(!answer.text.contains(other), "the whole answer is this tab's alone");
    }
    let workspaces: Vec<_> = flip::containers(&home).await.into_iter().filter_map(|one| one.labels).collect();
    assert_eq!(workspaces.len(), 1, "one container, the one tab's: {workspaces:#?}");
    let sessions: Vec<_> = api.main_requests().iter().map(Recorded::conversation).collect();
    assert!(!sessions.iter().any(|said| said.contains("alpha") && said.contains("beta")), "nor at the API");
}

#[tokio::test]
async fn a_flip_in_a_turn_interrupts_it_and_what_waits_is_answered_inside() {
    let (api, home, app) = tab("container-mid-turn").await;
    app.stream_and_send("I have waited").await;
    app.screenshot("container-mid-turn").await;
    app.enter().await;
    let told = app.cut_and_answered(&api, "I have waited").await;
    app.screenshot("container-mid-turn-moved").await;
    assert!(told.contains("/workspace"), "answered in the container");
    assert_eq!(flip::containers(&home).await.len(), 1);
}

#[tokio::test]
async fn a_flip_while_a_question_waits_denies_it_and_says_why() {
    let (api, home, app) = tab("container-asking").await;
    app.send("bash: touch asked.txt").await;
    app.until("the agent asks", LONG, async |page| (page.asks == 1).then_some(())).await;
    app.enter().await;
    app.until_idle(SOON).await;
    let page = app.page().await;
    assert_eq!(page.asks, 0, "nobody waits for an answer any more: {page:#?}");
    assert!(page.of_kind("error").is_empty(), "what the user asked for is no error: {:#?}", page.entries);
    app.screenshot("container-asking-moved").await;
    app.unfold().await;
    app.until("the page says why it was denied", SOON, async |page| {
        page.text.contains("the agent moved into a container").then_some(())
    })
    .await;
    app.send("say: and on we go").await;
    app.until_entry("assistant", "and on we go", LONG).await;
    let said = api.last().unwrap().conversation();
    assert!(said.contains("the agent moved into a container"), "the model was told why: {said}");
    assert!(!home.workspace("project").join("asked.txt").exists(), "the command ran nowhere");
}

#[tokio::test]
async fn a_new_conversation_on_each_move_where_the_settings_say_so() {
    let api = ModelApi::start();
    let home = Home::new();
    home.write(&home.settings(), "{\"freshOnToggle\": true}\n");
    let options = Options::real(&[home.workspace("project")]).engine();
    let app = App::launch("container-fresh", &home, &api, &options).await;
    app.send("say: said on the host").await;
    app.until_entry("assistant", "said on the host", LONG).await;
    app.enter().await;
    app.send("say: said inside").await;
    app.until_entry("assistant", "said inside", LONG).await;
    assert!(!api.last().unwrap().conversation().contains("said on the host"), "the model does not have it");
    let page = app.page().await;
    assert!(page.shows("user", "said on the host"), "the page still shows it: {:#?}", page.entries);
    assert!(page.shows("notice", "A new conversation begins here"), "and says that: {:#?}", page.entries);
    app.screenshot("container-fresh").await;
    app.leave().await;
    app.send("say: back again").await;
    app.until_entry("assistant", "back again", LONG).await;
    let said = api.last().unwrap().conversation();
    assert!(!said.contains("said inside") && !said.contains("said on the host"), "nor on the way back: {said}");
}

/// Waits until the button has been in one state of rest for a whole second, and gives that state. A single look is not
/// enough: clicks reach the app one by one, and between two of them the button may well be off.
async fn rest(app: &App) -> String {
    let seen: RefCell<Option<(String, Instant)>> = RefCell::new(None);
    app.until("the button stays in a state of rest", LONG, async |page| {
        let state = page.container.clone().filter(|state| ["off", "running", "error"].contains(&state.as_str()));
        let mut seen = seen.borrow_mut();
        match (state, seen.take()) {
            (Some(state), Some((same, since))) if same == state => {
                let stays = since.elapsed() >= Duration::from_secs(1);
                *seen = Some((same, since));
                stays.then_some(state)
            }
            (state, _) => {
                *seen = state.map(|state| (state, Instant::now()));
                None
            }
        }
    })
    .await
}

#[tokio::test]
async fn ten_fast_clicks_end_at_rest_with_at_most_one_container() {
    let (api, home, app) = tab("container-clicks").await;
    // The image is there, so that the clicks meet every state, and not only a build.
    app.enter().await;
    app.leave().await;
    app.send("say: before the storm").await;
    app.until_entry("assistant", "before the storm", LONG).await;
    let at_once = "for (let i = 0; i < 10; i += 1) document.querySelector('[data-testid=container-button]').click();
                   return true;";
    for round in ["at once", "as fast as a hand", "at once again"] {
        if round == "as fast as a hand" {
            for _ in 0..10 {
                app.click("container-button").await;
            }
        } else {
            app.script(at_once).await;
        }
        let state = rest(&app).await;
        let expected = usize::from(state == "running");
        let left = flip::containers(&home).await;
        assert_eq!(left.len(), expected, "{round}: the state is {state}: {left:#?}");
        assert_ne!(state, "error", "{round}: {}", app.details().await);
        app.send(&format!("say: still here {round}")).await;
        app.until_entry("assistant", &format!("still here {round}"), LONG).await;
        app.until_idle(SOON).await;
        assert!(api.last().unwrap().conversation().contains("before the storm"), "{round}: in the same conversation");
    }
}

#[tokio::test]
async fn a_click_while_building_cancels_the_build() {
    let (_api, home, app) = tab("container-cancel-build").await;
    let gate = Gate::closed().await;
    write_dockerfile(&home, &format!("FROM {BASE}\n{}", gate.instruction()));
    app.click("container-button").await;
    let waiting = gate.reached(BUILT).await;
    app.until_container("building", SOON).await;
    app.click("container-button").await;
    app.until_container("off", SOON).await;
    waiting.until_left(SOON).await;
    flip::assert_no_container(&home).await;
    app.send("say: the host never left").await;
    app.until_entry("assistant", "the host never left", LONG).await;
}

#[tokio::test]
async fn a_click_while_starting_takes_the_agent_back() {
    let (api, home, app) = tab("container-cancel-start").await;
    // An agent that never answers keeps the state for as long as the test needs it.
    let deaf = "RUN printf '#!/bin/sh\\nexec sleep 600\\n' >/usr/local/bin/claude && chmod 755 /usr/local/bin/claude";
    write_dockerfile(&home, &format!("FROM {BASE}\n{deaf}\n"));
    app.send("say: remember the brown dog").await;
    app.until_entry("assistant", "the brown dog", LONG).await;
    app.click("container-button").await;
    app.until_container("starting", BUILT).await;
    app.until("the container runs", SOON, async |_| (flip::containers(&home).await.len() == 1).then_some(())).await;
    app.until("the details tell what is waited for", SOON, async |page| {
        page.details.as_ref().filter(|text| text.contains("Waiting for the agent")).map(drop)
    })
    .await;
    app.screenshot("container-starting").await;
    app.send("say: sent on the way").await;
    app.click("container-button").await;
    app.until("it goes back", SOON, async |page| (page.container.as_deref() != Some("starting")).then_some(())).await;
    app.screenshot("container-stopping").await;
    app.until_container("off", LONG).await;
    flip::assert_no_container(&home).await;
    app.until_entry("assistant", "sent on the way", LONG).await;
    let said = api.last().unwrap().conversation();
    assert!(said.contains("the brown dog"), "in the same conversation: {said}");
}

#[tokio::test]
async fn the_keyboard_alone_moves_the_agent() {
    let (_api, home, app) = tab("container-keyboard").await;
    app.script("document.querySelector('[data-testid=container-button]').focus(); return true;").await;
    let shown = app.until("the details show", DETAILS_WITHIN, async |page| page.details.clone()).await;
    assert!(shown.contains("Container off"), "focus opens them: {shown}");
    app.press(Key::Enter).await;
    let page = app.until_container("running", BUILT).await;
    assert_eq!(page.container_name.as_deref(), Some("Container: Running"), "a screen reader hears the state");
    app.press(Key::Escape).await;
    app.until("Escape closes the details", SOON, async |page| page.details.is_none().then_some(())).await;
    app.press(Key::Space).await;
    app.until_container("off", LONG).await;
    flip::assert_no_container(&home).await;
}

/// Kills the agent's container from outside, and waits until the tab says so.
async fn kill_the_container(app: &App, home: &Home) {
    let id = flip::container(home).await.id.unwrap_or_default();
    Engine::shared().api().kill_container(&id, None).await.expect("the engine kills it");
    app.until("the end is told", LONG, async |page| (page.container.as_deref() == Some("error")).then_some(())).await;
}

#[tokio::test]
async fn a_retry_that_comes_to_nothing_still_leads_back_to_the_host() {
    let (api, home, app) = tab("container-retry-fails").await;
    let file = home.workspace("project").join("Dockerfile.claude");
    let use_host = async || {
        app.use_host().await;
        flip::assert_no_container(&home).await;
    };
    app.send("say: remember the green hat").await;
    app.until_entry("assistant", "the green hat", LONG).await;

    // After a crash inside nobody works on the host, and a retry that fails must not claim otherwise.
    app.enter().await;
    kill_the_container(&app, &home).await;
    write_dockerfile(&home, &format!("FROM {BASE}\nRUN exit 9\n"));
    app.details().await;
    app.click("retry").await;
    let failed = async |page: &Page| page.details.clone().filter(|text| text.contains("with code 9"));
    let details = app.until("the build's failure", BUILT, failed).await;
    assert!(details.contains("No agent runs in this tab"), "the truth about the host: {details}");
    app.send("say: sent while nobody was there").await;
    use_host().await;
    app.until_entry("assistant", "sent while nobody was there", LONG).await;
    assert!(api.last().unwrap().conversation().contains("the green hat"), "in the same conversation");

    // The same where the retry is called off.
    std::fs::remove_file(&file).unwrap();
    app.enter().await;
    kill_the_container(&app, &home).await;
    let gate = Gate::closed().await;
    write_dockerfile(&home, &format!("FROM {BASE}\n{}", gate.instruction()));
    app.details().await;
    app.click("retry").await;
    let waiting = gate.reached(BUILT).await;
    let details = app.details().await;
    assert!(details.contains("starts in the container as soon as"), "nobody works on the host: {details}");
    app.screenshot("container-building-anew").await;
    app.click("container-button").await;
    app.until_container("off", LONG).await;
    waiting.until_left(SOON).await;
    app.send("say: and here again").await;
    app.until_entry("assistant", "and here again", LONG).await;
    assert!(api.last().unwrap().conversation().contains("the green hat"), "in the same conversation");
}

#[tokio::test]
async fn a_tab_that_is_closed_on_its_way_back_leaves_nothing() {
    let (_api, home, app) = tab("container-close-back").await;
    let deaf = "RUN printf '#!/bin/sh\\nexec sleep 600\\n' >/usr/local/bin/claude && chmod 755 /usr/local/bin/claude";
    write_dockerfile(&home, &format!("FROM {BASE}\n{deaf}\n"));
    assert!(!app.processes_of("stream-json").is_empty(), "an agent runs on the host before");
    app.click("container-button").await;
    app.until_container("starting", BUILT).await;
    app.send("say: nobody may answer this").await;
    app.script(
        "document.querySelector('[data-testid=container-button]').click();
         document.querySelector('[data-testid=close-tab]').click(); return true;",
    )
    .await;
    app.until("the tab is closed", SOON, async |page| page.tabs.is_empty().then_some(())).await;
    flip::until_no_container(&home, LONG).await;
    app.until("no agent is left", LONG, async |_| app.processes_of("stream-json").is_empty().then_some(())).await;
    let runs = home.gemra().join("runs");
    assert_eq!(std::fs::read_dir(runs).unwrap().count(), 0, "a tab that was closed is not taken up again");
}
