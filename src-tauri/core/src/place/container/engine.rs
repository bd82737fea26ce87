//! The engine that a container is made at, and whether it is another one than the last of the project's: logins and caches
//! are each engine's own, so that nobody comes to another without being told. It chooses none.

use crate::container::engine::Engine;
use crate::failure::Failure;
use crate::project::UsedEngine;

use super::{News, Order};

/// Where an engine is found that the user has chosen for Gemra, which is no news.
const CHOSEN: &str = "the settings";

/// Finds it, and tells of it.
///
/// # Errors
/// A [`Failure`] of the engine's class.
pub(super) async fn find(order: &Order, news: &impl Fn(News)) -> Result<Engine, Failure> {
    news(News::Phase("Looking for the container engine".to_owned()));
    let found = order.surroundings.engine_of(order.workspace.path()).await;
    let engine = found.map_err(|error| Failure::from(&error))?;
    let words = format!("{} at {} ({})", engine.about().name, engine.address(), engine.origin());
    news(News::Fact(
        "Engine",
        match another(order, &engine).await {
            Some(last) => format!("{words}\nanother engine than last time: {} at {}", last.name, last.address),
            None => words,
        },
    ));
    Ok(engine)
}

/// A container is about to be made there: it has to end with us, and the next one is to be there too.
pub(super) async fn uses(order: &Order, engine: &Engine, news: &impl Fn(News)) {
    order.surroundings.uses(engine);
    if let Some(last) = another(order, engine).await {
        news(News::Notice(format!(
            "The container is at another engine than last time: {} at {}, and no more {} at {}. Each engine has a login \
             for containers, images and caches of its own.",
            engine.about().name,
            engine.address(),
            last.name,
            last.address
        )));
    }
    let used = UsedEngine { address: engine.address().to_string(), name: engine.about().name.clone() };
    order.surroundings.projects().used(order.workspace.path(), used);
}

/// The engine of the last container, where this is another one that the user has not chosen.
async fn another(order: &Order, engine: &Engine) -> Option<UsedEngine> {
    let last = order.surroundings.projects().engine_of(order.workspace.path())?;
    let here = engine.address().to_string();
    (engine.origin() != CHOSEN && !is_same(&last.address, &here).await).then_some(last)
}

/// Whether two addresses lead to the same engine: a socket can be reached by several paths.
async fn is_same(one: &str, other: &str) -> bool {
    let (Some(first), Some(second)) = (one.strip_prefix("unix://"), other.strip_prefix("unix://")) else {
        return one == other;
    };
    if first == second {
        return true;
    }
    let real = async |path: &str| tokio::fs::canonicalize(path).await.ok();
    let (first, second) = tokio::join!(real(first), real(second));
    first.is_some() && first == second
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_by_another_path_is_the_same_engine() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| format!("unix://{}", folder.path().join(name).display());
        for name in ["one", "two"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::os::unix::fs::symlink(folder.path().join("one"), folder.path().join("link")).unwrap();
        let cases = [
            (at("one"), at("link"), true),
            (at("one"), at("two"), false),
            (at("gone"), at("gone"), true),
            (at("gone"), at("one"), false),
            ("tcp://box:1".to_owned(), "tcp://box:1".to_owned(), true),
            ("tcp://box:1".to_owned(), at("one"), false),
        ];
        for (one, other, same) in cases {
            assert_eq!(is_same(&one, &other).await, same, "{one} and {other}");
        }
    }
}
