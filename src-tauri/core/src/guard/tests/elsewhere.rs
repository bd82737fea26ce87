//! A container that writes to more than one folder, and tabs on the host in folders beside, above and below.

use super::*;

/// A repository with two worktrees, as git lays them out: the repository's folder, and the worktrees.
fn worktrees(root: &Path) -> (PathBuf, PathBuf, PathBuf) {
    let (git, one, two) = (root.join("main/.git"), root.join("one"), root.join("two"));
    put(&git.join("HEAD"), "ref: refs/heads/main\n");
    put(&git.join("config"), "[core]\n\tbare = false\n");
    fs::create_dir_all(git.join("objects")).unwrap();
    for tree in [&one, &two] {
        let own = git.join("worktrees").join(tree.file_name().unwrap());
        put(&own.join("commondir"), "../..\n");
        put(&own.join("gitdir"), &format!("{}/.git\n", tree.display()));
        put(&tree.join(".git"), &format!("gitdir: {}\n", own.display()));
    }
    (git, one, two)
}

fn root() -> (TempDir, PathBuf, Store) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let store = Store::new(root.join("guard"));
    (folder, root, store)
}

#[test]
fn what_a_worktrees_container_writes_concerns_the_other_worktrees_and_the_main_checkout() {
    let (_folder, root, store) = root();
    let (git, one, two) = worktrees(&root);
    store.begin(&[one.clone(), git.clone()]).unwrap();
    put(&git.join("hooks/post-checkout"), "evil");
    put(&git.join("config"), "[core]\n\tfsmonitor = ./evil\n");
    for tab in [&two, &root.join("main"), &root.join("main/sub"), &one] {
        assert!(store.knows(tab), "git in {} reads what was written", tab.display());
        assert_eq!(names(&check(&store, tab, false), &git), ["config", "hooks/post-checkout"], "{}", tab.display());
    }
    assert!(!store.knows(&root.join("elsewhere")), "another project is not concerned");
    says(&store, &two, false, None, false);
    assert!(!git.join("hooks/post-checkout").exists(), "it is brought back from there too");
    assert!(check(&store, &one, false).is_empty() && !store.knows(&one), "and nothing is left to ask anywhere");
}

#[test]
fn what_a_worktrees_settings_name_is_seen_in_each_folder_that_a_container_writes_to() {
    let (_folder, root, store) = root();
    let (git, one, two) = worktrees(&root);
    put(&git.join("config"), "[core]\n\tfsmonitor = ./watch\n\thooksPath = hooks.d\n");
    put(&one.join("watch"), "fine");
    put(&one.join("hooks.d/pre-commit"), "fine");
    store.begin(&[one.clone(), git]).unwrap();
    put(&one.join("watch"), "evil");
    put(&one.join("hooks.d/pre-commit"), "evil");
    assert_eq!(names(&check(&store, &one, true), &one), ["hooks.d/pre-commit", "watch"]);
    assert!(store.knows(&two), "the other worktree has the same settings");
}

#[test]
fn folders_above_and_below_are_concerned() {
    for (container, tab) in [("mono", "mono/sub"), ("mono/sub", "mono"), ("mono/sub", "mono/sub/deep")] {
        let (_folder, root, store) = root();
        put(&root.join("mono/sub/deep/.vscode/tasks.json"), "{}\n");
        begin(&store, &root.join(container));
        for name in [".mcp.json", ".claude/settings.json", "deep/.vscode/tasks.json"] {
            put(&root.join("mono/sub").join(name), "{\"evil\": true}\n");
        }
        let tab = root.join(tab);
        let told = names(&check(&store, &tab, false), &root);
        let expected = ["mono/sub/.claude/settings.json", "mono/sub/.mcp.json", "mono/sub/deep/.vscode/tasks.json"];
        assert_eq!(told, expected, "{container} written, {} asked", tab.display());
        assert!(!store.knows(&root.join("mono/other")) || container == "mono", "a folder beside is not concerned");
    }
}

#[test]
fn a_later_baseline_does_not_take_for_granted_what_an_earlier_one_would_ask() {
    let (_folder, root, store) = root();
    let (above, below) = (root.join("mono"), root.join("mono/sub"));
    put(&below.join(".envrc"), "fine\n");
    begin(&store, &above);
    put(&below.join(".envrc"), "evil\n");
    put(&below.join(".mcp.json"), "{}\n");
    begin(&store, &below);
    assert_eq!(names(&check(&store, &below, false), &below), [".envrc", ".mcp.json"], "both were written by the first");
    put(&above.join("other/.envrc"), "evil\n");
    let (left, _) = says(&store, &below, false, None, false);
    assert_eq!(names(&left, &below), Vec::<String>::new(), "one answer holds for both");
    assert_eq!(fs::read_to_string(below.join(".envrc")).unwrap(), "fine\n", "it is what it was before either");
    assert!(!store.knows(&above), "nothing is left to ask above either");
}

#[test]
fn what_is_kept_in_one_folder_is_not_asked_about_in_another() {
    let (_folder, root, store) = root();
    let (above, below) = (root.join("mono"), root.join("mono/sub"));
    fs::create_dir_all(&below).unwrap();
    begin(&store, &above);
    begin(&store, &below);
    put(&below.join(".envrc"), "mine\n");
    says(&store, &below, true, None, true);
    for tab in [&above, &below] {
        assert!(check(&store, tab, true).is_empty(), "it was kept: {}", tab.display());
    }
}

#[test]
fn a_baseline_stays_while_a_container_can_write_to_any_of_its_folders() {
    let (_folder, root, store) = root();
    let (one, two) = (root.join("one"), root.join("two"));
    fs::create_dir_all(&one).unwrap();
    fs::create_dir_all(&two).unwrap();
    begin(&store, &one);
    begin(&store, &two);
    assert!(store.check(&one, |roots| roots == [two.clone()]).unwrap().is_empty());
    assert!(!store.knows(&one) && store.knows(&two), "the other container's is not let go with it");
    let again = Store::new(root.join("guard"));
    assert!(!again.knows(&one) && again.knows(&two), "nor forgotten by the next run");
}

#[test]
fn further_folders_that_a_container_writes_to_are_guarded() {
    let (_folder, root, store) = root();
    let (project, shared, file) = (root.join("project"), root.join("shared"), root.join("script"));
    put(&project.join(".mcp.json"), &format!("{{\"command\": \"{}/tool\"}}\n", shared.display()));
    put(&shared.join("tool"), "fine\n");
    put(&shared.join("lib/.git/config"), "[core]\n\tbare = false\n");
    put(&file, "fine\n");
    store.begin(&[project.clone(), shared.clone(), file.clone()]).unwrap();
    put(&shared.join("tool"), "evil\n");
    put(&shared.join("lib/.git/config"), "[core]\n\tfsmonitor = ./evil\n");
    put(&shared.join(".envrc"), "evil\n");
    put(&file, "evil\n");
    let told = names(&check(&store, &project, true), &root);
    assert_eq!(told, ["script", "shared/.envrc", "shared/lib/.git/config", "shared/tool"], "each under its own path");
    assert!(store.knows(&shared.join("lib")), "a tab that is opened there is asked too");
    says(&store, &project, false, None, false);
    assert_eq!(fs::read_to_string(&file).unwrap(), "fine\n");
    assert_eq!(fs::read_to_string(shared.join("tool")).unwrap(), "fine\n");
    assert!(!shared.join(".envrc").exists(), "all of it is brought back");
}
