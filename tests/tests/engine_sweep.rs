//! What a Gemra that quits or dies leaves behind: nothing.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::time::Duration;

use gemra_core::container::sweep;
use sha2::{Digest as _, Sha256};
use tests::engine::desk::Desk;
use tests::engine::lab::{self, Lab, ask};
use tests::engine::{BASE, Engine, see};
use tests::spawn;

const SOON: Duration = Duration::from_mins(1);
/// What the reaper waits for a container that does not come.
const WHOLE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_quit_removes_this_instances_containers_and_no_others() {
    let (quitting, living) = (Lab::open().await, Lab::open().await);
    let image = quitting.agent_image().await;
    let mut first = quitting.start(&quitting.wish(&image, lab::user())).await;
    // One that would not go by itself.
    ask(&mut first, "echo ready").await;
    first.input.send("trap '' TERM; while :; do sleep 1; done".to_owned());
    let second = quitting.prepare(&quitting.wish(&image, lab::user())).await.unwrap();
    let mut other = living.start(&living.wish(&image, lab::user())).await;
    let swept = sweep::own(&quitting.engine, &quitting.instance).await.unwrap();
    assert_eq!((swept.removed.len(), swept.stayed.len()), (2, 0), "both, within the time of a quit: {swept:?}");
    assert!(see::containers(Engine::shared(), &quitting.label()).await.is_empty(), "they are gone");
    assert_eq!(ask(&mut other, "echo alive").await, "alive", "the other instance's agent works on");
    other.stop.stop().await;
    first.stop.gone().await;
    drop(second);
}

#[tokio::test]
async fn a_start_removes_what_dead_instances_left() {
    let (dead, living) = (Lab::open().await, Lab::open().await);
    let image = dead.agent_image().await;
    let left = dead.start(&dead.wish(&image, lab::user())).await;
    let mut other = living.start(&living.wish(&image, lab::user())).await;
    // What a user runs from our image inherits the image's labels, and is the user's.
    let api = Engine::shared().api();
    let name = format!("users-own-{}", dead.instance);
    let options = bollard::query_parameters::CreateContainerOptionsBuilder::new().name(&name).build();
    let body = bollard::models::ContainerCreateBody {
        image: Some(image.tag.clone()),
        cmd: Some(vec!["sleep".to_owned(), "600".to_owned()]),
        ..Default::default()
    };
    let users = api.create_container(Some(options), body).await.unwrap().id;
    let found = sweep::list(&living.engine, Some(&dead.instance)).await.unwrap();
    assert_eq!(found.len(), 1, "the one that was left: {found:?}");
    assert_eq!(found[0].tab, "t1", "and whose it was");

    // Other suites' instances live as well, for all this one knows.
    let swept = sweep::dead(&living.engine, |instance| instance != dead.instance).await.unwrap();
    assert_eq!((swept.removed, swept.stayed.len()), (found, 0), "that one, and no other");
    assert_eq!(ask(&mut other, "echo alive").await, "alive", "a living instance's agent works on");
    let user = see::inspect(Engine::shared(), &users).await;
    assert_eq!(user.name, Some(format!("/{name}")), "the user's own container is left alone");
    see::remove(Engine::shared(), &users).await;
    left.stop.gone().await;
    other.stop.stop().await;
}

#[tokio::test]
async fn a_gemra_that_is_killed_takes_its_container_along() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    let workspace = lab.folder("held", lab::user());
    let mut command = spawn::command(env!("CARGO_BIN_EXE_engine-probe"));
    command.args(["hold", &image.tag, &lab.instance]).arg(&workspace);
    command.env("DOCKER_HOST", Engine::shared().address()).stdout(Stdio::piped());
    let mut holder = spawn::Running::start(&mut command).unwrap();
    let mut line = String::new();
    BufReader::new(holder.child().stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "running\n", "the container runs");
    assert_eq!(see::containers(Engine::shared(), &lab.label()).await.len(), 1, "and the engine knows it");
    spawn::kill(holder.id());
    see::until("the engine ends an agent whose client died", SOON, async || {
        see::containers(Engine::shared(), &lab.label()).await.is_empty().then_some(())
    })
    .await;
}

