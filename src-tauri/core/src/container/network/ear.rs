//! A place at which a container finds this program: a port on the gateway of its network, for its own address alone, or
//! a socket in a folder that it has. It knows nothing of what is said there.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// How many may talk at one place at once.
const AT_ONCE: usize = 512;

/// A connection, whatever its kind.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// Who may talk at a port: whoever lives in the container, once its address is known. Everybody else on this machine
/// and in other containers is turned away, because what is behind it may be a loopback's own.
pub(super) type Guest = Arc<OnceLock<IpAddr>>;

/// A place where connections arrive.
#[derive(Debug)]
pub(super) enum Ear {
    /// A port.
    Port(TcpListener, Guest),
    /// A socket.
    #[cfg(unix)]
    Socket(UnixListener),
}

impl Ear {
    /// A port of this address: `port` where it is free, else any.
    pub(super) async fn at(address: IpAddr, port: u16, guest: Guest) -> io::Result<(Self, SocketAddr)> {
        let listener = match TcpListener::bind((address, port)).await {
            Err(error)
                if port != 0 && matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) =>
            {
                TcpListener::bind((address, 0)).await?
            }
            bound => bound?,
        };
        let bound = listener.local_addr()?;
        Ok((Self::Port(listener, guest), bound))
    }

    /// Serves each connection with `serve`, until `end`. Nobody is served after it.
    pub(super) fn listen<F>(self, end: CancellationToken, serve: impl Fn(Box<dyn Duplex>) -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        tokio::spawn(async move {
            loop {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
                let stream = tokio::select! {
                    stream = self.next() => stream,
                    () = end.cancelled() => return,
                };
                let stream = match stream {
                    Ok(Some(stream)) => stream,
                    Ok(None) => continue,
                    Err(error) => {
                        // Out of file handles, as a rule: the next one may find some.
                        tracing::warn!(%error, "a container's connection was not taken");
                        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                        continue;
                    }
                };
                let (served, end) = (serve(stream), end.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = served => {}
                        () = end.cancelled() => {}
                    }
                    drop(place);
                });
            }
        });
    }

    async fn next(&self) -> io::Result<Option<Box<dyn Duplex>>> {
        match self {
            Self::Port(listener, guest) => {
                let (stream, peer) = listener.accept().await?;
                if guest.get().is_none_or(|guest| *guest != peer.ip().to_canonical()) {
                    tracing::warn!(%peer, "a stranger at a container's port is turned away");
                    return Ok(None);
                }
                let _ = stream.set_nodelay(true);
                Ok(Some(Box::new(stream)))
            }
            #[cfg(unix)]
            Self::Socket(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok(Some(Box::new(stream)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    async fn greeted(address: SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut said = String::new();
        let _ = stream.read_to_string(&mut said).await;
        said
    }

    #[tokio::test]
    async fn only_the_guest_is_served_and_only_until_the_end() {
        let guest = Guest::default();
        let (ear, address) = Ear::at([127, 0, 0, 1].into(), 0, Arc::clone(&guest)).await.unwrap();
        let end = CancellationToken::new();
        ear.listen(end.clone(), |mut stream| async move { drop(stream.write_all(b"welcome").await) });
        assert_eq!(greeted(address).await, "", "before the guest is known nobody is served");
        guest.set([127, 0, 0, 1].into()).unwrap();
        assert_eq!(greeted(address).await, "welcome", "the guest is");

        let stranger = Guest::default();
        stranger.set([127, 0, 0, 2].into()).unwrap();
        let (ear, other) = Ear::at([127, 0, 0, 1].into(), address.port(), stranger).await.unwrap();
        assert_ne!(other.port(), address.port(), "a port that is taken is not taken away");
        ear.listen(end.clone(), |mut stream| async move { drop(stream.write_all(b"welcome").await) });
        assert_eq!(greeted(other).await, "", "a stranger is not");

        end.cancel();
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
}
