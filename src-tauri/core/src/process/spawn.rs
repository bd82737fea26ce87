//! Starts processes on this machine, each the leader of a group that dies whole. Knows nothing of agents.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::ladder::{AFTER_EOF, AFTER_TERM, Ladder, Rung};
use super::lines::Tail;
use super::{Exit, GRACE_AFTER_EOF, GRACE_AFTER_TERM, Input, Process, STDERR_TAIL, Stop, stdio};

/// How long the pipes are read on after the process has ended: a grandchild that was not in its group may hold them
/// open for ever.
const DRAIN: Duration = Duration::from_millis(500);

/// What to start.
#[derive(Clone)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// Its arguments. Never secrets: every user of the machine can read them.
    pub args: Vec<OsString>,
    /// Where it starts.
    pub folder: PathBuf,
    /// Variables set on top of our own environment, or, where the value is `None`, removed from it.
    pub environment: Vec<(OsString, Option<OsString>)>,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The environment is left out because it holds keys.
        formatter.debug_struct("Program").field("path", &self.path).field("args", &self.args).finish_non_exhaustive()
    }
}

/// Why a process did not start.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The operating system refused.
    #[error("{path} could not be started: {source}", path = path.display())]
    Refused {
        /// What was to be started.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A pipe was not there, which the system promises.
    #[error("{path} was started without its pipes", path = path.display())]
    NoPipes {
        /// What was started.
        path: PathBuf,
    },
}

/// Starts `program` with three pipes and a task that watches over it.
///
/// # Errors
/// [`SpawnError`] where the system refuses.
pub fn spawn(program: &Program) -> Result<Process, SpawnError> {
    let mut child = start(program)?;
    let no_pipes = || SpawnError::NoPipes { path: program.path.clone() };
    let stdin = child.stdin().take().ok_or_else(no_pipes)?;
    let stdout = child.stdout().take().ok_or_else(no_pipes)?;
    let stderr = child.stderr().take().ok_or_else(no_pipes)?;

    let group = child.id();
    let (input, input_lines) = Input::channel();
    let (output_lines, output) = mpsc::unbounded_channel();
    let (exit_sender, exit) = watch::channel(None);
    let (stop, requests) = Stop::channel(exit.clone());
    let tail = Arc::new(Mutex::new(Tail::new(STDERR_TAIL)));

    let errors = Arc::clone(&tail);
    let streams = Streams {
        input: tokio::spawn(stdio::pump_input(stdin, input_lines)),
        output: tokio::spawn(stdio::pump_output(stdout, output_lines)),
        errors: tokio::spawn(async move { stdio::pump_errors(stderr, &errors).await }),
    };
    tokio::spawn(supervise(child, input.clone(), Ladder::of(requests), streams, tail, exit_sender));
    Ok(Process { input, output, exit, stop, group })
}

/// Runs `program` to its end with nothing on stdin and gives its status, stdout and stderr, each cut at 1 MiB; an
/// error where it has not ended after `limit`, by when it has been killed.
///
/// # Errors
/// [`RunError`] where it did not start or did not end.
pub async fn run(program: &Program, limit: Duration) -> Result<Finished, RunError> {
    run_with(program, None, limit).await
}

/// The same with one line on stdin.
///
/// # Errors
/// As [`run`].
pub async fn ask(program: &Program, line: String, limit: Duration) -> Result<Finished, RunError> {
    run_with(program, Some(line), limit).await
}

async fn run_with(program: &Program, line: Option<String>, limit: Duration) -> Result<Finished, RunError> {
    let mut process = spawn(program)?;
    if let Some(line) = line {
        // A program that reads nothing has ended, and its status says so.
        process.input.send(line);
    }
    process.input.close();
    let mut stdout = String::new();
    let collect = async {
        while let Some(line) = process.output.recv().await {
            if let super::Output::Line { text, .. } = line
                && stdout.len() < 1024 * 1024
            {
                stdout.push_str(&text);
                stdout.push('\n');
            }
        }
        process.stop.gone().await
    };
    match tokio::time::timeout(limit, collect).await {
        Ok(exit) => Ok(Finished { exit, stdout }),
        Err(_) => {
            process.stop.kill();
            Err(RunError::TooSlow { path: program.path.clone(), limit })
        }
    }
}

/// What [`run`] gives.
#[derive(Debug, Clone)]
pub struct Finished {
    /// How it ended.
    pub exit: Exit,
    /// What it said.
    pub stdout: String,
}

