//! What a project itself says about its containers: its `.gemra.json`, its Dockerfile and its `devcontainer.json`, read
//! before anything is built. Where they would widen the sandbox the user is asked, and nothing of it counts before the
//! answer.

mod chosen;
#[cfg(test)]
mod tests;
mod widening;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{News, Order, commands};
use crate::container::devcontainer::lifecycle::Command;
use crate::container::devcontainer::variables::Variables;
use crate::container::devcontainer::{Devcontainer, DevcontainerError, Properties, file};
use crate::container::image::Source;
use crate::failure::{Code, Failure};
use crate::settings::SettingsError;
use crate::settings::container::{NetworkChoice, Project as Own, Wishes};
use crate::trust::wishes::{Judged, judge};
use crate::trust::{self, Decision, Question, Reply, Widening};
pub(super) use chosen::Chosen;
use chosen::Shown;
use widening::outside;
pub(super) use widening::{narrow, widening};

/// The file in which a project wishes for its own containers.
pub(super) const WISHES: &str = ".gemra.json";
/// Larger than any that people write.
const LARGEST: u64 = 1024 * 1024;

/// What counts of what a project says.
#[derive(Debug)]
pub(super) struct Said {
    /// What its image is made of. Nothing else may be built.
    pub(super) chosen: Chosen,
    /// False where the user wants none of what would widen the sandbox.
    pub(super) widens: bool,
    /// What of it never counts, in words.
    pub(super) not_applied: Vec<String>,
    /// What was read, for whoever looks later whether it has changed.
    pub(super) seen: Seen,
}

/// What a container's image was made from, as far as it is the project's to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// Of all that is written.
    written: [u8; 32],
    /// Of the files that the build copies, where that is looked at.
    copied: Option<Vec<u8>>,
}

impl Seen {
    /// The same, where these are the files that were copied. Nothing of them is looked at where what was built is not
    /// what was read first.
    #[must_use]
    pub(super) fn copying(self, copied: Option<Vec<u8>>) -> Self {
        Self { copied, ..self }
    }

    /// Whether something else would be made now. What cannot be told, such as a file that is just being written, is no
    /// change yet.
    pub(super) async fn has_changed(&self, order: &Order) -> bool {
        let Ok(now) = Read::of(order).await else { return false };
        if now.written() != self.written {
            return true;
        }
        let Some(copied) = &self.copied else { return false };
        now.chosen.copied(&now.counts(&now.first.all)).await.is_ok_and(|now| now.is_some_and(|now| now != *copied))
    }
}

/// All that is read, before anybody was asked.
struct Read {
    workspace: PathBuf,
    variables: Variables,
    /// What the project wishes in a file of its own.
    wishes: Option<Wishes>,
    /// The same, taken apart.
    first: Judged,
    /// What the user wishes for all projects, and for this one.
    for_all: Wishes,
    own: Wishes,
    /// What the image is made of, if all of it is allowed.
    chosen: Chosen,
}

impl Read {
    async fn of(order: &Order) -> Result<Self, Failure> {
        let surroundings = &order.surroundings;
        let workspace = order.workspace.path().to_path_buf();
        let settings = surroundings.settings();
        let own = workspace.to_str().and_then(|name| settings.projects.get(name)).cloned();
        let Own { container: own, .. } = own.unwrap_or_default();
        let variables = Variables::new(&workspace, surroundings.environment());
        Self::under(workspace, variables, settings.container, own).await
    }

    async fn under(workspace: PathBuf, variables: Variables, for_all: Wishes, own: Wishes) -> Result<Self, Failure> {
        let file = workspace.join(WISHES);
        let wishes = blocking(move || read_wishes(&file)).await??;
        let first = judge(&wishes.clone().unwrap_or_default(), &for_all, &own);
        let mut read =
            Self { workspace, variables, wishes, first, for_all, own, chosen: Chosen::Dockerfile(Source::embedded()) };
        read.chosen = read.choose(&read.first.all, read.devcontainers()).await?;
        Ok(read)
    }

    /// What counts where `asked` is what the project may wish.
    fn counts(&self, asked: &Wishes) -> Wishes {
        self.own.over(&asked.over(&self.for_all))
    }

