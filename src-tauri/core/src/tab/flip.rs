//! Moving the agent between the host and a container: performs what the pure machine of `container::state` decides.
//!
//! Two agents never hold the conversation at once. The container is created and started while the host's agent
//! leaves, but what it waits for, its secrets, is sent only when that agent has exited: see [`Gate`].

mod limits;
mod order;

use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::Message;
use super::actor::{Actor, Deadline, Done};
use super::agent::{Leaving, Slot};
use super::rebuild::Rebuild;
use super::syncing::Syncing;
use super::view::{BuildStep, ContainerView};
use crate::container::run::RunError;
use crate::container::spec;
use crate::container::state::{Effect, Event, State, step};
use crate::failure::{Code, Failure};
use crate::place::Place;
use crate::place::container::{self, Gate, Image, News, Refusals};
use crate::process::Process;
use crate::transcript::Topic;
use crate::trust::{Question, Reply};

/// How much of the log is kept, in lines.
const LOG_LINES: usize = 20_000;

/// What tasks of the flip report.
pub(crate) enum Report {
    /// How it goes.
    News { entered: u32, news: News },
    /// The image is there, or not.
    Prepared { entered: u32, result: Result<Box<Image>, Failure> },
    /// The container has started and waits at the gate, or not.
    Entered { entered: u32, result: Result<Box<Gate>, Failure> },
    /// The agent in the container has begun, or not.
    Opened { entered: u32, result: Result<Process, Failure> },
    /// A new image for the container that runs is there, or not.
    Rebuilt { entered: u32, result: Result<Box<Image>, Failure> },
    /// What the running container's image is made from has changed.
    Changed { entered: u32 },
    /// What was cancelled or left over is gone, unless the engine left it.
    Cleared { left: bool },
}

/// The Container button's state and all that belongs to it.
#[derive(Debug)]
pub(super) struct Flip {
    state: State,
    since: SystemTime,
    /// Counts changes of state, so that a late report is known as such.
    entered: u32,
    clicked: Option<Instant>,
    took: Option<Duration>,
    phase: Option<String>,
    step: Option<BuildStep>,
    facts: Vec<(String, String)>,
    log: Vec<String>,
    /// What the user is asked about the project.
    pub(super) asks: Option<(Question, Reply)>,
    /// Cancelled where the container that is being made is not wanted any more.
    wanted: CancellationToken,
    image: Option<Image>,
    gate: Option<Gate>,
    /// How many containers are being started. Such a task is never cut off, because the engine would finish what it
    /// has begun: what comes of it too late is removed.
    entering: u32,
    /// How many are being removed. Nobody may cut that off either.
    clearing: u32,
    /// The change of state that began the container which runs: what it tells later is of this life, too.
    life: u32,
    /// Whoever waits for the agent in the container to answer.
    running: Option<CancellationToken>,
    /// The search for the image. It is cut off by whatever ends the building.
    preparing: Option<AbortOnDropHandle<()>>,
    /// Of a tab that an instance which died has left: true where it was in a container, and has to go back there.
    taken_up: Option<bool>,
    pub(super) rebuild: Rebuild,
    pub(super) syncing: Syncing,
    refusals: Refusals,
}

impl Default for Flip {
    fn default() -> Self {
        Self {
            state: State::Off,
            since: SystemTime::now(),
            entered: 0,
            clicked: None,
            took: None,
            phase: None,
            step: None,
            facts: Vec::new(),
            log: Vec::new(),
            asks: None,
            wanted: CancellationToken::new(),
            image: None,
            gate: None,
            entering: 0,
            clearing: 0,
            life: 0,
            running: None,
            preparing: None,
            taken_up: None,
            rebuild: Rebuild::default(),
            syncing: Syncing::default(),
            refusals: Refusals::default(),
        }
    }
}

impl Flip {
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn log(&self) -> Vec<String> {
        self.log.clone()
    }

    pub(super) fn take_up(&mut self, container: bool) {
        self.taken_up = Some(container);
    }

