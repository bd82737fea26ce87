//! What Gemra has made at an engine: containers, images, volumes and networks, found by their labels, with their sizes;
//! and removing what of it nobody uses. Nothing without our labels is listed, let alone touched.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::query_parameters::{
    DataUsageOptions, ListImagesOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
    RemoveVolumeOptions,
};

use serde_json::Value;

use super::engine::{self, Engine, EngineError, list};
use super::image::disk;
use super::{labels, run, stats};

/// How long the engine may take over sizes, for which it walks through files.
const SIZES: Duration = Duration::from_mins(1);
/// How often it is asked for them while it says that it cannot.
const COUNTS: usize = 3;
/// How long an agent may take to leave its container before somebody who waits for it is told.
const GOING: Duration = Duration::from_mins(1);
/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(100);
/// Volumes that all projects share: the agents' own folder and caches.
const SHARED: [&str; 2] = ["gemra-claude-", "gemra-cache-"];

/// A container of Gemra's.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    /// The engine's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The running Gemra that made it.
    pub instance: String,
    /// The tab that it serves.
    pub tab: String,
    /// The workspace's path on the host.
    pub workspace: String,
    /// As the engine names its state, such as `running`.
    pub state: String,
    /// When it was made.
    pub since: SystemTime,
    /// Its image.
    pub image: String,
}

/// What kind of thing is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A volume.
    Volume,
    /// A network.
    Network,
}

impl Kind {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Image => "image",
            Self::Volume => "volume",
            Self::Network => "network",
        }
    }
}

/// Something of Gemra's at an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// What it is.
    pub kind: Kind,
    /// The engine's id; of a volume its name.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The workspace that it was made for, where one alone uses it.
    pub workspace: Option<String>,
    /// Its size in bytes, where the engine tells it.
    pub size: Option<u64>,
    /// True where something uses it.
    pub used: bool,
}

/// What became of a clean-up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pruned {
    /// What is gone.
    pub removed: Vec<Holding>,
    /// What stayed, and why.
    pub stayed: Vec<(Holding, String)>,
}

