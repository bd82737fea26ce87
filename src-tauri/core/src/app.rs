//! Everything that is open: tabs in their order, settings, recent folders, and what the window shows around them. A
//! shell talks to this and to the tabs' handles, and to nothing else of core.

mod allowing;
mod credentials;
mod images;
mod problems;
mod quitting;
mod surroundings;
mod visits;
mod writers;

pub use problems::{Problem, ProblemId};
pub use quitting::QUIT;
pub use surroundings::Surroundings;
pub use visits::Figures;
pub(crate) use writers::Inside;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use self::problems::Problems;
use crate::agent::claude::{history, sessions};
use crate::container::engine::EngineError;
use crate::container::engine::survey::Surveyed;
use crate::container::exec::{Said, Shell};
use crate::container::holdings::{self, Container, Holding, Pruned};
use crate::container::image::disk::Kept;
use crate::container::image::templates;
use crate::credentials::login::Login;
use crate::environment::Environment;
use crate::failure::{Code, Failure};
use crate::file;
use crate::home::{Home, HomeError};
use crate::reaper::{self, Reaper};
use crate::record;
use crate::settings::Settings;
use crate::tab::{Opening, Summary, Tab, TabId};
use crate::workspace::{self, Workspace};

/// How many recent folders are kept.
const RECENT: usize = 20;
/// How long a start waits for what a run that was killed has left: the agents on the host, and then the containers.
/// Nobody takes up a conversation that another agent may still hold.
const LEFTOVERS: Duration = Duration::from_secs(5);

/// What the window shows around the tabs' pages.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WindowState {
    /// In the order of the tab bar.
    pub tabs: Vec<Summary>,
    /// The active tab; none shows the new-tab page.
    pub active: Option<TabId>,
    /// Workspaces opened before, newest first.
    pub recent: Vec<PathBuf>,
    /// The user's settings.
    pub settings: Settings,
    /// What went wrong outside any tab, oldest first.
    pub problems: Vec<Problem>,
    /// What the app still does before it ends, where that takes longer than a moment.
    pub leaving: Option<String>,
}

/// What Gemra holds at an engine.
#[derive(Debug, Clone, PartialEq)]
pub struct Holdings {
    /// The engine, in words.
    pub engine: String,
    /// Containers, with the memory that each uses in bytes, and whether this Gemra made it.
    pub containers: Vec<(Container, Option<u64>, bool)>,
    /// Everything.
    pub all: Vec<Holding>,
    /// Its images once more, with what is known of them beside.
    pub images: Vec<Kept>,
}

/// Everything that is open.
#[derive(Debug)]
pub struct App {
    surroundings: Arc<Surroundings>,
    settings: watch::Sender<Settings>,
    open: Mutex<Open>,
    window: watch::Sender<Arc<WindowState>>,
    visits: visits::Visits,
    carried: images::Carried,
}

#[derive(Debug, Default)]
struct Open {
    tabs: Vec<(TabId, Arc<Tab>)>,
    /// Closed by the user, and not gone yet.
    closing: Vec<Arc<Tab>>,
    active: Option<TabId>,
    recent: Vec<PathBuf>,
    problems: Problems,
    /// Problems that stand for a tab that could not be taken up.
    lost: Vec<(ProblemId, TabId)>,
    /// Requests that opened a tab, and which: a repeat gets the same answer.
    requests: Vec<(String, TabId)>,
    /// Logins inside that wait for their codes.
    logins: BTreeMap<TabId, Login>,
    /// What is still done before the app ends.
    leaving: Option<String>,
}

