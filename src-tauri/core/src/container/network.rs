//! Which network a container has, and what of this machine it reaches there: made before the container, completed when
//! it has started, gone when it is. It knows neither tabs nor what the agent says.

pub mod allow;
mod carried;
mod ear;
mod inside;
mod isolated;
pub mod probe;
pub mod proxy;
mod relay;
pub mod rewrite;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::{CancellationToken, DropGuard};

pub use inside::{FORWARDS, clear};
pub(super) use isolated::sweep;
pub use rewrite::apis;

use super::engine::quirks::{self, HostNetwork};
use super::engine::{About, Engine};
use super::spec::{ExtraMount, MountSource, Network, Wish};
use crate::failure::{Code, Failure};
use crate::settings::container::NetworkChoice;
use allow::{Allowed, Target};
use carried::Serve;
use ear::{Ear, Guest};
use inside::{Folder, PROXY_PORT};
use isolated::Isolated;
use proxy::{Rules, Upstream};
use rewrite::HOST;

/// What is wanted of a network.
#[derive(Debug)]
pub struct Wanted {
    /// Which one.
    pub choice: NetworkChoice,
    /// Tells containers apart.
    pub short_id: String,
    /// For what is made at the engine.
    pub labels: HashMap<String, String>,
    /// The agent's variables, which may name services of this machine.
    pub variables: BTreeMap<String, String>,
    /// For the way out of an isolated network.
    pub rules: Rules,
    /// True where the image has what passes connections on inside: see [`FORWARDS`].
    pub forwards: bool,
    /// Where sockets may lie. It need not be there.
    pub folder: PathBuf,
}

/// Why a container cannot have its network.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// Not with this engine.
    #[error("{0}")]
    Impossible(String),
    /// The engine would not do its part.
    #[error("{doing} failed: {cause}")]
    Engine {
        /// What.
        doing: &'static str,
        /// Its words.
        cause: String,
    },
    /// The gateway's address cannot be listened at.
    #[error("Gemra cannot listen at {address}, this machine's address in the container's network: {source}")]
    Listen {
        /// The gateway.
        address: IpAddr,
        /// The system's words.
        source: std::io::Error,
    },
    /// The sockets' folder cannot be used.
    #[error("{path} cannot be used: {source}", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// What passes connections on inside does not run.
    #[error(
        "With this engine the way out leads over a few lines of Node in the container, and they do not run: {cause}"
    )]
    Forwarder {
        /// What was said.
        cause: String,
    },
}

impl From<&NetworkError> for Failure {
    fn from(error: &NetworkError) -> Self {
        let action = match error {
            NetworkError::Impossible(_) | NetworkError::Listen { .. } => {
                "Choose another network or another engine in the settings, then press Retry."
            }
            NetworkError::Forwarder { .. } => {
                "Use an image with node on its PATH, or choose another network or another engine in the settings; then press Retry."
            }
            NetworkError::Engine { .. } | NetworkError::Folder { .. } => "Mend the cause, then press Retry.",
        };
        let mut cause = error.to_string();
        if !cause.ends_with('.') {
            cause.push('.');
        }
        Self::new(Code::NetworkFailed, "The container's network cannot be had", cause, action)
    }
}

/// How a container comes to services of this machine.
#[derive(Debug)]
enum Way {
    /// It is on this machine's network, or needs none of them.
    None,
    /// The engine leads there by itself, out of its virtual machine.
    Engine,
    /// By this machine's address in its network.
    Gateway(IpAddr),
    /// By sockets in a folder.
    Sockets(Folder),
    /// By the streams of a command inside, because the engine alone comes to the container.
    Carried,
}

/// A container's network and all that leads from it. Dropped, all of it ends.
#[derive(Debug)]
pub struct Held {
    choice: NetworkChoice,
    host: HostNetwork,
    way: Way,
    network: Option<Isolated>,
    /// Those of its proxy, where it is isolated.
    rules: Option<Rules>,
    /// The proxy's address as the container knows it.
    proxy: Option<String>,
    /// The ports of this machine's loopback that are led to, and how the container calls them.
    relays: BTreeMap<u16, (String, u16)>,
    /// Those that are wanted.
    ports: BTreeSet<u16>,
    /// Where we listen in the container's network.
    ours: Vec<SocketAddr>,
    guest: Guest,
    end: CancellationToken,
    _guard: DropGuard,
}

