//! Making the image of a tab anew: from scratch where the user asks for it, or because what it is made from has changed
//! while a container of it runs. The agent goes on working until the new image is there, and is then started again in a
//! container of it.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::actor::{Actor, Done};
use super::agent::Leaving;
use super::flip::Report;
use crate::container::state::State;
use crate::failure::Failure;
use crate::place::container::{self, Image, Order};
use crate::transcript::Topic;

/// How often it is looked whether what an image is made from has changed. A look reads one file, and the names and
/// times of those that it copies.
const LOOKS: Duration = Duration::from_secs(5);

/// What is known of the next image.
#[derive(Debug, Default)]
pub(super) struct Rebuild {
    /// The next image is made from scratch.
    fresh: bool,
    /// What the running container's image is made from has changed since.
    changed: bool,
    /// The new image, on its way while a container of the old one runs.
    building: Option<AbortOnDropHandle<()>>,
    /// Looks for changes.
    looking: Option<AbortOnDropHandle<()>>,
}

impl Rebuild {
    /// True where the image would be another one by now.
    pub(super) fn has_changed(&self) -> bool {
        self.changed
    }

    /// True for the one image that is made from scratch because the user asked for it.
    pub(super) fn take_fresh(&mut self) -> bool {
        std::mem::take(&mut self.fresh)
    }

    /// The container is gone, or another one comes: nothing of this is about it.
    pub(super) fn reset(&mut self) {
        *self = Self { fresh: self.fresh, ..Self::default() };
    }
}

impl Actor {
    /// Makes the image anew; `fresh` from scratch.
    pub(super) fn on_rebuild(&mut self, fresh: bool) {
        match self.flip.state() {
            State::Off | State::Error { .. } => {
                self.flip.rebuild.fresh = fresh;
                self.on_click(Instant::now());
            }
            State::Running if self.flip.rebuild.building.is_none() => {
                let entered = self.flip.entered();
                let order = Order { fresh, ..self.order() };
                let news = self.news();
                self.flip.waits_for("Making the image anew; the agent goes on meanwhile");
                self.flip.rebuild.building = self.task(async move {
                    Done::Container(Box::new(Report::Rebuilt {
                        entered,
                        result: container::prepare(&order, news).await.map(Box::new),
                    }))
                });
            }
            State::Running | State::Building { .. } | State::Starting | State::Stopping { .. } => {}
        }
    }

    /// The new image is there, or not. Without it the old container stays.
    pub(super) fn on_rebuilt(&mut self, result: Result<Image, Failure>) {
        self.flip.rebuild.building = None;
        match result {
            Ok(image) => {
                self.flip.takes(image);
                self.let_go(Leaving::Restart);
            }
            Err(failure) => {
                self.flip.built_nothing();
                let Failure { title, cause, action, detail, .. } = failure;
                let detail = detail.map(|detail| format!("\n{detail}")).unwrap_or_default();
                self.transcript.notice(
                    Topic::Container,
                    format!("{title}. The container is the same as before."),
                    Some(format!("{cause} {action}{detail}")),
                );
            }
        }
    }

    /// From now on a change of what the image is made from is noticed.
    pub(super) fn look_for_changes(&mut self, image: Image) {
        let entered = self.flip.entered();
        let order = self.order();
        self.flip.rebuild.looking = self.task(async move {
            loop {
                tokio::time::sleep(LOOKS).await;
                if image.has_changed(&order).await {
                    return Done::Container(Box::new(Report::Changed { entered }));
                }
            }
        });
    }

    pub(super) fn on_image_changed(&mut self) {
        self.flip.rebuild.looking = None;
        self.flip.rebuild.changed = true;
    }
}
