//! Which engine Gemra finds, and what it says where there is none: against a real engine, dead sockets and other users.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use gemra_core::container::engine::address::Certificates;
use gemra_core::container::engine::{Address, Engine as CoreEngine, EngineError, Places};
use gemra_core::environment::Environment;
use gemra_core::failure::{Code, Failure};
use tests::engine::Engine;
use tests::{needs, spawn};

/// The user `nobody`, whom every Debian has.
const NOBODY: u32 = 65534;

fn context(folder: &Path, name: &str, host: &str) {
    let meta = folder.join("contexts/meta/abc");
    std::fs::create_dir_all(&meta).expect("the temp folder is ours");
    let text = format!(r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}"}}}}}}"#);
    std::fs::write(meta.join("meta.json"), text).expect("the temp folder is ours");
    std::fs::write(folder.join("config.json"), format!(r#"{{"currentContext":"{name}"}}"#))
        .expect("the temp folder is ours");
}

/// What it is, the setting, the environment, and where the engine was named or why there is none.
type Case<'a> = (&'a str, Option<&'a str>, Vec<(&'a str, &'a str)>, Result<&'a str, Code>);

#[tokio::test]
async fn what_is_named_is_final() {
    let alive = Engine::shared().address();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    context(folder.path(), "mine", alive);
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let empty = empty.to_str().unwrap();
    // A socket that nobody listens on any more, as a daemon leaves it behind.
    let dead = folder.path().join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    let dead = format!("unix://{}", dead.display());
    let gone = format!("unix://{path}/gone.sock");
    let file = folder.path().join("file.sock");
    std::fs::write(&file, "").unwrap();
    let file = format!("unix://{}", file.display());

    let cases: Vec<Case<'_>> = vec![
        ("the setting", Some(alive), vec![("DOCKER_HOST", &dead)], Ok("the settings")),
        ("DOCKER_HOST", None, vec![("DOCKER_HOST", alive)], Ok("DOCKER_HOST")),
        (
            "DOCKER_CONTEXT",
            None,
            vec![("DOCKER_CONTEXT", "mine"), ("DOCKER_CONFIG", path)],
            Ok("DOCKER_CONTEXT (mine)"),
        ),
        ("the current context", None, vec![("DOCKER_CONFIG", path)], Ok("the current context")),
        ("a dead setting", Some(&dead), vec![("DOCKER_HOST", alive)], Err(Code::EngineNotRunning)),
        (
            "a dead DOCKER_HOST",
            None,
            vec![("DOCKER_HOST", &dead), ("DOCKER_CONFIG", path)],
            Err(Code::EngineNotRunning),
        ),
        ("a DOCKER_HOST that is gone", None, vec![("DOCKER_HOST", &gone)], Err(Code::EngineNotRunning)),
        ("a file that is no socket", None, vec![("DOCKER_HOST", &file)], Err(Code::EngineNotRunning)),
        ("a port that nobody has", None, vec![("DOCKER_HOST", "tcp://127.0.0.1:1")], Err(Code::EngineNotRunning)),
        ("nonsense", None, vec![("DOCKER_HOST", "nonsense")], Err(Code::EngineBadAddress)),
        (
            "a context that is gone",
            None,
            vec![("DOCKER_CONTEXT", "x"), ("DOCKER_CONFIG", empty)],
            Err(Code::EngineBadAddress),
        ),
        (
            "an ssh that reaches nobody",
            None,
            vec![("DOCKER_HOST", "ssh://127.0.0.1:1"), ("PATH", "/usr/bin")],
            Err(Code::EngineNotRunning),
        ),
        (
            "a TLS without certificates",
            None,
            vec![("DOCKER_HOST", "tcp://127.0.0.1:1"), ("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", empty)],
            Err(Code::EngineBadAddress),
        ),
    ];
    for (what, setting, environment, expected) in cases {
        let found = CoreEngine::find(setting, &Environment::of(environment)).await;
        match (found, expected) {
            (Ok(engine), Ok(origin)) => {
                assert!(engine.origin().starts_with(origin), "{what} is found at {}", engine.origin());
                assert_eq!(engine.address().to_string(), alive, "{what} leads to the engine");
            }
            (Err(error), Err(code)) => {
                let failure = Failure::from(&error);
                assert_eq!(failure.code, code, "{what}: {error}");
                assert!(!failure.action.is_empty(), "{what} has a next step");
            }
            (found, expected) => panic!("{what} gave {found:?}, not {expected:?}"),
        }
    }
}

#[tokio::test]
async fn the_address_that_was_tried_is_told() {
    let error = CoreEngine::find(Some("unix:///nowhere/x.sock"), &Environment::default()).await.unwrap_err();
    assert!(error.to_string().contains("unix:///nowhere/x.sock"), "in the cause: {error}");
    let EngineError::NotRunning { tried } = error else { panic!("a dead engine is not running: {error:?}") };
    assert_eq!(tried[0].origin, "the settings", "and where it was named");
}

