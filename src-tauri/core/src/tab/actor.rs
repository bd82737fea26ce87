//! The task that owns a tab: it takes one thing after another — a message, lines of the agent, the end of a process,
//! a deadline — and tells whoever watches what has changed. What it does about them is in its siblings.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::agent::{Launched, Slot};
use super::auditing::Unasked;
use super::cleaning::Cleaning;
use super::flip::Flip;
use super::guarding::Guarding;
use super::living::Life;
use super::modes::Modes;
use super::view::{AgentView, Queued, TurnView, Usage, View};
use super::{Message, Opening, Summary, TabId};
use crate::agent::claude::history::Said;
use crate::agent::{Mode, Offer};
use crate::app::{Inside, Surroundings};
use crate::failure::Failure;
use crate::place::Place;
use crate::process::{Exit, Output, Process};
use crate::record::Run;
use crate::stream::{Change, Snapshot, Stream};
use crate::transcript::{Topic, Transcript};
use crate::workspace::Workspace;

/// How many entries a snapshot holds.
const SNAPSHOT_ENTRIES: usize = 120;
/// How long what the container is doing may go untold while nothing else changes.
const UNHURRIED: Duration = Duration::from_millis(400);
/// How many lines of the agent are taken in one go, before anybody is told.
const BATCH: usize = 512;
/// How many requests are remembered, so that a repeat changes nothing.
const REMEMBERED: usize = 256;

/// What a task of the tab's own reports.
pub(crate) enum Done {
    /// The host's agent was started, or not.
    Started { epoch: u32, result: Result<Process, NotStarted> },
    /// The installer said something.
    Installing { line: String },
    /// The installer ended.
    Installed { result: Result<(), Failure> },
    /// Something of the container's.
    Container(Box<super::flip::Report>),
    /// Something of the guard's.
    Guard(super::guarding::Report),
    /// Something of a living container's.
    Life(super::living::Report),
    /// Something of files that are kept the same with another machine's.
    Sync(super::syncing::Report),
    /// The project's volumes are gone, or why some are not.
    Cleaned(Option<Box<Failure>>),
}

/// Why the host's agent was not started.
#[derive(Debug)]
pub(crate) enum NotStarted {
    /// The CLI is not there.
    Missing(Failure),
    /// It would not start.
    Failed(Failure),
}

/// What the actor waits for with a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deadline {
    /// The agent of this epoch has to answer the handshake.
    Handshake(u32),
    /// The agent of this epoch has to end its turn.
    Interrupt(u32),
    /// The agent of this epoch has to end its turn before it leaves.
    Leave(u32),
    /// The container's machine has to leave the state that it entered as the n-th.
    Container(u32),
    /// The container's next start was put off in the n-th state, until now.
    Again(u32),
    /// Somebody has to look after the container that lives in the n-th state.
    Check(u32),
    /// What was not worth a picture of its own is told.
    Tell,
}

