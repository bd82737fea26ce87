//! `gemra exec`: a command in the container of a tab or of a workspace, found by its labels; with its output as it
//! comes, its exit code, and a limit to its time.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use gemra_core::container::exec::{self, End, Order, Piece};
use gemra_core::container::holdings::{self, Container};
use gemra_core::environment::Environment;

use crate::holdings::{engine, failed};

/// As `timeout` has it.
const TIMED_OUT: u8 = 124;
/// For what kept the command from being run at all, as `docker exec` has it.
const NOT_RUN: u8 = 125;

/// What is to be run, and where.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct Asked {
    /// The tab, or the beginning of its name.
    pub(crate) tab: Option<String>,
    /// The workspace.
    pub(crate) workspace: Option<String>,
    /// Seconds.
    pub(crate) timeout: Option<u64>,
    /// The command and its arguments.
    pub(crate) command: Vec<String>,
}

/// Runs it.
pub(crate) async fn run(environment: &Environment, asked: &Asked) -> ExitCode {
    match attempt(environment, asked).await {
        Ok(End::Code(code)) => ExitCode::from(u8::try_from(code & 0xff).unwrap_or(NOT_RUN)),
        Ok(End::TimedOut) => {
            tell(&format!("the command was ended: its {} seconds are over", asked.timeout.unwrap_or_default()));
            ExitCode::from(TIMED_OUT)
        }
        Err(words) => {
            tell(&words);
            ExitCode::from(NOT_RUN)
        }
    }
}

async fn attempt(environment: &Environment, asked: &Asked) -> Result<End, String> {
    let engine = engine(environment).await.map_err(|failure| failed(&failure))?;
    let all = holdings::containers(&engine, None).await.map_err(|error| error.to_string())?;
    let chosen = choose(&all, asked)?;
    let order = Order { command: asked.command.clone(), timeout: asked.timeout.map(Duration::from_secs) };
    let end = exec::run(&engine, &chosen.id, &order, |piece| {
        // A reader that has seen enough is no failure of the command's.
        let _ = match piece {
            Piece::Out(bytes) => std::io::stdout().write_all(&bytes).and_then(|()| std::io::stdout().flush()),
            Piece::Err(bytes) => std::io::stderr().write_all(&bytes),
        };
    });
    end.await.map_err(|error| error.to_string())
}

/// The one container that is meant.
fn choose<'a>(all: &'a [Container], asked: &Asked) -> Result<&'a Container, String> {
    let workspace = asked.workspace.as_deref().map(|folder| {
        Path::new(folder).canonicalize().map_or_else(|_| folder.to_owned(), |path| path.display().to_string())
    });
    let meant = |one: &&Container| {
        one.state == "running"
            && asked.tab.as_ref().is_none_or(|tab| one.tab.starts_with(tab.as_str()))
            && workspace.as_ref().is_none_or(|workspace| one.workspace == *workspace)
    };
    let found: Vec<&Container> = all.iter().filter(meant).collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err("no tab that is meant has a running container; see gemra ps".to_owned()),
        several => {
            let names: Vec<String> = several.iter().map(|one| format!("{} ({})", one.tab, one.workspace)).collect();
            Err(format!("several tabs are meant, say one with --tab: {}", names.join(", ")))
        }
    }
}

fn tell(words: &str) {
    // Where stderr is closed nobody is left to tell.
    let _ = writeln!(std::io::stderr(), "gemra: {words}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(tab: &str, workspace: &str, state: &str) -> Container {
        Container {
            id: tab.to_owned(),
            name: format!("gemra-{tab}-1"),
            instance: "i".to_owned(),
            tab: tab.to_owned(),
            workspace: workspace.to_owned(),
            state: state.to_owned(),
            since: std::time::UNIX_EPOCH,
            image: String::new(),
        }
    }

    #[test]
    fn the_container_is_chosen_by_tab_or_workspace_and_never_guessed() {
        let all = [
            container("aa11", "/nowhere/a", "running"),
            container("ab22", "/nowhere/a", "running"),
            container("cc33", "/nowhere/c", "running"),
            container("dd44", "/nowhere/d", "exited"),
        ];
        let choose = |tab: Option<&str>, workspace: Option<&str>| {
            let asked =
                Asked { tab: tab.map(str::to_owned), workspace: workspace.map(str::to_owned), ..Asked::default() };
            super::choose(&all, &asked).map(|one| one.tab.clone())
        };
        assert_eq!(choose(Some("aa"), None), Ok("aa11".to_owned()), "the beginning of a name will do");
        assert_eq!(choose(None, Some("/nowhere/c")), Ok("cc33".to_owned()), "a workspace with one container");
        for (tab, workspace) in [(Some("a"), None), (None, Some("/nowhere/a")), (None, None)] {
            let error = choose(tab, workspace).unwrap_err();
            assert!(error.contains("aa11") && error.contains("--tab"), "several are told: {error}");
        }
        for (tab, workspace) in [(Some("zz"), None), (None, Some("/nowhere/d"))] {
            assert!(choose(tab, workspace).unwrap_err().contains("gemra ps"), "none is told");
        }
    }
}
