//! The user's own keys and the model's address: kept in the platform's keyring where there is one, else in a file that
//! only its owner can read. It refuses to know what an agent does with them, and never shows a value.

mod keyring;
pub mod login;
mod stored;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::keyring::Keyring;
use self::stored::Stored;
use crate::environment::Environment;
use crate::failure::{Code, Failure};

/// What can be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// The key of the model's API.
    ApiKey,
    /// The token that a gateway wants instead.
    AuthToken,
    /// What `claude setup-token` prints.
    OauthToken,
    /// The address of the model's API, where it is another than the usual one.
    BaseUrl,
    /// The token for GitHub.
    GithubToken,
}

/// Those by which an agent is logged in: the CLI takes one of them, whichever it likes best.
const LOGINS: &[Name] = &[Name::ApiKey, Name::AuthToken, Name::OauthToken];

impl Name {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 5] = [Self::ApiKey, Self::BaseUrl, Self::AuthToken, Self::OauthToken, Self::GithubToken];

    /// The variable by which the agent gets it.
    pub fn variable(self) -> &'static str {
        match self {
            Self::ApiKey => "ANTHROPIC_API_KEY",
            Self::AuthToken => "ANTHROPIC_AUTH_TOKEN",
            Self::OauthToken => "CLAUDE_CODE_OAUTH_TOKEN",
            Self::BaseUrl => "ANTHROPIC_BASE_URL",
            Self::GithubToken => "GITHUB_TOKEN",
        }
    }

    /// The one with this variable.
    pub fn of(variable: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.variable() == variable)
    }
}

/// Where something is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// In the platform's keyring.
    Keyring,
    /// In a file of Gemra's that only its owner can read.
    File,
}

/// What is known of one of them; never its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Which.
    pub name: Name,
    /// Where it is kept; `None` where it is not set.
    pub kept: Option<Kept>,
    /// True where the environment that Gemra was started with has it too: that one counts where none is set here.
    pub inherited: bool,
    /// An address without its user and password. Of a key, nothing.
    pub shown: Option<String>,
}

/// What is set and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Each of [`Name::ALL`].
    pub known: Vec<Known>,
    /// Where the next one that is set will be kept.
    pub keeps_in: Kept,
    /// The file.
    pub file: PathBuf,
    /// Why it is the file, where it is.
    pub reason: Option<String>,
}

/// Why a credential was not kept, read or forgotten. No value is in it.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// It is nothing that could be one.
    #[error("{variable} {why}", variable = name.variable())]
    BadValue {
        /// Which.
        name: Name,
        /// Why.
        why: &'static str,
    },
    /// The file could not be read or written.
    #[error("{path} cannot be used: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// The keyring holds it and would not give it, or not forget it.
    #[error("{variable} is in the keyring, which does not answer as it should: {why}", variable = name.variable())]
    Keyring {
        /// Which.
        name: Name,
        /// The keyring's words.
        why: String,
    },
}

impl From<&CredentialsError> for Failure {
    fn from(error: &CredentialsError) -> Self {
        let action = match error {
            CredentialsError::BadValue { .. } => "Correct it, then set it again.",
            CredentialsError::File { .. } => "See that the file and its folder are yours and hold what Gemra wrote.",
            CredentialsError::Keyring { .. } => {
                "Unlock the keyring, then try again; or set the value anew in Settings."
            }
        };
        Self::new(Code::CredentialsFailed, "The keys could not be used", format!("{error}."), action)
    }
}

/// The user's own keys, of which `Debug` shows the names.
pub struct Credentials {
    path: PathBuf,
    /// Why the keyring is not to be used, where it is not.
    without_keyring: Option<&'static str>,
    keyring: Keyring,
    /// One change at a time; true once everything was read.
    read: tokio::sync::Mutex<bool>,
    held: Mutex<Held>,
}

/// What has been read.
#[derive(Default)]
struct Held {
    stored: Stored,
    of_keyring: BTreeMap<Name, String>,
    /// Why the keyring was not used when it was last tried.
    refused: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.values().keys()).finish()
    }
}

impl Credentials {
    /// Those whose file is `path`. With `GEMRA_HOME` set nothing is written elsewhere, and the keyring is elsewhere.
    pub fn new(path: PathBuf, environment: &Environment) -> Arc<Self> {
        let without_keyring = environment.os("GEMRA_HOME").map(|_| "GEMRA_HOME is set, and nothing is kept elsewhere");
        Arc::new(Self {
            path,
            without_keyring,
            keyring: Keyring::default(),
            read: tokio::sync::Mutex::new(false),
            held: Mutex::default(),
        })
    }

    /// The same, with another keyring.
    #[cfg(test)]
    fn with_ring(path: PathBuf, ring: Arc<dyn keyring::Ring>) -> Self {
        Self {
            path,
            without_keyring: None,
            keyring: Keyring::of(ring),
            read: tokio::sync::Mutex::new(false),
            held: Mutex::default(),
        }
    }