/// How the agent's variables have to be said so that they hold inside.
#[derive(Debug, Clone)]
pub struct Inward {
    isolated: bool,
    relays: BTreeMap<u16, (String, u16)>,
}

impl Inward {
    /// Says them so.
    pub fn rewrite(&self, variables: &mut BTreeMap<String, String>) {
        if self.isolated {
            // The container's own are set by then, and name the only way out.
            let named = |name: &str| rewrite::PROXIES.contains(&name) || rewrite::PAST.contains(&name);
            variables.retain(|name, _| !named(name));
        }
        rewrite::rewrite(variables, !self.isolated, &self.relays);
        // What leads to this machine's loopback does not go through a proxy of elsewhere.
        if !self.isolated
            && !self.relays.is_empty()
            && rewrite::PROXIES.iter().any(|name| variables.contains_key(*name))
        {
            for name in rewrite::PAST {
                let past = variables.entry(name.to_owned()).or_default();
                match past.as_str() {
                    "*" => {}
                    "" => HOST.clone_into(past),
                    _ => *past = format!("{past},{HOST}"),
                }
            }
        }
    }
}

/// Where the way to services of this machine leads, before any of it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    /// None is needed.
    None,
    /// [`Way::Engine`].
    Engine,
    /// [`Way::Gateway`], of the engine's usual network or of an isolated one.
    Gateway,
    /// [`Way::Sockets`].
    Sockets,
    /// [`Way::Carried`].
    Carried,
}

impl Route {
    /// The route at an engine whose host network is `host`. `local`: the agent's variables name ports of this machine's
    /// loopback. `forwards`: the image has what passes connections on inside.
    fn of(about: &About, host: HostNetwork, choice: NetworkChoice, local: bool, forwards: bool) -> Self {
        match (choice, host) {
            // No socket of this machine's is there.
            (NetworkChoice::Isolated, HostNetwork::Elsewhere | HostNetwork::Machines) => Self::Carried,
            // A network has a gateway, at which all of this machine is that listens everywhere: none is tighter.
            (NetworkChoice::Isolated, _) if !forwards && quirks::has_internal_gateways(about) => Self::Gateway,
            (NetworkChoice::Isolated, _) => Self::Sockets,
            (NetworkChoice::Host, HostNetwork::Ours) => Self::None,
            _ if !local => Self::None,
            // Its gateway's address may well be one of this machine's too, where a stranger would be listened for.
            (_, HostNetwork::Elsewhere) => Self::Carried,
            (_, HostNetwork::Machines) => Self::Engine,
            (NetworkChoice::Bridge, _) if quirks::has_gateways(about) => Self::Gateway,
            _ => Self::Sockets,
        }
    }
}

/// Makes what has to be there before the container.
///
/// # Errors
/// [`NetworkError`]; nothing is left behind.
pub async fn hold(engine: &Engine, wanted: Wanted) -> Result<Held, NetworkError> {
    let Wanted { choice, short_id, labels, variables, mut rules, forwards, folder } = wanted;
    let isolated = choice == NetworkChoice::Isolated;
    // In an isolated network the proxy is Gemra's, whatever proxies this machine has.
    let ports = rewrite::ports(&variables, !isolated);
    let (about, host) = (engine.about(), engine.host_network());
    let route = Route::of(about, host, choice, !ports.is_empty(), forwards);
    let end = CancellationToken::new();
    let mut held = Held {
        choice,
        host,
        way: Way::None,
        network: None,
        rules: None,
        proxy: None,
        relays: BTreeMap::new(),
        ports,
        ours: Vec::new(),
        guest: Guest::default(),
        _guard: end.clone().drop_guard(),
        end,
    };
    held.way = match route {
        Route::None => Way::None,
        Route::Engine => Way::Engine,
        Route::Carried => Way::Carried,
        Route::Sockets => {
            Way::Sockets(Folder::make(folder.clone()).map_err(|source| NetworkError::Folder { path: folder, source })?)
        }
        Route::Gateway if isolated => {
            let network = Isolated::make(engine, &short_id, labels).await?;
            let gateway = network.gateway;
            held.network = Some(network);
            Way::Gateway(gateway)
        }
        Route::Gateway => Way::Gateway(isolated::gateway(engine, quirks::usual_network(about)).await?),
    };
    if isolated {
        rules.upstream = Upstream::of(&variables).map_err(|error| NetworkError::Impossible(error.to_string()))?;
        let (given, apis) = (Arc::clone(&rules.allowed), rewrite::apis(&variables));
        rules.allowed = Arc::new(move || apis.iter().fold(given(), Allowed::and));
        held.open_proxy(&rules).await?;
        held.rules = Some(rules);
    }
    Ok(held)
}

