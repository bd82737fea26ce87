//! What Gemra has to know of git on the host: who the user is, and where a worktree's repository lies. It never runs
//! git inside a workspace, because a repository can make git run programs.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use crate::environment::Environment;
use crate::process::spawn::{self, Program};

/// Who the user is for git.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// `user.name`.
    pub(crate) name: Option<String>,
    /// `user.email`.
    pub(crate) email: Option<String>,
}

/// The identity that `GIT_USER_NAME` and `GIT_USER_EMAIL` give, else the one of the user's own git configuration.
pub(crate) async fn identity(environment: &Environment) -> Identity {
    let ask = async |variable: &str, key: &str| match environment.text(variable) {
        Some(value) => Some(value),
        None => configured(key).await,
    };
    Identity { name: ask("GIT_USER_NAME", "user.name").await, email: ask("GIT_USER_EMAIL", "user.email").await }
}

async fn configured(key: &str) -> Option<String> {
    let program = Program {
        path: "git".into(),
        args: ["config", "--global", "--includes", "--get", key].iter().map(Into::into).collect(),
        // Outside of any repository.
        folder: std::env::temp_dir(),
        environment: Vec::new(),
    };
    let finished = spawn::run(&program, Duration::from_secs(3)).await.ok()?;
    let value = finished.stdout.trim().to_owned();
    (finished.succeeded() && !value.is_empty()).then_some(value)
}

/// The common folder of the repository that `workspace` is a worktree of; `None` where it is none, or where the folder
/// is in the workspace itself. Read from git's own two small files.
pub(crate) fn common_folder(workspace: &Path) -> Option<PathBuf> {
    let link = std::fs::read_to_string(workspace.join(".git")).ok()?;
    let folder = workspace.join(link.trim().strip_prefix("gitdir:")?.trim());
    let common = std::fs::read_to_string(folder.join("commondir")).ok()?;
    let common = folder.join(common.trim()).canonicalize().ok()?;
    // A file of the workspace must not talk us into mounting anything but a repository.
    let is_repository = common.join("HEAD").is_file() && common.join("objects").is_dir();
    let names_us = std::fs::read_to_string(folder.join("gitdir"))
        .ok()
        .and_then(|back| PathBuf::from(back.trim()).canonicalize().ok())
        .is_some_and(|back| Some(back) == workspace.join(".git").canonicalize().ok());
    (is_repository && names_us && !common.starts_with(workspace)).then_some(common)
}

/// The names by which the files of the worktree at `workspace` call its repository `common`, beside that one: a link on
/// the way that the user has left where the repository was, and where they name it from the worktree, what that leads
/// to for somebody who sees the worktree at `inside`.
pub(crate) fn common_names(workspace: &Path, common: &Path, inside: &Path) -> Vec<PathBuf> {
    let name = |at: &Path| {
        let link = std::fs::read_to_string(workspace.join(".git")).ok()?;
        let own = Path::new(link.trim().strip_prefix("gitdir:")?.trim()).to_path_buf();
        let common = std::fs::read_to_string(workspace.join(&own).join("commondir")).ok()?;
        Some(plain(&at.join(own).join(common.trim())))
    };
    let mut names: Vec<PathBuf> = [workspace, inside].into_iter().filter_map(name).collect();
    names.dedup();
    names.retain(|name| name != common);
    names
}

/// A path without its `..`, as far as they can be told from the path alone.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            other => plain.push(other),
        }
        plain
    })
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[test]
    fn a_worktree_names_its_repository_and_nothing_else_is_believed() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let (repository, tree) = (root.join("repo/.git"), root.join("tree"));
        let own = repository.join("worktrees/tree");
        std::fs::create_dir_all(&own).unwrap();
        std::fs::create_dir_all(repository.join("objects")).unwrap();
        std::fs::create_dir_all(&tree).unwrap();
        std::fs::write(repository.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        std::fs::write(own.join("commondir"), "../..\n").unwrap();
        std::fs::write(own.join("gitdir"), format!("{}/.git\n", tree.display())).unwrap();
        assert_eq!(common_folder(&tree), None, "a plain folder has none");
        std::fs::write(tree.join(".git"), format!("gitdir: {}\n", own.display())).unwrap();
        assert_eq!(common_folder(&tree), Some(repository.clone()), "a worktree's is found");
        let names = || common_names(&tree, &repository, Path::new("/workspace"));
        assert!(names().is_empty(), "it has one name");
        std::fs::write(tree.join(".git"), "gitdir: ../repo/.git/worktrees/tree\n").unwrap();
        assert_eq!(common_folder(&tree), Some(repository.clone()), "a worktree may name it from where it is");
        assert_eq!(names(), [Path::new("/repo/.git")], "which is another place for whoever sees it elsewhere");
        std::os::unix::fs::symlink(root.join("repo"), root.join("old")).unwrap();
        let old = root.join("old/.git");
        std::fs::write(tree.join(".git"), format!("gitdir: {}/worktrees/tree\n", old.display())).unwrap();
        assert_eq!(common_folder(&tree), Some(repository.clone()), "a link leads to it");
        assert_eq!(names(), [old], "and is what git looks for");
        std::fs::write(own.join("gitdir"), "/elsewhere/.git\n").unwrap();
        assert_eq!(common_folder(&tree), None, "a repository that does not know this worktree is not mounted");
        assert_eq!(common_folder(&root.join("repo")), None, "an ordinary repository needs no second mount");
    }

    #[tokio::test]
    async fn the_environment_says_who_the_user_is() {
        let environment = Environment::of([("GIT_USER_NAME", "Ada"), ("GIT_USER_EMAIL", "ada@example.org")]);
        let expected = Identity { name: Some("Ada".to_owned()), email: Some("ada@example.org".to_owned()) };
        assert_eq!(identity(&environment).await, expected, "the variables come before git's configuration");
    }
}
