//! Containers with an agent in them, at a real engine: how they are made, what they may, how they end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gemra_core::container::image::{Image, Source};
use gemra_core::container::run::{self, Phase, RunError, why};
use gemra_core::container::spec::{self, Network, wrapper};
use gemra_core::failure::{Code, Failure};
use gemra_core::process::{Output, Process};
use tests::engine::lab::{self, Lab, ask, next_line};
use tests::engine::{Engine, Kind, see};
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_mins(2);

/// No container of the lab's exists, now or in a moment.
async fn nothing_is_left(lab: &Lab, after: &str) {
    let found = see::containers(Engine::shared(), &lab.label()).await;
    assert!(found.is_empty(), "after {after} nothing is left, but there is {:?}", found[0].names);
}

fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn every_option_reaches_the_engine() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    let (uid, gid) = lab::user();
    let mut wish = lab.wish(&image, (uid, gid));
    wish.git_common_dir = Some(lab.folder("repository", (uid, gid)));
    wish.limits.memory = Some(512 << 20);
    wish.limits.cpu_thousandths = Some(1500);
    wish.limits.pids = Some(321);
    wish.args = vec!["--resume".to_owned(), "two words".to_owned()];
    let prepared = lab.prepare(&wish).await.unwrap();
    // An init process is a part of Docker; Podman has one where a further package is installed.
    let init = if prepared.notes.is_empty() { Some(true) } else { None };
    assert!(init.is_some() || Kind::of_this_run() == Kind::Podman, "nothing is done otherwise: {:?}", prepared.notes);
    assert!(prepared.notes.iter().all(|note| note.contains("init process")), "or nothing else: {:?}", prepared.notes);
    let seen = see::inspect(Engine::shared(), &prepared.id).await;
    let name = format!("/gemra-t1-{}", wish.short_id);
    assert_eq!(seen.name.as_deref(), Some(name.as_str()), "the name says whose it is");
    let config = seen.config.unwrap();
    assert_eq!(config.user.as_deref(), Some(format!("{uid}:{gid}").as_str()), "the user");
    assert_eq!(config.working_dir.as_deref(), Some("/workspace"), "the folder");
    assert_eq!((config.open_stdin, config.tty), (Some(true), Some(false)), "streams");
    // Podman does it, as a killed Gemra shows, and does not tell.
    let once = config.stdin_once == Some(true);
    assert!(once || Kind::of_this_run() == Kind::Podman, "stdin ends with whoever is attached");
    let labels = config.labels.unwrap();
    let expected = [
        ("dev.gemra.managed", "1"),
        ("dev.gemra.instance", lab.instance.as_str()),
        ("dev.gemra.tab", "t1"),
        ("dev.gemra.workspace", wish.owner.workspace.as_str()),
    ];
    for (label, value) in expected {
        assert_eq!(labels.get(label).map(String::as_str), Some(value), "label {label}");
    }
    let host = seen.host_config.unwrap();
    assert_eq!(host.network_mode.as_deref(), Some("host"), "the network");
    assert_eq!(host.init.filter(|init| *init), init, "an init process, or a note");
    assert_eq!(host.auto_remove, Some(true), "gone at the end");
    // Podman names each that it takes away; what the agent has left is looked at below.
    let dropped = host.cap_drop.unwrap_or_default();
    let all = dropped == ["ALL"] || Kind::of_this_run() == Kind::Podman && dropped.contains(&"CHOWN".to_owned());
    assert!(all, "no capabilities: {dropped:?}");
    assert!(host.security_opt.unwrap().contains(&"no-new-privileges".to_owned()), "no new privileges");
    assert_eq!((host.memory, host.memory_swap), (Some(512 << 20), Some(512 << 20)), "memory, and no swap on top");
    assert_eq!((host.nano_cpus, host.pids_limit), (Some(1_500_000_000), Some(321)), "processors and processes");
    assert_eq!(host.log_config.unwrap().typ.as_deref(), Some("none"), "no log");
    let mounts: Vec<(String, String)> = seen
        .mounts
        .unwrap()
        .into_iter()
        .map(|mount| (mount.name.or(mount.source).unwrap(), mount.destination.unwrap()))
        .collect();
    let path = |path: &std::path::Path| path.display().to_string();
    let workspace = path(&wish.workspace);
    let repository = path(wish.git_common_dir.as_ref().unwrap());
    for pair in [
        (workspace.clone(), "/workspace".to_owned()),
        (workspace.clone(), workspace),
        (repository.clone(), repository),
        (path(&wish.session_bucket), "/home/node/.claude/projects/-workspace".to_owned()),
        (format!("gemra-claude-{uid}"), "/home/node/.claude".to_owned()),
        (format!("gemra-cache-{uid}"), "/home/node/.cache".to_owned()),
    ] {
        assert!(mounts.contains(&pair), "{pair:?} is mounted: {mounts:?}");
    }
    assert_eq!(mounts.len(), 6, "and nothing else of the host: {mounts:?}");

    // What the agent itself sees of it.
    let mut process = prepared.release(&BTreeMap::new(), &[]).unwrap();
    assert_eq!(ask(&mut process, "pwd").await, "/workspace", "where it works");
    assert_eq!(ask(&mut process, "id -u").await, uid.to_string(), "who it is");
    assert_eq!(ask(&mut process, "echo \"$1|$2\"").await, "--resume|two words", "its arguments");
    assert_eq!(ask(&mut process, "grep CapEff /proc/self/status").await, "CapEff:\t0000000000000000", "no powers");
    assert_eq!(ask(&mut process, "grep NoNewPrivs /proc/self/status").await, "NoNewPrivs:\t1", "and none to gain");
    assert_eq!(ask(&mut process, "test -e /var/run/docker.sock; echo $?").await, "1", "no engine inside");
    assert_eq!(ask(&mut process, "echo $HOME $CLAUDE_CONFIG_DIR").await, "/home/node /home/node/.claude", "its home");
    process.stop.stop().await;
    nothing_is_left(&lab, "a stop").await;
}

