//! The way to an engine on another machine: the user's own ssh, which forwards its socket to one of ours. It asks for no
//! password and takes no host that ssh does not know already. What goes through the socket is not known here.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::address::Login;
use crate::environment::Environment;
use crate::process::spawn::{Finished, Program, RunError, run, spawn};
use crate::process::{Output, Process};

/// How long ssh may take for the way to another machine. Its own limit for the connection is shorter, and names the cause.
const HANDSHAKE: Duration = Duration::from_secs(90);
/// What the other side says when the way is open.
const OPEN: &str = "gemra: open";
/// What it says before the socket that it found.
const FOUND: &str = "gemra: socket ";
/// What it says before a socket that this user may not use.
const FORBIDDEN: &str = "gemra: forbidden ";
/// Looks for the engine's socket there: the one that is named, or else the usual places.
const LOOK: &str = r#"
[ "$#" -gt 0 ] || set -- "${DOCKER_HOST#unix://}" /var/run/docker.sock "/run/user/$(id -u)/docker.sock" \
    "$HOME/.docker/run/docker.sock" "$HOME/.orbstack/run/docker.sock" "$HOME/.colima/default/docker.sock" \
    "/run/user/$(id -u)/podman/podman.sock" /run/podman/podman.sock
forbidden=
for socket do
    [ -S "$socket" ] || continue
    if [ -r "$socket" ] && [ -w "$socket" ]; then echo "gemra: socket $socket"; exit 0; fi
    forbidden="$socket"
done
[ -z "$forbidden" ] || echo "gemra: forbidden $forbidden"
"#;

/// A socket of ours that leads to the engine's. It ends when dropped, and with this program however that ends: the
/// other side reads until its stdin ends.
#[derive(Debug)]
pub(super) struct Tunnel {
    socket: PathBuf,
    process: Process,
    /// Only this user may go into it.
    _folder: tempfile::TempDir,
}

/// Why there is no way to the engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SshError {
    /// There is no ssh here.
    #[error("there is no program called ssh on PATH")]
    NoProgram,
    /// The other machine does not answer.
    #[error("the machine cannot be reached: {0}")]
    Unreachable(String),
    /// ssh has never seen the other machine, or another one by that name.
    #[error("ssh does not know the machine: {0}")]
    Unknown(String),
    /// The other machine does not let the user in.
    #[error("the machine does not let you in: {0}")]
    Refused(String),
    /// No engine's socket is there.
    #[error("no container engine's socket is on that machine")]
    NoEngine,
    /// The user may not use the engine's socket there.
    #[error("you may not use {0} on that machine")]
    Forbidden(String),
    /// Something else.
    #[error("{0}")]
    Other(String),
}

impl Tunnel {
    /// Opens the way.
    pub(super) async fn open(login: &Login, environment: &Environment) -> Result<Self, SshError> {
        let path = environment.os("PATH").unwrap_or_default();
        let program = tokio::task::spawn_blocking(move || program(&path)).await.ok().flatten();
        let ssh = Ssh { program: program.ok_or(SshError::NoProgram)?, login, environment };
        let there = ssh.look().await?;
        ssh.forward(&there).await
    }

    /// Our end.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// What ssh has said at its end, where it has ended.
    pub(super) fn ended(&self) -> Option<String> {
        self.process.exit.borrow().as_ref().map(|exit| last_line(&exit.stderr))
    }
}

struct Ssh<'a> {
    program: PathBuf,
    login: &'a Login,
    environment: &'a Environment,
}

