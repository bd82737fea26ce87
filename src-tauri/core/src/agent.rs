//! What we ask of a coding agent and what it tells us, in our own words.
//!
//! Knows no protocol and no process: `agent/claude` translates to and from the Claude CLI's lines, and another agent
//! would stand beside it without a change anywhere else.

pub mod claude;

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How freely the agent may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// Asks before it changes or runs anything.
    #[default]
    Default,
    /// Changes files without asking.
    AcceptEdits,
    /// Reads and plans, changes nothing.
    Plan,
    /// Never asks. Only offered where the agent is contained.
    BypassPermissions,
}

impl Mode {
    /// The mode as the CLI and the run record spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::AcceptEdits => "acceptEdits",
            Self::Plan => "plan",
            Self::BypassPermissions => "bypassPermissions",
        }
    }

    /// The mode of that name; the CLI accepts unknown ones (`PROTOCOL.md`, surprise 3), we do not.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Default, Self::AcceptEdits, Self::Plan, Self::BypassPermissions]
            .into_iter()
            .find(|mode| mode.as_str() == name)
    }
}

/// Names a block of one agent process: a text, a thinking or a tool call. Minted in the order of appearance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockId(pub u32);

/// What the agent tells us.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// It answered the handshake: from now on it takes messages.
    Ready(Offer),
    /// It took up a message.
    TurnBegan {
        /// The model in use.
        model: Option<String>,
        /// The permission mode in use.
        mode: Option<Mode>,
        /// Its own version.
        version: Option<String>,
    },
    /// A block began.
    BlockBegan {
        /// Names it.
        block: BlockId,
        /// What it is.
        kind: BlockKind,
        /// True where a sub-agent made it.
        nested: bool,
    },
    /// A block grew at its end.
    BlockGrew {
        /// Which.
        block: BlockId,
        /// By what.
        text: String,
    },
    /// A block is whole.
    BlockEnded {
        /// Which.
        block: BlockId,
        /// All of it, to be believed over what has streamed.
        content: Content,
    },
    /// A tool call came back.
    ToolAnswered {
        /// The call.
        call: String,
        /// What came back, as text.
        text: String,
        /// True where it failed or was declined.
        failed: bool,
        /// The code that a command ended with, where the tool ran one and says so.
        code: Option<i32>,
        /// The change that it made to a file.
        hunks: Option<Vec<Hunk>>,
    },
    /// It asks the user.
    Asked(Box<Question>),
    /// It no longer wants an answer.
    AskWithdrawn {
        /// The question.
        ask: String,
    },
    /// The model's API refused, and it will try again.
    Retrying(Retry),
    /// What the last request held: how full the context is, in tokens.
    ContextIs {
        /// Tokens of the last request, caches included.
        tokens: u64,
    },
    /// It has answered the question whether it lives.
    Alive,
    /// Its permission mode is now this.
    ModeIs(Mode),
    /// It uses this model from now on; `None` where it has to say so itself at the next turn.
    ModelIs(Option<String>),
    /// It would not do what we asked.
    Refused {
        /// What we asked for, in words.
        what: &'static str,
        /// Its reason.
        reason: String,
    },
    /// Something worth knowing, such as a compacted conversation.
    Said {
        /// In words.
        text: String,
    },
    /// A turn ended.
    TurnEnded(TurnEnd),
    /// A line of a kind that we do not know, which every release of the CLI brings.
    Unknown {
        /// The kind, such as `system/new_thing`.
        kind: String,
        /// The line.
        raw: String,
    },
    /// A line that is not of the protocol at all.
    Garbage {
        /// The line, or its head.
        line: String,
    },
}

/// What a block is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockKind {
    /// Text for the user, in Markdown.
    Text,
    /// Thinking.
    Thinking,
    /// A tool call; its input grows as JSON.
    Tool {
        /// Names the call.
        call: String,
        /// The tool.
        name: String,
    },
}

/// All of a block.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// The text, of a text or a thinking block.
    Text(String),
    /// The input of a tool call.
    Input(Value),
}

