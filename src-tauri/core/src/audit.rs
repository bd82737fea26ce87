//! A log for each project of what agents did in containers without asking, and of what containers were refused: one line
//! of JSON for each, in a file of Gemra's own that its user alone may read. It knows no agent and shows nothing.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::digest::hexadecimal;

/// How long a file may get before it becomes the older one, in bytes. There is one older one.
const LONGEST: u64 = 8 * 1024 * 1024;
/// The longest input that is written whole, in bytes of JSON.
const INPUT: usize = 64 * 1024;

/// The logs in a folder of Gemra's own.
#[derive(Debug)]
pub(crate) struct Audit {
    folder: PathBuf,
    lines: mpsc::UnboundedSender<(PathBuf, String)>,
}

impl Audit {
    /// Opens the logs; a task of its own writes them, because disks are slow.
    pub(crate) fn open(folder: PathBuf) -> Self {
        let (lines, mut inbox) = mpsc::unbounded_channel::<(PathBuf, String)>();
        tokio::task::spawn_blocking(move || {
            while let Some((path, line)) = inbox.blocking_recv() {
                if let Err(error) = append(&path, &line, LONGEST) {
                    tracing::error!(path = %path.display(), %error, "what an agent did could not be written down");
                }
            }
        });
        Self { folder, lines }
    }

    /// Where a project's log is.
    pub(crate) fn path(&self, workspace: &Path) -> PathBuf {
        let digest = hexadecimal(&Sha256::digest(workspace.as_os_str().as_encoded_bytes())[..6]);
        let name: String = workspace.file_name().unwrap_or_default().to_string_lossy().chars().take(40).collect();
        let name: String = name.chars().map(|one| if one.is_alphanumeric() { one } else { '-' }).collect();
        self.folder.join(format!("{name}-{digest}.jsonl"))
    }

    /// Writes down that a tool was called.
    pub(crate) fn tool(&self, workspace: &Path, tab: &str, tool: &str, input: &Value) {
        let whole = input.to_string();
        let input = if whole.len() <= INPUT { input.clone() } else { json!({"cut": head(&whole)}) };
        self.write(workspace, tab, [("tool", json!(tool)), ("input", input)]);
    }

    /// Writes down that a container was refused the way out: to whom, and why.
    pub(crate) fn refused(&self, workspace: &Path, tab: &str, target: &str, why: &str) {
        self.write(workspace, tab, [("refused", json!(target)), ("why", json!(why))]);
    }

    fn write(&self, workspace: &Path, tab: &str, what: [(&str, Value); 2]) {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis());
        let at = u64::try_from(at).unwrap_or(u64::MAX);
        let mut line = json!({"at": at, "workspace": workspace.display().to_string(), "tab": tab});
        for (name, value) in what {
            line[name] = value;
        }
        let _ = self.lines.send((self.path(workspace), line.to_string()));
    }
}

fn head(text: &str) -> &str {
    let mut end = INPUT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn append(path: &Path, line: &str, longest: u64) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    if std::fs::metadata(path).is_ok_and(|known| known.len() >= longest) {
        std::fs::rename(path, path.with_extension("old.jsonl"))?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(format!("{line}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_its_users_alone_and_does_not_grow_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit/p.jsonl");
        for line in ["one", "two", "three"] {
            append(&path, line, 6).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "three\n", "a new file began when the old one was long");
        let old = path.with_extension("old.jsonl");
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "one\ntwo\n", "which is kept");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "what commands hold is nobody else's business");
        }
    }

    #[tokio::test]
    async fn each_project_has_its_own_and_long_inputs_are_cut() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::open(folder.path().to_path_buf());
        let (one, other) = (Path::new("/work/a b"), Path::new("/other/a b"));
        assert_ne!(audit.path(one), audit.path(other), "projects of the same name are told apart");
        audit.tool(one, "t1", "Bash", &json!({"command": "ü".repeat(INPUT)}));
        audit.refused(one, "t2", "stranger.example:443", "it is not on the list");
        let path = audit.path(one);
        let text = loop {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            if text.ends_with('\n') && text.lines().count() == 2 {
                break text;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        };
        let refused: Value = serde_json::from_str(text.lines().next_back().unwrap()).unwrap();
        let expected = (&json!("stranger.example:443"), &json!("it is not on the list"), &json!("t2"));
        assert_eq!((&refused["refused"], &refused["why"], &refused["tab"]), expected, "who was not let where");
        let line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!((&line["tool"], &line["tab"]), (&json!("Bash"), &json!("t1")), "who did what");
        assert!(line["input"]["cut"].as_str().unwrap().len() <= INPUT, "and no more than can be kept");
    }
}
