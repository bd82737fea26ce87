//! The agent's process as its tab sees it: starting it on the host, hearing it, letting it go, and what follows when
//! it is gone. Which place it runs in matters only to the words of a failure.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::Message;
use super::actor::{Actor, Deadline, Done, NotStarted};
use super::view::TurnView;
use crate::agent::claude::launch::{self, Launch};
use crate::agent::claude::session::Session;
use crate::agent::claude::{find, sessions};
use crate::agent::{Choice, Mode};
use crate::container::run::RunError;
use crate::container::state::State;
use crate::failure::{Code, Failure};
use crate::place::{Place, host};
use crate::process::{Exit, Output, Process};

/// How long a started agent may take to answer the handshake. It needs about 0.8 s (`PROTOCOL.md`, "Launch").
pub(super) const HANDSHAKE: Duration = Duration::from_secs(30);
/// How long an agent may take to end its turn before it leaves; then it is stopped in the middle of it.
const LEAVE: Duration = Duration::from_secs(3);
/// How much of a hurry is left for what follows when a turn was interrupted.
const AFTER_TURN: Duration = Duration::from_millis(1300);

/// The agent of a tab.
#[derive(Debug)]
pub(super) enum Slot {
    /// None.
    Empty,
    /// The host's is being started.
    Starting { _task: AbortOnDropHandle<()> },
    /// One runs.
    Running(Box<Running>),
    /// The CLI is not on this machine.
    Missing(Failure),
    /// The CLI is being installed.
    Installing { line: String },
    /// It ended, or would not start.
    Failed(Failure),
}

impl Slot {
    /// True where nothing runs and nothing is about to.
    pub(super) fn is_at_rest(&self) -> bool {
        matches!(self, Self::Empty | Self::Missing(_) | Self::Failed(_))
    }

    pub(super) fn running(&mut self) -> Option<&mut Running> {
        match self {
            Self::Running(running) => Some(running),
            _ => None,
        }
    }

    pub(super) fn lines_ended(&mut self) {
        if let Some(running) = self.running() {
            running.lines_ended = true;
        }
    }
}

/// A running agent.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) epoch: u32,
    pub(super) place: Place,
    pub(super) process: Process,
    pub(super) session: Session,
    ready: bool,
    lines_ended: bool,
    /// Set once it was asked to go: why, and so what follows.
    leaving: Option<Leaving>,
    /// Why it is about to end, where that is known before.
    fault: Option<Fault>,
    /// Calls that were denied because it goes, and have not come back. The turn is interrupted only then: an
    /// interruption that comes first makes the CLI forget the reason of the denial.
    denied: BTreeSet<String>,
}

/// Why an agent is about to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It has said that the conversation is not there.
    SessionMissing,
    /// It did not answer the handshake, and was killed for it.
    Deaf,
}

/// What an agent was started with. What the user chose since has to be told to it once it answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Launched {
    pub(super) model: Option<String>,
    pub(super) mode: Mode,
}

/// Why an agent was asked to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    /// The one in the container takes over.
    ToContainer,
    /// The one on the host takes over.
    ToHost,
    /// It is started again.
    Restart,
    /// It did not stop its turn, and is started again.
    Stuck,
    /// The tab is being closed.
    Closing,
}

impl Leaving {
    fn reason(self) -> &'static str {
        match self {
            Self::ToContainer => "the agent moved into a container",
            Self::ToHost => "the agent moved back to the host",
            Self::Restart => "the agent was started again",
            Self::Stuck => "the agent did not stop by itself and was started again",
            Self::Closing => "the tab was closed",
        }
    }
}

impl Running {
    pub(super) fn new(epoch: u32, place: Place, process: Process) -> Self {
        Self {
            epoch,
            place,
            process,
            session: Session::default(),
            ready: false,
            lines_ended: false,
            leaving: None,
            fault: None,
            denied: BTreeSet::new(),
        }
    }

