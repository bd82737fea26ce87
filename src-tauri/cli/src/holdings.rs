//! `gemra ps`, `gemra disk` and `gemra prune`: what Gemra holds at the engine that the settings mean. It asks core and
//! puts the answer into words or JSON; it needs no lock, so that it can be run beside the app.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use gemra_core::container::engine::Engine;
use gemra_core::container::holdings::{self, Container, Holding, Kind, Pruned};
use gemra_core::environment::Environment;
use gemra_core::failure::Failure;
use gemra_core::home::Home;
use gemra_core::project::last_engine;
use gemra_core::settings::Settings;
use gemra_core::sync;
use serde_json::{Value, json};

use crate::doctor;

/// The engine that the settings mean for all projects; where nobody names one, that of the app's last container.
///
/// # Errors
/// A [`Failure`] of the engine's class, or where the settings cannot be read.
pub(crate) async fn engine(environment: &Environment) -> Result<Engine, Failure> {
    engine_of(environment, None).await
}

/// The engine that the settings mean for a project.
async fn engine_of(environment: &Environment, project: Option<&Path>) -> Result<Engine, Failure> {
    let (settings, last) = match Home::locate(environment) {
        Ok(home) => {
            let settings = Settings::read(&home.settings).map_err(|error| Failure::from(&error))?;
            (settings, last_engine(&home.projects()))
        }
        // Without a home there are no settings, and the environment alone names the engine.
        Err(_) => (Settings::default(), None),
    };
    let setting = project.map_or(settings.engine.as_str(), |project| settings.engine_of(project));
    let named = Some(setting.trim()).filter(|setting| !setting.is_empty());
    Engine::find_like(last.as_deref(), None, named, environment).await.map_err(|error| Failure::from(&error))
}

/// The containers, with the memory that each uses.
///
/// # Errors
/// A [`Failure`] of the engine's class.
pub(crate) async fn ps(environment: &Environment, json: bool, project: Option<&str>) -> Result<String, Failure> {
    let project = project.map(folder);
    let engine = engine_of(environment, project.as_deref()).await?;
    let mut containers = holdings::containers(&engine, None).await.map_err(|error| Failure::from(&error))?;
    containers.retain(|one| project.as_ref().is_none_or(|project| Path::new(&one.workspace) == project));
    let memory = futures_util::future::join_all(containers.iter().map(|one| holdings::memory(&engine, one))).await;
    let all: Vec<(Container, Option<u64>)> = containers.into_iter().zip(memory).collect();
    if json {
        let one = |(one, memory): &(Container, Option<u64>)| {
            json!({"name": one.name, "id": one.id, "tab": one.tab, "workspace": one.workspace, "state": one.state,
                "instance": one.instance, "image": one.image, "since": seconds(one.since), "memory": memory})
        };
        return Ok(json!({"containers": all.iter().map(one).collect::<Vec<_>>()}).to_string());
    }
    if all.is_empty() {
        return Ok("No tab has a container.".to_owned());
    }
    let mut text = format!("{:<26} {:<10} {:>8} {:>10}  WORKSPACE", "CONTAINER", "STATE", "SINCE", "MEMORY");
    for (one, memory) in &all {
        let since = SystemTime::now().duration_since(one.since).unwrap_or_default().as_secs();
        let memory = memory.map_or_else(|| "-".to_owned(), size);
        let _ =
            write!(text, "\n{:<26} {:<10} {:>8} {memory:>10}  {}", one.name, one.state, lasted(since), one.workspace);
    }
    Ok(text)
}

/// Everything, with its size.
///
/// # Errors
/// A [`Failure`] of the engine's class.
pub(crate) async fn disk(environment: &Environment, json: bool, project: Option<&str>) -> Result<String, Failure> {
    let project = project.map(folder);
    let engine = engine_of(environment, project.as_deref()).await?;
    let all = of(project.as_deref(), holdings::all(&engine).await.map_err(|error| Failure::from(&error))?);
    if json {
        return Ok(
            json!({"engine": engine.about().name, "holdings": all.iter().map(value).collect::<Vec<_>>()}).to_string()
        );
    }
    if all.is_empty() {
        return Ok("Gemra has made nothing at this engine.".to_owned());
    }
    let untold = all.iter().any(|one| one.kind == Kind::Volume && one.size.is_none());
    let note = if untold { "\n\n- : the size is not told by this engine." } else { "" };
    Ok(format!("{}{note}", table(&all)))
}

