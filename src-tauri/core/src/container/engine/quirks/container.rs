//! Where engines differ in what a container, its user and its image get. It asks no engine anything.

use super::About;

/// True where the engine runs as an ordinary user, whom root in a container then is.
pub fn is_rootless(about: &About) -> bool {
    about.rootless
}

/// True where the ids of this machine's groups mean the same inside: a rootless engine's containers know others.
pub(crate) fn knows_groups(about: &About) -> bool {
    !about.rootless
}

/// True where a folder in memory can be said to be somebody's. Podman cannot, and keeps to the mode.
pub(crate) fn owns_folders_in_memory(about: &About) -> bool {
    !about.podman
}

/// What becomes of a wish for graphics cards that the engine would pass over, in words.
pub(crate) fn passes_over_cards(about: &About) -> Option<&'static str> {
    about.podman.then_some("Podman before 5.0 passes over the wish for graphics cards")
}

/// True where the engine brings the user's SSH agent into containers by a socket of its own: one of this machine's
/// cannot be mounted into a virtual machine.
pub(crate) fn brings_ssh_agent(about: &About) -> bool {
    about.desktop || cfg!(target_os = "macos")
}

/// True where the engine's one builder stands behind the classic call and knows mounts: what it does not know it says.
pub(crate) fn has_one_builder(about: &About) -> bool {
    about.podman
}

/// True where an answer to a question for containers could not be read because of a state that no Docker has.
pub(crate) fn names_unknown_states(error: &bollard::errors::Error) -> bool {
    matches!(error, bollard::errors::Error::JsonDataError { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_engine_differs_in_what_it_gives() {
        for (podman, rootless, desktop) in [
            (false, false, false),
            (false, true, false),
            (true, false, false),
            (true, true, false),
            (false, false, true),
        ] {
            let about = About { podman, desktop, rootless, ..About::default() };
            let found = (owns_folders_in_memory(&about), passes_over_cards(&about).is_none(), has_one_builder(&about));
            assert_eq!(found, (!podman, !podman, podman), "{about:?}");
            assert_eq!((is_rootless(&about), knows_groups(&about)), (rootless, !rootless), "{about:?}");
            assert_eq!(brings_ssh_agent(&about), desktop || cfg!(target_os = "macos"), "{about:?}");
        }
    }
}
