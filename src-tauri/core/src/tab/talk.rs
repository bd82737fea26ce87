//! The conversation: messages out, a turn at a time, answers to questions, and what the agent's events mean for the
//! tab. Knows no process but as something that takes lines.

use std::time::{Duration, SystemTime};

use super::actor::{Actor, Deadline};
use super::agent::Leaving;
use super::view::{Queued, TurnView};
use crate::agent::claude::launch;
use crate::agent::{Choice, Event, Mode, Outcome, Retry, TurnEnd};
use crate::failure::{Code, Failure};
use crate::place::Place;
use crate::transcript::{EntryId, Topic};

/// How long an agent may take to end a turn that was to be cut short; then it is started again.
const INTERRUPT: Duration = Duration::from_secs(10);
/// What a declined agent is told where the user gave no reason.
const DECLINED: &str = "The user declined this.";

impl Actor {
    pub(super) fn on_send(&mut self, id: String, text: String) {
        self.queue.push_back(Queued { id, text });
        self.deliver();
    }

    /// Gives the agent the oldest message, if it can take one.
    pub(super) fn deliver(&mut self) {
        if self.turn != TurnView::Idle || self.flip.is_moving() {
            return;
        }
        let Some(running) = self.slot.running().filter(|running| running.is_ready()) else { return };
        let place = running.place;
        if self.queue.is_empty() || (place == Place::Host && self.looks_before_a_turn()) {
            return;
        }
        let Some(running) = self.slot.running() else { return };
        let Some(message) = self.queue.pop_front() else { return };
        let reminder = (self.told_place != Some(place)).then(|| match place {
            Place::Host => launch::on_the_host(self.workspace.path()),
            Place::Container => launch::in_a_container(self.workspace.path()),
        });
        let (line, told) = running.session.user(&message.text, reminder.as_deref());
        if !running.process.input.send(line) {
            // It is gone, and its end is about to be told; the message waits for the next one.
            self.queue.push_front(message);
            return;
        }
        if told {
            self.told_place = Some(place);
        }
        self.transcript.begin_turn(message.text);
        self.interrupted = false;
        self.turn = TurnView::Running { since: SystemTime::now(), retry: None };
    }

    pub(super) fn on_stop_turn(&mut self) {
        let TurnView::Running { since, .. } = self.turn else { return };
        let Some(running) = self.slot.running().filter(|running| !running.is_leaving()) else { return };
        let line = running.session.interrupt();
        running.process.input.send(line);
        let epoch = running.epoch;
        self.turn = TurnView::Interrupting { since };
        self.deadline(INTERRUPT, Deadline::Interrupt(epoch));
    }

    pub(super) fn on_no_interrupt(&mut self, epoch: u32) {
        let stuck = matches!(self.turn, TurnView::Interrupting { .. });
        if stuck && self.slot.running().is_some_and(|running| running.epoch == epoch && !running.is_leaving()) {
            self.let_go(Leaving::Stuck);
        }
    }

    pub(super) fn on_answer(&mut self, ask: &str, choice: Choice) {
        let choice = match choice {
            Choice::Deny { reason } if reason.trim().is_empty() => Choice::Deny { reason: DECLINED.to_owned() },
            choice => choice,
        };
        let Some(running) = self.slot.running().filter(|running| !running.is_leaving()) else { return };
        let always = running.session.always(ask);
        let Some(line) = running.session.answer(ask, &choice) else { return };
        running.process.input.send(line);
        self.transcript.answer(ask, &choice);
        if let (Choice::AllowAlways, Some(always)) = (choice, always) {
            self.allowed.extend(always.rules);
            self.allowed.sort();
            self.allowed.dedup();
            if let Some(mode) = always.mode {
                self.is_in_mode(mode);
            }
        }
    }

    /// Sends the message once more that the error `entry` is about, before anything that waits.
    pub(super) fn on_retry_turn(&mut self, entry: EntryId) {
        let Some((text, code)) = self.transcript.take_retry(entry) else { return };
        self.queue.push_front(Queued { id: uuid::Uuid::new_v4().to_string(), text });
        let idle = self.turn == TurnView::Idle && self.slot.running().is_some_and(|running| running.is_ready());
        if code == Code::NotLoggedIn && idle && !self.flip.is_moving() {
            // An agent learns at its start who the user is.
            self.let_go(Leaving::Restart);
        } else {
            self.deliver();
        }
    }

