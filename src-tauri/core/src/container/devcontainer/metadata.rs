//! The label `devcontainer.metadata`, by which an image says what a container of it should be like.

use std::path::Path;

use serde_json::Value;

use super::file::DevcontainerError;
use super::properties::Properties;
use super::variables::Variables;

/// The label.
pub const LABEL: &str = "devcontainer.metadata";

/// Reads the label's text, oldest part first.
///
/// # Errors
/// [`DevcontainerError::Label`].
pub fn read(text: &str, variables: &Variables) -> Result<Vec<Properties>, DevcontainerError> {
    let bad = |cause: String| DevcontainerError::Label { cause };
    let parts = match serde_json::from_str(text).map_err(|error| bad(error.to_string()))? {
        Value::Array(parts) => parts,
        // One part alone may stand without the list.
        part @ Value::Object(_) => vec![part],
        _ => return Err(bad("it is neither a list nor an object".to_owned())),
    };
    let mut all = Vec::new();
    for part in parts {
        let map = part.as_object().ok_or_else(|| bad("a part of it is no object".to_owned()))?;
        let mut properties = Properties::read(map, Path::new("/"), variables).map_err(bad)?;
        // What runs on this machine, and what is built, is never the image's business.
        properties.initialize = None;
        properties.image = None;
        properties.build = None;
        // An image's wishes for tools that are not here are nobody's loss.
        properties.not_applied.retain(|what| what != "customizations" && what != "entrypoint");
        all.push(properties);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;

    fn read_text(text: &str) -> Result<Vec<Properties>, DevcontainerError> {
        read(text, &Variables::new(Path::new("/p"), &Environment::of([])))
    }

    #[test]
    fn lists_and_single_parts_are_read_in_their_order() {
        let all = read_text(r#"[{"remoteUser": "a", "customizations": {}}, {"remoteUser": "b", "id": "x"}]"#).unwrap();
        let users: Vec<_> = all.iter().map(|part| part.remote_user.as_deref().unwrap()).collect();
        assert_eq!(users, ["a", "b"], "oldest first");
        assert!(all.iter().all(|part| part.not_applied.is_empty()), "what is for editors is not told of images");
        assert_eq!(read_text(r#"{"remoteUser": "c"}"#).unwrap().len(), 1, "one part alone");
        assert_eq!(read_text("[]").unwrap().len(), 0, "nothing is nothing");
    }

    #[test]
    fn an_image_runs_nothing_on_this_machine() {
        let all = read_text(r#"[{"initializeCommand": "evil", "image": "x", "dockerFile": "y"}]"#).unwrap();
        assert_eq!(
            (all[0].initialize.as_ref(), all[0].image.as_ref(), all[0].build.as_ref()),
            (None, None, None),
            "never"
        );
    }

    #[test]
    fn what_is_not_valid_is_an_error() {
        for text in ["", "1", "[1]", r#"[{"mounts": 1}]"#] {
            assert!(matches!(read_text(text), Err(DevcontainerError::Label { .. })), "{text:?} is refused");
        }
    }
}
