//! The container's networks in the window: with each, the real CLI answers through an API that listens on this machine's
//! loopback alone, and the details say what is in effect.

#![allow(clippy::unwrap_used)] // What cannot be read fails the test, which is what it is for.

use serde_json::{Value, json};
use tests::desktop::app::{LONG, SOON};
use tests::desktop::{App, Home, Options, flip};
use tests::model_api::ModelApi;

#[tokio::test]
async fn the_agent_answers_with_each_network_and_the_details_tell_of_it() {
    let api = ModelApi::start();
    assert!(api.url().starts_with("http://127.0.0.1:"), "the API is on the loopback alone");
    for (network, words) in [
        ("bridge", "this machine's loopback is closed"),
        ("isolated", "this machine's loopback is closed"),
        ("host", "this machine's loopback is there"),
    ] {
        let home = Home::new();
        let workspace = home.workspace("project");
        home.write(&home.settings(), &format!("{{\"container\": {{\"network\": \"{network}\"}}}}\n"));
        let options = Options::real(std::slice::from_ref(&workspace)).engine();
        let app = App::launch(&format!("network-{network}"), &home, &api, &options).await;
        app.enter().await;
        app.send(&format!("say: by way of {network}")).await;
        app.until_entry("assistant", &format!("by way of {network}"), LONG).await;
        app.until_idle(SOON).await;
        let details = app
            .until("the details tell what was tried", LONG, async |_| {
                let details = app.details().await;
                details.contains("Tried from inside").then_some(details)
            })
            .await;
        assert!(details.contains(&format!("{network}: ")) && details.contains(words), "what is in effect: {details}");
        if network == "isolated" {
            // What the proxy says to a tunnel there.
            let ask = "bash: echo said-$(curl -s -o /dev/null -w '%{http_connect}' https://stranger.example/)";
            app.send(ask).await;
            app.allow_until("done: said-403").await;
            app.until_entry("notice", "stranger.example:443", LONG).await;
            let details = app
                .until("the details tell what was refused", LONG, async |_| {
                    let details = app.details().await;
                    details.contains("stranger.example:443").then_some(details)
                })
                .await;
            assert!(details.contains("Refused once"), "and how often: {details}");
            app.screenshot("network-refused").await;
            app.click("allow-name").await;
            app.until("it is allowed", SOON, async |page| page.details.as_ref()?.contains("Allowed now").then_some(()))
                .await;
            app.until_idle(SOON).await;
            app.send(ask).await;
            // Nobody is there; but it is not the proxy that says no.
            app.allow_until("done: said-502").await;
            let settings: Value = serde_json::from_str(&std::fs::read_to_string(home.settings()).unwrap()).unwrap();
            let own = &settings["projects"][workspace.to_str().unwrap()]["container"]["allowedDomains"];
            assert_eq!(own, &json!(["stranger.example"]), "the project's own settings allow it from now on");
        }
        app.screenshot(&format!("network-{network}")).await;
        app.leave().await;
        flip::assert_no_container(&home).await;
    }
}
