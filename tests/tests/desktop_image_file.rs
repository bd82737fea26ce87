//! Images as files in the window: listed with what they were made from, saved and loaded with how far it is, and removed.
//! The platform's own file dialog cannot be driven, so that the files are typed.

#![allow(clippy::unwrap_used)] // What cannot be set up fails the test, which is what it is for.

use std::sync::Arc;

use bollard::query_parameters::TagImageOptionsBuilder;
use tests::desktop::app::{LONG, SOON};
use tests::desktop::{App, Home, Options, flip};
use tests::engine::desk::AGENT;
use tests::engine::{BASE, Engine};
use tests::model_api::ModelApi;

/// The app with an agent in a container, and the list of containers open.
async fn listed(name: &str) -> (ModelApi, Arc<Home>, App) {
    let api = ModelApi::start();
    let home = Home::new();
    let project = home.workspace("project");
    let copy = "COPY claude.js /usr/local/bin/claude\nRUN chmod 755 /usr/local/bin/claude";
    let unique = uuid::Uuid::new_v4();
    home.write(&project.join("Dockerfile.claude"), &format!("FROM {BASE}\n{copy}\nRUN echo {unique}\n"));
    home.write(&project.join("claude.js"), AGENT);
    home.write(&project.join("at-start.sh"), "true");
    let app = App::launch(name, &home, &api, &Options::scripted(&[project]).engine()).await;
    app.enter().await;
    app.click("containers-button").await;
    (api, home, app)
}

/// The image of the one container, as Gemra calls it: Podman puts a registry before it.
async fn image_of(home: &Home) -> String {
    let name = flip::container(home).await.config.unwrap().image.unwrap();
    name.rsplit('/').next().unwrap_or(&name).to_owned()
}

/// A row of the list, by its image.
fn row(image: &str) -> String {
    format!("[data-testid=held-image][data-image='{image}']")
}

async fn reads(app: &App, css: &str, what: &str, wanted: impl Fn(&str) -> bool) -> String {
    let script = format!("return document.querySelector(\"{css}\")?.innerText ?? null;");
    app.until(what, LONG, async |_| {
        let text = app.script(&script).await.as_str().map(str::to_owned);
        text.filter(|text| wanted(text))
    })
    .await
}

#[tokio::test]
async fn an_image_goes_out_to_a_file_and_comes_in_again() {
    let (_api, home, app) = listed("image-file").await;
    let image = image_of(&home).await;
    let told = reads(&app, &row(&image), "the image is listed", |_| true).await;
    for words in ["project/Dockerfile.claude", "yes", "B"] {
        assert!(told.contains(words), "the row tells {words:?}: {told}");
    }
    app.screenshot("image-list").await;
    let file = home.path("image.tar");
    app.click_css(&format!("{} [data-testid=save-image]", row(&image))).await;
    app.screenshot("image-save").await;
    app.type_into("image-file", &file.display().to_string()).await;
    // Every word of how far it is, from the first on.
    let watch = "window.far = [];
        new MutationObserver(() => {
          const text = document.querySelector('[data-testid=image-progress]')?.innerText;
          if (text) window.far.push(text);
        }).observe(document.body, { subtree: true, childList: true, characterData: true }); return true;";
    app.script(watch).await;
    app.click("image-file-go").await;
    let outcome = "[data-testid=image-outcome]";
    let said = reads(&app, outcome, "it is saved", |text| text.starts_with("Saved")).await;
    assert!(said.contains(&image) && said.contains("image.tar"), "what, and where: {said}");
    let size = std::fs::metadata(&file).unwrap().len();
    assert!(size > 1_000_000, "the file holds an image: {size} bytes");
    let far = app.script("return window.far.join('\\n');").await.as_str().unwrap_or_default().to_owned();
    assert!(far.contains("MB of about") && far.contains(" %)"), "it was told how far it is: {far}");

    app.click_css(&format!("{} [data-testid=save-image]", row(&image))).await;
    app.type_into("image-file", &file.display().to_string()).await;
    app.click("image-file-go").await;
    let refused = "[data-testid=containers] [data-code=image-file]";
    reads(&app, refused, "a file that is there is not written over", |text| text.contains("not overwritten")).await;
    app.screenshot("image-file-refused").await;
    assert_eq!(std::fs::metadata(&file).unwrap().len(), size, "it is what it was");

    app.click_css("[data-testid=image-file-form] [data-testid=image-file-close]").await;
    app.click("load-image").await;
    app.type_into("image-file", "image.tar").await;
    app.click("image-file-go").await;
    reads(&app, refused, "a file without a folder is none", |text| text.contains("in which folder")).await;
    app.empty("image-file").await;
    app.type_into("image-file", &file.display().to_string()).await;
    app.click("image-file-go").await;
    let said = reads(&app, outcome, "it is loaded", |text| text.starts_with("Loaded")).await;
    assert!(said.contains(&image) && !said.contains("name it in the settings"), "by its own name: {said}");
    app.screenshot("image-loaded").await;
}

#[tokio::test]
async fn an_image_that_nothing_uses_is_removed_and_one_in_use_stays() {
    let (_api, home, app) = listed("image-remove").await;
    let used = image_of(&home).await;
    reads(&app, &row(&used), "the image is listed", |_| true).await;
    let disabled = format!("return document.querySelector(\"{} [data-testid=remove-image]\").disabled;", row(&used));
    assert_eq!(app.script(&disabled).await, true, "one that is used has to stay");
    app.click_button("Close").await;
    app.leave().await;

    app.click("containers-button").await;
    reads(&app, &row(&used), "nothing uses it now", |text| text.contains("no")).await;
    // A name that somebody has given it is not Gemra's to remove.
    let mark = uuid::Uuid::new_v4().simple().to_string();
    let options = TagImageOptionsBuilder::new().repo("somebodys").tag(&mark).build();
    let api = Engine::shared().api();
    api.tag_image(&used, Some(options)).await.unwrap();
    app.click_css(&format!("{} [data-testid=remove-image]", row(&used))).await;
    app.screenshot("image-remove").await;
    app.click_css(&format!("{} [data-testid=remove-image-yes]", row(&used))).await;
    let gone = format!("return document.querySelector(\"{}\") === null;", row(&used));
    app.until("it is listed no more", SOON, async |_| (app.script(&gone).await == true).then_some(())).await;
    assert!(api.inspect_image(&used).await.is_err(), "its name is gone at the engine");
    let theirs = format!("somebodys:{mark}");
    api.inspect_image(&theirs).await.expect("and somebody's is not");
    api.remove_image(&theirs, None::<bollard::query_parameters::RemoveImageOptions>, None).await.unwrap();
}
