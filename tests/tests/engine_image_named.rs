//! Images that the user names, at a real engine: found, fetched from a registry that fails now and then, and made to
//! hold the agent.

// The whole file is a test, its functions that are not marked so as well.
#![allow(clippy::unwrap_used)]

use base64::Engine as _;
use gemra_core::container::image::fit::{Fit, Question};
use gemra_core::container::image::{Builds, ImageError, Ingredients, Logins, Options, Recipe};
use gemra_core::environment::Environment;
use gemra_core::failure::{Code, Failure};
use serde_json::json;
use tests::desktop::{claude, make_executable};
use tests::engine::desk::{Desk, fact};
use tests::engine::lab::{self, Lab};
use tests::engine::registry::Registry;
use tests::engine::{BASE, Engine};

fn unique() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// A layer with one file in it, which makes it another than any before.
fn layer() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let text = unique();
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "mark", text.as_bytes()).unwrap();
    tar.into_inner().unwrap()
}

async fn config() -> serde_json::Value {
    // The engine's own kind, as an image that is there tells it.
    let base = Engine::shared().api().inspect_image(BASE).await.unwrap();
    json!({"os": "linux", "architecture": base.architecture.unwrap(), "config": {}})
}

#[tokio::test]
async fn an_image_is_fetched_once_and_again_where_the_network_failed() {
    let lab = Lab::open().await;
    let registry = Registry::start(layer(), config().await).await;
    let builds = Builds::default();
    let options = |offline, fresh| Options { offline, fresh, ..Options::default() };

    let error = builds.named(&lab.engine, &registry.name, options(true, false)).outcome().await.unwrap_err();
    assert!(matches!(error, ImageError::Offline { .. }), "nothing is fetched where the user says so: {error:?}");
    assert_eq!(Failure::from(&error).code, Code::BaseUnreachable, "the class is known");
    assert_eq!(registry.asked(), 0, "nobody was asked");

    registry.fail(2);
    let building = builds.named(&lab.engine, &registry.name, options(false, false));
    let first = building.outcome().await.unwrap();
    let (lines, _) = building.log().after(0);
    let again = lines.iter().filter(|line| line.contains("Trying again")).count();
    assert!((1..=2).contains(&again), "it was tried again, and told: {lines:?}");
    assert!(first.built, "it is new here");

    let asked = registry.asked();
    let second = builds.named(&lab.engine, &registry.name, options(false, false)).outcome().await.unwrap();
    assert_eq!((second.id.as_str(), second.built), (first.id.as_str(), false), "it is there");
    let offline = builds.named(&lab.engine, &registry.name, options(true, true)).outcome().await.unwrap();
    assert_eq!(offline.id, first.id, "also where nothing is fetched");
    assert_eq!(registry.asked(), asked, "nobody was asked again");

    registry.hold(layer(), config().await);
    let newer = builds.named(&lab.engine, &registry.name, options(false, true)).outcome().await.unwrap();
    assert_ne!(newer.id, first.id, "who asks for it gets the newer one");

    let missing = registry.name.replace("/image:1", "/none:1");
    drop(registry);
    let error =
        builds.named(&lab.engine, &missing.replace("127.0.0.1", "127.0.0.2"), options(false, false)).outcome().await;
    let error = error.unwrap_err();
    assert!(matches!(error, ImageError::BaseUnreachable { .. }), "one that is nowhere is told: {error:?}");
}

/// Logins of a user who has this one at a registry, and another one elsewhere.
fn logins(home: &std::path::Path, at: &str, pair: &str) -> Logins {
    let auth = |pair: &str| json!({"auth": base64::engine::general_purpose::STANDARD.encode(pair)});
    let config = json!({"auths": {at: auth(pair), "elsewhere.example": auth("other:elsewhere")}});
    std::fs::create_dir_all(home.join(".docker")).unwrap();
    std::fs::write(home.join(".docker/config.json"), config.to_string()).unwrap();
    Logins::of(&Environment::of([("HOME", home.to_str().unwrap())]))
}

