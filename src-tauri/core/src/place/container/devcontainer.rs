//! An agent's place as a `devcontainer.json` describes it: the image and the layer that gives it the agent's user, what
//! the container is granted, and the commands that run before the agent. What may be at all was asked before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bollard::models::ContainerConfig;
use bollard::query_parameters::CommitContainerOptionsBuilder;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::away::Away;
use super::commands::Inside;
use super::project::{Seen, allowed, narrow, widening};
use super::{Image, News, Order};
use crate::container::devcontainer::mounts::{Mounted, Source as What};
use crate::container::devcontainer::variables::{Variables, within};
use crate::container::devcontainer::{Devcontainer, Properties, merge, metadata, users};
use crate::container::engine::{self, Engine};
use crate::container::image::source::Kind;
use crate::container::image::{Ingredients, NAME, Options, Source};
use crate::container::run::Prepared;
use crate::container::spec::{self, Asked, ExtraMount, MountSource, Wish};
use crate::digest::hexadecimal;
use crate::failure::{Code, Failure};
use crate::trust::Question;

/// Larger than any Dockerfile that people write.
const LARGEST: u64 = 1024 * 1024;

/// What a container is granted by a `devcontainer.json` and its image's label.
#[derive(Debug, Clone)]
pub(super) struct Granted {
    properties: Properties,
    /// The project's folder inside, beside where it always is.
    folder: String,
    /// The image's own variables.
    environment: BTreeMap<String, String>,
    /// The name of the image in which the commands that run once have run.
    done: String,
}

/// A devcontainer of which all that is left was allowed, or needs no asking.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) devcontainer: Devcontainer,
    /// The Dockerfile that its image is built of.
    pub(super) source: Source,
    /// False where the user wants none of what would widen the sandbox.
    pub(super) widens: bool,
    /// What never counts, in words.
    pub(super) not_applied: Vec<String>,
    pub(super) seen: Seen,
}

/// What an image says of itself.
struct Inspected {
    user: Option<String>,
    environment: BTreeMap<String, String>,
    label: Option<String>,
    id: String,
}

/// Makes the image that a `devcontainer.json` asks for.
///
/// # Errors
/// A [`Failure`] of the image's class, or where the image's label asks for more and nobody answers.
pub(super) async fn prepare(
    order: &Order,
    engine: &Engine,
    (uid, gid): (u32, u32),
    asked: Asking,
    news: &(impl Fn(News) + Send + Sync),
) -> Result<Image, Failure> {
    let surroundings = &order.surroundings;
    let Asking { devcontainer: Devcontainer { file, properties }, source, widens, not_applied, seen } = asked;
    let wishes = surroundings.settings().wishes(order.workspace.path());
    let mut ingredients = super::image::recipe(order, &wishes, source, (uid, gid)).await?;
    if let Some(build) = &properties.build {
        ingredients.options.arguments.extend(build.args.clone());
        ingredients.options.target = Some(build.target.clone()).filter(|target| !target.is_empty());
    } else {
        // The stages and arguments of the settings are those of a Dockerfile.
        ingredients.options.target = None;
    }
    let (trusts, platform) = (!ingredients.certificates.is_empty(), ingredients.options.platform.clone());
    let (mut built, copied) = super::image::make(order, engine, ingredients.clone(), news).await?;
    let own = built.tag.clone();
    let inspected = inspect(engine, &own).await?;

    let folder = properties.workspace_folder.clone();
    let merged = {
        let mut variables = Variables::new(order.workspace.path(), surroundings.environment()).of(&file);
        if !widens {
            variables = variables.without_environment();
        }
        let usual = variables.usual_folder();
        let variables = variables.inside(folder.as_deref().unwrap_or(&usual)).map_err(|why| bad(&why))?;
        let label = inspected.label.as_deref().unwrap_or("[]");
        let mut parts = metadata::read(label, &variables).map_err(|error| Failure::from(&error))?;
        let workspace = order.workspace.path();
        let asks = parts.iter().flat_map(|part| widening(part, "the image's label devcontainer.metadata", workspace));
        let question = Question::new(asks.collect(), &[]);
        if !widens || !allowed(order, question, news).await? {
            for part in &mut parts {
                narrow(part, workspace);
            }
        }
        merge::all(parts.into_iter().chain([properties]))
    };
    let usual = Variables::new(order.workspace.path(), surroundings.environment()).usual_folder();
    let folder = merged.workspace_folder.clone().unwrap_or(usual);
    let who = users::who(&merged, inspected.user.as_deref());
    let layer = users::layer(&own, &who, uid, gid, spec::home(uid)).map_err(|why| bad(&why))?;
    if let Some(text) = layer {
        // They are trusted already, and nothing is fetched.
        let options = Options { platform: platform.clone(), offline: true, ..Options::default() };
        let more = Ingredients { source: named(None, text, None), certificates: Vec::new(), options, ..ingredients };
        (built, _) = super::image::make(order, engine, more, news).await?;
    }
    let name = built.tag.clone();
    let fit = super::image::look(order, engine, &built, &name, (uid, gid), platform.clone(), news).await?;
    tell(&not_applied, &merged, news);
    let done = done_name(&inspect(engine, &name).await?.id, &merged, order.workspace.path(), &folder);
    let environment = inspected.environment;
    let granted = Granted { properties: merged, folder, environment, done };
    Ok(Image {
        name,
        engine: engine.clone(),
        uid,
        gid,
        certificates: trusts,
        fit,
        platform,
        seen: seen.copying(widens.then_some(copied)),
        granted: Some(granted.into()),
        away: Away::default(),
    })
}

