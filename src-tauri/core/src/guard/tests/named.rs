//! Programs that guarded files name, settings that others include, and repositories that are not where one looks first.

use super::*;

/// A project with these files, and a store with its baseline.
fn project(files: &[(&str, &str)]) -> (TempDir, PathBuf, Store) {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().canonicalize().unwrap().join("project");
    for (path, text) in files {
        put(&project.join(path), text);
    }
    let store = Store::new(folder.path().join("guard"));
    begin(&store, &project);
    (folder, project, store)
}

#[test]
fn a_program_that_a_guarded_file_names_is_guarded_with_it() {
    let cases: &[(&str, &str, &str)] = &[
        (".claude/settings.json", "{\"hooks\": {\"Stop\": [{\"command\": \"./tools/x.sh\"}]}}", "tools/x.sh"),
        (".claude/settings.json", "{\"statusLine\": {\"command\": \"$CLAUDE_PROJECT_DIR/tools/x\"}}", "tools/x"),
        (".mcp.json", "{\"mcpServers\": {\"a\": {\"command\": \"node\", \"args\": [\"srv/a.js\"]}}}", "srv/a.js"),
        (".vscode/tasks.json", "{ // why\n\"command\": \"${workspaceFolder}/run\" }", "run"),
        ("sub/.mcp.json", "{\"command\": \"./tool\"}", "sub/tool"),
        (".envrc", "source ./env.sh\n", "env.sh"),
        (".git/config", "[core]\n\tfsmonitor = ./watch\n", "watch"),
        (".git/config", "[core]\n\tfsmonitor = \"./watch it\"\n", "watch it"),
        (".git/config", "[filter \"x\"]\n\tclean = sh bin/clean %f\n", "bin/clean"),
        (".git/config", "[include]\n\tpath = ../more.cfg\n", "more.cfg"),
        (".git/config", "[includeIf \"gitdir:x\"]\n\tpath = ../more.cfg\n", "more.cfg"),
        (".git/config.worktree", "[core]\n\thooksPath = .h ; why\n", ".h/pre-commit"),
        ("sub/.git/config", "[core]\n\thooksPath = .h\n", "sub/.h/pre-commit"),
        ("sub/.git/config", "[core]\n\tsshCommand = ./ssh\n", "sub/ssh"),
    ];
    for (names_it, text, path) in cases {
        let (_folder, project, store) = project(&[(names_it, text), (path, "fine\n")]);
        put(&project.join(path), "[core]\n\tfsmonitor = ./evil\n");
        let told = names(&check(&store, &project, false), &project);
        assert_eq!(told, [*path], "{names_it} names it: {text}");
        says(&store, &project, false, None, false);
        assert_eq!(fs::read_to_string(project.join(path)).unwrap(), "fine\n", "{path} is brought back");
    }
}

#[test]
fn what_included_settings_name_counts_too() {
    let (_folder, project, store) = project(&[
        (".git/config", "[include]\n\tpath = ../.gitconfig\n"),
        (".gitconfig", "[core]\n\thooksPath = .h\n[include]\n\tpath = .gitconfig\n"),
        (".h/pre-commit", "fine\n"),
    ]);
    put(&project.join(".h/pre-commit"), "evil\n");
    put(&project.join(".gitconfig"), "[core]\n\thooksPath = .h\n[include]\n\tpath = .gitconfig\n[user]\n\tname = A\n");
    assert_eq!(names(&check(&store, &project, false), &project), [".h/pre-commit"], "and a name in them is harmless");
}

#[test]
fn what_is_not_named_any_more_is_not_gone() {
    let (_folder, project, store) = project(&[(".mcp.json", "{\"command\": \"./run.sh\"}"), ("run.sh", "mine\n")]);
    put(&project.join(".mcp.json"), "{}");
    assert_eq!(names(&check(&store, &project, false), &project), [".mcp.json"], "it is still there");
}

#[test]
fn data_that_is_named_is_no_program() {
    let (_folder, project, store) = project(&[
        (".vscode/settings.json", "{\"rust-analyzer.linkedProjects\": [\"Cargo.toml\"], \"x\": \"src/main.rs\"}"),
        ("Cargo.toml", "fine"),
        ("src/main.rs", "fine"),
    ]);
    put(&project.join("Cargo.toml"), "changed");
    put(&project.join("src/main.rs"), "changed");
    assert!(check(&store, &project, false).is_empty(), "that is the work itself");
}

