//! The life of a container at a real engine: its figures, commands and shells in it, a new one in its place, an agent
//! that is started again, memory that runs out, and what is held in the end.

#![allow(clippy::unwrap_used)] // What cannot be set up fails the test, which is what it is for.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bollard::models::VolumeCreateRequest;
use futures_util::StreamExt as _;
use gemra_core::container::exec::{self, End, Order, Piece, Said, Shell};
use gemra_core::container::holdings::{self, Kind};
use gemra_core::container::state::State;
use gemra_core::container::stats;
use gemra_core::failure::Code;
use gemra_core::settings::container::Wishes;
use gemra_core::tab::view::TurnView;
use tests::engine::desk::{Desk, Moving};
use tests::engine::follow::Follow;
use tests::engine::lab::{self, Lab, ask};
use tests::engine::{BASE, Engine, see};

const PATIENCE: Duration = Duration::from_mins(2);
const MEGA: u64 = 1 << 20;

async fn run(lab: &Lab, id: &str, script: &str, timeout: Option<Duration>) -> (End, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let order = Order { command: ["sh", "-c", script].map(str::to_owned).to_vec(), timeout };
    let end = exec::run(&lab.engine, id, &order, |piece| match piece {
        Piece::Out(bytes) => out.extend(bytes),
        Piece::Err(bytes) => err.extend(bytes),
    });
    let end = end.await.unwrap();
    (end, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

/// How many processes in a container were started with this word among their arguments.
async fn processes(lab: &Lab, id: &str, word: &str) -> usize {
    // The pattern does not contain what it finds, so that it does not find itself.
    let (first, rest) = word.split_at(1);
    let script = format!("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -c '^[{first}]{rest}$'");
    run(lab, id, &script, None).await.1.trim().parse().unwrap()
}

#[tokio::test]
async fn figures_are_live_as_long_as_somebody_looks() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    let prepared = lab.prepare(&lab.wish(&image, lab::user())).await.unwrap();
    let id = prepared.id.clone();
    let mut process = prepared.release(&std::collections::BTreeMap::new(), &[]).unwrap();
    ask(&mut process, "while :; do :; done >/dev/null 2>&1 & echo busy").await;
    let mut figures = std::pin::pin!(stats::follow(&lab.engine, &id));
    let began = Instant::now();
    let usage = loop {
        let usage = tokio::time::timeout(PATIENCE, figures.next()).await.unwrap().unwrap().unwrap();
        if usage.cpu.is_some_and(|cpu| cpu > 1.0) {
            break usage;
        }
        assert!(began.elapsed() < PATIENCE, "a loop is seen to use the processor: {usage:?}");
    };
    assert!(usage.memory > 0 && usage.memory < usage.memory_limit, "some of its memory is used: {usage:?}");
    assert!(usage.cpus >= 1, "of some processors: {usage:?}");
    if !lab.engine.about().podman {
        assert_eq!(usage.network, None, "nobody counts the host's network for a container");
        assert!(usage.processes >= 2, "the agent and its loop at least: {usage:?}");
    }
    process.stop.stop().await;
    let rest = tokio::time::timeout(PATIENCE, figures.collect::<Vec<_>>()).await;
    assert!(rest.is_ok(), "the figures end with the container");
}

#[tokio::test]
async fn a_command_has_output_a_code_and_a_limit() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    let prepared = lab.prepare(&lab.wish(&image, lab::user())).await.unwrap();
    let id = prepared.id.clone();
    let process = prepared.release(&std::collections::BTreeMap::new(), &[]).unwrap();
    let (end, out, err) = run(&lab, &id, "pwd; id -u; echo careful >&2; exit 7", None).await;
    assert_eq!(end, End::Code(7), "its code is handed on");
    assert_eq!(out, format!("/workspace\n{}\n", lab::user().0), "it runs where the agent does, as the agent");
    assert_eq!(err, "careful\n", "what it complains about is told apart");
    let (end, out, _) = run(&lab, &id, "seq 1 200000", Some(PATIENCE)).await;
    assert_eq!((end, out.lines().count()), (End::Code(0), 200_000), "nothing of a long output is lost");

    let stubborn = "trap '' TERM HUP; sleep 7654 & echo begun; sleep 7654";
    let (end, out, _) = run(&lab, &id, stubborn, Some(Duration::from_secs(5))).await;
    assert_eq!((end, out.as_str()), (End::TimedOut, "begun\n"), "its time is over");
    assert_eq!(processes(&lab, &id, "7654").await, 0, "and nothing of it goes on");
    let missing = Order { command: vec!["no-such-command".to_owned()], timeout: None };
    match exec::run(&lab.engine, &id, &missing, |_| {}).await {
        Ok(End::Code(code)) => assert!(code == 126 || code == 127, "as a shell says it: {code}"),
        Ok(end) => panic!("a command that is not there does not end with {end:?}"),
        Err(error) => assert!(error.to_string().contains("no-such-command"), "or the engine says it: {error}"),
    }
    process.stop.stop().await;
}

