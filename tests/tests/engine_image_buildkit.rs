//! Images that Docker's classic builder cannot build, by a real engine: what is built by `BuildKit`, or by Podman's own
//! builder, what it says, and how it is stopped.

// The whole file is a test, its functions that are not marked so as well.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::Duration;

use gemra_core::container::image::{Builds, ImageError, Ingredients, Options, Recipe};
use gemra_core::failure::{Code, Failure};
use tests::engine::lab::{self, Lab};
use tests::engine::{BASE, Engine, see, step};

const LONG: Duration = Duration::from_mins(2);

fn unique() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

#[tokio::test]
async fn a_mount_of_a_step_is_built_and_told_as_any_other() {
    let lab = Lab::open().await;
    let mark = unique();
    let text = format!(
        "FROM {BASE} AS first\nRUN --mount=type=cache,target=/cache echo mark-{mark} && date +%N >/cache/now\n\
         FROM {BASE}\nCOPY --from=first /etc/hostname /copied\nRUN echo last\n"
    );
    let recipe = Recipe::of(lab.ingredients(lab.source(&text), (1000, 1000))).await.unwrap();
    let builds = Builds::default();
    let building = builds.image(&lab.engine, recipe.clone());
    let mut progress = building.progress();
    let mut steps = BTreeSet::new();
    let outcome = building.outcome();
    tokio::pin!(outcome);
    let image = loop {
        tokio::select! {
            outcome = &mut outcome => break outcome.unwrap(),
            changed = progress.changed() => {
                changed.unwrap();
                steps.extend(progress.borrow_and_update().step.clone().map(|step| (step.index, step.instruction)));
            }
        }
    };
    assert!(image.built, "it was not there before");
    let (lines, _) = building.log().after(0);
    assert!(lines.iter().any(|line| line.contains(&format!("mark-{mark}"))), "commands are heard: {lines:?}");
    assert!(steps.iter().any(|(_, instruction)| instruction.starts_with("RUN")), "steps are told: {steps:?}");
    let inspected = Engine::shared().api().inspect_image(&recipe.tag()).await.unwrap();
    let labels = inspected.config.unwrap().labels.unwrap();
    assert_eq!(labels["dev.gemra.spec"], recipe.fingerprint(), "it is marked as ours");
    assert!(!builds.image(&lab.engine, recipe).outcome().await.unwrap().built, "and is found again");
}

#[tokio::test]
async fn arguments_the_stage_and_what_is_ignored_count_for_both_builders() {
    let lab = Lab::open().await;
    for (what, flag) in [("classic", ""), ("BuildKit", "--mount=type=tmpfs,target=/x ")] {
        let workspace = lab.folder(&format!("workspace-{}", unique()), lab::ids());
        for (file, text) in [("kept.txt", "kept"), ("secret.txt", "no"), (".dockerignore", "secret.txt\n")] {
            std::fs::write(workspace.join(file), text).unwrap();
        }
        // The stage that is not wished for could not be built.
        let text = format!(
            "FROM {BASE} AS wanted\nARG WORD=none\nCOPY . /all\nRUN {flag}echo \"$WORD $(ls /all | tr '\\n' ' ')\" | tee /said\n\
             FROM {BASE}\nRUN exit 9\n"
        );
        let source = gemra_core::container::image::Source::own(workspace, text);
        let options = Options {
            target: Some("wanted".to_owned()),
            arguments: [("WORD".to_owned(), "given".to_owned())].into(),
            ..Options::default()
        };
        let ingredients = Ingredients { options, ..lab.ingredients(source, (1000, 1000)) };
        let recipe = Recipe::of(ingredients).await.unwrap();
        let building = Builds::default().image(&lab.engine, recipe);
        building.outcome().await.unwrap_or_else(|error| panic!("{what} builds it: {error:?}"));
        let (lines, _) = building.log().after(0);
        assert!(
            lines.iter().any(|line| {
                line.starts_with("given ") && line.contains("kept.txt") && !line.contains("secret.txt")
            }),
            "{what}: the argument is there and the ignored file is not: {lines:?}"
        );
    }
}

