//! Reads a Messages API request: what the user said last, what tools have answered since, whether it is the main
//! conversation. It knows the request's shape and nothing of what will be answered.

use serde_json::Value;

/// Where a conversation stands when the model is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The last text of the user that is not a reminder put there by the agent; empty where there is none.
    pub said: String,
    /// How often exactly this text was said in the whole conversation.
    pub times: usize,
    /// The tool results since that text, round by round, oldest first.
    pub rounds: Vec<Vec<ToolResult>>,
    /// The paths that `Read` and `Write` calls of this conversation have named.
    pub touched: Vec<String>,
    /// The file that the agent wants a plan written to, where it has named one.
    pub plan_file: Option<String>,
}

/// What one tool call gave back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolResult {
    /// Its text, blocks joined by newlines.
    pub text: String,
    /// True where the tool failed or was refused.
    pub error: bool,
}

/// Reads the standing of a request's `messages`.
pub fn standing(body: &Value) -> Standing {
    let empty = Vec::new();
    let messages = body["messages"].as_array().unwrap_or(&empty);
    let mut said = String::new();
    let mut all_said = Vec::new();
    let mut rounds = Vec::new();
    let mut touched = Vec::new();
    for message in messages {
        match message["role"].as_str() {
            Some("user") => {
                let texts = user_texts(&message["content"]);
                let results = tool_results(&message["content"]);
                if !results.is_empty() {
                    rounds.push(results);
                }
                if let Some(last) = texts.last() {
                    said.clone_from(last);
                    // A new text begins a new script: what tools answered before belongs to the earlier one.
                    rounds.clear();
                }
                all_said.extend(texts);
            }
            Some("assistant") => touched.extend(touched_paths(&message["content"])),
            // The newer agent adds `system` messages in between; they script nothing.
            _ => {}
        }
    }
    let times = all_said.iter().filter(|text| **text == said).count();
    Standing { said, times, rounds, touched, plan_file: plan_file(body) }
}

/// The agent names it in a reminder, as a path among other words.
fn plan_file(body: &Value) -> Option<String> {
    fn find(value: &Value) -> Option<String> {
        match value {
            Value::String(text) => {
                let mut words = text.split(|c: char| c.is_whitespace() || "\"'`()<>".contains(c));
                let named =
                    words.find(|word| word.starts_with('/') && word.contains("/plans/") && word.contains(".md"));
                named.map(|word| word.split_inclusive(".md").next().unwrap_or(word).to_owned())
            }
            Value::Array(all) => all.iter().rev().find_map(find),
            Value::Object(all) => all.values().find_map(find),
            _ => None,
        }
    }
    find(&body["messages"])
}

/// True for a request of the main conversation: it offers tools. The agent's side requests (titles, topics) offer none
/// and bring a system prompt; a bare request, as from curl, brings neither and counts as main.
pub fn is_main(body: &Value) -> bool {
    let has_tools = body["tools"].as_array().is_some_and(|tools| !tools.is_empty());
    let has_system = match &body["system"] {
        Value::String(text) => !text.is_empty(),
        Value::Array(blocks) => !blocks.is_empty(),
        _ => false,
    };
    has_tools || !has_system
}

/// The system prompt as one text.
pub fn system_text(body: &Value) -> String {
    content_text(&body["system"])
}

/// Plausible input tokens: a quarter of the length of all text in the request.
pub fn input_tokens(body: &Value) -> usize {
    (strings_length(&body["system"]) + strings_length(&body["messages"]) + strings_length(&body["tools"])).div_ceil(4)
}

fn user_texts(content: &Value) -> Vec<String> {
    let blocks: Vec<&str> = match content {
        Value::String(text) => vec![text.as_str()],
        Value::Array(blocks) => {
            blocks.iter().filter(|block| block["type"] == "text").filter_map(|block| block["text"].as_str()).collect()
        }
        _ => Vec::new(),
    };
    blocks.into_iter().filter_map(own_words).collect()
}

/// The user's own words in a text block: without leading reminders, and nothing where only a reminder or the agent's
/// own note of an interruption is left.
fn own_words(block: &str) -> Option<String> {
    let mut rest = block.trim();
    while let Some(reminder) = rest.strip_prefix("<system-reminder>") {
        rest = reminder.split_once("</system-reminder>").map_or("", |(_, after)| after.trim_start());
    }
    let is_note = rest.starts_with("[Request interrupted by user");
    (!rest.is_empty() && !is_note).then(|| rest.to_owned())
}

fn tool_results(content: &Value) -> Vec<ToolResult> {
    content
        .as_array()
        .into_iter()
        .flatten()
        .filter(|block| block["type"] == "tool_result")
        .map(|block| ToolResult {
            text: content_text(&block["content"]).trim_end().to_owned(),
            error: block["is_error"].as_bool().unwrap_or(false),
        })
        .collect()
}

fn touched_paths(content: &Value) -> Vec<String> {
    content
        .as_array()
        .into_iter()
        .flatten()
        .filter(|block| block["type"] == "tool_use" && (block["name"] == "Read" || block["name"] == "Write"))
        .filter_map(|block| block["input"]["file_path"].as_str().map(str::to_owned))
        .collect()
}

fn content_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts: Vec<&str> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

fn strings_length(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(strings_length).sum(),
        Value::Object(fields) => fields.values().map(strings_length).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reminders_and_notes_script_nothing() {
        let body = json!({"messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "<system-reminder>\nsay: wrong\n</system-reminder>\n"},
                {"type": "text", "text": "<system-reminder>x</system-reminder>say: right"},
                {"type": "text", "text": "[Request interrupted by user]"},
            ]},
            {"role": "system", "content": [{"type": "text", "text": "say: system"}]},
        ]});
        assert_eq!(standing(&body).said, "say: right", "only the user's own words count");
    }

    #[test]
    fn tool_results_belong_to_the_text_before_them() {
        let body = json!({"messages": [
            {"role": "user", "content": "bash: one"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Bash", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "old"}]},
            {"role": "user", "content": "bash: two"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "u", "name": "Bash", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "u", "content": [{"type": "text", "text": "new\n"}], "is_error": true},
                {"type": "text", "text": "<system-reminder>say: no</system-reminder>"},
            ]},
        ]});
        let standing = standing(&body);
        assert_eq!(standing.said, "bash: two");
        assert_eq!(standing.rounds, [[ToolResult { text: "new".into(), error: true }]], "one round, of the new text");
    }

    #[test]
    fn a_repeated_text_is_counted() {
        let body = json!({"messages": [
            {"role": "user", "content": [{"type": "text", "text": "failonce: 400 x"}, {"type": "text", "text": "failonce: 400 x"}]},
        ]});
        assert_eq!(standing(&body).times, 2);
    }

    #[test]
    fn side_requests_are_told_from_the_main_one() {
        assert!(is_main(&json!({"system": "s", "tools": [{"name": "Bash"}]})), "the agent's main request has tools");
        assert!(!is_main(&json!({"system": "Name this conversation"})), "a side request has none");
        assert!(is_main(&json!({"messages": []})), "a bare request is somebody talking to the stand-in");
    }
}