pub(super) struct Actor {
    pub(super) id: TabId,
    pub(super) title: String,
    pub(super) workspace: Workspace,
    pub(super) surroundings: Arc<Surroundings>,
    inbox: mpsc::UnboundedReceiver<Message>,
    /// Weak, so that the tab ends with its last handle.
    messages: mpsc::WeakUnboundedSender<Message>,
    summary: watch::Sender<Summary>,
    stream: Stream,
    pub(super) transcript: Transcript,
    pub(super) queue: VecDeque<Queued>,
    requests: VecDeque<String>,
    pub(super) turn: TurnView,
    pub(super) slot: Slot,
    pub(super) epoch: u32,
    pub(super) flip: Flip,
    /// The conversation's id, minted before the agent's first byte.
    pub(super) conversation: String,
    /// The one that the agent which is being started begins, where that is a new one.
    pub(super) coming: Option<String>,
    /// Where an agent of this tab has answered last.
    pub(super) was_at: Option<Place>,
    pub(super) launched: Launched,
    pub(super) chosen_model: Option<String>,
    pub(super) model: Option<String>,
    pub(super) mode: Mode,
    /// What was chosen in each place.
    pub(super) modes: Modes,
    /// The place that the agent believes to be in; `None` where that is not known.
    pub(super) told_place: Option<Place>,
    /// What the user has allowed for the rest of the conversation.
    pub(super) allowed: Vec<String>,
    pub(super) version: Option<String>,
    pub(super) offer: Offer,
    pub(super) usage: Usage,
    pub(super) guarding: Guarding,
    pub(super) life: Life,
    pub(super) unasked: Unasked,
    pub(super) cleaning: Cleaning,
    /// Held while a container of the tab's may write to the workspace.
    pub(super) inside: Option<Inside>,
    /// True where the last run cut a turn off and none has begun since.
    pub(super) interrupted: bool,
    /// When the tab was opened first, in milliseconds since the Unix epoch.
    opened: u64,
    /// The CLI's installation, wherever the agent is meanwhile: cut short it would leave half a program.
    pub(super) installing: Option<AbortOnDropHandle<()>>,
    deadlines: Vec<(Instant, Deadline)>,
    /// What was last told to the watchers.
    told: Option<View>,
    /// When that was.
    told_at: Instant,
    recorded: Option<Run>,
    /// Whoever waits for the end of the tab; nobody does while it is open.
    closing: Vec<oneshot::Sender<Option<Failure>>>,
    /// By when that end has to come, where the app ends too.
    pub(super) ends_by: Option<Instant>,
}

/// Why the actor woke.
enum Wake {
    Message(Box<Message>),
    Lines(Vec<Output>),
    LinesEnded,
    Exited(Exit),
    Timer,
    /// The last handle is gone.
    Orphaned,
}

