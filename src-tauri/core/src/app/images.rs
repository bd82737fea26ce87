//! Images that the window shows and carries to files and back. Each way has the number of the request that began it, by
//! which it is given up. How an image becomes a file is not known here.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::App;
use crate::container::engine::Engine;
use crate::container::image::ImageError;
use crate::container::image::disk::{self, Kept};
use crate::container::image::file::{self, Existing, Loaded};
use crate::failure::{Code, Failure};
use crate::workspace;

/// How often it is told at most how far it is: nobody reads faster, and an image comes in thousands of pieces.
const TOLD: Duration = Duration::from_millis(100);

/// Those under way, by their requests.
#[derive(Debug, Default)]
pub(super) struct Carried {
    open: Mutex<HashMap<String, CancellationToken>>,
}

impl Carried {
    fn begin(&self, request: &str) -> CancellationToken {
        self.open().entry(request.to_owned()).or_default().clone()
    }

    /// Does it until it is given up; `None` then, and nothing is left of it.
    async fn carry<T>(
        &self,
        request: &str,
        work: impl Future<Output = Result<T, ImageError>>,
    ) -> Result<Option<T>, Failure> {
        let given_up = self.begin(request);
        let done = given_up.run_until_cancelled(work).await;
        self.open().remove(request);
        done.transpose().map_err(|error| Failure::from(&error))
    }

    /// Gives one up; one that has ended is none any more.
    fn give_up(&self, request: &str) {
        if let Some(token) = self.open().get(request) {
            token.cancel();
        }
    }

    /// Gives all up: the app quits.
    pub(super) fn give_all_up(&self) {
        self.open().values().for_each(CancellationToken::cancel);
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, CancellationToken>> {
        // Nothing that holds the lock can panic half-way through a change.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl App {
    /// Every image that Gemra has made at an engine, newest first.
    pub(super) async fn images(engine: &Engine) -> Result<Vec<Kept>, Failure> {
        disk::list(engine).await.map_err(|error| Failure::from(&error))
    }

    /// Saves an image as a file; `tell` is told how many bytes of how many. `replace`: where the file is there already,
    /// as the user has said. False where it was given up.
    ///
    /// # Errors
    /// A [`Failure`] where there is no such image, or the file cannot be written.
    pub async fn save_image(
        &self,
        request: &str,
        name: &str,
        file: &str,
        replace: bool,
        tell: impl Fn(u64, u64) + Send + Sync,
    ) -> Result<bool, Failure> {
        let file = self.named(file)?;
        let engine = self.surroundings.engine().await.map_err(|error| Failure::from(&error))?;
        let existing = if replace { Existing::Replace } else { Existing::Keep };
        let pace = Pace::default();
        let tell = |bytes, total| pace.pass(bytes, total, &tell);
        let saved = self.carried.carry(request, file::save(&engine, name, &file, existing, tell)).await?;
        Ok(saved.is_some())
    }

    /// Loads an image from a file, in the same way. `None` where it was given up.
    ///
    /// # Errors
    /// A [`Failure`] where the file holds no image, or the engine does not take it.
    pub async fn load_image(
        &self,
        request: &str,
        file: &str,
        tell: impl Fn(u64, u64) + Send + Sync + 'static,
    ) -> Result<Option<Loaded>, Failure> {
        let file = self.named(file)?;
        let engine = self.surroundings.engine().await.map_err(|error| Failure::from(&error))?;
        let pace = Pace::default();
        let tell = move |bytes, total| pace.pass(bytes, total, &tell);
        self.carried.carry(request, file::load(&engine, &file, tell)).await
    }

    /// Gives up what this request has begun: saving or loading an image.
    pub fn cancel_image(&self, request: &str) {
        self.carried.give_up(request);
    }

    /// The file that was typed. One without its folder would be somewhere that the user does not see.
    fn named(&self, typed: &str) -> Result<PathBuf, Failure> {
        let file = workspace::expand(typed.trim(), self.surroundings.environment().home().as_deref());
        if file.is_absolute() {
            return Ok(file);
        }
        let cause = format!("{typed:?} does not say in which folder the file is.");
        let action = "Type the whole path, such as ~/image.tar, or press Browse.";
        Err(Failure::new(Code::ImageFile, "The file is not known", cause, action))
    }
}

/// Passes on how far something is, now and then, and its end.
#[derive(Debug, Default)]
struct Pace {
    last: Mutex<Option<Instant>>,
}

impl Pace {
    fn pass(&self, bytes: u64, total: u64, tell: &impl Fn(u64, u64)) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes >= total || last.is_none_or(|last| last.elapsed() >= TOLD) {
            *last = Some(Instant::now());
            tell(bytes, total);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_given_up_ends_and_nothing_else() {
        let carried = Carried::default();
        let never = std::future::pending::<Result<(), ImageError>>;
        let (one, (), other) = tokio::join!(
            carried.carry("one", never()),
            async { carried.give_up("one") },
            carried.carry("other", async { Ok(7) }),
        );
        assert_eq!(one, Ok(None), "it was given up");
        assert_eq!(other, Ok(Some(7)), "and the other one was not");
        carried.give_up("other");
        assert_eq!(carried.carry("other", async { Ok(8) }).await, Ok(Some(8)), "what has ended cannot be given up");
        let (all, ()) = tokio::join!(carried.carry("three", never()), async { carried.give_all_up() });
        assert_eq!(all, Ok(None), "at the end everything is");
    }

    #[test]
    fn pieces_are_passed_on_now_and_then_and_the_last_one_always() {
        let told = Mutex::new(Vec::new());
        let pace = Pace::default();
        let tell = |bytes, _| told.lock().unwrap().push(bytes);
        for bytes in 0..=1000 {
            pace.pass(bytes, 1000, &tell);
        }
        let told = told.into_inner().unwrap();
        assert_eq!((told.first(), told.last()), (Some(&0), Some(&1000)), "the first and the last");
        assert!(told.len() < 100, "and few between: {}", told.len());
    }
}
