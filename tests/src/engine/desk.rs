//! A tab without a window whose agent moves into a real container: everything of Gemra between a click and an agent
//! that answers, from the environment and the settings on. The agent on the host is the scripted one under a version of
//! the test's choice; the one in the container is the workspace's own, and runs a script that the test has written.

mod credentials;

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bollard::models::ContainerInspectResponse;
use gemra_core::app::App;
use gemra_core::container::state::State;
use gemra_core::environment::Environment;
use gemra_core::failure::Failure;
use gemra_core::settings::container::Wishes;
use gemra_core::settings::{Settings, Variables};
use gemra_core::stream::{Change, Frame};
use gemra_core::tab::view::ContainerView;
use gemra_core::tab::{Tab, TabId};
use gemra_core::trust::{Decision, Widening};
use tempfile::TempDir;
use tokio::sync::watch;

use super::{Engine, see};
use crate::desktop::{make_executable, program};
use crate::spawn;

/// How long an image may take that nobody has built yet.
const BUILT: Duration = Duration::from_mins(10);
/// How long something may take to be told that is found out beside the agent.
const FACT: Duration = Duration::from_mins(3);
/// An agent that runs `at-start.sh` of the workspace, in its own environment, before it answers the handshake. It keeps
/// its conversation where the CLI does, writes its arguments to `argv.txt`, and tells its version as the CLI does. What
/// the user says is `sh COMMAND`, `complain WORDS` (on stderr), `die CODE`, `deaf` (it answers no request any more),
/// `eat` (all memory), `slow` (a turn that ends by an interruption alone, of which it keeps a note), `remember` (it keeps
/// a last word when its input ends, and takes a moment for it), `call TOOL COMMAND` and `asked TOOL COMMAND` (a tool call
/// that runs the command, the second after it was allowed; it does not live through `die`), or anything else, which it
/// does not mind.
pub const AGENT: &str = include_str!("desk/agent.js");

/// Folders, an environment and settings for an app that is still to be started.
#[derive(Debug)]
pub struct Desk {
    folder: TempDir,
    project: PathBuf,
    environment: BTreeMap<String, String>,
    settings: Settings,
    credentials: Vec<(String, String)>,
    engine: &'static Engine,
}

/// A tab of a started app.
#[derive(Debug)]
pub struct Moving {
    app: Arc<App>,
    tab: Arc<Tab>,
    id: TabId,
    seen: watch::Receiver<Option<ContainerView>>,
    asked: watch::Receiver<Option<Vec<Widening>>>,
    desk: Desk,
}

impl Desk {
    /// One at the shared engine, whose host's CLI says that it is 9.9.9.
    ///
    /// # Panics
    /// Where its folders cannot be made.
    pub fn new() -> Self {
        Self::at(Engine::shared())
    }

    /// The same at another engine.
    ///
    /// # Panics
    /// Where its folders cannot be made.
    pub fn at(engine: &'static Engine) -> Self {
        let folder = tempfile::Builder::new().prefix("gemra-desk-").tempdir().expect("a temp folder");
        // The agent in the container may be another user.
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("it is ours");
        for name in ["home", "user", "project"] {
            std::fs::create_dir(folder.path().join(name)).expect("a new folder");
        }
        let path = |name: &str| folder.path().join(name).display().to_string();
        let environment = BTreeMap::from([
            ("HOME".to_owned(), path("user")),
            ("GEMRA_HOME".to_owned(), path("home")),
            ("GEMRA_CLAUDE".to_owned(), path("claude")),
            ("DOCKER_HOST".to_owned(), engine.address().to_owned()),
        ]);
        let project = folder.path().join("project");
        let (settings, credentials) = (Settings::default(), Vec::new());
        let desk = Self { folder, project, environment, settings, credentials, engine };
        desk.give_workspace();
        desk.host_version("echo '9.9.9 (Claude Code)'")
    }