impl Held {
    /// What the container has to be made with.
    pub fn apply(&self, wish: &mut Wish) {
        wish.network = match (self.choice, &self.network) {
            // Whoever passes connections on listens on the loopback inside, which is to be the container's own.
            (NetworkChoice::Host, _) if self.is_bridged() => Network::Bridge,
            (NetworkChoice::Host, _) => Network::Host,
            (NetworkChoice::Bridge, _) => Network::Bridge,
            (NetworkChoice::Isolated, Some(_)) => Network::Isolated,
            (NetworkChoice::Isolated, None) => Network::None,
        };
        wish.network_name = self.network.as_ref().map(|network| network.name.clone());
        wish.host_address = match &self.way {
            Way::Gateway(address) => Some(*address),
            Way::None | Way::Engine | Way::Sockets(_) | Way::Carried => None,
        };
        if let Way::Sockets(folder) = &self.way {
            let source = MountSource::Path(folder.shared());
            wish.mounts.push(ExtraMount { source, target: inside::TARGET.to_owned(), read_only: true });
        }
        if let Some(proxy) = &self.proxy {
            wish.environment.extend(proxied(proxy));
        }
    }

    /// Completes it when the container has started, before its agent begins.
    ///
    /// # Errors
    /// [`NetworkError`]; the container is the caller's to remove.
    pub async fn settle(&mut self, engine: &Engine, id: &str) -> Result<(), NetworkError> {
        match &self.way {
            Way::None => {}
            Way::Engine => {
                self.relays = self.ports.iter().map(|port| (*port, (HOST.to_owned(), *port))).collect();
            }
            Way::Gateway(gateway) => {
                let gateway = *gateway;
                let _ = self.guest.set(isolated::guest(engine, id).await?);
                for port in self.ports.clone() {
                    let ear = Ear::at(gateway, port, Arc::clone(&self.guest)).await;
                    let (ear, at) = ear.map_err(|source| NetworkError::Listen { address: gateway, source })?;
                    ear.listen(self.end.clone(), move |client| relay::serve(port, client));
                    self.relays.insert(port, (HOST.to_owned(), at.port()));
                    self.ours.push(at);
                }
            }
            Way::Sockets(folder) => {
                let mut sockets = BTreeMap::new();
                if self.proxy.is_some() {
                    sockets.insert(PROXY_PORT, "proxy".to_owned());
                }
                for port in &self.ports {
                    let (port, name) = (*port, format!("port-{port}"));
                    let ear = folder.listen(&name);
                    let ear = ear.map_err(|source| NetworkError::Folder { path: folder.shared(), source })?;
                    ear.listen(self.end.clone(), move |client| relay::serve(port, client));
                    let own = own(port);
                    sockets.insert(own, name);
                    self.relays.insert(port, ("127.0.0.1".to_owned(), own));
                }
                if !sockets.is_empty() {
                    inside::forward(engine, id, &sockets).await?;
                }
            }
            Way::Carried => {
                let mut served: BTreeMap<u16, Serve> = BTreeMap::new();
                if let Some(rules) = self.rules.clone() {
                    served.insert(PROXY_PORT, Arc::new(move |client| Box::pin(proxy::serve(rules.clone(), client))));
                }
                for port in self.ports.iter().copied() {
                    served.insert(own(port), Arc::new(move |client| Box::pin(relay::serve(port, client))));
                    self.relays.insert(port, ("127.0.0.1".to_owned(), own(port)));
                }
                carried::carry(engine, id, served, self.end.clone()).await?;
            }
        }
        Ok(())
    }

