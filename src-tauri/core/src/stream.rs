//! Brings a tab's changes to whoever watches it, in order, in batches that a slow painter makes larger and never
//! longer in line. Knows nothing of what the changes mean.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::agent::Offer;
use crate::tab::view::View;
use crate::transcript::{Entry, Patch};

/// A batch that nobody has acknowledged for this long does not hold back the next: a hidden window does not paint.
const PATIENCE: Duration = Duration::from_millis(250);

/// What a watcher gets: a snapshot first, then changes.
#[derive(Debug, Clone)]
pub enum Frame {
    /// Everything, as of now.
    Snapshot(Box<Snapshot>),
    /// What has changed since the frame before.
    Changes {
        /// One more than the frame before.
        seq: u32,
        /// In the order in which they have to be applied.
        changes: Vec<Change>,
        /// When the oldest piece of text among them was read from the agent.
        arrived: Option<SystemTime>,
    },
}

/// Everything, as of now.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The number of this frame.
    pub seq: u32,
    /// The tab.
    pub view: View,
    /// What the agent offers.
    pub offer: Offer,
    /// The newest entries, oldest first.
    pub entries: Vec<Entry>,
    /// How many older ones there are.
    pub earlier: u32,
    /// The build log.
    pub log: Vec<String>,
}

/// One change.
#[derive(Debug, Clone)]
pub enum Change {
    /// To the transcript.
    Patch(Patch),
    /// To what is around it.
    View(Box<View>),
    /// To what the agent offers.
    Offer(Offer),
    /// More of the build log; with `reset` a new one begins.
    Log {
        /// True where the lines before do not count any more.
        reset: bool,
        /// The lines.
        lines: Vec<String>,
    },
}

/// Where frames go.
pub trait Sink: Send + 'static {
    /// Takes a frame; false where nobody is there any more.
    fn send(&self, frame: Frame) -> bool;
}

impl<F: Fn(Frame) -> bool + Send + 'static> Sink for F {
    fn send(&self, frame: Frame) -> bool {
        self(frame)
    }
}

/// Everybody who watches a tab.
#[derive(Default)]
pub struct Stream {
    watchers: Vec<Watcher>,
    last: u32,
}

struct Watcher {
    id: u32,
    sink: Box<dyn Sink>,
    seq: u32,
    /// When the frame was sent that has not been acknowledged.
    in_flight: Option<Instant>,
    pending: Vec<Change>,
    urgent: bool,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Stream").field("watchers", &self.watchers.len()).finish_non_exhaustive()
    }
}

impl Stream {
    /// Adds a watcher and sends it the snapshot. Returns its name.
    pub fn watch(&mut self, sink: Box<dyn Sink>, mut snapshot: Snapshot) -> u32 {
        self.last += 1;
        snapshot.seq = 1;
        if sink.send(Frame::Snapshot(Box::new(snapshot))) {
            let in_flight = Some(Instant::now());
            self.watchers.push(Watcher { id: self.last, sink, seq: 1, in_flight, pending: Vec::new(), urgent: false });
        }
        self.last
    }

    /// Forgets a watcher.
    pub fn unwatch(&mut self, id: u32) {
        self.watchers.retain(|watcher| watcher.id != id);
    }

    /// True where nobody watches.
    pub fn is_idle(&self) -> bool {
        self.watchers.is_empty()
    }

    /// Takes changes for everybody.
    pub fn push(&mut self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            for watcher in &mut self.watchers {
                watcher.take(change.clone());
            }
        }
    }

    /// The watcher has painted the frame `seq`.
    pub fn acknowledge(&mut self, id: u32, seq: u32) {
        for watcher in self.watchers.iter_mut().filter(|watcher| watcher.id == id && watcher.seq == seq) {
            watcher.in_flight = None;
        }
        self.flush();
    }

    /// Sends what is due: at once where nothing is on the way or the state has changed.
    pub fn flush(&mut self) {
        let now = Instant::now();
        self.watchers.retain_mut(|watcher| watcher.flush(now));
    }

    /// When [`Self::flush`] has to be called again because a watcher does not paint.
    pub fn due(&self) -> Option<Instant> {
        self.watchers
            .iter()
            .filter(|watcher| !watcher.pending.is_empty())
            .filter_map(|watcher| watcher.in_flight.map(|sent| sent + PATIENCE))
            .min()
    }
}

impl Watcher {
    fn take(&mut self, change: Change) {
        match (&change, self.pending.last_mut()) {
            // Text is appended to text on its way, so that a slow painter gets one large piece.
            (
                Change::Patch(Patch::Text { id, text, .. }),
                Some(Change::Patch(Patch::Text { id: last, text: more, .. })),
            ) if id == last => {
                more.push_str(text);
                return;
            }
            (Change::Log { reset: false, lines }, Some(Change::Log { lines: more, .. })) => {
                more.extend(lines.iter().cloned());
                return;
            }
            (Change::View(_), _) => {
                self.urgent = true;
                // Only the newest counts, and nothing else depends on its place.
                self.pending.retain(|pending| !matches!(pending, Change::View(_)));
            }
            _ => {}
        }
        self.pending.push(change);
    }

    /// Sends what is due; false where nobody is there any more.
    fn flush(&mut self, now: Instant) -> bool {
        let held = self.in_flight.is_some_and(|sent| now < sent + PATIENCE);
        if self.pending.is_empty() || (held && !self.urgent) {
            return true;
        }
        let changes = std::mem::take(&mut self.pending);
        let arrived = changes
            .iter()
            .filter_map(|change| match change {
                Change::Patch(Patch::Text { at, .. }) => Some(*at),
                _ => None,
            })
            .min();
        self.seq += 1;
        self.urgent = false;
        self.in_flight = Some(now);
        self.sink.send(Frame::Changes { seq: self.seq, changes, arrived })
    }
}
