//! Which image a `devcontainer.json` asks for: one by its name, or one that is built.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value};

use super::variables::Variables;

/// An image that is built.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Build {
    /// The Dockerfile, absolute.
    pub dockerfile: PathBuf,
    /// The folder that is sent, absolute.
    pub context: PathBuf,
    /// Arguments, which the image's history tells.
    pub args: BTreeMap<String, String>,
    /// The stage; empty for the last.
    pub target: String,
}

impl Build {
    /// Reads the property `build`, `folder` being the file's own.
    ///
    /// # Errors
    /// In words.
    pub fn read(
        map: &Map<String, Value>,
        folder: &Path,
        variables: &Variables,
        used: &mut BTreeSet<String>,
        not_applied: &mut Vec<String>,
    ) -> Result<Self, String> {
        let mut build = Self::default();
        let mut context = ".".to_owned();
        for (key, value) in map {
            let value = variables.value(value, used)?;
            match (key.as_str(), &value) {
                ("dockerfile" | "dockerFile", Value::String(text)) => build.dockerfile = below(folder, text),
                ("context", Value::String(text)) => context.clone_from(text),
                ("target", Value::String(text)) => build.target.clone_from(text),
                ("args", Value::Object(args)) => {
                    for (name, value) in args {
                        let text = match value {
                            Value::String(text) => text.clone(),
                            Value::Object(_) | Value::Array(_) | Value::Null => {
                                return Err(format!("build.args.{name} is no text"));
                            }
                            other => other.to_string(),
                        };
                        build.args.insert(name.clone(), text);
                    }
                }
                ("dockerfile" | "dockerFile" | "context" | "target" | "args", _) => {
                    return Err(format!("build.{key} is not what it should be"));
                }
                (other, value) => not_applied.push(format!("build.{other}: {value}")),
            }
        }
        if build.dockerfile.as_os_str().is_empty() {
            return Err("build names no dockerfile".to_owned());
        }
        build.context = below(folder, &context);
        Ok(build)
    }
}

/// A path as the file means it, without the dots in it: what it leads to is looked at by whoever uses it.
fn below(folder: &Path, path: &str) -> PathBuf {
    let mut done = PathBuf::new();
    for component in folder.join(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                done.pop();
            }
            other => done.push(other),
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::environment::Environment;

    fn read(value: &Value) -> Result<(Build, Vec<String>), String> {
        let variables = Variables::new(Path::new("/p"), &Environment::of([("V", "1.2")]));
        let mut not_applied = Vec::new();
        let map = value.as_object().unwrap();
        let folder = Path::new("/p/.devcontainer");
        let build = Build::read(map, folder, &variables, &mut BTreeSet::new(), &mut not_applied)?;
        Ok((build, not_applied))
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let cases = [
            (json!({"dockerfile": "Dockerfile"}), "/p/.devcontainer/Dockerfile", "/p/.devcontainer"),
            (json!({"dockerfile": "../Dockerfile", "context": ".."}), "/p/Dockerfile", "/p"),
            (json!({"dockerfile": "./a/b", "context": "../sub/."}), "/p/.devcontainer/a/b", "/p/sub"),
        ];
        for (value, dockerfile, context) in cases {
            let (build, _) = read(&value).unwrap();
            assert_eq!((build.dockerfile, build.context), (dockerfile.into(), context.into()), "{value}");
        }
    }

    #[test]
    fn arguments_and_the_stage_are_taken_and_the_rest_is_told() {
        let (build, not_applied) = read(&json!({
            "dockerfile": "d", "target": "dev", "args": {"VERSION": "${localEnv:V}", "N": 3, "B": true},
            "cacheFrom": "a", "options": ["--no-cache"]
        }))
        .unwrap();
        assert_eq!(build.target, "dev", "the stage");
        let args = [("B", "true"), ("N", "3"), ("VERSION", "1.2")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(build.args, args.into(), "the arguments, variables put in");
        assert_eq!(not_applied, ["build.cacheFrom: \"a\"", "build.options: [\"--no-cache\"]"], "what Gemra does not");
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        for value in [json!({}), json!({"dockerfile": 1}), json!({"dockerfile": "d", "args": {"A": null}})] {
            assert!(read(&value).is_err(), "{value} is refused");
        }
    }
}
