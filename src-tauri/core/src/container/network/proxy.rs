//! The only way out of an isolated network: a proxy that takes tunnels and plain requests to allowed names, and tells
//! of those that it refused. It knows the list and no container.

mod request;
mod upstream;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy, copy_bidirectional};
use tokio::net::TcpStream;

use super::allow::{Allowed, Host, Reach, Target, is_outside};
use super::ear::Duplex;
use request::{BadRequest, LONGEST, Request};
pub use upstream::{BadProxy, Upstream};

/// How long a client may take over the head of its request.
const HEAD: Duration = Duration::from_secs(30);
/// How long a name may take to be found, and its host to answer.
const CONNECT: Duration = Duration::from_secs(20);

/// Finds the addresses of a name.
pub type Resolve =
    Arc<dyn Fn(String, u16) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> + Send + Sync>;

/// Hears of a refused target, and why.
pub type Refused = Arc<dyn Fn(&Target, Why) + Send + Sync>;

/// Why a target is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// No entry allows the name.
    Name,
    /// No entry allows the address.
    Address,
    /// The name is allowed, and leads to this machine or its own network.
    LeadsBack,
}

impl Why {
    /// In words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Name => "the name and port are not on its list",
            Self::Address => "addresses are not on its list",
            Self::LeadsBack => {
                "the name leads to this machine or its own network, which an entry has to say with its port"
            }
        }
    }
}

/// Hears of a request that could be understood in two ways, or not at all: its status.
pub type Malformed = Arc<dyn Fn(&str) + Send + Sync>;

/// What the proxy asks for each request.
#[derive(Clone)]
pub struct Rules {
    /// What may be reached now.
    pub allowed: Arc<dyn Fn() -> Allowed + Send + Sync>,
    /// Told of each refusal.
    pub refused: Refused,
    /// Told of each request that is none.
    pub malformed: Malformed,
    /// Finds addresses.
    pub resolve: Resolve,
    /// This machine's own way out.
    pub upstream: Upstream,
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Rules").finish_non_exhaustive()
    }
}

/// Finds addresses as this machine does.
pub fn system() -> Resolve {
    Arc::new(|name, port| {
        Box::pin(async move { tokio::net::lookup_host((name, port)).await.map(Iterator::collect::<Vec<_>>) })
    })
}

/// Why there is no way to a target.
#[derive(Debug)]
enum NoWay {
    /// It is not allowed.
    Refused(Why),
    /// It cannot be reached.
    Failed(String),
}

/// Serves one connection of a container's.
pub(super) async fn serve(rules: Rules, mut client: Box<dyn Duplex>) {
    if let Err(error) = talk(&rules, &mut client).await {
        tracing::debug!(%error, "a proxied connection ended early");
    }
}

async fn talk(rules: &Rules, client: &mut Box<dyn Duplex>) -> io::Result<()> {
    let (head, early) = match tokio::time::timeout(HEAD, read_head(client)).await {
        Ok(read) => match read? {
            Some(read) => read,
            None => return Ok(()),
        },
        Err(_) => return answer(client, "408 Request Timeout", "The head of the request did not come.").await,
    };
    let request = match head.and_then(|head| request::read(&head)) {
        Ok(request) => request,
        Err(bad) => {
            let status = bad.to_string();
            (rules.malformed)(&status);
            return answer(client, &status, "Gemra does not pass such a request on.").await;
        }
    };
    let (Request::Tunnel(target) | Request::Plain { target, .. }) = &request;
    let tunnel = matches!(request, Request::Tunnel(_));
    let mut server = match connect(rules, target, tunnel).await {
        Ok(server) => server,
        Err(NoWay::Refused(why)) => {
            (rules.refused)(target, why);
            let words = format!(
                "Gemra does not let this container reach {target}: {}. Whoever uses Gemra can allow it.",
                why.in_words()
            );
            return answer(client, "403 Forbidden", &words).await;
        }
        Err(NoWay::Failed(why)) => {
            return answer(client, "502 Bad Gateway", &format!("{target} cannot be reached: {why}.")).await;
        }
    };
    match request {
        Request::Tunnel(_) => {
            client.write_all(b"HTTP/1.1 200 Connection Established\r\n\r\n").await?;
            client.flush().await?;
            server.write_all(&early).await?;
            copy_bidirectional(client, &mut server).await.map(drop)
        }
        Request::Plain { target, head, body } => {
            let head = rules.upstream.via(&target, false).map_or(head.clone(), |via| via.head(&target, &head));
            server.write_all(head.as_bytes()).await?;
            let early = &early[..early.len().min(usize::try_from(body).unwrap_or(usize::MAX))];
            server.write_all(early).await?;
            let (client_in, mut client_out) = tokio::io::split(client);
            let (mut server_in, mut server_out) = server.split();
            let mut rest = client_in.take(body - early.len() as u64);
            // One request and its answer: what else the client sends is nobody's.
            let up = async {
                // A server may answer before it has read all.
                let _ = copy(&mut rest, &mut server_out).await;
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = up => {}
                down = copy(&mut server_in, &mut client_out) => drop(down?),
            }
            client_out.shutdown().await
        }
    }
}

