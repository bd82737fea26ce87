//! What an image is made of: the first that applies of what the user and the project say, read once, so that what is
//! shown to the user is what is built. Who is asked about it, and what is built of it, is not known here.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::devcontainer;
use super::{blocking, name};
use crate::container::devcontainer::Devcontainer;
use crate::container::devcontainer::variables::Variables;
use crate::container::image::{ImageError, Ingredients, Options, Recipe, Source};
use crate::failure::Failure;
use crate::settings::container::Wishes;
use crate::trust::Widening;

/// How many of the files that a build copies are named.
const NAMED: usize = 12;

/// What an image is made of.
#[derive(Debug, Clone)]
pub(in super::super) enum Chosen {
    /// It has a name, and nothing is made.
    Named(String),
    /// What a `devcontainer.json` asks for, and the Dockerfile that it names or comes to.
    Devcontainer(Box<Devcontainer>, Source),
    /// A Dockerfile of the project's, or Gemra's own.
    Dockerfile(Source),
}

/// A build, as the user is asked about it.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) item: Widening,
    /// What the answer depends on beside what is shown.
    pub(super) contents: Vec<Vec<u8>>,
    /// The Dockerfile, with which nothing but the files of now may be built.
    pub(super) source: Source,
}

impl Chosen {
    /// The first that applies: an image by its name, the project's `Dockerfile.claude`, its `devcontainer.json` where
    /// that may count, its `Dockerfile` where that is wished for, Gemra's own.
    ///
    /// # Errors
    /// A [`Failure`] where the first that applies cannot be read: what is there is never passed over.
    pub(super) async fn of(
        workspace: &Path,
        variables: &Variables,
        wishes: &Wishes,
        devcontainers: bool,
    ) -> Result<Self, Failure> {
        let failed = |error: ImageError| Failure::from(&error);
        if let Some(name) = wishes.image.as_deref().map(str::trim).filter(|name| !name.is_empty()) {
            return Ok(Self::Named(name.to_owned()));
        }
        if let Some(own) = Source::written_for_us(workspace).await.map_err(failed)? {
            return Ok(Self::Dockerfile(own));
        }
        if devcontainers {
            let (workspace, variables) = (workspace.to_path_buf(), variables.clone());
            let read = blocking(move || Devcontainer::of(&workspace, &variables)).await?;
            if let Some(devcontainer) = read.map_err(|error| Failure::from(&error))? {
                let source = devcontainer::source(&devcontainer.properties).await?;
                return Ok(Self::Devcontainer(Box::new(devcontainer), source));
            }
        }
        if wishes.use_dockerfile.unwrap_or(false)
            && let Some(usual) = Source::usual(workspace).await.map_err(failed)?
        {
            return Ok(Self::Dockerfile(usual));
        }
        Ok(Self::Dockerfile(Source::embedded()))
    }

    /// The devcontainer, where that is it.
    pub(super) fn devcontainer(&self) -> Option<&Devcontainer> {
        match self {
            Self::Devcontainer(devcontainer, _) => Some(devcontainer),
            Self::Named(_) | Self::Dockerfile(_) => None,
        }
    }

    /// The Dockerfile of the project's that is built, and its stage.
    fn built<'a>(&'a self, wishes: &'a Wishes) -> Option<(&'a Source, Option<&'a str>)> {
        let said = |stage: &'a str| Some(stage.trim()).filter(|stage| !stage.is_empty());
        match self {
            Self::Devcontainer(devcontainer, source) => {
                devcontainer.properties.build.as_ref().map(|build| (source, said(&build.target)))
            }
            Self::Dockerfile(source) if source.workspace.is_some() => {
                Some((source, wishes.build_target.as_deref().and_then(said)))
            }
            Self::Named(_) | Self::Dockerfile(_) => None,
        }
    }

    async fn recipe(&self, wishes: &Wishes) -> Result<Option<Recipe>, Failure> {
        let Some((source, target)) = self.built(wishes) else { return Ok(None) };
        let options = Options { target: target.map(str::to_owned), ..Options::default() };
        let ingredients = Ingredients { source: source.clone(), options, ..Ingredients::default() };
        Recipe::of(ingredients).await.map(Some).map_err(|error| Failure::from(&error))
    }

    /// What a build of the project's files is shown as; `None` where none of them are built. `asked` is what the
    /// project wishes, and `wishes` what counts of all that is wished.
    ///
    /// # Errors
    /// A [`Failure`] where something that would be built cannot be read.
    pub(super) async fn shown(
        &self,
        workspace: &Path,
        wishes: &Wishes,
        asked: &Wishes,
    ) -> Result<Option<Shown>, Failure> {
        let (Some(recipe), Some((source, target))) = (self.recipe(wishes).await?, self.built(wishes)) else {
            return Ok(None);
        };
        let files = recipe.files().await.map_err(|error| Failure::from(&error))?;
        let of_file = self.devcontainer().and_then(|one| one.properties.build.as_ref()).map(|build| &build.args);
        let mut arguments: BTreeMap<String, String> = asked.build_args.clone().unwrap_or_default();
        arguments.extend(of_file.cloned().unwrap_or_default());
        let mut value =
            vec!["is built as root with this machine's network, which the container does not have".to_owned()];
        if !files.paths.is_empty() {
            let named: Vec<String> = files.paths.iter().take(NAMED).map(|path| path.display().to_string()).collect();
            let more = files.paths.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            value.push(format!("with these files of the project: {}{more}", named.join(", ")));
        }
        if !arguments.is_empty() {
            // Values may come from this machine's environment.
            let names: Vec<&str> = arguments.keys().map(String::as_str).collect();
            value.push(format!("with values for {}", names.join(", ")));
        }
        let file = source.file().map_or_else(String::new, |file| name(workspace, &file));
        let item = Widening { key: "build".to_owned(), value: value.join("\n"), file, text: Some(source.text.clone()) };
        let mut contents = vec![source.text.clone().into_bytes(), files.digest.clone()];
        contents.push(target.unwrap_or_default().as_bytes().to_vec());
        contents.extend(arguments.into_iter().flat_map(|(name, value)| [name.into_bytes(), value.into_bytes()]));
        let source = Source { allowed: Some(files.digest), ..source.clone() };
        Ok(Some(Shown { item, contents, source }))
    }

    /// The same with another text of the Dockerfile, or other files that it may be built with.
    pub(super) fn with(self, source: Source) -> Self {
        match self {
            Self::Named(name) => Self::Named(name),
            Self::Devcontainer(devcontainer, _) => Self::Devcontainer(devcontainer, source),
            Self::Dockerfile(_) => Self::Dockerfile(source),
        }
    }

    /// All that is written of it. Nothing in it is of this machine's environment.
    pub(super) fn written(&self) -> String {
        match self {
            Self::Named(name) => name.clone(),
            Self::Devcontainer(devcontainer, source) => format!("{devcontainer:?}\0{}", source.text),
            Self::Dockerfile(source) => format!("{}\0{}", source.in_words(), source.text),
        }
    }

    /// Names, sizes and times of the files that a build copies, as one digest; `None` where none of the project's are.
    ///
    /// # Errors
    /// A [`Failure`] where they cannot be looked at.
    pub(super) async fn copied(&self, wishes: &Wishes) -> Result<Option<Vec<u8>>, Failure> {
        Ok(self.recipe(wishes).await?.map(|recipe| recipe.copied().to_vec()))
    }
}
