//! Makes entries of the agent's events.

use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

use super::{Answer, Ask, Body, EntryId, Notice, Tool, ToolStatus, Topic, Transcript, tool};
use crate::agent::{BlockId, BlockKind, Choice, Content, Event, Question};

/// What has to be remembered between events of one agent process.
#[derive(Debug, Default)]
pub(super) struct Build {
    /// Entries that still stream, by their block.
    blocks: HashMap<BlockId, EntryId>,
    /// Tool calls that have not come back.
    calls: HashMap<String, EntryId>,
    /// Questions without an answer, and the call that waits for it.
    questions: HashMap<String, (EntryId, Option<String>)>,
    /// Kinds of lines that were already said to be unknown.
    unknown: HashSet<String>,
    /// The message that began the running turn.
    turn: Option<EntryId>,
}

impl Build {
    pub(super) fn is_asking(&self) -> bool {
        !self.questions.is_empty()
    }
}

impl Transcript {
    /// Adds the message that begins a turn.
    pub fn begin_turn(&mut self, text: String) {
        let id = self.user(text);
        self.build.turn = Some(id);
    }

    /// Takes an event of the agent. Events that change nothing to be seen are ignored.
    pub fn apply(&mut self, event: Event, at: SystemTime) {
        match event {
            Event::BlockBegan { block, kind, nested } => self.block_began(block, kind, nested),
            Event::BlockGrew { block, text } => {
                if let Some(&id) = self.build.blocks.get(&block) {
                    self.grow(id, text, at);
                }
            }
            Event::BlockEnded { block, content } => self.block_ended(block, content),
            Event::ToolAnswered { call, text, failed, hunks, .. } => {
                let Some(id) = self.build.calls.remove(&call) else { return };
                let (text, truncated) = tool::result(text);
                self.change(id, |entry| {
                    entry.streaming = false;
                    if let Body::Tool(tool) = &mut entry.body {
                        tool.status = match (tool.status, failed) {
                            (ToolStatus::Declined, _) => ToolStatus::Declined,
                            (_, true) => ToolStatus::Failed,
                            (_, false) => ToolStatus::Done,
                        };
                        tool.result = Some(text);
                        tool.truncated = truncated;
                        tool.hunks = hunks;
                    }
                });
            }
            Event::Asked(question) => self.asked(*question),
            Event::AskWithdrawn { ask } => self.lapse(&ask, "The agent withdrew the question."),
            Event::Said { text } => drop(self.notice(Topic::Info, text, None)),
            Event::Refused { what, reason } => {
                self.notice(Topic::Warning, format!("The agent would not {what}: {reason}"), None);
            }
            Event::Unknown { kind, raw } => {
                if self.build.unknown.insert(kind.clone()) {
                    let text = format!("The agent sent something that this version of Gemra does not know: {kind}");
                    self.notice(Topic::Info, text, Some(raw));
                }
            }
            Event::Garbage { line } => {
                if self.build.unknown.insert(String::new()) {
                    let text = "The agent printed something that is not part of its protocol";
                    self.notice(Topic::Warning, text, Some(line));
                }
            }
            Event::Ready(_)
            | Event::TurnBegan { .. }
            | Event::Retrying(_)
            | Event::ContextIs { .. }
            | Event::Alive
            | Event::ModeIs(_)
            | Event::ModelIs(_)
            | Event::TurnEnded(_) => {}
        }
    }

    /// Records the user's answer to a question. False where the question no longer waits.
    pub fn answer(&mut self, ask: &str, choice: &Choice) -> bool {
        let Some((id, call)) = self.build.questions.remove(ask) else { return false };
        let answer = match choice {
            Choice::Allow => Answer::Allowed,
            Choice::AllowAlways => Answer::AllowedAlways,
            Choice::Deny { reason } => Answer::Denied { reason: reason.clone() },
            Choice::Answers(replies) => Answer::Replied(replies.clone()),
        };
        let status = match choice {
            Choice::Deny { .. } => ToolStatus::Declined,
            Choice::Allow | Choice::AllowAlways | Choice::Answers(_) => ToolStatus::Running,
        };
        self.answered(id, answer);
        self.tool_is(call, status);
        true
    }

    /// Records that a question was declined for the user, who had not answered it.
    pub fn decline_unanswered(&mut self, ask: &str, reason: &str) {
        if let Some((id, call)) = self.build.questions.remove(ask) {
            self.answered(id, Answer::Lapsed { reason: reason.to_owned() });
            self.tool_is(call, ToolStatus::Declined);
        }
    }

