//! Rules of the house that no compiler checks, read off the files themselves. Each failure names the files and lines.

// The whole file is a test, its functions that are not marked so as well.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use tests::spawn;

/// The repository's root.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap().to_path_buf()
}

/// Every file that is tracked or would be, by its path from the root.
fn files() -> Vec<String> {
    let mut git = spawn::command("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]).current_dir(root());
    let output = spawn::output(&mut git).unwrap();
    assert!(output.status.success(), "git lists the files: {}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8(output.stdout).unwrap();
    // A file that was deleted and not yet committed is still listed.
    let files: Vec<String> = listed.split('\0').filter(|path| root().join(path).is_file()).map(str::to_owned).collect();
    assert!(files.len() > 20, "the repository has files: {files:?}");
    files
}

fn with_extension(files: &[String], extensions: &[&str]) -> Vec<String> {
    let has =
        |path: &&String| Path::new(path).extension().is_some_and(|e| extensions.iter().any(|wanted| e == *wanted));
    files.iter().filter(has).cloned().collect()
}

/// The text of a file; none where it is no text.
fn read(path: &str) -> Option<String> {
    String::from_utf8(std::fs::read(root().join(path)).unwrap()).ok()
}

/// Every line of the files that the rule objects to, as `path:line: text`.
fn lines_that(files: &[String], objects: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for path in files {
        let Some(text) = read(path) else { continue };
        for (number, line) in text.lines().enumerate() {
            if objects(path, line) {
                found.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    found
}

fn none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

#[test]
fn no_file_is_longer_than_600_lines() {
    let files = with_extension(&files(), &["rs", "ts", "svelte", "css"]);
    let length = |path: &String| read(path).map_or(0, |text| text.lines().count());
    let long: Vec<String> =
        files.iter().filter(|path| length(path) > 600).map(|path| format!("{path}: {} lines", length(path))).collect();
    none(&long, "split these");
}

#[test]
fn every_rust_file_says_first_what_it_is() {
    let silent: Vec<String> = with_extension(&files(), &["rs"])
        .into_iter()
        .filter(|path| !read(path).is_some_and(|text| text.starts_with("//!") || text.starts_with("#!")))
        .collect();
    none(&silent, "these open without a `//!` sentence");
}

#[test]
fn every_file_of_the_page_says_first_what_it_is() {
    let files: Vec<String> =
        with_extension(&files(), &["ts", "svelte"]).into_iter().filter(|path| path.starts_with("ui/src/")).collect();
    assert!(!files.is_empty(), "the page has files");
    let silent: Vec<String> = files
        .into_iter()
        .filter(|path| {
            !read(path).is_some_and(|text| ["//", "<!--", "/*"].iter().any(|opening| text.starts_with(opening)))
        })
        .collect();
    none(&silent, "these open without a sentence on what they are");
}

#[test]
fn modules_are_files_beside_their_folder() {
    let wrong: Vec<String> = files().into_iter().filter(|path| path.ends_with("/mod.rs")).collect();
    none(&wrong, "`foo.rs` with `foo/bar.rs`, never `mod.rs`");
}

#[test]
fn only_one_file_of_the_page_knows_tauri() {
    let files = with_extension(&files(), &["ts", "svelte", "js", "html"]);
    let files: Vec<String> = files.into_iter().filter(|path| path.starts_with("ui/")).collect();
    let found = lines_that(&files, |path, line| {
        let imports = line.contains("from ") || line.contains("import");
        path != "ui/src/host/tauri.ts" && imports && line.contains("@tauri-apps/")
    });
    none(&found, "only ui/src/host/tauri.ts imports @tauri-apps");
}

#[test]
fn processes_are_spawned_in_one_place_each() {
    let allowed = |path: &str| {
        path == "src-tauri/core/src/process.rs"
            || path.starts_with("src-tauri/core/src/process/")
            || path == "src-tauri/xtask/src/spawn.rs"
            || path == "tests/src/spawn.rs"
            || path == "tests/tests/tidy.rs"
    };
    let found = lines_that(&with_extension(&files(), &["rs"]), |path, line| {
        let code = line.split("//").next().unwrap_or_default();
        !allowed(path) && code.contains("Command::new(") && !code.contains("clap::")
    });
    none(&found, "spawn through gemra_core::process, or the suite's own spawn.rs");
}

/// Whoever branches on which engine it is does so in one room, where all of it can be seen and is tested as a table.
#[test]
fn engines_differ_in_one_room() {
    let quirks = "src-tauri/core/src/container/engine/quirks";
    let files: Vec<String> = with_extension(&files(), &["rs"])
        .into_iter()
        .filter(|path| path.starts_with("src-tauri/") && !path.starts_with(quirks))
        .collect();
    assert!(files.len() > 100, "these are the product's files: {}", files.len());
    let found = lines_that(&files, |_, line| {
        let code = line.split("//").next().unwrap_or_default();
        [".podman", ".rootless", ".desktop", ".virtual_machine"].iter().any(|field| {
            let mut after = code.match_indices(field).map(|(at, _)| code[at + field.len()..].chars().next());
            after.any(|next| !next.is_some_and(|next| next.is_alphanumeric() || matches!(next, '_' | '(' | '/' | '"')))
        })
    });
    none(&found, "ask a function of container/engine/quirks instead");
}

#[test]
fn core_does_not_know_tauri() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut tree = spawn::command(cargo);
    tree.args(["tree", "--locked", "--package", "gemra-core", "--edges", "normal,build", "--prefix", "none"]);
    let output = spawn::output(tree.current_dir(root())).unwrap();
    assert!(output.status.success(), "cargo tree works: {}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(tree.starts_with("gemra-core "), "this is core's tree: {tree}");
    let found: Vec<String> = tree
        .lines()
        .filter(|line| ["tauri", "wry", "tao", "webkit2gtk"].iter().any(|name| line.starts_with(name)))
        .map(str::to_owned)
        .collect();
    none(&found, "gemra-core has no window");
    let found = lines_that(&with_extension(&files(), &["rs"]), |path, line| {
        path.starts_with("src-tauri/core/") && line.split("//").next().unwrap_or_default().contains("tauri::")
    });
    none(&found, "gemra-core has no window");
}

#[test]
fn names_say_what_a_thing_is() {
    let words = ["manager", "service", "helper", "util"];
    let found: Vec<String> =
        files().into_iter().filter(|path| words.iter().any(|word| path.to_lowercase().contains(word))).collect();
    none(&found, "name these for what they are");
    let found = lines_that(&with_extension(&files(), &["rs", "ts"]), |_, line| {
        let code = line.split("//").next().unwrap_or_default();
        let named = |keyword: &str| {
            code.split_once(keyword).map(|(_, rest)| {
                rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>().to_lowercase()
            })
        };
        ["struct ", "enum ", "trait ", "class ", "interface "]
            .iter()
            .filter_map(|keyword| named(keyword))
            .any(|name| words.iter().any(|word| name.ends_with(word) || name.ends_with(&format!("{word}s"))))
    });
    none(&found, "name these for what they are");
}

#[test]
fn colours_are_tokens() {
    let files: Vec<String> = with_extension(&files(), &["css", "svelte", "ts", "html"])
        .into_iter()
        .filter(|path| path.starts_with("ui/") && path != "ui/src/tokens.css" && !path.contains("/test/"))
        .collect();
    assert!(!files.is_empty(), "the page has files");
    let found = lines_that(&files, |path, line| {
        let functions = ["rgb(", "rgba(", "hsl(", "hsla(", "hwb(", "lab(", "lch(", "oklab(", "oklch("];
        // In a script `#abc` is a private field; only as a text it is a colour.
        let script = Path::new(path).extension().is_some_and(|extension| extension == "ts");
        functions.iter().any(|function| line.contains(function)) || has_hex_colour(line, script)
    });
    none(&found, "colours stand in ui/src/tokens.css alone");
}

/// True where the line holds `#` and three, four, six or eight hexadecimal digits and no more; with `quoted`, only
/// where a quotation mark stands before it.
fn has_hex_colour(line: &str, quoted: bool) -> bool {
    line.match_indices('#').any(|(at, _)| {
        let digits = line[at + 1..].chars().take_while(char::is_ascii_hexdigit).count();
        let after = line[at + 1 + digits..].chars().next();
        let before = line[..at].chars().next_back();
        let ends = !after.is_some_and(|c| c.is_alphanumeric() || c == '-' || c == '_');
        // `{#each` and `&#39;` are no colours.
        let begins = if quoted { matches!(before, Some('"' | '\'' | '`')) } else { !matches!(before, Some('{' | '&')) };
        matches!(digits, 3 | 4 | 6 | 8) && ends && begins
    })
}

#[test]
fn the_readme_names_commands_that_exist() {
    assert!(files().iter().any(|path| path == "README.md"), "there is a README.md");
    let readme = read("README.md").unwrap();
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    for line in readme.lines() {
        for (at, _) in line.match_indices("cargo xtask ") {
            let rest = &line[at + "cargo xtask ".len()..];
            let words: Vec<String> = rest
                .split(['`', '#', '|'])
                .next()
                .unwrap_or_default()
                .split_whitespace()
                .take_while(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
                .map(str::to_owned)
                .collect();
            if let Some((command, rest)) = words.split_first() {
                commands.push((command.clone(), rest.to_vec()));
            }
        }
    }
    let named: Vec<&str> = commands.iter().map(|(command, _)| command.as_str()).collect();
    assert!(named.contains(&"run") && named.contains(&"test"), "the README has the two commands: {named:?}");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut help = spawn::command(cargo);
    help.args(["run", "--quiet", "--release", "--locked", "--package", "xtask", "--", "--help"]).current_dir(root());
    let output = spawn::output(&mut help).unwrap();
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "xtask tells its commands: {}", String::from_utf8_lossy(&output.stderr));
    let known = |word: &str| help.split(|c: char| !(c.is_alphanumeric() || c == '-')).any(|known| known == word);
    let missing: Vec<String> = commands
        .iter()
        .filter(|(command, options)| {
            let flags = options.iter().take_while(|option| option.as_str() != "--");
            !known(command) || flags.filter(|option| option.starts_with("--")).any(|option| !known(option))
        })
        .map(|(command, options)| format!("cargo xtask {command} {}", options.join(" ")))
        .collect();
    none(&missing, "the README names commands that `cargo xtask --help` does not");
}

/// The texts between these two in a file's lines, where both are in one.
fn between(path: &str, before: &str, after: &str) -> Vec<String> {
    let text = read(path).unwrap_or_else(|| panic!("{path} is there"));
    let found = text.lines().filter_map(|line| Some(line.split_once(before)?.1.split_once(after)?.0.to_owned()));
    found.collect()
}

/// Whoever meets an error looks its code up; whoever reads of a code can meet it.
#[test]
fn the_readme_has_a_row_for_every_code_and_for_no_other() {
    let mut codes = between("src-tauri/core/src/failure.rs", " => \"", "\",");
    assert!(codes.len() > 20 && codes.contains(&"timeout".to_owned()), "these are core's codes: {codes:?}");
    // The page's own, for what broke the rule that every failure has one.
    let own = between("ui/src/state/failure.ts", "code: \"", "\"");
    assert_eq!(own.len(), 1, "the page has one of its own: {own:?}");
    codes.extend(own);
    let readme = read("README.md").unwrap();
    let (_, troubles) = readme.split_once("\n## Troubleshooting\n").expect("it has a chapter on troubles");
    let troubles = troubles.split("\n## ").next().unwrap_or_default();
    let rows = troubles.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned()));
    let rows: Vec<String> = rows.collect();
    let missing: Vec<String> = codes.iter().filter(|code| !rows.contains(code)).cloned().collect();
    none(&missing, "these codes have no row in the README's troubleshooting");
    let stray: Vec<String> = rows.iter().filter(|row| !codes.contains(row)).cloned().collect();
    none(&stray, "the README's troubleshooting tells of codes that nothing has");
    let mut twice = rows.clone();
    twice.sort();
    twice.dedup();
    assert_eq!(twice.len(), rows.len(), "each code has one row: {rows:?}");
}

/// Each system's packager, and on Windows the compiler, wants an icon of its own kind.
#[test]
fn the_icons_are_there_and_are_what_their_names_say() {
    let config: serde_json::Value = serde_json::from_str(&read("src-tauri/tauri.conf.json").unwrap()).unwrap();
    let listed = config["bundle"]["icon"].as_array().expect("it lists icons").iter();
    let listed: Vec<&str> = listed.map(|icon| icon.as_str().expect("a path")).collect();
    let beginnings: [(&str, &[u8]); 3] = [("png", b"\x89PNG"), ("ico", &[0, 0, 1, 0]), ("icns", b"icns")];
    for (kind, beginning) in beginnings {
        let of_kind = listed.iter().filter(|path| Path::new(path).extension().is_some_and(|ending| ending == kind));
        let files: Vec<PathBuf> = of_kind.map(|path| root().join("src-tauri").join(path)).collect();
        assert!(!files.is_empty(), "there is one of kind {kind}: {listed:?}");
        for file in files {
            let bytes = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            assert!(bytes.starts_with(beginning), "{} is what its name says", file.display());
        }
    }
}

#[test]
fn nothing_of_one_machine_is_in_the_files() {
    // Put together here, so that this file does not hold what it looks for.
    let names = [
        ["artifac", "tory"],
        ["registry.npm", "js.org"],
        ["index.crates", ".io"],
        ["static.crates", ".io"],
        ["files.python", "hosted.org"],
        ["/work/", "main"],
        ["/work/", "shared"],
        ["/work/", "."],
        ["/root/", ".cargo"],
        ["/tmp/", "w/"],
    ]
    .map(|halves| halves.concat());
    let found = lines_that(&files(), |_, line| names.iter().any(|name| line.contains(name.as_str())));
    none(&found, "these hold only on one machine or in one network");
}

#[test]
fn hex_colours_are_told_from_what_looks_like_them() {
    for colour in ["color: #fff;", "background:#12ab34", "  border: 1px solid #a1b2c3d4;", "fill=\"#abc\""] {
        assert!(has_hex_colour(colour, false), "{colour}");
    }
    for other in ["{#each list as item}", "href=\"#section\"", "&#39;", "#1234567", "url(#shape-1)", "issue #12345"] {
        assert!(!has_hex_colour(other, false), "{other}");
    }
    assert!(has_hex_colour("const ink = \"#123456\";", true));
    assert!(!has_hex_colour("this.#bad += 1;", true), "a private field is no colour");
}
