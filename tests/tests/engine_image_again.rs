//! Images that are made again, at a real engine: from scratch, after a failure of the network, and what becomes of the
//! old ones and of the logs.

// The whole file is a test, its functions that are not marked so as well.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use gemra_core::container::image::{Builds, ImageError, Ingredients, Options, Recipe, Source, disk};
use gemra_core::failure::{Code, Failure};
use tests::engine::lab::{self, Lab};
use tests::engine::{BASE, Engine};

fn unique() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

fn fresh(lab: &Lab, text: &str) -> Ingredients {
    let options = Options { fresh: true, ..Options::default() };
    Ingredients { options, ..lab.ingredients(lab.source(text), (1000, 1000)) }
}

#[tokio::test]
async fn from_scratch_every_step_is_done_again_and_a_base_that_is_in_no_registry_stays() {
    let lab = Lab::open().await;
    // A base of our own, which no registry has.
    let base = format!("gemra-test-base:{}", &unique()[..12]);
    let (name, tag) = base.split_once(':').unwrap();
    let options = bollard::query_parameters::TagImageOptionsBuilder::new().repo(name).tag(tag).build();
    Engine::shared().api().tag_image(BASE, Some(options)).await.unwrap();
    let text = format!("FROM {base}\nRUN echo {} && date +%N >/made\n", unique());
    let home = tempfile::tempdir().unwrap();
    let builds = Builds::keeping_logs(home.path().join("logs"));
    let first = builds.image(&lab.engine, Recipe::of(lab.ingredients(lab.source(&text), (1000, 1000))).await.unwrap());
    let first = first.outcome().await.unwrap();
    let again = builds.image(&lab.engine, Recipe::of(fresh(&lab, &text)).await.unwrap());
    let second = again.outcome().await.unwrap();
    assert!(second.built && second.id != first.id, "it is made again, though nothing has changed");
    assert_eq!(second.tag, first.tag, "under the same name, because it is made from the same");
    let (lines, _) = again.log().after(0);
    let told = format!("{base} could not be fetched again. The one on this machine is used.");
    assert!(lines.contains(&told), "that the base stays the same is told: {lines:?}");

    let file = again.log_file().expect("a build that said something has a file");
    let kept = std::fs::read_to_string(file).unwrap();
    assert!(kept.contains(&told) && kept.contains("date +%N"), "it holds what was said: {kept}");
    let found = builds.image(&lab.engine, Recipe::of(lab.ingredients(lab.source(&text), (1000, 1000))).await.unwrap());
    assert_eq!(found.outcome().await.unwrap().id, second.id, "the new one counts from now on");
    assert_eq!(found.log_file(), None, "where nothing was done nothing is kept");
    let api = Engine::shared().api();
    api.remove_image(&base, None::<bollard::query_parameters::RemoveImageOptions>, None).await.unwrap();
}

#[tokio::test]
async fn offline_a_base_that_is_missing_is_told_at_once() {
    let lab = Lab::open().await;
    let base = format!("gemra-no-such-base:{}", unique());
    let options = Options { offline: true, ..Options::default() };
    let text = format!("ARG MORE={base}\nFROM {BASE} AS one\nRUN echo {}\nFROM $MORE\n", unique());
    let ingredients = Ingredients { options, ..lab.ingredients(lab.source(&text), (1000, 1000)) };
    let error = lab.image(ingredients.clone()).await.unwrap_err();
    assert!(matches!(&error, ImageError::Offline { name } if *name == base), "the base is named: {error:?}");
    let mut there = ingredients;
    there.options.arguments.insert("MORE".to_owned(), BASE.to_owned());
    assert!(lab.image(there).await.unwrap().built, "what is there is built with nothing fetched");
}