impl App {
    /// Takes the home, reads the settings, and opens again the tabs that an instance that died has left. `reaper` is
    /// the program that can be the [`Reaper`].
    ///
    /// # Errors
    /// [`HomeError`] where there is no home or another instance has it.
    pub async fn start(environment: Environment, reaper: Option<&Path>) -> Result<Arc<Self>, HomeError> {
        let home = Home::open(&environment)?;
        let mut problems = Problems::default();
        let (runs, records) = record::open(home.runs());
        if !runs.is_empty() && !reaper::gone(&home.reaper_lock(), LEFTOVERS).await {
            tracing::warn!("the reaper of the last run is still busy");
        }
        let reaper = reaper.map_or_else(Reaper::none, |program| {
            Reaper::start(program, &home.reaper_lock()).unwrap_or_else(|error| {
                tracing::warn!(%error, "there is no reaper; agents would outlive a crash");
                Reaper::none()
            })
        });
        let settings = Settings::read(&home.settings()).unwrap_or_else(|error| {
            tracing::warn!(%error, "the settings cannot be used");
            problems.add((&error).into());
            Settings::default()
        });
        let recent = std::fs::read(home.recent())
            .ok()
            .and_then(|text| serde_json::from_slice::<Vec<PathBuf>>(&text).ok())
            .unwrap_or_default();
        let (settings, seen) = watch::channel(settings);
        let surroundings = Arc::new(Surroundings::new(home, environment, seen, records, reaper));
        let app = Arc::new(Self {
            surroundings,
            settings,
            open: Mutex::new(Open { recent, problems, ..Open::default() }),
            window: watch::Sender::default(),
            visits: visits::Visits::default(),
            carried: images::Carried::default(),
        });
        let surroundings = Arc::clone(&app.surroundings);
        let sweep = tokio::spawn(async move { surroundings.sweep_dead_instances().await });
        if runs.iter().any(|run| run.container) && tokio::time::timeout(LEFTOVERS, sweep).await.is_err() {
            tracing::warn!("the engine takes long over what the last run has left");
        }
        for run in runs {
            app.take_up(run).await;
        }
        app.refresh();
        Ok(app)
    }

    /// What the window shows, as it changes.
    pub fn window(&self) -> watch::Receiver<Arc<WindowState>> {
        self.window.subscribe()
    }

    /// Where the webview may keep its data.
    pub fn webview_folder(&self) -> PathBuf {
        self.surroundings.home().webview()
    }

    /// The folder that everything of this instance's is in.
    pub fn home_folder(&self) -> PathBuf {
        self.surroundings.home().data().to_path_buf()
    }

    /// Where the log goes.
    pub fn log_folder(&self) -> PathBuf {
        self.home_folder().join("logs")
    }

    /// A tab's handle.
    ///
    /// # Errors
    /// [`Code::Gone`] where it has been closed.
    pub fn tab(&self, id: &TabId) -> Result<Arc<Tab>, Failure> {
        let open = self.open();
        let found = open.tabs.iter().find(|(known, _)| known == id).map(|(_, tab)| Arc::clone(tab));
        found.ok_or_else(|| {
            Failure::new(Code::Gone, "This tab is closed", "It was closed in the meantime.", "Open it again.")
        })
    }

    /// Opens a tab for a folder and shows it.
    ///
    /// # Errors
    /// [`Code::WorkspaceInvalid`] where the folder cannot be handed to an agent.
    pub async fn open_tab(self: &Arc<Self>, request: &str, path: String) -> Result<TabId, Failure> {
        if let Some((_, id)) = self.open().requests.iter().find(|(seen, _)| seen == request) {
            return Ok(id.clone());
        }
        let workspace = self.check(path).await?;
        let id = TabId::mint();
        {
            let mut open = self.open();
            if let Some((_, id)) = open.requests.iter().find(|(seen, _)| seen == request) {
                return Ok(id.clone());
            }
            open.requests.push((request.to_owned(), id.clone()));
        }
        self.remember(workspace.path().to_path_buf());
        let title = self.title(&workspace);
        self.add(Opening { id: id.clone(), workspace, title, left: None });
        self.activate(Some(id.clone()));
        Ok(id)
    }

