//! The lines we write to the CLI. Each is whole and serialised here: a line that is not JSON ends the CLI
//! (`PROTOCOL.md`, surprise 1).

use serde_json::{Map, Value, json};

use crate::agent::{Choice, Mode, Question};

/// A message of the user, with what the agent has to know before it reads it.
pub fn user(text: &str, reminder: Option<&str>) -> String {
    let content = match reminder {
        // The CLI's own form for what is not the user's words.
        Some(reminder) => json!([
            {"type": "text", "text": format!("<system-reminder>\n{reminder}\n</system-reminder>")},
            {"type": "text", "text": text},
        ]),
        None => json!(text),
    };
    json!({"type": "user", "message": {"role": "user", "content": content}}).to_string()
}

/// The handshake. Its answer means that the agent takes messages.
pub fn initialize(id: &str) -> String {
    request(id, &json!({"subtype": "initialize", "hooks": null}))
}

/// Ends the running turn.
pub fn interrupt(id: &str) -> String {
    request(id, &json!({"subtype": "interrupt"}))
}

/// Asks for something harmless, whose answer says that it lives.
pub fn ping(id: &str) -> String {
    request(id, &json!({"subtype": "mcp_status"}))
}

/// Changes the permission mode.
pub fn set_mode(id: &str, mode: Mode) -> String {
    request(id, &json!({"subtype": "set_permission_mode", "mode": mode.as_str()}))
}

/// Changes the model.
pub fn set_model(id: &str, model: &str) -> String {
    request(id, &json!({"subtype": "set_model", "model": model}))
}

/// Answers a question. "Always" without a rule to send back means this once.
pub fn answer(question: &Question, choice: &Choice) -> String {
    let response = match (choice, &question.always) {
        (Choice::AllowAlways, Some(always)) => {
            json!({"behavior": "allow", "updatedInput": question.input, "updatedPermissions": [always.update]})
        }
        (Choice::Allow | Choice::AllowAlways, _) => json!({"behavior": "allow", "updatedInput": question.input}),
        (Choice::Answers(replies), _) => {
            let mut input = question.input.clone();
            let answers: Map<String, Value> =
                replies.iter().map(|reply| (reply.question.clone(), reply.answer.clone().into())).collect();
            if let Some(input) = input.as_object_mut() {
                input.insert("answers".to_owned(), answers.into());
            }
            json!({"behavior": "allow", "updatedInput": input})
        }
        (Choice::Deny { reason }, _) => json!({"behavior": "deny", "message": reason}),
    };
    success(&question.ask, &response)
}

/// Declines a request of the CLI that we do not know, so that it does not wait for ever.
pub fn unsupported(request: &str, subtype: &str) -> String {
    let error = format!("Gemra does not support the control request {subtype:?}");
    json!({"type": "control_response", "response": {"subtype": "error", "request_id": request, "error": error}})
        .to_string()
}

fn success(request: &str, response: &Value) -> String {
    json!({
        "type": "control_response",
        "response": {"subtype": "success", "request_id": request, "response": response},
    })
    .to_string()
}

fn request(id: &str, request: &Value) -> String {
    json!({"type": "control_request", "request_id": id, "request": request}).to_string()
}
