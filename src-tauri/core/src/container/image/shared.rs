//! One build for all tabs that want the same image: the first begins it, the others watch, and it is cancelled when
//! the last of them leaves.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

use super::fit::{self, Fit};
use super::progress::{BuildLog, Progress};
use super::{Image, ImageError, Logins, Options, Recipe, build, disk, fetch, kept_logs};
use crate::container::engine::Engine;

/// The builds under way. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Builds {
    running: Arc<Mutex<HashMap<Key, Weak<Seat>>>>,
    tidying: Arc<Tidying>,
    /// What was found of images that were not made for Gemra, by the engine, the image's id and the user.
    fits: Arc<Mutex<HashMap<Looked, Fit>>>,
    /// Where logs are kept as files.
    logs: Option<PathBuf>,
    /// Where the user's logins at registries are.
    logins: Logins,
}

/// Removes images that were replaced, after a build, so that nobody waits for it. Ends with the last of the [`Builds`].
#[derive(Debug, Default)]
struct Tidying {
    task: Mutex<Option<AbortOnDropHandle<()>>>,
}

impl Tidying {
    fn begin(&self, engine: Engine, lineage: String, image: Image) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        // One at a time: what it leaves, the next build's removes.
        if task.as_ref().is_none_or(AbortOnDropHandle::is_finished) {
            *task = Some(AbortOnDropHandle::new(tokio::spawn(async move {
                disk::tidy(&engine, &lineage, &image).await;
            })));
        }
    }
}

/// The engine's address, the image's id, and the user.
type Looked = (String, String, u32);

/// The engine's address, the image's fingerprint or name, and whether it is made from scratch.
type Key = (String, String, bool);

/// A place at a build. Clones share it; the build is cancelled when the last place of all is given up.
#[derive(Debug, Clone)]
pub struct Building {
    seat: Arc<Seat>,
}

#[derive(Debug)]
struct Seat {
    shared: Arc<Shared>,
    _cancel: DropGuard,
}

#[derive(Debug)]
struct Shared {
    told: Arc<Told>,
    outcome: watch::Sender<Option<Result<Image, ImageError>>>,
    file: OnceLock<PathBuf>,
}

/// What is said while an image is made or fetched.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) log: BuildLog,
    pub(super) progress: watch::Sender<Progress>,
}

impl Default for Told {
    fn default() -> Self {
        Self { log: BuildLog::default(), progress: watch::Sender::new(Progress::default()) }
    }
}

impl Told {
    /// Says a line of our own.
    pub(super) fn say(&self, line: &str) {
        let lines = self.log.push(line.to_owned());
        self.progress.send_modify(|progress| {
            progress.lines = lines;
            progress.line = Some(line.to_owned());
        });
    }
}

impl Builds {
    /// The same, with the last logs kept as files in a folder.
    pub fn keeping_logs(folder: PathBuf) -> Self {
        Self { logs: Some(folder), ..Self::default() }
    }

    /// The same, with the user's logins at registries.
    #[must_use]
    pub fn with_logins(self, logins: Logins) -> Self {
        Self { logins, ..self }
    }

    /// Finds or builds the image of `recipe`, together with whoever is doing so already. Must be called on the async
    /// runtime.
    pub fn image(&self, engine: &Engine, recipe: Recipe) -> Building {
        let key = (engine.address().to_string(), recipe.fingerprint().to_owned(), recipe.ingredients.options.fresh);
        let (tidying, at) = (Arc::downgrade(&self.tidying), engine.clone());
        let lineage = recipe.lineage();
        let tidy = move |image: &Image| {
            if let Some(tidying) = tidying.upgrade() {
                tidying.begin(at, lineage, image.clone());
            }
        };
        let (engine, name, logins) = (engine.clone(), recipe.tag(), self.logins.clone());
        let work = |told: Arc<Told>| async move { build::image(&engine, recipe, &logins, &told).await };
        self.begin(key, name, work, tidy)
    }

    /// Finds or fetches an image by its name, in the same way.
    pub fn named(&self, engine: &Engine, name: &str, options: Options) -> Building {
        let platform = options.platform.clone().unwrap_or_default();
        let key = (engine.address().to_string(), format!("{name} {platform}"), options.fresh);
        let (engine, name, logins) = (engine.clone(), name.to_owned(), self.logins.clone());
        let called = name.clone();
        let work = |told: Arc<Told>| async move { fetch::image(&engine, &name, &options, &logins, &told).await };
        self.begin(key, called, work, |_| {})
    }

