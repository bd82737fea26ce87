//! Tabs without a window, against the scripted agent: what a tab does when its agent is not healthy, and that a page
//! that only applies frames sees what core has.

#![allow(clippy::unwrap_used)] // What cannot be set up fails the test, which is what it is for.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gemra_core::agent::{Choice, Mode};
use gemra_core::app::App;
use gemra_core::environment::Environment;
use gemra_core::failure::Code;
use gemra_core::stream::{Change, Frame};
use gemra_core::tab::view::{AgentView, TurnView, View};
use gemra_core::tab::{Tab, TabId};
use gemra_core::transcript::{Body, Entry, Patch, ToolStatus, Topic};
use tempfile::TempDir;
use tests::desktop::program;
use tokio::sync::Notify;

/// Longer than any ladder or deadline of a tab.
const PATIENCE: Duration = Duration::from_secs(40);

#[tokio::test]
async fn messages_sent_while_the_agent_starts_arrive_in_their_order() {
    let bench = Bench::new(&[]).await;
    let (tab, page) = bench.tab().await;
    for text in ["say one", "say two", "say three"] {
        assert!(tab.send(fresh(), text.to_owned()).await, "an open tab takes messages");
    }
    page.until("three answers", |page| page.said() == ["one", "two", "three"]).await;
    let users = page.texts(|body| matches!(body, Body::User { .. }));
    assert_eq!(users, ["say one", "say two", "say three"], "each message is shown once, where its turn began");
}

#[tokio::test]
async fn a_repeated_request_sends_once() {
    let bench = Bench::new(&[]).await;
    let (tab, page) = bench.tab().await;
    let request = fresh();
    for _ in 0..3 {
        tab.send(request.clone(), "say once".to_owned()).await;
    }
    tab.send(fresh(), "say after".to_owned()).await;
    page.until("the second answer", |page| page.said().last().is_some_and(|said| said == "after")).await;
    assert_eq!(page.said(), ["once", "after"], "the page's repeats change nothing");
}

#[tokio::test]
async fn what_is_not_of_the_protocol_is_a_notice_and_never_the_end() {
    let bench = Bench::new(&[]).await;
    let (tab, page) = bench.tab().await;
    for text in ["garbage", "unknown", "biglines 10", "splitutf8", "say still here"] {
        tab.send(fresh(), text.to_owned()).await;
    }
    page.until("the last answer", |page| page.said().last().is_some_and(|said| said == "still here")).await;
    let notices = page.texts(|body| matches!(body, Body::Notice(_)));
    assert!(notices.iter().any(|notice| notice.contains("not part of its protocol")), "garbage is told: {notices:?}");
    assert!(notices.iter().any(|notice| notice.contains("does not know")), "unknown kinds are told: {notices:?}");
    assert!(!page.all_text().contains('\u{fffd}'), "characters that were cut in two are whole");
}

#[tokio::test]
async fn an_agent_that_dies_says_why_and_goes_on_after_retry() {
    let bench = Bench::new(&[]).await;
    let (tab, page) = bench.tab().await;
    tab.send(fresh(), "stderr 8".to_owned()).await;
    tab.send(fresh(), "die 3 midline".to_owned()).await;
    tab.send(fresh(), "say after all".to_owned()).await;
    let failure = page
        .wait("the failure", |page| match page.view()?.agent {
            AgentView::Failed { failure } => Some(failure),
            _ => None,
        })
        .await;
    assert_eq!(failure.code, Code::AgentCrashed, "its end is a class of its own");
    assert!(failure.cause.contains("exit code 3"), "the cause names the code: {}", failure.cause);
    let detail = failure.detail.unwrap();
    assert!(detail.contains("the last line of stderr"), "stderr's tail is there: {detail}");
    assert_eq!(page.view().unwrap().queue.len(), 1, "what was not delivered waits");
    tab.retry_agent();
    page.until("the answer after the retry", |page| page.said().last().is_some_and(|said| said == "after all")).await;
    let cut = |body: &Body| matches!(body, Body::User { interrupted: true, .. });
    assert_eq!(page.texts(cut), ["die 3 midline"], "the turn that it died in is marked");
}

