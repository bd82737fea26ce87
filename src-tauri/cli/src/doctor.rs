//! `gemra doctor`: looks at everything that Gemra needs and changes nothing. It gathers facts and failures; how they
//! are told is `words`' and `json`'s. It needs no lock, so that it can be run beside the app.

mod engine;
pub(crate) mod json;
mod programs;
pub(crate) mod words;

use std::path::PathBuf;

use gemra_core::agent::claude::find;
use gemra_core::environment::Environment;
use gemra_core::failure::{Code, Failure};
use gemra_core::home::{Home, HomeError, Located};
use gemra_core::project::last_engine;
use gemra_core::settings::Settings;

pub(crate) use engine::{Container, Image};
pub(crate) use programs::Program;

/// Everything that was looked at.
#[derive(Debug)]
pub(crate) struct Report {
    /// Gemra's own folders, or why it cannot have them.
    pub(crate) home: Result<Located, Failure>,
    /// The settings' file; none where there is no home for it.
    pub(crate) settings: Option<SettingsFile>,
    /// The Claude CLI on the host.
    pub(crate) claude: Result<Claude, Failure>,
    /// The container engine.
    pub(crate) container: Container,
    /// Other programs that help.
    pub(crate) programs: Vec<Program>,
}

/// The settings' file.
#[derive(Debug)]
pub(crate) struct SettingsFile {
    /// Where it is or would be.
    pub(crate) path: PathBuf,
    /// True where there is one; the defaults hold where there is none.
    pub(crate) there: bool,
    /// Why it cannot be used.
    pub(crate) failure: Option<Failure>,
}

/// The Claude CLI.
#[derive(Debug)]
pub(crate) struct Claude {
    /// The program.
    pub(crate) program: PathBuf,
    /// How it was found, in words.
    pub(crate) origin: &'static str,
    /// What it says its version is.
    pub(crate) version: String,
}

impl Report {
    /// True where a chat on the host would work, as far as can be seen without an account.
    pub(crate) fn chat_works(&self) -> bool {
        self.home.is_ok() && self.claude.is_ok()
    }

    /// True where the Container button would work: the app starts, and an engine answers it.
    pub(crate) fn container_works(&self) -> bool {
        self.home.is_ok() && self.container.engine.is_ok()
    }
}

/// What to do next, without the app's Retry button, which is not here.
pub(crate) fn next_step(failure: &Failure) -> String {
    [", then press Retry", "; then press Retry"].iter().fold(failure.action.clone(), |step, end| step.replace(end, ""))
}

/// Looks at everything. Takes as long as the slowest answer: at worst about 20 s for a CLI that hangs.
pub(crate) async fn examine(environment: &Environment) -> Report {
    let home = Home::locate(environment).map_err(|error| no_home(&error));
    let last = home.as_ref().ok().and_then(|home| last_engine(&home.projects()));
    let (settings, file) = match &home {
        Ok(located) => {
            let read = Settings::read(&located.settings);
            let failure = read.as_ref().err().map(Failure::from);
            let there = located.settings.symlink_metadata().is_ok();
            let file = SettingsFile { path: located.settings.clone(), there, failure };
            // The app goes on with its defaults too, so that is what the rest is looked at with.
            (read.unwrap_or_default(), Some(file))
        }
        Err(_) => (Settings::default(), None),
    };
    let (claude, programs) = tokio::join!(claude(environment), programs::look(environment));
    let version = claude.as_ref().ok().map(|claude| claude.version.clone());
    let container = engine::look(&settings, last.as_deref(), environment, version).await;
    Report { home, settings: file, claude, container, programs }
}

async fn claude(environment: &Environment) -> Result<Claude, Failure> {
    let search = find::Search::of(environment);
    let is_named = search.named.is_some();
    let found = find::find(search).await;
    let found = found.map_err(|error| {
        let mut failure = Failure::from(&error);
        // The app shows a button for it; here the command itself has to be said.
        failure.action = failure.action.replace("the command below", find::INSTALL);
        failure
    })?;
    let origin = match (is_named, &found.path) {
        (true, _) => "GEMRA_CLAUDE",
        (false, None) => "PATH",
        (false, Some(_)) => "the login shell's PATH",
    };
    match find::version(&found).await {
        Some(version) => Ok(Claude { program: found.program, origin, version }),
        None => Err(Failure::new(
            Code::AgentNotStarted,
            "The Claude CLI does not run",
            format!("{} ({origin}) did not tell its version.", found.program.display()),
            format!("Run it with --version in a terminal to see why, or install it anew: {}", find::INSTALL),
        )),
    }
}

fn no_home(error: &HomeError) -> Failure {
    Failure::new(
        Code::HomeUnusable,
        "Gemra has no folder of its own",
        format!("{error}."),
        "Set GEMRA_HOME to a folder that you can write to.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_button_of_the_app_is_named() {
        for (action, expected) in [
            ("Start it (Linux: x), then press Retry.", "Start it (Linux: x)."),
            ("Join the group, or b; then press Retry.", "Join the group, or b."),
            ("Mend it, then start Gemra again.", "Mend it, then start Gemra again."),
        ] {
            let failure = Failure::new(Code::EngineFailed, "", "", action);
            assert_eq!(next_step(&failure), expected, "{action}");
        }
    }
}
