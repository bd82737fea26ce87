//! Whether a volume holds anything that is not here: then nobody removes it, because there is no other copy. It is
//! known from the end of an agent's last round until the volume is given to the next container. It knows no engine.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::super::SyncError;
use super::{Record, Store};

/// How many of the things that are missing here are named.
const NAMED: usize = 3;

/// Held while a container may write to a tree's volume.
#[derive(Debug)]
pub(in super::super) struct Lent {
    key: String,
    /// What was known of it before.
    before: (bool, Vec<String>),
    all: Arc<Mutex<HashMap<String, usize>>>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.key);
            }
        }
    }
}

impl Store {
    /// A container may write to the volume from now on: what it holds may not be here.
    ///
    /// # Errors
    /// [`SyncError::Record`] where that cannot be written down.
    pub(in super::super) async fn lend(&self, here: &Path, life: &str) -> Result<Lent, SyncError> {
        let key = self.key(here);
        let _locked = self.lock(&key).await;
        let (store, here, life) = (self.clone(), here.to_owned(), life.to_owned());
        let before = blocking(move || {
            let record = store.load(&here, &life)?;
            let before = (record.whole, record.apart.clone());
            store.save(&Record { whole: false, apart: Vec::new(), ..record })?;
            Ok(before)
        })
        .await?;
        *self.counts().entry(key.clone()).or_default() += 1;
        Ok(Lent { key, before, all: Arc::clone(&self.lent) })
    }

    /// The container that `lent` was for is gone and has written nothing.
    ///
    /// # Errors
    /// [`SyncError::Record`] where that cannot be written down; then the volume stays.
    pub(in super::super) async fn take_back(&self, lent: Lent, here: &Path, life: &str) -> Result<(), SyncError> {
        let (whole, apart) = lent.before.clone();
        self.write_whole(&lent, here, life, whole, apart).await
    }

    /// The container that `lent` was for is gone, and a round after it has found this `apart`.
    ///
    /// # Errors
    /// [`SyncError::Record`] where that cannot be written down; then the volume stays.
    pub(in super::super) async fn settle_whole(
        &self,
        lent: &Lent,
        here: &Path,
        life: &str,
        apart: Vec<String>,
    ) -> Result<(), SyncError> {
        self.write_whole(lent, here, life, apart.is_empty(), apart).await
    }

    async fn write_whole(
        &self,
        lent: &Lent,
        here: &Path,
        life: &str,
        whole: bool,
        apart: Vec<String>,
    ) -> Result<(), SyncError> {
        let _locked = self.lock(&lent.key).await;
        // Whoever else has a container there writes on.
        if self.counts().get(&lent.key).is_some_and(|count| *count > 1) {
            return Ok(());
        }
        let (store, here, life) = (self.clone(), here.to_owned(), life.to_owned());
        blocking(move || {
            let record = store.load(&here, &life)?;
            let whole = whole && record.clashes.is_empty();
            store.save(&Record { whole, apart, ..record })
        })
        .await
    }

    /// True where a container may write to a tree's volume.
    pub(in super::super) fn is_lent(&self, key: &str) -> bool {
        self.counts().contains_key(key)
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, HashMap<String, usize>> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    /// Why the volume has to stay; none where it may go.
    pub(in super::super) fn why_needed(&self) -> Option<String> {
        if self.whole && self.clashes.is_empty() {
            return None;
        }
        let missing = if let Some(path) = self.clashes.keys().next() {
            let more = self.clashes.len() - 1;
            let more =
                if more > 0 { format!(" and {} more", super::super::counted(more, "file")) } else { String::new() };
            format!("{path}{more} changed on both sides, and you have not chosen yet")
        } else if self.apart.is_empty() {
            "what was written there last may not be here, because the last look at it failed or was cut off".to_owned()
        } else {
            let more = self.apart.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("not here is {}{more}", self.apart.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", "))
        };
        Some(format!(
            "it may hold the only copy of something for {}: {missing}. The next move into a container and back looks again",
            self.here.display()
        ))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SyncError> + Send + 'static,
) -> Result<T, SyncError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| SyncError::Here { path: String::new(), cause: error.to_string() })?
}

#[cfg(test)]
mod tests {
    use super::super::{Clash, Entry};
    use super::*;
    use crate::sync::{VOLUMES, needed};

    #[tokio::test]
    async fn a_volume_may_go_when_all_of_it_is_here_and_not_before() {
        let home = tempfile::tempdir().unwrap();
        let records = home.path().join("sync");
        let store = Store::new(records.clone(), home.path().join("conflicts"), "h1");
        let here = Path::new("/work/project");
        let volume = format!("{VOLUMES}{}", store.key(here));
        let why = || needed(Some(&records), &volume);
        assert!(
            why().is_some_and(|why| why.contains("another Gemra")),
            "of what nobody here knows, nobody here decides"
        );
        assert!(needed(None, &volume).is_some(), "nor without a home");
        assert_eq!(needed(Some(&records), "gemra-folder-0123"), None, "other volumes are not its affair");
        assert_eq!(Record::default().why_needed().map(drop), Some(()), "a record of before this was told says nothing");

        let one = store.lend(here, "1").await.unwrap();
        assert!(why().is_some_and(|why| why.contains("/work/project")), "a container may write to it");
        store.settle_whole(&one, here, "1", vec!["big: it is too large".to_owned()]).await.unwrap();
        assert!(why().is_some_and(|why| why.contains("big: it is too large")), "something is not here");
        let clash = Clash { here: None, there: Some(Entry::Folder), kept: None };
        let record = Record { clashes: [("both".to_owned(), clash)].into(), ..store.load(here, "1").unwrap() };
        store.save(&record).unwrap();
        store.settle_whole(&one, here, "1", Vec::new()).await.unwrap();
        assert!(why().is_some_and(|why| why.contains("both changed on both sides")), "nothing was chosen");
        store.save(&Record { clashes: std::collections::BTreeMap::new(), ..store.load(here, "1").unwrap() }).unwrap();
        assert!(why().is_some(), "what was chosen is there only after the next round");

        let other = store.lend(here, "1").await.unwrap();
        store.settle_whole(&one, here, "1", Vec::new()).await.unwrap();
        assert!(why().is_some(), "another tab's container writes on");
        drop(one);
        store.settle_whole(&other, here, "1", Vec::new()).await.unwrap();
        assert_eq!(why(), None, "the last one is gone, and all is here");
        drop(other);
        assert!(!store.is_lent(&store.key(here)), "nobody has it");
        let again = store.lend(here, "1").await.unwrap();
        assert!(why().is_some(), "the next container may write to it");
        store.take_back(again, here, "1").await.unwrap();
        assert_eq!(why(), None, "one that was not even begun has not");
        let again = store.lend(here, "1").await.unwrap();
        drop(again);
        assert!(why().is_some(), "and one that was never looked at again may have");
    }
}