/// What nobody uses is removed, or only told where `yes` is not said.
///
/// # Errors
/// A [`Failure`] of the engine's class.
pub(crate) async fn prune(environment: &Environment, yes: bool, project: Option<&str>) -> Result<String, Failure> {
    let project = project.map(folder);
    let engine = engine_of(environment, project.as_deref()).await?;
    let failed = |error| Failure::from(&error);
    let all = of(project.as_deref(), holdings::all(&engine).await.map_err(failed)?);
    let unused: Vec<Holding> = all.into_iter().filter(|one| !one.used).collect();
    if unused.is_empty() {
        return Ok("Everything that Gemra has made is in use, or there is nothing.".to_owned());
    }
    if !yes {
        return Ok(format!("{}\n\nNothing was removed: say gemra prune --yes to remove these.", table(&unused)));
    }
    let records = Home::locate(environment).ok().map(|home| home.sync());
    let needed = |volume: &str| sync::needed(records.as_deref(), volume);
    let Pruned { removed, stayed } = holdings::prune(&engine, &unused, needed).await.map_err(failed)?;
    let mut text = format!("Removed {}.", count(removed.len()));
    for one in &removed {
        let _ = write!(text, "\n  {} {}", one.kind.as_str(), one.name);
    }
    for (one, why) in &stayed {
        let _ = write!(text, "\n  stayed: {} {}: {why}", one.kind.as_str(), one.name);
    }
    Ok(text)
}

/// A failure in one paragraph.
pub(crate) fn failed(failure: &Failure) -> String {
    format!("{}: {} {}", failure.title, failure.cause, doctor::next_step(failure))
}

/// A project's folder, as labels name it.
fn folder(named: &str) -> PathBuf {
    let path = Path::new(named);
    path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_path_buf())
}

/// What a project alone uses, or everything.
fn of(project: Option<&Path>, mut all: Vec<Holding>) -> Vec<Holding> {
    all.retain(|one| project.is_none_or(|project| one.workspace.as_deref().map(Path::new) == Some(project)));
    all
}

fn table(all: &[Holding]) -> String {
    let mut text = format!("{:<10} {:>10}  {:<7} NAME", "KIND", "SIZE", "USED");
    for one in all {
        let size = one.size.map_or_else(|| "-".to_owned(), size);
        let used = if one.used { "yes" } else { "no" };
        let of = one.workspace.as_ref().map(|workspace| format!(" ({workspace})")).unwrap_or_default();
        let _ = write!(text, "\n{:<10} {size:>10}  {used:<7} {}{of}", one.kind.as_str(), one.name);
    }
    text
}

fn value(one: &Holding) -> Value {
    json!({"kind": one.kind.as_str(), "id": one.id, "name": one.name, "workspace": one.workspace, "size": one.size,
        "used": one.used})
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn count(number: usize) -> String {
    if number == 1 { "1 thing".to_owned() } else { format!("{number} things") }
}

#[allow(clippy::cast_precision_loss)] // One digit behind the point is told.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

fn lasted(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_told_in_units_that_fit() {
        for (bytes, expected) in [(0, "0 kB"), (1, "1 kB"), (1_500_000, "1.5 MB"), (2_340_000_000, "2.3 GB")] {
            assert_eq!(size(bytes), expected, "{bytes} bytes");
        }
        for (seconds, expected) in [(5, "5 s"), (61, "1 min"), (7200, "2 h"), (259_200, "3 d")] {
            assert_eq!(lasted(seconds), expected, "{seconds} seconds");
        }
    }
}
