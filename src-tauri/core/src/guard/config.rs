//! A git configuration read as git itself reads it, and which of its settings make git run a program, or read or write
//! elsewhere. Whatever is not known to be harmless counts as such. It opens no file.

/// Single settings that never make git run anything.
const HARMLESS: [&str; 20] = [
    "user.name",
    "user.email",
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
];

/// One setting. The section and the name are in small letters, what is between them is as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) key: String,
    /// `None` where there is not even an equals sign.
    pub(super) value: Option<String>,
}

impl Setting {
    /// Its value, which may be nothing.
    pub(super) fn text(&self) -> &str {
        self.value.as_deref().unwrap_or_default()
    }

    /// True where it names a file with more settings.
    pub(super) fn includes(&self) -> bool {
        let (section, name) = self.key.rsplit_once('.').unwrap_or_default();
        name == "path" && (section == "include" || section.starts_with("includeif."))
    }

    /// True where git runs nothing because of it, and reads and writes nowhere else. `may_be` says whether a repository
    /// may have its files in the folder that `core.worktree` names.
    pub(super) fn is_harmless(&self, may_be: impl Fn(&str) -> bool) -> bool {
        let last = self.key.rsplit('.').next().unwrap_or_default();
        // An address can name a program that fetches from it.
        let is_plain = !self.text().contains("::");
        match self.key.split('.').next().unwrap_or_default() {
            "remote" | "submodule" => {
                matches!(last, "fetch" | "tagopt" | "active") || (matches!(last, "url" | "pushurl") && is_plain)
            }
            // How a branch is merged can name a program; of which branch it is another's, an address.
            "branch" => last != "mergeoptions" && is_plain,
            "color" => true,
            _ if self.key == "core.worktree" => may_be(self.text()),
            _ => HARMLESS.contains(&self.key.as_str()),
        }
    }
}

/// The settings of a configuration that may make git run something, in their order, each as `key = value`. `None` where
/// git would refuse to read it, or might read it otherwise than we do.
pub(super) fn runs(text: &str, may_be: impl Fn(&str) -> bool) -> Option<Vec<String>> {
    let harmful = settings(text)?.into_iter().filter(|setting| !setting.is_harmless(&may_be));
    Some(harmful.map(|Setting { key, value }| value.map_or(key.clone(), |value| format!("{key} = {value}"))).collect())
}

/// The settings of a configuration, in their order. `None` where git would refuse to read it, or cannot be trusted to
/// read it as we do.
pub(super) fn settings(text: &str) -> Option<Vec<Setting>> {
    // To git a text ends at a zero.
    if text.contains('\0') {
        return None;
    }
    let mut letters = Letters { all: text.strip_prefix('\u{feff}').unwrap_or(text).as_bytes(), at: 0, ended: false };
    let mut section = Vec::new();
    let mut found = Vec::new();
    let mut comment = false;
    loop {
        match letters.next() {
            b'\n' if letters.ended => return Some(found),
            b'\n' => comment = false,
            _ if comment => {}
            letter if is_space(letter) => {}
            b'#' | b';' => comment = true,
            b'[' => section = letters.section()?,
            letter if letter.is_ascii_alphabetic() => {
                let (name, value) = letters.setting(letter)?;
                let key = [section.as_slice(), &name].concat();
                found.push(Setting { key: text_of(key), value: value.map(text_of) });
            }
            _ => return None,
        }
    }
}

/// The letters of a configuration, as git takes them: a line may end in a carriage return too, and the last one ends
/// where the text does.
struct Letters<'a> {
    all: &'a [u8],
    at: usize,
    /// True once it was read beyond the end.
    ended: bool,
}

