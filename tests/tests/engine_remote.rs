//! Engines on other machines, here on loopback: behind TLS with certificates of the test's own, and behind ssh with a
//! server of its own. The engine behind both is the shared one.

#![allow(clippy::unwrap_used)] // What cannot be set up fails the test, which is what it is for.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateContainerOptionsBuilder, ListContainersOptionsBuilder};
use gemra_core::container::engine::{Engine as CoreEngine, EngineError, SshError};
use gemra_core::container::state::State;
use gemra_core::container::{holdings, sweep};
use gemra_core::environment::Environment;
use gemra_core::failure::{Code, Failure};
use gemra_core::settings::container::NetworkChoice;
use tempfile::TempDir;
use tests::engine::desk::{Desk, Moving, fact};
use tests::engine::far::{Authority, Purpose, Saying, certificates, serve, serve_saying};
use tests::engine::lab::Lab;
use tests::engine::{BASE, Engine, see};
use tests::spawn;

const SOON: Duration = Duration::from_mins(1);

/// Another state for a container that was made.
const STOPPED: Saying = (br#""State":"created""#, br#""State":"stopped""#);

async fn find(port: u16, folder: &Path) -> Result<CoreEngine, EngineError> {
    let host = format!("tcp://127.0.0.1:{port}");
    let folder = folder.display().to_string();
    let pairs = [("DOCKER_HOST", host.as_str()), ("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", &folder)];
    CoreEngine::find(None, &Environment::of(pairs)).await
}

fn code(error: &EngineError) -> Code {
    let failure = Failure::from(error);
    assert!(!failure.action.is_empty(), "there is a next step for {error}");
    failure.code
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_behind_tls_is_found_where_each_side_knows_the_other() {
    let (ours, strange) = (Authority::new(), Authority::new());
    let port = serve(&ours, &["127.0.0.1"]).await;
    let client = ours.sign(&["me"], Purpose::ClientAuth);
    let stranger = strange.sign(&["me"], Purpose::ClientAuth);

    let folder = certificates(&ours, Some(&client));
    let engine = find(port, folder.path()).await.unwrap();
    assert!(engine.is_remote(), "whoever protects the way to it means another machine");
    let listed = engine.api().list_images(None::<bollard::query_parameters::ListImagesOptions>).await.unwrap();
    assert!(!listed.is_empty(), "and it answers what it is asked");

    let error = find(port, certificates(&strange, Some(&client)).path()).await.unwrap_err();
    assert_eq!(code(&error), Code::EngineNotTrusted, "who answers is signed by nobody we know: {error}");
    let other = serve(&ours, &["elsewhere.example"]).await;
    let error = find(other, folder.path()).await.unwrap_err();
    assert_eq!(code(&error), Code::EngineNotTrusted, "who answers has another name: {error}");
    for (what, who) in [("nobody", None), ("somebody else", Some(&stranger))] {
        let error = find(port, certificates(&ours, who).path()).await.unwrap_err();
        assert_eq!(code(&error), Code::EngineNoPermission, "{what} is let in: {error}");
    }
    std::fs::remove_file(folder.path().join("key.pem")).unwrap();
    let error = find(port, folder.path()).await.unwrap_err();
    assert!(error.to_string().contains("key.pem"), "half of who we are is a mistake that is named: {error}");
}

/// Podman has states that the library does not know, such as `stopped` for a moment. The list is then asked for once more,
/// on a way of our own. Here a container stays in that state, because the front calls another so.
#[tokio::test(flavor = "multi_thread")]
async fn behind_tls_containers_are_listed_and_removed_whatever_their_state_is_called() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    let ours = Authority::new();
    let port = serve_saying(&ours, &["127.0.0.1"], Some(STOPPED)).await;
    let client = ours.sign(&["me"], Purpose::ClientAuth);
    let folder = certificates(&ours, Some(&client));
    let engine = find(port, folder.path()).await.unwrap();

    let api = Engine::shared().api();
    let name = format!("gemra-list-{}", &lab.instance[..8]);
    let labels = [("dev.gemra.managed", "1"), ("dev.gemra.instance", &lab.instance), ("dev.gemra.tab", "t1")];
    let labels = labels.map(|(label, value)| (label.to_owned(), value.to_owned())).into();
    let body = ContainerCreateBody { image: Some(image.tag), labels: Some(labels), ..ContainerCreateBody::default() };
    let options = CreateContainerOptionsBuilder::new().name(&name).build();
    let id = api.create_container(Some(options), body).await.unwrap().id;
    let listed = engine.api().list_containers(Some(ListContainersOptionsBuilder::new().all(true).build())).await;
    assert!(listed.is_err(), "the library knows no such state: {listed:?}");
    let found = holdings::containers(&engine, Some(&lab.instance)).await.unwrap();
    assert_eq!((found.len(), found[0].name.as_str()), (1, name.as_str()), "it is listed all the same: {found:?}");
    assert_eq!((found[0].id.as_str(), found[0].state.as_str()), (id.as_str(), "stopped"), "as the engine says it");
    let all = holdings::all(&engine).await.unwrap();
    assert!(all.iter().any(|one| one.name == name), "and is among what is held: {all:?}");
    let swept = sweep::own(&engine, &lab.instance).await.unwrap();
    assert_eq!((swept.removed.len(), swept.stayed.len()), (1, 0), "and is removed: {swept:?}");
    assert!(see::containers(Engine::shared(), &lab.label()).await.is_empty(), "so that nothing is left");
}

/// An ssh server that lets this user in with one key.
struct Server {
    folder: TempDir,
    port: u16,
    running: Option<spawn::Running>,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("gemra-sshd-").tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["host", "user", "other"] {
            let made = spawn::output(
                spawn::command("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path(name)),
            );
            assert!(made.unwrap().status.success(), "a key is made");
        }
        std::fs::copy(path("user.pub"), path("authorized")).unwrap();
        // Another may take the port before the server does; then its start fails, and the test says so.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = |name: &str| path(name).display().to_string();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile {}\nStrictModes no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nPermitRootLogin yes\n",
            at("host"),
            at("authorized"),
            at("pid"),
        );
        std::fs::write(path("config"), config).unwrap();
        let mut server = Self { folder, port, running: None };
        server.restart();
        server
    }

    /// Ends it with all its connections, and starts it.
    fn restart(&mut self) {
        if let Some(running) = self.running.take() {
            // Each connection has a process of its own, which leaves the server's group.
            let connections = descendants(running.id());
            drop(running);
            connections.into_iter().for_each(spawn::kill);
        }
        // It insists on this folder, which its package makes at each start of the system.
        let _ = std::fs::create_dir_all("/run/sshd");
        let mut command = spawn::command("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f"]).arg(self.path("config"));
        command.stderr(std::fs::File::create(self.path("log")).unwrap());
        self.running = Some(spawn::Running::start(&mut command).unwrap());
        let until = std::time::Instant::now() + SOON;
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(std::time::Instant::now() < until, "the server listens: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An environment whose ssh has this key and knows these hosts: ssh itself takes both from the user's own home.
    fn environment(&self, key: &str, knows: bool) -> Environment {
        let folder = self.path(&format!("bin-{key}-{knows}"));
        std::fs::create_dir_all(&folder).unwrap();
        let hosts = folder.join("known");
        let host = std::fs::read_to_string(self.path("host.pub")).unwrap();
        std::fs::write(&hosts, if knows { format!("[127.0.0.1]:{} {host}", self.port) } else { String::new() })
            .unwrap();
        let text = format!(
            "#!/bin/sh\nexec /usr/bin/ssh -F /dev/null -o IdentitiesOnly=yes -o GlobalKnownHostsFile=/dev/null \
             -i '{}' -o UserKnownHostsFile='{}' \"$@\"\n",
            self.path(key).display(),
            hosts.display(),
        );
        let file = folder.join("ssh");
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
        Environment::of([("PATH", folder.to_str().unwrap())])
    }

    fn address(&self, socket: &str) -> String {
        format!("ssh://127.0.0.1:{}{socket}", self.port)
    }
}

fn descendants(id: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let children = children.split_whitespace().map(|child| child.parse::<u32>().unwrap());
    children.flat_map(|child| [vec![child], descendants(child)].concat()).collect()
}

fn why(found: Result<CoreEngine, EngineError>) -> (SshError, Code) {
    match found {
        Err(EngineError::Ssh { why, tried }) => {
            let code = code(&EngineError::Ssh { why: why.clone(), tried });
            (why, code)
        }
        other => panic!("the way by ssh is what fails, and not {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_behind_ssh_is_found_and_what_is_in_the_way_is_named() {
    let socket = Engine::shared().address().strip_prefix("unix://").unwrap();
    let server = Server::start();
    let environment = server.environment("user", true);
    let address = server.address(socket);
    let engine = CoreEngine::find(Some(&address), &environment).await.unwrap();
    assert!(engine.is_remote(), "ssh leads to another machine");
    assert_eq!(engine.address().to_string(), address, "it is named as the user named it");
    let images = async || engine.api().list_images(None::<bollard::query_parameters::ListImagesOptions>).await;
    assert!(!images().await.unwrap().is_empty(), "it answers");
    let again = CoreEngine::find_again(Some(&engine), Some(&address), &environment).await.unwrap();
    assert!(!images().await.unwrap().is_empty(), "through one way for all calls: {again:?}");

    let (error, code) = why(CoreEngine::find(Some(&address), &server.environment("user", false)).await);
    assert!(matches!(error, SshError::Unknown(_)), "a host that ssh does not know is not taken on trust: {error:?}");
    assert_eq!(code, Code::EngineNotTrusted, "{error}");
    let (error, code) = why(CoreEngine::find(Some(&address), &server.environment("other", true)).await);
    assert!(matches!(error, SshError::Refused(_)), "another key: {error:?}");
    assert_eq!(code, Code::EngineNoPermission, "{error}");
    let nowhere = CoreEngine::find(Some(&server.address("/nowhere/docker.sock")), &environment).await;
    let (error, code) = why(nowhere);
    assert_eq!((error, code), (SshError::NoEngine, Code::EngineNotRunning), "there is no engine");
    let (error, code) = why(CoreEngine::find(Some("ssh://127.0.0.1:1"), &environment).await);
    assert!(matches!(error, SshError::Unreachable(_)), "nobody is there: {error:?}");
    assert_eq!(code, Code::EngineNotRunning, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_that_breaks_is_opened_again() {
    let socket = Engine::shared().address().strip_prefix("unix://").unwrap();
    let server = Server::start();
    let environment = server.environment("user", true);
    let address = server.address(socket);
    let first = CoreEngine::find(Some(&address), &environment).await.unwrap();
    let mut server = server;
    // The server's own process for this connection goes with its group.
    server.restart();
    see::until("nothing answers there any more", SOON, async || first.api().ping().await.err()).await;
    let second = CoreEngine::find_again(Some(&first), Some(&address), &environment).await.unwrap();
    assert!(second.api().ping().await.is_ok(), "the next look opens another");
}

/// A project moves into an engine that cannot see it, works there, and comes back with what was done; what both have
/// changed meanwhile waits for a choice.
async fn moves_and_comes_back(desk: Desk) {
    let script = "cat greeting; echo made >made; mkdir -p ignored && echo x >ignored/x";
    let desk = desk.dockerfile(&format!("FROM {BASE}"), script);
    let here = desk.workspace();
    let write = |name: &str, text: &str| std::fs::write(here.join(name), text).unwrap();
    let read = |name: &str| std::fs::read_to_string(here.join(name)).unwrap_or_default();
    write("greeting", "hello from here\n");
    write("both", "old");
    write(".gitignore", "ignored\n");
    let mut moving = desk.open().await;
    let view = moving.enter().await;
    assert!(fact(&view, "Mounts").contains("a copy of"), "that it is a copy is told: {:?}", view.facts);
    see::until("what is written there comes back", SOON, async || (read("made") == "made\n").then_some(())).await;
    assert!(read("said.txt").starts_with("hello from here\n"), "what is here was there: {}", read("said.txt"));
    assert!(!here.join("ignored").exists(), "what the rules name stays there");
    moving.until("how it stands is told", |view| view.facts.iter().any(|(name, _)| name == "Files")).await;

    // Where a look of ours falls between the two, the first is carried before the second is there, and it is no conflict.
    let agent = agents_container(&moving).await;
    let mut shown = None;
    for _ in 0..10 {
        see::exec(Engine::shared(), &agent, &["sh", "-c", "printf theirs >/workspace/both"]).await;
        write("both", "mine");
        let conflict = moving.until("the conflict is shown", |view| !view.conflicts.is_empty());
        if let Ok(view) = tokio::time::timeout(Duration::from_secs(20), conflict).await {
            shown = Some(view);
            break;
        }
    }
    let view = shown.expect("what has changed on both sides is shown");
    let conflict = &view.conflicts[0];
    assert_eq!((conflict.path.as_str(), read("both").as_str()), ("both", "mine"), "mine is not overwritten");
    let theirs = std::fs::read_to_string(conflict.theirs.as_ref().unwrap()).unwrap();
    assert_eq!(theirs, "theirs", "and theirs is kept beside");
    moving.answer_conflict(&here, "both", true);
    moving.until("it is answered", |view| view.conflicts.is_empty()).await;
    assert_eq!(read("both"), "theirs", "as chosen");

    see::exec(Engine::shared(), &agent, &["sh", "-c", "printf last >/workspace/last"]).await;
    moving.toggle();
    moving.until("it is back", |view| view.state == State::Off).await;
    assert_eq!(read("last"), "last", "what was written last is here before an agent starts here");
    moving.quit().await;
}

/// Answers every request with a word, and counts them.
fn api(word: &'static str) -> (u16, Arc<AtomicUsize>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, count) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            if stream.read(&mut request).is_ok_and(|count| count > 0) {
                counted.fetch_add(1, Ordering::SeqCst);
                let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length:";
                let _ = stream.write_all(format!("{head} {}\r\n\r\n{word}", word.len()).as_bytes());
            }
        }
    });
    (port, count)
}

/// The engine is this machine's in truth, so that the address by which it calls its own machine is one that we could
/// listen at: at another machine's engine that would be a stranger's. So the way is the engine's own, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_of_this_machines_loopback_is_carried_to_an_engine_elsewhere() {
    let ours = Authority::new();
    let port = serve(&ours, &["127.0.0.1"]).await;
    let client = ours.sign(&["me"], Purpose::ClientAuth);
    let folder = certificates(&ours, Some(&client));
    let (api, count) = api("carried");
    let script = "echo at $ANTHROPIC_BASE_URL; node -e '
      const get = url => require(\"node:http\").get(url, answer => answer.on(\"data\", data => console.log(\"said \" + data)))
        .on(\"error\", error => console.log(\"closed \" + error.code));
      for (let i = 0; i < 20; i += 1) get(process.env.ANTHROPIC_BASE_URL + \"/\" + i);
      const proxy = process.env.HTTPS_PROXY && new URL(process.env.HTTPS_PROXY);
      if (proxy) require(\"node:http\").request({ host: proxy.hostname, port: proxy.port, method: \"CONNECT\",
        path: \"stranger.example:443\" }).on(\"connect\", (answer, socket) => {
          console.log(\"stranger \" + answer.statusCode); socket.destroy(); }).end();'";
    for (choice, network) in
        [(NetworkChoice::Host, "bridge"), (NetworkChoice::Bridge, "bridge"), (NetworkChoice::Isolated, "none")]
    {
        let before = count.load(Ordering::SeqCst);
        let desk = Desk::new()
            .env("DOCKER_HOST", &format!("tcp://127.0.0.1:{port}"))
            .env("DOCKER_TLS_VERIFY", "1")
            .env("DOCKER_CERT_PATH", folder.path().to_str().unwrap())
            .env("ANTHROPIC_BASE_URL", &format!("http://127.0.0.1:{api}"))
            .wishing(|wishes| wishes.network = Some(choice))
            .dockerfile(&format!("FROM {BASE}"), script);
        let mut moving = desk.open().await;
        if choice == NetworkChoice::Host {
            moving.enter().await;
        } else {
            moving.enter_allowing().await;
        }
        let file = moving.workspace().join("said.txt");
        let said = see::until("what was said there comes back", SOON, async || {
            std::fs::read_to_string(&file).ok().filter(|said| said.contains("ended with"))
        });
        let said = said.await;
        assert!(said.contains(&format!("at http://127.0.0.1:{api}")), "it is on the container's own loopback: {said}");
        assert_eq!(said.matches("said carried").count(), 20, "with {choice:?} each request is answered: {said}");
        assert_eq!(count.load(Ordering::SeqCst) - before, 20, "by this machine's API");
        assert_eq!(said.contains("stranger 403"), choice == NetworkChoice::Isolated, "through the proxy alone: {said}");
        let container = see::inspect(Engine::shared(), &agents_container(&moving).await).await;
        let mode = container.host_config.unwrap().network_mode.unwrap();
        assert_eq!(mode.replace("podman", "bridge"), network, "{choice:?}: never the other machine's own network");
        let tried = moving.until_fact("Network", "Tried from inside").await;
        assert!(tried.contains("loopback is"), "and it is told: {tried}");
        moving.quit().await;
    }
}

/// The id of the container that a tab's agent is in; the companion is another.
async fn agents_container(moving: &Moving) -> String {
    let all = see::containers(Engine::shared(), &moving.label()).await;
    let is_companion = |names: &Option<Vec<String>>| names.iter().flatten().any(|name| name.ends_with("-sync"));
    let found = all.iter().find(|one| !is_companion(&one.names));
    found.and_then(|one| one.id.clone()).expect("the agent's container is there")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_moves_into_an_engine_behind_tls_and_comes_back() {
    let ours = Authority::new();
    let port = serve(&ours, &["127.0.0.1"]).await;
    let client = ours.sign(&["me"], Purpose::ClientAuth);
    let folder = certificates(&ours, Some(&client));
    let desk = Desk::new()
        .env("DOCKER_HOST", &format!("tcp://127.0.0.1:{port}"))
        .env("DOCKER_TLS_VERIFY", "1")
        .env("DOCKER_CERT_PATH", folder.path().to_str().unwrap());
    moves_and_comes_back(desk).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_moves_into_an_engine_behind_ssh_and_comes_back() {
    let socket = Engine::shared().address().strip_prefix("unix://").unwrap();
    let server = Server::start();
    let environment = server.environment("user", true);
    let path = environment.text("PATH").unwrap_or_default();
    let path = format!("{path}:{}", std::env::var("PATH").unwrap_or_default());
    moves_and_comes_back(Desk::new().env("DOCKER_HOST", &server.address(socket)).env("PATH", &path)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quit_brings_back_first_what_was_written_there_and_says_so() {
    const LARGE: u64 = 300 << 20;
    let ours = Authority::new();
    let port = serve(&ours, &["127.0.0.1"]).await;
    let folder = certificates(&ours, Some(&ours.sign(&["me"], Purpose::ClientAuth)));
    let desk = Desk::new()
        .env("DOCKER_HOST", &format!("tcp://127.0.0.1:{port}"))
        .env("DOCKER_TLS_VERIFY", "1")
        .env("DOCKER_CERT_PATH", folder.path().to_str().unwrap())
        .dockerfile(&format!("FROM {BASE}"), "true");
    let here = desk.workspace();
    let mut moving = desk.open().await;
    moving.enter().await;
    moving.until("how it stands is told", |view| view.facts.iter().any(|(name, _)| name == "Files")).await;
    assert!(moving.app().brings_back(), "it is known before anybody quits");
    let agent = agents_container(&moving).await;
    let script = format!("head -c {LARGE} /dev/zero >/workspace/large && printf last >/workspace/last");
    see::exec(Engine::shared(), &agent, &["sh", "-c", &script]).await;
    let mut window = moving.app().window();
    let told = tokio::spawn(async move {
        window.wait_for(|state| state.leaving.is_some()).await.map(|state| state.leaving.clone())
    });
    moving.app().quit().await;
    let told = told.await.unwrap().unwrap().unwrap();
    assert!(told.contains("another machine"), "what is waited for is shown: {told}");
    assert_eq!(here.join("large").metadata().unwrap().len(), LARGE, "however long it takes");
    assert_eq!(std::fs::read_to_string(here.join("last")).unwrap(), "last", "all of it is here");
    assert!(!moving.app().brings_back(), "and nothing is left to bring");
    moving.quit().await;
}
