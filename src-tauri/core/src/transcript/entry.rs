//! One thing in a transcript. Data only.

use std::time::SystemTime;

use crate::agent::{Hunk, Reply, Wants};
use crate::failure::Failure;

/// Names an entry within its tab; grows in the order of appearance, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId(pub u32);

/// One thing in a transcript.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Names it.
    pub id: EntryId,
    /// When it began.
    pub at: SystemTime,
    /// True while more of it can come.
    pub streaming: bool,
    /// What it is.
    pub body: Body,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// What the user sent.
    User {
        /// The text.
        text: String,
        /// True where the turn that it began was cut short.
        interrupted: bool,
    },
    /// Text of the agent, in Markdown.
    Assistant {
        /// The text.
        text: String,
    },
    /// Thinking of the agent.
    Thinking {
        /// The text.
        text: String,
    },
    /// A tool call.
    Tool(Tool),
    /// A question to the user.
    Ask(Ask),
    /// Something worth knowing.
    Notice(Notice),
    /// Something that failed.
    Error {
        /// Why.
        failure: Failure,
        /// True where sending the last message again may help.
        retry: bool,
    },
}

/// A tool call.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// The tool.
    pub name: String,
    /// One line that says what the call does.
    pub summary: String,
    /// The input as indented JSON, or what has streamed of it.
    pub input: String,
    /// How far it is.
    pub status: ToolStatus,
    /// What came back, cut at 64 KiB.
    pub result: Option<String>,
    /// True where the result was cut.
    pub truncated: bool,
    /// The change it made to a file.
    pub hunks: Option<Vec<Hunk>>,
    /// True where a sub-agent made the call.
    pub nested: bool,
}

/// How far a tool call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolStatus {
    /// Its input streams in, or it waits for an answer.
    Pending,
    /// It runs.
    Running,
    /// It ended well.
    Done,
    /// It ended with an error.
    Failed,
    /// The user declined it.
    Declined,
    /// The turn ended before it did.
    Interrupted,
}

/// A question to the user.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// Names the question.
    pub ask: String,
    /// The tool.
    pub tool: String,
    /// One line that says what it would do.
    pub summary: String,
    /// The input as indented JSON.
    pub input: String,
    /// What "always" would mean, in words.
    pub always: Option<String>,
    /// What kind of question it is.
    pub wants: Wants,
    /// The answer, once there is one.
    pub answer: Option<Answer>,
}

/// How a question was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// This once.
    Allowed,
    /// And from now on.
    AllowedAlways,
    /// No.
    Denied {
        /// What the agent was told.
        reason: String,
    },
    /// The agent's own questions were answered.
    Replied(Vec<Reply>),
    /// Nobody answered.
    Lapsed {
        /// Why not.
        reason: String,
    },
}

/// Something worth knowing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What it is about.
    pub topic: Topic,
    /// In words.
    pub text: String,
    /// More, for who wants to know.
    pub detail: Option<String>,
}

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// The agent moved to the host.
    Host,
    /// The agent moved into a container.
    Container,
    /// A turn was cut short.
    Interrupted,
    /// Anything else.
    Info,
    /// Worth a second look.
    Warning,
}
