//! What is done on this machine for changes of the other side: removals, folders, links, and files as they come.

use super::super::compare::Change;
use super::super::manifest::Entry;
use super::super::scan::{LARGEST, Seen};
use super::super::store::Record;
use super::super::tree::{Refused, Tree};
use super::Looked;

/// How many files are fetched at once, and how many bytes: they need room for a copy there.
const FETCHED: (usize, u64) = (2000, 1024 * 1024 * 1024);

/// What is done here for one change.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) path: String,
    /// What was here when it was looked at.
    pub(super) before: Option<String>,
    pub(super) here: Option<Entry>,
    pub(super) there: Option<Seen>,
}

impl Step {
    pub(super) fn of(change: &Change, looked: &Looked) -> Self {
        Self {
            path: change.path.clone(),
            before: looked.here.seen.get(&change.path).map(|seen| seen.stamp.clone()),
            here: change.here.clone(),
            there: looked.there.seen.get(&change.path).cloned(),
        }
    }

    /// True where what is here has to go before what is there can take its place.
    pub(super) fn goes_first(&self) -> bool {
        let is_folder = |entry: &Entry| entry.is_folder();
        match (&self.here, &self.there) {
            (Some(_), None) => true,
            (Some(here), Some(there)) => is_folder(here) != is_folder(&there.entry),
            (None, _) => false,
        }
    }
}

/// What was written here.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) done: Vec<(String, Option<Entry>)>,
    /// Folders that were to go and hold something that is not carried.
    pub(super) stayed: usize,
    pub(super) late: bool,
    pub(super) failed: Option<(String, String)>,
}

impl Written {
    pub(super) fn note(&mut self, path: &str, done: Result<Option<Entry>, Refused>) {
        match done {
            Ok(entry) => self.done.push((path.to_owned(), entry)),
            Err(Refused::Changed) => self.late = true,
            Err(Refused::Failed(error)) => {
                self.failed.get_or_insert((path.to_owned(), error.to_string()));
            }
        }
    }

    pub(super) fn take(&mut self, other: Self) {
        self.done.extend(other.done);
        self.stayed += other.stayed;
        self.late |= other.late;
        if self.failed.is_none() {
            self.failed = other.failed;
        }
    }

    pub(super) fn remembered(&self, record: &mut Record) -> usize {
        for (path, entry) in &self.done {
            remember(record, path, entry.clone());
        }
        self.done.len()
    }
}

/// Everything that needs no bytes of the other side's: removals first, the deepest before what they are in.
pub(super) fn without_bytes(tree: &Tree, steps: &[Step]) -> Written {
    let mut written = Written::default();
    for step in steps.iter().rev().filter(|step| step.goes_first()) {
        let folder = step.here.as_ref().is_some_and(Entry::is_folder);
        let gone = if folder {
            tree.remove_folder(&step.path)
        } else {
            tree.remove(&step.path, step.before.as_deref()).map(|()| true)
        };
        match gone {
            Ok(true) if step.there.is_none() => written.note(&step.path, Ok(None)),
            Ok(true) => {}
            Ok(false) => written.stayed += 1,
            Err(refused) => written.note(&step.path, Err(refused)),
        }
    }
    for step in steps {
        let before = step.before.as_deref().filter(|_| !step.goes_first());
        let Some(there) = &step.there else { continue };
        let done = match &there.entry {
            Entry::Folder => tree.put_folder(&step.path, there.mode),
            Entry::Link { target } => tree.put_link(&step.path, target, before),
            Entry::File { .. } => continue,
        };
        written.note(&step.path, done.map(|()| Some(there.entry.clone())));
    }
    written
}

pub(super) fn put(tree: &Tree, step: &Step, bytes: &mut dyn std::io::Read) -> Result<Option<Entry>, Refused> {
    let Some(there) = &step.there else { return Err(Refused::Changed) };
    let before = step.before.as_deref().filter(|_| !step.goes_first());
    let mut bytes = bytes;
    let copied = tree.put_file(&step.path, (there.mode, there.modified), before, &mut bytes, LARGEST)?;
    Ok(Some(Entry::File { digest: copied.digest, mode: there.mode }))
}

pub(super) fn remember(record: &mut Record, path: &str, entry: Option<Entry>) {
    match entry {
        Some(entry) => drop(record.base.insert(path.to_owned(), entry)),
        None => drop(record.base.remove(path)),
    }
    record.clashes.remove(path);
}

pub(super) fn batches(steps: Vec<Step>) -> Vec<Vec<Step>> {
    let (most, bytes) = FETCHED;
    let mut all: Vec<Vec<Step>> = Vec::new();
    let mut sum = 0_u64;
    for step in steps {
        let length = step.there.as_ref().map_or(0, |seen| seen.length);
        match all.last_mut() {
            Some(last) if last.len() < most && sum + length <= bytes => {
                sum += length;
                last.push(step);
            }
            _ => {
                sum = length;
                all.push(vec![step]);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_fetched_in_portions() {
        let step = |length: u64| Step {
            path: "a".to_owned(),
            before: None,
            here: None,
            there: Some(Seen { entry: Entry::Folder, mode: 0, length, modified: 0, stamp: String::new() }),
        };
        let sizes = |steps: Vec<Step>| batches(steps).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(vec![step(1); 4500]), [2000, 2000, 500], "by number");
        assert_eq!(sizes(vec![step(FETCHED.1 - 1), step(1), step(1), step(FETCHED.1 * 2)]), [2, 1, 1], "by size");
    }
}
