//! Moves bytes between an agent's three streams and the queues of a [`Process`](super::Process). The host's pipes
//! and a container's attach stream are both pumped here.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use super::lines::{LineSplitter, Tail};
use super::{InputMessage, Output};

/// Writes lines until the input is closed, the last [`Input`](super::Input) is gone, or the agent no longer reads.
/// Stdin is closed at the end.
pub(crate) async fn pump_input(
    mut stdin: impl AsyncWrite + Unpin + Send,
    mut lines: mpsc::UnboundedReceiver<InputMessage>,
) {
    while let Some(InputMessage::Line(mut line)) = lines.recv().await {
        line.push('\n');
        let written = async {
            stdin.write_all(line.as_bytes()).await?;
            stdin.flush().await
        };
        if let Err(error) = written.await {
            tracing::debug!(%error, "the agent no longer reads its stdin");
            break;
        }
    }
    let _ = stdin.shutdown().await;
}

/// Reads stdout to its end and hands on its lines. Goes on reading when nobody listens, so that the agent never
/// blocks on us.
pub(crate) async fn pump_output(mut stdout: impl AsyncRead + Unpin + Send, lines: mpsc::UnboundedSender<Output>) {
    let mut splitter = LineSplitter::default();
    let mut piece = vec![0; 64 * 1024];
    loop {
        match stdout.read(&mut piece).await {
            Ok(0) => break,
            Ok(length) => splitter.push(&piece[..length], |line| drop(lines.send(line))),
            Err(error) => {
                tracing::debug!(%error, "stdout ended early");
                break;
            }
        }
    }
    splitter.end(|line| drop(lines.send(line)));
}

/// Reads stderr to its end and keeps its tail.
pub(crate) async fn pump_errors(mut stderr: impl AsyncRead + Unpin + Send, tail: &std::sync::Mutex<Tail>) {
    let mut piece = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = stderr.read(&mut piece).await {
        if let Ok(mut tail) = tail.lock() {
            tail.push(&piece[..length]);
        }
    }
}