    /// The same with a workspace in a folder of this name below the usual one. To be said first.
    ///
    /// # Panics
    /// Where it cannot be made.
    #[must_use]
    pub fn below(mut self, name: &str) -> Self {
        self.project.push(name);
        std::fs::create_dir_all(&self.project).expect("the folder is ours");
        self.give_workspace();
        self
    }

    /// Moves the agent as another user, who has these groups beside the first, in a process of its own; what that says
    /// at the end. Only root can do so.
    ///
    /// # Panics
    /// Where the process cannot be started, or fails.
    pub fn enter_as(&self, user: u32, groups: &[u32]) -> String {
        self.probe_as("enter", user, groups)
    }

    /// The same, and back to the host before the end.
    ///
    /// # Panics
    /// Where the process cannot be started, or fails.
    pub fn enter_and_leave_as(&self, user: u32) -> String {
        self.probe_as("enter-and-leave", user, &[])
    }

    fn probe_as(&self, what: &str, user: u32, groups: &[u32]) -> String {
        for name in ["home", "user"] {
            chown(self.folder.path().join(name), Some(user), Some(user)).expect("root gives folders away");
        }
        // Where everybody can start them: the target folder may lie where others cannot look.
        let [probe, agent] = ["engine-probe", "scripted-agent"].map(|name| self.folder.path().join(name));
        std::fs::copy(program("engine-probe"), &probe).expect("the folder is ours");
        std::fs::copy(program("scripted-agent"), &agent).expect("the folder is ours");
        let claude = self.folder.path().join("claude");
        let text = std::fs::read_to_string(&claude).expect("the folder is ours");
        let text = text.replace(&program("scripted-agent").display().to_string(), &agent.display().to_string());
        std::fs::write(&claude, text).expect("the folder is ours");
        let groups = groups.iter().fold(user.to_string(), |list, group| format!("{list},{group}"));
        let mut command = spawn::command("setpriv");
        command.arg(format!("--reuid={user}")).arg(format!("--regid={user}")).arg(format!("--groups={groups}"));
        command.arg("--").arg(&probe).arg(what).arg(self.workspace());
        command.env_clear().envs(&self.environment).env("DOCKER_HOST", self.engine.open_address());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).current_dir(self.folder.path());
        let output = spawn::output(&mut command).expect("setpriv starts the probe");
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert!(output.status.success(), "the probe runs: {said} {}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// What the script in the container has said, stderr included.
    ///
    /// # Panics
    /// Where it has said nothing.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.workspace().join("said.txt")).expect("the script has run")
    }

    fn give_workspace(&self) {
        if rustix::process::geteuid().is_root() {
            chown(&self.project, Some(1000), Some(1000)).expect("root gives folders away");
        }
    }