impl Letters<'_> {
    fn next(&mut self) -> u8 {
        let Some(&letter) = self.all.get(self.at) else {
            self.ended = true;
            return b'\n';
        };
        self.at += 1;
        if letter == b'\r' && self.all.get(self.at) == Some(&b'\n') {
            self.at += 1;
            return b'\n';
        }
        letter
    }

    /// What follows a `[`, up to the first bracket that closes it outside of quotes, with a dot at its end.
    fn section(&mut self) -> Option<Vec<u8>> {
        let mut name = Vec::new();
        loop {
            match self.next() {
                _ if self.ended => return None,
                b']' if name.is_empty() => return None,
                b']' => break,
                letter if is_space(letter) => {
                    self.subsection(letter, &mut name)?;
                    break;
                }
                letter if is_of_a_name(letter) || letter == b'.' => name.push(letter.to_ascii_lowercase()),
                _ => return None,
            }
        }
        name.push(b'.');
        Some(name)
    }

    fn subsection(&mut self, blank: u8, name: &mut Vec<u8>) -> Option<()> {
        let mut letter = blank;
        while is_space(letter) {
            if letter == b'\n' {
                return None;
            }
            letter = self.next();
        }
        if letter != b'"' {
            return None;
        }
        name.push(b'.');
        loop {
            let mut letter = self.next();
            match letter {
                b'"' => break,
                b'\\' => letter = self.next(),
                _ => {}
            }
            if letter == b'\n' {
                return None;
            }
            name.push(letter);
        }
        (self.next() == b']').then_some(())
    }

    /// A setting that begins with `first`.
    fn setting(&mut self, first: u8) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
        let mut name = vec![first.to_ascii_lowercase()];
        let mut letter = self.next();
        while !self.ended && is_of_a_name(letter) {
            name.push(letter.to_ascii_lowercase());
            letter = self.next();
        }
        while matches!(letter, b' ' | b'\t') {
            letter = self.next();
        }
        match letter {
            b'\n' => Some((name, None)),
            b'=' => Some((name, Some(self.value()?))),
            _ => None,
        }
    }

    fn value(&mut self) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        // How long it is without the blanks at its end.
        let mut solid = 0;
        let (mut quoted, mut comment) = (false, false);
        loop {
            match self.next() {
                b'\n' if quoted => return None,
                b'\n' => {
                    value.truncate(solid);
                    return Some(value);
                }
                _ if comment => {}
                letter if is_space(letter) && !quoted => {
                    if !value.is_empty() {
                        value.push(letter);
                    }
                    continue;
                }
                b'#' | b';' if !quoted => comment = true,
                b'\\' => match self.next() {
                    b'\n' => {}
                    b't' => value.push(b'\t'),
                    b'b' => value.push(8),
                    b'n' => value.push(b'\n'),
                    letter @ (b'\\' | b'"') => value.push(letter),
                    _ => return None,
                },
                b'"' => quoted = !quoted,
                letter => value.push(letter),
            }
            if !comment {
                solid = value.len();
            }
        }
    }
}

fn is_space(letter: u8) -> bool {
    matches!(letter, b' ' | b'\t' | b'\n' | b'\r')
}

fn is_of_a_name(letter: u8) -> bool {
    letter.is_ascii_alphanumeric() || letter == b'-'
}

fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<Vec<String>> {
        runs(text, |_| false)
    }

    #[test]
    fn what_makes_git_run_something_is_told_from_what_does_not() {
        let harmless = "[core]\n\tbare = false\n\tfilemode = true\n[remote \"origin\"]\n\turl = git@example.org:a/b\n\t\
                        fetch = +refs/heads/*:refs/remotes/origin/*\n[branch \"main\"]\n\tremote = origin\n\
                        [user]\n\tname = Ada\n# core.fsmonitor = x\n";
        assert_eq!(found(harmless), Some(vec![]), "an ordinary repository's configuration runs nothing");
        for (text, expected) in [
            ("[core]\n\tfsmonitor = ./evil", "core.fsmonitor = ./evil"),
            ("[core] hooksPath = .x", "core.hookspath = .x"),
            ("[CORE]\nSSHCommand = a \\\n b", "core.sshcommand = a  b"),
            ("[filter \"x\"]\n\tclean = evil", "filter.x.clean = evil"),
            ("[alias]\n\tst = !evil", "alias.st = !evil"),
            ("[include]\n\tpath = ../evil", "include.path = ../evil"),
            ("[remote \"o\"]\n\turl = ext::sh -c evil", "remote.o.url = ext::sh -c evil"),
            ("[remote \"o\"]\n\tuploadpack = evil", "remote.o.uploadpack = evil"),
            ("[branch \"o\"]\n\tremote = ext::evil", "branch.o.remote = ext::evil"),
            ("[branch \"o\"]\n\tmergeOptions = -s evil", "branch.o.mergeoptions = -s evil"),
            ("[credential]\n\thelper = !evil", "credential.helper = !evil"),
            ("[nobody \"knows\"]\n\tthis", "nobody.knows.this"),
            // As git reads them, though a hasty reader would not.
            ("[core] fsmonitor = ./evil #]", "core.fsmonitor = ./evil"),
            ("[branch \"x\"] [core] fsmonitor = ./evil", "core.fsmonitor = ./evil"),
            ("[core]\n# x \\\nfsmonitor = ./evil", "core.fsmonitor = ./evil"),
            ("[core]\nbare = false ; \\\nfsmonitor = ./evil", "core.fsmonitor = ./evil"),
            ("[branch \"]\"] [core]\r\n\tfsmonitor = \"./e\"vil", "core.fsmonitor = ./evil"),
            ("[core]\n\tworktree = /home/me", "core.worktree = /home/me"),
            ("[core]\n\thooksPath = .husky/_ ; why", "core.hookspath = .husky/_"),
        ] {
            assert_eq!(found(text), Some(vec![expected.to_owned()]), "{text:?}");
        }
        for odd in
            ["[core", "core]\n", "[core]\n\tfsmonitor = \"x", "[core]\nfsmonitor = \\q", "[core]\nbare = \0", "["]
        {
            assert_eq!(found(odd), None, "git does not read {odd:?}, or not so");
        }
        assert_eq!(runs("[core]\n\tworktree = x", |to| to == "x"), Some(vec![]), "where it may be, it is no news");
    }

    /// Git's own list of the settings in a file; `None` where it refuses the file.
    async fn listed(file: &std::path::Path) -> Option<Vec<Setting>> {
        let program = crate::process::spawn::Program {
            path: "git".into(),
            args: ["config", "--list", "--null", "--file"].iter().map(Into::into).chain([file.into()]).collect(),
            folder: std::env::temp_dir(),
            environment: Vec::new(),
        };
        let done = crate::process::spawn::run(&program, std::time::Duration::from_mins(1)).await.unwrap();
        let one = |entry: &str| match entry.split_once('\n') {
            Some((key, value)) => Setting { key: key.to_owned(), value: Some(value.to_owned()) },
            None => Setting { key: entry.to_owned(), value: None },
        };
        done.succeeded().then(|| done.stdout.trim_end_matches('\n').split_terminator('\0').map(one).collect())
    }

    /// Older ones make one blank of several, and we read a program's words line by line.
    fn with_single_blanks(settings: Vec<Setting>) -> Vec<Setting> {
        let single = |value: String| value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        settings.into_iter().map(|one| Setting { value: one.value.map(single), ..one }).collect()
    }

    #[tokio::test]
    async fn odd_files_are_read_as_git_reads_them() {
        const PIECES: [&str; 44] = [
            "[core]",
            "[core]\n",
            "[branch \"x\"]",
            "[branch \"a]b\"] ",
            "[",
            "]",
            "\"",
            "\\",
            "\\\n",
            "\n",
            "\n",
            "\r\n",
            "\t",
            " ",
            "#",
            ";",
            "=",
            " = ",
            "fsmonitor",
            "fsmonitor = ./evil",
            "hooksPath=.x",
            "bare = false",
            "./evil",
            "branch",
            "core",
            "x",
            "[core",
            "[CORE.Sub]",
            "[core \"s\\\"ub\"]",
            "\u{feff}",
            "é",
            "\\t",
            "\\n",
            "\\b",
            "\\q",
            "!",
            "\"a b\"",
            "-",
            "9",
            "\r",
            "\u{b}",
            "include.path",
            "[a\t \"b\"]",
            "name\n",
        ];
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        // The same ones each time: a failure can be looked at.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut any = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).unwrap() % below
        };
        let (mut read, mut refused, mut harmful) = (0, 0, 0);
        for _ in 0..600 {
            let begin = ["", "[core]\n", "[core]\n\tbare = false\n"][any(3)];
            let text: String = std::iter::once(begin).chain((0..=any(9)).map(|_| PIECES[any(PIECES.len())])).collect();
            std::fs::write(&file, &text).unwrap();
            let (ours, gits) = (settings(&text), listed(&file).await);
            assert_eq!(ours.clone().map(with_single_blanks), gits.clone().map(with_single_blanks), "{text:?}");
            match gits {
                Some(gits) => {
                    read += 1;
                    let told = runs(&text, |_| false).unwrap();
                    let has_to_be = gits.iter().filter(|one| !one.is_harmless(|_| false)).count();
                    assert_eq!(told.len(), has_to_be, "all that git may run is told: {text:?}");
                    harmful += usize::from(has_to_be > 0);
                }
                None => refused += 1,
            }
        }
        assert!(read > 100 && refused > 100 && harmful > 50, "all kinds came: {read} {refused} {harmful}");
    }
}
