//! Which engine a project comes back to: the one of its last container where nobody names another, and where it is another
//! one all the same, that is told. The engine is real, and reached by several ways, each of which looks like an engine of
//! its own.

// The whole file is a test, its functions that are not marked so as well.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use gemra_core::container::engine::{Address, Engine as CoreEngine, Places};
use gemra_core::environment::Environment;
use gemra_core::tab::view::ContainerView;
use tests::engine::desk::{Desk, Moving, fact};
use tests::engine::follow::Follow;
use tests::engine::{BASE, Engine};
use tokio::net::{TcpStream, UnixListener, UnixStream};

/// Another way to the shared engine, as long as it is held.
struct Way(tokio::task::JoinHandle<()>);

impl Way {
    fn open(socket: &Path) -> Self {
        let address = Engine::shared().address();
        let listener = UnixListener::bind(socket).unwrap();
        Self(tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                tokio::spawn(async move {
                    // Who leaves in the middle of a word is no failure of the way's.
                    let _ = match address.strip_prefix("unix://") {
                        Some(path) => {
                            let mut far = UnixStream::connect(path).await.unwrap();
                            tokio::io::copy_bidirectional(&mut near, &mut far).await
                        }
                        None => {
                            let host = address.strip_prefix("tcp://").expect("a socket or a port");
                            let mut far = TcpStream::connect(host).await.unwrap();
                            tokio::io::copy_bidirectional(&mut near, &mut far).await
                        }
                    };
                });
            }
        }))
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn at(path: &Path) -> String {
    format!("unix://{}", path.display())
}

#[tokio::test]
async fn where_nobody_names_one_the_last_comes_first_while_it_answers() {
    let folder = tempfile::tempdir().unwrap();
    let [first, last] = ["first.sock", "last.sock"].map(|name| folder.path().join(name));
    let _way = Way::open(&first);
    let way = Way::open(&last);
    let environment = Environment::of([("DOCKER_CONFIG", folder.path().to_str().unwrap()), ("PATH", "")]);
    let sockets = [&first, &last].map(|path| Address::Unix(path.clone())).to_vec();
    let places = Places { sockets, folders: Vec::new() };
    let find = async |address: Option<String>| {
        let places = places.clone().preferring(address.as_deref());
        CoreEngine::find_among(&places, None, None, &environment).await.unwrap().address().to_string()
    };
    assert_eq!(find(None).await, at(&first), "nothing is remembered");
    assert_eq!(find(Some(at(&last))).await, at(&last), "the one that was used last");
    drop(way);
    assert_eq!(find(Some(at(&last))).await, at(&first), "it does not answer any more");
}

/// Names the engine as the docker CLI's current context does; without an address, none is named.
fn context(folder: &Path, address: Option<&str>) {
    let meta = folder.join("contexts/meta/abc");
    std::fs::create_dir_all(&meta).unwrap();
    let host = address.unwrap_or_default();
    let text = format!(r#"{{"Name":"mine","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}"}}}}}}"#);
    std::fs::write(meta.join("meta.json"), text).unwrap();
    let current = if address.is_some() { "mine" } else { "" };
    std::fs::write(folder.join("config.json"), format!(r#"{{"currentContext":"{current}"}}"#)).unwrap();
}

async fn entered(moving: &mut Moving) -> ContainerView {
    let view = moving.enter().await;
    moving.leave().await;
    view
}

#[tokio::test]
async fn a_project_stays_with_its_engine_and_another_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    // Found before the other one, where nobody names any.
    let before = folder.path().join("docker.sock");
    std::fs::create_dir(folder.path().join("podman")).unwrap();
    let own = folder.path().join("podman/podman.sock");
    let (_before, _own) = (Way::open(&before), Way::open(&own));
    let path = folder.path().to_str().unwrap();
    let desk = Desk::new().env("DOCKER_HOST", "").env("DOCKER_CONFIG", path).env("XDG_RUNTIME_DIR", path);
    context(folder.path(), Some(&at(&own)));
    let mut moving = desk.dockerfile(&format!("FROM {BASE}"), "true").open().await;
    let mut follow = Follow::of(std::sync::Arc::clone(moving.tab())).await;
    let first = entered(&mut moving).await;
    let engine = fact(&first, "Engine");
    assert!(engine.contains(&at(&own)) && !engine.contains("last time"), "it is the first one: {engine}");

    context(folder.path(), None);
    let second = entered(&mut moving).await;
    let engine = fact(&second, "Engine");
    assert!(engine.contains(&at(&own)), "nobody names one, so that it stays with its own: {engine}");
    assert!(engine.contains("a known socket") && !engine.contains("last time"), "which is no news: {engine}");

    context(folder.path(), Some(&at(&before)));
    let third = entered(&mut moving).await;
    let engine = fact(&third, "Engine");
    let told = format!("another engine than last time: {}", engine.split(" at ").next().unwrap());
    assert!(engine.contains(&told) && engine.contains(&at(&own)), "which it was before is told: {engine}");
    let notice = follow.notice("another engine than last time").await;
    assert!(notice.contains(&at(&own)) && notice.contains(&at(&before)), "in the conversation both are: {notice}");

    let fourth = entered(&mut moving).await;
    let engine = fact(&fourth, "Engine");
    assert!(!engine.contains("last time"), "told once, it is the engine of last time: {engine}");
    moving.quit().await;
}
