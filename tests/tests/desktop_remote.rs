//! A project at an engine on another machine, in the window and with the real CLI: the engine is chosen as a user
//! chooses it, the agent works on a copy there, what it writes comes here, and the conversation comes back.

#![allow(clippy::unwrap_used)] // What cannot be set up fails the test, which is what it is for.

use std::path::Path;

use tests::desktop::app::{LONG, SOON};
use tests::desktop::{App, Home, Options, flip};
use tests::engine::far::Far;
use tests::model_api::ModelApi;

/// What `docker context create` leaves for an engine behind TLS.
fn context(home: &Home, name: &str, far: &Far) {
    let contexts = home.home().join(".docker/contexts");
    let (meta, certificates) = (contexts.join("meta/1"), contexts.join("tls/1/docker"));
    std::fs::create_dir_all(&meta).unwrap();
    std::fs::create_dir_all(&certificates).unwrap();
    let text = format!(r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{}"}}}}}}"#, far.address);
    std::fs::write(meta.join("meta.json"), text).unwrap();
    for file in ["ca.pem", "cert.pem", "key.pem"] {
        std::fs::copy(far.certificates().join(file), certificates.join(file)).unwrap();
    }
}

/// Chooses an engine for the tab's project in the container's details.
async fn choose_engine(app: &App, setting: &str) {
    app.details().await;
    app.click("find-engines").await;
    app.until("the engine is among those to choose from", LONG, async |_| {
        app.details().await;
        let css = format!("[data-testid=project-engine] option[value='{setting}']");
        (app.script(&format!("return document.querySelector(\"{css}\") !== null;")).await == true).then_some(())
    })
    .await;
    app.screenshot("remote-engines").await;
    app.script(&format!(
        "const picker = document.querySelector('[data-testid=project-engine] select');
         picker.value = '{setting}';
         picker.dispatchEvent(new Event('change', {{bubbles: true}}));
         return true;"
    ))
    .await;
    app.until("the choice is saved", SOON, async |_| {
        let settings = std::fs::read_to_string(app.home().settings()).unwrap_or_default();
        settings.contains(setting).then_some(())
    })
    .await;
}

async fn until_read(app: &App, path: &Path, text: &str) {
    let what = format!("{} reads {text:?}", path.display());
    app.until(&what, LONG, async |_| (std::fs::read_to_string(path).unwrap_or_default() == text).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_works_at_an_engine_elsewhere_and_comes_back() {
    let far = Far::open().await;
    let (api, home) = (ModelApi::start(), Home::new());
    context(&home, "far", &far);
    let project = home.workspace("project");
    home.write(&project.join("greeting.txt"), "hello from here\n");
    let options = Options::real(std::slice::from_ref(&project)).engine();
    let app = App::launch("remote", &home, &api, &options).await;
    app.send("say: we begin on the host").await;
    app.until_entry("assistant", "we begin on the host", LONG).await;
    app.until_idle(SOON).await;

    choose_engine(&app, "context:far").await;
    app.enter().await;
    let host = far.address.trim_start_matches("tcp://");
    let details = app
        .until("the details say how it stands", LONG, async |_| {
            let details = app.details().await;
            (details.contains(host) && details.contains("kept the same")).then_some(details)
        })
        .await;
    assert!(details.contains("a copy of"), "what is inside is a copy: {details}");
    app.screenshot("remote-running").await;

    app.send("bash: cat greeting.txt; echo made there > made.txt").await;
    app.allow_until("done: hello from here").await;
    until_read(&app, &project.join("made.txt"), "made there\n").await;

    app.send("bash: echo last words > last.txt").await;
    app.allow_until("done:").await;
    app.leave().await;
    let last = std::fs::read_to_string(project.join("last.txt")).unwrap_or_default();
    assert_eq!(last, "last words\n", "what was written last is here when the button says off");
    flip::assert_no_container(&home).await;
    app.send("say: and on we go").await;
    app.until_entry("assistant", "and on we go", LONG).await;
    app.until_idle(SOON).await;
    let said = api.last().unwrap().conversation();
    for text in ["we begin on the host", "echo made there", "echo last words", "and on we go"] {
        assert!(said.contains(text), "it is one conversation, with {text:?}: {said}");
    }
    app.screenshot("remote-back").await;
}
