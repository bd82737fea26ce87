//! The way by a command's own streams, where the engine is the only one that comes to the container: a few lines of Node
//! in it listen on its loopback, and carry each connection in frames over their stdin and stdout to this program. It
//! knows nothing of what is said, and trusts nothing of what comes.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::NetworkError;
use super::ear::Duplex;
use crate::container::engine::{self, Engine};

/// How long the forwarder may take to listen. The engine may be far away.
const READY: Duration = Duration::from_secs(30);
/// How many connections there may be at once.
const AT_ONCE: usize = 512;
/// How many bytes of one connection may be on their way in one direction. What is slow keeps nothing else waiting.
const WINDOW: usize = 256 * 1024;
/// The longest frame's content, in bytes: Node reads no more at once.
const LONGEST: usize = 64 * 1024;
/// A connection's number, a kind, and how many bytes follow.
const HEAD: usize = 9;

const OPENED: u8 = 0;
const DATA: u8 = 1;
const ENDED: u8 = 2;
const GONE: u8 = 3;
/// The other side may send so many bytes more.
const MORE: u8 = 4;
const LISTENING: u8 = 5;

/// Arguments are ports.
const FORWARDER: &str = "
const net = require('node:net');
const [window, ...ports] = process.argv.slice(1).map(Number);
const all = new Map();
let next = 1, left = ports.length, read = Buffer.alloc(0);
const number = value => { const four = Buffer.alloc(4); four.writeUInt32BE(value); return four; };
const say = (id, kind, data = Buffer.alloc(0)) =>
  process.stdout.write(Buffer.concat([number(id), Buffer.from([kind]), number(data.length), data]));
for (const port of ports) {
  net.createServer({ allowHalfOpen: true }, socket => {
    const id = next++, one = { socket, window };
    all.set(id, one);
    say(id, 0, number(port));
    socket.on('data', data => { say(id, 1, data); one.window -= data.length; if (one.window < 65536) socket.pause(); })
      .on('end', () => say(id, 2)).on('error', () => {}).on('close', () => { if (all.delete(id)) say(id, 3); });
  }).on('error', error => { console.error(error.message); process.exit(3); })
    .listen(port, '127.0.0.1', () => { left -= 1; if (left === 0) say(0, 5); });
}
process.stdin.on('end', () => process.exit(0)).on('data', piece => {
  read = Buffer.concat([read, piece]);
  while (read.length >= 9 && read.length >= 9 + read.readUInt32BE(5)) {
    const id = read.readUInt32BE(0), kind = read[4], data = read.subarray(9, 9 + read.readUInt32BE(5));
    read = read.subarray(9 + data.length);
    const one = all.get(id);
    if (!one) continue;
    if (kind === 1) one.socket.write(data, () => say(id, 4, number(data.length)));
    if (kind === 2) one.socket.end();
    if (kind === 3) { all.delete(id); one.socket.destroy(); }
    if (kind === 4) { one.window += data.readUInt32BE(0); if (one.window >= 65536) one.socket.resume(); }
  }
});
";

