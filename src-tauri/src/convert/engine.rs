//! Engines to choose from, as the page sees them. Sockets that are not there are no choice, and are left out.

use gemra_core::container::engine::quirks;
use gemra_core::container::engine::survey::Surveyed;
use gemra_core::failure::Failure;

use crate::wire::requests::Engine;

/// Those that can be chosen, and those that are named and do not answer.
pub(crate) fn engines(found: Vec<Surveyed>) -> Vec<Engine> {
    found.into_iter().filter(|one| !one.absent).map(Into::into).collect()
}

impl From<Surveyed> for Engine {
    fn from(surveyed: Surveyed) -> Self {
        let Surveyed { setting, address, origin, kind, remote, absent: _, outcome } = surveyed;
        let (name, rootless, failure) = match outcome {
            Ok(about) => {
                let rootless = quirks::is_rootless(&about);
                (Some(about.name), rootless, None)
            }
            Err(error) => (None, false, Some((&Failure::from(&error)).into())),
        };
        Self { setting, address, origin, kind: kind.to_owned(), remote, name, rootless, failure }
    }
}
