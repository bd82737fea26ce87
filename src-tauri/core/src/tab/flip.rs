//! Moving the agent between the host and a container: performs what the pure machine of `container::state` decides.
//!
//! Two agents never hold the conversation at once. The container is created and started while the host's agent
//! leaves, but what it waits for, its secrets, is sent only when that agent has exited: see [`Gate`].

use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::Message;
use super::actor::{Actor, Deadline, Done};
use super::agent::{Leaving, Slot};
use super::view::{BuildStep, ContainerView};
use crate::agent::Mode;
use crate::container::state::{Effect, Event, State, step};
use crate::failure::{Code, Failure};
use crate::place::Place;
use crate::place::container::{self, Gate, Image, News, Order};
use crate::process::Process;
use crate::transcript::Topic;

/// How long the engine, the container and the agent in it may take to start together.
const STARTING: Duration = Duration::from_secs(90);
/// How long the way back may take: the ladder's graces and the removal of the container.
const STOPPING: Duration = Duration::from_secs(30);
/// How much of the build log is kept, in lines.
const LOG_LINES: usize = 20_000;

/// What tasks of the flip report.
pub(crate) enum Report {
    /// How it goes.
    News { entered: u32, news: News },
    /// The image is there, or not.
    Prepared { entered: u32, result: Result<Image, Failure> },
    /// The container has started and waits at the gate, or not.
    Entered { entered: u32, result: Result<Gate, Failure> },
    /// The agent in the container has begun, or not.
    Opened { entered: u32, result: Result<Process, Failure> },
    /// What was cancelled or left over is gone.
    Cleared { entered: u32, result: Result<(), Failure> },
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
    image: Option<Image>,
    gate: Option<Gate>,
    /// How many containers are being started. Such a task is never cut off, because the engine would finish what it
    /// has begun: what comes of it too late is removed.
    entering: u32,
    work: Option<AbortOnDropHandle<()>>,
    /// True where the tab was in a container when an instance died, and has to go back there.
    taken_up: bool,
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
            image: None,
            gate: None,
            entering: 0,
            work: None,
            taken_up: false,
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
        self.taken_up = container;
    }

    /// True while the agent is between two places.
    pub(super) fn is_moving(&self) -> bool {
        matches!(self.state, State::Starting | State::Stopping { host_agent: false })
    }

    /// True while messages have to wait for the other place.
    pub(super) fn holds_messages(&self) -> bool {
        self.is_moving()
    }

    /// True where nothing of the container's exists or is on its way.
    pub(super) fn is_at_rest(&self) -> bool {
        self.gate.is_none() && self.work.is_none() && self.entering == 0
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
        }
    }
}

impl Actor {
    /// Starts the tab's agent where the tab was last.
    pub(super) fn begin(&mut self) {
        self.start_on_host();
        if std::mem::take(&mut self.flip.taken_up) {
            self.on_click(Instant::now());
        }
    }

