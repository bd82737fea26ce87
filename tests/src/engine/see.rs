//! What tests look at on an engine, through the engine's own API.

use std::collections::HashMap;
use std::future::Future;
use std::time::{Duration, Instant};

use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::{ContainerInspectResponse, ContainerSummary, ExecConfig};
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder};

use futures_util::StreamExt as _;

use super::Engine;

/// The containers that carry the label, running or not.
///
/// # Panics
/// Where the engine does not list them.
pub async fn containers(engine: &Engine, label: &str) -> Vec<ContainerSummary> {
    let filters = HashMap::from([("label".to_owned(), vec![label.to_owned()])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    loop {
        match engine.api().list_containers(Some(options.clone())).await {
            // Podman names a container that has just ended in a way that the library does not know, until it has tidied up.
            Err(bollard::errors::Error::JsonDataError { message, .. }) if message.contains("`stopped`") => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            found => return found.expect("the engine lists containers"),
        }
    }
}

/// Everything that the engine tells of a container.
///
/// # Panics
/// Where there is no such container.
pub async fn inspect(engine: &Engine, id: &str) -> ContainerInspectResponse {
    engine.api().inspect_container(id, None::<InspectContainerOptions>).await.expect("the container is there")
}

/// Runs a command in a container, as its own user and in its own environment, and gives all that it says.
///
/// # Panics
/// Where it fails.
pub async fn exec(engine: &Engine, id: &str, command: &[&str]) -> String {
    let api = engine.api();
    let options = ExecConfig {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(command.iter().map(|&word| word.to_owned()).collect()),
        ..ExecConfig::default()
    };
    let made = api.create_exec(id, options).await.expect("the container runs").id;
    let started = api.start_exec(&made, None::<StartExecOptions>).await.expect("the command starts");
    let StartExecResults::Attached { mut output, .. } = started else { panic!("its output was asked for") };
    let mut said = String::new();
    while let Some(piece) = output.next().await {
        said.push_str(&piece.expect("the output is read").to_string());
    }
    let code = api.inspect_exec(&made).await.expect("the engine knows it").exit_code;
    assert_eq!(code, Some(0), "{command:?} succeeds: {said}");
    said
}

/// The command lines of a container's processes, as the machine tells them: engines need a program in the image, or
/// differ in what they answer.
///
/// # Panics
/// Where the container does not run.
pub async fn processes(engine: &Engine, id: &str) -> Vec<String> {
    let first = inspect(engine, id).await.state.and_then(|state| state.pid).expect("a container that runs has one");
    let mut found = Vec::new();
    let mut pids = vec![first.to_string()];
    while let Some(pid) = pids.pop() {
        // One that ends meanwhile has no children and no words.
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        pids.extend(children.split_whitespace().map(str::to_owned));
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        found.push(String::from_utf8_lossy(&line).replace('\0', " "));
    }
    found
}

/// Removes a container, whatever its state; that it is gone already is fine.
pub async fn remove(engine: &Engine, id: &str) {
    let options = RemoveContainerOptionsBuilder::new().force(true).build();
    let _ = engine.api().remove_container(id, Some(options)).await;
}

/// Looks again and again until `look` gives something, and panics with `what` after `limit`.
///
/// # Panics
/// Where it never does.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, limit: Duration, mut look: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
