//! Everything that can stop a job, as classes: each names its cause and the next step. Nothing here acts on them.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a job stopped.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The command line asks for something that does not exist.
    Usage { cause: String },
    /// A program that must be there is not, or is too old, and cannot be installed from here.
    Missing { what: String, next: String },
    /// System packages are missing, and nobody has agreed to install them.
    Packages { names: Vec<String>, command: String },
    /// A program could not be started at all.
    NotStarted { program: String, source: io::Error },
    /// A program ran and said no. `next` is the step that usually helps.
    Failed { what: String, ended: String, next: &'static str },
    /// A program did not do its part in time.
    Late { what: String, seconds: u64 },
    /// A file or folder could not be read or written.
    Files { path: PathBuf, source: io::Error },
    /// The source tree contradicts itself.
    Tree { cause: String },
}

impl Trouble {
    /// Makes an I/O error say which path it is about.
    pub(crate) fn files(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Files { path, source }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage { cause } => write!(out, "{cause}\n  next: `cargo xtask help` lists what there is"),
            Self::Missing { what, next } => write!(out, "{what}\n  next: {next}"),
            Self::Packages { names, command } => write!(
                out,
                "system packages are missing: {}\n  next: run `{command}`, or this command again with --yes",
                names.join(" ")
            ),
            Self::NotStarted { program, source } => {
                write!(out, "`{program}` could not be started: {source}\n  next: see that it is installed and on PATH")
            }
            Self::Failed { what, ended, next } => write!(out, "{what} failed ({ended})\n  next: {next}"),
            Self::Late { what, seconds } => {
                write!(out, "{what} did not happen within {seconds} s\n  next: look at its output above")
            }
            Self::Files { path, source } => {
                write!(out, "{}: {source}\n  next: see that it is there and that you may use it", path.display())
            }
            Self::Tree { cause } => write!(out, "{cause}\n  next: mend the source tree"),
        }
    }
}
