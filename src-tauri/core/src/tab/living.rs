//! The life of a tab's container while the agent is in it: looking after its health, making it anew between two turns,
//! and starting an agent again that has crashed. When any of that is due, `container::life` knows.

use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::actor::{Actor, Deadline, Done};
use super::view::TurnView;
use crate::container::held::Held;
use crate::container::life::{self, Measured, Reason};
use crate::container::state::{Event, State};
use crate::failure::{Code, Failure};
use crate::place::Place;
use crate::transcript::Topic;

/// How often the agent is asked whether it answers.
const CHECK: Duration = Duration::from_secs(30);
/// Every so many checks the container is measured: its disk is not measured for nothing.
const MEASURED: u32 = 10;
/// How long a container that was made anew by itself is not made anew by itself: what did not help will not help.
const REST: Duration = Duration::from_hours(1);
/// How many checks an agent may say nothing in its turn before it is asked whether it lives: ten minutes. A long command
/// says nothing either, but the agent answers meanwhile.
const QUIET: u32 = 20;
/// How long after a command has run out of memory the agent's own end may follow, which then is what is told.
const AFTERMATH: Duration = Duration::from_secs(2);
/// Sets the time between two checks, in milliseconds, for those who cannot wait half a minute.
const PACE: &str = "GEMRA_CHECK_MILLISECONDS";

/// What tasks around a living container report.
#[derive(Debug)]
pub(crate) enum Report {
    /// How full it is.
    Measured { entered: u32, measured: Measured },
    /// A process in it was killed for want of memory, and not the agent.
    RanOut { entered: u32 },
}

/// What is known of the health of the agent in a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Health {
    /// When it last said anything.
    pub said: Option<SystemTime>,
    /// When it last answered a check.
    pub answered: Option<SystemTime>,
    /// How many checks it has not answered since.
    pub unanswered: u32,
}

/// What is kept of a container's life.
#[derive(Debug)]
pub(super) struct Life {
    held: watch::Sender<Option<Held>>,
    health: watch::Sender<Health>,
    /// Since when the agent in it answers.
    since: Option<Instant>,
    /// Why it is made anew as soon as no turn runs.
    due: Option<Reason>,
    /// When it was last made anew by itself.
    renewed: Option<Instant>,
    /// How often in a row the agent has crashed.
    crashes: u32,
    /// How long the next start is put off.
    pause: Option<Duration>,
    /// True while a check waits for its answer.
    asked: bool,
    checks: u32,
    /// True once the user knows that the agent is silent in its turn; its next word ends that.
    told_of_silence: bool,
    /// True once the user knows that this container would be made anew again, had that helped before.
    told_in_vain: bool,
    memory: Option<AbortOnDropHandle<()>>,
    measuring: Option<AbortOnDropHandle<()>>,
}

impl Default for Life {
    fn default() -> Self {
        Self {
            held: watch::Sender::new(None),
            health: watch::Sender::new(Health::default()),
            since: None,
            due: None,
            renewed: None,
            crashes: 0,
            pause: None,
            asked: false,
            checks: 0,
            told_of_silence: false,
            told_in_vain: false,
            memory: None,
            measuring: None,
        }
    }
}

impl Life {
    /// The container, while there is one, and its agent's health.
    pub(super) fn seen(&self) -> (watch::Receiver<Option<Held>>, watch::Receiver<Health>) {
        (self.held.subscribe(), self.health.subscribe())
    }

    /// A container has been started.
    pub(super) fn holds(&mut self, held: Held) {
        self.held.send_replace(Some(held));
        self.health.send_replace(Health::default());
    }

    /// How long the next start is put off; it is so only once.
    pub(super) fn take_pause(&mut self) -> Option<Duration> {
        self.pause.take()
    }

    /// The tab is on its way to another state of the button.
    pub(super) fn passes_to(&mut self, state: &State) {
        self.since = None;
        self.asked = false;
        self.told_of_silence = false;
        self.told_in_vain = false;
        self.memory = None;
        self.measuring = None;
        if !state.is_inside() {
            self.due = None;
            self.crashes = 0;
            self.pause = None;
            self.held.send_if_modified(|held| held.take().is_some());
        }
    }

    /// A turn has ended well: whatever crashed before is over.
    pub(super) fn does_well(&mut self) {
        self.crashes = 0;
    }

    /// The agent in the container has said something.
    pub(super) fn heard(&mut self, at: SystemTime) {
        self.asked = false;
        self.told_of_silence = false;
        self.health.send_modify(|health| {
            health.said = Some(at);
            health.unanswered = 0;
        });
    }

