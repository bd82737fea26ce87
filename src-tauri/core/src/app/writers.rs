//! Which folders of this machine containers may write to now, and for which tab. What they write is not known here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::guard::reach;
use crate::tab::TabId;

/// The folders that containers may write to.
#[derive(Debug, Clone, Default)]
pub(super) struct Writers {
    all: Arc<Mutex<All>>,
}

#[derive(Debug, Default)]
struct All {
    /// One for each container, by a number that is not used twice: the workspace first.
    of_each: BTreeMap<u64, (TabId, Vec<PathBuf>)>,
    next: u64,
}

/// Held while a container may write to a workspace, and to whatever else it was given.
#[derive(Debug)]
pub(crate) struct Inside {
    number: u64,
    writers: Writers,
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.writers.lock().of_each.remove(&self.number);
    }
}

impl Writers {
    /// A tab's container may write to its workspace from now on, as long as this is held.
    pub(super) fn enters(&self, tab: &TabId, workspace: &Path) -> Inside {
        let mut all = self.lock();
        let number = all.next;
        all.next += 1;
        all.of_each.insert(number, (tab.clone(), vec![workspace.to_path_buf()]));
        Inside { number, writers: self.clone() }
    }

    /// The tab's container may write to these folders too, for as long as it may write at all.
    pub(super) fn may_write(&self, tab: &TabId, folders: &[PathBuf]) {
        for (_, known) in self.lock().of_each.values_mut().filter(|(of, _)| of == tab) {
            let new: Vec<PathBuf> = folders.iter().filter(|folder| !known.contains(folder)).cloned().collect();
            known.extend(new);
        }
    }

    /// True where a container may write to one of these folders, to something in it, or to all around it.
    pub(super) fn write_to(&self, folders: &[PathBuf]) -> bool {
        self.lock().of_each.values().any(|(_, known)| reach::overlap(known, folders))
    }

    /// True where a container may write to something that an agent on the host would meet in a workspace. Blocks for as
    /// long as a few small files take.
    pub(super) fn concern(&self, workspace: &Path) -> bool {
        !self.lock().of_each.is_empty() && self.write_to(&reach::of(workspace))
    }

    /// True where a container has exactly this workspace.
    pub(super) fn work_in(&self, workspace: &Path) -> bool {
        self.lock().of_each.values().any(|(_, known)| known.first().is_some_and(|first| first == workspace))
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_shares_a_folder_with_a_container_is_concerned_as_long_as_it_runs() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let git = at("main/.git");
        std::fs::create_dir_all(&git).unwrap();
        let (writers, tab) = (Writers::default(), TabId("one".to_owned()));
        let inside = writers.enters(&tab, &at("tree"));
        assert!(!writers.concern(&at("main")), "it writes to its workspace alone");
        writers.may_write(&TabId("other".to_owned()), &[at("other")]);
        assert!(!writers.concern(&at("other")), "another tab has no container");
        writers.may_write(&tab, &[git, at("shared")]);
        for (workspace, concerned) in
            [("tree", true), ("tree/sub", true), ("main", true), ("main/sub", true), ("shared", true), ("other", false)]
        {
            assert_eq!(writers.concern(&at(workspace)), concerned, "{workspace}");
        }
        assert!(writers.work_in(&at("tree")) && !writers.work_in(&at("main")), "one workspace is its own");
        let again = writers.enters(&tab, &at("tree"));
        drop(inside);
        assert!(writers.concern(&at("tree")) && !writers.concern(&at("shared")), "the next one was given less");
        drop(again);
        assert!(!writers.concern(&at("tree")), "nobody writes any more");
    }
}
