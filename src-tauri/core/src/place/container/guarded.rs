//! Every folder of this machine that a container can write to is known to the guard before anything of the container's
//! runs. Which files count there is not known here.

use std::path::PathBuf;

use super::{Failure, Order, start_failed};
use crate::container::spec::{MountSource, Wish};

/// Takes the guard's baseline of all that the container can write to, and has other tabs look there too.
///
/// # Errors
/// A [`Failure`] where something there cannot be looked at: then nothing may be started.
pub(super) async fn begin(order: &Order, wish: &Wish) -> Result<(), Failure> {
    let (folders, surroundings, tab) = (folders(wish), order.surroundings.clone(), order.tab.clone());
    let begun = tokio::task::spawn_blocking(move || {
        let mut roots: Vec<PathBuf> = Vec::new();
        for folder in folders {
            let root = folder.canonicalize().unwrap_or(folder);
            // A socket holds no files.
            let counts = root.metadata().is_ok_and(|found| found.is_dir() || found.is_file());
            if counts && !roots.contains(&root) {
                roots.push(root);
            }
        }
        // Before the baseline is taken, so that nobody lets it go as one that no container needs.
        surroundings.may_write(&tab, &roots);
        surroundings.guard().begin(&roots).map_err(|error| Failure::from(&error))
    });
    begun.await.map_err(|error| start_failed(&error.to_string()))?
}

/// What is mounted so that the container can write to it: the workspace first, then its repository, then the rest in an
/// order of its own.
fn folders(wish: &Wish) -> Vec<PathBuf> {
    let mut further: Vec<PathBuf> = wish
        .mounts
        .iter()
        .filter(|mount| !mount.read_only)
        .filter_map(|mount| match &mount.source {
            MountSource::Path(path) => Some(path.clone()),
            MountSource::Volume(_) => None,
        })
        .collect();
    further.sort();
    std::iter::once(wish.workspace.clone()).chain(wish.git_common_dir.clone()).chain(further).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::spec::ExtraMount;

    #[test]
    fn whatever_of_this_machine_can_be_written_inside_counts() {
        let mount = |source, read_only| ExtraMount { source, target: "/inside".to_owned(), read_only };
        let wish = Wish {
            workspace: "/project".into(),
            git_common_dir: Some("/main/.git".into()),
            mounts: vec![
                mount(MountSource::Path("/shared".into()), false),
                mount(MountSource::Path("/fixed".into()), true),
                mount(MountSource::Volume("cache".to_owned()), false),
                mount(MountSource::Path("/data".into()), false),
            ],
            ..Wish::default()
        };
        let expected: Vec<PathBuf> = ["/project", "/main/.git", "/data", "/shared"].map(PathBuf::from).into();
        assert_eq!(folders(&wish), expected, "what is read-only, or the engine's own, does not");
    }
}
