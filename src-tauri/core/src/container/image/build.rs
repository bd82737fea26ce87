//! One build by the engine's classic builder: sends the context, follows what is said, and tells why it failed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bollard::errors::Error;
use bollard::query_parameters::{BuildImageOptionsBuilder, PruneImagesOptionsBuilder, TagImageOptionsBuilder};
use futures_util::{Stream, StreamExt as _};
use tokio::sync::watch;
use tokio::time::Instant;

use super::dockerfile::Dockerfile;
use super::progress::{BuildLog, Progress, Reader};
use super::{Image, ImageError, NAME, Recipe, source};
use crate::container::engine::{self, Engine, EngineError};
use crate::container::labels;

/// How long a build may say nothing. A large download says nothing for minutes.
const IDLE: Duration = Duration::from_mins(10);
/// How long a build may take, however much it says: one that goes round in circles must end as well.
const WHOLE: Duration = Duration::from_hours(2);

/// Finds the image of `recipe`, or builds it.
pub(super) async fn image(
    engine: &Engine,
    recipe: Recipe,
    log: &BuildLog,
    progress: &watch::Sender<Progress>,
) -> Result<Image, ImageError> {
    let tag = recipe.tag();
    let (found, latest) = tokio::try_join!(find(engine, &tag), find(engine, super::LATEST))?;
    if let Some(id) = found {
        if latest.as_ref() != Some(&id) {
            call_latest(engine, &id).await?;
        }
        return Ok(Image { id, tag, built: false });
    }
    build(engine, &recipe, log, progress).await?;
    // The builder's last words may be lost with the connection; what counts is whether the image is there.
    let Some(id) = find(engine, &tag).await? else {
        let cause = format!("it built {tag} and then did not have it");
        return Err(EngineError::Refused { call: "the image", cause }.into());
    };
    call_latest(engine, &id).await?;
    Ok(Image { id, tag, built: true })
}

