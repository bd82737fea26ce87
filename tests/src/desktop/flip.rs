//! Moving the agent with the Container button, and what the engine then holds for this home. It knows the button's
//! states and the labels that the contract names, and nothing of how Gemra does it.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use bollard::models::{ContainerInspectResponse, ContainerSummary};
use bollard::query_parameters::ListContainersOptionsBuilder;

use crate::engine::{Engine, see};
use crate::model_api::{Ending, ModelApi, Recorded};

use super::app::{App, LONG, LOOK, SOON};
use super::{Home, Options, Page};

/// How long an image may take that nobody has built yet: all of its packages come over the network.
pub const BUILT: Duration = Duration::from_mins(10);
/// The Dockerfile that Gemra brings along, as a workspace's own that adds to it begins.
pub const DOCKERFILE: &str = include_str!("../../../Dockerfile.claude");

impl Options {
    /// With the engine of the tests.
    #[must_use]
    pub fn engine(self) -> Self {
        self.env("DOCKER_HOST", Engine::shared().address())
    }
}

impl App {
    /// Waits until the button says this state. An error that was not waited for fails at once.
    pub async fn until_container(&self, state: &str, within: Duration) -> Page {
        let deadline = Instant::now() + within;
        loop {
            let page = self.page().await;
            match page.container.as_deref() {
                Some(now) if now == state => return page,
                Some("error") => {
                    let details = self.details().await;
                    self.fail(&format!("the button says error where {state} was waited for:\n{details}")).await;
                }
                _ if Instant::now() >= deadline => {
                    self.fail(&format!("the button does not say {state} within {within:?}")).await;
                }
                _ => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// Clicks the button and waits until the agent runs in the container.
    pub async fn enter(&self) -> Page {
        self.click("container-button").await;
        self.until_container("running", BUILT).await
    }

    /// Clicks the button and waits until the agent is back on the host.
    pub async fn leave(&self) -> Page {
        self.click("container-button").await;
        self.until_container("off", LONG).await
    }

    /// Gives the container up after an error, and waits until the agent is the host's again.
    pub async fn use_host(&self) {
        self.details().await;
        self.click("use-host").await;
        // The button says the error until the click has been taken.
        let past = |page: &Page| page.container.as_deref() != Some("error");
        self.until("the error is over", SOON, async |page| past(page).then_some(())).await;
        self.until_container("off", LONG).await;
    }

    /// What the details say, opened by the pointer where they are not open yet.
    pub async fn details(&self) -> String {
        if let Some(details) = self.page().await.details {
            return details;
        }
        // A pointer that the driver thinks to be on the button already would not be moved.
        self.hover("tab-bar").await;
        self.hover("container-button").await;
        self.until("the details are open", SOON, async |page| page.details.clone()).await
    }

    /// From now on every state of the button is written down, also one too short to be met by looking.
    pub async fn watch_states(&self) {
        self.script(
            "window.seenStates = [];
             const note = () => {
               const now = document.querySelector('[data-testid=container-button]')?.dataset.state;
               if (now !== undefined && now !== window.seenStates.at(-1)) window.seenStates.push(now);
             };
             note();
             new MutationObserver(note).observe(document, {subtree: true, childList: true, attributes: true});
             return true;",
        )
        .await;
    }

    /// The states since [`watch_states`](Self::watch_states), in order.
    pub async fn seen_states(&self) -> Vec<String> {
        let seen = self.script("return window.seenStates;").await;
        let states = seen.as_array().map(|states| states.iter().filter_map(|state| state.as_str().map(str::to_owned)));
        states.map(Iterator::collect).unwrap_or_default()
    }

    /// Allows what the agent asks, and waits for the answer that contains the text.
    pub async fn allow_until(&self, text: &str) {
        self.until("the agent asks", LONG, async |page| (page.asks == 1).then_some(())).await;
        self.click("allow").await;
        self.until_entry("assistant", text, LONG).await;
        self.until_idle(SOON).await;
    }

    /// Begins a turn of a minute, and sends a message behind it.
    pub async fn stream_and_send(&self, waiting: &str) {
        self.send("slow: 600 100").await;
        self.until("the answer streams", LONG, async |page| {
            page.last_of("assistant").filter(|entry| entry.streaming && entry.text.contains("w3")).map(drop)
        })
        .await;
        self.send(&format!("say: {waiting}")).await;
        self.until("the second message waits", SOON, async |page| {
            page.entries.iter().any(|entry| entry.queued && entry.text.contains(waiting)).then_some(())
        })
        .await;
    }

    /// After a move in the middle of [`stream_and_send`](Self::stream_and_send): the turn was cut short and is marked,
    /// and what waited is answered, in one conversation, which is returned.
    ///
    /// # Panics
    /// Where it is otherwise.
    pub async fn cut_and_answered(&self, api: &ModelApi, waiting: &str) -> String {
        self.until_entry("assistant", waiting, LONG).await;
        self.until_idle(SOON).await;
        let page = self.page().await;
        let users = page.of_kind("user");
        assert_eq!(users.len(), 2, "each message is there once: {:#?}", page.entries);
        assert!(users[0].text.contains("Interrupted"), "the turn is marked: {:#?}", users[0]);
        assert!(!users[1].text.contains("Interrupted") && !users[1].queued, "the other was not: {:#?}", users[1]);
        assert!(page.of_kind("error").is_empty(), "what the user asked for is no error: {:#?}", page.entries);
        assert!(!page.text.contains("w599"), "the answer was cut short");
        let requests = api.main_requests();
        assert_eq!(requests[0].ended, Some(Ending::Left), "nobody listens to the first answer any more");
        let last = requests.last().map(Recorded::conversation).unwrap_or_default();
        assert!(last.contains("slow: 600") && last.contains(waiting), "it is one conversation: {last}");
        last
    }

    /// The clipboard's text, pasted into the composer, which is empty before and after.
    pub async fn clipboard(&self) -> String {
        self.click("composer").await;
        self.press_control('v').await;
        let pasted = self
            .until("the clipboard is pasted", SOON, async |page| page.composer.clone().filter(|text| !text.is_empty()))
            .await;
        self.empty("composer").await;
        pasted
    }
}

/// The containers that the engine holds for this home's tabs, running or not.
///
/// # Panics
/// Where the engine does not list them.
pub async fn containers(home: &Home) -> Vec<ContainerSummary> {
    let filters = HashMap::from([("label".to_owned(), vec!["dev.gemra.managed=1".to_owned()])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let mut found = Engine::shared().api().list_containers(Some(options)).await.expect("the engine lists containers");
    let work = home.path("work");
    // Where the engine is not the tests' own, it may hold somebody's real work.
    found.retain(|container| {
        let workspace = container.labels.as_ref().and_then(|labels| labels.get("dev.gemra.workspace"));
        workspace.is_some_and(|workspace| Path::new(workspace).starts_with(&work))
    });
    found
}

/// The one container of this home, as the engine's inspection tells it.
///
/// # Panics
/// Where there is none, or another one.
pub async fn container(home: &Home) -> ContainerInspectResponse {
    let found = containers(home).await;
    assert_eq!(found.len(), 1, "there is one container: {found:#?}");
    let id = found[0].id.as_deref().expect("a container has an id");
    see::inspect(Engine::shared(), id).await
}

/// Waits until the engine holds no container for this home.
///
/// # Panics
/// Where it still does after `within`.
pub async fn until_no_container(home: &Home, within: Duration) {
    see::until("no container is left", within, async || containers(home).await.is_empty().then_some(())).await;
}

/// Asserts that the engine holds no container for this home, now.
///
/// # Panics
/// Where it does.
pub async fn assert_no_container(home: &Home) {
    let left = containers(home).await;
    assert!(left.is_empty(), "no container is there while the agent is on the host: {left:#?}");
}
