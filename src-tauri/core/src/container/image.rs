//! The image that the agent runs in: from which Dockerfile, under which fingerprint, built once however many want it.
//! Knows nothing of containers.

mod build;
pub mod certificates;
mod context;
mod dockerfile;
pub mod error;
pub mod progress;
mod shared;
pub mod source;

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

pub use certificates::Certificate;
pub use error::ImageError;
pub use progress::{BuildLog, Progress, Step};
pub use shared::{Building, Builds};
pub use source::Source;

use crate::container::labels::Owner;
use crate::digest::hexadecimal;
use crate::environment::Environment;
use context::Context;
use dockerfile::Dockerfile;

/// The image's name without its tag.
pub const NAME: &str = "gemra-claude";
/// The image that was built or used last.
pub const LATEST: &str = "gemra-claude:latest";
/// Raised where what Gemra adds to a Dockerfile changes, so that images from before are built again.
const TEMPLATE: u32 = 2;
/// Proxies, which the builder knows without an ARG and keeps out of the image's history.
const PROXIES: &[&str] = &["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "FTP_PROXY"];

/// What an image is to be made of.
#[derive(Clone)]
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
    /// Certificates to trust.
    pub certificates: Vec<Certificate>,
    /// Proxies for the build, as [`proxies`] gives them. They may hold passwords.
    pub proxies: BTreeMap<String, String>,
    /// Who asks first.
    pub owner: Owner,
    /// What is wished for the build.
    pub options: Options,
}

/// What is wished for a build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Build arguments. They are no secrets: an image tells them.
    pub arguments: BTreeMap<String, String>,
    /// The stage to build; `None` for the last.
    pub target: Option<String>,
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
            .finish_non_exhaustive()
    }
}

/// Ingredients that were looked through: what is sent is known, and so is the fingerprint.
#[derive(Debug, Clone)]
pub struct Recipe {
    ingredients: Ingredients,
    context: Context,
    fingerprint: String,
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
    /// [`ImageError::NeedsBuildkit`] where the Dockerfile says so itself, [`ImageError::BadDockerfile`] where it has
    /// no base, [`ImageError::BadContext`] where the workspace's files cannot be read.
    pub async fn of(ingredients: Ingredients) -> Result<Self, ImageError> {
        let (sources, file) = {
            let dockerfile = Dockerfile::read(&ingredients.source.text);
            let file = ingredients.source.file();
            if let Some((line, what)) = dockerfile.needs_buildkit() {
                return Err(ImageError::NeedsBuildkit { file, what: format!("line {line}, {what}") });
            }
            if dockerfile.base().is_none() {
                return Err(ImageError::BadDockerfile { file, cause: "it has no FROM".to_owned() });
            }
            (dockerfile.local_sources(), file)
        };
        let context = match (&ingredients.source.workspace, sources.is_empty()) {
            (_, true) => Context::default(),
            (Some(workspace), false) => {
                let workspace = workspace.clone();
                tokio::task::spawn_blocking(move || Context::scan(&workspace, &sources))
                    .await
                    .map_err(std::io::Error::other)
                    .and_then(|scanned| scanned)
                    .map_err(|error| ImageError::BadContext { cause: error.to_string() })?
            }
            (None, false) => {
                let cause = "it copies local files, but has no folder".to_owned();
                return Err(ImageError::BadDockerfile { file, cause });
            }
        };
        let fingerprint = fingerprint(&ingredients, &context);
        Ok(Self { ingredients, context, fingerprint })
    }

    /// 64 hexadecimal digits of everything that decides what is in the image.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The image's name by its fingerprint.
    pub fn tag(&self) -> String {
        format!("{NAME}:{}", &self.fingerprint[..12])
    }

    fn arguments(&self) -> BTreeMap<String, String> {
        let mut all = arguments(&self.ingredients);
        all.extend(self.ingredients.proxies.clone());
        all
    }

    /// What is sent: the text, with the certificates trusted and the image labelled.
    fn dockerfile(&self) -> String {
        let written = Dockerfile::read(&self.ingredients.source.text);
        let labels: BTreeMap<String, String> = self.ingredients.owner.labels(&self.fingerprint).into_iter().collect();
        let label = written.label(labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let text = if self.ingredients.certificates.is_empty() {
            self.ingredients.source.text.clone()
        } else {
            written.with_certificates()
        };
        format!("{}\n{label}\n", text.trim_end())
    }
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
    let mut all = BTreeMap::from([
        ("USER_UID".to_owned(), ingredients.uid.to_string()),
        ("USER_GID".to_owned(), ingredients.gid.to_string()),
    ]);
    if let Some(base) = &ingredients.base {
        all.insert("BASE_IMAGE".to_owned(), base.clone());
    }
    if let Some(version) = &ingredients.cli_version {
        all.insert("CLAUDE_CODE_VERSION".to_owned(), version.clone());
    }
    all.extend(ingredients.options.arguments.clone());
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
    part("target", ingredients.options.target.as_deref().unwrap_or_default().as_bytes());
    hexadecimal(&digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ingredients() -> Ingredients {
        Ingredients {
            source: Source { workspace: None, text: "FROM a\n".to_owned() },
            base: None,
            uid: 1000,
            gid: 1000,
            cli_version: Some("1.2.3".to_owned()),
            certificates: Vec::new(),
            proxies: BTreeMap::new(),
            owner: Owner::default(),
            options: Options::default(),
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
            ("a certificate", true, |all| {
                all.certificates.push(Certificate { name: "a".to_owned(), pem: "b".to_owned() });
            }),
            ("a build argument", true, |all| {
                all.options.arguments.insert("A".to_owned(), "b".to_owned());
            }),
            ("the stage", true, |all| all.options.target = Some("a".to_owned())),
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
        let error = refused("FROM a\nRUN --mount=type=cache,target=/x true\n").await.to_string();
        assert!(error.contains("line 2, RUN --mount"), "the line is named: {error}");
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