#[tokio::test]
async fn a_registry_that_wants_a_login_gets_the_users_and_no_other() {
    let lab = Lab::open().await;
    // Letters at which the two alphabets of base64 differ, at each of the three places that they can have.
    let password = "a~~~secret???>>>".to_owned();
    let (registry, builds) = (Registry::start(layer(), config().await).await, Builds::default());
    registry.admit("me", &password);

    let error = builds.named(&lab.engine, &registry.name, Options::default()).outcome().await.unwrap_err();
    let failure = Failure::from(&error);
    assert!(matches!(error, ImageError::NeedsLogin { .. }), "without a login it is told: {error:?}");
    let next = format!("docker login {}", registry.address());
    assert!(failure.action.contains(&next), "with the next step: {}", failure.action);

    let home = tempfile::tempdir().unwrap();
    let elsewhere = builds.clone().with_logins(logins(home.path(), "127.0.0.1:1", &format!("me:{password}")));
    let error = elsewhere.named(&lab.engine, &registry.name, Options::default()).outcome().await.unwrap_err();
    assert!(matches!(error, ImageError::NeedsLogin { .. }), "that of another registry is none: {error:?}");
    // Podman logs in as nobody, with no password, where it has no login.
    let refused: Vec<String> = registry.refused().into_iter().filter(|login| login != "Basic Og==").collect();
    assert_eq!(refused, Vec::<String>::new(), "and was not sent here");

    let wrong = builds.clone().with_logins(logins(home.path(), registry.address(), "me:wrong-secret"));
    let building = wrong.named(&lab.engine, &registry.name, Options::default());
    let error = building.outcome().await.unwrap_err();
    assert!(matches!(error, ImageError::NeedsLogin { .. }), "a wrong one is refused: {error:?}");
    let sent = base64::engine::general_purpose::STANDARD.encode("me:wrong-secret");
    assert!(registry.refused().iter().any(|login| login.ends_with(&sent)), "by the registry");
    let told = format!("{error:?} {:?} {:?}", building.log().after(0), Failure::from(&error));
    assert!(!told.contains("wrong-secret"), "and is not told: {told}");

    for (user, password) in [("me", password.as_str()), ("you2", "~~~"), ("they", "???")] {
        registry.admit(user, password);
        registry.hold(layer(), config().await);
        let right = builds.clone().with_logins(logins(home.path(), registry.address(), &format!("{user}:{password}")));
        let options = Options { fresh: true, ..Options::default() };
        let building = right.named(&lab.engine, &registry.name, options);
        let image = building.outcome().await.unwrap();
        let (lines, _) = building.log().after(0);
        assert!(image.built, "the right one opens it, whatever letters it has: {user} {lines:?}");
        assert!(!lines.concat().contains(password), "and is in no log: {lines:?}");
    }

    // The builder fetches a base itself.
    let renew = async || {
        registry.hold(layer(), config().await);
        let options = None::<bollard::query_parameters::RemoveImageOptions>;
        Engine::shared().api().remove_image(&registry.name, options, None).await.unwrap();
    };
    renew().await;
    let text = format!("ARG BASE={}\nFROM $BASE\nLABEL made={}\n", registry.name, unique());
    let recipe = async || Recipe::of(lab.ingredients(lab.source(&text), (1000, 1000))).await.unwrap();
    let error = builds.image(&lab.engine, recipe().await).outcome().await.unwrap_err();
    assert!(matches!(error, ImageError::NeedsLogin { .. }), "a base without a login is told as well: {error:?}");
    let right = builds.with_logins(logins(home.path(), registry.address(), "they:???"));
    assert!(right.image(&lab.engine, recipe().await).outcome().await.unwrap().built, "and fetched with it");

    // BuildKit asks back for a login.
    renew().await;
    let text = format!("FROM {}\nCOPY --chmod=644 x /x\n", registry.name);
    let source = lab.source(&text);
    std::fs::write(source.workspace.as_ref().unwrap().join("x"), unique()).unwrap();
    let recipe = async || Recipe::of(lab.ingredients(source.clone(), (1000, 1000))).await.unwrap();
    let error = Builds::default().image(&lab.engine, recipe().await).outcome().await.unwrap_err();
    assert!(matches!(error, ImageError::NeedsLogin { .. }), "BuildKit without a login: {error:?}");
    assert!(right.image(&lab.engine, recipe().await).outcome().await.unwrap().built, "and with it");
}

#[tokio::test]
async fn a_platform_that_a_registry_does_not_have_is_named() {
    let lab = Lab::open().await;
    let options = Options { platform: Some("linux/s390x".to_owned()), ..Options::default() };
    let text = format!("FROM {BASE}\nRUN echo {}\n", unique());
    let ingredients = Ingredients { options, ..lab.ingredients(lab.source(&text), (1000, 1000)) };
    let failure = Failure::from(&lab.image(ingredients).await.unwrap_err());
    assert!(!failure.action.is_empty(), "there is a next step: {failure:?}");
    // An engine looks for it in a registry, refuses, or takes what it has: then Gemra sees it.
    let known = failure.title.contains("platform") || failure.code == Code::BaseUnreachable;
    assert!(known, "the class is known: {failure:?}");
}

