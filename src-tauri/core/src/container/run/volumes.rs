//! Volumes that outlive containers: made once, with labels, and given to the agent's user.

//!
//! An engine has no mark on a volume that says "prepared", and labels cannot be changed. So a volume is made by the
//! engine together with the container that prepares it, which names it in a label: as long as such a container is
//! there, in whatever state, its volume does not count as prepared, and whoever sweeps the one removes the other.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType, MountVolumeOptions, VolumeCreateRequest};
use bollard::query_parameters::{RemoveVolumeOptions, StartContainerOptions, WaitContainerOptions};
use futures_util::StreamExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Phase, RunError, create_options, force_remove, limited, remove};
use crate::container::engine::{self, Engine, question, quirks};
use crate::container::labels;
use crate::container::spec::{Plan, Volume};

/// Two tabs that need the same new volume must not both find it missing, or one would start while the other still
/// changes its owner. One lock for each volume of each engine, since one that hangs is nobody else's affair.
static MAKING: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>> = Mutex::new(BTreeMap::new());

/// Sees to it that the volumes of `plan` are there. Must not be dropped half way: cancelled, it removes what is half
/// made and then returns, and it keeps to the phase's limit by itself. Waiting for somebody else who makes the same
/// volume does not count: that one has a limit too.
pub(super) async fn ensure(engine: &Arc<Engine>, plan: &Plan, cancel: &CancellationToken) -> Result<(), RunError> {
    let there =
        futures_util::future::try_join_all(plan.volumes.iter().map(|volume| is_prepared(engine, volume))).await?;
    for (volume, _) in plan.volumes.iter().zip(there).filter(|(_, there)| !there) {
        let lock = lock_of(engine, volume);
        let _making = tokio::select! {
            locked = lock.lock() => locked,
            () = cancel.cancelled() => return Err(RunError::Cancelled),
        };
        if !is_prepared(engine, volume).await? {
            make(engine, plan, volume, Instant::now() + Phase::Volumes.limit(), cancel).await?;
        }
    }
    if cancel.is_cancelled() { Err(RunError::Cancelled) } else { Ok(()) }
}

fn lock_of(engine: &Engine, volume: &Volume) -> Arc<tokio::sync::Mutex<()>> {
    let mut all = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(all.entry(format!("{} {}", engine.address(), volume.name)).or_default())
}

/// Removes a volume that a container which is gone has left half made. One that others use by now stays: whoever used
/// it has prepared it first.
pub(in crate::container) async fn remove_half_made(engine: &Engine, name: &str) -> Result<(), engine::EngineError> {
    let asked = async {
        match engine.api().remove_volume(name, None::<RemoveVolumeOptions>).await {
            Err(error) if !matches!(engine::status(&error), Some(404 | 409)) => Err(error),
            _ => Ok(()),
        }
    };
    question("to remove a volume", asked).await
}

async fn is_prepared(engine: &Engine, volume: &Volume) -> Result<bool, RunError> {
    let exists = async {
        match engine.api().inspect_volume(&volume.name).await {
            Ok(_) => Ok(true),
            Err(error) if engine::status(&error) == Some(404) => Ok(false),
            Err(error) => Err(error),
        }
    };
    let filters = labels::filter([labels::preparing(&volume.name)]);
    let (exists, preparing) = tokio::try_join!(
        question("whether a volume is there", exists),
        question("whether a volume is being made", engine::list::containers(engine, &filters)),
    )?;
    // Preparing it once more does no harm where another Gemra is about it at this moment.
    Ok(exists && preparing.is_empty())
}