    /// The agent in the container has answered a check.
    pub(super) fn answered(&mut self, at: SystemTime) {
        self.health.send_modify(|health| health.answered = Some(at));
    }
}

impl Actor {
    /// The agent in the container has answered: its life begins.
    pub(super) fn lives(&mut self) {
        self.life.since = Some(Instant::now());
        self.life.checks = 0;
        self.deadline(self.pace(), Deadline::Check(self.flip.entered()));
        let Some(mut ran_out) = self.life.held.borrow().as_ref().map(|held| held.ran_out.clone()) else { return };
        let Some(reports) = self.reports().map(|reports| reports.downgrade()) else { return };
        let entered = self.flip.entered();
        ran_out.mark_unchanged();
        self.life.memory = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            while ran_out.changed().await.is_ok() {
                // Where it was the agent, its end comes now, and says more.
                tokio::time::sleep(AFTERMATH).await;
                ran_out.mark_unchanged();
                let Some(reports) = reports.upgrade() else { return };
                let _ = reports.send(super::Message::Done(Done::Life(Report::RanOut { entered })));
            }
        })));
    }

    fn pace(&self) -> Duration {
        let named = self.surroundings.environment().text(PACE).and_then(|text| text.parse().ok());
        named.map_or(CHECK, Duration::from_millis)
    }

    /// It is time to look after the container.
    pub(super) fn on_check(&mut self, entered: u32) {
        if entered != self.flip.entered() || *self.flip.state() != State::Running {
            return;
        }
        self.deadline(self.pace(), Deadline::Check(entered));
        self.looks_at_memory();
        self.ask_for_life();
        let hours = self.surroundings.settings().wishes(self.workspace.path()).refresh_hours.unwrap_or(life::HOURS);
        let old = self.life.since.and_then(|since| life::is_old(since.elapsed(), hours));
        self.life.due = self.life.due.or(old);
        if self.life.checks.is_multiple_of(MEASURED) {
            self.measure();
        }
        self.life.checks += 1;
        self.renew_if_due();
    }

    /// Asks the agent for a sign of life, unless a turn runs: it says enough then.
    fn ask_for_life(&mut self) {
        if self.turn != TurnView::Idle {
            self.ask_the_busy();
            return;
        }
        let Some(running) = self.slot.running().filter(|running| running.is_ready()) else { return };
        let line = running.session.ping();
        running.process.input.send(line);
        let unanswered = std::mem::replace(&mut self.life.asked, true);
        let mut failed = 0;
        self.life.health.send_if_modified(|health| {
            // An agent that has never answered such a question does not know it.
            let counts = unanswered && health.answered.is_some();
            health.unanswered += u32::from(counts);
            failed = health.unanswered;
            counts
        });
        if failed >= life::CHECKS {
            self.life.due = self.life.due.or(Some(Reason::Silent));
        }
    }

    /// Sees whether a command ran out of memory, at an engine that does not tell it by itself.
    pub(super) fn looks_at_memory(&self) {
        if let Some(held) = self.life.held.borrow().as_ref() {
            held.look.notify_one();
        }
    }

    /// Asks an agent for a sign of life that has said nothing for long in its turn, and tells the user where none comes.
    /// What is to be done about it is the user's to say: a turn may be worth waiting for.
    fn ask_the_busy(&mut self) {
        let quiet = self.pace() * QUIET;
        let Health { said, answered, .. } = *self.life.health.borrow();
        let silent = said.and_then(|said| said.elapsed().ok()).is_some_and(|silent| silent >= quiet);
        // An agent that has never answered such a question does not know it.
        if !silent || answered.is_none() {
            return;
        }
        if std::mem::replace(&mut self.life.asked, true) {
            if !std::mem::replace(&mut self.life.told_of_silence, true) {
                let text = format!("The agent has said nothing for {}, and does not answer.", lasted(quiet));
                let detail = "Stop ends its turn; if it does not stop, it is started again. Refresh, in the details of \
                              the container, makes a new one when the turn has ended.";
                self.transcript.notice(Topic::Warning, text, Some(detail.to_owned()));
            }
            return;
        }
        let Some(running) = self.slot.running().filter(|running| running.is_ready()) else { return };
        let line = running.session.ping();
        running.process.input.send(line);
    }

    fn measure(&mut self) {
        let Some(held) = self.life.held.borrow().clone() else { return };
        let entered = self.flip.entered();
        self.life.measuring = self.task(async move {
            let measured = life::measure(&held).await;
            Done::Life(Report::Measured { entered, measured })
        });
    }

    pub(super) fn on_life(&mut self, report: &Report) {
        match report {
            Report::Measured { entered, measured } if *entered == self.flip.entered() => {
                tracing::debug!(tab = %self.id, ?measured, "container");
                if self.turn == TurnView::Idle {
                    self.life.due = self.life.due.or(life::is_full(measured));
                    self.renew_if_due();
                }
            }
            Report::RanOut { entered } if *entered == self.flip.entered() && self.slot.running().is_some() => {
                self.transcript.notice(
                    Topic::Warning,
                    "A command in the container ran out of memory and was killed; the agent works on.",
                    Some("Give containers more memory in Settings, or let the command do less at once.".to_owned()),
                );
            }
            Report::Measured { .. } | Report::RanOut { .. } => {}
        }
    }

    /// The user wants a new container.
    pub(super) fn on_refresh(&mut self) {
        if *self.flip.state() != State::Running {
            return;
        }
        self.life.due = Some(Reason::Asked);
        if !self.renew_if_due() {
            self.transcript.notice(Topic::Info, "The container is made anew when this turn has ended.", None);
        }
    }

    /// Makes the container anew where that is due and nothing would be cut off by it. True where it does.
    pub(super) fn renew_if_due(&mut self) -> bool {
        let idle = self.turn == TurnView::Idle && *self.flip.state() == State::Running && !self.transcript.is_asking();
        let there = |running: &mut super::agent::Running| running.place == Place::Container && running.is_ready();
        if !idle || !self.slot.running().is_some_and(there) {
            return false;
        }
        let Some(reason) = self.life.due.take() else { return false };
        let by_itself = !matches!(reason, Reason::Asked | Reason::Old(_));
        if by_itself && self.life.renewed.is_some_and(|at| at.elapsed() < REST) {
            self.was_in_vain(reason);
            return false;
        }
        if by_itself {
            self.life.renewed = Some(Instant::now());
        }
        let text = format!("The container is made anew, because {}.", reason.in_words());
        let detail = "The conversation and the project stay; what was installed in the container does not.".to_owned();
        self.transcript.notice(Topic::Container, text, Some(detail));
        self.drive(Event::Again);
        true
    }

    /// A container that was made anew a while ago would be made anew again. That has not helped; the user decides.
    fn was_in_vain(&mut self, reason: Reason) {
        tracing::info!(tab = %self.id, ?reason, "the container was made anew a while ago");
        if reason == Reason::Silent {
            let failure = Failure::new(
                Code::AgentNotStarted,
                "The agent does not answer",
                format!("It did not answer {} checks, nor did the one before it, less than an hour ago.", life::CHECKS),
                "Press Retry for a new container, or Use host. The conversation goes on in both.",
            );
            self.drive(Event::Failed(failure));
        } else if !std::mem::replace(&mut self.life.told_in_vain, true) {
            let text = format!("A new container would be due again, because {}.", reason.in_words());
            let detail = "The last one came less than an hour ago and has not helped, so that Gemra leaves this one as \
                          it is. Refresh, in its details, makes a new one all the same.";
            self.transcript.notice(Topic::Warning, text, Some(detail.to_owned()));
        }
    }

    /// Starts an agent again that has ended in its container, where the user wants that and it is not the fourth time.
    /// Gives the failure back where it does not.
    pub(super) fn starts_again(&mut self, failure: Failure) -> Result<(), Failure> {
        let before = self.life.crashes;
        let was_there = *self.flip.state() == State::Running || (*self.flip.state() == State::Starting && before > 0);
        let crashed = matches!(failure.code, Code::AgentCrashed | Code::OutOfMemory | Code::KilledExternally);
        let wishes = self.surroundings.settings().wishes(self.workspace.path());
        if !crashed || !was_there || self.is_closing() || wishes.restart_after_crash != Some(true) {
            return Err(failure);
        }
        let Some(pause) = life::back_off(before) else {
            let cause = format!("{} It was started again {} times before.", failure.cause, life::tries());
            return Err(Failure { cause, ..failure });
        };
        self.life.crashes += 1;
        self.life.pause = Some(pause);
        let text = format!(
            "{}. The agent is started again in a new container, try {} of {}.",
            failure.title,
            self.life.crashes,
            life::tries()
        );
        self.transcript.notice(Topic::Warning, text, Some(format!("{} {}", failure.cause, failure.action)));
        self.drive(Event::Again);
        Ok(())
    }
}

/// How long, in words.
fn lasted(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds / 60),
    }
}
