//! Which paths a text of settings could name: programs are written there in many ways, so that every word counts that
//! could be a path. Whether there is a file is not looked at here.

use std::path::{Path, PathBuf};

use super::reach::resolved;

/// What stands between the words of commands and lists. A colon is between a pattern and its end too.
const BETWEEN: &str = ";&|()<>=,:[]{}!";
/// Endings of files that are read and never run.
const DATA: &[&str] = &[
    "c", "cc", "cfg", "conf", "cpp", "css", "csv", "go", "h", "hpp", "htm", "html", "ini", "java", "jpg", "json",
    "json5", "jsonc", "kt", "lock", "log", "md", "pdf", "png", "proto", "rs", "rst", "scss", "sql", "svg", "swift",
    "toml", "txt", "xml", "yaml", "yml",
];

/// Paths that a text could mean, seen from each of these folders.
pub(super) fn in_text(text: &str, bases: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for quoted in text.split(['"', '\'', '`', '\n']) {
        let words = quoted.split(|letter: char| letter.is_whitespace() || BETWEEN.contains(letter));
        // A name may have blanks in it.
        for word in words.chain([quoted.trim()]).filter(|word| is_a_path(word)) {
            for base in bases {
                found.push(resolved(base, word));
                // What stands before the first slash may be a variable that means the same folder, or nothing at all.
                if let Some((before, rest)) = word.split_once('/')
                    && (before.is_empty() || before.contains('$'))
                    && is_a_path(rest)
                {
                    found.push(resolved(base, rest));
                }
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

fn is_a_path(word: &str) -> bool {
    !word.is_empty() && word.len() < 4096 && !word.contains('\0') && !matches!(word, "." | ".." | "/")
}

/// True for a file that could be a program: one that may be executed, or that an interpreter could be given.
pub(super) fn could_run(path: &Path, executable: bool) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    executable || !DATA.contains(&ending.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_however_they_are_written() {
        for text in [
            "./tools/x.sh",
            "sh tools/x.sh && true",
            "{\"command\": \"$CLAUDE_PROJECT_DIR/tools/x.sh\"}",
            "{\"command\": \"\\\"$CLAUDE_PROJECT_DIR\\\"/tools/x.sh\"}",
            "\"${workspaceFolder}/tools/x.sh\"",
            "Bash(./tools/x.sh:*)",
            "!tools/x.sh --all",
            "/project/tools/x.sh",
            "--require=./deep/../tools/x.sh",
        ] {
            let found = in_text(text, &["/project".into()]);
            assert!(found.contains(&"/project/tools/x.sh".into()), "{text:?} names it: {found:?}");
        }
        assert!(in_text("\"my tools/x.sh\"", &["/p".into()]).contains(&"/p/my tools/x.sh".into()), "with a blank");
        assert!(in_text("a", &["/p".into(), "/q".into()]).contains(&"/q/a".into()), "seen from each folder");
        assert_eq!(in_text(". / ..", &["/p".into()]).len(), 1, "what is everything is nothing, but for an odd name");
        assert!(could_run(Path::new("run"), false) && could_run(Path::new("a.sh"), false), "programs");
        assert!(
            !could_run(Path::new("Cargo.toml"), false) && could_run(Path::new("a.toml"), true),
            "data, and odd data"
        );
    }
}
