//! What has changed on both sides: a copy of theirs is kept here, and where the user has chosen, a folder that is in the
//! way there gets another name. Who wins is not known here.

use std::sync::{Arc, Mutex, PoisonError};

use super::super::SyncError;
use super::super::compare::Change;
use super::super::manifest::Entry;
use super::super::remote::{Before, Companion, Deed, Done, Task};
use super::super::rules::OURS;
use super::super::store::{Clash, Record, Store};
use super::super::tree::Tree;
use super::bring::{Step, put};
use super::{Looked, Root, aside};

impl Root {
    /// Where the user has chosen what is here, and a folder is in its place there, that gets another name first.
    pub(super) async fn move_aside(&self, companion: &Companion, store: &Store) -> Result<(), SyncError> {
        let (home, here, life) = (store.clone(), self.here.clone(), self.life.clone());
        let mut record = aside(move || home.load(&here, &life)).await?;
        if record.aside.is_empty() {
            return Ok(());
        }
        let task = |(path, to): (&String, &String)| Task {
            deed: Deed::Aside(to.clone()),
            before: Before::Any,
            path: path.clone(),
        };
        let tasks: Vec<Task> = record.aside.iter().map(task).collect();
        let nothing = format!("{OURS}{}", uuid::Uuid::new_v4().simple());
        let done = companion.apply(&self.there, &nothing, &tasks).await?;
        if let Some((task, _)) = tasks.iter().zip(&done).find(|(_, done)| **done == Done::Failed) {
            return Err(SyncError::there("A folder could not be renamed there", task.path.clone()));
        }
        // What lies behind a link by now is another thing, and is compared as such.
        record.aside.clear();
        let home = store.clone();
        aside(move || home.save(&record)).await
    }

    /// Keeps a copy of theirs of what has changed on both sides.
    pub(super) async fn keep(
        &self,
        companion: &Companion,
        store: &Store,
        looked: &Looked,
        conflicts: &[Change],
        record: &mut Record,
    ) -> Result<(), SyncError> {
        let mut clashes = std::mem::take(&mut record.clashes);
        let mut fetched: Vec<String> = Vec::new();
        for change in conflicts {
            let known = clashes.remove(&change.path);
            let (known, old): (Option<Clash>, Option<Clash>) = match known {
                Some(clash) if clash.there == change.there && clash.kept.as_ref().is_none_or(|kept| kept.exists()) => {
                    (Some(clash), None)
                }
                old => (None, old),
            };
            if let Some(old) = old.and_then(|old| old.kept) {
                // Whoever wrote it has written another; a copy of each would never end.
                let _ = std::fs::remove_file(old);
            }
            if known.is_none() && matches!(change.there, Some(Entry::File { .. })) {
                fetched.push(change.path.clone());
            }
            let kept = known.and_then(|clash| clash.kept);
            let clash = Clash { here: change.here.clone(), there: change.there.clone(), kept };
            record.clashes.insert(change.path.clone(), clash);
        }
        if fetched.is_empty() {
            return Ok(());
        }
        let (home, here) = (store.clone(), self.here.clone());
        let folder = aside(move || {
            let failed =
                |error: std::io::Error| SyncError::Here { path: here.display().to_string(), cause: error.to_string() };
            home.new_kept(&here).map_err(failed)
        });
        let folder = folder.await?;
        let steps: Vec<Step> = fetched
            .iter()
            .map(|path| Step {
                path: path.clone(),
                before: None,
                there: looked.there.seen.get(path).cloned(),
                here: None,
            })
            .collect();
        let results = Arc::new(Mutex::new(Vec::new()));
        let (into, kept_in) = (Arc::clone(&results), folder.clone());
        let take = move |number: usize, _: u64, bytes: &mut dyn std::io::Read| {
            let tree = Tree::open(&kept_in, crate::owner::of_us())?;
            if let Some(step) = steps.get(number)
                && let Ok(Some(entry)) = put(&tree, step, bytes)
            {
                into.lock().unwrap_or_else(PoisonError::into_inner).push((step.path.clone(), entry));
            }
            Ok(())
        };
        companion.fetch(&self.there, &fetched, &Arc::default(), take).await?;
        for (path, entry) in results.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            if let Some(clash) = record.clashes.get_mut(&path) {
                clash.kept = Some(folder.join(&path));
                clash.there = Some(entry);
            }
        }
        Ok(())
    }
}
