//! Watches over a started container: drains its output, learns how it ended, climbs the ladder when asked to stop,
//! and reports the end only when the container is gone.

use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::{
    EventsOptionsBuilder, InspectContainerOptions, KillContainerOptionsBuilder, StopContainerOptionsBuilder,
    WaitContainerOptionsBuilder,
};
use futures_util::{Stream, StreamExt as _};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::container::engine::{self, Engine, question, quirks};
use crate::process::ladder::{AFTER_EOF, AFTER_TERM, Ladder, Rung};
use crate::process::lines::{LineSplitter, Tail};
use crate::process::stdio::pump_input;
use crate::process::{Exit, GRACE_AFTER_EOF, GRACE_AFTER_TERM, Input, InputMessage, Output};

/// How long output is read on after the agent has ended: some engines never end the stream.
const DRAIN: Duration = Duration::from_millis(500);
/// How long the engine may take to tell how it ended, once the stream has.
const VERDICT: Duration = Duration::from_secs(2);

/// The longest line of stderr that is handed on whole: people read it.
const LONGEST_COMPLAINT: usize = 16 * 1024;

/// What the supervising task owns.
pub(super) struct Watched {
    pub(super) engine: Arc<Engine>,
    pub(super) id: String,
    pub(super) input: Input,
    pub(super) ladder: Ladder,
    pub(super) ended: JoinHandle<Option<i64>>,
    pub(super) reader: JoinHandle<()>,
    pub(super) happened: watch::Receiver<Happened>,
    pub(super) events: JoinHandle<()>,
    /// Held, because it ends with the container.
    pub(super) looking: Option<AbortOnDropHandle<()>>,
    pub(super) unreleased: CancellationToken,
    pub(super) tail: Arc<Mutex<Tail>>,
    pub(super) exit: watch::Sender<Option<Exit>>,
}

/// What the engine's events told of the container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Happened {
    /// How often a process in it was killed for want of memory; not always the agent.
    ran_out: u32,
    /// It ended, with this code.
    died: Option<i64>,
}

/// Reads the attach stream to its end, whoever listens: a stream that is not read blocks the agent, and at Docker
/// even the calls that would stop it (moby#41827).
pub(super) async fn drain(
    mut output: Pin<Box<dyn Stream<Item = Result<LogOutput, Error>> + Send>>,
    lines: mpsc::UnboundedSender<Output>,
    tail: Arc<Mutex<Tail>>,
    errors: mpsc::UnboundedSender<String>,
) {
    let mut splitter = LineSplitter::default();
    let mut complaints = LineSplitter::with_longest(LONGEST_COMPLAINT);
    let complain = |line| drop(errors.send(as_text(line)));
    while let Some(piece) = output.next().await {
        match piece {
            Ok(LogOutput::StdOut { message } | LogOutput::Console { message }) => {
                splitter.push(&message, |line| drop(lines.send(line)));
            }
            Ok(LogOutput::StdErr { message }) => {
                if let Ok(mut tail) = tail.lock() {
                    tail.push(&message);
                }
                complaints.push(&message, complain);
            }
            Ok(LogOutput::StdIn { .. }) => {}
            Err(error) => {
                tracing::debug!(error = engine::words(&error), "the attach stream ended early");
                break;
            }
        }
    }
    splitter.end(|line| drop(lines.send(line)));
    complaints.end(complain);
}

fn as_text(line: Output) -> String {
    match line {
        Output::Line { text, .. } => text,
        Output::Oversized { bytes, head } => format!("{head}… ({bytes} bytes)"),
    }
}

/// Writes the first line once the gate opens, and then what is sent. Where the gate never opens, stdin ends.
pub(super) async fn write(
    mut stdin: Pin<Box<dyn AsyncWrite + Send>>,
    gate: oneshot::Receiver<String>,
    unreleased: CancellationToken,
    lines: mpsc::UnboundedReceiver<InputMessage>,
) {
    let first = tokio::select! {
        first = gate => first.ok(),
        () = unreleased.cancelled() => None,
    };
    let written = match first {
        Some(mut line) => {
            line.push('\n');
            stdin.write_all(line.as_bytes()).await.is_ok() && stdin.flush().await.is_ok()
        }
        None => false,
    };
    if written {
        pump_input(stdin, lines).await;
    } else {
        let _ = stdin.shutdown().await;
    }
}

