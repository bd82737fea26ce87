//! What the user's wishes come to for one container: limits, mounts, folders that are volumes. It looks at this machine
//! and at what the engine says of itself, and asks the engine for nothing.

use std::path::Path;

use super::{Failure, bad_mount, start_failed};
use crate::container::engine::{About, quirks};
use crate::container::spec::extra::{self, Held};
use crate::container::spec::{ExtraMount, Limits, MountSource, VolumeFolder, Wish};
use crate::owner::Owner;
use crate::settings::container::Wishes;
use crate::workspace::{folders, mounts};

/// What is granted.
#[derive(Debug, Default)]
pub(super) struct Grant {
    pub(super) limits: Limits,
    pub(super) held: Held,
    pub(super) mounts: Vec<ExtraMount>,
    pub(super) folders: Vec<VolumeFolder>,
    /// What had to be done for it, or cannot be, in words.
    pub(super) notes: Vec<String>,
}

/// Looks what of the wishes can be granted to a container in which the agent is `uid` and its files are `owner`'s.
///
/// # Errors
/// A [`Failure`] that names the entry where a mount or a folder cannot be used.
pub(super) async fn look(
    wishes: &Wishes,
    about: &About,
    workspace: &Path,
    home: Option<&Path>,
    (uid, owner): (u32, Owner),
) -> Result<Grant, Failure> {
    let (wishes, about, workspace) = (wishes.clone(), about.clone(), workspace.to_path_buf());
    let home = home.map(Path::to_path_buf);
    let looked = tokio::task::spawn_blocking(move || grant(&wishes, &about, &workspace, home.as_deref(), uid, owner));
    looked.await.map_err(|error| start_failed(&error.to_string()))?
}

/// What is mounted beside the usual, a line for each.
pub(super) fn lines(wish: &Wish) -> Vec<String> {
    let mut lines = Vec::new();
    for mount in &wish.mounts {
        let source = match &mount.source {
            MountSource::Path(path) => path.display().to_string(),
            MountSource::Volume(name) => format!("volume {name}"),
        };
        lines.push(format!("{source} → {}{}", mount.target, if mount.read_only { ", read-only" } else { "" }));
    }
    lines
        .extend(wish.folders.iter().map(|folder| format!("volume {} → {} of the project", folder.volume, folder.path)));
    lines
}

fn grant(
    wishes: &Wishes,
    about: &About,
    workspace: &Path,
    home: Option<&Path>,
    uid: u32,
    owner: Owner,
) -> Result<Grant, Failure> {
    let (limits, mut notes) = extra::limits(wishes, about);
    let mut held = Held::of(wishes);
    if held.gpus.is_some() {
        notes.extend(quirks::note_on_cards(about));
        held.gpus = held.gpus.filter(|_| quirks::gives_cards(about));
    }
    let wanted = wishes.mounts.as_deref().unwrap_or_default();
    let mounts = mounts::look_at_all(wanted, home, workspace).map_err(|error| bad_entry(&error.to_string()))?;
    let mounts = mounts
        .into_iter()
        .map(|mount| ExtraMount {
            source: MountSource::Path(mount.host),
            target: mount.target,
            read_only: mount.read_only,
        })
        .collect();
    let wanted = wishes.volume_folders.as_deref().unwrap_or_default();
    let found = folders::find(workspace, wanted, owner).map_err(|error| bad_entry(&error.to_string()))?;
    if !found.made.is_empty() {
        notes.push(format!(
            "Made in the project, empty, as the place where a volume is inside: {}",
            found.made.join(", ")
        ));
    }
    if let Some(looked) = found.cut {
        notes.push(format!(
            "The patterns for volumes were followed through {looked} folders of the project, and there are more: some \
             may be missing. A pattern that leads to one place, such as packages/*/node_modules, needs a shorter look."
        ));
    }
    let folders = found
        .folders
        .into_iter()
        .map(|path| VolumeFolder { volume: folders::volume(workspace, &path, uid), path })
        .collect();
    Ok(Grant { limits, held, mounts, folders, notes })
}

/// The failure of an entry of the settings.
fn bad_entry(cause: &str) -> Failure {
    Failure { action: "Mend it in Settings, then press Retry.".to_owned(), ..bad_mount(cause) }
}