    /// The same with another variable in the app's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The same with a variable that the settings give to the project.
    ///
    /// # Panics
    /// Where the folder's name is not text.
    #[must_use]
    pub fn project_variable(mut self, name: &str, value: &str) -> Self {
        let workspace = self.workspace().to_str().expect("our own name is text").to_owned();
        let known: &mut Variables = self.settings.environment.entry(workspace).or_default();
        known.0.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The same with these wishes for containers in the settings.
    #[must_use]
    pub fn wishes(mut self, wishes: Wishes) -> Self {
        self.settings.container = wishes;
        self
    }

    /// The same with a change to what the settings wish for containers.
    #[must_use]
    pub fn wishing(mut self, change: impl FnOnce(&mut Wishes)) -> Self {
        change(&mut self.settings.container);
        self
    }

    /// The same with a certificate in the settings.
    ///
    /// # Panics
    /// Where it cannot be written.
    #[must_use]
    pub fn certificate(mut self, pem: &str) -> Self {
        let file = self.folder.path().join(format!("company-{}.pem", self.settings.certificates.len()));
        std::fs::write(&file, pem).expect("the folder is ours");
        self.settings.certificates.push(file);
        self
    }

    /// The same with a CLI on the host that answers `--version` by this shell command.
    ///
    /// # Panics
    /// Where it cannot be written.
    #[must_use]
    pub fn host_version(self, command: &str) -> Self {
        let file = self.folder.path().join("claude");
        let agent = program("scripted-agent");
        let text = format!(
            "#!/bin/sh\nif [ \"$1\" = --version ]; then {command}; exit; fi\nexec '{}' \"$@\"\n",
            agent.display()
        );
        std::fs::write(&file, text).expect("the folder is ours");
        make_executable(&file);
        self
    }

    /// The same with a Dockerfile of the workspace's own: these instructions, then the agent that runs `script`.
    ///
    /// # Panics
    /// Where it cannot be written.
    #[must_use]
    pub fn dockerfile(self, instructions: &str, script: &str) -> Self {
        let workspace = self.workspace();
        let agent = workspace.join("claude.js");
        std::fs::write(&agent, AGENT).expect("the folder is ours");
        make_executable(&agent);
        let text = format!("{instructions}\nUSER root\nCOPY claude.js /usr/local/bin/claude\n");
        std::fs::write(workspace.join("Dockerfile.claude"), text).expect("the folder is ours");
        std::fs::write(workspace.join("at-start.sh"), script).expect("the folder is ours");
        self
    }

    /// The same with a `devcontainer.json` of the workspace's own, and a Dockerfile beside it: these instructions, then
    /// the agent that runs `script`. The build's context is the workspace.
    ///
    /// # Panics
    /// Where it cannot be written.
    #[must_use]
    pub fn devcontainer(self, json: &str, instructions: &str, script: &str) -> Self {
        let desk = self.dockerfile(instructions, script);
        let folder = desk.workspace().join(".devcontainer");
        std::fs::create_dir_all(&folder).expect("the folder is ours");
        let dockerfile = desk.workspace().join("Dockerfile.claude");
        std::fs::rename(dockerfile, folder.join("Dockerfile")).expect("both are ours");
        desk.file(".devcontainer/devcontainer.json", json)
    }

    /// The same with a file in the workspace.
    ///
    /// # Panics
    /// Where it cannot be written.
    #[must_use]
    pub fn file(self, path: &str, text: &str) -> Self {
        let path = self.workspace().join(path);
        std::fs::write(path, text).expect("the folder is ours");
        self
    }

    /// The workspace, links resolved.
    ///
    /// # Panics
    /// Where it has gone.
    pub fn workspace(&self) -> PathBuf {
        self.project.canonicalize().expect("the workspace is there")
    }

    /// Starts the app and opens the tab.
    ///
    /// # Panics
    /// Where that fails.
    pub async fn open(self) -> Moving {
        let pairs = self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let app = App::start(Environment::of(pairs), None).await.expect("the home is free");
        app.save_settings(self.settings.clone()).await.expect("the settings are valid");
        for (variable, value) in &self.credentials {
            app.set_credential(variable, value).await.expect("the key can be kept");
        }
        let id = app.open_tab("open", self.workspace().display().to_string()).await.expect("the workspace opens");
        let tab = app.tab(&id).expect("the tab is open");
        let (sender, seen) = watch::channel(None);
        let (asks, asked) = watch::channel(None);
        let sink = move |frame: Frame| {
            let views = match frame {
                Frame::Snapshot(snapshot) => vec![snapshot.view],
                Frame::Changes { changes, .. } => changes
                    .into_iter()
                    .filter_map(|change| if let Change::View(view) = change { Some(*view) } else { None })
                    .collect(),
            };
            if let Some(view) = views.into_iter().next_back() {
                asks.send_replace(view.trust);
                sender.send_replace(Some(view.container));
            }
            true
        };
        tab.watch(Box::new(sink)).await.expect("the tab is open");
        Moving { app, tab, id, seen, asked, desk: self }
    }
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}

impl Moving {
    /// The app.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// The tab.
    pub fn tab(&self) -> &Arc<Tab> {
        &self.tab
    }

    /// Clicks the button and waits until the agent in the container has answered.
    ///
    /// # Panics
    /// Where it does not get there.
    pub async fn enter(&mut self) -> ContainerView {
        let view = self.click().await;
        assert_eq!(view.state, State::Running, "the agent runs in the container");
        view
    }

