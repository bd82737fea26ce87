//! Looks into the container of a tab that last as long as somebody looks: its figures, and shells in it. Each has a
//! number, and ends when it is told to, when nobody listens any more, or with the container.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::container::exec::{Said, Shell};
use crate::container::held::Held;
use crate::container::stats::{self, Usage};
use crate::failure::{Code, Failure};
use crate::tab::{Health, Tab};

/// What somebody who looks at a container is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// What it uses.
    pub usage: Usage,
    /// How its agent is.
    pub health: Health,
}

/// All that are open.
#[derive(Debug, Default)]
pub(super) struct Visits {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    last: u32,
    shells: HashMap<u32, Shell>,
    tasks: HashMap<u32, AbortOnDropHandle<()>>,
}

impl Visits {
    /// Tells `sink` what a tab's container uses, about once a second, until that says that nobody listens. One request
    /// is open at the engine meanwhile.
    pub(super) fn figures(&self, tab: &Tab, sink: impl Fn(Figures) -> bool + Send + Sync + 'static) -> u32 {
        let (mut held, health) = (tab.held(), tab.health());
        self.keep(async move {
            loop {
                let now = held.borrow_and_update().clone();
                let told = async {
                    let Some(held) = now else { return std::future::pending().await };
                    let mut figures = std::pin::pin!(stats::follow(&held.engine, &held.id));
                    while let Some(Ok(usage)) = figures.next().await {
                        let figures = Figures { usage, health: *health.borrow() };
                        if !sink(figures) {
                            return;
                        }
                    }
                    // It has ended, which its tab is about to say.
                    std::future::pending::<()>().await;
                };
                tokio::select! {
                    () = told => return,
                    changed = held.changed() => if changed.is_err() { return },
                }
            }
        })
    }

    /// Opens a shell in a tab's container.
    pub(super) async fn shell(
        &self,
        tab: &Tab,
        size: (u16, u16),
        sink: impl Fn(Said) + Send + Sync + 'static,
    ) -> Result<u32, Failure> {
        let mut held = tab.held();
        let Some(now) = held.borrow_and_update().clone() else {
            return Err(Failure::new(
                Code::Gone,
                "There is no container",
                "The agent of this tab is not in a container just now.",
                "Move it into one, then open the shell again.",
            ));
        };
        let sink = std::sync::Arc::new(sink);
        let told = std::sync::Arc::clone(&sink);
        let shell = Shell::open(&now.engine, &now.id, size, move |said| told(said)).await;
        let shell = shell.map_err(|error| Failure::from(&error))?;
        let visit = self.keep(async move {
            gone(&mut held, &now).await;
            sink(Said::Ended(None));
        });
        self.open().shells.insert(visit, shell);
        Ok(visit)
    }

    /// Does something with a shell; one that has ended is none any more.
    pub(super) fn with_shell(&self, visit: u32, act: impl FnOnce(&Shell)) {
        if let Some(shell) = self.open().shells.get(&visit) {
            act(shell);
        }
    }

    /// Nobody looks any more.
    pub(super) fn end(&self, visit: u32) {
        let mut open = self.open();
        open.tasks.remove(&visit);
        open.shells.remove(&visit);
    }

    /// Ends all: the app quits.
    pub(super) fn end_all(&self) {
        let mut open = self.open();
        open.tasks.clear();
        open.shells.clear();
    }

    fn keep(&self, work: impl Future<Output = ()> + Send + 'static) -> u32 {
        let mut open = self.open();
        open.last += 1;
        let visit = open.last;
        open.tasks.insert(visit, AbortOnDropHandle::new(tokio::spawn(work)));
        visit
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // Nothing that holds the lock can panic half-way through a change.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until a tab has another container, or none.
async fn gone(held: &mut watch::Receiver<Option<Held>>, before: &Held) {
    let _ = held.wait_for(|held| held.as_ref() != Some(before)).await;
}
