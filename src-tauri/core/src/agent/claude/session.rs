//! One running CLI: turns its lines into events and our wishes into lines, and remembers which request is which.
//!
//! Pure: it owns no process and does no I/O, so that the recordings can be played through it.

use std::collections::HashMap;

use super::reader::Reader;
use super::writer;
use crate::agent::{Always, Choice, Event, Mode, Question};

/// What came of reading a line.
#[derive(Debug, Default)]
pub struct Heard {
    /// What it means.
    pub events: Vec<Event>,
    /// What has to be written back at once.
    pub reply: Option<String>,
}

/// One running CLI.
#[derive(Debug, Default)]
pub struct Session {
    reader: Reader,
    requests: HashMap<String, Asked>,
    questions: HashMap<String, Question>,
    last_request: u32,
}

/// What we asked of the CLI and have no answer to yet.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    Initialize,
    Interrupt,
    Mode(Mode),
    Model(String),
    Ping,
}

impl Session {
    /// Reads a line of the CLI.
    pub fn hear(&mut self, line: &str) -> Heard {
        let heard = self.reader.read(line, &mut self.requests);
        for event in &heard.events {
            match event {
                Event::Asked(question) => drop(self.questions.insert(question.ask.clone(), Question::clone(question))),
                Event::AskWithdrawn { ask } => drop(self.questions.remove(ask)),
                // Nobody waits for an answer any more, withdrawn or not.
                Event::TurnEnded(_) => self.questions.clear(),
                _ => {}
            }
        }
        heard
    }

    /// The line that opens the conversation.
    pub fn initialize(&mut self) -> String {
        let id = self.request(Asked::Initialize);
        writer::initialize(&id)
    }

    /// The line that ends the turn.
    pub fn interrupt(&mut self) -> String {
        let id = self.request(Asked::Interrupt);
        writer::interrupt(&id)
    }

    /// The line that asks for a sign of life. Only the last one is waited for.
    pub fn ping(&mut self) -> String {
        self.requests.retain(|_, asked| !matches!(asked, Asked::Ping));
        let id = self.request(Asked::Ping);
        writer::ping(&id)
    }

    /// The line that changes the permission mode.
    pub fn set_mode(&mut self, mode: Mode) -> String {
        let id = self.request(Asked::Mode(mode));
        writer::set_mode(&id, mode)
    }

    /// The line that changes the model.
    pub fn set_model(&mut self, model: &str) -> String {
        let id = self.request(Asked::Model(model.to_owned()));
        writer::set_model(&id, model)
    }

    /// The line that carries a message, with what the agent has to know before it reads it. A slash command carries
    /// nothing else, because the CLI would not know it as one; false then where there was something to be told.
    pub fn user(&mut self, text: &str, reminder: Option<&str>) -> (String, bool) {
        let reminder = reminder.filter(|_| !text.starts_with('/'));
        (writer::user(text, reminder), reminder.is_some())
    }

    /// The line that answers a question; `None` where it does not wait any more. Answering consumes the question.
    pub fn answer(&mut self, ask: &str, choice: &Choice) -> Option<String> {
        self.questions.remove(ask).map(|question| writer::answer(&question, choice))
    }

    /// What "always" would mean for a question that waits.
    pub fn always(&self, ask: &str) -> Option<Always> {
        self.questions.get(ask)?.always.clone()
    }

    /// The call that a question is about, where it is said.
    pub fn call(&self, ask: &str) -> Option<String> {
        self.questions.get(ask)?.call.clone()
    }

    /// The questions that wait.
    pub fn waiting(&self) -> Vec<String> {
        let mut waiting: Vec<String> = self.questions.keys().cloned().collect();
        waiting.sort();
        waiting
    }

    fn request(&mut self, asked: Asked) -> String {
        self.last_request += 1;
        let id = format!("gemra-{}", self.last_request);
        self.requests.insert(id.clone(), asked);
        id
    }
}
