//! A stand-in for the Messages API on loopback: the last user text of a request scripts the answer, and every request
//! is recorded. It knows nothing of models, prompts or accounts, and it never speaks to another machine.
//!
//! The script words are listed at [`script::Script`]; the shapes of requests, events and errors are the public
//! Messages API's.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

pub mod conversation;
pub mod record;
pub mod reply;
mod routes;
mod samples;
pub mod script;

pub use record::{Ending, Recorded};

/// A running stand-in. Dropping it ends the server and its thread.
#[derive(Debug)]
pub struct ModelApi {
    address: SocketAddr,
    book: Arc<record::Book>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ModelApi {
    /// Starts on a free port of the loopback; a machine that has none is no place for a test, so that is a panic.
    pub fn start() -> Self {
        Self::start_at(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)
            .unwrap_or_else(|error| panic!("the stand-in API cannot listen on the loopback: {error}"))
    }

    /// Starts on one address and port; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address cannot be bound or the server's thread cannot start.
    pub fn start_at(address: IpAddr, port: u16) -> io::Result<Self> {
        // Bound here and not in the thread, so that the address is known, and a refusal told, before this returns.
        let listener = std::net::TcpListener::bind((address, port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let book = Arc::new(record::Book::default());
        let (stop, stopped) = oneshot::channel::<()>();
        // A runtime of its own, so that it serves tests with and without one and no test's blocking call stalls it.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let router = routes::router(Arc::clone(&book));
        let thread = std::thread::Builder::new().name("model-api".into()).spawn(move || {
            runtime.block_on(async move {
                match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => {
                        tokio::select! {
                            served = axum::serve(listener, router) => served.unwrap_or_else(|error| {
                                panic!("the stand-in API stopped serving: {error}")
                            }),
                            // Both a message and a dropped sender mean the same: the owner is done.
                            _ = stopped => {}
                        }
                    }
                    Err(error) => panic!("the stand-in API cannot listen: {error}"),
                }
            });
        })?;
        Ok(Self { address, book, stop: Some(stop), thread: Some(thread) })
    }

    /// The base address to give as `ANTHROPIC_BASE_URL`, such as `http://127.0.0.1:40123`.
    pub fn url(&self) -> String {
        // A wildcard is where it listens, not where a client can reach it.
        let ip = if self.address.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { self.address.ip() };
        format!("http://{}", SocketAddr::new(ip, self.address.port()))
    }

    /// Every recorded request, oldest first; the oldest are forgotten beyond [`record::KEPT`].
    pub fn requests(&self) -> Vec<Recorded> {
        self.book.all()
    }

    /// The requests of main conversations alone: side requests, such as for titles, left out.
    pub fn main_requests(&self) -> Vec<Recorded> {
        self.book.all().into_iter().filter(|request| request.main).collect()
    }

    /// The latest request of a main conversation.
    pub fn last(&self) -> Option<Recorded> {
        self.book.last_main()
    }

    /// How many answers are being streamed just now.
    pub fn streaming(&self) -> usize {
        self.book.all().iter().filter(|request| request.ended.is_none()).count()
    }

    /// Forgets what was recorded, and which `failonce:` texts were seen.
    pub fn clear(&self) {
        self.book.clear();
    }
}

impl Drop for ModelApi {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The server may have ended by itself; then there is nobody to tell.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the stand-in API's thread panicked");
        }
    }
}
