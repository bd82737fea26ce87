//! What the last user text asks the stand-in to do, as a plan. Pure: no clock, no socket.

use std::time::Duration;

use serde_json::{Value, json};

use super::conversation::{Standing, ToolResult};
use super::samples::{self, Call};

/// What the user's text scripts.
///
/// | text | answer |
/// |---|---|
/// | `say: TEXT` | the text, word by word |
/// | `bash: CMD` | "Running it." and a `Bash` call; then `done: RESULT` |
/// | `two: CMD1 ;; CMD2` | two `Bash` calls in one message; then `done: RESULT1 ;; RESULT2` |
/// | `write: PATH TEXT` | a `Write` call; then `done: RESULT` |
/// | `edit: PATH OLD => NEW` | an `Edit` call, after a `Read` where the file is new to the conversation |
/// | `read: PATH` | a `Read` call; then `done: RESULT` |
/// | `question: TEXT ;; LABEL ;; LABEL…` | an `AskUserQuestion` call with these options; then `done: RESULT` |
/// | `plan: TEXT` | in plan mode: the plan's file is written, then an `ExitPlanMode` call; then `done: RESULT` |
/// | `think: TEXT` | a thinking block with the text, then `thought: TEXT` |
/// | `slow: N [MS [WORD]]` | N words `w0 w1 …`, one each MS milliseconds (100); WORD instead of `w` |
/// | `stream: N MS` | N deltas of a long markdown text, one each MS milliseconds |
/// | `flood: N` | N words `w0 w1 …` as fast as they can be sent |
/// | `md:` | a long markdown sample |
/// | `fail: STATUS` | that API error, always |
/// | `failonce: STATUS TEXT` | that API error the first time, then TEXT; see [`Standing::times`] and `first` at [`plan`] |
/// | `hang:` | the headers and then nothing |
/// | a question of a scene in `samples.rs` | what is told there: its calls one after the other, then its answer |
/// | anything else | a short markdown reply that quotes it |
#[derive(Debug, Clone, PartialEq)]
pub enum Plan {
    /// Blocks, then the end of the message.
    Message(Vec<Block>),
    /// An API error with this status.
    Fail(u16),
    /// Headers, then silence until the client leaves.
    Hang,
}

/// One content block of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// A text in deltas.
    Text {
        /// The deltas.
        deltas: Vec<String>,
        /// The pause before each.
        pause: Duration,
    },
    /// A thinking block in deltas, signed at its end.
    Thinking {
        /// The deltas.
        deltas: Vec<String>,
    },
    /// A tool call.
    Tool {
        /// The tool's name.
        name: &'static str,
        /// Its input.
        input: Value,
    },
}

/// Makes the plan for a conversation's standing. `first` is true where no request has brought this last text before.
pub fn plan(standing: &Standing, first: bool) -> Plan {
    let (word, rest) = match standing.said.split_once(':') {
        Some((word, rest)) => (word, rest.trim()),
        None => ("", ""),
    };
    match word {
        "say" => say(rest),
        "bash" => with_tools(standing, || vec![words("Running it."), bash(rest)]),
        "two" => with_tools(standing, || {
            let (first, second) = rest.split_once(";;").unwrap_or((rest, "true"));
            vec![words("Running both."), bash(first.trim()), bash(second.trim())]
        }),
        "write" => {
            let (path, text) = rest.split_once(' ').unwrap_or((rest, ""));
            with_tools(standing, || vec![tool("Write", json!({"file_path": path, "content": text}))])
        }
        "read" => with_tools(standing, || vec![tool("Read", json!({"file_path": rest}))]),
        "edit" => edit(standing, rest),
        "question" => with_tools(standing, || vec![question(rest)]),
        "plan" => propose(standing, rest),
        "think" => {
            Plan::Message(vec![Block::Thinking { deltas: split_words(rest) }, words(&format!("thought: {rest}"))])
        }
        "slow" => {
            let (count, pause) = numbers(rest);
            let word = rest.split_whitespace().nth(2).unwrap_or("w");
            Plan::Message(vec![counted(word, count.unwrap_or(20), pause.unwrap_or(100))])
        }
        "stream" => {
            let (count, pause) = numbers(rest);
            Plan::Message(vec![long_markdown(count.unwrap_or(100), pause.unwrap_or(50))])
        }
        "flood" => Plan::Message(vec![counted("w", numbers(rest).0.unwrap_or(1000), 0)]),
        "md" => say(samples::RICH),
        "fail" => Plan::Fail(status(rest)),
        "failonce" => {
            let (code, text) = rest.split_once(' ').unwrap_or((rest, "ok"));
            let code = status(code);
            // What the agent itself tries again, it shall get at its second request. Any other error it shows, but not
            // before it has asked several times in several shapes; all of these belong to the user's first try, so
            // there the count is how often the user said it.
            let retried = matches!(code, 408 | 409 | 429 | 500..);
            let fails = if retried { first } else { standing.times < 2 };
            if fails { Plan::Fail(code) } else { say(text) }
        }
        "hang" => Plan::Hang,
        _ => scene(standing).unwrap_or_else(|| say(&samples::friendly(&standing.said))),
    }
}