/// Waits for the container's end. Registered before its start, so that no end is missed.
pub(super) async fn verdict(engine: Arc<Engine>, id: String) -> Option<i64> {
    let options = WaitContainerOptionsBuilder::new().condition("next-exit").build();
    let mut wait = pin!(engine.api().wait_container(&id, Some(options)));
    match wait.next().await? {
        Ok(answer) => Some(answer.status_code),
        // bollard makes an error of every code but 0.
        Err(Error::DockerContainerWaitError { code, .. }) => Some(code),
        Err(error) => {
            tracing::debug!(error = engine::words(&error), "the engine did not say how the container ended");
            None
        }
    }
}

/// Follows the engine's events about the container: memory is told in no other way once it is gone.
pub(super) async fn follow(
    engine: Arc<Engine>,
    id: String,
    since: u64,
    happened: watch::Sender<Happened>,
    ran_out: watch::Sender<u32>,
) {
    let filters = HashMap::from([
        ("container".to_owned(), vec![id]),
        ("event".to_owned(), vec!["oom".to_owned(), "die".to_owned()]),
    ]);
    let options = EventsOptionsBuilder::new().since(&since.to_string()).filters(&filters).build();
    let mut events = pin!(engine.api().events(Some(options)));
    while let Some(Ok(event)) = events.next().await {
        let code = || event.actor.as_ref()?.attributes.as_ref()?.get("exitCode")?.parse().ok();
        match event.action.as_deref() {
            Some("oom") => {
                happened.send_modify(|happened| happened.ran_out += 1);
                ran_out.send_modify(|count| *count += 1);
            }
            Some("die") => happened.send_modify(|happened| happened.died = Some(code().unwrap_or(-1))),
            _ => {}
        }
    }
}

/// Owns the container until it is gone.
pub(super) async fn supervise(mut watched: Watched) {
    let code = climb(&mut watched).await;
    drop(watched.looking.take());
    if !watched.reader.is_finished() && tokio::time::timeout(DRAIN, &mut watched.reader).await.is_err() {
        watched.reader.abort();
    }
    let (code, out_of_memory) = judge(&mut watched, code).await;
    let removed = super::remove(&watched.engine, &watched.id).await;
    if let Err(error) = &removed {
        tracing::warn!(id = watched.id, %error, "the container could not be removed; it is tried again");
        tokio::spawn(remove_later(Arc::clone(&watched.engine), watched.id.clone()));
    }
    watched.events.abort();
    watched.ended.abort();
    let stderr = watched.tail.lock().map(|tail| tail.text()).unwrap_or_default();
    let signal = code.filter(|code| (129..=192).contains(code)).map(|code| code - 128);
    tracing::debug!(?code, out_of_memory, "a container ended");
    watched.exit.send_replace(Some(Exit {
        code,
        signal,
        out_of_memory,
        memory_untold: !quirks::tells_of_memory(watched.engine.about()),
        stderr,
        left: removed.is_err(),
        unsynced: None,
    }));
}

/// Goes on asking an engine that would not remove a container: one that comes back must not keep it. What is left when
/// the app ends is swept at the next start.
async fn remove_later(engine: Arc<Engine>, id: String) {
    let mut pause = Duration::from_secs(1);
    loop {
        tokio::time::sleep(pause).await;
        match super::remove(&engine, &id).await {
            Ok(()) => {
                tracing::info!(id, "a container that was left is gone");
                return;
            }
            Err(error) => tracing::debug!(id, %error, "a container is left still"),
        }
        pause = (pause * 2).min(Duration::from_secs(30));
    }
}

