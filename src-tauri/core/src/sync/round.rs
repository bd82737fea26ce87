//! One round over one tree: looks at both sides, carries what has changed on one of them, keeps what has changed on
//! both, and remembers what is the same now. It does not know when rounds are due.

mod bring;
mod clashes;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use super::archive::Parcel;
use super::compare::{Change, Plan, compare};
use super::links::stays_inside;
use super::manifest::{Entry, PERMISSIONS};
use super::remote::{Before, Companion, Deed, Done, Listing, Task};
use super::rules::{FILES, OURS, Rules};
use super::scan::{Known, LARGEST, Seen, Side, scan};
use super::store::{Record, Store};
use super::tree::Tree;
use super::{Conflict, Folder, Kind, SyncError};
use crate::owner::Owner;
use bring::{Step, Written, batches, put, remember, without_bytes};

/// How often both sides are looked at in one round, where something changes meanwhile.
const LOOKS: usize = 5;
/// How many folders need not be listed there because the rules name them.
const PRUNED: usize = 200;
/// The kinds of files, as the listing gives them.
const KIND: u32 = 0o170_000;
/// Why a socket or a pipe is not carried. It holds nothing that could be lost.
const NOTHING_TO_CARRY: &str = "it is neither a file nor a folder nor a link";

/// A tree and its counterpart.
#[derive(Debug)]
pub(super) struct Root {
    /// Here.
    pub(super) here: PathBuf,
    /// In the companion.
    pub(super) there: String,
    /// Which life of the volume.
    pub(super) life: String,
    /// What the folder is to Gemra.
    pub(super) kind: Kind,
    /// Whose the files are here.
    pub(super) owner: Owner,
    known_here: Known,
    known_there: Known,
    pruned: Vec<String>,
}

/// Which ways a round may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ways {
    Both,
    /// Only from here to there.
    Up,
}

/// What a round has done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Outcome {
    pub(super) sent: usize,
    pub(super) brought: usize,
    /// How many files there are on this side.
    pub(super) files: usize,
    pub(super) conflicts: Vec<Conflict>,
    /// What is not carried, and why.
    pub(super) held: Vec<(String, String)>,
    /// What is there and not here, as far as it is known; none where all is here. What the rules name does not count.
    pub(super) apart: Vec<String>,
}

/// Both sides, as they were looked at.
struct Looked {
    tree: Arc<Tree>,
    here: Side,
    there: Side,
    /// True where nothing at all is there, not even what is ignored.
    blank: bool,
}

impl Looked {
    /// What may be there and is not here, of what is not carried.
    fn apart(&self, held: &[(String, String)]) -> Vec<String> {
        let is_there = |path: &str| {
            let below = format!("{path}/");
            let seen = &self.there.seen;
            self.there.held.get(path).is_some_and(|why| why != NOTHING_TO_CARRY)
                || seen.contains_key(path)
                || seen.range(below.clone()..).next().is_some_and(|(next, _)| next.starts_with(&below))
        };
        let counts = |(path, why): &&(String, String)| {
            why != NOTHING_TO_CARRY && (!self.here.held.contains_key(path) || is_there(path))
        };
        let mut apart: Vec<String> = held.iter().filter(counts).map(|(path, why)| format!("{path}: {why}")).collect();
        if self.there.partial {
            apart.push("not everything there could be listed".to_owned());
        }
        apart
    }
}

impl Root {
    pub(super) fn new(folder: Folder, there: String, life: String, owner: Owner) -> Self {
        Self {
            here: folder.here,
            there,
            life,
            kind: folder.kind,
            owner,
            known_here: Known::new(),
            known_there: Known::new(),
            pruned: Vec::new(),
        }
    }

