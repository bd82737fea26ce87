//! Which network a container has: what can be reached from inside in each, and what cannot; that nothing of it is left.

#![allow(clippy::unwrap_used)] // What cannot be set up fails the test, which is what it is for.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bollard::models::{ContainerCreateBody, HostConfig, NetworkInspect};
use bollard::query_parameters::{
    CreateContainerOptions, InspectNetworkOptions, ListNetworksOptionsBuilder, StartContainerOptions,
};
use gemra_core::container::network::allow::Allowed;
use gemra_core::container::network::proxy::{self, Rules, Upstream};
use gemra_core::container::network::{self, Held, Wanted};
use gemra_core::container::state::State;
use gemra_core::container::sweep;
use gemra_core::failure::Code;
use gemra_core::place::container::Refusals;
use gemra_core::settings::container::{NetworkChoice, Wishes};
use gemra_core::tab::view::ContainerView;
use gemra_core::trust::Decision;
use tests::engine::desk::{Desk, Moving, fact};
use tests::engine::lab::Lab;
use tests::engine::{BASE, Engine, see};

/// How long the engine may take to be rid of something.
const SOON: Duration = Duration::from_mins(2);

/// Tries what its arguments name, side by side, and says a line for each: `get URL` with the answer's body, `tcp HOST
/// PORT`, `tunnel TARGET` through the proxy of the environment with its status, `nonsense` to that proxy likewise.
const REACH: &str = r"
const net = require('node:net'), http = require('node:http');
const say = (name, what) => console.log(name + ': ' + what);
const limit = 8000;
const get = (name, url) => http.get(url, { timeout: limit }, answer => {
  let body = ''; answer.on('data', piece => body += piece).on('end', () => say(name, body.trim()));
}).on('error', error => say(name, 'closed ' + error.code)).on('timeout', function () { this.destroy(); });
const tcp = (name, host, port) => {
  const socket = net.connect({ host, port: Number(port) }, () => { say(name, 'open'); socket.destroy(); });
  socket.setTimeout(limit, () => { say(name, 'closed slowly'); socket.destroy(); }).on('error', error => say(name, 'closed ' + error.code));
};
const tunnel = (name, target) => {
  if (!process.env.HTTPS_PROXY) return say(name, 'no proxy');
  const proxy = new URL(process.env.HTTPS_PROXY);
  http.request({ host: proxy.hostname, port: proxy.port, method: 'CONNECT', path: target, timeout: limit })
    .on('connect', (answer, socket) => { say(name, String(answer.statusCode)); socket.destroy(); })
    .on('error', error => say(name, 'closed ' + error.code)).end();
};
const nonsense = name => {
  if (!process.env.HTTPS_PROXY) return say(name, 'no proxy');
  const proxy = new URL(process.env.HTTPS_PROXY);
  const socket = net.connect({ host: proxy.hostname, port: proxy.port }, () => socket.write('BREW / HTTP/1.1\r\n\r\n'));
  let all = ''; socket.on('data', piece => all += piece).on('end', () => say(name, all.split(' ')[1]));
  socket.on('error', error => say(name, 'closed ' + error.code));
};
for (const order of process.argv.slice(1)) {
  const [name, what, ...rest] = order.split(' ');
  ({ get, tcp, tunnel, nonsense })[what](name, ...rest);
}
";

/// A server on this machine that answers every request with its name, as long as the test lives.
struct Server {
    address: SocketAddr,
}

impl Server {
    fn start(address: &str, name: &'static str) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || answer(stream, name));
            }
        });
        Self { address }
    }

    fn port(&self) -> u16 {
        self.address.port()
    }
}

fn answer(mut stream: TcpStream, name: &str) {
    let mut request = [0; 4096];
    // Whoever only looks whether the port is open sends nothing.
    if stream.read(&mut request).is_ok_and(|count| count > 0) {
        let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{name}", name.len());
        let _ = stream.write_all(text.as_bytes());
    }
}