fn scene(standing: &Standing) -> Option<Plan> {
    let scene = samples::SCENES.iter().find(|scene| scene.question == standing.said)?;
    let block = match scene.calls.get(standing.rounds.len()) {
        Some(Call::Read { path }) => tool("Read", json!({"file_path": path})),
        Some(Call::Edit { path, old, new }) => {
            tool("Edit", json!({"file_path": path, "old_string": old, "new_string": new}))
        }
        Some(Call::Bash { command }) => bash(command),
        None => words(scene.answer),
    };
    Some(Plan::Message(vec![block]))
}

/// The harmless answer to a side request.
pub fn aside() -> Plan {
    say("A demo conversation")
}

fn say(text: &str) -> Plan {
    Plan::Message(vec![words(text)])
}

/// The agent shows the plan that is in the file which it has named.
fn propose(standing: &Standing, plan: &str) -> Plan {
    match (standing.rounds.as_slice(), &standing.plan_file) {
        ([], Some(file)) => Plan::Message(vec![tool("Write", json!({"file_path": file, "content": plan}))]),
        ([_], Some(_)) => Plan::Message(vec![tool("ExitPlanMode", json!({}))]),
        (rounds, _) => done(rounds.last().map_or(&[], Vec::as_slice)),
    }
}

/// The agent's own question, with its options behind it.
fn question(text: &str) -> Block {
    let mut parts = text.split(";;").map(str::trim);
    let question = parts.next().unwrap_or_default();
    let options: Vec<Value> =
        parts.map(|label| json!({"label": label, "description": format!("What {label} means.")})).collect();
    tool(
        "AskUserQuestion",
        json!({"questions": [{"question": question, "header": "Choice", "options": options, "multiSelect": false}]}),
    )
}

/// Before any tool has answered: the calls; afterwards: what they gave.
fn with_tools(standing: &Standing, calls: impl FnOnce() -> Vec<Block>) -> Plan {
    match standing.rounds.last() {
        None => Plan::Message(calls()),
        Some(results) => done(results),
    }
}

fn done(results: &[ToolResult]) -> Plan {
    let texts: Vec<&str> = results.iter().map(|result| result.text.as_str()).collect();
    say(&format!("done: {}", texts.join(" ;; ")))
}

fn edit(standing: &Standing, rest: &str) -> Plan {
    let (path, change) = rest.split_once(' ').unwrap_or((rest, ""));
    let (old, new) = change.split_once(" => ").unwrap_or((change, ""));
    let call = tool("Edit", json!({"file_path": path, "old_string": old, "new_string": new}));
    // The agent refuses to edit a file that it has neither read nor written in this conversation.
    let known = standing.touched.iter().any(|touched| touched == path);
    match (standing.rounds.as_slice(), known) {
        ([], false) => Plan::Message(vec![tool("Read", json!({"file_path": path}))]),
        ([], true) => Plan::Message(vec![call]),
        ([read], true) if read_worked(standing, path, read) => Plan::Message(vec![call]),
        (rounds, _) => done(rounds.last().map_or(&[], Vec::as_slice)),
    }
}

/// True where the one round so far is the `Read` that this script itself asked for: its result shows numbered lines.
fn read_worked(standing: &Standing, path: &str, round: &[ToolResult]) -> bool {
    let reads = standing.touched.iter().filter(|touched| *touched == path).count();
    reads == 1
        && round
            .iter()
            .all(|result| !result.error && result.text.trim_start().starts_with(|c: char| c.is_ascii_digit()))
}

fn bash(command: &str) -> Block {
    tool("Bash", json!({"command": command, "description": "Run command"}))
}

fn tool(name: &'static str, input: Value) -> Block {
    Block::Tool { name, input }
}

fn words(text: &str) -> Block {
    Block::Text { deltas: split_words(text), pause: Duration::ZERO }
}

/// Words with the white space that follows them, so that the deltas joined are the text.
fn split_words(text: &str) -> Vec<String> {
    let mut deltas = Vec::new();
    let mut current = String::new();
    let mut in_space = false;
    for character in text.chars() {
        let space = character.is_whitespace();
        if in_space && !space {
            deltas.push(std::mem::take(&mut current));
        }
        in_space = space;
        current.push(character);
    }
    if !current.is_empty() {
        deltas.push(current);
    }
    deltas
}