    /// Opens a tab for a folder named at the start, or shows the one that was taken up for it.
    ///
    /// # Errors
    /// As [`Self::open_tab`].
    pub async fn open_at_start(self: &Arc<Self>, path: String) -> Result<TabId, Failure> {
        let workspace = self.check(path.clone()).await?;
        let known =
            self.window.borrow().tabs.iter().find(|tab| tab.workspace == workspace.path()).map(|tab| tab.id.clone());
        match known {
            Some(id) => {
                self.activate(Some(id.clone()));
                Ok(id)
            }
            None => self.open_tab(&uuid::Uuid::new_v4().to_string(), path).await,
        }
    }

    /// Closes a tab and everything it runs.
    pub async fn close_tab(self: &Arc<Self>, id: &TabId) {
        let closed = {
            let mut open = self.open();
            let Some(at) = open.tabs.iter().position(|(known, _)| known == id) else { return };
            let (_, tab) = open.tabs.remove(at);
            if open.active.as_ref() == Some(id) {
                // The right neighbour takes its place, or else the left one.
                let next = at.min(open.tabs.len().saturating_sub(1));
                open.active = open.tabs.get(next).map(|(id, _)| id.clone());
            }
            open.closing.push(Arc::clone(&tab));
            tab
        };
        self.refresh();
        let left = closed.close().await;
        self.open().closing.retain(|tab| !Arc::ptr_eq(tab, &closed));
        if let Some(failure) = left {
            self.report(failure);
        }
    }

    /// Moves a tab to another place in the bar.
    pub fn move_tab(&self, id: &TabId, index: usize) {
        {
            let mut open = self.open();
            let Some(at) = open.tabs.iter().position(|(known, _)| known == id) else { return };
            let tab = open.tabs.remove(at);
            let index = index.min(open.tabs.len());
            open.tabs.insert(index, tab);
        }
        self.refresh();
    }

    /// Shows a tab, or the new-tab page.
    pub fn activate(&self, id: Option<TabId>) {
        {
            let mut open = self.open();
            if id.as_ref().is_some_and(|id| open.tabs.iter().all(|(known, _)| known != id)) {
                return;
            }
            open.active = id;
        }
        self.refresh();
    }

    /// Saves and applies the settings. What the page does not know in them is kept.
    ///
    /// # Errors
    /// [`Code::SettingsInvalid`] where the file that is there would be lost, [`Code::SettingsNotSaved`] where a value
    /// is wrong or the file cannot be written.
    pub async fn save_settings(&self, settings: Settings) -> Result<(), Failure> {
        let settings = settings.keeping(&self.settings.borrow());
        let path = self.surroundings.home().settings();
        let home = self.surroundings.environment().home();
        let save = move || (settings.check_folders(home.as_deref()).and_then(|()| settings.write(&path)), settings);
        let (written, settings) = blocking(save).await?;
        written.map_err(|error| Failure::from(&error))?;
        self.settings.send_replace(settings);
        self.refresh();
        Ok(())
    }

    /// Tells `sink` what a tab's container uses and how its agent is, about once a second, until [`Self::end_visit`].
    ///
    /// # Errors
    /// [`Code::Gone`] where the tab is closed.
    pub fn watch_container(
        &self,
        tab: &TabId,
        sink: impl Fn(Figures) -> bool + Send + Sync + 'static,
    ) -> Result<u32, Failure> {
        Ok(self.visits.figures(&*self.tab(tab)?, sink))
    }

    /// Opens a shell in a tab's container, so many columns wide and rows high.
    ///
    /// # Errors
    /// [`Code::Gone`] where there is no container, and the engine's own.
    pub async fn open_shell(
        &self,
        tab: &TabId,
        size: (u16, u16),
        sink: impl Fn(Said) + Send + Sync + 'static,
    ) -> Result<u32, Failure> {
        let tab = self.tab(tab)?;
        self.visits.shell(&tab, size, sink).await
    }

    /// Does something with a shell that is open.
    pub fn with_shell(&self, visit: u32, act: impl FnOnce(&Shell)) {
        self.visits.with_shell(visit, act);
    }

    /// Nobody looks at a container, or into it, under this number any more.
    pub fn end_visit(&self, visit: u32) {
        self.visits.end(visit);
    }

