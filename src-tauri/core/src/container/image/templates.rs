//! Dockerfiles to start from, which Gemra brings along and writes into a project that has none.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::source::FILE;
use crate::failure::{Code, Failure};

/// A Dockerfile to start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Template {
    /// Names it.
    pub id: &'static str,
    /// What it is called.
    pub name: &'static str,
    /// What is in it, in a sentence.
    pub words: &'static str,
    /// The text.
    pub text: &'static str,
}

/// All that there are.
pub const ALL: &[Template] = &[
    Template {
        id: "minimal",
        name: "Minimal",
        words: "The agent, git and little else, on Alpine. The smallest.",
        text: include_str!("../../../../../templates/minimal.dockerfile"),
    },
    Template {
        id: "development",
        name: "Development",
        words: "Compilers, debuggers and the usual tools, on Debian.",
        text: include_str!("../../../../../templates/development.dockerfile"),
    },
    Template {
        id: "python",
        name: "Python",
        words: "Python with venv, pip and uv, and what native packages are built with, on Debian.",
        text: include_str!("../../../../../templates/python.dockerfile"),
    },
];

/// Why a template was not written.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// There is none of that name.
    #[error("There is no template {0}")]
    Unknown(String),
    /// The project has a Dockerfile.claude already.
    #[error("{path} is there already", path = .0.display())]
    There(PathBuf),
    /// It could not be written.
    #[error("{path} could not be written: {source}", path = path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
}

impl From<&TemplateError> for Failure {
    fn from(error: &TemplateError) -> Self {
        let action = match error {
            TemplateError::Unknown(_) => "Choose one of those that the settings list.",
            TemplateError::There(_) => "Change that file, or move it away first.",
            TemplateError::Unwritable { .. } => "Give yourself the right to write there, or choose another project.",
        };
        Self::new(Code::WorkspaceInvalid, "The Dockerfile was not written", format!("{error}."), action)
    }
}

/// Writes a template to a workspace and gives the file. One that is there is never overwritten. Blocks.
///
/// # Errors
/// [`TemplateError`].
pub fn write(workspace: &Path, id: &str) -> Result<PathBuf, TemplateError> {
    let template = ALL.iter().find(|template| template.id == id);
    let template = template.ok_or_else(|| TemplateError::Unknown(id.to_owned()))?;
    let path = workspace.join(FILE);
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|mut file| file.write_all(template.text.as_bytes()));
    match written {
        Ok(()) => Ok(path),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(TemplateError::There(path)),
        Err(source) => Err(TemplateError::Unwritable { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::dockerfile::Dockerfile;
    use super::*;

    #[test]
    fn a_dockerfile_that_is_there_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(write(folder.path(), "none"), Err(TemplateError::Unknown(_))), "only what there is");
        let path = write(folder.path(), "python").unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().contains("uv"), "it is the one that was asked for");
        assert!(matches!(write(folder.path(), "minimal"), Err(TemplateError::There(_))), "it is there now");
        assert!(std::fs::read_to_string(&path).unwrap().contains("uv"), "and is as it was");
    }

    #[test]
    fn every_template_is_built_by_every_engine_and_takes_what_gemra_gives() {
        for template in ALL {
            let dockerfile = Dockerfile::read(template.text);
            assert_eq!(dockerfile.needs_buildkit(), None, "{}: the classic builder will do", template.id);
            assert!(dockerfile.local_sources().is_empty(), "{}: it stands alone", template.id);
            for name in ["CLAUDE_CODE_VERSION", "USER_UID", "USER_GID"] {
                assert!(dockerfile.declares(name), "{}: {name} is taken", template.id);
            }
        }
    }
}
