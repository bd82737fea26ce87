//! What a tab orders from the place in a container, and how it hears from there. What comes of it is not known here.

use super::super::Message;
use super::super::actor::{Actor, Done};
use super::super::agent::Launched;
use super::{Flip, Report};
use crate::container::state::State;
use crate::place::Place;
use crate::place::container::{self, Gate, News, Order, Refusals};

impl Flip {
    /// Forgets what was told of a container.
    pub(super) fn forget(&mut self) {
        self.facts.clear();
        self.took = None;
        self.refusals = Refusals::default();
    }
}

impl Actor {
    pub(super) fn prepare(&mut self) {
        self.flip.forget();
        self.flip.step = None;
        self.flip.image = None;
        let entered = self.flip.entered;
        let order = Order { fresh: self.flip.rebuild.take_fresh(), ..self.order() };
        let news = self.news();
        self.flip.preparing = self.task(async move {
            let result = match container::prepare(&order, news.clone()).await {
                Ok(image) => container::send(&order, &image, news).await.map(|()| Box::new(image)),
                Err(failure) => Err(failure),
            };
            Done::Container(Box::new(Report::Prepared { entered, result }))
        });
    }

    pub(in crate::tab) fn order(&self) -> Order {
        let Launched { model, mode } = self.launched.clone();
        Order {
            surroundings: self.surroundings.clone(),
            tab: self.id.clone(),
            workspace: self.workspace.clone(),
            model,
            allowed: self.allowed_at(Place::Container),
            mode,
            fresh: false,
            wanted: self.flip.wanted.clone(),
        }
    }

    pub(in crate::tab) fn news(&self) -> impl Fn(News) + Send + Sync + Clone + 'static {
        let entered = self.flip.entered;
        let reports = self.reports().map(|reports| reports.downgrade());
        move |news| {
            if let Some(reports) = reports.as_ref().and_then(tokio::sync::mpsc::WeakUnboundedSender::upgrade) {
                let _ = reports.send(Message::Done(Done::Container(Box::new(Report::News { entered, news }))));
            }
        }
    }

    pub(super) fn clear(&mut self, gate: Gate) {
        self.clearing(async move { gate.discard().await.left });
    }

    /// Waits for the end of something that is not wanted any more; `work` says whether the engine has left it.
    pub(super) fn clearing(&mut self, work: impl Future<Output = bool> + Send + 'static) {
        let Some(reports) = self.reports() else { return };
        self.flip.clearing += 1;
        tokio::spawn(async move {
            let left = work.await;
            let _ = reports.send(Message::Done(Done::Container(Box::new(Report::Cleared { left }))));
        });
    }

    /// Whether news of the container that was begun last concern a tab whose state is not that of its start any more.
    pub(super) fn still_counts(&self, news: &News) -> bool {
        *self.flip.state() == State::Running || matches!(news, News::Log { reset: false, .. })
    }
}
