//! Turns the CLI's lines into events. Unknown kinds become [`Event::Unknown`], lines that are not JSON
//! [`Event::Garbage`]: no line can make it fail.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;

use super::session::{Asked, Heard};
use super::shape::{Block, ControlRequest, ControlResponse, Line, Message, MessageContent, PatchHunk, StreamEvent};
use super::writer;
use crate::agent::{
    Always, BlockId, BlockKind, Content, Event, Hunk, Inquiry, InquiryOption, Mode, ModelOption, Offer, Outcome,
    Question, Retry, SlashCommand, TurnEnd, TurnUsage, Wants,
};

/// What the CLI writes as the user when a turn was cut short, with and without "for tool use" behind it.
const INTERRUPTED: &str = "[Request interrupted by user";
/// What it says on stderr and in `errors` when a session is not there.
pub const NO_CONVERSATION: &str = "No conversation found";
/// The name it gives to the model of messages that it wrote itself.
const SYNTHETIC: &str = "<synthetic>";

/// Kinds that are known and say nothing to the user.
const QUIET: &[&str] = &["keep_alive", "rate_limit_event", "tool_progress", "auth_status", "streamlined_text"];
/// The same for `system` lines, by the beginning of the subtype: hooks, background tasks and the CLI's own state.
const QUIET_SYSTEM: &[&str] = &["hook_", "task_", "session_state", "files_persisted", "thinking_tokens", "post_turn"];

/// Reads the lines of one CLI process, in order.
#[derive(Debug, Default)]
pub struct Reader {
    last_block: u32,
    /// Blocks that have begun and not ended, by the sub-agent that makes them (`None` is the agent itself).
    open: HashMap<Option<String>, Vec<OpenBlock>>,
    interrupted: bool,
}

#[derive(Debug)]
struct OpenBlock {
    block: BlockId,
    index: Option<u32>,
    kind: String,
}

impl Reader {
    /// Reads a line. `requests` are ours that wait for an answer; one that is answered is taken out.
    pub(super) fn read(&mut self, line: &str, requests: &mut HashMap<String, Asked>) -> Heard {
        if line.trim().is_empty() {
            return Heard::default();
        }
        let Ok(parsed) = serde_json::from_str::<Line>(line) else {
            return just(unreadable(line));
        };
        match parsed.kind.as_str() {
            "stream_event" => Heard { events: self.stream(parsed), reply: None },
            "assistant" => Heard { events: self.assistant(parsed), reply: None },
            "user" => Heard { events: self.user(parsed), reply: None },
            "result" => just(self.result(&parsed)),
            "system" => {
                let asks = requests.values().any(|asked| matches!(asked, Asked::Mode(_)));
                Heard { events: system(&parsed, line, asks), reply: None }
            }
            "control_request" => control_request(parsed.request_id, parsed.request),
            "control_cancel_request" => Heard {
                events: parsed.request_id.map(|ask| Event::AskWithdrawn { ask }).into_iter().collect(),
                reply: None,
            },
            "control_response" => Heard {
                events: parsed.response.and_then(|response| control_response(response, requests)).into_iter().collect(),
                reply: None,
            },
            quiet if QUIET.contains(&quiet) => Heard::default(),
            "" => just(Event::Garbage { line: head(line) }),
            unknown => just(Event::Unknown { kind: unknown.to_owned(), raw: head(line) }),
        }
    }

    fn begin(&mut self, by: Option<&String>, index: Option<u32>, block: &Block) -> Option<(BlockId, Event)> {
        let kind = match block.kind.as_str() {
            "text" => BlockKind::Text,
            "thinking" | "redacted_thinking" => BlockKind::Thinking,
            "tool_use" | "server_tool_use" | "mcp_tool_use" => BlockKind::Tool {
                call: block.id.clone().unwrap_or_default(),
                name: block.name.clone().unwrap_or_else(|| "tool".to_owned()),
            },
            _ => return None,
        };
        self.last_block += 1;
        let id = BlockId(self.last_block);
        self.open.entry(by.cloned()).or_default().push(OpenBlock { block: id, index, kind: block.kind.clone() });
        Some((id, Event::BlockBegan { block: id, kind, nested: by.is_some() }))
    }

