//! What one user line makes the scripted agent do.
//!
//! | line | does |
//! |---|---|
//! | `say TEXT` | says it |
//! | `argv`, `env NAME` | says its arguments, or a variable of its environment |
//! | `mode` | says its permission mode |
//! | `fail STATUS` | the API has refused for good |
//! | `odd-result` | ends its turn with a result of a shape that nobody knows |
//! | `again` | ends its turn, and begins one by itself that lasts until it is interrupted |
//! | `ask TOOL` | asks whether it may use the tool, waits, says what was answered |
//! | `wait` | does nothing until it is interrupted |
//! | `hang` | never answers again, nor to an interruption |
//! | `flood N` | N text deltas `w0 w1 …` |
//! | `garbage` | lines that are not JSON, or no object, between good ones |
//! | `unknown` | types, subtypes and blocks that nobody has heard of |
//! | `biglines MB` | one tool result in a line of that many megabytes |
//! | `splitutf8` | multi-byte characters cut in two by pauses |
//! | `stderr KB` | that much on stderr, its last line `the last line of stderr` |
//! | `die CODE [midline]` | ends with the code, in the middle of a line if told so |
//! | `fork` | starts a process that outlives it; its id goes to the file `SCRIPTED_AGENT_PIDS` names |
//! | `ignore-eof` | from now on ignores the end of stdin and SIGTERM |
//! | anything else | `scripted: ` and the text |

use std::io::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Agent, Asked, complain};

/// What becomes of the process after a turn.
pub(crate) enum Next {
    Go,
    Exit(u8),
    Deaf,
}

/// Plays one turn.
pub(crate) fn take(agent: &mut Agent, text: &str) -> Next {
    let (word, rest) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
    agent.out.init(&agent.mode);
    match word {
        "say" => said(agent, rest),
        "argv" => {
            let arguments = agent.arguments.join(" ");
            said(agent, &arguments)
        }
        "env" => {
            let value = std::env::var(rest).unwrap_or_else(|_| "(unset)".to_owned());
            said(agent, &value)
        }
        "mode" => {
            let words = format!("mode: {}", agent.mode);
            said(agent, &words)
        }
        "fail" => {
            agent.out.refused(number(rest, 500));
            Next::Go
        }
        "odd-result" => {
            agent.out.line(&json!({"type": "result", "subtype": "success", "errors": null, "usage": "none"}));
            Next::Go
        }
        "again" => {
            agent.out.result("for now");
            agent.out.init(&agent.mode);
            until_interrupted(agent)
        }
        "ask" => ask(agent, if rest.is_empty() { "Bash" } else { rest }),
        "wait" => until_interrupted(agent),
        "hang" => loop {
            // Stdin goes on being read by its own thread, so that its writer never blocks.
            std::thread::park();
        },
        "flood" => flood(agent, number(rest, 1000)),
        "garbage" => garbage(agent),
        "unknown" => unknown(agent),
        "biglines" => big_line(agent, number(rest, 10)),
        "splitutf8" => split_characters(agent),
        "stderr" => {
            noise(number(rest, 64));
            said(agent, "wrote to stderr")
        }
        "die" => die(agent, rest),
        "fork" => fork(agent),
        "ignore-eof" => Next::Deaf,
        _ => said(agent, &format!("scripted: {text}")),
    }
}

fn said(agent: &mut Agent, text: &str) -> Next {
    agent.out.say(text);
    agent.out.result(text);
    Next::Go
}

fn ask(agent: &mut Agent, tool: &str) -> Next {
    let input = json!({"command": "echo scripted", "description": "Run command"});
    agent.out.tool("toolu_scripted", tool, &input);
    let request = json!({
        "subtype": "can_use_tool", "tool_name": tool, "display_name": tool, "input": input,
        "description": "Run command", "tool_use_id": "toolu_scripted",
        "permission_suggestions": [{
            "type": "addRules", "rules": [{"toolName": tool, "ruleContent": "echo *"}],
            "behavior": "allow", "destination": "localSettings",
        }],
    });
    agent.out.line(&json!({"type": "control_request", "request_id": "ask-1", "request": request}));
    loop {
        match agent.input.recv() {
            Ok(Asked::Line(line)) if line["type"] == "control_response" => {
                let answer = &line["response"]["response"];
                let words = if answer["behavior"] == "allow" {
                    format!("allowed {}", answer["updatedPermissions"])
                } else {
                    format!("denied: {}", answer["message"].as_str().unwrap_or_default())
                };
                agent.out.tool_result("toolu_scripted", &words, answer["behavior"] != "allow");
                return said(agent, &words);
            }
            Ok(Asked::Line(line)) => {
                if interrupts(agent, &line) {
                    agent.out.line(&json!({"type": "control_cancel_request", "request_id": "ask-1"}));
                    agent.out.interrupted();
                    return Next::Go;
                }
            }
            Ok(Asked::End) | Err(_) => return Next::Exit(1),
        }
    }
}