#[tokio::test]
async fn secrets_reach_the_agent_and_nobody_else() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    let secret = format!("s3cret-{}'\"$HOME\nsecond line", lab.instance);
    let prepared = lab.prepare(&lab.wish(&image, lab::user())).await.unwrap();
    let id = prepared.id.clone();
    let mut process = prepared.release(&variables(&[("ANTHROPIC_API_KEY", &secret), ("PLAIN", "x")]), &[]).unwrap();
    assert_eq!(
        ask(&mut process, "printf '%s|\\n' \"$ANTHROPIC_API_KEY\"").await,
        secret.lines().next().unwrap(),
        "whole"
    );
    assert_eq!(next_line(&mut process).await, "second line|", "with its newline");
    let needle = format!("s3cret-{}", lab.instance);
    let seen = format!("{:?}", see::inspect(Engine::shared(), &id).await);
    assert!(!seen.contains(&needle), "inspect does not show it");
    let listed = see::processes(Engine::shared(), &id).await.join("\n");
    assert!(listed.contains("/usr/local/bin/claude") && !listed.contains(&needle), "nor the processes: {listed}");
    process.stop.stop().await;
}

#[tokio::test]
async fn the_agent_waits_for_its_release() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    let prepared = lab.prepare(&lab.wish(&image, lab::user())).await.unwrap();
    let listed = see::processes(Engine::shared(), &prepared.id).await.join("\n");
    assert!(
        listed.contains("gemra") && !listed.contains("/usr/local/bin/claude"),
        "the container runs alone: {listed}"
    );
    prepared.discard().await;
    nothing_is_left(&lab, "a discard").await;
    let prepared = lab.prepare(&lab.wish(&image, lab::user())).await.unwrap();
    let error = prepared.release(&variables(&[("NOT-A-NAME", "x")]), &[]).unwrap_err();
    assert!(matches!(error, RunError::Spec(_)), "a name that cannot be: {error:?}");
    see::until("a container that could not be released goes", SOON, async || {
        see::containers(Engine::shared(), &lab.label()).await.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn files_belong_to_the_workspaces_owner() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    for owner in lab::owners() {
        let wish = lab.wish(&image, owner);
        std::fs::write(wish.workspace.join("from-the-host"), "hello\n").unwrap();
        let mut process = lab.start(&wish).await;
        assert_eq!(ask(&mut process, "cat from-the-host").await, "hello", "{owner:?} reads the workspace");
        let own = format!("cd {} && pwd", wish.workspace.display());
        assert_eq!(ask(&mut process, &own).await, wish.workspace.display().to_string(), "at its own path too");
        assert_eq!(ask(&mut process, "cd /workspace; echo x >made && echo ok").await, "ok", "{owner:?} writes");
        let session = "echo x >$CLAUDE_CONFIG_DIR/projects/-workspace/s.jsonl && echo ok";
        assert_eq!(ask(&mut process, session).await, "ok", "{owner:?} writes the session");
        let volumes = "touch $CLAUDE_CONFIG_DIR/x $CLAUDE_CONFIG_DIR/projects/y $HOME/.cache/z && echo ok";
        assert_eq!(ask(&mut process, volumes).await, "ok", "{owner:?} has volumes of its own");
        process.stop.stop().await;
        assert_eq!(lab::owner_of(&wish.workspace.join("made")), owner, "the file is the owner's");
        assert_eq!(lab::owner_of(&wish.session_bucket.join("s.jsonl")), owner, "and so is the session");
    }
}

/// Starts, lets the agent do something, and gives why it ended.
async fn ends_with(lab: &Lab, image: &Image, memory: Option<u64>, line: &str) -> RunError {
    let mut wish = lab.wish(image, lab::user());
    wish.limits.memory = memory.or(wish.limits.memory);
    let process = lab.start(&wish).await;
    process.input.send(line.to_owned());
    let exit = tokio::time::timeout(SOON, process.stop.gone()).await.expect("it ends by itself");
    why(&exit)
}

/// True where the engine has only told that somebody killed it: Podman does not say why.
fn untold(error: &RunError) -> bool {
    matches!(error, RunError::ProbablyOutOfMemory { .. })
}

#[tokio::test]
async fn an_end_says_its_cause() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    let error = ends_with(&lab, &image, None, "echo last words >&2; exit 3").await;
    let RunError::Crashed { code, stderr } = error else { panic!("it ended by itself: {error:?}") };
    assert_eq!((code, stderr.as_str()), (Some(3), "last words"), "with its code and its last words");
    let error = ends_with(&lab, &image, Some(64 << 20), "exec tail /dev/zero").await;
    let told = lab.engine.about().podman == (Kind::of_this_run() == Kind::Podman);
    assert!(told, "the engine is the one that this run asks for: {:?}", lab.engine.about());
    let podman = lab.engine.about().podman;
    let by_memory = matches!(error, RunError::OutOfMemory { .. });
    assert!(by_memory || podman && untold(&error), "the agent itself ran out of memory: {error:?}");
    // Without an init process the agent is the first process, which nobody inside can kill.
    if !podman {
        let error = ends_with(&lab, &image, None, "kill -9 $$").await;
        assert!(matches!(error, RunError::KilledExternally { .. }), "a kill without want of memory: {error:?}");
    }
    nothing_is_left(&lab, "ends of all kinds").await;
}