    /// Sets what is known by a name.
    pub(super) fn states(&mut self, name: &str, value: String) {
        match self.facts.iter_mut().find(|(known, _)| known == name) {
            Some(fact) => fact.1 = value,
            None => self.facts.push((name.to_owned(), value)),
        }
    }

    /// Says what is waited for.
    pub(super) fn waits_for(&mut self, what: &str) {
        self.phase = Some(what.to_owned());
    }

    /// The next container is made from this image.
    pub(super) fn takes(&mut self, image: Image) {
        self.image = Some(image);
        self.built_nothing();
    }

    /// A build beside a container that runs has ended.
    pub(super) fn built_nothing(&mut self) {
        self.phase = None;
        self.step = None;
    }

    /// Counts changes of state.
    pub(super) fn entered(&self) -> u32 {
        self.entered
    }

    /// True while the agent is between two places, and messages have to wait for the other one.
    pub(super) fn is_moving(&self) -> bool {
        matches!(
            self.state,
            State::Building { host_agent: false } | State::Starting | State::Stopping { host_agent: false }
        )
    }

    /// True where the next state is being worked for.
    pub(super) fn is_on_its_way(&self) -> bool {
        matches!(self.state, State::Building { .. } | State::Starting)
    }

    /// True while a container is being started.
    pub(super) fn is_entering(&self) -> bool {
        self.entering > 0
    }

    /// True where nothing of the container's exists or is on its way.
    pub(super) fn is_at_rest(&self) -> bool {
        self.gate.is_none() && self.preparing.is_none() && self.entering == 0 && self.clearing == 0
    }

    pub(super) fn view(&self) -> ContainerView {
        ContainerView {
            state: self.state.clone(),
            since: self.since,
            phase: self.phase.clone(),
            step: self.step.clone(),
            facts: self.facts.clone(),
            took: self.took,
            has_log: !self.log.is_empty(),
            image_changed: self.rebuild.has_changed(),
            conflicts: self.syncing.conflicts.clone(),
            refusals: self.refusals.clone(),
        }
    }
}

impl Actor {
    /// Starts the tab's agent where the tab was last, and a new tab's where the project's last one was. One that was in
    /// a container does not run on the host meanwhile.
    pub(super) fn begin(&mut self) {
        let path = self.workspace.path();
        let left = self.flip.taken_up.take();
        let new_inside = left.is_none() && self.surroundings.projects().place(path) == Place::Container;
        // What a container has changed is no question as long as nothing starts on the host.
        if left == Some(true) || (new_inside && self.surroundings.guard().knows(path)) {
            self.drive(Event::TakenUp);
            return;
        }
        self.start_on_host();
        if new_inside {
            self.on_click(Instant::now());
        }
    }

    pub(super) fn on_click(&mut self, at: Instant) {
        if matches!(self.flip.state, State::Off | State::Error { .. }) {
            self.flip.clicked = Some(at);
        }
        self.drive(Event::Click);
    }

    pub(super) fn on_use_host(&mut self) {
        self.drive(Event::UseHost);
    }

    /// Starts the agent again in the place that the button says.
    pub(super) fn start_where_we_are(&mut self) {
        match self.flip.state {
            State::Running => self.drive(Event::Again),
            State::Starting
            | State::Building { host_agent: false }
            | State::Stopping { host_agent: false }
            | State::Error { host_agent: false, .. } => {}
            State::Off | State::Building { .. } | State::Stopping { .. } | State::Error { .. } => self.start_on_host(),
        }
    }

    /// The agent in the container has answered the handshake.
    pub(super) fn on_container_answered(&mut self) {
        self.drive(Event::AgentAnswered);
    }

    pub(super) fn on_container_failed(&mut self, failure: Failure) {
        self.drive(Event::Failed(failure));
    }

    /// The agent in the container has ended by itself; `left` where its container may not be gone.
    pub(super) fn on_container_agent_gone(&mut self, failure: Failure, left: bool) {
        let unless_again = if left { Err(failure) } else { self.starts_again(failure) };
        if let Err(failure) = unless_again {
            self.drive(Event::AgentGone(failure));
        }
        self.come_to_rest();
    }