/// Serves one connection.
pub(super) type Serve = Arc<dyn Fn(Box<dyn Duplex>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// The program and its arguments that carry these ports.
fn command(ports: impl Iterator<Item = u16>) -> Vec<String> {
    let words = ["node", "-e", FORWARDER, "--"].map(str::to_owned);
    words.into_iter().chain([WINDOW.to_string()]).chain(ports.map(|port| port.to_string())).collect()
}

/// Starts the forwarder in a container, and returns when it listens. Each connection to one of the ports there is served
/// here, until `end`.
pub(super) async fn carry(
    engine: &Engine,
    id: &str,
    ports: BTreeMap<u16, Serve>,
    end: CancellationToken,
) -> Result<(), NetworkError> {
    let failed = |cause: String| NetworkError::Forwarder { cause };
    let words = |error: bollard::errors::Error| failed(engine::words(&error));
    let config = ExecConfig {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(command(ports.keys().copied())),
        ..ExecConfig::default()
    };
    let starting = async {
        let exec = engine.api().create_exec(id, config).await.map_err(words)?.id;
        let started = engine.api().start_exec(&exec, None::<StartExecOptions>).await.map_err(words)?;
        let StartExecResults::Attached { output, input } = started else {
            return Err(failed("the engine does not show what it says".to_owned()));
        };
        let output = output.map(|piece| match piece {
            Ok(LogOutput::StdErr { message }) => Err(io::Error::other(String::from_utf8_lossy(&message).into_owned())),
            Ok(piece) => Ok(piece.into_bytes()),
            Err(error) => Err(io::Error::other(engine::words(&error))),
        });
        begin(output, input, ports, end).await.map_err(|error| failed(error.to_string().trim().to_owned()))
    };
    tokio::time::timeout(READY, starting)
        .await
        .unwrap_or_else(|_| Err(failed(format!("it did not listen within {READY:?}"))))
}

/// Waits until the forwarder listens, and leaves the rest to a task.
async fn begin(
    output: impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
    input: impl AsyncWrite + Send + Unpin + 'static,
    ports: BTreeMap<u16, Serve>,
    end: CancellationToken,
) -> io::Result<()> {
    let mut frames = Frames { output, read: BytesMut::new() };
    match frames.next().await? {
        Some(Frame { kind: LISTENING, .. }) => {}
        Some(_) => return Err(io::Error::other("it does not say that it listens")),
        None => return Err(io::Error::other("it ended at once")),
    }
    let (said, to_say) = mpsc::unbounded_channel();
    tokio::spawn(say(input, to_say));
    tokio::spawn(async move {
        let mut carried = Carried { ports, said, all: Arc::default(), end: end.clone() };
        loop {
            let frame = tokio::select! {
                () = end.cancelled() => return,
                frame = frames.next() => frame,
            };
            match frame.and_then(|frame| frame.map(|frame| carried.hear(frame)).transpose()) {
                Ok(Some(())) => {}
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "a container's connections are not carried any more");
                    return;
                }
            }
        }
    });
    Ok(())
}

struct Frame {
    id: u32,
    kind: u8,
    data: Bytes,
}

impl Frame {
    fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.data.len()).unwrap_or(u32::MAX);
        [&self.id.to_be_bytes()[..], &[self.kind], &length.to_be_bytes(), &self.data].concat()
    }

    fn number(&self) -> Option<u32> {
        self.data.as_ref().try_into().ok().map(u32::from_be_bytes)
    }
}

struct Frames<S> {
    output: S,
    read: BytesMut,
}

impl<S: Stream<Item = io::Result<Bytes>> + Unpin> Frames<S> {
    async fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if self.read.len() >= HEAD {
                let length = u32::from_be_bytes([self.read[5], self.read[6], self.read[7], self.read[8]]) as usize;
                if length > LONGEST {
                    return Err(io::Error::other("a frame is longer than any can be"));
                }
                if self.read.len() >= HEAD + length {
                    let (id, kind) = (self.read.get_u32(), self.read.get_u8());
                    self.read.advance(4);
                    return Ok(Some(Frame { id, kind, data: self.read.split_to(length).freeze() }));
                }
            }
            match self.output.next().await {
                Some(piece) => self.read.extend_from_slice(&piece?),
                None => return Ok(None),
            }
        }
    }
}

async fn say(mut input: impl AsyncWrite + Unpin, mut frames: mpsc::UnboundedReceiver<Frame>) {
    // Its end is the forwarder's.
    while let Some(frame) = frames.recv().await {
        if input.write_all(&frame.bytes()).await.is_err() || input.flush().await.is_err() {
            return;
        }
    }
    let _ = input.shutdown().await;
}

/// A connection that is carried.
struct Line {
    /// What comes from inside; closed where nothing comes any more.
    from_inside: Option<mpsc::UnboundedSender<Bytes>>,
    /// How many bytes may come yet.
    may_come: Arc<Semaphore>,
    /// How many may be sent yet.
    may_go: Arc<Semaphore>,
    end: CancellationToken,
}

type Lines = Arc<Mutex<HashMap<u32, Line>>>;

struct Carried {
    ports: BTreeMap<u16, Serve>,
    said: mpsc::UnboundedSender<Frame>,
    all: Lines,
    end: CancellationToken,
}

impl Drop for Carried {
    fn drop(&mut self) {
        for (_, line) in self.all.lock().unwrap_or_else(PoisonError::into_inner).drain() {
            line.end.cancel();
        }
    }
}

