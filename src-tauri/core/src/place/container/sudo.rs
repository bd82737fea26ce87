//! Whether the preset "with sudo" is what it says: tried in the container that runs, since only there its rights are
//! what they are. An image of the project's, or by its name, may have no sudo, or one that asks for a password.

use std::time::Duration;

use super::{News, Order};
use crate::container::engine::Engine;
use crate::container::exec::{self, End};
use crate::settings::container::Preset;

/// How long sudo may take to say no.
const LIMIT: Duration = Duration::from_secs(20);
/// What stands in the details then.
const NONE: &str = "with sudo, but this image has no sudo without a password: the agent cannot become root inside";

/// Tries it beside the agent, where the user wishes for it, and tells where it is not so.
pub(super) fn look(order: &Order, engine: &Engine, id: &str, uid: u32, news: impl Fn(News) + Send + Sync + 'static) {
    let wishes = order.surroundings.settings().wishes(order.workspace.path());
    // Who is root needs no sudo.
    if wishes.preset != Some(Preset::WithSudo) || uid == 0 {
        return;
    }
    let (engine, id, tab) = (engine.clone(), id.to_owned(), order.tab.clone());
    tokio::spawn(async move {
        let command = ["sudo", "-n", "true"].map(str::to_owned).to_vec();
        match exec::run(&engine, &id, &exec::Order { command, timeout: Some(LIMIT) }, |_| {}).await {
            Ok(End::Code(0)) => {}
            Ok(End::Code(_)) => news(News::Fact("Security", NONE.to_owned())),
            // A container that has gone meanwhile has nothing to tell.
            other => tracing::debug!(%tab, ?other, "whether there is a sudo inside is not known"),
        }
    });
}
