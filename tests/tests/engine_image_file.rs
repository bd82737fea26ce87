//! Images as files, and the Dockerfiles to start from, at a real engine.

// The whole file is a test, its functions that are not marked so as well.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bollard::query_parameters::RemoveImageOptionsBuilder;
use gemra_core::container::image::{Source, file, templates};
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
    file::save(&lab.engine, &image.tag, &path, tell(&told)).await.unwrap();
    let size = std::fs::metadata(&path).unwrap().len();
    assert_eq!(told.load(Ordering::SeqCst), size, "it is told how much was written");

    let again = Failure::from(&file::save(&lab.engine, &image.tag, &path, |_, _| {}).await.unwrap_err());
    assert!(again.cause.contains("not overwritten"), "a file that is there stays: {}", again.cause);
    let options = RemoveImageOptionsBuilder::new().force(true).build();
    Engine::shared().api().remove_image(&image.id, Some(options), None).await.unwrap();
    let gone =
        Failure::from(&file::save(&lab.engine, &image.tag, &path.with_extension("b"), |_, _| {}).await.unwrap_err());
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