    /// The host's agent has exited, so that the conversation is free.
    pub(super) fn on_host_left(&mut self) {
        match self.flip.state {
            State::Starting => self.open_gate(),
            _ => self.come_to_rest(),
        }
    }

    /// The agent in the container has exited and its container is gone, unless the engine `left` it.
    pub(super) fn on_container_left(&mut self, left: bool) {
        if let Some(failure) = self.flip.syncing.failure.take() {
            self.drive(Event::Failed(failure));
        }
        if left {
            self.drive(Event::Failed(Failure::from(&RunError::Left)));
        }
        self.come_to_rest();
    }

    /// Ends the way back once nothing is left of what was cancelled or stopped.
    fn come_to_rest(&mut self) {
        if self.is_closing() || !self.flip.is_at_rest() {
            return;
        }
        match self.flip.state {
            State::Stopping { host_agent: true } => self.drive(Event::Stopped),
            State::Stopping { host_agent: false } if self.slot.is_at_rest() => self.look_at_files(),
            State::Off if matches!(self.slot, Slot::Empty) => self.start_on_host(),
            _ => {}
        }
    }

    /// Ends everything of the container's, because the tab is being closed.
    pub(super) fn close_container(&mut self) {
        self.flip.wanted.cancel();
        self.flip.asks = None;
        self.flip.preparing = None;
        if let Some(gate) = self.flip.gate.take() {
            self.clear(gate);
        }
    }

    pub(super) fn on_container(&mut self, report: Report) {
        match report {
            Report::News { entered, news } if entered == self.flip.entered => self.on_news(news),
            // The last words of an agent come when its end is known already.
            Report::News { entered, news } if entered == self.flip.life && self.still_counts(&news) => {
                self.on_news(news);
            }
            Report::Prepared { entered, result } if entered == self.flip.entered => {
                self.flip.preparing = None;
                match result {
                    Ok(image) => {
                        self.flip.image = Some(*image);
                        self.drive(Event::ImageReady);
                    }
                    Err(failure) => self.drive(Event::Failed(failure)),
                }
            }
            Report::Entered { entered, result } => self.on_entered(entered, result),
            Report::Opened { entered, result } => self.on_opened(entered, result),
            Report::Cleared { left } => {
                self.flip.clearing = self.flip.clearing.saturating_sub(1);
                self.on_container_left(left);
            }
            Report::Rebuilt { entered, result } if entered == self.flip.entered => {
                self.on_rebuilt(result.map(|image| *image));
            }
            Report::Changed { entered } if entered == self.flip.entered => self.on_image_changed(),
            Report::News { .. } | Report::Prepared { .. } | Report::Rebuilt { .. } | Report::Changed { .. } => {}
        }
    }

    fn on_entered(&mut self, entered: u32, result: Result<Box<Gate>, Failure>) {
        self.flip.entering = self.flip.entering.saturating_sub(1);
        match result {
            Ok(gate) if self.is_wanted(entered) => {
                self.life.holds(gate.held());
                self.flip.gate = Some(*gate);
                self.open_gate();
            }
            Ok(gate) => self.clear(*gate),
            Err(failure) if self.is_wanted(entered) => self.drive(Event::Failed(failure)),
            Err(_) => self.come_to_rest(),
        }
    }

    fn on_opened(&mut self, entered: u32, result: Result<Process, Failure>) {
        self.flip.entering = self.flip.entering.saturating_sub(1);
        if result.is_err() {
            self.flip.syncing.ends();
        }
        match result {
            Ok(process) if self.is_wanted(entered) => {
                self.epoch += 1;
                self.flip.phase = Some("Waiting for the agent to answer".to_owned());
                self.shake_hands(Place::Container, process);
            }
            Ok(process) => self.clearing(async move {
                process.stop.kill();
                process.stop.gone().await.left
            }),
            Err(failure) if self.is_wanted(entered) => self.drive(Event::Failed(failure)),
            Err(_) => self.come_to_rest(),
        }
    }

