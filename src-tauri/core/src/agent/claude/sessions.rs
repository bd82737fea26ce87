//! Where the CLI keeps its conversations on this machine. Reads names only; never writes a session.

use std::path::{Path, PathBuf};

use super::launch::Conversation;

/// The CLI's own folder: `CLAUDE_CONFIG_DIR`, or `.claude` in the home folder.
pub fn config_folder(home: &Path, config_dir: Option<&Path>) -> PathBuf {
    config_dir.map_or_else(|| home.join(".claude"), Path::to_path_buf)
}

/// The folder of a workspace's conversations, whether it exists or not.
pub fn bucket(config_folder: &Path, workspace: &Path) -> PathBuf {
    config_folder.join("projects").join(bucket_name(workspace))
}

/// The file of the conversation `id` of `workspace`, where it has been written down, so that it can be resumed.
///
/// Very long paths are shortened by the CLI in a way of its own, so every bucket is looked at before it is missed.
pub fn file(config_folder: &Path, workspace: &Path, id: &str) -> Option<PathBuf> {
    let name = format!("{id}.jsonl");
    let expected = bucket(config_folder, workspace).join(&name);
    if expected.is_file() {
        return Some(expected);
    }
    if bucket_name(workspace).len() <= LONGEST_NAME {
        return None;
    }
    let buckets = std::fs::read_dir(config_folder.join("projects")).ok()?;
    buckets.flatten().map(|bucket| bucket.path().join(&name)).find(|file| file.is_file())
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

/// The CLI's name for a folder: every UTF-16 unit that is not an ASCII letter or digit becomes a dash, because it is
/// a JavaScript `replace` (`PROTOCOL.md`, surprise 7).
fn bucket_name(workspace: &Path) -> String {
    workspace
        .to_string_lossy()
        .encode_utf16()
        .map(|unit| match char::from_u32(u32::from(unit)) {
            Some(letter) if letter.is_ascii_alphanumeric() => letter,
            _ => '-',
        })
        .collect()
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
