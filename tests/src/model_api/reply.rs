//! Turns a plan into what travels: server-sent events or one JSON message, and errors as the Messages API words them.
//! It knows shapes and pauses, and nothing of why a plan is what it is.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::script::Block;

/// How often a ping goes out while the model pauses.
const PING_EVERY: Duration = Duration::from_secs(5);

/// What every message of one answer shares.
#[derive(Debug, Clone)]
pub struct Head {
    /// The model that was asked for.
    pub model: String,
    /// Tokens of the request.
    pub input_tokens: usize,
}

/// The client left before the answer was whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// Sends a message as events, with its pauses.
///
/// # Errors
/// [`Gone`] as soon as nobody reads any more.
pub async fn stream(head: &Head, blocks: &[Block], out: &mpsc::Sender<String>) -> Result<(), Gone> {
    let id = message_id();
    emit(out, "message_start", &json!({"message": shell(&id, head, &json!([]), &Value::Null, 1)})).await?;
    emit(out, "ping", &json!({})).await?;
    for (index, block) in blocks.iter().enumerate() {
        stream_block(index, block, out).await?;
    }
    let delta = json!({"stop_reason": stop_reason(blocks), "stop_sequence": null});
    let usage = json!({"output_tokens": output_tokens(blocks)});
    emit(out, "message_delta", &json!({"delta": delta, "usage": usage})).await?;
    emit(out, "message_stop", &json!({})).await
}

/// The same message in one piece.
pub fn whole(head: &Head, blocks: &[Block]) -> Value {
    let content: Vec<Value> = blocks
        .iter()
        .map(|block| match block {
            Block::Text { deltas, .. } => json!({"type": "text", "text": deltas.concat()}),
            Block::Thinking { deltas } => {
                json!({"type": "thinking", "thinking": deltas.concat(), "signature": SIGNATURE})
            }
            Block::Tool { name, input } => json!({"type": "tool_use", "id": tool_id(), "name": name, "input": input}),
        })
        .collect();
    let stop = json!(stop_reason(blocks));
    shell(&message_id(), head, &json!(content), &stop, output_tokens(blocks))
}

/// An API error with its type's own name.
pub fn error(status: u16) -> Value {
    error_saying(status, &format!("mock failure {status}"))
}

/// An API error in given words.
pub fn error_saying(status: u16, message: &str) -> Value {
    let kind = match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    };
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": identifier("req_")})
}

/// Any signature does: only the API that made it could check it.
const SIGNATURE: &str = "c3RhbmQtaW4gc2lnbmF0dXJl";

async fn stream_block(index: usize, block: &Block, out: &mpsc::Sender<String>) -> Result<(), Gone> {
    let start = match block {
        Block::Text { .. } => json!({"type": "text", "text": ""}),
        Block::Thinking { .. } => json!({"type": "thinking", "thinking": "", "signature": ""}),
        Block::Tool { name, .. } => json!({"type": "tool_use", "id": tool_id(), "name": name, "input": {}}),
    };
    emit(out, "content_block_start", &json!({"index": index, "content_block": start})).await?;
    match block {
        Block::Text { deltas, pause } => paced(index, deltas, *pause, out).await?,
        Block::Thinking { deltas } => {
            for text in deltas {
                emit_delta(out, index, json!({"type": "thinking_delta", "thinking": text})).await?;
            }
            emit_delta(out, index, json!({"type": "signature_delta", "signature": SIGNATURE})).await?;
        }
        Block::Tool { input, .. } => {
            // The real API cuts the input anywhere, so the stand-in does too.
            for piece in pieces(&input.to_string(), 24) {
                emit_delta(out, index, json!({"type": "input_json_delta", "partial_json": piece})).await?;
            }
        }
    }
    emit(out, "content_block_stop", &json!({"index": index})).await
}

async fn paced(index: usize, deltas: &[String], pause: Duration, out: &mpsc::Sender<String>) -> Result<(), Gone> {
    // A ticker rather than a pause after each, so that the rate holds however long sending takes.
    let mut ticker = (!pause.is_zero()).then(|| tokio::time::interval(pause));
    for text in deltas {
        if let Some(ticker) = &mut ticker {
            wait_tick(ticker, out).await?;
        }
        emit_delta(out, index, json!({"type": "text_delta", "text": text})).await?;
    }
    Ok(())
}

