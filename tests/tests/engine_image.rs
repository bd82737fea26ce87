//! Images, built by a real engine.

use std::collections::BTreeSet;
use std::time::Duration;

use gemra_core::container::image::{Builds, ImageError, Recipe, Source, Step};
use gemra_core::failure::{Code, Failure};
use tests::engine::lab::{self, Lab};
use tests::engine::{BASE, Engine, see, step};

/// Something that no build before had, so that no layer of this one is cached.
fn unique() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

#[tokio::test]
async fn a_build_tells_its_steps_and_is_skipped_when_nothing_changed() {
    let lab = Lab::open().await;
    let mark = unique();
    let source = lab.scripted(&format!("RUN echo mark-{mark}"));
    let builds = Builds::default();
    let recipe = Recipe::of(lab.ingredients(source.clone(), (1000, 1000))).await.unwrap();
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
                steps.extend(progress.borrow_and_update().step.as_ref().map(|step| (step.index, step.total)));
            }
        }
    };
    assert!(image.built, "it was not there before");
    assert!(steps.contains(&(3, 4)), "the last step was seen on the way: {steps:?}");
    let last = progress.borrow().step.clone();
    assert!(matches!(&last, Some(Step { index: 4, total: 4, .. })), "it came to the last, our own label: {last:?}");
    let (lines, _) = building.log().after(0);
    assert!(lines.contains(&format!("mark-{mark}")), "the log holds what commands say: {lines:?}");

    let inspected = Engine::shared().api().inspect_image("gemra-claude:latest").await.unwrap();
    assert_eq!(inspected.id.as_deref(), Some(image.id.as_str()), "latest is the one that was built last");
    let labels = inspected.config.unwrap().labels.unwrap();
    assert_eq!(labels["dev.gemra.managed"], "1", "it is marked as ours");
    assert_eq!(labels["dev.gemra.spec"], recipe.fingerprint(), "with its fingerprint");

    // Another image takes the name; asking for the first again gives it back without a build.
    let other =
        lab.image(lab.ingredients(lab.scripted(&format!("RUN echo {}", unique())), (1000, 1000))).await.unwrap();
    assert_ne!(other.id, image.id, "another Dockerfile is another image");
    let again = lab.image(lab.ingredients(source, (1000, 1000))).await.unwrap();
    assert_eq!((again.id, again.built), (image.id.clone(), false), "nothing changed, so nothing is built");
    let latest = Engine::shared().api().inspect_image("gemra-claude:latest").await.unwrap().id;
    assert_eq!(latest, Some(image.id), "latest follows what is used");
}

#[tokio::test]
async fn a_changed_file_is_noticed() {
    let lab = Lab::open().await;
    let workspace = lab.folder("workspace", lab::ids());
    let file = workspace.join("Dockerfile.claude");
    std::fs::write(workspace.join("tool.txt"), unique()).unwrap();
    std::fs::write(workspace.join("other.txt"), "not copied").unwrap();
    std::fs::write(&file, format!("FROM {BASE}\nCOPY tool.txt /tool.txt\nRUN cat /tool.txt\n")).unwrap();
    let build = async || {
        let source = Source::of(&workspace).await.unwrap();
        lab.image(lab.ingredients(source, (1000, 1000))).await.unwrap()
    };
    let first = build().await;
    assert!(!build().await.built, "the same again is there");
    std::fs::write(workspace.join("other.txt"), "changed, and not copied").unwrap();
    assert!(!build().await.built, "what is not copied does not matter");
    std::fs::write(workspace.join("tool.txt"), unique() + "longer").unwrap();
    let second = build().await;
    assert!(second.built && second.id != first.id, "what is copied does");
    std::fs::write(&file, format!("FROM {BASE}\nCOPY tool.txt /tool.txt\nRUN echo {}\n", unique())).unwrap();
    assert!(build().await.built, "and so does the Dockerfile");
}

#[tokio::test]
async fn two_that_want_the_same_share_one_build() {
    let lab = Lab::open().await;
    let mark = unique();
    let source = lab.scripted(&format!("RUN echo {mark} && sleep 1"));
    let recipe = Recipe::of(lab.ingredients(source, (1000, 1000))).await.unwrap();
    let builds = Builds::default();
    let first = builds.image(&lab.engine, recipe.clone());
    let second = builds.image(&lab.engine, recipe.clone());
    let third = builds.image(&lab.engine, recipe);
    // One loses patience; the others go on.
    drop(third);
    let (one, two) = tokio::join!(first.outcome(), second.outcome());
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one, two, "both get the same image");
    assert!(one.built, "which was built");
    let said = |building: &gemra_core::container::image::Building| {
        building.log().after(0).0.iter().filter(|line| **line == mark).count()
    };
    assert_eq!((said(&first), said(&second)), (1, 1), "once, with one log");
}

