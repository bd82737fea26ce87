//! Which Dockerfile: the workspace's `Dockerfile.claude`, else its `Dockerfile` where the user wants that, else the one
//! that Gemra brings along. It reads files and knows no engine.

use std::path::{Path, PathBuf};

use super::error::ImageError;

/// The file's name in a workspace.
pub const FILE: &str = "Dockerfile.claude";
/// The file's name where the user has allowed a project's usual one.
pub const USUAL: &str = "Dockerfile";
/// The one that Gemra brings along.
pub const EMBEDDED: &str = include_str!("../../../../../Dockerfile.claude");
/// Larger than any Dockerfile that people write.
const LARGEST: u64 = 1024 * 1024;

/// A Dockerfile and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The folder that COPY and ADD take from, which is the workspace or a folder in it; `None` where the text stands
    /// alone.
    pub workspace: Option<PathBuf>,
    /// The text.
    pub text: String,
    /// Which of them it is.
    pub kind: Kind,
    /// Where only what was allowed may be built: the digest of the files that it copies, as [`super::Recipe::files`]
    /// gave it.
    pub allowed: Option<Vec<u8>>,
}

/// Which Dockerfile it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Kind {
    /// Gemra's own.
    #[default]
    Embedded,
    /// The workspace's `Dockerfile.claude`, which is written for Gemra.
    Own,
    /// The workspace's `Dockerfile`, which is written for something else: it may hold no agent.
    Usual,
    /// One that something else in the workspace names or makes. It may hold no agent either.
    Named {
        /// The file; `None` where the text is in no file.
        file: Option<PathBuf>,
        /// What it is, in words, such as "the workspace's devcontainer.json".
        words: String,
    },
}

impl Default for Source {
    fn default() -> Self {
        Self::embedded()
    }
}

impl Source {
    /// One with this text, of which everything that it copies may be built.
    pub fn of_kind(workspace: Option<PathBuf>, text: String, kind: Kind) -> Self {
        Self { workspace, text, kind, allowed: None }
    }

    /// The embedded one.
    pub fn embedded() -> Self {
        Self::of_kind(None, EMBEDDED.to_owned(), Kind::Embedded)
    }

    /// The workspace's `Dockerfile.claude`, with this text.
    pub fn own(workspace: PathBuf, text: String) -> Self {
        Self::of_kind(Some(workspace), text, Kind::Own)
    }

    /// The workspace's own where it has one, else the embedded one.
    ///
    /// # Errors
    /// [`ImageError::BadDockerfile`] where there is one that cannot be read: what the user put there is never passed
    /// over silently.
    pub async fn of(workspace: &Path) -> Result<Self, ImageError> {
        Ok(Self::written_for_us(workspace).await?.unwrap_or_else(Self::embedded))
    }

    /// The workspace's `Dockerfile.claude`, where it has one.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub async fn written_for_us(workspace: &Path) -> Result<Option<Self>, ImageError> {
        Ok(read(&workspace.join(FILE)).await?.map(|text| Self::own(workspace.to_owned(), text)))
    }

    /// The workspace's `Dockerfile`, where it has one. Only for users who want it.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub async fn usual(workspace: &Path) -> Result<Option<Self>, ImageError> {
        let text = read(&workspace.join(USUAL)).await?;
        Ok(text.map(|text| Self::of_kind(Some(workspace.to_owned()), text, Kind::Usual)))
    }

    /// The file, where it is one of the workspace's.
    pub fn file(&self) -> Option<PathBuf> {
        match (&self.kind, &self.workspace) {
            (Kind::Named { file, .. }, _) => file.clone(),
            (Kind::Usual, Some(workspace)) => Some(workspace.join(USUAL)),
            (Kind::Own | Kind::Embedded, Some(workspace)) => Some(workspace.join(FILE)),
            (_, None) => None,
        }
    }

    /// In words, such as "the workspace's Dockerfile.claude" or "Gemra's own Dockerfile.claude".
    pub fn in_words(&self) -> &str {
        match &self.kind {
            Kind::Embedded => "Gemra's own Dockerfile.claude",
            Kind::Own => "the workspace's Dockerfile.claude",
            Kind::Usual => "the workspace's Dockerfile",
            Kind::Named { words, .. } => words,
        }
    }

    /// True where it was written for Gemra, so that the agent is its own business.
    pub fn brings_the_agent(&self) -> bool {
        matches!(self.kind, Kind::Embedded | Kind::Own)
    }

    /// The name, without its tag, of images that are built from it.
    pub(super) fn image_name(&self) -> &'static str {
        if self.brings_the_agent() { super::NAME } else { super::AUTO }
    }
}

/// The text of a Dockerfile; `None` where there is none.
async fn read(file: &Path) -> Result<Option<String>, ImageError> {
    let bad = |cause: String| ImageError::BadDockerfile { file: Some(file.to_owned()), cause };
    let metadata = match tokio::fs::metadata(file).await {
        Ok(metadata) => metadata,
        // A link to nowhere was meant to be something.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_link(file).await => return Ok(None),
        Err(error) => return Err(bad(error.to_string())),
    };
    if !metadata.is_file() {
        return Err(bad("it is not a file".to_owned()));
    }
    if metadata.len() > LARGEST {
        return Err(bad("it is larger than 1 MiB".to_owned()));
    }
    let bytes = tokio::fs::read(file).await.map_err(|error| bad(error.to_string()))?;
    String::from_utf8(bytes).map(Some).map_err(|_| bad("it is not UTF-8 text".to_owned()))
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
        std::fs::write(folder.path().join(USUAL), "FROM usual").unwrap();
        assert_eq!(Source::of(folder.path()).await.unwrap(), own, "the usual one does not count beside it");
        let usual = Source::usual(folder.path()).await.unwrap().unwrap();
        assert_eq!((usual.text.as_str(), usual.brings_the_agent()), ("FROM usual", false), "who asks for it gets it");
        std::fs::write(&file, b"FROM \xff").unwrap();
        let error = Source::of(folder.path()).await.unwrap_err().to_string();
        assert!(error.contains("UTF-8"), "a file that is no text is an error: {error}");
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
        let error = Source::of(folder.path()).await.unwrap_err().to_string();
        assert!(error.contains("not a file"), "a folder of that name is an error: {error}");
    }
}
