//! Removes what is left: our own containers when the app quits, those of a Gemra that died when it starts, and with
//! those that were to prepare a volume the volume. Never touches those of another Gemra that lives, nor anything
//! without our labels.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::engine::{Engine, EngineError, list, question};
use super::{labels, network, run};

/// How long a quit may wait for containers to go.
const QUIT: Duration = Duration::from_secs(3);

/// A container of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The engine's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The Gemra that made it.
    pub instance: String,
    /// The tab that it served.
    pub tab: String,
    /// The volume that it was to prepare, which is half made as long as it is there.
    pub prepares: Option<String>,
}

/// What a sweep did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Swept {
    /// Containers that are gone.
    pub removed: Vec<Leftover>,
    /// Containers that are still there, and why.
    pub stayed: Vec<(Leftover, String)>,
}

/// Removes this instance's containers, all at once, within three seconds. For a quit.
///
/// # Errors
/// [`EngineError`] where the engine would not even list them.
pub async fn own(engine: &Engine, instance: &str) -> Result<Swept, EngineError> {
    let found = list(engine, Some(instance)).await?;
    let swept = remove_all(engine, found, QUIT).await;
    network::sweep(engine, Some(instance), |_| false).await?;
    Ok(swept)
}

/// Removes the containers of instances of which `is_alive` says no. For a start. `is_alive` may block briefly.
///
/// # Errors
/// [`EngineError`] where the engine would not even list them.
pub async fn dead(engine: &Engine, is_alive: impl Fn(&str) -> bool) -> Result<Swept, EngineError> {
    let mut found = list(engine, None).await?;
    let mut known = HashMap::new();
    found.retain(|one| !*known.entry(one.instance.clone()).or_insert_with(|| is_alive(&one.instance)));
    let swept = remove_all(engine, found, run::Phase::Remove.limit()).await;
    network::sweep(engine, None, is_alive).await?;
    Ok(swept)
}

/// The containers of one instance, or of all. Whatever a user runs from our image inherits the image's labels; only
/// what also has one of our names is ours.
///
/// # Errors
/// [`EngineError`] where the engine would not list them.
pub async fn list(engine: &Engine, instance: Option<&str>) -> Result<Vec<Leftover>, EngineError> {
    let filters = labels::filter(instance.map(|instance| format!("{}={instance}", labels::INSTANCE)));
    let found = question("which containers there are", list::containers(engine, &filters)).await?;
    Ok(found
        .into_iter()
        .filter_map(|container| {
            let labels = container.labels;
            let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
            let name = container
                .names
                .iter()
                .map(|name| name.trim_start_matches('/'))
                .find(|name| name.starts_with("gemra-"))?;
            Some(Leftover {
                id: container.id,
                name: name.to_owned(),
                instance: label(labels::INSTANCE),
                tab: label(labels::TAB),
                prepares: labels.get(labels::PREPARES).cloned(),
            })
        })
        .collect())
}

async fn remove_all(engine: &Engine, found: Vec<Leftover>, limit: Duration) -> Swept {
    let engine = Arc::new(engine.clone());
    let mut swept = Swept::default();
    let mut going = JoinSet::new();
    let mut waiting: HashMap<String, Leftover> = HashMap::new();
    for one in found {
        let (engine, id, prepares) = (Arc::clone(&engine), one.id.clone(), one.prepares.clone());
        waiting.insert(id.clone(), one);
        going.spawn(async move {
            let forced = run::force_remove(&engine, &id).await;
            let gone = match forced {
                Ok(()) => run::remove(&engine, &id).await,
                Err(error) => Err(error),
            };
            let gone = match (gone, prepares) {
                (Ok(()), Some(volume)) => run::remove_half_made(&engine, &volume).await.map_err(Into::into),
                (gone, _) => gone,
            };
            (id, gone)
        });
    }
    let all = async {
        while let Some(done) = going.join_next().await {
            let Ok((id, gone)) = done else { continue };
            let Some(one) = waiting.remove(&id) else { continue };
            match gone {
                Ok(()) => swept.removed.push(one),
                Err(error) => swept.stayed.push((one, error.to_string())),
            }
        }
    };
    let in_time = tokio::time::timeout(limit, all).await.is_ok();
    let reason = if in_time { "its removal broke off" } else { "its removal took too long" };
    swept.stayed.extend(waiting.into_values().map(|one| (one, reason.to_owned())));
    if !swept.removed.is_empty() || !swept.stayed.is_empty() {
        tracing::info!(removed = swept.removed.len(), stayed = swept.stayed.len(), "swept containers");
    }
    swept
}
