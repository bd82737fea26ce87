//! The network of a tab's container: from the settings and the agent's variables to what is in effect, and to the words
//! in which the user is told of it. How it is done is `container::network`'s.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::{News, Order, labels};
use crate::container::engine::Engine;
use crate::container::network::allow::{Allowed, Target};
use crate::container::network::probe::{self, Finding, NoFinding, Outside};
use crate::container::network::proxy::{self, Rules, Upstream};
use crate::container::network::{self, Held, Inward, Wanted, usual_api};
use crate::container::run::Prepared;
use crate::container::spec::Wish;
use crate::failure::{Code, Failure};
use crate::settings::container::NetworkChoice;

/// How many refused names are shown.
const SHOWN: usize = 5;
/// Of how many refused names a container's transcript tells: somebody who tries out names must not fill it.
const TOLD: usize = 20;
/// What the network is made from, for its label.
const SPEC: &str = "isolated-1";

/// A container's network, from before it is made until it is gone.
#[derive(Debug)]
pub(super) struct Network {
    held: Held,
    api: Target,
    order: Order,
}

/// What the proxy has refused.
#[derive(Debug, Default)]
struct Refusals {
    count: usize,
    /// Each once, the last refused last.
    names: Vec<String>,
    told: usize,
}

impl Network {
    /// Makes what has to be there before the container. `variables` are those that the agent gets.
    pub(super) async fn hold(
        order: &Order,
        engine: &Engine,
        short_id: &str,
        variables: BTreeMap<String, String>,
        news: impl Fn(News) + Send + Sync + Clone + 'static,
    ) -> Result<Self, Failure> {
        let surroundings = &order.surroundings;
        let choice = surroundings.settings().wishes(order.workspace.path()).network.unwrap_or_default();
        let api = network::apis(&variables).into_iter().next().unwrap_or_else(usual_api);
        let wanted = Wanted {
            choice,
            short_id: short_id.to_owned(),
            labels: labels(order).labels(SPEC),
            variables,
            rules: rules(order, news),
            folder: surroundings.home().sockets().join(surroundings.instance()).join(short_id),
        };
        let held = network::hold(engine, wanted).await.map_err(|error| Failure::from(&error))?;
        Ok(Self { held, api, order: order.clone() })
    }

    /// What the container has to be made with.
    pub(super) fn apply(&self, wish: &mut Wish) {
        self.held.apply(wish);
    }

