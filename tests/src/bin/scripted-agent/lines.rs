//! The lines that the scripted agent writes: the shapes of stream-json, one method each. It knows no script.

use std::io::{Stdout, Write};

use serde_json::{Value, json};

/// Stdout, with what every line carries.
pub(crate) struct Out {
    stdout: Stdout,
    session: String,
    count: u64,
}

impl Out {
    pub(crate) fn new(session: String) -> Self {
        Self { stdout: std::io::stdout(), session, count: 0 }
    }

    /// Writes bytes as they are. A closed stdout ends the process, as it ends the real CLI.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        let mut stdout = self.stdout.lock();
        if stdout.write_all(bytes).and_then(|()| stdout.flush()).is_err() {
            std::process::exit(1);
        }
    }

    pub(crate) fn line(&mut self, value: &Value) {
        let mut text = value.to_string();
        text.push('\n');
        self.raw(text.as_bytes());
    }

    pub(crate) fn answer(&mut self, id: &Value, response: &Value) {
        let mut inner = json!({"subtype": "success", "request_id": id});
        if !response.is_null() {
            inner["response"] = response.clone();
        }
        self.line(&json!({"type": "control_response", "response": inner}));
    }

    pub(crate) fn refuse(&mut self, id: &Value, error: &str) {
        let inner = json!({"subtype": "error", "request_id": id, "error": error});
        self.line(&json!({"type": "control_response", "response": inner}));
    }

    /// The `init` line that opens every turn.
    pub(crate) fn init(&mut self, mode: &str) {
        let cwd = std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default();
        let line = json!({
            "type": "system", "subtype": "init", "cwd": cwd, "session_id": self.session, "tools": ["Bash"],
            "mcp_servers": [], "model": "scripted", "permissionMode": mode, "slash_commands": ["compact"],
            "apiKeySource": "ANTHROPIC_API_KEY", "claude_code_version": "9.9.9", "output_style": "default",
            "uuid": self.uuid(),
        });
        self.line(&line);
    }

    /// A whole message of one text, in one delta.
    pub(crate) fn say(&mut self, text: &str) {
        let message = self.open_text();
        self.delta(text);
        self.close_text(&message, text);
    }

    /// Opens a message with one text block; gives the message's id.
    pub(crate) fn open_text(&mut self) -> String {
        let message = self.open_message();
        self.event(&json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}));
        message
    }

    pub(crate) fn delta(&mut self, text: &str) {
        let delta = json!({"type": "text_delta", "text": text});
        self.event(&json!({"type": "content_block_delta", "index": 0, "delta": delta}));
    }

    pub(crate) fn close_text(&mut self, message: &str, text: &str) {
        self.assistant(message, &json!({"type": "text", "text": text}));
        self.close_message("end_turn");
    }

    /// A whole message of one tool call.
    pub(crate) fn tool(&mut self, id: &str, name: &str, input: &Value) {
        let message = self.open_message();
        let block = json!({"type": "tool_use", "id": id, "name": name, "input": {}});
        self.event(&json!({"type": "content_block_start", "index": 0, "content_block": block}));
        let delta = json!({"type": "input_json_delta", "partial_json": input.to_string()});
        self.event(&json!({"type": "content_block_delta", "index": 0, "delta": delta}));
        self.assistant(&message, &json!({"type": "tool_use", "id": id, "name": name, "input": input}));
        self.close_message("tool_use");
    }

    pub(crate) fn tool_result(&mut self, id: &str, text: &str, error: bool) {
        let block = json!({"type": "tool_result", "tool_use_id": id, "content": text, "is_error": error});
        // The real CLI repeats the text here; a giant is not repeated, so that its line has the size asked for.
        let stdout = if text.len() > 1 << 20 { "" } else { text };
        self.user(&block, &json!({"stdout": stdout, "stderr": "", "interrupted": false, "isImage": false}));
    }

    /// The two lines with which an interrupted turn ends.
    pub(crate) fn interrupted(&mut self) {
        self.user(&json!({"type": "text", "text": "[Request interrupted by user]"}), &Value::Null);
        let mut line = self.end_of_turn("error_during_execution", true);
        line["errors"] = json!(["[ede_diagnostic] result_type=user last_content_type=n/a stop_reason=null"]);
        self.line(&line);
    }

    /// The line with which a turn ends well.
    pub(crate) fn result(&mut self, text: &str) {
        let mut line = self.end_of_turn("success", false);
        line["result"] = json!(text);
        self.line(&line);
    }

    /// The end of a turn that the API has refused, as the recording `06-api-400` has it.
    pub(crate) fn refused(&mut self, status: usize) {
        let mut line = self.end_of_turn("success", true);
        line["api_error_status"] = json!(status);
        line["result"] = json!(format!("API Error: {status} scripted refusal"));
        self.line(&line);
    }

    /// An `assistant` line alone, of which the caller may send a part.
    pub(crate) fn assistant_line(&mut self, text: &str) -> String {
        let message = self.message_id();
        self.assistant_value(&message, &json!({"type": "text", "text": text})).to_string()
    }

    fn open_message(&mut self) -> String {
        let id = self.message_id();
        let message = json!({
            "id": id, "type": "message", "role": "assistant", "model": "scripted", "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": usage(),
        });
        self.event(&json!({"type": "message_start", "message": message}));
        id
    }

    fn close_message(&mut self, reason: &str) {
        self.event(&json!({"type": "content_block_stop", "index": 0}));
        let delta = json!({"stop_reason": reason, "stop_sequence": null});
        self.event(&json!({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 5}}));
        self.event(&json!({"type": "message_stop"}));
    }

    fn assistant(&mut self, message: &str, block: &Value) {
        let line = self.assistant_value(message, block);
        self.line(&line);
    }

    fn assistant_value(&mut self, message: &str, block: &Value) -> Value {
        let message = json!({
            "id": message, "type": "message", "role": "assistant", "model": "scripted", "content": [block],
            "stop_reason": null, "stop_sequence": null, "usage": usage(), "context_management": null,
        });
        let session = self.session.clone();
        json!({
            "type": "assistant", "message": message, "parent_tool_use_id": null, "session_id": session,
            "uuid": self.uuid(),
        })
    }

    fn user(&mut self, block: &Value, structured: &Value) {
        let message = json!({"role": "user", "content": [block]});
        let session = self.session.clone();
        let mut line = json!({
            "type": "user", "message": message, "parent_tool_use_id": null, "session_id": session, "uuid": self.uuid(),
        });
        if !structured.is_null() {
            line["tool_use_result"] = structured.clone();
        }
        self.line(&line);
    }

    fn event(&mut self, event: &Value) {
        let session = self.session.clone();
        let line = json!({
            "type": "stream_event", "event": event, "session_id": session, "parent_tool_use_id": null,
            "uuid": self.uuid(),
        });
        self.line(&line);
    }

    fn end_of_turn(&mut self, subtype: &str, error: bool) -> Value {
        let session = self.session.clone();
        json!({
            "type": "result", "subtype": subtype, "is_error": error, "duration_ms": 1, "duration_api_ms": 1,
            "num_turns": 1, "stop_reason": null, "session_id": session, "total_cost_usd": 0.000_175, "usage": usage(),
            "modelUsage": {}, "permission_denials": [], "uuid": self.uuid(),
        })
    }

    fn message_id(&mut self) -> String {
        self.count += 1;
        format!("msg_scripted{:08}", self.count)
    }

    fn uuid(&mut self) -> String {
        self.count += 1;
        format!("00000000-0000-4000-8000-{:012}", self.count)
    }
}

fn usage() -> Value {
    json!({
        "input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
    })
}