impl Actor {
    pub(super) fn new(
        opening: Opening,
        surroundings: Arc<Surroundings>,
        inbox: mpsc::UnboundedReceiver<Message>,
        messages: mpsc::WeakUnboundedSender<Message>,
    ) -> (Self, watch::Receiver<Summary>) {
        let Opening { id, workspace, title, left } = opening;
        let (summary, receiver) = watch::channel(Summary {
            id: id.clone(),
            title: title.clone(),
            workspace: workspace.path().to_path_buf(),
            busy: false,
            asking: false,
            interrupted: left.as_ref().is_some_and(|(run, _)| run.turn),
            container: crate::container::state::State::Off,
        });
        let mut actor = Self {
            id,
            title,
            workspace,
            surroundings,
            inbox,
            messages,
            summary,
            stream: Stream::default(),
            transcript: Transcript::default(),
            queue: VecDeque::new(),
            requests: VecDeque::new(),
            turn: TurnView::Idle,
            slot: Slot::Empty,
            epoch: 0,
            flip: Flip::default(),
            conversation: uuid::Uuid::new_v4().to_string(),
            coming: None,
            was_at: None,
            launched: Launched::default(),
            chosen_model: None,
            model: None,
            mode: Mode::Default,
            modes: Modes::default(),
            told_place: Some(Place::Host),
            allowed: Vec::new(),
            version: None,
            offer: Offer::default(),
            usage: Usage::default(),
            guarding: Guarding::Idle,
            life: Life::default(),
            unasked: Unasked::default(),
            cleaning: Cleaning::default(),
            inside: None,
            interrupted: false,
            opened: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(0)),
            installing: None,
            deadlines: Vec::new(),
            told: None,
            told_at: Instant::now(),
            recorded: None,
            closing: Vec::new(),
            ends_by: None,
        };
        actor.take_up(left);
        (actor, receiver)
    }

    /// Runs until the tab is closed or its last handle is gone.
    pub(super) async fn run(mut self) {
        self.begin();
        self.tell();
        loop {
            match self.next().await {
                Wake::Message(message) => self.on_message(*message),
                Wake::Lines(lines) => self.on_lines(lines),
                Wake::LinesEnded => self.slot.lines_ended(),
                Wake::Exited(exit) => self.on_exit(&exit),
                Wake::Timer => self.on_timer(),
                Wake::Orphaned => break,
            }
            if self.is_closing() && self.slot.is_at_rest() && self.flip.is_at_rest() && self.has_cleaned() {
                break;
            }
            self.tell();
        }
        if self.is_closing() {
            // A tab that was closed has no run to take up; one that was dropped with the app keeps its record.
            self.surroundings.forget_run(&self.id).await;
        }
        for reply in self.closing {
            let _ = reply.send(self.cleaning.failure.clone());
        }
    }

    async fn next(&mut self) -> Wake {
        let timer = self.deadlines.iter().map(|(at, _)| *at).chain(self.stream.due()).min();
        let sleep = async {
            match timer {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let Self { inbox, slot, .. } = self;
        tokio::select! {
            message = inbox.recv() => message.map_or(Wake::Orphaned, |message| Wake::Message(Box::new(message))),
            wake = slot_wakes(slot) => wake,
            () = sleep => Wake::Timer,
        }
    }

    fn on_message(&mut self, message: Message) {
        match message {
            Message::Watch { sink, reply } => {
                // What was put off is told to those who watch already; the snapshot has all of it.
                self.tell_all();
                let snapshot = self.snapshot();
                let _ = reply.send(self.stream.watch(sink, snapshot));
            }
            Message::Unwatch { watch } => self.stream.unwatch(watch),
            Message::Acknowledge { watch, seq } => self.stream.acknowledge(watch, seq),
            Message::Earlier { before, count, reply } => {
                let entries = self.transcript.entries();
                let end = (before.0 as usize).min(entries.len());
                let _ = reply.send(entries[end.saturating_sub(count)..end].to_vec());
            }
            Message::Send { request, text, reply } => {
                if self.is_new(&request) {
                    self.on_send(request, text);
                }
                let _ = reply.send(());
            }
            Message::Unqueue { id, reply } => {
                let found = self.queue.iter().position(|queued| queued.id == id);
                let _ = reply.send(found.and_then(|at| self.queue.remove(at)).map(|queued| queued.text));
            }
            Message::StopTurn => self.on_stop_turn(),
            Message::Answer { ask, choice } => self.on_answer(&ask, choice),
            Message::RetryTurn { entry } => self.on_retry_turn(entry),
            Message::Toggle { request, at } => {
                if self.is_new(&request) {
                    self.on_click(at);
                }
            }
            Message::UseHost => self.on_use_host(),
            Message::Refresh => self.on_refresh(),
            Message::AnswerGuard(answer) => self.on_answer_guard(answer),
            Message::AnswerTrust { decision } => self.on_answer_trust(decision),
            Message::AnswerConflict { root, path, theirs } => self.on_answer_conflict(root, path, theirs),
            Message::Rebuild { fresh } => self.on_rebuild(fresh),
            Message::SetModel { model } => self.on_set_model(model),
            Message::SetMode { mode } => self.on_set_mode(mode),
            Message::Install => self.on_install(),
            Message::RetryAgent => self.on_retry_agent(),
            Message::StartFresh => self.on_start_fresh(),
            Message::Rename { title } => {
                let title = title.trim();
                if !title.is_empty() {
                    title.clone_into(&mut self.title);
                }
            }
            Message::Close { reply, by } => {
                self.closing.push(reply);
                self.ends_by = by.or(self.ends_by);
                // What the user closes is not taken up again, even if the app ends before the agent does.
                self.surroundings.forgets_run(&self.id);
                self.on_close();
            }
            Message::Done(Done::Started { epoch, result }) => self.on_started(epoch, result),
            Message::Done(Done::Installing { line }) => self.on_installing(line),
            Message::Done(Done::Installed { result }) => self.on_installed(result),
            Message::Done(Done::Container(report)) => self.on_container(*report),
            Message::Done(Done::Guard(report)) => self.on_guard(report),
            Message::Done(Done::Life(report)) => self.on_life(&report),
            Message::Done(Done::Sync(report)) => self.on_sync(report),
            Message::Done(Done::Cleaned(failure)) => self.on_cleaned(failure.map(|failure| *failure)),
        }
    }

    fn on_timer(&mut self) {
        let now = Instant::now();
        let due: Vec<Deadline> = self.deadlines.iter().filter(|(at, _)| *at <= now).map(|(_, what)| *what).collect();
        self.deadlines.retain(|(at, _)| *at > now);
        for deadline in due {
            match deadline {
                Deadline::Handshake(epoch) => self.on_no_handshake(epoch),
                Deadline::Interrupt(epoch) => self.on_no_interrupt(epoch),
                Deadline::Leave(epoch) => self.on_no_leave(epoch),
                Deadline::Container(entered) => self.on_container_too_slow(entered),
                Deadline::Again(entered) => self.on_paused(entered),
                Deadline::Check(entered) => self.on_check(entered),
                // Whoever wakes the tab makes it tell.
                Deadline::Tell => {}
            }
        }
    }

    pub(super) fn deadline(&mut self, after: Duration, what: Deadline) {
        self.deadlines.push((Instant::now() + after, what));
    }

    /// What was waited for has come.
    pub(super) fn forget_deadline(&mut self, what: Deadline) {
        self.deadlines.retain(|(_, known)| *known != what);
    }

    pub(super) fn is_closing(&self) -> bool {
        !self.closing.is_empty()
    }

    /// A sender for a task of the tab's own. `None` where the tab is ending.
    pub(super) fn reports(&self) -> Option<mpsc::UnboundedSender<Message>> {
        self.messages.upgrade()
    }

    pub(super) fn log(&mut self, reset: bool, lines: Vec<String>) {
        self.stream.push([Change::Log { reset, lines }]);
    }

    pub(super) fn offers(&mut self, offer: Offer) {
        if self.offer != offer {
            self.offer = offer;
            self.stream.push([Change::Offer(self.offer.clone())]);
        }
    }

    fn is_new(&mut self, request: &str) -> bool {
        if self.requests.iter().any(|seen| seen == request) {
            return false;
        }
        self.requests.truncate(REMEMBERED);
        self.requests.push_front(request.to_owned());
        true
    }

    /// Takes up what an instance that died has left of this tab.
    fn take_up(&mut self, left: Option<(Run, Vec<Said>)>) {
        let Some((run, mut said)) = left else { return };
        // The CLI may not have come to writing down what it was given last.
        let last = said.iter().rev().find_map(|said| match said {
            Said::User(text) => Some(text.trim()),
            Said::Agent(_) => None,
        });
        if let Some(text) = run.said.filter(|text| !text.starts_with('/') && last != Some(text.trim())) {
            said.push(Said::User(text));
        }
        self.interrupted = run.turn;
        self.opened = run.opened;
        self.transcript.restore(said, run.turn);
        self.conversation = run.conversation;
        self.told_place = None;
        self.chosen_model = run.model;
        self.mode = Mode::parse(&run.mode).unwrap_or_default();
        self.modes.choose(if run.container { Place::Container } else { Place::Host }, self.mode);
        let what = if run.turn { "in the middle of a turn" } else { "between two turns" };
        let text = format!("Gemra ended unexpectedly {what}. The conversation is taken up again.");
        self.transcript.notice(Topic::Interrupted, text, None);
        self.queue = run.queue.into_iter().map(|text| Queued { id: uuid::Uuid::new_v4().to_string(), text }).collect();
        self.flip.take_up(run.container);
    }

    /// Tells watchers, the tab bar and the record what has changed.
    fn tell(&mut self) {
        let patches = self.transcript.take_patches();
        self.stream.push(patches.into_iter().map(Change::Patch));
        let view = self.view();
        if self.is_news(&view) {
            self.tell_view(view);
        }
        self.record();
        self.stream.flush();
    }

    /// As [`Self::tell`], with nothing put off.
    fn tell_all(&mut self) {
        self.tell();
        let view = self.view();
        if self.told.as_ref() != Some(&view) {
            self.tell_view(view);
        }
    }

    fn tell_view(&mut self, view: View) {
        let summary = Summary {
            id: self.id.clone(),
            title: view.title.clone(),
            workspace: view.workspace.clone(),
            busy: view.turn != TurnView::Idle,
            asking: view.asking,
            interrupted: self.interrupted,
            container: view.container.state.clone(),
        };
        self.summary.send_if_modified(|old| {
            let changed = *old != summary;
            *old = summary;
            changed
        });
        self.stream.push([Change::View(Box::new(view.clone()))]);
        self.told = Some(view);
        self.told_at = Instant::now();
        self.forget_deadline(Deadline::Tell);
    }

    /// Whether the watchers have to be told of a view now. What the container is doing on its way is put off a little:
    /// phases that pass in milliseconds are read by nobody, and painting them takes the processor from the start.
    fn is_news(&mut self, view: &View) -> bool {
        let Some(told) = &self.told else { return true };
        if told == view {
            return false;
        }
        let due = self.told_at + UNHURRIED;
        if Instant::now() >= due || !self.flip.is_on_its_way() {
            return true;
        }
        let mut known = told.clone();
        known.container.phase.clone_from(&view.container.phase);
        known.container.facts.clone_from(&view.container.facts);
        if known != *view {
            return true;
        }
        if !self.deadlines.iter().any(|(_, known)| *known == Deadline::Tell) {
            self.deadlines.push((due, Deadline::Tell));
        }
        false
    }

    fn record(&mut self) {
        let run = Run {
            tab: self.id.0.clone(),
            workspace: self.workspace.path().to_path_buf(),
            title: self.title.clone(),
            conversation: self.conversation.clone(),
            container: self.flip.state().wants_container(),
            turn: self.turn != TurnView::Idle,
            said: (self.turn != TurnView::Idle).then(|| self.transcript.last_user_text().map(str::to_owned)).flatten(),
            queue: self.queue.iter().map(|queued| queued.text.clone()).collect(),
            model: self.chosen_model.clone(),
            mode: self.mode.as_str().to_owned(),
            opened: self.opened,
        };
        if self.recorded.as_ref() != Some(&run) && !self.is_closing() {
            self.recorded = Some(run.clone());
            self.surroundings.record_run(run);
        }
    }

    fn view(&self) -> View {
        View {
            id: self.id.clone(),
            title: self.title.clone(),
            workspace: PathBuf::from(self.workspace.path()),
            agent: self.agent_view(),
            turn: self.turn.clone(),
            queue: self.queue.iter().cloned().collect(),
            container: self.flip.view(),
            guard: self.guarding.changes().map(<[_]>::to_vec),
            trust: self.flip.asks.as_ref().map(|(question, _)| question.items.clone()),
            model: self.model.clone(),
            mode: self.mode,
            modes: self.offered_modes(),
            usage: self.usage,
            asking: self.transcript.is_asking() || self.flip.asks.is_some(),
        }
    }

    fn agent_view(&self) -> AgentView {
        match &self.slot {
            Slot::Empty if self.flip.is_moving() => AgentView::Starting,
            Slot::Running(running) if running.is_ready() => AgentView::Ready { version: self.version.clone() },
            Slot::Empty => AgentView::Idle,
            Slot::Starting { .. } | Slot::Running(_) => AgentView::Starting,
            Slot::Missing(failure) => AgentView::Missing { failure: failure.clone() },
            Slot::Installing { line, .. } => AgentView::Installing { line: line.clone() },
            Slot::Failed(failure) => AgentView::Failed { failure: failure.clone() },
        }
    }

    fn snapshot(&self) -> Snapshot {
        let entries = self.transcript.entries();
        let from = entries.len().saturating_sub(SNAPSHOT_ENTRIES);
        Snapshot {
            seq: 0,
            view: self.view(),
            offer: self.offer.clone(),
            entries: entries[from..].to_vec(),
            earlier: u32::try_from(from).unwrap_or(u32::MAX),
            log: self.flip.log(),
        }
    }
}

/// What the agent's process does next; for ever pending where there is none.
async fn slot_wakes(slot: &mut Slot) -> Wake {
    let Slot::Running(running) = slot else {
        return std::future::pending().await;
    };
    if running.has_lines() {
        let mut lines = Vec::new();
        return match running.process.output.recv_many(&mut lines, BATCH).await {
            0 => Wake::LinesEnded,
            _ => Wake::Lines(lines),
        };
    }
    Wake::Exited(running.process.stop.gone().await)
}