    fn stream(&mut self, line: Line) -> Vec<Event> {
        let by = line.parent_tool_use_id;
        let Some(StreamEvent { kind, index, content_block, delta, message }) = line.event else {
            return Vec::new();
        };
        match (kind.as_str(), content_block, delta) {
            ("message_start", ..) => {
                // Whatever an aborted request left open can not grow any more.
                self.open.remove(&by);
                let tokens = message.and_then(|message| message.usage).map_or(0, super::shape::Usage::input);
                if by.is_none() && tokens > 0 { vec![Event::ContextIs { tokens }] } else { Vec::new() }
            }
            ("content_block_start", Some(block), _) => {
                self.begin(by.as_ref(), index, &block).map(|(_, event)| event).into_iter().collect()
            }
            ("content_block_delta", _, Some(delta)) => {
                let text = delta.text.or(delta.thinking).or(delta.partial_json).unwrap_or_default();
                let open = self.open.get(&by).and_then(|open| open.iter().find(|open| open.index == index));
                match open {
                    Some(open) if !text.is_empty() => vec![Event::BlockGrew { block: open.block, text }],
                    _ => Vec::new(),
                }
            }
            _ => Vec::new(),
        }
    }

    /// An `assistant` line carries one finished block. It ends the oldest open block of its kind, or, where nothing
    /// streamed (slash commands, sub-agents), is a block by itself.
    fn assistant(&mut self, line: Line) -> Vec<Event> {
        let by = line.parent_tool_use_id;
        let Some(Message { model, content: Some(MessageContent::Blocks(blocks)), .. }) = line.message else {
            return Vec::new();
        };
        if line.error.is_some() && model.as_deref() == Some(SYNTHETIC) {
            // The text of an API error; the `result` that follows tells it with its status.
            return Vec::new();
        }
        let mut events = Vec::new();
        for block in blocks {
            let open = self.open.entry(by.clone()).or_default();
            let streamed = open.iter().position(|open| open.kind == block.kind).map(|at| open.remove(at).block);
            let id = match streamed {
                Some(id) => id,
                None => {
                    let Some((id, began)) = self.begin(by.as_ref(), None, &block) else { continue };
                    self.open.entry(by.clone()).or_default().retain(|open| open.block != id);
                    events.push(began);
                    id
                }
            };
            let content = match block.kind.as_str() {
                "text" => Content::Text(block.text.unwrap_or_default()),
                "tool_use" | "server_tool_use" | "mcp_tool_use" => Content::Input(block.input.unwrap_or(Value::Null)),
                _ => Content::Text(block.thinking.unwrap_or_default()),
            };
            events.push(Event::BlockEnded { block: id, content });
        }
        events
    }

    fn user(&mut self, line: Line) -> Vec<Event> {
        let Some(Message { content: Some(content), .. }) = line.message else {
            return Vec::new();
        };
        if line.is_replay {
            return Vec::new();
        }
        let mut events = Vec::new();
        let blocks = match content {
            MessageContent::Text(text) => vec![Block { kind: "text".to_owned(), text: Some(text), ..Block::default() }],
            MessageContent::Blocks(blocks) => blocks,
        };
        for block in blocks {
            match block.kind.as_str() {
                "tool_result" => {
                    let (text, failed) = (result_text(block.content.as_ref()), block.is_error.unwrap_or(false));
                    events.push(Event::ToolAnswered {
                        call: block.tool_use_id.unwrap_or_default(),
                        code: exit_code(&text, failed, line.tool_use_result.as_ref()),
                        text,
                        failed,
                        hunks: line.tool_use_result.as_ref().and_then(hunks),
                    });
                }
                "text" if block.text.as_deref().is_some_and(|text| text.starts_with(INTERRUPTED)) => {
                    self.interrupted = true;
                }
                _ => {}
            }
        }
        events
    }

