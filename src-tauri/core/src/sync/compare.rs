//! Decides what goes where: a pure function of what two trees were when they were last the same, and what they are now.
//! Where only one side has changed, the other follows; where both have, differently, nobody does. It moves nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::manifest::{Entry, Manifest, above, below};

/// What is to be done at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// Where.
    pub(crate) path: String,
    /// What is here; none where nothing is.
    pub(crate) here: Option<Entry>,
    /// What is there.
    pub(crate) there: Option<Entry>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Plan {
    /// Changed here alone: there follows.
    pub(crate) up: Vec<Change>,
    /// Changed there alone: here follows.
    pub(crate) down: Vec<Change>,
    /// Changed on both sides: nobody follows.
    pub(crate) conflicts: Vec<Change>,
    /// The same on both sides, and not as it was: nothing is to be done, but to know it.
    pub(crate) settled: Vec<(String, Option<Entry>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
    Conflict,
}

/// Compares. `held` are paths of which one side could not be read: they and what is below them stay as they are.
pub(crate) fn compare(base: &Manifest, here: &Manifest, there: &Manifest, held: &BTreeSet<String>) -> Plan {
    let paths: BTreeSet<&String> = base.keys().chain(here.keys()).chain(there.keys()).collect();
    let mut plan = Plan::default();
    let mut ways: BTreeMap<String, Way> = BTreeMap::new();
    for path in paths {
        if held.contains(path) || above(path).any(|folder| held.contains(folder)) {
            continue;
        }
        let [before, mine, theirs] = [base, here, there].map(|side| side.get(path));
        if mine == theirs {
            if before != mine {
                plan.settled.push((path.clone(), mine.cloned()));
            }
            continue;
        }
        let way = match (mine == before, theirs == before) {
            (false, true) => Way::Up,
            (true, false) => Way::Down,
            _ => Way::Conflict,
        };
        ways.insert(path.clone(), way);
    }
    let lost = over_folders(&ways, here, there);
    ways.extend(lost.into_iter().map(|path| (path, Way::Conflict)));
    // Below what both want to be something else, nothing can follow.
    let blocked: BTreeSet<String> = ways
        .iter()
        .filter(|(path, way)| **way == Way::Conflict && stands_in_the_way(here.get(*path), there.get(*path)))
        .map(|(path, _)| path.clone())
        .collect();
    for (path, way) in ways {
        if above(&path).any(|folder| blocked.contains(folder)) {
            continue;
        }
        let (here, there) = (here.get(&path).cloned(), there.get(&path).cloned());
        let change = Change { path, here, there };
        match way {
            Way::Up => plan.up.push(change),
            Way::Down => plan.down.push(change),
            Way::Conflict => plan.conflicts.push(change),
        }
    }
    plan
}

/// Folders that one side has made into something else, while the other has changed something in them.
fn over_folders(ways: &BTreeMap<String, Way>, here: &Manifest, there: &Manifest) -> Vec<String> {
    let lost = |(path, way): &(&String, &Way)| {
        let (from, to) = match way {
            Way::Up => (here, there),
            Way::Down => (there, here),
            Way::Conflict => return false,
        };
        let becomes_another = from.get(*path).is_some_and(|entry| !entry.is_folder());
        let was_folder = to.get(*path).is_some_and(Entry::is_folder);
        becomes_another && was_folder && below(to, path).any(|(below, _)| ways.get(below) != Some(way))
    };
    ways.iter().filter(lost).map(|(path, _)| path.clone()).collect()
}

/// True where one side has a folder and the other something that cannot hold what is in it.
fn stands_in_the_way(here: Option<&Entry>, there: Option<&Entry>) -> bool {
    here.is_some_and(Entry::is_folder) != there.is_some_and(Entry::is_folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Entries<'a> = Vec<(&'a str, Option<Entry>)>;
    /// What it is here, what it is there; what goes up, comes down, and is in conflict.
    type Row<'a> = (&'a str, Entries<'a>, Entries<'a>, [&'a [&'a str]; 3]);

    #[allow(clippy::unnecessary_wraps)] // As what is at a path, where there may be nothing.
    fn file(digest: &str, mode: u32) -> Option<Entry> {
        Some(Entry::File { digest: digest.to_owned(), mode })
    }

    #[allow(clippy::unnecessary_wraps)] // As above.
    fn link(target: &str) -> Option<Entry> {
        Some(Entry::Link { target: target.to_owned() })
    }

    fn kinds() -> Vec<Option<Entry>> {
        vec![None, Some(Entry::Folder), file("a", 0o644), file("b", 0o644), file("a", 0o755), link("a"), link("b")]
    }

    fn tree(entries: &[(&str, Option<Entry>)]) -> Manifest {
        entries.iter().filter_map(|(path, entry)| Some(((*path).to_owned(), entry.clone()?))).collect()
    }

    fn paths(changes: &[Change]) -> Vec<&str> {
        changes.iter().map(|change| change.path.as_str()).collect()
    }

    /// Each kind was, is here and is there: 343 rows.
    #[test]
    fn every_combination_goes_where_only_one_side_has_changed_and_nowhere_else() {
        for was in kinds() {
            for here in kinds() {
                for there in kinds() {
                    let [base, left, right] = [&was, &here, &there].map(|entry| tree(&[("path", entry.clone())]));
                    let plan = compare(&base, &left, &right, &BTreeSet::new());
                    let row = format!("was {was:?}, is {here:?} here and {there:?} there: {plan:?}");
                    let moves = (paths(&plan.up), paths(&plan.down), paths(&plan.conflicts));
                    let one = vec!["path"];
                    let expected = if here == there {
                        (vec![], vec![], vec![])
                    } else if there == was {
                        (one, vec![], vec![])
                    } else if here == was {
                        (vec![], one, vec![])
                    } else {
                        (vec![], vec![], one)
                    };
                    assert_eq!(moves, expected, "{row}");
                    let learned = here == there && here != was;
                    assert_eq!(plan.settled.len(), usize::from(learned), "what is the same is learned: {row}");
                    let change = plan.up.iter().chain(&plan.down).chain(&plan.conflicts).next();
                    if let Some(change) = change {
                        assert_eq!((&change.here, &change.there), (&here, &there), "both are told: {row}");
                    }
                }
            }
        }
    }

    #[test]
    fn folders_and_what_is_in_them() {
        let folder = || Some(Entry::Folder);
        let old = [("a", folder()), ("a/x", file("1", 0o644)), ("a/y", file("1", 0o644))];
        let without = |paths: &[&str]| -> Vec<(&str, Option<Entry>)> {
            old.iter().filter(|(path, _)| !paths.contains(path)).cloned().collect()
        };
        let with = |more: &[(&'static str, Option<Entry>)], paths: &[&str]| {
            let mut all = without(paths);
            all.extend(more.iter().cloned());
            all
        };
        let all = ["a", "a/x", "a/y"];
        let rows: Vec<Row> = vec![
            ("removed here", without(&all), old.to_vec(), [&all, &[], &[]]),
            ("removed there", old.to_vec(), without(&all), [&[], &all, &[]]),
            ("removed on both sides", without(&all), without(&all), [&[], &[], &[]]),
            (
                "removed here, and a file in it changed there",
                without(&all),
                with(&[("a/x", file("2", 0o644))], &["a/x"]),
                [&["a", "a/y"], &[], &["a/x"]],
            ),
            (
                "removed here, and a new file in it there",
                without(&all),
                with(&[("a/z", file("2", 0o644))], &[]),
                [&all, &["a/z"], &[]],
            ),
            (
                "a file here where the folder was, and nothing else there",
                with(&[("a", file("3", 0o644))], &all),
                old.to_vec(),
                [&all, &[], &[]],
            ),
            (
                "a file here where the folder was, and a new file in it there",
                with(&[("a", file("3", 0o644))], &all),
                with(&[("a/z", file("2", 0o644))], &[]),
                [&[], &[], &["a"]],
            ),
            (
                "a link there where the folder was, and a changed file in it here",
                with(&[("a/x", file("2", 0o644))], &["a/x"]),
                with(&[("a", link("b"))], &all),
                [&[], &[], &["a"]],
            ),
        ];
        for (what, here, there, expected) in rows {
            let plan = compare(&tree(&old), &tree(&here), &tree(&there), &BTreeSet::new());
            let got = [paths(&plan.up), paths(&plan.down), paths(&plan.conflicts)];
            assert_eq!(got, expected.map(<[&str]>::to_vec), "{what}: {plan:?}");
        }
    }

    #[test]
    fn what_could_not_be_read_stays_as_it_is_on_both_sides() {
        let base = tree(&[("a", Some(Entry::Folder)), ("a/x", file("1", 0o644)), ("b", file("1", 0o644))]);
        let plan = compare(&base, &Manifest::new(), &base, &["a".to_owned()].into());
        assert_eq!(paths(&plan.up), ["b"], "a folder that could not be opened is not taken for a removed one");
    }
}
