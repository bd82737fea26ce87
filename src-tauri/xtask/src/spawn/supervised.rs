//! A program in a process group of its own, with a deadline: it dies whole when the deadline passes, when it leaves
//! processes behind, and when we die ourselves. On Windows, where the standard library has no groups, the tree under
//! the program is ended instead, and the console's own Ctrl-C ends it with us.

use std::io::Read;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::{command, not_started};
use crate::trouble::Trouble;

/// How long what a program left behind may hold its output open after the program itself has ended.
const LEFTOVER_PATIENCE: Duration = Duration::from_secs(10);
/// How long a group has between being asked to end and being ended.
const GRACE: Duration = Duration::from_secs(10);

/// How a supervised program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// It was still running at the deadline, and was ended.
    pub(crate) late: bool,
    /// It ended, but something it had started lived on with its output, and was ended.
    pub(crate) left_behind: bool,
}

/// Runs the command without input until it ends or the deadline passes. Hands on its standard output as it comes, in
/// pieces that are not lines; its standard error is ours.
pub(crate) fn supervise(
    command: &mut Command,
    deadline: Duration,
    mut on_output: impl FnMut(&[u8]),
) -> Result<Ended, Trouble> {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    lead_own_group(command);
    let mut child = command.spawn().map_err(|source| not_started(command, source))?;
    let group = child.id();
    let lifeline = Lifeline::tie(group)?;
    let (sender, events) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        let sender = sender.clone();
        std::thread::spawn(move || forward(stdout, &sender));
    }
    std::thread::spawn(move || await_end(child, &sender));

    let mut watch = Watch { events, status: None, over: false, late: false, left_behind: false };
    watch.until(Instant::now() + deadline, &mut on_output)?;
    if watch.status.is_none() {
        watch.late = true;
        end_group(group, "TERM");
        watch.until(Instant::now() + GRACE, &mut on_output)?;
    }
    if !watch.over {
        watch.left_behind = !watch.late;
        end_group(group, "KILL");
        watch.until(Instant::now() + GRACE, &mut on_output)?;
    }
    lifeline.untie();
    let status = watch.status.ok_or_else(|| Trouble::Late {
        what: format!("the end of process {group}, which was killed"),
        seconds: GRACE.as_secs(),
    })?;
    Ok(Ended { status, late: watch.late, left_behind: watch.left_behind })
}

/// Ends one process at once.
pub(super) fn end_process(pid: u32) {
    signal("KILL", &pid.to_string());
}

enum Event {
    Output(Vec<u8>),
    Exited(std::io::Result<ExitStatus>),
}

/// Both threads hold a sender, so the channel closes exactly when the program has ended and its output has too.
struct Watch {
    events: Receiver<Event>,
    status: Option<ExitStatus>,
    over: bool,
    late: bool,
    left_behind: bool,
}

impl Watch {
    /// Takes events until all is over or the time has come. Once the program has ended, its output has
    /// [`LEFTOVER_PATIENCE`] to end as well.
    fn until(&mut self, deadline: Instant, on_output: &mut impl FnMut(&[u8])) -> Result<(), Trouble> {
        let mut deadline = deadline;
        loop {
            match self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Event::Output(bytes)) => on_output(&bytes),
                Ok(Event::Exited(status)) => {
                    self.status = Some(
                        status.map_err(|source| Trouble::NotStarted { program: "wait for a child".into(), source })?,
                    );
                    deadline = deadline.min(Instant::now() + LEFTOVER_PATIENCE);
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.over = true;
                    return Ok(());
                }
                Err(RecvTimeoutError::Timeout) => return Ok(()),
            }
        }
    }
}

