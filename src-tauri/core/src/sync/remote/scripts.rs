//! What runs in the companion, in the shell and the tools that every image has, and how its answers are read. Names of
//! files are the other side's: each line of ours begins with a word that nobody can guess, so that none can be forged.

use std::collections::HashMap;

use super::super::manifest::is_plain;

/// Lists a folder: `root word find-arguments…`.
pub(super) const LIST: &str = concat!(
    "cd \"$1\" || exit 3\n",
    "word=$2; shift 2\n",
    "echo \"$word now $(date +%s)\"\n",
    "find . \"$@\" -exec stat -c \"$word|%Y|%Z|%f|%s|%y|%z|%i|%n\" {} +\n",
    "echo \"$word end $?\"\n",
);

/// Digests of the files whose paths come over stdin: `root word`.
pub(super) const DIGEST: &str = concat!(
    "cd \"$1\" || exit 3\n",
    "word=$2; set --\n",
    "while IFS= read -r path && [ \"$path\" != \"$word\" ]; do\n",
    "  set -- \"$@\" \"./$path\"\n",
    "  if [ $# -ge 200 ]; then sha256sum \"$@\" 2>/dev/null; set --; fi\n",
    "done\n",
    "[ $# -eq 0 ] || sha256sum \"$@\" 2>/dev/null\n",
    "command -v sha256sum >/dev/null || exit 4\n",
    "echo \"$word end 0\"\n",
);

/// Where the links lead whose paths come over stdin, one line each: `root word`.
pub(super) const LINKS: &str = concat!(
    "cd \"$1\" || exit 3\n",
    "word=$2\n",
    "while IFS= read -r path && [ \"$path\" != \"$word\" ]; do\n",
    "  printf '%s|%s\\n' \"$word\" \"$(readlink \"./$path\")\"\n",
    "done\n",
    "echo \"$word end 0\"\n",
);

/// Copies the files whose paths come over stdin into a folder, each under its number: `root word folder`.
pub(super) const STAGE: &str = concat!(
    "cd \"$1\" || exit 3\n",
    "word=$2; out=$3; number=0\n",
    "rm -rf \"$out\" && mkdir -p \"$out\" || exit 4\n",
    "while IFS= read -r path && [ \"$path\" != \"$word\" ]; do\n",
    "  number=$((number + 1))\n",
    "  if [ -f \"./$path\" ] && [ ! -L \"./$path\" ]; then\n",
    "    cp \"./$path\" \"$out/$number\" || exit 5\n",
    "  fi\n",
    "done\n",
    "echo \"$word end 0\"\n",
);

/// Does what comes over stdin, three lines each: what, how it has to look before, and the path. Says for each whether
/// it was done. What has changed meanwhile, or lies behind a link, stays: `root word folder owner`.
pub(super) const APPLY: &str = concat!(
    "cd \"$1\" || exit 3\n",
    "word=$2; in=$3; owner=$4; number=0\n",
    "above() {\n",
    "  part=$1\n",
    "  while :; do\n",
    "    case $part in */*) part=${part%/*} ;; *) return 0 ;; esac\n",
    "    if [ -L \"./$part\" ]; then return 1; fi\n",
    "  done\n",
    "}\n",
    "make() {\n",
    "  [ -d \"./$1\" ] && return 0\n",
    "  case $1 in */*) make \"${1%/*}\" || return 1 ;; esac\n",
    "  mkdir \"./$1\" && chown \"$owner\" \"./$1\"\n",
    "}\n",
    "while IFS= read -r what && [ \"$what\" != \"$word\" ]; do\n",
    "  IFS= read -r want; IFS= read -r path\n",
    "  number=$((number + 1)); said=changed\n",
    "  if above \"$path\"; then\n",
    "    have=-\n",
    "    if [ -e \"./$path\" ] || [ -L \"./$path\" ]; then have=$(stat -c '%f|%s|%y|%z|%i' \"./$path\"); fi\n",
    "    if [ \"$want\" = any ] || [ \"$have\" = \"$want\" ]; then\n",
    "      said=failed\n",
    "      case $what in\n",
    "        remove) rm -f \"./$path\" && said=done ;;\n",
    "        aside*)\n",
    "          to=${what#aside }; new=$to; more=1\n",
    "          while [ -e \"./$new\" ] || [ -L \"./$new\" ]; do more=$((more + 1)); new=$to-$more; done\n",
    "          if [ \"$have\" = - ]; then said=missing\n",
    "          else mv \"./$path\" \"./$new\" && said=done; fi ;;\n",
    "        rmdir) rmdir \"./$path\" 2>/dev/null; said=done ;;\n",
    "        mkdir*) make \"$path\" && chmod \"${what#mkdir }\" \"./$path\" && said=done ;;\n",
    "        move)\n",
    "          case $path in */*) make \"${path%/*}\" ;; esac\n",
    "          if [ -e \"$in/$number\" ] || [ -L \"$in/$number\" ]; then\n",
    "            mv -f \"$in/$number\" \"./$path\" && said=done\n",
    "          else said=missing; fi ;;\n",
    "      esac\n",
    "    fi\n",
    "  fi\n",
    "  echo \"$word $said\"\n",
    "done\n",
    "rm -rf \"$in\"\n",
    "echo \"$word end 0\"\n",
);

/// What the listing tells of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Listed {
    /// Kind and permissions, as the system has them.
    pub(in super::super) mode: u32,
    pub(in super::super) length: u64,
    /// In seconds since 1970, by the other side's clock.
    pub(in super::super) modified: i64,
    /// True where it has changed so lately that it may change again without its stamp saying so.
    pub(in super::super) recent: bool,
    pub(in super::super) stamp: String,
}

