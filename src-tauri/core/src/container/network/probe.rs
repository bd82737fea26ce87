//! What a container really reaches: tried from inside, and not assumed. It knows which addresses to try, and not what
//! follows from the answer.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use futures_util::StreamExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::allow::{Host, Target};
use super::inside::FORWARDS;
use super::rewrite::HOST;
use crate::container::engine::{self, Engine};
use crate::container::image::ImageError;
use crate::container::image::fit::{self, Question};

/// How long this machine takes at most to reach an address, so that the container is asked to try the same.
const OUTWARDS: Duration = Duration::from_secs(3);
/// How long all tries inside may take together.
const INSIDE: Duration = Duration::from_mins(2);
/// How long it may take to note who was let in.
const NOTED: Duration = Duration::from_secs(10);
/// How long what was found on the host's network holds.
const LATELY: Duration = Duration::from_mins(10);
/// How many seconds a try may take where it matters most, and where it leads outwards. A machine under load is slow.
const SECONDS: [&str; 2] = ["30", "8"];
/// Tries to connect to each address and port, side by side, with whatever the image has. It says a line
/// for each that can be reached, and `tried` at the end; without that, nothing inside could try.
const SCRIPT: &str = r#"
if command -v bash >/dev/null && command -v timeout >/dev/null; then
  try() { timeout "$3" bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2"; }
elif command -v node >/dev/null; then
  try() { node -e 'const [host, port, seconds] = process.argv.slice(1);
    const s = require("node:net").connect({ host, port: Number(port) }, () => process.exit(0));
    s.on("error", () => process.exit(1)); setTimeout(() => process.exit(1), seconds * 1000);' "$1" "$2" "$3"; }
elif command -v python3 >/dev/null; then
  try() { python3 -c 'import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), int(sys.argv[3]))' "$1" "$2" "$3"; }
elif command -v nc >/dev/null; then
  nc=nc
elif command -v busybox >/dev/null && busybox nc --help 2>&1 | grep -q Usage; then
  nc='busybox nc'
else
  exit 0
fi
if [ -n "${nc:-}" ]; then
  # Not every one can only look. The others end with what they are sent to, which closes when nothing comes.
  look=; case $($nc --help 2>&1; $nc -h 2>&1) in *-z*|*Zz]*) look=-z ;; esac
  try() { $nc $look -w "$3" "$1" "$2" </dev/null >/dev/null; }
fi
while [ $# -gt 2 ]; do
  { try "$1" "$2" "$3" 2>/dev/null && echo "reached $1 $2"; } &
  shift 3
done
wait
echo tried
"#;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// This machine's loopback was reached.
    pub loopback: bool,
    /// The outside.
    pub outside: Outside,
    /// Everything was reached at which the container is to find this program, or what the engine leads to.
    pub ours: bool,
}

/// What is tried beside this machine's loopback.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tries<'a> {
    /// Addresses beyond this machine, which it reaches itself.
    pub outside: &'a [SocketAddr],
    /// Those at which the container is to find this program.
    pub ours: &'a [SocketAddr],
    /// Whether the engine leads to this machine's loopback by a name.
    pub led: bool,
}

/// Whether the outside was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// It was.
    Reached,
    /// It was not, though this machine reaches it.
    Closed,
    /// This machine does not reach it either, so that nothing can be said.
    Unknown,
}

/// Why nothing was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoFinding {
    /// The image has nothing to try with.
    #[error("the image has neither bash nor node nor python3 nor nc to try it with")]
    NoTool,
    /// The try failed.
    #[error("{0}")]
    Failed(String),
}

/// What was found on the host's network of each engine: there every container finds the same, and to try takes a
/// processor's time, of which other containers have need while they start. And of images, which change as little.
#[derive(Debug, Default)]
pub struct Lately {
    known: tokio::sync::Mutex<BTreeMap<String, (Instant, Finding)>>,
    forwarding: tokio::sync::Mutex<BTreeMap<(String, String), bool>>,
}

impl Lately {
    /// As [`look`], unless this machine was reached lately; whoever comes while somebody looks waits for that.
    ///
    /// # Errors
    /// As [`look`].
    pub async fn look(&self, engine: &Engine, id: &str, api: &Target) -> Result<Finding, NoFinding> {
        let mut known = self.known.lock().await;
        let address = engine.address().to_string();
        if let Some((_, finding)) = known.get(&address).filter(|(at, _)| at.elapsed() < LATELY) {
            return Ok(*finding);
        }
        let outside = outside(api).await;
        let mut finding = look(engine, id, Tries { outside: &outside, ..Tries::default() }).await?;
        if !finding.loopback {
            // What would end a container is looked at twice, and anew where the user tries again.
            finding = look(engine, id, Tries { outside: &outside, ..Tries::default() }).await?;
        }
        if finding.loopback {
            known.insert(address, (Instant::now(), finding));
        }
        Ok(finding)
    }

    /// True where an image has what passes connections on inside. It is looked at once, by a short container.
    ///
    /// # Errors
    /// [`ImageError`] where that container could not run.
    pub async fn forwards(&self, engine: &Engine, question: &Question) -> Result<bool, ImageError> {
        let mut known = self.forwarding.lock().await;
        let image = (engine.address().to_string(), question.id.clone());
        if let Some(found) = known.get(&image) {
            return Ok(*found);
        }
        let found = fit::says(engine, question, FORWARDS, "forwards").await?;
        known.insert(image, found);
        Ok(found)
    }
}

