//! The logs of builds as files: one for each build that did anything, the last ten of them. It knows nothing of what
//! they say.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// How many are kept.
const KEPT: usize = 10;

/// Writes a log under a name that sorts by time, and removes the oldest beyond the limit. Blocks.
///
/// # Errors
/// Where the folder or the file cannot be written.
pub(super) fn write(folder: &Path, what: &str, text: &str) -> std::io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let what: String =
        what.chars().map(|character| if character.is_ascii_alphanumeric() { character } else { '-' }).collect();
    let file = folder.join(format!("{:013}-{what}.log", since.as_millis()));
    std::fs::write(&file, text)?;
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    all.sort();
    for old in &all[..all.len().saturating_sub(KEPT)] {
        std::fs::remove_file(old)?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ten_are_kept() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("logs/builds");
        let written: Vec<PathBuf> =
            (0..KEPT + 3).map(|number| write(&folder, &format!("gemra:{number:02}"), "said\n").unwrap()).collect();
        let left: Vec<&PathBuf> = written.iter().filter(|path| path.exists()).collect();
        assert_eq!(left.len(), KEPT, "no more than ten");
        assert!(left.contains(&&written[KEPT + 2]), "the last one is there");
        assert_eq!(std::fs::read_to_string(left[0]).unwrap(), "said\n", "with what was said");
        let name = left[0].file_name().unwrap().to_string_lossy().into_owned();
        assert!(name.contains("gemra-"), "the name tells what was built, in letters that every system takes: {name}");
    }
}
