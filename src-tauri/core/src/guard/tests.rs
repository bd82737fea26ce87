#![allow(clippy::unwrap_used)]

mod elsewhere;
mod limits;
mod named;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use tempfile::TempDir;

use super::*;

/// A workspace with a repository and a few settings, and a store beside it.
fn workspace() -> (TempDir, PathBuf, Store) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let project = root.join("project");
    put(&project.join(".git/config"), "[core]\n\tbare = false\n");
    put(&project.join(".git/hooks/pre-rebase"), "#!/bin/sh\n");
    put(&project.join(".vscode/tasks.json"), "{}\n");
    put(&project.join("src/main.rs"), "fn main() {}\n");
    let store = Store::new(root.join("guard"));
    begin(&store, &project);
    (folder, project, store)
}

/// A container of this workspace begins.
fn begin(store: &Store, workspace: &Path) {
    store.begin(&[workspace.to_path_buf()]).unwrap();
}

/// What has changed, while no container writes, or one does.
fn check(store: &Store, workspace: &Path, stays: bool) -> Vec<Change> {
    store.check(workspace, |_| stays).unwrap()
}

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Answers what is to be asked now, or the one file of it.
fn says(store: &Store, project: &Path, keep: bool, file: Option<&str>, stays: bool) -> (Vec<Change>, Option<PathBuf>) {
    let shown = check(store, project, true);
    let answer = Answer { keep, path: file.map(|file| project.join(file)) };
    store.answer(project, &shown, &answer, |_| stays).unwrap()
}

fn names(changes: &[Change], project: &Path) -> Vec<String> {
    let name = |change: &Change| change.path.strip_prefix(project).unwrap_or(&change.path).display().to_string();
    changes.iter().map(name).collect()
}

#[test]
fn what_the_host_would_execute_is_told_and_nothing_else() {
    let cases: &[(&str, &str, bool)] = &[
        ("src/main.rs", "changed", false),
        ("package.json", "{}", false),
        (".git/HEAD", "ref: refs/heads/x", false),
        (".git/refs/heads/x", "0000", false),
        (".git/hooks/pre-commit.sample", "#!/bin/sh\n", false),
        (".git/hooks/evil.sample/x", "evil", true),
        (".git/worktrees/a/commondir", "../..\n", false),
        (".git/worktrees/a/commondir", "/workspace/evil\n", true),
        (".git/commondir", "../..\n", true),
        (".git/modules/sub/config", "[core]\n\tworktree = ../../../sub\n", false),
        (".husky/x.sample", "evil", true),
        (".git/modules/sub/config", "[core]\n\tworktree = ../../../../elsewhere\n", true),
        (".git/config", "[core]\n\tbare = false\n\tworktree = ..\n", true),
        (".git/config", "[core]\n\tbare = false\n[branch \"x\"] [core] fsmonitor = ./evil\n", true),
        (".git/config", "[core]\n\tbare = false\n[branch \"x\"]\n\tremote = origin\n", false),
        (".git/config", "[core]\n\tbare = false\n\tfsmonitor = ./evil\n", true),
        (".git/config", "[core]\n\thooksPath = hooks\n", true),
        (".git/hooks/pre-commit", "#!/bin/sh\nevil\n", true),
        (".git/modules/sub/hooks/post-checkout", "#!/bin/sh\nevil\n", true),
        (".git/modules/a/modules/b/config", "[core]\n\tsshCommand = evil\n", true),
        (".claude/settings.json", "{}", true),
        (".claude/settings.local.json", "{}", true),
        (".claude/skills/evil/SKILL.md", "evil", true),
        (".claude/agents/evil.md", "evil", true),
        (".claude/commands/evil.md", "evil", true),
        (".claude/notes.md", "fine", false),
        ("deep/er/.mcp.json", "{}", true),
        ("node_modules/a/.mcp.json", "{}", false),
        ("node_modules/a/.git/hooks/post-checkout", "evil", true),
        (".mcp.json", "{}", true),
        (".vscode/tasks.json", "{\"tasks\": []}\n", true),
        (".husky/pre-push", "evil", true),
        (".envrc", "evil", true),
    ];
    for (path, text, told) in cases {
        let (_folder, project, store) = workspace();
        put(&project.join(path), text);
        let changes = check(&store, &project, false);
        let expected: Vec<&str> = if *told { vec![*path] } else { vec![] };
        assert_eq!(names(&changes, &project), expected, "{path} with {text:?}");
        assert_eq!(store.knows(&project), *told, "the baseline stays as long as somebody has to answer");
    }
}

#[test]
fn a_change_is_shown_line_by_line_and_brought_back_with_its_permissions() {
    let (_folder, project, store) = workspace();
    let (hook, tasks) = (project.join(".git/hooks/pre-rebase"), project.join(".vscode/tasks.json"));
    put(&hook, "#!/bin/sh\nevil\n");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    fs::remove_file(&tasks).unwrap();
    put(&project.join(".envrc"), "evil\n");
    let changes = check(&store, &project, false);
    let kinds: Vec<ChangeKind> = changes.iter().map(|change| change.kind).collect();
    assert_eq!(names(&changes, &project), [".envrc", ".git/hooks/pre-rebase", ".vscode/tasks.json"]);
    assert_eq!(kinds, [ChangeKind::Added, ChangeKind::Changed, ChangeKind::Removed]);
    assert_eq!(changes[1].hunks[0].lines, [" #!/bin/sh", "+evil"], "what was written is shown");
    let aside = says(&store, &project, false, None, false).1.unwrap();
    assert_eq!(fs::read_to_string(&hook).unwrap(), "#!/bin/sh\n");
    assert_eq!(fs::metadata(&hook).unwrap().permissions().mode() & 0o777, 0o644, "as it was before");
    assert_eq!(fs::read_to_string(&tasks).unwrap(), "{}\n");
    assert!(!project.join(".envrc").exists(), "what was not there is gone");
    assert_eq!(fs::read_to_string(aside.join("0/.envrc")).unwrap(), "evil\n", "and nothing is lost");
    assert!(!store.knows(&project), "all is answered");
}

