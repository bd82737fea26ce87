//! Which Dockerfile: the workspace's own, or the one that Gemra brings along.

use std::path::{Path, PathBuf};

use super::error::ImageError;

/// The file's name in a workspace.
pub const FILE: &str = "Dockerfile.claude";
/// The one that Gemra brings along.
pub const EMBEDDED: &str = include_str!("../../../../../Dockerfile.claude");
/// Larger than any Dockerfile that people write.
const LARGEST: u64 = 1024 * 1024;

/// A Dockerfile and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The workspace that brings its own; `None` for the embedded one.
    pub workspace: Option<PathBuf>,
    /// The text.
    pub text: String,
}

impl Source {
    /// The embedded one.
    pub fn embedded() -> Self {
        Self { workspace: None, text: EMBEDDED.to_owned() }
    }

    /// The workspace's own where it has one, else the embedded one.
    ///
    /// # Errors
    /// [`ImageError::BadDockerfile`] where there is one that cannot be read: what the user put there is never passed
    /// over silently.
    pub async fn of(workspace: &Path) -> Result<Self, ImageError> {
        let file = workspace.join(FILE);
        let bad = |cause: String| ImageError::BadDockerfile { file: Some(file.clone()), cause };
        let metadata = match tokio::fs::metadata(&file).await {
            Ok(metadata) => metadata,
            // A link to nowhere was meant to be something.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_link(&file).await => {
                return Ok(Self::embedded());
            }
            Err(error) => return Err(bad(error.to_string())),
        };
        if !metadata.is_file() {
            return Err(bad("it is not a file".to_owned()));
        }
        if metadata.len() > LARGEST {
            return Err(bad("it is larger than 1 MiB".to_owned()));
        }
        let bytes = tokio::fs::read(&file).await.map_err(|error| bad(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_| bad("it is not UTF-8 text".to_owned()))?;
        Ok(Self { workspace: Some(workspace.to_owned()), text })
    }

    /// The file, where it is the workspace's own.
    pub fn file(&self) -> Option<PathBuf> {
        self.workspace.as_ref().map(|workspace| workspace.join(FILE))
    }

    /// In words: "the workspace's Dockerfile.claude" or "Gemra's own Dockerfile.claude".
    pub fn in_words(&self) -> &'static str {
        if self.workspace.is_some() { "the workspace's Dockerfile.claude" } else { "Gemra's own Dockerfile.claude" }
    }
}

async fn is_link(file: &Path) -> bool {
    tokio::fs::symlink_metadata(file).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_workspaces_own_comes_first_and_is_never_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Source::of(folder.path()).await.unwrap(), Source::embedded(), "there is none, so ours it is");
        let file = folder.path().join(FILE);
        std::fs::write(&file, "FROM own").unwrap();
        let own = Source::of(folder.path()).await.unwrap();
        assert_eq!((own.text.as_str(), own.file()), ("FROM own", Some(file.clone())), "the workspace's own is taken");
        std::fs::write(&file, b"FROM \xff").unwrap();
        let error = Source::of(folder.path()).await.unwrap_err().to_string();
        assert!(error.contains("UTF-8"), "a file that is no text is an error: {error}");
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
        let error = Source::of(folder.path()).await.unwrap_err().to_string();
        assert!(error.contains("not a file"), "a folder of that name is an error: {error}");
    }
}