impl Ssh<'_> {
    /// The engine's socket over there.
    async fn look(&self) -> Result<String, SshError> {
        let mut words = format!("exec sh -c {} gemra", quoted(LOOK));
        if let Some(socket) = &self.login.socket {
            words = format!("{words} {}", quoted(socket));
        }
        let Finished { exit, stdout } =
            run(&self.command(&[], &words), HANDSHAKE).await.map_err(|error| match error {
                RunError::TooSlow { .. } => {
                    SshError::Unreachable(format!("ssh did not get there within {HANDSHAKE:?}"))
                }
                RunError::Spawn(error) => SshError::Other(error.to_string()),
            })?;
        if let Some(socket) = stdout.lines().find_map(|line| line.strip_prefix(FOUND)) {
            return Ok(socket.to_owned());
        }
        if let Some(socket) = stdout.lines().find_map(|line| line.strip_prefix(FORBIDDEN)) {
            return Err(SshError::Forbidden(socket.to_owned()));
        }
        Err(if exit.code == Some(0) { SshError::NoEngine } else { class(&exit.stderr) })
    }

    async fn forward(&self, there: &str) -> Result<Tunnel, SshError> {
        let other = |error: &dyn std::fmt::Display| SshError::Other(error.to_string());
        // A temp folder's path is short, as a socket's has to be.
        let folder = tempfile::Builder::new().prefix("gemra-ssh-").tempdir().map_err(|error| other(&error))?;
        let socket = folder.path().join("engine.sock");
        let forward = format!("{}:{there}", socket.display());
        let more = ["-o", "ExitOnForwardFailure=yes", "-L", &forward];
        let program = self.command(&more, &format!("exec sh -c {}", quoted("echo 'gemra: open'; exec cat >/dev/null")));
        let mut process = spawn(&program).map_err(|error| other(&error))?;
        let opened = async {
            while let Some(said) = process.output.recv().await {
                if matches!(&said, Output::Line { text, .. } if text == OPEN) {
                    return true;
                }
            }
            false
        };
        match tokio::time::timeout(HANDSHAKE, opened).await {
            Ok(true) => Ok(Tunnel { socket, process, _folder: folder }),
            Ok(false) => Err(class(&process.stop.gone().await.stderr)),
            Err(_) => Err(SshError::Unreachable(format!("ssh did not get there within {HANDSHAKE:?}"))),
        }
    }

    fn command(&self, more: &[&str], words: &str) -> Program {
        let mut args: Vec<OsString> = [
            "-T",
            // Nobody is there to be asked, and no host is taken on trust, whatever the user's configuration says.
            "-oBatchMode=yes",
            "-oStrictHostKeyChecking=yes",
            "-oConnectTimeout=30",
            "-oServerAliveInterval=15",
            // A connection of our own, which ends with us.
            "-oControlMaster=no",
            "-oControlPath=none",
            "-oClearAllForwardings=no",
        ]
        .map(OsString::from)
        .to_vec();
        args.extend(more.iter().map(OsString::from));
        if let Some(port) = self.login.port {
            args.extend(["-p".into(), port.to_string().into()]);
        }
        if let Some(user) = &self.login.user {
            args.extend(["-l".into(), user.into()]);
        }
        args.extend(["--".into(), OsString::from(&self.login.host), words.into()]);
        let folder = self.environment.home().filter(|home| home.is_dir()).unwrap_or_else(std::env::temp_dir);
        let environment = ["PATH", "HOME", "SSH_AUTH_SOCK", "SSH_ASKPASS"]
            .into_iter()
            .map(|name| (OsString::from(name), self.environment.os(name)))
            .chain([(OsString::from("LC_ALL"), Some("C".into()))])
            .collect();
        Program { path: self.program.clone(), args, folder, environment }
    }
}

/// The ssh on PATH, or where systems keep it: a program opened from a desktop may have a short PATH.
fn program(path: &OsString) -> Option<PathBuf> {
    let name = if cfg!(windows) { "ssh.exe" } else { "ssh" };
    let usual = ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin", r"C:\Windows\System32\OpenSSH"];
    let folders = std::env::split_paths(path).chain(usual.iter().map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// What ssh's words mean. They are English with `LC_ALL=C`, and have been the same for decades.
fn class(stderr: &str) -> SshError {
    let said = last_line(stderr);
    let has = |words: &[&str]| words.iter().any(|words| stderr.contains(words));
    if has(&["Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED", "key is known for"]) {
        SshError::Unknown(said)
    } else if has(&["Permission denied", "Too many authentication failures", "No more authentication methods"]) {
        SshError::Refused(said)
    } else if has(&[
        "Could not resolve",
        "Connection refused",
        "Connection timed out",
        "Operation timed out",
        "No route to host",
        "Network is unreachable",
        "Connection closed",
        "Connection reset",
        "kex_exchange_identification",
        "banner exchange",
    ]) {
        SshError::Unreachable(said)
    } else {
        SshError::Other(if said.is_empty() { "ssh ended without a word".to_owned() } else { said })
    }
}

fn last_line(text: &str) -> String {
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

/// For the other side's shell, whichever it is: single quotes mean the same to all.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case = (&'static str, fn(&SshError) -> bool);

    #[test]
    fn what_ssh_says_becomes_a_class() {
        let unknown = "No ED25519 host key is known for box and you have requested strict checking.\r\nHost key \
                       verification failed.\r\n";
        let cases: &[Case] = &[
            (unknown, |error| matches!(error, SshError::Unknown(_))),
            ("me@box: Permission denied (publickey).\n", |error| matches!(error, SshError::Refused(_))),
            ("ssh: Could not resolve hostname box: Name or service not known\n", |error| {
                matches!(error, SshError::Unreachable(_))
            }),
            ("ssh: connect to host box port 22: Connection refused\n", |error| {
                matches!(error, SshError::Unreachable(_))
            }),
            ("sh: something else\n", |error| *error == SshError::Other("sh: something else".to_owned())),
            ("", |error| *error == SshError::Other("ssh ended without a word".to_owned())),
        ];
        for (said, is_it) in cases {
            assert!(is_it(&class(said)), "{said:?} is {:?}", class(said));
        }
    }

    #[test]
    fn nothing_is_asked_and_nobody_unknown_is_trusted() {
        let login = Login { user: Some("me".into()), host: "box".into(), port: Some(2222), socket: None };
        let environment = Environment::of([("PATH", "/usr/bin")]);
        let ssh = Ssh { program: "/usr/bin/ssh".into(), login: &login, environment: &environment };
        let program = ssh.command(&["-L", "a:b"], "echo 'x'");
        let args: Vec<&str> = program.args.iter().filter_map(|arg| arg.to_str()).collect();
        for wanted in ["-oBatchMode=yes", "-oStrictHostKeyChecking=yes", "-oControlPath=none"] {
            assert!(args.contains(&wanted), "{wanted} is said: {args:?}");
        }
        assert!(args.ends_with(&["-p", "2222", "-l", "me", "--", "box", "echo 'x'"]), "{args:?}");
    }
}
