//! Which builder an image is built by: the classic one, which every engine has, or `BuildKit`, where the Dockerfile
//! needs it. The only place that knows what engines differ in here.

use super::dockerfile::{Dockerfile, Need, NeedKind};
use super::error::ImageError;
use super::{Recipe, inspect};
use crate::container::engine::{About, Engine, quirks};

/// The frontend that knows what an older engine's `BuildKit` does not.
const FRONTEND: &str = "docker/dockerfile:1";
/// The first API of a Docker whose own `BuildKit` knows heredocs: that of Docker 23.
const KNOWS_HEREDOCS: (u32, u32) = (1, 42);
/// The first Podman whose own builder knows them. Some that are built without them follow, and say so when they build.
const PODMAN_KNOWS_HEREDOCS: (u32, u32) = (4, 8);
/// The first API of a Docker that has `BuildKit` at all: that of Docker 18.09.
const HAS_BUILDKIT: (u32, u32) = (1, 39);

/// A builder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Builder {
    /// The one that every engine has.
    Classic,
    /// `BuildKit`.
    Buildkit {
        /// A frontend that the Dockerfile does not name and this engine needs for it.
        frontend: Option<&'static str>,
    },
}

impl Builder {
    /// The builder for `need` at an engine.
    ///
    /// # Errors
    /// What is missing, in words.
    pub(super) fn of(about: &About, need: Option<&Need>) -> Result<Self, String> {
        let Some(need) = need else { return Ok(Self::Classic) };
        // Podman's one builder stands behind the classic call, and knows mounts; what it does not know it says. Where it
        // knows no heredocs it may make something else of them.
        if quirks::has_one_builder(about) {
            return if need.kind == NeedKind::Heredoc && quirks::version(about) < PODMAN_KNOWS_HEREDOCS {
                let (major, minor) = PODMAN_KNOWS_HEREDOCS;
                Err(format!("{}, which {} cannot build: Podman {major}.{minor} can", in_words(need), about.name))
            } else {
                Ok(Self::Classic)
            };
        }
        let api = version(&about.api);
        if api < HAS_BUILDKIT {
            return Err(format!("line {}, {}, and {} has none", need.line, need.what, about.name));
        }
        let frontend = (need.kind == NeedKind::Heredoc && api < KNOWS_HEREDOCS).then_some(FRONTEND);
        Ok(Self::Buildkit { frontend })
    }

    /// The frontend that is fetched for `recipe`, where one is.
    pub(super) fn frontend<'a>(&self, recipe: &'a Recipe) -> Option<&'a str> {
        let Self::Buildkit { frontend } = self else { return None };
        Dockerfile::read(&recipe.ingredients.source.text).syntax().or(*frontend)
    }
}

/// The builder for `recipe`. Where the user wants nothing fetched, a frontend that is not there is an error at once.
pub(super) async fn choose(engine: &Engine, recipe: &Recipe) -> Result<Builder, ImageError> {
    let source = &recipe.ingredients.source;
    let needs = |what: String| ImageError::NeedsBuildkit { file: source.file(), what };
    let builder = Builder::of(engine.about(), recipe.need.as_ref()).map_err(needs)?;
    let Builder::Buildkit { frontend } = builder else { return Ok(builder) };
    let dockerfile = Dockerfile::read(&source.text);
    let named = dockerfile.syntax();
    if let Some(name) = named.or(frontend)
        && recipe.ingredients.options.offline
        && inspect(engine, name).await?.is_none()
    {
        let cause = "the settings say that nothing is fetched".to_owned();
        let what = recipe.need.as_ref().map(in_words).unwrap_or_default();
        return Err(ImageError::NoFrontend { file: source.file(), what, frontend: name.to_owned(), cause });
    }
    // A frontend that the Dockerfile names is the one that is used.
    Ok(Builder::Buildkit { frontend: frontend.filter(|_| named.is_none()) })
}

/// The place of a need, in words.
pub(super) fn in_words(need: &Need) -> String {
    format!("line {}, {}", need.line, need.what)
}

fn version(text: &str) -> (u32, u32) {
    let mut numbers = text.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builder_follows_from_the_need_and_the_engine() {
        let need = |kind| Need { line: 2, what: "RUN x".to_owned(), kind };
        let kit = |frontend| Ok(Builder::Buildkit { frontend });
        let cases = [
            ("1.41", false, None, Ok(Builder::Classic)),
            ("1.41", false, Some(NeedKind::Any), kit(None)),
            ("1.41", false, Some(NeedKind::Frontend), kit(None)),
            ("1.41", false, Some(NeedKind::Heredoc), kit(Some(FRONTEND))),
            ("1.42", false, Some(NeedKind::Heredoc), kit(None)),
            ("1.50", false, Some(NeedKind::Heredoc), kit(None)),
            ("1.38", false, Some(NeedKind::Any), Err(())),
            ("4.3.1", true, Some(NeedKind::Any), Ok(Builder::Classic)),
            ("4.3.1", true, Some(NeedKind::Heredoc), Err(())),
            ("4.10.0", true, Some(NeedKind::Heredoc), Ok(Builder::Classic)),
        ];
        for (number, podman, kind, expected) in cases {
            let name = if podman { format!("Podman {number}") } else { "An engine".to_owned() };
            let about = About { api: number.to_owned(), podman, name, ..About::default() };
            let got = Builder::of(&about, kind.map(need).as_ref());
            if let Err(words) = &got {
                assert!(words.contains("line 2, RUN x"), "the place is named: {words}");
            }
            assert_eq!(got.map_err(drop), expected, "{number}, Podman: {podman}, need: {kind:?}");
        }
    }
}
