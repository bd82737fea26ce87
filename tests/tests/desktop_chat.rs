//! A conversation on the host, in the real window, with the real CLI; only the model behind the API is a stand-in.

use std::sync::Arc;
use std::time::Duration;

use tests::desktop::app::{LONG, SOON};
use tests::desktop::{App, Home, Options};
use tests::model_api::{Ending, ModelApi};

/// A stand-in API and the app with one tab, its agent the real CLI.
async fn chat(name: &str) -> (ModelApi, Arc<Home>, App) {
    let api = ModelApi::start();
    let home = Home::new();
    let app = App::launch(name, &home, &api, &Options::real(&[home.workspace("project")])).await;
    (api, home, app)
}

#[tokio::test]
async fn a_first_message_streams_in() {
    let (api, _home, app) = chat("first-message").await;
    app.send("slow: 40 100").await;
    app.until_entry("user", "slow: 40", SOON).await;
    let grown = async |least: usize| {
        app.until("the answer grows while it streams", LONG, async |page| {
            page.last_of("assistant").filter(|entry| entry.streaming && entry.length >= least).map(|entry| entry.length)
        })
        .await
    };
    let first = grown(1).await;
    app.screenshot("chat-streaming").await;
    let second = grown(first + 10).await;
    assert!(second > first, "the same entry has more text, and streams still");
    let answer = app.until_entry("assistant", "w39", LONG).await;
    assert!(answer.text.contains("w0 w1 w2 w3"), "the whole text is there, in order: {}", answer.text);
    app.until_idle(SOON).await;
    app.screenshot("chat-answered").await;
    let page = app.page().await;
    assert_eq!(page.of_kind("assistant").len(), 1, "one text block is one entry: {:#?}", page.entries);
    assert!(page.has_send, "the next message can be sent");
    let request = api.last().unwrap();
    assert!(request.api_key_seen, "the key of the environment reached the API");
    assert_eq!(request.ended, Some(Ending::Whole), "nobody cut the answer off");
}

#[tokio::test]
async fn stop_interrupts_and_the_tab_goes_on() {
    let (api, _home, app) = chat("stop").await;
    app.send("slow: 600 100").await;
    app.until("some words came", LONG, async |page| {
        page.last_of("assistant").filter(|entry| entry.streaming && entry.text.contains("w3")).map(drop)
    })
    .await;
    app.click("stop").await;
    app.until_idle(SOON).await;
    app.until_focus("composer").await;
    app.screenshot("chat-stopped").await;
    let page = app.page().await;
    assert_eq!(page.announced, "Interrupted.", "it is not said that the agent has finished");
    assert!(page.of_kind("error").is_empty(), "what the user asked for is no error: {:#?}", page.entries);
    assert!(page.entries.iter().all(|entry| !entry.streaming), "nothing streams any more: {:#?}", page.entries);
    assert!(!page.text.contains("w599"), "the answer was cut short");
    app.until("the API was left", SOON, async |_| api.last().filter(|r| r.ended == Some(Ending::Left)).map(drop)).await;
    app.send("say: after the stop").await;
    app.until_entry("assistant", "after the stop", LONG).await;
    assert!(api.last().unwrap().conversation().contains("slow: 600"), "it is the same conversation");
}

#[tokio::test]
async fn stop_ends_a_turn_in_which_the_api_says_nothing() {
    let (api, _home, app) = chat("stop-silence").await;
    app.send("hang:").await;
    app.until("the API was asked", LONG, async |_| api.last().map(drop)).await;
    app.until("the turn can be stopped", SOON, async |page| page.has_stop.then_some(())).await;
    app.click("stop").await;
    app.until_idle(SOON).await;
    app.send("say: awake again").await;
    app.until_entry("assistant", "awake again", LONG).await;
}

#[tokio::test]
async fn an_allowed_tool_runs() {
    let (_api, home, app) = chat("allow").await;
    let made = home.workspace("project").join("made.txt");
    app.send("bash: echo made by hand > made.txt && cat made.txt").await;
    app.until("the agent asks", LONG, async |page| (page.asks == 1).then_some(())).await;
    app.screenshot("chat-asking").await;
    let page = app.page().await;
    assert!(page.has_stop, "a waiting question is part of the turn");
    assert!(page.last_of("ask").unwrap().text.contains("made.txt"), "the question says what would run: {page:#?}");
    assert!(!made.exists(), "nothing ran before the answer");
    assert!(
        page.announced.starts_with("The agent asks whether it may use Bash: echo made by hand"),
        "who cannot see the question hears it: {}",
        page.announced
    );
    app.click("allow").await;
    app.until_focus("composer").await;
    app.until_entry("assistant", "done: made by hand", LONG).await;
    assert!(made.exists(), "the command ran");
    let page = app.page().await;
    assert_eq!(page.asks, 0, "the question is answered");
    assert!(page.last_of("tool").unwrap().text.contains("made.txt"), "the tool's card says what ran: {page:#?}");
    app.screenshot("chat-allowed").await;
}

