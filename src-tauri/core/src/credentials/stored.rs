//! The file beside the keyring: which credentials the keyring holds, and the values of those that it does not. Only its
//! owner can read it. It decides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Name;
use crate::file;

/// What is in the file. It has no `Debug`, because values are keys.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Stored {
    /// Names that the keyring holds, so that nobody has to ask it who has never used it.
    pub(super) in_keyring: BTreeSet<Name>,
    /// Values that it does not hold.
    pub(super) values: BTreeMap<Name, String>,
    /// Names of which the keyring may hold a value that counts for nothing, and that has to go from there.
    pub(super) to_clear: BTreeSet<Name>,
}

/// The same as JSON, by the variables' names. Those of another version are left out and lost at the next change.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Text {
    in_keyring: BTreeSet<String>,
    values: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    to_clear: BTreeSet<String>,
}

/// Reads the file; nothing where there is none. One that others could read is closed to them.
///
/// # Errors
/// Whatever the system says, and where it is no such file: it is then left as it is.
pub(super) fn read(path: &Path) -> std::io::Result<Stored> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Stored::default()),
        Err(error) => return Err(error),
    };
    close(path)?;
    // The error of the parser may quote what it read.
    let broken = |_| std::io::Error::new(std::io::ErrorKind::InvalidData, "it is not what Gemra wrote");
    let Text { in_keyring, values, to_clear } = serde_json::from_slice(&bytes).map_err(broken)?;
    let names = |names: BTreeSet<String>| names.iter().filter_map(|name| Name::of(name)).collect();
    Ok(Stored {
        in_keyring: names(in_keyring),
        to_clear: names(to_clear),
        values: values.into_iter().filter_map(|(name, value)| Some((Name::of(&name)?, value))).collect(),
    })
}

/// Writes the file, and removes it where there is nothing to keep.
///
/// # Errors
/// Whatever the system says; the old file is then untouched.
pub(super) fn write(path: &Path, stored: &Stored) -> std::io::Result<()> {
    if *stored == Stored::default() {
        return match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    }
    let name = |name: &Name| name.variable().to_owned();
    let text = Text {
        in_keyring: stored.in_keyring.iter().map(name).collect(),
        values: stored.values.iter().map(|(key, value)| (name(key), value.clone())).collect(),
        to_clear: stored.to_clear.iter().map(name).collect(),
    };
    let mut bytes = serde_json::to_vec_pretty(&text)?;
    bytes.push(b'\n');
    file::replace(path, &bytes)
}

#[cfg(unix)]
fn close(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path)?.permissions().mode();
    if mode & 0o777 == mode & 0o700 {
        return Ok(());
    }
    tracing::warn!(path = %path.display(), "others could read the keys; they cannot any more");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn close(_path: &Path) -> std::io::Result<()> {
    // Its folder is the user's own there.
    Ok(())
}
