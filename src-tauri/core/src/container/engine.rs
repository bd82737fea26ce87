//! The container engine: which one, whether it answers, and what it can do. Knows Docker and Podman by their common
//! API; knows nothing of images and containers.

pub mod address;
pub mod error;
mod find;
pub(crate) mod list;
mod places;
pub(crate) mod plain;
pub mod quirks;
mod ssh;
pub mod survey;
mod tls;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bollard::errors::Error::IOError;
use bollard::models::{SystemInfo, SystemVersion};
use bollard::{API_DEFAULT_VERSION, Docker};

pub use address::Address;
pub use error::{Attempt, EngineError};
pub use places::Places;
pub use ssh::SshError;

use crate::environment::Environment;
use find::{Candidate, Choice};

/// How long an engine may take to say that it is there. It needs a millisecond.
const PING: Duration = Duration::from_secs(2);
/// The same for one on another machine.
const FAR_PING: Duration = Duration::from_secs(15);
/// How long it may take over a question about itself or one of its objects. It needs milliseconds, but one that others
/// keep busy is no failure.
pub(crate) const QUESTION: Duration = Duration::from_secs(20);
/// How long what it said of itself is taken for true, as long as it answers. Docker runs two programs to say it, which
/// is felt at each click, and what it says changes with its installation.
const TRUSTED: Duration = Duration::from_mins(10);
/// How long bollard waits for an answer's first byte. Ours are shorter and named, but for a build, whose answer
/// begins only when the whole context was sent.
const LONGEST_SILENCE: u64 = 600;

/// The origin of an address that nobody named.
const KNOWN: &str = if cfg!(windows) { "a known pipe" } else { "a known socket" };

/// An engine that has answered.
#[derive(Debug, Clone)]
pub struct Engine {
    docker: Docker,
    address: Address,
    origin: String,
    about: Arc<About>,
    asked: Asked,
    /// Held, because its end is the way's.
    tunnel: Option<Arc<ssh::Tunnel>>,
}

/// When and where an engine told about itself.
#[derive(Debug, Clone)]
struct Asked {
    at: Instant,
    /// Its socket; another engine at the same path has another.
    socket: Option<Identity>,
}

/// Of a socket: its device, its inode, and when that changed.
type Identity = (u64, u64, i64);

/// What an engine said of itself.
#[allow(clippy::struct_excessive_bools)] // Independent facts, each of which the engine states by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// In words, such as "Docker 20.10.24" or "Podman 4.3.1".
    pub name: String,
    /// Its API's version, such as "1.41".
    pub api: String,
    /// True for Podman, whose API differs in places.
    pub podman: bool,
    /// True for Docker Desktop.
    pub desktop: bool,
    /// True where containers live in a virtual machine, whose network is not the user's.
    pub virtual_machine: bool,
    /// True where the engine runs as an ordinary user, whom root in a container then is.
    pub rootless: bool,
    /// True where `SELinux` confines containers.
    pub selinux: bool,
    /// Security options as the engine names them.
    pub security: Vec<String>,
    /// "1" or "2".
    pub cgroup: String,
    /// Processors that containers may use.
    pub cpus: u64,
    /// Memory that containers may use, in bytes.
    pub memory: u64,
    /// Which limits the engine can keep.
    pub limits: Supported,
}

/// Limits that the engine and its kernel support. A limit that is not supported is an error at some engines and
/// passed over at others, so that it must not be asked for.
#[allow(clippy::struct_excessive_bools)] // Independent facts, as the engine states them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Supported {
    /// Of memory.
    pub memory: bool,
    /// Of swap, on top of memory.
    pub swap: bool,
    /// Of processor time.
    pub cpu: bool,
    /// Of the number of processes.
    pub pids: bool,
}

impl Engine {
    /// Finds the engine that the user means and asks it who it is. `setting` is the address in the user's settings.
    ///
    /// # Errors
    /// [`EngineError`] names what was tried and why it is no engine.
    pub async fn find(setting: Option<&str>, environment: &Environment) -> Result<Self, EngineError> {
        Self::find_again(None, setting, environment).await
    }