    /// What a container of an image needs that was not made for Gemra. Asked once for each.
    ///
    /// # Errors
    /// [`ImageError`] where the agent cannot be in such a container.
    pub async fn fit(&self, engine: &Engine, question: fit::Question) -> Result<Fit, ImageError> {
        let key = (engine.address().to_string(), question.id.clone(), question.user.0);
        let known = self.fits.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        // This machine's CLI may have gone, or come in a new version under another path.
        if let Some(fit) = known.filter(|fit| fit.claude.as_ref().is_none_or(|claude| claude.exists())) {
            return Ok(fit);
        }
        let fit = fit::look(engine, &question).await?;
        self.fits.lock().unwrap_or_else(PoisonError::into_inner).insert(key, fit.clone());
        Ok(fit)
    }

    fn begin<F>(
        &self,
        key: Key,
        name: String,
        work: impl FnOnce(Arc<Told>) -> F,
        tidy: impl FnOnce(&Image) + Send + 'static,
    ) -> Building
    where
        F: Future<Output = Result<Image, ImageError>> + Send + 'static,
    {
        let mut running = match self.running.lock() {
            Ok(running) => running,
            // A panic elsewhere leaves at worst a build that others do not find.
            Err(poisoned) => poisoned.into_inner(),
        };
        running.retain(|_, seat| seat.strong_count() > 0);
        let open = running.get(&key).and_then(Weak::upgrade).filter(|seat| seat.shared.outcome.borrow().is_none());
        if let Some(seat) = open {
            return Building { seat };
        }
        let cancel = CancellationToken::new();
        let shared =
            Arc::new(Shared { told: Arc::default(), outcome: watch::Sender::new(None), file: OnceLock::new() });
        let seat = Arc::new(Seat { shared: Arc::clone(&shared), _cancel: cancel.clone().drop_guard() });
        running.insert(key, Arc::downgrade(&seat));
        let logs = self.logs.clone();
        let work = work(Arc::clone(&shared.told));
        tokio::spawn(async move {
            let result = tokio::select! {
                result = work => result,
                // Leaving the connection is how the engine learns that nobody waits: it stops the step under way.
                () = cancel.cancelled() => Err(ImageError::Cancelled),
            };
            if let Some(folder) = logs {
                keep(&shared, folder, name, result.as_ref().err().map(ToString::to_string)).await;
            }
            let built = result.as_ref().ok().filter(|image| image.built).cloned();
            shared.outcome.send_replace(Some(result));
            if let Some(image) = built {
                tidy(&image);
            }
        });
        Building { seat }
    }
}

/// Writes the log to a file, where anything was said.
async fn keep(shared: &Shared, folder: PathBuf, name: String, failure: Option<String>) {
    let mut text = shared.told.log.whole();
    if text.is_empty() {
        return;
    }
    text.extend(failure.map(|failure| format!("{failure}.\n")));
    match tokio::task::spawn_blocking(move || kept_logs::write(&folder, &name, &text)).await {
        Ok(Ok(file)) => drop(shared.file.set(file)),
        Ok(Err(error)) => tracing::warn!(%error, "a build's log was not kept"),
        Err(error) => tracing::warn!(%error, "a build's log was not kept"),
    }
}

impl Building {
    /// How far it is.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.seat.shared.told.progress.subscribe()
    }

    /// What was said.
    pub fn log(&self) -> &BuildLog {
        &self.seat.shared.told.log
    }

    /// The file that holds what was said, once it has ended and where anything was said.
    pub fn log_file(&self) -> Option<&PathBuf> {
        self.seat.shared.file.get()
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// [`ImageError`] says why there is no image.
    pub async fn outcome(&self) -> Result<Image, ImageError> {
        let mut outcome = self.seat.shared.outcome.subscribe();
        // The sender lives as long as this seat, so that the wait ends with an outcome; the rest is for the compiler.
        match outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Err(ImageError::Cancelled)),
            Err(_) => Err(ImageError::Cancelled),
        }
    }
}
