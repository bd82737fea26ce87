//! What goes wrong on the host: bad folders, a broken settings file, no CLI, an agent that misbehaves or will not die.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use tests::desktop::app::{LONG, SOON};
use tests::desktop::{App, Home, Options, Trouble};
use tests::model_api::ModelApi;
use tests::spawn;

/// The user `nobody`, whom every Debian has.
const NOBODY: u32 = 65534;

/// The app with one tab, its agent the scripted one.
async fn scripted(name: &str) -> (ModelApi, std::sync::Arc<Home>, App) {
    let api = ModelApi::start();
    let home = Home::new();
    let app = App::launch(name, &home, &api, &Options::scripted(&[home.workspace("project")])).await;
    (api, home, app)
}

#[tokio::test]
async fn a_bad_folder_is_refused_in_words_and_what_was_typed_stays() {
    let api = ModelApi::start();
    // Root can read everything, so then the app runs as somebody who cannot.
    let root = rustix::process::geteuid().is_root();
    let home = if root { Home::of_user(NOBODY) } else { Home::new() };
    let file = home.path("a-file");
    home.write(&file, "no folder");
    let closed = home.path("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(if root { 0o700 } else { 0 })).unwrap();
    let app = App::launch("bad-folders", &home, &api, &Options::scripted(&[])).await;
    let missing = home.path("not-there");
    let home_folder = home.home();
    let cases: [(&Path, &[&str]); 5] = [
        (&missing, &["not there"]),
        (&file, &["not a folder"]),
        (&closed, &["cannot be read", "may not"]),
        (Path::new("/"), &["whole machine"]),
        (&home_folder, &["home folder"]),
    ];
    for (path, words) in cases {
        let typed = path.display().to_string();
        app.open_workspace(&typed).await;
        let page = app
            .until(&format!("{typed} is refused with one of {words:?}"), SOON, async |page| {
                let told = |trouble: &Trouble| words.iter().any(|words| trouble.text.contains(words));
                page.failures.iter().any(told).then(|| page.clone())
            })
            .await;
        let classes: Vec<&str> = page.failures.iter().map(|trouble| trouble.code.as_str()).collect();
        assert_eq!(classes, ["workspace-invalid"], "the one failure is of this class: {page:#?}");
        assert_eq!(page.workspace_path.as_deref(), Some(typed.as_str()), "the typed path stays");
        assert!(page.tabs.is_empty(), "no tab was opened: {page:#?}");
        app.screenshot(&format!("bad-folder-{}", words[0].replace(' ', "-"))).await;
    }
    fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    app.open_workspace(&home.workspace("good").display().to_string()).await;
    app.send("say all is well").await;
    app.until_entry("assistant", "all is well", LONG).await;
}

#[tokio::test]
async fn a_bad_folder_on_the_command_line_is_told_too() {
    let api = ModelApi::start();
    let home = Home::new();
    let options = Options::scripted(&[home.path("not-there"), home.workspace("good")]);
    let app = App::launch("bad-argument", &home, &api, &options).await;
    app.until("the good folder's tab, and a word on the other", SOON, async |page| {
        let told = |problem: &Trouble| problem.code == "workspace-invalid" && problem.text.contains("not-there");
        (page.tabs.len() == 1 && page.problems.iter().any(told)).then_some(())
    })
    .await;
    app.screenshot("bad-argument").await;
}

#[tokio::test]
async fn two_bad_folders_are_told_side_by_side_and_dismissed_one_by_one() {
    let api = ModelApi::start();
    let home = Home::new();
    let (first, second) = (home.path("nope1"), home.path("nope2"));
    let options = Options::scripted(&[first.clone(), second.clone(), first]);
    let app = App::launch("bad-arguments", &home, &api, &options).await;
    let shown = async |names: &[&str]| {
        app.until(&format!("the problems are those of {names:?}"), SOON, async |page| {
            let same = page.problems.len() == names.len()
                && page.problems.iter().zip(names).all(|(problem, name)| problem.text.contains(name));
            same.then(|| page.clone())
        })
        .await
    };
    let page = shown(&["nope1", "nope2"]).await;
    assert!(page.problems.iter().all(|problem| problem.code == "workspace-invalid"), "of one class: {page:#?}");
    assert!(page.workspace_path.is_some(), "the new-tab page works under them: {page:#?}");
    app.screenshot("bad-arguments").await;
    // What a later start says again is no news while it stands.
    let again = app.start_again(&home.path(""), &["--workspace", "nope2", "--workspace", "nope3"]);
    assert!(again.status.success(), "the folders were handed over");
    shown(&["nope1", "nope2", "nope3"]).await;
    app.click_css("[data-testid=problem] [aria-label=Dismiss]").await;
    shown(&["nope2", "nope3"]).await;
    app.click_css("[data-testid=problem] + [data-testid=problem] [aria-label=Dismiss]").await;
    shown(&["nope2"]).await;
    app.click_css("[data-testid=problem] [aria-label=Dismiss]").await;
    shown(&[]).await;
    app.open_workspace(&home.workspace("good").display().to_string()).await;
    app.send("say all is well").await;
    app.until_entry("assistant", "all is well", LONG).await;
}

#[tokio::test]
async fn settings_that_are_not_json_are_told_and_left_alone() {
    let api = ModelApi::start();
    let home = Home::new();
    let broken = "{ \"engine\": \"unix:///mine.sock\", oops\n// my notes\n";
    home.write(&home.settings(), broken);
    let app = App::launch("bad-settings", &home, &api, &Options::scripted(&[home.workspace("project")])).await;
    // The settings file is named, and where it is wrong.
    app.until_failure("settings-invalid", &["settings.json", "line 1"], SOON).await;
    app.screenshot("bad-settings").await;
    app.send("say it works all the same").await;
    app.until_entry("assistant", "it works all the same", LONG).await;
    app.terminate().await;
    drop(app);
    assert_eq!(fs::read_to_string(home.settings()).unwrap(), broken, "the file is as the user left it");
}

#[tokio::test]
async fn a_missing_cli_is_told_with_the_way_to_install_it_and_retry_works() {
    let api = ModelApi::start();
    let home = Home::new();
    let place = home.path("bin").join("claude");
    let options = Options::with_agent(place.clone(), &[home.workspace("project")]).env("PATH", "/usr/bin:/bin");
    let app = App::launch("no-cli", &home, &api, &options).await;
    app.until_failure("claude-missing", &["npm install", "@anthropic-ai/claude-code"], LONG).await;
    app.screenshot("cli-missing").await;
    app.send("say this waited for the agent").await;
    app.click_button("Retry").await;
    app.holds("it is still missing", Duration::from_millis(500), |page| page.text.contains("npm install")).await;
    fs::create_dir(place.parent().unwrap()).unwrap();
    symlink(tests::desktop::program("scripted-agent"), &place).unwrap();
    app.click_button("Retry").await;
    app.until_entry("assistant", "this waited for the agent", LONG).await;
}

#[tokio::test]
async fn the_cli_is_installed_by_the_npm_that_only_the_login_shell_has() {
    let api = ModelApi::start();
    let home = Home::new();
    // A PATH as short as a desktop's can be: the machine's own CLI and npm, if it has any, must not help.
    let system = home.path("system");
    fs::create_dir(&system).unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let driver = std::env::split_paths(&path).map(|folder| folder.join("WebKitWebDriver")).find(|file| file.is_file());
    symlink(driver.expect("WebKitWebDriver is on PATH"), system.join("WebKitWebDriver")).unwrap();
    let tools = home.home().join("tools");
    fs::create_dir(&tools).unwrap();
    home.write(&home.home().join(".profile"), "PATH=\"$HOME/tools\"\n");
    let agent = tests::desktop::program("scripted-agent");
    let npm = format!(
        "#!/bin/sh\necho \"npm was asked to $*\"\n\
         test -e \"$HOME/registry\" || {{ echo 'npm error code ENOTFOUND' >&2; exit 1; }}\n\
         exec /bin/ln -s '{}' \"$HOME/tools/claude\"\n",
        agent.display()
    );
    home.write(&tools.join("npm"), &npm);
    tests::desktop::make_executable(&tools.join("npm"));
    let options = Options { claude: None, ..Options::scripted(&[home.workspace("project")]) };
    let app = App::launch("install-cli", &home, &api, &options.env("PATH", &system.display().to_string())).await;

    app.until("the CLI is missing", LONG, async |page| {
        page.text.contains("Claude Code is not installed").then_some(())
    })
    .await;
    app.send("say this waited for the installation").await;
    app.click_button("Install with npm").await;
    let words = ["npm reported an error", "asked to install -g @anthropic-ai/claude-code", "npm error code ENOTFOUND"];
    app.until("the failure is told, with npm's own words", LONG, async |page| {
        if !page.text.contains("The Claude CLI was not installed") {
            return None;
        }
        app.unfold().await;
        words.iter().all(|words| page.text.contains(words)).then_some(())
    })
    .await;
    app.screenshot("install-failed").await;
    app.click_button("Retry").await;
    app.until("it is still missing", LONG, async |page| {
        page.text.contains("Claude Code is not installed").then_some(())
    })
    .await;

    home.write(&home.home().join("registry"), "is reachable");
    app.click_button("Install with npm").await;
    app.until_entry("assistant", "this waited for the installation", LONG).await;
    app.send("say and this did not").await;
    app.until_entry("assistant", "and this did not", LONG).await;
}

#[tokio::test]
async fn an_agent_that_dies_in_a_line_is_an_error_with_its_last_words_and_retry() {
    let (_api, _home, app) = scripted("dies").await;
    app.send("say alive").await;
    app.until_entry("assistant", "alive", LONG).await;
    app.send("die 3 midline").await;
    app.until("the failure is told, with the end of stderr", SOON, async |page| {
        app.unfold().await;
        page.text.contains("the flux capacitor is gone").then_some(())
    })
    .await;
    app.until_failure("agent-crashed", &["the flux capacitor is gone"], SOON).await;
    app.until_idle(SOON).await;
    app.screenshot("agent-died").await;
    let page = app.page().await;
    assert!(page.entries.iter().all(|entry| !entry.streaming), "nothing streams any more: {:#?}", page.entries);
    assert!(page.shows("assistant", "alive"), "what was said before is still there: {:#?}", page.entries);
    app.click_button("Retry").await;
    app.send("say back again").await;
    app.until_entry("assistant", "back again", LONG).await;
}

#[tokio::test]
async fn an_agent_that_dies_at_its_start_is_an_error_with_its_last_words() {
    let api = ModelApi::start();
    let home = Home::new();
    let options = Options::scripted(&[home.workspace("project")]).env("SCRIPTED_AGENT", "die");
    let app = App::launch("dies-at-start", &home, &api, &options).await;
    app.until("the failure is told", LONG, async |page| {
        app.unfold().await;
        page.text.contains("told to die at its start").then_some(())
    })
    .await;
    app.until_failure("agent-not-started", &["told to die at its start"], SOON).await;
    app.screenshot("agent-died-at-start").await;
    assert!(app.page().await.composer.is_some(), "the tab is still there, and can be written to");
}

#[tokio::test]
async fn garbage_and_unknown_lines_do_no_harm() {
    let (_api, _home, app) = scripted("garbage").await;
    app.send("garbage").await;
    app.until_entry("assistant", "before the garbage", LONG).await;
    app.until_entry("assistant", "after the garbage", LONG).await;
    app.until_idle(SOON).await;
    app.send("unknown").await;
    app.until_entry("assistant", "after the unknown", LONG).await;
    app.until_idle(SOON).await;
    app.screenshot("agent-garbage").await;
    app.send("splitutf8").await;
    app.until_entry("assistant", "Grüße, Ζωή, 你好, 🦀 und 👩‍👩‍👧", LONG).await;
    app.send("stderr 512").await;
    app.until_entry("assistant", "wrote to stderr", LONG).await;
}

#[tokio::test]
async fn a_line_of_ten_megabytes_does_no_harm() {
    let (_api, _home, app) = scripted("big-line").await;
    app.send("biglines 10").await;
    app.until_entry("assistant", "after the big line", LONG).await;
    let whole = app.page().await.whole_text.len();
    assert!(whole < 2_000_000, "a giant result is cut, not mounted whole: {whole} characters");
    app.send("say and on").await;
    app.until_entry("assistant", "and on", LONG).await;
}

#[tokio::test]
async fn a_flood_is_shown_whole() {
    let (_api, _home, app) = scripted("flood").await;
    app.send("flood 20000").await;
    app.until("the last word, and the entry finished", LONG * 2, async |page| {
        page.last_of("assistant").filter(|entry| !entry.streaming && entry.text.contains("w19999")).map(drop)
    })
    .await;
    let missing = app
        .script(
            "const words = new Set([...document.querySelectorAll('[data-kind=assistant]')].at(-1).textContent.split(/\\s+/));
             let missing = 0; for (let n = 0; n < 20000; n++) if (!words.has('w' + n)) missing++; return missing;",
        )
        .await;
    assert_eq!(missing, 0, "every one of the 20000 words is there");
    app.until_idle(SOON).await;
    app.send("say still here").await;
    app.until_entry("assistant", "still here", LONG).await;
}

#[tokio::test]
async fn a_flood_can_be_stopped() {
    let (_api, _home, app) = scripted("flood-stop").await;
    app.send("flood 50000000").await;
    app.until("it floods", LONG, async |page| page.last_of("assistant").filter(|e| e.length > 1000).map(drop)).await;
    app.click("stop").await;
    app.until_idle(LONG).await;
    app.send("say dry again").await;
    app.until_entry("assistant", "dry again", LONG).await;
}

#[tokio::test]
async fn closing_a_tab_ends_an_agent_that_will_not_listen_and_what_it_started() {
    let api = ModelApi::start();
    let home = Home::new();
    let pids = home.path("pids");
    let options =
        Options::scripted(&[home.workspace("project")]).env("SCRIPTED_AGENT_PIDS", &pids.display().to_string());
    let app = App::launch("deaf", &home, &api, &options).await;
    app.send("fork").await;
    app.until_entry("assistant", "forked", LONG).await;
    let sleeper: u32 = fs::read_to_string(&pids).unwrap().trim().parse().unwrap();
    assert!(spawn::alive(sleeper), "the agent started something");
    app.send("ignore-eof").await;
    app.until_entry("assistant", "deaf from now on", LONG).await;
    app.click("close-tab").await;
    app.until_gone("scripted-agent", LONG).await;
    app.until("what it started is gone too", SOON, async |_| (!spawn::alive(sleeper)).then_some(())).await;
}

#[tokio::test]
async fn closing_the_app_ends_every_agent() {
    let api = ModelApi::start();
    let home = Home::new();
    let options = Options::scripted(&[home.workspace("one"), home.workspace("two")]);
    let app = App::launch("close-app", &home, &api, &options).await;
    for tab in [0, 1] {
        app.activate(tab).await;
        app.send("say ready").await;
        app.until_entry("assistant", "ready", LONG).await;
    }
    app.send("ignore-eof").await;
    app.until_entry("assistant", "deaf from now on", LONG).await;
    assert_eq!(app.processes_of("scripted-agent").len(), 2, "one agent for each tab");
    app.terminate().await;
    app.until_gone("scripted-agent", SOON).await;
}

#[tokio::test]
async fn killing_the_app_leaves_no_agent() {
    let api = ModelApi::start();
    let home = Home::new();
    let options = Options::scripted(&[home.workspace("one"), home.workspace("two")]);
    let app = App::launch("kill-app", &home, &api, &options).await;
    for tab in [0, 1] {
        app.activate(tab).await;
        app.send("say ready").await;
        app.until_entry("assistant", "ready", LONG).await;
    }
    app.send("wait").await;
    app.until("a turn runs", SOON, async |page| page.has_stop.then_some(())).await;
    app.kill();
    app.until_dead(SOON).await;
    app.until_gone("scripted-agent", Duration::from_secs(5)).await;
}