    pub(super) fn on_click(&mut self, at: Instant) {
        if self.is_closing() {
            return;
        }
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
            State::Starting | State::Stopping { host_agent: false } | State::Error { host_agent: false, .. } => {}
            State::Off | State::Building | State::Stopping { .. } | State::Error { .. } => self.start_on_host(),
        }
    }

    /// The agent in the container has answered the handshake.
    pub(super) fn on_container_answered(&mut self) {
        self.drive(Event::AgentAnswered);
    }

    pub(super) fn on_container_failed(&mut self, failure: Failure) {
        self.drive(Event::Failed(failure));
    }

    pub(super) fn on_container_agent_gone(&mut self, failure: Failure) {
        if self.flip.state.is_off() {
            // It was given up and killed, and "use host" was clicked before it was gone.
            self.start_on_host();
        }
        self.drive(Event::AgentGone(failure));
    }

    /// The host's agent has exited, so that the conversation is free.
    pub(super) fn on_host_left(&mut self) {
        match self.flip.state {
            State::Starting => self.open_gate(),
            State::Stopping { .. } if self.flip.is_at_rest() => self.drive(Event::Stopped),
            State::Off => self.start_on_host(),
            _ => {}
        }
    }

    /// The agent in the container has exited and its container is gone.
    pub(super) fn on_container_left(&mut self) {
        self.drive(Event::Stopped);
    }

    pub(super) fn on_container_too_slow(&mut self, entered: u32) {
        if entered != self.flip.entered {
            return;
        }
        let phase = self.flip.phase.clone().unwrap_or_else(|| "Moving the agent".to_owned());
        let failure = Failure::new(
            Code::Timeout,
            "The container took too long",
            format!("It did not get further than this: {phase}."),
            "Look whether the engine still answers, then press Retry.",
        );
        self.drive(Event::Failed(failure));
    }

    /// Ends everything of the container's, because the tab is being closed.
    pub(super) fn close_container(&mut self) {
        self.flip.work = None;
        if let Some(gate) = self.flip.gate.take() {
            self.clear(gate);
        }
    }

    pub(super) fn on_container(&mut self, report: Report) {
        match report {
            Report::News { entered, news } if entered == self.flip.entered => self.on_news(news),
            Report::Prepared { entered, result } if entered == self.flip.entered => {
                self.flip.work = None;
                match result {
                    Ok(image) => {
                        self.flip.image = Some(image);
                        self.drive(Event::ImageReady);
                    }
                    Err(failure) => self.drive(Event::Failed(failure)),
                }
            }
            Report::Entered { entered, result } => self.on_entered(entered, result),
            Report::Opened { entered, result } => self.on_opened(entered, result),
            Report::Cleared { entered, result } if entered == self.flip.entered => {
                self.flip.work = None;
                self.on_cleared(result);
            }
            Report::News { .. } | Report::Prepared { .. } | Report::Cleared { .. } => {}
        }
    }

    fn on_entered(&mut self, entered: u32, result: Result<Gate, Failure>) {
        self.flip.entering = self.flip.entering.saturating_sub(1);
        let wanted = entered == self.flip.entered && self.flip.state == State::Starting && !self.is_closing();
        match result {
            Ok(gate) if wanted => {
                self.flip.gate = Some(gate);
                self.open_gate();
            }
            Ok(gate) => self.clear(gate),
            Err(failure) if wanted => self.drive(Event::Failed(failure)),
            Err(_) => self.on_cleared(Ok(())),
        }
    }

    fn on_opened(&mut self, entered: u32, result: Result<Process, Failure>) {
        self.flip.entering = self.flip.entering.saturating_sub(1);
        let wanted = entered == self.flip.entered && self.flip.state == State::Starting && !self.is_closing();
        match result {
            Ok(process) if wanted => {
                self.epoch += 1;
                self.flip.phase = Some("Waiting for the agent to answer".to_owned());
                self.shake_hands(Place::Container, process);
            }
            Ok(process) => {
                let entered = self.flip.entered;
                self.flip.work = self.task(async move {
                    process.stop.kill();
                    process.stop.gone().await;
                    Done::Container(Report::Cleared { entered, result: Ok(()) })
                });
            }
            Err(failure) if wanted => self.drive(Event::Failed(failure)),
            Err(_) => self.on_cleared(Ok(())),
        }
    }

    /// What was cancelled is gone; so is the state, unless the host's agent is still on its way out.
    fn on_cleared(&mut self, result: Result<(), Failure>) {
        match result {
            Ok(()) => {
                let stays = self.flip.state == (State::Stopping { host_agent: true });
                if (stays || self.slot.is_at_rest()) && self.flip.is_at_rest() {
                    self.drive(Event::Stopped);
                }
            }
            Err(failure) => self.drive(Event::Failed(failure)),
        }
    }

    fn on_news(&mut self, news: News) {
        match news {
            News::Phase(phase) => self.flip.phase = Some(phase),
            News::Fact(name, value) => match self.flip.facts.iter_mut().find(|(known, _)| *known == name) {
                Some(fact) => fact.1 = value,
                None => self.flip.facts.push((name.to_owned(), value)),
            },
            News::Step(step) => self.flip.step = Some(step),
            News::Log { reset, lines } => {
                if reset {
                    self.flip.log.clear();
                }
                self.flip.log.extend(lines.iter().cloned());
                let surplus = self.flip.log.len().saturating_sub(LOG_LINES);
                self.flip.log.drain(..surplus);
                self.log(reset, lines);
            }
        }
    }

    fn drive(&mut self, event: Event) {
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
        self.flip.work = None;
        if after != State::Building {
            self.flip.step = None;
        }
        match after {
            State::Starting => self.deadline(STARTING, Deadline::Container(self.flip.entered)),
            State::Stopping { .. } => self.deadline(STOPPING, Deadline::Container(self.flip.entered)),
            // The build has a watchdog of its own, because it may rightly take long.
            State::Off | State::Building | State::Running | State::Error { .. } => {}
        }
        for effect in effects {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Prepare => self.prepare(),
            Effect::CancelPrepare => {
                // Dropping the task has cancelled the build; the report makes the state visible before it passes.
                let entered = self.flip.entered;
                self.flip.work = self.task(async move { Done::Container(Report::Cleared { entered, result: Ok(()) }) });
            }
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
            Effect::UseHost => {
                let back = !self.flip.facts.is_empty();
                self.flip.facts.clear();
                self.flip.took = None;
                if back {
                    if self.surroundings.settings().fresh_on_toggle {
                        self.renew_conversation();
                    }
                    self.transcript.notice(Topic::Host, "The agent runs on the host again.", None);
                }
                // An agent that is still leaving is waited for; its end starts the next one.
                if !matches!(self.slot, Slot::Running(_)) {
                    self.start_on_host();
                }
            }
            Effect::Settle => self.settle(),
        }
    }

    fn prepare(&mut self) {
        self.flip.facts.clear();
        self.flip.took = None;
        self.flip.step = None;
        self.flip.image = None;
        let entered = self.flip.entered;
        let order = self.order();
        let news = self.news();
        self.flip.work = self.task(async move {
            Done::Container(Report::Prepared { entered, result: container::prepare(&order, news).await })
        });
    }

    fn enter(&mut self) {
        let Some(image) = self.flip.image.clone() else {
            let failure =
                Failure::new(Code::ImageMissing, "The image is not there", "It was not prepared.", "Press Retry.");
            self.drive(Event::Failed(failure));
            return;
        };
        let moves = self.flip.clicked.is_some();
        if moves && self.surroundings.settings().fresh_on_toggle && self.transcript.last_user_text().is_some() {
            self.renew_conversation();
        }
        let entered = self.flip.entered;
        let order = self.order();
        let news = self.news();
        if let Some(reports) = self.reports() {
            self.flip.entering += 1;
            tokio::spawn(async move {
                let result = container::enter(&order, &image, news).await;
                let _ = reports.send(Message::Done(Done::Container(Report::Entered { entered, result })));
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
        let (entered, conversation) = (self.flip.entered, self.conversation.clone());
        self.flip.entering += 1;
        tokio::spawn(async move {
            let result = gate.open(conversation).await;
            let _ = reports.send(Message::Done(Done::Container(Report::Opened { entered, result })));
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
        // Otherwise a container is being started, and is removed as soon as it is there.
    }

    fn settle(&mut self) {
        self.flip.took = self.flip.clicked.take().map(|clicked| clicked.elapsed());
        if let Some(took) = self.flip.took {
            tracing::info!(tab = %self.id, milliseconds = took.as_secs_f64() * 1000.0, "click to running");
        }
        let image = self.flip.image.as_ref().map(|image| image.name.clone()).unwrap_or_default();
        self.transcript.notice(
            Topic::Container,
            "The agent runs in a container now.",
            Some(format!("Image {image}. The project is at /workspace, and at its own path too.")),
        );
        self.deliver();
    }

    fn clear(&mut self, gate: Gate) {
        let entered = self.flip.entered;
        self.flip.work = self.task(async move {
            gate.discard().await;
            Done::Container(Report::Cleared { entered, result: Ok(()) })
        });
    }

    fn order(&self) -> Order {
        Order {
            surroundings: self.surroundings.clone(),
            tab: self.id.clone(),
            workspace: self.workspace.clone(),
            model: self.chosen_model.clone(),
            allowed: self.allowed.clone(),
            mode: if self.mode == Mode::BypassPermissions { Mode::Default } else { self.mode },
        }
    }

    fn news(&self) -> impl Fn(News) + Send + Sync + Clone + 'static {
        let entered = self.flip.entered;
        let reports = self.reports().map(|reports| reports.downgrade());
        move |news| {
            if let Some(reports) = reports.as_ref().and_then(tokio::sync::mpsc::WeakUnboundedSender::upgrade) {
                let _ = reports.send(Message::Done(Done::Container(Report::News { entered, news })));
            }
        }
    }
}

fn name(state: &State) -> &'static str {
    match state {
        State::Off => "off",
        State::Building => "building",
        State::Starting => "starting",
        State::Running => "running",
        State::Stopping { .. } => "stopping",
        State::Error { .. } => "error",
    }
}