#[tokio::test]
async fn a_denied_tool_does_not_run_and_the_model_hears_why() {
    let (api, home, app) = chat("deny").await;
    app.send("bash: touch denied.txt").await;
    app.until("the agent asks", LONG, async |page| (page.asks == 1).then_some(())).await;
    app.click_css("[data-testid=ask] input").await;
    app.type_css("[data-testid=ask] input", "use another name for it").await;
    app.click("deny").await;
    app.until_focus("composer").await;
    app.until_entry("assistant", "use another name for it", LONG).await;
    app.until_idle(SOON).await;
    assert!(!home.workspace("project").join("denied.txt").exists(), "the command did not run");
    assert_eq!(app.page().await.asks, 0, "the question is answered");
    assert!(api.last().unwrap().conversation().contains("use another name for it"), "the reason reached the model");
    app.screenshot("chat-denied").await;
}

#[tokio::test]
async fn stop_takes_back_a_waiting_question() {
    let (_api, home, app) = chat("stop-asking").await;
    app.send("bash: touch asked.txt").await;
    app.until("the agent asks", LONG, async |page| (page.asks == 1).then_some(())).await;
    app.click("stop").await;
    app.until_idle(SOON).await;
    let page = app.page().await;
    assert_eq!(page.asks, 0, "nobody waits for an answer any more: {page:#?}");
    assert!(!home.workspace("project").join("asked.txt").exists(), "the command did not run");
    app.send("say: and on").await;
    app.until_entry("assistant", "and on", LONG).await;
}

#[tokio::test]
async fn always_allow_is_asked_once() {
    let (_api, home, app) = chat("always").await;
    // A command that writes no file: for one that does, the CLI asks again in a folder that it was not told to trust.
    let command = "bash: node -e 'console.log(6 * 7)'";
    app.send(command).await;
    app.until("the agent asks", LONG, async |page| (page.asks == 1).then_some(())).await;
    app.click("allow-always").await;
    app.until_entry("assistant", "done: 42", LONG).await;
    app.until_idle(SOON).await;
    assert!(
        !home.workspace("project").join(".claude/settings.local.json").exists(),
        "the rule holds for the conversation; nothing is written into the workspace"
    );
    // The same command again: nobody answers anything here, so a second question would leave the turn waiting.
    app.send(command).await;
    app.until("the second turn ended without a question", LONG, async |page| {
        let answers = page.entries.iter().filter(|e| e.kind == "assistant" && e.text.contains("done: 42")).count();
        (answers == 2 && page.asks == 0).then_some(())
    })
    .await;
    assert_eq!(app.page().await.of_kind("ask").len(), 1, "one question in all");
}

#[tokio::test]
async fn two_questions_are_answered_one_by_one() {
    let (_api, home, app) = chat("two-questions").await;
    let workspace = home.workspace("project");
    app.send("two: touch first.txt && echo 1 ;; touch second.txt && echo 2").await;
    app.until("a question", LONG, async |page| (page.asks >= 1).then_some(())).await;
    app.click("allow").await;
    app.until("the first command ran", LONG, async |_| workspace.join("first.txt").exists().then_some(())).await;
    app.until("the other question", LONG, async |page| {
        (page.asks == 1 && page.last_of("ask").is_some_and(|ask| ask.text.contains("second.txt"))).then_some(())
    })
    .await;
    assert!(!workspace.join("second.txt").exists(), "one answer is for one question");
    app.click("allow").await;
    app.until_entry("assistant", "done: 1 ;; 2", LONG).await;
}

#[tokio::test]
async fn an_edit_is_shown_as_a_change() {
    let (_api, home, app) = chat("edit").await;
    let file = home.workspace("project").join("poem.txt");
    home.write(&file, "roses are red\nviolets are blue\n");
    app.send(&format!("edit: {} blue => green", file.display())).await;
    app.until("the agent asks", LONG, async |page| (page.asks == 1).then_some(())).await;
    app.click("allow").await;
    app.until_idle(LONG).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "roses are red\nviolets are green\n");
    let page = app.page().await;
    let cards: String = page.of_kind("tool").iter().map(|entry| entry.text.as_str()).collect();
    assert!(cards.contains("poem.txt"), "the card names the file: {cards}");
    app.unfold().await;
    app.until("both sides of the change", SOON, async |page| {
        (page.text.contains("violets are blue") && page.text.contains("violets are green")).then_some(())
    })
    .await;
    app.screenshot("chat-edit").await;
}