fn until_interrupted(agent: &mut Agent) -> Next {
    loop {
        match agent.input.recv() {
            Ok(Asked::Line(line)) => {
                if interrupts(agent, &line) {
                    agent.out.interrupted();
                    return Next::Go;
                }
            }
            Ok(Asked::End) | Err(_) => return Next::Exit(1),
        }
    }
}

/// Answers a control request in the middle of a turn; true where it interrupts the turn.
fn interrupts(agent: &mut Agent, line: &Value) -> bool {
    if line["type"] == "control_request" {
        agent.control(line);
    }
    line["type"] == "control_request" && line["request"]["subtype"] == "interrupt"
}

fn flood(agent: &mut Agent, count: usize) -> Next {
    let message = agent.out.open_text();
    let mut text = String::new();
    for n in 0..count {
        // Looked at between deltas, so that a flood can be stopped.
        if let Ok(Asked::Line(line)) = agent.input.try_recv()
            && interrupts(agent, &line)
        {
            agent.out.interrupted();
            return Next::Go;
        }
        let word = format!("w{n} ");
        agent.out.delta(&word);
        text.push_str(&word);
    }
    agent.out.close_text(&message, &text);
    agent.out.result(&text);
    Next::Go
}

fn garbage(agent: &mut Agent) -> Next {
    agent.out.say("before the garbage");
    for line in ["this is not json", "{\"type\":", "42", "null", "[]", "{}", "{\"type\":17}", "", "\u{feff}{\"a\":1}"] {
        agent.out.raw(line.as_bytes());
        agent.out.raw(b"\n");
    }
    agent.out.raw(b"\xff\xfe\x00 no text at all\n");
    agent.out.say("after the garbage");
    agent.out.result("after the garbage");
    Next::Go
}

fn unknown(agent: &mut Agent) -> Next {
    agent.out.line(&json!({"type": "hologram", "subtype": "blue", "text": "nobody knows this type"}));
    agent.out.line(&json!({"type": "system", "subtype": "new_thing", "detail": "nobody knows this subtype"}));
    agent.out.line(&json!({"type": "stream_event", "event": {"type": "content_block_dance", "index": 9}}));
    agent.out.line(&json!({"type": "control_request", "request_id": "x-1", "request": {"subtype": "sing"}}));
    said(agent, "after the unknown")
}

fn big_line(agent: &mut Agent, megabytes: usize) -> Next {
    let text = "0123456789abcde\n".repeat(megabytes << 16);
    agent.out.tool("toolu_big", "Bash", &json!({"command": "cat big", "description": "Run command"}));
    agent.out.tool_result("toolu_big", &text, false);
    said(agent, "after the big line")
}

fn split_characters(agent: &mut Agent) -> Next {
    let text = "Grüße, Ζωή, 你好, 🦀 und 👩‍👩‍👧";
    let mut line = agent.out.assistant_line(text).into_bytes();
    line.push(b'\n');
    // Cuts fall inside characters because the size divides none of their lengths; the pause makes each a read of
    // its own at the other end.
    for piece in line.chunks(7) {
        agent.out.raw(piece);
        std::thread::sleep(Duration::from_millis(2));
    }
    agent.out.result(text);
    Next::Go
}

fn noise(kilobytes: usize) {
    let line = format!("{}\n", "stderr noise ".repeat(5));
    let mut stderr = std::io::stderr();
    for _ in 0..(kilobytes * 1024 / line.len()) {
        // A closed stderr leaves nobody to tell.
        let _ = stderr.write_all(line.as_bytes());
    }
    complain("the last line of stderr");
}

fn die(agent: &mut Agent, rest: &str) -> Next {
    let code = rest.split_whitespace().next().and_then(|code| code.parse().ok()).unwrap_or(1);
    if rest.contains("midline") {
        let line = agent.out.assistant_line("this line never ends");
        agent.out.raw(&line.as_bytes()[..line.len() / 2]);
    }
    complain("scripted disaster: the flux capacitor is gone");
    Next::Exit(code)
}

fn fork(agent: &mut Agent) -> Next {
    let Some(file) = std::env::var_os("SCRIPTED_AGENT_PIDS") else {
        return said(agent, "SCRIPTED_AGENT_PIDS names no file");
    };
    // The shell ends at once, so that the sleeper is an orphan; it keeps our stdout open, as careless tools do. Its
    // ten minutes are a bound for the case that nobody ends it.
    let mut shell = tests::spawn::command("sh");
    shell.args(["-c", "sleep 600 & echo $! >> \"$1\"", "sh"]).arg(file);
    match tests::spawn::detached(&mut shell) {
        Ok(_) => said(agent, "forked"),
        Err(error) => said(agent, &error.to_string()),
    }
}

fn number(text: &str, otherwise: usize) -> usize {
    text.trim().parse().unwrap_or(otherwise)
}
