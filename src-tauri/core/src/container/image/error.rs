//! Why there is no image. Each class has its cause, its next step and, where the builder spoke, the tail of its log.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::container::engine::EngineError;
use crate::failure::{Code, Failure};

/// Why there is no image. Cheap to clone, because every tab that waits for the same build gets it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ImageError {
    /// A step of the build failed.
    #[error("The build failed at step {index} of {total}, {instruction}{}", code.map(|code| format!(", with code {code}")).unwrap_or_default())]
    BuildFailed {
        /// The step's number; 0 where it failed before the first.
        index: u32,
        /// How many steps there are.
        total: u32,
        /// The instruction.
        instruction: String,
        /// The exit code of its command, where one ran.
        code: Option<i64>,
        /// The builder's words.
        cause: String,
        /// The last lines of the log.
        tail: String,
    },
    /// The Dockerfile cannot be read, or the builder does not understand it.
    #[error("{} is not a valid Dockerfile: {cause}", name(.file.as_ref()))]
    BadDockerfile {
        /// The workspace's file; `None` for the embedded one.
        file: Option<PathBuf>,
        /// What is wrong, with the line where it is known.
        cause: String,
    },
    /// The base image is not on this machine and could not be fetched.
    #[error("The base image {base} is not on this machine and could not be fetched: {cause}")]
    BaseUnreachable {
        /// The base.
        base: String,
        /// The engine's words.
        cause: String,
    },
    /// The registry wants to know who asks, or does not show what it has.
    #[error("The registry {registry} refuses {image}: it is not there, or needs a login that may have it: {cause}")]
    NeedsLogin {
        /// The image.
        image: String,
        /// Its registry.
        registry: String,
        /// The engine's words.
        cause: String,
    },
    /// The user wants nothing fetched, and it is not there.
    #[error("{name} is not on this machine, and the settings say that nothing is fetched")]
    Offline {
        /// The image.
        name: String,
    },
    /// The user wants nothing fetched, and which image is wanted the builder alone knows.
    #[error("{}, line {line}: the builder alone knows which image {written} is, and the settings say that nothing is fetched", name(.file.as_ref()))]
    OfflineUnknown {
        /// The workspace's file; `None` for the embedded one.
        file: Option<PathBuf>,
        /// The line, counted from 1.
        line: usize,
        /// What stands there.
        written: String,
    },
    /// The engine's `BuildKit` needs a frontend for the Dockerfile that it could not fetch.
    #[error("{} needs the image {frontend} for {what}, and it could not be fetched: {cause}", name(.file.as_ref()))]
    NoFrontend {
        /// The workspace's file; `None` for the embedded one.
        file: Option<PathBuf>,
        /// What needs it, with the line.
        what: String,
        /// The frontend.
        frontend: String,
        /// The engine's words.
        cause: String,
    },
    /// The engine cannot run programs of the platform.
    #[error("The engine cannot run programs of the platform {platform}: {cause}")]
    Platform {
        /// The platform.
        platform: String,
        /// The engine's words.
        cause: String,
    },
    /// The image has no agent, and none could be given to it.
    #[error("The image {image} has no claude, and that of this machine cannot be used in it: {why}")]
    NoAgent {
        /// The image.
        image: String,
        /// Why not.
        why: String,
    },
    /// An image's file could not be read, or is none.
    #[error("{file} cannot be used: {cause}", file = file.display())]
    BadFile {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: String,
    },
    /// An image's file could not be written.
    #[error("{file} was not written: {cause}", file = file.display())]
    NotSaved {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: String,
    },
    /// There is no image of that name.
    #[error("There is no image {name} at the engine")]
    NotThere {
        /// The name.
        name: String,
    },
    /// Only `BuildKit` can build it, which the engine does not have.
    #[error("{} needs BuildKit: {what}", name(.file.as_ref()))]
    NeedsBuildkit {
        /// The workspace's file; `None` for the embedded one.
        file: Option<PathBuf>,
        /// What needs it, with the line where it is known.
        what: String,
    },
    /// No room is left where the engine keeps images.
    #[error("The disk on which the engine keeps its images is full")]
    DiskFull {
        /// The engine's words.
        cause: String,
    },
    /// A certificate that the settings name cannot be used.
    #[error("The certificate {file} cannot be used: {cause}", file = file.display())]
    BadCertificate {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: String,
    },
    /// A file that the Dockerfile copies could not be read.
    #[error("The workspace's files for the build could not be read: {cause}")]
    BadContext {
        /// Which, and why.
        cause: String,
    },
    /// What would be built is not what the user has allowed.
    #[error("What the build copies has changed since you have allowed it")]
    Changed,
    /// The engine failed outside of the build.
    #[error(transparent)]
    Engine(#[from] Arc<EngineError>),
    /// Everybody who wanted it has left.
    #[error("The build was cancelled")]
    Cancelled,
    /// The builder said nothing for too long.
    #[error("The build said nothing for {limit:?} and was ended")]
    Idle {
        /// How long it was waited.
        limit: Duration,
        /// The last lines of the log.
        tail: String,
    },
    /// The builder went on and on.
    #[error("The build was not ready after {limit:?} and was ended")]
    TooLong {
        /// How long it was waited.
        limit: Duration,
        /// The last lines of the log.
        tail: String,
    },
}

impl From<EngineError> for ImageError {
    fn from(error: EngineError) -> Self {
        Self::Engine(Arc::new(error))
    }
}

