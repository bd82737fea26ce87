//! What is at a path, and what all paths of a tree hold: the words in which two trees are compared. It knows neither
//! where a tree is nor how it was read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The permissions that are kept. What makes a program run as somebody else is not carried to another machine.
pub(super) const PERMISSIONS: u32 = 0o777;

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub(crate) enum Entry {
    /// A folder. Its permissions are given when it is made, and are its side's own from then on.
    Folder,
    /// A file.
    File {
        /// Of its bytes, SHA-256 in hexadecimal.
        digest: String,
        /// Its permissions.
        mode: u32,
    },
    /// A symbolic link.
    Link {
        /// What it holds.
        target: String,
    },
}

impl Entry {
    /// In words, for people.
    pub(crate) fn in_words(entry: Option<&Self>) -> &'static str {
        match entry {
            None => "removed",
            Some(Self::Folder) => "a folder",
            Some(Self::File { .. }) => "a file",
            Some(Self::Link { .. }) => "a link",
        }
    }

    pub(super) fn is_folder(&self) -> bool {
        matches!(self, Self::Folder)
    }
}

/// What all paths of a tree hold. Paths are relative, with `/` between their parts, in any language but with no part
/// `..`; the tree's own folder is not among them.
pub(crate) type Manifest = BTreeMap<String, Entry>;

/// The path of the folder that a path is in; none at the top.
pub(super) fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(above, _)| above)
}

/// The folders that a path is in, the nearest first.
pub(super) fn above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(parent(path), |path| parent(path))
}

/// What is below a folder, in a map by paths.
pub(super) fn below<'a, T>(
    map: &'a BTreeMap<String, T>,
    folder: &str,
) -> impl Iterator<Item = (&'a String, &'a T)> + use<'a, T> {
    let from = format!("{folder}/");
    let prefix = from.clone();
    map.range(from..).take_while(move |(path, _)| path.starts_with(&prefix))
}

/// True where a path that somebody else has named can be one below a folder of ours: relative, without `..` or an empty
/// part, and such that a line of text can hold it.
pub(super) fn is_plain(path: &str) -> bool {
    !path.is_empty()
        && path.len() < 4096
        && !path.contains(['\n', '\r', '\0'])
        && path.split('/').all(|part| !matches!(part, "" | "." | "..") && part.len() < 256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_are_taken() {
        for path in ["a", "a/b", ".git/config", "ä ö/☃", "a..b", "...", " "] {
            assert!(is_plain(path), "{path:?} is below a folder");
        }
        for path in ["", "/a", "a//b", "a/", "..", "a/../b", "./a", "a/.", "a\nb", "a\0b"] {
            assert!(!is_plain(path), "{path:?} could be elsewhere, or break a list");
        }
        assert!(!is_plain(&"a".repeat(256)), "no file system has such a name");
    }

    #[test]
    fn a_folder_has_what_is_below_it_and_nothing_beside() {
        let map: BTreeMap<String, u8> =
            ["a", "a-b", "a/b", "a/b/c", "a.c", "b"].map(|path| (path.to_owned(), 0)).into();
        let found: Vec<&str> = below(&map, "a").map(|(path, _)| path.as_str()).collect();
        assert_eq!(found, ["a/b", "a/b/c"], "names that begin alike are others");
        assert_eq!(above("a/b/c").collect::<Vec<_>>(), ["a/b", "a"], "the nearest comes first");
    }
}
