//! The network of a tab's container: from the settings and the agent's variables to what is in effect, and to the words
//! in which the user is told of it. How it is done is `container::network`'s.

mod refusals;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::{Image, News, Order, labels};
use crate::container::engine::Engine;
use crate::container::engine::quirks::HostNetwork;
use crate::container::image::fit::Question;
use crate::container::network::allow::{Allowed, Target};
use crate::container::network::probe::{self, Finding, NoFinding, Outside, Tries};
use crate::container::network::proxy::{self, Rules, Upstream};
use crate::container::network::rewrite::HOST;
use crate::container::network::{self, Held, Inward, Wanted, usual_api};
use crate::container::run::Prepared;
use crate::container::spec::Wish;
use crate::failure::{Code, Failure};
use crate::settings::container::NetworkChoice;
use refusals::{Log, Noted};
pub use refusals::{Refusal, Refusals};

/// What the network is made from, for its label.
const SPEC: &str = "isolated-1";

/// A container's network, from before it is made until it is gone.
#[derive(Debug)]
pub(super) struct Network {
    held: Held,
    api: Target,
    order: Order,
}

impl Network {
    /// Makes what has to be there before the container. `variables` are those that the agent gets.
    pub(super) async fn hold(
        order: &Order,
        image: &Image,
        short_id: &str,
        variables: BTreeMap<String, String>,
        news: impl Fn(News) + Send + Sync + Clone + 'static,
    ) -> Result<Self, Failure> {
        let surroundings = &order.surroundings;
        let choice = surroundings.settings().wishes(order.workspace.path()).network.unwrap_or_default();
        let api = network::apis(&variables).into_iter().next().unwrap_or_else(usual_api);
        let forwards = choice == NetworkChoice::Isolated && forwards(order, image, &news).await?;
        let wanted = Wanted {
            choice,
            short_id: short_id.to_owned(),
            labels: labels(order).labels(SPEC),
            variables,
            rules: rules(order, news),
            forwards,
            folder: surroundings.home().sockets().join(surroundings.instance()).join(short_id),
        };
        let held = network::hold(&image.engine, wanted).await.map_err(|error| Failure::from(&error))?;
        Ok(Self { held, api, order: order.clone() })
    }

    /// What the container has to be made with.
    pub(super) fn apply(&self, wish: &mut Wish) {
        self.held.apply(wish);
    }

    /// Completes it when the container has started; tells what is in effect, tries from inside whether it is so, and
    /// ends all of it with the container. What is promised to hold somebody in is tried before anybody is let in.
    pub(super) async fn attend(
        mut self,
        engine: &Engine,
        prepared: &Prepared,
        news: impl Fn(News) + Send + Sync + Clone + 'static,
    ) -> Result<Inward, Failure> {
        self.held.settle(engine, &prepared.id).await.map_err(|error| Failure::from(&error))?;
        news(News::Fact("Network", in_words(&self.held)));
        let (inward, mut exit) = (self.held.inward(), prepared.exit());
        let (engine, id) = (engine.clone(), prepared.id.clone());
        let mut found = None;
        if self.held.choice() == NetworkChoice::Isolated {
            news(News::Phase("Trying what the container reaches".to_owned()));
            found = tokio::select! {
                // Whoever waits for its end, or does not want it any more, goes on by themselves.
                _ = exit.wait_for(Option::is_some) => return Ok(inward),
                () = self.order.wanted.cancelled() => return Ok(inward),
                found = self.look(&engine, &id) => Some(found),
            };
            if let Some(failure) = found.as_ref().and_then(|found| self.contradicted(found)) {
                return Err(failure);
            }
        }
        let running = CancellationToken::new();
        news(News::WhenRunning(running.clone()));
        tokio::spawn(async move {
            tokio::select! {
                _ = exit.wait_for(Option::is_some) => {}
                () = self.watch(&engine, &id, found, running, news) => {}
            }
            self.held.close().await;
        });
        Ok(inward)
    }

