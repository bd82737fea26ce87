//! A command in a container that runs: its output as it comes, its exit code, a limit to its time; and a terminal in
//! it. It knows no agent.
//!
//! An engine goes on with a command whose caller has left. So each carries a mark in its environment, by which it and
//! all that it has started are found and ended.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use bollard::query_parameters::ResizeExecOptionsBuilder;
use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{mpsc, oneshot};

use super::engine::{self, Engine, EngineError};

/// The variable that marks a command of ours.
const MARK: &str = "GEMRA_COMMAND";
/// Ends whatever carries the mark that is the first argument: kindly, and after a moment for good.
const END: &str = r#"
found() {
  for one in /proc/[0-9]*; do
    if tr '\0' '\n' <"$one/environ" 2>/dev/null | grep -qx "GEMRA_COMMAND=$1"; then echo "${one#/proc/}"; fi
  done
}
for signal in HUP TERM KILL; do
  all=$(found "$1")
  [ -n "$all" ] || exit 0
  kill -$signal $all 2>/dev/null
  [ $signal = HUP ] || sleep 1
done
exit 0
"#;
/// A shell for people: the best that the image has.
const SHELL: &str = "if command -v bash >/dev/null; then exec bash; else exec sh; fi";
/// How much a terminal says in one go, and how much it may have said that nobody has painted yet, in bytes.
const BATCH: usize = 64 * 1024;
/// How long what comes in little pieces is gathered.
const GATHER: Duration = Duration::from_millis(8);
/// How long the engine may take over a step. It starts a process for most of them.
const STEP: Duration = Duration::from_secs(30);
/// How long a command may go on after its time is over and it was told to end.
const ENDING: Duration = Duration::from_secs(10);

/// Where a command is to run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Order {
    /// The command and its arguments.
    pub command: Vec<String>,
    /// How long it may take; `None`: as long as it likes.
    pub timeout: Option<Duration>,
}

/// A piece of a command's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Of its stdout.
    Out(Vec<u8>),
    /// Of its stderr.
    Err(Vec<u8>),
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, with this code.
    Code(i64),
    /// Its time was over, and it was ended.
    TimedOut,
}

/// Runs a command in a container, as the container's own user and in its environment. `hear` gets the output.
///
/// # Errors
/// [`EngineError`] where the engine would not run it. A command that is not there is no error, but code 126 or 127.
pub async fn run(
    engine: &Engine,
    id: &str,
    order: &Order,
    mut hear: impl FnMut(Piece) + Send,
) -> Result<End, EngineError> {
    let mark = uuid::Uuid::new_v4().simple().to_string();
    let made = create(engine, id, &order.command, &mark, false).await?;
    let options = StartExecOptions { detach: false, tty: false, output_capacity: Some(BATCH) };
    let started = patient("to run a command", engine.api().start_exec(&made, Some(options))).await?;
    let StartExecResults::Attached { mut output, input } = started else { return Ok(End::Code(0)) };
    drop(input);
    let reading = async {
        while let Some(Ok(piece)) = output.next().await {
            match piece {
                LogOutput::StdErr { message } => hear(Piece::Err(message.to_vec())),
                LogOutput::StdOut { message } | LogOutput::Console { message } => hear(Piece::Out(message.to_vec())),
                LogOutput::StdIn { .. } => {}
            }
        }
    };
    let mut reading = std::pin::pin!(reading);
    let in_time = match order.timeout {
        Some(limit) => tokio::time::timeout(limit, &mut reading).await.is_ok(),
        None => {
            (&mut reading).await;
            true
        }
    };
    if !in_time {
        end(engine, id, &mark).await?;
        // What it says at its end belongs to it.
        let _ = tokio::time::timeout(ENDING, reading).await;
        return Ok(End::TimedOut);
    }
    Ok(End::Code(code(engine, &made).await?))
}

/// What a terminal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Output, which may end in the middle of a character.
    Output(Vec<u8>),
    /// It has ended, with this code where the engine knows it. Nothing follows.
    Ended(Option<i64>),
}

/// A terminal with a shell in a container. Dropping it ends the shell and whatever it has started.
#[derive(Debug)]
pub struct Shell {
    orders: mpsc::UnboundedSender<ShellOrder>,
    _open: oneshot::Sender<()>,
}

#[derive(Debug)]
enum ShellOrder {
    Type(Vec<u8>),
    Resize { columns: u16, rows: u16 },
    Painted,
}

impl Shell {
    /// Opens one. `hear` gets a batch of output at a time, and the next one when [`Self::painted`] was called; meanwhile
    /// the terminal is not read, so that a program that says too much waits for its reader.
    ///
    /// # Errors
    /// [`EngineError`] where the engine would not start it.
    pub async fn open(
        engine: &Engine,
        id: &str,
        size: (u16, u16),
        hear: impl Fn(Said) + Send + Sync + 'static,
    ) -> Result<Self, EngineError> {
        let mark = uuid::Uuid::new_v4().simple().to_string();
        let command = ["sh", "-c", SHELL].map(str::to_owned);
        let made = create(engine, id, &command, &mark, true).await?;
        let options = StartExecOptions { detach: false, tty: true, output_capacity: Some(BATCH) };
        let started = patient("to open a shell", engine.api().start_exec(&made, Some(options))).await?;
        let StartExecResults::Attached { output, input } = started else {
            return Err(EngineError::Refused { call: "to open a shell", cause: "it is not attached".to_owned() });
        };
        let (orders, inbox) = mpsc::unbounded_channel();
        let (open, closed) = oneshot::channel();
        let terminal = Terminal { engine: engine.clone(), container: id.to_owned(), made, mark };
        terminal.resize(size.0, size.1).await;
        tokio::spawn(terminal.serve(output, input, inbox, closed, hear));
        Ok(Self { orders, _open: open })
    }

