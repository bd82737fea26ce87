//! What a project would give its own containers beyond what the user gives them, and whether the user has allowed it.
//! An answer is remembered for exactly what was shown. What is read for it, and what is done with it, is not known here.

pub mod wishes;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::digest::hexadecimal;
use crate::failure::{Code, Failure};
use crate::file;

/// How many answers are remembered for a workspace. Old ones belong to files that have long been others.
const REMEMBERED: usize = 32;

/// One thing that a project asks for and that would widen the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Widening {
    /// The property, as the file spells it.
    pub key: String,
    /// What it asks for.
    pub value: String,
    /// The file, as the workspace names it.
    pub file: String,
    /// What would run of it, in full, for whoever wants to read it: the Dockerfile of a build.
    pub text: Option<String>,
}

/// What the user is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// All of it.
    pub items: Vec<Widening>,
    /// Names exactly this: what is shown, and what is run of it.
    pub hash: String,
}

/// What the user says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// All of it, now and whenever exactly this is asked.
    Allow,
    /// Start with none of it.
    Without,
    /// Do not start.
    Refuse,
}

/// The way for an answer. When the last one is dropped, nobody will answer any more.
#[derive(Debug, Clone)]
pub struct Reply(mpsc::UnboundedSender<Decision>);

/// Why an answer could not be read or kept.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be used: {source}", path = path.display())]
pub struct TrustError {
    path: PathBuf,
    source: std::io::Error,
}

impl Question {
    /// A question about `items`; `contents` are of files that would run, and count as if they were shown.
    pub fn new(mut items: Vec<Widening>, contents: &[Vec<u8>]) -> Self {
        for item in &mut items {
            item.value = visible(&item.value);
            item.text = item.text.as_deref().map(visible);
        }
        items.sort();
        items.dedup();
        let mut digest = Sha256::new();
        let mut part = |bytes: &[u8]| {
            // Lengths keep one part from running into the next.
            digest.update(bytes.len().to_be_bytes());
            digest.update(bytes);
        };
        for Widening { key, value, file, text } in &items {
            for shown in [key, value, file, text.as_ref().unwrap_or(&String::new())] {
                part(shown.as_bytes());
            }
        }
        for content in contents {
            part(content);
        }
        let hash = hexadecimal(&digest.finalize());
        Self { items, hash }
    }
}

impl Reply {
    /// A way, and where answers arrive.
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<Decision>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Answers.
    pub fn say(&self, decision: Decision) {
        // Whoever asked may have left.
        let _ = self.0.send(decision);
    }
}

/// What has been allowed, in a folder of Gemra's own: a file for each workspace, its owner's alone.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Allowed {
    workspace: PathBuf,
    hashes: Vec<String>,
}

impl Store {
    /// The one in a folder.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// True where exactly this was allowed for a workspace. Blocks.
    ///
    /// # Errors
    /// [`TrustError`] where nobody knows.
    pub fn allows(&self, workspace: &Path, question: &Question) -> Result<bool, TrustError> {
        Ok(self.read(workspace)?.hashes.contains(&question.hash))
    }

    /// Remembers that this was allowed. Blocks.
    ///
    /// # Errors
    /// [`TrustError`] where it cannot be kept.
    pub fn remember(&self, workspace: &Path, question: &Question) -> Result<(), TrustError> {
        let mut allowed = self.read(workspace)?;
        workspace.clone_into(&mut allowed.workspace);
        allowed.hashes.retain(|hash| *hash != question.hash);
        allowed.hashes.insert(0, question.hash.clone());
        allowed.hashes.truncate(REMEMBERED);
        let path = self.path(workspace);
        let written = serde_json::to_vec(&allowed).map_err(std::io::Error::from);
        written.and_then(|text| file::replace(&path, &text)).map_err(|source| TrustError { path, source })
    }

    fn read(&self, workspace: &Path) -> Result<Allowed, TrustError> {
        let path = self.path(workspace);
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| TrustError { path, source: error.into() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Allowed::default()),
            Err(source) => Err(TrustError { path, source }),
        }
    }

    fn path(&self, workspace: &Path) -> PathBuf {
        let digest = Sha256::digest(workspace.as_os_str().as_encoded_bytes());
        self.folder.join(format!("{}.json", hexadecimal(&digest[..16])))
    }
}

