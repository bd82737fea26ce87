//! What a tool call looks like in one line, and its input and result as text. Knows the CLI's own tools by name and
//! makes do with the rest.

use serde_json::Value;

/// The longest summary, in characters.
const LONGEST_SUMMARY: usize = 160;
/// The longest result that is kept, in bytes.
const LONGEST_RESULT: usize = 64 * 1024;

/// One line that says what the call does.
pub(super) fn summary(tool: &str, input: &Value) -> String {
    let text = |key: &str| input.get(key).and_then(Value::as_str);
    let said = match tool {
        "Bash" => text("command"),
        "Read" | "Write" | "Edit" | "MultiEdit" | "NotebookEdit" => text("file_path").or(text("notebook_path")),
        "Grep" | "Glob" => text("pattern"),
        "WebFetch" => text("url"),
        "WebSearch" => text("query"),
        "Task" | "Agent" => text("description"),
        "AskUserQuestion" => {
            input.get("questions").and_then(|questions| questions.get(0)?.get("question")).and_then(Value::as_str)
        }
        _ => None,
    };
    let said = said.map(str::to_owned).or_else(|| first_text(input)).unwrap_or_default();
    let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let more = if lines.next().is_some() { " …" } else { "" };
    cut(&format!("{first}{more}"), LONGEST_SUMMARY)
}

/// The input as indented JSON.
pub(super) fn input_text(input: &Value) -> String {
    match input {
        Value::Null => String::new(),
        input => serde_json::to_string_pretty(input).unwrap_or_default(),
    }
}

/// The result and whether it was cut.
pub(super) fn result(text: String) -> (String, bool) {
    if text.len() <= LONGEST_RESULT {
        return (text, false);
    }
    let mut end = LONGEST_RESULT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    (text[..end].to_owned(), true)
}

fn first_text(input: &Value) -> Option<String> {
    input.as_object()?.values().find_map(|value| value.as_str().map(str::to_owned))
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn summaries_say_what_a_call_does() {
        let cases = [
            ("Bash", json!({"command": "cargo test", "description": "Run"}), "cargo test"),
            ("Bash", json!({"command": "cat <<E\nhello\nE"}), "cat <<E …"),
            ("Write", json!({"file_path": "/p/a.txt", "content": "x"}), "/p/a.txt"),
            ("Grep", json!({"pattern": "fn main", "path": "/p"}), "fn main"),
            ("mcp__db__query", json!({"limit": 3, "sql": "select 1"}), "select 1"),
            ("TodoWrite", json!({"todos": []}), ""),
            ("Bash", Value::Null, ""),
        ];
        for (tool, input, expected) in cases {
            assert_eq!(summary(tool, &input), expected, "{tool} with {input}");
        }
        let long = summary("Bash", &json!({"command": "x".repeat(500)}));
        assert_eq!(long.chars().count(), LONGEST_SUMMARY + 1, "a long command is cut with an ellipsis");
    }

    #[test]
    fn results_are_cut_between_characters() {
        let (kept, cut) = result("ü".repeat(LONGEST_RESULT));
        assert!(cut && kept.len() <= LONGEST_RESULT, "a long result is cut and says so");
        assert_eq!(result("short".to_owned()), ("short".to_owned(), false), "a short one is kept");
    }
}
