//! Where the CLI keeps its conversations on this machine. Reads names only; never writes a session.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::launch::Conversation;

/// The CLI's own folder: `CLAUDE_CONFIG_DIR`, or `.claude` in the home folder.
pub fn config_folder(home: &Path, config_dir: Option<&Path>) -> PathBuf {
    config_dir.map_or_else(|| home.join(".claude"), Path::to_path_buf)
}

/// The folder of a workspace's conversations, whether it exists or not. Blocks on a look at folders where the path is
/// so long that the CLI shortens its name.
///
/// The end of a shortened name is a hash, and another release may have had another one. So where there is no folder of
/// the name that is expected, one that begins alike and holds a conversation of this very workspace is it.
pub fn bucket(config_folder: &Path, workspace: &Path) -> PathBuf {
    let projects = config_folder.join("projects");
    let name = bucket_name(workspace);
    let expected = projects.join(&name);
    if name.len() <= LONGEST_NAME || expected.is_dir() {
        return expected;
    }
    alike(&projects, &name).find(|bucket| is_of(bucket, workspace)).unwrap_or(expected)
}

/// The file of the conversation `id` of `workspace`, where it has been written down, so that it can be resumed.
pub fn file(config_folder: &Path, workspace: &Path, id: &str) -> Option<PathBuf> {
    let file = format!("{id}.jsonl");
    let usual = bucket(config_folder, workspace).join(&file);
    if usual.is_file() {
        return Some(usual);
    }
    let name = bucket_name(workspace);
    if name.len() <= LONGEST_NAME {
        return None;
    }
    // One of before an update, while there is a new folder already: the CLI looks there too.
    let projects = config_folder.join("projects");
    let mut others = alike(&projects, &name).filter(|bucket| is_of(bucket, workspace));
    others.find_map(|bucket| Some(bucket.join(&file)).filter(|file| file.is_file()))
}

/// The conversation `id` of `workspace`, resumed where it has been written down.
pub fn take_up(config_folder: &Path, workspace: &Path, id: String) -> Conversation {
    match file(config_folder, workspace, &id) {
        Some(_) => Conversation::Resume(id),
        None => Conversation::New(id),
    }
}

/// Names longer than this are shortened by the CLI (its change log, 2.1.224).
const LONGEST_NAME: usize = 200;

/// How much of a conversation is read to see whose it is: its first lines name the working directory.
const BEGINNING: u64 = 64 * 1024;

/// The CLI's name for a folder: every UTF-16 unit that is not an ASCII letter or digit becomes a dash, because it is
/// a JavaScript `replace` (`PROTOCOL.md`, surprise 7). What is too long ends after 200 units in a dash and a hash of
/// the whole path (seen with 2.1.329).
fn bucket_name(workspace: &Path) -> String {
    let path = workspace.to_string_lossy();
    let mut name: String = path
        .encode_utf16()
        .map(|unit| match char::from_u32(u32::from(unit)) {
            Some(letter) if letter.is_ascii_alphanumeric() => letter,
            _ => '-',
        })
        .collect();
    if name.len() > LONGEST_NAME {
        name.truncate(LONGEST_NAME);
        name.push('-');
        name.push_str(&base_36(hash(&path)));
    }
    name
}

/// The hash that JavaScript programs like to compute of a string: 31 times the one so far and the next UTF-16 unit, in
/// 32 bits, without its sign.
fn hash(text: &str) -> u32 {
    let hash = |hash: i32, unit: u16| hash.wrapping_mul(31).wrapping_add(i32::from(unit));
    text.encode_utf16().fold(0, hash).unsigned_abs()
}

/// As JavaScript's `toString(36)` writes it.
fn base_36(mut number: u32) -> String {
    let mut digits = Vec::new();
    while number > 0 || digits.is_empty() {
        digits.extend(char::from_digit(number % 36, 36));
        number /= 36;
    }
    digits.into_iter().rev().collect()
}

/// The folders whose names were shortened from paths that begin alike.
fn alike(projects: &Path, name: &str) -> impl Iterator<Item = PathBuf> {
    let beginning = name[..=LONGEST_NAME].to_owned();
    let listed = std::fs::read_dir(projects).into_iter().flatten().flatten();
    let begins = move |path: &PathBuf| {
        let name = path.file_name().and_then(std::ffi::OsStr::to_str);
        name.is_some_and(|name| name.starts_with(&beginning)) && path.is_dir()
    };
    listed.map(|entry| entry.path()).filter(begins)
}

