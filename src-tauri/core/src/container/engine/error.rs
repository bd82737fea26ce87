//! Why there is no engine to talk to. Each class has its cause and its next step.

use std::path::PathBuf;
use std::time::Duration;

use super::ssh::SshError;
use crate::failure::{Code, Failure};

/// An address that was tried, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The address, such as `unix:///run/docker.sock`.
    pub address: String,
    /// Where the address came from, in words.
    pub origin: String,
    /// What the system or the engine said.
    pub cause: String,
}

impl std::fmt::Display for Attempt {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} ({}): {}", self.address, self.origin, self.cause)
    }
}

/// Why there is no engine to talk to.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No engine's socket and no engine's program was found.
    #[error("No container engine was found on this machine")]
    NotInstalled {
        /// The sockets and programs that were looked for.
        looked: Vec<String>,
    },
    /// An engine is installed or named, and nothing answers.
    #[error("The container engine does not answer at {}", addresses(.tried))]
    NotRunning {
        /// What was tried; at least one.
        tried: Vec<Attempt>,
    },
    /// The socket is there and this user may not use it.
    #[error("This user may not use the container engine's socket {}", .tried.address)]
    NoPermission {
        /// The socket.
        tried: Attempt,
    },
    /// What was named is not an address.
    #[error("{value:?}, from {origin}, is not an engine's address: {why}")]
    BadAddress {
        /// What was named.
        value: String,
        /// Where it was named.
        origin: String,
        /// What is wrong with it.
        why: String,
    },
    /// An address of a kind that Gemra does not reach yet.
    #[error("Engines behind {what} are not supported yet ({value}, from {origin})")]
    NotSupported {
        /// What was named.
        value: String,
        /// Where it was named.
        origin: String,
        /// The kind.
        what: &'static str,
    },
    /// The way by ssh to the engine's machine.
    #[error("There is no way to the container engine at {} ({}): {why}", .tried.address, .tried.origin)]
    Ssh {
        /// What was tried.
        tried: Attempt,
        /// Why not.
        why: SshError,
    },
    /// Who answers has no certificate that is trusted.
    #[error("Who answers at {} is not trusted: {}", .tried.address, .tried.cause)]
    NotTrusted {
        /// What was tried.
        tried: Attempt,
    },
    /// The engine does not take our certificate.
    #[error("The container engine at {} does not let you in: {}", .tried.address, .tried.cause)]
    NotLetIn {
        /// What was tried.
        tried: Attempt,
    },
    /// An engine on another machine, which does not see this one's files.
    #[error("The container engine at {address} is on another machine, where this project's files are not")]
    Remote {
        /// Its address.
        address: String,
    },
    /// The context that was named is not among the docker CLI's contexts.
    #[error("The Docker context {name:?}, from {origin}, is not in {folder}", folder = folder.display())]
    NoSuchContext {
        /// Its name.
        name: String,
        /// Where it was named.
        origin: String,
        /// Where contexts are kept.
        folder: PathBuf,
    },
    /// A file of the docker CLI could not be understood, so it is not known which engine the user means.
    #[error("{file} could not be read: {cause}", file = file.display())]
    BadConfig {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: String,
    },
    /// Something answered that is no container engine, or one that is ill.
    #[error("What answers at {} is not a working container engine: {}", .tried.address, .tried.cause)]
    NotAnEngine {
        /// What was tried.
        tried: Attempt,
    },
    /// The engine took too long over a call.
    #[error("The container engine did not answer {call} within {limit:?}")]
    Timeout {
        /// The call, in words.
        call: &'static str,
        /// How long it had.
        limit: Duration,
    },
    /// The engine refused a call.
    #[error("The container engine refused {call}: {cause}")]
    Refused {
        /// The call, in words.
        call: &'static str,
        /// The engine's words.
        cause: String,
    },
}

fn addresses(tried: &[Attempt]) -> String {
    tried.iter().map(|attempt| attempt.address.as_str()).collect::<Vec<_>>().join(", ")
}