    /// The same, where an engine was found before: if it is the one that is meant now, and answers, it is not asked
    /// who it is once more.
    ///
    /// # Errors
    /// As [`Engine::find`].
    pub async fn find_again(
        before: Option<&Self>,
        setting: Option<&str>,
        environment: &Environment,
    ) -> Result<Self, EngineError> {
        Self::find_among(&Places::usual(environment), before, setting, environment).await
    }

    /// The same, where one at this address was used last: where nobody names an engine, that one comes before the others,
    /// whose logins and caches are not the same.
    ///
    /// # Errors
    /// As [`Engine::find`].
    pub async fn find_like(
        last: Option<&str>,
        before: Option<&Self>,
        setting: Option<&str>,
        environment: &Environment,
    ) -> Result<Self, EngineError> {
        Self::find_among(&Places::usual(environment).preferring(last), before, setting, environment).await
    }

    /// The same, with other places to look at where nobody names an engine.
    ///
    /// # Errors
    /// As [`Engine::find`].
    pub async fn find_among(
        places: &Places,
        before: Option<&Self>,
        setting: Option<&str>,
        environment: &Environment,
    ) -> Result<Self, EngineError> {
        let (setting, read, known) = (setting.map(str::to_owned), environment.clone(), places.clone());
        // Small files, but they may lie on a slow network home.
        match aside(move || find::choose(setting.as_deref(), &read, &known)).await?? {
            Choice::Named(candidate) => Self::connect(candidate, before, environment).await.map_err(Refusal::alone),
            Choice::Known(addresses) => Self::first(addresses, before, places, environment).await,
        }
    }