#[tokio::test]
async fn a_text_within_the_dockerfile_is_built_or_says_what_could_not_be_fetched() {
    let lab = Lab::open().await;
    let text = format!("FROM {BASE}\nRUN <<EOF\necho {}\nEOF\n", unique());
    let podman = Engine::shared_is_podman().await;
    let offline = |offline| Options { offline, ..Options::default() };
    let build = async |options| {
        let ingredients = Ingredients { options, ..lab.ingredients(lab.source(&text), (1000, 1000)) };
        lab.image(ingredients).await
    };
    let refused = |error: &ImageError| {
        let failure = Failure::from(error);
        assert_eq!(failure.code, Code::NeedsBuildkit, "the class is known: {error:?}");
        assert!(failure.cause.contains("line 2, RUN <<heredoc"), "and what it is needed for: {}", failure.cause);
        // Podman's builder fetches nothing for it: a newer one knows it by itself too.
        let (lacks, next) =
            if podman { ("Podman 4.8 can", "newer engine") } else { ("docker/dockerfile:1", "Docker 23") };
        assert!(failure.cause.contains(lacks), "what is lacking is named: {}", failure.cause);
        assert!(failure.action.contains(next), "with a next step: {}", failure.action);
    };
    match build(offline(true)).await {
        Ok(image) => assert!(image.built, "a newer engine knows it by itself"),
        Err(error) => {
            refused(&error);
            match build(offline(false)).await {
                Ok(image) => assert!(image.built, "the frontend could be fetched"),
                Err(error) => refused(&error),
            }
        }
    }
}

#[tokio::test]
async fn a_step_that_fails_is_named_with_its_code_and_its_last_words() {
    let lab = Lab::open().await;
    let text = format!("FROM {BASE}\nRUN true\nRUN --mount=type=cache,target=/x echo last words && exit 7\n");
    let error = lab.image(lab.ingredients(lab.source(&text), (1000, 1000))).await.unwrap_err();
    let ImageError::BuildFailed { instruction, code, tail, .. } = error else { panic!("a step failed: {error:?}") };
    assert_eq!(code, Some(7), "with the command's code");
    assert!(instruction.contains("exit 7"), "the step is named: {instruction}");
    assert!(tail.contains("last words"), "the tail holds what it said: {tail}");
}

#[tokio::test]
async fn a_build_by_buildkit_ends_when_nobody_waits() {
    let lab = Lab::open().await;
    let (mark, sleep) = (format!("cancelled-{}", unique()), step::sleep());
    let text = format!("FROM {BASE}\nRUN --mount=type=cache,target=/x echo {mark}; {sleep}; true\n");
    let recipe = Recipe::of(lab.ingredients(lab.source(&text), (1000, 1000))).await.unwrap();
    let tag = recipe.tag();
    let building = Builds::default().image(&lab.engine, recipe);
    let mut progress = building.progress();
    let said =
        |line: &Option<String>| line.as_deref().is_some_and(|line| line.ends_with(&mark) && !line.contains("RUN"));
    tokio::time::timeout(LONG, progress.wait_for(|progress| said(&progress.line)))
        .await
        .expect("the step begins")
        .expect("the build is under way");
    let sleeps = || step::process(&sleep).is_some();
    // Where the engine runs on another machine, as in Docker Desktop, its processes are not to be seen.
    let seen = see::until("the step runs", LONG, async || sleeps().then_some(true));
    if rustix::process::geteuid().is_root() {
        assert!(seen.await, "the step's process is there");
    }
    drop(building);
    if Engine::shared_is_podman().await {
        step::outlives_its_build(&sleep).await;
    }
    see::until("the step is over", LONG, async || (!sleeps()).then_some(())).await;
    assert!(Engine::shared().api().inspect_image(&tag).await.is_err(), "and there is no image");
}