    /// Ends whatever is still open, because the turn is over. `cut` is set where it was cut short, and says why.
    pub fn end_turn(&mut self, cut: Option<&str>) {
        for ask in self.build.questions.keys().cloned().collect::<Vec<_>>() {
            self.lapse(&ask, cut.unwrap_or("The turn ended before there was an answer."));
        }
        let mut open: Vec<EntryId> = self.build.blocks.drain().map(|(_, id)| id).collect();
        open.extend(self.build.calls.drain().map(|(_, id)| id));
        open.sort_unstable();
        open.dedup();
        for id in open {
            self.change(id, |entry| {
                entry.streaming = false;
                if let Body::Tool(tool) = &mut entry.body
                    && matches!(tool.status, ToolStatus::Pending | ToolStatus::Running)
                {
                    tool.status = ToolStatus::Interrupted;
                }
            });
        }
        if let Some(turn) = self.build.turn.take()
            && let Some(reason) = cut
        {
            self.mark_interrupted(turn);
            self.append(
                Body::Notice(Notice { topic: Topic::Interrupted, text: reason.to_owned(), detail: None }),
                false,
            );
        }
    }

    /// Forgets the blocks of an agent process that is gone; another one mints its names anew.
    pub fn forget_process(&mut self) {
        self.build.blocks.clear();
        self.build.calls.clear();
        self.build.questions.clear();
    }

    fn block_began(&mut self, block: BlockId, kind: BlockKind, nested: bool) {
        let body = match kind {
            BlockKind::Text => Body::Assistant { text: String::new() },
            BlockKind::Thinking => Body::Thinking { text: String::new() },
            BlockKind::Tool { ref name, .. } => Body::Tool(Tool {
                name: name.clone(),
                summary: String::new(),
                input: String::new(),
                status: ToolStatus::Pending,
                result: None,
                truncated: false,
                hunks: None,
                nested,
            }),
        };
        let id = self.append(body, true);
        self.build.blocks.insert(block, id);
        if let BlockKind::Tool { call, .. } = kind {
            self.build.calls.insert(call, id);
        }
    }

    fn block_ended(&mut self, block: BlockId, content: Content) {
        let Some(id) = self.build.blocks.remove(&block) else { return };
        self.change(id, |entry| match (&mut entry.body, content) {
            (Body::Assistant { text } | Body::Thinking { text }, Content::Text(whole)) => {
                *text = whole;
                entry.streaming = false;
            }
            (Body::Tool(tool), Content::Input(input)) => {
                tool.summary = super::tool::summary(&tool.name, &input);
                tool.input = super::tool::input_text(&input);
                // It goes on streaming until its result is there.
                tool.status = ToolStatus::Running;
            }
            _ => entry.streaming = false,
        });
    }

    fn asked(&mut self, question: Question) {
        let body = Body::Ask(Ask {
            ask: question.ask.clone(),
            summary: tool::summary(&question.tool, &question.input),
            input: tool::input_text(&question.input),
            tool: question.tool,
            always: question.always.map(|always| always.words),
            wants: question.wants,
            answer: None,
        });
        let id = self.append(body, false);
        if let Some(tool) = question.call.as_ref().and_then(|call| self.build.calls.get(call).copied()) {
            self.change(tool, |entry| {
                if let Body::Tool(tool) = &mut entry.body {
                    tool.status = ToolStatus::Pending;
                }
            });
        }
        self.build.questions.insert(question.ask, (id, question.call));
    }

    fn tool_is(&mut self, call: Option<String>, status: ToolStatus) {
        if let Some(tool) = call.and_then(|call| self.build.calls.get(&call).copied()) {
            self.change(tool, |entry| {
                if let Body::Tool(tool) = &mut entry.body {
                    tool.status = status;
                }
            });
        }
    }

    fn lapse(&mut self, ask: &str, reason: &str) {
        if let Some((id, _)) = self.build.questions.remove(ask) {
            self.answered(id, Answer::Lapsed { reason: reason.to_owned() });
        }
    }

    fn answered(&mut self, id: EntryId, answer: Answer) {
        self.change(id, |entry| {
            if let Body::Ask(ask) = &mut entry.body {
                ask.answer = Some(answer);
            }
        });
    }
}
