//! A stand-in for the agent's CLI that speaks stream-json and does what a healthy CLI never does. The user's lines
//! script it (see `turn.rs`). It refuses to know any model, any tool and any network.
//!
//! `SCRIPTED_AGENT` in its environment changes it from the start: `noinit` never answers `initialize`, `deaf` ignores
//! the end of stdin and SIGTERM, `die` ends at once with code 7 and a word on stderr.

use std::io::{BufRead as _, Write as _};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::lines::Out;
use crate::turn::Next;

mod lines;
mod turn;

/// Set in the environment of a copy that already ignores SIGTERM.
const DEAF: &str = "SCRIPTED_AGENT_DEAF";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--version" || argument == "-v") {
        return match writeln!(std::io::stdout(), "9.9.9 (Scripted agent)") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let mood = std::env::var("SCRIPTED_AGENT").unwrap_or_default();
    let deaf = std::env::var_os(DEAF).is_some();
    if mood == "die" {
        complain("the scripted agent was told to die at its start");
        return ExitCode::from(7);
    }
    if mood == "deaf" && !deaf {
        return become_deaf("start");
    }
    let mut agent = Agent {
        out: Out::new(session(&arguments)),
        input: read_stdin(),
        answers_initialize: mood != "noinit",
        mode: after(&arguments, "--permission-mode").unwrap_or("default").to_owned(),
        deaf,
        arguments,
    };
    if std::env::var(DEAF).is_ok_and(|at| at == "turn") {
        // The turn that asked for it goes on here, after the exec.
        agent.out.say("deaf from now on");
        agent.out.result("deaf from now on");
    }
    agent.run()
}

/// What a line on stdin means.
enum Asked {
    Line(Value),
    End,
}

struct Agent {
    out: Out,
    input: Receiver<Asked>,
    answers_initialize: bool,
    /// The permission mode, as it was started with or told since.
    mode: String,
    deaf: bool,
    arguments: Vec<String>,
}

impl Agent {
    fn run(&mut self) -> ExitCode {
        loop {
            match self.input.recv() {
                Ok(Asked::Line(line)) => match self.take(&line) {
                    Next::Go => {}
                    Next::Exit(code) => return ExitCode::from(code),
                    Next::Deaf => return become_deaf("turn"),
                },
                Ok(Asked::End) | Err(_) if self.deaf => loop {
                    // Nothing wakes it but SIGKILL.
                    std::thread::park();
                },
                Ok(Asked::End) | Err(_) => return ExitCode::SUCCESS,
            }
        }
    }

    fn take(&mut self, line: &Value) -> Next {
        match line["type"].as_str() {
            Some("control_request") => {
                self.control(line);
                Next::Go
            }
            Some("user") => turn::take(self, &user_text(line)),
            // An answer that nobody waits for any more.
            _ => Next::Go,
        }
    }

    /// Answers a control request as the real CLI does.
    fn control(&mut self, line: &Value) {
        let id = &line["request_id"];
        let request = &line["request"];
        match request["subtype"].as_str().unwrap_or_default() {
            "initialize" if !self.answers_initialize => {}
            "initialize" => self.out.answer(id, &initialized()),
            "interrupt" | "set_model" => self.out.answer(id, &Value::Null),
            "set_permission_mode" => {
                request["mode"].as_str().unwrap_or_default().clone_into(&mut self.mode);
                self.out.answer(id, &json!({"mode": request["mode"]}));
            }
            "mcp_status" => self.out.answer(id, &json!({"mcpServers": []})),
            other => self.out.refuse(id, &format!("Unsupported control request subtype: {other}")),
        }
    }
}

/// Starts this program again with SIGTERM ignored, which only a shell can arrange without unsafe code; a process
/// keeps what it ignores across `exec`.
fn become_deaf(at: &str) -> ExitCode {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => {
            complain(&format!("cannot find this program: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let mut shell = tests::spawn::command("sh");
    shell.args(["-c", "trap '' TERM HUP INT; exec \"$0\" \"$@\""]).arg(program).args(std::env::args_os().skip(1));
    let error = tests::spawn::exec(shell.env(DEAF, at));
    complain(&error.to_string());
    ExitCode::FAILURE
}

/// Reads stdin in a thread, so that a turn can see an interruption while it goes on. A line that is not JSON ends
/// the process with code 1, as it ends the real CLI.
fn read_stdin() -> Receiver<Asked> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if line.trim().is_empty() {
                continue;
            }
            match serde_json::from_str(&line) {
                Ok(value) => {
                    if sender.send(Asked::Line(value)).is_err() {
                        return;
                    }
                }
                Err(error) => {
                    complain(&format!("Error parsing streaming input line: {error}"));
                    std::process::exit(1);
                }
            }
        }
        // Whoever received is gone only when the process ends.
        let _ = sender.send(Asked::End);
    });
    receiver
}

fn user_text(line: &Value) -> String {
    match &line["message"]["content"] {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            blocks.iter().filter_map(|block| block["text"].as_str()).next_back().unwrap_or_default().to_owned()
        }
        _ => String::new(),
    }
}

fn session(arguments: &[String]) -> String {
    let named = after(arguments, "--session-id").or_else(|| after(arguments, "--resume"));
    named.unwrap_or("00000000-0000-4000-8000-000000000001").to_owned()
}

/// The argument that follows the one called `name`.
fn after<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1).map(String::as_str)
}

fn initialized() -> Value {
    json!({
        "commands": [{"name": "compact", "description": "Clear history but keep a summary", "argumentHint": ""}],
        "agents": [],
        "output_style": "default",
        "available_output_styles": ["default"],
        "models": [
            {"value": "default", "displayName": "Default (recommended)", "description": "The scripted model"},
            {"value": "sonnet", "displayName": "Sonnet", "description": "Another scripted model"},
        ],
        "account": {"apiKeySource": "ANTHROPIC_API_KEY"},
        "pid": std::process::id(),
    })
}

fn complain(message: &str) {
    // A closed stderr leaves nobody to tell.
    let _ = writeln!(std::io::stderr(), "{message}");
}