#[tokio::test]
async fn a_command_that_runs_out_of_memory_is_not_the_agents_end() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    let mut wish = lab.wish(&image, lab::user());
    wish.limits.memory = Some(64 << 20);
    let mut process = lab.start(&wish).await;
    assert_eq!(ask(&mut process, "tail /dev/zero; echo $?").await, "137", "the command was killed, the agent not");
    process.input.send("exit 5".to_owned());
    let exit = process.stop.gone().await;
    assert_eq!((exit.code, exit.out_of_memory), (Some(5), false), "its own end is its own");
}

#[tokio::test]
async fn killed_from_outside_is_told() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    let prepared = lab.prepare(&lab.wish(&image, lab::user())).await.unwrap();
    let id = prepared.id.clone();
    let mut process = prepared.release(&BTreeMap::new(), &[]).unwrap();
    ask(&mut process, "echo ready").await;
    see::remove(Engine::shared(), &id).await;
    let exit = tokio::time::timeout(SOON, process.stop.gone()).await.expect("the end is noticed");
    let failure = Failure::from(&why(&exit));
    let told = if lab.engine.about().podman { Code::OutOfMemory } else { Code::KilledExternally };
    assert_eq!(failure.code, told, "docker rm -f: {exit:?}");
    nothing_is_left(&lab, "docker rm -f").await;
}

