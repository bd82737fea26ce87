//! Images of ours that are kept and those that may go: what was replaced after a build, and what nobody uses where the
//! user clears up. It never touches an image that is not ours, nor one that a container is made from.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::models::ImageSummary;
use bollard::query_parameters::{ListImagesOptionsBuilder, PruneImagesOptionsBuilder, RemoveImageOptionsBuilder};

use super::{Image, ImageError};
use crate::container::engine::{self, Engine, EngineError};
use crate::container::labels;

/// How long a replaced image stays: somebody may go back and forth between two branches, or two versions.
const STAYS: Duration = Duration::from_hours(24);

/// An image of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The engine's id.
    pub id: String,
    /// Its names.
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
    let mut all: Vec<Kept> = images.into_iter().map(|image| kept(image, &used)).collect();
    all.sort_by(|one, other| other.made.cmp(&one.made).then_with(|| one.id.cmp(&other.id)));
    Ok(all)
}

/// Removes every image of ours that no container is made from.
///
/// # Errors
/// Where the engine does not list them. One that it would not remove is passed over, and logged.
pub async fn prune(engine: &Engine) -> Result<Removed, ImageError> {
    let unused: Vec<Kept> = list(engine).await?.into_iter().filter(|image| !image.used).collect();
    Ok(remove(engine, &unused).await)
}

/// Removes the images of a row that came before `newest` and are older than `stays`. See [`super::Recipe::lineage`].
///
/// # Errors
/// As [`prune`].
pub async fn replaced(engine: &Engine, lineage: &str, newest: &str, stays: Duration) -> Result<Removed, ImageError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let before = now.saturating_sub(stays).as_secs();
    let mut old = list(engine).await?;
    old.retain(|image| image.source == lineage && !image.used && image.id != newest && image.made <= before);
    Ok(remove(engine, &old).await)
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

async fn remove(engine: &Engine, images: &[Kept]) -> Removed {
    let mut removed = Removed::default();
    for image in images {
        // By each of its names: an id with several is not removed, and force would pull it from under a container.
        let mut whole = true;
        let names = if image.names.is_empty() { std::slice::from_ref(&image.id) } else { &image.names[..] };
        for name in names {
            let options = RemoveImageOptionsBuilder::new().build();
            let asked = engine.api().remove_image(name, Some(options), None);
            match asked
                .await
                .map_err(|error| EngineError::Refused { call: "to remove an image", cause: engine::words(&error) })
            {
                Ok(_) => {}
                Err(error) => {
                    whole = false;
                    tracing::warn!(name, %error, "an image was not removed");
                }
            }
        }
        if whole {
            removed.images += 1;
            removed.bytes += image.bytes;
        }
    }
    removed
}

fn kept(image: ImageSummary, used: &HashSet<String>) -> Kept {
    let labels: HashMap<String, String> = image.labels;
    Kept {
        used: used.contains(&image.id),
        names: image.repo_tags.into_iter().filter(|name| !name.contains("<none>")).collect(),
        bytes: u64::try_from(image.size).unwrap_or(0),
        made: u64::try_from(image.created).unwrap_or(0),
        source: labels.get(labels::SOURCE).cloned().unwrap_or_default(),
        id: image.id,
    }
}