impl From<&TrustError> for Failure {
    fn from(error: &TrustError) -> Self {
        Self::new(
            Code::NotTrusted,
            "What you have allowed cannot be looked up",
            format!("{error}."),
            "See that the file can be read and written, or remove it to be asked anew; then press Retry.",
        )
    }
}

/// A text in which nothing is hidden: what cannot be seen, or would turn the order of the letters round, is spelled out.
fn visible(text: &str) -> String {
    let hidden = |letter: char| {
        (letter.is_control() && !matches!(letter, '\n' | '\t'))
            || matches!(letter, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.replace("\r\n", "\n")
        .chars()
        .map(|letter| if hidden(letter) { letter.escape_unicode().to_string() } else { letter.to_string() })
        .collect()
}

/// The failure where nobody answers.
pub fn unanswered() -> Failure {
    Failure::new(
        Code::NotTrusted,
        "The project asks for more than a container has",
        "Nobody has said whether it may.",
        "Press Retry and answer in Gemra's window.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(key: &str, value: &str) -> Widening {
        Widening { key: key.to_owned(), value: value.to_owned(), file: "f".to_owned(), text: None }
    }

    fn build(text: &str) -> Widening {
        Widening { text: Some(text.to_owned()), ..item("b", "2") }
    }

    #[test]
    fn an_answer_counts_for_exactly_what_was_shown() {
        let plain = Question::new(vec![item("a", "1"), item("b", "2")], &[b"x".to_vec()]);
        let again = Question::new(vec![item("b", "2"), item("a", "1"), item("a", "1")], &[b"x".to_vec()]);
        assert_eq!(plain, again, "order and repetition change nothing");
        let others = [
            Question::new(vec![item("a", "1")], &[b"x".to_vec()]),
            Question::new(vec![item("a", "1"), item("b", "3")], &[b"x".to_vec()]),
            Question::new(vec![item("a", "1"), item("b", "2")], &[b"y".to_vec()]),
            Question::new(vec![item("a", "1b"), item("", "2")], &[b"x".to_vec()]),
            Question::new(vec![item("a", "1"), build("RUN x")], &[b"x".to_vec()]),
            Question::new(vec![item("a", "1"), build("RUN y")], &[b"x".to_vec()]),
        ];
        for (index, other) in others.iter().enumerate() {
            assert_ne!(other.hash, plain.hash, "{other:?} is another question");
            assert!(others[..index].iter().all(|before| before.hash != other.hash), "{other:?} is one of its own");
        }
    }

    #[test]
    fn nothing_that_is_shown_can_hide() {
        let question = Question::new(vec![item("a", "one\ntwo \u{202e}three\u{7}\u{200b}é☃")], &[]);
        let expected = "one\ntwo \\u{202e}three\\u{7}\\u{200b}é☃";
        assert_eq!(question.items[0].value, expected, "what cannot be seen is spelled out");
        let question = Question::new(vec![build("FROM a\r\nRUN\tb\rc \u{202e}")], &[]);
        let expected = "FROM a\nRUN\tb\\u{d}c \\u{202e}";
        assert_eq!(question.items[0].text.as_deref(), Some(expected), "nor in what would run");
    }

    #[test]
    fn what_is_allowed_is_kept_for_its_workspace_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("trust"));
        let question = Question::new(vec![item("a", "1")], &[]);
        let (one, other) = (Path::new("/one"), Path::new("/other"));
        assert!(!store.allows(one, &question).unwrap(), "nothing is allowed by itself");
        store.remember(one, &question).unwrap();
        assert!(store.allows(one, &question).unwrap(), "what was allowed is allowed");
        assert!(Store::new(folder.path().join("trust")).allows(one, &question).unwrap(), "also after a restart");
        assert!(!store.allows(other, &question).unwrap(), "another workspace has its own answers");
        for number in 0..REMEMBERED {
            store.remember(one, &Question::new(vec![item("a", &format!("later {number}"))], &[])).unwrap();
        }
        assert!(!store.allows(one, &question).unwrap(), "the oldest is forgotten");
        let path = store.path(one);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "it is its owner's alone");
        }
        std::fs::write(&path, "broken").unwrap();
        assert!(store.allows(one, &question).is_err(), "a broken file allows nothing");
    }
}
