//! Volumes that outlive containers: made once, with labels, and given to the agent's user.

use std::sync::Arc;

use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType, VolumeCreateRequest};
use futures_util::StreamExt as _;

use super::{RunError, create_options, remove};
use crate::container::engine::{self, Engine, question};
use crate::container::spec::{Plan, Volume};

/// Two tabs that need the same new volume must not both find it missing, or one would start while the other still
/// changes its owner. Making one takes a fraction of a second, once, so that a single lock does.
static MAKING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Sees to it that the volumes of `plan` are there.
pub(super) async fn ensure(engine: &Engine, plan: &Plan) -> Result<(), RunError> {
    let _making = MAKING.lock().await;
    let there = futures_util::future::try_join_all(plan.volumes.iter().map(|volume| exists(engine, volume))).await?;
    for (volume, there) in plan.volumes.iter().zip(there) {
        if !there {
            make(engine, plan, volume).await?;
        }
    }
    Ok(())
}

async fn exists(engine: &Engine, volume: &Volume) -> Result<bool, RunError> {
    let asked = async {
        match engine.api().inspect_volume(&volume.name).await {
            Ok(_) => Ok(true),
            Err(error) if engine::status(&error) == Some(404) => Ok(false),
            Err(error) => Err(error),
        }
    };
    Ok(question("whether a volume is there", asked).await?)
}

async fn make(engine: &Engine, plan: &Plan, volume: &Volume) -> Result<(), RunError> {
    tracing::info!(volume = volume.name, "making a volume");
    let request = VolumeCreateRequest {
        name: Some(volume.name.clone()),
        labels: Some(volume.labels.clone()),
        ..VolumeCreateRequest::default()
    };
    question("to make a volume", engine.api().create_volume(request)).await?;
    if let Err(cause) = give(engine, plan, volume).await {
        // A volume that is there counts as prepared, so one that is not must go.
        let removed = engine.api().remove_volume(&volume.name, None::<bollard::query_parameters::RemoveVolumeOptions>);
        if let Err(error) = question("to remove a volume", removed).await {
            tracing::warn!(volume = volume.name, %error, "a half-made volume stays");
        }
        return Err(RunError::BadVolume { name: volume.name.clone(), cause });
    }
    Ok(())
}

/// Gives a new volume to the agent's user. Our own image brings its folders along with their owner; a workspace's own
/// image may not know them, and its volume would be root's.
async fn give(engine: &Engine, plan: &Plan, volume: &Volume) -> Result<(), String> {
    let name = format!("{}-volume", plan.name);
    let user = plan.body.user.clone().unwrap_or_default();
    let folders: Vec<String> = std::iter::once(volume.target.clone())
        .chain(volume.folders.iter().map(|folder| format!("{}/{folder}", volume.target)))
        .collect();
    let script = "owner=\"$1\"; shift; mkdir -p \"$@\" && chown \"$owner\" \"$@\"";
    let entrypoint = ["/bin/sh", "-c", script, "gemra"].map(str::to_owned).to_vec();
    let body = ContainerCreateBody {
        image: plan.body.image.clone(),
        entrypoint: Some(entrypoint),
        cmd: Some(std::iter::once(user).chain(folders).collect()),
        user: Some("0:0".to_owned()),
        labels: plan.body.labels.clone(),
        host_config: Some(HostConfig {
            network_mode: Some("none".to_owned()),
            cap_drop: Some(vec!["ALL".to_owned()]),
            cap_add: Some(["CHOWN", "DAC_OVERRIDE", "FOWNER"].map(str::to_owned).to_vec()),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            mounts: Some(vec![Mount {
                typ: Some(MountType::VOLUME),
                source: Some(volume.name.clone()),
                target: Some(volume.target.clone()),
                ..Mount::default()
            }]),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let words = |error: bollard::errors::Error| engine::words(&error);
    let id = engine.api().create_container(Some(create_options(&name)), body).await.map_err(words)?.id;
    let ended = async {
        let mut wait = engine.api().wait_container(&id, None::<bollard::query_parameters::WaitContainerOptions>);
        let started = engine.api().start_container(&id, None::<bollard::query_parameters::StartContainerOptions>);
        started.await.map_err(words)?;
        match wait.next().await {
            Some(Ok(_)) => Ok(()),
            Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => {
                Err(format!("chown ended with code {code}"))
            }
            Some(Err(error)) => Err(words(error)),
            None => Err("the engine did not say how chown ended".to_owned()),
        }
    };
    let ended = ended.await;
    remove(&Arc::new(engine.clone()), &id).await.map_err(|error| error.to_string())?;
    ended
}
