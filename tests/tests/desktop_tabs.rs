//! Tabs: several at once, and everything that a person does to them. The agent is the scripted one where no model's
//! stream is needed.

use std::time::Duration;

use tests::desktop::app::{LONG, SOON};
use tests::desktop::{App, Home, Options};
use tests::model_api::ModelApi;
use thirtyfour::prelude::Key;

/// The titles of the tabs, in order, without what else a tab may show.
async fn titles(app: &App) -> Vec<String> {
    app.page().await.tabs.iter().map(|tab| tab.text.trim().to_owned()).collect()
}

async fn until_titles(app: &App, wanted: &[&str]) {
    app.until(&format!("the tabs read {wanted:?}"), SOON, async |page| {
        let read: Vec<&str> = page.tabs.iter().map(|tab| tab.text.trim()).collect();
        (read == wanted).then_some(())
    })
    .await;
}

async fn until_active(app: &App, index: usize) {
    let what = format!("tab number {index} is active");
    app.until(&what, SOON, async |page| page.tabs.get(index).is_some_and(|tab| tab.active).then_some(())).await;
}

async fn until_focused(app: &App, index: usize) {
    let what = format!("tab number {index} has the focus");
    app.until(&what, SOON, async |page| page.tabs.get(index).is_some_and(|tab| tab.focused).then_some(())).await;
}

/// The app with the scripted agent and one tab for each name.
async fn tabs(name: &str, names: &[&str]) -> (ModelApi, std::sync::Arc<Home>, App) {
    let api = ModelApi::start();
    let home = Home::new();
    let workspaces: Vec<_> = names.iter().map(|name| home.workspace(name)).collect();
    let app = App::launch(name, &home, &api, &Options::scripted(&workspaces)).await;
    until_titles(&app, names).await;
    (api, home, app)
}

#[tokio::test]
async fn two_tabs_stream_at_once_and_nothing_of_one_is_in_the_other() {
    let api = ModelApi::start();
    let home = Home::new();
    let options = Options::real(&[home.workspace("left"), home.workspace("right")]);
    let app = App::launch("two-streams", &home, &api, &options).await;
    app.activate(0).await;
    app.send("slow: 200 100 alpha").await;
    app.activate(1).await;
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
        assert!(!page.entries.iter().any(|entry| entry.text.contains(other)), "nothing of the other tab: {page:#?}");
    }
    assert_eq!(api.streaming(), 2, "both streamed all the while");
    app.screenshot("tabs-two-streams").await;
    for (tab, own, other) in [(0, "alpha", "beta"), (1, "beta", "alpha")] {
        app.activate(tab).await;
        let answer = app.until_entry("assistant", &format!("{own}199"), LONG).await;
        for n in 0..200 {
            assert!(answer.text.contains(&format!("{own}{n} ")) || n == 199, "word {n} is there: {}", answer.text);
        }
        assert!(!app.page().await.text.contains(&format!("{other}0")), "nothing of the other tab");
    }
    for request in api.main_requests() {
        let text = request.conversation();
        assert!(!(text.contains("alpha") && text.contains("beta")), "the model hears one tab at a time");
    }
}

#[tokio::test]
async fn keys_open_close_and_switch_tabs() {
    let (_api, _home, app) = tabs("tab-keys", &["one", "two", "three"]).await;
    app.press_control('1').await;
    until_active(&app, 0).await;
    app.press_control('3').await;
    until_active(&app, 2).await;
    app.press_control('2').await;
    until_active(&app, 1).await;
    app.press_control('9').await;
    until_active(&app, 2).await;
    app.press_control('t').await;
    let page =
        app.until("the new-tab page", SOON, async |page| page.workspace_path.is_some().then(|| page.clone())).await;
    assert!(page.composer.is_none(), "only one page is in the document: {page:#?}");
    app.screenshot("tabs-new").await;
    app.press_control('2').await;
    until_active(&app, 1).await;
    app.press_control('w').await;
    until_titles(&app, &["one", "three"]).await;
    app.until("another tab is shown", SOON, async |page| page.composer.is_some().then_some(())).await;
    app.click_nth("close-tab", 0).await;
    until_titles(&app, &["three"]).await;
    app.click_nth("close-tab", 0).await;
    app.until("without a tab, the new-tab page", SOON, async |page| {
        (page.tabs.is_empty() && page.workspace_path.is_some()).then_some(())
    })
    .await;
    app.until_gone("scripted-agent", SOON).await;
}