    /// How variables have to be said inside.
    pub fn inward(&self) -> Inward {
        Inward { isolated: self.proxy.is_some(), relays: self.relays.clone() }
    }

    /// Which network it is.
    pub fn choice(&self) -> NetworkChoice {
        self.choice
    }

    /// Whose the engine's host network is.
    pub fn host(&self) -> HostNetwork {
        self.host
    }

    /// True where this machine's loopback has to be the container's own, because the agent's variables name ports of it.
    pub fn needs_loopback(&self) -> bool {
        self.choice == NetworkChoice::Host && matches!(self.way, Way::None) && !self.ports.is_empty()
    }

    /// True where it is on the bridge though the host's network is wished for, which is not this machine's.
    pub fn is_bridged(&self) -> bool {
        self.choice == NetworkChoice::Host && matches!(self.way, Way::Sockets(_) | Way::Carried)
    }

    /// True where the engine is relied on to lead to this machine's loopback by itself.
    pub fn is_led(&self) -> bool {
        matches!(self.way, Way::Engine)
    }

    /// This machine's address in the container's network, where it has one that is of use.
    pub fn gateway(&self) -> Option<IpAddr> {
        match &self.way {
            Way::Gateway(address) => Some(*address),
            Way::None | Way::Engine | Way::Sockets(_) | Way::Carried => None,
        }
    }

    /// Where the container is to find this program in its network.
    pub fn ours(&self) -> &[SocketAddr] {
        &self.ours
    }

    /// The ports of this machine's loopback that are led to.
    pub fn relayed(&self) -> Vec<u16> {
        self.relays.keys().copied().collect()
    }

    /// Ends all of it when the container is gone; returns when the engine's network is too.
    pub async fn close(mut self) {
        self.end.cancel();
        if let Some(network) = self.network.take() {
            network.remove().await;
        }
    }

    async fn open_proxy(&mut self, rules: &Rules) -> Result<(), NetworkError> {
        let ear = match &self.way {
            Way::Gateway(gateway) => {
                let gateway = *gateway;
                let bound = Ear::at(gateway, 0, Arc::clone(&self.guest)).await;
                let (ear, at) = bound.map_err(|source| NetworkError::Listen { address: gateway, source })?;
                self.proxy = Some(format!("http://{at}"));
                self.ours.push(at);
                ear
            }
            Way::Sockets(folder) => {
                self.proxy = Some(format!("http://127.0.0.1:{PROXY_PORT}"));
                folder.listen("proxy").map_err(|source| NetworkError::Folder { path: folder.shared(), source })?
            }
            Way::Carried => {
                self.proxy = Some(format!("http://127.0.0.1:{PROXY_PORT}"));
                return Ok(());
            }
            Way::None | Way::Engine => return Ok(()),
        };
        let rules = rules.clone();
        ear.listen(self.end.clone(), move |client| proxy::serve(rules.clone(), client));
        Ok(())
    }
}

/// Where a port of this machine's loopback is inside: privileged ones are nobody's there.
fn own(port: u16) -> u16 {
    if port < 1024 { port + 40_000 } else { port }
}

/// The variables by which programs find the proxy. No secret is in them.
fn proxied(proxy: &str) -> Vec<(String, String)> {
    let past = format!("localhost,127.0.0.1,::1,{HOST}");
    let mut all: Vec<(String, String)> =
        rewrite::PROXIES.iter().map(|name| ((*name).to_owned(), proxy.to_owned())).collect();
    all.extend(rewrite::PAST.iter().map(|name| ((*name).to_owned(), past.clone())));
    for (name, value) in [
        ("npm_config_proxy", proxy),
        ("npm_config_https_proxy", proxy),
        ("npm_config_noproxy", &past),
        ("YARN_HTTP_PROXY", proxy),
        ("YARN_HTTPS_PROXY", proxy),
    ] {
        all.push((name.to_owned(), value.to_owned()));
    }
    all
}