/// The exit code, and whether the agent itself ran out of memory. A command of the agent's that did is its own affair.
async fn judge(watched: &mut Watched, code: Option<i64>) -> (Option<i32>, bool) {
    let mut out_of_memory = false;
    let mut code = code;
    // Nobody asks why one ended that had to go in a hurry.
    if !watched.ladder.hurries() && (code.is_none() || code == Some(137)) {
        // The event about memory comes before the one about the end.
        let died = watched.happened.wait_for(|happened| happened.died.is_some());
        if !matches!(tokio::time::timeout(VERDICT, died).await, Ok(Ok(_))) {
            tracing::debug!("the engine told no event of the container's end");
        }
        let happened = *watched.happened.borrow();
        code = code.or(happened.died.filter(|&code| code >= 0));
        out_of_memory = happened.ran_out > 0 || inspected_out_of_memory(watched).await;
    }
    let code = code.and_then(|code| i32::try_from(code).ok());
    (code, out_of_memory && code == Some(137))
}

/// Podman tells no event; as long as the container is there, its state tells.
async fn inspected_out_of_memory(watched: &Watched) -> bool {
    let asked = Box::pin(async {
        let container = watched.engine.api().inspect_container(&watched.id, None::<InspectContainerOptions>).await?;
        Ok(container.state.and_then(|state| state.oom_killed))
    });
    question("how the container ended", asked).await.ok().flatten().unwrap_or_default()
}

/// Waits for the end, or brings it about.
async fn climb(watched: &mut Watched) -> Option<i64> {
    let Watched { engine, id, input, ladder, ended, reader, unreleased, .. } = watched;
    let mut end = pin!(end(ended, reader));
    let kindly = tokio::select! {
        code = &mut end => return code,
        kindly = ladder.begins() => kindly,
    };
    if kindly {
        input.close();
        unreleased.cancel();
        let mut rung = ladder.rung(&mut end, GRACE_AFTER_EOF, AFTER_EOF).await;
        if rung == Rung::Over {
            tracing::info!("the agent did not end with its input; asking the engine to stop it");
            let stop = tokio::spawn(terminate(Arc::clone(engine), id.clone(), ladder.hurries()));
            rung = ladder.rung(&mut end, GRACE_AFTER_TERM + VERDICT, AFTER_TERM).await;
            stop.abort();
        }
        if let Rung::Ended(code) = rung {
            return code;
        }
    }
    if let Err(error) = super::force_remove(engine, id).await {
        tracing::warn!(%error, "the engine would not remove the container at once");
    }
    tokio::time::timeout(super::Phase::Remove.limit(), end).await.ok().flatten()
}

/// Asks the engine to stop a container. In a hurry it only sends the signal: an engine that stops a container holds it
/// until it has, and would let a removal wait.
async fn terminate(engine: Arc<Engine>, id: String, hurries: bool) {
    let asked = if hurries {
        let options = KillContainerOptionsBuilder::new().signal("SIGTERM").build();
        engine.api().kill_container(&id, Some(options)).await
    } else {
        let seconds = i32::try_from(GRACE_AFTER_TERM.as_secs()).unwrap_or(2);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        engine.api().stop_container(&id, Some(options)).await
    };
    if let Err(error) = asked {
        tracing::debug!(error = engine::words(&error), "the engine would not stop the container");
    }
}

/// The end, by the engine's word or, where that fails, by the end of the stream.
async fn end(ended: &mut JoinHandle<Option<i64>>, reader: &mut JoinHandle<()>) -> Option<i64> {
    tokio::select! {
        code = &mut *ended => match code.ok().flatten() {
            Some(code) => Some(code),
            // The engine lost the question, not the container.
            None => {
                if !reader.is_finished() {
                    let _ = reader.await;
                }
                None
            }
        },
        _ = &mut *reader => match tokio::time::timeout(VERDICT, ended).await {
            Ok(code) => code.ok().flatten(),
            Err(_) => None,
        },
    }
}
