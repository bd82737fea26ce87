//! What of a project is built, and what of it was allowed, at a real engine: a build that has more than its container is
//! asked about with all that it runs, and nothing else is built. And what a project changes while a container runs.

// The whole file is a test, its functions that are not marked so as well.
#![allow(clippy::unwrap_used)]

use gemra_core::container::state::State;
use gemra_core::failure::Code;
use gemra_core::settings::container::NetworkChoice;
use gemra_core::trust::{Decision, Widening};
use tests::engine::BASE;
use tests::engine::desk::{Desk, Moving, fact};
use tests::engine::lab::Lab;

fn unique() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

fn keys(asked: &[Widening]) -> Vec<&str> {
    asked.iter().map(|item| item.key.as_str()).collect()
}

/// A project with nothing but a usual Dockerfile, whose step runs a script that it copies. The user wants such ones, on
/// a network that holds somebody in.
fn usual() -> Desk {
    let instructions = format!("FROM {BASE}\nCOPY setup.sh /setup.sh\nRUN echo {} && sh /setup.sh\n", unique());
    let desk = Desk::new().dockerfile(&instructions, "cat /made\n").file("setup.sh", "echo one >/made\n");
    std::fs::rename(desk.workspace().join("Dockerfile.claude"), desk.workspace().join("Dockerfile")).unwrap();
    desk.wishing(|wishes| {
        wishes.use_dockerfile = Some(true);
        wishes.network = Some(NetworkChoice::Isolated);
    })
}

/// Writes another script of the same length, with the time of the one before.
fn swap(moving: &Moving, text: &str) {
    let file = moving.workspace().join("setup.sh");
    let before = std::fs::metadata(&file).unwrap();
    assert_eq!(before.len(), text.len() as u64, "its length tells nothing");
    std::fs::write(&file, text).unwrap();
    std::fs::File::options().write(true).open(&file).unwrap().set_modified(before.modified().unwrap()).unwrap();
}

#[tokio::test]
async fn a_usual_dockerfile_is_asked_about_where_the_network_is_held() {
    let mut moving = usual().open().await;
    let asked = moving.asked().await;
    assert_eq!(keys(&asked), ["build"], "its build is on the host's network, which the container does not have");
    assert_eq!(asked[0].file, "Dockerfile", "by its file");
    let text = std::fs::read_to_string(moving.workspace().join("Dockerfile")).unwrap();
    assert_eq!(asked[0].text.as_deref(), Some(text.as_str()), "in full");
    assert!(asked[0].value.contains("setup.sh"), "with what it copies: {}", asked[0].value);
    assert_eq!(moving.answer(Decision::Refuse).await.state, State::Off, "and may be refused");
    let view = moving.enter_allowing().await;
    assert!(fact(&view, "Image").starts_with("gemra-auto:"), "allowed, it is built: {:?}", view.facts);
    assert!(moving.said().contains("one"), "and its step has run");
    moving.leave().await;
    moving.enter().await;
    moving.leave().await;
    // The Dockerfile is the same, and what it runs is not.
    swap(&moving, "echo two >/made\n");
    assert_eq!(keys(&moving.asked().await), ["build"], "a script that a step runs is part of the question");
    assert_eq!(moving.answer(Decision::Refuse).await.state, State::Off, "which may be refused");
    moving.quit().await;
}

#[tokio::test]
async fn nothing_is_built_but_what_was_shown() {
    let mut moving = usual().open().await;
    moving.asked().await;
    // As the container of another tab could while the user reads.
    swap(&moving, "echo two >/made\n");
    let view = moving.answer(Decision::Allow).await;
    let State::Error { failure, .. } = view.state else { panic!("it is not built: {:?}", view.state) };
    assert_eq!(failure.code, Code::NotTrusted, "the class is told: {failure:?}");
    moving.tab().use_host();
    moving.until("the host", |view| view.state == State::Off).await;
    moving.asked().await;
    let dockerfile = moving.workspace().join("Dockerfile");
    let text = std::fs::read_to_string(&dockerfile).unwrap();
    std::fs::write(&dockerfile, format!("{text}RUN echo three >/made\n")).unwrap();
    assert_eq!(moving.answer(Decision::Allow).await.state, State::Running, "what was shown is built");
    let made = moving.said();
    assert!(made.contains("two") && !made.contains("three"), "and what came after it is not: {made}");
    moving.quit().await;
}