    /// The API.
    pub fn api(&self) -> &Docker {
        &self.docker
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Where its address was named, in words.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What it said of itself.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// True where it is on another machine and cannot mount this one's folders.
    pub fn is_remote(&self) -> bool {
        self.address.is_remote()
    }

    /// Whose network its containers have on the "host" network.
    pub fn host_network(&self) -> quirks::HostNetwork {
        quirks::host_network(&self.about, self.is_remote())
    }

    /// Our end of the way to it, where there is one.
    fn tunnel_socket(&self) -> Option<&std::path::Path> {
        self.tunnel.as_deref().map(ssh::Tunnel::socket)
    }

    async fn first(
        addresses: Vec<Address>,
        before: Option<&Self>,
        places: &Places,
        environment: &Environment,
    ) -> Result<Self, EngineError> {
        let mut refusals = Vec::new();
        for address in addresses {
            match Self::connect(Candidate { address, origin: KNOWN.to_owned() }, before, environment).await {
                Ok(engine) => return Ok(engine),
                Err(Refusal::Absent(_)) => {}
                Err(refusal) => refusals.push(refusal),
            }
        }
        // A socket that is forbidden says more than one that is dead: the engine behind it may well run.
        if let Some(at) = refusals.iter().position(|refusal| matches!(refusal, Refusal::Forbidden(_))) {
            return Err(refusals.swap_remove(at).alone());
        }
        if refusals.len() == 1 {
            return Err(refusals.remove(0).alone());
        }
        if !refusals.is_empty() {
            return Err(EngineError::NotRunning { tried: refusals.into_iter().map(Refusal::attempt).collect() });
        }
        let looked_at = places.clone();
        if !aside(move || looked_at.have_program()).await? {
            return Err(EngineError::NotInstalled { looked: places.in_words() });
        }
        let cause = "there is no socket, though an engine's program is installed";
        let absent = |address: &Address| Attempt {
            address: address.to_string(),
            origin: KNOWN.to_owned(),
            cause: cause.to_owned(),
        };
        // The first stands for all: the others are other engines' and most users have never heard of them.
        Err(EngineError::NotRunning { tried: places.sockets.iter().take(1).map(absent).collect() })
    }

    async fn connect(candidate: Candidate, before: Option<&Self>, environment: &Environment) -> Result<Self, Refusal> {
        let Candidate { address, origin } = candidate;
        let mut socket = None;
        let attempt = |cause: String| Attempt { address: address.to_string(), origin: origin.clone(), cause };
        if let Address::Unix(path) = &address {
            // bollard asks whether the path exists and takes "may not look" for "no".
            match tokio::fs::symlink_metadata(path).await {
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                    return Err(Refusal::Forbidden(attempt(error.to_string())));
                }
                Err(error) => return Err(Refusal::Absent(attempt(error.to_string()))),
                Ok(metadata) => socket = Some(identity(&metadata)),
            }
        }
        let patience = if address.is_remote() { FAR_PING } else { PING };
        if let Some(before) = before.filter(|before| before.is_still(&address, socket))
            && matches!(tokio::time::timeout(patience, before.docker.ping()).await, Ok(Ok(_)))
        {
            return Ok(Self { origin, ..before.clone() });
        }
        let (docker, tunnel) = open(&address, environment, attempt).await?;
        match tokio::time::timeout(patience, docker.ping()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                // Where the way broke, ssh knows more than whoever came to a closed socket.
                let ended = tunnel.as_ref().and_then(ssh::Tunnel::ended).filter(|said| !said.is_empty());
                return Err(Refusal::of(&error, attempt(ended.unwrap_or_else(|| words(&error)))));
            }
            Err(_) => return Err(Refusal::Dead(attempt(format!("no answer within {patience:?}")))),
        }
        let asked =
            async { tokio::try_join!(question("its version", docker.version()), question("its state", docker.info())) };
        let (version, info) = asked.await.map_err(Refusal::Ill)?;
        let about = Arc::new(About::read(&version, &info, false));
        tracing::debug!(engine = %about.name, api = %about.api, %address, %origin, "found the engine");
        let asked = Asked { at: Instant::now(), socket };
        let mut engine = Self { docker, address, origin, about, asked, tunnel: tunnel.map(Arc::new) };
        if quirks::says_otherwise_that_it_is_rootless(&engine.about) {
            let says = async { plain::says_rootless(&engine).await.map_err(|err| IOError { err }) };
            let rootless = question("whether it is rootless", says).await.map_err(Refusal::Ill)?;
            engine.about = Arc::new(About::read(&version, &info, rootless));
        }
        Ok(engine)
    }

    /// True where what it said of itself still holds, if it answers at all.
    fn is_still(&self, address: &Address, socket: Option<Identity>) -> bool {
        self.address == *address && self.asked.socket == socket && self.asked.at.elapsed() < TRUSTED
    }
}

/// Looks at files beside the runtime's own threads.
async fn aside<T: Send + 'static>(look: impl FnOnce() -> T + Send + 'static) -> Result<T, EngineError> {
    let refused = |error: tokio::task::JoinError| EngineError::Refused {
        call: "a look at its configuration",
        cause: error.to_string(),
    };
    tokio::task::spawn_blocking(look).await.map_err(refused)
}

/// Asks the engine something that it answers at once, with a timeout that is named.
pub(crate) async fn question<T>(
    call: &'static str,
    asked: impl Future<Output = Result<T, bollard::errors::Error>>,
) -> Result<T, EngineError> {
    match tokio::time::timeout(QUESTION, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(EngineError::Refused { call, cause: words(&error) }),
        Err(_) => Err(EngineError::Timeout { call, limit: QUESTION }),
    }
}

/// An error and what is behind it, in one line.
pub(crate) fn words(error: &bollard::errors::Error) -> String {
    if let bollard::errors::Error::DockerResponseServerError { message, .. } = error {
        return message.trim().to_owned();
    }
    let mut source = std::error::Error::source(error);
    let mut text = match (error, source) {
        // Its own words name a library that no user has heard of.
        (bollard::errors::Error::HyperLegacyError { .. }, Some(inner)) => {
            source = inner.source();
            inner.to_string()
        }
        _ => error.to_string(),
    };
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}