#[tokio::test]
async fn what_answers_and_is_no_engine_is_named_so() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let _ = stream.read(&mut [0; 1024]).await;
            let _ =
                stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnope").await;
        }
    });
    let error = CoreEngine::find(Some(&address), &Environment::default()).await.unwrap_err();
    assert!(matches!(error, EngineError::NotAnEngine { .. }), "a web server is no engine: {error:?}");
}

#[tokio::test]
async fn an_engine_that_hangs_is_given_two_seconds() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let holder = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let began = std::time::Instant::now();
    let error = CoreEngine::find(Some(&address), &Environment::default()).await.unwrap_err();
    holder.abort();
    assert!(matches!(error, EngineError::NotRunning { .. }), "it does not answer: {error:?}");
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "nobody waits longer: {:?}", began.elapsed());
}

/// A stand-in that answers as an engine does, and notes what it is asked. Aborted, it is gone.
async fn noted() -> (String, Arc<Mutex<Vec<String>>>, tokio::task::JoinHandle<()>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = format!("tcp://{}", listener.local_addr().expect("it is bound"));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&asked);
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap_or_default();
            let line = String::from_utf8_lossy(&request[..length]).lines().next().unwrap_or_default().to_owned();
            let what = line.split([' ', '/']).rfind(|part| ["_ping", "version", "info"].contains(part));
            notes.lock().expect("nobody panics with it").push(what.unwrap_or(&line).to_owned());
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 2";
            let _ = stream.write_all(format!("{head}\r\n\r\n{{}}").as_bytes()).await;
        }
    });
    (address, asked, task)
}

#[tokio::test]
async fn an_engine_that_is_known_is_only_asked_whether_it_is_there() {
    let (address, asked, task) = noted().await;
    let (elsewhere, asked_elsewhere, _other) = noted().await;
    let environment = Environment::default();
    let take = |notes: &Mutex<Vec<String>>| {
        let mut notes = std::mem::take(&mut *notes.lock().unwrap());
        notes.sort_unstable();
        notes
    };
    let first = CoreEngine::find(Some(&address), &environment).await.unwrap();
    assert_eq!(take(&asked), ["_ping", "info", "version"], "one that is new says who it is");
    let again = CoreEngine::find_again(Some(&first), Some(&address), &environment).await.unwrap();
    assert_eq!(take(&asked), ["_ping"], "one that is known says that it is there");
    assert_eq!(again.about(), first.about(), "and is what it was");
    let other = CoreEngine::find_again(Some(&first), Some(&elsewhere), &environment).await.unwrap();
    assert_eq!(take(&asked_elsewhere), ["_ping", "info", "version"], "another one is new");
    assert_eq!(other.address().to_string(), elsewhere, "and is the one that is meant now");
    assert_eq!(take(&asked), Vec::<String>::new(), "the known one is not asked for it");
    task.abort();
    // The port is free again only when the task has been dropped.
    let _ = task.await;
    let error = CoreEngine::find_again(Some(&first), Some(&address), &environment).await.unwrap_err();
    assert!(matches!(error, EngineError::NotRunning { .. }), "one that is gone is gone, known or not: {error:?}");
}

#[tokio::test]
async fn the_engine_says_who_it_is() {
    let engine = CoreEngine::find(Some(Engine::shared().address()), &Environment::default()).await.unwrap();
    let about = engine.about();
    assert!(about.name.starts_with("Docker ") || about.name.starts_with("Podman "), "in words: {}", about.name);
    assert!(about.api.split_once('.').is_some_and(|(major, _)| major == "1"), "its API: {}", about.api);
    assert!(about.cpus > 0 && about.memory > 100_000_000, "processors and memory: {about:?}");
}

/// An environment that names no engine: no variable does, nor does a context, since the folder holds none.
fn unnamed(folder: &Path) -> Environment {
    Environment::of([("DOCKER_CONFIG", folder.to_str().expect("temp folders have plain names")), ("PATH", "")])
}

fn socket(path: &Path) -> Address {
    Address::Unix(path.to_path_buf())
}

#[tokio::test]
async fn where_nothing_is_named_nor_installed_it_is_told_what_was_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let gone = folder.path().join("gone.sock");
    let places = Places { sockets: vec![socket(&gone)], folders: vec![folder.path().to_path_buf()] };
    let error = CoreEngine::find_among(&places, None, None, &unnamed(folder.path())).await.unwrap_err();
    let failure = Failure::from(&error);
    assert_eq!(failure.code, Code::EngineNotInstalled, "{error:?}");
    assert!(failure.action.contains("Install Docker"), "with the next step: {}", failure.action);
    let looked = failure.detail.unwrap_or_default();
    for part in [gone.to_str().unwrap(), "docker", "podman", &format!("in {}", folder.path().display())] {
        assert!(looked.contains(part), "it was looked for {part}: {looked}");
    }

    std::fs::write(folder.path().join("dockerd"), "").unwrap();
    let error = CoreEngine::find_among(&places, None, None, &unnamed(folder.path())).await.unwrap_err();
    let failure = Failure::from(&error);
    assert_eq!(failure.code, Code::EngineNotRunning, "its program is there, its socket is not: {error:?}");
    assert!(failure.action.contains("Start it"), "so that the next step is another: {}", failure.action);
    let tried = failure.detail.unwrap_or_default();
    assert!(tried.contains(gone.to_str().unwrap()) && tried.contains("program is installed"), "and why: {tried}");
}

