//! The variables of a `devcontainer.json`, such as `${localEnv:HOME}`: what each stands for, and which of this machine's
//! are read. An unknown one stays as it is written, as in the specification's own program.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::environment::Environment;

/// Variables of this machine that tell nothing worth asking about.
const PLAIN: &[&str] = &["HOME", "USER", "LOGNAME", "USERNAME", "USERPROFILE", "TZ", "LANG"];

/// What variables stand for.
#[derive(Clone)]
pub struct Variables {
    local_folder: String,
    file: PathBuf,
    container_folder: Option<String>,
    environment: BTreeMap<String, String>,
    /// False where this machine's variables may not be read: then they are as if not set.
    allowed: bool,
}

impl std::fmt::Debug for Variables {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The environment is left out because it holds keys.
        formatter.debug_struct("Variables").field("local_folder", &self.local_folder).finish_non_exhaustive()
    }
}

impl Variables {
    /// Those of a workspace in an environment.
    pub fn new(workspace: &Path, environment: &Environment) -> Self {
        Self {
            local_folder: workspace.display().to_string(),
            file: PathBuf::new(),
            container_folder: None,
            environment: environment.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            allowed: true,
        }
    }

    /// The same, with nothing read of this machine but what tells nothing.
    #[must_use]
    pub fn without_environment(mut self) -> Self {
        self.allowed = false;
        self
    }

    /// The same for one file.
    #[must_use]
    pub fn of(&self, file: &Path) -> Self {
        Self { file: file.to_owned(), ..self.clone() }
    }

    /// The same with the project's folder inside, whose own variables are put in first.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub fn inside(&self, folder: &str) -> Result<Self, String> {
        let folder = self.text(folder, &mut BTreeSet::new())?;
        Ok(Self { container_folder: Some(folder), ..self.clone() })
    }

    /// The project's folder inside where nothing else is said.
    pub fn usual_folder(&self) -> String {
        if let Some(folder) = &self.container_folder {
            return folder.clone();
        }
        format!("/workspaces/{}", basename(&self.local_folder))
    }

    /// The project's folder on this machine.
    pub fn local_folder(&self) -> &str {
        &self.local_folder
    }

    /// What a variable of this machine holds, noted in `used`; `None` where it is not set, or may not be read.
    pub fn local(&self, name: &str, used: &mut BTreeSet<String>) -> Option<String> {
        let plain = PLAIN.contains(&name);
        if !plain {
            used.insert(name.to_owned());
        }
        self.environment.get(name).filter(|_| plain || self.allowed).cloned()
    }

    /// A text with the variables put in. Names of this machine's that were read are noted in `used`.
    ///
    /// # Errors
    /// In words, where a variable is not complete.
    pub fn text(&self, text: &str, used: &mut BTreeSet<String>) -> Result<String, String> {
        replace(text, |variable, words| {
            Ok(match variable {
                "localEnv" | "env" => {
                    let name = words.first().ok_or_else(|| format!("{variable} names no variable"))?;
                    Some(self.local(name, used).unwrap_or_else(|| words.get(1).copied().unwrap_or("").to_owned()))
                }
                "localWorkspaceFolder" => Some(self.local_folder.clone()),
                "localWorkspaceFolderBasename" => Some(basename(&self.local_folder)),
                "containerWorkspaceFolder" => self.container_folder.clone(),
                "containerWorkspaceFolderBasename" => self.container_folder.as_deref().map(basename),
                "devcontainerId" => Some(self.id()),
                _ => None,
            })
        })
    }

    /// A value with the variables put in, all the way down; keys stay as they are.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub fn value(&self, value: &Value, used: &mut BTreeSet<String>) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => Value::String(self.text(text, used)?),
            Value::Array(all) => Value::Array(all.iter().map(|one| self.value(one, used)).collect::<Result<_, _>>()?),
            Value::Object(map) => {
                Value::Object(map.iter().map(|(key, one)| Ok((key.clone(), self.value(one, used)?))).collect::<Result<
                    _,
                    String,
                >>(
                )?)
            }
            other => other.clone(),
        })
    }

    /// The same for everybody who opens this file of this folder: reckoned as the specification's own program does, by
    /// which volumes that are named by it are shared with other tools.
    fn id(&self) -> String {
        let quoted = |text: &str| Value::String(text.to_owned()).to_string();
        let file = self.file.display().to_string();
        let labels = format!(
            "{{\"devcontainer.config_file\":{},\"devcontainer.local_folder\":{}}}",
            quoted(&file),
            quoted(&self.local_folder)
        );
        base32(&Sha256::digest(labels.as_bytes()))
    }
}

/// Puts in what only the container knows: `${containerEnv:NAME:default}`.
///
/// # Errors
/// In words, where a variable is not complete.
pub fn within(text: &str, environment: &BTreeMap<String, String>) -> Result<String, String> {
    replace(text, |variable, words| {
        if variable != "containerEnv" {
            return Ok(None);
        }
        let name = words.first().ok_or("containerEnv names no variable")?;
        Ok(Some(environment.get(*name).map_or_else(|| words.get(1).copied().unwrap_or(""), String::as_str).to_owned()))
    })
}