#[tokio::test]
async fn a_tab_is_asked_what_a_container_above_it_has_written_before_its_agent_starts() {
    let bench = Bench::new(&[]).await;
    let root = bench.folder.path().canonicalize().unwrap();
    // What a run leaves that is killed while a container can write to the folder around the project.
    let above = serde_json::json!({"roots": [root.join("user")], "files": {}, "configs": [], "named": []});
    std::fs::create_dir_all(root.join("home/guard")).unwrap();
    std::fs::write(root.join("home/guard/left.json"), above.to_string()).unwrap();
    let planted = root.join("user/project/.mcp.json");
    std::fs::write(&planted, "{}").unwrap();
    let (tab, page) = bench.tab().await;
    tab.send(fresh(), "say hello".to_owned()).await;
    let asked = page.wait("the question", |page| page.view()?.guard).await;
    assert_eq!(asked.iter().map(|change| &change.path).collect::<Vec<_>>(), [&planted], "what is new is shown");
    assert!(page.said().is_empty(), "no agent has started");
    tab.answer_guard(false, None);
    page.until("the answer", |page| page.said() == ["hello"]).await;
    assert!(!planted.exists(), "it was taken away before");
}

#[tokio::test]
async fn stop_interrupts_and_the_tab_goes_on() {
    let bench = Bench::new(&[]).await;
    let (tab, page) = bench.tab().await;
    tab.send(fresh(), "wait".to_owned()).await;
    page.until("a turn", |page| matches!(page.view().map(|view| view.turn), Some(TurnView::Running { .. }))).await;
    tab.stop_turn();
    tab.send(fresh(), "say next".to_owned()).await;
    page.until("the next answer", |page| page.said() == ["next"]).await;
    assert_eq!(page.topics(Topic::Interrupted).len(), 1, "the interruption is marked once");
}

#[tokio::test]
async fn an_agent_that_does_not_stop_is_started_again() {
    let bench = Bench::new(&[]).await;
    let (tab, page) = bench.tab().await;
    tab.send(fresh(), "hang".to_owned()).await;
    page.until("a turn", |page| matches!(page.view().map(|view| view.turn), Some(TurnView::Running { .. }))).await;
    tab.stop_turn();
    tab.send(fresh(), "say alive".to_owned()).await;
    page.until("the answer of the new agent", |page| page.said() == ["alive"]).await;
    let marks = page.topics(Topic::Interrupted);
    assert!(marks[0].contains("started again"), "the user is told what was done: {marks:?}");
}

#[tokio::test]
async fn questions_are_answered_once_and_lapse_with_their_turn() {
    let bench = Bench::new(&[]).await;
    let (tab, page) = bench.tab().await;
    for (choice, expected) in [
        (Choice::Allow, "allowed null"),
        (Choice::Deny { reason: String::new() }, "denied: The user declined this."),
        (Choice::Deny { reason: "not today".to_owned() }, "denied: not today"),
    ] {
        tab.send(fresh(), "ask Bash".to_owned()).await;
        let ask = page.wait("a question", Page::waiting_ask).await;
        tab.answer(ask.clone(), choice.clone());
        tab.answer(ask, Choice::Allow);
        page.until(expected, |page| page.said().last().is_some_and(|said| said == expected)).await;
    }
    tab.send(fresh(), "ask Bash".to_owned()).await;
    page.wait("a question", Page::waiting_ask).await;
    tab.stop_turn();
    page.until("the end of the turn", |page| page.view().unwrap().turn == TurnView::Idle).await;
    assert_eq!(page.waiting_ask(), None, "nobody is asked any more");
    let status = page.entries().iter().rev().find_map(|entry| match &entry.body {
        Body::Tool(tool) => Some(tool.status),
        _ => None,
    });
    assert_eq!(status, Some(ToolStatus::Interrupted), "a call whose turn was cut short does not look as if it ran");
}

#[tokio::test]
async fn a_flood_arrives_whole_and_a_page_that_never_paints_is_not_flooded() {
    const WORDS: usize = 20_000;
    let bench = Bench::new(&[]).await;
    let (tab, _) = bench.tab().await;
    let page = Page::watch_without_painting(&tab).await;
    let begun = std::time::Instant::now();
    tab.send(fresh(), format!("flood {WORDS}")).await;
    let last = format!("w{}", WORDS - 1);
    page.until("the last word", |page| page.said().last().is_some_and(|said| said.trim_end().ends_with(&last))).await;
    let said = page.said().pop().unwrap();
    assert!(said.split_whitespace().enumerate().all(|(at, word)| word == format!("w{at}")), "every word, in order");
    // A frame goes out at most each 250 ms where none is acknowledged, and at once where the state changes: the
    // turn's begin and end, the model's name, the usage.
    let most = begun.elapsed().as_millis() / 250 + 20;
    let frames = page.frames();
    assert!(frames as u128 <= most, "{frames} frames carried {WORDS} deltas, and {most} are enough");
}