    /// Types.
    pub fn write(&self, bytes: Vec<u8>) {
        let _ = self.orders.send(ShellOrder::Type(bytes));
    }

    /// The terminal has another size now.
    pub fn resize(&self, columns: u16, rows: u16) {
        let _ = self.orders.send(ShellOrder::Resize { columns, rows });
    }

    /// The last batch was painted.
    pub fn painted(&self) {
        let _ = self.orders.send(ShellOrder::Painted);
    }
}

type Streamed = std::pin::Pin<Box<dyn futures_util::Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>;
type Typed = std::pin::Pin<Box<dyn tokio::io::AsyncWrite + Send>>;

struct Terminal {
    engine: Engine,
    container: String,
    made: String,
    mark: String,
}

impl Terminal {
    async fn serve(
        self,
        mut output: Streamed,
        mut input: Typed,
        mut orders: mpsc::UnboundedReceiver<ShellOrder>,
        mut closed: oneshot::Receiver<()>,
        hear: impl Fn(Said) + Send + Sync + 'static,
    ) {
        let mut waiting: Vec<u8> = Vec::new();
        let mut painted = true;
        let mut flush_at = None;
        let ended = loop {
            let due = async {
                match flush_at {
                    Some(at) if painted => tokio::time::sleep_until(at).await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = &mut closed => break false,
                order = orders.recv() => match order {
                    Some(ShellOrder::Type(bytes)) => {
                        if input.write_all(&bytes).await.is_err() || input.flush().await.is_err() {
                            tracing::debug!("a shell no longer reads what is typed");
                        }
                    }
                    Some(ShellOrder::Resize { columns, rows }) => self.resize(columns, rows).await,
                    Some(ShellOrder::Painted) => painted = true,
                    None => break false,
                },
                piece = output.next(), if waiting.len() < BATCH => match piece {
                    Some(Ok(piece)) => {
                        waiting.extend_from_slice(&piece.into_bytes());
                        flush_at.get_or_insert_with(|| tokio::time::Instant::now() + GATHER);
                    }
                    Some(Err(_)) | None => break true,
                },
                () = due => {
                    flush_at = None;
                    painted = false;
                    hear(Said::Output(std::mem::take(&mut waiting)));
                }
            }
        };
        if ended {
            if !waiting.is_empty() {
                hear(Said::Output(waiting));
            }
            hear(Said::Ended(code(&self.engine, &self.made).await.ok()));
        }
        // What it has left running has nobody who would see it any more.
        if let Err(error) = end(&self.engine, &self.container, &self.mark).await {
            tracing::debug!(%error, "a shell could not be ended");
        }
    }

    async fn resize(&self, columns: u16, rows: u16) {
        let options = ResizeExecOptionsBuilder::new().w(i32::from(columns)).h(i32::from(rows)).build();
        if let Err(error) = patient("to resize a shell", self.engine.api().resize_exec(&self.made, options)).await {
            // Podman resizes what has started alone; the page says its size again.
            tracing::debug!(%error, "a shell was not resized");
        }
    }
}

/// Ends whatever carries a mark in a container, and waits for it.
async fn end(engine: &Engine, id: &str, mark: &str) -> Result<(), EngineError> {
    let command = ["sh", "-c", END, "sh", mark].map(str::to_owned);
    let made = create(engine, id, &command, "", false).await?;
    let started = patient("to end a command", engine.api().start_exec(&made, None::<StartExecOptions>)).await?;
    if let StartExecResults::Attached { mut output, .. } = started {
        let _ = tokio::time::timeout(ENDING, async { while output.next().await.is_some() {} }).await;
    }
    Ok(())
}

async fn create(engine: &Engine, id: &str, command: &[String], mark: &str, tty: bool) -> Result<String, EngineError> {
    let mut env: Vec<String> = (!mark.is_empty()).then(|| format!("{MARK}={mark}")).into_iter().collect();
    if tty {
        env.push("TERM=xterm-256color".to_owned());
    }
    let config = ExecConfig {
        attach_stdin: Some(tty),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(tty),
        env: Some(env),
        cmd: Some(command.to_vec()),
        ..ExecConfig::default()
    };
    Ok(patient("to run a command", engine.api().create_exec(id, config)).await?.id)
}

async fn patient<T>(
    call: &'static str,
    asked: impl Future<Output = Result<T, bollard::errors::Error>>,
) -> Result<T, EngineError> {
    match tokio::time::timeout(STEP, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(EngineError::Refused { call, cause: engine::words(&error) }),
        Err(_) => Err(EngineError::Timeout { call, limit: STEP }),
    }
}

/// The code with which a command has ended. The end of its output comes a moment before.
async fn code(engine: &Engine, made: &str) -> Result<i64, EngineError> {
    for _ in 0..200 {
        let state = patient("how a command ended", engine.api().inspect_exec(made)).await?;
        if state.running != Some(true)
            && let Some(code) = state.exit_code
        {
            return Ok(code);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(EngineError::Timeout { call: "how a command ended", limit: STEP })
}
