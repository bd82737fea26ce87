//! The one place of this package that starts processes, and ends them: by their own id or process group, never by
//! name. It knows nothing of what the programs do.

// Gemra's own spawning goes through core's `process.rs`. The suites must not use that: they would then test it with
// itself. So this module, and no other here, is exempt.
#![allow(clippy::disallowed_methods)]

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

/// How long a program may take to end after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(5);
/// How often the end of a program is looked for.
const LOOK: Duration = Duration::from_millis(10);

/// A command that is still to be started.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}

/// A command run as another user, whose groups are that user's id alone; the same command for none.
pub fn command_as(user: Option<u32>, program: impl AsRef<OsStr>) -> Command {
    match user {
        None => command(program),
        Some(id) => {
            let mut command = command("setpriv");
            command.arg(format!("--reuid={id}")).arg(format!("--regid={id}")).arg("--clear-groups").arg("--");
            command.arg(program);
            command
        }
    }
}

/// Runs to the end and gives the output, with an error that names the program where it could not be started.
///
/// # Errors
/// When the program cannot be started.
pub fn output(command: &mut Command) -> io::Result<Output> {
    let name = name_of(command);
    command.stdin(Stdio::null()).output().map_err(|error| with_name(&name, &error))
}

/// Replaces this process by the command; it returns only where that failed.
pub fn exec(command: &mut Command) -> io::Error {
    let name = name_of(command);
    with_name(&name, &command.exec())
}

/// Starts a program that is left to itself, in this process's own group and with its streams.
///
/// # Errors
/// When it cannot be started.
pub fn detached(command: &mut Command) -> io::Result<u32> {
    let name = name_of(command);
    command.spawn().map(|child| child.id()).map_err(|error| with_name(&name, &error))
}

/// A running program in a process group of its own. Dropping it ends the whole group, also while a test panics.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    ended: Option<ExitStatus>,
}

impl Running {
    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started; the error names the program.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let name = name_of(command);
        let child = command.process_group(0).spawn().map_err(|error| with_name(&name, &error))?;
        Ok(Self { name, child, ended: None })
    }

    /// Its process id, which is its group's too.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The child itself, for its streams.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// How it ended; none while it runs.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait()?;
        }
        Ok(self.ended)
    }

    /// Ends the group: SIGTERM, then SIGKILL for what is left after five seconds.
    ///
    /// # Errors
    /// When the system does not say whether it ended.
    pub fn end(&mut self) -> io::Result<()> {
        if self.ended()?.is_none() {
            signal_group(self.id(), Signal::TERM);
            let deadline = Instant::now() + GRACE;
            while self.ended()?.is_none() && Instant::now() < deadline {
                std::thread::sleep(LOOK);
            }
        }
        // Also when the leader has ended: what it started may still be in the group.
        signal_group(self.id(), Signal::KILL);
        if self.ended.is_none() {
            self.ended = Some(self.child.wait()?);
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.end()
            && !std::thread::panicking()
        {
            panic!("cannot end {}: {error}", self.name);
        }
    }
}

/// Kills one process at once, by its id. It may be gone already.
pub fn kill(id: u32) {
    if let Some(pid) = pid(id) {
        // ESRCH is the state that was wanted.
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

/// Asks one process to end, by its id. It may be gone already.
pub fn terminate(id: u32) {
    if let Some(pid) = pid(id) {
        // ESRCH is the state that was wanted.
        let _ = rustix::process::kill_process(pid, Signal::TERM);
    }
}

/// True while a process with this id exists and is no zombie.
pub fn alive(id: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{id}/stat")) else { return false };
    // The state follows the name, which is in parentheses and may hold anything.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// The processes whose environment has the variable set to exactly this value: everything that descends from a
/// program started with it, whoever its parent is by now.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn with_environment(name: &str, value: &Path) -> io::Result<Vec<u32>> {
    let mut wanted = name.as_bytes().to_vec();
    wanted.push(b'=');
    wanted.extend_from_slice(value.as_os_str().as_encoded_bytes());
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // A process that ended meanwhile, or another user's, is none of ours.
        let Ok(environment) = std::fs::read(format!("/proc/{id}/environ")) else { continue };
        if environment.split(|byte| *byte == 0).any(|entry| entry == wanted) && alive(id) {
            found.push(id);
        }
    }
    Ok(found)
}

/// The command line of a process, words joined by spaces; empty where it is gone.
pub fn command_line(id: u32) -> String {
    let raw = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&raw).replace('\0', " ").trim_end().to_owned()
}

fn signal_group(id: u32, signal: Signal) {
    if let Some(pid) = pid(id) {
        // ESRCH: the group has ended, which is what was wanted.
        let _ = rustix::process::kill_process_group(pid, signal);
    }
}

fn pid(id: u32) -> Option<Pid> {
    i32::try_from(id).ok().and_then(Pid::from_raw)
}

fn name_of(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn with_name(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot start {name}: {error}"))
}
