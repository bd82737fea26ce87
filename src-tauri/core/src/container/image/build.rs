//! One build at the engine: sends the context, follows what is said, and tells why it failed. Which builder it is, is
//! `builder`'s to say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::query_parameters::{BuildImageOptions, BuildImageOptionsBuilder, BuilderVersion, TagImageOptionsBuilder};
use futures_util::{Stream, StreamExt as _};
use tokio::time::Instant;

use super::again::Tries;
use super::bases::Taken;
use super::builder::Builder;
use super::dockerfile::{Dockerfile, NeedKind};
use super::progress::{BuildLog, Reader, Step};
use super::shared::Told;
use super::{Image, ImageError, Logins, NAME, Options, Recipe, builder, context, fetch, inspect, source};
use crate::container::engine::{self, Engine, EngineError, quirks};

/// How long a build may take, however much it says: one that goes round in circles must end as well.
const WHOLE: Duration = Duration::from_hours(2);

/// In which processors are shared out, in microseconds: the kernel's usual one.
const PERIOD: i32 = 100_000;

/// Finds the image of `recipe`, or builds it.
pub(super) async fn image(engine: &Engine, recipe: Recipe, logins: &Logins, told: &Told) -> Result<Image, ImageError> {
    let tag = recipe.tag();
    let options = &recipe.ingredients.options;
    if !options.fresh {
        let (found, latest) = tokio::try_join!(find(engine, &tag), find(engine, super::LATEST))?;
        if let Some(id) = found {
            see_to_platform(engine, &recipe).await?;
            if latest.as_ref() != Some(&id) {
                call_latest(engine, &recipe, &id).await?;
            }
            return Ok(Image { id, tag, built: false });
        }
    }
    let builder = builder::choose(engine, &recipe).await?;
    see_to_bases(engine, &recipe, logins, told).await?;
    let mut images: Vec<String> = recipe.taken().into_iter().filter_map(|taken| taken.name).collect();
    images.extend(builder.frontend(&recipe).map(str::to_owned));
    let logins =
        logins.of_images(quirks::prefers_logins_of_podman(engine.about()), images, &|line| told.say(line)).await;
    let mut tries = Tries::default();
    while let Err(error) = build(engine, &recipe, builder, &logins, told).await {
        if !tries.go_on(&error, told).await {
            return Err(error);
        }
    }
    // The builder's last words may be lost with the connection; what counts is whether the image is there.
    let Some(id) = find(engine, &tag).await? else {
        let cause = format!("it built {tag} and then did not have it");
        return Err(EngineError::Refused { call: "the image", cause }.into());
    };
    see_to_platform(engine, &recipe).await?;
    call_latest(engine, &recipe, &id).await?;
    Ok(Image { id, tag, built: true })
}

/// A builder may take a base that is there, though it is of another platform, and only warn.
async fn see_to_platform(engine: &Engine, recipe: &Recipe) -> Result<(), ImageError> {
    let Some(platform) = &recipe.ingredients.options.platform else { return Ok(()) };
    let image = inspect(engine, &recipe.tag()).await?;
    if fetch::is_of(platform, image.as_ref()) {
        return Ok(());
    }
    let of = |image: bollard::models::ImageInspect| {
        format!("{}/{}", image.os.unwrap_or_default(), image.architecture.unwrap_or_default())
    };
    let cause = format!("what it built is for {}", image.map(of).unwrap_or_default());
    Err(ImageError::Platform { platform: platform.clone(), cause })
}

async fn find(engine: &Engine, name: &str) -> Result<Option<String>, ImageError> {
    Ok(inspect(engine, name).await?.map(|image| image.id.unwrap_or_default()))
}

/// Makes `latest` mean this image. It is for people: containers are made from the name by fingerprint. Images that a
/// project has for other ends have none.
async fn call_latest(engine: &Engine, recipe: &Recipe, id: &str) -> Result<(), ImageError> {
    if !recipe.ingredients.source.brings_the_agent() {
        return Ok(());
    }
    let options = TagImageOptionsBuilder::new().repo(NAME).tag("latest").build();
    Ok(engine::question("to name the image", engine.api().tag_image(id, Some(options))).await?)
}

