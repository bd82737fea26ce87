//! A place where a build waits until a test lets it go on, so that what is seen meanwhile needs no luck. It knows
//! nothing of what is built: it answers whoever connects.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A closed gate on the loopback, which builds reach because they share the host's network.
#[derive(Debug)]
pub struct Gate {
    listener: TcpListener,
    port: u16,
}

/// Somebody who waits at the gate. Dropped, they are turned away, and their step fails.
#[derive(Debug)]
pub struct Waiting(TcpStream);

impl Gate {
    /// Sets one up.
    ///
    /// # Panics
    /// Where the loopback has no free port.
    pub async fn closed() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("the loopback has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        Self { listener, port }
    }

    /// A Dockerfile's instruction that waits here. It is no other build's: a layer of before would not wait.
    pub fn instruction(&self) -> String {
        let mark = uuid::Uuid::new_v4().simple();
        format!(
            "RUN node -e \"require('http').get('http://127.0.0.1:{}/{mark}', \
             answer => answer.on('end', () => process.exit(0)).resume())\"\n",
            self.port
        )
    }

    /// Waits until a build has come to the instruction.
    ///
    /// # Panics
    /// Where none does within the time.
    pub async fn reached(&self, within: Duration) -> Waiting {
        let came = tokio::time::timeout(within, self.listener.accept()).await;
        let (mut stream, _) = came.expect("the build comes to the gate in time").expect("the gate can be used");
        let asked = stream.read(&mut [0; 1024]).await.expect("it says what it wants");
        assert!(asked > 0, "it says something");
        Waiting(stream)
    }
}

impl Waiting {
    /// Lets them through.
    ///
    /// # Panics
    /// Where they have gone.
    pub async fn let_through(mut self) {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
        self.0.write_all(answer).await.expect("the build still waits");
    }

    /// Waits until they have left by themselves, because nobody wants the build any more.
    ///
    /// # Panics
    /// Where they still wait after the time.
    pub async fn until_left(mut self, within: Duration) {
        let left = tokio::time::timeout(within, self.0.read(&mut [0; 1])).await.expect("the step is ended in time");
        assert!(matches!(left, Ok(0) | Err(_)), "nothing more is asked");
    }
}