    /// The same, where the user allows what the project is asked about: off the host's network that is the build of its
    /// Dockerfile, once.
    ///
    /// # Panics
    /// Where it does not get there.
    pub async fn enter_allowing(&mut self) -> ContainerView {
        let (tab, mut asked) = (Arc::clone(&self.tab), self.asked.clone());
        let allowing = tokio::spawn(async move {
            if asked.wait_for(Option::is_some).await.is_ok() {
                tab.answer_trust(Decision::Allow);
            }
        });
        let view = self.enter().await;
        allowing.abort();
        view
    }

    /// Clicks the button and waits until the user is asked what the project may; what is asked.
    ///
    /// # Panics
    /// Where nothing is asked.
    pub async fn asked(&mut self) -> Vec<Widening> {
        self.tab.toggle_container(uuid::Uuid::new_v4().to_string());
        let asked = tokio::time::timeout(BUILT, self.asked.wait_for(Option::is_some));
        let asked = asked.await.expect("the user is asked in time").expect("the tab is open").clone();
        asked.expect("it was waited for")
    }

    /// Answers, and waits where that leads.
    ///
    /// # Panics
    /// Where it leads nowhere.
    pub async fn answer(&mut self, decision: Decision) -> ContainerView {
        self.tab.answer_trust(decision);
        let refused = decision == Decision::Refuse;
        let settled = self.seen.wait_for(|view| {
            view.as_ref().is_some_and(|view| match view.state {
                State::Running | State::Error { .. } => !refused,
                State::Off => refused,
                _ => false,
            })
        });
        let view = tokio::time::timeout(BUILT, settled).await.expect("the answer leads somewhere in time");
        let view = view.expect("the tab is open").clone().expect("the state was seen");
        // The next question shall not be taken for this one.
        let gone = tokio::time::timeout(BUILT, self.asked.wait_for(Option::is_none));
        gone.await.expect("the question goes in time").expect("the tab is open");
        view
    }

    /// Clicks the button and waits until the agent is back on the host.
    ///
    /// # Panics
    /// Where it does not come back.
    pub async fn leave(&mut self) {
        self.tab.toggle_container(uuid::Uuid::new_v4().to_string());
        let back = self.seen.wait_for(|view| view.as_ref().is_some_and(|view| view.state == State::Off));
        tokio::time::timeout(BUILT, back).await.expect("it comes back in time").expect("the tab is open");
    }

    /// The workspace.
    pub fn workspace(&self) -> PathBuf {
        self.desk.workspace()
    }

    /// Clicks the button and waits until it says why not.
    ///
    /// # Panics
    /// Where nothing fails.
    pub async fn refused(&mut self) -> Failure {
        match self.click().await.state {
            State::Error { failure, .. } => failure,
            state => panic!("it fails, and is not {state:?}"),
        }
    }

    async fn click(&mut self) -> ContainerView {
        self.tab.toggle_container(uuid::Uuid::new_v4().to_string());
        let settled = self.seen.wait_for(|view| {
            view.as_ref().is_some_and(|view| matches!(view.state, State::Running | State::Error { .. }))
        });
        let view = tokio::time::timeout(BUILT, settled).await.expect("the click leads somewhere in time");
        view.expect("the tab is open").clone().expect("the state was seen")
    }

    /// What the script in the container has said, stderr included.
    ///
    /// # Panics
    /// Where it has said nothing.
    pub fn said(&self) -> String {
        self.desk.said()
    }

    /// Waits until a fact of the details holds this text.
    ///
    /// # Panics
    /// Where it never does.
    pub async fn until_fact(&mut self, name: &str, text: &str) -> String {
        let mut last = String::new();
        let told = self.seen.wait_for(|view| {
            let found = view.iter().flat_map(|view| &view.facts).find(|(known, _)| known == name);
            last = found.map(|(_, value)| value.clone()).unwrap_or_default();
            last.contains(text)
        });
        let in_time = tokio::time::timeout(FACT, told).await.is_ok_and(|told| told.is_ok());
        assert!(in_time, "{name} says {text:?} in time, and not {last:?}");
        last
    }

