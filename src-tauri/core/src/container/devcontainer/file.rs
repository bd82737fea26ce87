//! Finds a project's `devcontainer.json` and reads it. What is written in it is the business of its siblings.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::properties::Properties;
use super::variables::Variables;
use crate::failure::{Code, Failure};

/// Larger than any that people write.
const LARGEST: u64 = 1024 * 1024;

/// A `devcontainer.json`, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Devcontainer {
    /// The file.
    pub file: PathBuf,
    /// What it asks for.
    pub properties: Properties,
}

/// Why a `devcontainer.json` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DevcontainerError {
    /// It could not be read.
    #[error("{file} could not be read: {cause}", file = file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The system's words.
        cause: String,
    },
    /// It is not what it should be.
    #[error("{file} is not valid: {cause}", file = file.display())]
    Invalid {
        /// The file.
        file: PathBuf,
        /// Where and why.
        cause: String,
    },
    /// It wants several containers.
    #[error("{file} describes its containers by Docker Compose ({key})", file = file.display())]
    Compose {
        /// The file.
        file: PathBuf,
        /// By which property.
        key: String,
    },
    /// The image brings words of its own along, and they are not valid.
    #[error("The image's label devcontainer.metadata is not valid: {cause}")]
    Label {
        /// Where and why.
        cause: String,
    },
}

impl Devcontainer {
    /// Finds and reads a project's; `None` where it has none. Blocks.
    ///
    /// # Errors
    /// [`DevcontainerError`] where there is one that cannot be used: it is never passed over silently.
    pub fn of(workspace: &Path, variables: &Variables) -> Result<Option<Self>, DevcontainerError> {
        let Some(file) = find(workspace) else { return Ok(None) };
        let text = read(&file)?;
        Self::parse(file, &text, variables).map(Some)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`DevcontainerError`].
    pub fn parse(file: PathBuf, text: &str, variables: &Variables) -> Result<Self, DevcontainerError> {
        let invalid = |cause: String| DevcontainerError::Invalid { file: file.clone(), cause };
        let map = object(text).map_err(invalid)?;
        if let Some(key) = ["dockerComposeFile", "service", "runServices"].iter().find(|key| map.contains_key(**key)) {
            return Err(DevcontainerError::Compose { file, key: (*key).to_owned() });
        }
        let folder = file.parent().unwrap_or(Path::new("/")).to_path_buf();
        let properties = Properties::read(&map, &folder, &variables.of(&file)).map_err(invalid)?;
        if properties.image.is_none() && properties.build.is_none() {
            return Err(invalid("it names neither an image nor a build".to_owned()));
        }
        if properties.workspace_mount.is_some() != properties.workspace_folder.is_some() {
            return Err(invalid("workspaceMount and workspaceFolder are given both or neither".to_owned()));
        }
        Ok(Self { file, properties })
    }
}

