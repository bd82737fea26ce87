//! What stands in the page, read in one script so that all of it is of one moment, and the waits on it. It reads and
//! changes nothing; what a person does is `verbs.rs`'s.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::app::{App, LOOK, SOON};

/// The page at one moment.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// The tab bar is there.
    pub has_tab_bar: bool,
    /// The tabs, in order.
    pub tabs: Vec<TabMark>,
    /// The entries of the transcript that are mounted, in order.
    pub entries: Vec<Entry>,
    /// How many unanswered questions there are.
    pub asks: usize,
    /// The text in the composer; none where there is no composer.
    pub composer: Option<String>,
    /// The send button is there.
    pub has_send: bool,
    /// The stop button is there: a turn runs.
    pub has_stop: bool,
    /// The typed path of the new-tab page; none where that page is not shown.
    pub workspace_path: Option<String>,
    /// `data-state` of the container button; none where there is none.
    pub container: Option<String>,
    /// The accessible name of the container button.
    pub container_name: Option<String>,
    /// The text of the open container details.
    pub details: Option<String>,
    /// `data-code` of the open container details: the class of the failure that they tell.
    pub details_code: Option<String>,
    /// The text of the open build log.
    pub build_log: Option<String>,
    /// What the guard shows while it asks.
    pub guard: Option<String>,
    /// What the project asks for, while the user is asked.
    pub trust: Option<String>,
    /// What went wrong outside any tab.
    pub problems: Vec<Trouble>,
    /// Every failure that is shown anywhere in the page, those outside any tab included.
    pub failures: Vec<Trouble>,
    /// The test id of what has the keyboard's focus, or of what that stands in; none where nothing has it.
    pub focus: Option<String>,
    /// What was said to a screen reader last.
    pub announced: String,
    /// Everything that can be read in the page.
    pub text: String,
    /// The same with what is folded away.
    pub whole_text: String,
}

/// A tab in the tab bar.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TabMark {
    /// `data-tab-id`.
    pub id: String,
    /// `data-active`.
    pub active: bool,
    /// It has the keyboard's focus, and not its close button.
    pub focused: bool,
    /// What it reads.
    pub text: String,
}

/// An entry of the transcript.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// `data-kind`.
    pub kind: String,
    /// `data-streaming`.
    pub streaming: bool,
    /// `data-queued`: a message that still waits for the agent.
    pub queued: bool,
    /// `data-code` of an error: its class.
    pub code: Option<String>,
    /// What it reads.
    pub text: String,
    /// How many characters its whole text has, folded parts included.
    pub length: usize,
}

/// A failure that the page shows.
#[derive(Debug, Clone, Deserialize)]
pub struct Trouble {
    /// `data-code`: its class.
    pub code: String,
    /// What it reads.
    pub text: String,
}

const READ: &str = r#"
const all = id => [...document.querySelectorAll(`[data-testid="${id}"]`)];
const one = id => document.querySelector(`[data-testid="${id}"]`);
const text = id => one(id)?.innerText ?? null;
const trouble = e => ({ code: e.dataset.code ?? '', text: e.innerText });
return {
  hasTabBar: one('tab-bar') !== null,
  tabs: all('tab').map(e => ({
    id: e.dataset.tabId ?? '', active: e.dataset.active === 'true', text: e.innerText,
    focused: e.querySelector('[role=tab]') === document.activeElement,
  })),
  entries: all('entry').map(e => ({
    kind: e.dataset.kind ?? '', streaming: e.dataset.streaming === 'true', queued: e.dataset.queued === 'true',
    code: e.dataset.code ?? null, text: e.innerText, length: e.textContent.length,
  })),
  asks: all('ask').length,
  composer: one('composer')?.value ?? null,
  hasSend: one('send') !== null,
  hasStop: one('stop') !== null,
  workspacePath: one('workspace-path')?.value ?? null,
  container: one('container-button')?.dataset.state ?? null,
  containerName: one('container-button')?.getAttribute('aria-label') ?? text('container-button'),
  details: text('container-details'),
  detailsCode: one('container-details')?.dataset.code ?? null,
  buildLog: text('build-log'),
  guard: text('guard'),
  trust: text('trust'),
  problems: all('problem').map(trouble),
  failures: [...document.querySelectorAll('[data-code]')].map(trouble),
  focus: document.activeElement?.closest('[data-testid]')?.dataset.testid ?? null,
  announced: one('announcer')?.textContent.trim() ?? '',
  text: document.body?.innerText ?? '',
  wholeText: document.body?.textContent ?? '',
};
"#;

const PAINTED: &str = "
const done = arguments[0];
const late = setTimeout(() => done(false), 5000);
const painted = () => { clearTimeout(late); done(true); };
requestAnimationFrame(() => requestAnimationFrame(painted));
";

impl Page {
    /// The entries of a kind, in order.
    pub fn of_kind(&self, kind: &str) -> Vec<&Entry> {
        self.entries.iter().filter(|entry| entry.kind == kind).collect()
    }

    /// The latest entry of a kind.
    pub fn last_of(&self, kind: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.kind == kind)
    }

    /// True where a finished entry of the kind contains the text.
    pub fn shows(&self, kind: &str, text: &str) -> bool {
        self.entries.iter().any(|entry| entry.kind == kind && !entry.streaming && entry.text.contains(text))
    }

    /// The active tab.
    pub fn active(&self) -> Option<&TabMark> {
        self.tabs.iter().find(|tab| tab.active)
    }
}

