//! The image that the agent runs in: from which Dockerfile, under which fingerprint, built once however many want it.
//! Knows nothing of containers.

mod again;
mod bases;
mod build;
mod builder;
pub mod certificates;
mod context;
pub mod disk;
mod dockerfile;
pub mod error;
mod fetch;
pub mod file;
pub mod fit;
mod kept_logs;
mod logins;
pub mod progress;
mod shared;
pub mod source;
pub mod templates;
mod vertices;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bollard::models::ImageInspect;
use sha2::{Digest, Sha256};

pub use certificates::Certificate;
pub use error::ImageError;
pub use logins::Logins;
pub use progress::{BuildLog, Progress, Step};
pub use shared::{Building, Builds};
pub use source::{Kind, Source};

use crate::container::engine::{self, Engine};
use crate::container::labels::{self, Owner};
use crate::digest::hexadecimal;
use crate::environment::Environment;
use context::Context;
use dockerfile::{Dockerfile, Need};

/// The image's name without its tag.
pub const NAME: &str = "gemra-claude";
/// The same of images that are built from what a project has for other ends.
pub const AUTO: &str = "gemra-auto";
/// The image that was built or used last.
pub const LATEST: &str = "gemra-claude:latest";
/// Raised where what Gemra adds to a Dockerfile changes, so that images from before are built again.
const TEMPLATE: u32 = 2;
/// Proxies, which the builder knows without an ARG and keeps out of the image's history.
const PROXIES: &[&str] = &["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "FTP_PROXY"];

/// What an image is to be made of.
#[derive(Clone, Default)]
pub struct Ingredients {
    /// The Dockerfile.
    pub source: Source,
    /// The base, where the settings name one.
    pub base: Option<String>,
    /// The user id that the agent has.
    pub uid: u32,
    /// Its group id.
    pub gid: u32,
    /// The CLI's version on the host, where there is one.
    pub cli_version: Option<String>,
    /// Give the agent's user a `sudo` that asks for no password.
    pub sudo: bool,
    /// Certificates to trust.
    pub certificates: Vec<Certificate>,
    /// Proxies for the build, as [`proxies`] gives them. They may hold passwords.
    pub proxies: BTreeMap<String, String>,
    /// Who asks first.
    pub owner: Owner,
    /// What the user wishes for the build.
    pub options: Options,
}

/// What the user wishes for a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Build arguments. They are no secrets: an image tells them.
    pub arguments: BTreeMap<String, String>,
    /// The stage to build; `None` for the last.
    pub target: Option<String>,
    /// The platform, such as `linux/arm64`; `None` for the engine's own.
    pub platform: Option<String>,
    /// How long a build may say nothing. A large download says nothing for minutes.
    pub silent: Duration,
    /// Build every step again, on a base that is fetched again.
    pub fresh: bool,
    /// Fetch nothing.
    pub offline: bool,
    /// How much memory a step may have, in bytes, where the builder can keep to it.
    pub memory: Option<u64>,
    /// How much of the processors, in thousandths of one; as above.
    pub processors: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            arguments: BTreeMap::new(),
            target: None,
            platform: None,
            silent: Duration::from_mins(10),
            fresh: false,
            offline: false,
            memory: None,
            processors: None,
        }
    }
}

impl std::fmt::Debug for Ingredients {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Proxies are left out because they may hold passwords.
        formatter
            .debug_struct("Ingredients")
            .field("source", &self.source.in_words())
            .field("base", &self.base)
            .field("uid", &self.uid)
            .field("gid", &self.gid)
            .field("cli_version", &self.cli_version)
            .field("certificates", &self.certificates.len())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Ingredients that were looked through: what is sent is known, and so is the fingerprint.
#[derive(Debug, Clone)]
pub struct Recipe {
    ingredients: Ingredients,
    context: Context,
    /// What in the Dockerfile only `BuildKit` understands.
    need: Option<Need>,
    fingerprint: String,
}

/// Files that a build copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Their paths below the folder that they are taken from, folders among them.
    pub paths: Vec<PathBuf>,
    /// Of their names, their kinds and all that is in them.
    pub digest: Vec<u8>,
}