fn list(tried: &[Attempt]) -> String {
    tried.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl From<&EngineError> for Failure {
    fn from(error: &EngineError) -> Self {
        let cause = format!("{error}.");
        match error {
            EngineError::NotInstalled { looked } => Self::new(
                Code::EngineNotInstalled,
                "No container engine is installed",
                cause,
                "Install Docker (Debian, Ubuntu: sudo apt install docker.io; macOS, Windows: Docker Desktop), then press Retry.",
            )
            .with_detail(format!("Looked for:\n{}", looked.join("\n"))),
            EngineError::NotRunning { tried } => Self::new(
                Code::EngineNotRunning,
                "The container engine is not running",
                cause,
                "Start it (Linux: sudo systemctl start docker; macOS, Windows: open Docker Desktop), then press Retry.",
            )
            .with_detail(list(tried)),
            EngineError::NoPermission { tried } => Self::new(
                Code::EngineNoPermission,
                "No permission to use the container engine",
                cause,
                "Join the group that owns the socket (sudo usermod -aG docker \"$USER\", then log out and in), or use a rootless engine; then press Retry.",
            )
            .with_detail(tried.to_string()),
            EngineError::BadAddress { .. } => Self::new(
                Code::EngineBadAddress,
                "The engine's address is not valid",
                cause,
                "Write it like unix:///run/docker.sock, tcp://127.0.0.1:2375 or ssh://user@box where it is named, then press Retry.",
            ),
            EngineError::NotSupported { .. } => Self::new(
                Code::EngineBadAddress,
                "This kind of engine address is not supported yet",
                cause,
                "Let docker check who answers (DOCKER_TLS_VERIFY=1, or a context without skip-tls-verify), then press Retry.",
            ),
            EngineError::Ssh { tried, why } => by_ssh(why, cause).with_detail(tried.to_string()),
            EngineError::NotTrusted { tried } => Self::new(
                Code::EngineNotTrusted,
                "Who answers is not the engine that is trusted",
                cause,
                "Put the authority that signed the engine's certificate into ca.pem, beside cert.pem and key.pem, and name the engine by a host that its certificate names; then press Retry.",
            )
            .with_detail(tried.to_string()),
            EngineError::NotLetIn { tried } => Self::new(
                Code::EngineNoPermission,
                "The container engine does not let you in",
                cause,
                "Put a certificate that the engine accepts into cert.pem, and its key into key.pem (DOCKER_CERT_PATH names their folder); then press Retry.",
            )
            .with_detail(tried.to_string()),
            EngineError::Remote { .. } => Self::new(
                Code::EngineRemote,
                "The container engine is on another machine",
                cause,
                "Choose an engine of this machine for this project, or open the project in a Gemra on that machine; then press Retry.",
            ),
            EngineError::NoSuchContext { .. } => Self::new(
                Code::EngineBadAddress,
                "The Docker context does not exist",
                cause,
                "See which there are with docker context ls, choose one, then press Retry.",
            ),
            EngineError::BadConfig { .. } => Self::new(
                Code::EngineBadAddress,
                "Docker's own configuration cannot be read",
                cause,
                "Mend that file, or name the engine in the settings; then press Retry.",
            ),
            EngineError::NotAnEngine { tried } => Self::new(
                Code::EngineFailed,
                "What answers is not a working container engine",
                cause,
                "Check that the address is the engine's, and restart the engine; then press Retry.",
            )
            .with_detail(tried.to_string()),
            EngineError::Timeout { .. } => Self::new(
                Code::Timeout,
                "The container engine is too slow",
                cause,
                "See whether the machine or the engine is overloaded, then press Retry.",
            ),
            EngineError::Refused { .. } => Self::new(
                Code::EngineFailed,
                "The container engine failed",
                cause,
                "See the engine's own log (Linux: journalctl -u docker), then press Retry.",
            ),
        }
    }
}

fn by_ssh(why: &SshError, cause: String) -> Failure {
    let (code, title, action) = match why {
        SshError::NoProgram => (
            Code::EngineNotRunning,
            "ssh is not installed",
            "Install it (Debian, Ubuntu: sudo apt install openssh-client), then press Retry.",
        ),
        SshError::Unreachable(_) => (
            Code::EngineNotRunning,
            "The engine's machine cannot be reached",
            "See whether ssh reaches it from a terminal, then press Retry.",
        ),
        SshError::Unknown(_) => (
            Code::EngineNotTrusted,
            "The engine's machine is not known to ssh",
            "Connect to it once with ssh in a terminal, compare the key that it shows, and accept it there; then press Retry.",
        ),
        SshError::Refused(_) => (
            Code::EngineNoPermission,
            "The engine's machine does not let you in",
            "Give ssh a key that it accepts without asking you (ssh-copy-id, ssh-add), then press Retry.",
        ),
        SshError::NoEngine => (
            Code::EngineNotRunning,
            "No container engine runs on that machine",
            "Start one there (sudo systemctl start docker), or name its socket as in ssh://user@box/run/docker.sock; then press Retry.",
        ),
        SshError::Forbidden(_) => (
            Code::EngineNoPermission,
            "No permission to use the container engine there",
            "Join the group that owns the socket there (sudo usermod -aG docker \"$USER\", then log out and in), then press Retry.",
        ),
        SshError::Other(_) => (
            Code::EngineFailed,
            "ssh failed",
            "Read its words below, see whether it works in a terminal, then press Retry.",
        ),
    };
    Failure::new(code, title, cause, action)
}