fn forward(mut stdout: impl Read, sender: &Sender<Event>) {
    let mut buffer = [0; 16 * 1024];
    loop {
        match stdout.read(&mut buffer) {
            Ok(count) if count > 0 => {
                if sender.send(Event::Output(buffer[..count].to_vec())).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            // The end of the output, or a pipe that is gone, which is the same to the watcher.
            Ok(_) | Err(_) => return,
        }
    }
}

fn await_end(mut child: Child, sender: &Sender<Event>) {
    // The watcher is gone only if it has already given the program up.
    let _ = sender.send(Event::Exited(child.wait()));
}

#[cfg(unix)]
fn lead_own_group(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

#[cfg(not(unix))]
fn lead_own_group(_command: &mut Command) {}

fn end_group(group: u32, how: &str) {
    if cfg!(unix) {
        signal(how, &format!("-{group}"));
    } else {
        hush(command("taskkill").args(["/PID", &group.to_string(), "/T", "/F"]));
    }
}

/// The shell's own `kill`: the standard library has none, and small systems have no program of that name.
fn signal(how: &str, target: &str) {
    if cfg!(unix) {
        hush(command("sh").args(["-c", r#"kill -s "$1" -- "$2""#, "kill", how, target]));
    } else {
        hush(command("taskkill").args(["/PID", target, "/F"]));
    }
}

/// Runs what may well fail because its target is gone already, which is what was wanted.
fn hush(command: &mut Command) {
    let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
}

/// A small watcher in a group of its own that ends the program's group when we die without a word, as at Ctrl-C, which
/// the terminal sends to our group alone. It notices by the end of its input.
struct Lifeline {
    watcher: Option<(Child, ChildStdin)>,
}

impl Lifeline {
    fn tie(group: u32) -> Result<Self, Trouble> {
        if cfg!(not(unix)) {
            return Ok(Self { watcher: None });
        }
        let script = r#"read -r word || { kill -s TERM -- "-$1"; sleep 5; kill -s KILL -- "-$1"; }"#;
        let mut shell = command("sh");
        shell.args(["-c", script, "lifeline", &group.to_string()]);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        lead_own_group(&mut shell);
        let mut child = shell.spawn().map_err(|source| not_started(&shell, source))?;
        let stdin = child.stdin.take();
        Ok(Self { watcher: stdin.map(|stdin| (child, stdin)) })
    }

    fn untie(self) {
        if let Some((mut child, mut stdin)) = self.watcher {
            // A whole line tells the watcher that all is well. If it is gone already there is nobody to tell.
            let _ = std::io::Write::write_all(&mut stdin, b"done\n");
            drop(stdin);
            let _ = child.wait();
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut shell = command("sh");
        shell.args(["-c", script]);
        shell
    }

    fn supervised(script: &str, deadline: Duration) -> (Ended, String) {
        let mut heard = Vec::new();
        let ended = supervise(&mut shell(script), deadline, |bytes| heard.extend_from_slice(bytes)).expect("sh starts");
        (ended, String::from_utf8(heard).expect("sh says text"))
    }

    /// Waits until the process is gone or a zombie. A process closes its output a moment before it ends, so its end
    /// may come a moment after the supervisor's.
    fn is_ended(pid: &str) -> bool {
        let script = format!("kill -0 {pid} && ! grep -q '^State:.*Z' /proc/{pid}/status");
        let deadline = Instant::now() + Duration::from_secs(10);
        while super::super::hear(&mut shell(&script)).expect("sh starts").1 {
            if Instant::now() > deadline {
                return false;
            }
        }
        true
    }

    #[test]
    fn output_and_status_are_handed_on() {
        let (ended, heard) = supervised("echo one; echo two; exit 3", Duration::from_mins(1));
        assert_eq!(heard, "one\ntwo\n");
        assert_eq!(ended.status.code(), Some(3));
        assert!(!ended.late && !ended.left_behind, "it ended by itself, whole");
    }

    #[test]
    fn the_whole_group_is_ended_at_the_deadline() {
        let (ended, heard) = supervised("sleep 600 & echo $!; wait", Duration::from_millis(500));
        assert!(ended.late, "it was still running at the deadline");
        assert!(!ended.status.success(), "a program that was ended has not succeeded");
        assert!(is_ended(heard.trim()), "its child was ended with it");
    }

    #[test]
    fn a_program_that_ignores_the_request_is_ended_all_the_same() {
        let (ended, _) = supervised("trap '' TERM; while :; do sleep 1; done", Duration::from_millis(300));
        assert!(ended.late && !ended.status.success(), "SIGKILL follows SIGTERM: {ended:?}");
    }

    #[test]
    fn what_is_left_behind_with_the_output_is_ended_and_told() {
        let (ended, heard) = supervised("sleep 600 & echo $!", Duration::from_mins(1));
        assert!(ended.status.success() && !ended.late, "the program itself ended well");
        assert!(ended.left_behind, "its child lived on with its output");
        assert!(is_ended(heard.trim()), "and was ended");
    }

    #[test]
    fn the_group_dies_with_its_supervisor() {
        // The watcher sees the end of its input exactly as it does when this process dies.
        let mut child = {
            let mut sleeper = shell("sleep 600");
            lead_own_group(&mut sleeper);
            sleeper.spawn().expect("sh starts")
        };
        let (watcher, stdin) = Lifeline::tie(child.id()).expect("sh starts").watcher.expect("there is one on Unix");
        drop(stdin);
        let status = child.wait().expect("it is our child");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15), "it was asked to end: {status}");
        let mut watcher = watcher;
        watcher.kill().and_then(|()| watcher.wait()).expect("the watcher is our child");
    }
}
