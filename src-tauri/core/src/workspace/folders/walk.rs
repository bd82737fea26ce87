//! Which folders of a project a pattern means, without looking where none of them can be: not into what is found, not
//! where the pattern does not lead, and by `**` not into what git ignores. It makes nothing, and follows no link.

use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// How deep patterns reach.
const DEEPEST: usize = 12;

/// A pattern with `*`, `?`, `[` or `{`.
#[derive(Debug)]
pub(super) struct Pattern {
    whole: GlobMatcher,
    /// Its parts between slashes; `None` leads anywhere.
    parts: Vec<Option<GlobMatcher>>,
}

/// Where a folder lies on the way of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Leads {
    Nowhere,
    /// By `**`.
    Anywhere,
    /// By the folder's own name, or a pattern for just that place.
    Here,
}

impl Pattern {
    /// Reads one.
    ///
    /// # Errors
    /// The library's words where it is none.
    pub(super) fn read(text: &str) -> Result<Self, globset::Error> {
        let glob =
            |text: &str| GlobBuilder::new(text).literal_separator(true).build().map(|glob| glob.compile_matcher());
        // A choice may hold slashes of its own, so that it leads anywhere.
        let parts = if text.contains(['{', '[']) && text.contains('/') {
            vec![None]
        } else {
            let part = |part: &str| if part == "**" { Ok(None) } else { glob(part).map(Some) };
            text.split('/').map(part).collect::<Result<_, _>>()?
        };
        Ok(Self { whole: glob(text)?, parts })
    }

    fn leads(&self, path: &str) -> Leads {
        let mut parts = self.parts.iter();
        for name in path.split('/') {
            match parts.next() {
                Some(None) => return Leads::Anywhere,
                Some(Some(part)) if part.is_match(name) => {}
                Some(Some(_)) | None => return Leads::Nowhere,
            }
        }
        if parts.len() > 0 { Leads::Here } else { Leads::Nowhere }
    }
}

/// A look through a project.
pub(super) struct Walk<'a> {
    pub(super) patterns: &'a [Pattern],
    /// How many folders may be looked at still.
    pub(super) left: usize,
    /// How many may be found.
    pub(super) most: usize,
    /// What was found, from the project's folder on.
    pub(super) found: Vec<String>,
    /// True where it ended before all was seen.
    pub(super) cut: bool,
}

impl Walk<'_> {
    /// Looks below `root`.
    pub(super) fn go(&mut self, root: &Path) {
        let mut rules = Vec::new();
        self.enter(root, "", DEEPEST, &mut rules);
    }

    fn enter(&mut self, folder: &Path, at: &str, deeper: usize, rules: &mut Vec<(usize, Gitignore)>) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        let above = if at.is_empty() { 0 } else { at.len() + 1 };
        let known = rules.len();
        rules.extend(ignored_by(folder).map(|own| (above, own)));
        for entry in entries.flatten() {
            // The type of a link is that of the link itself.
            let (Ok(kind), Ok(name)) = (entry.file_type(), entry.file_name().into_string()) else { continue };
            if !kind.is_dir() || name == ".git" {
                continue;
            }
            if self.left == 0 || self.found.len() > self.most {
                self.cut = self.left == 0;
                break;
            }
            self.left -= 1;
            let path = if at.is_empty() { name } else { format!("{at}/{name}") };
            if self.patterns.iter().any(|pattern| pattern.whole.is_match(&path)) {
                self.found.push(path);
                continue;
            }
            let leads = self.patterns.iter().map(|pattern| pattern.leads(&path)).max().unwrap_or(Leads::Nowhere);
            let goes = match leads {
                Leads::Here => true,
                Leads::Anywhere => !is_ignored(&path, rules),
                Leads::Nowhere => false,
            };
            if goes && deeper > 0 {
                self.enter(&entry.path(), &path, deeper - 1, rules);
            }
        }
        rules.truncate(known);
    }
}

/// What a folder's own `.gitignore` names, where it has one.
fn ignored_by(folder: &Path) -> Option<Gitignore> {
    let text = std::fs::read_to_string(folder.join(".gitignore")).ok()?;
    let mut builder = GitignoreBuilder::new("");
    for line in text.lines() {
        // A line that is no pattern means nothing to git either.
        let _ = builder.add_line(None, line);
    }
    builder.build().ok().filter(|rules| !rules.is_empty())
}

/// Whether git ignores a folder; the deepest folder that says something decides.
fn is_ignored(path: &str, rules: &[(usize, Gitignore)]) -> bool {
    let said = rules.iter().rev().find_map(|(above, rules)| match rules.matched(&path[*above..], true) {
        Match::Ignore(_) => Some(true),
        Match::Whitelist(_) => Some(false),
        Match::None => None,
    });
    said.unwrap_or_default()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn walk(root: &Path, patterns: &[&str], left: usize) -> (Vec<String>, usize, bool) {
        let patterns: Vec<Pattern> = patterns.iter().map(|text| Pattern::read(text).unwrap()).collect();
        let mut walk = Walk { patterns: &patterns, left, most: 64, found: Vec::new(), cut: false };
        walk.go(root);
        walk.found.sort();
        (walk.found, left - walk.left, walk.cut)
    }

    #[test]
    fn nobody_looks_where_nothing_can_be() {
        let root = tempfile::tempdir().unwrap();
        for folder in [
            "packages/a/node_modules/deep/node_modules",
            "packages/b/src/more",
            "dist/x/node_modules",
            "dist/y/z",
            "kept/dist/node_modules",
            "vendor/one/two/target",
        ] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        std::fs::write(root.path().join(".gitignore"), "node_modules\n/vendor\ndist\n").unwrap();
        std::fs::write(root.path().join("kept/.gitignore"), "!dist\n").unwrap();
        let (found, looked, _) = walk(root.path(), &["packages/*/node_modules"], 1000);
        assert_eq!(found, ["packages/a/node_modules"], "one that is ignored is what is looked for");
        assert_eq!(looked, 4 + 2 + 2, "the project's folders, those of packages, and those of a and b");
        let (found, ..) = walk(root.path(), &["**/node_modules"], 1000);
        assert_eq!(
            found,
            ["kept/dist/node_modules", "packages/a/node_modules"],
            "not in what is ignored, nor in a find"
        );
        let (found, ..) = walk(root.path(), &["vendor/*/two/target"], 1000);
        assert_eq!(found, ["vendor/one/two/target"], "but where the pattern leads by itself");
        let (found, ..) = walk(root.path(), &["{dist/x,packages/a}/node_modules"], 1000);
        assert_eq!(found, ["packages/a/node_modules"], "a choice leads anywhere, and so not into what is ignored");
    }

    #[test]
    fn an_end_that_comes_too_soon_is_told() {
        let root = tempfile::tempdir().unwrap();
        for number in 0..10 {
            std::fs::create_dir_all(root.path().join(format!("{number}/target"))).unwrap();
        }
        assert!(walk(root.path(), &["**/target"], 5).2, "after five of twenty it is cut");
        assert!(!walk(root.path(), &["**/target"], 20).2, "and not where all was seen");
    }
}