    /// True where what was begun in the n-th state is what the tab waits for now.
    fn is_wanted(&self, entered: u32) -> bool {
        entered == self.flip.entered && self.flip.state == State::Starting && !self.is_closing()
    }

    fn on_news(&mut self, news: News) {
        match news {
            News::Phase(phase) => {
                tracing::debug!(tab = %self.id, phase, "container");
                self.flip.phase = Some(phase);
            }
            News::Fact(name, value) => self.flip.states(name, value),
            News::Step(step) => self.flip.step = Some(step),
            News::Asks(question, reply) => self.asks_for_trust(question, reply),
            News::Hurry(false) => self.forget_deadline(Deadline::Container(self.flip.entered)),
            News::Hurry(true) => self.deadline(limits::STARTING, Deadline::Container(self.flip.entered)),
            News::Log { reset, lines } => {
                if reset {
                    self.flip.log.clear();
                }
                self.flip.log.extend(lines.iter().cloned());
                let surplus = self.flip.log.len().saturating_sub(LOG_LINES);
                self.flip.log.drain(..surplus);
                self.log(reset, lines);
            }
            News::Notice(text) => drop(self.transcript.notice(Topic::Container, text, None)),
            News::Refused(refusals) => self.flip.refusals = refusals,
            News::Failed(failure) => self.on_container_failed(failure),
            News::WhenRunning(waiting) => self.flip.running = Some(waiting),
        }
    }

    pub(super) fn drive(&mut self, event: Event) {
        if self.is_closing() {
            // Nothing begins any more; what exists is ended by the close.
            return;
        }
        let before = std::mem::take(&mut self.flip.state);
        let happened = format!("{event:?}");
        let (after, effects) = step(before.clone(), event);
        self.flip.state = after.clone();
        if after == before && effects.is_empty() {
            tracing::debug!(tab = %self.id, happened, state = name(&before), "an event came too late and is ignored");
            return;
        }
        tracing::info!(tab = %self.id, from = name(&before), to = name(&after), "container");
        self.flip.entered += 1;
        self.flip.since = SystemTime::now();
        self.flip.phase = None;
        self.flip.preparing = None;
        self.life.passes_to(&after);
        self.flip.rebuild.reset();
        self.flip.asks = None;
        self.flip.wanted.cancel();
        if !matches!(after, State::Building { .. }) {
            self.flip.step = None;
        }
        if after.is_off() {
            self.flip.forget();
        }
        match after {
            State::Running => self.surroundings.projects().remember(self.workspace.path(), Place::Container),
            State::Off => self.surroundings.projects().remember(self.workspace.path(), Place::Host),
            State::Building { .. } | State::Starting | State::Stopping { .. } | State::Error { .. } => {}
        }
        match after {
            State::Starting => self.deadline(self.start_limit(), Deadline::Container(self.flip.entered)),
            State::Stopping { .. } => self.deadline(limits::STOPPING, Deadline::Container(self.flip.entered)),
            // The build has a watchdog of its own, because it may rightly take long.
            State::Off | State::Building { .. } | State::Running | State::Error { .. } => {}
        }
        for effect in effects {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Prepare => self.prepare(),
            // Dropping the task has cancelled the build; the report makes the state visible before it passes.
            Effect::CancelPrepare => self.clearing(std::future::ready(false)),
            Effect::Enter => self.enter(),
            Effect::Leave => self.leave(),
            Effect::Discard => {
                if let Some(gate) = self.flip.gate.take() {
                    self.clear(gate);
                }
                if let Some(running) = self.slot.running().filter(|running| running.place == Place::Container) {
                    running.process.stop.kill();
                }
            }
            // An agent that is still leaving is waited for; its end starts the next one.
            Effect::UseHost if matches!(self.slot, Slot::Running(_)) => {}
            Effect::UseHost => self.start_on_host(),
            Effect::Settle => self.settle(),
        }
    }

    /// The pause before a start is over.
    pub(super) fn on_paused(&mut self, entered: u32) {
        if entered == self.flip.entered && self.flip.state == State::Starting {
            self.enter();
        }
    }

