//! What the agent of a tab does in a container that nobody was asked about: each call, what may have let it through, and
//! what came of it, for the project's log. How that is kept is not known here, nor what a tool does.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::SystemTime;

use serde_json::Value;

use super::actor::Actor;
use crate::agent::{BlockId, BlockKind, Content, Event, Mode, Question};
use crate::audit::{Called, Came};
use crate::place::Place;

/// Calls that have not come back.
#[derive(Debug, Default)]
pub(super) struct Unasked {
    /// Those whose input is not whole yet, with their tools.
    begun: HashMap<BlockId, (String, String)>,
    /// The others, by their names.
    open: BTreeMap<String, Call>,
    /// Those about which the user was asked.
    asked: HashSet<String>,
}

#[derive(Debug)]
struct Call {
    tool: String,
    input: Value,
    at: SystemTime,
    why: Vec<String>,
    mode: Mode,
    /// True where it is in the log already.
    told: bool,
}

impl Unasked {
    /// The call that a question is about; where it does not say, the last one of its tool.
    fn of(&self, question: &Question) -> Option<String> {
        question.call.clone().or_else(|| {
            let last = self.open.iter().filter(|(_, call)| call.tool == question.tool).max_by_key(|(_, call)| call.at);
            last.map(|(name, _)| name.clone())
        })
    }
}

impl Actor {
    /// Writes down what the agent does in the container without a question.
    pub(super) fn audits(&mut self, event: &Event, at: SystemTime) {
        let inside = self.slot.running().is_some_and(|running| running.place == Place::Container);
        match event {
            Event::BlockBegan { block, kind: BlockKind::Tool { call, name }, .. } if inside => {
                self.unasked.begun.insert(*block, (call.clone(), name.clone()));
            }
            Event::BlockEnded { block, content: Content::Input(input) } => {
                let Some((name, tool)) = self.unasked.begun.remove(block) else { return };
                if self.unasked.asked.contains(&name) {
                    return;
                }
                let why = why(self.mode, &self.allowed, &tool);
                let mut call = Call { tool, input: input.clone(), at, why, mode: self.mode, told: false };
                if self.mode == Mode::BypassPermissions {
                    // No question will come, and what it does may be the end of us.
                    self.called(&name, &mut call);
                }
                self.unasked.open.insert(name, call);
            }
            Event::Asked(question) => {
                let Some(name) = self.unasked.of(question) else { return };
                if self.unasked.open.remove(&name).is_some_and(|call| call.told) {
                    let came = Came::nothing("the user was asked about it after all");
                    self.surroundings.audit().came(self.workspace.path(), &self.id.0, &name, &came);
                }
                self.unasked.asked.insert(name);
            }
            Event::ToolAnswered { call: name, text, failed, code, .. } => {
                self.unasked.asked.remove(name);
                let Some(mut call) = self.unasked.open.remove(name) else { return };
                self.called(name, &mut call);
                let came = Came { result: Some(text), failed: *failed, code: *code, otherwise: None };
                self.surroundings.audit().came(self.workspace.path(), &self.id.0, name, &came);
            }
            _ => {}
        }
    }

    /// Nothing comes back any more: the turn has ended, or the agent.
    pub(super) fn audits_no_more(&mut self) {
        let Unasked { open, .. } = std::mem::take(&mut self.unasked);
        for (name, mut call) in open {
            self.called(&name, &mut call);
            let came = Came::nothing("its turn ended before it came back");
            self.surroundings.audit().came(self.workspace.path(), &self.id.0, &name, &came);
        }
    }

    fn called(&self, name: &str, call: &mut Call) {
        if !std::mem::replace(&mut call.told, true) {
            let Call { tool, input, at, why, mode, .. } = call;
            let called = Called { call: name, tool, input, mode: mode.as_str(), why, at: *at };
            self.surroundings.audit().called(self.workspace.path(), &self.id.0, &called);
        }
    }

    /// Where that is written.
    pub(super) fn audit_fact(&self) -> (String, String) {
        let path = self.surroundings.audit().path(self.workspace.path());
        ("Audit log".to_owned(), format!("{} (what it does without asking, and what it is refused)", path.display()))
    }
}

/// What may have let a call through. Which of the rules it was the agent does not say.
fn why(mode: Mode, allowed: &[String], tool: &str) -> Vec<String> {
    if mode == Mode::BypassPermissions {
        return vec!["Bypass: nothing is asked".to_owned()];
    }
    let names_it = |rule: &&String| rule.split('(').next() == Some(tool);
    let mut why: Vec<String> = allowed.iter().filter(names_it).map(|rule| format!("always allowed: {rule}")).collect();
    if mode == Mode::AcceptEdits {
        why.push("Accept edits: changes of files are not asked about".to_owned());
    }
    if why.is_empty() {
        why.push("the agent needs no leave for it".to_owned());
    }
    why
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_names_what_may_have_let_it_through() {
        let allowed = ["Bash(touch *)", "Bash(npm run *)", "WebFetch"].map(str::to_owned);
        let cases = [
            (Mode::BypassPermissions, "Bash", "Bypass: nothing is asked"),
            (Mode::Default, "Read", "the agent needs no leave for it"),
            (Mode::Default, "WebFetch", "always allowed: WebFetch"),
            (Mode::Default, "Bash", "always allowed: Bash(touch *); always allowed: Bash(npm run *)"),
            (Mode::AcceptEdits, "Write", "Accept edits: changes of files are not asked about"),
            (
                Mode::AcceptEdits,
                "WebFetch",
                "always allowed: WebFetch; Accept edits: changes of files are not asked about",
            ),
        ];
        for (mode, tool, expected) in cases {
            assert_eq!(why(mode, &allowed, tool).join("; "), expected, "{tool} in {mode:?}");
        }
    }
}