/// What a listing says.
#[derive(Debug, Default)]
pub(in super::super) struct Listing {
    pub(in super::super) paths: HashMap<String, Listed>,
    /// Those whose names cannot be carried.
    pub(in super::super) held: Vec<String>,
    /// False where something went away, or could not be looked at, meanwhile: what is missing then may be there.
    pub(in super::super) whole: bool,
}

/// Reads what [`LIST`] says; none where it has not said all.
pub(super) fn listing(text: &str, word: &str) -> Option<Listing> {
    let mut listing = Listing::default();
    let (mut now, mut ended) = (0_i64, false);
    let mut last: Option<String> = None;
    for line in text.lines() {
        let Some(rest) = line.strip_prefix(word) else {
            // The rest of a name with a line's end in it.
            if let Some(path) = last.take() {
                listing.paths.remove(&path);
                listing.held.push(path);
            }
            continue;
        };
        if let Some(time) = rest.strip_prefix(" now ") {
            now = time.parse().unwrap_or_default();
            continue;
        }
        if let Some(code) = rest.strip_prefix(" end ") {
            listing.whole = code == "0";
            ended = true;
            continue;
        }
        last = None;
        let parts: Vec<&str> = rest.splitn(9, '|').collect();
        let ["", modified, changed, mode, length, time, change_time, inode, path] = parts[..] else { continue };
        let Some(path) = path.strip_prefix("./") else { continue };
        if !is_plain(path) {
            listing.held.push(path.to_owned());
            continue;
        }
        let (Ok(mode), Ok(length)) = (u32::from_str_radix(mode, 16), length.parse()) else { continue };
        let recent = changed.parse::<i64>().map_or(true, |changed| now - changed <= 2);
        let stamp = [parts[3], parts[4], time, change_time, inode].join("|");
        let listed = Listed { mode, length, modified: modified.parse().unwrap_or_default(), recent, stamp };
        listing.paths.insert(path.to_owned(), listed);
        last = Some(path.to_owned());
    }
    ended.then_some(listing)
}

/// Reads what [`DIGEST`] says.
pub(super) fn digests(text: &str) -> HashMap<String, String> {
    let line = |line: &str| {
        // A name with a backslash in it is written otherwise, and the line says so.
        let (line, escaped) = line.strip_prefix('\\').map_or((line, false), |rest| (rest, true));
        let (digest, name) = line.split_at_checked(64)?;
        let name = name.strip_prefix("  ").or_else(|| name.strip_prefix(" *"))?.strip_prefix("./")?;
        let is_digest = digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        let name = if escaped { name.replace("\\\\", "\\") } else { name.to_owned() };
        is_digest.then(|| (name, digest.to_owned()))
    };
    text.lines().filter_map(line).collect()
}

/// Reads what [`LINKS`] says; none for a target that is no line of text.
pub(super) fn links(text: &str, word: &str) -> Vec<Option<String>> {
    let mut all: Vec<Option<String>> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix(word).and_then(|rest| rest.strip_prefix('|')) {
            Some(target) => all.push((!target.is_empty()).then(|| target.to_owned())),
            None if line.strip_prefix(word) == Some(" end 0") => {}
            None => {
                if let Some(last) = all.last_mut() {
                    *last = None;
                }
            }
        }
    }
    all
}

/// A path for `find`, in which nothing is a pattern.
pub(super) fn literal(path: &str) -> String {
    let mut text = String::from("./");
    for character in path.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_read_and_cannot_be_forged() {
        let line =
            |path: &str| format!("w|100|200|81a4|5|2026-01-01 00:00:00.5 +0000|2026-01-01 00:00:00.6 +0000|7|./{path}");
        let text = [
            "w now 300".to_owned(),
            "w|100|200|41ed|5|t|t|7|.".to_owned(),
            line("a b|c"),
            line("forged\nx|100|200|81a4|5|t|t|7|./b"),
            line("..\\x"),
            line("../up"),
            "w end 0".to_owned(),
        ]
        .join("\n");
        let listing = listing(&text, "w").unwrap();
        let mut paths: Vec<&String> = listing.paths.keys().collect();
        paths.sort();
        assert_eq!(paths, ["..\\x", "a b|c"], "the folder itself, and names that no line holds, are not there");
        assert_eq!(listing.held, ["forged", "../up"], "these are told");
        let one = &listing.paths["a b|c"];
        assert_eq!((one.mode, one.length, one.modified, one.recent), (0o100_644, 5, 100, false), "its facts");
        assert!(listing.whole, "it has come to its end");
        assert!(super::listing("w now 300\nw end 1", "w").is_some_and(|listing| !listing.whole), "with trouble");
        assert!(super::listing("w now 300\nw|1|2", "w").is_none(), "what breaks off is no listing");
    }

    #[test]
    fn digests_and_links_are_read() {
        let digest = "0123456789abcdef".repeat(4);
        let text = format!("{digest}  ./a b\n\\{digest}  ./a\\\\b\n{digest}  elsewhere\nsha256sum: no\n");
        let found = digests(&text);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.contains_key("a b") && found.contains_key("a\\b"), "names are what they were: {found:?}");
        let found = links("w|a\nw|\nw|two\nlines\nw|b c\nw end 0\n", "w");
        let expected = [Some("a"), None, None, Some("b c")].map(|target| target.map(str::to_owned));
        assert_eq!(found, expected, "one for each that was asked");
    }

    #[test]
    fn a_name_is_no_pattern() {
        assert_eq!(literal("a*[b]?\\c"), "./a\\*\\[b\\]\\?\\\\c", "find takes it for what it is");
    }
}