/// A port of this machine's loopback that notes whether anybody comes.
struct Door {
    port: u16,
    seen: watch::Receiver<bool>,
    _listening: AbortOnDropHandle<()>,
}

impl Door {
    async fn open() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let (note, seen) = watch::channel(false);
        let listening = tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                note.send_replace(true);
            }
        });
        Ok(Self { port, seen, _listening: AbortOnDropHandle::new(listening) })
    }

    /// True where somebody has come. That something inside listens at that port as well would not be a way to this
    /// machine. Who came is known a moment after they were let in, which on a busy machine may be after they have told.
    async fn has_seen(mut self) -> bool {
        tokio::time::timeout(NOTED, self.seen.wait_for(|seen| *seen)).await.is_ok_and(|seen| seen.is_ok())
    }
}

/// Tries from inside the container.
///
/// # Errors
/// [`NoFinding`] where nothing could be tried.
pub async fn look(engine: &Engine, id: &str, tries: Tries<'_>) -> Result<Finding, NoFinding> {
    let failed = |error: std::io::Error| NoFinding::Failed(error.to_string());
    let own = Door::open().await.map_err(failed)?;
    let led = if tries.led { Some(Door::open().await.map_err(failed)?) } else { None };
    let at = |address: &SocketAddr| (address.ip().to_string(), address.port());
    let local = (Ipv4Addr::LOCALHOST.to_string(), own.port);
    let mut all = vec![(local.clone(), SECONDS[0])];
    all.extend(led.iter().map(|led| ((HOST.to_owned(), led.port), SECONDS[0])));
    all.extend(tries.ours.iter().map(|address| (at(address), SECONDS[0])));
    all.extend(tries.outside.iter().map(|address| (at(address), SECONDS[1])));
    let said = tokio::time::timeout(INSIDE, run(engine, id, &all)).await;
    let said = said.map_err(|_| NoFinding::Failed(format!("it took longer than {INSIDE:?}")))??;
    if !said.lines().any(|line| line == "tried") {
        return Err(NoFinding::NoTool);
    }
    let reached = |(host, port): &(String, u16)| said.lines().any(|said| said == format!("reached {host} {port}"));
    let outside = match tries.outside {
        [] => Outside::Unknown,
        all if all.iter().any(|address| reached(&at(address))) => Outside::Reached,
        _ => Outside::Closed,
    };
    let loopback = reached(&local) && own.has_seen().await;
    let ours = tries.ours.iter().all(|address| reached(&at(address)))
        && match led {
            Some(led) => reached(&(HOST.to_owned(), led.port)) && led.has_seen().await,
            None => true,
        };
    Ok(Finding { loopback, outside, ours })
}

/// Addresses beyond this machine that it reaches: where the model's API is, and the servers of names.
pub async fn outside(api: &Target) -> Vec<SocketAddr> {
    reachable(&beyond(api).await).await
}

async fn beyond(api: &Target) -> Vec<SocketAddr> {
    let mut all: Vec<SocketAddr> = match &api.host {
        Host::Address(address) => vec![SocketAddr::new(*address, api.port)],
        Host::Name(name) => {
            let looked = tokio::time::timeout(OUTWARDS, tokio::net::lookup_host((name.as_str(), api.port)));
            looked.await.ok().and_then(Result::ok).into_iter().flatten().take(2).collect()
        }
    };
    let names = tokio::fs::read_to_string("/etc/resolv.conf").await.unwrap_or_default();
    let servers = names.lines().filter_map(|line| line.strip_prefix("nameserver")?.trim().parse().ok());
    all.extend(servers.map(|address| SocketAddr::new(address, 53)));
    // What is this machine itself is not beyond it.
    all.retain(|address| std::net::UdpSocket::bind((address.ip(), 0)).is_err());
    all
}

/// Those that this machine reaches.
async fn reachable(outside: &[SocketAddr]) -> Vec<SocketAddr> {
    let tries = outside.iter().map(|address| async move {
        let stream = tokio::time::timeout(OUTWARDS, TcpStream::connect(address)).await;
        matches!(stream, Ok(Ok(_))).then_some(*address)
    });
    futures_util::future::join_all(tries).await.into_iter().flatten().collect()
}

/// A host and a port, and how many seconds may pass.
type Try = ((String, u16), &'static str);

async fn run(engine: &Engine, id: &str, tries: &[Try]) -> Result<String, NoFinding> {
    let words = |error: bollard::errors::Error| NoFinding::Failed(engine::words(&error));
    let mut command = ["/bin/sh", "-c", SCRIPT, "probe"].map(str::to_owned).to_vec();
    for ((host, port), seconds) in tries {
        command.extend([host.clone(), port.to_string(), (*seconds).to_owned()]);
    }
    let config = ExecConfig { attach_stdout: Some(true), cmd: Some(command), ..ExecConfig::default() };
    let exec = engine.api().create_exec(id, config).await.map_err(words)?.id;
    let started = engine.api().start_exec(&exec, None::<StartExecOptions>).await.map_err(words)?;
    let mut said = String::new();
    if let StartExecResults::Attached { mut output, .. } = started {
        while let Some(piece) = output.next().await {
            said.push_str(&piece.map_err(words)?.to_string());
        }
    }
    Ok(said)
}
