//! The test programs under `tests/tests`, sorted into suites by the beginnings of their names. A file that belongs to no
//! suite is an error, because nobody would ever run it.

use std::fs;
use std::path::Path;

use crate::trouble::Trouble;

/// The beginnings of names that are known: a suite's own name and `_`, or a whole name that `lint` runs.
const SUITES: [&str; 5] = ["core", "shell", "engine", "cli", "desktop"];
const WHOLE: [&str; 1] = ["tidy"];

/// Names of test programs, sorted.
#[derive(Debug)]
pub(super) struct Targets {
    names: Vec<String>,
}

impl Targets {
    /// Lists the folder as Cargo does: files `NAME.rs`, and folders with a `main.rs`.
    pub(super) fn find(folder: &Path) -> Result<Self, Trouble> {
        let mut names = Vec::new();
        // No folder yet is no tests yet.
        if folder.is_dir() {
            for entry in fs::read_dir(folder).map_err(Trouble::files(folder))? {
                let path = entry.map_err(Trouble::files(folder))?.path();
                let is_target = path.extension().is_some_and(|end| end == "rs") || path.join("main.rs").is_file();
                if let Some(name) = path.file_stem().filter(|_| is_target) {
                    names.push(name.to_string_lossy().into_owned());
                }
            }
        }
        names.sort();
        Self::from_names(&names)
    }

    pub(super) fn from_names<Name: AsRef<str>>(names: &[Name]) -> Result<Self, Trouble> {
        let names: Vec<String> = names.iter().map(|name| name.as_ref().to_owned()).collect();
        let is_known =
            |name: &&String| WHOLE.contains(&name.as_str()) || SUITES.iter().any(|suite| belongs(name, suite));
        match names.iter().find(|name| !is_known(name)) {
            Some(stray) => Err(Trouble::Tree {
                cause: format!(
                    "tests/tests/{stray}.rs belongs to no suite; its name must be {} or begin with {}_",
                    WHOLE.join(", "),
                    SUITES.join("_, ")
                ),
            }),
            None => Ok(Self { names }),
        }
    }

    /// The programs of a suite, or the one with that whole name.
    pub(super) fn of(&self, suite: &str) -> Vec<String> {
        self.names.iter().filter(|name| *name == suite || belongs(name, suite)).cloned().collect()
    }
}

fn belongs(name: &str, suite: &str) -> bool {
    name.strip_prefix(suite).is_some_and(|rest| rest.starts_with('_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_sorted_by_their_names() {
        let targets = Targets::from_names(&["cli_doctor", "engine_build", "tidy"]).expect("all are known");
        assert_eq!(targets.of("cli"), ["cli_doctor"]);
        assert_eq!(targets.of("tidy"), ["tidy"]);
        assert!(targets.of("desktop").is_empty(), "there is none");
    }

    #[test]
    fn a_program_that_no_suite_would_run_is_refused() {
        for stray in ["smoke", "engines_x", "tidy_more", "desktop"] {
            let trouble = Targets::from_names(&[stray]).expect_err("nobody would run it");
            assert!(trouble.to_string().contains(stray), "{trouble}");
        }
    }

    #[test]
    fn folders_count_as_cargo_counts_them() {
        let folder = std::env::temp_dir().join(format!("gemra-xtask-targets-{}", std::process::id()));
        for inside in ["cli_big", "common"] {
            fs::create_dir_all(folder.join(inside)).expect("a temp folder can be made");
        }
        for file in ["cli_big/main.rs", "common/fixture.rs", "engine_a.rs", "notes.md"] {
            fs::write(folder.join(file), "").expect("a temp file can be written");
        }
        let targets = Targets::find(&folder).expect("all are known");
        assert_eq!(targets.names, ["cli_big", "engine_a"], "neither shared modules nor other files are programs");
        fs::remove_dir_all(&folder).expect("the temp folder is ours");
        assert!(Targets::find(&folder).expect("no folder is no tests").names.is_empty());
    }
}
