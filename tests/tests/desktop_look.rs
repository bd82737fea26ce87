//! How it looks: in the dark scheme as in the light one everything can be read, and the README's picture is of a real
//! conversation. Both look at the page as a person does, with the system's own choice of colours.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;
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
// What is seen where the innermost of these elements is: each lays its ground over what is behind it, the innermost
// one its ink too, and one that is half transparent shows as much of what was there before.
const seen = (elements, behind, ink) => {
  if (elements.length === 0) return ink === null ? behind : over(ink, behind);
  const [outer, ...inner] = elements;
  const style = getComputedStyle(outer);
  const inside = seen(inner, over(parse(style.backgroundColor), behind), ink);
  return over({ rgb: inside, alpha: Number(style.opacity) }, behind);
};
const around = element => element === null ? [] : [...around(element.parentElement), element];
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
  const element = node.parentElement;
  const words = node.textContent.trim();
  if (words === '' || element.closest('script, style, .unseen, :disabled, [aria-disabled=true], option') !== null) continue;
  if (!element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) continue;
  const elements = around(element);
  const ground = seen(elements, [255, 255, 255], null);
  const ink = seen(elements, [255, 255, 255], parse(getComputedStyle(element).color));
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
        app.until_focus("composer").await;

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

/// The left and right edges of what stands in the column, and of the composer below it, in CSS pixels.
const EDGES: &str = r"
const edges = element => { const box = element.getBoundingClientRect(); return [box.left, box.right]; };
const entries = [...document.querySelectorAll('[data-testid=entry]')].map(edges);
return [...entries, edges(document.querySelector('[data-testid=composer]').parentElement)];
";

/// A folder with a name that anybody could have given it. Where another run has that one, its own has an end to it.
fn folder(name: &str) -> TempDir {
    let plain = tempfile::Builder::new().prefix(name).rand_bytes(0).tempdir();
    plain
        .or_else(|_| tempfile::Builder::new().prefix(&format!("{name}-")).tempdir())
        .expect("a temporary folder can be made")
}

/// A project of the size of a picture, with tests that can be run.
fn orchard(home: &Home, root: &Path) {
    for folder in ["src", "test"] {
        std::fs::create_dir(root.join(folder)).expect("the project is writable");
    }
    let files = [
        ("package.json", r#"{"name": "orchard", "type": "module", "scripts": {"test": "node --test"}}"#),
        (
            "src/order.js",
            "export function average(items) {\n  \
             const sum = items.reduce((total, item) => total + item.price, 0);\n  \
             return sum / items.length;\n}\n",
        ),
        (
            "test/order.test.js",
            "import assert from 'node:assert';\nimport test from 'node:test';\n\
             import { average } from '../src/order.js';\n\n\
             test('one item', () => assert.equal(average([{ price: 3 }]), 3));\n\
             test('two items', () => assert.equal(average([{ price: 3 }, { price: 5 }]), 4));\n\
             test('a free item', () => assert.equal(average([{ price: 0 }]), 0));\n",
        ),
    ];
    for (path, text) in files {
        home.write(&root.join(path), text);
    }
}

#[tokio::test]
async fn the_readmes_picture_is_of_a_real_conversation() {
    let api = ModelApi::start();
    let home = Home::new();
    let workspace = folder("orchard");
    orchard(&home, workspace.path());
    let options = Options::real(&[workspace.path().to_owned()]).engine();
    let app = App::launch("readme", &home, &api, &options).await;
    app.enter().await;
    // A tool that only reads is not asked about.
    asked(&app, "The checkout shows NaN for an empty basket. Please mend it, and run the tests.").await;
    app.click("allow").await;
    app.until("it asks for the next", LONG, async |page| {
        (page.asks == 1 && page.last_of("ask").is_some_and(|ask| ask.text.contains("npm test"))).then_some(())
    })
    .await;
    app.click_button("Edit").await;
    app.click("allow").await;
    app.until_entry("assistant", "Shall I add this one", LONG).await;
    app.until_idle(SOON).await;
    app.until("its code is coloured", SOON, async |_| {
        (app.script("return document.querySelectorAll('pre .hljs-string').length > 0;").await == true).then_some(())
    })
    .await;
    app.hover("composer").await;
    let picture = app.screenshot("readme").await;
    let page = app.page().await;
    assert_eq!(page.container.as_deref(), Some("running"), "the agent in the picture is in the container");
    assert_eq!(page.focus.as_deref(), Some("composer"), "the next message can be typed");
    assert!(page.failures.is_empty() && page.details.is_none(), "and nothing lies over it: {page:#?}");
    let tools: Vec<&str> = page.of_kind("tool").iter().map(|tool| tool.text.as_str()).collect();
    assert!(tools.len() == 3 && tools.iter().all(|tool| tool.contains("done")), "what is told was done: {tools:#?}");
    let mended = std::fs::read_to_string(workspace.path().join("src/order.js")).unwrap();
    assert!(mended.contains("items.length === 0 ? 0 :"), "and the file says so: {mended}");
    let told = api.last().unwrap().conversation();
    assert!(told.contains("pass 3") && told.contains("fail 0"), "and the tests did pass, in the container: {told}");
    let edges = app.script(EDGES).await;
    let edges: Vec<(f64, f64)> = serde_json::from_value(edges).unwrap();
    assert!(
        edges.iter().all(|(left, right)| (left - edges[0].0).abs() < 0.5 && (right - edges[0].1).abs() < 0.5),
        "messages, cards and the composer stand in line: {edges:?}"
    );
    if std::env::var_os("GEMRA_UPDATE_SCREENSHOT").is_some() {
        std::fs::copy(picture, readme_picture()).unwrap();
    }
}
