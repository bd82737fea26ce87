//! What a tab shows: entries, and the changes that made them. Takes the agent's events; knows nothing of processes,
//! places or screens.

mod build;
mod entry;
mod tool;

pub use entry::{Answer, Ask, Body, Entry, EntryId, Notice, Tool, ToolStatus, Topic};

use std::time::SystemTime;

use crate::agent::claude::history::Said;
use crate::failure::{Code, Failure};

/// One change to a transcript, in the order in which they have to be applied.
#[derive(Debug, Clone, PartialEq)]
pub enum Patch {
    /// A new entry at the end.
    Append(Entry),
    /// More text at the end of an entry's text, or of a tool's input.
    Text {
        /// The entry.
        id: EntryId,
        /// The text.
        text: String,
        /// When the line that carried it was read.
        at: SystemTime,
    },
    /// The entry as it is now.
    Replace(Entry),
}

/// A tab's entries, oldest first, and the changes nobody has taken yet.
#[derive(Debug, Default)]
pub struct Transcript {
    entries: Vec<Entry>,
    patches: Vec<Patch>,
    build: build::Build,
}

impl Transcript {
    /// All entries, oldest first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Takes the changes since the last time.
    pub fn take_patches(&mut self) -> Vec<Patch> {
        std::mem::take(&mut self.patches)
    }

    /// Adds what the user sent.
    pub fn user(&mut self, text: String) -> EntryId {
        self.append(Body::User { text, interrupted: false }, false)
    }

    /// Takes what was said before, in another process's time; `cut` where that process died in the middle of a turn.
    pub fn restore(&mut self, said: Vec<Said>, cut: bool) {
        for said in said {
            match said {
                Said::User(text) => drop(self.user(text)),
                Said::Agent(event) => self.apply(*event, SystemTime::now()),
            }
        }
        self.end_turn(None);
        self.forget_process();
        let last =
            self.entries.iter().rev().find(|entry| matches!(entry.body, Body::User { .. })).map(|entry| entry.id);
        if let Some(last) = last.filter(|_| cut) {
            self.mark_interrupted(last);
        }
    }

    /// Adds a notice.
    pub fn notice(&mut self, topic: Topic, text: impl Into<String>, detail: Option<String>) -> EntryId {
        self.append(Body::Notice(Notice { topic, text: text.into(), detail }), false)
    }

    /// Adds an error; `retry` where sending the last message again may help.
    pub fn error(&mut self, failure: Failure, retry: bool) -> EntryId {
        self.append(Body::Error { failure, retry }, false)
    }

    /// The text of the message that the error `entry` is about, and its class, if it can be sent again; only once.
    pub fn take_retry(&mut self, entry: EntryId) -> Option<(String, Code)> {
        let at = entry.0 as usize;
        let Body::Error { retry: true, failure } = &self.entries.get(at)?.body else { return None };
        let code = failure.code;
        let text = self.entries[..at].iter().rev().find_map(|entry| match &entry.body {
            Body::User { text, .. } => Some(text.clone()),
            _ => None,
        })?;
        self.change(entry, |entry| {
            if let Body::Error { retry, .. } = &mut entry.body {
                *retry = false;
            }
        });
        Some((text, code))
    }

    /// The text of the newest message of the user.
    pub fn last_user_text(&self) -> Option<&str> {
        self.entries.iter().rev().find_map(|entry| match &entry.body {
            Body::User { text, .. } => Some(text.as_str()),
            _ => None,
        })
    }

    /// True while a question waits for the user.
    pub fn is_asking(&self) -> bool {
        self.build.is_asking()
    }

    fn append(&mut self, body: Body, streaming: bool) -> EntryId {
        let id = EntryId(u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        let entry = Entry { id, at: SystemTime::now(), streaming, body };
        self.entries.push(entry.clone());
        self.patches.push(Patch::Append(entry));
        id
    }

    fn mark_interrupted(&mut self, message: EntryId) {
        self.change(message, |entry| {
            if let Body::User { interrupted, .. } = &mut entry.body {
                *interrupted = true;
            }
        });
    }

    fn get_mut(&mut self, id: EntryId) -> Option<&mut Entry> {
        self.entries.get_mut(id.0 as usize)
    }

    /// Changes an entry and records it whole.
    fn change(&mut self, id: EntryId, change: impl FnOnce(&mut Entry)) {
        let Some(entry) = self.get_mut(id) else { return };
        change(entry);
        let entry = entry.clone();
        self.patches.push(Patch::Replace(entry));
    }

    /// Adds text to the end of an entry's text and records only that.
    fn grow(&mut self, id: EntryId, text: String, at: SystemTime) {
        let Some(entry) = self.get_mut(id) else { return };
        match &mut entry.body {
            Body::Assistant { text: whole } | Body::Thinking { text: whole } => whole.push_str(&text),
            Body::Tool(tool) => tool.input.push_str(&text),
            _ => return,
        }
        match self.patches.last_mut() {
            Some(Patch::Text { id: last, text: more, .. }) if *last == id => more.push_str(&text),
            _ => self.patches.push(Patch::Text { id, text, at }),
        }
    }
}