/// The containers of all instances, or of one.
///
/// # Errors
/// [`EngineError`] where the engine would not list them.
pub async fn containers(engine: &Engine, instance: Option<&str>) -> Result<Vec<Container>, EngineError> {
    let filters = labels::filter(instance.map(|instance| format!("{}={instance}", labels::INSTANCE)));
    let found = patient("which containers there are", list::containers(engine, &filters)).await?;
    let mut all: Vec<Container> = found
        .into_iter()
        .filter_map(|one| {
            let label = |name: &str| one.labels.get(name).cloned().unwrap_or_default();
            // What a user runs from our image inherits its labels, and is the user's.
            let name =
                one.names.iter().map(|name| name.trim_start_matches('/')).find(|name| name.starts_with("gemra-"))?;
            let made = u64::try_from(one.told.created.unwrap_or_default()).unwrap_or_default();
            Some(Container {
                id: one.id,
                name: name.to_owned(),
                instance: label(labels::INSTANCE),
                tab: label(labels::TAB),
                workspace: label(labels::WORKSPACE),
                state: one.state,
                since: UNIX_EPOCH + Duration::from_secs(made),
                image: one.told.image.unwrap_or_default(),
            })
        })
        .collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

/// How much memory a container uses, in bytes; `None` where it does not run or the engine does not tell.
pub async fn memory(engine: &Engine, container: &Container) -> Option<u64> {
    if container.state != "running" {
        return None;
    }
    stats::now(engine, &container.id).await.ok().map(|usage| usage.memory)
}

/// Everything of Gemra's, the largest first within each kind.
///
/// # Errors
/// [`EngineError`] where the engine would not list it.
pub async fn all(engine: &Engine) -> Result<Vec<Holding>, EngineError> {
    // Six questions at once are a lot to carry around.
    Box::pin(look(engine)).await
}

async fn look(engine: &Engine) -> Result<Vec<Holding>, EngineError> {
    let api = engine.api();
    let ours = labels::filter([]);
    let none = HashMap::new();
    let images = ListImagesOptionsBuilder::new().filters(&ours).build();
    let volumes = ListVolumesOptionsBuilder::new().filters(&ours).build();
    let networks = ListNetworksOptionsBuilder::new().filters(&ours).build();
    let (containers, every, images, volumes, networks, sizes) = tokio::try_join!(
        patient("which containers there are", list::measured(engine, &ours)),
        patient("which containers there are", list::containers(engine, &none)),
        patient("which images there are", api.list_images(Some(images))),
        patient("which volumes there are", api.list_volumes(Some(volumes))),
        patient("which networks there are", api.list_networks(Some(networks))),
        volume_sizes(engine),
    )?;
    let used_images: BTreeSet<String> = every.iter().filter_map(|one| one.told.image_id.clone()).collect();
    let mounted: BTreeSet<String> =
        every.iter().flat_map(|one| one.told.mounts.iter().flatten()).filter_map(|mount| mount.name.clone()).collect();
    let size = |bytes: Option<i64>| bytes.and_then(|bytes| u64::try_from(bytes).ok());
    let workspace = |labels: Option<&HashMap<String, String>>| labels?.get(labels::WORKSPACE).cloned();
    let mut all = Vec::new();
    for one in containers {
        let name = one.names.iter().map(|name| name.trim_start_matches('/').to_owned()).next();
        let Some(name) = name.filter(|name| name.starts_with("gemra-")) else { continue };
        // One that was only made may be about to start.
        let ended = matches!(one.state.as_str(), "exited" | "dead" | "stopped");
        let (id, workspace, size) = (one.id, workspace(Some(&one.labels)), size(one.told.size_rw));
        all.push(Holding { kind: Kind::Container, id, name, workspace, size, used: !ended });
    }
    for one in images {
        // What a user builds from our image inherits its labels, and is the user's.
        let Some(names) = disk::ours(one.repo_tags) else { continue };
        let name = names.first().map(|name| disk::plain(name).unwrap_or(name).to_owned());
        let name = name.unwrap_or_else(|| one.id.chars().take(19).collect());
        let used = used_images.contains(&one.id);
        all.push(Holding { kind: Kind::Image, id: one.id, name, workspace: None, size: size(Some(one.size)), used });
    }
    for one in volumes.volumes.unwrap_or_default() {
        let workspace = workspace(Some(&one.labels)).filter(|_| !is_shared(&one.name));
        let used = mounted.contains(&one.name);
        let size = sizes.get(&one.name).copied();
        all.push(Holding { kind: Kind::Volume, id: one.name.clone(), name: one.name, workspace, size, used });
    }
    for one in networks {
        let (Some(id), Some(name)) = (one.id, one.name) else { continue };
        // A network in use refuses to go, which says it better than a list.
        let used = every.iter().any(|container| {
            let settings = container.told.network_settings.as_ref().and_then(|settings| settings.networks.as_ref());
            settings.is_some_and(|networks| networks.contains_key(&name))
        });
        let workspace = workspace(one.labels.as_ref());
        all.push(Holding { kind: Kind::Network, id, name, workspace, size: None, used });
    }
    all.sort_by(|one, other| (one.kind, other.size, &one.name).cmp(&(other.kind, one.size, &other.name)));
    Ok(all)
}

/// Removes what was chosen of what is listed, where nobody uses it. `needed` says of a volume, by its name, why it has
/// to stay all the same: what it holds may be nowhere else. It may block briefly.
///
/// # Errors
/// [`EngineError`] where the engine would not list what there is.
pub async fn prune(
    engine: &Engine,
    chosen: &[Holding],
    needed: impl Fn(&str) -> Option<String>,
) -> Result<Pruned, EngineError> {
    let there = all(engine).await?;
    let mut pruned = Pruned::default();
    for one in there {
        // What has come into use since it was shown stays.
        let meant = chosen.iter().any(|known| known.kind == one.kind && known.id == one.id);
        if !meant || one.used {
            continue;
        }
        if let Some(why) = Some(&one).filter(|one| one.kind == Kind::Volume).and_then(|one| needed(&one.name)) {
            pruned.stayed.push((one, why));
            continue;
        }
        match remove(engine, &one).await {
            Ok(()) => pruned.removed.push(one),
            Err(error) => pruned.stayed.push((one, error.to_string())),
        }
    }
    Ok(pruned)
}

/// Removes the volumes of one project that nothing uses: not those that all projects share, nor those that are `needed`
/// as in [`prune`].
///
/// # Errors
/// [`EngineError`] where the engine would not list them.
pub async fn clean_volumes(
    engine: &Engine,
    workspace: &str,
    needed: impl Fn(&str) -> Option<String>,
) -> Result<Pruned, EngineError> {
    let options = ListVolumesOptionsBuilder::new().filters(&labels::filter([])).build();
    let found = patient("which volumes there are", engine.api().list_volumes(Some(options))).await?;
    let mut pruned = Pruned::default();
    for one in found.volumes.unwrap_or_default() {
        if one.labels.get(labels::WORKSPACE).map(String::as_str) != Some(workspace) || is_shared(&one.name) {
            continue;
        }
        let (id, workspace) = (one.name.clone(), Some(workspace.to_owned()));
        let one = Holding { kind: Kind::Volume, id, name: one.name, workspace, size: None, used: false };
        if let Some(why) = needed(&one.name) {
            pruned.stayed.push((one, why));
            continue;
        }
        let removed = async {
            match engine.api().remove_volume(&one.id, None::<RemoveVolumeOptions>).await {
                // Somebody uses it, or it has gone meanwhile.
                Err(error) if matches!(engine::status(&error), Some(404 | 409)) => Ok(false),
                removed => removed.map(|()| true),
            }
        };
        match patient("to remove a volume", removed).await {
            Ok(true) => pruned.removed.push(one),
            Ok(false) => {}
            Err(error) => pruned.stayed.push((one, error.to_string())),
        }
    }
    Ok(pruned)
}

/// Stops and removes one of our containers, whoever's it is.
///
/// # Errors
/// [`EngineError`] where the engine would not, or has no such container of ours.
pub async fn stop(engine: &Engine, id: &str) -> Result<(), EngineError> {
    let refused = |cause: String| EngineError::Refused { call: "to stop a container", cause };
    let known = containers(engine, None).await?.into_iter().any(|one| one.id == id);
    if !known {
        return Err(refused("it is none of Gemra's, or is gone".to_owned()));
    }
    run::force_remove(engine, id).await.map_err(|error| refused(error.to_string()))
}

/// Waits until the engine has let go of a container that somebody else ends, so that a list taken then tells the truth.
///
/// # Errors
/// [`EngineError`] where the engine does not answer, or has it still after [`GOING`].
pub async fn until_gone(engine: &Engine, id: &str) -> Result<(), EngineError> {
    let began = tokio::time::Instant::now();
    while containers(engine, None).await?.into_iter().any(|one| one.id == id) {
        if began.elapsed() > GOING {
            let cause = "its agent has not left it yet".to_owned();
            return Err(EngineError::Refused { call: "to stop a container", cause });
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

fn is_shared(volume: &str) -> bool {
    SHARED.iter().any(|kind| volume.starts_with(kind))
}

async fn remove(engine: &Engine, one: &Holding) -> Result<(), EngineError> {
    let api = engine.api();
    match one.kind {
        Kind::Container => {
            let forced = run::force_remove(engine, &one.id).await;
            forced.map_err(|error| EngineError::Refused { call: "to remove a container", cause: error.to_string() })
        }
        Kind::Image => {
            let there = patient("which names an image has", api.inspect_image(&one.id)).await?;
            match disk::ours(there.repo_tags.unwrap_or_default()) {
                Some(names) => disk::remove(engine, &one.id, &names).await,
                // It has somebody else's name alone since it was listed.
                None => Ok(()),
            }
        }
        Kind::Volume => patient("to remove a volume", api.remove_volume(&one.id, None::<RemoveVolumeOptions>)).await,
        Kind::Network => patient("to remove a network", api.remove_network(&one.id)).await,
    }
}

/// The volumes' sizes; none where the engine does not tell them in a way that is understood.
async fn volume_sizes(engine: &Engine) -> Result<HashMap<String, u64>, EngineError> {
    let asked = async {
        // Engines before Docker 28 tell them by another name, which bollard passes over. Podman gives up where something
        // goes while it counts.
        for _ in 0..COUNTS {
            match engine::plain::get(engine, "/system/df").await {
                Ok(Some(told)) => return sizes(&serde_json::from_slice(&told).unwrap_or_default()),
                Ok(None) => break,
                Err(error) => tracing::debug!(%error, "the engine does not tell sizes"),
            }
        }
        match engine.api().df(None::<DataUsageOptions>).await {
            Ok(told) => sizes(&serde_json::to_value(told).unwrap_or_default()),
            Err(error) => {
                tracing::debug!(error = engine::words(&error), "the engine does not tell sizes");
                HashMap::new()
            }
        }
    };
    let timeout = |_| EngineError::Timeout { call: "how much room is used", limit: SIZES };
    tokio::time::timeout(SIZES, asked).await.map_err(timeout)
}

/// The sizes in an engine's answer, by either name.
fn sizes(told: &Value) -> HashMap<String, u64> {
    let volumes = told.get("Volumes").or_else(|| told.get("VolumeUsage")?.get("Items"));
    let size = |volume: &Value| {
        let name = volume.get("Name")?.as_str()?.to_owned();
        // One that was not measured is told as -1.
        Some((name, volume.get("UsageData")?.get("Size")?.as_u64()?))
    };
    volumes.and_then(Value::as_array).into_iter().flatten().filter_map(size).collect()
}

async fn patient<T>(
    call: &'static str,
    asked: impl Future<Output = Result<T, bollard::errors::Error>>,
) -> Result<T, EngineError> {
    match tokio::time::timeout(SIZES, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(EngineError::Refused { call, cause: engine::words(&error) }),
        Err(_) => Err(EngineError::Timeout { call, limit: SIZES }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sizes_are_understood_by_either_name() {
        let volumes = json!([{"Name": "a", "UsageData": {"Size": 7, "RefCount": 1}}, {"Name": "b", "UsageData": null},
            {"Name": "c", "UsageData": {"Size": -1}}]);
        for told in [json!({"Volumes": volumes}), json!({"VolumeUsage": {"Items": volumes}})] {
            assert_eq!(sizes(&told), HashMap::from([("a".to_owned(), 7)]), "{told}");
        }
        assert!(sizes(&json!({"Volumes": null})).is_empty(), "an engine may have none to tell of");
    }

    #[test]
    fn what_all_projects_share_is_no_projects_own() {
        for (name, shared) in [
            ("gemra-claude-1000", true),
            ("gemra-cache-0", true),
            ("gemra-folder-0123abcd", false),
            ("somebody-elses", false),
        ] {
            assert_eq!(is_shared(name), shared, "{name}");
        }
    }
}
