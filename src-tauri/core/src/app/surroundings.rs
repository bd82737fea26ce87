//! What every tab may use: the home, the environment, the settings, the run records. One for the whole app.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::watch;

use super::writers::{Inside, Writers};
use crate::agent::claude::{find, sessions};
use crate::audit::Audit;
use crate::container::engine::survey::{self, Surveyed};
use crate::container::engine::{Engine, EngineError, Places};
use crate::container::image::{Builds, Logins};
use crate::container::network::probe::Lately;
use crate::container::{network, sweep};
use crate::credentials::Credentials;
use crate::environment::Environment;
use crate::git::{self, Identity};
use crate::guard;
use crate::home::Home;
use crate::project::Projects;
use crate::reaper::Reaper;
use crate::record::{Records, Run};
use crate::settings::Settings;
use crate::settings::container::Wishes;
use crate::sync;
use crate::tab::TabId;
use crate::trust;

/// What every tab may use.
#[derive(Debug)]
pub struct Surroundings {
    home: Home,
    environment: Environment,
    settings: watch::Receiver<Settings>,
    credentials: Arc<Credentials>,
    records: Records,
    reaper: Reaper,
    instance: String,
    builds: Builds,
    /// Those that answered last, by the setting that named them, and where that is empty by the one used before.
    found: Mutex<BTreeMap<(String, Option<String>), Engine>>,
    /// Those that hold containers of ours, by address.
    engines: Mutex<BTreeMap<String, Engine>>,
    versions: tokio::sync::Mutex<Option<(PathBuf, SystemTime, String)>>,
    identity: tokio::sync::OnceCell<Identity>,
    guard: guard::Store,
    projects: Projects,
    audit: Audit,
    tried: Lately,
    trust: trust::Store,
    /// What projects wish for their own containers, as far as they may.
    asked: Mutex<BTreeMap<PathBuf, Wishes>>,
    #[cfg(unix)]
    sync: sync::Store,
    writers: Writers,
    /// Held while a workspace's volumes are made or removed.
    volumes: Mutex<BTreeMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>,
}

impl Surroundings {
    pub(crate) fn new(
        home: Home,
        environment: Environment,
        settings: watch::Receiver<Settings>,
        records: Records,
        reaper: Reaper,
    ) -> Self {
        let instance = format!("{}-{}", home.name(), &uuid::Uuid::new_v4().simple().to_string()[..8]);
        let guard = guard::Store::new(home.guard());
        let projects = Projects::open(home.projects());
        let logs = home.data().join("logs").join("builds");
        let builds = Builds::keeping_logs(logs).with_logins(Logins::of(&environment));
        let credentials = Credentials::new(home.credentials(), &environment);
        let audit = Audit::open(home.audit());
        let trust = trust::Store::new(home.trust());
        #[cfg(unix)]
        let sync = sync::Store::new(home.sync(), home.conflicts(), home.name());
        Self {
            home,
            environment,
            settings,
            credentials,
            records,
            reaper,
            instance,
            builds,
            found: Mutex::default(),
            engines: Mutex::default(),
            versions: tokio::sync::Mutex::new(None),
            identity: tokio::sync::OnceCell::new(),
            guard,
            projects,
            audit,
            tried: Lately::default(),
            trust,
            asked: Mutex::default(),
            #[cfg(unix)]
            sync,
            writers: Writers::default(),
            volumes: Mutex::default(),
        }
    }

    /// Our own folders.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The environment that we were started with.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The user's settings, as they are now, and what projects wish of their own.
    pub fn settings(&self) -> Settings {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Settings { asked, ..self.settings.borrow().clone() }
    }

