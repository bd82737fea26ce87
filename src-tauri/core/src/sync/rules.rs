//! Which paths are none of the other side's business: what `.gitignore` in every folder and `.dockerignore` at the top
//! name. git's own folder is never ignored, because git has to work on both sides. It reads these files alone.

use std::collections::BTreeMap;
use std::path::Path;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::manifest::above;

/// The files that hold the rules.
pub(super) const FILES: [&str; 2] = [GIT, DOCKER];
const GIT: &str = ".gitignore";
const DOCKER: &str = ".dockerignore";
/// What begins so is being brought or sent by us.
pub(super) const OURS: &str = ".gemra-incoming-";

/// The rules of a workspace.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    /// By the folder that they are for; the workspace's own is the empty path.
    git: BTreeMap<String, Gitignore>,
    docker: Gitignore,
    enabled: bool,
}

impl Rules {
    /// Everything is sent but what we make ourselves.
    pub(super) fn none() -> Self {
        Self { git: BTreeMap::new(), docker: Gitignore::empty(), enabled: false }
    }

    /// Those of a workspace's own folder; the others are [`added`](Self::add) when they are found.
    pub(super) fn of(root: &Path) -> Self {
        let mut rules = Self { docker: docker(&root.join(DOCKER)), enabled: true, ..Self::none() };
        rules.add(root, "");
        rules
    }

    /// Those of a folder, where it has any.
    pub(super) fn add(&mut self, root: &Path, folder: &str) {
        if !self.enabled {
            return;
        }
        let file = root.join(folder).join(GIT);
        let Ok(text) = std::fs::read_to_string(&file) else { return };
        // Rules are matched against paths below their own folder, wherever that is.
        let mut builder = GitignoreBuilder::new("");
        for line in text.lines() {
            // A line that is no pattern means nothing to git either.
            let _ = builder.add_line(None, line);
        }
        if let Ok(found) = builder.build()
            && !found.is_empty()
        {
            self.git.insert(folder.to_owned(), found);
        }
    }

    /// True where a path, or a folder that it is in, is named.
    pub(super) fn ignores(&self, path: &str, is_folder: bool) -> bool {
        let is_ours = |part: &str| part.starts_with(OURS);
        if path.split('/').any(is_ours) {
            return true;
        }
        if !self.enabled || path.split('/').any(|part| part == ".git") {
            return false;
        }
        let mut folders: Vec<&str> = above(path).collect();
        folders.reverse();
        self.docker_ignores(path, is_folder)
            || folders.into_iter().any(|folder| self.git_ignores(folder, true))
            || self.git_ignores(path, is_folder)
    }

    /// True where nothing below a folder can be wanted.
    pub(super) fn ignores_all_below(&self, folder: &str) -> bool {
        self.ignores(folder, true) && (self.docker.num_whitelists() == 0 || !self.docker_ignores(folder, true))
    }

    /// The deepest folder that says something decides, as with git.
    fn git_ignores(&self, path: &str, is_folder: bool) -> bool {
        for folder in above(path).chain(std::iter::once("")) {
            let Some(rules) = self.git.get(folder) else { continue };
            let rest = path.strip_prefix(folder).unwrap_or(path).trim_start_matches('/');
            match rules.matched(rest, is_folder) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => {}
            }
        }
        false
    }

    fn docker_ignores(&self, path: &str, is_folder: bool) -> bool {
        if self.docker.is_empty() {
            return false;
        }
        match self.docker.matched(path, is_folder) {
            Match::Ignore(_) => return true,
            Match::Whitelist(_) => return false,
            Match::None => {}
        }
        // Docker takes an exception below a folder that is left out, so that the nearest rule above decides.
        for folder in above(path) {
            match self.docker.matched(folder, true) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => {}
            }
        }
        false
    }
}

/// Docker's patterns begin at the top, whether they say so or not.
fn docker(file: &Path) -> Gitignore {
    let Ok(text) = std::fs::read_to_string(file) else { return Gitignore::empty() };
    let mut builder = GitignoreBuilder::new("");
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (not, pattern) = line.strip_prefix('!').map_or(("", line), |rest| ("!", rest.trim_start()));
        let pattern = pattern.trim_start_matches("./").trim_start_matches('/');
        let _ = builder.add_line(None, &format!("{not}/{pattern}"));
    }
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(files: &[(&str, &str)]) -> Rules {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let mut rules = Rules::of(root.path());
        for (path, _) in files {
            if let Some((folder, GIT)) = path.rsplit_once('/') {
                rules.add(root.path(), folder);
            }
        }
        rules
    }

    #[test]
    fn gits_rules_hold_as_in_git() {
        let rules = rules(&[
            (".gitignore", "target\n*.log\n/only-here\nkept/*\n!kept/this\n"),
            ("sub/.gitignore", "!a.log\nmore/\n"),
        ]);
        let cases = [
            ("target", true, true),
            ("target/a/b", false, true),
            ("sub/target/x", false, true),
            ("x.log", false, true),
            ("deep/x.log", false, true),
            ("sub/a.log", false, false),
            ("only-here", false, true),
            ("sub/only-here", false, false),
            ("kept/that", false, true),
            ("kept/this", false, false),
            ("sub/more", true, true),
            ("sub/more", false, false),
            ("sub/more/x", false, true),
            ("src/main.rs", false, false),
            // git's own folder is not the rules' business.
            (".git/logs/x.log", false, false),
            ("sub/.git/target", true, false),
            (".gitignore", false, false),
        ];
        for (path, is_folder, expected) in cases {
            assert_eq!(rules.ignores(path, is_folder), expected, "{path}");
        }
        assert!(rules.ignores_all_below("target"), "nothing in it need be looked at");
    }

    #[test]
    fn dockers_rules_begin_at_the_top_and_have_exceptions() {
        let all = rules(&[(".dockerignore", "# words\n*.md\n**/*.tmp\n.git\nbuild\n!build/keep\n")]);
        let cases = [
            ("a.md", false, true),
            ("sub/a.md", false, false),
            ("a.tmp", false, true),
            ("sub/deep/a.tmp", false, true),
            ("build/x", false, true),
            ("build/keep", false, false),
            ("build/keep/x", false, false),
            (".git/HEAD", false, false),
        ];
        for (path, is_folder, expected) in cases {
            assert_eq!(all.ignores(path, is_folder), expected, "{path}");
        }
        assert!(!all.ignores_all_below("build"), "an exception may be in it");
        let only = rules(&[(".dockerignore", "*\n!src\n")]);
        assert!(only.ignores("a/b", false) && !only.ignores("src/a/b", false), "only what is excepted is sent");
    }

    #[test]
    fn what_we_make_ourselves_is_never_carried() {
        let ours = format!("a/{OURS}1/x");
        assert!(Rules::none().ignores(&ours, false) && !Rules::none().ignores("target", true), "and nothing else");
    }
}
