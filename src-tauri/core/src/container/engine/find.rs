//! Which engine the user means: the setting's, else `DOCKER_HOST`'s, else `DOCKER_CONTEXT`'s, else the current
//! context's. What is named is final. Only where nothing is named are the known sockets looked at.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::address::Address;
use super::error::EngineError;
use crate::environment::Environment;

/// What is to be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice {
    /// Somebody named this one; no other will do.
    Named(Candidate),
    /// Nobody named one: the first of these that answers.
    Known(Vec<Candidate>),
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
pub(super) fn choose(setting: Option<&str>, environment: &Environment) -> Result<Choice, EngineError> {
    if let Some(value) = setting.map(str::trim).filter(|value| !value.is_empty()) {
        return named(value, "the settings", false);
    }
    if let Some(value) = environment.text("DOCKER_HOST") {
        return named(&value, "DOCKER_HOST", environment.os("DOCKER_TLS_VERIFY").is_some());
    }
    let folder = config_folder(environment);
    if let Some(name) = environment.text("DOCKER_CONTEXT") {
        return context(&name, "DOCKER_CONTEXT", folder.as_deref(), environment);
    }
    if let Some(folder) = &folder
        && let Some(name) = current_context(folder)?
    {
        let origin = format!("the current context in {}", folder.join("config.json").display());
        return context(&name, &origin, Some(folder), environment);
    }
    Ok(Choice::Known(known(environment)))
}

/// True where an engine's program is installed, running or not.
/// `usual` are folders beside those on PATH, because a program opened from a desktop may have a short PATH.
pub(super) fn is_installed(environment: &Environment, usual: &[&str]) -> bool {
    let path = environment.os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(usual.iter().map(PathBuf::from))
        .any(|folder| PROGRAMS.iter().any(|program| folder.join(program).is_file()))
}

#[cfg(not(windows))]
const PROGRAMS: &[&str] = &["docker", "dockerd", "podman"];
#[cfg(windows)]
const PROGRAMS: &[&str] = &["docker.exe", "podman.exe"];
#[cfg(not(windows))]
pub(super) const USUAL_FOLDERS: &[&str] = &[
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/snap/bin",
    "/opt/homebrew/bin",
    "/Applications/Docker.app/Contents/Resources/bin",
];
#[cfg(windows)]
pub(super) const USUAL_FOLDERS: &[&str] = &[r"C:\Program Files\Docker\Docker\resources\bin"];

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

fn context(name: &str, origin: &str, folder: Option<&Path>, environment: &Environment) -> Result<Choice, EngineError> {
    let origin = format!("{origin} ({name})");
    if name == "default" {
        return match known(environment).into_iter().next() {
            Some(first) => Ok(Choice::Named(Candidate { address: first.address, origin })),
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

#[cfg(unix)]
fn known(environment: &Environment) -> Vec<Candidate> {
    let mut paths: Vec<PathBuf> = vec!["/var/run/docker.sock".into()];
    let runtime = environment.path("XDG_RUNTIME_DIR");
    if let Some(runtime) = &runtime {
        paths.push(runtime.join("docker.sock"));
        paths.push(runtime.join(".docker/run/docker.sock"));
    }
    if let Some(home) = environment.home() {
        let places = [
            ".docker/run/docker.sock",
            ".docker/desktop/docker.sock",
            ".orbstack/run/docker.sock",
            ".colima/default/docker.sock",
            ".colima/docker.sock",
            ".rd/docker.sock",
            ".lima/docker/sock/docker.sock",
            ".lima/default/sock/docker.sock",
            ".local/share/containers/podman/machine/podman.sock",
        ];
        paths.extend(places.iter().map(|place| home.join(place)));
    }
    if let Some(runtime) = &runtime {
        paths.push(runtime.join("podman/podman.sock"));
    }
    paths.push("/run/podman/podman.sock".into());
    paths
        .into_iter()
        .map(|path| Candidate { address: Address::Unix(path), origin: "a known socket".to_owned() })
        .collect()
}

#[cfg(windows)]
fn known(_environment: &Environment) -> Vec<Candidate> {
    ["//./pipe/docker_engine", "//./pipe/dockerDesktopLinuxEngine"]
        .into_iter()
        .map(|path| Candidate { address: Address::Pipe(path.to_owned()), origin: "a known pipe".to_owned() })
        .collect()
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
            match (choose(*setting, &Environment::of(environment.iter().copied())), expected) {
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
        let nothing = choose(None, &Environment::of([("DOCKER_CONFIG", none), ("HOME", "/home/somebody")])).unwrap();
        let Choice::Known(known) = nothing else { panic!("nothing is named, so known sockets are tried: {nothing:?}") };
        assert_eq!(known[0].address, Address::Unix("/var/run/docker.sock".into()), "the usual socket comes first");
        assert!(known.len() > 5, "and others follow");
    }

    #[test]
    fn programs_are_looked_for_on_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let environment = Environment::of([("PATH", path)]);
        assert!(!is_installed(&environment, &[]), "an empty folder holds no engine");
        std::fs::write(folder.path().join("podman"), "").unwrap();
        assert!(is_installed(&environment, &[]), "podman is an engine too");
    }
}