    /// Reads what is kept, once. The keyring is asked only where something of ours is in it, or could be.
    ///
    /// # Errors
    /// [`CredentialsError`] where something is kept and cannot be had; the next call tries again.
    pub async fn ready(&self) -> Result<(), CredentialsError> {
        let mut read = self.read.lock().await;
        if !*read {
            self.read_all().await?;
            *read = true;
        }
        Ok(())
    }

    /// What the user has set, as far as it has been read.
    pub fn values(&self) -> BTreeMap<Name, String> {
        let held = self.held();
        held.stored.values.iter().chain(&held.of_keyring).map(|(name, value)| (*name, value.clone())).collect()
    }

    /// Which are set, and where they are kept.
    pub(crate) fn kept(&self) -> Vec<(Name, Kept)> {
        let held = self.held();
        let in_file = held.stored.values.keys().map(|name| (*name, Kept::File));
        in_file.chain(held.of_keyring.keys().map(|name| (*name, Kept::Keyring))).collect()
    }

    /// What is done to the environment that Gemra was started with before an agent gets it: variables that are set, and
    /// with `None` removed. `project` is the project's own, which is nearer. Where one way to log in is set, the others
    /// that are further away go, since the CLI would take any of them.
    pub fn changes(&self, project: Vec<(String, String)>) -> BTreeMap<String, Option<String>> {
        let values = self.values();
        let is_login = |name: &Name| LOGINS.contains(name);
        let project_logs_in = project.iter().any(|(name, _)| Name::of(name).is_some_and(|name| is_login(&name)));
        let mut changes = BTreeMap::new();
        if values.keys().any(is_login) && !project_logs_in {
            changes.extend(LOGINS.iter().map(|name| (name.variable().to_owned(), None)));
        }
        if values.contains_key(&Name::GithubToken) {
            // The same for GitHub's command line, which likes it better.
            changes.insert("GH_TOKEN".to_owned(), None);
        }
        let ours = values.into_iter().filter(|(name, _)| !(project_logs_in && is_login(name)));
        changes.extend(ours.map(|(name, value)| (name.variable().to_owned(), Some(value))));
        changes.extend(project.into_iter().map(|(name, value)| (name, Some(value))));
        changes
    }

    /// What is set and where. A keyring that does not give what it holds is told as the reason: what is in it can
    /// still be set anew.
    ///
    /// # Errors
    /// [`CredentialsError`] where the file cannot be used.
    pub async fn list(&self, environment: &Environment) -> Result<Listing, CredentialsError> {
        let silent = match self.ready().await {
            Ok(()) => None,
            Err(CredentialsError::Keyring { why, .. }) => Some(why),
            Err(error) => return Err(error),
        };
        let refused = match self.without_keyring {
            Some(why) => Some(why.to_owned()),
            None => match self.keyring.is_there().await {
                Ok(()) => silent.or_else(|| self.held().refused.clone()),
                Err(why) => Some(why),
            },
        };
        let held = self.held();
        let known = Name::ALL.map(|name| {
            let in_file = held.stored.values.get(&name);
            let in_keyring = held.of_keyring.get(&name);
            let in_the_ring = held.stored.in_keyring.contains(&name);
            let kept = in_the_ring.then_some(Kept::Keyring).or(in_file.map(|_| Kept::File));
            let address = (name == Name::BaseUrl).then(|| in_keyring.or(in_file)).flatten();
            let inherited = environment.os(name.variable()).is_some();
            Known { name, kept, inherited, shown: address.map(|address| without_user(address)) }
        });
        Ok(Listing {
            known: known.to_vec(),
            keeps_in: if refused.is_none() { Kept::Keyring } else { Kept::File },
            file: self.path.clone(),
            reason: refused,
        })
    }

    /// Keeps a value, in place of the one before. It says where.
    ///
    /// # Errors
    /// [`CredentialsError`]; what was kept before still is.
    pub async fn set(&self, name: Name, value: &str) -> Result<Kept, CredentialsError> {
        let value = value.trim();
        check(name, value)?;
        let mut read = self.read.lock().await;
        if !*read {
            // What cannot be read is replaced; the rest is read when it is needed.
            self.read_file().await?;
        }
        let kept = self.keep(name, value).await?;
        if !*read {
            *read = self.read_all().await.is_ok();
        }
        Ok(kept)
    }

    /// Forgets a value, wherever it is kept.
    ///
    /// # Errors
    /// [`CredentialsError`]; it may still be there then.
    pub async fn forget(&self, name: Name) -> Result<(), CredentialsError> {
        let _one_at_a_time = self.read.lock().await;
        self.read_file().await?;
        let mut stored = self.held().stored.clone();
        stored.values.remove(&name);
        if stored.in_keyring.contains(&name) || stored.to_clear.contains(&name) {
            if let Err(why) = self.keyring.forget(name).await {
                self.write_changed(stored).await?;
                return Err(CredentialsError::Keyring { name, why });
            }
            stored.in_keyring.remove(&name);
            stored.to_clear.remove(&name);
        }
        self.write(stored).await?;
        self.held().of_keyring.remove(&name);
        Ok(())
    }

