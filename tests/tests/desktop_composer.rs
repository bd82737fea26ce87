//! The composer at a real keyboard: it grows with its text, breaks lines, sends, and recalls what was sent.

use std::sync::Arc;

use tests::desktop::app::{LONG, SOON};
use tests::desktop::{App, Home, Options};
use tests::model_api::ModelApi;
use thirtyfour::prelude::Key;

/// The app with one tab, its agent the scripted one, and the composer in focus.
async fn composer(name: &str) -> (ModelApi, Arc<Home>, App) {
    let api = ModelApi::start();
    let home = Home::new();
    let app = App::launch(name, &home, &api, &Options::scripted(&[home.workspace("project")])).await;
    app.click("composer").await;
    (api, home, app)
}

/// The composer's height and the window's, in CSS pixels.
async fn heights(app: &App) -> (i64, i64) {
    let script = "return [document.querySelector('[data-testid=composer]').offsetHeight, window.innerHeight];";
    serde_json::from_value(app.script(script).await).expect("two whole numbers")
}

async fn until_text(app: &App, text: &str) {
    let what = format!("the composer holds {text:?}");
    app.until(&what, SOON, async |page| (page.composer.as_deref() == Some(text)).then_some(())).await;
}

#[tokio::test]
async fn shift_enter_breaks_the_line_and_enter_sends_them_all() {
    let (_api, _home, app) = composer("composer-lines").await;
    let (one, _) = heights(&app).await;
    app.type_into("composer", "say first").await;
    for word in ["second", "third"] {
        app.press_with(&[Key::Shift], Key::Enter.value()).await;
        app.type_into("composer", word).await;
    }
    until_text(&app, "say first\nsecond\nthird").await;
    let (three, _) = heights(&app).await;
    assert!(three >= one + 2 * (one / 2), "two lines more are two lines higher: {one} and {three}");
    assert!(app.page().await.entries.is_empty(), "nothing was sent yet");
    app.screenshot("composer-lines").await;
    app.press(Key::Enter).await;
    until_text(&app, "").await;
    let sent = app.until_entry("user", "first", LONG).await;
    // The first line says to a screen reader who said it.
    assert_eq!(
        sent.text.lines().skip(1).collect::<Vec<_>>(),
        ["say first", "second", "third"],
        "sent as it was written"
    );
    assert_eq!(heights(&app).await.0, one, "and it is as low again as before");
}

#[tokio::test]
async fn it_grows_to_a_part_of_the_window_and_scrolls_then() {
    let (_api, _home, app) = composer("composer-grows").await;
    let mut before = heights(&app).await.0;
    for line in 0..6 {
        app.type_into("composer", &format!("line {line}")).await;
        app.press_with(&[Key::Shift], Key::Enter.value()).await;
        let (now, _) = heights(&app).await;
        assert!(now > before, "it grows with line {line}: from {before} to {now}");
        before = now;
    }
    for line in 6..40 {
        app.type_into("composer", &format!("line {line}")).await;
        app.press_with(&[Key::Shift], Key::Enter.value()).await;
    }
    let (tall, window) = heights(&app).await;
    assert!(tall > before && tall <= window / 2, "it leaves the conversation its room: {tall} of {window}");
    let text = app.page().await.composer.unwrap_or_default();
    assert!(text.ends_with("line 39\n"), "the last line was broken too: {text:?}");
    // The caret is at the end, on a line of its own, and the end is in sight.
    let script = "const area = document.querySelector('[data-testid=composer]');
                  return [area.scrollHeight > area.clientHeight, area.scrollHeight - area.clientHeight - area.scrollTop];";
    let read = app.script(script).await;
    assert_eq!(read[0], true, "what does not fit is scrolled");
    assert!(read[1].as_f64().unwrap() < 22.0, "less than a line is out of sight below, so the caret is not: {read}");
    app.screenshot("composer-tall").await;
    let send = "const box = document.querySelector('[data-testid=send]').getBoundingClientRect();
                return box.bottom <= window.innerHeight && box.top >= 0;";
    assert_eq!(app.script(send).await, true, "the button to send stays in the window");
}

#[tokio::test]
async fn up_recalls_what_was_sent_and_down_gives_back_what_was_begun() {
    let (_api, _home, app) = composer("composer-recall").await;
    for text in ["say one", "say two"] {
        app.send(text).await;
        app.until_entry("assistant", &text[4..], LONG).await;
        app.until_idle(SOON).await;
    }
    app.click("composer").await;
    app.press(Key::Up).await;
    until_text(&app, "say two").await;
    app.press(Key::Up).await;
    until_text(&app, "say one").await;
    app.press(Key::Down).await;
    until_text(&app, "say two").await;
    app.press(Key::Down).await;
    until_text(&app, "").await;
    app.press(Key::Up).await;
    until_text(&app, "say two").await;
    app.type_into("composer", " again").await;
    app.press(Key::Enter).await;
    app.until_entry("assistant", "two again", LONG).await;
}

#[tokio::test]
async fn a_text_that_was_begun_is_there_again_after_another_tab_and_the_new_tab_page() {
    let api = ModelApi::start();
    let home = Home::new();
    let options = Options::scripted(&[home.workspace("one"), home.workspace("two")]);
    let app = App::launch("composer-draft", &home, &api, &options).await;
    app.activate(0).await;
    app.type_into("composer", "half a thought").await;
    app.activate(1).await;
    until_text(&app, "").await;
    app.click("new-tab").await;
    app.until("the new-tab page", SOON, async |page| page.workspace_path.is_some().then_some(())).await;
    app.activate(0).await;
    until_text(&app, "half a thought").await;
}
