//! Starts an agent on the host. Knows the CLI's arguments only as a list.

use std::collections::BTreeMap;

use crate::agent::claude::find::Found;
use crate::agent::claude::launch::Launch;
use crate::environment::Environment;
use crate::process::Process;
use crate::process::spawn::{self, Program, SpawnError};
use crate::workspace::Workspace;

/// Where GTK keeps its settings; the shell may set it for itself, and what the agent starts must not inherit that.
pub const SETTINGS_BACKEND: &str = "GSETTINGS_BACKEND";
/// Where sessions keep what lives as long as they do; the shell may set it for itself, likewise.
pub const RUNTIME_FOLDER: &str = "XDG_RUNTIME_DIR";

/// Starts the CLI in the workspace, with the user's own variables on top of our environment, as it was when we started
/// (`ours`); those without a value are taken out of it.
///
/// # Errors
/// [`SpawnError`] where the system refuses.
pub fn start(
    cli: &Found,
    launch: &Launch,
    workspace: &Workspace,
    variables: BTreeMap<String, Option<String>>,
    ours: &Environment,
) -> Result<Process, SpawnError> {
    let mut environment: Vec<_> =
        variables.into_iter().map(|(name, value)| (name.into(), value.map(Into::into))).collect();
    if let Some(path) = &cli.path {
        environment.push(("PATH".into(), Some(path.clone())));
    }
    for name in [SETTINGS_BACKEND, RUNTIME_FOLDER] {
        if ours.os(name).is_none() {
            environment.push((name.into(), None));
        }
    }
    // Set where Gemra itself is started by an agent: the CLI refuses to run inside itself.
    environment.push(("CLAUDECODE".into(), None));
    spawn::spawn(&Program {
        path: cli.program.clone(),
        args: launch.args().into_iter().map(Into::into).collect(),
        folder: workspace.path().to_path_buf(),
        environment,
    })
}