impl Carried {
    /// An error where the other side breaks the rules: nobody knows then what it means.
    fn hear(&mut self, frame: Frame) -> io::Result<()> {
        let broken = || io::Error::other("it broke its own rules");
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        match frame.kind {
            OPENED => {
                let port = frame.number().and_then(|port| u16::try_from(port).ok()).ok_or_else(broken)?;
                let serve = self.ports.get(&port).ok_or_else(broken)?;
                if all.len() >= AT_ONCE || all.contains_key(&frame.id) {
                    let _ = self.said.send(Frame { kind: GONE, data: Bytes::new(), ..frame });
                    return Ok(());
                }
                let (sender, receiver) = mpsc::unbounded_channel();
                let line = Line {
                    from_inside: Some(sender),
                    may_come: Arc::new(Semaphore::new(WINDOW)),
                    may_go: Arc::new(Semaphore::new(WINDOW)),
                    end: self.end.child_token(),
                };
                let (near, far) = tokio::io::duplex(LONGEST);
                let (served, end) = (serve(Box::new(far)), line.end.clone());
                let pump = pump(frame.id, near, receiver, &line, self.said.clone());
                all.insert(frame.id, line);
                drop(all);
                let (all, said, id) = (Arc::clone(&self.all), self.said.clone(), frame.id);
                tokio::spawn(async move {
                    tokio::select! {
                        () = end.cancelled() => {}
                        _ = futures_util::future::join(served, pump) => {}
                    }
                    if all.lock().unwrap_or_else(PoisonError::into_inner).remove(&id).is_some() {
                        let _ = said.send(Frame { id, kind: GONE, data: Bytes::new() });
                    }
                });
            }
            // Of one that is over here, more may be on its way.
            DATA => {
                let Some(line) = all.get(&frame.id) else { return Ok(()) };
                let count = u32::try_from(frame.data.len()).map_err(|_| broken())?;
                line.may_come.try_acquire_many(count).map_err(|_| broken())?.forget();
                if let Some(sender) = &line.from_inside {
                    let _ = sender.send(frame.data);
                }
            }
            ENDED => drop(all.get_mut(&frame.id).and_then(|line| line.from_inside.take())),
            GONE => {
                if let Some(line) = all.remove(&frame.id) {
                    line.end.cancel();
                }
            }
            MORE => {
                let more = frame.number().ok_or_else(broken)? as usize;
                let Some(line) = all.get(&frame.id) else { return Ok(()) };
                if more > WINDOW || line.may_go.available_permits() + more > WINDOW {
                    return Err(broken());
                }
                line.may_go.add_permits(more);
            }
            _ => return Err(broken()),
        }
        Ok(())
    }
}

