//! The agent's own questions: which of several, and whether a plan is to be carried out. The CLI is real, so that what
//! the model is told in the end is what the CLI makes of the answers.

use std::sync::Arc;

use tests::desktop::app::{LONG, SOON};
use tests::desktop::{App, Home, Options};
use tests::model_api::ModelApi;

async fn tab(name: &str) -> (ModelApi, Arc<Home>, App) {
    let api = ModelApi::start();
    let home = Home::new();
    let app = App::launch(name, &home, &api, &Options::real(&[home.workspace("project")])).await;
    (api, home, app)
}

async fn asked(app: &App, words: &str) {
    app.until("the agent asks", LONG, async |page| (page.asks == 1 && page.text.contains(words)).then_some(())).await;
}

/// Whether the answer can be given.
async fn can_answer(app: &App) -> bool {
    app.script("return !document.querySelector('[data-testid=allow]').disabled;").await == true
}

#[tokio::test]
async fn what_the_user_chooses_or_writes_is_what_the_model_is_told() {
    let (api, _home, app) = tab("question").await;
    for (round, other) in [None, Some("a third one")].into_iter().enumerate() {
        app.send(&format!("question: Which colour, round {round}? ;; Blue ;; Green")).await;
        asked(&app, &format!("round {round}?")).await;
        assert!(!can_answer(&app).await, "there is nothing to send before something is chosen");
        app.click_css("label:has([data-testid=option][value=Green])").await;
        if let Some(other) = other {
            app.type_into("other", other).await;
        }
        app.until("it can be sent", SOON, async |_| can_answer(&app).await.then_some(())).await;
        app.screenshot(&format!("question-{round}")).await;
        app.click("allow").await;
        let answer = other.unwrap_or("Green");
        let said = app.until_entry("assistant", "done:", LONG).await.text;
        app.until_idle(SOON).await;
        let told = api.last().unwrap().conversation();
        assert!(told.contains(answer), "the model is told {answer}: {told}");
        assert!(!told.contains("did not answer"), "and not that there was no answer: {said}");
    }
    app.unfold().await;
    app.until("the page keeps the answers", SOON, async |page| {
        (page.text.contains("a third one") && page.text.contains("Answered")).then_some(())
    })
    .await;
    app.screenshot("question-answered").await;

    app.send("question: And now? ;; Yes ;; No").await;
    asked(&app, "And now?").await;
    app.click("deny").await;
    app.until_idle(LONG).await;
    assert_eq!(app.page().await.asks, 0, "one need not answer");
}

#[tokio::test]
async fn a_plan_is_read_and_carried_out_and_the_mode_follows() {
    let (_api, home, app) = tab("plan").await;
    let mode = async |words: &str| {
        let script = "return document.querySelector('[data-testid=mode-picker]').innerText.trim();";
        app.until("the picker", SOON, async |_| (app.script(script).await == words).then_some(())).await;
    };
    app.click("mode-picker").await;
    app.click_css("[data-mode=plan]").await;
    mode("Plan").await;
    app.send("plan: Paint it with **blue** paint.").await;
    asked(&app, "Shall the agent carry out this plan?").await;
    let plan = "return document.querySelector('[data-testid=ask] .prose').innerText.trim();";
    assert_eq!(app.script(plan).await, "Paint it with blue paint.", "the plan is read, not its markdown");
    app.screenshot("plan").await;
    app.click("allow").await;
    app.until_entry("assistant", "done:", LONG).await;
    app.until_idle(SOON).await;
    mode("Ask").await;
    app.send(&format!("write: {} text", home.workspace("project").join("a.txt").display())).await;
    asked(&app, "May the agent use Write?").await;
    app.click("deny").await;
    app.until_idle(LONG).await;
}