    /// Carries what has changed.
    ///
    /// # Errors
    /// [`SyncError`]; what was carried until then is remembered.
    pub(super) async fn round(
        &mut self,
        ways: Ways,
        companion: &Companion,
        store: &Store,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<Outcome, SyncError> {
        let key = store.key(&self.here);
        let _locked = store.lock(&key).await;
        let mut all = Outcome::default();
        self.move_aside(companion, store).await?;
        for _ in 0..LOOKS {
            let looked = self.look(companion).await?;
            let (home, here, life) = (store.clone(), self.here.clone(), self.life.clone());
            let mut record = aside(move || home.load(&here, &life)).await?;
            all.held = looked.here.held.iter().chain(&looked.there.held).map(|(a, b)| (a.clone(), b.clone())).collect();
            all.files = looked.here.seen.len();
            self.refuse_emptied(&looked, &record)?;
            let mut held = looked.here.held_paths();
            held.extend(looked.there.held_paths());
            let (base, here, there) = (record.base.clone(), looked.here.manifest(), looked.there.manifest());
            let mut plan = aside(move || Ok(compare(&base, &here, &there, &held))).await?;
            if ways == Ways::Up {
                plan.down.clear();
                plan.conflicts.clear();
            }
            let rules_first = first_the_rules(&mut plan);
            let mut again = rules_first;
            self.leave_outward_links(&mut plan, &mut all);
            let before = record.clone();
            if looked.blank && ways == Ways::Up && !store.is_lent(&key) {
                // All that will be there comes from here, as long as nobody else writes to it.
                record.whole = true;
            }
            all.apart = looked.apart(&all.held);
            let mut carried = self.carry(companion, &looked, &plan, &mut record, tell).await;
            if !rules_first && ways == Ways::Both && carried.is_ok() {
                let kept = self.keep(companion, store, &looked, &plan.conflicts, &mut record).await;
                carried = kept.and(carried);
            }
            if record != before {
                let (home, saved) = (store.clone(), record.clone());
                aside(move || home.save(&saved)).await?;
            }
            let (sent, brought, late) = carried?;
            all.sent += sent;
            all.brought += brought;
            all.conflicts = record.conflicts();
            again |= late;
            if !again {
                return Ok(all);
            }
        }
        all.apart.push("something changed again each time it was looked at".to_owned());
        Ok(all)
    }

    async fn look(&mut self, companion: &Companion) -> Result<Looked, SyncError> {
        let (here, owner, is_ruled) = (self.here.clone(), self.owner, self.kind == Kind::Project);
        let mut known = std::mem::take(&mut self.known_here);
        let scanned = aside(move || {
            let unreadable =
                |error: std::io::Error| SyncError::Here { path: here.display().to_string(), cause: error.to_string() };
            let tree = Tree::open(&here, owner).map_err(unreadable)?;
            let mut rules = if is_ruled { Rules::of(&here) } else { Rules::none() };
            let side = scan(&tree, &mut rules, &mut known)?;
            Ok((tree, rules, side, known))
        });
        let (tree, rules, here, known) = scanned.await?;
        self.known_here = known;
        self.pruned.retain(|path| rules.ignores_all_below(path));
        let listing = companion.list(&self.there, &self.pruned).await?;
        let blank = listing.paths.is_empty() && listing.held.is_empty() && listing.whole && self.pruned.is_empty();
        let there = self.there(companion, &rules, listing).await?;
        Ok(Looked { tree: Arc::new(tree), here, there, blank })
    }

    /// Makes a side of a listing: asks for the digests and targets that are not known.
    async fn there(&mut self, companion: &Companion, rules: &Rules, listing: Listing) -> Result<Side, SyncError> {
        let mut side = Side::default();
        let mut next = Known::new();
        let (mut files, mut links) = (Vec::new(), Vec::new());
        let mut known = std::mem::take(&mut self.known_there);
        let mut paths: Vec<_> = listing.paths.into_iter().collect();
        paths.sort_by(|one, other| one.0.cmp(&other.0));
        if paths.len() > super::scan::MOST {
            return Err(SyncError::TooMuch { limit: format!("{} files", super::scan::MOST) });
        }
        for (path, listed) in paths {
            let kind = listed.mode & KIND;
            let is_folder = kind == 0o040_000;
            if rules.ignores(&path, is_folder) {
                let covered = self.pruned.iter().any(|above| path.starts_with(&format!("{above}/")));
                if is_folder && !covered && self.pruned.len() < PRUNED && rules.ignores_all_below(&path) {
                    self.pruned.push(path);
                }
                continue;
            }
            let seen = |entry: Entry| Seen {
                entry,
                mode: listed.mode & PERMISSIONS,
                length: listed.length,
                modified: listed.modified,
                stamp: listed.stamp.clone(),
            };
            match kind {
                0o040_000 => drop(side.seen.insert(path, seen(Entry::Folder))),
                0o100_000 if listed.length > LARGEST => {
                    side.held.insert(path, format!("it is larger than {} GB", LARGEST / (1024 * 1024 * 1024)));
                }
                0o100_000 | 0o120_000 => match known.remove(&path) {
                    Some((mark, value)) if mark == listed.stamp => {
                        let entry = entry(kind, value.clone(), listed.mode);
                        side.seen.insert(path.clone(), seen(entry));
                        next.insert(path, (mark, value));
                    }
                    _ if kind == 0o100_000 => files.push((path, listed)),
                    _ => links.push((path, listed)),
                },
                _ => drop(side.held.insert(path, NOTHING_TO_CARRY.to_owned())),
            }
        }
        let names =
            |all: &[(String, super::remote::Listed)]| all.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
        let mut values: HashMap<String, String> = HashMap::new();
        if !files.is_empty() {
            values = companion.digests(&self.there, &names(&files)).await?;
        }
        if !links.is_empty() {
            let paths = names(&links);
            let targets = companion.links(&self.there, &paths).await?;
            values.extend(paths.into_iter().zip(targets).filter_map(|(path, target)| Some((path, target?))));
        }
        for (path, listed) in files.into_iter().chain(links) {
            let Some(value) = values.remove(&path) else {
                // It has gone, or changes; the next look tells.
                side.held.insert(path, "it changes at this moment".to_owned());
                continue;
            };
            let entry = entry(listed.mode & KIND, value.clone(), listed.mode);
            if !listed.recent {
                next.insert(path.clone(), (listed.stamp.clone(), value));
            }
            let (mode, length) = (listed.mode & PERMISSIONS, listed.length);
            let seen = Seen { entry, mode, length, modified: listed.modified, stamp: listed.stamp };
            side.seen.insert(path, seen);
        }
        side.held.extend(listing.held.into_iter().map(|path| (path, "its name cannot be carried".to_owned())));
        side.partial = !listing.whole;
        self.known_there = next;
        Ok(side)
    }

    /// A disk that is not mounted, or a volume that somebody has emptied, looks like a tree of which all was removed.
    fn refuse_emptied(&self, looked: &Looked, record: &Record) -> Result<(), SyncError> {
        let full = |side: &Side| !side.seen.is_empty();
        let files = record.base.values().filter(|entry| !entry.is_folder()).count();
        // Conversations are removed by the CLI when they are old, all of them it may be.
        if files == 0 || self.kind == Kind::Conversations {
            return Ok(());
        }
        if !full(&looked.here) && full(&looked.there) {
            return Err(SyncError::Emptied { path: self.here.clone(), there: false });
        }
        if !full(&looked.there) && full(&looked.here) {
            return Err(SyncError::Emptied { path: self.here.clone(), there: true });
        }
        Ok(())
    }

    /// Links that lead out of the workspace stay there: here, what they lead to is somebody's own.
    fn leave_outward_links(&self, plan: &mut Plan, all: &mut Outcome) {
        plan.down.retain(|change| match &change.there {
            Some(Entry::Link { target }) if !stays_inside(&change.path, target, &self.here) => {
                all.held.push((change.path.clone(), format!("it is a link that leads out, to {target}")));
                false
            }
            _ => true,
        });
    }

    /// What was sent, what was brought, and whether something was late.
    async fn carry(
        &self,
        companion: &Companion,
        looked: &Looked,
        plan: &Plan,
        record: &mut Record,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(usize, usize, bool), SyncError> {
        for (path, entry) in &plan.settled {
            remember(record, path, entry.clone());
        }
        // A partial listing lacks what may be there.
        let down: Vec<&Change> =
            plan.down.iter().filter(|change| change.there.is_some() || !looked.there.partial).collect();
        let counted = Arc::new(AtomicU64::new(0));
        let (sent, late_up) = self.up(companion, looked, &plan.up, record, &counted, tell).await?;
        let (brought, late_down) = self.down(companion, looked, &down, record, &counted, tell).await?;
        Ok((sent, brought, late_up || late_down))
    }

    async fn up(
        &self,
        companion: &Companion,
        looked: &Looked,
        changes: &[Change],
        record: &mut Record,
        counted: &Arc<AtomicU64>,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(usize, bool), SyncError> {
        if changes.is_empty() {
            return Ok((0, false));
        }
        let here = |change: &Change| looked.here.seen.get(&change.path);
        tell(in_words("Sending", changes.iter().filter_map(here)));
        if looked.blank && changes.iter().all(|change| change.here.is_some()) {
            // Nobody can be using what is not there yet.
            let parcels = changes.iter().filter_map(|change| {
                Some(Parcel { name: change.path.clone(), path: change.path.clone(), seen: here(change)?.clone() })
            });
            let sent = companion.send(&self.there, &looked.tree, parcels.collect(), counted).await?;
            let mut count = 0;
            for change in changes {
                let entry = change.here.clone().and_then(|entry| as_sent(entry, sent.get(&change.path)));
                if entry.is_some() {
                    count += 1;
                    remember(record, &change.path, entry);
                }
            }
            return Ok((count, count < changes.len()));
        }
        let incoming = format!("{OURS}{}", uuid::Uuid::new_v4().simple());
        let (mut tasks, mut parcels) = (removals(looked, changes), Vec::new());
        let first = tasks.len();
        let mut making: Vec<&Change> = Vec::new();
        for change in changes {
            let Some(seen) = here(change) else { continue };
            let replaced = change.there.as_ref().is_some_and(|there| there.is_folder() != seen.entry.is_folder());
            let before = match looked.there.seen.get(&change.path) {
                Some(there) if !replaced => Before::Stamp(there.stamp.clone()),
                _ => Before::Nothing,
            };
            let deed = if seen.entry.is_folder() { Deed::MakeFolder(seen.mode) } else { Deed::Move };
            let before = if seen.entry.is_folder() { Before::Any } else { before };
            tasks.push(Task { deed: deed.clone(), before, path: change.path.clone() });
            making.push(change);
            if deed == Deed::Move {
                let name = format!("{incoming}/{}", tasks.len());
                parcels.push(Parcel { name, path: change.path.clone(), seen: seen.clone() });
            }
        }
        let sent = if parcels.is_empty() {
            super::archive::Sent::new()
        } else {
            let folder = Seen { entry: Entry::Folder, mode: 0o700, length: 0, modified: 0, stamp: String::new() };
            parcels.insert(0, Parcel { name: incoming.clone(), path: String::new(), seen: folder });
            companion.send(&self.there, &looked.tree, parcels, counted).await?
        };
        let done = companion.apply(&self.there, &incoming, &tasks).await?;
        let mut count = 0;
        let gone = tasks.iter().zip(&done).take(first);
        for (task, done) in gone {
            if *done == Done::InPlace && !looked.here.seen.contains_key(&task.path) {
                count += 1;
                remember(record, &task.path, None);
            }
        }
        for (change, done) in making.iter().zip(&done[first..]) {
            let entry = change.here.clone().and_then(|entry| as_sent(entry, sent.get(&change.path)));
            if *done == Done::InPlace && entry.is_some() {
                count += 1;
                remember(record, &change.path, entry);
            }
        }
        let failed = tasks.iter().zip(&done).find(|(_, done)| **done == Done::Failed);
        if let Some((task, _)) = failed {
            return Err(SyncError::there("A file could not be put in place there", task.path.clone()));
        }
        Ok((count, done.iter().any(|done| matches!(done, Done::Changed | Done::Missing))))
    }

    async fn down(
        &self,
        companion: &Companion,
        looked: &Looked,
        changes: &[&Change],
        record: &mut Record,
        counted: &Arc<AtomicU64>,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(usize, bool), SyncError> {
        if changes.is_empty() {
            return Ok((0, false));
        }
        let there = |change: &&Change| looked.there.seen.get(&change.path);
        let bringing: Vec<&Seen> = changes.iter().filter_map(there).collect();
        if !bringing.is_empty() {
            tell(in_words("Bringing back", bringing.into_iter()));
        }
        let mut written = Written::default();
        let steps: Vec<Step> = changes.iter().map(|change| Step::of(change, looked)).collect();
        let (tree, plain) = (Arc::clone(&looked.tree), steps.clone());
        written.take(aside(move || Ok(without_bytes(&tree, &plain))).await?);
        let files: Vec<Step> = steps
            .into_iter()
            .filter(|step| matches!(step.there, Some(Seen { entry: Entry::File { .. }, .. })))
            .collect();
        for batch in batches(files) {
            let paths: Vec<String> = batch.iter().map(|step| step.path.clone()).collect();
            let results = Arc::new(Mutex::new(Written::default()));
            let (tree, into) = (Arc::clone(&looked.tree), Arc::clone(&results));
            let take = move |number: usize, _: u64, bytes: &mut dyn std::io::Read| {
                if let Some(step) = batch.get(number) {
                    let done = put(&tree, step, bytes);
                    into.lock().unwrap_or_else(PoisonError::into_inner).note(&step.path, done);
                }
                Ok(())
            };
            let fetched = companion.fetch(&self.there, &paths, counted, take).await;
            written.take(std::mem::take(&mut *results.lock().unwrap_or_else(PoisonError::into_inner)));
            if let Err(error) = fetched {
                written.remembered(record);
                return Err(error);
            }
        }
        let expected = changes.len();
        let count = written.remembered(record);
        match written.failed {
            Some((path, cause)) => Err(SyncError::Here { path: self.here.join(path).display().to_string(), cause }),
            None => Ok((count, written.late || count + written.stayed < expected)),
        }
    }
}

/// What has to go there before something else can come, and what goes for good; the deepest first.
fn removals(looked: &Looked, changes: &[Change]) -> Vec<Task> {
    let goes = |change: &&Change| match (&change.here, &change.there) {
        (None, Some(_)) => true,
        (Some(here), Some(there)) => here.is_folder() != there.is_folder(),
        (_, None) => false,
    };
    let task = |change: &Change| {
        let is_folder = change.there.as_ref().is_some_and(Entry::is_folder);
        let stamp = looked.there.seen.get(&change.path).map(|seen| seen.stamp.clone());
        let before = stamp.filter(|_| !is_folder).map_or(Before::Any, Before::Stamp);
        let deed = if is_folder { Deed::RemoveFolder } else { Deed::Remove };
        Task { deed, before, path: change.path.clone() }
    };
    changes.iter().rev().filter(goes).map(task).collect()
}

/// Where new rules come, nothing else does in that pass: what they name need not come at all.
fn first_the_rules(plan: &mut Plan) -> bool {
    let is_rules = |change: &Change| {
        let name = change.path.rsplit('/').next().unwrap_or_default();
        FILES.contains(&name) && change.there.is_some()
    };
    if !plan.down.iter().any(is_rules) || plan.down.iter().all(is_rules) {
        return plan.down.iter().any(is_rules);
    }
    plan.down.retain(is_rules);
    plan.up.clear();
    plan.conflicts.clear();
    true
}

fn entry(kind: u32, value: String, mode: u32) -> Entry {
    if kind == 0o120_000 {
        Entry::Link { target: value }
    } else {
        Entry::File { digest: value, mode: mode & PERMISSIONS }
    }
}

/// What the other side has now: of a file, what was sent of it.
fn as_sent(entry: Entry, digest: Option<&String>) -> Option<Entry> {
    match entry {
        Entry::File { mode, .. } => Some(Entry::File { digest: digest?.clone(), mode }),
        entry => Some(entry),
    }
}

/// "Sending 1,234 files (56 MB)".
fn in_words<'a>(doing: &str, all: impl Iterator<Item = &'a Seen>) -> String {
    let files = all.filter(|seen| !seen.entry.is_folder()).fold((0_usize, 0_u64), |(count, bytes), seen| {
        let length = if matches!(seen.entry, Entry::File { .. }) { seen.length } else { 0 };
        (count + 1, bytes + length)
    });
    let (count, bytes) = files;
    format!("{doing} {} ({})", super::counted(count, "file"), super::size(bytes))
}

/// Does something that blocks.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SyncError> + Send + 'static,
) -> Result<T, SyncError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(SyncError::Here { path: String::new(), cause: error.to_string() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_come_before_what_they_are_about() {
        let change = |path: &str| Change { path: path.to_owned(), here: None, there: Some(Entry::Folder) };
        let all = vec![change("app"), change("app/.gitignore"), change("app/node_modules/x")];
        let mut plan = Plan { down: all, up: vec![change("b")], ..Plan::default() };
        assert!(first_the_rules(&mut plan), "another look follows");
        assert_eq!(plan.down.len(), 1, "with the rules alone");
        assert!(plan.up.is_empty(), "and nothing else");
        let mut plan = Plan { down: vec![change("a")], ..Plan::default() };
        assert!(!first_the_rules(&mut plan) && plan.down.len() == 1, "without rules all comes at once");
    }
}
