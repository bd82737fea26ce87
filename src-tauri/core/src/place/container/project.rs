//! What a project itself says about its containers: its `.gemra.json` and its `devcontainer.json`, read before anything
//! is built. Where they would widen the sandbox the user is asked, and nothing of it counts before the answer.

use std::path::{Path, PathBuf};

use super::commands;
use super::{News, Order};
use crate::container::devcontainer::lifecycle::Command;
use crate::container::devcontainer::mounts::Source as Mount;
use crate::container::devcontainer::variables::Variables;
use crate::container::devcontainer::{Devcontainer, DevcontainerError, Properties, file};
use crate::container::image::source::FILE;
use crate::failure::{Code, Failure};
use crate::settings::container::{NetworkChoice, Project as Own, Wishes};
use crate::trust::wishes::judge;
use crate::trust::{self, Decision, Question, Reply, Widening};

/// The file in which a project wishes for its own containers.
pub(super) const WISHES: &str = ".gemra.json";
/// Larger than any that people write.
const LARGEST: u64 = 1024 * 1024;
/// Variables by which an agent is directed to another model, or made to run something else.
const DIRECTING: &[&str] = &["ANTHROPIC_", "CLAUDE_", "AWS_", "GOOGLE_", "NODE_", "LD_", "GIT_"];

/// What counts of what a project says.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Its devcontainer, where that is what the image is made of.
    pub(super) devcontainer: Option<Devcontainer>,
    /// False where its own Dockerfile may not be built.
    pub(super) builds: bool,
    /// False where the user wants none of what would widen the sandbox.
    pub(super) widens: bool,
    /// What of it never counts, in words.
    pub(super) not_applied: Vec<String>,
}

/// All that is read, before anybody was asked.
struct Read {
    wishes: Option<Wishes>,
    devcontainer: Option<Devcontainer>,
    has_dockerfile: bool,
}

impl Read {
    /// The Dockerfiles that would be built.
    fn dockerfiles(&self, workspace: &Path) -> Vec<PathBuf> {
        let own = self.has_dockerfile.then(|| workspace.join(FILE));
        let build = self.devcontainer.as_ref().and_then(|one| one.properties.build.as_ref());
        own.into_iter().chain(build.map(|build| build.dockerfile.clone())).collect()
    }
}

/// Files that are run with what is asked about, so that what is in them counts as part of the question.
struct Runs {
    workspace: PathBuf,
    dockerfiles: Vec<PathBuf>,
    command: Option<Command>,
}

impl Runs {
    async fn contents(&self) -> Result<Vec<Vec<u8>>, Failure> {
        let (workspace, dockerfiles, command) =
            (self.workspace.clone(), self.dockerfiles.clone(), self.command.clone());
        blocking(move || {
            let mut all: Vec<Vec<u8>> =
                dockerfiles.iter().map(|file| std::fs::read(file).unwrap_or_default()).collect();
            all.extend(command.iter().flat_map(|command| commands::files(command, &workspace)));
            all
        })
        .await
    }
}