/// The host of the model's API where the user names none.
pub fn usual_api() -> Target {
    Target { host: allow::Host::Name("api.anthropic.com".to_owned()), port: 443 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn variables_are_said_as_they_hold_inside() {
        let before = variables(&[
            ("ANTHROPIC_BASE_URL", "http://localhost:4000/v1"),
            ("ANTHROPIC_API_KEY", "key"),
            ("HTTPS_PROXY", "http://127.0.0.1:3128"),
            ("no_proxy", "corp.example"),
        ]);
        let relays = BTreeMap::from([(4000, (HOST.to_owned(), 4000)), (3128, (HOST.to_owned(), 40001))]);
        let mut bridge = before.clone();
        Inward { isolated: false, relays: relays.clone() }.rewrite(&mut bridge);
        let expected = variables(&[
            ("ANTHROPIC_BASE_URL", "http://host.docker.internal:4000/v1"),
            ("ANTHROPIC_API_KEY", "key"),
            ("HTTPS_PROXY", "http://host.docker.internal:40001"),
            ("no_proxy", "corp.example,host.docker.internal"),
            ("NO_PROXY", "host.docker.internal"),
        ]);
        assert_eq!(bridge, expected, "on a bridge the user's proxies stay, and the API is reached past them");
        let mut isolated = before.clone();
        Inward { isolated: true, relays }.rewrite(&mut isolated);
        let expected =
            variables(&[("ANTHROPIC_BASE_URL", "http://host.docker.internal:4000/v1"), ("ANTHROPIC_API_KEY", "key")]);
        assert_eq!(isolated, expected, "where it is isolated, the container's own variables name the only proxy");
        let mut host = before.clone();
        Inward { isolated: false, relays: BTreeMap::new() }.rewrite(&mut host);
        assert_eq!(host, before, "on the host's network everything holds as it is");
    }

    #[test]
    fn every_engine_has_its_way_to_this_machine() {
        use HostNetwork::{Elsewhere, Engines, Machines, Ours};
        use NetworkChoice::{Bridge, Host, Isolated};
        let about = |podman, rootless, virtual_machine| About { podman, virtual_machine, rootless, ..About::default() };
        let engines = [
            ("Docker", about(false, false, false), false, Ours),
            ("rootless Docker", about(false, true, false), false, Engines),
            ("Podman", about(true, false, false), false, Ours),
            ("rootless Podman", about(true, true, false), false, Ours),
            ("Docker Desktop", about(false, false, true), false, Machines),
            ("Docker elsewhere", about(false, false, false), true, Elsewhere),
            ("rootless Podman elsewhere", about(true, true, true), true, Elsewhere),
        ];
        let (none, gateway, sockets) = (Route::None, Route::Gateway, Route::Sockets);
        let (engine, carried) = (Route::Engine, Route::Carried);
        // Where ports of this machine's loopback are named; in the isolated one with something that forwards, and without.
        let routes = [
            (Host, true, true, [none, sockets, none, none, engine, carried, carried]),
            (Bridge, true, true, [gateway, sockets, gateway, sockets, engine, carried, carried]),
            (Isolated, true, true, [sockets, sockets, sockets, sockets, carried, carried, carried]),
            (Isolated, true, false, [gateway, sockets, sockets, sockets, carried, carried, carried]),
            (Isolated, false, true, [sockets, sockets, sockets, sockets, carried, carried, carried]),
            (Host, false, true, [none; 7]),
            (Bridge, false, false, [none; 7]),
        ];
        for (choice, local, forwards, expected) in routes {
            for ((name, about, remote, host), expected) in engines.iter().zip(expected) {
                assert_eq!(quirks::host_network(about, *remote), *host, "{name}");
                let found = Route::of(about, *host, choice, local, forwards);
                assert_eq!(found, expected, "{name}, {choice:?}, local {local}, forwards {forwards}");
            }
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn sockets_lie_at_paths_of_any_length_and_go_with_their_folder() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("long".repeat(40)).join("container");
        let folder = Folder::make(path.clone()).unwrap();
        let ear = folder.listen("proxy").unwrap();
        let end = CancellationToken::new();
        ear.listen(end.clone(), |mut stream| async move { drop(stream.write_all(b"welcome").await) });
        // As a container sees it: at a short path.
        let short = temporary.path().join("s");
        std::os::unix::fs::symlink(folder.shared(), &short).unwrap();
        let mut stream = tokio::net::UnixStream::connect(short.join("proxy")).await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "welcome", "whoever has the folder is served");
        drop(folder);
        assert!(!path.exists(), "nothing is left of it");
    }
}
