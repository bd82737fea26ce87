//! The commands of a `devcontainer.json`: which there are, in which order, and how each is started. Who runs them is
//! somebody else.

use std::collections::BTreeMap;

use serde_json::Value;

/// When a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// On this machine, before anything is built.
    Initialize,
    /// Inside, once for each container that is made from the image.
    OnCreate,
    /// Inside, once, after that.
    UpdateContent,
    /// Inside, once, after that.
    PostCreate,
    /// Inside, at each start.
    PostStart,
    /// Inside, at each start, after that.
    PostAttach,
}

/// The stages that run inside, in their order.
pub const INSIDE: [Stage; 5] =
    [Stage::OnCreate, Stage::UpdateContent, Stage::PostCreate, Stage::PostStart, Stage::PostAttach];

impl Stage {
    /// The stage of a property.
    pub fn of(key: &str) -> Option<Self> {
        std::iter::once(Self::Initialize).chain(INSIDE).find(|stage| stage.key() == key)
    }

    /// The property.
    pub fn key(self) -> &'static str {
        match self {
            Self::Initialize => "initializeCommand",
            Self::OnCreate => "onCreateCommand",
            Self::UpdateContent => "updateContentCommand",
            Self::PostCreate => "postCreateCommand",
            Self::PostStart => "postStartCommand",
            Self::PostAttach => "postAttachCommand",
        }
    }

    /// True for what is done once, and whose result is kept.
    pub fn once(self) -> bool {
        matches!(self, Self::OnCreate | Self::UpdateContent | Self::PostCreate)
    }
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// One process: the words of its command line.
    One(Vec<String>),
    /// Several beside each other, by name.
    Beside(BTreeMap<String, Vec<String>>),
}

impl Command {
    /// Reads one; `None` where it is empty. A text is for the shell, a list is not.
    ///
    /// # Errors
    /// In words.
    pub fn read(value: &Value) -> Result<Option<Self>, String> {
        match value {
            Value::Null => Ok(None),
            Value::Object(map) => {
                let mut all = BTreeMap::new();
                for (name, value) in map {
                    if let Some(words) = words(value)? {
                        all.insert(name.clone(), words);
                    }
                }
                Ok((!all.is_empty()).then_some(Self::Beside(all)))
            }
            value => Ok(words(value)?.map(Self::One)),
        }
    }

    /// The processes, by name; the name of one alone is empty.
    pub fn processes(&self) -> Vec<(String, Vec<String>)> {
        match self {
            Self::One(words) => vec![(String::new(), words.clone())],
            Self::Beside(all) => all.iter().map(|(name, words)| (name.clone(), words.clone())).collect(),
        }
    }

    /// As a person would write it.
    pub fn in_words(&self) -> String {
        let line = |words: &[String]| match words {
            [shell, flag, text] if shell == SHELL[0] && flag == SHELL[1] => text.clone(),
            words => words.join(" "),
        };
        let all = self.processes();
        all.iter()
            .map(|(name, words)| if name.is_empty() { line(words) } else { format!("{name}: {}", line(words)) })
            .collect::<Vec<_>>()
            .join("\n")
    }
}

const SHELL: [&str; 2] = ["/bin/sh", "-c"];

fn words(value: &Value) -> Result<Option<Vec<String>>, String> {
    match value {
        Value::String(text) if text.trim().is_empty() => Ok(None),
        Value::String(text) => Ok(Some(vec![SHELL[0].to_owned(), SHELL[1].to_owned(), text.clone()])),
        Value::Array(all) => {
            let words: Option<Vec<String>> = all.iter().map(|word| word.as_str().map(str::to_owned)).collect();
            let words = words.ok_or("a word of it is no text")?;
            Ok((!words.is_empty()).then_some(words))
        }
        _ => Err("it is neither a text nor a list".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_for_the_shell_lists_are_not_and_objects_run_beside_each_other() {
        let own = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let shell = own(&["/bin/sh", "-c", "npm ci && echo $X"]);
        let cases = [
            (json!("npm ci && echo $X"), Some(Command::One(shell.clone()))),
            (json!(["npm", "ci", "a b"]), Some(Command::One(own(&["npm", "ci", "a b"])))),
            (
                json!({"a": "npm ci && echo $X", "b": ["true"]}),
                Some(Command::Beside([("a".to_owned(), shell), ("b".to_owned(), own(&["true"]))].into())),
            ),
            (json!(""), None),
            (json!([]), None),
            (json!({}), None),
            (json!(null), None),
        ];
        for (value, expected) in cases {
            assert_eq!(Command::read(&value), Ok(expected), "{value}");
        }
        for value in [json!(1), json!([1]), json!({"a": 1}), json!({"a": {"b": "c"}})] {
            assert!(Command::read(&value).is_err(), "{value} is refused");
        }
    }

    #[test]
    fn every_stage_has_its_property() {
        for stage in INSIDE {
            assert_eq!(Stage::of(stage.key()), Some(stage), "{stage:?} is found by its name");
        }
        assert_eq!(Stage::of("initializeCommand"), Some(Stage::Initialize), "so is the one on this machine");
        assert_eq!(Stage::of("name"), None, "and nothing else");
        assert!(INSIDE.is_sorted(), "they are in their order");
        let once: Vec<_> = INSIDE.into_iter().filter(|stage| stage.once()).collect();
        assert_eq!(once, INSIDE[..3], "what prepares is done once");
    }

    #[test]
    fn commands_are_told_as_they_were_written() {
        let words = |value| Command::read(&value).unwrap().unwrap().in_words();
        assert_eq!(words(json!("a && b")), "a && b", "without the shell");
        assert_eq!(words(json!(["a", "b"])), "a b", "a list as a line");
        assert_eq!(words(json!({"x": "a", "y": ["b"]})), "x: a\ny: b", "each with its name");
    }
}
