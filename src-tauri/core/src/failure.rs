//! What the user is told when something fails: a class, the cause, what to do, and the tail of the log.
//!
//! Inside, each room has its own error enum; at the edge each becomes one of these. It decides nothing.

/// The class of a failure. A code exists only because somebody branches on it: the page, a test, a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The workspace is not there, is no folder, cannot be read, or is too much to hand over.
    WorkspaceInvalid,
    /// Gemra cannot have a folder of its own.
    HomeUnusable,
    /// The settings file is not what it should be.
    SettingsInvalid,
    /// The settings could not be written.
    SettingsNotSaved,
    /// The user's own keys could not be kept or read.
    CredentialsFailed,
    /// Logging in or out inside a container failed.
    LoginFailed,
    /// The Claude CLI was not found on this machine.
    ClaudeMissing,
    /// The installation of the CLI failed.
    InstallFailed,
    /// The agent would not start, or did not answer.
    AgentNotStarted,
    /// The agent ended by itself.
    AgentCrashed,
    /// The conversation that was to be resumed is not there.
    SessionMissing,
    /// The model's API refused.
    ApiError,
    /// The agent has no login and no key.
    NotLoggedIn,
    /// A turn failed for a reason of the agent's own.
    TurnFailed,
    /// No container engine is installed.
    EngineNotInstalled,
    /// An engine is there and does not run.
    EngineNotRunning,
    /// The engine's socket may not be used by this user.
    EngineNoPermission,
    /// The engine's address is not one.
    EngineBadAddress,
    /// Who answers at the engine's address is not known.
    EngineNotTrusted,
    /// The engine is on another machine, where the workspace is not.
    EngineRemote,
    /// The engine failed in a way of its own.
    EngineFailed,
    /// A step of the image's build failed.
    BuildFailed,
    /// The Dockerfile is not one.
    BadDockerfile,
    /// The base image could not be fetched.
    BaseUnreachable,
    /// The Dockerfile needs `BuildKit`.
    NeedsBuildkit,
    /// The `devcontainer.json` is not one that can be used.
    BadDevcontainer,
    /// The project's containers are described for Docker Compose.
    NeedsCompose,
    /// A command of the `devcontainer.json` failed.
    CommandFailed,
    /// The project asks for more than a container has, and nobody has allowed it.
    NotTrusted,
    /// The disk is full.
    DiskFull,
    /// The image vanished between build and start.
    ImageMissing,
    /// A file of an image could not be written or read.
    ImageFile,
    /// The image has no Claude CLI.
    AgentMissing,
    /// A mount was refused.
    BadMount,
    /// The files that the host would execute could not be looked at.
    GuardFailed,
    /// The container cannot have the network that was chosen.
    NetworkFailed,
    /// An isolated container reached the outside by a way of its own.
    NotIsolated,
    /// The files could not be kept the same with those of another machine.
    SyncFailed,
    /// The container would not start.
    StartFailed,
    /// The container's agent ran out of memory.
    OutOfMemory,
    /// The container was killed from outside.
    KilledExternally,
    /// The engine would not remove the container, which may still run.
    NotRemoved,
    /// A phase took too long.
    Timeout,
    /// The request names something that is not there any more.
    Gone,
}

impl Code {
    /// The code as the page and the README spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WorkspaceInvalid => "workspace-invalid",
            Self::HomeUnusable => "home-unusable",
            Self::SettingsInvalid => "settings-invalid",
            Self::SettingsNotSaved => "settings-not-saved",
            Self::CredentialsFailed => "credentials-failed",
            Self::LoginFailed => "login-failed",
            Self::ClaudeMissing => "claude-missing",
            Self::InstallFailed => "install-failed",
            Self::AgentNotStarted => "agent-not-started",
            Self::AgentCrashed => "agent-crashed",
            Self::SessionMissing => "session-missing",
            Self::ApiError => "api-error",
            Self::NotLoggedIn => "not-logged-in",
            Self::TurnFailed => "turn-failed",
            Self::EngineNotInstalled => "engine-not-installed",
            Self::EngineNotRunning => "engine-not-running",
            Self::EngineNoPermission => "engine-no-permission",
            Self::EngineBadAddress => "engine-bad-address",
            Self::EngineNotTrusted => "engine-not-trusted",
            Self::EngineRemote => "engine-remote",
            Self::EngineFailed => "engine-failed",
            Self::BuildFailed => "build-failed",
            Self::BadDockerfile => "bad-dockerfile",
            Self::BaseUnreachable => "base-unreachable",
            Self::NeedsBuildkit => "needs-buildkit",
            Self::BadDevcontainer => "bad-devcontainer",
            Self::NeedsCompose => "needs-compose",
            Self::CommandFailed => "command-failed",
            Self::NotTrusted => "not-trusted",
            Self::DiskFull => "disk-full",
            Self::ImageMissing => "image-missing",
            Self::ImageFile => "image-file",
            Self::AgentMissing => "agent-missing",
            Self::BadMount => "bad-mount",
            Self::GuardFailed => "guard-failed",
            Self::NetworkFailed => "network-failed",
            Self::NotIsolated => "not-isolated",
            Self::SyncFailed => "sync-failed",
            Self::StartFailed => "start-failed",
            Self::OutOfMemory => "out-of-memory",
            Self::KilledExternally => "killed-externally",
            Self::NotRemoved => "not-removed",
            Self::Timeout => "timeout",
            Self::Gone => "gone",
        }
    }
}

/// Why something failed, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The class.
    pub code: Code,
    /// The class in words.
    pub title: String,
    /// The cause, in one or two sentences.
    pub cause: String,
    /// What to do next.
    pub action: String,
    /// The tail of the log, or the words of whoever refused.
    pub detail: Option<String>,
    /// The field of the settings whose value is wrong, as the page calls it. Boxed, since most failures have none.
    pub field: Option<Box<str>>,
}

impl Failure {
    /// A failure without a log.
    pub fn new(code: Code, title: &str, cause: impl Into<String>, action: impl Into<String>) -> Self {
        Self { code, title: title.to_owned(), cause: cause.into(), action: action.into(), detail: None, field: None }
    }

    /// The same, of a value in this field of the settings.
    #[must_use]
    pub fn at(mut self, field: &str) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The same with the tail of a log, where there is one.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        self.detail = (!detail.trim().is_empty()).then_some(detail);
        self
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {} {}", self.title, self.cause, self.action)
    }
}

impl std::error::Error for Failure {}
