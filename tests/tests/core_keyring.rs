//! The user's keys in a real keyring: GNOME's, on a message bus of the test's own.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // What cannot be set up fails the test, which is what it is for.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tests::desktop::program;
use tests::needs;
use tests::spawn::{self, Running};

/// How long a thing may take that takes a moment when the machine is not busy.
const SOON: Duration = Duration::from_mins(2);

/// The rules of a bus on which everybody may do everything.
const BUS: &str = r#"<busconfig><type>session</type><listen>unix:path=SOCKET</listen><policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>"#;

/// A user's session: folders, a message bus, and a keyring on it where one was started.
struct Session {
    folder: TempDir,
    keyring: Option<Running>,
    _bus: Running,
}

impl Session {
    /// None where the machine has no such programs.
    fn start() -> Option<Self> {
        for name in ["dbus-daemon", "dbus-send", "gnome-keyring-daemon"] {
            needs::program(name, "a real keyring is asked")?;
        }
        let folder = tempfile::tempdir().unwrap();
        for name in ["home", "run"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(folder.path().join("run"), closed).unwrap();
        let socket = folder.path().join("bus");
        // It starts no services by itself: one would be a keyring that nobody has unlocked.
        let rules = folder.path().join("bus.conf");
        std::fs::write(&rules, BUS.replace("SOCKET", &socket.display().to_string())).unwrap();
        let mut command = spawn::command("dbus-daemon");
        command.args(["--nofork", "--nopidfile"]).arg(format!("--config-file={}", rules.display()));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let bus = Running::start(&mut command).expect("Debian's package dbus has it");
        until("the bus listens", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
        Some(Self { folder, keyring: None, _bus: bus })
    }

    /// Starts the keyring, unlocked, and waits until it can be asked.
    fn with_keyring(mut self) -> Self {
        let mut command = self.command("gnome-keyring-daemon");
        command.args(["--foreground", "--components=secrets", "--unlock"]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut running = Running::start(&mut command).expect("Debian's package gnome-keyring has it");
        // The password of its new keyring, up to the end of the input.
        running.child().stdin.take().unwrap().write_all(b"of the test").unwrap();
        self.keyring = Some(running);
        until("the keyring can be asked", || {
            let mut ask = self.command("dbus-send");
            ask.args(["--session", "--print-reply", "--dest=org.freedesktop.secrets", "/org/freedesktop/secrets"]);
            ask.args(["org.freedesktop.Secret.Service.ReadAlias", "string:default"]);
            let answer = spawn::output(&mut ask).unwrap();
            String::from_utf8_lossy(&answer.stdout).contains("/collection/")
        });
        self
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let path = |name: &str| self.folder.path().join(name);
        let mut command = spawn::command(program);
        command.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", path("bus").display()));
        command.env("HOME", path("home")).env("XDG_RUNTIME_DIR", path("run")).env("XDG_DATA_HOME", path("home"));
        command.env_remove("GNOME_KEYRING_CONTROL");
        command
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("credentials.json")
    }

    /// What the probe says to these words, with `input` on its stdin; and whether it went well.
    fn probe(&self, words: &[&str], input: &str) -> (String, bool) {
        let mut command = self.command(program("keyring-probe"));
        command.arg(self.file()).args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut running = Running::start(&mut command).unwrap();
        running.child().stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let mut said = String::new();
        std::io::Read::read_to_string(&mut running.child().stdout.take().unwrap(), &mut said).unwrap();
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(status) = running.ended().unwrap() {
                return (said, status.success());
            }
            assert!(Instant::now() < deadline, "it ends: {said}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn kept(&self) -> String {
        std::fs::read_to_string(self.file()).unwrap_or_default()
    }
}

fn until(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !check() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn keys_are_in_the_keyring_where_there_is_one() {
    let Some(session) = Session::start().map(Session::with_keyring) else { return };
    let (said, good) = session.probe(&["set", "ANTHROPIC_API_KEY"], "sk-first");
    assert!(good && said.trim() == "Keyring", "it says where: {said}");
    session.probe(&["set", "ANTHROPIC_API_KEY"], "sk-second");
    session.probe(&["set", "GITHUB_TOKEN"], "ghp-mine");
    assert!(
        !session.kept().contains("sk-") && !session.kept().contains("ghp-"),
        "no value in the file: {}",
        session.kept()
    );
    let (values, _) = session.probe(&["values"], "");
    assert_eq!(values.trim(), "ANTHROPIC_API_KEY=sk-second\nGITHUB_TOKEN=ghp-mine", "another process reads them");
    let (listed, _) = session.probe(&["list"], "");
    assert!(listed.contains("keeps_in: Keyring") && listed.contains("reason: None"), "{listed}");
    assert!(!listed.contains("sk-") && !listed.contains("ghp-"), "a listing holds no value: {listed}");
    let (said, good) = session.probe(&["forget", "ANTHROPIC_API_KEY"], "");
    assert!(good, "{said}");
    assert_eq!(session.probe(&["values"], "").0.trim(), "GITHUB_TOKEN=ghp-mine", "one is forgotten, the other kept");
}

#[test]
fn without_a_keyring_they_are_in_the_file_and_move_when_one_comes() {
    let Some(session) = Session::start() else { return };
    let (said, good) = session.probe(&["set", "ANTHROPIC_API_KEY"], "sk-mine");
    assert!(good && said.trim() == "File", "it says where: {said}");
    assert!(session.kept().contains("sk-mine"), "there is no other place: {}", session.kept());
    let (listed, _) = session.probe(&["list"], "");
    assert!(listed.contains("keeps_in: File") && !listed.contains("reason: None"), "and why is told: {listed}");

    let session = session.with_keyring();
    let (values, _) = session.probe(&["values"], "");
    assert_eq!(values.trim(), "ANTHROPIC_API_KEY=sk-mine", "the key is still there");
    assert!(!session.kept().contains("sk-mine"), "and no longer in the file: {}", session.kept());
    assert_eq!(session.probe(&["values"], "").0.trim(), "ANTHROPIC_API_KEY=sk-mine", "but in the keyring");
}

#[test]
fn a_keyring_that_has_gone_is_told_and_nothing_goes_on_without_the_key() {
    let Some(mut session) = Session::start().map(Session::with_keyring) else { return };
    session.probe(&["set", "ANTHROPIC_API_KEY"], "sk-mine");
    session.keyring = None;
    let (said, good) = session.probe(&["values"], "");
    assert!(!good && said.contains("ANTHROPIC_API_KEY is in the keyring"), "it is an error, not an empty list: {said}");
    let (listed, _) = session.probe(&["list"], "");
    assert!(listed.contains("kept: Some(Keyring)") && !listed.contains("reason: None"), "where, and why not: {listed}");
    let (said, good) = session.probe(&["forget", "ANTHROPIC_API_KEY"], "");
    assert!(!good, "what cannot be reached is not said to be forgotten: {said}");
    let (said, good) = session.probe(&["set", "ANTHROPIC_API_KEY"], "sk-anew");
    assert!(good && said.trim() == "File", "set anew it has another place: {said}");
    assert_eq!(session.probe(&["values"], "").0.trim(), "ANTHROPIC_API_KEY=sk-anew", "which counts");
}