/// The status of the engine's answer, where it gave one.
pub(crate) fn status(error: &bollard::errors::Error) -> Option<u16> {
    match error {
        bollard::errors::Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// Why one address is no engine.
enum Refusal {
    Absent(Attempt),
    Dead(Attempt),
    Forbidden(Attempt),
    Strange(Attempt),
    Ill(EngineError),
}

impl Refusal {
    fn of(error: &bollard::errors::Error, attempt: Attempt) -> Self {
        if let Some(about_certificates) = tls::refusal(&words(error), &attempt) {
            return Self::Ill(about_certificates);
        }
        let kind = io_kind(error);
        match (kind, status(error)) {
            (Some(std::io::ErrorKind::PermissionDenied), _) => Self::Forbidden(attempt),
            // Docker Desktop's socket answers 500 while the machine behind it sleeps.
            (_, Some(500..)) => Self::Dead(attempt),
            (_, Some(_)) => Self::Strange(attempt),
            (Some(_), None) => Self::Dead(attempt),
            (None, None) => Self::Strange(attempt),
        }
    }

    fn attempt(self) -> Attempt {
        match self {
            Self::Absent(attempt) | Self::Dead(attempt) | Self::Forbidden(attempt) | Self::Strange(attempt) => attempt,
            Self::Ill(error) => {
                Attempt { address: String::new(), origin: "an engine that is ill".to_owned(), cause: error.to_string() }
            }
        }
    }

    /// The error where this was the only address.
    fn alone(self) -> EngineError {
        match self {
            Self::Absent(attempt) | Self::Dead(attempt) => EngineError::NotRunning { tried: vec![attempt] },
            Self::Forbidden(tried) => EngineError::NoPermission { tried },
            Self::Strange(tried) => EngineError::NotAnEngine { tried },
            Self::Ill(error) => error,
        }
    }
}

fn io_kind(error: &bollard::errors::Error) -> Option<std::io::ErrorKind> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        source = inner.source();
    }
    None
}

#[cfg(unix)]
fn identity(metadata: &std::fs::Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino(), metadata.ctime())
}

#[cfg(not(unix))]
fn identity(_metadata: &std::fs::Metadata) -> Identity {
    // Sockets are a matter of Unix.
    (0, 0, 0)
}

async fn open(
    address: &Address,
    environment: &Environment,
    attempt: impl Fn(String) -> Attempt,
) -> Result<(Docker, Option<ssh::Tunnel>), Refusal> {
    let absent = |error: bollard::errors::Error| Refusal::Absent(attempt(words(&error)));
    let at_socket = |path: &std::path::Path| {
        #[cfg(unix)]
        return Docker::connect_with_unix(&path.to_string_lossy(), LONGEST_SILENCE, API_DEFAULT_VERSION);
        #[cfg(not(unix))]
        Err(bollard::errors::Error::UnsupportedURISchemeError { uri: path.display().to_string() })
    };
    let docker = match address {
        Address::Unix(path) => at_socket(path).map_err(absent)?,
        #[cfg(windows)]
        Address::Pipe(path) => {
            Docker::connect_with_named_pipe(path, LONGEST_SILENCE, API_DEFAULT_VERSION).map_err(absent)?
        }
        #[cfg(not(windows))]
        Address::Pipe(path) => {
            return Err(absent(bollard::errors::Error::UnsupportedURISchemeError { uri: path.clone() }));
        }
        Address::Tcp(host) => {
            Docker::connect_with_http(&format!("tcp://{host}"), LONGEST_SILENCE, API_DEFAULT_VERSION).map_err(absent)?
        }
        Address::Tls { host, certificates } => {
            let (host, folder) = (host.clone(), certificates.clone());
            let opened = aside(move || tls::open(&host, &folder, LONGEST_SILENCE)).await;
            opened.and_then(|opened| opened).map_err(Refusal::Ill)?
        }
        Address::Ssh(login) => {
            let tunnel = ssh::Tunnel::open(login, environment).await.map_err(|why| {
                let tried = attempt(why.to_string());
                Refusal::Ill(EngineError::Ssh { tried, why })
            })?;
            return Ok((mended(at_socket(tunnel.socket()).map_err(absent)?), Some(tunnel)));
        }
    };
    Ok((mended(docker), None))
}

