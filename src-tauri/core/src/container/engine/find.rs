//! Which engine the user means: the setting's, else `DOCKER_HOST`'s, else `DOCKER_CONTEXT`'s, else the current
//! context's. What is named is final. Only where nothing is named are the known sockets looked at.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::address::{Address, CONTEXT, Certificates};
use super::error::EngineError;
use super::places::{self, Places};
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
    #[serde(default, rename = "SkipTLSVerify")]
    skip_tls_verify: bool,
}

/// Reads settings, environment and the docker CLI's files. Blocks on small files.
pub(super) fn choose(setting: Option<&str>, environment: &Environment, places: &Places) -> Result<Choice, EngineError> {
    let folder = config_folder(environment);
    if let Some(value) = setting.map(str::trim).filter(|value| !value.is_empty()) {
        return setting_of(value, "the settings", environment);
    }
    if let Some(value) = environment.text("DOCKER_HOST") {
        return named(&value, "DOCKER_HOST", environment);
    }
    if let Some(name) = environment.text("DOCKER_CONTEXT") {
        return context(&name, "DOCKER_CONTEXT", folder.as_deref());
    }
    if let Some(folder) = &folder
        && let Some(name) = current_context(folder)?
    {
        let origin = format!("the current context in {}", folder.join("config.json").display());
        return context(&name, &origin, Some(folder));
    }
    Ok(Choice::Known(places.sockets.clone()))
}

/// What a setting names: an address, or one of the docker CLI's contexts.
pub(super) fn setting_of(value: &str, origin: &str, environment: &Environment) -> Result<Choice, EngineError> {
    match value.strip_prefix(CONTEXT) {
        Some(name) => context(name.trim(), origin, config_folder(environment).as_deref()),
        None => named(value, origin, environment),
    }
}

/// The names of the docker CLI's contexts. Blocks on small files; what cannot be read is no context.
pub(super) fn contexts(environment: &Environment) -> Vec<String> {
    let Some(folder) = config_folder(environment) else { return Vec::new() };
    let entries = std::fs::read_dir(folder.join("contexts/meta")).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("meta.json")).ok())
        .filter_map(|text| serde_json::from_str::<ContextMeta>(&text).ok())
        .map(|meta| meta.name)
        .collect();
    names.sort();
    names
}

/// An address as `docker --host` reads it, which goes by these variables too.
fn named(value: &str, origin: &str, environment: &Environment) -> Result<Choice, EngineError> {
    let folder = environment.path("DOCKER_CERT_PATH").or_else(|| config_folder(environment));
    let asked = environment.os("DOCKER_TLS_VERIFY").is_some();
    if !asked && environment.os("DOCKER_TLS").is_some() && value.trim().starts_with("tcp://") {
        return Err(unverified(value, origin));
    }
    let address = Address::read(value, origin, Certificates { asked, folder: folder.as_deref() })?;
    Ok(Choice::Named(Candidate { address, origin: origin.to_owned() }))
}

fn unverified(value: &str, origin: &str) -> EngineError {
    let what = "TLS without a look at who answers";
    EngineError::NotSupported { value: value.to_owned(), origin: origin.to_owned(), what }
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

fn context(name: &str, origin: &str, folder: Option<&Path>) -> Result<Choice, EngineError> {
    let origin = format!("{origin} ({name})");
    if name == "default" {
        return Ok(Choice::Named(Candidate { address: places::default_of_docker(), origin }));
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
            let endpoint = meta.endpoints.get("docker");
            let host = endpoint.map(|endpoint| endpoint.host.as_str()).unwrap_or_default();
            if endpoint.is_some_and(|endpoint| endpoint.skip_tls_verify) {
                return Err(unverified(host, &origin));
            }
            let folder = contexts.join("tls").join(entry.file_name()).join("docker");
            let certificates = Certificates { asked: folder.is_dir(), folder: Some(&folder) };
            let address = Address::read(host, &origin, certificates)?;
            return Ok(Choice::Named(Candidate { address, origin }));
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
            (Some("context:colima"), &[("DOCKER_CONFIG", current)], Ok("unix:///c.sock")),
            (Some("context:gone"), &[("DOCKER_CONFIG", current)], Err("\"gone\", from the settings")),
            (None, &[("DOCKER_HOST", "tcp://box:1"), ("DOCKER_TLS_VERIFY", "1")], Ok("https://box:1")),
            (None, &[("DOCKER_HOST", "tcp://box:1"), ("DOCKER_TLS_VERIFY", "")], Ok("tcp://box:1")),
            (None, &[("DOCKER_HOST", "tcp://box:1"), ("DOCKER_TLS", "1")], Err("without a look at who answers")),
            (None, &[("DOCKER_CONTEXT", "colima"), ("DOCKER_CONFIG", none)], Ok("unix:///c.sock")),
            (None, &[("DOCKER_CONTEXT", "far"), ("DOCKER_CONFIG", current)], Ok("ssh://box")),
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

    #[test]
    fn certificates_are_those_of_the_place_that_names_the_engine() {
        let far = [("far", "tcp://box:1"), ("plain", "tcp://box:2")];
        let folder = docker_folder("{}", &far);
        let own = folder.path().join("contexts/tls/0/docker");
        std::fs::create_dir_all(&own).unwrap();
        let path = folder.path().to_str().unwrap();
        let folder_of = |pairs: &[(&str, &str)]| {
            let environment = Environment::of(pairs.iter().copied());
            match choose(None, &environment, &Places::usual(&environment)).unwrap() {
                Choice::Named(Candidate { address: Address::Tls { certificates, .. }, .. }) => Some(certificates),
                _ => None,
            }
        };
        let named = ("DOCKER_HOST", "tcp://box:1");
        let tls = ("DOCKER_TLS_VERIFY", "1");
        assert_eq!(
            folder_of(&[named, tls, ("DOCKER_CONFIG", path)]),
            Some(folder.path().into()),
            "docker's own folder"
        );
        let other = ("DOCKER_CERT_PATH", "/other");
        assert_eq!(folder_of(&[named, tls, other]), Some("/other".into()), "or another that is named");
        assert_eq!(folder_of(&[("DOCKER_CONTEXT", "far"), ("DOCKER_CONFIG", path), other]), Some(own), "the context's");
        assert_eq!(folder_of(&[("DOCKER_CONTEXT", "plain"), ("DOCKER_CONFIG", path), tls]), None, "which has none");
        let environment = Environment::of([("DOCKER_CONFIG", path)]);
        assert_eq!(contexts(&environment), ["far", "plain"], "both are known");
    }
}