/// True where a conversation in the folder was held in this workspace.
fn is_of(bucket: &Path, workspace: &Path) -> bool {
    let text = serde_json::Value::from(workspace.to_string_lossy()).to_string();
    let mark = format!("\"cwd\":{text}");
    let mut files = std::fs::read_dir(bucket).into_iter().flatten().flatten().map(|entry| entry.path());
    files.any(|file| {
        let mut beginning = Vec::new();
        let read = std::fs::File::open(&file).and_then(|file| file.take(BEGINNING).read_to_end(&mut beginning));
        read.is_ok() && String::from_utf8_lossy(&beginning).contains(&mark)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_named_as_the_cli_names_them() {
        let cases = [
            ("/home/user/project", "-home-user-project"),
            ("/workspace", "-workspace"),
            ("/home/user/my_project.v2", "-home-user-my-project-v2"),
            ("/home/müller/x y", "-home-m-ller-x-y"),
            ("/p/🦀", "-p---"),
        ];
        for (path, name) in cases {
            assert_eq!(bucket_name(Path::new(path)), name, "the bucket of {path}");
        }
    }

    /// Names that the CLI (2.1.329) gave when it was run in these folders.
    #[test]
    fn long_paths_are_shortened_as_the_cli_shortens_them() {
        let (a, b, u) = ("a".repeat(120), "b".repeat(120), "ü".repeat(100));
        let cases = [
            (format!("/tmp/w1/{a}/{b}"), format!("-tmp-w1-{a}-{}-q490o1", "b".repeat(71))),
            (format!("/tmp/w1/{u}/_{b}"), format!("-tmp-w1-{}--{}-1vviqq", "-".repeat(100), "b".repeat(90))),
            // The longest that is left as it is, and the shortest that is not.
            (format!("/tmp/w1/{}", "a".repeat(192)), format!("-tmp-w1-{}", "a".repeat(192))),
            (format!("/tmp/w1/{}", "c".repeat(193)), format!("-tmp-w1-{}-jqz4ut", "c".repeat(192))),
        ];
        for (path, name) in cases {
            assert_eq!(bucket_name(Path::new(&path)), name, "the bucket of {path}");
        }
        assert_eq!((base_36(0), base_36(35), base_36(36)), ("0".to_owned(), "z".to_owned(), "10".to_owned()));
    }

    #[test]
    fn a_folder_that_another_release_named_is_found_by_what_is_in_it() {
        let home = tempfile::tempdir().unwrap();
        let config = config_folder(home.path(), None);
        let (ours, others) = (format!("/p/{}/ours", "a".repeat(220)), format!("/p/{}/others", "a".repeat(220)));
        let (ours, others) = (Path::new(&ours), Path::new(&others));
        let expected = bucket(&config, ours);
        let beginning = &bucket_name(ours)[..=LONGEST_NAME];
        let made = |end: &str, workspace: &Path| {
            let folder = config.join("projects").join(format!("{beginning}{end}"));
            std::fs::create_dir_all(&folder).unwrap();
            let line = serde_json::json!({"type": "user", "cwd": workspace, "sessionId": end});
            std::fs::write(folder.join(format!("{end}.jsonl")), format!("{{\"type\":\"summary\"}}\n{line}\n")).unwrap();
            folder
        };
        made("foreign", others);
        assert_eq!(bucket(&config, ours), expected, "a folder that begins alike may be another workspace's");
        assert!(file(&config, ours, "foreign").is_none(), "and so are its conversations");
        let older = made("older", ours);
        assert_eq!(bucket(&config, ours), older, "this one's own is known by its conversation");
        assert!(file(&config, ours, "older").is_some(), "which can be resumed");
        std::fs::create_dir_all(&expected).unwrap();
        assert_eq!(bucket(&config, ours), expected, "what the CLI uses now comes first");
        assert!(file(&config, ours, "older").is_some(), "and what was said before an update is found still");
        assert!(file(&config, ours, "foreign").is_none(), "but no other workspace's");
    }

    #[test]
    fn a_session_is_there_once_it_has_been_written() {
        let home = tempfile::tempdir().unwrap();
        let config = config_folder(home.path(), None);
        let workspace = Path::new("/home/user/project");
        assert!(file(&config, workspace, "a").is_none(), "nothing was written yet");
        std::fs::create_dir_all(bucket(&config, workspace)).unwrap();
        std::fs::write(bucket(&config, workspace).join("a.jsonl"), "").unwrap();
        assert!(file(&config, workspace, "a").is_some(), "the file is the session");
        assert!(file(&config, workspace, "b").is_none(), "another one is not");
    }
}