/// An image that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The engine's id.
    pub id: String,
    /// Its name by fingerprint, under which no other image is ever found.
    pub tag: String,
    /// False where it was there already.
    pub built: bool,
}

impl Recipe {
    /// Looks through what the image is made of.
    ///
    /// # Errors
    /// [`ImageError::BadDockerfile`] where it has no base or not the stage that is wished for,
    /// [`ImageError::BadContext`] where the workspace's files cannot be read.
    pub async fn of(mut ingredients: Ingredients) -> Result<Self, ImageError> {
        let file = ingredients.source.file();
        let bad = |cause: String| ImageError::BadDockerfile { file: file.clone(), cause };
        if let Some(target) = &ingredients.options.target {
            // What follows the stage is not looked at: so the stage is the last one, for every builder.
            let text = Dockerfile::read(&ingredients.source.text).up_to(target);
            ingredients.source.text = text.ok_or_else(|| bad(format!("it has no stage {target}")))?;
        }
        let (sources, need) = {
            let dockerfile = Dockerfile::read(&ingredients.source.text);
            if dockerfile.base().is_none() {
                return Err(bad("it has no FROM".to_owned()));
            }
            (dockerfile.local_sources(), dockerfile.needs_buildkit())
        };
        let mut context = match (&ingredients.source.workspace, sources.is_empty()) {
            (_, true) => Context::default(),
            (Some(workspace), false) => {
                let (workspace, file) = (workspace.clone(), file.clone());
                tokio::task::spawn_blocking(move || Context::scan(&workspace, file.as_deref(), &sources))
                    .await
                    .map_err(std::io::Error::other)
                    .and_then(|scanned| scanned)
                    .map_err(|error| ImageError::BadContext { cause: error.to_string() })?
            }
            (None, false) => return Err(bad("it copies local files, but has no folder".to_owned())),
        };
        context.allowed.clone_from(&ingredients.source.allowed);
        let fingerprint = fingerprint(&ingredients, &context);
        Ok(Self { ingredients, context, need, fingerprint })
    }

    /// The files that the build copies, read whole.
    ///
    /// # Errors
    /// [`ImageError::BadContext`] where one cannot be read.
    pub async fn files(&self) -> Result<Files, ImageError> {
        let context = self.context.clone();
        let read = tokio::task::spawn_blocking(move || {
            Ok(Files { digest: context.contents()?, paths: context.paths().to_vec() })
        });
        let read = read.await.map_err(std::io::Error::other).and_then(|read| read);
        read.map_err(|error| ImageError::BadContext { cause: error.to_string() })
    }

    /// A digest of names, kinds, sizes and times of the files that the build copies.
    pub fn copied(&self) -> &[u8] {
        &self.context.digest
    }

    /// 64 hexadecimal digits of everything that decides what is in the image.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The image's name by its fingerprint.
    pub fn tag(&self) -> String {
        format!("{}:{}", self.ingredients.source.image_name(), &self.fingerprint[..12])
    }

    /// What the image is one of a row of: the same Dockerfile for the same user. A new one replaces those before it.
    pub fn lineage(&self) -> String {
        let Ingredients { source, uid, gid, .. } = &self.ingredients;
        let from = source.file().map_or_else(|| source.in_words().to_owned(), |file| file.display().to_string());
        format!("{from} for {uid}:{gid}")
    }

    /// The base's name, build arguments put in as far as they are known before the build.
    pub fn base(&self) -> String {
        let dockerfile = Dockerfile::read(&self.ingredients.source.text);
        bases::last(&dockerfile, &self.arguments()).unwrap_or_default()
    }

    /// The images that are taken from elsewhere.
    fn taken(&self) -> Vec<bases::Taken> {
        bases::taken(&Dockerfile::read(&self.ingredients.source.text), &self.arguments())
    }

