//! Baselines on disk, one for each workspace that a container can write to or could: a crash must not make what was
//! changed look as if it had always been so.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Answer, Baseline, Change, GuardError};
use crate::digest::hexadecimal;
use crate::file;

/// Baselines in a folder of Gemra's own.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    folder: PathBuf,
}

impl Store {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Takes the baseline of a workspace, unless there is one that nobody has answered for yet. Blocks.
    ///
    /// # Errors
    /// [`GuardError`]: then no container may be started.
    pub(crate) fn begin(&self, workspace: &Path) -> Result<(), GuardError> {
        if self.read(workspace)?.is_some() {
            return Ok(());
        }
        self.write(&Baseline::take(workspace)?)
    }

    /// What has changed in a workspace since its baseline. Where nothing has, the baseline is let go, unless `stays`:
    /// another container still writes. Blocks.
    ///
    /// # Errors
    /// [`GuardError`]: then nobody knows.
    pub(crate) fn check(&self, workspace: &Path, stays: bool) -> Result<Vec<Change>, GuardError> {
        let Some(baseline) = self.read(workspace)? else { return Ok(Vec::new()) };
        let changes = baseline.changes()?;
        if changes.is_empty() && !stays {
            self.forget(workspace)?;
        }
        Ok(changes)
    }

    /// Does what the user says to changes that were shown; and says what has still changed since the baseline, which the
    /// user has to be asked about next. What is reverted goes to a new folder, which is returned. Blocks.
    ///
    /// # Errors
    /// [`GuardError`].
    pub(crate) fn answer(
        &self,
        workspace: &Path,
        shown: &[Change],
        answer: &Answer,
        stays: bool,
    ) -> Result<(Vec<Change>, Option<PathBuf>), GuardError> {
        let Some(mut baseline) = self.read(workspace)? else { return Ok((Vec::new(), None)) };
        let meant: Vec<Change> = shown
            .iter()
            .filter(|change| answer.path.as_ref().is_none_or(|path| *path == change.path))
            .cloned()
            .collect();
        let aside = if answer.keep {
            baseline.keep(&meant)?;
            self.write(&baseline)?;
            None
        } else {
            let aside = self.folder.join(format!("reverted-{}", uuid::Uuid::new_v4().simple()));
            baseline.revert(&meant, &aside)?;
            Some(aside)
        };
        Ok((self.check(workspace, stays)?, aside))
    }

    /// True where a workspace has a baseline.
    pub(crate) fn knows(&self, workspace: &Path) -> bool {
        self.path(workspace).exists()
    }

    fn read(&self, workspace: &Path) -> Result<Option<Baseline>, GuardError> {
        let path = self.path(workspace);
        let failed = |source| GuardError::File { path: path.clone(), source };
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| failed(error.into())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn write(&self, baseline: &Baseline) -> Result<(), GuardError> {
        let path = self.path(&baseline.workspace);
        let written =
            serde_json::to_vec(baseline).map_err(std::io::Error::from).and_then(|text| file::replace(&path, &text));
        written.map_err(|source| GuardError::File { path, source })
    }

    fn forget(&self, workspace: &Path) -> Result<(), GuardError> {
        let path = self.path(workspace);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(GuardError::File { path, source }),
            _ => Ok(()),
        }
    }

    fn path(&self, workspace: &Path) -> PathBuf {
        let digest = Sha256::digest(workspace.as_os_str().as_encoded_bytes());
        self.folder.join(format!("{}.json", hexadecimal(&digest[..16])))
    }
}