#[tokio::test]
async fn two_tabs_never_see_each_other() {
    let bench = Bench::new(&[]).await;
    let ((one, first), (two, second)) = (bench.tab().await, bench.tab().await);
    for turn in 0..5 {
        one.send(fresh(), format!("say red {turn}")).await;
        two.send(fresh(), format!("say blue {turn}")).await;
    }
    first.until("five answers", |page| page.said().len() == 5).await;
    second.until("five answers", |page| page.said().len() == 5).await;
    assert!(!first.all_text().contains("blue") && !second.all_text().contains("red"), "each has only its own words");
}

#[tokio::test]
async fn closing_a_tab_ends_even_a_deaf_agent_and_its_children() {
    let bench = Bench::new(&[]).await;
    let pids = bench.folder.path().join("pids");
    bench.settings(&[("SCRIPTED_AGENT_PIDS", pids.to_str().unwrap())]).await;
    let (tab, page) = bench.tab().await;
    for text in ["fork", "ignore-eof", "say ready"] {
        tab.send(fresh(), text.to_owned()).await;
    }
    page.until("the fork", |page| page.said().last().is_some_and(|said| said == "ready")).await;
    let pid: String = std::fs::read_to_string(&pids).unwrap().trim().to_owned();
    assert!(alive(&pid), "the grandchild {pid} runs before the tab is closed");
    tokio::time::timeout(PATIENCE, tab.close()).await.expect("the ladder ends");
    wait_for("the grandchild's end", || (!alive(&pid)).then_some(())).await;
}

#[tokio::test]
async fn quitting_waits_for_a_tab_that_is_being_closed_and_forgets_it() {
    let bench = Bench::new(&[]).await;
    let pids = bench.folder.path().join("pids");
    bench.settings(&[("SCRIPTED_AGENT_PIDS", pids.to_str().unwrap())]).await;
    let (tab, page) = bench.tab().await;
    let id = bench.app.window().borrow().tabs[0].id.clone();
    // Deaf, so that its end takes the whole ladder.
    for text in ["fork", "ignore-eof", "say ready"] {
        tab.send(fresh(), text.to_owned()).await;
    }
    page.until("the fork", |page| page.said().last().is_some_and(|said| said == "ready")).await;
    let pid: String = std::fs::read_to_string(&pids).unwrap().trim().to_owned();
    let app = Arc::clone(&bench.app);
    let closing = tokio::spawn(async move { app.close_tab(&id).await });
    let runs = bench.folder.path().join("home/runs");
    wait_for("the record's end", || (std::fs::read_dir(&runs).unwrap().count() == 0).then_some(())).await;
    assert!(alive(&pid), "what the user closes is forgotten at once, though its agent {pid} still runs");
    bench.app.quit().await;
    wait_for("the agent's end", || (!alive(&pid)).then_some(())).await;
    assert!(closing.is_finished() || closing.await.is_ok(), "the close has come to its end");
    assert_eq!(std::fs::read_dir(&runs).unwrap().count(), 0, "nothing is taken up at the next start");
}

#[tokio::test]
async fn what_is_chosen_while_the_agent_starts_is_told_to_it() {
    let bench = Bench::new(&[]).await;
    let (tab, page) = bench.tab().await;
    tab.set_mode(Mode::Plan);
    tab.send(fresh(), "mode".to_owned()).await;
    page.until("an answer", |page| page.said().len() == 1).await;
    assert_eq!(page.said(), ["mode: plan"], "the agent was started before the choice, and has it before the message");
    assert_eq!(page.view().unwrap().mode, Mode::Plan, "and the page shows what is so");
}

