//! The real CLI's lines, recorded, played through the reader into a transcript: what the user would see.
//!
//! One file in, one snapshot out (`cargo insta review`, or `INSTA_UPDATE=always cargo test`). The recordings are of
//! 2.1.197, see `PROTOCOL.md`.

#![allow(clippy::unwrap_used)] // What cannot be read fails the test, which is what it is for.

use std::fmt::Write;
use std::path::Path;
use std::time::SystemTime;

use gemra_core::agent::claude::session::Session;
use gemra_core::agent::{Choice, Event};
use gemra_core::transcript::{Answer, Body, Patch, Transcript};
use serde_json::Value;

#[test]
fn every_recording_reads_as_it_did() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/protocol");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 16, "the recordings are there, not {} of them", files.len());
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        insta::assert_snapshot!(name, play(&text));
    }
}

/// Plays a recording as a tab would: our lines are what the user did, the CLI's go through the reader.
fn play(recording: &str) -> String {
    let mut session = Session::default();
    let mut transcript = Transcript::default();
    let mut told = String::new();
    let mut replayed = Vec::new();
    // The ids are the recording's own; ours are minted in the same order.
    let mut requests: Vec<(String, String)> = Vec::new();
    for line in recording.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let content = &line["line"];
        match line["dir"].as_str().unwrap() {
            "in" => i_said(content, &mut session, &mut transcript, &mut requests, &mut told),
            "out" => {
                let mut text = content.as_str().map_or_else(|| content.to_string(), str::to_owned);
                for (theirs, ours) in &requests {
                    text = text.replace(&format!("\"{theirs}\""), &format!("\"{ours}\""));
                }
                for event in session.hear(&text).events {
                    heard(event, &mut transcript, &mut told);
                }
            }
            "exit" => {
                writeln!(told, "exit code {}", line["code"]).unwrap();
                transcript.end_turn(Some("The agent ended."));
            }
            other => panic!("a recording has no direction {other:?}"),
        }
        replayed.extend(transcript.take_patches());
    }
    assert_eq!(rebuild(&replayed), transcript.entries(), "the patches make the same entries");
    format!("{told}\n{}", show(&transcript))
}

fn i_said(
    line: &Value,
    session: &mut Session,
    transcript: &mut Transcript,
    requests: &mut Vec<(String, String)>,
    told: &mut String,
) {
    let mut ours = |written: String| {
        let written: Value = serde_json::from_str(&written).unwrap();
        let pair = (&line["request_id"], &written["request_id"]);
        requests.push((pair.0.as_str().unwrap().to_owned(), pair.1.as_str().unwrap().to_owned()));
    };
    match (line["type"].as_str(), line["request"]["subtype"].as_str()) {
        (Some("user"), _) => {
            let content = &line["message"]["content"];
            transcript.begin_turn(content.as_str().map_or_else(|| "[an image and a text]".to_owned(), str::to_owned));
        }
        (Some("control_request"), Some("initialize")) => ours(session.initialize()),
        (Some("control_request"), Some("interrupt")) => ours(session.interrupt()),
        (Some("control_request"), Some("set_permission_mode")) => {
            let mode = line["request"]["mode"].as_str().unwrap();
            if let Some(mode) = gemra_core::agent::Mode::parse(mode) {
                ours(session.set_mode(mode));
            } else {
                writeln!(told, "the mode {mode} is not one of ours and is never asked for").unwrap();
            }
        }
        (Some("control_request"), Some("set_model")) => {
            ours(session.set_model(line["request"]["model"].as_str().unwrap()));
        }
        (Some("control_response"), _) => {
            let response = &line["response"]["response"];
            let choice = match (response["behavior"].as_str(), response["updatedPermissions"].is_array()) {
                (Some("allow"), true) => Choice::AllowAlways,
                (Some("allow"), false) => Choice::Allow,
                _ => Choice::Deny { reason: response["message"].as_str().unwrap().to_owned() },
            };
            let ask = line["response"]["request_id"].as_str().unwrap();
            let written: Value = serde_json::from_str(&session.answer(ask, &choice).unwrap()).unwrap();
            let mut expected = line.clone();
            // We take rules for the session, whatever the recorded answer says.
            if let Some(update) = expected.pointer_mut("/response/response/updatedPermissions/0") {
                update["destination"] = "session".into();
            }
            // We never end the turn with a "no": the user has Stop for that.
            expected["response"]["response"].as_object_mut().unwrap().remove("interrupt");
            assert_eq!(written, expected, "our answer is the recorded one");
            assert!(transcript.answer(ask, &choice), "the question waits in the transcript");
            assert!(!transcript.answer(ask, &choice), "and can be answered once");
        }
        _ => writeln!(told, "not played: {line}").unwrap(),
    }
}