/// Where it may be, in this order: the specification's two places, and then one folder deeper, by name.
pub fn find(workspace: &Path) -> Option<PathBuf> {
    let usual = [workspace.join(".devcontainer/devcontainer.json"), workspace.join(".devcontainer.json")];
    // A link to nowhere was meant to be something; reading it says what is wrong.
    let there = |file: &PathBuf| std::fs::symlink_metadata(file).is_ok_and(|metadata| !metadata.is_dir());
    if let Some(file) = usual.into_iter().find(there) {
        return Some(file);
    }
    let mut deeper: Vec<PathBuf> = std::fs::read_dir(workspace.join(".devcontainer"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("devcontainer.json"))
        .filter(there)
        .collect();
    deeper.sort();
    deeper.into_iter().next()
}

fn read(file: &Path) -> Result<String, DevcontainerError> {
    let bad = |cause: String| DevcontainerError::Unreadable { file: file.to_owned(), cause };
    let metadata = std::fs::metadata(file).map_err(|error| bad(error.to_string()))?;
    if !metadata.is_file() {
        return Err(bad("it is not a file".to_owned()));
    }
    if metadata.len() > LARGEST {
        return Err(bad("it is larger than 1 MiB".to_owned()));
    }
    let bytes = std::fs::read(file).map_err(|error| bad(error.to_string()))?;
    String::from_utf8(bytes).map_err(|_| bad("it is not UTF-8 text".to_owned()))
}

/// JSON with comments and trailing commas, as the specification has it, and nothing looser.
pub(crate) fn object(text: &str) -> Result<Map<String, Value>, String> {
    let strict = jsonc_parser::ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let text = text.trim_start_matches('\u{feff}');
    let read = jsonc_parser::parse_to_ast(text, &jsonc_parser::CollectOptions::default(), &strict);
    match read.map_err(|error| error.to_string())?.value {
        Some(value) => match Value::from(value) {
            Value::Object(map) => Ok(map),
            _ => Err("it is no object".to_owned()),
        },
        None => Err("it is empty".to_owned()),
    }
}

impl From<&DevcontainerError> for Failure {
    fn from(error: &DevcontainerError) -> Self {
        let cause = format!("{error}.");
        match error {
            DevcontainerError::Compose { .. } => Self::new(
                Code::NeedsCompose,
                "The project's containers need Docker Compose",
                cause,
                "Gemra starts one container. Give the project a Dockerfile.claude, or switch devcontainer.json off in the settings; then press Retry.",
            ),
            _ => Self::new(
                Code::BadDevcontainer,
                "The devcontainer.json cannot be used",
                cause,
                "Mend what it names, or switch devcontainer.json off in the settings; then press Retry.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        Variables::new(Path::new("/home/user/project"), &crate::environment::Environment::of([("A", "b")]))
    }

    fn parse(text: &str) -> Result<Devcontainer, DevcontainerError> {
        Devcontainer::parse("/home/user/project/.devcontainer/devcontainer.json".into(), text, &variables())
    }

    #[test]
    fn the_first_of_the_three_places_counts() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert_eq!(find(root), None, "there is none");
        let write = |path: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "{}").unwrap();
            path
        };
        let deeper = write(".devcontainer/rust/devcontainer.json");
        let later = write(".devcontainer/zig/devcontainer.json");
        assert_eq!(find(root), Some(deeper), "one folder deeper, the first by name, not {}", later.display());
        let beside = write(".devcontainer.json");
        assert_eq!(find(root), Some(beside), "the file beside comes before it");
        let first = write(".devcontainer/devcontainer.json");
        assert_eq!(find(root), Some(first), "and the usual place before that");
    }

    #[test]
    fn comments_and_trailing_commas_are_read_and_nothing_looser() {
        let read = parse("\u{feff}// why\n{ /* this */ \"image\": \"debian\", }").unwrap();
        assert_eq!(read.properties.image.as_deref(), Some("debian"), "JSON with comments");
        for broken in ["", "[]", "{image: \"a\"}", "{'image': 'a'}", "{\"image\": \"a\" \"b\": 1}", "{"] {
            let error = parse(broken).unwrap_err();
            assert!(matches!(error, DevcontainerError::Invalid { .. }), "{broken:?} is refused: {error}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_class() {
        let cases = [
            (r#"{"dockerComposeFile": "a.yml", "service": "b"}"#, Code::NeedsCompose, "dockerComposeFile"),
            (r#"{"name": "nothing"}"#, Code::BadDevcontainer, "neither an image nor a build"),
            (r#"{"image": "a", "workspaceFolder": "/w"}"#, Code::BadDevcontainer, "both or neither"),
            (r#"{"image": "a", "workspaceMount": "source=/a,target=/b,type=bind"}"#, Code::BadDevcontainer, "both"),
            (r#"{"image": 1}"#, Code::BadDevcontainer, "image"),
            (r#"{"image": "a", "postCreateCommand": 1}"#, Code::BadDevcontainer, "postCreateCommand"),
            (r#"{"image": "a", "mounts": ["source=/a"]}"#, Code::BadDevcontainer, "mounts"),
            (r#"{"image": "a", "containerEnv": {"A B": "c"}}"#, Code::BadDevcontainer, "A B"),
            (r#"{"image": "${localEnv}"}"#, Code::BadDevcontainer, "localEnv"),
        ];
        for (text, code, named) in cases {
            let failure = Failure::from(&parse(text).unwrap_err());
            assert_eq!(failure.code, code, "{text}");
            assert!(failure.cause.contains(named), "{text} is told with {named}: {}", failure.cause);
        }
    }

    #[test]
    fn a_link_to_nowhere_is_no_absence() {
        let folder = tempfile::tempdir().unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("/nonexistent", folder.path().join(".devcontainer.json")).unwrap();
        #[cfg(not(unix))]
        std::fs::write(folder.path().join(".devcontainer.json"), b"\xff").unwrap();
        let error = Devcontainer::of(folder.path(), &variables()).unwrap_err();
        assert!(matches!(error, DevcontainerError::Unreadable { .. }), "it was meant to be something: {error}");
    }
}
