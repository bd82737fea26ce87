//! Starts an agent on the host. Knows the CLI's arguments only as a list.

use crate::agent::claude::find::Found;
use crate::agent::claude::launch::Launch;
use crate::process::Process;
use crate::process::spawn::{self, Program, SpawnError};
use crate::workspace::Workspace;

/// Starts the CLI in the workspace, with the user's own variables on top of our environment.
///
/// # Errors
/// [`SpawnError`] where the system refuses.
pub fn start(
    cli: &Found,
    launch: &Launch,
    workspace: &Workspace,
    variables: Vec<(String, String)>,
) -> Result<Process, SpawnError> {
    let mut environment: Vec<_> =
        variables.into_iter().map(|(name, value)| (name.into(), Some(value.into()))).collect();
    if let Some(path) = &cli.path {
        environment.push(("PATH".into(), Some(path.clone())));
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