fn counted(word: &str, count: usize, pause: u64) -> Block {
    let deltas = (0..count).map(|n| format!("{word}{n} ")).collect();
    Block::Text { deltas, pause: Duration::from_millis(pause) }
}

/// The rich sample over and over, in `count` deltas of a few words.
fn long_markdown(count: usize, pause: u64) -> Block {
    let sample = split_words(samples::RICH);
    let deltas = sample.iter().cycle().take(count).cloned().collect();
    Block::Text { deltas, pause: Duration::from_millis(pause) }
}

fn numbers(rest: &str) -> (Option<usize>, Option<u64>) {
    let mut parts = rest.split_whitespace();
    let first = parts.next().and_then(|part| part.parse().ok());
    let second = parts.next().and_then(|part| part.parse().ok());
    (first, second)
}

fn status(text: &str) -> u16 {
    // Anything that is no error status becomes the API's own general failure.
    text.trim().parse().ok().filter(|status| (400..600).contains(status)).unwrap_or(500)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(said: &str) -> Standing {
        Standing { said: said.into(), times: 1, rounds: Vec::new(), touched: Vec::new(), plan_file: None }
    }

    fn text(plan: &Plan) -> String {
        let Plan::Message(blocks) = plan else { panic!("no message: {plan:?}") };
        let texts = blocks.iter().map(|block| match block {
            Block::Text { deltas, .. } => deltas.concat(),
            other => panic!("no text: {other:?}"),
        });
        texts.collect()
    }

    #[test]
    fn deltas_joined_are_the_text() {
        for sample in [samples::RICH, "a  b\n\nc ", " leading", "", "ÄÖ ü"] {
            assert_eq!(split_words(sample).concat(), sample, "nothing is lost between words");
        }
    }

    #[test]
    fn a_tool_is_called_once_and_then_told() {
        let mut standing = standing("bash: echo hi");
        let Plan::Message(blocks) = plan(&standing, true) else { panic!("a message") };
        assert_eq!(blocks[1], bash("echo hi"));
        standing.rounds.push(vec![ToolResult { text: "hi".into(), error: false }]);
        assert_eq!(text(&plan(&standing, true)), "done: hi");
    }

    #[test]
    fn an_unknown_file_is_read_before_it_is_edited() {
        let mut standing = standing("edit: /x/a.txt old text => new text");
        let Plan::Message(first) = plan(&standing, true) else { panic!("a message") };
        assert_eq!(first, [tool("Read", json!({"file_path": "/x/a.txt"}))]);
        standing.touched.push("/x/a.txt".into());
        standing.rounds.push(vec![ToolResult { text: "1\told text".into(), error: false }]);
        let Plan::Message(second) = plan(&standing, true) else { panic!("a message") };
        let edit = json!({"file_path": "/x/a.txt", "old_string": "old text", "new_string": "new text"});
        assert_eq!(second, [tool("Edit", edit)]);
        standing.rounds.push(vec![ToolResult { text: "edited".into(), error: false }]);
        assert_eq!(text(&plan(&standing, true)), "done: edited");
    }

    #[test]
    fn failing_once_ends_when_the_text_is_said_again() {
        let mut standing = standing("failonce: 400 all is well");
        assert_eq!(plan(&standing, true), Plan::Fail(400));
        standing.times = 2;
        assert_eq!(text(&plan(&standing, true)), "all is well");
    }

    #[test]
    fn a_failure_that_the_agent_retries_ends_at_the_second_request() {
        let standing = standing("failonce: 529 all is well");
        assert_eq!(plan(&standing, true), Plan::Fail(529));
        assert_eq!(text(&plan(&standing, false)), "all is well");
    }

    #[test]
    fn a_scene_makes_its_calls_one_after_the_other_and_then_answers() {
        for scene in &samples::SCENES {
            let mut standing = standing(scene.question);
            for call in scene.calls {
                let wanted = match call {
                    Call::Read { .. } => "Read",
                    Call::Edit { .. } => "Edit",
                    Call::Bash { .. } => "Bash",
                };
                let Plan::Message(blocks) = plan(&standing, true) else { panic!("a message for {}", scene.question) };
                assert!(matches!(&blocks[..], [Block::Tool { name, .. }] if *name == wanted), "{wanted}: {blocks:?}");
                standing.rounds.push(vec![ToolResult { text: "whatever".into(), error: false }]);
            }
            assert_eq!(text(&plan(&standing, true)), scene.answer);
        }
    }

    #[test]
    fn anything_else_is_quoted() {
        let answer = text(&plan(&standing("What is this?"), true));
        assert!(answer.contains("> What is this?") && answer.contains("demo"), "a friendly quotation: {answer}");
    }
}