/// Another container, on the engine's usual network: for an isolated one it is outside.
struct Neighbour {
    id: String,
    address: IpAddr,
}

impl Neighbour {
    async fn start() -> Self {
        let api = Engine::shared().api();
        let serve = "require('node:http').createServer((_, answer) => answer.end('neighbour')).listen(8080, '0.0.0.0')";
        let body = ContainerCreateBody {
            image: Some(BASE.to_owned()),
            cmd: Some(["node", "-e", serve].map(str::to_owned).to_vec()),
            host_config: Some(HostConfig { network_mode: Some("bridge".to_owned()), ..HostConfig::default() }),
            ..ContainerCreateBody::default()
        };
        let id = api.create_container(None::<CreateContainerOptions>, body).await.unwrap().id;
        api.start_container(&id, None::<StartContainerOptions>).await.unwrap();
        let settings = see::inspect(Engine::shared(), &id).await.network_settings.unwrap();
        let address = settings.networks.unwrap().into_values().next().unwrap().ip_address.unwrap().parse().unwrap();
        let at = SocketAddr::new(address, 8080);
        see::until("the neighbour listens", SOON, async || TcpStream::connect_timeout(&at, SOON).ok()).await;
        Self { id, address }
    }

    async fn end(self) {
        see::remove(Engine::shared(), &self.id).await;
    }
}

fn wishes(network: NetworkChoice, allowed: &[String]) -> Wishes {
    Wishes { network: Some(network), allowed_domains: Some(allowed.to_vec()), ..Wishes::default() }
}

/// A shell command that tries all of these.
fn reach(orders: &[String]) -> String {
    let orders: Vec<String> = orders.iter().map(|order| format!("\"{order}\"")).collect();
    format!("node -e '{}' -- {}", REACH.replace('\'', "\""), orders.join(" "))
}

/// What was said of each order.
fn said(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, what)| (name.to_owned(), what.to_owned()))
        .collect()
}

async fn networks(label: &str) -> Vec<NetworkInspect> {
    let filters = HashMap::from([("label".to_owned(), vec![label.to_owned()])]);
    let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
    let api = Engine::shared().api();
    let mut found = Vec::new();
    for network in api.list_networks(Some(options)).await.unwrap() {
        if let Ok(network) = api.inspect_network(&network.name.unwrap(), None::<InspectNetworkOptions>).await {
            found.push(network);
        }
    }
    found
}

async fn quit(moving: Moving) {
    let label = format!("dev.gemra.tab={}", moving.id());
    moving.quit().await;
    let left = networks(&label).await;
    assert!(left.is_empty(), "no network is left after a quit: {left:#?}");
}