    /// Tries from inside what is reached.
    async fn look(&self, engine: &Engine, id: &str) -> Result<Finding, NoFinding> {
        let choice = self.held.choice();
        let found = if choice == NetworkChoice::Host && !self.held.is_led() {
            self.order.surroundings.tried().look(engine, id, &self.api).await
        } else {
            let outside = probe::outside(&self.api).await;
            let tries = Tries { outside: &outside, ours: self.held.ours(), led: self.held.is_led() };
            probe::look(engine, id, tries).await
        };
        tracing::info!(tab = %self.order.tab, ?choice, ?found, "what a container reaches");
        found
    }

    /// Why the container must not go on, after what was found.
    fn contradicted(&self, found: &Result<Finding, NoFinding>) -> Option<Failure> {
        let (choice, needs_loopback) = (self.held.choice(), self.held.needs_loopback());
        match found {
            Ok(finding) => {
                let mut places: Vec<String> = self.held.ours().iter().map(ToString::to_string).collect();
                if self.held.is_led() {
                    places.push(format!("{HOST}, by which name the engine is to lead to this machine"));
                }
                contradiction(choice, needs_loopback, *finding, &places)
            }
            Err(why) if choice == NetworkChoice::Isolated => Some(untried(why)),
            Err(_) => None,
        }
    }

    /// Tells what is found, and when the settings say otherwise than what is in effect. Never ends.
    async fn watch(
        &self,
        engine: &Engine,
        id: &str,
        found: Option<Result<Finding, NoFinding>>,
        running: CancellationToken,
        news: impl Fn(News),
    ) {
        let choice = self.held.choice();
        let mut settings = self.order.surroundings.watch_settings();
        settings.mark_changed();
        let found = if let Some(found) = found {
            found
        } else {
            // To try takes a processor's time, of which the agent has need while it starts.
            running.cancelled().await;
            let found = self.look(engine, id).await;
            if let Some(failure) = self.contradicted(&found) {
                news(News::Failed(failure));
            }
            found
        };
        let words = format!("{}\n{}", in_words(&self.held), tried(choice, &found));
        while settings.changed().await.is_ok() {
            settings.mark_unchanged();
            // What the project wishes of its own is not among what is watched, and counts all the same.
            let now = self.order.surroundings.settings().wishes(self.order.workspace.path());
            let now = now.network.unwrap_or_default();
            let later = if now == choice { String::new() } else { format!("\nFrom the next start on: {}", name(now)) };
            news(News::Fact("Network", format!("{words}{later}")));
        }
        std::future::pending::<()>().await;
    }
}

/// Whether the image has what passes connections on inside.
async fn forwards(order: &Order, image: &Image, news: &impl Fn(News)) -> Result<bool, Failure> {
    news(News::Phase("Looking what the image has for its network".to_owned()));
    let question = Question {
        name: image.name.clone(),
        id: image.name.clone(),
        user: (image.uid, image.gid),
        claude: None,
        platform: image.platform.clone(),
        owner: labels(order),
    };
    let found = order.surroundings.tried().forwards(&image.engine, &question).await;
    found.map_err(|error| Failure::from(&error))
}