    /// What Gemra holds at the engine.
    ///
    /// # Errors
    /// A [`Failure`] of the engine's class.
    pub async fn holdings(&self) -> Result<Holdings, Failure> {
        let engine = self.surroundings.engine().await.map_err(|error| Failure::from(&error))?;
        let failed = |error: EngineError| Failure::from(&error);
        let (containers, all) =
            tokio::try_join!(holdings::containers(&engine, None), holdings::all(&engine)).map_err(failed)?;
        let images = Self::images(&engine).await?;
        let memory = futures_util::future::join_all(containers.iter().map(|one| holdings::memory(&engine, one))).await;
        let own = self.surroundings.instance();
        let containers = containers.into_iter().zip(memory).map(|(one, memory)| {
            let ours = one.instance == own;
            (one, memory, ours)
        });
        Ok(Holdings { engine: engine.about().name.clone(), containers: containers.collect(), all, images })
    }

    /// Ends a container of the list: one of our tabs' by moving its agent out of it, another one at the engine.
    ///
    /// # Errors
    /// A [`Failure`] of the engine's class.
    pub async fn stop_container(&self, id: &str) -> Result<(), Failure> {
        let holds = |tab: &Tab| tab.held().borrow().as_ref().is_some_and(|held| held.id == id);
        let ours = self.open().tabs.iter().find(|(_, tab)| holds(tab)).map(|(_, tab)| Arc::clone(tab));
        if let Some(tab) = ours {
            let held = tab.held().borrow().clone();
            tab.toggle_container(uuid::Uuid::new_v4().to_string());
            let Some(held) = held else { return Ok(()) };
            return holdings::until_gone(&held.engine, id).await.map_err(|error| Failure::from(&error));
        }
        let engine = self.surroundings.engine().await.map_err(|error| Failure::from(&error))?;
        holdings::stop(&engine, id).await.map_err(|error| Failure::from(&error))
    }

    /// Removes what is not used of what Gemra has made; of what is not shown nothing.
    ///
    /// # Errors
    /// A [`Failure`] of the engine's class.
    pub async fn prune(&self, shown: &[String]) -> Result<Pruned, Failure> {
        let engine = self.surroundings.engine().await.map_err(|error| Failure::from(&error))?;
        let failed = |error: EngineError| Failure::from(&error);
        let chosen: Vec<Holding> =
            holdings::all(&engine).await.map_err(failed)?.into_iter().filter(|one| shown.contains(&one.id)).collect();
        holdings::prune(&engine, &chosen, |volume| self.surroundings.needs(volume)).await.map_err(failed)
    }

    /// The user has read a problem. A tab that could not be taken up is not tried again at the next start.
    pub fn dismiss_problem(&self, id: ProblemId) {
        let lost = {
            let mut open = self.open();
            open.problems.dismiss(id);
            open.lost.extract_if(.., |(problem, _)| *problem == id).collect::<Vec<_>>()
        };
        for (_, tab) in lost {
            self.surroundings.set_run_aside(&tab);
        }
        self.refresh();
    }

    /// Tells a problem to the window; one that it shows already is told once.
    pub fn report(&self, problem: Failure) {
        self.open().problems.add(problem);
        self.refresh();
    }

    /// Writes a ready `Dockerfile.claude` to a workspace that has none, and gives its path.
    ///
    /// # Errors
    /// A [`Failure`] where there is one already, or it cannot be written.
    pub async fn write_template(&self, workspace: String, template: String) -> Result<PathBuf, Failure> {
        let workspace = self.check(workspace).await?.path().to_path_buf();
        let written = blocking(move || templates::write(&workspace, &template)).await?;
        written.map_err(|error| Failure::from(&error))
    }

    /// Folders that complete a typed path.
    pub async fn complete_path(&self, typed: String) -> Vec<String> {
        let home = self.surroundings.environment().home();
        blocking(move || workspace::complete(&typed, home.as_deref())).await.unwrap_or_default()
    }