#[tokio::test]
async fn each_network_reaches_what_it_says_and_no_more() {
    let (api, private, wide) =
        (Server::start("127.0.0.1", "api"), Server::start("127.0.0.1", "private"), Server::start("0.0.0.0", "wide"));
    let allowed = Server::start("127.0.0.1", "allowed");
    let neighbour = Neighbour::start().await;
    let none = "no proxy";
    let orders = [
        "api get $ANTHROPIC_BASE_URL/x".to_owned(),
        format!("own tcp 127.0.0.1 {}", private.port()),
        format!("private tcp host.docker.internal {}", private.port()),
        format!("wide get http://host.docker.internal:{}/", wide.port()),
        format!("neighbour get http://{}:8080/", neighbour.address),
        format!("allowed tunnel localhost:{}", allowed.port()),
        format!("refused tunnel localhost:{}", private.port()),
        "stranger tunnel stranger.example:443".to_owned(),
        "nonsense nonsense".to_owned(),
    ];
    for (choice, expected) in [
        (NetworkChoice::Host, ["api", "open", "open", "wide", "neighbour", none, none, none, none]),
        (NetworkChoice::Bridge, ["api", "closed", "closed", "wide", "neighbour", none, none, none, none]),
        (NetworkChoice::Isolated, ["api", "closed", "closed", "closed", "closed", "200", "403", "403", "405"]),
    ] {
        let desk = Desk::new()
            .env("ANTHROPIC_BASE_URL", &format!("http://127.0.0.1:{}", api.port()))
            .wishes(wishes(choice, &[format!("localhost:{}", allowed.port())]))
            .dockerfile(&format!("FROM {BASE}"), &reach(&orders));
        let mut moving = desk.open().await;
        let view = moving.enter_allowing().await;
        let text = moving.said();
        let said = said(&text);
        let names = ["api", "own", "private", "wide", "neighbour", "allowed", "refused", "stranger", "nonsense"];
        for (name, expected) in names.into_iter().zip(expected) {
            let found = said.get(name).map(String::as_str).unwrap_or_default();
            assert!(
                found == expected || (expected == "closed" && found.starts_with("closed")),
                "with {choice:?}, {name} is {expected}: {text}"
            );
        }
        let word = match choice {
            NetworkChoice::Host => "host",
            NetworkChoice::Bridge => "bridge",
            NetworkChoice::Isolated => "isolated",
        };
        assert!(fact(&view, "Network").starts_with(word), "the details say it: {:?}", view.facts);
        let tried = moving.until_fact("Network", "Tried from inside").await;
        let loopback = if choice == NetworkChoice::Host { "loopback is there" } else { "loopback is closed" };
        assert!(tried.contains(loopback), "and what was tried: {tried}");
        if choice == NetworkChoice::Isolated {
            assert!(!tried.contains("the outside is there"), "there is no way out: {tried}");
            let refused = [format!("localhost:{}", private.port()), "stranger.example:443".to_owned()];
            is_told_and_written_down(&mut moving, &refused).await;
            let own = networks(&format!("dev.gemra.tab={}", moving.id())).await;
            assert!(own.is_empty(), "there is no network, whose gateway would be this machine: {own:#?}");
        }
        quit(moving).await;
    }
    neighbour.end().await;
}

/// What was refused is among the details and in the project's log, and what was no request too.
async fn is_told_and_written_down(moving: &mut Moving, refused: &[String]) {
    let has = |view: &ContainerView, target: &String| view.refusals.targets.iter().any(|one| one.target == *target);
    let view = moving
        .until("what was refused is told", |view| {
            refused.iter().all(|target| has(view, target)) && view.refusals.malformed > 0
        })
        .await;
    let Refusals { targets, times, malformed } = &view.refusals;
    assert_eq!((*times, *malformed), (2, 1), "each is counted: {targets:?}");
    let stranger = targets.iter().find(|one| one.target == "stranger.example:443").unwrap();
    assert_eq!((stranger.entry.as_str(), stranger.times), ("stranger.example", 1), "with what would allow it");
    let folder = moving.app().home_folder().join("audit");
    let lines = see::until("the project's log has a line for each", SOON, async || {
        let files = std::fs::read_dir(&folder).ok()?.flatten();
        let text: String = files.filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect();
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("\"refused\"")).collect();
        (lines.len() == 3).then(|| lines.join("\n"))
    });
    let lines = lines.await;
    for part in refused.iter().map(String::as_str).chain(["a malformed request", "405 Method Not Allowed"]) {
        assert!(lines.contains(part), "{part}: {lines}");
    }
}

/// An image whose agent runs, and in which nothing passes connections on: its Node is where nobody looks for it. Of what
/// could try a network inside, it has what `more` leaves.
fn without_node(desk: Desk, more: &str, script: &str) -> Desk {
    let desk = desk.dockerfile("", script);
    let dockerfile = format!(
        "FROM {BASE}\nUSER root\n{more}\nCOPY claude.js /opt/hidden/claude.js\n\
         RUN mv /usr/local/bin/node /opt/hidden/node && printf '#!/bin/sh\\nexec /opt/hidden/node \
         /opt/hidden/claude.js \"$@\"\\n' >/usr/local/bin/claude && chmod 755 /usr/local/bin/claude\n"
    );
    desk.file("Dockerfile.claude", &dockerfile)
}

