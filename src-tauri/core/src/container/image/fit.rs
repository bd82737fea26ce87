//! Whether an image that was not made for Gemra can hold the agent: whether it has the CLI, or that of this machine
//! runs in it, and whether the user has a home there. Looked at by a short container without a network, without mounts
//! and without anything of the user's; never by starting the agent.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
};
use futures_util::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::error::ImageError;
use crate::container::engine::{self, Address, Engine, EngineError};
use crate::container::labels::Owner;
use crate::container::spec::{self, ExtraMount, MountSource};

/// Where this machine's CLI is in a container whose image has none.
pub const CLAUDE: &str = "/usr/local/bin/claude";
/// How long the look may take, and the CLI in it.
const LIMIT: Duration = Duration::from_mins(2);
/// What the container says, a line for each.
const SCRIPT: &str = concat!(
    "if [ -d \"$HOME\" ] && [ -w \"$HOME\" ]; then echo home; fi\n",
    "if command -v claude >/dev/null 2>&1; then echo found; claude --version && echo answered; fi\n",
    "echo looked\n",
);

/// What a container of an image needs beside the usual.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fit {
    /// This machine's CLI, which is to be mounted because the image has none.
    pub claude: Option<PathBuf>,
    /// The user has no home in the image, so that one has to be made.
    pub homeless: bool,
}

impl Fit {
    /// What has to be mounted.
    pub fn mounts(&self) -> Vec<ExtraMount> {
        let mount = |path: &PathBuf| ExtraMount {
            source: MountSource::Path(path.clone()),
            target: CLAUDE.to_owned(),
            read_only: true,
        };
        self.claude.iter().map(mount).collect()
    }
}

/// What is asked about an image.
#[derive(Debug, Clone)]
pub struct Question {
    /// Its name, for people.
    pub name: String,
    /// Its id.
    pub id: String,
    /// The user that the agent will be.
    pub user: (u32, u32),
    /// This machine's CLI, where there is one.
    pub claude: Option<PathBuf>,
    /// The platform, where one is wished for.
    pub platform: Option<String>,
    /// Who asks.
    pub owner: Owner,
}

/// Looks at an image.
///
/// # Errors
/// [`ImageError::NoAgent`] where no CLI would run in it, [`ImageError::Platform`] where nothing would, and the engine's
/// own failures.
pub(super) async fn look(engine: &Engine, question: &Question) -> Result<Fit, ImageError> {
    let said = inside(engine, question, None, SCRIPT).await?;
    let homeless = !said.has("home");
    if said.has("answered") {
        return Ok(Fit { claude: None, homeless });
    }
    let no = |why: String| ImageError::NoAgent { image: question.name.clone(), why };
    if said.has("found") {
        return Err(no(format!("its own one does not run: {}", said.tail())));
    }
    if !said.has("looked") {
        return Err(said.why_nothing_runs(question));
    }
    let Some(claude) = &question.claude else { return Err(no("there is none".to_owned())) };
    let claude = native(claude).await.map_err(no)?;
    if !is_here(engine.address()) {
        return Err(no("the engine is on another machine".to_owned()));
    }
    let said = inside(engine, question, Some(&claude), SCRIPT).await?;
    if said.has("answered") {
        return Ok(Fit { claude: Some(claude), homeless });
    }
    Err(no(format!("{} does not run there: {}", claude.display(), said.tail())))
}

/// True where a script, run in a container of the image, says this line.
///
/// # Errors
/// The engine's own failures.
pub async fn says(engine: &Engine, question: &Question, script: &'static str, line: &str) -> Result<bool, ImageError> {
    inside(engine, question, None, script).await.map(|said| said.has(line))
}

/// The program behind a link, where it is one for Linux and no script.
async fn native(claude: &Path) -> Result<PathBuf, String> {
    let claude = tokio::fs::canonicalize(claude).await.map_err(|error| format!("{}: {error}", claude.display()))?;
    let read = async {
        let mut begin = [0; 4];
        let mut file = tokio::fs::File::open(&claude).await?;
        tokio::io::AsyncReadExt::read_exact(&mut file, &mut begin).await?;
        Ok::<_, std::io::Error>(begin)
    };
    match read.await {
        Ok([0x7f, b'E', b'L', b'F']) => Ok(claude),
        Ok(_) => Err(format!("{} is no program for Linux that stands alone", claude.display())),
        Err(error) => Err(format!("{}: {error}", claude.display())),
    }
}

