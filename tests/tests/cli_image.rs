//! `gemra image` as its users run it: an image goes out to a file and comes in again, and what cannot be done is told
//! with the next step.

// The whole file is a test, its functions that are not marked so as well.
#![allow(clippy::unwrap_used)]

use tests::engine::Engine;
use tests::engine::lab::{self, Lab};
use tests::{desktop, spawn};

/// What one run gave: its code, stdout and stderr.
fn run(arguments: &[&str], home: &std::path::Path) -> (Option<i32>, String, String) {
    let program = desktop::target().join("release/gemra");
    assert!(program.exists(), "{} is missing: `cargo xtask build` builds it", program.display());
    let mut command = spawn::command(program);
    command.args(arguments).env_clear().env("HOME", home).env("GEMRA_HOME", home.join("gemra"));
    command.env("DOCKER_HOST", Engine::shared().address());
    let output = spawn::output(&mut command).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn an_image_goes_out_to_a_file_and_comes_in_again() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    let folder = lab.folder("files", lab::ids());
    let file = folder.join("image.tar").display().to_string();
    let (code, listed, _) = run(&["image", "list"], &folder);
    assert_eq!(code, Some(0), "listing is no failure: {listed}");
    assert!(listed.contains(&image.tag) && listed.contains("MB"), "the image is listed with its size: {listed}");
    let (code, said, how) = run(&["image", "save", &image.tag, &file], &folder);
    assert_eq!(
        (code, said.trim()),
        (Some(0), format!("Saved {} as {file}.", image.tag).as_str()),
        "it is saved: {how}"
    );
    assert!(how.contains("Saved") && how.contains("MB"), "how far it is stands on stderr: {how}");
    let (code, said, how) = run(&["image", "load", &file], &folder);
    assert!(code == Some(0) && said.contains(&image.tag), "it has the name by which it is found: {said} {how}");

    let (code, said, why) = run(&["image", "save", "gemra-no-such-image:1", &format!("{file}.2")], &folder);
    assert_eq!((code, said.as_str()), (Some(1), ""), "an image that is not there is a failure: {why}");
    assert!(why.contains("gemra-no-such-image:1") && why.contains("gemra image list"), "with the next step: {why}");
    let (code, _, why) = run(&["image", "load", "/etc/hostname"], &folder);
    assert!(code == Some(1) && why.contains("holds no image"), "and so is a file that holds none: {why}");
}
