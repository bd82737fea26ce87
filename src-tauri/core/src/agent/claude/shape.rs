//! The parts of the CLI's lines that we read, and no more, so that new fields never break us.

use serde::Deserialize;
use serde_json::Value;

/// A line out. Everything is optional but the type: what is missing is dealt with where it is used.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Line {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) subtype: Option<String>,
    pub(super) event: Option<StreamEvent>,
    pub(super) message: Option<Message>,
    pub(super) parent_tool_use_id: Option<String>,
    #[serde(alias = "toolUseResult")] // As the conversation's file spells it.
    pub(super) tool_use_result: Option<Value>,
    #[serde(rename = "isReplay")]
    pub(super) is_replay: bool,
    pub(super) request_id: Option<String>,
    pub(super) request: Option<ControlRequest>,
    pub(super) response: Option<ControlResponse>,
    pub(super) error: Option<Value>,
    // system/init and system/status
    pub(super) model: Option<String>,
    #[serde(rename = "permissionMode")]
    pub(super) permission_mode: Option<String>,
    pub(super) claude_code_version: Option<String>,
    pub(super) status: Option<String>,
    pub(super) compact_result: Option<String>,
    pub(super) compact_error: Option<String>,
    // system/api_retry
    pub(super) attempt: Option<u32>,
    pub(super) max_retries: Option<u32>,
    pub(super) retry_delay_ms: Option<f64>,
    pub(super) error_status: Option<u16>,
    // result
    pub(super) is_error: bool,
    pub(super) api_error_status: Option<u16>,
    pub(super) result: Option<String>,
    pub(super) errors: Vec<String>,
    pub(super) usage: Option<Usage>,
    pub(super) total_cost_usd: Option<f64>,
    #[serde(rename = "modelUsage")]
    pub(super) model_usage: Option<serde_json::Map<String, Value>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct StreamEvent {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) index: Option<u32>,
    pub(super) content_block: Option<Block>,
    pub(super) delta: Option<Delta>,
    pub(super) message: Option<Message>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Delta {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) text: Option<String>,
    pub(super) thinking: Option<String>,
    pub(super) partial_json: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message {
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    pub(super) content: Option<MessageContent>,
    pub(super) usage: Option<Usage>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum MessageContent {
    Text(String),
    Blocks(Vec<Block>),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Block {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) text: Option<String>,
    pub(super) thinking: Option<String>,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) input: Option<Value>,
    pub(super) tool_use_id: Option<String>,
    pub(super) content: Option<Value>,
    pub(super) is_error: Option<bool>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
pub(super) struct Usage {
    pub(super) input_tokens: Option<u64>,
    pub(super) output_tokens: Option<u64>,
    pub(super) cache_creation_input_tokens: Option<u64>,
    pub(super) cache_read_input_tokens: Option<u64>,
}

impl Usage {
    /// Everything that went in, caches included.
    pub(super) fn input(self) -> u64 {
        [self.input_tokens, self.cache_creation_input_tokens, self.cache_read_input_tokens].into_iter().flatten().sum()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ControlRequest {
    pub(super) subtype: String,
    pub(super) tool_name: String,
    pub(super) tool_use_id: Option<String>,
    pub(super) input: Value,
    pub(super) permission_suggestions: Vec<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ControlResponse {
    pub(super) subtype: String,
    pub(super) request_id: String,
    pub(super) response: Option<Value>,
    pub(super) error: Option<String>,
}

/// A diff as the CLI's file tools report it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PatchHunk {
    pub(super) old_start: u32,
    pub(super) new_start: u32,
    pub(super) lines: Vec<String>,
}
