//! The end of the app: every tab ends, side by side, and then what is left of its containers, all within a time that
//! nobody wonders about. What an agent has written on another machine is worth waiting for, and that is told.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::App;
use crate::tab::Tab;

/// How long a quit may take. What is left then is the reaper's.
pub const QUIT: Duration = Duration::from_secs(3);
/// What of it is kept for a look at what the tabs have left.
const SWEEP: Duration = Duration::from_millis(300);
/// What of it engines need to remove containers whose agents were killed.
const REMOVAL: Duration = Duration::from_millis(400);

impl App {
    /// Ends every tab, side by side, and whatever they left; resolves when nothing runs any more or [`QUIT`] is over.
    /// Only what an agent has written on another machine is waited for longer, which the window shows meanwhile.
    pub async fn quit(&self) {
        let over = Instant::now() + QUIT;
        self.visits.end_all();
        self.carried.give_all_up();
        let tabs: Vec<Arc<Tab>> = {
            let open = self.open();
            open.tabs.iter().map(|(_, tab)| Arc::clone(tab)).chain(open.closing.iter().cloned()).collect()
        };
        if self.brings_back() {
            let words = "Bringing back what the agents have written on another machine. Gemra ends when that is done.";
            self.open().leaving = Some(words.to_owned());
            self.refresh();
        }
        let mut all = pin!(futures_util::future::join_all(tabs.iter().map(|tab| tab.quit(over - SWEEP - REMOVAL))));
        if let Ok(left) = timeout_at(over - SWEEP, &mut all).await {
            // There is no window any more that could say so.
            left.iter().flatten().for_each(|left| tracing::warn!(cause = left.cause, "{}", left.title));
        } else {
            let brought = futures_util::future::join_all(tabs.iter().map(|tab| tab.has_brought_back()));
            // Whoever has files to bring back gives up by itself where nothing moves.
            tokio::select! {
                _ = &mut all => {}
                _ = brought => tracing::warn!("not every tab ended in time"),
            }
        }
        let over = over.max(Instant::now() + SWEEP);
        if timeout_at(over, self.surroundings.clear_instance()).await.is_err() {
            tracing::warn!("what is left at the engine could not be removed in time");
        }
        // Whatever of a tab is still there ends with it.
        self.open().tabs.clear();
        self.surroundings.projects().written().await;
    }

    /// True where a quit has something to bring back from another machine first, which may take longer.
    pub fn brings_back(&self) -> bool {
        self.open().tabs.iter().any(|(_, tab)| tab.brings_back())
    }
}