    /// Every engine there is to choose from, and what comes of asking it.
    pub async fn engines(&self) -> Vec<Surveyed> {
        self.surroundings.engines().await
    }

    async fn check(&self, path: String) -> Result<Workspace, Failure> {
        let home = self.surroundings.environment().home();
        blocking(move || Workspace::open(&path, home.as_deref())).await?.map_err(Into::into)
    }

    async fn take_up(self: &Arc<Self>, run: record::Run) {
        let workspace = match self.check(run.workspace.display().to_string()).await {
            Ok(workspace) => workspace,
            Err(failure) => {
                let cause =
                    format!("The tab {} was interrupted and its folder cannot be opened. {}", run.title, failure.cause);
                let mut open = self.open();
                let problem = open.problems.add(Failure { cause, ..failure });
                open.lost.push((problem, TabId(run.tab)));
                return;
            }
        };
        let id = TabId(run.tab.clone());
        let file =
            sessions::file(&self.surroundings.claude_folder(workspace.path()), workspace.path(), &run.conversation);
        let said = match file {
            Some(file) => blocking(move || history::read(&file)).await.ok().and_then(Result::ok).unwrap_or_default(),
            None => Vec::new(),
        };
        let cut = run.turn;
        self.add(Opening { id: id.clone(), workspace, title: run.title.clone(), left: Some((run, said)) });
        let mut open = self.open();
        // What was cut off is shown before what was not.
        let shown = open.active.as_ref().and_then(|active| open.tabs.iter().find(|(id, _)| id == active));
        if shown.is_none_or(|(_, tab)| cut && !tab.summary().borrow().interrupted) {
            open.active = Some(id);
        }
    }

    fn add(self: &Arc<Self>, opening: Opening) {
        let id = opening.id.clone();
        let tab = Arc::new(Tab::open(opening, Arc::clone(&self.surroundings)));
        let mut summary = tab.summary();
        self.open().tabs.push((id, tab));
        self.refresh();
        // Ends with the tab; it holds the app only while it tells it something.
        let app = Arc::downgrade(self);
        tokio::spawn(async move {
            while summary.changed().await.is_ok() {
                match app.upgrade() {
                    Some(app) => app.refresh(),
                    None => break,
                }
            }
        });
    }

    /// A second tab in the same folder is told apart by a number.
    fn title(&self, workspace: &Workspace) -> String {
        let name = workspace.name();
        let window = self.window.borrow();
        let taken = |title: &str| window.tabs.iter().any(|tab| tab.title == title);
        if !taken(&name) {
            return name;
        }
        (2..=1000).map(|number| format!("{name} ({number})")).find(|title| !taken(title)).unwrap_or(name)
    }

    fn remember(&self, path: PathBuf) {
        let recent = {
            let mut open = self.open();
            open.recent.retain(|known| *known != path);
            open.recent.insert(0, path);
            open.recent.truncate(RECENT);
            open.recent.clone()
        };
        let file = self.surroundings.home().recent();
        tokio::task::spawn_blocking(move || {
            let written = serde_json::to_vec_pretty(&recent)
                .map_err(std::io::Error::from)
                .and_then(|text| file::replace(&file, &text));
            if let Err(error) = written {
                tracing::warn!(%error, "the recent folders were not written");
            }
        });
    }

    fn refresh(&self) {
        // Told under the lock, so that of two changes the later one is told last.
        let open = self.open();
        let state = WindowState {
            tabs: open.tabs.iter().map(|(_, tab)| tab.summary().borrow().clone()).collect(),
            active: open.active.clone(),
            recent: open.recent.clone(),
            settings: self.settings.borrow().clone(),
            problems: open.problems.list().to_vec(),
            leaving: open.leaving.clone(),
        };
        self.window.send_if_modified(|old| {
            let changed = **old != state;
            *old = Arc::new(state);
            changed
        });
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // Nothing that holds the lock can panic half-way through a change.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure::new(Code::Gone, "Gemra is ending", format!("{error}."), "Start it again."))
}
