//! One run of the app: launched through its own `WebDriver`, ended with it. It knows how a run begins and ends; what is
//! in the page is `page.rs`'s.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use thirtyfour::common::capabilities::desiredcapabilities::Capabilities;
use thirtyfour::prelude::*;

use crate::model_api::ModelApi;
use crate::spawn;

use super::Home;
use super::stage::Stage;

/// How long a thing may take that takes a second when the machine is not busy.
pub const SOON: Duration = Duration::from_secs(20);
/// How long the agent may take for its start, or for a turn with several requests.
pub const LONG: Duration = Duration::from_mins(1);
/// How often a condition is looked at.
pub const LOOK: Duration = Duration::from_millis(50);

/// How a run shall be.
#[derive(Debug, Clone)]
pub struct Options {
    /// Workspaces to open, one tab each.
    pub workspaces: Vec<PathBuf>,
    /// The CLI; none gives no `GEMRA_CLAUDE`.
    pub claude: Option<PathBuf>,
    /// Additional variables; an empty value leaves one out that would be set.
    pub env: Vec<(String, String)>,
    /// Arguments before the workspaces.
    pub args: Vec<String>,
    /// The display's width and height in pixels.
    pub size: (u32, u32),
    /// Lines of shell that run before the app, with mounts that only it and what it starts can see. Only root can.
    pub mounts: Option<String>,
}

impl Options {
    /// The real CLI and these workspaces.
    pub fn real(workspaces: &[PathBuf]) -> Self {
        Self::with_agent(super::claude(), workspaces)
    }

    /// The scripted agent and these workspaces.
    pub fn scripted(workspaces: &[PathBuf]) -> Self {
        Self::with_agent(super::program("scripted-agent"), workspaces)
    }

    /// A CLI of the test's choice, which need not exist.
    pub fn with_agent(claude: PathBuf, workspaces: &[PathBuf]) -> Self {
        Self {
            workspaces: workspaces.to_vec(),
            claude: Some(claude),
            env: Vec::new(),
            args: Vec::new(),
            size: (1280, 860),
            mounts: None,
        }
    }

    /// With one more variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A running app.
#[derive(Debug)]
pub struct App {
    pub(super) driver: WebDriver,
    pub(super) name: String,
    stage: Stage,
    home: Arc<Home>,
    binary: PathBuf,
    pid: u32,
}

impl App {
    /// Launches the app and waits until its page is there. `name` is the test's, for its screenshots.
    pub async fn launch(name: &str, home: &Arc<Home>, api: &ModelApi, options: &Options) -> Self {
        let app = Self::start(name, home, api, options).await;
        app.until("the window shows its tab bar", LONG, async |page| page.has_tab_bar.then_some(())).await;
        app
    }

    /// Launches the app and waits for nothing in its page.
    pub async fn start(name: &str, home: &Arc<Home>, api: &ModelApi, options: &Options) -> Self {
        let stage = Stage::build(home, options.size, &environment(home, api, options));
        let binary = home.reach(&super::desktop_program());
        let mut args = options.args.clone();
        for workspace in &options.workspaces {
            args.push("--workspace".to_owned());
            args.push(workspace.display().to_string());
        }
        let mut capabilities = Capabilities::new();
        capabilities
            .set("webkitgtk:browserOptions", json!({"binary": starter(home, &binary, options), "args": args}))
            .unwrap_or_else(|error| panic!("capabilities are JSON: {error}"));
        let driver = match WebDriver::builder(stage.url(), capabilities).request_timeout(LONG).await {
            Ok(driver) => driver,
            Err(error) => panic!("the app did not come up: {error}\n{}", stage.log_tail()),
        };
        let pid = the_app(&stage, &binary);
        Self { driver, name: name.to_owned(), stage, home: Arc::clone(home), binary, pid }
    }

    /// Starts the program once more in the same home, and waits for its end. It gets no display: it needs none.
    pub fn start_again(&self, folder: &Path, args: &[&str]) -> std::process::Output {
        let mut command = spawn::command(&self.binary);
        command.env_clear().env("HOME", self.home.home()).env("GEMRA_HOME", self.home.gemra());
        command.current_dir(folder).args(args);
        spawn::output(&mut command).unwrap_or_else(|error| panic!("{}: {error}", self.binary.display()))
    }

    /// The folders it runs in.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The app's own process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Every process of the run that still lives: the app, the webview's, agents and what they started.
    pub fn processes(&self) -> Vec<u32> {
        self.stage.processes()
    }

