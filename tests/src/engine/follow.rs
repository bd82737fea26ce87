//! What a page that watches a tab has of it: the last view, the notices in their order, and the log.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gemra_core::container::state::State;
use gemra_core::stream::{Change, Frame};
use gemra_core::tab::Tab;
use gemra_core::tab::view::{TurnView, View};
use gemra_core::transcript::{Body, Entry, Patch};
use tokio::sync::watch;

/// Nothing here takes as long, on whatever machine.
const PATIENCE: Duration = Duration::from_mins(4);

/// A tab that is watched.
#[derive(Debug)]
pub struct Follow {
    /// The tab.
    pub tab: Arc<Tab>,
    view: watch::Receiver<Option<View>>,
    notices: Arc<Mutex<Vec<String>>>,
    asks: Arc<Mutex<Vec<String>>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Follow {
    /// Watches a tab.
    ///
    /// # Panics
    /// Where it is gone.
    pub async fn of(tab: Arc<Tab>) -> Self {
        let (sender, view) = watch::channel(None);
        let notices = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::new(Mutex::new(Vec::new()));
        let asks = Arc::new(Mutex::new(Vec::new()));
        let (told, logged, asked) = (Arc::clone(&notices), Arc::clone(&log), Arc::clone(&asks));
        let sink = move |frame: Frame| {
            let (entries, views) = match frame {
                Frame::Snapshot(snapshot) => (snapshot.entries, vec![snapshot.view]),
                Frame::Changes { changes, .. } => changes.into_iter().fold((vec![], vec![]), |mut all, change| {
                    match change {
                        Change::Patch(Patch::Append(entry)) => all.0.push(entry),
                        Change::View(view) => all.1.push(*view),
                        Change::Log { reset, lines } => {
                            let mut log = logged.lock().expect("nobody panics with it");
                            if reset {
                                log.clear();
                            }
                            log.extend(lines);
                        }
                        _ => {}
                    }
                    all
                }),
            };
            told.lock().expect("nobody panics with it").extend(entries.iter().filter_map(notice));
            asked.lock().expect("nobody panics with it").extend(entries.iter().filter_map(question));
            // Whoever sees the view shall find the notices that came with it.
            if let Some(view) = views.into_iter().next_back() {
                sender.send_replace(Some(view));
            } else {
                sender.send_modify(|_| {});
            }
            true
        };
        // It says nothing of what it paints: the next frame then comes a little later, and all the same.
        tab.watch(Box::new(sink)).await.expect("the tab is open");
        Self { tab, view, notices, asks, log }
    }

    /// Sends a message.
    pub async fn send(&self, text: &str) {
        self.tab.send(uuid::Uuid::new_v4().to_string(), text.to_owned()).await;
    }

    /// Sends a message and waits until its turn has ended.
    ///
    /// # Panics
    /// Where it does not.
    pub async fn turn(&mut self, text: &str) {
        self.send(text).await;
        self.until("the turn runs, or is over", |view| view.queue.is_empty()).await;
        self.until("the turn is over", |view| view.turn == TurnView::Idle).await;
    }

    /// Waits until the view is as wanted.
    ///
    /// # Panics
    /// Where it never is; it says what was waited for.
    pub async fn until(&mut self, what: &str, wanted: impl Fn(&View) -> bool) -> View {
        let found = self.view.wait_for(|view| view.as_ref().is_some_and(&wanted));
        let found = tokio::time::timeout(PATIENCE, found).await.ok().and_then(Result::ok).and_then(|view| view.clone());
        found.unwrap_or_else(|| {
            panic!("waited in vain: {what}; notices {:#?}; {:#?}", self.notices(), *self.view.borrow())
        })
    }

    /// Waits for the state of the Container button; an error that was not waited for fails at once.
    ///
    /// # Panics
    /// Where it never comes.
    pub async fn until_state(&mut self, wanted: &State) {
        let view = self
            .until(&format!("{wanted:?}"), |view| {
                view.container.state == *wanted || matches!(view.container.state, State::Error { .. })
            })
            .await;
        assert_eq!(view.container.state, *wanted, "the button gets there: {:#?}", self.notices());
    }

    /// Waits for a notice that contains the words.
    ///
    /// # Panics
    /// Where none comes.
    pub async fn notice(&mut self, words: &str) -> String {
        let limit = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(found) = self.notices().into_iter().find(|notice| notice.contains(words)) {
                return found;
            }
            let changed = tokio::time::timeout_at(limit, self.view.changed()).await;
            assert!(matches!(changed, Ok(Ok(()))), "a notice says {words:?}: {:#?}", self.notices());
        }
    }

    /// Waits for this line in the log.
    ///
    /// # Panics
    /// Where it never comes.
    pub async fn logged(&mut self, line: &str) {
        let limit = tokio::time::Instant::now() + PATIENCE;
        loop {
            let log = self.log.lock().expect("nobody panics with it").clone();
            if log.iter().any(|known| known == line) {
                return;
            }
            let changed = tokio::time::timeout_at(limit, self.view.changed()).await;
            assert!(matches!(changed, Ok(Ok(()))), "the log has the line {line:?}: {log:#?}");
        }
    }

    /// The question that waits, once the view has said that one does.
    ///
    /// # Panics
    /// Where nothing was ever asked.
    pub fn ask(&self) -> String {
        self.asks.lock().expect("nobody panics with it").last().expect("something was asked").clone()
    }

    /// The notices so far.
    ///
    /// # Panics
    /// Never: nobody panics with them.
    pub fn notices(&self) -> Vec<String> {
        self.notices.lock().expect("nobody panics with it").clone()
    }
}

fn question(entry: &Entry) -> Option<String> {
    let Body::Ask(ask) = &entry.body else { return None };
    Some(ask.ask.clone())
}

fn notice(entry: &Entry) -> Option<String> {
    let Body::Notice(notice) = &entry.body else { return None };
    Some(format!("{}\n{}", notice.text, notice.detail.clone().unwrap_or_default()))
}
