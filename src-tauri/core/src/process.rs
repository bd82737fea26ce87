//! A started agent, wherever it runs: lines out, lines in, a tail of its stderr, and one way to stop it.
//!
//! This is the only module of the product that spawns processes, so that each is in a group that dies whole. It
//! knows neither what the lines mean nor why anybody wants them; a container's streams are made into the same
//! [`Process`] by `container::run`.

pub(crate) mod ladder;
pub mod lines;
pub mod spawn;
pub mod stdio;

use std::time::SystemTime;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::failure::Failure;

/// How long an agent may take to end after its stdin was closed. The CLI needs about 0.1 s; five seconds is what
/// its own hooks may take.
pub const GRACE_AFTER_EOF: std::time::Duration = std::time::Duration::from_secs(5);
/// How long it may take after SIGTERM, before it is killed.
pub const GRACE_AFTER_TERM: std::time::Duration = std::time::Duration::from_secs(2);
/// The longest line that is handed on. An image in base64 or a whole file in one tool result fits.
pub const LONGEST_LINE: usize = 32 * 1024 * 1024;
/// How much of stderr is kept for the report of a death.
pub const STDERR_TAIL: usize = 64 * 1024;

/// A started agent. Dropping every part of it kills it.
#[derive(Debug)]
pub struct Process {
    /// Its stdin.
    pub input: Input,
    /// Its stdout, line by line. Unbounded, because a reader that stops reading would block the agent, and an
    /// engine's whole attach stream with it (`CONTAINERS.md` §0.1).
    pub output: mpsc::UnboundedReceiver<Output>,
    /// How it ended; `None` while it runs.
    pub exit: watch::Receiver<Option<Exit>>,
    /// The way to end it.
    pub stop: Stop,
    /// Its process group on this machine; none where it runs elsewhere.
    pub group: Option<u32>,
}

impl Process {
    /// The same process, whose end is told by somebody else, who has something to do after it.
    pub(crate) fn ending_with(self, exit: watch::Receiver<Option<Exit>>) -> Self {
        let stop = Stop { requests: self.stop.requests.clone(), exit: exit.clone() };
        Self { exit, stop, ..self }
    }
}

/// One line of stdout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A line without its newline; what was not UTF-8 is replaced.
    Line {
        /// The text.
        text: String,
        /// When its last byte was read.
        at: SystemTime,
    },
    /// A line longer than [`LONGEST_LINE`]; the rest of it was passed over.
    Oversized {
        /// How long it was, in bytes.
        bytes: usize,
        /// How it began.
        head: String,
    },
}

/// How a process ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exit {
    /// The exit code, where it ended by itself.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// True where the engine said that the agent itself ran out of memory.
    pub out_of_memory: bool,
    /// True where the engine does not tell whether memory ran out.
    pub memory_untold: bool,
    /// The last [`STDERR_TAIL`] bytes of stderr.
    pub stderr: String,
    /// True where the engine would not remove the agent's container, which may still run.
    pub left: bool,
    /// Why what it has written is not here yet, where its files are kept the same with those of another machine.
    pub unsynced: Option<Box<Failure>>,
}

/// The agent's stdin. Clones write to the same one; a single task writes, so lines are never mixed.
#[derive(Debug, Clone)]
pub struct Input {
    lines: mpsc::UnboundedSender<InputMessage>,
}

#[derive(Debug)]
pub(crate) enum InputMessage {
    Line(String),
    Close,
}

impl Input {
    pub(crate) fn channel() -> (Self, mpsc::UnboundedReceiver<InputMessage>) {
        let (lines, receiver) = mpsc::unbounded_channel();
        (Self { lines }, receiver)
    }

    /// Writes `line` and a newline. False where the process is gone.
    pub fn send(&self, line: String) -> bool {
        self.lines.send(InputMessage::Line(line)).is_ok()
    }

    /// Closes stdin once everything sent before has been written.
    pub fn close(&self) {
        let _ = self.lines.send(InputMessage::Close);
    }
}

/// The way to end a process. Clones end the same one; when the last is dropped, it is killed.
#[derive(Debug, Clone)]
pub struct Stop {
    requests: mpsc::UnboundedSender<StopRequest>,
    exit: watch::Receiver<Option<Exit>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopRequest {
    Ladder,
    /// The ladder, with shorter graces where that is needed to be at its end by then.
    By(Instant),
    Kill,
}

impl Stop {
    pub(crate) fn channel(exit: watch::Receiver<Option<Exit>>) -> (Self, mpsc::UnboundedReceiver<StopRequest>) {
        let (requests, receiver) = mpsc::unbounded_channel();
        (Self { requests, exit }, receiver)
    }

    /// Ends the process kindly: stdin's end, a grace, SIGTERM, a grace, SIGKILL. Resolves with how it ended when
    /// the process, its group and, where there is one, its container are gone.
    pub async fn stop(&self) -> Exit {
        let _ = self.requests.send(StopRequest::Ladder);
        self.gone().await
    }

    /// The same, in a hurry: the graces are as short as they have to be for the end to come by `at`. Removing a container
    /// may take a moment longer.
    pub async fn stop_by(&self, at: Instant) -> Exit {
        let _ = self.requests.send(StopRequest::By(at));
        self.gone().await
    }

    /// Ends the process at once, and its group with it.
    pub fn kill(&self) {
        let _ = self.requests.send(StopRequest::Kill);
    }

    /// Waits for the end, whoever brings it about.
    pub async fn gone(&self) -> Exit {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await {
            Ok(exit) => exit.clone().unwrap_or_default(),
            // The supervising task was dropped with the runtime: nothing is left to wait for.
            Err(_) => Exit::default(),
        }
    }
}