    fn result(&mut self, line: &Line) -> Event {
        let interrupted = std::mem::take(&mut self.interrupted);
        self.open.clear();
        let words = || {
            let text = line.errors.join("\n");
            if text.is_empty() { line.result.clone().unwrap_or_default() } else { text }
        };
        let subtype = line.subtype.as_deref().unwrap_or_default();
        let outcome = if !line.is_error && subtype == "success" {
            Outcome::Done
        } else if interrupted {
            Outcome::Interrupted
        } else if line.errors.iter().any(|error| error.contains(NO_CONVERSATION)) {
            Outcome::SessionMissing
        } else if subtype == "success" {
            // `is_error` with `success` is how an API error looks (`06-api-400`).
            Outcome::ApiError { status: line.api_error_status, text: words() }
        } else {
            let text = words();
            Outcome::Failed { text: if text.is_empty() { subtype.replace('_', " ") } else { text } }
        };
        let usage = line.usage.unwrap_or_default();
        let context_window = line
            .model_usage
            .iter()
            .flat_map(|models| models.values())
            .filter_map(|model| model.get("contextWindow").and_then(Value::as_u64))
            .max()
            .unwrap_or(0);
        Event::TurnEnded(TurnEnd {
            outcome,
            usage: TurnUsage {
                input_tokens: usage.input(),
                output_tokens: usage.output_tokens.unwrap_or(0),
                context_window,
                total_cost: line.total_cost_usd.unwrap_or(0.0),
            },
        })
    }
}

fn just(event: Event) -> Heard {
    Heard { events: vec![event], reply: None }
}

/// JSON of another shape is a kind that we do not know; anything else is no line of the protocol.
fn unreadable(line: &str) -> Event {
    let kind = serde_json::from_str::<Value>(line)
        .ok()
        .and_then(|value| value.get("type").and_then(Value::as_str).map(str::to_owned));
    match kind {
        // A turn ends with its result, whatever else a later CLI writes into that.
        Some(kind) if kind == "result" => Event::TurnEnded(TurnEnd {
            outcome: Outcome::Failed { text: format!("its result cannot be read: {}", head(line)) },
            usage: TurnUsage::default(),
        }),
        Some(kind) => Event::Unknown { kind, raw: head(line) },
        None => Event::Garbage { line: head(line) },
    }
}

/// `asks` is true where an answer about the mode is on its way.
fn system(line: &Line, raw: &str, asks: bool) -> Vec<Event> {
    let mode = line.permission_mode.as_deref().and_then(Mode::parse);
    match line.subtype.as_deref().unwrap_or_default() {
        "init" => vec![Event::TurnBegan { model: line.model.clone(), mode, version: line.claude_code_version.clone() }],
        // A status on the way to our answer may still name the mode before last (`PROTOCOL.md`, surprise 4); at any
        // other time the agent says here that it has changed the mode by itself, as at the end of a plan.
        "status" => match (line.status.as_deref(), &line.compact_error) {
            _ if mode.is_some() => mode.filter(|_| !asks).map(Event::ModeIs).into_iter().collect(),
            (Some("compacting"), _) => vec![Event::Said { text: "Compacting the conversation".to_owned() }],
            (None, Some(error)) => vec![Event::Said { text: format!("The conversation was not compacted: {error}") }],
            (None, None) if line.compact_result.is_some() => {
                vec![Event::Said { text: "The conversation was compacted".to_owned() }]
            }
            _ => Vec::new(),
        },
        "compact_boundary" => vec![Event::Said { text: "The conversation was compacted".to_owned() }],
        "api_retry" => vec![Event::Retrying(Retry {
            attempt: line.attempt.unwrap_or(1),
            max: line.max_retries.unwrap_or(1),
            delay: Duration::try_from_secs_f64(line.retry_delay_ms.unwrap_or(0.0) / 1000.0).unwrap_or_default(),
            status: line.error_status,
            error: line.error.as_ref().and_then(Value::as_str).unwrap_or("unknown").to_owned(),
        })],
        quiet if QUIET_SYSTEM.iter().any(|known| quiet.starts_with(known)) => Vec::new(),
        unknown => vec![Event::Unknown { kind: format!("system/{unknown}"), raw: head(raw) }],
    }
}