    /// True where it takes messages. One that has closed its output is dying, whatever is known of it yet.
    pub(super) fn is_ready(&self) -> bool {
        self.ready && self.leaving.is_none() && !self.lines_ended
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    pub(super) fn has_lines(&self) -> bool {
        !self.lines_ended
    }

    /// A call has come back. Where it was the last one denied, the turn is interrupted now.
    pub(super) fn came_back(&mut self, call: &str) {
        if self.denied.remove(call) && self.denied.is_empty() {
            let line = self.session.interrupt();
            self.process.input.send(line);
        }
    }

    pub(super) fn answered(&mut self) {
        self.ready = true;
    }

    pub(super) fn misses_its_session(&mut self) {
        self.fault = Some(Fault::SessionMissing);
    }
}

impl Actor {
    /// Starts the agent on the host, in the conversation as it stands.
    pub(super) fn start_on_host(&mut self) {
        if self.is_closing() || self.waits_for_the_guard() {
            return;
        }
        self.epoch += 1;
        let epoch = self.epoch;
        let surroundings = self.surroundings.clone();
        let workspace = self.workspace.clone();
        let conversation = self.conversation_at(Place::Host);
        let allowed = self.allowed_at(Place::Host);
        // On the host nobody acts without asking.
        self.launched = self.launches(Place::Host);
        let Launched { model, mode } = self.launched.clone();
        let task = self.task(async move {
            let result = async {
                let search = surroundings.search();
                let found = find::find(search).await.map_err(|error| NotStarted::Missing((&error).into()))?;
                let folder = surroundings.claude_folder(workspace.path());
                let launch = Launch {
                    conversation: sessions::take_up(&folder, workspace.path(), conversation),
                    model,
                    mode,
                    allowed,
                    system_prompt: launch::system_prompt(workspace.path()),
                    contained: false,
                };
                let own = surroundings.credentials();
                own.ready().await.map_err(|error| NotStarted::Failed((&error).into()))?;
                let variables = own.changes(surroundings.settings().variables(workspace.path()));
                host::start(&found, &launch, &workspace, variables, surroundings.environment()).map_err(|error| {
                    NotStarted::Failed(not_started(
                        format!("{error}."),
                        "Check that the program can be run, then press Retry.",
                    ))
                })
            };
            Done::Started { epoch, result: result.await }
        });
        tracing::info!(tab = %self.id, epoch, "starting the agent on the host");
        self.slot = match task {
            Some(task) => Slot::Starting { _task: task },
            None => Slot::Empty,
        };
    }

    /// What an agent that is started now at `place` gets; its mode becomes the tab's. It may act without asking only
    /// when it has answered from a container.
    pub(super) fn launches(&mut self, place: Place) -> Launched {
        let wishes = self.surroundings.settings().wishes(self.workspace.path());
        self.mode = self.modes.at(place, &wishes);
        let mode = if self.mode == Mode::BypassPermissions { Mode::Default } else { self.mode };
        Launched { model: self.chosen_model.clone(), mode }
    }

    /// The conversation that an agent at `place` is to have: where the settings want it, a new one after a move. It
    /// becomes the tab's when that agent answers; until then the old one can be gone back to.
    pub(super) fn conversation_at(&mut self, place: Place) -> String {
        self.coming = self.begins_anew_at(place).then(|| uuid::Uuid::new_v4().to_string());
        self.coming.clone().unwrap_or_else(|| self.conversation.clone())
    }

    /// What the user has allowed in the conversation that an agent at `place` is to have.
    pub(super) fn allowed_at(&self, place: Place) -> Vec<String> {
        if self.begins_anew_at(place) { Vec::new() } else { self.allowed.clone() }
    }

    fn begins_anew_at(&self, place: Place) -> bool {
        let moves = self.was_at.is_some_and(|was| was != place);
        moves && self.surroundings.settings().fresh_on_toggle && self.transcript.last_user_text().is_some()
    }

    /// Tells an agent that has just answered what was chosen since it was started.
    pub(super) fn catch_up(&mut self) {
        let (mode, model) = (self.mode, self.chosen_model.clone());
        let launched = std::mem::replace(&mut self.launched, Launched { model: model.clone(), mode });
        let Some(running) = self.slot.running() else { return };
        if launched.mode != mode {
            let line = running.session.set_mode(mode);
            running.process.input.send(line);
        }
        if launched.model != model {
            let line = running.session.set_model(model.as_deref().unwrap_or("default"));
            running.process.input.send(line);
        }
    }

    /// Runs a task of the tab's own and reports what comes of it. It ends with its handle.
    pub(super) fn task(&self, work: impl Future<Output = Done> + Send + 'static) -> Option<AbortOnDropHandle<()>> {
        let reports = self.reports()?.downgrade();
        Some(AbortOnDropHandle::new(tokio::spawn(async move {
            let done = work.await;
            if let Some(reports) = reports.upgrade() {
                let _ = reports.send(Message::Done(done));
            }
        })))
    }

    pub(super) fn on_started(&mut self, epoch: u32, result: Result<Process, NotStarted>) {
        if epoch != self.epoch || !matches!(self.slot, Slot::Starting { .. }) {
            return;
        }
        match result {
            Ok(process) => {
                // Known by the time that somebody wants an image of the same version.
                let surroundings = self.surroundings.clone();
                tokio::spawn(async move { surroundings.cli_version().await });
                if let Some(group) = process.group {
                    self.surroundings.reaper().hold(group);
                }
                self.shake_hands(Place::Host, process);
            }
            Err(NotStarted::Missing(_)) if self.installing.is_some() => self.shows_installing(),
            Err(NotStarted::Missing(failure)) => self.slot = Slot::Missing(failure),
            Err(NotStarted::Failed(failure)) => self.slot = Slot::Failed(failure),
        }
    }

