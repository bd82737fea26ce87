//! The container engine as the app would find it, and whether the image of Gemra's own Dockerfile is there. It starts
//! and builds nothing.

use std::time::Duration;

use gemra_core::container::engine::survey::{self, Surveyed};
use gemra_core::container::engine::{Engine, EngineError, Places};
use gemra_core::container::image::{Ingredients, Recipe, Source, certificates};
use gemra_core::container::spec;
use gemra_core::environment::Environment;
use gemra_core::failure::{Code, Failure};
use gemra_core::settings::Settings;
use gemra_core::settings::container::Preset;

/// How long the engine may take to say whether it has the image. It needs a millisecond.
const QUESTION: Duration = Duration::from_secs(3);

/// What was found of container mode.
#[derive(Debug)]
pub(crate) struct Container {
    /// What could name an engine, in the order in which it is asked.
    pub(crate) named: Vec<Named>,
    /// The engine that answered, or why none did.
    pub(crate) engine: Result<Engine, Failure>,
    /// The sockets that were tried, with what came of each; empty where the engine's own words are all there is.
    pub(crate) attempts: Vec<String>,
    /// Every engine that is named or known, and what came of asking it.
    pub(crate) all: Vec<Surveyed>,
    /// The image of Gemra's own Dockerfile; none where no engine answers.
    pub(crate) image: Option<Result<Image, Failure>>,
}

/// Something that could name an engine.
#[derive(Debug)]
pub(crate) struct Named {
    /// The setting, or the variable.
    pub(crate) source: &'static str,
    /// What it says; none where it says nothing.
    pub(crate) value: Option<String>,
}

/// The image of Gemra's own Dockerfile, for this user and this version of the CLI.
#[derive(Debug)]
pub(crate) struct Image {
    /// Its name by fingerprint.
    pub(crate) tag: String,
    /// False where the first click on the Container button would build it.
    pub(crate) there: bool,
}

/// Looks for the engine and the image. `last` is where the app's last container was; `cli_version` is the host's, which
/// decides the image's.
pub(crate) async fn look(
    settings: &Settings,
    last: Option<&str>,
    environment: &Environment,
    cli_version: Option<String>,
) -> Container {
    let setting = Some(settings.engine.trim().to_owned()).filter(|setting| !setting.is_empty());
    let found = Engine::find_like(last, None, setting.as_deref(), environment).await;
    let own = settings.engine.clone();
    let projects =
        settings.projects.iter().map(|(path, project)| (project.engine.clone(), format!("the settings of {path}")));
    let known = std::iter::once((own, "the settings".to_owned())).chain(projects).collect();
    let all = survey::survey(known, environment, &Places::usual(environment)).await;
    let image = match &found {
        Ok(engine) => Some(image(engine, settings, cli_version).await),
        Err(_) => None,
    };
    let named = vec![
        Named { source: "engine in the settings", value: setting },
        Named { source: "DOCKER_HOST", value: environment.text("DOCKER_HOST") },
        Named { source: "DOCKER_CONTEXT", value: environment.text("DOCKER_CONTEXT") },
        Named { source: "DOCKER_CONFIG", value: environment.text("DOCKER_CONFIG") },
    ];
    let attempts = found.as_ref().err().map(attempts).unwrap_or_default();
    Container { named, engine: found.map_err(|error| Failure::from(&error)), attempts, all, image }
}

fn attempts(error: &EngineError) -> Vec<String> {
    match error {
        EngineError::NotInstalled { looked } => looked.clone(),
        EngineError::NotRunning { tried } => tried.iter().map(ToString::to_string).collect(),
        EngineError::NoPermission { tried }
        | EngineError::NotAnEngine { tried }
        | EngineError::NotTrusted { tried }
        | EngineError::NotLetIn { tried }
        | EngineError::Ssh { tried, .. } => vec![tried.to_string()],
        // Here no socket was tried: what names the engine is wrong, or the engine itself spoke.
        EngineError::BadAddress { .. }
        | EngineError::Remote { .. }
        | EngineError::NotSupported { .. }
        | EngineError::NoSuchContext { .. }
        | EngineError::BadConfig { .. }
        | EngineError::Timeout { .. }
        | EngineError::Refused { .. } => Vec::new(),
    }
}

async fn image(engine: &Engine, settings: &Settings, cli_version: Option<String>) -> Result<Image, Failure> {
    let failed = |error| Failure::from(&error);
    let (uid, gid) = spec::user(engine.about(), own_user());
    let recipe = Recipe::of(Ingredients {
        source: Source::embedded(),
        uid,
        gid,
        cli_version,
        sudo: settings.container.preset == Some(Preset::WithSudo),
        certificates: certificates::read(&settings.certificates).await.map_err(failed)?,
        // Proxies and the owner do not decide what is in the image.
        ..Ingredients::default()
    });
    let tag = recipe.await.map_err(failed)?.tag();
    let wrong = |cause: String| {
        let action = "See the engine's own log (Linux: journalctl -u docker).";
        Failure::new(Code::EngineFailed, "The engine did not say whether it has the image", cause, action)
    };
    // Listing answers with an empty list where there is none, so that no error has to be read.
    let filters = std::collections::HashMap::from([("reference".to_owned(), vec![tag.clone()])]);
    let options = bollard::query_parameters::ListImagesOptionsBuilder::new().filters(&filters).build();
    match tokio::time::timeout(QUESTION, engine.api().list_images(Some(options))).await {
        Ok(Ok(images)) => Ok(Image { tag, there: !images.is_empty() }),
        Ok(Err(error)) => Err(wrong(format!("{error}."))),
        Err(_) => Err(wrong(format!("It did not answer within {QUESTION:?}."))),
    }
}

#[cfg(unix)]
fn own_user() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

/// Windows has no such ids; the app uses these for containers there.
#[cfg(windows)]
fn own_user() -> (u32, u32) {
    (1000, 1000)
}