#[tokio::test]
async fn thinking_and_markdown_are_shown_as_such() {
    let (_api, _home, app) = chat("markdown").await;
    app.send("think: first this and then that").await;
    app.until_entry("assistant", "thought: first this", LONG).await;
    let page = app.page().await;
    assert_eq!(page.of_kind("thinking").len(), 1, "the thinking block is an entry of its own: {:#?}", page.entries);
    app.unfold().await;
    app.until("what was thought", SOON, async |page| {
        page.last_of("thinking").filter(|entry| entry.text.contains("first this and then that")).map(drop)
    })
    .await;
    app.send("md:").await;
    app.until_entry("assistant", "That is all.", LONG).await;
    let counted = app
        .script("const e = [...document.querySelectorAll('[data-kind=assistant]')].at(-1); return ['h1', 'h2', 'ol', 'table', 'blockquote', 'pre', 'a'].map(n => e.querySelectorAll(n).length);")
        .await;
    assert_eq!(counted, serde_json::json!([1, 3, 1, 1, 1, 3, 1]), "headings, lists, table, quotation, code and link");
    app.screenshot("chat-markdown").await;
}

#[tokio::test]
async fn an_api_error_is_shown_in_words_and_retry_works() {
    let (api, _home, app) = chat("api-error").await;
    app.send("failonce: 400 it works now").await;
    let error = app.until_entry("error", "", LONG).await;
    app.until_idle(SOON).await;
    app.screenshot("chat-api-error").await;
    assert_eq!(error.code.as_deref(), Some("api-error"), "the class is told: {error:#?}");
    assert!(error.text.contains("400"), "the status is named: {}", error.text);
    assert!(!error.text.contains("{\""), "words, not JSON: {}", error.text);
    let page = app.page().await;
    assert!(page.of_kind("assistant").is_empty(), "the error is not shown as if the model had said it: {page:#?}");
    let before = api.main_requests().len();
    app.click_css("[data-kind=error] button:is([data-testid=retry-turn], [data-testid=retry])").await;
    app.until_entry("assistant", "it works now", LONG).await;
    assert!(api.main_requests().len() > before, "the API was asked again");
}

#[tokio::test]
async fn an_overloaded_api_is_waited_for_and_stop_works() {
    let (_api, _home, app) = chat("overloaded").await;
    app.send("fail: 529").await;
    app.until("the wait is told, with the attempt", LONG, async |page| {
        (page.text.contains("529") && page.text.contains("attempt ")).then_some(())
    })
    .await;
    app.screenshot("chat-overloaded").await;
    app.click("stop").await;
    app.until_idle(SOON).await;
    app.send("say: on we go").await;
    app.until_entry("assistant", "on we go", LONG).await;
    let page = app.page().await;
    assert!(!page.text.contains("Trying again"), "the wait is over: {}", page.text);
}

#[tokio::test]
async fn an_overload_that_passes_needs_nobody() {
    let (_api, _home, app) = chat("overload-passes").await;
    app.send("failonce: 529 all is well").await;
    app.until_entry("assistant", "all is well", LONG).await;
    app.until_idle(SOON).await;
    assert!(app.page().await.of_kind("error").is_empty(), "an error that healed is none");
}

#[tokio::test]
async fn killing_the_app_in_a_turn_leaves_no_agent() {
    let (api, _home, app) = chat("killed").await;
    app.send("slow: 600 100").await;
    app.until("the turn runs", LONG, async |page| page.last_of("assistant").map(drop)).await;
    assert!(!app.processes_of("claude").is_empty(), "the agent runs");
    app.kill();
    app.until_dead(SOON).await;
    app.until_gone("claude", Duration::from_secs(5)).await;
    // The stand-in finds out with the next word that it has for nobody.
    let left = async || (api.last().unwrap().ended == Some(Ending::Left)).then_some(());
    tests::engine::see::until("nobody listens to the API any more", SOON, left).await;
}

#[tokio::test]
async fn after_a_kill_the_next_start_says_what_was_interrupted_and_goes_on() {
    let (api, home, app) = chat("interrupted").await;
    app.send("say: remember the blue door").await;
    app.until_entry("assistant", "remember the blue door", LONG).await;
    app.until_idle(SOON).await;
    app.send("slow: 600 100").await;
    app.until("the turn runs", LONG, async |page| {
        page.last_of("assistant").filter(|entry| entry.text.contains("w2")).map(drop)
    })
    .await;
    app.kill();
    app.until_dead(SOON).await;
    drop(app);
    let app = App::launch("interrupted-again", &home, &api, &Options::real(&[])).await;
    app.until_entry("notice", "in the middle of a turn", LONG).await;
    assert_eq!(app.page().await.tabs.len(), 1, "the tab is back");
    app.screenshot("chat-interrupted").await;
    app.send("say: the door is still blue").await;
    app.until_entry("assistant", "the door is still blue", LONG).await;
    assert!(
        api.last().unwrap().conversation().contains("remember the blue door"),
        "the model has the earlier messages"
    );
}