#[test]
fn no_link_hides_a_file_nor_leads_the_way_back_out() {
    let (folder, project, store) = workspace();
    let outside = folder.path().join("outside");
    put(&outside.join("tasks.json"), "{\"mine\": true}\n");
    fs::remove_dir_all(project.join(".vscode")).unwrap();
    symlink(&outside, project.join(".vscode")).unwrap();
    symlink("/nowhere", project.join(".mcp.json")).unwrap();
    let changes = check(&store, &project, false);
    assert_eq!(names(&changes, &project), [".mcp.json", ".vscode", ".vscode/tasks.json"], "links count themselves");
    says(&store, &project, false, None, false);
    assert_eq!(fs::read_to_string(project.join(".vscode/tasks.json")).unwrap(), "{}\n", "the file is back");
    assert!(!project.join(".vscode").is_symlink(), "in a folder of the workspace");
    assert_eq!(
        fs::read_to_string(outside.join("tasks.json")).unwrap(),
        "{\"mine\": true}\n",
        "nothing outside is touched"
    );
}

#[test]
fn a_folder_of_hooks_that_the_configuration_names_is_guarded_too() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().canonicalize().unwrap().join("project");
    put(&project.join(".git/config"), "[core]\n\thooksPath = tools/hooks\n");
    put(&project.join("tools/hooks/pre-commit"), "fine\n");
    symlink("tools/hooks", project.join(".husky")).unwrap();
    let store = Store::new(folder.path().join("guard"));
    begin(&store, &project);
    put(&project.join("tools/hooks/pre-commit"), "evil\n");
    assert_eq!(names(&check(&store, &project, true), &project), ["tools/hooks/pre-commit"]);
}

#[test]
fn a_baseline_that_nobody_has_answered_for_is_never_renewed() {
    let (_folder, project, store) = workspace();
    put(&project.join(".envrc"), "evil\n");
    begin(&store, &project);
    assert_eq!(names(&check(&store, &project, false), &project), [".envrc"], "a second start hides nothing");
    says(&store, &project, true, None, true);
    assert!(check(&store, &project, true).is_empty(), "what was kept is what is expected from now on");
    put(&project.join(".envrc"), "worse\n");
    assert_eq!(check(&store, &project, true).len(), 1, "while another container still writes");
    says(&store, &project, true, None, false);
    assert!(!store.knows(&project) && check(&store, &project, false).is_empty(), "nothing is left to ask");
}

#[test]
fn files_are_answered_one_by_one() {
    let (_folder, project, store) = workspace();
    put(&project.join(".envrc"), "mine\n");
    put(&project.join(".mcp.json"), "{}\n");
    let (left, aside) = says(&store, &project, true, Some(".envrc"), false);
    assert_eq!((names(&left, &project), aside), (vec![".mcp.json".to_owned()], None), "the other one is asked about");
    assert!(store.knows(&project), "as long as there is something to ask");
    let (left, aside) = says(&store, &project, false, Some(".mcp.json"), false);
    assert!(left.is_empty() && aside.is_some(), "nothing is left to ask: {left:?}");
    assert!(project.join(".envrc").exists() && !project.join(".mcp.json").exists(), "each as it was answered");
    assert!(!store.knows(&project), "all is answered");
}

#[test]
fn only_what_was_shown_is_kept() {
    let (_folder, project, store) = workspace();
    put(&project.join(".envrc"), "shown\n");
    put(&project.join(".mcp.json"), "{}\n");
    let shown = check(&store, &project, true);
    // Another container still writes while the user reads.
    put(&project.join(".envrc"), "evil\n");
    put(&project.join(".husky/pre-push"), "evil\n");
    let (left, _) = store.answer(&project, &shown, &Answer { keep: true, path: None }, |_| false).unwrap();
    assert_eq!(names(&left, &project), [".envrc", ".husky/pre-push"], "what nobody has seen is asked about");
    assert!(left[0].hunks[0].lines.contains(&"+evil".to_owned()), "as it is now: {:?}", left[0]);
}

#[test]
fn repositories_within_the_workspace_are_guarded() {
    let cases: &[(&str, &str, bool)] = &[
        ("vendor/lib/.git/hooks/post-checkout", "evil", true),
        ("vendor/lib/.git/config", "[core]\n\tfsmonitor = ./evil\n", true),
        ("vendor/lib/.git/config", "[remote \"origin\"]\n\turl = x\n", false),
        ("vendor/lib/.git/hooks/pre-commit.sample", "#!/bin/sh\n", false),
        ("vendor/lib/.git", "gitdir: ../../evil\n", true),
        ("a/b/c/d/e/.git/hooks/pre-commit", "evil", true),
        ("a/b/c/d/e/f/g/h/i/j/.git/hooks/pre-commit", "evil", true),
        ("a/.GIT/hooks/pre-commit", "evil", true),
    ];
    for (path, text, told) in cases {
        let (_folder, project, store) = workspace();
        put(&project.join(path), text);
        let changes = check(&store, &project, false);
        let expected: Vec<&str> = if *told { vec![*path] } else { vec![] };
        assert_eq!(names(&changes, &project), expected, "{path} with {text:?}");
    }
}