    /// The processes of the run whose command line contains the text.
    pub fn processes_of(&self, text: &str) -> Vec<u32> {
        self.processes().into_iter().filter(|id| spawn::command_line(*id).contains(text)).collect()
    }

    /// What the app has written to its stdout and stderr, its end.
    pub fn log_tail(&self) -> String {
        self.stage.log_tail()
    }

    /// Kills the app at once, as the system would; the `WebDriver` stays, so that leftovers can be looked for.
    pub fn kill(&self) {
        spawn::kill(self.pid);
    }

    /// Asks the app to end with SIGTERM and waits until it has.
    pub async fn terminate(&self) {
        spawn::terminate(self.pid);
        self.until_dead(SOON).await;
    }

    /// Waits until the app's own process is gone.
    pub async fn until_dead(&self, within: Duration) {
        let deadline = Instant::now() + within;
        while spawn::alive(self.pid) {
            assert!(Instant::now() < deadline, "the app did not end within {within:?}\n{}", self.log_tail());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until no process of the run has the text in its command line.
    pub async fn until_gone(&self, text: &str, within: Duration) {
        let deadline = Instant::now() + within;
        loop {
            let left = self.processes_of(text);
            if left.is_empty() {
                return;
            }
            let lines: Vec<String> = left.iter().map(|id| format!("{id} {}", spawn::command_line(*id))).collect();
            assert!(Instant::now() < deadline, "still there after {within:?}: {lines:#?}\n{}", self.log_tail());
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // The stage ends the processes; a session that is asked to quit first would only wait for a dead app. It can
        // have quit before.
        let _ = self.driver.clone().leak();
    }
}

/// The app among the processes of its run.
fn the_app(stage: &Stage, binary: &std::path::Path) -> u32 {
    let binary = binary.canonicalize().unwrap_or_else(|error| panic!("{} has a path: {error}", binary.display()));
    let processes = stage.processes();
    let is_it = |id: &u32| std::fs::read_link(format!("/proc/{id}/exe")).is_ok_and(|exe| exe == binary);
    let found = processes.iter().copied().find(is_it);
    found.unwrap_or_else(|| panic!("no process of the run is {}\n{}", binary.display(), stage.log_tail()))
}

/// A program that starts the app with the user's HOME, and with mounts of its own where those are wanted. The
/// `WebDriver`, which starts it, has another HOME: what it keeps in its own is no doing of the app's.
fn starter(home: &Home, binary: &Path, options: &Options) -> PathBuf {
    let [starter, inner] = ["start-app", "start-app-inside"].map(|name| home.path(name));
    let (app, folder) = (binary.display(), home.home());
    let start = format!("HOME='{}' exec '{app}' \"$@\"\n", folder.display());
    let start = if let Some(mounts) = &options.mounts {
        home.write(&inner, &format!("#!/bin/sh\nset -eu\n{mounts}\n{start}"));
        format!("exec unshare --mount sh '{}' \"$@\"\n", inner.display())
    } else {
        start
    };
    home.write(&starter, &format!("#!/bin/sh\n{start}"));
    super::make_executable(&starter);
    starter
}

fn environment(home: &Home, api: &ModelApi, options: &Options) -> Vec<(String, String)> {
    let text = |path: PathBuf| path.display().to_string();
    let mut variables: Vec<(String, String)> = [
        ("GEMRA_HOME", text(home.gemra())),
        ("XDG_RUNTIME_DIR", text(home.runtime())),
        ("PATH", std::env::var("PATH").unwrap_or_default()),
        ("LANG", "C.UTF-8".to_owned()),
        ("SHELL", "/bin/sh".to_owned()),
        ("TAURI_WEBVIEW_AUTOMATION", "true".to_owned()),
        // The accessibility bus is not part of the stage, and looking for it costs seconds.
        ("NO_AT_BRIDGE", "1".to_owned()),
        ("ANTHROPIC_BASE_URL", api.url()),
        ("ANTHROPIC_API_KEY", "made-up-key-of-the-tests".to_owned()),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".to_owned()),
        ("DISABLE_AUTOUPDATER", "1".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec();
    if let Some(claude) = &options.claude {
        // One that is not there yet is named as it is.
        let claude = if claude.is_file() { home.reach(claude) } else { claude.clone() };
        variables.push(("GEMRA_CLAUDE".to_owned(), text(claude)));
    }
    for (name, value) in &options.env {
        variables.retain(|(known, _)| known != name);
        if !value.is_empty() {
            variables.push((name.clone(), value.clone()));
        }
    }
    variables
}