/// Looks at what a project says, asks where it has to be asked, and runs what is to run on this machine first.
///
/// # Errors
/// A [`Failure`] where a file cannot be used, nobody answers, or a command fails.
pub(super) async fn look(order: &Order, news: &(impl Fn(News) + Send + Sync)) -> Result<Said, Failure> {
    let surroundings = &order.surroundings;
    let settings = surroundings.settings();
    let workspace = order.workspace.path().to_path_buf();
    let own = workspace.to_str().and_then(|name| settings.projects.get(name)).cloned();
    let Own { container: own, .. } = own.unwrap_or_default();
    let for_all = settings.container.clone();
    let variables = Variables::new(&workspace, surroundings.environment());

    let users = own.over(&for_all);
    let read = {
        let (workspace, variables, users) = (workspace.clone(), variables.clone(), users.clone());
        blocking(move || read(&workspace, &variables, &users)).await??
    };
    let of_file = read.devcontainer.as_ref().map(|one| one.properties.wishes.clone()).unwrap_or_default();
    let asked = read.wishes.clone().unwrap_or_default().over(&of_file);
    let judged = judge(&asked, &for_all, &own);
    // What the container has whatever the answer is: an image is built on this machine's network in any case.
    let held = own.over(&judged.plain.over(&for_all)).network.unwrap_or_default() != NetworkChoice::Host;

    let mut items: Vec<Widening> = judged
        .widening
        .iter()
        .map(|(key, value)| {
            let file = if read.wishes.as_ref().is_some_and(|wishes| says(wishes, key)) {
                WISHES.to_owned()
            } else {
                read.devcontainer.as_ref().map_or_else(String::new, |one| name(&workspace, &one.file))
            };
            Widening { key: key.clone(), value: value.clone(), file }
        })
        .collect();
    if held && read.has_dockerfile {
        items.push(built(FILE));
    }
    if let Some(devcontainer) = &read.devcontainer {
        let file = name(&workspace, &devcontainer.file);
        items.extend(widening(&devcontainer.properties, &file, &workspace));
        if let Some(build) = devcontainer.properties.build.as_ref().filter(|_| held) {
            items.push(built(&name(&workspace, &build.dockerfile)));
        }
    }
    let runs = Runs {
        workspace: workspace.clone(),
        dockerfiles: if held { read.dockerfiles(&workspace) } else { Vec::new() },
        command: read.devcontainer.as_ref().and_then(|one| one.properties.initialize.clone()),
    };
    let question = Question::new(items.clone(), &runs.contents().await?);
    let widens = allowed(order, question, news).await?;
    surroundings.accepts(&workspace, if widens { judged.all } else { judged.plain });

    let mut not_applied: Vec<String> =
        judged.ignored.iter().map(|key| format!("{WISHES}: {key} is yours to say")).collect();
    let devcontainer = match read.devcontainer {
        Some(devcontainer) if !widens => {
            let file = name(&workspace, &devcontainer.file);
            let narrow = narrowed(&workspace, &variables, devcontainer, held).await?;
            if narrow.is_none() {
                not_applied.push(format!("{file}: its image is among what you did not allow"));
            }
            narrow
        }
        other => other,
    };
    if let Some(command) = devcontainer.as_ref().and_then(|one| one.properties.initialize.as_ref()) {
        if surroundings.is_inside(&workspace) {
            // It could change what the command runs after it was looked at.
            not_applied.push("initializeCommand: the container of another tab can write to what it runs".to_owned());
        } else {
            commands::initialize(order, command, news).await?;
            if !surroundings.is_inside(&workspace) {
                // What the command itself has written is no reason to ask about it again.
                remember(order, Question::new(items, &runs.contents().await?)).await?;
            }
        }
    }
    Ok(Said { devcontainer, builds: widens || !held, widens, not_applied })
}

/// Asks, unless there is nothing to ask or it was answered before. True where all of it may be.
///
/// # Errors
/// A [`Failure`] where nobody answers, or an answer cannot be kept.
pub(super) async fn allowed(
    order: &Order,
    question: Question,
    news: &(impl Fn(News) + Send + Sync),
) -> Result<bool, Failure> {
    if question.items.is_empty() {
        return Ok(true);
    }
    let workspace = order.workspace.path().to_path_buf();
    let store = order.surroundings.trust().clone();
    let known = {
        let (store, workspace, question) = (store.clone(), workspace.clone(), question.clone());
        blocking(move || store.allows(&workspace, &question)).await?
    };
    if known.map_err(|error| Failure::from(&error))? {
        return Ok(true);
    }
    let (reply, mut answers) = Reply::channel();
    news(News::Asks(question.clone(), reply));
    // There is no hurry: nothing happens before the answer, and it may take as long as it likes.
    match answers.recv().await {
        Some(Decision::Allow) => remember(order, question).await.map(|()| true),
        Some(Decision::Without) => Ok(false),
        Some(Decision::Refuse) | None => Err(trust::unanswered()),
    }
}

async fn remember(order: &Order, question: Question) -> Result<(), Failure> {
    let (store, workspace) = (order.surroundings.trust().clone(), order.workspace.path().to_path_buf());
    let kept = blocking(move || store.remember(&workspace, &question)).await?;
    kept.map_err(|error| Failure::from(&error))
}

/// What of a devcontainer's properties would widen the sandbox. What only runs inside, as the agent's user, is not
/// among it: it reaches nothing that the project's own Dockerfile, which makes the agent's very program, does not.
pub(super) fn widening(properties: &Properties, file: &str, workspace: &Path) -> Vec<Widening> {
    let mut items = Vec::new();
    let mut add = |key: &str, value: String| {
        items.push(Widening { key: key.to_owned(), value, file: file.to_owned() });
    };
    if let Some(command) = &properties.initialize {
        add("initializeCommand", format!("runs on this machine: {}", command.in_words()));
    }
    if let Some(image) = &properties.image {
        add("image", image.clone());
    }
    for mount in &properties.mounts {
        if mount.source != Mount::Memory {
            add("mounts", mount.in_words());
        }
    }
    if let Some(mount) = &properties.workspace_mount
        && mount.source != Mount::Path(workspace.display().to_string())
    {
        add("workspaceMount", mount.in_words());
    }
    if properties.privileged {
        add("privileged", "all devices and all rights of this machine's root".to_owned());
    }
    properties.cap_add.iter().for_each(|one| add("capAdd", one.clone()));
    properties.security_opt.iter().for_each(|one| add("securityOpt", one.clone()));
    properties.devices.iter().for_each(|one| add("device", one.clone()));
    properties.add_hosts.iter().for_each(|one| add("add-host", one.clone()));
    properties.local.iter().for_each(|one| add("localEnv", format!("reads {one} of your environment")));
    for (name, value) in &properties.container_env {
        if directs(name) {
            add("containerEnv", format!("{name}={}", if value.private { "…" } else { &value.text }));
        }
    }
    for (name, value) in &properties.remote_env {
        if directs(name) {
            add(
                "remoteEnv",
                value.as_ref().map_or_else(|| format!("{name} is taken away"), |value| format!("{name}={value}")),
            );
        }
    }
    items
}

