//! The transcript as the page sees it.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// One thing in the transcript: a text block, a thinking block, a tool call, a question, a notice or an error.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    /// Unique within its tab and growing in the order of appearance.
    pub(crate) id: u32,
    /// When it began, in milliseconds since the Unix epoch.
    pub(crate) at: f64,
    /// True while more of it can come.
    pub(crate) streaming: bool,
    /// What it is.
    pub(crate) body: Body,
}

/// What an entry is. `kind` is the value of the page's `data-kind`.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub(crate) enum Body {
    /// What the user sent. `interrupted` when the turn it began was cut short.
    User { text: String, interrupted: bool },
    /// A text block of the agent, in Markdown.
    Assistant { text: String },
    /// A thinking block of the agent, in plain text.
    Thinking { text: String },
    /// A tool call, with its result once there is one.
    Tool(Tool),
    /// A question of the agent to the user: may it run this tool?
    Ask(Ask),
    /// Something worth knowing that is not an error.
    Notice(Notice),
    /// Something that failed.
    Error {
        failure: Failure,
        /// True where sending the last message again may help.
        retry: bool,
    },
}

/// A tool call.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tool {
    /// The tool's name, such as `Bash`.
    pub(crate) name: String,
    /// One line that says what this call does: the command, the file, the pattern.
    pub(crate) summary: String,
    /// The input as indented JSON, or as much of it as has streamed in.
    pub(crate) input: String,
    /// How far it is.
    pub(crate) status: ToolStatus,
    /// What came back, as text, cut at 64 KiB.
    pub(crate) result: Option<String>,
    /// True where `result` was cut.
    pub(crate) truncated: bool,
    /// The change the call made to a file.
    pub(crate) diff: Option<Vec<Hunk>>,
    /// True for a call made by a sub-agent.
    pub(crate) nested: bool,
}

/// How far a tool call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ToolStatus {
    /// Its input is streaming in, or it waits for an answer.
    Pending,
    /// It runs.
    Running,
    /// It ended well.
    Done,
    /// It ended with an error.
    Failed,
    /// The user declined it.
    Declined,
    /// The turn was cut short before it ended.
    Interrupted,
}

/// A part of a file that a tool changed. Lines begin with `+`, `-` or a space.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Hunk {
    pub(crate) old_start: u32,
    pub(crate) new_start: u32,
    pub(crate) lines: Vec<String>,
}

/// A question of the agent: may it run this tool?
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ask {
    /// Names the question when it is answered.
    pub(crate) ask: String,
    /// The tool's name, such as `Bash`.
    pub(crate) tool: String,
    /// One line that says what it would do.
    pub(crate) summary: String,
    /// The input as indented JSON.
    pub(crate) input: String,
    /// What "always" would mean, in words; none where the agent offers no such rule.
    pub(crate) always: Option<String>,
    pub(crate) wants: Wants,
    /// The answer, once there is one; the buttons exist only while there is none.
    pub(crate) answer: Option<Answer>,
}

/// What a question wants of the user.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub(crate) enum Wants {
    /// Leave to use the tool.
    Leave,
    /// Answers to the agent's own questions.
    Answers { inquiries: Vec<Inquiry> },
    /// Leave to carry out a plan, in markdown.
    Approval { plan: String },
}

/// A question in the agent's own words.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Inquiry {
    /// The question, which names it among the others too.
    pub(crate) question: String,
    /// What it is about, in a word or two.
    pub(crate) topic: String,
    /// What can be chosen. The user may always say something else.
    pub(crate) options: Vec<InquiryOption>,
    /// True where several may be chosen.
    pub(crate) several: bool,
}

/// What can be chosen.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InquiryOption {
    /// Its name, which is the answer.
    pub(crate) label: String,
    pub(crate) description: String,
}

/// The answer to one of the agent's own questions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reply {
    pub(crate) question: String,
    /// The label that was chosen, several with commas between them, or the user's own words.
    pub(crate) answer: String,
}

/// How a question was answered.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub(crate) enum Answer {
    Allowed,
    AllowedAlways,
    Denied {
        reason: String,
    },
    /// The agent's own questions were answered.
    Replied {
        replies: Vec<Reply>,
    },
    /// The turn ended before the user answered.
    Lapsed {
        reason: String,
    },
}

/// Something worth knowing.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Notice {
    pub(crate) topic: Topic,
    pub(crate) text: String,
    /// More for who wants to know, shown folded.
    pub(crate) detail: Option<String>,
}

/// What a notice is about; decides its icon and colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Topic {
    /// The agent moved to the host.
    Host,
    /// The agent moved into a container.
    Container,
    /// A turn was interrupted.
    Interrupted,
    /// Anything else worth knowing.
    Info,
    /// Worth a second look.
    Warning,
}

/// Why something failed, for people: a class, its cause, what to do, and the tail of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Failure {
    /// The class, in kebab case, such as `engine-not-running`. Somebody branches on each that exists.
    pub(crate) code: String,
    /// The class in words, such as "The container engine is not running".
    pub(crate) title: String,
    /// The cause, in one or two sentences.
    pub(crate) cause: String,
    /// What to do next.
    pub(crate) action: String,
    /// The tail of the log or the engine's own words.
    pub(crate) detail: Option<String>,
    /// The field of the settings whose value is wrong, such as `container.cpus`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional = nullable)]
    pub(crate) field: Option<String>,
}