#[tokio::test]
async fn offline_no_way_to_write_a_base_leads_to_a_registry() {
    let lab = Lab::open().await;
    let offline = async |text: String| {
        let options = Options { offline: true, ..Options::default() };
        lab.image(Ingredients { options, ..lab.ingredients(lab.source(&text), (1000, 1000)) }).await
    };
    let base = format!("gemra-no-such-base:{}", unique());
    for from in ["${MORE:-x}", "\"${MORE}\"", "${NONE:-${MORE}}", "${MORE:+$MORE}", "$MORE"] {
        // One argument's name begins as the other's does.
        let error = offline(format!("ARG MO=y\nARG MORE={base}\nFROM {from}\n")).await.unwrap_err();
        assert!(matches!(&error, ImageError::Offline { name } if *name == base), "{from}: it is named: {error:?}");
    }
    let error = offline(format!("ARG A={base}\nFROM {BASE}\nRUN true\nFROM ${{A%:*}}\n")).await.unwrap_err();
    let known = matches!(&error, ImageError::OfflineUnknown { line: 4, written, .. } if written == "${A%:*}");
    assert!(known, "what the builder alone knows is named by its line: {error:?}");
    let failure = Failure::from(&error);
    assert_eq!(failure.code, Code::BaseUnreachable, "with a class: {failure:?}");
    assert!(failure.cause.contains("line 4"), "and the line: {}", failure.cause);
    let there = offline(format!("ARG TAG={}\nFROM ${{NAME:-{}}}:$TAG\nRUN echo {}\n", "22-bookworm", "node", unique()));
    assert!(there.await.unwrap().built, "what is there is built, however it is written");
}

#[tokio::test]
async fn a_step_that_the_network_failed_is_tried_again() {
    let lab = Lab::open().await;
    // No step can know how often it was tried, but the network can: what listens answers the third time.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for word in ["wait", "wait", "ready"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, format!("{word}\n").as_bytes()).await.unwrap();
        }
    });
    let workspace = lab.folder(&format!("workspace-{}", unique()), lab::ids());
    let ask = format!(
        "const fail = () => {{ console.log('Temporary failure resolving {}'); process.exit(100); }};\n\
         const socket = require('net').connect({port}, '127.0.0.1');\n\
         socket.on('error', fail).on('data', word => String(word).trim() === 'ready' ? process.exit(0) : fail());\n",
        unique()
    );
    std::fs::write(workspace.join("ask.js"), ask).unwrap();
    let source = Source::own(workspace, format!("FROM {BASE}\nCOPY ask.js /ask.js\nRUN node /ask.js\n"));
    let recipe = Recipe::of(lab.ingredients(source, (1000, 1000))).await.unwrap();
    let building = Builds::default().image(&lab.engine, recipe);
    let outcome = building.outcome().await;
    let (lines, _) = building.log().after(0);
    assert!(outcome.is_ok(), "the third try succeeds: {outcome:?} {lines:?}");
    assert_eq!(lines.iter().filter(|line| line.contains("Trying again")).count(), 2, "two more tries: {lines:?}");
}

#[tokio::test]
async fn what_was_replaced_goes_and_what_is_used_stays() {
    let lab = Lab::open().await;
    let mut images = Vec::new();
    for _ in 0..3 {
        let recipe = Recipe::of(lab.ingredients(lab.scripted(&format!("RUN echo {}", unique())), (1000, 1000)));
        let recipe = recipe.await.unwrap();
        let lineage = recipe.lineage();
        images.push((Builds::default().image(&lab.engine, recipe).outcome().await.unwrap(), lineage));
    }
    let [(first, lineage), (second, _), (third, other)] = &images[..] else { panic!("three were made") };
    assert_eq!(lineage, other, "all are made from the same file for the same user");
    let process = lab.start(&lab.wish(first, lab::user())).await;

    let young = disk::replaced(&lab.engine, lineage, &third.id, Duration::from_hours(1)).await.unwrap();
    assert_eq!(young.images, 0, "what was made just now may be wanted again soon");
    let removed = disk::replaced(&lab.engine, lineage, &third.id, Duration::ZERO).await.unwrap();
    assert_eq!(removed.images, 1, "one was replaced and is not used");
    let left: Vec<String> = disk::list(&lab.engine).await.unwrap().into_iter().map(|image| image.id).collect();
    assert!(left.contains(&first.id), "a container runs from the first");
    assert!(!left.contains(&second.id), "the second is gone");
    assert!(left.contains(&third.id), "the third is the newest");
    let first = disk::list(&lab.engine).await.unwrap().into_iter().find(|image| image.id == first.id).unwrap();
    assert!(first.used && first.bytes > 0, "the list says so: {first:?}");
    process.stop.kill();
    process.stop.gone().await;
}