    /// Completes it when the container has started; tells what is in effect, tries from inside whether it is so, and
    /// ends all of it with the container.
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
        let running = CancellationToken::new();
        news(News::WhenRunning(running.clone()));
        tokio::spawn(async move {
            tokio::select! {
                _ = exit.wait_for(Option::is_some) => {}
                () = self.watch(&engine, &id, running, news) => {}
            }
            self.held.close().await;
        });
        Ok(inward)
    }

    /// Tells what is found, and when the settings say otherwise than what is in effect. Never ends.
    async fn watch(&self, engine: &Engine, id: &str, running: CancellationToken, news: impl Fn(News)) {
        let choice = self.held.choice();
        if choice != NetworkChoice::Isolated {
            // To try takes a processor's time, of which the agent has need while it starts. What is promised to hold
            // somebody in is tried at once.
            running.cancelled().await;
        }
        let mut settings = self.order.surroundings.watch_settings();
        settings.mark_changed();
        let beyond = probe::beyond(&self.api).await;
        let found = match choice {
            NetworkChoice::Host => self.order.surroundings.tried().look(engine, id, &beyond).await,
            _ => probe::look(engine, id, &beyond, self.held.ours()).await,
        };
        tracing::info!(tab = %self.order.tab, ?choice, ?found, "what a container reaches");
        if let Ok(finding) = &found
            && let Some(failure) = contradiction(choice, *finding, self.held.ours())
        {
            news(News::Failed(failure));
        }
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

/// The rules of the proxy: the settings as they are at each request, and a word to the user about each refusal.
fn rules(order: &Order, news: impl Fn(News) + Send + Sync + 'static) -> Rules {
    let (surroundings, workspace, tab) =
        (Arc::clone(&order.surroundings), order.workspace.path().to_path_buf(), order.tab.clone());
    let refusals = Mutex::new(Refusals::default());
    Rules {
        allowed: Arc::new(move || {
            Allowed::of(&surroundings.settings().wishes(&workspace).allowed_domains.unwrap_or_default())
        }),
        refused: Arc::new(move |target, why| {
            tracing::info!(%tab, %target, why, "a container was refused the way out");
            let (fact, notice) = refusals.lock().unwrap_or_else(PoisonError::into_inner).note(target, why);
            news(News::Fact("Refused", fact));
            if let Some(notice) = notice {
                news(News::Notice(notice));
            }
        }),
        resolve: proxy::system(),
        upstream: Upstream::default(),
    }
}

impl Refusals {
    /// What the details say from now on, and what the transcript does where that is new.
    fn note(&mut self, target: &Target, why: &str) -> (String, Option<String>) {
        self.count += 1;
        let name = target.to_string();
        let known = self.names.iter().position(|known| *known == name);
        match known {
            Some(at) => drop(self.names.remove(at)),
            None => self.told += 1,
        }
        self.names.push(name.clone());
        // Enough to know a name again, and no more than that.
        let surplus = self.names.len().saturating_sub(1000);
        self.names.drain(..surplus);
        let shown: Vec<&str> = self.names.iter().rev().take(SHOWN).map(String::as_str).collect();
        let times = if self.count == 1 { "once".to_owned() } else { format!("{} times", self.count) };
        let notice = (known.is_none() && self.told <= TOLD).then(|| {
            format!("The container wanted to reach {name} and was not let: {why}. The settings can allow it.")
        });
        (format!("{times}, at last {}", shown.join(", ")), notice)
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
        NetworkChoice::Host => "host: everything that listens on this machine can be reached".to_owned(),
        NetworkChoice::Bridge => {
            "bridge: the outside, and of this machine what listens on all its addresses, but not its loopback"
                .to_owned()
        }
        NetworkChoice::Isolated => match held.gateway() {
            Some(gateway) => format!(
                "isolated: out to allowed names alone, through Gemra; what listens on all addresses of this machine is there at {gateway}"
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
        (NetworkChoice::Host, false) => {
            "this machine's loopback is not there: the network is that of the engine's own virtual machine"
        }
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

/// Why the container must not go on, where it has not the network that was promised.
fn contradiction(choice: NetworkChoice, finding: Finding, ours: &[SocketAddr]) -> Option<Failure> {
    let escapes = finding.loopback || finding.outside == Outside::Reached;
    if choice != NetworkChoice::Isolated || !escapes {
        let ports: Vec<String> = ours.iter().map(ToString::to_string).collect();
        return (!finding.ours).then(|| {
            Failure::new(
                Code::NetworkFailed,
                "The container does not reach Gemra",
                format!(
                    "From inside, nothing answers at {}, where Gemra listens for this container alone. A firewall of this machine's may stand between.",
                    ports.join(" and ")
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

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        Target::parse(text, None).unwrap()
    }

    #[test]
    fn each_refused_name_is_told_once_and_counted_always() {
        let mut refusals = Refusals::default();
        let (fact, notice) = refusals.note(&target("a.example:443"), "it is not on the list");
        assert_eq!(fact, "once, at last a.example:443");
        assert!(notice.is_some_and(|notice| notice.contains("a.example:443")), "the first time is told");
        let (fact, notice) = refusals.note(&target("a.example:443"), "it is not on the list");
        assert_eq!((fact.as_str(), notice), ("2 times, at last a.example:443", None), "the second is counted");
        let (fact, notice) = refusals.note(&target("b.example:443"), "it is not on the list");
        assert!(fact.ends_with("b.example:443, a.example:443") && notice.is_some(), "the last stands first: {fact}");
        let notices = (0..3000).filter_map(|at| refusals.note(&target(&format!("x{at}.example:1")), "no").1).count();
        assert_eq!(notices, TOLD - 2, "a flood of names does not fill the transcript");
        assert!(refusals.names.len() <= 1000, "nor the memory");
    }

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
            let failure = contradiction(choice, finding, &[]);
            assert_eq!(failure.map(|failure| failure.code), code, "{choice:?} {finding:?}");
        }
    }

    #[test]
    fn the_try_is_told_as_it_was() {
        let finding = |loopback, outside| Ok(Finding { loopback, outside, ours: true });
        let cases = [
            (NetworkChoice::Host, finding(true, Outside::Reached), "loopback is there, the outside is there"),
            (NetworkChoice::Host, finding(false, Outside::Reached), "virtual machine"),
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