#[tokio::test]
async fn a_build_ends_when_the_last_has_left() {
    let lab = Lab::open().await;
    let podman = Engine::shared_is_podman().await;
    let (mark, sleep) = (format!("cancelled-{}", unique()), step::sleep());
    let source = lab.scripted(&format!("RUN echo {mark}; {sleep}; true"));
    let recipe = Recipe::of(lab.ingredients(source, (1000, 1000))).await.unwrap();
    let tag = recipe.tag();
    let builds = Builds::default();
    let building = builds.image(&lab.engine, recipe.clone());
    let second = building.clone();
    let mut progress = building.progress();
    let limit = Duration::from_mins(1);
    tokio::time::timeout(limit, progress.wait_for(|progress| progress.line.as_deref() == Some(mark.as_str())))
        .await
        .expect("the step begins")
        .expect("the build is under way");
    let running = async || {
        // Podman lists no container of a step.
        if podman {
            return step::process(&sleep).is_some();
        }
        let all =
            Engine::shared().api().list_containers(None::<bollard::query_parameters::ListContainersOptions>).await;
        all.unwrap().into_iter().any(|container| container.command.unwrap_or_default().contains(&mark))
    };
    let a_while = Duration::from_secs(20);
    see::until("the step runs", a_while, async || running().await.then_some(())).await;
    drop(building);
    assert!(second.progress().borrow().step.is_some(), "somebody still waits");
    let ended = tokio::time::timeout(Duration::from_secs(2), second.outcome()).await;
    assert!(ended.is_err() && running().await, "so it goes on: {ended:?}");
    drop(second);
    if podman {
        step::outlives_its_build(&sleep).await;
    } else {
        let stopped = async || (!running().await).then_some(());
        see::until("the engine stops the step that nobody waits for", a_while, stopped).await;
    }
    assert!(Engine::shared().api().inspect_image(&tag).await.is_err(), "and there is no image");
    if podman {
        // Nor is anything kept of what went on: whoever wants the image again has the step done again.
        let again = builds.image(&lab.engine, recipe);
        let id = see::until("the step runs again", limit, async || step::process(&sleep)).await;
        tests::spawn::kill(id);
        assert!(again.outcome().await.unwrap().built, "and then there is an image");
    }
}

#[tokio::test]
async fn what_does_not_build_says_why() {
    let lab = Lab::open().await;
    let missing_base = format!("FROM gemra-no-such-base:{}\n", unique());
    let cases: &[(&str, String, Code, &str)] = &[
        (
            "a command that fails",
            format!("FROM {BASE}\nRUN echo last words && exit 7\n"),
            Code::BuildFailed,
            "with code 7",
        ),
        ("an unknown instruction", format!("FROM {BASE}\nBANANA split\n"), Code::BadDockerfile, "BANANA"),
        ("a base that is nowhere", missing_base, Code::BaseUnreachable, "gemra-no-such-base"),
        (
            "a file that is not there",
            format!("FROM {BASE}\nCOPY nothing.txt /\n"),
            Code::BuildFailed,
            "COPY nothing.txt",
        ),
        ("no base", "RUN true\n".to_owned(), Code::BadDockerfile, "no FROM"),
    ];
    for (what, text, code, part) in cases {
        let error = lab.image(lab.ingredients(lab.source(text), (1000, 1000))).await.unwrap_err();
        let failure = Failure::from(&error);
        assert_eq!(failure.code, *code, "{what}: {error}");
        assert!(failure.cause.contains(part), "{what} names {part:?}: {}", failure.cause);
        assert!(!failure.action.is_empty(), "{what} has a next step");
    }
    let failing = lab.source(&format!("FROM {BASE}\nRUN echo last words && exit 7\n"));
    let error = lab.image(lab.ingredients(failing, (1000, 1000))).await.unwrap_err();
    let ImageError::BuildFailed { index, total, code, tail, .. } = error else { panic!("it failed: {error:?}") };
    assert_eq!((index, total, code), (2, 3, Some(7)), "at the second step, with the command's code");
    assert!(tail.contains("last words"), "the tail holds what it said: {tail}");
}

/// The image that Gemra brings along, with the real CLI in it, for each user that tests work as.
#[tokio::test]
async fn the_embedded_dockerfile_builds_and_holds_what_it_promises() {
    let lab = Lab::open().await;
    for owner in [(1000, 1000), (1234, 1234), (501, 20), (0, 0)] {
        let mut ingredients = lab.ingredients(Source::embedded(), owner);
        ingredients.cli_version = Some("2.1.329".to_owned());
        let image = lab.image(ingredients).await.unwrap_or_else(|error| panic!("it builds for {owner:?}: {error:?}"));
        let mut wish = lab.wish(&image, owner);
        // The real CLI refuses to be driven by shell, so that its own answer to this is the test.
        wish.args = vec!["--version".to_owned()];
        let mut process = lab.start(&wish).await;
        let version = lab::next_line(&mut process).await;
        assert!(version.starts_with("2.1.329"), "the CLI of the host's version answers {owner:?}: {version}");
        assert_eq!(process.stop.gone().await.code, Some(0), "and is content");
    }
    let tools = "for tool in git gh vim rg curl jq gcc make ssh sudo python3 zig node npm claude; do \
                 command -v $tool >/dev/null || echo missing $tool; done; id -un; echo $HOME; touch /workspace/x; echo done";
    let mut ingredients = lab.ingredients(Source::embedded(), lab::user());
    ingredients.cli_version = Some("2.1.329".to_owned());
    let image = lab.image(ingredients).await.unwrap();
    // The CLI would not run shell for us, so that a shell takes its name, on top of the same image.
    let scripted = format!(
        "FROM {}\nUSER root\nRUN rm /usr/local/bin/claude && printf '#!/bin/sh\\nexec sh -s\\n' >/usr/local/bin/claude \
         && chmod 755 /usr/local/bin/claude\n",
        image.tag
    );
    let image = lab.image(lab.ingredients(lab.source(&scripted), lab::user())).await.unwrap();
    let mut process = lab.start(&lab.wish(&image, lab::user())).await;
    process.input.send(tools.to_owned());
    process.input.close();
    let mut said = Vec::new();
    while let Some(gemra_core::process::Output::Line { text, .. }) = process.output.recv().await {
        said.push(text);
    }
    // `claude` was replaced by us above, everything else is the image's own.
    assert_eq!(said, ["node", "/home/node", "done"], "all tools are there, the user is node and may write");
}