    /// Takes a started process as the tab's agent and opens the conversation with it.
    pub(super) fn shake_hands(&mut self, place: Place, process: Process) {
        let mut running = Running::new(self.epoch, place, process);
        let line = running.session.initialize();
        running.process.input.send(line);
        self.deadline(HANDSHAKE, Deadline::Handshake(running.epoch));
        self.slot = Slot::Running(Box::new(running));
    }

    pub(super) fn on_lines(&mut self, lines: Vec<Output>) {
        for line in lines {
            let Some(running) = self.slot.running() else { return };
            match line {
                Output::Line { text, at } => {
                    if running.place == Place::Container {
                        self.life.heard(at);
                    }
                    let heard = running.session.hear(&text);
                    if let Some(reply) = heard.reply {
                        running.process.input.send(reply);
                    }
                    for event in heard.events {
                        self.on_event(event, at);
                    }
                }
                Output::Oversized { bytes, head } => {
                    tracing::warn!(bytes, "the agent wrote a line that is too long");
                    let text = format!("The agent sent a message of {} MB, which was passed over.", bytes / 1_000_000);
                    self.transcript.notice(crate::transcript::Topic::Warning, text, Some(head));
                }
            }
        }
    }

    /// Asks the agent to go. A turn is interrupted first, a question denied, so that the conversation's file is whole
    /// when the next agent reads it.
    pub(super) fn let_go(&mut self, why: Leaving) {
        let turn = self.turn != TurnView::Idle;
        let Some(running) = self.slot.running() else {
            self.slot = Slot::Empty;
            self.on_left(why, false);
            return;
        };
        let epoch = running.epoch;
        if running.leaving.replace(why).is_some() {
            self.hurries(epoch, turn);
            return;
        }
        if turn && running.ready && why != Leaving::Stuck {
            let denial = Choice::Deny { reason: format!("The user did not answer, because {}.", why.reason()) };
            for ask in running.session.waiting() {
                let call = running.session.call(&ask);
                if let Some(line) = running.session.answer(&ask, &denial) {
                    running.process.input.send(line);
                    running.denied.extend(call);
                    self.transcript.decline_unanswered(&ask, why.reason());
                }
            }
            if running.denied.is_empty() {
                let line = running.session.interrupt();
                running.process.input.send(line);
            }
            self.deadline(LEAVE, Deadline::Leave(epoch));
            self.hurries(epoch, true);
        } else {
            self.stop_process();
        }
    }

    /// Where the app ends, an agent that is asked to go has less time: for the rest of its turn, or for its own end.
    fn hurries(&mut self, epoch: u32, turn: bool) {
        let Some(by) = self.ends_by else { return };
        if turn {
            let left = by.saturating_duration_since(Instant::now()).saturating_sub(AFTER_TURN);
            self.deadline(left, Deadline::Leave(epoch));
        } else {
            self.stop_process();
        }
    }

    /// Starts down the ladder; [`Self::on_exit`] follows.
    pub(super) fn stop_process(&mut self) {
        let by = self.ends_by;
        if let Some(running) = self.slot.running() {
            let stop = running.process.stop.clone();
            tokio::spawn(async move {
                match by {
                    Some(by) => stop.stop_by(by).await,
                    None => stop.stop().await,
                }
            });
        }
    }

    pub(super) fn on_no_leave(&mut self, epoch: u32) {
        if self.slot.running().is_some_and(|running| running.epoch == epoch && running.is_leaving()) {
            self.stop_process();
        }
    }

    pub(super) fn on_no_handshake(&mut self, epoch: u32) {
        let waits = |running: &&mut Running| running.epoch == epoch && !running.ready && !running.is_leaving();
        let Some(running) = self.slot.running().filter(waits) else { return };
        running.fault = Some(Fault::Deaf);
        // Its end is what is told, because until then nobody else may have the conversation.
        running.process.stop.kill();
        if running.place == Place::Container {
            self.on_container_failed(deaf());
        }
    }