/// Fetches the bases again where the image is made from scratch, and sees that they are there where nothing may be
/// fetched. Otherwise the builder fetches what it needs.
async fn see_to_bases(engine: &Engine, recipe: &Recipe, logins: &Logins, told: &Told) -> Result<(), ImageError> {
    let options = &recipe.ingredients.options;
    if !options.fresh && !options.offline {
        return Ok(());
    }
    for Taken { line, written, name } in recipe.taken() {
        match name {
            Some(name) => drop(fetch::image(engine, &name, options, logins, told).await?),
            None if options.offline => {
                let file = recipe.ingredients.source.file();
                return Err(ImageError::OfflineUnknown { file, line, written });
            }
            None => told.say(&format!("Line {line}: the builder alone knows {written}, which is not fetched again.")),
        }
    }
    Ok(())
}

fn options(recipe: &Recipe, builder: Builder) -> BuildImageOptions {
    let arguments: HashMap<String, String> = recipe.arguments().into_iter().collect();
    let mut options = BuildImageOptionsBuilder::new()
        .dockerfile(source::FILE)
        .t(&recipe.tag())
        .rm(true)
        .forcerm(true)
        // The build reaches what the host reaches: a company's mirror, a proxy on loopback.
        .networkmode("host")
        .buildargs(&arguments);
    if let Some(platform) = &recipe.ingredients.options.platform {
        options = options.platform(platform);
    }
    if recipe.ingredients.options.fresh {
        options = options.nocache(true);
    }
    if builder == Builder::Classic {
        options = limited(options, &recipe.ingredients.options);
    }
    if matches!(builder, Builder::Buildkit { .. }) {
        // It asks back over a session, which is named anew for each build.
        let session = uuid::Uuid::new_v4().simple().to_string();
        options = options.version(BuilderVersion::BuilderBuildKit).session(&session);
    }
    options.build()
}

/// With the limits of each step, of which `BuildKit` knows none.
fn limited(mut options: BuildImageOptionsBuilder, wished: &Options) -> BuildImageOptionsBuilder {
    // In MiB: the engine's room makes bytes of it, for which bollard 0.21 has too few bits.
    if let Some(memory) = wished.memory.and_then(|bytes| i32::try_from(bytes >> 20).ok()) {
        // The same with swap: no swap beside it.
        options = options.memory(memory).memswap(memory);
    }
    if let Some(quota) = wished.processors.and_then(|thousandths| i32::try_from(thousandths * 100).ok()) {
        options = options.cpuperiod(PERIOD).cpuquota(quota);
    }
    options
}

async fn build(
    engine: &Engine,
    recipe: &Recipe,
    builder: Builder,
    logins: &HashMap<String, DockerCredentials>,
    told: &Told,
) -> Result<(), ImageError> {
    let text = match builder {
        Builder::Buildkit { frontend: Some(frontend) } => format!("# syntax={frontend}\n{}", recipe.dockerfile()),
        Builder::Buildkit { frontend: None } | Builder::Classic => recipe.dockerfile(),
    };
    let mut pieces = recipe.context.clone().send(text, recipe.ingredients.certificates.clone());
    let failed = Arc::new(Mutex::new(None::<String>));
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
    let (options, body) = (options(recipe, builder), bollard::body_try_stream(body));
    // Where there is none, an engine may have its own.
    let logins = (!logins.is_empty()).then(|| logins.clone());
    let mut messages = engine.api().build_image(options, logins, Some(body));
    let mut reader = Reader::default();
    tracing::info!(tag = recipe.tag(), source = recipe.ingredients.source.in_words(), ?builder, "building the image");
    let patience = Patience::new(recipe.ingredients.options.silent);
    while let Some(message) = patience.next(&mut messages, &told.log).await? {
        match message {
            Ok(message) => {
                if reader.take(&message, &told.log) {
                    told.progress.send_replace(reader.progress().clone());
                }
            }
            // bollard 0.21 takes an engine that closes right after its last word for one that broke off.
            Err(Error::IOError { err }) if err.to_string().contains("bytes remaining on stream") => break,
            Err(error) => {
                reader.end(&told.log);
                let context_error = failed.lock().ok().and_then(|mut failed| failed.take());
                if let Some(cause) = context_error {
                    let changed = cause == context::CHANGED;
                    return Err(if changed { ImageError::Changed } else { ImageError::BadContext { cause } });
                }
                return Err(why(&error, recipe, &reader, &told.log));
            }
        }
    }
    reader.end(&told.log);
    told.progress.send_replace(reader.progress().clone());
    Ok(())
}

