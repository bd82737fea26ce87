//! A log for each project of what agents did in containers without asking, and of what containers were refused: a line of
//! JSON for each tool call, one for what came of it, and one for each refusal, in a file of Gemra's own that its user alone
//! may read. It knows no agent and shows nothing.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::digest::hexadecimal;

/// How long a file may get before it becomes the older one, in bytes. There is one older one.
const LONGEST: u64 = 8 * 1024 * 1024;
/// The longest input or result that is written whole, in bytes.
const LONG: usize = 64 * 1024;

/// A call of a tool.
#[derive(Debug)]
pub(crate) struct Called<'a> {
    /// Names it.
    pub(crate) call: &'a str,
    pub(crate) tool: &'a str,
    pub(crate) input: &'a Value,
    /// The permission mode in use.
    pub(crate) mode: &'a str,
    /// What may have let it through.
    pub(crate) why: &'a [String],
    pub(crate) at: SystemTime,
}

/// What came of a call.
#[derive(Debug)]
pub(crate) struct Came<'a> {
    /// What came back, as text.
    pub(crate) result: Option<&'a str>,
    pub(crate) failed: bool,
    /// The code that a command ended with.
    pub(crate) code: Option<i32>,
    /// Why nothing came back, where nothing did.
    pub(crate) otherwise: Option<&'static str>,
}

impl Came<'_> {
    pub(crate) fn nothing(why: &'static str) -> Self {
        Self { result: None, failed: false, code: None, otherwise: Some(why) }
    }
}

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
    pub(crate) fn called(&self, workspace: &Path, tab: &str, called: &Called<'_>) {
        let Called { call, tool, input, mode, why, at } = called;
        let whole = input.to_string();
        let input = if whole.len() <= LONG { (*input).clone() } else { json!({"cut": head(&whole)}) };
        let line = json!({"at": milliseconds(*at), "workspace": workspace.display().to_string(), "tab": tab,
            "call": call, "tool": tool, "input": input, "mode": mode, "why": why});
        self.write(workspace, &line);
    }

    /// Writes down what came of a call.
    pub(crate) fn came(&self, workspace: &Path, tab: &str, call: &str, came: &Came<'_>) {
        let Came { result, failed, code, otherwise } = came;
        let mut line = json!({"at": milliseconds(SystemTime::now()), "tab": tab, "call": call});
        if let Some(result) = result {
            line["failed"] = (*failed).into();
            line["result"] = head(result).into();
            line["cut"] = (result.len() > LONG).into();
        }
        if let Some(code) = code {
            line["code"] = (*code).into();
        }
        if let Some(otherwise) = otherwise {
            line["noResult"] = (*otherwise).into();
        }
        self.write(workspace, &line);
    }

    /// Writes down that a container was refused the way out: to whom, and why.
    pub(crate) fn refused(&self, workspace: &Path, tab: &str, target: &str, why: &str) {
        let line = json!({"at": milliseconds(SystemTime::now()), "workspace": workspace.display().to_string(), "tab": tab,
            "refused": target, "why": why});
        self.write(workspace, &line);
    }

    fn write(&self, workspace: &Path, line: &Value) {
        let _ = self.lines.send((self.path(workspace), line.to_string()));
    }
}

fn milliseconds(at: SystemTime) -> u64 {
    let at = at.duration_since(UNIX_EPOCH).map_or(0, |at| at.as_millis());
    u64::try_from(at).unwrap_or(u64::MAX)
}

/// As much of a text as is written.
fn head(text: &str) -> &str {
    let mut end = LONG.min(text.len());
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
        let input = json!({"command": "ü".repeat(LONG)});
        let why = ["Bypass".to_owned()];
        let at = UNIX_EPOCH + std::time::Duration::from_millis(7);
        let called = Called { call: "c1", tool: "Bash", input: &input, mode: "bypassPermissions", why: &why, at };
        audit.called(one, "t1", &called);
        let result = "ä".repeat(LONG);
        audit.came(one, "t1", "c1", &Came { result: Some(&result), failed: true, code: Some(3), otherwise: None });
        audit.came(one, "t1", "c2", &Came::nothing("it ended"));
        audit.refused(one, "t2", "stranger.example:443", "it is not on the list");
        let path = audit.path(one);
        let text = loop {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            if text.ends_with('\n') && text.lines().count() == 4 {
                break text;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        };
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let called = &lines[0];
        assert_eq!((&called["tool"], &called["tab"], &called["at"]), (&json!("Bash"), &json!("t1"), &json!(7)), "who");
        assert_eq!((&called["mode"], &called["why"]), (&json!("bypassPermissions"), &json!(["Bypass"])), "and why");
        assert!(called["input"]["cut"].as_str().unwrap().len() <= LONG, "and no more than can be kept");
        let came = &lines[1];
        assert_eq!((&came["call"], &came["code"], &came["failed"]), (&json!("c1"), &json!(3), &json!(true)), "of it");
        assert!(came["result"].as_str().unwrap().len() <= LONG && came["cut"] == true, "nor more of what came back");
        assert_eq!(
            (&lines[2]["noResult"], &lines[2]["result"]),
            (&json!("it ended"), &Value::Null),
            "or that nothing did"
        );
        let refused = &lines[3];
        let expected = (&json!("stranger.example:443"), &json!("it is not on the list"), &json!("t2"));
        assert_eq!((&refused["refused"], &refused["why"], &refused["tab"]), expected, "who was not let where");
    }
}