#[tokio::test]
async fn an_image_without_node_has_a_network_that_says_what_else_is_there_or_none_at_all() {
    let hidden = "mkdir -p /opt/hidden && mv /bin/bash /opt/hidden/bash";
    let busybox = format!(
        "RUN apt-get update && apt-get install -y --no-install-recommends busybox-static && rm -rf \
         /var/lib/apt/lists/* && {hidden}"
    );
    let nothing = format!("RUN {hidden}");
    let server = Server::start("127.0.0.1", "private");
    let script = format!(
        "/opt/hidden/node -e '{}' -- 'private tcp host.docker.internal {}' 'stranger tunnel stranger.example:443'",
        REACH.replace('\'', "\""),
        server.port()
    );
    for (more, tool) in [(busybox, true), (nothing, false)] {
        let desk = Desk::new().wishes(wishes(NetworkChoice::Isolated, &[]));
        let mut moving = without_node(desk, &more, &script).open().await;
        moving.asked().await;
        let view = moving.answer(Decision::Allow).await;
        let workspace = moving.workspace();
        match view.state {
            State::Running => {
                assert!(
                    tool && !Engine::shared_is_podman().await,
                    "only where it is tried, and where there is a gateway"
                );
                let network = fact(&view, "Network");
                assert!(network.contains("because the image has no node"), "what else is there is told: {network}");
                let text = moving.said();
                let said = said(&text);
                assert!(said["private"].starts_with("closed") && said["stranger"] == "403", "it is isolated: {text}");
                let own = networks(&format!("dev.gemra.tab={}", moving.id())).await;
                assert_eq!(own.len(), 1, "there is one network: {own:#?}");
                assert_eq!(own[0].internal, Some(true), "which has no way out");
                let tried = moving.until_fact("Network", "Tried from inside").await;
                assert!(tried.contains("loopback is closed"), "nc has tried it: {tried}");
            }
            State::Error { failure, .. } => {
                assert_eq!(failure.code, Code::NetworkFailed, "{failure:?}");
                let missing = if Engine::shared_is_podman().await { "node" } else { "neither bash nor node" };
                assert!(failure.cause.contains(missing), "what is missing is named: {failure:?}");
                assert!(!tool || Engine::shared_is_podman().await, "it could be tried: {failure:?}");
                assert!(!workspace.join("said.txt").exists(), "and nobody has run inside");
            }
            state => panic!("it runs or says why not, and is not {state:?}"),
        }
        quit(moving).await;
    }
}

#[tokio::test]
async fn changed_names_hold_at_once_and_another_network_at_the_next_start() {
    let server = Server::start("127.0.0.1", "late");
    let target = format!("localhost:{}", server.port());
    let desk = Desk::new().wishes(wishes(NetworkChoice::Isolated, &[])).dockerfile(&format!("FROM {BASE}"), "true");
    let mut moving = desk.open().await;
    moving.enter_allowing().await;
    let id = moving.container().await.id.unwrap();
    let command = reach(&[format!("late tunnel {target}")]);
    let look = async || said(&see::exec(Engine::shared(), &id, &["sh", "-c", &command]).await)["late"].clone();
    assert_eq!(look().await, "403", "it is not on the list yet");
    moving.until("it is told", |view| view.refusals.targets.iter().any(|one| one.target == target)).await;
    moving.app().allow_name(moving.id(), &target).await.unwrap();
    assert_eq!(look().await, "200", "the running container is let there now");
    moving.app().allow_name(moving.id(), &target).await.unwrap();
    let settings = moving.app().window().borrow().settings.clone();
    let project = &settings.projects[moving.workspace().to_str().unwrap()];
    assert_eq!(project.container.allowed_domains, Some(vec![target.clone()]), "it is the project's own, once");
    let refused = moving.app().allow_name(moving.id(), "*.com").await.unwrap_err();
    assert_eq!(refused.code, Code::SettingsNotSaved, "what no settings can hold is refused");
    moving.wish(wishes(NetworkChoice::Bridge, &[])).await;
    assert_eq!(look().await, "403", "and not any more");
    let told = moving.until_fact("Network", "From the next start on: bridge").await;
    assert!(told.starts_with("isolated"), "until then it is what it was: {told}");
    quit(moving).await;
}

