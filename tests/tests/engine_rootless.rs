//! An engine that an ordinary user runs without any right of root's: the agent works there for that user, and what does
//! not hold there is told. The engine is one of the tests' own, beside the shared one.

#![allow(clippy::unwrap_used)] // What cannot be set up fails the test, which is what it is for.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;

use gemra_core::failure::Code;
use tests::engine::desk::Desk;
use tests::engine::{BASE, Engine, Kind, ROOTLESS_USER, see};
use tests::needs;

/// Everything in a folder that the test has not laid there itself belongs to who runs the engine.
fn belongs_to_the_user(folder: &Path) -> usize {
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if ["Dockerfile.claude", "claude.js", "at-start.sh"].iter().any(|name| path.ends_with(name)) {
            continue;
        }
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        let owner = (metadata.uid(), metadata.gid());
        assert_eq!(owner, (ROOTLESS_USER, ROOTLESS_USER), "the user's is {}", path.display());
        seen += 1;
        if metadata.is_dir() {
            seen += belongs_to_the_user(&path);
        }
    }
    seen
}

#[tokio::test]
async fn the_agent_works_for_the_user_who_runs_the_engine_and_comes_back() {
    if !needs::root("a user is made for whom the engine runs") {
        return;
    }
    let engine = Engine::rootless();
    let script = "id -u; mkdir made; echo x >made/file; chmod 600 made/file; cat known\n\
                  touch \"$CLAUDE_CONFIG_DIR/x\" \"$HOME/.cache/npm/x\" && echo home\n\
                  awk '$1 == '\"$(id -u)\"' { print \"outside \" $2 }' /proc/self/uid_map\n";
    let desk = Desk::at(engine).dockerfile(&format!("FROM {BASE}"), script);
    chown(desk.workspace(), Some(ROOTLESS_USER), Some(ROOTLESS_USER)).unwrap();
    let desk = desk.file("known", "from outside\n");
    let known = desk.workspace().join("known");
    chown(&known, Some(ROOTLESS_USER), Some(ROOTLESS_USER)).unwrap();
    std::fs::set_permissions(&known, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();

    let told = desk.enter_and_leave_as(ROOTLESS_USER);
    assert!(told.starts_with("running"), "the place starts: {told}");
    // Root in a rootless Docker's container is the user outside; Podman lets the user have their own number inside.
    let (inside, who) = match Kind::of_this_run() {
        Kind::Docker => (0, "root inside, which is you outside: the engine is rootless".to_owned()),
        Kind::Podman => (ROOTLESS_USER, format!("{ROOTLESS_USER}:{ROOTLESS_USER}, which is you")),
    };
    let said = desk.said();
    let expected = format!("{inside}\nfrom outside\nhome\n");
    assert!(said.starts_with(&expected) && said.ends_with("ended with 0\n"), "it works as that user: {said}");
    assert!(told.contains(&who), "who that is is told: {told}");
    let seen = belongs_to_the_user(&desk.workspace()) + belongs_to_the_user(&desk.user_home());
    assert!(seen > 5, "the files, and the conversation as well");

    // The older cgroups have no share for ordinary users.
    let info = engine.api().info().await.unwrap();
    let older = info.cgroup_version.is_some_and(|version| version.to_string() == "1");
    assert_eq!(told.contains("No limit of memory, processors or processes holds"), older, "what holds is told: {told}");
    assert!(!told.contains(Code::StartFailed.as_str()), "and nothing went wrong: {told}");
    let left = see::containers(engine, "dev.gemra.managed=1").await;
    assert!(left.is_empty(), "nothing is left there: {left:#?}");
}
