//! Which of git's settings make git run a program, or read settings from elsewhere. Whatever is not known to be
//! harmless counts as such.

/// What never makes git run anything: sections whose settings are all harmless, and single settings.
const HARMLESS: [&str; 23] = [
    "branch.",
    "user.name",
    "user.email",
    "color.",
    "init.defaultbranch",
    "pull.rebase",
    "pull.ff",
    "push.default",
    "push.autosetupremote",
    "merge.ff",
    "merge.conflictstyle",
    "rebase.autosquash",
    "rebase.autostash",
    "core.repositoryformatversion",
    "core.filemode",
    "core.bare",
    "core.logallrefupdates",
    "core.ignorecase",
    "core.precomposeunicode",
    "core.symlinks",
    "core.autocrlf",
    "core.eol",
    "core.worktree",
];

/// The settings of a git configuration that may make git run something, in their order, each as `key = value`.
pub(super) fn runs(text: &str) -> Vec<String> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in logical_lines(text) {
        let mut line = line.trim();
        if line.starts_with(['#', ';']) || line.is_empty() {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            let (head, after) = rest.rsplit_once(']').unwrap_or((rest, ""));
            section = section_name(head);
            // A setting may stand on the line of its section.
            line = after.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
        }
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        let key = format!("{section}.{}", key.trim().to_lowercase());
        let value = value.trim();
        if !is_harmless(&key, value) {
            found.push(format!("{key} = {value}"));
        }
    }
    found
}

/// The folder that git takes hooks from, where a configuration names one.
pub(super) fn hooks_path(text: &str) -> Option<String> {
    let named = runs(text).into_iter().rev().find_map(|line| line.strip_prefix("core.hookspath = ").map(str::to_owned));
    named.map(|path| path.trim_matches('"').to_owned()).filter(|path| !path.is_empty())
}

fn is_harmless(key: &str, value: &str) -> bool {
    if key.starts_with("remote.") || key.starts_with("submodule.") {
        // A remote's address can name a program, and so can what it is to be fetched with.
        let last = key.rsplit('.').next().unwrap_or_default();
        let plain = matches!(last, "fetch" | "tagopt" | "active")
            || matches!(last, "url" | "pushurl") && !value.trim_matches('"').contains("::");
        return plain;
    }
    HARMLESS.iter().any(|known| if known.ends_with('.') { key.starts_with(known) } else { key == *known })
}

/// `section "sub"` and `section` as `section.sub` and `section`; the sub-section keeps its letters.
fn section_name(head: &str) -> String {
    let head = head.trim();
    match head.split_once(char::is_whitespace) {
        Some((name, sub)) => format!("{}.{}", name.to_lowercase(), sub.trim().trim_matches('"')),
        None => head.to_lowercase(),
    }
}

/// Lines, with those joined that a backslash continues.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let continues = line.ends_with('\\');
        let part = line.strip_suffix('\\').unwrap_or(line);
        match lines.last_mut().filter(|_| open) {
            Some(last) => last.push_str(part),
            None => lines.push(part.to_owned()),
        }
        open = continues;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_git_run_something_is_told_from_what_does_not() {
        let harmless = "[core]\n\tbare = false\n\tfilemode = true\n[remote \"origin\"]\n\turl = git@example.org:a/b\n\t\
                        fetch = +refs/heads/*:refs/remotes/origin/*\n[branch \"main\"]\n\tremote = origin\n\
                        [user]\n\tname = Ada\n# core.fsmonitor = x\n";
        assert_eq!(runs(harmless), Vec::<String>::new(), "an ordinary repository's configuration runs nothing");
        for (text, expected) in [
            ("[core]\n\tfsmonitor = ./evil", "core.fsmonitor = ./evil"),
            ("[core] hooksPath = .x", "core.hookspath = .x"),
            ("[CORE]\nSSHCommand = a \\\n b", "core.sshcommand = a  b"),
            ("[filter \"x\"]\n\tclean = evil", "filter.x.clean = evil"),
            ("[alias]\n\tst = !evil", "alias.st = !evil"),
            ("[include]\n\tpath = ../evil", "include.path = ../evil"),
            ("[remote \"o\"]\n\turl = ext::sh -c evil", "remote.o.url = ext::sh -c evil"),
            ("[remote \"o\"]\n\tuploadpack = evil", "remote.o.uploadpack = evil"),
            ("[credential]\n\thelper = !evil", "credential.helper = !evil"),
            ("[nobody \"knows\"]\n\tthis", "nobody.knows.this = "),
        ] {
            assert_eq!(runs(text), [expected], "{text:?}");
        }
        assert_eq!(hooks_path("[core]\n\thooksPath = \".husky/_\"\n").as_deref(), Some(".husky/_"), "where hooks are");
        assert_eq!(hooks_path(harmless), None, "usually they are where git puts them");
    }
}
