//! Images of ours that are kept and those that may go: which are ours, what was replaced after a build, and how one is
//! removed. It never touches an image that is not ours, nor one that a container is made from.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::models::ImageSummary;
use bollard::query_parameters::{ListImagesOptionsBuilder, PruneImagesOptionsBuilder, RemoveImageOptionsBuilder};

use super::{AUTO, Image, ImageError, LATEST, NAME};
use crate::container::engine::{self, Engine, EngineError};
use crate::container::labels;

/// How long a replaced image stays: somebody may go back and forth between two branches, or two versions.
const STAYS: Duration = Duration::from_hours(24);
/// How long the engine may take to remove one, for which it walks through files.
const REMOVAL: Duration = Duration::from_mins(1);

/// An image of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The engine's id.
    pub id: String,
    /// Its names of ours, as the engine spells them, the one by its fingerprint first; none where it has lost them.
    pub names: Vec<String>,
    /// What it takes on the disk, in bytes, layers that others share included.
    pub bytes: u64,
    /// When it was made, in seconds since the Unix epoch.
    pub made: u64,
    /// What it was made from, in words.
    pub source: String,
    /// True where a container is made from it, running or not.
    pub used: bool,
}

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    /// How many images.
    pub images: usize,
    /// What they took, in bytes.
    pub bytes: u64,
}

/// Every image of ours at an engine, newest first.
///
/// # Errors
/// Where the engine does not list them.
pub async fn list(engine: &Engine) -> Result<Vec<Kept>, ImageError> {
    let filters = labels::filter([]);
    let images = ListImagesOptionsBuilder::new().filters(&filters).build();
    let none = HashMap::new();
    let (images, containers) = tokio::try_join!(
        engine::question("its images", engine.api().list_images(Some(images))),
        engine::question("its containers", engine::list::containers(engine, &none)),
    )?;
    let used: HashSet<String> = containers.into_iter().filter_map(|container| container.told.image_id).collect();
    let mut all: Vec<Kept> = images.into_iter().filter_map(|image| kept(image, &used)).collect();
    all.sort_by(|one, other| other.made.cmp(&one.made).then_with(|| one.id.cmp(&other.id)));
    Ok(all)
}

/// Removes the images of a row that came before `newest` and are older than `stays`. See [`super::Recipe::lineage`].
///
/// # Errors
/// Where the engine does not list them. One that it would not remove is passed over, and logged.
pub async fn replaced(engine: &Engine, lineage: &str, newest: &str, stays: Duration) -> Result<Removed, ImageError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let before = now.saturating_sub(stays).as_secs();
    let mut old = list(engine).await?;
    old.retain(|image| image.source == lineage && !image.used && image.id != newest && image.made <= before);
    Ok(remove_all(engine, &old).await)
}

/// Clears up after a build: what the new image has replaced, and what no name holds any more.
pub(super) async fn tidy(engine: &Engine, lineage: &str, newest: &Image) {
    match replaced(engine, lineage, &newest.id, STAYS).await {
        Ok(removed) => tracing::debug!(images = removed.images, "removed images that were replaced"),
        Err(error) => tracing::warn!(%error, "images that were replaced could not be looked for"),
    }
    let mut filters = labels::filter([]);
    filters.insert("dangling".to_owned(), vec!["true".to_owned()]);
    // A younger one may be another build's, between its making and its naming.
    filters.insert("until".to_owned(), vec!["1h".to_owned()]);
    let options = PruneImagesOptionsBuilder::new().filters(&filters).build();
    match engine.api().prune_images(Some(options)).await {
        Ok(answer) => {
            tracing::debug!(freed = answer.space_reclaimed.unwrap_or_default(), "removed images without a name");
        }
        // The new image is there; an old one that stays is no reason to fail.
        Err(error) => tracing::warn!(error = engine::words(&error), "images without a name could not be removed"),
    }
}

/// What our own call an image, without the registry that an engine may put before it: Podman says of one of ours that it
/// comes from this machine, or from where Docker's would. `None` for a name that somebody else has given.
pub fn plain(name: &str) -> Option<&str> {
    let known = ["localhost/", "docker.io/library/"].iter().find_map(|prefix| name.strip_prefix(prefix));
    let name = known.unwrap_or(name);
    let (image, _) = name.split_once(':')?;
    (image == NAME || image == AUTO).then_some(name)
}

/// The names of ours among all that an image has, the one by its fingerprint first; `None` where it has others alone: what
/// is built from our image inherits its labels, and is somebody else's.
pub(crate) fn ours(names: Vec<String>) -> Option<Vec<String>> {
    let all: Vec<String> = names.into_iter().filter(|name| !name.contains("<none>")).collect();
    let nameless = all.is_empty();
    let mut ours: Vec<String> = all.into_iter().filter(|name| plain(name).is_some()).collect();
    ours.sort_by_key(|name| plain(name) == Some(LATEST));
    (nameless || !ours.is_empty()).then_some(ours)
}

/// Takes an image's names of ours from it, with the last of which it goes. One that somebody else has given it keeps it.
///
/// # Errors
/// Where the engine would not: a container may have been made from it meanwhile.
pub(crate) async fn remove(engine: &Engine, id: &str, names: &[String]) -> Result<(), EngineError> {
    // An id with several names is not removed, and force would pull it from under a container.
    let names = if names.is_empty() { &[id.to_owned()] } else { names };
    for name in names {
        let options = RemoveImageOptionsBuilder::new().build();
        match tokio::time::timeout(REMOVAL, engine.api().remove_image(name, Some(options), None)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                let cause = engine::words(&error);
                return Err(EngineError::Refused { call: "to remove an image", cause });
            }
            Err(_) => return Err(EngineError::Timeout { call: "to remove an image", limit: REMOVAL }),
        }
    }
    Ok(())
}

async fn remove_all(engine: &Engine, images: &[Kept]) -> Removed {
    let mut removed = Removed::default();
    for image in images {
        match remove(engine, &image.id, &image.names).await {
            Ok(()) => {
                removed.images += 1;
                removed.bytes += image.bytes;
            }
            Err(error) => tracing::warn!(image = image.id, %error, "an image was not removed"),
        }
    }
    removed
}

fn kept(image: ImageSummary, used: &HashSet<String>) -> Option<Kept> {
    let labels: HashMap<String, String> = image.labels;
    Some(Kept {
        names: ours(image.repo_tags)?,
        used: used.contains(&image.id),
        bytes: u64::try_from(image.size).unwrap_or(0),
        made: u64::try_from(image.created).unwrap_or(0),
        source: labels.get(labels::SOURCE).cloned().unwrap_or_default(),
        id: image.id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_has_made_from_ours_is_theirs() {
        let of = |names: &[&str]| ours(names.iter().map(|name| (*name).to_owned()).collect());
        let owned = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(
            of(&["gemra-claude:latest", "mine:1", "gemra-claude:0123"]),
            owned(&["gemra-claude:0123", "gemra-claude:latest"]),
            "ours alone, the one by its fingerprint first"
        );
        assert_eq!(of(&["localhost/gemra-auto:1"]), owned(&["localhost/gemra-auto:1"]), "Podman's way to say it");
        assert_eq!(of(&["<none>:<none>"]), owned(&[]), "one that has lost its names");
        assert_eq!(of(&[]), owned(&[]), "or tells none");
        for names in [["my-tool:1"], ["registry.example/gemra-claude:1"], ["gemra-claude-tool:1"]] {
            assert_eq!(of(&names), None, "{names:?} is somebody else's");
        }
    }
}