/// A part of a file that changed. Lines begin with `+`, `-` or a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    /// The first line before.
    pub old_start: u32,
    /// The first line after.
    pub new_start: u32,
    /// The lines.
    pub lines: Vec<String>,
}

/// A question to the user: may it use this tool?
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Names the question.
    pub ask: String,
    /// The tool.
    pub tool: String,
    /// The call that waits, where it is said.
    pub call: Option<String>,
    /// The input.
    pub input: Value,
    /// What "always" would mean, where the agent offers it.
    pub always: Option<Always>,
    /// What kind of question it is.
    pub wants: Wants,
}

/// What a question wants of the user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Wants {
    /// Leave to use the tool.
    #[default]
    Leave,
    /// Answers to the agent's own questions.
    Answers(Vec<Inquiry>),
    /// Leave to carry out a plan, in markdown.
    Approval {
        /// The plan.
        plan: String,
    },
}

/// A question in the agent's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inquiry {
    /// The question, which names it among the others too.
    pub question: String,
    /// What it is about, in a word or two.
    pub topic: String,
    /// What can be chosen. The user may always say something else.
    pub options: Vec<InquiryOption>,
    /// True where several may be chosen.
    pub several: bool,
}

/// What can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InquiryOption {
    /// Its name, which is the answer.
    pub label: String,
    /// What it means.
    pub description: String,
}

/// What "always" means for a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Always {
    /// In words.
    pub words: String,
    /// What is sent back.
    pub update: Value,
    /// The rules in it, such as `Bash(touch *)`, to be given to the conversation's next process too.
    pub rules: Vec<String>,
    /// The mode that the agent goes on in.
    pub mode: Option<Mode>,
}

/// The user's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// This once.
    Allow,
    /// And from now on.
    AllowAlways,
    /// No.
    Deny {
        /// What the agent is told.
        reason: String,
    },
    /// To the agent's own questions.
    Answers(Vec<Reply>),
}

/// The answer to an [`Inquiry`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The question.
    pub question: String,
    /// The label that was chosen, several with commas between them, or the user's own words.
    pub answer: String,
}

/// The API refused and the agent waits to try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Which attempt comes next, counted from 1.
    pub attempt: u32,
    /// How many there are.
    pub max: u32,
    /// How long it waits.
    pub delay: Duration,
    /// The HTTP status.
    pub status: Option<u16>,
    /// Its word for it, such as `overloaded`.
    pub error: String,
}

/// What the agent offers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offer {
    /// Models that can be chosen.
    pub models: Vec<ModelOption>,
    /// Slash commands.
    pub commands: Vec<SlashCommand>,
}

/// A model that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelOption {
    /// What to ask for.
    pub value: String,
    /// For people.
    pub name: String,
    /// For people.
    pub description: String,
    /// The model's own name.
    pub resolved: Option<String>,
}

/// A slash command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlashCommand {
    /// Without the slash.
    pub name: String,
    /// For people.
    pub description: String,
    /// What its argument is.
    pub hint: String,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq)]
pub struct TurnEnd {
    /// How.
    pub outcome: Outcome,
    /// What it used.
    pub usage: TurnUsage,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Well.
    Done,
    /// Because the user asked for it.
    Interrupted,
    /// The model's API refused for good.
    ApiError {
        /// The HTTP status.
        status: Option<u16>,
        /// Its words.
        text: String,
    },
    /// The conversation that was to be resumed is not there.
    SessionMissing,
    /// For another reason.
    Failed {
        /// The agent's words.
        text: String,
    },
}

/// What a turn used.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TurnUsage {
    /// Tokens, caches included.
    pub input_tokens: u64,
    /// Tokens.
    pub output_tokens: u64,
    /// How many tokens fit into the context; 0 where it is not said.
    pub context_window: u64,
    /// The whole process's cost so far, in US dollars.
    pub total_cost: f64,
}

/// An event with the time at which its line arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrived {
    /// The event.
    pub event: Event,
    /// When its line was read.
    pub at: SystemTime,
}