async fn fit(lab: &Lab, name: &str, user: (u32, u32), claude: Option<std::path::PathBuf>) -> Result<Fit, ImageError> {
    let id = Engine::shared().api().inspect_image(name).await.unwrap().id.unwrap();
    let question = Question {
        name: name.to_owned(),
        id,
        user,
        claude,
        platform: None,
        owner: gemra_core::container::labels::Owner { instance: lab.instance.clone(), ..Default::default() },
    };
    Builds::default().fit(&lab.engine, question).await
}

#[tokio::test]
async fn an_image_without_the_agent_gets_this_machines_where_it_runs() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    // The scripted agent says nothing to --version, and ends well: that is an answer.
    let own = fit(&lab, &image.tag, lab::user(), None).await.unwrap();
    assert_eq!(own.claude, None, "an image with an agent keeps it");

    let given = fit(&lab, BASE, lab::user(), Some(claude())).await.unwrap();
    let program = given.claude.clone().expect("the base has none, so this machine's is mounted");
    assert!(program.is_absolute(), "by its own path, links resolved: {}", program.display());

    let script = lab.folder("host", lab::ids()).join("claude");
    std::fs::write(&script, "#!/usr/bin/env node\n").unwrap();
    make_executable(&script);
    for (what, claude, words) in [("a script", Some(script), "stands alone"), ("none", None, "there is none")] {
        let error = fit(&lab, BASE, lab::user(), claude).await.unwrap_err();
        let failure = Failure::from(&error);
        assert_eq!(failure.code, Code::AgentMissing, "{what}: {error:?}");
        assert!(failure.cause.contains(words), "{what}: why not is told: {}", failure.cause);
    }
    let left = tests::engine::see::containers(Engine::shared(), &lab.label()).await;
    assert!(left.is_empty(), "nothing is left of the looks: {left:#?}");
}

#[tokio::test]
async fn a_user_whom_the_image_does_not_know_has_a_home() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    let owner = if rustix::process::geteuid().is_root() { (4321, 4321) } else { lab::ids() };
    let seen = fit(&lab, &image.tag, owner, None).await.unwrap();
    let wish = gemra_core::container::spec::Wish { homeless: seen.homeless, ..lab.wish(&image, owner) };
    let mut process = lab.start(&wish).await;
    let said = lab::ask(&mut process, "touch \"$HOME/x\" \"$HOME/.claude/y\" && echo \"home $(id -u)\"").await;
    assert_eq!(said, format!("home {}", owner.0), "it can be written to, and what is mounted in it as well");
    process.stop.kill();
    process.stop.gone().await;
}

#[tokio::test]
async fn the_agent_runs_in_an_image_that_the_user_names() {
    let mut desk = Desk::new().env("GEMRA_CLAUDE", &claude().display().to_string());
    desk = desk.wishing(|wishes| wishes.image = Some(BASE.to_owned()));
    let mut moving = desk.open().await;
    let view = moving.enter().await;
    assert!(fact(&view, "Image").starts_with(BASE), "it is the one that was named: {:?}", view.facts);
    assert!(fact(&view, "Agent").contains("mounted read-only"), "the agent is this machine's: {:?}", view.facts);
    assert!(fact(&view, "Base").contains("old") || fact(&view, "Base").contains("today"), "with its age");
    let container = moving.container().await;
    let used = container.config.unwrap().image.unwrap();
    // Podman says the whole name.
    assert_eq!(used.trim_start_matches("docker.io/library/"), BASE, "the engine says so too");
    let mounts = container.mounts.unwrap();
    let mounted = mounts.iter().find(|mount| mount.destination.as_deref() == Some("/usr/local/bin/claude"));
    assert_eq!(mounted.and_then(|mount| mount.rw), Some(false), "nobody inside can change it: {mounts:#?}");
    moving.quit().await;
}

#[tokio::test]
async fn a_projects_usual_dockerfile_counts_where_the_user_wants_it() {
    let desk = Desk::new().env("GEMRA_CLAUDE", &claude().display().to_string());
    std::fs::write(desk.workspace().join("Dockerfile"), format!("FROM {BASE}\nRUN echo {}\n", unique())).unwrap();
    let mut moving = desk.wishing(|wishes| wishes.use_dockerfile = Some(true)).open().await;
    let view = moving.enter().await;
    assert!(fact(&view, "Image").starts_with("gemra-auto:"), "it has a name of its own: {:?}", view.facts);
    moving.quit().await;
}
