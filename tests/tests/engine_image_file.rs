//! Images as files, and the Dockerfiles to start from, at a real engine.

// The whole file is a test, its functions that are not marked so as well.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bollard::query_parameters::{RemoveImageOptionsBuilder, TagImageOptionsBuilder};
use gemra_core::container::holdings::{self, Kind};
use gemra_core::container::image::disk;
use gemra_core::container::image::file::{self, Existing};
use gemra_core::container::image::{Source, templates};
use gemra_core::failure::{Code, Failure};
use tests::engine::Engine;
use tests::engine::lab::{self, Lab};

#[tokio::test]
async fn an_image_that_was_saved_is_loaded_and_found_without_a_build() {
    let lab = Lab::open().await;
    let source = lab.scripted(&format!("RUN echo {}", uuid::Uuid::new_v4()));
    let image = lab.image(lab.ingredients(source.clone(), lab::user())).await.unwrap();
    let path = lab.folder("files", lab::ids()).join("image.tar");
    let told = Arc::new(AtomicU64::new(0));
    let tell = |told: &Arc<AtomicU64>| {
        let told = Arc::clone(told);
        move |bytes: u64, total: u64| {
            assert!(bytes <= total, "never more than there is");
            told.fetch_max(bytes, Ordering::SeqCst);
        }
    };
    file::save(&lab.engine, &image.tag, &path, Existing::Keep, tell(&told)).await.unwrap();
    let size = std::fs::metadata(&path).unwrap().len();
    assert_eq!(told.load(Ordering::SeqCst), size, "it is told how much was written");

    let again = file::save(&lab.engine, &image.tag, &path, Existing::Keep, |_, _| {}).await;
    let again = Failure::from(&again.unwrap_err());
    assert!(again.cause.contains("not overwritten"), "a file that is there stays: {}", again.cause);
    assert_eq!(again.code, Code::ImageFile, "its class: {again:?}");
    std::fs::write(path.with_extension("old"), "something else").unwrap();
    file::save(&lab.engine, &image.tag, &path.with_extension("old"), Existing::Replace, |_, _| {}).await.unwrap();
    let replaced = std::fs::metadata(path.with_extension("old")).unwrap().len();
    assert_eq!(replaced, size, "unless the user has said that it may be replaced");
    let nowhere = path.with_file_name("nowhere").join("image.tar");
    let bad =
        Failure::from(&file::save(&lab.engine, &image.tag, &nowhere, Existing::Replace, |_, _| {}).await.unwrap_err());
    assert!(
        bad.code == Code::ImageFile && bad.cause.contains("nowhere"),
        "a folder that is not there is named: {bad:?}"
    );
    let options = RemoveImageOptionsBuilder::new().force(true).build();
    Engine::shared().api().remove_image(&image.id, Some(options), None).await.unwrap();
    let gone = file::save(&lab.engine, &image.tag, &path.with_extension("b"), Existing::Keep, |_, _| {}).await;
    let gone = Failure::from(&gone.unwrap_err());
    assert_eq!(gone.code, Code::ImageMissing, "the image is not there any more: {gone:?}");

    told.store(0, Ordering::SeqCst);
    let loaded = file::load(&lab.engine, &path, tell(&told)).await.unwrap();
    assert!(loaded.ours && loaded.names.contains(&image.tag), "it has the name by which it is found: {loaded:?}");
    assert_eq!(told.load(Ordering::SeqCst), size, "it is told how much was read");
    let found = lab.image(lab.ingredients(source, lab::user())).await.unwrap();
    assert_eq!((found.id, found.built), (image.id, false), "so that nothing is built");

    std::fs::write(&path, "no image").unwrap();
    let bad = Failure::from(&file::load(&lab.engine, &path, |_, _| {}).await.unwrap_err());
    assert!(bad.cause.contains("holds no image") && !bad.action.is_empty(), "a text is no image: {bad:?}");
}

#[tokio::test]
async fn what_is_given_up_half_way_leaves_nothing() {
    let lab = Lab::open().await;
    let image = lab.image(lab.ingredients(lab.scripted("RUN true"), lab::user())).await.unwrap();
    let folder = lab.folder("files", lab::ids());
    let path = folder.join("image.tar");
    let begun = tokio_util::sync::CancellationToken::new();
    let tell = |_, _| begun.cancel();
    let saved = begun.run_until_cancelled(file::save(&lab.engine, &image.tag, &path, Existing::Keep, tell)).await;
    assert!(saved.is_none(), "it was dropped at its first piece: {saved:?}");
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "neither the file nor a part of it is there: {left:?}");
}

#[tokio::test]
async fn what_somebody_builds_from_ours_is_neither_listed_nor_removed() {
    let lab = Lab::open().await;
    let api = Engine::shared().api();
    let image = lab.image(lab.ingredients(lab.scripted(&format!("RUN echo {}", uuid::Uuid::new_v4())), lab::user()));
    let image = image.await.unwrap();
    let (mark, ours) = (uuid::Uuid::new_v4().simple().to_string(), format!("gemra-claude:{}", uuid::Uuid::new_v4()));
    let tag = |repo: &str, tag: &str| {
        let options = TagImageOptionsBuilder::new().repo(repo).tag(tag).build();
        let (api, id) = (api.clone(), image.id.clone());
        async move { api.tag_image(&id, Some(options)).await.unwrap() }
    };
    tag("gemra-claude", ours.rsplit(':').next().unwrap()).await;
    tag("somebodys-tool", &mark).await;
    let listed = || async {
        let all = holdings::all(&lab.engine).await.unwrap();
        all.into_iter().find(|one| one.kind == Kind::Image && one.id == image.id)
    };
    let held = listed().await.expect("it has names of ours");
    let pruned = holdings::prune(&lab.engine, &[held], |_| None).await.unwrap();
    assert_eq!((pruned.removed.len(), pruned.stayed), (1, vec![]), "both of its names of ours are taken from it");
    for name in [&image.tag, &ours] {
        assert!(api.inspect_image(name).await.is_err(), "{name} is gone");
    }
    assert_eq!(listed().await, None, "it is somebody else's now");
    let theirs = disk::list(&lab.engine).await.unwrap();
    assert!(theirs.iter().all(|one| one.id != image.id), "in the other list as well: {theirs:?}");
    let name = format!("somebodys-tool:{mark}");
    api.inspect_image(&name).await.expect("the name that somebody gave it keeps it");
    api.remove_image(&name, None::<bollard::query_parameters::RemoveImageOptions>, None).await.unwrap();
}

/// Those on Debian, on the tests' base. Alpine's cannot be fetched everywhere; its steps are looked at in gemra-core.
#[tokio::test]
async fn the_dockerfiles_to_start_from_hold_an_agent_that_answers() {
    let lab = Lab::open().await;
    for template in templates::ALL.iter().filter(|template| template.text.contains("node:22-bookworm")) {
        let source = Source::own(lab.folder("workspace", lab::ids()), template.text.to_owned());
        let mut ingredients = lab.ingredients(source, lab::user());
        ingredients.cli_version = Some("2.1.329".to_owned());
        let image = lab.image(ingredients).await.unwrap_or_else(|error| panic!("{}: {error:?}", template.id));
        let mut wish = lab.wish(&image, lab::user());
        wish.args = vec!["--version".to_owned()];
        let mut process = lab.start(&wish).await;
        let said = lab::next_line(&mut process).await;
        assert!(said.starts_with("2.1.329"), "{}: the agent answers: {said}", template.id);
        assert_eq!(process.stop.gone().await.code, Some(0), "{}: and is content", template.id);
    }
}