/// Says what of a project's files Gemra does not do.
pub(super) fn tell(more: &[String], properties: &Properties, news: &impl Fn(News)) {
    let all: Vec<&str> = more.iter().chain(&properties.not_applied).map(String::as_str).collect();
    if !all.is_empty() {
        news(News::Fact("Not applied", all.join("\n")));
    }
}

impl Granted {
    /// Puts what is granted into a wish. Gives what is to be noted.
    ///
    /// # Errors
    /// A [`Failure`] where a variable names another one badly.
    pub(super) fn grant(&self, wish: &mut Wish) -> Result<(), Failure> {
        let properties = &self.properties;
        wish.asked = Asked {
            privileged: properties.privileged,
            cap_add: properties.cap_add.clone(),
            security_opt: properties.security_opt.clone(),
            devices: properties.devices.clone(),
            hosts: properties.add_hosts.clone(),
            ..Asked::default()
        };
        let usual = Mounted {
            source: What::Path(wish.workspace.display().to_string()),
            target: self.folder.clone(),
            read_only: false,
            not_applied: Vec::new(),
        };
        let project = properties.workspace_mount.clone().unwrap_or(usual);
        for mount in std::iter::once(&project).chain(&properties.mounts) {
            let target = mount.target.clone();
            // There the project is in any case.
            if target == spec::WORKSPACE || Path::new(&target) == wish.workspace {
                continue;
            }
            let read_only = mount.read_only;
            match &mount.source {
                What::Memory => wish.asked.memory.push(target),
                What::Volume(name) if !read_only => wish.asked.volumes.push((name.clone(), target)),
                What::Volume(name) => {
                    wish.mounts.push(ExtraMount { source: MountSource::Volume(name.clone()), target, read_only });
                }
                What::Path(path) => {
                    wish.mounts.push(ExtraMount { source: MountSource::Path(path.into()), target, read_only });
                }
            }
        }
        for (name, value) in properties.container_env.iter().filter(|(_, value)| !value.private) {
            wish.environment.push((name.clone(), self.resolved(&value.text)?));
        }
        Ok(())
    }

    /// What the agent and the commands get and no inspection shows: the agent's own variables, and those of the
    /// container that came from this machine.
    ///
    /// # Errors
    /// A [`Failure`] where a variable names another one badly.
    pub(super) fn variables(&self) -> Result<BTreeMap<String, String>, Failure> {
        let properties = &self.properties;
        let mut all = BTreeMap::new();
        for (name, value) in properties.container_env.iter().filter(|(_, value)| value.private) {
            all.insert(name.clone(), self.resolved(&value.text)?);
        }
        for (name, value) in &properties.remote_env {
            if let Some(value) = value {
                all.insert(name.clone(), self.resolved(value)?);
            }
        }
        Ok(all)
    }

    /// Variables that the agent shall not have: those that the file takes away, and the names by which Gemra's own image
    /// calls its user, since in this one the system knows better.
    pub(super) fn unset(&self) -> Vec<String> {
        self.taken_away().chain(["USER", "LOGNAME"].map(str::to_owned)).collect()
    }