/// The rules of the proxy: the settings as they are at each request, and a word about each refusal, to the user and to
/// the project's log.
fn rules(order: &Order, news: impl Fn(News) + Send + Sync + Clone + 'static) -> Rules {
    let (surroundings, workspace) = (Arc::clone(&order.surroundings), order.workspace.path().to_path_buf());
    let log = Arc::new(Mutex::new(Log::default()));
    let tell = {
        let (surroundings, workspace, tab) = (Arc::clone(&surroundings), workspace.clone(), order.tab.clone());
        move |note: &dyn Fn(&mut Log) -> Noted| {
            let (noted, shown) = {
                let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                (note(&mut log), log.shown())
            };
            if let Some((target, why)) = noted.line {
                tracing::info!(%tab, target, why, "a container was refused the way out");
                surroundings.audit().refused(&workspace, &tab.0, &target, &why);
            }
            news(News::Refused(shown));
            if let Some(notice) = noted.notice {
                news(News::Notice(notice));
            }
        }
    };
    let also = tell.clone();
    Rules {
        allowed: Arc::new(move || {
            Allowed::of(&surroundings.settings().wishes(&workspace).allowed_domains.unwrap_or_default())
        }),
        refused: Arc::new(move |target, why| tell(&|log| log.refused(target, why))),
        malformed: Arc::new(move |status| also(&|log| log.malformed(status))),
        resolve: proxy::system(),
        upstream: Upstream::default(),
    }
}

fn name(choice: NetworkChoice) -> &'static str {
    match choice {
        NetworkChoice::Host => "host",
        NetworkChoice::Bridge => "bridge",
        NetworkChoice::Isolated => "isolated",
    }
}

/// What is in effect, as far as it is known without a try.
fn in_words(held: &Held) -> String {
    let mut words = match held.choice() {
        NetworkChoice::Host if held.is_bridged() => {
            "bridge, instead of host: the engine's host network is not this machine's, a port of whose loopback is needed; the outside can be reached"
                .to_owned()
        }
        NetworkChoice::Host => match held.host() {
            HostNetwork::Ours => "host: everything that listens on this machine can be reached",
            HostNetwork::Engines => {
                "host: at this engine that is a network of its own, and not this machine's, whose loopback is not there"
            }
            HostNetwork::Machines => {
                "host: at this engine that is its virtual machine's, and not this machine's, whose loopback is not there"
            }
            HostNetwork::Elsewhere => {
                "host: that of the engine's machine, all of which can be reached; this machine's loopback is not there"
            }
        }
        .to_owned(),
        NetworkChoice::Bridge if held.host() == HostNetwork::Elsewhere => {
            "bridge: the outside, and of the engine's machine what listens on all its addresses".to_owned()
        }
        NetworkChoice::Bridge => {
            "bridge: the outside, and of this machine what listens on all its addresses, but not its loopback"
                .to_owned()
        }
        NetworkChoice::Isolated => match held.gateway() {
            Some(gateway) => format!(
                "isolated: out to allowed names alone, through Gemra; because the image has no node, by a network in which what listens on all addresses of this machine is there too, at {gateway}"
            ),
            None => "isolated: out to allowed names alone, through Gemra; nothing else of this machine".to_owned(),
        },
    };
    for port in held.relayed() {
        let _ = write!(words, "; this machine's loopback at port {port}, which your settings or environment name");
    }
    words
}

/// What the try says.
fn tried(choice: NetworkChoice, found: &Result<Finding, NoFinding>) -> String {
    let finding = match found {
        Ok(finding) => finding,
        Err(error) => return format!("This could not be tried from inside: {error}"),
    };
    let loopback = match (choice, finding.loopback) {
        (NetworkChoice::Host, false) => "this machine's loopback is not there: the network is not this machine's",
        (_, true) => "this machine's loopback is there",
        (_, false) => "this machine's loopback is closed",
    };
    let outside = match finding.outside {
        Outside::Reached => "the outside is there",
        Outside::Closed => "the outside is closed",
        Outside::Unknown => "this machine itself reaches no outside to try",
    };
    format!("Tried from inside: {loopback}, {outside}")
}