/// What is left of properties where none of what widens may be.
pub(super) fn narrow(properties: &mut Properties, workspace: &Path) {
    properties.initialize = None;
    properties.mounts.retain(|mount| mount.source == Mount::Memory);
    if properties
        .workspace_mount
        .as_ref()
        .is_some_and(|mount| mount.source != Mount::Path(workspace.display().to_string()))
    {
        properties.workspace_mount = None;
        properties.workspace_folder = None;
    }
    properties.privileged = false;
    properties.cap_add.clear();
    properties.security_opt.clear();
    properties.devices.clear();
    properties.add_hosts.clear();
    properties.container_env.retain(|name, value| !directs(name) && !value.private);
    properties.remote_env.retain(|name, _| !directs(name));
}

fn directs(name: &str) -> bool {
    DIRECTING.iter().any(|prefix| name.starts_with(prefix)) || name.to_ascii_uppercase().ends_with("_PROXY")
}

/// The devcontainer without what widens, read anew with nothing of this machine's environment. An image that may not
/// be is no devcontainer at all.
async fn narrowed(
    workspace: &Path,
    variables: &Variables,
    devcontainer: Devcontainer,
    held: bool,
) -> Result<Option<Devcontainer>, Failure> {
    if devcontainer.properties.image.is_some() || held {
        return Ok(None);
    }
    let (workspace, variables) = (workspace.to_path_buf(), variables.clone().without_environment());
    let read = blocking(move || {
        let mut again = Devcontainer::of(&workspace, &variables)?;
        if let Some(devcontainer) = &mut again {
            narrow(&mut devcontainer.properties, &workspace);
        }
        Ok::<_, DevcontainerError>(again)
    });
    // It may have changed meanwhile: only an image that was there when the user answered is built.
    let again = read.await?.map_err(|error| Failure::from(&error))?;
    Ok(again.filter(|again| again.properties.image.is_none()))
}

fn read(workspace: &Path, variables: &Variables, users: &Wishes) -> Result<Read, Failure> {
    let wishes = read_wishes(&workspace.join(WISHES))?;
    let all = wishes.clone().unwrap_or_default();
    let has_dockerfile = std::fs::symlink_metadata(workspace.join(FILE)).is_ok();
    let names_image = users.image.as_deref().is_some_and(|name| !name.trim().is_empty());
    let wanted = users.use_devcontainer.or(all.use_devcontainer).unwrap_or(true);
    let devcontainer = if has_dockerfile || names_image || !wanted {
        None
    } else {
        Devcontainer::of(workspace, variables).map_err(|error| Failure::from(&error))?
    };
    Ok(Read { wishes, devcontainer, has_dockerfile })
}