    /// Whether a devcontainer may be what counts: the user's word is the first, for all projects too.
    fn devcontainers(&self) -> bool {
        let users = self.own.over(&self.for_all).use_devcontainer;
        users.or(self.wishes.as_ref().and_then(|asked| asked.use_devcontainer)).unwrap_or(true)
    }

    async fn choose(&self, asked: &Wishes, devcontainers: bool) -> Result<Chosen, Failure> {
        Chosen::of(&self.workspace, &self.variables, &self.counts(asked), devcontainers).await
    }

    /// What the project wishes in all its files.
    fn judged(&self) -> Judged {
        let of_file = self.chosen.devcontainer().map(|one| one.properties.wishes.clone()).unwrap_or_default();
        judge(&self.wishes.clone().unwrap_or_default().over(&of_file), &self.for_all, &self.own)
    }

    /// The build of the project's files, where it is asked about: `held` says that the container has less than it.
    async fn shown(&self, judged: &Judged, held: bool) -> Result<Option<Shown>, Failure> {
        if !held {
            return Ok(None);
        }
        self.chosen.shown(&self.workspace, &self.counts(&judged.all), &judged.all).await
    }

    /// What is made where all of it is allowed: of a build that was shown, exactly that.
    fn allowed(&self, shown: Option<Shown>) -> Chosen {
        let chosen = self.chosen.clone();
        match shown {
            Some(shown) => chosen.with(shown.source),
            None => chosen,
        }
    }

    /// Reads the Dockerfile once more.
    async fn again(&mut self) -> Result<(), Failure> {
        if let Some(devcontainer) = self.chosen.devcontainer() {
            let source = super::devcontainer::source(&devcontainer.properties).await?;
            self.chosen = self.chosen.clone().with(source);
        }
        Ok(())
    }

    /// All that is asked about. What is in files that would run counts as part of it.
    async fn question(
        &self,
        judged: &Judged,
        shown: Option<&Shown>,
        command: Option<&Command>,
    ) -> Result<Question, Failure> {
        let mut items = self.items(judged);
        items.extend(shown.map(|shown| shown.item.clone()));
        let mut contents = shown.map(|shown| shown.contents.clone()).unwrap_or_default();
        if let Some(command) = command.cloned() {
            let workspace = self.workspace.clone();
            contents.extend(blocking(move || commands::files(&command, &workspace)).await?);
        }
        Ok(Question::new(items, &contents))
    }

    /// What is asked about, but for the build.
    fn items(&self, judged: &Judged) -> Vec<Widening> {
        let devcontainer = self.chosen.devcontainer();
        let file = devcontainer.map(|one| name(&self.workspace, &one.file)).unwrap_or_default();
        let wished = judged.widening.iter().map(|(key, value)| {
            let own = self.wishes.as_ref().is_some_and(|wishes| says(wishes, key));
            let file = if own { WISHES.to_owned() } else { file.clone() };
            Widening { key: key.clone(), value: value.clone(), file, text: None }
        });
        let properties = devcontainer.map(|one| widening(&one.properties, &file, &self.workspace));
        wished.chain(properties.into_iter().flatten()).collect()
    }

    /// What is made where the user wants none of what widens.
    async fn without(&self, judged: &Judged, held: bool, not_applied: &mut Vec<String>) -> Result<Chosen, Failure> {
        let mut chosen = self.choose(&judged.plain, self.devcontainers()).await?;
        if let Chosen::Devcontainer(devcontainer, _) = &chosen {
            let narrow = narrowed(&self.workspace, &self.variables, devcontainer, held).await?;
            if narrow.is_none() {
                let file = name(&self.workspace, &devcontainer.file);
                not_applied.push(format!("{file}: its image is among what you did not allow"));
            }
            chosen = match narrow {
                Some(narrow) => {
                    let source = super::devcontainer::source(&narrow.properties).await?;
                    Chosen::Devcontainer(Box::new(narrow), source)
                }
                None => self.choose(&judged.plain, false).await?,
            };
        }
        Ok(match chosen {
            Chosen::Dockerfile(source) if held && source.workspace.is_some() => {
                not_applied.push(format!("{}: its build is among what you did not allow", source.in_words()));
                Chosen::Dockerfile(Source::embedded())
            }
            chosen => chosen,
        })
    }