#[tokio::test]
async fn a_retry_is_of_the_message_that_failed_and_counts_once() {
    let bench = Bench::new(&[]).await;
    let (tab, page) = bench.tab().await;
    tab.send(fresh(), "fail 529".to_owned()).await;
    tab.send(fresh(), "say queued".to_owned()).await;
    page.until("the queued message's answer", |page| page.said() == ["queued"]).await;
    let error = |page: &Page| {
        page.entries().iter().find(|entry| matches!(entry.body, Body::Error { retry: true, .. })).map(|entry| entry.id)
    };
    let failed = page.wait("the error", error).await;
    tab.retry_turn(failed);
    tab.retry_turn(failed);
    tab.send(fresh(), "say last".to_owned()).await;
    page.until("the last answer", |page| page.said() == ["queued", "last"]).await;
    let users = page.texts(|body| matches!(body, Body::User { .. }));
    assert_eq!(users, ["fail 529", "say queued", "fail 529", "say last"], "not of the newest, and not twice");
}

#[tokio::test]
async fn a_turn_ends_with_its_result_whatever_that_looks_like() {
    let bench = Bench::new(&[]).await;
    let (tab, page) = bench.tab().await;
    tab.send(fresh(), "odd-result".to_owned()).await;
    tab.send(fresh(), "say after".to_owned()).await;
    page.until("the next answer", |page| page.said() == ["after"]).await;
}

#[tokio::test]
async fn a_turn_that_the_agent_begins_by_itself_is_shown_and_can_be_stopped() {
    let bench = Bench::new(&[]).await;
    let (tab, page) = bench.tab().await;
    let turn = |page: &Page| page.view().map(|view| view.turn);
    tab.send(fresh(), "again".to_owned()).await;
    page.until("the message's turn to be over", |page| page.view().is_some_and(|view| view.usage.turns == 1)).await;
    page.until("the agent's own turn", |page| matches!(turn(page), Some(TurnView::Running { .. }))).await;
    tab.stop_turn();
    tab.send(fresh(), "say mine".to_owned()).await;
    page.until("the answer", |page| page.said() == ["mine"]).await;
}

#[tokio::test]
async fn a_missing_cli_is_said_and_found_once_it_is_there() {
    let bench = Bench::with_cli(Path::new("not/yet"), &[]).await;
    let (tab, page) = bench.tab().await;
    let failure = page
        .wait("the missing CLI", |page| match page.view()?.agent {
            AgentView::Missing { failure } => Some(failure),
            _ => None,
        })
        .await;
    assert_eq!(failure.code, Code::ClaudeMissing, "it is a class of its own");
    assert!(failure.cause.contains("not/yet"), "the cause names what was looked for: {}", failure.cause);
    tab.send(fresh(), "say kept".to_owned()).await;
    std::fs::create_dir_all(bench.cli.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(program("scripted-agent"), &bench.cli).unwrap();
    tab.retry_agent();
    page.until("the kept message's answer", |page| page.said() == ["kept"]).await;
}

#[tokio::test]
async fn a_second_instance_of_a_home_is_refused_and_a_dead_one_is_taken_up() {
    let bench = Bench::new(&[]).await;
    let (tab, page) = bench.tab().await;
    tab.send(fresh(), "wait".to_owned()).await;
    tab.send(fresh(), "say queued".to_owned()).await;
    page.until("a turn", |page| matches!(page.view().map(|view| view.turn), Some(TurnView::Running { .. }))).await;
    assert!(App::start(bench.environment(), None).await.is_err(), "one instance a home");
    let Bench { app, folder, cli } = bench;
    let runs = folder.path().join("home/runs");
    wait_for("the record of a running turn", || {
        let files = std::fs::read_dir(&runs).ok()?.flatten().map(|file| file.path());
        // A record that is being written has another name.
        let record = files.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "json"))?;
        let record: serde_json::Value = serde_json::from_slice(&std::fs::read(record).ok()?).ok()?;
        (record["turn"] == true && record["queue"] == serde_json::json!(["say queued"])).then_some(())
    })
    .await;
    // Dropped as by a crash: nothing is closed, nothing forgotten.
    drop((tab, page, app));
    let again = Bench::at(folder, cli).await;
    let state = again.app.window().borrow().clone();
    assert_eq!(state.tabs.len(), 1, "the tab is open again");
    let tab = again.app.tab(&state.tabs[0].id).unwrap();
    let page = Page::watch(&tab).await;
    let marks = page.topics(Topic::Interrupted);
    assert!(marks[0].contains("in the middle of a turn"), "and says that it was interrupted: {marks:?}");
    page.until("the answer to what had waited", |page| page.said() == ["queued"]).await;
    let users = page.texts(|body| matches!(body, Body::User { .. }));
    assert_eq!(users, ["wait", "say queued"], "nothing is lost that the CLI had not written down, and nothing doubled");
    let cut = |body: &Body| matches!(body, Body::User { interrupted: true, .. });
    assert_eq!(page.texts(cut), ["wait"], "what was cut off is marked");
    tab.close().await;
    assert_eq!(std::fs::read_dir(&runs).unwrap().count(), 0, "a tab that was closed leaves no record");
}

