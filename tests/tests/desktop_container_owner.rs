//! Whose files: the agent in the container has the ids of the workspace's owner, whoever runs the app, and both sides
//! can take up what the other has said.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;

use tests::desktop::app::{LONG, SOON};
use tests::desktop::flip;
use tests::desktop::{App, Home, Options};
use tests::engine::Engine;
use tests::model_api::ModelApi;
use tests::needs;

/// The user `nobody`, whom every Debian has.
const NOBODY: u32 = 65534;

/// Takes the active tab's conversation in and out and in and out again, with a file written on each side.
async fn there_and_back(app: &App, api: &ModelApi, workspace: &Path, host: (u32, u32), inside: (u32, u32)) {
    let mark = workspace.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let heard = |what: &str| {
        let said = api.last().expect("the model was asked").conversation();
        assert!(said.contains(what), "{mark}: the model has {what:?}: {said}");
    };
    app.send(&format!("say: begun as {mark}")).await;
    app.until_entry("assistant", &format!("begun as {mark}"), LONG).await;
    app.until_idle(SOON).await;

    app.enter().await;
    app.send("bash: echo $(pwd) $(id -u) && echo from inside > inside.txt").await;
    app.allow_until(&format!("done: /workspace {}", inside.0)).await;
    heard(&format!("begun as {mark}"));
    assert_eq!(owner(&workspace.join("inside.txt")), inside, "{mark}: written inside");

    app.leave().await;
    app.send("bash: cat inside.txt && echo from outside > outside.txt").await;
    app.allow_until("done: from inside").await;
    heard(&format!("begun as {mark}"));
    heard("echo from inside");
    assert_eq!(owner(&workspace.join("outside.txt")), host, "{mark}: written on the host");

    app.enter().await;
    app.send("bash: cat outside.txt && echo again > again.txt").await;
    app.allow_until("done: from outside").await;
    heard("echo from outside");
    assert_eq!(owner(&workspace.join("again.txt")), inside, "{mark}: written inside again");

    app.leave().await;
    app.send(&format!("say: ended as {mark}")).await;
    app.until_entry("assistant", &format!("ended as {mark}"), LONG).await;
    heard("echo again");
    app.until_idle(SOON).await;
}

fn owner(path: &Path) -> (u32, u32) {
    let metadata = path.metadata().unwrap_or_else(|error| panic!("{} is there: {error}", path.display()));
    (metadata.uid(), metadata.gid())
}

#[tokio::test]
async fn root_works_on_the_folders_of_root_and_of_others() {
    if !needs::root("only root can give folders away") {
        return;
    }
    let api = ModelApi::start();
    let home = Home::new();
    let owners = [0, 1000, 1234];
    let workspaces = owners.map(|id| {
        let workspace = home.workspace(&format!("of-{id}"));
        chown(&workspace, Some(id), Some(id)).unwrap();
        workspace
    });
    let app = App::launch("container-owners", &home, &api, &Options::real(&workspaces).engine()).await;
    for (tab, (id, workspace)) in owners.into_iter().zip(&workspaces).enumerate() {
        app.activate(tab).await;
        there_and_back(&app, &api, workspace, (0, 0), (id, id)).await;
    }
    flip::assert_no_container(&home).await;
}

#[tokio::test]
async fn an_ordinary_user_works_on_its_own_folder() {
    let api = ModelApi::start();
    // Where the tests run as an ordinary user, that is the one.
    let root = rustix::process::geteuid().is_root();
    let home = if root { Home::of_user(NOBODY) } else { Home::new() };
    let workspace = home.workspace("own");
    let user = owner(&workspace);
    assert_ne!(user.0, 0, "an ordinary user's folder");
    let options = Options::real(std::slice::from_ref(&workspace)).env("DOCKER_HOST", Engine::shared().open_address());
    let app = App::launch("container-ordinary", &home, &api, &options).await;
    there_and_back(&app, &api, &workspace, user, user).await;
    flip::assert_no_container(&home).await;
}
