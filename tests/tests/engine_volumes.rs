//! The volumes that outlive containers, at a real engine: given to their user, or not there.

use std::collections::HashMap;
use std::process::Stdio;
use std::time::Duration;

use bollard::models::ContainerSummaryStateEnum;
use bollard::query_parameters::{ListContainersOptionsBuilder, RemoveVolumeOptions};
use gemra_core::container::image::Image;
use gemra_core::container::run::{self, Phase, RunError};
use gemra_core::container::{spec, sweep};
use tests::engine::lab::{Lab, ask};
use tests::engine::{Engine, see};
use tests::spawn;
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_mins(2);
/// Writing to each place that a volume has to give to the agent's user.
const WRITE: &str = "touch $CLAUDE_CONFIG_DIR/$$ $CLAUDE_CONFIG_DIR/projects/$$ $HOME/.cache/npm/$$ && echo ok";

/// No container of the lab's exists, now.
async fn nothing_is_left(lab: &Lab, after: &str) {
    let found = see::containers(Engine::shared(), &lab.label()).await;
    assert!(found.is_empty(), "after {after} nothing is left, but there is {:?}", found[0].names);
}

/// Removes the volumes of a user that earlier runs have left, and what a run that failed has left in them.
async fn forget(uid: u32) {
    let api = Engine::shared().api();
    for kind in ["claude", "cache"] {
        let name = format!("gemra-{kind}-{uid}");
        let filters = HashMap::from([("volume".to_owned(), vec![name.clone()])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        for user in api.list_containers(Some(options)).await.expect("the engine lists containers") {
            see::remove(Engine::shared(), &user.id.unwrap_or_default()).await;
        }
        let _ = api.remove_volume(&name, None::<RemoveVolumeOptions>).await;
        assert!(!exists(&name).await, "{name} is gone before the test");
    }
}

async fn exists(volume: &str) -> bool {
    Engine::shared().api().inspect_volume(volume).await.is_ok()
}

/// An image in which the making of a volume hangs: what makes folders there does not end.
async fn hanging(lab: &Lab) -> Image {
    let hang = "RUN printf '#!/bin/sh\\nexec sleep 600\\n' >/usr/local/bin/mkdir && chmod 755 /usr/local/bin/mkdir";
    lab.image(lab.ingredients(lab.scripted(hang), (1000, 1000))).await.expect("the image builds")
}

/// Waits until the lab's first volume is being made.
async fn until_it_hangs(lab: &Lab) {
    see::until("a container prepares the volume", SOON, async || {
        let running = Some(ContainerSummaryStateEnum::RUNNING);
        let all = see::containers(Engine::shared(), &lab.label()).await;
        all.iter().any(|one| one.state == running).then_some(())
    })
    .await;
}

#[tokio::test]
async fn new_volumes_are_given_to_the_user_and_labelled() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    let api = Engine::shared().api();
    let owner = (4321, 4321);
    forget(4321).await;
    // Two tabs that need the same new volumes at once.
    let (first, second) = (lab.wish(&image, owner), lab.wish(&image, owner));
    let (mut first, mut second) = tokio::join!(lab.start(&first), lab.start(&second));
    for process in [&mut first, &mut second] {
        assert_eq!(ask(process, WRITE).await, "ok", "the volume is the user's");
    }
    tokio::join!(first.stop.stop(), second.stop.stop());
    let labels = api.inspect_volume("gemra-claude-4321").await.unwrap().labels;
    assert_eq!(labels.get("dev.gemra.managed").map(String::as_str), Some("1"), "it is marked as ours");
    assert_eq!(labels.get("dev.gemra.instance"), Some(&lab.instance), "and as this instance's");
    nothing_is_left(&lab, "the start that made the volumes").await;
}

#[tokio::test]
async fn a_start_that_ends_while_a_volume_is_made_leaves_no_half_made_one() {
    let lab = Lab::open().await;
    let (hanging, image) = (hanging(&lab).await, lab.agent_image().await);
    let owner = (4322, 4322);
    forget(owner.0).await;
    let plan = || spec::plan(&lab.wish(&hanging, owner)).unwrap();
    let no_volume = async |after: &str| {
        nothing_is_left(&lab, after).await;
        assert!(!exists("gemra-claude-4322").await, "and no volume that is root's, after {after}");
    };

    let cancel = CancellationToken::new();
    let (cancelled, ()) = tokio::join!(run::prepare(&lab.engine, plan(), &cancel, |_| {}), async {
        until_it_hangs(&lab).await;
        assert!(exists("gemra-claude-4322").await, "the volume is there, and nobody's yet");
        cancel.cancel();
    });
    assert!(matches!(cancelled, Err(RunError::Cancelled)), "it was cancelled: {cancelled:?}");
    no_volume("a cancelled start").await;

    let (engine, dropped) = (lab.engine.clone(), plan());
    let caller =
        tokio::spawn(async move { run::prepare(&engine, dropped, &CancellationToken::new(), |_| {}).await.map(drop) });
    until_it_hangs(&lab).await;
    caller.abort();
    see::until("what nobody waits for goes", SOON, async || {
        let gone = see::containers(Engine::shared(), &lab.label()).await.is_empty();
        (gone && !exists("gemra-claude-4322").await).then_some(())
    })
    .await;

    let late = run::prepare(&lab.engine, plan(), &CancellationToken::new(), |_| {}).await;
    assert!(matches!(late, Err(RunError::Timeout { phase: Phase::Volumes })), "it takes too long: {late:?}");
    no_volume("a start that took too long").await;

    let mut process = lab.start(&lab.wish(&image, owner)).await;
    assert_eq!(ask(&mut process, WRITE).await, "ok", "the next start makes the volumes anew");
    process.stop.stop().await;
}

/// Starts a Gemra that makes a volume for ever, and kills it.
async fn dies_while_making(lab: &Lab, image: &Image, owner: (u32, u32)) {
    let mut command = spawn::command(env!("CARGO_BIN_EXE_engine-probe"));
    command.args(["hold", &image.tag, &lab.instance]).arg(lab.folder("held", owner));
    command.env("DOCKER_HOST", Engine::shared().address()).stdout(Stdio::null());
    let holder = spawn::Running::start(&mut command).expect("the probe starts");
    until_it_hangs(lab).await;
    spawn::kill(holder.id());
}

#[tokio::test]
async fn a_half_made_volume_of_a_dead_instance_is_swept_with_what_made_it() {
    let (dead, living) = (Lab::open().await, Lab::open().await);
    let (hanging, image) = (hanging(&dead).await, dead.agent_image().await);
    let owner = (4323, 4323);
    forget(owner.0).await;
    let sweep = async || sweep::dead(&living.engine, |instance| instance != dead.instance).await.unwrap();

    dies_while_making(&dead, &hanging, owner).await;
    assert!(exists("gemra-claude-4323").await, "the dead instance has left a volume");
    let swept = sweep().await;
    assert_eq!((swept.removed.len(), swept.stayed.len()), (1, 0), "what made it is removed: {swept:?}");
    assert_eq!(swept.removed[0].prepares.as_deref(), Some("gemra-claude-4323"), "it said for which volume");
    assert!(!exists("gemra-claude-4323").await, "and the volume, which nobody could write to, with it");

    // Whoever comes before the sweep does not take the half-made one for prepared, and keeps what it has prepared.
    dies_while_making(&dead, &hanging, owner).await;
    let mut process = living.start(&living.wish(&image, owner)).await;
    assert_eq!(ask(&mut process, WRITE).await, "ok", "a start in between prepares the volume itself");
    let swept = sweep().await;
    assert_eq!((swept.removed.len(), swept.stayed.len()), (1, 0), "the dead instance's container goes: {swept:?}");
    assert_eq!(ask(&mut process, WRITE).await, "ok", "the volume that is in use stays");
    process.stop.stop().await;
    assert!(exists("gemra-claude-4323").await, "and outlives the container");
}
