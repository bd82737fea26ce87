//! A tab: one conversation in one workspace, and the one task that owns it. The handle here only sends messages; the
//! actor decides.

mod actor;
mod agent;
mod auditing;
mod cleaning;
mod flip;
mod guarding;
mod install;
mod living;
mod modes;
mod rebuild;
mod syncing;
mod talk;
mod trusting;
pub mod view;

pub use living::Health;
pub use talk::retry_reason;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use crate::agent::claude::history::Said;
use crate::agent::{Choice, Mode};
use crate::app::Surroundings;
use crate::container::held::Held;
use crate::failure::Failure;
use crate::record::Run;
use crate::stream::Sink;
use crate::transcript::{Entry, EntryId};
use crate::trust::Decision;
use crate::workspace::Workspace;

/// Names a tab: eight hexadecimal digits, unique on the machine for all we care, because containers are named by it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TabId(pub String);

impl TabId {
    /// A new one.
    pub fn mint() -> Self {
        let id = uuid::Uuid::new_v4().simple().to_string();
        Self(id[..8].to_owned())
    }
}

impl std::fmt::Display for TabId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What the tab bar shows of a tab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The tab.
    pub id: TabId,
    /// What it is called.
    pub title: String,
    /// Where it works.
    pub workspace: PathBuf,
    /// True while a turn runs.
    pub busy: bool,
    /// True while a question waits.
    pub asking: bool,
    /// True where the last run cut a turn off and none has begun since.
    pub interrupted: bool,
    /// Where the Container button is.
    pub container: crate::container::state::State,
}

/// How a tab begins.
#[derive(Debug, Clone)]
pub(crate) struct Opening {
    /// Its name.
    pub(crate) id: TabId,
    /// Where it works.
    pub(crate) workspace: Workspace,
    /// What it is called.
    pub(crate) title: String,
    /// What an instance that died left of it, and what was said in it.
    pub(crate) left: Option<(Run, Vec<Said>)>,
}

/// The handle of a tab. Dropping the last one ends the tab and everything it runs.
#[derive(Debug)]
pub struct Tab {
    messages: mpsc::UnboundedSender<Message>,
    summary: watch::Receiver<Summary>,
    held: watch::Receiver<Option<Held>>,
    health: watch::Receiver<Health>,
    brings_back: watch::Receiver<bool>,
}

/// What a tab is asked to do.
#[allow(clippy::large_enum_variant)] // They are few and short-lived: a box for each would cost more than the room.
pub(crate) enum Message {
    Watch {
        sink: Box<dyn Sink>,
        reply: oneshot::Sender<u32>,
    },
    Unwatch {
        watch: u32,
    },
    Acknowledge {
        watch: u32,
        seq: u32,
    },
    Earlier {
        before: EntryId,
        count: usize,
        reply: oneshot::Sender<Vec<Entry>>,
    },
    Send {
        request: String,
        text: String,
        reply: oneshot::Sender<()>,
    },
    Unqueue {
        id: String,
        reply: oneshot::Sender<Option<String>>,
    },
    StopTurn,
    Answer {
        ask: String,
        choice: Choice,
    },
    RetryTurn {
        entry: EntryId,
    },
    Toggle {
        request: String,
        at: tokio::time::Instant,
    },
    UseHost,
    Refresh,
    AnswerGuard(crate::guard::Answer),
    Rebuild {
        fresh: bool,
    },
    AnswerConflict {
        root: PathBuf,
        path: String,
        theirs: bool,
    },
    AnswerTrust {
        decision: Decision,
    },
    SetModel {
        model: String,
    },
    SetMode {
        mode: Mode,
    },
    Install,
    RetryAgent,
    StartFresh,
    Rename {
        title: String,
    },
    Close {
        reply: oneshot::Sender<Option<Failure>>,
        /// By when, where somebody waits for it.
        by: Option<tokio::time::Instant>,
    },
    /// From a task of the tab's own.
    Done(actor::Done),
}

impl Tab {
    /// Opens a tab and starts its agent.
    pub(crate) fn open(opening: Opening, surroundings: Arc<Surroundings>) -> Self {
        let (messages, inbox) = mpsc::unbounded_channel();
        let (actor, summary) = actor::Actor::new(opening, surroundings, inbox, messages.downgrade());
        let (held, health) = actor.life.seen();
        let brings_back = actor.flip.syncing.brings_back();
        tokio::spawn(actor.run());
        Self { messages, summary, held, health, brings_back }
    }

    /// What the tab bar shows, as it changes.
    pub fn summary(&self) -> watch::Receiver<Summary> {
        self.summary.clone()
    }

    /// Sends `sink` a snapshot and then every change. Returns the name of the watch; `None` where the tab is gone.
    pub async fn watch(&self, sink: Box<dyn Sink>) -> Option<u32> {
        self.ask(|reply| Message::Watch { sink, reply }).await
    }