    pub(super) fn on_exit(&mut self, exit: &Exit) {
        let Slot::Running(running) = std::mem::replace(&mut self.slot, Slot::Empty) else {
            return;
        };
        let Running { epoch, place, process, leaving, ready, fault, .. } = *running;
        tracing::debug!(tab = %self.id, epoch, ?place, code = ?exit.code, "the agent has gone");
        self.forget_deadline(Deadline::Interrupt(epoch));
        if let Some(group) = process.group {
            self.surroundings.reaper().release(group);
        }
        let reason = leaving.map_or_else(
            || format!("The agent ended unexpectedly ({}).", how(exit)),
            |why| format!("Interrupted: {}.", why.reason()),
        );
        let turn = std::mem::replace(&mut self.turn, TurnView::Idle);
        self.transcript.end_turn((turn != TurnView::Idle).then_some(reason.as_str()));
        self.transcript.forget_process();
        self.audits_no_more();
        self.flip.syncing.failure = exit.unsynced.as_deref().cloned();
        self.flip.syncing.ends();
        if let Some(why) = leaving {
            self.on_left(why, exit.left);
            return;
        }
        let failure = match (fault, place) {
            (Some(Fault::SessionMissing), _) => session_missing(&exit.stderr),
            (Some(Fault::Deaf), _) => deaf().with_detail(&exit.stderr),
            (None, Place::Host) => host_failure(exit, ready),
            (None, Place::Container) => Failure::from(&crate::container::run::why(exit)),
        };
        match place {
            Place::Host => {
                tracing::warn!(how = how(exit), "the agent ended by itself");
                self.slot = Slot::Failed(failure);
            }
            Place::Container => {
                let mut left = if exit.left { format!(" {}.", RunError::Left) } else { String::new() };
                if let Some(unsynced) = self.flip.syncing.failure.take() {
                    left = format!("{left} {}: {}", unsynced.title, unsynced.cause);
                }
                self.on_container_agent_gone(Failure { cause: failure.cause + &left, ..failure }, exit.left);
            }
        }
    }

    /// What follows when an agent that was asked to go is gone; `left` where its container may not be.
    fn on_left(&mut self, why: Leaving, left: bool) {
        if self.is_closing() {
            return;
        }
        match why {
            Leaving::ToContainer => self.on_host_left(),
            Leaving::ToHost => self.on_container_left(left),
            Leaving::Restart | Leaving::Stuck => self.start_where_we_are(),
            Leaving::Closing => {}
        }
    }

    pub(super) fn on_retry_agent(&mut self) {
        if matches!(self.slot, Slot::Empty | Slot::Missing(_) | Slot::Failed(_)) && !self.flip.is_moving() {
            self.start_where_we_are();
        }
    }

    /// A new conversation of the agent; what is shown stays.
    pub(super) fn on_start_fresh(&mut self) {
        self.renew_conversation(uuid::Uuid::new_v4().to_string());
        match (&self.slot, self.flip.state()) {
            (Slot::Running(_), _) => self.let_go(Leaving::Restart),
            (_, State::Error { host_agent: false, .. }) => self.on_click(Instant::now()),
            _ => self.on_retry_agent(),
        }
    }

    pub(super) fn renew_conversation(&mut self, conversation: String) {
        self.conversation = conversation;
        self.coming = None;
        self.usage = super::view::Usage::default();
        self.allowed.clear();
        self.told_place = Some(Place::Host);
        self.transcript.notice(
            crate::transcript::Topic::Info,
            "A new conversation begins here: the agent does not know what was said above.",
            None,
        );
    }

    pub(super) fn on_close(&mut self) {
        self.close_container();
        match &self.slot {
            Slot::Running(_) => self.let_go(Leaving::Closing),
            _ => self.slot = Slot::Empty,
        }
    }
}

/// The failure of an agent that says nothing.
fn deaf() -> Failure {
    let cause = format!("It did not answer within {} seconds.", HANDSHAKE.as_secs());
    not_started(cause, "Press Retry. If it goes on, run `claude` in a terminal to see what it says.")
}

/// The failure of a conversation that is not there.
fn session_missing(stderr: &str) -> Failure {
    Failure::new(
        Code::SessionMissing,
        "The conversation is not there any more",
        "The Claude CLI has no conversation of this id in this folder.",
        "Start a new conversation: what is shown here stays, but the agent will not know it.",
    )
    .with_detail(stderr)
}

fn not_started(cause: String, action: &str) -> Failure {
    Failure::new(Code::AgentNotStarted, "The agent did not start", cause, action)
}

/// How a process ended, in words.
fn how(exit: &Exit) -> String {
    match (exit.code, exit.signal) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no exit code".to_owned(),
    }
}

fn host_failure(exit: &Exit, ready: bool) -> Failure {
    if !ready {
        let cause = format!("The Claude CLI ended before it was ready ({}).", how(exit));
        return not_started(cause, "Read what it said, mend it, then press Retry.").with_detail(&exit.stderr);
    }
    let cause = format!("The Claude CLI ended by itself ({}).", how(exit));
    let action = "Press Retry: the conversation goes on where it was.";
    Failure::new(Code::AgentCrashed, "The agent ended unexpectedly", cause, action).with_detail(&exit.stderr)
}