/// Why the container must not go on, where it has not the network that was promised. It is to find this program, or what
/// the engine leads to, at `places`.
fn contradiction(choice: NetworkChoice, needs_loopback: bool, finding: Finding, places: &[String]) -> Option<Failure> {
    let escapes = finding.loopback || finding.outside == Outside::Reached;
    if needs_loopback && !finding.loopback {
        return Some(Failure::new(
            Code::NetworkFailed,
            "The container is not on this machine's network",
            "Your settings or environment name an address on this machine's loopback, and from inside that is not there: the engine's host network is another one.",
            "Choose the network bridge in the settings, or another engine; then press Retry.",
        ));
    }
    if choice != NetworkChoice::Isolated || !escapes {
        return (!finding.ours).then(|| {
            Failure::new(
                Code::NetworkFailed,
                "The container does not reach Gemra",
                format!(
                    "From inside, nothing answers at {}. A firewall of this machine's may stand between.",
                    places.join(" and ")
                ),
                "Let the firewall accept what comes from the engine's networks to this machine, or choose another network in the settings; then press Retry.",
            )
        });
    }
    let what = if finding.loopback { "this machine's loopback" } else { "the outside" };
    Some(Failure::new(
        Code::NotIsolated,
        "The container was not isolated",
        format!("From inside it, {what} could be reached by another way than Gemra's, so it was stopped."),
        "See what the engine's own configuration makes of an internal network, or choose another network in the settings; then press Retry.",
    ))
}

/// Why a container must not go on that is promised to be isolated, where that could not be tried.
fn untried(why: &NoFinding) -> Failure {
    Failure::new(
        Code::NetworkFailed,
        "Whether the container is isolated could not be tried",
        format!("It is tried from inside before anything runs there, and that failed: {why}."),
        "Use an image with bash, node, python3 or nc, or choose another network in the settings; then press Retry.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_contradicts_the_promise_ends_the_container() {
        let isolated = NetworkChoice::Isolated;
        let cases = [
            (isolated, (false, Outside::Closed, true), None),
            (isolated, (false, Outside::Unknown, true), None),
            (isolated, (false, Outside::Reached, true), Some(Code::NotIsolated)),
            (isolated, (true, Outside::Closed, true), Some(Code::NotIsolated)),
            (isolated, (false, Outside::Closed, false), Some(Code::NetworkFailed)),
            (NetworkChoice::Bridge, (false, Outside::Reached, true), None),
            (NetworkChoice::Bridge, (false, Outside::Reached, false), Some(Code::NetworkFailed)),
            (NetworkChoice::Host, (true, Outside::Reached, true), None),
            (NetworkChoice::Host, (false, Outside::Closed, true), None),
        ];
        for (choice, (loopback, outside, ours), code) in cases {
            let finding = Finding { loopback, outside, ours };
            let failure = contradiction(choice, false, finding, &[]);
            assert_eq!(failure.map(|failure| failure.code), code, "{choice:?} {finding:?}");
        }
        for (loopback, code) in [(true, None), (false, Some(Code::NetworkFailed))] {
            let finding = Finding { loopback, outside: Outside::Reached, ours: true };
            let failure = contradiction(NetworkChoice::Host, true, finding, &[]);
            assert_eq!(failure.map(|failure| failure.code), code, "a local API, and the loopback is there: {loopback}");
        }
        assert_eq!(untried(&NoFinding::NoTool).code, Code::NetworkFailed, "what cannot be tried is not promised");
    }

    #[test]
    fn the_try_is_told_as_it_was() {
        let finding = |loopback, outside| Ok(Finding { loopback, outside, ours: true });
        let cases = [
            (NetworkChoice::Host, finding(true, Outside::Reached), "loopback is there, the outside is there"),
            (NetworkChoice::Host, finding(false, Outside::Reached), "the network is not this machine's"),
            (NetworkChoice::Bridge, finding(false, Outside::Unknown), "loopback is closed, this machine itself"),
            (NetworkChoice::Isolated, finding(false, Outside::Closed), "loopback is closed, the outside is closed"),
            (NetworkChoice::Isolated, Err(NoFinding::NoTool), "could not be tried"),
        ];
        for (choice, found, words) in cases {
            let said = tried(choice, &found);
            assert!(said.contains(words), "{choice:?} {found:?}: {said}");
        }
    }
}
