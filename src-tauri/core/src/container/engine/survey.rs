//! Every engine there is to choose from, and what comes of asking it: those that are named, the docker CLI's contexts,
//! and the known sockets. It chooses none.

use std::path::PathBuf;
use std::time::Duration;

use super::address::{Address, CONTEXT};
use super::find::{self, Candidate, Choice};
use super::{About, Engine, EngineError, KNOWN, Places, Refusal, aside};
use crate::environment::Environment;

/// How long one of them may take. A machine that is far away and asleep would keep all the others waiting.
const PATIENCE: Duration = Duration::from_secs(30);

/// One engine, or what could be one.
#[derive(Debug)]
pub struct Surveyed {
    /// What the settings have to say to mean it.
    pub setting: String,
    /// Its address; what was named, where that is none.
    pub address: String,
    /// Where its address comes from, in words.
    pub origin: String,
    /// How it is reached: `socket`, `tcp`, `tls`, `ssh` or `pipe`; empty where the address is none.
    pub kind: &'static str,
    /// True where it does not see this machine's files.
    pub remote: bool,
    /// True for a known socket that is not there, which means only that this engine is not used here.
    pub absent: bool,
    /// What it said of itself, or why it is no engine.
    pub outcome: Result<About, EngineError>,
}

/// Asks all of them at once. `named` are what settings say, and where; the first of those that mean the same counts.
pub async fn survey(named: Vec<(String, String)>, environment: &Environment, places: &Places) -> Vec<Surveyed> {
    let (read, known) = (environment.clone(), places.clone());
    let choices = aside(move || choices(named, &read, &known)).await.unwrap_or_default();
    futures_util::future::join_all(choices.into_iter().map(|choice| ask(choice, environment))).await
}

/// What to ask, the setting that means it, and where that is said.
type Asked = (String, String, Result<Candidate, EngineError>);

/// Blocks on small files.
fn choices(named: Vec<(String, String)>, environment: &Environment, places: &Places) -> Vec<Asked> {
    let mut said = named;
    said.extend(environment.text("DOCKER_HOST").map(|value| (value, "DOCKER_HOST".to_owned())));
    let context = environment.text("DOCKER_CONTEXT");
    said.extend(context.map(|name| (format!("{CONTEXT}{name}"), "DOCKER_CONTEXT".to_owned())));
    let contexts = find::contexts(environment).into_iter();
    said.extend(contexts.map(|name| (format!("{CONTEXT}{name}"), "a context of docker's".to_owned())));
    let mut seen: Vec<(Address, Option<PathBuf>)> = Vec::new();
    let mut is_new = |address: &Address| {
        let real = match address {
            Address::Unix(path) => path.canonicalize().ok(),
            _ => None,
        };
        let known = seen.iter().any(|(other, there)| other == address || (real.is_some() && *there == real));
        seen.push((address.clone(), real));
        !known
    };
    let mut all = Vec::new();
    for (value, origin) in said {
        let value = value.trim().to_owned();
        match find::setting_of(&value, &origin, environment) {
            _ if value.is_empty() => {}
            Ok(Choice::Named(candidate)) if is_new(&candidate.address) => all.push((value, origin, Ok(candidate))),
            Ok(_) => {}
            Err(error) => all.push((value, origin, Err(error))),
        }
    }
    for address in places.sockets.iter().filter(|address| is_new(address)) {
        let candidate = Candidate { address: address.clone(), origin: KNOWN.to_owned() };
        all.push((address.to_string(), KNOWN.to_owned(), Ok(candidate)));
    }
    all
}

async fn ask((setting, origin, candidate): Asked, environment: &Environment) -> Surveyed {
    let candidate = match candidate {
        Ok(candidate) => candidate,
        Err(error) => {
            let address = setting.clone();
            return Surveyed { setting, address, origin, kind: "", remote: false, absent: false, outcome: Err(error) };
        }
    };
    let (address, origin) = (candidate.address.clone(), candidate.origin.clone());
    let kind = match &address {
        Address::Unix(_) => "socket",
        Address::Tcp(_) => "tcp",
        Address::Tls { .. } => "tls",
        Address::Ssh(_) => "ssh",
        Address::Pipe(_) => "pipe",
    };
    let asked = tokio::time::timeout(PATIENCE, Engine::connect(candidate, None, environment)).await;
    let is_known = origin == KNOWN;
    let (absent, outcome) = match asked {
        Ok(Ok(engine)) => (false, Ok(engine.about().clone())),
        Ok(Err(refusal)) => (is_known && matches!(refusal, Refusal::Absent(_)), Err(refusal.alone())),
        Err(_) => (false, Err(EngineError::Timeout { call: "who it is", limit: PATIENCE })),
    };
    Surveyed { setting, remote: address.is_remote(), address: address.to_string(), origin, kind, absent, outcome }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_is_asked_once_and_says_what_came_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| format!("unix://{}", folder.path().join(name).display());
        let dead = folder.path().join("dead.sock");
        drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
        std::os::unix::fs::symlink(&dead, folder.path().join("link.sock")).unwrap();
        let config = folder.path().display().to_string();
        let environment = Environment::of([
            ("DOCKER_CONFIG", config.as_str()),
            ("DOCKER_HOST", &path("link.sock")),
            ("DOCKER_CONTEXT", "gone"),
        ]);
        let sockets = vec![Address::Unix(dead.clone()), Address::Unix(folder.path().join("never.sock"))];
        let places = Places { sockets, folders: Vec::new() };
        let named = vec![
            (path("dead.sock"), "the settings".to_owned()),
            ("nonsense".to_owned(), "the settings of /project".to_owned()),
            (String::new(), "the settings of /other".to_owned()),
        ];
        let found = survey(named, &environment, &places).await;
        let rows: Vec<(&str, &str, bool)> =
            found.iter().map(|one| (one.setting.as_str(), one.kind, one.absent)).collect();
        let (dead, never) = (path("dead.sock"), path("never.sock"));
        assert_eq!(
            rows,
            [
                (dead.as_str(), "socket", false),
                ("nonsense", "", false),
                ("context:gone", "", false),
                (&never, "socket", true)
            ],
            "by whatever name, each is there once"
        );
        assert!(found.iter().all(|one| one.outcome.is_err()), "none of them answers");
        assert!(matches!(found[2].outcome, Err(EngineError::NoSuchContext { .. })), "{:?}", found[2]);
    }
}