/// Carries one connection between the frames and whoever serves it, until both directions have ended.
fn pump(
    id: u32,
    near: DuplexStream,
    mut from_inside: mpsc::UnboundedReceiver<Bytes>,
    line: &Line,
    said: mpsc::UnboundedSender<Frame>,
) -> impl Future<Output = ()> + Send + use<> {
    let (may_come, may_go) = (Arc::clone(&line.may_come), Arc::clone(&line.may_go));
    let (mut read, mut write) = tokio::io::split(near);
    let also = said.clone();
    let inwards = async move {
        while let Some(data) = from_inside.recv().await {
            let count = data.len();
            if write.write_all(&data).await.is_err() {
                break;
            }
            may_come.add_permits(count);
            let more = u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes();
            let _ = also.send(Frame { id, kind: MORE, data: Bytes::copy_from_slice(&more) });
        }
        let _ = write.shutdown().await;
    };
    let outwards = async move {
        let mut piece = vec![0; LONGEST / 4];
        while let Ok(count) = read.read(&mut piece).await {
            let Some(permits) = u32::try_from(count).ok().filter(|count| *count > 0) else { break };
            let Ok(permit) = may_go.acquire_many(permits).await else { break };
            permit.forget();
            let _ = said.send(Frame { id, kind: DATA, data: Bytes::copy_from_slice(&piece[..count]) });
        }
        let _ = said.send(Frame { id, kind: ENDED, data: Bytes::new() });
    };
    async move {
        futures_util::future::join(inwards, outwards).await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    /// The forwarder's side, played by the test.
    struct Inside {
        says: mpsc::UnboundedSender<Bytes>,
        hears: Frames<Heard>,
    }

    type Heard = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

    /// What is broken, and by which frames.
    type Broken = (&'static str, Vec<(u32, u8, Vec<u8>)>);

    impl Inside {
        /// Port 7 answers with what it was sent, in a word, when that has ended; port 8 never says or reads anything.
        async fn start(end: CancellationToken) -> Self {
            let (says, said) = mpsc::unbounded_channel();
            let (ours, theirs) = tokio::io::duplex(LONGEST);
            let output = stream::unfold(said, async |mut said: mpsc::UnboundedReceiver<Bytes>| {
                let piece = said.recv().await?;
                Some((Ok(piece), said))
            });
            let heard = stream::unfold(ours, async |mut ours: DuplexStream| {
                let mut piece = vec![0; 100];
                let count = ours.read(&mut piece).await.ok().filter(|count| *count > 0)?;
                Some((Ok(Bytes::copy_from_slice(&piece[..count])), ours))
            });
            let echo: Serve = Arc::new(|mut client| {
                Box::pin(async move {
                    let mut all = Vec::new();
                    let _ = client.read_to_end(&mut all).await;
                    let _ = client.write_all(&all).await;
                })
            });
            let deaf: Serve = Arc::new(|client| {
                Box::pin(async move {
                    let _held = client;
                    std::future::pending::<()>().await;
                })
            });
            let inside = Self { says, hears: Frames { output: Box::pin(heard), read: BytesMut::new() } };
            inside.say(0, LISTENING, &[]);
            begin(Box::pin(output), theirs, BTreeMap::from([(7, echo), (8, deaf)]), end).await.unwrap();
            inside
        }

        fn say(&self, id: u32, kind: u8, data: &[u8]) {
            let _ = self.says.send(Frame { id, kind, data: Bytes::copy_from_slice(data) }.bytes().into());
        }

        /// The next frame that is not about how much may be sent.
        async fn hear(&mut self) -> Option<(u32, u8, Bytes)> {
            loop {
                let next = tokio::time::timeout(Duration::from_mins(1), self.hears.next()).await;
                let frame = next.expect("something comes in time").unwrap()?;
                if frame.kind != MORE {
                    return Some((frame.id, frame.kind, frame.data));
                }
            }
        }
    }

    #[tokio::test]
    async fn connections_are_carried_side_by_side_and_a_slow_one_keeps_no_other_waiting() {
        let mut inside = Inside::start(CancellationToken::new()).await;
        inside.say(1, OPENED, &8u32.to_be_bytes());
        for _ in 0..4 {
            inside.say(1, DATA, &vec![0; LONGEST]);
        }
        inside.say(2, OPENED, &7u32.to_be_bytes());
        inside.say(2, DATA, b"one ");
        inside.say(2, DATA, b"two");
        inside.say(2, ENDED, &[]);
        assert_eq!(inside.hear().await, Some((2, DATA, Bytes::from_static(b"one two"))), "it is answered");
        assert_eq!(inside.hear().await, Some((2, ENDED, Bytes::new())), "to its end");
        assert_eq!(inside.hear().await, Some((2, GONE, Bytes::new())), "and is over");
        inside.say(2, DATA, b"late");
        inside.say(3, OPENED, &7u32.to_be_bytes());
        inside.say(3, ENDED, &[]);
        assert_eq!(inside.hear().await, Some((3, ENDED, Bytes::new())), "what comes too late breaks nothing");
    }

    #[tokio::test]
    async fn whoever_breaks_the_rules_is_carried_no_more() {
        let port = |port: u32| port.to_be_bytes();
        let open = (1, OPENED, port(8).to_vec());
        let too_much = std::iter::repeat_n((1, DATA, vec![0; LONGEST]), 5);
        let cases: Vec<Broken> = vec![
            ("a port that nobody named", vec![(1, OPENED, port(22).to_vec())]),
            ("no port at all", vec![(1, OPENED, vec![1])]),
            ("more than may be on its way", std::iter::once(open.clone()).chain(too_much).collect()),
            ("leave for more than there is", vec![open.clone(), (1, MORE, port(1).to_vec())]),
            ("a kind that there is not", vec![(1, 99, Vec::new())]),
            ("a frame without an end", vec![(1, DATA, vec![0; LONGEST + 1])]),
        ];
        for (what, frames) in cases {
            let mut inside = Inside::start(CancellationToken::new()).await;
            for (id, kind, data) in frames {
                inside.say(id, kind, &data);
            }
            while let Some((_, kind, _)) = inside.hear().await {
                assert_eq!(kind, GONE, "{what}: nothing is said any more but that it is over");
            }
        }
    }

    #[tokio::test]
    async fn its_end_is_everybodys() {
        let end = CancellationToken::new();
        let mut inside = Inside::start(end.clone()).await;
        inside.say(1, OPENED, &7u32.to_be_bytes());
        end.cancel();
        while inside.hear().await.is_some() {}
    }
}