    /// Saves other wishes for all containers, as the settings dialog does.
    ///
    /// # Panics
    /// Where they are not valid.
    pub async fn wish(&mut self, wishes: Wishes) {
        self.desk.settings.container = wishes;
        self.app.save_settings(self.desk.settings.clone()).await.expect("the settings are valid");
    }

    /// Chooses another engine for all projects, as the settings dialog does.
    ///
    /// # Panics
    /// Where that is not valid.
    pub async fn choose_engine(&mut self, setting: &str) {
        setting.clone_into(&mut self.desk.settings.engine);
        self.app.save_settings(self.desk.settings.clone()).await.expect("the settings are valid");
    }

    /// Opens another tab in the same workspace.
    ///
    /// # Panics
    /// Where it does not open.
    pub async fn another_tab(&self) -> Arc<Tab> {
        let request = uuid::Uuid::new_v4().to_string();
        let id = self.app.open_tab(&request, self.workspace().display().to_string()).await.expect("it opens");
        self.app.tab(&id).expect("the tab is open")
    }

    /// What is `GEMRA_HOME` to the app.
    pub fn home(&self) -> PathBuf {
        self.desk.folder.path().join("home")
    }

    /// Another app with the same environment, as soon as its home is free: one that has quit may still be sweeping.
    ///
    /// # Panics
    /// Where its home does not become free.
    pub async fn another_app(&self) -> Arc<App> {
        let environment = || {
            let pairs = self.desk.environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            Environment::of(pairs)
        };
        see::until("the home is free", FACT, async || App::start(environment(), None).await.ok()).await
    }

    /// The tab's id.
    pub fn id(&self) -> &TabId {
        &self.id
    }

    /// Waits until the details are as wanted, and gives them.
    ///
    /// # Panics
    /// Where they never are.
    pub async fn until(&mut self, what: &str, wanted: impl Fn(&ContainerView) -> bool) -> ContainerView {
        let seen = self.seen.wait_for(|view| view.as_ref().is_some_and(&wanted));
        let seen = tokio::time::timeout(Duration::from_mins(2), seen).await;
        seen.unwrap_or_else(|_| panic!("in time: {what}")).expect("the tab is open").clone().expect("it was seen")
    }

    /// The label that the tab's containers carry.
    pub fn label(&self) -> String {
        format!("dev.gemra.tab={}", self.id)
    }

    /// Clicks the button.
    pub fn toggle(&self) {
        self.tab.toggle_container(uuid::Uuid::new_v4().to_string());
    }

    /// Chooses between two versions of a file.
    pub fn answer_conflict(&self, root: &Path, path: &str, theirs: bool) {
        self.tab.answer_conflict(root.to_path_buf(), path.to_owned(), theirs);
    }

    /// The container, as the engine's inspection tells it.
    ///
    /// # Panics
    /// Where there is not exactly one.
    pub async fn container(&self) -> ContainerInspectResponse {
        let found = see::containers(Engine::shared(), &format!("dev.gemra.tab={}", self.id)).await;
        assert_eq!(found.len(), 1, "the tab has one container: {found:#?}");
        see::inspect(Engine::shared(), found[0].id.as_deref().expect("a container has an id")).await
    }

    /// Ends the app.
    ///
    /// # Panics
    /// Where it leaves a container.
    pub async fn quit(self) {
        self.app.quit().await;
        let left = see::containers(Engine::shared(), &format!("dev.gemra.tab={}", self.id)).await;
        assert!(left.is_empty(), "nothing is left after a quit: {left:#?}");
    }
}

/// A fact of the details, by its name.
///
/// # Panics
/// Where it is not told.
pub fn fact<'a>(view: &'a ContainerView, name: &str) -> &'a str {
    let found = view.facts.iter().find(|(known, _)| known == name);
    found.map_or_else(|| panic!("{name} is told among {:#?}", view.facts), |(_, value)| value)
}
