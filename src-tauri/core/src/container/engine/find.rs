//! Which engine the user means: the setting's, else `DOCKER_HOST`'s, else `DOCKER_CONTEXT`'s, else the current
//! context's. What is named is final. Only where nothing is named are the known sockets looked at.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::address::Address;
use super::error::EngineError;
use super::places::Places;
use crate::environment::Environment;

/// What is to be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice {
    /// Somebody named this one; no other will do.
    Named(Candidate),
    /// Nobody named one: the first of these that answers.
    Known(Vec<Address>),
}

/// An address, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) address: Address,
    pub(super) origin: String,
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(rename = "currentContext", default)]
    current_context: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextMeta {
    name: String,
    #[serde(default)]
    endpoints: std::collections::BTreeMap<String, ContextEndpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextEndpoint {
    #[serde(default)]
    host: String,
}

/// Reads settings, environment and the docker CLI's files. Blocks on small files.
pub(super) fn choose(setting: Option<&str>, environment: &Environment, places: &Places) -> Result<Choice, EngineError> {
    if let Some(value) = setting.map(str::trim).filter(|value| !value.is_empty()) {
        return named(value, "the settings", false);
    }
    if let Some(value) = environment.text("DOCKER_HOST") {
        return named(&value, "DOCKER_HOST", environment.os("DOCKER_TLS_VERIFY").is_some());
    }
    let folder = config_folder(environment);
    if let Some(name) = environment.text("DOCKER_CONTEXT") {
        return context(&name, "DOCKER_CONTEXT", folder.as_deref(), places);
    }
    if let Some(folder) = &folder
        && let Some(name) = current_context(folder)?
    {
        let origin = format!("the current context in {}", folder.join("config.json").display());
        return context(&name, &origin, Some(folder), places);
    }
    Ok(Choice::Known(places.sockets.clone()))
}

fn named(value: &str, origin: &str, tls: bool) -> Result<Choice, EngineError> {
    let address = Address::read(value, origin, tls)?;
    Ok(Choice::Named(Candidate { address, origin: origin.to_owned() }))
}

fn config_folder(environment: &Environment) -> Option<PathBuf> {
    environment.path("DOCKER_CONFIG").or_else(|| environment.home().map(|home| home.join(".docker")))
}

fn current_context(folder: &Path) -> Result<Option<String>, EngineError> {
    let file = folder.join("config.json");
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(EngineError::BadConfig { file, cause: error.to_string() }),
    };
    let config: DockerConfig =
        serde_json::from_str(&text).map_err(|error| EngineError::BadConfig { file, cause: error.to_string() })?;
    // "default" is the docker CLI's word for "no context".
    Ok(Some(config.current_context).filter(|name| !name.is_empty() && name != "default"))
}

fn context(name: &str, origin: &str, folder: Option<&Path>, places: &Places) -> Result<Choice, EngineError> {
    let origin = format!("{origin} ({name})");
    if name == "default" {
        return match places.sockets.first() {
            Some(first) => Ok(Choice::Named(Candidate { address: first.clone(), origin })),
            None => Ok(Choice::Known(Vec::new())),
        };
    }
    let contexts = folder.unwrap_or(Path::new(".docker")).join("contexts");
    let missing =
        || EngineError::NoSuchContext { name: name.to_owned(), origin: origin.clone(), folder: contexts.clone() };
    // The folders are named by a hash of the context's name; reading each spares us to know which hash.
    for entry in std::fs::read_dir(contexts.join("meta")).map_err(|_| missing())?.flatten() {
        let file = entry.path().join("meta.json");
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let meta: ContextMeta = match serde_json::from_str(&text) {
            Ok(meta) => meta,
            Err(error) => return Err(EngineError::BadConfig { file, cause: error.to_string() }),
        };
        if meta.name == name {
            let host = meta.endpoints.get("docker").map(|endpoint| endpoint.host.as_str()).unwrap_or_default();
            let tls = contexts.join("tls").join(entry.file_name()).join("docker").is_dir();
            return named(host, &origin, tls);
        }
    }
    Err(missing())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn docker_folder(config: &str, contexts: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        for (index, (name, host)) in contexts.iter().enumerate() {
            let meta = folder.path().join("contexts/meta").join(index.to_string());
            std::fs::create_dir_all(&meta).unwrap();
            let text = format!(r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}"}}}}}}"#);
            std::fs::write(meta.join("meta.json"), text).unwrap();
        }
        folder
    }

    /// Setting, environment, and an address or a part of the error.
    type Case<'a> = (Option<&'a str>, &'a [(&'a str, &'a str)], Result<&'a str, &'a str>);

    #[test]
    fn the_first_that_names_an_engine_decides() {
        let contexts = [("colima", "unix:///c.sock"), ("far", "ssh://box")];
        let current = docker_folder(r#"{"currentContext":"colima"}"#, &contexts);
        let none = docker_folder("{}", &contexts);
        let broken = docker_folder("{", &contexts);
        let current = current.path().to_str().unwrap();
        let none = none.path().to_str().unwrap();
        let broken = broken.path().to_str().unwrap();
        let cases: &[Case<'_>] = &[
            (Some("unix:///s.sock"), &[("DOCKER_HOST", "unix:///h.sock")], Ok("unix:///s.sock")),
            (Some("nonsense"), &[("DOCKER_HOST", "unix:///h.sock")], Err("from the settings")),
            (Some(" "), &[("DOCKER_HOST", "unix:///h.sock")], Ok("unix:///h.sock")),
            (None, &[("DOCKER_HOST", "unix:///h.sock"), ("DOCKER_CONTEXT", "far")], Ok("unix:///h.sock")),
            (None, &[("DOCKER_HOST", "tcp://box:1"), ("DOCKER_TLS_VERIFY", "1")], Err("TLS")),
            (None, &[("DOCKER_CONTEXT", "colima"), ("DOCKER_CONFIG", none)], Ok("unix:///c.sock")),
            (None, &[("DOCKER_CONTEXT", "far"), ("DOCKER_CONFIG", current)], Err("ssh")),
            (None, &[("DOCKER_CONTEXT", "gone"), ("DOCKER_CONFIG", current)], Err("\"gone\", from DOCKER_CONTEXT")),
            (None, &[("DOCKER_CONTEXT", "default"), ("DOCKER_CONFIG", current)], Ok("unix:///var/run/docker.sock")),
            (None, &[("DOCKER_CONFIG", current)], Ok("unix:///c.sock")),
            (None, &[("DOCKER_CONFIG", broken)], Err("could not be read")),
        ];
        for (setting, environment, expected) in cases {
            let environment = Environment::of(environment.iter().copied());
            match (choose(*setting, &environment, &Places::usual(&environment)), expected) {
                (Ok(Choice::Named(candidate)), Ok(address)) => {
                    assert_eq!(&candidate.address.to_string(), address, "{setting:?} {environment:?} means it");
                }
                (Err(error), Err(part)) => {
                    let error = error.to_string();
                    assert!(error.contains(part), "{setting:?} {environment:?} is refused with: {error}");
                }
                (got, _) => panic!("{setting:?} {environment:?} gave {got:?}, not {expected:?}"),
            }
        }
        let places = Places { sockets: vec![Address::Unix("/one.sock".into())], folders: Vec::new() };
        let nothing = choose(None, &Environment::of([("DOCKER_CONFIG", none)]), &places).unwrap();
        assert_eq!(nothing, Choice::Known(places.sockets), "nothing is named, so the known sockets are tried");
    }
}