fn read_wishes(path: &Path) -> Result<Option<Wishes>, Failure> {
    let bad = |cause: String| {
        Failure::new(
            Code::SettingsInvalid,
            "The project's settings cannot be used",
            format!("{}: {cause}.", path.display()),
            "Mend the file or remove it, then press Retry.",
        )
    };
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && std::fs::symlink_metadata(path).is_err() => {
            return Ok(None);
        }
        Err(error) => return Err(bad(error.to_string())),
    };
    if !metadata.is_file() || metadata.len() > LARGEST {
        return Err(bad("it is no file of a usual size".to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    let map = file::object(&text).map_err(bad)?;
    serde_json::from_value(serde_json::Value::Object(map)).map(Some).map_err(|error| bad(error.to_string()))
}

fn says(wishes: &Wishes, key: &str) -> bool {
    serde_json::to_value(wishes).is_ok_and(|value| value.get(key).is_some())
}

fn built(file: &str) -> Widening {
    let value = "is built with this machine's network, which the container does not have".to_owned();
    Widening { key: "build".to_owned(), value, file: file.to_owned() }
}

fn name(workspace: &Path, file: &Path) -> String {
    file.strip_prefix(workspace)
        .map_or_else(|_| file.display().to_string(), |below: &Path| PathBuf::from(below).display().to_string())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| super::start_failed(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::environment::Environment;

    fn properties(value: &serde_json::Value) -> Properties {
        let variables = Variables::new(Path::new("/p"), &Environment::of([("TOKEN", "secret")]));
        Properties::read(value.as_object().unwrap(), Path::new("/p"), &variables).unwrap()
    }

    #[test]
    fn each_property_that_widens_is_shown_and_goes_where_it_may_not_be() {
        let cases = [
            (json!({"initializeCommand": "make"}), Some("initializeCommand")),
            (json!({"mounts": ["type=bind,source=/a,target=/b"]}), Some("mounts")),
            (json!({"mounts": ["source=a,target=/b"]}), Some("mounts")),
            (json!({"mounts": ["type=tmpfs,target=/b"]}), None),
            (
                json!({"workspaceMount": "type=bind,source=/,target=/w", "workspaceFolder": "/w"}),
                Some("workspaceMount"),
            ),
            (
                json!({"workspaceMount": "type=bind,source=${localWorkspaceFolder},target=/w", "workspaceFolder": "/w"}),
                None,
            ),
            (json!({"privileged": true}), Some("privileged")),
            (json!({"capAdd": ["SYS_ADMIN"]}), Some("capAdd")),
            (json!({"securityOpt": ["seccomp=unconfined"]}), Some("securityOpt")),
            (json!({"runArgs": ["--device=/dev/kvm"]}), Some("device")),
            (json!({"runArgs": ["--add-host=api.anthropic.com:10.0.0.1"]}), Some("add-host")),
            (json!({"runArgs": ["-v", "/:/host"]}), Some("mounts")),
            (json!({"runArgs": ["--privileged"]}), Some("privileged")),
            (json!({"containerEnv": {"A": "${localEnv:TOKEN}"}}), Some("localEnv")),
            (json!({"containerEnv": {"ANTHROPIC_BASE_URL": "http://evil"}}), Some("containerEnv")),
            (json!({"remoteEnv": {"https_proxy": "http://evil"}}), Some("remoteEnv")),
            (json!({"containerEnv": {"A": "b"}, "remoteEnv": {"C": null}}), None),
            (json!({"postCreateCommand": "npm ci", "init": true, "remoteUser": "node"}), None),
        ];
        let workspace = Path::new("/p");
        for (value, expected) in cases {
            let mut all = properties(&value);
            let found = widening(&all, "f", workspace);
            let keys: Vec<&str> = found.iter().map(|item| item.key.as_str()).collect();
            assert_eq!(keys, expected.into_iter().collect::<Vec<_>>(), "{value}");
            assert!(found.iter().all(|item| !item.value.contains("secret")), "no value of this machine's is shown");
            narrow(&mut all, workspace);
            all.local.clear();
            assert_eq!(widening(&all, "f", workspace), [], "{value} is narrow without it");
        }
    }

    #[test]
    fn a_projects_own_wishes_are_read_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(WISHES);
        assert_eq!(read_wishes(&path).unwrap(), None, "there are none");
        std::fs::write(&path, "// ours\n{\"cpus\": 2,}").unwrap();
        assert_eq!(read_wishes(&path).unwrap().unwrap().cpus, Some(2.0), "as the settings spell them");
        for broken in ["", "[]", "{\"cpus\": \"many\"}"] {
            std::fs::write(&path, broken).unwrap();
            let failure = read_wishes(&path).unwrap_err();
            assert_eq!(failure.code, Code::SettingsInvalid, "{broken:?} is refused");
            assert!(failure.cause.contains(WISHES), "the file is named: {}", failure.cause);
        }
    }

    #[test]
    fn a_devcontainer_counts_where_nothing_nearer_does() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::write(root.join(".devcontainer.json"), r#"{"image": "a"}"#).unwrap();
        let variables = Variables::new(root, &Environment::of([]));
        let found = |users: &Wishes| read(root, &variables, users).unwrap().devcontainer.is_some();
        let wishes = |value: serde_json::Value| serde_json::from_value::<Wishes>(value).unwrap();
        assert!(found(&Wishes::default()), "it does by default");
        assert!(!found(&wishes(json!({"useDevcontainer": false}))), "the user may not want it");
        assert!(!found(&wishes(json!({"image": "mine"}))), "an image of the user's comes first");
        std::fs::write(root.join(WISHES), r#"{"useDevcontainer": false}"#).unwrap();
        assert!(!found(&Wishes::default()), "nor may the project");
        assert!(found(&wishes(json!({"useDevcontainer": true}))), "the user's word counts more");
        std::fs::write(root.join(FILE), "FROM a").unwrap();
        assert!(!found(&wishes(json!({"useDevcontainer": true}))), "what is written for Gemra comes first");
    }
}