#[tokio::test]
async fn a_page_that_comes_later_sees_the_same() {
    let bench = Bench::new(&[]).await;
    let (tab, early) = bench.tab().await;
    for text in ["say one", "ask Bash", "say two"] {
        tab.send(fresh(), text.to_owned()).await;
        if text.starts_with("ask") {
            let ask = early.wait("a question", Page::waiting_ask).await;
            tab.answer(ask, Choice::AllowAlways);
        }
    }
    early.until("the last answer", |page| page.said().last().is_some_and(|said| said == "two")).await;
    early.until("rest", |page| page.view().unwrap().turn == TurnView::Idle).await;
    let late = Page::watch(&tab).await;
    assert_eq!(late.entries(), early.entries(), "changes on a snapshot make what a later snapshot is");
    assert_eq!(late.view(), early.view(), "and so does what is around it");
}

/// An app of its own, in folders of its own, whose CLI is the scripted agent.
struct Bench {
    app: Arc<App>,
    folder: TempDir,
    cli: PathBuf,
}

impl Bench {
    async fn new(variables: &[(&str, &str)]) -> Self {
        Self::with_cli(&program("scripted-agent"), variables).await
    }

    /// A relative CLI is in the bench's own folder.
    async fn with_cli(cli: &Path, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("user/project")).unwrap();
        let cli = folder.path().join(cli);
        let bench = Self::at(folder, cli).await;
        bench.settings(variables).await;
        bench
    }

    async fn at(folder: TempDir, cli: PathBuf) -> Self {
        let environment = environment(folder.path(), &cli);
        // An instance that was dropped lets its lock go when its last task has ended.
        let app = loop {
            match App::start(environment.clone(), None).await {
                Ok(app) => break app,
                Err(gemra_core::home::HomeError::Taken(_)) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        };
        Self { app, folder, cli }
    }

    fn environment(&self) -> Environment {
        environment(self.folder.path(), &self.cli)
    }

    async fn settings(&self, variables: &[(&str, &str)]) {
        let project = self.folder.path().canonicalize().unwrap().join("user/project");
        let mut settings = self.app.window().borrow().settings.clone();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        settings.environment.insert(project.to_str().unwrap().to_owned(), gemra_core::settings::Variables(variables));
        self.app.save_settings(settings).await.unwrap();
    }

    async fn tab(&self) -> (Arc<Tab>, Page) {
        let project = self.folder.path().join("user/project").display().to_string();
        let id: TabId = self.app.open_tab(&fresh(), project).await.unwrap();
        let tab = self.app.tab(&id).unwrap();
        let page = Page::watch(&tab).await;
        (tab, page)
    }
}

fn environment(folder: &Path, cli: &Path) -> Environment {
    let text = |path: PathBuf| path.to_str().unwrap().to_owned();
    let (home, user, cli) = (text(folder.join("home")), text(folder.join("user")), text(cli.to_path_buf()));
    Environment::of([("GEMRA_HOME", home.as_str()), ("HOME", user.as_str()), ("GEMRA_CLAUDE", cli.as_str())])
}

/// A page that does nothing but apply frames and acknowledge them.
#[derive(Clone)]
struct Page {
    seen: Arc<Mutex<Seen>>,
    changed: Arc<Notify>,
}

#[derive(Default)]
struct Seen {
    entries: Vec<Entry>,
    view: Option<View>,
    frames: usize,
    seq: u32,
}

impl Page {
    async fn watch(tab: &Arc<Tab>) -> Self {
        Self::watch_and(tab, true).await
    }

    async fn watch_without_painting(tab: &Arc<Tab>) -> Self {
        Self::watch_and(tab, false).await
    }