impl Finished {
    /// True where it ended with code 0.
    pub fn succeeded(&self) -> bool {
        self.exit.code == Some(0)
    }
}

/// Why [`run`] gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It did not start.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// It was killed because it did not end.
    #[error("{path} did not end within {limit:?}", path = path.display())]
    TooSlow {
        /// What was started.
        path: PathBuf,
        /// How long it had.
        limit: Duration,
    },
}

#[allow(clippy::disallowed_methods)] // This is the one place that spawns.
fn start(program: &Program) -> Result<Box<dyn ChildWrapper>, SpawnError> {
    let mut command = CommandWrap::with_new(&program.path, |command| {
        command.args(&program.args).current_dir(&program.folder);
        for (name, value) in &program.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    });
    command.wrap(KillOnDrop);
    // A session, not a group alone: a terminal that we were started from stops those who touch it from the background,
    // as an interactive shell does, and would take a program's question for a password.
    #[cfg(unix)]
    command.wrap(process_wrap::tokio::ProcessSession);
    #[cfg(windows)]
    command.wrap(process_wrap::tokio::JobObject);
    command.spawn().map_err(|source| SpawnError::Refused { path: program.path.clone(), source })
}

struct Streams {
    input: JoinHandle<()>,
    output: JoinHandle<()>,
    errors: JoinHandle<()>,
}

/// Owns the child until its whole group is gone, climbs the ladder when asked, and reports how it ended.
async fn supervise(
    mut child: Box<dyn ChildWrapper>,
    input: Input,
    mut ladder: Ladder,
    streams: Streams,
    tail: Arc<Mutex<Tail>>,
    exit: watch::Sender<Option<Exit>>,
) {
    let group = child.id();
    let status = climb(child.as_mut(), &input, &mut ladder).await;
    // What the agent started must not outlive it, and may hold its pipes open.
    kill_group(group);
    let Streams { input: writing, output, errors } = streams;
    writing.abort();
    let (mut output, mut errors) = (output, errors);
    let drained = tokio::time::timeout(DRAIN, async { tokio::join!(&mut output, &mut errors) }).await;
    if drained.is_err() {
        output.abort();
        errors.abort();
    }
    let stderr = tail.lock().map(|tail| tail.text()).unwrap_or_default();
    let ended =
        Exit { code: status.and_then(|s| s.code()), signal: status.and_then(signal_of), stderr, ..Exit::default() };
    tracing::debug!(code = ?ended.code, signal = ?ended.signal, "a process ended");
    exit.send_replace(Some(ended));
}

async fn climb(child: &mut dyn ChildWrapper, input: &Input, ladder: &mut Ladder) -> Option<ExitStatus> {
    let kindly = tokio::select! {
        status = child.wait() => return status.ok(),
        kindly = ladder.begins() => kindly,
    };
    if kindly {
        input.close();
        let mut rung = ladder.rung(child.wait(), GRACE_AFTER_EOF, AFTER_EOF).await;
        if matches!(rung, Rung::Over) {
            tracing::info!("the agent did not end with its input; sending SIGTERM");
            terminate(child);
            rung = ladder.rung(child.wait(), GRACE_AFTER_TERM, AFTER_TERM).await;
        }
        if let Rung::Ended(status) = rung {
            return status.ok();
        }
        tracing::warn!("the agent did not end kindly; killing it");
    }
    let _ = child.start_kill();
    child.wait().await.ok()
}

#[cfg(unix)]
fn terminate(child: &dyn ChildWrapper) {
    let _ = child.signal(rustix::process::Signal::TERM.as_raw());
}

#[cfg(windows)]
fn terminate(_child: &dyn ChildWrapper) {}

#[cfg(unix)]
fn kill_group(leader: Option<u32>) {
    let leader = leader.and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(leader) = leader {
        // Fails where nobody of the group is left, which is what we want.
        let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
    }
}

#[cfg(windows)]
fn kill_group(_leader: Option<u32>) {
    // The job object has killed everything in it already.
}