/// True where a program of this machine's can be mounted.
fn is_here(address: &Address) -> bool {
    !address.is_remote()
}

/// What was said in the container.
struct Said {
    lines: Vec<String>,
    errors: String,
}

impl Said {
    fn has(&self, line: &str) -> bool {
        self.lines.iter().any(|said| said == line)
    }

    fn tail(&self) -> String {
        let last = self.errors.lines().rev().find(|line| !line.trim().is_empty());
        last.unwrap_or("it says nothing").trim().to_owned()
    }

    /// Not even the shell has come to its end.
    fn why_nothing_runs(&self, question: &Question) -> ImageError {
        let cause = self.tail();
        match &question.platform {
            Some(platform) => ImageError::Platform { platform: platform.clone(), cause },
            None => ImageError::NoAgent { image: question.name.clone(), why: format!("no shell runs in it: {cause}") },
        }
    }
}

/// Runs a script in a container of the image. A task of its own sees to it that the container goes, also where
/// nobody waits any more.
async fn inside(
    engine: &Engine,
    question: &Question,
    claude: Option<&Path>,
    script: &'static str,
) -> Result<Said, ImageError> {
    let (engine, question, claude) = (engine.clone(), question.clone(), claude.map(Path::to_path_buf));
    let gone = CancellationToken::new();
    let _guard = gone.clone().drop_guard();
    let task = tokio::spawn(async move {
        let name = format!("gemra-look-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
        let body = body(&question, claude.as_deref(), script);
        // Not cut off half way: nobody would know whether there is a container.
        make(&engine, &name, body, question.platform.as_deref()).await?;
        let looked = tokio::select! {
            looked = tokio::time::timeout(LIMIT, run(&engine, &name)) => {
                looked.unwrap_or_else(|_| Err(EngineError::Timeout { call: "a look into the image", limit: LIMIT }.into()))
            }
            () = gone.cancelled() => Err(ImageError::Cancelled.into()),
        };
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        if let Err(error) = engine.api().remove_container(&name, Some(options)).await
            && engine::status(&error) != Some(404)
        {
            tracing::warn!(
                name,
                error = engine::words(&error),
                "a container that looked into an image was not removed"
            );
        }
        // Where there is nothing to run, the engine says so instead of the container.
        match looked {
            Err(Refused::Start(cause)) => Ok(Said { lines: Vec::new(), errors: cause }),
            Err(Refused::Other(error)) => Err(error),
            Ok(said) => Ok(said),
        }
    });
    task.await.unwrap_or(Err(ImageError::Cancelled))
}

/// Why a container did not run.
enum Refused {
    /// The engine would not start it: for want of a shell, or because the platform is another.
    Start(String),
    Other(ImageError),
}

impl From<ImageError> for Refused {
    fn from(error: ImageError) -> Self {
        Self::Other(error)
    }
}

impl From<EngineError> for Refused {
    fn from(error: EngineError) -> Self {
        Self::Other(error.into())
    }
}

async fn make(
    engine: &Engine,
    name: &str,
    body: ContainerCreateBody,
    platform: Option<&str>,
) -> Result<(), ImageError> {
    let mut options = CreateContainerOptionsBuilder::new().name(name);
    if let Some(platform) = platform {
        options = options.platform(platform);
    }
    match engine.api().create_container(Some(options.build()), body).await {
        Ok(_) => Ok(()),
        Err(error) => {
            let call = "a container to look into the image";
            Err(EngineError::Refused { call, cause: engine::words(&error) }.into())
        }
    }
}

async fn run(engine: &Engine, name: &str) -> Result<Said, Refused> {
    let refused = |call| {
        move |error: bollard::errors::Error| Refused::from(EngineError::Refused { call, cause: engine::words(&error) })
    };
    let api = engine.api();
    let options = AttachContainerOptionsBuilder::new().stdout(true).stderr(true).stream(true).build();
    // Podman makes the process here already, so that what cannot run is said here.
    let start = |error: bollard::errors::Error| Refused::Start(engine::words(&error));
    let mut attached = api.attach_container(name, Some(options)).await.map_err(start)?;
    api.start_container(name, None::<StartContainerOptions>).await.map_err(start)?;
    let (mut out, mut errors) = (String::new(), String::new());
    while let Some(piece) = attached.output.next().await {
        match piece.map_err(refused("what a container says"))? {
            LogOutput::StdErr { message } => errors.push_str(&String::from_utf8_lossy(&message)),
            other => out.push_str(&String::from_utf8_lossy(&other.into_bytes())),
        }
    }
    Ok(Said { lines: out.lines().map(str::to_owned).collect(), errors })
}

fn body(question: &Question, claude: Option<&Path>, script: &str) -> ContainerCreateBody {
    let (uid, gid) = question.user;
    let home = spec::home(uid);
    let mount = |path: &Path| Mount {
        typ: Some(MountType::BIND),
        source: Some(path.display().to_string()),
        target: Some(CLAUDE.to_owned()),
        read_only: Some(true),
        ..Mount::default()
    };
    ContainerCreateBody {
        image: Some(question.id.clone()),
        entrypoint: Some(["/bin/sh", "-c", script].map(str::to_owned).to_vec()),
        cmd: Some(Vec::new()),
        user: Some(format!("{uid}:{gid}")),
        working_dir: Some("/".to_owned()),
        env: Some(vec![
            format!("HOME={home}"),
            "CLAUDE_CONFIG_DIR=/tmp/claude".to_owned(),
            "DISABLE_AUTOUPDATER=1".to_owned(),
        ]),
        labels: Some(question.owner.labels("look")),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        host_config: Some(HostConfig {
            network_mode: Some("none".to_owned()),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            mounts: claude.map(|claude| vec![mount(claude)]),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::engine::address::Certificates;

    #[tokio::test]
    async fn only_a_program_that_stands_alone_is_given_to_an_image() {
        let folder = tempfile::tempdir().unwrap();
        let (script, program) = (folder.path().join("script"), folder.path().join("program"));
        std::fs::write(&script, "#!/usr/bin/env node\n").unwrap();
        std::fs::write(&program, b"\x7fELF and so on").unwrap();
        assert!(native(&script).await.unwrap_err().contains("stands alone"), "a script needs more than itself");
        assert!(native(&folder.path().join("none")).await.is_err(), "there has to be one");
        #[cfg(unix)]
        {
            let link = folder.path().join("link");
            std::os::unix::fs::symlink(&program, &link).unwrap();
            assert_eq!(native(&link).await, Ok(program.canonicalize().unwrap()), "a link is followed to the program");
        }
    }

    #[test]
    fn this_machines_program_is_given_to_engines_of_this_machine_alone() {
        let certificates = Certificates { asked: false, folder: Some(Path::new("/certificates")) };
        let cases = [
            ("unix:///run/docker.sock", true),
            ("tcp://127.0.0.1:2375", true),
            ("tcp://box:2375", false),
            ("https://box:2376", false),
            ("https://127.0.0.1:2376", false),
            ("ssh://box", false),
            ("ssh://127.0.0.1", false),
        ];
        for (address, here) in cases {
            assert_eq!(is_here(&Address::read(address, "the test", certificates).unwrap()), here, "{address}");
        }
        assert!(is_here(&Address::Pipe("//./pipe/docker_engine".to_owned())), "a pipe is of this machine");
    }

    #[test]
    fn the_look_has_nothing_of_the_users() {
        let question = Question {
            name: "n".to_owned(),
            id: "i".to_owned(),
            user: (7, 8),
            claude: None,
            platform: None,
            owner: Owner::default(),
        };
        let body = body(&question, None, SCRIPT);
        let host = body.host_config.unwrap();
        assert_eq!(host.network_mode.as_deref(), Some("none"), "no network");
        assert_eq!((host.mounts, host.binds), (None, None), "no folder");
        assert_eq!(body.user.as_deref(), Some("7:8"), "as the user who will be there");
    }
}