impl App {
    /// The page as it is now.
    pub async fn page(&self) -> Page {
        match self.try_page().await {
            Ok(page) => page,
            Err(error) => panic!("the page cannot be read: {error}\n{}", self.log_tail()),
        }
    }

    /// Waits for a condition on the page and gives what it found.
    pub async fn until<T>(&self, what: &str, within: Duration, check: impl AsyncFn(&Page) -> Option<T>) -> T {
        let deadline = Instant::now() + within;
        loop {
            // A page that is just being built cannot be read yet; that is a reason to look again.
            let read = self.try_page().await;
            if let Ok(page) = &read
                && let Some(found) = check(page).await
            {
                return found;
            }
            if Instant::now() >= deadline {
                self.give_up(&format!("not within {within:?}: {what}"), read).await;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits for an entry of the kind that is finished and contains the text.
    pub async fn until_entry(&self, kind: &str, text: &str, within: Duration) -> Entry {
        let what = format!("a finished entry of kind {kind} with {text:?}");
        self.until(&what, within, async |page| {
            page.entries.iter().find(|e| e.kind == kind && !e.streaming && e.text.contains(text)).cloned()
        })
        .await
    }

    /// Waits until a failure of exactly this class is shown that reads all these words, and gives what it reads.
    pub async fn until_failure(&self, class: &str, words: &[&str], within: Duration) -> String {
        let what = format!("a failure of class {class} with {words:?}");
        self.until(&what, within, async |page| {
            let told =
                |trouble: &&Trouble| trouble.code == class && words.iter().all(|words| trouble.text.contains(words));
            page.failures.iter().find(told).map(|trouble| trouble.text.clone())
        })
        .await
    }

    /// Waits until this has the keyboard's focus.
    pub async fn until_focus(&self, id: &str) {
        let what = format!("{id} has the focus");
        self.until(&what, SOON, async |page| (page.focus.as_deref() == Some(id)).then_some(())).await;
    }

    /// Waits until no turn runs.
    pub async fn until_idle(&self, within: Duration) {
        self.until("no turn runs", within, async |page| (page.composer.is_some() && !page.has_stop).then_some(()))
            .await;
    }

    /// Watches that a condition holds on every look for a while: for what must not happen.
    pub async fn holds(&self, what: &str, during: Duration, check: impl Fn(&Page) -> bool) {
        let deadline = Instant::now() + during;
        while Instant::now() < deadline {
            let read = self.try_page().await;
            if !read.as_ref().is_ok_and(&check) {
                self.give_up(&format!("it did not stay so: {what}"), read).await;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Saves a screenshot as `target/screens/NAME.png`, of what the document holds now.
    pub async fn screenshot(&self, name: &str) -> PathBuf {
        self.until_painted().await;
        match self.try_screenshot(name).await {
            Ok(path) => path,
            Err(error) => panic!("no screenshot {name}: {error}"),
        }
    }

    /// Runs a script in the page and gives its value.
    pub async fn script(&self, script: &str) -> serde_json::Value {
        match self.driver.execute(script, Vec::new()).await {
            Ok(value) => value.json().clone(),
            Err(error) => panic!("the script failed: {error}\n{script}"),
        }
    }

    /// Fails the test with everything that helps to see why.
    pub async fn fail(&self, message: &str) -> ! {
        let read = self.try_page().await;
        self.give_up(message, read).await
    }

    /// Waits until the document as it is has been painted. The picture is of the screen, which is a frame behind it: the
    /// first callback runs before that frame is painted, the second one after it.
    async fn until_painted(&self) {
        let painted = self.driver.execute_async(PAINTED, Vec::new()).await;
        match painted.map(|said| said.json() == true) {
            Ok(true) => {}
            Ok(false) => self.fail("the page painted no two frames within five seconds").await,
            Err(error) => self.fail(&format!("the page cannot be asked for its frames: {error}")).await,
        }
    }

    async fn try_page(&self) -> Result<Page, String> {
        let value = self.driver.execute(READ, Vec::new()).await.map_err(|error| error.to_string())?;
        serde_json::from_value(value.json().clone()).map_err(|error| error.to_string())
    }

    async fn try_screenshot(&self, name: &str) -> Result<PathBuf, String> {
        let folder = super::target().join("screens");
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let path = folder.join(format!("{name}.png"));
        self.driver.screenshot(&path).await.map_err(|error| error.to_string())?;
        Ok(path)
    }

    async fn give_up(&self, message: &str, read: Result<Page, String>) -> ! {
        let shot = match self.try_screenshot(&format!("failed-{}", self.name)).await {
            Ok(path) => path.display().to_string(),
            Err(error) => format!("none ({error})"),
        };
        let page = match read {
            Ok(page) => brief(&page),
            Err(error) => format!("cannot be read: {error}"),
        };
        panic!("{message}\nscreenshot: {shot}\npage: {page}\nthe app's last output:\n{}", self.log_tail());
    }
}

/// The page without what would bury the rest.
fn brief(page: &Page) -> String {
    let mut page = page.clone();
    for entry in &mut page.entries {
        cut(&mut entry.text, 400);
    }
    cut(&mut page.text, 3000);
    page.whole_text.clear();
    format!("{page:#?}")
}

fn cut(text: &mut String, most: usize) {
    if let Some((at, _)) = text.char_indices().nth(most) {
        text.truncate(at);
        text.push('…');
    }
}