/// Waits for the next tick; pings meanwhile, and ends early when the client leaves.
async fn wait_tick(ticker: &mut tokio::time::Interval, out: &mpsc::Sender<String>) -> Result<(), Gone> {
    loop {
        tokio::select! {
            _ = ticker.tick() => return Ok(()),
            () = out.closed() => return Err(Gone),
            () = tokio::time::sleep(PING_EVERY) => emit(out, "ping", &json!({})).await?,
        }
    }
}

async fn emit_delta(out: &mpsc::Sender<String>, index: usize, delta: Value) -> Result<(), Gone> {
    emit(out, "content_block_delta", &json!({"index": index, "delta": delta})).await
}

async fn emit(out: &mpsc::Sender<String>, kind: &str, fields: &Value) -> Result<(), Gone> {
    let mut data = json!({"type": kind});
    if let (Some(data), Some(fields)) = (data.as_object_mut(), fields.as_object()) {
        data.extend(fields.clone());
    }
    let mut event = String::new();
    // Writing to a String cannot fail.
    let _ = write!(event, "event: {kind}\ndata: {data}\n\n");
    out.send(event).await.map_err(|_| Gone)
}

fn shell(id: &str, head: &Head, content: &Value, stop: &Value, output_tokens: usize) -> Value {
    json!({
        "id": id, "type": "message", "role": "assistant", "model": head.model, "content": content,
        "stop_reason": stop, "stop_sequence": null,
        "usage": {
            "input_tokens": head.input_tokens, "output_tokens": output_tokens,
            "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
        },
    })
}

fn stop_reason(blocks: &[Block]) -> &'static str {
    if blocks.iter().any(|block| matches!(block, Block::Tool { .. })) { "tool_use" } else { "end_turn" }
}

fn output_tokens(blocks: &[Block]) -> usize {
    let length: usize = blocks
        .iter()
        .map(|block| match block {
            Block::Text { deltas, .. } | Block::Thinking { deltas } => deltas.iter().map(String::len).sum(),
            Block::Tool { input, .. } => input.to_string().len(),
        })
        .sum();
    length.div_ceil(4).max(1)
}

fn pieces(text: &str, size: usize) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(size).map(|chunk| chunk.iter().collect()).collect()
}

fn message_id() -> String {
    identifier("msg_")
}

fn tool_id() -> String {
    identifier("toolu_")
}

fn identifier(prefix: &str) -> String {
    format!("{prefix}{}", uuid::Uuid::new_v4().simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn events(blocks: &[Block]) -> Vec<Value> {
        let (sender, mut receiver) = mpsc::channel(1000);
        let head = Head { model: "m".into(), input_tokens: 7 };
        stream(&head, blocks, &sender).await.unwrap();
        drop(sender);
        let mut events = Vec::new();
        while let Some(event) = receiver.recv().await {
            let (name, data) = event.strip_prefix("event: ").and_then(|rest| rest.split_once("\ndata: ")).unwrap();
            let data: Value = serde_json::from_str(data.strip_suffix("\n\n").unwrap()).unwrap();
            assert_eq!(data["type"], name, "the event's name is its data's type");
            events.push(data);
        }
        events
    }

    #[tokio::test]
    async fn a_message_is_streamed_in_the_api_s_order() {
        let text = Block::Text { deltas: vec!["a ".into(), "b".into()], pause: Duration::ZERO };
        let input = json!({"command": "echo 'a rather long command, so that it is cut'", "description": "d"});
        let events = events(&[text, Block::Tool { name: "Bash", input: input.clone() }]).await;
        let kinds: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
        assert_eq!(
            kinds[..5],
            ["message_start", "ping", "content_block_start", "content_block_delta", "content_block_delta"]
        );
        assert_eq!(kinds[kinds.len() - 3..], ["content_block_stop", "message_delta", "message_stop"]);
        let pieces: Vec<&str> = events.iter().filter_map(|event| event["delta"]["partial_json"].as_str()).collect();
        assert!(pieces.len() > 1, "the input comes in pieces");
        assert_eq!(serde_json::from_str::<Value>(&pieces.concat()).unwrap(), input, "and is whole in the end");
        assert_eq!(events[events.len() - 2]["delta"]["stop_reason"], "tool_use");
        assert_eq!(events[0]["message"]["usage"]["input_tokens"], 7);
    }

    #[tokio::test]
    async fn a_client_that_left_ends_the_stream() {
        let (sender, receiver) = mpsc::channel(1);
        drop(receiver);
        let text = Block::Text { deltas: vec!["never".into()], pause: Duration::from_hours(1) };
        let head = Head { model: "m".into(), input_tokens: 1 };
        assert_eq!(stream(&head, &[text], &sender).await, Err(Gone));
    }
}