/// What a shell has said, in how many batches, and how it ended.
type Heard = (String, usize, Option<Option<i64>>);

/// A shell, and what it has said so far.
struct Typed {
    shell: Option<Shell>,
    said: Arc<Mutex<Heard>>,
}

impl Typed {
    async fn open(lab: &Lab, id: &str) -> Self {
        let said = Arc::new(Mutex::new((String::new(), 0, None)));
        let told = Arc::clone(&said);
        let hear = move |piece: Said| {
            let mut told = told.lock().unwrap();
            match piece {
                Said::Output(bytes) => {
                    told.0.push_str(&String::from_utf8_lossy(&bytes));
                    told.1 += 1;
                }
                Said::Ended(code) => told.2 = Some(code),
            }
        };
        let shell = Some(Shell::open(&lab.engine, id, (91, 31), hear).await.unwrap());
        Self { shell, said }
    }

    fn shell(&self) -> &Shell {
        self.shell.as_ref().unwrap()
    }

    /// Paints whatever comes, until it contains the words.
    async fn until(&self, words: &str) {
        see::until(words, PATIENCE, async || {
            if let Some(shell) = &self.shell {
                shell.painted();
            }
            self.said.lock().unwrap().0.contains(words).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_shell_is_a_terminal_that_waits_for_its_reader_and_leaves_nothing() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    let prepared = lab.prepare(&lab.wish(&image, lab::user())).await.unwrap();
    let id = prepared.id.clone();
    let process = prepared.release(&std::collections::BTreeMap::new(), &[]).unwrap();
    let mut typed = Typed::open(&lab, &id).await;
    typed.shell().write(b"echo $((6*7))-$PROJECT_X-is; tty; echo $TERM\n".to_vec());
    typed.until("42--is").await;
    typed.until("/dev/pts/").await;
    typed.until("xterm-256color").await;
    typed.shell().resize(101, 41);
    typed.shell().write(b"stty size\n".to_vec());
    typed.until("41 101").await;

    // A program that says too much waits: batches come only as they are painted.
    typed.shell().write(b"sleep 8765 & yes; echo\n".to_vec());
    typed.until("y\r\ny\r\ny").await;
    let before = typed.said.lock().unwrap().1;
    for _ in 0..5 {
        typed.shell().painted();
        see::until("the next batch", PATIENCE, async || (typed.said.lock().unwrap().1 > before).then_some(())).await;
    }
    let (length, batches, _) = {
        let said = typed.said.lock().unwrap();
        (said.0.len(), said.1, said.2)
    };
    assert!(length / batches <= 128 * 1024, "a batch has an end: {length} bytes in {batches}");

    typed.shell = None;
    see::until("what ran in it is gone", PATIENCE, async || {
        (processes(&lab, &id, "8765").await == 0 && processes(&lab, &id, "yes").await == 0).then_some(())
    })
    .await;

    let other = Typed::open(&lab, &id).await;
    other.shell().write(b"exit 3\n".to_vec());
    let code = see::until("the shell says that it has ended", PATIENCE, async || {
        other.shell().painted();
        other.said.lock().unwrap().2
    })
    .await;
    assert_eq!(code, Some(3), "with the code that it ended with");
    process.stop.stop().await;
}

fn desk() -> Desk {
    Desk::new().dockerfile(&format!("FROM {BASE}"), "true")
}

async fn entered(desk: Desk) -> (Moving, Follow) {
    let mut moving = desk.open().await;
    moving.enter().await;
    let follow = Follow::of(Arc::clone(moving.tab())).await;
    (moving, follow)
}

/// The arguments of each agent that was started in the container, in their order.
fn arguments(workspace: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(workspace.join("argv.txt")).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// The conversation that is among an agent's arguments, and whether it is taken up.
fn conversation(arguments: &str) -> (bool, String) {
    let mut words = arguments.split(' ').skip_while(|word| !matches!(*word, "--resume" | "--session-id"));
    (words.next() == Some("--resume"), words.next().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_refresh_is_a_new_container_with_the_same_conversation_between_two_turns() {
    let (moving, mut follow) = entered(desk()).await;
    let before = moving.container().await.id.unwrap();
    follow.turn("something to remember").await;
    follow.send("sh while [ ! -e go ]; do sleep 0.1; done").await;
    follow.until("the turn runs", |view| view.turn != TurnView::Idle).await;
    follow.tab.refresh_container();
    follow.notice("when this turn has ended").await;
    assert_eq!(moving.container().await.id.unwrap(), before, "nothing is cut off");
    follow.send("and after it").await;
    std::fs::write(moving.workspace().join("go"), "").unwrap();
    let notice = follow.notice("because you asked for it").await;
    assert!(notice.contains("made anew"), "the user is told what is done, and why: {notice}");
    follow.until("what waited was delivered", |view| view.queue.is_empty()).await;
    follow.until_state(&State::Running).await;
    let after = see::until("there is one container again", PATIENCE, async || {
        let found = see::containers(Engine::shared(), "dev.gemra.managed=1").await;
        let of_us = moving.workspace().display().to_string();
        let ours: Vec<_> = found
            .into_iter()
            .filter(|one| one.labels.as_ref().and_then(|labels| labels.get("dev.gemra.workspace")) == Some(&of_us))
            .collect();
        if ours.len() == 1 { ours[0].id.clone() } else { None }
    })
    .await;
    assert_ne!(after, before, "it is a new container");
    let all = arguments(&moving.workspace());
    let (first, second) = (conversation(&all[0]), conversation(&all[1]));
    assert_eq!((all.len(), second.0), (2, true), "the second agent takes a conversation up: {all:?}");
    assert_eq!(first.1, second.1, "the same one");
    let environment = moving.container().await.config.unwrap().env.unwrap();
    let name = moving.workspace().file_name().unwrap().to_str().unwrap().to_owned();
    for expected in [format!("PROJECT_NAME={name}"), "PROJECT_PATH=/workspace".to_owned()] {
        assert!(environment.contains(&expected), "{expected} is told inside: {environment:?}");
    }
    moving.quit().await;
}

#[tokio::test]
async fn an_agent_that_crashes_is_started_again_where_the_user_wants_it_and_three_times_at_most() {
    let wishes = Wishes { restart_after_crash: Some(true), ..Wishes::default() };
    let (moving, mut follow) = entered(desk().wishes(wishes)).await;
    follow.turn("something to remember").await;
    follow.send("die 3").await;
    let notice = follow.notice("try 1 of 3").await;
    assert!(notice.contains("code 3"), "the user is told what happened: {notice}");
    follow.until("the new agent is there", |view| view.container.state == State::Starting).await;
    follow.until_state(&State::Running).await;
    let all = arguments(&moving.workspace());
    let last = conversation(all.last().unwrap());
    assert_eq!(last, (true, conversation(&all[0]).1), "the conversation is taken up: {all:?}");
    follow.turn("all is well again").await;

    // From now on each agent ends before it has answered.
    std::fs::write(moving.workspace().join("crash"), "").unwrap();
    follow.send("die 4").await;
    let view = follow.until("it gives up", |view| matches!(view.container.state, State::Error { .. })).await;
    let State::Error { failure, host_agent } = view.container.state else { unreachable!() };
    assert_eq!((failure.code, host_agent), (Code::AgentCrashed, false), "nobody takes over: {failure}");
    assert!(failure.cause.contains("3 times"), "what was tried is told: {failure}");
    let tries =
        |number: u32| follow.notices().iter().filter(|notice| notice.contains(&format!("try {number} of 3"))).count();
    assert_eq!((tries(1), tries(2), tries(3)), (2, 1, 1), "a turn that ended well began the count anew");
    moving.quit().await;
}

#[tokio::test]
async fn an_agent_that_crashes_is_an_error_where_nobody_said_otherwise() {
    let (moving, mut follow) = entered(desk()).await;
    follow.turn("complain of the weather").await;
    follow.logged("agent: of the weather").await;
    follow.send("die 3").await;
    let view = follow.until("it says so", |view| matches!(view.container.state, State::Error { .. })).await;
    follow.logged("agent: told to die").await;
    assert!(view.container.has_log, "what it said can be read while the button says error");
    assert!(matches!(view.container.state, State::Error { failure, .. } if failure.code == Code::AgentCrashed));
    assert!(!follow.notices().iter().any(|notice| notice.contains("try 1")), "nothing was tried");
    moving.quit().await;
}

#[tokio::test]
async fn memory_that_runs_out_is_told_of_a_command_and_of_the_agent() {
    let podman = Engine::shared_is_podman().await;
    let wishes = Wishes { restart_after_crash: Some(true), memory_mb: Some(300), ..Wishes::default() };
    let (moving, mut follow) = entered(desk().wishes(wishes)).await;
    let id = moving.container().await.id.unwrap();
    follow.turn("sh head -c 900m /dev/zero | tail -c 900m >/dev/null").await;
    let notice = follow.notice("A command in the container ran out of memory").await;
    assert!(notice.contains("the agent works on"), "which the agent survives: {notice}");
    follow.turn("and it answers").await;
    assert_eq!(moving.container().await.id.unwrap(), id, "in the same container");
    follow.send("eat").await;
    let notice = follow.notice("try 1 of 3").await;
    // What Podman knows of an end by memory it may lose with the container; then it is told as what it probably was.
    let probably = podman && notice.contains("probably for want of memory");
    assert!(notice.contains("out of memory") || probably, "the agent's own end is told as what it is: {notice}");
    follow.until("the new agent is there", |view| view.container.state == State::Starting).await;
    follow.until_state(&State::Running).await;
    follow.turn("and it answers again").await;
    let commands = follow.notices().iter().filter(|notice| notice.contains("A command in the container")).count();
    assert_eq!(commands, 1, "the agent's end is not told as a command's too: {:#?}", follow.notices());
    moving.quit().await;
}

#[tokio::test]
async fn a_full_or_silent_container_is_made_anew_by_itself() {
    let (moving, mut follow) = entered(desk().env("GEMRA_CHECK_MILLISECONDS", "1500")).await;
    let before = moving.container().await.id.unwrap();
    let health = follow.tab.health();
    see::until("a check is answered", PATIENCE, async || health.borrow().answered).await;
    follow.turn("deaf").await;
    let notice = follow.notice("made anew").await;
    assert!(notice.contains("did not answer"), "the user is told why: {notice}");
    follow.until_state(&State::Running).await;
    see::until("there is a new container", PATIENCE, async || {
        let found = follow.tab.held().borrow().clone();
        found.filter(|held| held.id != before).map(drop)
    })
    .await;
    follow.turn("it answers again").await;

    // What has not helped is not done again and again, and nobody is left waiting for it.
    see::until("the new one has answered a check", PATIENCE, async || follow.tab.health().borrow().answered).await;
    follow.turn("deaf").await;
    let view = follow.until("it says so", |view| matches!(view.container.state, State::Error { .. })).await;
    let State::Error { failure, host_agent } = view.container.state else { unreachable!() };
    assert_eq!((failure.code, host_agent), (Code::AgentNotStarted, false), "the user decides: {failure}");
    assert!(failure.cause.contains("nor did the one before"), "and knows why: {failure}");
    follow.tab.toggle_container(uuid::Uuid::new_v4().to_string());
    follow.until("it is tried again", |view| view.container.state == State::Starting).await;
    follow.until_state(&State::Running).await;
    follow.turn("and it answers").await;
    moving.quit().await;

    // Seldom enough for an agent that is short of memory to answer in time.
    let desk = desk().wishes(Wishes { memory_mb: Some(400), ..Wishes::default() });
    let (moving, mut follow) = entered(desk.env("GEMRA_CHECK_MILLISECONDS", "4000")).await;
    let held = follow.tab.held().borrow().clone().unwrap();
    let used = stats::now(&held.engine, &held.id).await.unwrap().memory;
    // A little less than there is, so that nothing is killed.
    let more = 400 * MEGA / 100 * 94 - used;
    follow.turn(&format!("sh (head -c {more} /dev/zero; exec sleep 9876) | tail -c {more} >/dev/null &")).await;
    let notice = follow.notice("made anew").await;
    assert!(notice.contains("of its memory was used"), "the user is told why: {notice}");
    follow.until("it is on its way", |view| view.container.state != State::Off).await;
    follow.until_state(&State::Running).await;
    follow.turn("it answers again").await;
    moving.quit().await;
}

#[tokio::test]
async fn an_agent_that_is_silent_in_its_turn_and_does_not_answer_is_told() {
    let (moving, mut follow) = entered(desk().env("GEMRA_CHECK_MILLISECONDS", "200")).await;
    let health = follow.tab.health();
    see::until("a check is answered", PATIENCE, async || health.borrow().answered).await;
    // This one says nothing and answers: it may take its time.
    follow.send("slow and steady").await;
    follow.until("the turn runs", |view| view.turn != TurnView::Idle).await;
    let began = health.borrow().answered;
    see::until("it was asked after a while, and has answered", PATIENCE, async || {
        (health.borrow().answered > began).then_some(())
    })
    .await;
    let told = |follow: &Follow| follow.notices().iter().filter(|notice| notice.contains("does not answer")).count();
    assert_eq!(told(&follow), 0, "who answers is not told of: {:#?}", follow.notices());
    follow.tab.stop_turn();
    follow.until("the turn is over", |view| view.turn == TurnView::Idle).await;
    follow.send("sh while [ ! -e go ]; do sleep 0.1; done").await;
    let notice = follow.notice("does not answer").await;
    assert!(notice.contains("said nothing for 4 seconds") && notice.contains("Stop ends its turn"), "{notice}");
    std::fs::write(moving.workspace().join("go"), "").unwrap();
    follow.until("the turn is over", |view| view.turn == TurnView::Idle).await;
    follow.turn("it goes on").await;
    assert_eq!(told(&follow), 1, "it is told once: {:#?}", follow.notices());
    follow.until_state(&State::Running).await;
    moving.quit().await;
}

#[tokio::test]
async fn what_is_held_is_listed_and_only_what_is_ours_and_unused_goes() {
    let lab = Lab::open().await;
    let mark = uuid::Uuid::new_v4().simple().to_string();
    let used = lab.agent_image().await;
    let unused =
        lab.image(lab.ingredients(lab.scripted(&format!("RUN echo {mark} >/mark")), (1000, 1000))).await.unwrap();
    let wish = lab.wish(&used, lab::user());
    let process = lab.start(&wish).await;
    let api = Engine::shared().api();
    let volume = |name: String, ours: bool| {
        let mut labels = std::collections::HashMap::from([("dev.gemra.workspace".to_owned(), mark.clone())]);
        if ours {
            labels.insert("dev.gemra.managed".to_owned(), "1".to_owned());
        }
        let request = VolumeCreateRequest { name: Some(name), labels: Some(labels), ..VolumeCreateRequest::default() };
        api.create_volume(request)
    };
    let [own, strange] = ["gemra-folder", "somebodys"].map(|kind| format!("{kind}-{mark}"));
    volume(own.clone(), true).await.unwrap();
    volume(strange.clone(), false).await.unwrap();

    let containers = holdings::containers(&lab.engine, Some(&lab.instance)).await.unwrap();
    assert_eq!(containers.len(), 1, "the one that runs: {containers:?}");
    assert_eq!((containers[0].tab.as_str(), containers[0].state.as_str()), ("t1", "running"), "whose it is, and how");
    assert!(holdings::memory(&lab.engine, &containers[0]).await.is_some_and(|bytes| bytes > 0), "and what it uses");
    let all = holdings::all(&lab.engine).await.unwrap();
    let find = |kind: Kind, name: &str| all.iter().find(|one| one.kind == kind && one.name.contains(name)).cloned();
    let tag = |image: &gemra_core::container::image::Image| image.tag.clone();
    assert!(find(Kind::Image, &tag(&used)).is_some_and(|one| one.used && one.size > Some(0)), "an image in use");
    assert!(find(Kind::Image, &tag(&unused)).is_some_and(|one| !one.used), "and one that is not");
    assert!(find(Kind::Container, &containers[0].name).is_some_and(|one| one.used), "the container is in use");
    assert!(find(Kind::Volume, &own).is_some_and(|one| !one.used), "a volume that nothing mounts");
    assert!(find(Kind::Volume, &own).is_some_and(|one| one.size.is_some()), "with its size: {all:?}");
    assert!(find(Kind::Volume, &strange).is_none(), "what is not ours is not even listed");
    let shared = format!("gemra-claude-{}", wish.uid);
    assert!(
        find(Kind::Volume, &shared).is_some_and(|one| one.used && one.workspace.is_none()),
        "all projects share it"
    );

    // Other tests' things are unused at times too: only this one's are chosen.
    let mine: Vec<_> =
        all.iter().filter(|one| [tag(&used), tag(&unused), shared.clone()].contains(&one.name)).cloned().collect();
    assert_eq!(mine.len(), 3, "they were listed: {mine:?}");
    let pruned = holdings::prune(&lab.engine, &mine, |_| None).await.unwrap();
    let names: Vec<_> = pruned.removed.iter().map(|one| one.name.clone()).collect();
    assert_eq!((names, pruned.stayed), (vec![tag(&unused)], vec![]), "what is used stays");
    let pruned = holdings::clean_volumes(&lab.engine, &mark, |_| None).await.unwrap();
    assert_eq!(pruned.removed.iter().map(|one| one.name.clone()).collect::<Vec<_>>(), [own], "the project's own");
    api.inspect_volume(&strange).await.expect("somebody's volume is somebody's");
    api.remove_volume(&strange, None::<bollard::query_parameters::RemoveVolumeOptions>).await.unwrap();

    holdings::stop(&lab.engine, &containers[0].id).await.unwrap();
    process.stop.gone().await;
    let error = holdings::stop(&lab.engine, &containers[0].id).await.unwrap_err().to_string();
    assert!(error.contains("none of Gemra's"), "nothing else is stopped: {error}");
}

#[tokio::test]
async fn a_turn_on_the_host_waits_until_what_another_tabs_container_wrote_was_looked_at() {
    let (moving, mut inside) = entered(desk()).await;
    let workspace = moving.workspace();
    let id = moving.app().open_tab("beside", workspace.display().to_string()).await.unwrap();
    let mut beside = Follow::of(moving.app().tab(&id).unwrap()).await;
    // It begins where the project's last agent was.
    beside.until_state(&State::Running).await;
    beside.tab.toggle_container(uuid::Uuid::new_v4().to_string());
    beside.until_state(&State::Off).await;
    // A tab in a folder that a container may write to is looked at before it starts at all.
    beside.turn("say nothing has changed").await;
    inside.turn("sh echo evil >.envrc; mkdir -p lib/.git/hooks; echo evil >lib/.git/hooks/post-checkout").await;
    beside.send("say hello").await;
    let view = beside.until("the user is asked", |view| view.guard.is_some()).await;
    let names: Vec<_> =
        view.guard.unwrap().iter().map(|one| one.path.strip_prefix(&workspace).unwrap().to_path_buf()).collect();
    assert_eq!(names, [Path::new(".envrc"), Path::new("lib/.git/hooks/post-checkout")], "both are shown");
    assert_eq!(view.container.state, State::Stopping { host_agent: false }, "and nobody works on the host");
    assert_eq!(view.queue.len(), 1, "the message waits");
    inside.turn("sh echo worse >.envrc").await;
    beside.tab.answer_guard(true, None);
    let view = beside
        .until("what was not shown is asked about", |view| {
            view.guard.as_ref().is_some_and(|changes| {
                changes.len() == 1 && changes[0].hunks.iter().any(|hunk| hunk.lines.contains(&"+worse".to_owned()))
            })
        })
        .await;
    beside.tab.answer_guard(false, Some(view.guard.unwrap()[0].path.clone()));
    beside.until("the message is delivered", |view| view.guard.is_none() && view.queue.is_empty()).await;
    beside.until_state(&State::Off).await;
    assert!(!workspace.join(".envrc").exists(), "what was reverted is gone");
    assert!(workspace.join("lib/.git/hooks/post-checkout").exists(), "what was kept is not");
    moving.quit().await;
}
