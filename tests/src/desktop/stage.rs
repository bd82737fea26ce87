//! What an app run stands on: a display, a message bus and a `WebDriver`, each its own process, all ended with the
//! stage. It knows nothing of the app but that its processes carry a mark in their environment.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::spawn::{self, Running};

use super::Home;

/// Names the run that a process belongs to; every descendant of the `WebDriver` inherits it.
pub(super) const MARK: &str = "GEMRA_TEST_RUN";

/// How long a part of the stage may take to come up.
const UP: Duration = Duration::from_secs(20);
/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(20);

/// The processes of one run, in the order in which they end.
#[derive(Debug)]
pub(super) struct Stage {
    driver: Running,
    _bus: Running,
    _display: Running,
    mark: PathBuf,
    port: u16,
    log: PathBuf,
}

impl Stage {
    /// Brings everything up. `environment` is what the app gets, and nothing of this process's own but the path.
    pub(super) fn build(home: &Home, size: (u32, u32), environment: &[(String, String)]) -> Self {
        let mark = home.path(&format!("run-{}", uuid::Uuid::new_v4().simple()));
        let log = mark.with_extension("log");
        let (display, number) = display(size, &log);
        let address = home.path(&format!("bus-{}", uuid::Uuid::new_v4().simple()));
        let bus = bus(home, &address, &log);
        let port = free_port();
        let mut command = spawn::command_as(home.user(), "WebKitWebDriver");
        command.arg("--host=127.0.0.1").arg(format!("--port={port}")).env_clear();
        command.env("HOME", home.driver());
        command.env("DISPLAY", format!(":{number}"));
        command.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", address.display()));
        command.env(MARK, &mark);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let driver = start(&mut command, &log);
        let stage = Self { driver, _bus: bus, _display: display, mark, port, log };
        until("the WebDriver listens", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok(), &stage.log);
        stage
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Every process of this run, whoever its parent is by now, but the `WebDriver` itself.
    pub(super) fn processes(&self) -> Vec<u32> {
        let mut found =
            spawn::with_environment(MARK, &self.mark).unwrap_or_else(|error| panic!("/proc can be read: {error}"));
        found.retain(|id| *id != self.driver.id());
        found
    }

    /// The end of what the app, the `WebDriver` and the bus have written.
    pub(super) fn log_tail(&self) -> String {
        tail(&self.log)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // The app first and by its own id: the WebDriver would take its time, and what the app started may have
        // left the WebDriver's process group.
        for id in self.processes() {
            spawn::kill(id);
        }
    }
}

/// A display on a number that the X server itself finds free.
fn display((width, height): (u32, u32), log: &Path) -> (Running, u32) {
    let mut command = spawn::command("Xvfb");
    command.args(["-displayfd", "1", "-screen", "0"]).arg(format!("{width}x{height}x24"));
    // No access control: the app may run as another user, and the display is nobody else's.
    command.args(["-ac", "-nolisten", "tcp", "-noreset"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(append(log));
    let mut display =
        Running::start(&mut command).unwrap_or_else(|error| panic!("{error}; Debian's package xvfb has it"));
    let stdout = display.child().stdout.take();
    let mut line = String::new();
    if let Some(stdout) = stdout {
        BufReader::new(stdout).read_line(&mut line).unwrap_or_else(|error| panic!("Xvfb says its number: {error}"));
    }
    let number = line.trim().parse();
    (display, number.unwrap_or_else(|_| panic!("Xvfb did not come up:\n{}", tail(log))))
}

/// A session bus of the run's own user, so that no other run's instance is found on it.
fn bus(home: &Home, address: &Path, log: &Path) -> Running {
    let mut command = spawn::command_as(home.user(), "dbus-daemon");
    command.args(["--session", "--nofork", "--nopidfile"]).arg(format!("--address=unix:path={}", address.display()));
    command.env("XDG_RUNTIME_DIR", home.runtime());
    let bus = start(&mut command, log);
    until("the message bus listens", || UnixStream::connect(address).is_ok(), log);
    bus
}

fn start(command: &mut Command, log: &Path) -> Running {
    command.stdin(Stdio::null()).stdout(append(log)).stderr(append(log));
    Running::start(command)
        .unwrap_or_else(|error| panic!("{error}; `cargo xtask test desktop` installs what is missing"))
}

fn append(log: &Path) -> File {
    let file = OpenOptions::new().create(true).append(true).open(log);
    file.unwrap_or_else(|error| panic!("{} can be written: {error}", log.display()))
}

fn until(what: &str, check: impl Fn() -> bool, log: &Path) {
    let deadline = Instant::now() + UP;
    while !check() {
        assert!(Instant::now() < deadline, "not within {UP:?}: {what}\n{}", tail(log));
        std::thread::sleep(LOOK);
    }
}

/// A port that was free a moment ago; nothing else on this machine hands out the same one so soon.
fn free_port() -> u16 {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    bound.unwrap_or_else(|error| panic!("the loopback has a free port: {error}")).port()
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