#[tokio::test]
async fn an_image_without_the_agent_is_named() {
    let lab = Lab::open().await;
    let image = lab.image(lab.ingredients(lab.source("FROM node:22-bookworm\n"), (1000, 1000))).await.unwrap();
    let process = lab.start(&lab.wish(&image, lab::user())).await;
    let exit = process.stop.gone().await;
    let failure = Failure::from(&why(&exit));
    assert_eq!(failure.code, Code::AgentMissing, "{exit:?}");
    assert!(exit.stderr.contains(wrapper::AGENT_MISSING), "in words, too");
    assert!(failure.action.contains("Dockerfile.claude"), "with what to do: {}", failure.action);
}

#[tokio::test]
async fn an_image_without_a_shell_is_named() {
    let lab = Lab::open().await;
    std::fs::write(lab.folder("workspace", lab::ids()).join("nothing.txt"), "x").unwrap();
    let source = lab.source("FROM scratch\nCOPY nothing.txt /\n");
    let image = lab.image(lab.ingredients(source, (1000, 1000))).await.unwrap();
    let error = match lab.prepare(&lab.wish(&image, lab::user())).await {
        // With an init process inside, it is that which finds no shell.
        Ok(prepared) => why(&prepared.release(&BTreeMap::new(), &[]).unwrap().stop.gone().await),
        Err(error) => error,
    };
    let failure = Failure::from(&error);
    assert_eq!(failure.code, Code::StartFailed, "{error:?}");
    assert!(failure.cause.contains("/bin/sh"), "what is missing is named: {}", failure.cause);
    nothing_is_left(&lab, "a start without a shell").await;
}

#[tokio::test]
async fn what_cannot_start_says_why_and_leaves_nothing() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    let mut missing_mount = lab.wish(&image, lab::user());
    missing_mount.session_bucket = "/nowhere/at/all".into();
    let mut missing_image = lab.wish(&image, lab::user());
    missing_image.image = format!("gemra-claude:gone{}", &lab.instance[..6]);
    let cases = [
        ("a folder that is not there", missing_mount, Code::BadMount, "/nowhere/at/all"),
        ("an image that is gone", missing_image, Code::ImageMissing, "gone"),
    ];
    for (what, wish, code, part) in cases {
        let error = lab.prepare(&wish).await.expect_err(what);
        let failure = Failure::from(&error);
        assert_eq!(failure.code, code, "{what}: {error:?}");
        assert!(failure.cause.contains(part), "{what} names {part:?}: {}", failure.cause);
        nothing_is_left(&lab, what).await;
    }
}

#[tokio::test]
async fn a_name_that_is_taken_is_freed_if_it_is_ours_alone() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    let wish = lab.wish(&image, lab::user());
    let first = lab.prepare(&wish).await.unwrap();
    let second = lab.prepare(&wish).await.expect("a leftover of the same tab gives way");
    let mut ended = first.exit();
    tokio::time::timeout(SOON, ended.wait_for(Option::is_some)).await.expect("the first is gone").unwrap();
    let mut foreign = wish.clone();
    foreign.owner.tab = "t1".to_owned();
    foreign.owner.instance = "somebody-else".to_owned();
    let error = lab.prepare(&foreign).await.unwrap_err();
    assert!(matches!(error, RunError::NameConflict { .. }), "another's container is left alone: {error:?}");
    second.discard().await;
}

