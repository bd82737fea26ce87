//! A git worktree as a tab's folder, at a real engine: the agent inside works with the repository that the worktree
//! belongs to, and both are whole when it comes back. The worktrees are git's own, made outside.

#![allow(clippy::unwrap_used)] // What cannot be set up fails the test, which is what it is for.

use std::os::unix::fs::{MetadataExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use gemra_core::failure::Code;
use tests::engine::desk::{Desk, fact};
use tests::engine::lab::{self, Lab};
use tests::engine::{BASE, Kind};
use tests::{needs, spawn};

/// The step that other tests' images have as well, and that is therefore made once.
const GIT: &str = "RUN apt-get update && apt-get install -y --no-install-recommends git openssh-client \
    && rm -rf /var/lib/apt/lists/*";
/// What the agent does inside. Every line of it must succeed.
const WORK: &str = "set -eu\n\
    echo \"at $(git rev-parse --show-toplevel)\"\n\
    test -z \"$(git status --porcelain)\"\n\
    git status --short --branch\n\
    echo inside >>file\n\
    git commit --quiet --all --message inside\n\
    git -C \"$PROJECT_PATH\" log -1 --format='%s by %an'\n\
    git gc --quiet\n\
    echo \"$(git worktree list | wc -l) worktrees\"\n";
/// What that says.
const DONE: &str = "at /workspace\n## work\ninside by Ada\n3 worktrees\nended with 0\n";
/// What the tests lay into the worktree beside what git knows.
const BESIDE: [&str; 5] = ["Dockerfile.claude", "claude.js", "at-start.sh", "said.txt", "argv.txt"];

/// A repository with two worktrees: a desk's workspace, and one that stays outside.
struct Repository {
    main: PathBuf,
    tree: PathBuf,
    other: PathBuf,
    owner: (u32, u32),
}

impl Repository {
    /// One of this owner's, in a folder of this name beside `tree`, which is to be a worktree of it.
    fn new(tree: &Path, name: &str, owner: (u32, u32)) -> Self {
        let tree = tree.to_path_buf();
        let beside = tree.parent().unwrap();
        let made = Self { main: beside.join(name), other: beside.join("other"), tree, owner };
        for folder in [&made.main, &made.other, &made.tree] {
            std::fs::create_dir_all(folder).unwrap();
            made.give(folder);
        }
        made.git(&made.main, &["init", "--quiet", "--initial-branch=main"]);
        std::fs::write(made.main.join("file"), "outside\n").unwrap();
        made.give(&made.main.join("file"));
        made.git(&made.main, &["add", "file"]);
        made.git(&made.main, &["commit", "--quiet", "--message=outside"]);
        made.git(&made.main, &["worktree", "add", "--quiet", "-b", "work", made.tree.to_str().unwrap()]);
        made.git(&made.main, &["worktree", "add", "--quiet", "-b", "other", made.other.to_str().unwrap()]);
        // The other has long lain still: git clears away what it knows of one that it does not find after that.
        for name in ["index", "gitdir", "HEAD"] {
            let file = std::fs::File::open(made.main.join(".git/worktrees/other").join(name)).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_hours(24)).unwrap();
        }
        std::fs::write(made.main.join(".git/info/exclude"), BESIDE.join("\n")).unwrap();
        made
    }

    fn give(&self, path: &Path) {
        if rustix::process::geteuid().is_root() {
            chown(path, Some(self.owner.0), Some(self.owner.1)).unwrap();
        }
    }

    /// Runs git outside, as the repository's owner, and gives what it says.
    fn git(&self, folder: &Path, arguments: &[&str]) -> String {
        let user = rustix::process::geteuid().is_root().then_some(self.owner.0);
        let mut command = spawn::command_as(user, "git");
        command.args(["-c", "user.name=Grace", "-c", "user.email=grace@example.org"]).args(arguments);
        command.current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        let output = spawn::output(&mut command).unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "git {arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said.trim().to_owned()
    }

    /// What was done inside is here and the owner's, and nothing else is otherwise.
    fn has_what_was_done(&self, case: &str) {
        let log = self.git(&self.tree, &["log", "--format=%s by %an"]);
        assert_eq!(log, "inside by Ada\noutside by Grace", "{case}: the commit is here");
        assert_eq!(self.git(&self.main, &["log", "--format=%s"]), "outside", "{case}: on its own branch alone");
        for (folder, branch) in [(&self.main, "main"), (&self.other, "other"), (&self.tree, "work")] {
            assert_eq!(self.git(folder, &["branch", "--show-current"]), branch, "{case}: {branch} is where it was");
            assert_eq!(self.git(folder, &["status", "--porcelain"]), "", "{case}: and {branch} as it was committed");
        }
        self.git(&self.main, &["fsck", "--strict"]);
        for folder in [&self.main, &self.tree] {
            self.is_the_owners(folder, case);
        }
    }

    fn is_the_owners(&self, folder: &Path, case: &str) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = std::fs::symlink_metadata(&path).unwrap();
            // The test's own are whose the test is.
            let ours =
                ["exclude", "Dockerfile.claude", "claude.js", "at-start.sh"].iter().any(|name| path.ends_with(name));
            assert!(
                ours || (metadata.uid(), metadata.gid()) == self.owner,
                "{case}: the owner's is {}",
                path.display()
            );
            if metadata.is_dir() {
                self.is_the_owners(&path, case);
            }
        }
    }
}