#[tokio::test]
async fn an_isolated_containers_ports_are_nobody_elses() {
    let desk = Desk::new().wishes(wishes(NetworkChoice::Isolated, &[])).dockerfile(&format!("FROM {BASE}"), "true");
    let mut moving = desk.open().await;
    moving.enter_allowing().await;
    let container = moving.container().await;
    let environment = container.config.unwrap().env.unwrap();
    let proxy = environment.iter().find_map(|line| line.strip_prefix("HTTPS_PROXY=http://")).unwrap();
    let address: SocketAddr = proxy.parse().unwrap();
    if address.ip().is_loopback() {
        // Where the proxy is a socket, this machine has no port of it.
        assert!(TcpStream::connect(address).is_err(), "nobody else listens there");
    } else {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let _ = stream.write_all(b"CONNECT github.com:443 HTTP/1.1\r\n\r\n");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        assert_eq!(answer, "", "whoever is not in the container is turned away without a word");
    }
    quit(moving).await;
    // An address that is no more leads out of this machine, where nobody may answer at all.
    let gone = TcpStream::connect_timeout(&address, Duration::from_secs(5));
    assert!(gone.is_err(), "and nobody listens when it is gone");
}

async fn isolated(lab: &Lab) -> Held {
    let labels = ["managed", "tab", "workspace", "spec"].map(|name| (format!("dev.gemra.{name}"), "1".to_owned()));
    let instance = ("dev.gemra.instance".to_owned(), lab.instance.clone());
    let wanted = Wanted {
        choice: NetworkChoice::Isolated,
        short_id: lab.instance[..8].to_owned(),
        labels: labels.into_iter().chain([instance]).collect(),
        variables: BTreeMap::new(),
        rules: Rules {
            allowed: Arc::new(Allowed::default),
            refused: Arc::new(|_, _| {}),
            malformed: Arc::new(|_| {}),
            resolve: proxy::system(),
            upstream: Upstream::default(),
        },
        // Only without what passes connections on inside is a network made at all.
        forwards: false,
        folder: lab.folder("sockets", tests::engine::lab::ids()),
    };
    network::hold(&lab.engine, wanted).await.unwrap()
}

#[tokio::test]
async fn a_start_removes_the_networks_of_the_dead_and_of_nobody_else() {
    let (dead, living) = (Lab::open().await, Lab::open().await);
    let (left, held) = (isolated(&dead).await, isolated(&living).await);
    if living.engine.about().podman {
        let none = networks(&dead.label()).await;
        assert!(none.is_empty(), "there no network is made that could be left: {none:#?}");
        return;
    }
    assert_eq!((networks(&dead.label()).await.len(), networks(&living.label()).await.len()), (1, 1), "both are there");
    // Others share this engine: none of theirs may be touched.
    sweep::dead(&living.engine, |instance| instance != dead.instance).await.unwrap();
    assert!(networks(&dead.label()).await.is_empty(), "the dead one's is gone");
    assert_eq!(networks(&living.label()).await.len(), 1, "the living one's is there");
    sweep::own(&living.engine, &living.instance).await.unwrap();
    assert!(networks(&living.label()).await.is_empty(), "a quit takes its own along");
    drop((left, held));
}
