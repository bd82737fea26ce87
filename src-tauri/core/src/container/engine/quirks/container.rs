//! Where engines differ in what a container, its user and its image get. It asks no engine anything.

use super::About;

/// True where the engine runs as an ordinary user, whom root in a container then is.
pub fn is_rootless(about: &About) -> bool {
    about.rootless
}

/// True where an engine may say that it is rootless in a way of its own, and not in Docker's.
pub(in crate::container::engine) fn says_otherwise_that_it_is_rootless(about: &About) -> bool {
    about.podman
}

/// True where the engine's own program looks for logins at registries in Podman's files before Docker's.
pub(crate) fn prefers_logins_of_podman(about: &About) -> bool {
    about.podman
}

/// True where the ids of this machine's groups mean the same inside: a rootless engine's containers know others.
pub(crate) fn knows_groups(about: &About) -> bool {
    !about.rootless
}

/// True where whose a folder in memory is, is said by a letter that means the container's own user: Podman takes no ids.
pub(crate) fn names_user_by_letter(about: &About) -> bool {
    about.podman
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
            let found = (names_user_by_letter(&about), has_one_builder(&about));
            assert_eq!(found, (podman, podman), "{about:?}");
            assert_eq!((is_rootless(&about), knows_groups(&about)), (rootless, !rootless), "{about:?}");
            assert_eq!(brings_ssh_agent(&about), desktop || cfg!(target_os = "macos"), "{about:?}");
        }
    }
}
