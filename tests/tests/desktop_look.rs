//! How it looks: in the dark scheme as in the light one everything can be read, and the README's picture is of a real
//! conversation. Both look at the page as a person does, with the system's own choice of colours.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tests::desktop::app::{LONG, SOON};
use tests::desktop::{App, Home, Options};
use tests::model_api::ModelApi;

/// Every text in the page that stands out too little from what is behind it: its contrast, its colours and its words.
/// What is disabled need not stand out (WCAG 2.2, 1.4.3).
const FAINT: &str = r"
const parse = text => {
  const parts = text.match(/[\d.]+/g).map(Number);
  return { rgb: parts.slice(0, 3), alpha: parts.length > 3 ? parts[3] : 1 };
};
const over = (top, below) => top.rgb.map((value, at) => value * top.alpha + below[at] * (1 - top.alpha));
const light = rgb => {
  const [r, g, b] = rgb.map(value => value / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = element => {
  const layers = [];
  for (let at = element; at !== null; at = at.parentElement) {
    const colour = parse(getComputedStyle(at).backgroundColor);
    layers.push(colour);
    if (colour.alpha === 1) break;
  }
  return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
};
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
  const element = node.parentElement;
  const words = node.textContent.trim();
  if (words === '' || element.closest('script, style, .unseen, :disabled, [aria-disabled=true], option') !== null) continue;
  if (!element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) continue;
  const ground = behind(element);
  const ink = over(parse(getComputedStyle(element).color), ground);
  const [a, b] = [light(ink), light(ground)].sort((x, y) => y - x);
  const contrast = (a + 0.05) / (b + 0.05);
  if (contrast < 4.5) found.push(`${contrast.toFixed(2)} ${ink.map(Math.round)} on ${ground.map(Math.round)}: ${words.slice(0, 60)}`);
}
return found;
";

/// Asserts that everything in the page can be read, and keeps a picture of it.
async fn readable(app: &App, picture: &str) {
    let faint = app.script(FAINT).await;
    app.screenshot(picture).await;
    assert_eq!(faint, Value::Array(Vec::new()), "{picture}: every text stands out from what is behind it");
}

/// Says something, and allows the command that comes of it.
async fn asked(app: &App, text: &str) {
    app.send(text).await;
    app.until("the agent asks", LONG, async |page| (page.asks == 1).then_some(())).await;
}

#[tokio::test]
async fn everything_can_be_read_in_the_dark_and_in_the_light() {
    for (theme, dark) in [("Adwaita:dark", true), ("Adwaita", false)] {
        let scheme = if dark { "dark" } else { "light" };
        let api = ModelApi::start();
        let home = Home::new();
        let workspace = home.workspace("orchard");
        let poem = workspace.join("poem.txt");
        home.write(&poem, "roses are red\nviolets are blue\n");
        let options = Options::real(&[workspace, home.path("nowhere")]).engine().env("GTK_THEME", theme);
        let app = App::launch(&format!("look-{scheme}"), &home, &api, &options).await;
        let matches = app.script("return matchMedia('(prefers-color-scheme: dark)').matches;").await;
        assert_eq!(matches, dark, "the page follows the system's scheme");
        let ground = app.script("return getComputedStyle(document.body).backgroundColor;").await;
        assert_eq!(ground == "rgb(255, 255, 255)", !dark, "and shows it: {ground}");
        readable(&app, &format!("{scheme}-problem")).await;
        app.click_css("[data-testid=problem] [aria-label=Dismiss]").await;

        app.send("md:").await;
        app.until_entry("assistant", "That is all.", LONG).await;
        app.until_idle(SOON).await;
        app.until("code is coloured", SOON, async |_| {
            (app.script("return document.querySelectorAll('pre .hljs-keyword').length > 0;").await == true)
                .then_some(())
        })
        .await;
        readable(&app, &format!("{scheme}-markdown")).await;
        asked(&app, &format!("edit: {} blue => green", poem.display())).await;
        readable(&app, &format!("{scheme}-asking")).await;
        app.click("allow").await;
        app.until_idle(LONG).await;
        app.send("fail: 400").await;
        app.until_failure("api-error", &["400"], LONG).await;
        app.until_idle(SOON).await;
        readable(&app, &format!("{scheme}-error")).await;
        app.unfold().await;
        readable(&app, &format!("{scheme}-chat")).await;
        app.enter().await;
        app.until("the details are open", SOON, async |page| page.details.as_ref().map(drop)).await;
        readable(&app, &format!("{scheme}-running")).await;
        app.click("settings-button").await;
        app.until("the dialog is open", SOON, async |page| page.text.contains("Container engine").then_some(())).await;
        readable(&app, &format!("{scheme}-settings")).await;
    }
}

/// Where the picture for the README goes when somebody asks for it.
fn readme_picture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join("docs/screenshot.png")
}

#[tokio::test]
async fn the_readmes_picture_is_of_a_real_conversation() {
    let api = ModelApi::start();
    let home = Home::new();
    let workspace = home.workspace("orchard");
    std::fs::create_dir(workspace.join("src")).unwrap();
    home.write(&workspace.join("src/order.rs"), "pub fn total(items: &[Item], discount: u64) -> u64 {\n");
    let tests = workspace.join("run-tests");
    home.write(&tests, "#!/bin/sh\necho 'test result: ok. 15 passed; 0 failed'\n");
    tests::desktop::make_executable(&tests);
    let options = Options::real(&[workspace]).engine();
    let app = App::launch("readme", &home, &api, &options).await;
    app.click("container-button").await;
    app.until_container("running", tests::desktop::flip::BUILT).await;
    // A command that only reads is not asked about.
    app.send("What does an order with an empty basket cost?").await;
    app.until_entry("assistant", "an empty basket panics", LONG).await;
    app.until_idle(SOON).await;
    asked(&app, "Please mend it, and run the tests in the container.").await;
    app.click("allow").await;
    app.until("the answer streams, its code coloured", LONG, async |page| {
        let coloured = app.script("return document.querySelectorAll('pre .hljs-keyword').length > 0;").await == true;
        page.last_of("assistant").filter(|last| last.streaming && last.text.contains("14 tests") && coloured).map(drop)
    })
    .await;
    let picture = app.screenshot("readme").await;
    let page = app.page().await;
    assert_eq!(page.container.as_deref(), Some("running"), "the agent in the picture is in the container");
    assert!(page.of_kind("error").is_empty() && page.details.is_none(), "and nothing lies over it: {page:#?}");
    app.until_idle(LONG).await;
    app.holds("the picture was of a turn that ends well", Duration::from_millis(200), |page| page.failures.is_empty())
        .await;
    if std::env::var_os("GEMRA_UPDATE_SCREENSHOT").is_some() {
        std::fs::copy(picture, readme_picture()).unwrap();
    }
}