async fn make(
    engine: &Arc<Engine>,
    plan: &Plan,
    volume: &Volume,
    ends: Instant,
    cancel: &CancellationToken,
) -> Result<(), RunError> {
    tracing::info!(volume = volume.name, "making a volume");
    let bad = |cause: String| RunError::BadVolume { name: volume.name.clone(), cause };
    if !quirks::labels_volumes(engine.about()) {
        let request = VolumeCreateRequest {
            name: Some(volume.name.clone()),
            labels: Some(volume.labels.clone()),
            ..VolumeCreateRequest::default()
        };
        question("to make a volume", engine.api().create_volume(request)).await?;
    }
    let name = format!("{}-volume", plan.name);
    // Not cancelled half way: nobody would know whether there is a container.
    let mut body = preparing(plan, volume);
    quirks::adapt(engine.about(), &mut body, plan.body.user.as_deref().unwrap_or_default());
    let created = engine.api().create_container(Some(create_options(&name, plan.platform.as_deref())), body);
    let id = match limited(Phase::Create, created).await {
        Ok(Ok(made)) => made.id,
        Ok(Err(error)) => return Err(clear(engine, None, volume, bad(engine::words(&error))).await),
        Err(late) => return Err(clear(engine, Some(&name), volume, late).await),
    };
    let prepared = tokio::select! {
        prepared = tokio::time::timeout_at(ends, prepare(engine, &id)) => match prepared {
            Ok(prepared) => prepared.map_err(bad),
            Err(_) => Err(RunError::Timeout { phase: Phase::Volumes }),
        },
        () = cancel.cancelled() => Err(RunError::Cancelled),
    };
    match prepared {
        Ok(()) => remove(engine, &id).await,
        Err(error) => Err(clear(engine, Some(&id), volume, error).await),
    }
}

/// Removes what is half made, container first, and gives back why.
async fn clear(engine: &Arc<Engine>, container: Option<&str>, volume: &Volume, error: RunError) -> RunError {
    if let Some(container) = container {
        let gone = match force_remove(engine, container).await {
            Ok(()) => remove(engine, container).await,
            Err(error) => Err(error),
        };
        if let Err(error) = gone {
            // As long as it is there its volume does not count as prepared.
            tracing::warn!(container, %error, "what was to prepare a volume could not be removed");
            return error;
        }
    }
    if let Err(error) = remove_half_made(engine, &volume.name).await {
        tracing::warn!(volume = volume.name, %error, "a half-made volume stays");
    }
    error
}

/// What gives a new volume to the agent's user. Our own image brings its folders along with their owner; a workspace's
/// own image may not know them, and its volume would be root's.
fn preparing(plan: &Plan, volume: &Volume) -> ContainerCreateBody {
    let user = plan.body.user.clone().unwrap_or_default();
    let folders: Vec<String> = std::iter::once(volume.target.clone())
        .chain(volume.folders.iter().map(|folder| format!("{}/{folder}", volume.target)))
        .collect();
    let script = "owner=\"$1\"; shift; mkdir -p \"$@\" && chown \"$owner\" \"$@\"";
    let entrypoint = ["/bin/sh", "-c", script, "gemra"].map(str::to_owned).to_vec();
    let mut ours: HashMap<String, String> = plan.body.labels.clone().unwrap_or_default();
    ours.insert(labels::PREPARES.to_owned(), volume.name.clone());
    ContainerCreateBody {
        image: plan.body.image.clone(),
        entrypoint: Some(entrypoint),
        cmd: Some(std::iter::once(user).chain(folders).collect()),
        user: Some("0:0".to_owned()),
        labels: Some(ours),
        host_config: Some(HostConfig {
            network_mode: Some("none".to_owned()),
            cap_drop: Some(vec!["ALL".to_owned()]),
            cap_add: Some(["CHOWN", "DAC_OVERRIDE", "FOWNER"].map(str::to_owned).to_vec()),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            mounts: Some(vec![Mount {
                typ: Some(MountType::VOLUME),
                source: Some(volume.name.clone()),
                target: Some(volume.target.clone()),
                volume_options: Some(MountVolumeOptions {
                    labels: Some(volume.labels.clone()),
                    ..MountVolumeOptions::default()
                }),
                ..Mount::default()
            }]),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// Starts the container and waits for its end.
async fn prepare(engine: &Engine, id: &str) -> Result<(), String> {
    let words = |error: bollard::errors::Error| engine::words(&error);
    let mut wait = engine.api().wait_container(id, None::<WaitContainerOptions>);
    engine.api().start_container(id, None::<StartContainerOptions>).await.map_err(words)?;
    match wait.next().await {
        Some(Ok(_)) => Ok(()),
        Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => {
            Err(format!("chown ended with code {code}"))
        }
        Some(Err(error)) => Err(words(error)),
        None => Err("the engine did not say how chown ended".to_owned()),
    }
}
