//! Where things are in the checkout. Paths only: it never looks at what is in them.

use std::env;
use std::path::{Path, PathBuf};

use crate::trouble::Trouble;

/// A checkout of the project and its target folder, both absolute.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    /// `CARGO_TARGET_DIR` where it is set, as Cargo itself does; else `target` in the checkout.
    pub(crate) target: PathBuf,
}

impl Tree {
    /// The checkout that this program was started from.
    pub(crate) fn find() -> Result<Self, Trouble> {
        // The variable is Cargo's, at run time; what was compiled in serves when the program is started by hand.
        let package =
            env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        let root = package.ancestors().nth(2).map(Path::to_owned);
        let root = root.filter(|root| root.join("Cargo.toml").is_file()).ok_or_else(|| Trouble::Tree {
            cause: format!("no Cargo.toml two folders above {}: the checkout has moved", package.display()),
        })?;
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |set| root.join(set));
        Ok(Self { root, target })
    }

    pub(crate) fn ui(&self) -> PathBuf {
        self.root.join("ui")
    }

    /// A program that a release build makes, such as `gemra`.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.target.join("release").join(format!("{name}{}", env::consts::EXE_SUFFIX))
    }

    /// The agent's CLI that suites and the demo use, wherever it is installed from.
    pub(crate) fn claude(&self) -> PathBuf {
        let name = if cfg!(windows) { "claude.cmd" } else { "claude" };
        self.target.join("claude/node_modules/.bin").join(name)
    }
}