    pub(super) fn on_set_model(&mut self, model: String) {
        if let Some(running) = self.slot.running().filter(|running| running.is_ready()) {
            let line = running.session.set_model(&model);
            running.process.input.send(line);
        }
        self.chosen_model = (model != "default").then_some(model);
    }

    pub(super) fn on_set_mode(&mut self, mode: Mode) {
        if !self.offered_modes().contains(&mode) {
            let text = "The agent may only act without asking inside a container.";
            self.transcript.notice(Topic::Warning, text, None);
            return;
        }
        match self.slot.running().filter(|running| running.is_ready()) {
            // The agent's answer is the truth; until it comes the mode is what it was.
            Some(running) => {
                let line = running.session.set_mode(mode);
                running.process.input.send(line);
            }
            None => {
                // Who is between two places chooses for the one that comes, as the picker offers it.
                let inside = self.flip.state().is_inside();
                self.modes.choose(if inside { Place::Container } else { Place::Host }, mode);
                self.mode = mode;
            }
        }
    }

    /// The agent is in this mode now, by the user's choice or, with the user's leave, by its own.
    fn is_in_mode(&mut self, mode: Mode) {
        let Some(running) = self.slot.running() else { return };
        let (place, moves) = (running.place, running.is_leaving());
        if moves {
            // The place that the tab goes to has its own mode already.
            self.modes.choose(place, mode);
        } else if self.mode != mode {
            // What is in use already is the settings', and nobody's choice.
            self.modes.choose(place, mode);
            self.mode = mode;
        }
    }

    /// The modes that can be chosen where the agent is.
    pub(super) fn offered_modes(&self) -> Vec<Mode> {
        let mut modes = vec![Mode::Default, Mode::AcceptEdits, Mode::Plan];
        if self.flip.state().is_inside() {
            modes.push(Mode::BypassPermissions);
        }
        modes
    }

    pub(super) fn on_event(&mut self, event: Event, at: SystemTime) {
        match event {
            Event::Ready(offer) => {
                self.offers(offer);
                self.on_ready();
            }
            Event::TurnBegan { model, mode, version } => {
                self.model = model.or(self.model.take());
                self.version = version.or(self.version.take());
                let leaving = self.slot.running().is_some_and(|running| running.is_leaving());
                if !leaving {
                    self.mode = mode.unwrap_or(self.mode);
                }
                if self.turn == TurnView::Idle && !leaving {
                    // The agent began by itself, as it does when something that it left running has ended.
                    self.turn = TurnView::Running { since: at, retry: None };
                }
            }
            Event::ModeIs(mode) => self.is_in_mode(mode),
            Event::Alive => self.life.answered(at),
            Event::ModelIs(model) => self.model = model.or(self.model.take()),
            Event::ContextIs { tokens } => {
                self.usage.context_tokens = tokens;
                self.trying_again(None);
            }
            Event::Retrying(retry) => {
                let next = at + retry.delay;
                self.trying_again(Some((retry, next)));
            }
            Event::TurnEnded(end) => {
                self.looks_at_memory();
                self.on_turn_ended(end);
            }
            seen => {
                if let Event::ToolAnswered { call, failed, .. } = &seen {
                    if let Some(running) = self.slot.running() {
                        running.came_back(call);
                    }
                    // A command that was killed has failed.
                    if *failed {
                        self.looks_at_memory();
                    }
                }
                self.trying_again(None);
                self.audits(&seen, at);
                self.transcript.apply(seen, at);
            }
        }
    }

    fn on_ready(&mut self) {
        let Some(running) = self.slot.running() else { return };
        running.answered();
        if running.is_leaving() {
            return;
        }
        let place = running.place;
        tracing::info!(tab = %self.id, ?place, "the agent has answered");
        if let Some(conversation) = self.coming.take() {
            self.renew_conversation(conversation);
        }
        self.catch_up();
        match place {
            Place::Container => self.on_container_answered(),
            Place::Host if self.was_at == Some(Place::Container) => {
                self.transcript.notice(Topic::Host, "The agent runs on the host again.", None);
            }
            Place::Host => {}
        }
        self.was_at = Some(place);
        self.deliver();
    }

    fn trying_again(&mut self, next: Option<(Retry, SystemTime)>) {
        if let TurnView::Running { retry, .. } = &mut self.turn {
            *retry = next;
        }
    }