/// Puts something in for each `${…}` that `known` knows. A default ends at its first colon, as in the program of the
/// specification.
fn replace(
    text: &str,
    mut known: impl FnMut(&str, &[&str]) -> Result<Option<String>, String>,
) -> Result<String, String> {
    let mut done = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start + 2..].find('}') else { break };
        let inner = &rest[start + 2..start + 2 + length];
        let end = start + 2 + length + 1;
        let mut words = inner.split(':');
        let variable = words.next().unwrap_or_default();
        let words: Vec<&str> = words.collect();
        done.push_str(&rest[..start]);
        match known(variable, &words)? {
            Some(value) => done.push_str(&value),
            None => done.push_str(&rest[start..end]),
        }
        rest = &rest[end..];
    }
    done.push_str(rest);
    Ok(done)
}

fn basename(path: &str) -> String {
    path.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or_default().to_owned()
}

/// A digest as one number to the base of 32, with 52 digits.
fn base32(digest: &[u8]) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let (mut done, mut bits, mut held) = (Vec::new(), 0_u32, 0_u32);
    // From the last digit to the first, as the digits of a number are.
    for byte in digest.iter().rev() {
        held |= u32::from(*byte) << bits;
        bits += 8;
        while bits >= 5 {
            done.push(DIGITS[(held & 31) as usize]);
            held >>= 5;
            bits -= 5;
        }
    }
    if bits > 0 {
        done.push(DIGITS[(held & 31) as usize]);
    }
    done.iter().rev().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        let environment = Environment::of([("HOME", "/home/user"), ("TOKEN", "secret"), ("EMPTY", "")]);
        Variables::new(Path::new("/home/user/my project"), &environment)
            .of(Path::new("/home/user/my project/.devcontainer/devcontainer.json"))
    }

    #[test]
    fn each_variable_stands_for_what_the_specification_says() {
        let inside = variables().inside("/workspaces/${localWorkspaceFolderBasename}").unwrap();
        let cases = [
            ("${localEnv:HOME}/x", "/home/user/x"),
            ("${env:HOME}", "/home/user"),
            ("${localEnv:NONE}", ""),
            ("${localEnv:NONE:else}", "else"),
            ("${localEnv:NONE:a:b}", "a"),
            ("${localEnv:EMPTY:else}", ""),
            ("${localEnv:HOME:else}", "/home/user"),
            ("${localWorkspaceFolder}", "/home/user/my project"),
            ("${localWorkspaceFolderBasename}", "my project"),
            ("${containerWorkspaceFolder}", "/workspaces/my project"),
            ("${containerWorkspaceFolderBasename}", "my project"),
            ("a ${localEnv:HOME} b ${localEnv:HOME}", "a /home/user b /home/user"),
            ("${containerEnv:PATH}", "${containerEnv:PATH}"),
            ("${unknown:a}", "${unknown:a}"),
            ("$HOME ${HOME ${", "$HOME ${HOME ${"),
        ];
        for (text, expected) in cases {
            assert_eq!(inside.text(text, &mut BTreeSet::new()).unwrap(), expected, "{text}");
        }
        assert!(
            variables().text("${localEnv}", &mut BTreeSet::new()).is_err(),
            "a variable without a name is an error"
        );
    }

    #[test]
    fn what_is_read_of_this_machine_is_noted_and_can_be_kept_back() {
        let mut used = BTreeSet::new();
        variables().text("${localEnv:HOME} ${localEnv:TOKEN:x}", &mut used).unwrap();
        assert_eq!(used.iter().collect::<Vec<_>>(), ["TOKEN"], "what tells nothing is not noted");
        let back = variables().without_environment();
        let text = back.text("${localEnv:HOME} ${localEnv:TOKEN:x}", &mut BTreeSet::new()).unwrap();
        assert_eq!(text, "/home/user x", "it is as if not set");
    }

    #[test]
    fn the_containers_own_variables_come_later() {
        let inside = BTreeMap::from([("PATH".to_owned(), "/bin".to_owned())]);
        for (text, expected) in [
            ("/x:${containerEnv:PATH}", "/x:/bin"),
            ("${containerEnv:NONE:y}", "y"),
            ("${containerEnv:NONE}", ""),
            ("${localEnv:A}", "${localEnv:A}"),
        ] {
            assert_eq!(within(text, &inside).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn the_id_is_that_of_the_specifications_own_program() {
        let variables = Variables::new(Path::new("/work/a"), &Environment::of([]))
            .of(Path::new("/work/a/.devcontainer/devcontainer.json"));
        let id = variables.id();
        assert_eq!(id.len(), 52, "52 digits: {id}");
        // BigInt("0x" + sha256).toString(32), padded, of
        // {"devcontainer.config_file":"/work/a/.devcontainer/devcontainer.json","devcontainer.local_folder":"/work/a"}.
        assert_eq!(id, EXPECTED, "the number itself");
        let other = Variables::new(Path::new("/work/b"), &Environment::of([]));
        assert_ne!(other.id(), id, "another folder has another");
    }

    const EXPECTED: &str = "097ktghu1um6qd0t9pim7k7pnqepj7tp1ahed65dafcg0aqonb15";
}