#[test]
fn what_a_changed_file_names_is_shown_and_never_taken_away() {
    let (_folder, project, store) = project(&[("run.sh", "mine\n")]);
    put(&project.join(".mcp.json"), "{\"command\": \"./run.sh\"}\n");
    let shown = check(&store, &project, true);
    assert_eq!(names(&shown, &project), [".mcp.json", "run.sh"], "both would be run");
    assert_eq!(shown[1].kind, ChangeKind::Changed, "nobody knows whether it was there");
    assert!(shown[1].note.as_deref().unwrap().contains("names it"), "{shown:?}");
    let (left, _) = says(&store, &project, false, None, false);
    assert!(left.is_empty() && !project.join(".mcp.json").exists(), "{left:?}");
    assert_eq!(fs::read_to_string(project.join("run.sh")).unwrap(), "mine\n", "it was there before any container");
    // Alone, it cannot be brought back.
    begin(&store, &project);
    put(&project.join(".mcp.json"), "{\"command\": \"./run.sh\"}\n");
    let shown = check(&store, &project, true);
    let answer = Answer { keep: false, path: Some(project.join("run.sh")) };
    let error = store.answer(&project, &shown, &answer, |_| true).unwrap_err();
    assert!(matches!(error, GuardError::Unknown(_)), "{error}");
    assert!(project.join("run.sh").exists(), "and is left alone");
}

/// Files by their paths.
type Files = Vec<(String, String)>;

#[test]
fn repositories_elsewhere_and_of_any_name_are_guarded() {
    let bare: &[(&str, &str)] = &[("HEAD", "ref: refs/heads/main\n"), ("objects/x", ""), ("config", "")];
    let under = |folder: &str| -> Files {
        bare.iter().map(|(name, text)| (format!("{folder}/{name}"), (*text).to_owned())).collect()
    };
    let cases: &[(&str, &str, Files, &str)] = &[
        (".git", "gitdir: ./.bare\n", under(".bare"), ".bare"),
        ("sub/.git", "gitdir: ../.store/sub\n", under(".store/sub"), ".store/sub"),
        ("x", "", under("fixtures/any name"), "fixtures/any name"),
        ("x", "", under("node_modules/deep/a/b/c/d/e/f"), "node_modules/deep/a/b/c/d/e/f"),
    ];
    for (file, text, repository, at) in cases {
        let mut files: Vec<(&str, &str)> =
            repository.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        files.push((file, text));
        let (_folder, project, store) = project(&files);
        put(&project.join(at).join("config"), "[core]\n\tfsmonitor = ./evil\n");
        put(&project.join(at).join("hooks/pre-commit"), "evil\n");
        let told = names(&check(&store, &project, false), &project);
        assert_eq!(told, [format!("{at}/config"), format!("{at}/hooks/pre-commit")], "{file} {text:?}");
    }
}

#[test]
fn a_link_for_a_repository_is_followed_without_reading_its_objects() {
    let (_folder, project, store) = project(&[(".bare/HEAD", "x\n"), (".bare/objects/a", "x"), (".bare/config", "")]);
    symlink(".bare", project.join(".git")).unwrap();
    put(&project.join(".bare/objects/b"), "x");
    assert_eq!(names(&check(&store, &project, false), &project), [".git"], "the link itself is new");
}

#[test]
fn nothing_is_moved_through_a_link_that_leads_out() {
    let (folder, project, store) = project(&[(".vscode/tasks.json", "{}\n")]);
    let outside = folder.path().join("outside");
    put(&outside.join("tasks.json"), "{\"mine\": true}\n");
    fs::remove_dir_all(project.join(".vscode")).unwrap();
    symlink(&outside, project.join(".vscode")).unwrap();
    let shown = check(&store, &project, true);
    let answer = Answer { keep: false, path: Some(project.join(".vscode/tasks.json")) };
    let error = store.answer(&project, &shown, &answer, |_| true).unwrap_err();
    assert!(matches!(error, GuardError::Elsewhere(_)), "{error}");
    assert_eq!(fs::read_to_string(outside.join("tasks.json")).unwrap(), "{\"mine\": true}\n", "it stays where it is");
}