#[tokio::test]
async fn of_the_known_sockets_the_first_that_answers_is_the_engine() {
    let folder = tempfile::tempdir().unwrap();
    let (dead, dead_too) = (folder.path().join("dead.sock"), folder.path().join("dead-too.sock"));
    for path in [&dead, &dead_too] {
        drop(std::os::unix::net::UnixListener::bind(path).unwrap());
    }
    let address = Engine::shared().address();
    let alive = Address::read(address, "the fixture", Certificates::default()).unwrap();
    let gone = socket(&folder.path().join("gone.sock"));
    let mut places = Places { sockets: vec![gone, socket(&dead), alive], folders: Vec::new() };
    let engine = CoreEngine::find_among(&places, None, None, &unnamed(folder.path())).await.unwrap();
    assert_eq!((engine.address().to_string().as_str(), engine.origin()), (address, "a known socket"));

    places.sockets[2] = socket(&dead_too);
    let error = CoreEngine::find_among(&places, None, None, &unnamed(folder.path())).await.unwrap_err();
    let EngineError::NotRunning { tried } = error else { panic!("both are dead: {error:?}") };
    let tried: Vec<String> = tried.into_iter().map(|attempt| attempt.address).collect();
    let both = [&dead, &dead_too].map(|path| format!("unix://{}", path.display()));
    assert_eq!(tried, both, "each that is there and dead is told; one that is not there is not");
}

/// The probe, where every user can start it: the target folder may lie where others cannot look.
fn probe(folder: &Path) -> PathBuf {
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).expect("the temp folder is ours");
    let probe = folder.join("engine-probe");
    std::fs::copy(env!("CARGO_BIN_EXE_engine-probe"), &probe).expect("the temp folder is ours");
    probe
}

/// What the probe says, run as another user where we are root, to whom everything is allowed.
fn find_as_somebody(probe: &Path, host: Option<&str>, sockets: &[&Path]) -> String {
    let user = rustix::process::geteuid().is_root().then_some(NOBODY);
    let home = probe.parent().expect("it is in a folder");
    let mut command = spawn::command_as(user, probe);
    command.arg("find").args(sockets).env("HOME", home).env_remove("DOCKER_CONTEXT").env("DOCKER_CONFIG", home);
    match host {
        Some(host) => command.env("DOCKER_HOST", host),
        None => command.env_remove("DOCKER_HOST"),
    };
    let output = spawn::output(&mut command).expect("setpriv and the probe can be started");
    assert!(output.status.success(), "the probe runs: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_known_socket_that_is_forbidden_says_more_than_one_that_is_dead() {
    let folder = tempfile::tempdir().unwrap();
    let probe = probe(folder.path());
    let dead = folder.path().join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    // One that may not be spoken to, and one that may not even be looked at.
    let shut = folder.path().join("shut.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&shut).unwrap();
    let hidden = folder.path().join("hidden");
    std::fs::create_dir(&hidden).unwrap();
    for path in [&shut, &hidden] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o000)).unwrap();
    }
    let hidden = hidden.join("docker.sock");
    // Anybody may speak to it; nobody listens.
    std::fs::set_permissions(&dead, PermissionsExt::from_mode(0o666)).unwrap();
    assert_eq!(find_as_somebody(&probe, None, &[&dead]), "engine-not-running", "one that is dead");
    for forbidden in [&shut, &hidden] {
        for sockets in [[dead.as_path(), forbidden], [forbidden, dead.as_path()]] {
            let said = find_as_somebody(&probe, None, &sockets);
            assert_eq!(said, "engine-no-permission", "{} beats it", forbidden.display());
        }
    }
}

#[test]
fn another_user_may_not_use_the_socket() {
    if !needs::root("only root has an engine that others may not use") {
        return;
    }
    let engine = Engine::shared();
    let folder = tempfile::tempdir().unwrap();
    let probe = probe(folder.path());
    let find = |address: &str| find_as_somebody(&probe, Some(address), &[]);
    assert_eq!(find(engine.address()), "engine-no-permission", "the socket is root's");
    let name = find(engine.open_address());
    let kinds = ["Docker ", "Podman "];
    assert!(kinds.iter().any(|kind| name.starts_with(kind)), "the same engine by a socket that is open to all: {name}");
}