    fn on_turn_ended(&mut self, end: TurnEnd) {
        self.audits_no_more();
        let TurnEnd { outcome, usage } = end;
        let leaving = self.slot.running().is_some_and(|running| running.is_leaving());
        if outcome == Outcome::SessionMissing {
            // The process ends by itself now, and its end is what is told.
            if let Some(running) = self.slot.running() {
                running.misses_its_session();
            }
            return;
        }
        if let Some(epoch) = self.slot.running().map(|running| running.epoch) {
            self.forget_deadline(Deadline::Interrupt(epoch));
        }
        let asked = matches!(self.turn, TurnView::Interrupting { .. }) || leaving;
        let had_turn = std::mem::replace(&mut self.turn, TurnView::Idle) != TurnView::Idle;
        self.usage.input_tokens += usage.input_tokens;
        self.usage.output_tokens += usage.output_tokens;
        self.usage.cost = self.usage.cost.max(usage.total_cost);
        if usage.context_window > 0 {
            self.usage.context_window = usage.context_window;
        }
        self.usage.turns += u32::from(had_turn);
        if leaving {
            // The mark that it was cut short says why the agent left; it is set when the process has ended.
            self.turn = if had_turn { TurnView::Interrupting { since: SystemTime::now() } } else { TurnView::Idle };
            self.stop_process();
            return;
        }
        match outcome {
            Outcome::Done => {
                self.life.does_well();
                self.transcript.end_turn(None);
            }
            Outcome::Interrupted => self.transcript.end_turn(Some("Interrupted.")),
            // We asked for the end, so whatever it is called it is what we wanted (`PROTOCOL.md`, surprise 2).
            Outcome::Failed { .. } if asked => self.transcript.end_turn(Some("Interrupted.")),
            Outcome::ApiError { status, text } => {
                self.transcript.end_turn(None);
                let inside = self.slot.running().is_some_and(|running| running.place == Place::Container);
                let failure = if no_login(status, &text) { not_logged_in(inside) } else { api_error(status, &text) };
                self.transcript.error(failure, true);
            }
            Outcome::Failed { text } => {
                self.transcript.end_turn(None);
                let failure = Failure::new(
                    Code::TurnFailed,
                    "The turn failed",
                    format!("The agent gave up: {text}."),
                    "Send the message again, or say it in another way.",
                );
                self.transcript.error(failure, true);
            }
            Outcome::SessionMissing => {}
        }
        self.renew_if_due();
        self.deliver();
    }
}

/// What the CLI says, instead of asking the API, where nobody has logged in and no key is set (seen with 2.1.329).
fn no_login(status: Option<u16>, text: &str) -> bool {
    status.is_none() && (text.starts_with("Not logged in") || text.contains("/login"))
}

fn not_logged_in(inside: bool) -> Failure {
    let (cause, action) = if inside {
        (
            "The agent in the container has no key and no login: the one on this machine stays on this machine.",
            "Log in inside, which counts for all containers of this engine; or give a key in Settings, such as the \
             token that `claude setup-token` prints. Then retry.",
        )
    } else {
        (
            "The agent has no login and no key.",
            "Run `claude` in a terminal and log in, or give an API key in Settings. Then retry.",
        )
    };
    Failure::new(Code::NotLoggedIn, "You are not logged in", cause, action)
}

/// An error of the model's API in words.
fn api_error(status: Option<u16>, text: &str) -> Failure {
    let said = text.strip_prefix("API Error: ").unwrap_or(text);
    let (title, action) = match status {
        Some(400 | 413) => ("The API did not accept the request", "Change the message, or retry."),
        Some(401 | 403) => ("The API refused the key", "Check the key, or log in again, then retry."),
        Some(404) => ("The API does not know this model", "Choose another model in the status bar, then retry."),
        Some(429) => ("The API's limit is reached", "Wait a while, then retry."),
        Some(529) => ("The API is overloaded", "Wait a while, then retry."),
        Some(500..) => ("The API has a fault", "Retry; if it goes on, look at the provider's status page."),
        _ => ("The API could not be reached", "Check the network and ANTHROPIC_BASE_URL, then retry."),
    };
    Failure::new(Code::ApiError, title, format!("It answered: {said}"), action)
}

/// Why the API is asked again, in words.
pub fn retry_reason(retry: &Retry) -> String {
    let what = match (retry.status, retry.error.as_str()) {
        (Some(401 | 403), _) => "The API refused the key",
        (Some(429), _) => "The API's limit is reached",
        (Some(529), _) | (_, "overloaded") => "The API is overloaded",
        (Some(500..), _) => "The API has a fault",
        _ => "The API could not be reached",
    };
    match retry.status {
        Some(status) => format!("{what} ({status})"),
        None => what.to_owned(),
    }
}