#[tokio::test]
async fn without_its_build_a_project_has_gemras_own_image() {
    let mut moving = usual().open().await;
    moving.asked().await;
    moving.tab().answer_trust(Decision::Without);
    // Its own image is not built to the end here, which takes minutes: what it is made of is known before.
    let view = moving.until("the image", |view| view.facts.iter().any(|(name, _)| name == "Image")).await;
    assert!(fact(&view, "Image").contains("Gemra's own"), "nothing of the project's is built: {:?}", view.facts);
    assert!(fact(&view, "Not applied").contains("Dockerfile"), "which is told: {:?}", view.facts);
    moving.quit().await;
}

#[tokio::test]
async fn an_image_of_the_settings_leaves_no_build_to_ask_about() {
    let instructions = format!("FROM {BASE}\nRUN echo {}\n", unique());
    let mut first = Desk::new().dockerfile(&instructions, "true").open().await;
    first.enter().await;
    let named = first.container().await.config.unwrap().image.unwrap();
    first.quit().await;
    let desk = Desk::new().dockerfile(&instructions, "true").wishing(|wishes| {
        wishes.image = Some(named.clone());
        wishes.network = Some(NetworkChoice::Isolated);
    });
    let mut moving = desk.open().await;
    let view = moving.enter().await;
    assert!(fact(&view, "Image").starts_with(&named), "nothing is built, and nothing asked: {:?}", view.facts);
    moving.quit().await;
}

#[tokio::test]
async fn what_a_project_changes_of_its_container_is_offered_while_it_runs() {
    let json = |more: &str| format!(r#"{{"build": {{"dockerfile": "Dockerfile", "context": ".."}}{more}}}"#);
    let instructions = format!("FROM {BASE}\nRUN echo {}\n", unique());
    let desk = Desk::new().devcontainer(&json(""), &instructions, "echo new=$NEW\n");
    let mut moving = desk.open().await;
    assert!(!moving.enter().await.image_changed, "nothing has changed yet");
    let changes: [(&str, String); 3] = [
        (".devcontainer/devcontainer.json", json(r#", "containerEnv": {"NEW": "yes"}"#)),
        (".gemra.json", r#"{"pids": 300}"#.to_owned()),
        (".devcontainer/Dockerfile", String::new()),
    ];
    for (path, text) in changes {
        let file = moving.workspace().join(path);
        let before = std::fs::read_to_string(&file).unwrap_or_default();
        let text = if text.is_empty() { format!("{before}RUN echo again\n") } else { text };
        std::fs::write(&file, text).unwrap();
        moving.until(path, |view| view.image_changed).await;
        moving.tab().rebuild(false);
        moving.until("the new one", |view| view.state == State::Running && !view.image_changed).await;
    }
    assert!(moving.said().contains("new=yes"), "what changed counts in the new container: {}", moving.said());
    let host = moving.container().await.host_config.unwrap();
    assert_eq!(host.pids_limit, Some(300), "so does what the project wishes");
    moving.quit().await;
}

#[tokio::test]
async fn a_build_is_told_and_its_steps_have_what_the_container_may_have() {
    let limits = Lab::open().await.engine.about().limits;
    // As the older and the newer kernels' groups tell it.
    let read = "cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes";
    let quota = "cut -d' ' -f1 /sys/fs/cgroup/cpu.max 2>/dev/null || cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us";
    let step = format!("RUN echo {} && {{ {read}; {quota}; }} >/limits", unique());
    let desk = Desk::new().dockerfile(&format!("FROM {BASE}\n{step}"), "cat /limits\n").wishing(|wishes| {
        // More than 32 bits have room for in bytes.
        wishes.memory_mb = Some(4096);
        wishes.cpus = Some(0.75);
    });
    let mut moving = desk.open().await;
    let view = moving.enter().await;
    assert!(fact(&view, "Build").contains("root"), "how it was built is told: {:?}", view.facts);
    let said = moving.said();
    let said: Vec<&str> = said.lines().collect();
    if limits.memory {
        assert_eq!(said.first(), Some(&"4294967296"), "its memory: {said:?}");
    }
    if limits.cpu {
        assert_eq!(said.get(1), Some(&"75000"), "its processors: {said:?}");
    }
    moving.quit().await;
}
