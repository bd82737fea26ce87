//! One build for all tabs that want the same image: the first begins it, the others watch, and it is cancelled when
//! the last of them leaves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

use super::progress::{BuildLog, Progress};
use super::{Image, ImageError, Recipe, build};
use crate::container::engine::Engine;

/// The builds under way. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Builds {
    running: Arc<Mutex<HashMap<Key, Weak<Seat>>>>,
    tidying: Arc<Tidying>,
}

/// Removes images that were replaced, after a build, so that nobody waits for it. Ends with the last of the [`Builds`].
#[derive(Debug, Default)]
struct Tidying {
    task: Mutex<Option<AbortOnDropHandle<()>>>,
}

impl Tidying {
    fn begin(&self, engine: Engine) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        // One at a time: what it leaves, the next build's removes.
        if task.as_ref().is_none_or(AbortOnDropHandle::is_finished) {
            *task = Some(AbortOnDropHandle::new(tokio::spawn(async move { build::prune(&engine).await })));
        }
    }
}

/// The engine's address and the image's fingerprint.
type Key = (String, String);

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
    log: BuildLog,
    progress: watch::Sender<Progress>,
    outcome: watch::Sender<Option<Result<Image, ImageError>>>,
}

impl Builds {
    /// Finds or builds the image of `recipe`, together with whoever is doing so already. Must be called on the async
    /// runtime.
    pub fn image(&self, engine: &Engine, recipe: Recipe) -> Building {
        let key = (engine.address().to_string(), recipe.fingerprint().to_owned());
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
        let shared = Arc::new(Shared {
            log: BuildLog::default(),
            progress: watch::Sender::new(Progress::default()),
            outcome: watch::Sender::new(None),
        });
        let seat = Arc::new(Seat { shared: Arc::clone(&shared), _cancel: cancel.clone().drop_guard() });
        running.insert(key, Arc::downgrade(&seat));
        let engine = engine.clone();
        let tidying = Arc::downgrade(&self.tidying);
        tokio::spawn(async move {
            let result = tokio::select! {
                result = build::image(&engine, recipe, &shared.log, &shared.progress) => result,
                // Leaving the connection is how the engine learns that nobody waits: it stops the step under way.
                () = cancel.cancelled() => Err(ImageError::Cancelled),
            };
            let built = result.as_ref().is_ok_and(|image| image.built);
            shared.outcome.send_replace(Some(result));
            if let Some(tidying) = tidying.upgrade().filter(|_| built) {
                tidying.begin(engine);
            }
        });
        Building { seat }
    }
}

impl Building {
    /// How far it is.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.seat.shared.progress.subscribe()
    }

    /// What was said.
    pub fn log(&self) -> &BuildLog {
        &self.seat.shared.log
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