#[tokio::test]
async fn a_tab_is_renamed() {
    let (_api, _home, app) = tabs("tab-rename", &["one", "two"]).await;
    app.activate(0).await;
    app.until_focus("composer").await;
    app.double_click_nth("tab", 1).await;
    until_active(&app, 1).await;
    app.until("the title can be typed, beside the page that has come", SOON, async |page| {
        let typing = app.script("return document.activeElement.matches('[data-testid=tab] input')").await == true;
        (typing && page.composer.is_some()).then_some(())
    })
    .await;
    app.press_control('a').await;
    app.type_css("[data-testid=tab] input", "Backend work").await;
    app.press(Key::Enter).await;
    until_titles(&app, &["one", "Backend work"]).await;
    until_focused(&app, 1).await;
    app.screenshot("tabs-renamed").await;
    app.activate(0).await;
    app.press(Key::F2).await;
    app.until("the title can be typed", SOON, async |page| (page.active()?.text.trim() != "one").then_some(())).await;
    app.press_control('a').await;
    app.type_css("[data-testid=tab] input", "not this").await;
    app.press(Key::Escape).await;
    until_titles(&app, &["one", "Backend work"]).await;
    until_focused(&app, 0).await;
}

#[tokio::test]
async fn the_arrows_go_along_the_tab_list_and_enter_leads_into_the_page() {
    let (_api, _home, app) = tabs("tab-arrows", &["one", "two", "three"]).await;
    app.activate(0).await;
    app.until_focus("composer").await;
    back_to_the_list(&app).await;
    let keys = [
        (Key::Right, 1),
        (Key::Right, 2),
        (Key::Right, 0),
        (Key::Left, 2),
        (Key::Home, 0),
        (Key::End, 2),
        (Key::Left, 1),
    ];
    for (key, tab) in keys {
        app.press(key).await;
        until_active(&app, tab).await;
        // Only when the page of the tab is there could it take the focus.
        let shown = "return document.querySelector('main')?.getAttribute('aria-label');";
        let title = ["one", "two", "three"][tab];
        app.until("its page is shown", SOON, async |page| {
            (page.composer.is_some() && app.script(shown).await == title).then_some(())
        })
        .await;
        let page = app.page().await;
        assert!(page.tabs[tab].focused, "the focus went along to {title} and stayed: {page:#?}");
    }
    app.screenshot("tabs-arrows").await;
    app.press(Key::Enter).await;
    app.until_focus("composer").await;
    app.press_control('t').await;
    app.until_focus("workspace-path").await;
    back_to_the_list(&app).await;
    app.press(Key::Enter).await;
    until_active(&app, 0).await;
    app.until_focus("composer").await;
}

/// Goes backwards through the page by keyboard until a tab has the focus.
async fn back_to_the_list(app: &App) {
    // All that comes before it in the page, with room for more.
    for _ in 0..12 {
        app.press_with(&[Key::Shift], Key::Tab.value()).await;
        if app.page().await.tabs.iter().any(|tab| tab.focused) {
            return;
        }
    }
    app.fail("no tab can be reached by keyboard").await;
}

#[tokio::test]
async fn tabs_are_reordered_by_pointer_and_by_keys() {
    let (_api, _home, app) = tabs("tab-order", &["one", "two", "three"]).await;
    app.drag("tab", 0, 2).await;
    until_titles(&app, &["two", "three", "one"]).await;
    app.drag("tab", 2, 0).await;
    until_titles(&app, &["one", "two", "three"]).await;
    app.activate(1).await;
    app.press_with(&[Key::Control, Key::Shift], Key::PageUp.value()).await;
    until_titles(&app, &["two", "one", "three"]).await;
    app.press_with(&[Key::Control, Key::Shift], Key::PageDown.value()).await;
    until_titles(&app, &["one", "two", "three"]).await;
    assert!(app.page().await.tabs[1].active, "the moved tab stays the active one");
}

#[tokio::test]
async fn a_draft_is_kept_while_another_tab_is_shown() {
    let (_api, _home, app) = tabs("tab-draft", &["one", "two"]).await;
    app.activate(0).await;
    app.type_into("composer", "half a thought").await;
    app.activate(1).await;
    app.until("the other tab's own draft", SOON, async |page| (page.composer.as_deref() == Some("")).then_some(()))
        .await;
    app.type_into("composer", "another one").await;
    app.activate(0).await;
    app.until("the draft is back", SOON, async |page| {
        (page.composer.as_deref() == Some("half a thought")).then_some(())
    })
    .await;
    app.press_control('t').await;
    app.until("the new-tab page", SOON, async |page| page.workspace_path.is_some().then_some(())).await;
    app.activate(1).await;
    app.until("this draft too", SOON, async |page| (page.composer.as_deref() == Some("another one")).then_some(()))
        .await;
}