#[tokio::test]
async fn stop_is_kind_first_and_firm_in_the_end() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    let mut process = lab.start(&lab.wish(&image, lab::user())).await;
    ask(&mut process, "trap 'echo terminated >&2' TERM; echo ready").await;
    let exit = process.stop.stop().await;
    assert_eq!((exit.code, exit.stderr.as_str()), (Some(0), ""), "the end of its input is enough for a healthy agent");

    let mut process = lab.start(&lab.wish(&image, lab::user())).await;
    ask(&mut process, "echo ready").await;
    process.input.send("trap 'exit 9' TERM; while :; do sleep 0.1; done".to_owned());
    let exit = process.stop.stop().await;
    assert_eq!(exit.code, Some(9), "then comes SIGTERM, after the grace");

    let mut process = lab.start(&lab.wish(&image, lab::user())).await;
    ask(&mut process, "echo ready").await;
    process.input.send("trap '' TERM; while :; do sleep 0.1; done".to_owned());
    let began = Instant::now();
    let exit = process.stop.stop().await;
    assert_eq!(exit.code, Some(137), "then SIGKILL");
    assert!(began.elapsed() < Duration::from_secs(15), "in bounded time: {:?}", began.elapsed());

    let mut process = lab.start(&lab.wish(&image, lab::user())).await;
    ask(&mut process, "echo ready").await;
    process.input.send("trap '' TERM; while :; do sleep 0.1; done".to_owned());
    let began = Instant::now();
    process.stop.kill();
    process.stop.gone().await;
    assert!(began.elapsed() < Duration::from_secs(4), "a kill waits for no grace: {:?}", began.elapsed());
    nothing_is_left(&lab, "stops of all kinds").await;
}

#[tokio::test]
async fn dropping_the_process_removes_the_container() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    let mut process = lab.start(&lab.wish(&image, lab::user())).await;
    ask(&mut process, "trap '' TERM; echo ready").await;
    drop(process);
    see::until("nobody holds it, so it goes", SOON, async || {
        see::containers(Engine::shared(), &lab.label()).await.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_start_that_is_cancelled_leaves_nothing() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    for wanted in [Phase::Volumes, Phase::Create, Phase::Attach, Phase::Start] {
        let cancel = CancellationToken::new();
        let at_phase = cancel.clone();
        let plan = spec::plan(&lab.wish(&image, lab::user())).unwrap();
        let phase = move |phase| {
            if phase == wanted {
                at_phase.cancel();
            }
        };
        let error = run::prepare(&lab.engine, plan, &cancel, phase).await.unwrap_err();
        assert!(matches!(error, RunError::Cancelled), "cancelled at {wanted:?}: {error:?}");
        nothing_is_left(&lab, "a cancelled start").await;
    }
    // The same for a caller that goes away without a word.
    let plan = spec::plan(&lab.wish(&image, lab::user())).unwrap();
    let (started, begun) = tokio::sync::oneshot::channel();
    let started = std::sync::Mutex::new(Some(started));
    let engine = lab.engine.clone();
    let caller = tokio::spawn(async move {
        run::prepare(&engine, plan, &CancellationToken::new(), move |phase| {
            if phase == Phase::Start
                && let Some(started) = started.lock().unwrap().take()
            {
                let _ = started.send(());
            }
        })
        .await
    });
    begun.await.unwrap();
    caller.abort();
    see::until("nobody wants it, so it goes", SOON, async || {
        see::containers(Engine::shared(), &lab.label()).await.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_agent_that_floods_is_drained_and_can_be_stopped() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    let process = lab.start(&lab.wish(&image, lab::user())).await;
    // 50 MB that nobody takes out of the queue: far more than any buffer on the way.
    process.input.send("head -c 50000000 /dev/zero | tr '\\0' x | fold -w 999; echo; echo end".to_owned());
    process.input.send("exec sleep 600".to_owned());
    let mut process = process;
    let mut bytes = 0;
    loop {
        match tokio::time::timeout(Duration::from_mins(1), process.output.recv()).await {
            Ok(Some(Output::Line { text, .. })) if text == "end" => break,
            Ok(Some(Output::Line { text, .. })) => bytes += text.len(),
            other => panic!("the flood goes on to its end, not {other:?} after {bytes} bytes"),
        }
    }
    assert_eq!(bytes, 50_000_000, "every byte arrived");
    let began = Instant::now();
    process.stop.kill();
    process.stop.gone().await;
    assert!(began.elapsed() < Duration::from_secs(5), "and it stops at once: {:?}", began.elapsed());

    let flooding = lab.start(&lab.wish(&image, lab::user())).await;
    flooding.input.send("while :; do head -c 1000000 /dev/zero | tr '\\0' x | fold -w 999; done".to_owned());
    flooded(&flooding).await;
    let began = Instant::now();
    flooding.stop.stop().await;
    assert!(began.elapsed() < Duration::from_secs(15), "one that never ends stops too: {:?}", began.elapsed());
    nothing_is_left(&lab, "floods").await;
}

/// Waits until much more has come than any buffer on the way holds, without taking it.
async fn flooded(process: &Process) {
    see::until("the flood comes", SOON, async || (process.output.len() > 10_000).then_some(())).await;
}

#[tokio::test]
async fn long_lines_and_split_characters_arrive_whole() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    let mut process = lab.start(&lab.wish(&image, lab::user())).await;
    process.input.send("head -c 10000000 /dev/zero | tr '\\0' y; echo".to_owned());
    assert_eq!(next_line(&mut process).await.len(), 10_000_000, "ten megabytes in one line");
    process.input.send("printf 'a\\303'; sleep 0.1; echo noise >&2; printf '\\274b\\n'".to_owned());
    assert_eq!(next_line(&mut process).await, "aüb", "a character in two pieces, stderr in between");
    let long = "z".repeat(2_000_000);
    process.input.send(format!("printf '%s' {long} | wc -c"));
    assert_eq!(next_line(&mut process).await.trim(), "2000000", "and the same on the way in");
    process.stop.stop().await;
}

#[tokio::test]
async fn services_on_the_hosts_loopback_are_reached_by_both_names() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            use tokio::io::AsyncWriteExt as _;
            let _ = stream.write_all(b"hello from the host\n").await;
        }
    });
    let mut process = lab.start(&lab.wish(&image, lab::user())).await;
    for name in ["127.0.0.1", "host.docker.internal"] {
        let connect = format!("node -e \"require('net').connect({port}, '{name}').pipe(process.stdout)\"");
        assert_eq!(ask(&mut process, &connect).await, "hello from the host", "by {name}");
    }
    process.stop.stop().await;
    let mut wish = lab.wish(&image, lab::user());
    wish.network = Network::Bridge;
    let mut process = lab.start(&wish).await;
    let hosts = ask(&mut process, "grep -c host.docker.internal /etc/hosts").await;
    assert_eq!(hosts, "1", "on a bridge the host has a name as well");
    process.stop.stop().await;
}