type Head = Result<Vec<u8>, BadRequest>;

/// The head, and what came after it already; `None` where nothing came at all.
async fn read_head(client: &mut Box<dyn Duplex>) -> io::Result<Option<(Head, Vec<u8>)>> {
    let mut read = Vec::with_capacity(1024);
    loop {
        if let Some(end) = request::end(&read) {
            let early = read.split_off(end);
            let head = if end > LONGEST { Err(BadRequest::TooLong) } else { Ok(read) };
            return Ok(Some((head, early)));
        }
        if read.len() > LONGEST {
            return Ok(Some((Err(BadRequest::TooLong), Vec::new())));
        }
        if client.read_buf(&mut read).await? == 0 {
            return Ok((!read.is_empty()).then(|| (Err(BadRequest::Malformed), Vec::new())));
        }
    }
}

/// Connects to the very addresses that were looked at: a second look at the name could lead elsewhere.
async fn connect(rules: &Rules, target: &Target, tunnel: bool) -> Result<TcpStream, NoWay> {
    let Some(reach) = (rules.allowed)().permits(target) else {
        return Err(NoWay::Refused(match target.host {
            Host::Name(_) => Why::Name,
            Host::Address(_) => Why::Address,
        }));
    };
    let failed = |error: io::Error| NoWay::Failed(error.to_string());
    let way = async {
        // It finds the addresses itself, and sees another network than this machine.
        if let Some(via) = rules.upstream.via(target, tunnel) {
            let stream = if tunnel { via.tunnel(target).await } else { via.connect().await };
            return stream.map_err(failed);
        }
        let found = match &target.host {
            Host::Address(address) => vec![SocketAddr::new(*address, target.port)],
            Host::Name(name) => (rules.resolve)(name.clone(), target.port).await.map_err(failed)?,
        };
        if found.is_empty() {
            return Err(NoWay::Failed("the name has no address".to_owned()));
        }
        let good: Vec<SocketAddr> =
            found.into_iter().filter(|address| reach == Reach::Anywhere || is_outside(address.ip())).collect();
        if good.is_empty() {
            return Err(NoWay::Refused(Why::LeadsBack));
        }
        let stream = TcpStream::connect(good.as_slice()).await.map_err(failed)?;
        let _ = stream.set_nodelay(true);
        Ok(stream)
    };
    tokio::time::timeout(CONNECT, way).await.unwrap_or_else(|_| Err(NoWay::Failed("it does not answer".to_owned())))
}

async fn answer(client: &mut Box<dyn Duplex>, status: &str, words: &str) -> io::Result<()> {
    let text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{words}\n",
        words.len() + 1
    );
    client.write_all(text.as_bytes()).await?;
    client.shutdown().await?;
    // What the client still sends is taken: a connection that is closed with unread bytes loses the answer.
    let mut rest = client.take(1024 * 1024);
    let _ = tokio::time::timeout(Duration::from_secs(1), copy(&mut rest, &mut tokio::io::sink())).await;
    Ok(())
}

#[cfg(test)]
mod tests;