/// The same client without two faults of bollard 0.21. It writes logins in another alphabet of base64 than engines take,
/// which pass over a login with some letters without a word; here no log shows them, either. And it has too few bits for
/// a build's memory in bytes, so that it is given in MiB.
fn mended(docker: Docker) -> Docker {
    docker.with_request_modifier(|mut request| {
        for name in ["x-registry-auth", "x-registry-config"] {
            if let Some(value) = request.headers_mut().get_mut(name) {
                let text = value.to_str().unwrap_or_default().replace('+', "-").replace('/', "_");
                if let Ok(text) = text.parse() {
                    *value = text;
                }
                value.set_sensitive(true);
            }
        }
        if let Some(Ok(address)) = in_bytes(&request.uri().to_string()).map(|address| address.parse()) {
            *request.uri_mut() = address;
        }
        request
    })
}

/// The address of a call for a build, its memory in bytes instead of MiB; `None` for other calls.
fn in_bytes(address: &str) -> Option<String> {
    let (path, query) = address.split_once('?').filter(|(path, _)| path.ends_with("/build"))?;
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name @ ("memory" | "memswap"), number)) => match number.parse::<u64>() {
            Ok(mebibytes) => format!("{name}={}", mebibytes << 20),
            Err(_) => pair.to_owned(),
        },
        _ => pair.to_owned(),
    });
    Some(format!("{path}?{}", pairs.collect::<Vec<_>>().join("&")))
}

impl About {
    /// `rootless` is true where it says so otherwise than Docker does.
    fn read(version: &SystemVersion, info: &SystemInfo, rootless: bool) -> Self {
        let components = version.components.as_deref().unwrap_or_default();
        let podman = components.iter().any(|component| component.name.contains("Podman"));
        let desktop = info.operating_system.as_deref().is_some_and(|system| system.contains("Docker Desktop"));
        let security = info.security_options.clone().unwrap_or_default();
        let has = |option: &str| security.iter().any(|line| line.contains(option));
        let rootless = rootless || has("rootless");
        let cgroup = info.cgroup_version.map(|version| version.to_string()).unwrap_or_default();
        let number = version.version.as_deref().unwrap_or_default();
        // Distributions append their own suffix, which nobody needs to see.
        let number = number.split(['+', '-', '~']).next().unwrap_or_default();
        let kind = match (podman, desktop) {
            (true, _) => "Podman",
            (false, true) => "Docker Desktop",
            (false, false) => "Docker",
        };
        Self {
            name: format!("{kind} {number}").trim().to_owned(),
            api: version.api_version.clone().unwrap_or_default(),
            podman,
            desktop,
            virtual_machine: quirks::is_virtual(info, quirks::kernel().as_deref()),
            rootless,
            selinux: has("selinux"),
            cpus: info.ncpu.and_then(|count| u64::try_from(count).ok()).unwrap_or_default(),
            memory: info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
            limits: quirks::supported(info, rootless, &cgroup),
            cgroup,
            security,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_builds_memory_is_in_bytes_on_the_wire() {
        let asked = "unix://2f72:0/v1.41/build?t=a&memory=8192&memswap=8192&cpuquota=1&buildargs=%26memory%3D1";
        let sent =
            "unix://2f72:0/v1.41/build?t=a&memory=8589934592&memswap=8589934592&cpuquota=1&buildargs=%26memory%3D1";
        assert_eq!(in_bytes(asked).as_deref(), Some(sent), "and nothing else is another");
        assert_eq!(in_bytes("unix://2f72:0/v1.41/containers/create?memory=1"), None, "other calls are as they are");
        assert_eq!(
            in_bytes("unix://2f72:0/v1.41/build?memswap=-1").as_deref(),
            Some("unix://2f72:0/v1.41/build?memswap=-1"),
            "no limit"
        );
    }
}
