//! What was said in a conversation, from the CLI's own file of it. Only reads, and makes do with what it understands:
//! the file's form is the CLI's business and changes with its releases.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde::Deserialize;

use super::reader::Reader;
use super::shape::{Message, MessageContent};
use crate::agent::Event;

/// How much of the end of a file is read. Whole files can hold hundreds of megabytes.
const MOST: u64 = 8 * 1024 * 1024;

/// One thing that was said.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// By the user.
    User(String),
    /// By the agent.
    Agent(Box<Event>),
}

/// The end of the conversation in `file`, oldest first.
///
/// # Errors
/// Whatever the system says about the file.
pub fn read(file: &Path) -> std::io::Result<Vec<Said>> {
    let mut file = std::fs::File::open(file)?;
    let length = file.metadata()?.len();
    let skipped = length.saturating_sub(MOST);
    file.seek(SeekFrom::Start(skipped))?;
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines();
    if skipped > 0 {
        // The first line was cut in two.
        lines.next();
    }
    Ok(said(lines))
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Stored {
    #[serde(rename = "type")]
    kind: String,
    is_sidechain: bool,
    is_meta: bool,
    is_compact_summary: bool,
    message: Option<Message>,
}

fn said<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Said> {
    let mut reader = Reader::default();
    let mut said = Vec::new();
    for line in lines {
        let Ok(stored) = serde_json::from_str::<Stored>(line) else { continue };
        if stored.is_sidechain || stored.is_meta || stored.is_compact_summary {
            continue;
        }
        match stored.kind.as_str() {
            "user" => said.extend(stored.message.and_then(typed).map(Said::User)),
            "assistant" => {}
            _ => continue,
        }
        said.extend(
            reader.read(line, &mut HashMap::new()).events.into_iter().map(|event| Said::Agent(Box::new(event))),
        );
    }
    said
}

/// What the user typed; `None` where the line carries a tool's result, or something that the CLI wrote itself.
fn typed(message: Message) -> Option<String> {
    let text = match message.content? {
        MessageContent::Text(text) => text,
        MessageContent::Blocks(blocks) => {
            let texts = blocks.into_iter().filter(|block| block.kind == "text").filter_map(|block| block.text);
            texts.filter(|text| !text.starts_with('<')).collect::<Vec<_>>().join("\n")
        }
    };
    let own = text.starts_with('<') || text.starts_with("[Request interrupted");
    (!own && !text.trim().is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::agent::Content;

    #[test]
    fn a_conversation_is_read_back_without_what_the_cli_wrote_for_itself() {
        let lines: Vec<String> = [
            json!({"type": "queue-operation", "operation": "enqueue"}),
            json!({"type": "user", "message": {"role": "user", "content": "make a file"}}),
            json!({"type": "user", "isMeta": true, "message": {"role": "user", "content": "<reminder>"}}),
            json!({"type": "assistant", "message": {"content": [{"type": "text", "text": "Will do."}]}}),
            json!({"type": "assistant", "isSidechain": true, "message": {"content": [{"type": "text", "text": "psst"}]}}),
            json!({"type": "assistant", "message": {"content": [
                {"type": "tool_use", "id": "t1", "name": "Write", "input": {"file_path": "/p/a"}}]}}),
            json!({"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "t1", "content": "ok"}]},
                "toolUseResult": {"structuredPatch": [{"oldStart": 1, "newStart": 1, "lines": ["+a"]}]}}),
            json!({"type": "user", "message": {"content": [{"type": "text", "text": "[Request interrupted by user]"}]}}),
            json!("not an object"),
        ]
        .iter()
        .map(ToString::to_string)
        .collect();
        let said = said(lines.iter().map(String::as_str));
        let users: Vec<_> = said.iter().filter(|said| matches!(said, Said::User(_))).collect();
        assert_eq!(users, [&Said::User("make a file".to_owned())], "only what the user typed is the user's");
        let texts: Vec<_> = said
            .iter()
            .filter_map(|said| match said {
                Said::Agent(event) => match &**event {
                    Event::BlockEnded { content: Content::Text(text), .. } => Some(text.as_str()),
                    _ => None,
                },
                Said::User(_) => None,
            })
            .collect();
        assert_eq!(texts, ["Will do."], "a sub-agent's words are not the conversation's");
        let answered = |event: &Event| matches!(event, Event::ToolAnswered { hunks: Some(_), .. });
        assert!(
            said.iter().any(|said| matches!(said, Said::Agent(event) if answered(event))),
            "a tool's result comes with its change"
        );
    }
}