    fn written(&self) -> [u8; 32] {
        let wishes = self.wishes.as_ref().and_then(|wishes| serde_json::to_string(wishes).ok()).unwrap_or_default();
        Sha256::digest(format!("{wishes}\0{}", self.chosen.written())).into()
    }
}

/// Looks at what a project says, asks where it has to be asked, and runs what is to run on this machine first.
///
/// # Errors
/// A [`Failure`] where a file cannot be used, nobody answers, or a command fails.
pub(super) async fn look(order: &Order, news: &(impl Fn(News) + Send + Sync)) -> Result<Said, Failure> {
    let mut read = Read::of(order).await?;
    let (workspace, judged) = (read.workspace.clone(), read.judged());
    // What the container has whatever the answer is: an image is built on this machine's network in any case.
    let held = read.counts(&judged.plain).network.unwrap_or_default() != NetworkChoice::Host;
    let shown = read.shown(&judged, held).await?;
    let command = read.chosen.devcontainer().and_then(|one| one.properties.initialize.clone());
    let question = read.question(&judged, shown.as_ref(), command.as_ref()).await?;
    let widens = allowed(order, question, news).await?;
    order.surroundings.accepts(&workspace, if widens { judged.all.clone() } else { judged.plain.clone() });

    let mut not_applied: Vec<String> =
        judged.ignored.iter().map(|key| format!("{WISHES}: {key} is yours to say")).collect();
    not_applied.extend(judged.unknown.iter().map(|key| format!("{WISHES}: Gemra knows no {key}")));
    let mut chosen = if widens {
        // Nothing but what was shown is built.
        read.allowed(shown)
    } else {
        read.without(&judged, held, &mut not_applied).await?
    };
    if let Some(command) = command.filter(|_| widens) {
        if order.surroundings.is_inside(&workspace) {
            // It could change what the command runs after it was looked at.
            not_applied.push("initializeCommand: the container of another tab can write to what it runs".to_owned());
        } else {
            commands::initialize(order, &command, news).await?;
            if !order.surroundings.is_inside(&workspace) {
                // What the command itself has written is no reason to ask about it again.
                read.again().await?;
                let shown = read.shown(&judged, held).await?;
                remember(order, read.question(&judged, shown.as_ref(), Some(&command)).await?).await?;
                chosen = read.allowed(shown);
            }
        }
    }
    Ok(Said { chosen, widens, not_applied, seen: Seen { written: read.written(), copied: None } })
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

/// The devcontainer without what widens, read anew with nothing of this machine's environment. An image that may not
/// be is no devcontainer at all.
async fn narrowed(
    workspace: &Path,
    variables: &Variables,
    devcontainer: &Devcontainer,
    held: bool,
) -> Result<Option<Devcontainer>, Failure> {
    let may = |properties: &Properties| properties.image.is_none() && outside(properties, workspace).is_none();
    if held || !may(&devcontainer.properties) {
        return Ok(None);
    }
    let (folder, variables) = (workspace.to_path_buf(), variables.clone().without_environment());
    let read = blocking(move || {
        let mut again = Devcontainer::of(&folder, &variables)?;
        if let Some(devcontainer) = &mut again {
            narrow(&mut devcontainer.properties, &folder);
        }
        Ok::<_, DevcontainerError>(again)
    });
    // It may have changed meanwhile: only an image that was there when the user answered is built.
    let again = read.await?.map_err(|error| Failure::from(&error))?;
    Ok(again.filter(|again| may(&again.properties)))
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
    let wishes: Wishes =
        serde_json::from_value(serde_json::Value::Object(map)).map_err(|error| bad(error.to_string()))?;
    // What is not the project's to say counts for nothing, whatever it says.
    let counting = Wishes { host_mode: None, ..wishes.clone() };
    counting.check().map_err(|error| match error {
        SettingsError::BadValue { field, why } => bad(format!("{field}: {why}")),
        other => bad(other.to_string()),
    })?;
    Ok(Some(wishes))
}

fn says(wishes: &Wishes, key: &str) -> bool {
    serde_json::to_value(wishes).is_ok_and(|value| value.get(key).is_some())
}

fn name(workspace: &Path, file: &Path) -> String {
    file.strip_prefix(workspace)
        .map_or_else(|_| file.display().to_string(), |below: &Path| PathBuf::from(below).display().to_string())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| super::start_failed(&error.to_string()))
}