fn heard(event: Event, transcript: &mut Transcript, told: &mut String) {
    match &event {
        Event::Ready(offer) => {
            writeln!(told, "ready: {} models, {} commands", offer.models.len(), offer.commands.len()).unwrap();
        }
        Event::TurnBegan { model, mode, version } => {
            writeln!(told, "turn began: {model:?} {mode:?} {version:?}").unwrap();
        }
        Event::ModeIs(mode) => writeln!(told, "mode: {mode:?}").unwrap(),
        Event::ModelIs(model) => writeln!(told, "model: {model:?}").unwrap(),
        Event::Retrying(retry) => {
            writeln!(told, "retrying: {} of {}, {:?}", retry.attempt, retry.max, retry.status).unwrap();
        }
        Event::TurnEnded(end) => {
            writeln!(told, "turn ended: {:?}, window {}", end.outcome, end.usage.context_window).unwrap();
            transcript.end_turn(None);
        }
        _ => {}
    }
    transcript.apply(event, SystemTime::UNIX_EPOCH);
}

/// What the page does with patches.
fn rebuild(patches: &[Patch]) -> Vec<gemra_core::transcript::Entry> {
    let mut entries: Vec<gemra_core::transcript::Entry> = Vec::new();
    for patch in patches {
        match patch {
            Patch::Append(entry) => entries.push(entry.clone()),
            Patch::Replace(entry) => entries[entry.id.0 as usize] = entry.clone(),
            Patch::Text { id, text, .. } => match &mut entries[id.0 as usize].body {
                Body::Assistant { text: whole } | Body::Thinking { text: whole } => whole.push_str(text),
                Body::Tool(tool) => tool.input.push_str(text),
                other => panic!("{other:?} does not grow"),
            },
        }
    }
    entries
}

fn show(transcript: &Transcript) -> String {
    let mut shown = String::new();
    for entry in transcript.entries() {
        let streaming = if entry.streaming { " (streaming)" } else { "" };
        let body = match &entry.body {
            Body::User { text, interrupted } => {
                format!("user{}: {text}", if *interrupted { " (interrupted)" } else { "" })
            }
            Body::Assistant { text } => format!("assistant: {text}"),
            Body::Thinking { text } => format!("thinking: {text}"),
            Body::Tool(tool) => {
                let hunks = tool.hunks.as_ref().map_or(0, Vec::len);
                format!("tool {} [{}] {:?} {hunks} hunks: {:?}", tool.name, tool.summary, tool.status, tool.result)
            }
            Body::Ask(ask) => {
                let answer = match &ask.answer {
                    None => "waiting".to_owned(),
                    Some(Answer::Denied { reason }) => format!("denied: {reason}"),
                    Some(answer) => format!("{answer:?}"),
                };
                format!("ask {} [{}] always={:?} -> {answer}", ask.tool, ask.summary, ask.always)
            }
            Body::Notice(notice) => format!("notice {:?}: {}", notice.topic, notice.text),
            Body::Error { failure, retry } => format!("error {:?} retry={retry}: {failure}", failure.code),
        };
        writeln!(shown, "{body}{streaming}").unwrap();
    }
    shown
}