#[tokio::test]
async fn a_folder_opens_from_the_new_tab_page() {
    let (_api, home, app) = tabs("tab-open", &["one"]).await;
    app.click("new-tab").await;
    app.open_workspace(&home.workspace("fresh").display().to_string()).await;
    until_titles(&app, &["one", "fresh"]).await;
    until_active(&app, 1).await;
    app.send("say it works here").await;
    app.until_entry("assistant", "it works here", LONG).await;
}

#[tokio::test]
async fn a_path_completes_with_tab() {
    let (_api, home, app) = tabs("tab-complete", &["one"]).await;
    let folder = home.workspace("completion-target");
    app.click("new-tab").await;
    let parent = folder.parent().unwrap().display().to_string();
    app.type_into("workspace-path", &format!("{parent}/completion-t")).await;
    app.until("the folder is offered", SOON, async |page| page.text.contains("completion-target").then_some(())).await;
    app.press(Key::Tab).await;
    let whole = folder.display().to_string();
    app.until("the path is whole", SOON, async |page| {
        page.workspace_path.as_deref().is_some_and(|path| path.trim_end_matches('/') == whole).then_some(())
    })
    .await;
    app.screenshot("tabs-completion").await;
}

#[tokio::test]
async fn what_is_sent_while_the_agent_starts_waits_and_is_not_lost() {
    let api = ModelApi::start();
    let home = Home::new();
    // The agent's start is held back until the gate opens, however slow or fast this machine is.
    let gate = home.path("gate");
    let slow = home.path("slow-claude");
    let script = format!(
        "#!/bin/sh\ncase \"$1\" in --version) exec '{real}' \"$@\";; esac\nwhile [ ! -e '{gate}' ]; do sleep 0.05; done\nexec '{real}' \"$@\"\n",
        real = tests::desktop::claude().display(),
        gate = gate.display(),
    );
    home.write(&slow, &script);
    tests::desktop::make_executable(&slow);
    let options = Options::with_agent(slow, &[home.workspace("project")]);
    let app = App::launch("queued", &home, &api, &options).await;
    app.send("say: the first answer").await;
    app.send("say: the second answer").await;
    app.until("both messages wait, in order", SOON, async |page| {
        let waiting: Vec<_> = page.entries.iter().filter(|entry| entry.queued).collect();
        (waiting.len() == 2 && waiting[0].text.contains("first") && waiting[1].text.contains("second")).then_some(())
    })
    .await;
    app.screenshot("chat-queued").await;
    assert!(api.main_requests().is_empty(), "the agent has not started");
    home.write(&gate, "");
    app.until_entry("assistant", "the first answer", LONG).await;
    app.until_entry("assistant", "the second answer", LONG).await;
    app.until_idle(SOON).await;
    let page = app.page().await;
    assert!(!page.entries.iter().any(|entry| entry.queued), "nothing waits any more: {:#?}", page.entries);
    let kinds: Vec<&str> = page.entries.iter().filter(|e| e.kind != "notice").map(|e| e.kind.as_str()).collect();
    assert_eq!(kinds, ["user", "assistant", "user", "assistant"], "in the order in which they were sent");
}

#[tokio::test]
async fn what_is_sent_while_a_turn_runs_is_answered_after_it() {
    let (_api, _home, app) = tabs("queue-in-turn", &["one"]).await;
    app.send("wait").await;
    app.until("the turn runs", SOON, async |page| page.has_stop.then_some(())).await;
    app.send("say later").await;
    app.until("the message waits", SOON, async |page| page.entries.iter().any(|e| e.queued).then_some(())).await;
    app.holds("it goes on waiting", Duration::from_millis(500), |page| !page.shows("assistant", "later")).await;
    app.click("stop").await;
    app.until_entry("assistant", "later", LONG).await;
    assert_eq!(titles(&app).await, ["one"]);
}

#[tokio::test]
async fn a_second_start_opens_its_folders_in_the_window_that_is_there() {
    let (_api, home, app) = tabs("second-start", &["one"]).await;
    let other = home.workspace("other");
    let second = app.start_again(other.parent().unwrap(), &["--workspace", "other", "--workspace", "nowhere"]);
    let said = format!("{}{}", String::from_utf8_lossy(&second.stdout), String::from_utf8_lossy(&second.stderr));
    assert!(second.status.success() && said.contains("already running"), "it says where its folders went: {said}");
    until_titles(&app, &["one", "other"]).await;
    until_active(&app, 1).await;
    app.until("a folder that is not there is told in the window", SOON, async |page| {
        page.text.contains("nowhere").then_some(())
    })
    .await;
    app.screenshot("second-start").await;
    let third = app.start_again(&other, &["--workspace", "."]);
    assert!(third.status.success(), "a folder that is open already is no error");
    until_active(&app, 1).await;
    until_titles(&app, &["one", "other"]).await;
}