    /// A project wishes this for its own containers, and may.
    pub(crate) fn accepts(&self, workspace: &Path, wishes: Wishes) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.insert(workspace.to_path_buf(), wishes);
    }

    /// What projects may do beyond what containers usually may.
    pub(crate) fn trust(&self) -> &trust::Store {
        &self.trust
    }

    /// The user's own keys.
    pub(crate) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The user's settings, as they change.
    pub(crate) fn watch_settings(&self) -> watch::Receiver<Settings> {
        self.settings.clone()
    }

    /// What containers have found on the host's network.
    pub(crate) fn tried(&self) -> &Lately {
        &self.tried
    }

    /// Names this instance to the engine's labels: the home, by which the next instance in it knows what dead ones
    /// have left, and this run.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// What the host would execute, as it was before containers could write to it.
    pub(crate) fn guard(&self) -> &guard::Store {
        &self.guard
    }

    /// What is remembered of each project.
    pub(crate) fn projects(&self) -> &Projects {
        &self.projects
    }

    /// What agents did in containers without asking.
    pub(crate) fn audit(&self) -> &Audit {
        &self.audit
    }

    /// A tab's container may write to its workspace from now on, as long as this is held.
    pub(crate) fn enters(&self, tab: &TabId, workspace: &Path) -> Inside {
        self.writers.enters(tab, workspace)
    }

    /// The tab's container may write to these folders too.
    pub(crate) fn may_write(&self, tab: &TabId, folders: &[PathBuf]) {
        self.writers.may_write(tab, folders);
    }

    /// True where a container may write to something that an agent on the host would meet in a workspace.
    pub(crate) fn is_inside(&self, workspace: &Path) -> bool {
        self.writers.concern(workspace)
    }

    /// True where a container may write to one of these folders.
    pub(crate) fn is_written(&self, folders: &[PathBuf]) -> bool {
        self.writers.write_to(folders)
    }

    /// True where a container has exactly this workspace.
    pub(crate) fn is_worked_in(&self, workspace: &Path) -> bool {
        self.writers.work_in(workspace)
    }

    /// Held while a workspace's volumes are made or removed: a start must not lose to a clean-up what it has just found.
    pub(crate) async fn volumes_of(&self, workspace: &Path) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = {
            let mut all = self.volumes.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(workspace.to_path_buf()).or_default())
        };
        lock.lock_owned().await
    }

    /// Ends our agents if we are killed.
    pub(crate) fn reaper(&self) -> &Reaper {
        &self.reaper
    }

    /// Where to look for the CLI.
    pub(crate) fn search(&self) -> find::Search {
        find::Search::of(&self.environment)
    }

    /// The engine that the user means for all projects; where nobody names one, that of the last container.
    pub(crate) async fn engine(&self) -> Result<Engine, EngineError> {
        let setting = self.settings().engine;
        self.engine_at(setting.trim(), self.projects.engine().map(|used| used.address)).await
    }

    /// What is remembered of folders that are kept the same at another machine.
    #[cfg(unix)]
    pub(crate) fn sync(&self) -> &sync::Store {
        &self.sync
    }

    /// Why a volume has to stay, by its name: it may hold the only copy of something. Blocks briefly.
    pub(crate) fn needs(&self, volume: &str) -> Option<String> {
        sync::needed(Some(&self.home.sync()), volume)
    }

    /// True for a volume by which another Gemra keeps its own files the same.
    pub(crate) fn is_anothers(&self, volume: &str) -> bool {
        sync::is_anothers(&self.home.sync(), volume)
    }

    /// The engine that the user means for a workspace; where nobody names one, that of its last container.
    pub(crate) async fn engine_of(&self, workspace: &Path) -> Result<Engine, EngineError> {
        let setting = self.settings().engine_of(workspace).to_owned();
        let last = self.projects.engine_of(workspace).or_else(|| self.projects.engine());
        self.engine_at(&setting, last.map(|used| used.address)).await
    }

    /// The engine that a setting names, or where it is empty the one that is found, `last` before all others; looked for
    /// anew each time: it may have gone, or come.
    async fn engine_at(&self, setting: &str, last: Option<String>) -> Result<Engine, EngineError> {
        let named = Some(setting).filter(|setting| !setting.is_empty());
        let key = (setting.to_owned(), last.filter(|_| named.is_none()));
        let before = self.found.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        let engine = Engine::find_like(key.1.as_deref(), before.as_ref(), named, &self.environment).await;
        if let Ok(engine) = &engine {
            self.found.lock().unwrap_or_else(PoisonError::into_inner).insert(key, engine.clone());
        }
        engine
    }

    /// The builds under way, shared by all tabs.
    pub(crate) fn builds(&self) -> &Builds {
        &self.builds
    }

    /// The version of the host's CLI; `None` where there is none. Asked once for each CLI: it takes half a second.
    pub(crate) async fn cli_version(&self) -> Option<String> {
        let found = find::find(self.search()).await.ok()?;
        let changed = tokio::fs::metadata(&found.program).await.and_then(|metadata| metadata.modified()).ok()?;
        let mut known = self.versions.lock().await;
        if let Some((path, at, version)) = &*known
            && *path == found.program
            && *at == changed
        {
            return Some(version.clone());
        }
        let version = find::version(&found).await?;
        *known = Some((found.program, changed, version.clone()));
        Some(version)
    }

    /// Who the user is for git. Asked once.
    pub(crate) async fn git_identity(&self) -> Identity {
        self.identity.get_or_init(|| git::identity(&self.environment)).await.clone()
    }

    /// The CLI's own folder on the host, as it is for a workspace: its project may have one of its own.
    pub(crate) fn claude_folder(&self, workspace: &Path) -> PathBuf {
        const FOLDER: &str = "CLAUDE_CONFIG_DIR";
        let home = self.environment.home().unwrap_or_default();
        let variables = self.settings.borrow().variables(workspace);
        let own = variables.into_iter().find(|(name, value)| name == FOLDER && !value.is_empty());
        let named = own.map(|(_, value)| PathBuf::from(value)).or_else(|| self.environment.path(FOLDER));
        sessions::config_folder(&home, named.as_deref())
    }

    pub(crate) fn record_run(&self, run: Run) {
        self.records.write(run);
    }

    pub(crate) fn set_run_aside(&self, tab: &TabId) {
        self.records.set_aside(&tab.0);
    }

    pub(crate) fn forgets_run(&self, tab: &TabId) {
        self.records.forgets(&tab.0);
    }

    pub(crate) async fn forget_run(&self, tab: &TabId) {
        self.records.forget(&tab.0).await;
    }

    /// Every engine there is to choose from, and what comes of asking it.
    pub(crate) async fn engines(&self) -> Vec<Surveyed> {
        let settings = self.settings();
        let own = (settings.engine.clone(), "the settings".to_owned());
        let projects =
            settings.projects.iter().map(|(path, project)| (project.engine.clone(), format!("the settings of {path}")));
        let named = std::iter::once(own).chain(projects).collect();
        survey::survey(named, &self.environment, &Places::usual(&self.environment)).await
    }

    /// Removes what dead instances of this home have left, at every engine that the settings lead to. Another home's are
    /// another's business.
    pub(crate) async fn sweep_dead_instances(&self) {
        let (sockets, instance) = (self.home.sockets(), self.instance.clone());
        let _ = tokio::task::spawn_blocking(move || network::clear(&sockets, &instance)).await;
        let settings = self.settings();
        let mut named: Vec<String> =
            settings.projects.values().map(|project| project.engine.trim().to_owned()).collect();
        named.push(settings.engine.trim().to_owned());
        named.sort();
        named.dedup();
        // Where nobody names an engine, each that was used may hold something still.
        let lasts: Vec<Option<String>> =
            self.projects.engines().into_iter().map(Some).chain(std::iter::once(None)).collect();
        let asked = named.iter().flat_map(|setting| {
            let lasts = if setting.is_empty() { &lasts[..] } else { &[None] };
            lasts.iter().map(|last| self.engine_at(setting, last.clone()))
        });
        let found = futures_util::future::join_all(asked).await;
        // Two settings may mean the same one.
        let engines: BTreeMap<String, Engine> =
            found.into_iter().flatten().map(|engine| (engine.address().to_string(), engine)).collect();
        let ours = self.home.names();
        let is_alive = |instance: &str| {
            let home = instance.rsplit_once('-').map_or(instance, |(home, _)| home);
            !ours.contains(&home) || instance == self.instance
        };
        let sweeps = engines.values().map(|engine| sweep::dead(engine, is_alive));
        for error in futures_util::future::join_all(sweeps).await.into_iter().filter_map(Result::err) {
            tracing::warn!(%error, "leftovers could not be looked for");
        }
    }

    /// Containers of ours are about to be made at this engine: they have to end with us.
    pub(crate) fn uses(&self, engine: &Engine) {
        let mut used = self.engines.lock().unwrap_or_else(PoisonError::into_inner);
        if used.insert(engine.address().to_string(), engine.clone()).is_none() {
            self.reaper.hold_containers(&engine.address().to_string(), &self.instance);
        }
    }

    /// Removes what this instance has left in the engines that it used. Every tab has ended by now, so that this is
    /// for what went wrong.
    pub(crate) async fn clear_instance(&self) {
        let used: Vec<Engine> = self.engines.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let sweeps = used.iter().map(|engine| sweep::own(engine, &self.instance));
        for error in futures_util::future::join_all(sweeps).await.into_iter().filter_map(Result::err) {
            tracing::warn!(%error, "what is left could not be looked for");
        }
    }
}