    fn arguments(&self) -> BTreeMap<String, String> {
        let mut all = arguments(&self.ingredients);
        all.extend(self.ingredients.proxies.clone());
        all
    }

    /// What is sent: the text, with the certificates trusted and the image labelled.
    fn dockerfile(&self) -> String {
        let written = Dockerfile::read(&self.ingredients.source.text);
        let mut labels: BTreeMap<String, String> =
            self.ingredients.owner.labels(&self.fingerprint).into_iter().collect();
        labels.insert(labels::SOURCE.to_owned(), self.lineage());
        let label = written.label(labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let text = if self.ingredients.certificates.is_empty() {
            self.ingredients.source.text.clone()
        } else {
            written.with_certificates()
        };
        format!("{}\n{label}\n", text.trim_end())
    }
}

/// What the engine knows of an image; `None` where it has none of that name.
pub(crate) async fn inspect(engine: &Engine, name: &str) -> Result<Option<ImageInspect>, ImageError> {
    let asked = async {
        match engine.api().inspect_image(name).await {
            Ok(image) => Ok(Some(image)),
            Err(error) if engine::status(&error) == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    };
    Ok(engine::question("whether the image is there", asked).await?)
}

/// The proxies in `environment`, in both spellings, for a build.
pub fn proxies(environment: &Environment) -> BTreeMap<String, String> {
    PROXIES
        .iter()
        .flat_map(|name| [(*name).to_owned(), name.to_ascii_lowercase()])
        .filter_map(|name| Some((name.clone(), environment.text(&name)?)))
        .collect()
}

fn arguments(ingredients: &Ingredients) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    if let Some(base) = &ingredients.base {
        all.insert("BASE_IMAGE".to_owned(), base.clone());
    }
    if let Some(version) = &ingredients.cli_version {
        all.insert("CLAUDE_CODE_VERSION".to_owned(), version.clone());
    }
    if ingredients.sudo {
        all.insert("WITH_SUDO".to_owned(), "1".to_owned());
    }
    all.extend(ingredients.options.arguments.clone());
    all.insert("USER_UID".to_owned(), ingredients.uid.to_string());
    all.insert("USER_GID".to_owned(), ingredients.gid.to_string());
    if !ingredients.source.brings_the_agent() {
        // Written for other ends, it shall not be built again because of what it does not know.
        let dockerfile = Dockerfile::read(&ingredients.source.text);
        all.retain(|name, _| dockerfile.declares(name) || ingredients.options.arguments.contains_key(name));
    }
    all
}

/// Proxies are not in it: they decide how something is fetched, not what, and may hold passwords.
fn fingerprint(ingredients: &Ingredients, context: &Context) -> String {
    let mut digest = Sha256::new();
    let mut part = |name: &str, bytes: &[u8]| {
        // Lengths keep one part from running into the next.
        digest.update(format!("{name} {}\n", bytes.len()));
        digest.update(bytes);
    };
    part("template", &TEMPLATE.to_be_bytes());
    part("dockerfile", ingredients.source.text.as_bytes());
    for (name, value) in arguments(ingredients) {
        part(&name, value.as_bytes());
    }
    for certificate in &ingredients.certificates {
        part("certificate", certificate.pem.as_bytes());
    }
    part("context", &context.digest);
    if let Some(platform) = &ingredients.options.platform {
        part("platform", platform.as_bytes());
    }
    hexadecimal(&digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ingredients() -> Ingredients {
        Ingredients {
            source: Source::of_kind(None, "FROM a\nFROM b AS one\nFROM c\n".to_owned(), Kind::Own),
            uid: 1000,
            gid: 1000,
            cli_version: Some("1.2.3".to_owned()),
            ..Ingredients::default()
        }
    }

    async fn fingerprint_of(change: impl FnOnce(&mut Ingredients)) -> String {
        let mut all = ingredients();
        change(&mut all);
        Recipe::of(all).await.unwrap().fingerprint().to_owned()
    }

    type Change = (&'static str, bool, fn(&mut Ingredients));

    #[tokio::test]
    async fn the_fingerprint_follows_what_is_in_the_image() {
        let plain = fingerprint_of(|_| {}).await;
        let cases: &[Change] = &[
            ("the Dockerfile", true, |all| all.source.text.push_str("RUN true\n")),
            ("the base", true, |all| all.base = Some("b".to_owned())),
            ("the user", true, |all| all.uid = 1001),
            ("the group", true, |all| all.gid = 1001),
            ("the CLI", true, |all| all.cli_version = None),
            ("sudo", true, |all| all.sudo = true),
            ("a certificate", true, |all| {
                all.certificates.push(Certificate { name: "a".to_owned(), pem: "b".to_owned() });
            }),
            ("a build argument", true, |all| {
                all.options.arguments.insert("A".to_owned(), "b".to_owned());
            }),
            ("the stage", true, |all| all.options.target = Some("one".to_owned())),
            ("the platform", true, |all| all.options.platform = Some("linux/arm64".to_owned())),
            ("a build from scratch", false, |all| all.options.fresh = true),
            ("being offline", false, |all| all.options.offline = true),
            ("its steps' limits", false, |all| all.options.processors = Some(1)),
            ("patience", false, |all| all.options.silent = Duration::from_secs(1)),
            ("a proxy", false, |all| {
                all.proxies.insert("HTTP_PROXY".to_owned(), "http://user:secret@box".to_owned());
            }),
            ("who asks", false, |all| all.owner.tab = "other".to_owned()),
        ];
        for (what, changes_it, change) in cases {
            let other = fingerprint_of(change).await;
            assert_eq!(other != plain, *changes_it, "{what} changes the image: {changes_it}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_built_is_refused_at_once() {
        let refused = async |text: &str| {
            let mut all = ingredients();
            text.clone_into(&mut all.source.text);
            Recipe::of(all).await.unwrap_err()
        };
        assert!(matches!(refused("RUN x\n").await, ImageError::BadDockerfile { .. }), "there is nothing to begin from");
        assert!(matches!(refused("FROM a\nCOPY x /\n").await, ImageError::BadDockerfile { .. }), "there is no folder");
        let mut all = ingredients();
        all.options.target = Some("two".to_owned());
        let error = Recipe::of(all).await.unwrap_err().to_string();
        assert!(error.contains("no stage two"), "a stage that is not there is named: {error}");
    }

    #[tokio::test]
    async fn a_projects_usual_dockerfile_is_told_only_what_it_asks_for() {
        let of = async |text: &str| {
            let mut all = ingredients();
            all.source = Source::of_kind(None, text.to_owned(), Kind::Usual);
            all.options.arguments.insert("MINE".to_owned(), "1".to_owned());
            Recipe::of(all).await.unwrap()
        };
        let names = |recipe: &Recipe| recipe.arguments().into_keys().collect::<Vec<_>>();
        let plain = of("FROM a\n").await;
        assert_eq!(names(&plain), ["MINE"], "the user's own argument, and none of ours");
        assert!(plain.tag().starts_with("gemra-auto:"), "its image has a name of its own: {}", plain.tag());
        let asks = of("FROM a\nARG USER_UID=1\n").await;
        assert_eq!(names(&asks), ["MINE", "USER_UID"], "what it declares it gets");
    }

    #[test]
    fn proxies_are_taken_in_both_spellings() {
        let environment = Environment::of([("HTTP_PROXY", "a"), ("https_proxy", "b"), ("OTHER", "c")]);
        let found = proxies(&environment);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["HTTP_PROXY", "https_proxy"], "and nothing else");
    }

    #[test]
    fn passwords_in_proxies_are_not_printed() {
        let mut all = ingredients();
        all.proxies.insert("HTTP_PROXY".to_owned(), "http://user:secret@box".to_owned());
        assert!(!format!("{all:?}").contains("secret"), "Debug ends up in logs");
    }
}