/// A desk whose user is Ada for git.
fn desk() -> Desk {
    Desk::new().env("GIT_USER_NAME", "Ada").env("GIT_USER_EMAIL", "ada@example.org")
}

/// The same with an agent that has git and runs this before it answers.
fn with_git(desk: Desk, script: &str) -> Desk {
    desk.dockerfile(&format!("FROM {BASE}\n{GIT}\n"), script)
}

/// Moves in, works, comes back.
async fn works_and_comes_back(desk: Desk, repository: &Repository, case: &str) -> String {
    let mut moving = with_git(desk, WORK).open().await;
    let view = moving.enter().await;
    assert_eq!(moving.said(), DONE, "{case}: git works inside");
    moving.leave().await;
    repository.has_what_was_done(case);
    moving.quit().await;
    fact(&view, "Mounts").to_owned()
}

#[tokio::test]
async fn an_agent_in_a_worktree_commits_for_whoever_owns_it() {
    for owner in lab::owners() {
        let desk = desk();
        let repository = Repository::new(&desk.workspace(), "repository", owner);
        let mounts = works_and_comes_back(desk, &repository, &format!("{owner:?}")).await;
        let told = format!("{} → the same path (the worktree's repository)", repository.main.join(".git").display());
        assert!(mounts.contains(&told), "that it is inside is told: {mounts}");
    }
}

#[tokio::test]
async fn the_app_of_another_user_works_with_a_worktree_of_theirs() {
    if !needs::root("the app runs as another user") {
        return;
    }
    let desk = desk();
    let repository = Repository::new(&desk.workspace(), "repository", (1234, 1234));
    let desk = with_git(desk, WORK);
    let said = desk.enter_as(1234, &[]);
    assert!(said.starts_with("running"), "it moves in: {said}");
    assert_eq!(desk.said(), DONE, "git works inside");
    repository.has_what_was_done("another user");
}

#[tokio::test]
async fn a_repository_may_be_called_anything() {
    for (tree, name) in [("tree: ä b", "répo: of=1"), ("\"tree\", b", "it's a, \"b\"")] {
        let desk = desk().below(tree);
        let repository = Repository::new(&desk.workspace(), name, lab::user());
        works_and_comes_back(desk, &repository, name).await;
    }
}

#[tokio::test]
async fn a_name_that_the_engine_cannot_be_told_is_refused_in_words() {
    let desk = desk();
    let repository = Repository::new(&desk.workspace(), "one: \"two\"", lab::user());
    if Kind::of_this_run() == Kind::Docker {
        works_and_comes_back(desk, &repository, "Docker takes every name").await;
        return;
    }
    let failure = with_git(desk, WORK).open().await.refused().await;
    assert_eq!(failure.code, Code::BadMount, "the class is known: {failure:?}");
    assert!(failure.cause.contains("one: ") && failure.action.contains("Rename"), "so is the next step: {failure:?}");
}

#[tokio::test]
async fn a_worktree_may_name_its_repository_from_where_it_is() {
    let desk = desk();
    let repository = Repository::new(&desk.workspace(), "repository", lab::user());
    std::fs::write(repository.tree.join(".git"), "gitdir: ../repository/.git/worktrees/project\n").unwrap();
    let mounts = works_and_comes_back(desk, &repository, "a way of git's since 2.48").await;
    assert!(mounts.contains("and /repository/.git"), "where it is then is told: {mounts}");
}

#[tokio::test]
async fn a_repository_that_was_moved_is_found_by_the_link_in_its_place() {
    let desk = desk();
    let mut repository = Repository::new(&desk.workspace(), "repository", lab::user());
    let moved = repository.main.with_file_name("moved");
    std::fs::rename(&repository.main, &moved).unwrap();
    symlink(&moved, &repository.main).unwrap();
    let link = std::mem::replace(&mut repository.main, moved);
    let mounts = works_and_comes_back(desk, &repository, "moved").await;
    assert!(mounts.contains(&format!("and {}", link.join(".git").display())), "both names are told: {mounts}");
}

#[tokio::test]
async fn where_the_project_is_read_only_so_is_its_repository() {
    let lab = Lab::open().await;
    let repository = Repository::new(&lab.folder("tree", lab::user()), "repository", lab::user());
    let image = lab.image(lab.ingredients(lab.scripted(GIT), lab::user())).await.unwrap();
    let mut wish = lab.wish(&image, lab::user());
    wish.workspace.clone_from(&repository.tree);
    wish.git_common_dir = Some(repository.main.join(".git"));
    wish.held.read_only_workspace = true;
    let mut agent = lab.start(&wish).await;
    assert_eq!(lab::ask(&mut agent, "git log -1 --format=%s 2>&1").await, "outside", "it can be read");
    for change in ["git branch new", "touch $(git rev-parse --git-common-dir)/hooks/pre-commit"] {
        let said = lab::ask(&mut agent, &format!("echo \"$({change} 2>&1 | tail -n 1)\"")).await;
        assert!(said.contains("Read-only file system"), "{change} changes nothing: {said}");
    }
    agent.stop.stop().await;
}