fn name(file: Option<&PathBuf>) -> String {
    file.map_or_else(|| "Gemra's own Dockerfile.claude".to_owned(), |file| file.display().to_string())
}

impl From<&ImageError> for Failure {
    fn from(error: &ImageError) -> Self {
        let cause = format!("{error}.");
        match error {
            ImageError::BuildFailed { cause: words, tail, .. } => Self::new(
                Code::BuildFailed,
                "The image could not be built",
                cause,
                "Read the log, mend Dockerfile.claude or the network, then press Retry: finished steps are not done again.",
            )
            .with_detail(format!("{tail}\n{words}")),
            ImageError::BadDockerfile { .. } => Self::new(
                Code::BadDockerfile,
                "The Dockerfile is not valid",
                cause,
                "Mend the line that it names, then press Retry.",
            ),
            ImageError::BaseUnreachable { .. }
            | ImageError::NeedsLogin { .. }
            | ImageError::Offline { .. }
            | ImageError::OfflineUnknown { .. }
            | ImageError::NoFrontend { .. } => not_fetched(error, cause),
            ImageError::NeedsBuildkit { .. } => Self::new(
                Code::NeedsBuildkit,
                "The Dockerfile needs BuildKit",
                cause,
                "Use a newer engine, or write that line without it; then press Retry.",
            ),
            ImageError::Platform { .. } => Self::new(
                Code::BuildFailed,
                "The engine cannot run this platform",
                cause,
                "Choose the engine's own platform in the settings, or install an emulator for this one (qemu-user-static); then press Retry.",
            ),
            ImageError::NoAgent { .. } => Self::new(
                Code::AgentMissing,
                "The image has no agent",
                cause,
                "Install @anthropic-ai/claude-code in the image, or choose another one; then press Retry.",
            ),
            ImageError::BadFile { .. } | ImageError::NotSaved { .. } | ImageError::NotThere { .. } => {
                carried(error, cause)
            }
            ImageError::DiskFull { cause: words } => Self::new(
                Code::DiskFull,
                "The disk is full",
                cause,
                "Make room, for instance with docker system prune, then press Retry.",
            )
            .with_detail(words),
            ImageError::BadCertificate { .. } => Self::new(
                Code::SettingsInvalid,
                "A certificate cannot be used",
                cause,
                "Name PEM files with certificates in the settings, then press Retry.",
            ),
            ImageError::BadContext { .. } => Self::new(
                Code::BuildFailed,
                "The image could not be built",
                cause,
                "Make the file readable or name it in .dockerignore, then press Retry.",
            ),
            ImageError::Changed => Self::new(
                Code::NotTrusted,
                "The build is not the one that you have allowed",
                cause,
                "Press Retry to be asked about it as it is now.",
            ),
            ImageError::Engine(error) => Self::from(error.as_ref()),
            ImageError::Cancelled => Self::new(Code::Gone, "The build was cancelled", cause, "Press Retry to build."),
            ImageError::Idle { tail, .. } => Self::new(
                Code::Timeout,
                "The build hangs",
                cause,
                "Check the network and what the last step does, then press Retry.",
            )
            .with_detail(tail),
            ImageError::TooLong { tail, .. } => Self::new(
                Code::Timeout,
                "The build takes too long",
                cause,
                "See in the log what it repeats or waits for, then press Retry: finished steps are not done again.",
            )
            .with_detail(tail),
        }
    }
}

/// The failure of an image on its way to a file or back.
fn carried(error: &ImageError, cause: String) -> Failure {
    let (code, title, action) = match error {
        ImageError::NotThere { .. } => (
            Code::ImageMissing,
            "The image is not there",
            "See which there are in the list of containers, or with gemra image list.",
        ),
        ImageError::NotSaved { .. } => (
            Code::ImageFile,
            "The image was not saved",
            "Name another file, in a folder that you may write to and that has room for the whole image.",
        ),
        _ => (
            Code::ImageFile,
            "The image's file cannot be used",
            "Name a file that Gemra, gemra image save or docker save has written, in a folder that you may use.",
        ),
    };
    Failure::new(code, title, cause, action)
}

/// An image that has to be fetched is not.
fn not_fetched(error: &ImageError, cause: String) -> Failure {
    let (code, title, action) = match error {
        ImageError::NeedsLogin { registry, .. } => {
            // The usual registry needs no name.
            let name = if registry == "docker.io" { String::new() } else { format!(" {registry}") };
            let action = format!(
                "Run `docker login{name}` or `podman login{name}` in a terminal, or correct the image's name; then press Retry."
            );
            return Failure::new(Code::BaseUnreachable, "The registry wants a login", cause, action);
        }
        ImageError::Offline { .. } => (
            Code::BaseUnreachable,
            "An image is not on this machine",
            "Load it from a file with gemra image load, or allow fetching in the settings; then press Retry.",
        ),
        ImageError::OfflineUnknown { .. } => (
            Code::BaseUnreachable,
            "An image's name is not known before the build",
            "Write the name out in that line, or allow fetching in the settings; then press Retry.",
        ),
        ImageError::NoFrontend { .. } => (
            Code::NeedsBuildkit,
            "The Dockerfile's frontend could not be fetched",
            "Check the network and the engine's proxy, use Docker 23 or newer, or write that line without it; then press Retry.",
        ),
        _ => (
            Code::BaseUnreachable,
            "The base image could not be fetched",
            "Check the network, the image's name and the engine's proxy, then press Retry.",
        ),
    };
    Failure::new(code, title, cause, action)
}