    fn taken_away(&self) -> impl Iterator<Item = String> {
        self.properties.remote_env.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name.clone())
    }

    /// The image in which the commands that run once have run, where there is one.
    ///
    /// # Errors
    /// A [`Failure`] where the engine does not say.
    pub(super) async fn done(&self, engine: &Engine) -> Result<Option<String>, Failure> {
        if !self.properties.commands.iter().any(|(stage, _)| stage.once()) {
            return Ok(None);
        }
        Ok(find(engine, &self.done).await?.map(|_| self.done.clone()))
    }

    /// Runs the commands in a container that waits at its gate. What runs once is kept as an image, so that the next
    /// container begins with it: containers come and go with each move of the agent. `done` says that this one did.
    ///
    /// # Errors
    /// A [`Failure`] with what a command said, or where nobody wants the container any more.
    pub(super) async fn run(
        &self,
        engine: &Engine,
        prepared: &Prepared,
        user: (u32, u32),
        done: bool,
        wanted: &CancellationToken,
        news: &(impl Fn(News) + Send + Sync),
    ) -> Result<(), Failure> {
        let (once, always): (Vec<_>, Vec<_>) =
            self.properties.commands.iter().cloned().partition(|(stage, _)| stage.once());
        let once = if done { Vec::new() } else { once };
        if once.is_empty() && always.is_empty() {
            return Ok(());
        }
        let mut environment = self.variables()?;
        environment.extend(self.taken_away().map(|name| (name, String::new())));
        let inside = Inside {
            engine,
            id: &prepared.id,
            user: format!("{}:{}", user.0, user.1),
            folder: self.folder.clone(),
            environment,
        };
        // They may rightly take long, and have limits of their own.
        news(News::Hurry(false));
        let running = async {
            inside.run(&once, news).await?;
            if !once.is_empty() {
                news(News::Phase("Keeping what the commands have done".to_owned()));
                self.keep(engine, &prepared.id).await;
            }
            inside.run(&always, news).await
        };
        let ended = tokio::select! {
            ended = running => ended,
            () = wanted.cancelled() => {
                Err(Failure::new(Code::Gone, "The start was cancelled", "Nobody wants it any more.", "Press Retry."))
            }
        };
        news(News::Hurry(true));
        ended
    }

    async fn keep(&self, engine: &Engine, id: &str) {
        let (repo, tag) = self.done.split_once(':').unwrap_or((&self.done, "latest"));
        // Nothing writes at this moment, so that nothing needs to be held still, which not every engine can.
        let options = CommitContainerOptionsBuilder::new().container(id).repo(repo).tag(tag).pause(false).build();
        if let Err(error) = engine.api().commit_container(options, ContainerConfig::default()).await {
            tracing::warn!(error = engine::words(&error), "what the commands have done is not kept: they run again");
        }
    }

    fn resolved(&self, text: &str) -> Result<String, Failure> {
        within(text, &self.environment).map_err(|why| bad(&why))
    }
}

/// What the image is made of: a base by its name, or the project's own Dockerfile.
///
/// # Errors
/// A [`Failure`] where it cannot be read.
pub(super) async fn source(properties: &Properties) -> Result<Source, Failure> {
    let Some(build) = &properties.build else {
        let name = properties.image.as_deref().unwrap_or_default().trim().to_owned();
        // It becomes a line of a Dockerfile.
        if name.is_empty() || name.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
            return Err(bad(&format!("{name:?} is not the name of an image")));
        }
        return Ok(named(None, format!("FROM {name}\n"), None));
    };
    let file: PathBuf = build.dockerfile.clone();
    let wrong = |cause: String| bad(&format!("{}: {cause}", file.display()));
    let metadata = tokio::fs::metadata(&file).await.map_err(|error| wrong(error.to_string()))?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return Err(wrong("it is no file of a usual size".to_owned()));
    }
    let text = tokio::fs::read_to_string(&file).await.map_err(|error| wrong(error.to_string()))?;
    Ok(named(Some(build.context.clone()), text, Some(file)))
}

fn named(workspace: Option<PathBuf>, text: String, file: Option<PathBuf>) -> Source {
    Source::of_kind(workspace, text, Kind::Named { file, words: "the project's devcontainer.json".to_owned() })
}

async fn inspect(engine: &Engine, name: &str) -> Result<Inspected, Failure> {
    let gone = || {
        Failure::new(
            Code::ImageMissing,
            "The image is gone",
            format!("{name} is not there any more."),
            "Somebody removed it. Press Retry to make it again.",
        )
    };
    let image = find(engine, name).await?.ok_or_else(gone)?;
    let config = image.config.unwrap_or_default();
    let environment = config.env.unwrap_or_default().iter().filter_map(|pair| pair.split_once('=')).map(own).collect();
    Ok(Inspected {
        user: config.user.filter(|user| !user.is_empty()),
        environment,
        label: config.labels.unwrap_or_default().remove(metadata::LABEL),
        id: image.id.unwrap_or_default(),
    })
}

async fn find(engine: &Engine, name: &str) -> Result<Option<bollard::models::ImageInspect>, Failure> {
    let asked = async {
        match engine.api().inspect_image(name).await {
            Ok(image) => Ok(Some(image)),
            Err(error) if engine::status(&error) == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    };
    engine::question("about the image", asked).await.map_err(|error| Failure::from(&error))
}

fn own((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Names what the commands that run once have done: to which image, in which project, and which commands.
fn done_name(image: &str, properties: &Properties, workspace: &Path, folder: &str) -> String {
    let mut digest = Sha256::new();
    let mut part = |bytes: &[u8]| {
        digest.update(bytes.len().to_be_bytes());
        digest.update(bytes);
    };
    part(image.as_bytes());
    part(workspace.as_os_str().as_encoded_bytes());
    part(folder.as_bytes());
    for (stage, command) in properties.commands.iter().filter(|(stage, _)| stage.once()) {
        part(stage.key().as_bytes());
        part(format!("{command:?}").as_bytes());
    }
    format!("{NAME}:{}", &hexadecimal(&digest.finalize())[..12])
}

fn bad(why: &str) -> Failure {
    Failure::new(
        Code::BadDevcontainer,
        "The devcontainer.json cannot be used",
        format!("{why}."),
        "Mend what it names, or switch devcontainer.json off in the settings; then press Retry.",
    )
}