/// How long a build is waited for.
pub(super) struct Patience {
    idle: Duration,
    whole: Duration,
    /// When the whole is over.
    ends: Instant,
}

impl Patience {
    pub(super) fn new(idle: Duration) -> Self {
        Self { idle, whole: WHOLE, ends: Instant::now() + WHOLE }
    }

    /// The builder's next message; `None` where there is no more.
    pub(super) async fn next<T>(
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
fn why(error: &Error, recipe: &Recipe, reader: &Reader, log: &BuildLog) -> ImageError {
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
    if let Some(platform) = other_platform(recipe, &lower, log) {
        return ImageError::Platform { platform, cause };
    }
    let bad = |cause: String| ImageError::BadDockerfile { file: source.file(), cause };
    let unknown = lower.contains("unknown instruction") || lower.contains("dockerfile parse error");
    if unknown && lower.starts_with("building at step") {
        return unknown_to_podman(recipe, &cause);
    }
    if let Some(blamed) = reader.vertices().blamed() {
        let blamed = blamed.to_owned();
        if let Some(step) = reader.vertices().failed_step().filter(|step| !is_from(step)) {
            return failed(&step, cause, log);
        }
        // Both before the first step of the Dockerfile: the frontend is fetched, and what the bases are is asked.
        if let Some(frontend) = frontend(&blamed, &lower, recipe) {
            let what = recipe.need.as_ref().map(builder::in_words).unwrap_or_default();
            return ImageError::NoFrontend { file: source.file(), what, frontend, cause };
        }
        if unknown {
            return bad(cause);
        }
        if lower.contains("failed to resolve") || lower.contains("load metadata") || blamed.contains("load metadata") {
            return fetch::unreachable(&recipe.base(), cause);
        }
        return match reader.progress().step.clone() {
            Some(step) if is_from(&step) => fetch::unreachable(&recipe.base(), cause),
            Some(step) => failed(&step, cause, log),
            None => bad(cause),
        };
    }
    let Some(step) = &reader.progress().step else { return bad(cause) };
    if is_from(step) {
        if lower.contains("invalid reference format") || lower.contains("base name") {
            return bad(cause);
        }
        let written = Dockerfile::read(&step.instruction).base().unwrap_or_default().to_owned();
        let named = recipe.taken().into_iter().find(|taken| taken.written == written).and_then(|taken| taken.name);
        return fetch::unreachable(&named.unwrap_or(written), cause);
    }
    if unknown { bad(cause) } else { failed(step, cause, log) }
}

/// What Podman's builder does not know, it names with all that it has read of it. To one that knows no text within a
/// Dockerfile each line of such a text is an instruction: some of these say that they are new enough.
fn unknown_to_podman(recipe: &Recipe, cause: &str) -> ImageError {
    let file = recipe.ingredients.source.file();
    match &recipe.need {
        Some(need) if need.kind == NeedKind::Heredoc => ImageError::NeedsBuildkit {
            file,
            what: format!("{}, which this Podman cannot build", builder::in_words(need)),
        },
        _ => {
            let cause = cause.split_once(" &imagebuilder").map_or(cause, |(words, _)| words);
            ImageError::BadDockerfile { file, cause: cause.to_owned() }
        }
    }
}

fn is_from(step: &Step) -> bool {
    step.instruction.to_ascii_uppercase().starts_with("FROM")
}

fn failed(step: &Step, cause: String, log: &BuildLog) -> ImageError {
    ImageError::BuildFailed {
        index: step.index,
        total: step.total,
        instruction: shortened(&step.instruction),
        code: exit_code(&cause),
        cause,
        tail: log.tail(),
    }
}

/// The frontend that could not be fetched, where that is what went wrong.
fn frontend(blamed: &str, cause: &str, recipe: &Recipe) -> Option<String> {
    // An older engine says that it resolves the frontend's configuration, a newer one names it as a source.
    let about_it = blamed.contains("resolve image config for") || blamed.starts_with("docker-image://");
    if !about_it && !cause.contains("frontend gateway") {
        return None;
    }
    let named = Dockerfile::read(&recipe.ingredients.source.text).syntax();
    let said = blamed.rsplit(' ').next().unwrap_or_default().trim_start_matches("docker-image://");
    Some(named.unwrap_or(said).to_owned())
}

/// The platform, where the engine could not run its programs. The shell's own words for it stand in the log.
fn other_platform(recipe: &Recipe, cause: &str, log: &BuildLog) -> Option<String> {
    let platform = recipe.ingredients.options.platform.clone()?;
    let words =
        ["exec format error", "no match for platform", "does not match the specified platform", "no matching manifest"];
    let tail = log.tail().to_lowercase();
    words.iter().any(|words| cause.contains(words) || tail.contains(words)).then_some(platform)
}

fn shortened(instruction: &str) -> String {
    let words = instruction.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(120) {
        Some((at, _)) => format!("{}…", &words[..at]),
        None => words,
    }
}

fn exit_code(cause: &str) -> Option<i64> {
    // As the classic builder, BuildKit and Podman say it.
    ["returned a non-zero code: ", "exit code: ", "exit status "].iter().find_map(|words| {
        let (_, rest) = cause.rsplit_once(words)?;
        rest.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Ingredients, Kind, Source};
    use super::*;
    use bollard::moby::buildkit::v1::{StatusResponse, Vertex};
    use bollard::models::{BuildInfo, BuildInfoAux};

    async fn recipe() -> Recipe {
        let text = "ARG BASE_IMAGE=b:1\nFROM ${BASE_IMAGE}\n".to_owned();
        let source = Source::of_kind(Some("/w".into()), text, Kind::Own);
        Recipe::of(Ingredients { source, uid: 1, gid: 1, ..Ingredients::default() }).await.unwrap()
    }

    #[tokio::test]
    async fn the_classic_builder_is_asked_to_keep_steps_to_the_containers_limits() {
        let mut recipe = recipe().await;
        recipe.ingredients.options.processors = Some(1500);
        recipe.ingredients.options.memory = Some(8 << 30);
        let asked = options(&recipe, Builder::Classic);
        assert_eq!((asked.cpuperiod, asked.cpuquota), (Some(100_000), Some(150_000)), "one and a half processors");
        assert_eq!((asked.memory, asked.memswap), (Some(8192), Some(8192)), "8 GiB, in MiB, and no swap beside it");
        let asked = options(&recipe, Builder::Buildkit { frontend: None });
        assert_eq!((asked.memory, asked.cpuquota), (None, None), "BuildKit knows no limits");
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
            // Podman 4.3's.
            (
                stream("building at STEP \"RUN exit 7\": while running runtime: exit status 7\n"),
                Some("RUN exit 7"),
                "BuildFailed",
            ),
            (
                stream(
                    "building at STEP \"BANANA \": Build error: Unknown instruction: \"BANANA\" &imagebuilder.Step{…}\n",
                ),
                Some("BANANA split"),
                "BadDockerfile",
            ),
            (
                stream(
                    "creating build container: initializing source docker://b:1: pinging container registry: no such host",
                ),
                Some("FROM ${BASE_IMAGE}"),
                "BaseUnreachable",
            ),
            (
                stream(
                    "building at STEP \"COPY x /\": checking on sources: copier: stat: \"/x\": no such file or directory",
                ),
                Some("COPY x /"),
                "BuildFailed",
            ),
        ];
        let recipe = recipe().await;
        for (error, instruction, class) in cases {
            let log = BuildLog::default();
            let mut reader = Reader::default();
            if let Some(text) = instruction {
                let stream = Some(format!("Step 2/3 : {text}\n"));
                reader.take(&BuildInfo { stream, ..BuildInfo::default() }, &log);
            }
            let got = why(&error, &recipe, &reader, &log);
            assert!(format!("{got:?}").starts_with(class), "{error} at {instruction:?} is {class}, not {got:?}");
            match got {
                ImageError::BuildFailed { code, cause, .. } if cause.ends_with('7') => {
                    assert_eq!(code, Some(7), "the command's code is read");
                }
                ImageError::BaseUnreachable { base, .. } => assert_eq!(base, "b:1", "the base is named in full"),
                ImageError::BadDockerfile { cause, .. } => {
                    assert!(!cause.contains("imagebuilder"), "what says nothing to anybody is left out: {cause}");
                }
                _ => {}
            }
        }
    }

    #[tokio::test]
    async fn a_text_within_the_dockerfile_that_podman_takes_for_instructions_is_named() {
        let text = "FROM b:1\nRUN <<EOF\necho x\nEOF\n".to_owned();
        let source = Source { workspace: Some("/w".into()), text, kind: Kind::Own, allowed: None };
        let recipe = Recipe::of(Ingredients { source, ..Ingredients::default() }).await.unwrap();
        let words = "building at STEP \"ECHO \": Build error: Unknown instruction: \"ECHO\" &imagebuilder.Step{…}\n";
        let error = Error::DockerStreamError { error: words.to_owned() };
        let got = why(&error, &recipe, &Reader::default(), &BuildLog::default());
        let ImageError::NeedsBuildkit { what, .. } = got else { panic!("the need is known: {got:?}") };
        assert!(what.starts_with("line 2, RUN <<heredoc"), "and where it stands: {what}");
    }

    #[tokio::test]
    async fn buildkits_words_become_the_same_classes() {
        // Docker 20.10's own words, and those of newer ones.
        let cases: &[(&str, &str, &str)] = &[
            ("[2/3] RUN exit 7", "executor failed running [/bin/sh -c exit 7]: exit code: 7", "BuildFailed"),
            (
                "[2/3] RUN exit 7",
                "process \"/bin/sh -c exit 7\" did not complete successfully: exit code: 7",
                "BuildFailed",
            ),
            ("[2/3] COPY x /", "failed to compute cache key: \"/x\" not found: not found", "BuildFailed"),
            (
                "[internal] load metadata for docker.io/library/b:1",
                "failed to solve with frontend dockerfile.v0: failed to create LLB definition: failed to do request: Head \"https://…\": dial tcp: lookup registry-1.example: no such host",
                "BaseUnreachable",
            ),
            (
                "resolve image config for docker.io/docker/dockerfile:1",
                "failed to solve with frontend dockerfile.v0: failed to solve with frontend gateway.v0: failed to do request: dial tcp: lookup registry-1.example: no such host",
                "NoFrontend",
            ),
            (
                "[internal] load build definition from Dockerfile.claude",
                "failed to solve with frontend dockerfile.v0: failed to create LLB definition: dockerfile parse error line 3: unknown instruction: ECHO",
                "BadDockerfile",
            ),
            ("[2/3] RUN x", "write /x: no space left on device", "DiskFull"),
        ];
        let recipe = recipe().await;
        for (vertex, words, class) in cases {
            let log = BuildLog::default();
            let mut reader = Reader::default();
            let vertex = Vertex {
                digest: "d".to_owned(),
                name: (*vertex).to_owned(),
                started: true.then(Default::default),
                error: (*words).to_owned(),
                ..Vertex::default()
            };
            let status = StatusResponse { vertexes: vec![vertex], ..StatusResponse::default() };
            let aux = Some(BuildInfoAux::BuildKit(status));
            reader.take(&BuildInfo { aux, ..BuildInfo::default() }, &log);
            let got = why(&Error::DockerStreamError { error: (*words).to_owned() }, &recipe, &reader, &log);
            assert!(format!("{got:?}").starts_with(class), "{words} is {class}, not {got:?}");
            match got {
                ImageError::BuildFailed { code, cause, .. } if cause.contains("exit code") => {
                    assert_eq!(code, Some(7), "the command's code is read");
                }
                ImageError::BaseUnreachable { base, .. } => assert_eq!(base, "b:1", "the base is named in full"),
                ImageError::NoFrontend { frontend, .. } => {
                    assert!(frontend.ends_with("docker/dockerfile:1"), "the frontend is named: {frontend}");
                }
                _ => {}
            }
        }
    }
}