    async fn watch_and(tab: &Arc<Tab>, paints: bool) -> Self {
        let page = Self { seen: Arc::default(), changed: Arc::default() };
        let (watching, name) = (page.clone(), Arc::new(Mutex::new(None::<u32>)));
        let (weak, known) = (Arc::downgrade(tab), Arc::clone(&name));
        let sink = move |frame: Frame| {
            let seq = watching.apply(frame);
            if let (true, Some(tab), Some(watch)) = (paints, weak.upgrade(), *known.lock().unwrap()) {
                tab.acknowledge(watch, seq);
            }
            watching.changed.notify_waiters();
            true
        };
        let watch = tab.watch(Box::new(sink)).await.unwrap();
        *name.lock().unwrap() = Some(watch);
        page
    }

    fn apply(&self, frame: Frame) -> u32 {
        let mut seen = self.seen.lock().unwrap();
        seen.frames += 1;
        match frame {
            Frame::Snapshot(snapshot) => {
                seen.entries = snapshot.entries;
                seen.view = Some(snapshot.view);
                seen.seq = snapshot.seq;
            }
            Frame::Changes { seq, changes, .. } => {
                assert_eq!(seq, seen.seq + 1, "no frame is missing and none comes twice");
                seen.seq = seq;
                for change in changes {
                    match change {
                        Change::Patch(Patch::Append(entry)) => {
                            assert_eq!(entry.id.0 as usize, seen.entries.len(), "entries come in their order");
                            seen.entries.push(entry);
                        }
                        Change::Patch(Patch::Replace(entry)) => {
                            let at = entry.id.0 as usize;
                            seen.entries[at] = entry;
                        }
                        Change::Patch(Patch::Text { id, text, .. }) => match &mut seen.entries[id.0 as usize].body {
                            Body::Assistant { text: whole } | Body::Thinking { text: whole } => whole.push_str(&text),
                            Body::Tool(tool) => tool.input.push_str(&text),
                            other => panic!("{other:?} does not grow"),
                        },
                        Change::View(view) => seen.view = Some(*view),
                        Change::Offer(_) | Change::Log { .. } => {}
                    }
                }
            }
        }
        seen.seq
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        self.wait(what, |page| holds(page).then_some(())).await;
    }

    async fn wait<T>(&self, what: &str, found: impl Fn(&Self) -> Option<T>) -> T {
        let search = async {
            loop {
                let changed = self.changed.notified();
                if let Some(found) = found(self) {
                    return found;
                }
                changed.await;
            }
        };
        let Ok(found) = tokio::time::timeout(PATIENCE, search).await else {
            panic!("{what} did not come; the page has {:#?} and {:#?}", self.entries(), self.view())
        };
        found
    }

    fn entries(&self) -> Vec<Entry> {
        self.seen.lock().unwrap().entries.clone()
    }

    fn view(&self) -> Option<View> {
        self.seen.lock().unwrap().view.clone()
    }

    fn frames(&self) -> usize {
        self.seen.lock().unwrap().frames
    }

    /// What the agent has said in whole blocks.
    fn said(&self) -> Vec<String> {
        let whole = |entry: &Entry| match &entry.body {
            Body::Assistant { text } if !entry.streaming => Some(text.clone()),
            _ => None,
        };
        self.entries().iter().filter_map(whole).collect()
    }

    fn texts(&self, wanted: impl Fn(&Body) -> bool) -> Vec<String> {
        self.entries()
            .into_iter()
            .filter(|entry| wanted(&entry.body))
            .filter_map(|entry| match entry.body {
                Body::User { text, .. } | Body::Assistant { text } | Body::Thinking { text } => Some(text),
                Body::Notice(notice) => Some(notice.text),
                _ => None,
            })
            .collect()
    }

    fn topics(&self, topic: Topic) -> Vec<String> {
        self.texts(|body| matches!(body, Body::Notice(notice) if notice.topic == topic))
    }

    fn all_text(&self) -> String {
        self.texts(|_| true).join("\n")
    }

    fn waiting_ask(&self) -> Option<String> {
        self.entries().iter().find_map(|entry| match &entry.body {
            Body::Ask(ask) if ask.answer.is_none() => Some(ask.ask.clone()),
            _ => None,
        })
    }
}

fn fresh() -> String {
    uuid::Uuid::new_v4().to_string()
}

fn alive(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}

async fn wait_for<T>(what: &str, found: impl Fn() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