fn control_request(id: Option<String>, request: Option<ControlRequest>) -> Heard {
    let (Some(ask), Some(request)) = (id, request) else {
        return Heard::default();
    };
    if request.subtype != "can_use_tool" {
        return Heard { events: Vec::new(), reply: Some(writer::unsupported(&ask, &request.subtype)) };
    }
    let always = request.permission_suggestions.iter().find_map(always);
    let wants = wants(&request.tool_name, &request.input);
    just(Event::Asked(Box::new(Question {
        ask,
        tool: request.tool_name,
        call: request.tool_use_id,
        input: request.input,
        always,
        wants,
    })))
}

/// Two of the CLI's tools do nothing but ask the user. One whose input has another shape is a tool like any other.
fn wants(tool: &str, input: &Value) -> Wants {
    match tool {
        "AskUserQuestion" => {
            let asked = input.get("questions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let inquiries: Option<Vec<Inquiry>> = asked.iter().map(inquiry).collect();
            inquiries.filter(|all| !all.is_empty()).map_or(Wants::Leave, Wants::Answers)
        }
        "ExitPlanMode" => {
            let plan = input.get("plan").and_then(Value::as_str).filter(|plan| !plan.trim().is_empty());
            plan.map_or(Wants::Leave, |plan| Wants::Approval { plan: plan.to_owned() })
        }
        _ => Wants::Leave,
    }
}

fn inquiry(asked: &Value) -> Option<Inquiry> {
    let text = |of: &Value, key: &str| of.get(key).and_then(Value::as_str).map(str::to_owned);
    let options = asked.get("options").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    Some(Inquiry {
        question: text(asked, "question")?,
        topic: text(asked, "header").unwrap_or_default(),
        options: options
            .iter()
            .filter_map(|option| {
                let description = text(option, "description").unwrap_or_default();
                Some(InquiryOption { label: text(option, "label")?, description })
            })
            .collect(),
        several: asked.get("multiSelect").and_then(Value::as_bool).unwrap_or(false),
    })
}

/// What a suggestion of the CLI means if it is taken for ever. Rules come before modes, because they allow less.
///
/// A rule is taken for the session, whatever the suggestion says: the CLI ignores one that it has written into the
/// workspace's settings until the workspace is trusted (`PROTOCOL.md`, surprise 8), and would ask again. The tab gives
/// it to the conversation's later processes.
fn always(suggestion: &Value) -> Option<Always> {
    let text = |key: &str| suggestion.get(key).and_then(Value::as_str);
    match text("type")? {
        "addRules" if text("behavior") == Some("allow") => {
            let rule = |rule: &Value| {
                let tool = rule.get("toolName").and_then(Value::as_str)?;
                let content = rule.get("ruleContent").and_then(Value::as_str);
                Some(content.map_or_else(|| tool.to_owned(), |content| format!("{tool}({content})")))
            };
            let rules: Vec<String> = suggestion.get("rules")?.as_array()?.iter().filter_map(rule).collect();
            let mut update = suggestion.clone();
            update["destination"] = "session".into();
            Some(Always {
                words: format!("Allow {} for the rest of this conversation", rules.join(", ")),
                update,
                rules,
                mode: None,
            })
        }
        "setMode" if text("mode") == Some("acceptEdits") => Some(Always {
            words: "Accept all edits for the rest of this conversation".to_owned(),
            update: suggestion.clone(),
            rules: Vec::new(),
            mode: Some(Mode::AcceptEdits),
        }),
        _ => None,
    }
}

fn control_response(response: ControlResponse, requests: &mut HashMap<String, Asked>) -> Option<Event> {
    let asked = requests.remove(&response.request_id)?;
    let refused = (response.subtype == "error").then(|| response.error.unwrap_or_default());
    match (asked, refused) {
        (Asked::Initialize, None) => Some(Event::Ready(offer(&response.response.unwrap_or_default()))),
        (Asked::Initialize, Some(reason)) => Some(Event::Refused { what: "start the conversation", reason }),
        // The turn's end is what counts; it follows by itself.
        (Asked::Interrupt, None) => None,
        (Asked::Interrupt, Some(reason)) => Some(Event::Refused { what: "stop the turn", reason }),
        (Asked::Mode(mode), None) => Some(Event::ModeIs(mode)),
        (Asked::Mode(_), Some(reason)) => Some(Event::Refused { what: "change the permission mode", reason }),
        (Asked::Model(model), None) => Some(Event::ModelIs((model != "default").then_some(model))),
        // A refusal is as good a sign of life as an answer.
        (Asked::Ping, _) => Some(Event::Alive),
        (Asked::Model(_), Some(reason)) => Some(Event::Refused { what: "change the model", reason }),
    }
}

fn offer(response: &Value) -> Offer {
    let list = |key: &str| response.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    Offer {
        models: list("models")
            .iter()
            .map(|model| ModelOption {
                value: text(model, "value"),
                name: text(model, "displayName"),
                description: text(model, "description"),
                resolved: model.get("resolvedModel").and_then(Value::as_str).map(str::to_owned),
            })
            .collect(),
        commands: list("commands")
            .iter()
            .map(|command| SlashCommand {
                name: text(command, "name"),
                description: text(command, "description"),
                hint: text(command, "argumentHint"),
            })
            .collect(),
    }
}

fn result_text(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(blocks)) => {
            let texts: Vec<String> = blocks
                .iter()
                .map(|block| match block.get("text").and_then(Value::as_str) {
                    Some(text) => text.to_owned(),
                    None => format!("[{}]", block.get("type").and_then(Value::as_str).unwrap_or("content")),
                })
                .collect();
            texts.join("\n")
        }
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// The code that a command ended with: a failed one's result begins with it, and a command's alone has a stdout.
fn exit_code(text: &str, failed: bool, result: Option<&Value>) -> Option<i32> {
    if failed {
        let said = text.strip_prefix("Error: ").unwrap_or(text).strip_prefix("Exit code ")?;
        return said.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok();
    }
    let result = result.filter(|result| result.get("stdout").is_some())?;
    // One that goes on behind the turn, or was cut short, has none.
    let goes_on = result.get("backgroundTaskId").is_some_and(|id| !id.is_null());
    let cut = result.get("interrupted").and_then(Value::as_bool).unwrap_or_default();
    (!goes_on && !cut).then_some(0)
}

fn hunks(result: &Value) -> Option<Vec<Hunk>> {
    let patch: Vec<PatchHunk> = serde_json::from_value(result.get("structuredPatch")?.clone()).ok()?;
    if patch.is_empty() {
        return None;
    }
    let hunk = |hunk: PatchHunk| Hunk { old_start: hunk.old_start, new_start: hunk.new_start, lines: hunk.lines };
    Some(patch.into_iter().map(hunk).collect())
}

fn head(line: &str) -> String {
    const MOST: usize = 2000;
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_command_ends_with_a_code_where_the_cli_says_so() {
        let well = json!({"stdout": "yes", "stderr": "", "interrupted": false});
        let cases = [
            ("yes", false, Some(well), Some(0)),
            ("Exit code 3\noh", true, Some(json!("Error: Exit code 3\noh")), Some(3)),
            ("Error: Exit code 127", true, None, Some(127)),
            ("The user declined this.", true, None, None),
            ("a file", false, Some(json!({"type": "text"})), None),
            ("cut", false, Some(json!({"stdout": "", "interrupted": true})), None),
            ("it runs on", false, Some(json!({"stdout": "", "backgroundTaskId": "b1"})), None),
        ];
        for (text, failed, result, expected) in cases {
            assert_eq!(exit_code(text, failed, result.as_ref()), expected, "{text:?}");
        }
    }
}