#[cfg(unix)]
fn signal_of(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(windows)]
fn signal_of(_status: ExitStatus) -> Option<i32> {
    None
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::process::Output;

    fn shell(script: &str) -> Program {
        Program {
            path: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            folder: "/".into(),
            environment: vec![("GEMRA_TEST".into(), Some("here".into()))],
        }
    }

    async fn lines(process: &mut Process) -> Vec<String> {
        let mut seen = Vec::new();
        while let Some(Output::Line { text, .. }) = process.output.recv().await {
            seen.push(text);
        }
        seen
    }

    fn alive(pid: &str) -> bool {
        // A zombie has been killed; only its parent has not looked yet.
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
    }

    /// Waits until it is dead: a signal to a group is sent at once and takes effect a moment later.
    async fn dies(pid: &str) -> bool {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
        while alive(pid) && tokio::time::Instant::now() < deadline {
            tokio::task::yield_now().await;
        }
        !alive(pid)
    }

    #[tokio::test]
    async fn lines_go_in_and_out_and_the_end_is_told() {
        let mut process = spawn(&shell("read a; echo \"got $a $GEMRA_TEST\"; echo oops >&2; exit 3")).unwrap();
        assert!(process.input.send("hello".to_owned()), "a running process takes input");
        assert_eq!(lines(&mut process).await, ["got hello here"], "stdout comes as lines");
        let exit = process.stop.gone().await;
        assert_eq!((exit.code, exit.stderr.as_str()), (Some(3), "oops"), "code and stderr's tail are kept");
    }

    #[tokio::test]
    async fn stop_is_kind_first() {
        let process = spawn(&shell("while read line; do :; done; exit 7")).unwrap();
        assert_eq!(process.stop.stop().await.code, Some(7), "the end of stdin is enough for a healthy agent");
    }

    #[tokio::test]
    async fn stop_in_a_hurry_is_in_time_and_as_kind_as_it_can_be() {
        let hurried = async |script: &str| {
            let mut process = spawn(&shell(script)).unwrap();
            assert!(matches!(process.output.recv().await, Some(Output::Line { .. })), "it has begun: {script}");
            let began = tokio::time::Instant::now();
            let exit = process.stop.stop_by(began + Duration::from_millis(1500)).await;
            (exit, began.elapsed())
        };
        let (exit, _) = hurried("echo; while read line; do :; done; exit 7").await;
        assert_eq!(exit.code, Some(7), "a healthy one ends with its input");
        let (exit, _) = hurried("trap 'exit 8' TERM; echo; while :; do sleep 0.05; done").await;
        assert_eq!(exit.code, Some(8), "a busy one on SIGTERM");
        let (exit, took) = hurried("trap '' TERM; echo; while :; do sleep 0.05; done").await;
        assert_eq!(exit.signal, Some(9), "and a deaf one is killed");
        assert!(took < GRACE_AFTER_EOF, "long before its usual time: {took:?}");
    }

    #[tokio::test]
    async fn kill_takes_the_grandchildren_along() {
        let mut process = spawn(&shell("sleep 600 & echo $!; trap '' TERM; while :; do sleep 1; done")).unwrap();
        let Some(Output::Line { text: grandchild, .. }) = process.output.recv().await else {
            panic!("the script prints its child's pid");
        };
        assert!(alive(&grandchild), "the grandchild runs before the kill");
        process.stop.kill();
        assert_eq!(process.stop.gone().await.signal, Some(9), "the leader was killed");
        assert!(dies(&grandchild).await, "the group died whole");
    }

    #[tokio::test]
    async fn a_leader_that_ends_takes_its_group_along() {
        let mut process = spawn(&shell("sleep 600 & echo $!; exit 0")).unwrap();
        let seen = lines(&mut process).await;
        assert_eq!(process.stop.gone().await.code, Some(0), "the leader ended by itself");
        assert!(dies(&seen[0]).await, "and left nobody behind");
    }

    #[tokio::test]
    async fn dropping_the_process_kills_it() {
        let mut process = spawn(&shell("echo $$; trap '' TERM; while :; do sleep 1; done")).unwrap();
        let Some(Output::Line { text: leader, .. }) = process.output.recv().await else {
            panic!("the script prints its pid");
        };
        let mut exit = process.exit.clone();
        drop(process);
        exit.wait_for(Option::is_some).await.unwrap();
        assert!(!alive(&leader), "nobody was left to stop it, so it was killed");
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let missing = Program { path: "/nonexistent/claude".into(), ..shell("") };
        let error = spawn(&missing).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/claude"), "the error names what was not there: {error}");
    }

    #[tokio::test]
    async fn run_gives_up_in_time() {
        let error = run(&shell("sleep 600"), Duration::from_millis(100)).await.unwrap_err();
        assert!(matches!(error, RunError::TooSlow { .. }), "a program that hangs is an error, not a wait");
        assert_eq!(run(&shell("echo out"), Duration::from_secs(10)).await.unwrap().stdout, "out\n", "stdout is kept");
    }
}
