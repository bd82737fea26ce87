//! What was asked of the stand-in, kept for tests to look at. It keeps no header and no key: only that one was there.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;

/// How many requests are kept; beyond it the oldest go, so that a long run stays small.
pub const KEPT: usize = 400;

/// One request.
#[derive(Debug, Clone, Serialize)]
pub struct Recorded {
    /// Its number, counted from 1 since the start.
    pub id: u64,
    /// When it came, in milliseconds since the Unix epoch.
    pub at: u64,
    /// Its path, with the query.
    pub path: String,
    /// True where it brought a key or a token; which one is not kept.
    pub api_key_seen: bool,
    /// True for the main conversation, false for a side request.
    pub main: bool,
    /// The model asked for.
    pub model: String,
    /// The system prompt as one text.
    pub system: String,
    /// The messages as they came.
    pub messages: Value,
    /// How the answer ended; none while it is being streamed.
    pub ended: Option<Ending>,
}

impl Recorded {
    /// The conversation as one text, for asking whether something was said in it.
    pub fn conversation(&self) -> String {
        self.messages.to_string()
    }
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// It was sent whole.
    Whole,
    /// An error was sent, as scripted.
    Failed,
    /// The client left before the end.
    Left,
}

/// The requests recorded so far.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    count: u64,
    kept: VecDeque<Recorded>,
    seen: HashSet<String>,
}

impl Book {
    /// Writes a request down and gives its number.
    pub(crate) fn add(&self, path: String, api_key_seen: bool, body: &Value) -> u64 {
        let mut pages = self.pages();
        pages.count += 1;
        let id = pages.count;
        if pages.kept.len() == KEPT {
            pages.kept.pop_front();
        }
        pages.kept.push_back(Recorded {
            id,
            at: now(),
            path,
            api_key_seen,
            main: super::conversation::is_main(body),
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            system: super::conversation::system_text(body),
            messages: body["messages"].clone(),
            ended: None,
        });
        id
    }

    /// Notes how the answer to a request ended.
    pub(crate) fn end(&self, id: u64, ending: Ending) {
        if let Some(request) = self.pages().kept.iter_mut().find(|request| request.id == id) {
            request.ended = Some(ending);
        }
    }

    /// True the first time that a text is brought.
    pub(crate) fn first_time(&self, said: &str) -> bool {
        self.pages().seen.insert(said.to_owned())
    }

    pub(crate) fn all(&self) -> Vec<Recorded> {
        self.pages().kept.iter().cloned().collect()
    }

    pub(crate) fn last_main(&self) -> Option<Recorded> {
        self.pages().kept.iter().rev().find(|request| request.main).cloned()
    }

    pub(crate) fn clear(&self) {
        let mut pages = self.pages();
        pages.kept.clear();
        pages.seen.clear();
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // A panic elsewhere cannot leave half a record: each change is one push or one assignment.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
