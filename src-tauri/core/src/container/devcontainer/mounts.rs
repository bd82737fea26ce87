//! Mounts as a `devcontainer.json` writes them: `type=bind,source=…,target=…`, or the same as an object.

use std::collections::BTreeMap;

use serde_json::Value;

/// A mount that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// What.
    pub source: Source,
    /// Where, absolute.
    pub target: String,
    /// Nobody inside can change it.
    pub read_only: bool,
    /// Options that have no meaning here, or none that Gemra keeps.
    pub not_applied: Vec<String>,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A folder or a file of this machine's.
    Path(String),
    /// A volume of the engine's.
    Volume(String),
    /// Memory.
    Memory,
}

impl Mounted {
    /// Reads one.
    ///
    /// # Errors
    /// In words.
    pub fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Object(map) => {
                let options = map.iter().map(|(key, value)| {
                    let text = match value {
                        Value::String(text) => text.clone(),
                        other => other.to_string(),
                    };
                    (key.clone(), text)
                });
                Self::of(options.collect())
            }
            _ => Err("a mount is a text or an object".to_owned()),
        }
    }

    /// Reads the spelling of `--mount`.
    ///
    /// # Errors
    /// In words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let options = text.split(',').filter(|part| !part.trim().is_empty()).map(|part| {
            // A flag alone is true.
            let (key, value) = part.split_once('=').unwrap_or((part, "true"));
            (key.trim().to_owned(), value.trim().trim_matches('"').to_owned())
        });
        Self::of(options.collect()).map_err(|why| format!("{text:?}: {why}"))
    }

    /// Reads the spelling of `-v`: `source:target:options`.
    ///
    /// # Errors
    /// In words.
    pub fn volume(text: &str) -> Result<Self, String> {
        let bad = |why: &str| format!("{text:?}: {why}");
        let parts: Vec<&str> = text.split(':').collect();
        let [source, target, options @ ..] = parts.as_slice() else {
            return Err(bad("it names no source and target"));
        };
        let kind = if source.starts_with('/') { "bind" } else { "volume" };
        let mut all: BTreeMap<String, String> =
            [("type", kind), ("source", source), ("target", target)].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        for option in options.iter().flat_map(|options| options.split(',')) {
            let (key, value) = match option {
                "ro" => ("readonly", "true"),
                "rw" => ("readonly", "false"),
                other => (other, "true"),
            };
            all.insert(key.to_owned(), value.to_owned());
        }
        Self::of(all).map_err(|why| bad(&why))
    }

    fn of(mut options: BTreeMap<String, String>) -> Result<Self, String> {
        let mut take = |names: &[&str]| names.iter().find_map(|name| options.remove(*name));
        let kind = take(&["type"]).unwrap_or_else(|| "volume".to_owned());
        let source = take(&["source", "src"]).unwrap_or_default();
        let target = take(&["target", "destination", "dst"]).unwrap_or_default();
        let read_only = take(&["readonly", "ro"]).is_some_and(|value| matches!(value.as_str(), "true" | "1"));
        if !target.starts_with('/') {
            return Err("its target is not absolute".to_owned());
        }
        let source = match kind.as_str() {
            "bind" if source.starts_with('/') => Source::Path(source),
            "bind" => return Err("its source is not absolute".to_owned()),
            "volume" if source.is_empty() => return Err("a volume without a name is new at every start".to_owned()),
            "volume" => Source::Volume(source),
            "tmpfs" => Source::Memory,
            other => return Err(format!("{other} is no kind of mount")),
        };
        let not_applied = options.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        Ok(Self { source, target, read_only, not_applied })
    }

    /// In words: what it shows of this machine, and where.
    pub fn in_words(&self) -> String {
        let mode = if self.read_only { ", read-only" } else { "" };
        match &self.source {
            Source::Path(path) => format!("{path} → {}{mode}", self.target),
            Source::Volume(name) => format!("the volume {name} → {}{mode}", self.target),
            Source::Memory => format!("memory → {}", self.target),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bind(source: &str, target: &str, read_only: bool) -> Mounted {
        let source = Source::Path(source.to_owned());
        Mounted { source, target: target.to_owned(), read_only, not_applied: Vec::new() }
    }

    #[test]
    fn texts_and_objects_say_the_same() {
        let cases = [
            (json!("type=bind,source=/a b,target=/c"), bind("/a b", "/c", false)),
            (json!("source=/a,target=/c,type=bind,readonly"), bind("/a", "/c", true)),
            (json!("src=/a,dst=/c,type=bind,ro=true"), bind("/a", "/c", true)),
            (json!({"type": "bind", "source": "/a", "target": "/c", "readonly": true}), bind("/a", "/c", true)),
            (
                json!("source=name,target=/c,type=volume"),
                Mounted { source: Source::Volume("name".to_owned()), ..bind("", "/c", false) },
            ),
            (
                json!({"source": "name", "target": "/c"}),
                Mounted { source: Source::Volume("name".to_owned()), ..bind("", "/c", false) },
            ),
            (json!("type=tmpfs,target=/c"), Mounted { source: Source::Memory, ..bind("", "/c", false) }),
            (
                json!("type=bind,source=/a,target=/c,consistency=cached"),
                Mounted { not_applied: vec!["consistency=cached".to_owned()], ..bind("/a", "/c", false) },
            ),
        ];
        for (value, expected) in cases {
            assert_eq!(Mounted::read(&value).as_ref(), Ok(&expected), "{value}");
        }
    }

    #[test]
    fn the_short_spelling_is_read_too() {
        assert_eq!(Mounted::volume("/a:/c").unwrap(), bind("/a", "/c", false), "a path");
        assert_eq!(Mounted::volume("/a:/c:ro").unwrap(), bind("/a", "/c", true), "read-only");
        assert_eq!(Mounted::volume("n:/c").unwrap().source, Source::Volume("n".to_owned()), "a name is a volume");
        assert_eq!(Mounted::volume("/a:/c:z").unwrap().not_applied, ["z=true"], "the rest is told");
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        for text in [
            "",
            "source=/a",
            "type=bind,source=a,target=/c",
            "type=bind,target=/c",
            "type=volume,target=/c",
            "type=npipe,target=/c",
            "source=/a,target=c",
        ] {
            assert!(Mounted::parse(text).is_err(), "{text:?} is refused");
        }
        for value in [json!(1), json!(null), json!([])] {
            assert!(Mounted::read(&value).is_err(), "{value} is refused");
        }
        assert!(Mounted::volume("/a").is_err(), "a path alone is refused");
    }
}