    async fn keep(&self, name: Name, value: &str) -> Result<Kept, CredentialsError> {
        let refused = match self.without_keyring {
            Some(_) => None,
            None => match self.keep_in_keyring(name, value).await? {
                None => return Ok(Kept::Keyring),
                why => why,
            },
        };
        let mut stored = self.held().stored.clone();
        stored.values.insert(name, value.to_owned());
        if stored.in_keyring.remove(&name) {
            // The one before is in there still.
            stored.to_clear.insert(name);
        }
        self.write(stored).await?;
        let mut held = self.held();
        held.of_keyring.remove(&name);
        held.refused = refused;
        Ok(Kept::File)
    }

    /// Keeps a value in the keyring, or gives why that refuses. What is in there counts only once the file says so.
    async fn keep_in_keyring(&self, name: Name, value: &str) -> Result<Option<String>, CredentialsError> {
        if let Err(why) = self.keyring.is_there().await {
            return Ok(Some(why));
        }
        let mut stored = self.held().stored.clone();
        if !stored.in_keyring.contains(&name) {
            stored.to_clear.insert(name);
            self.write_changed(stored.clone()).await?;
        }
        if let Err(why) = self.keyring.keep(name, value).await {
            return Ok(Some(why));
        }
        stored.values.remove(&name);
        stored.to_clear.remove(&name);
        stored.in_keyring.insert(name);
        self.write_changed(stored).await?;
        let mut held = self.held();
        held.of_keyring.insert(name, value.to_owned());
        held.refused = None;
        Ok(None)
    }

    /// Takes out of the keyring what counts for nothing there. What it does not let go of now it may the next time.
    async fn clear(&self) -> Result<(), CredentialsError> {
        let mut stored = self.held().stored.clone();
        if self.without_keyring.is_some() || stored.to_clear.is_empty() || self.keyring.is_there().await.is_err() {
            return Ok(());
        }
        for name in stored.to_clear.clone() {
            match self.keyring.forget(name).await {
                Ok(()) => drop(stored.to_clear.remove(&name)),
                Err(error) => {
                    tracing::warn!(variable = name.variable(), error, "an old value stays in the keyring for now");
                }
            }
        }
        self.write_changed(stored).await
    }

    async fn read_all(&self) -> Result<(), CredentialsError> {
        self.read_file().await?;
        let wanted: BTreeSet<Name> = self.held().stored.in_keyring.clone();
        for name in wanted {
            let failed = |why| CredentialsError::Keyring { name, why };
            let value = self.keyring.read(name).await.map_err(failed)?;
            let value = value.ok_or_else(|| failed("it is not there any more".to_owned()))?;
            self.held().of_keyring.insert(name, value);
        }
        // A keyring that was not there when these were set may have come.
        let waiting = self.held().stored.values.clone();
        if self.without_keyring.is_none() && !waiting.is_empty() && self.keyring.is_there().await.is_ok() {
            for (name, value) in waiting {
                if self.keep(name, &value).await? == Kept::File {
                    break;
                }
                tracing::info!(variable = name.variable(), "moved from the file to the keyring");
            }
        }
        self.clear().await
    }

    async fn read_file(&self) -> Result<(), CredentialsError> {
        let path = self.path.clone();
        let stored = aside(&self.path, move || stored::read(&path)).await?;
        self.held().stored = stored;
        Ok(())
    }

    async fn write_changed(&self, stored: Stored) -> Result<(), CredentialsError> {
        let changed = self.held().stored != stored;
        if changed { self.write(stored).await } else { Ok(()) }
    }

    async fn write(&self, stored: Stored) -> Result<(), CredentialsError> {
        let (path, text) = (self.path.clone(), stored.clone());
        aside(&self.path, move || stored::write(&path, &text)).await?;
        self.held().stored = stored;
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Works on the file beside the runtime's own threads.
async fn aside<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, CredentialsError> {
    let failed = |source| CredentialsError::File { path: path.to_owned(), source };
    tokio::task::spawn_blocking(work).await.map_err(|error| failed(std::io::Error::other(error)))?.map_err(failed)
}

/// A key that was pasted with something around it fails at the API with words that nobody understands.
fn check(name: Name, value: &str) -> Result<(), CredentialsError> {
    let bad = |why| Err(CredentialsError::BadValue { name, why });
    if value.is_empty() {
        return bad("is empty");
    }
    if value.chars().any(|character| character.is_control() || character.is_whitespace()) {
        return bad("holds a blank or a line break, which none has");
    }
    if name == Name::BaseUrl {
        let host = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://"));
        if host.is_none_or(|host| host.trim_start_matches('/').is_empty()) {
            return bad("is no address: it begins with https:// or http://, and a host follows");
        }
    } else if !value.is_ascii() {
        return bad("holds letters that no key has");
    }
    Ok(())
}

fn without_user(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return String::new() };
    let (host, path) = rest.find(['/', '?', '#']).map_or((rest, ""), |at| rest.split_at(at));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    // A key may be in the query, too.
    let path = path.split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests;
