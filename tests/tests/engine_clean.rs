//! The project's volumes go with its last container, where the settings say so: on the way back, when the tab is
//! closed, and at a quit; at the engine where they are, and but for what is nowhere else.

#![allow(clippy::unwrap_used)] // What cannot be set up fails the test, which is what it is for.

use std::time::Duration;

use gemra_core::container::state::State;
use gemra_core::transcript::{Body, EntryId};
use tests::engine::desk::{Desk, Moving};
use tests::engine::far::Far;
use tests::engine::{BASE, Engine, see};

const SOON: Duration = Duration::from_mins(1);

/// A project with a folder that is a volume inside.
fn desk() -> Desk {
    let folders = Some(vec!["heavy".to_owned()]);
    let desk = Desk::new().dockerfile(&format!("FROM {BASE}"), "echo made >heavy/made");
    desk.wishing(|wishes| {
        wishes.clean_volumes = Some(true);
        wishes.volume_folders = folders;
    })
}

/// The volumes that are the project's own.
async fn volumes(moving: &Moving) -> Vec<String> {
    let workspace = moving.workspace().display().to_string();
    let all = Engine::shared().api().list_volumes(None::<bollard::query_parameters::ListVolumesOptions>).await.unwrap();
    let ours = all.volumes.unwrap_or_default().into_iter().filter(|one| {
        let label = one.labels.get("dev.gemra.workspace");
        label == Some(&workspace) && !one.name.starts_with("gemra-claude-") && !one.name.starts_with("gemra-cache-")
    });
    ours.map(|one| one.name).collect()
}

/// The notices of the conversation, with their details.
async fn notices(moving: &Moving) -> Vec<String> {
    let entries = moving.tab().earlier(EntryId(u32::MAX), 1000).await;
    let notices = entries.into_iter().filter_map(|entry| match entry.body {
        Body::Notice(notice) => Some(format!("{} {}", notice.text, notice.detail.unwrap_or_default())),
        _ => None,
    });
    notices.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_back_removes_them_first_and_a_quick_toggle_finds_new_ones() {
    let mut moving = desk().open().await;
    moving.enter().await;
    assert_eq!(volumes(&moving).await.len(), 1, "the folder is a volume");
    moving.leave().await;
    assert_eq!(volumes(&moving).await, Vec::<String>::new(), "it is gone when the button says off");
    // Clicked as soon as it can be: the start waits for what is still being removed.
    for _ in 0..2 {
        moving.enter().await;
        assert_eq!(volumes(&moving).await.len(), 1, "a start makes its own");
        moving.leave().await;
    }
    assert_eq!(volumes(&moving).await, Vec::<String>::new(), "which goes as well");
    // The engine that the settings mean meanwhile is not the one that has them.
    moving.enter().await;
    moving.choose_engine("unix:///nowhere/docker.sock").await;
    moving.leave().await;
    assert_eq!(volumes(&moving).await, Vec::<String>::new(), "they go where they are");
    let told = notices(&moving).await;
    assert!(!told.iter().any(|notice| notice.contains("not all removed")), "nothing failed: {told:#?}");
    moving.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_tab_and_a_quit_remove_them_and_another_tabs_stay() {
    let mut first = desk().open().await;
    first.enter().await;
    let second = first.another_tab().await;
    // It begins where the project's last tab was.
    let held = second.held();
    see::until("the second tab is inside", SOON * 5, async || held.borrow().is_some().then_some(())).await;
    first.app().close_tab(first.id()).await;
    assert_eq!(volumes(&first).await.len(), 1, "the other tab's container uses it");
    second.close().await;
    assert_eq!(volumes(&first).await, Vec::<String>::new(), "it goes with the last one");
    first.quit().await;

    let mut moving = desk().open().await;
    moving.enter().await;
    assert_eq!(volumes(&moving).await.len(), 1, "the folder is a volume");
    moving.app().quit().await;
    assert_eq!(volumes(&moving).await, Vec::<String>::new(), "a quit removes it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_brought_back_stays_and_is_told_and_comes_with_the_next_move() {
    let far = Far::open().await;
    let desk = desk().env("DOCKER_HOST", &far.address).env("DOCKER_TLS_VERIFY", "1");
    let mut moving = desk.env("DOCKER_CERT_PATH", far.certificates().to_str().unwrap()).open().await;
    let work = moving.workspace().join("work");
    moving.enter().await;
    let containers = see::containers(Engine::shared(), &moving.label()).await;
    let (companions, agents): (Vec<_>, Vec<_>) =
        containers.into_iter().partition(|one| one.names.iter().flatten().any(|name| name.ends_with("-sync")));
    see::remove(Engine::shared(), companions[0].id.as_deref().unwrap()).await;
    see::exec(Engine::shared(), agents[0].id.as_deref().unwrap(), &["sh", "-c", "printf work >/workspace/work"]).await;
    moving.toggle();
    let view = moving.until("the last round fails", |view| matches!(view.state, State::Error { .. })).await;
    let State::Error { failure, .. } = view.state else { panic!("it was waited for") };
    assert_eq!(failure.code.as_str(), "sync-failed", "{failure}");
    moving.tab().use_host();
    moving.until("the host has it", |view| view.state == State::Off).await;
    assert!(!work.exists(), "it is not here");
    let left = volumes(&moving).await;
    assert!(left.iter().any(|name| name.starts_with("gemra-sync-")), "so that it is still there: {left:?}");
    let told = notices(&moving).await;
    assert!(told.iter().any(|notice| notice.contains("not all removed") && notice.contains("only copy")), "{told:#?}");

    moving.enter().await;
    see::until("it comes with the next move", SOON, async || work.exists().then_some(())).await;
    moving.leave().await;
    assert_eq!(std::fs::read_to_string(&work).unwrap(), "work", "whole");
    assert_eq!(volumes(&moving).await, Vec::<String>::new(), "and now all of them may go");
    moving.quit().await;
}