    /// Ends a watch.
    pub fn unwatch(&self, watch: u32) {
        self.tell(Message::Unwatch { watch });
    }

    /// The frame `seq` was painted.
    pub fn acknowledge(&self, watch: u32, seq: u32) {
        self.tell(Message::Acknowledge { watch, seq });
    }

    /// Up to `count` entries before one, oldest first.
    pub async fn earlier(&self, before: EntryId, count: usize) -> Vec<Entry> {
        self.ask(|reply| Message::Earlier { before, count, reply }).await.unwrap_or_default()
    }

    /// Sends a message, or queues it. A `request` that was seen before changes nothing. False where the tab is gone.
    pub async fn send(&self, request: String, text: String) -> bool {
        self.ask(|reply| Message::Send { request, text, reply }).await.is_some()
    }

    /// Takes a message out of the queue and returns its text; `None` where it has gone to the agent.
    pub async fn unqueue(&self, id: String) -> Option<String> {
        self.ask(|reply| Message::Unqueue { id, reply }).await.flatten()
    }

    /// Cuts the turn short.
    pub fn stop_turn(&self) {
        self.tell(Message::StopTurn);
    }

    /// Answers a question of the agent.
    pub fn answer(&self, ask: String, choice: Choice) {
        self.tell(Message::Answer { ask, choice });
    }

    /// Sends the message again that the error `entry` is about. A second time changes nothing.
    pub fn retry_turn(&self, entry: EntryId) {
        self.tell(Message::RetryTurn { entry });
    }

    /// The Container button was clicked. A `request` that was seen before changes nothing.
    pub fn toggle_container(&self, request: String) {
        self.tell(Message::Toggle { request, at: tokio::time::Instant::now() });
    }

    /// Gives up on the container and goes on on the host.
    pub fn use_host(&self) {
        self.tell(Message::UseHost);
    }

    /// Makes the container anew, between two turns.
    pub fn refresh_container(&self) {
        self.tell(Message::Refresh);
    }

    /// The container, while the agent is in one.
    pub fn held(&self) -> watch::Receiver<Option<Held>> {
        self.held.clone()
    }

    /// What is known of the health of the agent in it.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// Makes the image anew and goes on in a container of it; `fresh` from scratch, on a base that is fetched again.
    pub fn rebuild(&self, fresh: bool) {
        self.tell(Message::Rebuild { fresh });
    }

    /// Keeps what a container has changed in files that the host would execute, or brings back what was.
    /// Where `path` is one of the files, only of that.
    pub fn answer_guard(&self, keep: bool, path: Option<PathBuf>) {
        self.tell(Message::AnswerGuard(crate::guard::Answer { keep, path }));
    }

    /// Says whether the project may have what it asks for.
    pub fn answer_trust(&self, decision: Decision) {
        self.tell(Message::AnswerTrust { decision });
    }

    /// Chooses between the two versions of a file that has changed here and in the container, by the folder that is
    /// kept the same and the path below it.
    pub fn answer_conflict(&self, root: PathBuf, path: String, theirs: bool) {
        self.tell(Message::AnswerConflict { root, path, theirs });
    }

    /// Changes the model.
    pub fn set_model(&self, model: String) {
        self.tell(Message::SetModel { model });
    }

    /// Changes the permission mode.
    pub fn set_mode(&self, mode: Mode) {
        self.tell(Message::SetMode { mode });
    }

    /// Installs the CLI.
    pub fn install(&self) {
        self.tell(Message::Install);
    }

    /// Starts the agent again.
    pub fn retry_agent(&self) {
        self.tell(Message::RetryAgent);
    }

    /// Goes on with a new conversation of the agent; what is shown stays.
    pub fn start_fresh(&self) {
        self.tell(Message::StartFresh);
    }

    /// Calls the tab something else.
    pub fn rename(&self, title: String) {
        self.tell(Message::Rename { title });
    }

    /// Ends the agent, its container and the tab; resolves when nothing of it is left, or with why something is.
    pub async fn close(&self) -> Option<Failure> {
        self.ask(|reply| Message::Close { reply, by: None }).await.flatten()
    }

    /// The same, in a hurry: an agent that has not ended by then is killed.
    pub(crate) async fn quit(&self, by: tokio::time::Instant) -> Option<Failure> {
        self.ask(|reply| Message::Close { reply, by: Some(by) }).await.flatten()
    }

    /// True while what the agent writes is on another machine, and has to be brought back when it ends.
    pub(crate) fn brings_back(&self) -> bool {
        *self.brings_back.borrow()
    }

    /// Resolves when nothing has to be brought back.
    pub(crate) async fn has_brought_back(&self) {
        // A tab that is gone has nothing to bring.
        let _ = self.brings_back.clone().wait_for(|brings| !brings).await;
    }

    fn tell(&self, message: Message) {
        // A tab that is gone has nothing to do.
        let _ = self.messages.send(message);
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.tell(message(reply));
        answer.await.ok()
    }
}