    fn enter(&mut self) {
        if let Some(pause) = self.life.take_pause() {
            self.flip.phase = Some("Waiting a moment before the agent is started again".to_owned());
            self.deadline(pause, Deadline::Again(self.flip.entered));
            return;
        }
        let Some(image) = self.flip.image.clone() else {
            let failure =
                Failure::new(Code::ImageMissing, "The image is not there", "It was not prepared.", "Press Retry.");
            self.drive(Event::Failed(failure));
            return;
        };
        self.launched = self.launches(Place::Container);
        self.inside = Some(self.surroundings.enters(&self.id, self.workspace.path()));
        self.cleaning.begins_at(image.engine());
        self.flip.wanted = CancellationToken::new();
        let entered = self.flip.entered;
        self.flip.life = entered;
        let order = self.order();
        let news = self.news();
        if let Some(reports) = self.reports() {
            self.flip.entering += 1;
            tokio::spawn(async move {
                // A clean-up that is under way ends first; none begins while somebody is inside.
                drop(order.surroundings.volumes_of(order.workspace.path()).await);
                let result = Box::pin(container::enter(&order, &image, news)).await.map(Box::new);
                let _ = reports.send(Message::Done(Done::Container(Box::new(Report::Entered { entered, result }))));
            });
        }
        match &self.slot {
            Slot::Running(_) => self.let_go(Leaving::ToContainer),
            _ => self.slot = Slot::Empty,
        }
    }

    /// Lets the agent in the container begin, once it waits there and nobody else holds the conversation.
    fn open_gate(&mut self) {
        if !matches!(self.slot, Slot::Empty) {
            return;
        }
        let (Some(gate), Some(reports)) = (self.flip.gate.take(), self.reports()) else { return };
        let (entered, conversation) = (self.flip.entered, self.conversation_at(Place::Container));
        tracing::debug!(tab = %self.id, "letting the agent in the container begin");
        let told = self.tells_of_sync();
        self.flip.entering += 1;
        tokio::spawn(async move {
            let result = gate.open(conversation, told).await;
            let _ = reports.send(Message::Done(Done::Container(Box::new(Report::Opened { entered, result }))));
        });
    }

    fn leave(&mut self) {
        let inside = self.slot.running().is_some_and(|running| running.place == Place::Container);
        if inside {
            self.flip.phase = Some("Waiting for the agent in the container to leave".to_owned());
            self.let_go(Leaving::ToHost);
            return;
        }
        self.flip.phase = Some("Removing the container".to_owned());
        if let Some(gate) = self.flip.gate.take() {
            self.clear(gate);
        }
        // A container that is being started is removed as soon as it is there; where nothing is left this is the end.
        self.come_to_rest();
    }

    fn settle(&mut self) {
        if let Some(waiting) = self.flip.running.take() {
            waiting.cancel();
        }
        self.lives();
        let fact = self.audit_fact();
        self.flip.facts.retain(|known| known.0 != fact.0);
        self.flip.facts.push(fact);
        if let Some(image) = self.flip.image.clone() {
            self.look_for_changes(image);
        }
        self.flip.took = self.flip.clicked.take().map(|clicked| clicked.elapsed());
        if let Some(took) = self.flip.took {
            tracing::info!(tab = %self.id, milliseconds = took.as_secs_f64() * 1000.0, "click to running");
        }
        if self.was_at == Some(Place::Container) {
            self.deliver();
            return;
        }
        let image = self.flip.image.as_ref().map(|image| image.name.clone()).unwrap_or_default();
        let too = if spec::is_at_own_path(self.workspace.path()) { ", and at its own path too" } else { "" };
        self.transcript.notice(
            Topic::Container,
            "The agent runs in a container now.",
            Some(format!("Image {image}. The project is at /workspace{too}.")),
        );
        self.deliver();
    }
}

fn name(state: &State) -> &'static str {
    match state {
        State::Off => "off",
        State::Building { .. } => "building",
        State::Starting => "starting",
        State::Running => "running",
        State::Stopping { .. } => "stopping",
        State::Error { .. } => "error",
    }
}