/// A container that the engine lists under this instance, made as a start of Gemra makes it.
async fn make(instance: &str, image: &str, name: &str) {
    let labels = [("dev.gemra.managed", "1"), ("dev.gemra.instance", instance)];
    let body = bollard::models::ContainerCreateBody {
        image: Some(image.to_owned()),
        labels: Some(labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
        ..Default::default()
    };
    let options = bollard::query_parameters::CreateContainerOptionsBuilder::new().name(name).build();
    Engine::shared().api().create_container(Some(options), body).await.expect("the engine makes it");
}

/// Starts the reaper, tells it what the app told it, and lets the app be gone.
fn reap(lab: &Lab, orders: &[String]) -> spawn::Running {
    let mut command = spawn::command(env!("CARGO_BIN_EXE_engine-probe"));
    let mut reaper = spawn::Running::start(command.arg("--reaper").stdin(Stdio::piped())).expect("the probe starts");
    let mut stdin = reaper.child().stdin.take().expect("its stdin is a pipe");
    writeln!(stdin, "containers {} {}", lab.instance, Engine::shared().address()).expect("it listens");
    for order in orders {
        writeln!(stdin, "{order}").expect("it listens");
    }
    reaper
}

async fn until_it_ends(why: &str, reaper: &mut spawn::Running) {
    see::until(why, SOON, || std::future::ready(reaper.ended().expect("the system says").map(drop))).await;
}

#[tokio::test]
async fn a_container_that_appears_after_the_kill_is_removed_too() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    let name = |which: &str| format!("gemra-{which}-{}", &lab.instance[..6]);
    let until_none = async |what: &str| {
        see::until(what, SOON, async || see::containers(Engine::shared(), &lab.label()).await.is_empty().then_some(()))
            .await;
    };
    make(&lab.instance, &image.tag, &name("there")).await;
    let mut reaper = reap(&lab, &[format!("expect {}", name("late"))]);
    until_none("what is there is removed, so that the reaper has looked once").await;
    make(&lab.instance, &image.tag, &name("late")).await;
    until_none("and what the engine had still in the making").await;
    until_it_ends("it was all, so the reaper goes", &mut reaper).await;

    // A container that prepares a volume of that start shows how far the start has come.
    make(&lab.instance, &image.tag, &format!("{}-volume", name("other"))).await;
    let mut reaper = reap(&lab, &[format!("expect {}", name("other"))]);
    until_none("it is removed").await;
    let begun = std::time::Instant::now();
    until_it_ends("nothing more can come", &mut reaper).await;
    assert!(begun.elapsed() < WHOLE, "it does not take the whole time: {:?}", begun.elapsed());
    let settled = [format!("expect {}", name("settled")), format!("settle {}", name("settled"))];
    let begun = std::time::Instant::now();
    let mut reaper = reap(&lab, &settled);
    until_it_ends("where nothing is in the making, nothing is waited for", &mut reaper).await;
    assert!(begun.elapsed() < WHOLE, "nor does this one take it: {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_machines_home_at_the_same_path_is_another_home() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    let mut living = Desk::new().dockerfile(&format!("FROM {BASE}"), "true").open().await;
    living.enter().await;
    let home = living.home();
    let running = async || see::containers(Engine::shared(), &living.label()).await.len();
    // From here on the path is that of another machine's home, in which Gemra has been before homes had names.
    std::fs::rename(&home, home.with_extension("of-the-first")).expect("the folder is ours");
    std::fs::create_dir(&home).expect("the folder is ours");
    std::fs::write(home.join("instance.lock"), "").expect("the folder is ours");
    let digest = Sha256::digest(home.as_os_str().as_encoded_bytes());
    let by_path = digest.iter().take(6).fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let by_chance = async || {
        let app = living.another_app().await;
        app.quit().await;
        let text = std::fs::read_to_string(home.join("name.json")).expect("a home writes its name down");
        serde_json::from_str::<serde_json::Value>(&text).expect("it is JSON")["now"].as_str().map(str::to_owned)
    };
    let by_chance = by_chance().await.expect("it has a name");
    assert_ne!(by_path, by_chance, "which its path does not tell");
    for (name, whose) in [(by_path, "before homes had names"), (by_chance, "since")] {
        let dead = format!("{name}-{}", &lab.instance[..8]);
        make(&dead, &image.tag, &format!("gemra-dead-{}", &dead[..20])).await;
        let app = living.another_app().await;
        see::until(&format!("what was left there {whose} is swept"), SOON, async || {
            let label = format!("dev.gemra.instance={dead}");
            see::containers(Engine::shared(), &label).await.is_empty().then_some(())
        })
        .await;
        assert_eq!(running().await, 1, "the container of the living one is not touched");
        app.quit().await;
    }
    std::fs::remove_dir_all(&home).expect("the folder is ours");
    std::fs::rename(home.with_extension("of-the-first"), &home).expect("the folder is ours");
    living.quit().await;
}
