//! The platform's keyring: Secret Service on Linux, the Keychain on macOS, the Credential Manager on Windows. It may ask
//! its user to unlock it, and may never answer: so each call has a thread of its own, and a limit.

use std::sync::Arc;
use std::time::Duration;

use keyring::{Entry, Error};

use super::Name;

/// Under which our entries are listed in the platform's own program.
const SERVICE: &str = "gemra";
/// How long the keyring may take: its user may be looking for the password that unlocks it.
const LIMIT: Duration = Duration::from_mins(2);

/// What a keyring can do. Each may take as long as its user does, and fails with the keyring's words.
pub(super) trait Ring: Send + Sync + 'static {
    fn is_there(&self) -> Result<(), String>;
    fn set(&self, name: Name, value: &str) -> Result<(), String>;
    fn get(&self, name: Name) -> Result<Option<String>, String>;
    /// That it is not there is what is wanted.
    fn delete(&self, name: Name) -> Result<(), String>;
}

/// The platform's keyring.
pub(super) struct Keyring {
    ring: Arc<dyn Ring>,
}

impl Default for Keyring {
    fn default() -> Self {
        Self::of(Arc::new(Platform))
    }
}

impl Keyring {
    /// One of another kind.
    pub(super) fn of(ring: Arc<dyn Ring>) -> Self {
        Self { ring }
    }

    /// Whether there is one. The answer holds for the life of the process, where it is no: the library looks once.
    ///
    /// # Errors
    /// Why not, in words.
    pub(super) async fn is_there(&self) -> Result<(), String> {
        self.call(Ring::is_there).await
    }

    /// Keeps a value, in place of the one before, and sees that it is there.
    ///
    /// # Errors
    /// The keyring's words.
    pub(super) async fn keep(&self, name: Name, value: &str) -> Result<(), String> {
        self.is_there().await?;
        let value = value.to_owned();
        self.call(move |ring| {
            ring.set(name, &value)?;
            match ring.get(name)? {
                Some(kept) if kept == value => Ok(()),
                _ => Err("it gives back something else than it was given".to_owned()),
            }
        })
        .await
    }

    /// A value, where there is one.
    ///
    /// # Errors
    /// The keyring's words.
    pub(super) async fn read(&self, name: Name) -> Result<Option<String>, String> {
        self.is_there().await?;
        self.call(move |ring| ring.get(name)).await
    }

    /// Forgets a value. That it is not there is what is wanted.
    ///
    /// # Errors
    /// The keyring's words.
    pub(super) async fn forget(&self, name: Name) -> Result<(), String> {
        self.is_there().await?;
        self.call(move |ring| ring.delete(name)).await
    }

    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Ring) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let ring = Arc::clone(&self.ring);
        call(move || work(&*ring)).await
    }
}

struct Platform;

impl Ring for Platform {
    fn is_there(&self) -> Result<(), String> {
        match Entry::store_status() {
            Ok(()) => Ok(()),
            Err(error) => Err(words(error)),
        }
    }

    fn set(&self, name: Name, value: &str) -> Result<(), String> {
        entry(name)?.set_password(value).map_err(|error| words(&error))
    }

    fn get(&self, name: Name) -> Result<Option<String>, String> {
        match entry(name)?.get_password() {
            Ok(value) => Ok(Some(value)),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(words(&error)),
        }
    }

    fn delete(&self, name: Name) -> Result<(), String> {
        match entry(name)?.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(words(&error)),
        }
    }
}

fn entry(name: Name) -> Result<Entry, String> {
    Entry::new(SERVICE, name.variable()).map_err(|error| words(&error))
}

/// Its own words, which may hold bytes of the value where that is no text.
fn words(error: &Error) -> String {
    match error {
        Error::BadEncoding(_) | Error::BadDataFormat(..) => "what it holds is no text".to_owned(),
        Error::NoDefaultStore => "there is no keyring here".to_owned(),
        other => other.to_string(),
    }
}

/// Not one of the runtime's threads: a keyring that never answers would keep the runtime from ending.
async fn call<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    let (sender, answer) = tokio::sync::oneshot::channel();
    let started = std::thread::Builder::new().name("keyring".to_owned()).spawn(move || {
        // Nobody waits any more where the limit has passed.
        let _ = sender.send(work());
    });
    started.map_err(|error| error.to_string())?;
    match tokio::time::timeout(LIMIT, answer).await {
        Ok(Ok(answered)) => answered,
        Ok(Err(_)) => Err("it could not be asked".to_owned()),
        Err(_) => Err(format!("it did not answer within {} s", LIMIT.as_secs())),
    }
}