#[tokio::test]
async fn ten_starts_and_stops_leave_nothing() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    for round in 0..10 {
        let mut process = lab.start(&lab.wish(&image, lab::user())).await;
        assert_eq!(ask(&mut process, "echo $((1 + 1))").await, "2", "round {round} works");
        assert_eq!(process.stop.stop().await.code, Some(0), "round {round} ends well");
        nothing_is_left(&lab, "a stop").await;
    }
}

/// The real CLI in the image that Gemra brings along: it answers, as a user of its own and as root.
#[tokio::test]
async fn the_real_agent_answers_in_its_container() {
    let lab = Lab::open().await;
    for owner in lab::owners() {
        let mut ingredients = lab.ingredients(Source::embedded(), owner);
        ingredients.cli_version = Some("2.1.329".to_owned());
        let image = lab.image(ingredients).await.unwrap();
        let mut wish = lab.wish(&image, owner);
        let args = [
            "-p",
            "--input-format",
            "stream-json",
            "--output-format",
            "stream-json",
            "--verbose",
            "--include-partial-messages",
            "--permission-prompt-tool",
            "stdio",
        ];
        wish.args = args.map(str::to_owned).to_vec();
        let prepared = lab.prepare(&wish).await.unwrap();
        let key = variables(&[("ANTHROPIC_API_KEY", "made-up"), ("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")]);
        let mut process = prepared.release(&key, &[]).unwrap();
        let hello = r#"{"type":"control_request","request_id":"1","request":{"subtype":"initialize"}}"#;
        let answer = ask(&mut process, hello).await;
        assert!(answer.contains(r#""subtype":"success""#), "as {owner:?} it says {answer:.300}");
        let exit = process.stop.stop().await;
        assert!(exit.code.is_some(), "it ends when its input does: {exit:?}");
    }
    nothing_is_left(&lab, "the real agent").await;
}