async fn find(engine: &Engine, name: &str) -> Result<Option<String>, ImageError> {
    let asked = async {
        match engine.api().inspect_image(name).await {
            Ok(image) => Ok(Some(image.id.unwrap_or_default())),
            Err(error) if engine::status(&error) == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    };
    Ok(engine::question("whether the image is there", asked).await?)
}

/// Makes `latest` mean this image. It is for people: containers are made from the name by fingerprint.
async fn call_latest(engine: &Engine, id: &str) -> Result<(), ImageError> {
    let options = TagImageOptionsBuilder::new().repo(NAME).tag("latest").build();
    Ok(engine::question("to name the image", engine.api().tag_image(id, Some(options))).await?)
}

/// Removes our images that no name and no container holds any more. Their layers may be large.
pub(super) async fn prune(engine: &Engine) {
    let mut filters = labels::filter([]);
    filters.insert("dangling".to_owned(), vec!["true".to_owned()]);
    // A younger one may be another build's, between its making and its naming.
    filters.insert("until".to_owned(), vec!["1h".to_owned()]);
    let options = PruneImagesOptionsBuilder::new().filters(&filters).build();
    match engine.api().prune_images(Some(options)).await {
        Ok(answer) => {
            tracing::debug!(freed = answer.space_reclaimed.unwrap_or_default(), "removed images that were replaced");
        }
        // The new image is there; an old one that stays is no reason to fail.
        Err(error) => tracing::warn!(error = engine::words(&error), "images that were replaced could not be removed"),
    }
}

async fn build(
    engine: &Engine,
    recipe: &Recipe,
    log: &BuildLog,
    progress: &watch::Sender<Progress>,
) -> Result<(), ImageError> {
    let arguments: HashMap<String, String> = recipe.arguments().into_iter().collect();
    let options = BuildImageOptionsBuilder::new()
        .dockerfile(source::FILE)
        .t(&recipe.tag())
        .rm(true)
        .forcerm(true)
        // The build reaches what the host reaches: a company's mirror, a proxy on loopback.
        .networkmode("host")
        .buildargs(&arguments)
        .target(recipe.ingredients.options.target.as_deref().unwrap_or_default())
        .build();
    let mut pieces = recipe.context.clone().send(recipe.dockerfile(), recipe.ingredients.certificates.clone());
    let failed = Arc::new(std::sync::Mutex::new(None::<String>));
    let note = Arc::clone(&failed);
    let body = futures_util::stream::poll_fn(move |context| {
        pieces.poll_recv(context).map(|piece| {
            if let Some(Err(error)) = &piece
                && let Ok(mut note) = note.lock()
            {
                *note = Some(error.to_string());
            }
            piece
        })
    });
    let mut messages = engine.api().build_image(options, None, Some(bollard::body_try_stream(body)));
    let mut reader = Reader::default();
    tracing::info!(tag = recipe.tag(), source = recipe.ingredients.source.in_words(), "building the image");
    let patience = Patience { idle: IDLE, whole: WHOLE, ends: Instant::now() + WHOLE };
    while let Some(message) = patience.next(&mut messages, log).await? {
        match message {
            Ok(message) => {
                if reader.take(&message, log) {
                    progress.send_replace(reader.progress().clone());
                }
            }
            // bollard 0.21 takes an engine that closes right after its last word for one that broke off.
            Err(Error::IOError { err }) if err.to_string().contains("bytes remaining on stream") => break,
            Err(error) => {
                reader.end(log);
                let context_error = failed.lock().ok().and_then(|mut failed| failed.take());
                if let Some(cause) = context_error {
                    return Err(ImageError::BadContext { cause });
                }
                return Err(why(&error, recipe, reader.progress(), log));
            }
        }
    }
    reader.end(log);
    progress.send_replace(reader.progress().clone());
    Ok(())
}

/// How long a build is waited for.
struct Patience {
    idle: Duration,
    whole: Duration,
    /// When the whole is over.
    ends: Instant,
}

impl Patience {
    /// The builder's next message; `None` where there is no more.
    async fn next<T>(
        &self,
        messages: &mut (impl Stream<Item = T> + Unpin),
        log: &BuildLog,
    ) -> Result<Option<T>, ImageError> {
        let silent_until = Instant::now() + self.idle;
        tokio::time::timeout_at(silent_until.min(self.ends), messages.next()).await.map_err(|_| {
            if silent_until < self.ends {
                ImageError::Idle { limit: self.idle, tail: log.tail() }
            } else {
                ImageError::TooLong { limit: self.whole, tail: log.tail() }
            }
        })
    }
}

/// The class of a builder's error.
fn why(error: &Error, recipe: &Recipe, progress: &Progress, log: &BuildLog) -> ImageError {
    let cause = match error {
        Error::DockerStreamError { error } => error.trim().to_owned(),
        other => engine::words(other),
    };
    let refused_at_once = engine::status(error).is_some();
    if !refused_at_once && !matches!(error, Error::DockerStreamError { .. }) {
        return EngineError::Refused { call: "the build", cause }.into();
    }
    let source = &recipe.ingredients.source;
    let lower = cause.to_lowercase();
    if lower.contains("no space left on device") {
        return ImageError::DiskFull { cause };
    }
    if lower.contains("requires buildkit") {
        return ImageError::NeedsBuildkit { file: source.file(), what: cause };
    }
    let Some(step) = &progress.step else {
        return ImageError::BadDockerfile { file: source.file(), cause };
    };
    if step.instruction.to_ascii_uppercase().starts_with("FROM") {
        if lower.contains("invalid reference format") || lower.contains("base name") {
            return ImageError::BadDockerfile { file: source.file(), cause };
        }
        return ImageError::BaseUnreachable { base: base(recipe, &step.instruction), cause };
    }
    if lower.contains("unknown instruction") || lower.contains("dockerfile parse error") {
        return ImageError::BadDockerfile { file: source.file(), cause };
    }
    ImageError::BuildFailed {
        index: step.index,
        total: step.total,
        instruction: shortened(&step.instruction),
        code: exit_code(&cause),
        cause,
        tail: log.tail(),
    }
}

/// The base's name with the one variable resolved that ours has.
fn base(recipe: &Recipe, instruction: &str) -> String {
    let written = Dockerfile::read(instruction).base().unwrap_or_default().to_owned();
    let default = recipe.ingredients.source.text.lines().find_map(|line| line.trim().strip_prefix("ARG BASE_IMAGE="));
    match recipe.ingredients.base.as_deref().or(default) {
        Some(base) => written.replace("${BASE_IMAGE}", base).replace("$BASE_IMAGE", base),
        None => written,
    }
}

fn shortened(instruction: &str) -> String {
    let words = instruction.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(120) {
        Some((at, _)) => format!("{}…", &words[..at]),
        None => words,
    }
}

fn exit_code(cause: &str) -> Option<i64> {
    cause.rsplit_once("returned a non-zero code: ").and_then(|(_, code)| code.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{Ingredients, Source, Step};
    use super::*;
    use crate::container::labels::Owner;

    async fn recipe() -> Recipe {
        Recipe::of(Ingredients {
            source: Source {
                workspace: Some("/w".into()),
                text: "ARG BASE_IMAGE=b:1\nFROM ${BASE_IMAGE}\n".to_owned(),
            },
            base: None,
            uid: 1,
            gid: 1,
            cli_version: None,
            certificates: Vec::new(),
            proxies: BTreeMap::new(),
            owner: Owner::default(),
            options: super::super::Options::default(),
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn a_build_that_is_silent_and_one_that_never_stops_talking_both_end() {
        let log = BuildLog::default();
        let patience = |idle: u64, whole: u64| {
            let (idle, whole) = (Duration::from_millis(idle), Duration::from_millis(whole));
            Patience { idle, whole, ends: Instant::now() + whole }
        };
        let mut silent = Box::pin(futures_util::stream::pending::<()>());
        let ended = patience(20, 60_000).next(&mut silent, &log).await;
        assert!(
            matches!(ended, Err(ImageError::Idle { limit, .. }) if limit == Duration::from_millis(20)),
            "{ended:?}"
        );

        let mut talking = Box::pin(futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(2)).await;
            Some(((), ()))
        }));
        let patience = patience(60_000, 100);
        let mut said = 0;
        let ended = loop {
            match patience.next(&mut talking, &log).await {
                Ok(Some(())) => said += 1,
                other => break other,
            }
        };
        assert!(said > 1, "what it says is taken as long as there is time");
        assert!(matches!(ended, Err(ImageError::TooLong { limit, .. }) if limit == patience.whole), "{ended:?}");

        let mut over = futures_util::stream::empty::<()>();
        assert!(matches!(patience.next(&mut over, &log).await, Ok(None)), "an end that has come is an end");
    }

    #[tokio::test]
    async fn the_builders_words_become_classes() {
        let stream = |text: &str| Error::DockerStreamError { error: text.to_owned() };
        let refusal = |text: &str| Error::DockerResponseServerError { status_code: 400, message: text.to_owned() };
        // The engine's own words, as Docker 20.10 says them.
        let cases: Vec<(Error, Option<&str>, &str)> = vec![
            (refusal("dockerfile parse error line 3: unknown instruction: FOO"), None, "BadDockerfile"),
            (stream("the --mount option requires BuildKit. Refer to …"), Some("RUN x"), "NeedsBuildkit"),
            (stream("The command '/bin/sh -c exit 7' returned a non-zero code: 7"), Some("RUN exit 7"), "BuildFailed"),
            (
                stream("COPY failed: file not found in build context or excluded by .dockerignore"),
                Some("COPY x /"),
                "BuildFailed",
            ),
            (stream("write /x: no space left on device"), Some("RUN x"), "DiskFull"),
            (
                stream("Get \"https://…\": dial tcp: lookup registry: no such host"),
                Some("FROM ${BASE_IMAGE}"),
                "BaseUnreachable",
            ),
            (stream("invalid reference format"), Some("FROM ::"), "BadDockerfile"),
            (Error::RequestTimeoutError, Some("RUN x"), "Engine"),
        ];
        let recipe = recipe().await;
        for (error, instruction, class) in cases {
            let step = instruction.map(|text| Step { index: 2, total: 3, instruction: text.to_owned() });
            let progress = Progress { step, ..Progress::default() };
            let got = why(&error, &recipe, &progress, &BuildLog::default());
            assert!(format!("{got:?}").starts_with(class), "{error} at {instruction:?} is {class}, not {got:?}");
            match got {
                ImageError::BuildFailed { code, cause, .. } if cause.contains("non-zero") => {
                    assert_eq!(code, Some(7), "the command's code is read");
                }
                ImageError::BaseUnreachable { base, .. } => assert_eq!(base, "b:1", "the base is named in full"),
                _ => {}
            }
        }
    }
}
