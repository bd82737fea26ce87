//! The user's logins at registries, as docker and podman keep them: looked up when something is fetched, for the one
//! registry that it is fetched from. What is found goes to the engine in a header, and nowhere else.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use serde_json::Value;

use crate::environment::Environment;
use crate::process::spawn::{self, Program};

/// Larger than any that people have.
const LARGEST: u64 = 1024 * 1024;
/// How long a program that keeps logins may take: it may ask the user to unlock a keyring.
const HELPER: Duration = Duration::from_mins(1);
/// The registry of names that name none, as names have it, and as logins have it.
const HUB: (&str, &str) = ("docker.io", "https://index.docker.io/v1/");
/// Other names that logins have for it.
const ALSO_HUB: &[&str] = &["index.docker.io", "registry-1.docker.io"];
/// Where programs are that keep logins, beside PATH: one that was opened from a desktop has a short one.
const USUAL: &[&str] =
    &["/usr/local/bin", "/opt/homebrew/bin", "/usr/bin", "/Applications/Docker.app/Contents/Resources/bin"];

/// Where logins are.
#[derive(Debug, Clone, Default)]
pub struct Logins {
    /// Docker's file.
    of_docker: Vec<PathBuf>,
    /// Podman's.
    of_podman: Vec<PathBuf>,
    environment: Environment,
}

/// A login. `Debug` tells only where it is for.
#[derive(Clone, PartialEq)]
pub(super) struct Login(DockerCredentials);

impl std::fmt::Debug for Login {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Login").field(&self.0.serveraddress).finish()
    }
}

/// The registry of an image, such as `docker.io` or `box:5000`.
pub(super) fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => {
            if ALSO_HUB.contains(&host) {
                HUB.0
            } else {
                host
            }
        }
        _ => HUB.0,
    }
}

impl Logins {
    /// Those of the user whose environment this is.
    pub fn of(environment: &Environment) -> Self {
        let home = environment.home();
        let below = |path: &str| home.as_ref().map(|home| home.join(path));
        let folder = environment.path("DOCKER_CONFIG").or_else(|| below(".docker"));
        let config = environment.path("XDG_CONFIG_HOME").or_else(|| below(".config"));
        let of_podman = match environment.path("REGISTRY_AUTH_FILE") {
            Some(file) => vec![file],
            None => [environment.path("XDG_RUNTIME_DIR"), config]
                .into_iter()
                .flatten()
                .map(|folder| folder.join("containers").join("auth.json"))
                .collect(),
        };
        let of_docker = folder.map(|folder| folder.join("config.json")).into_iter().collect();
        Self { of_docker, of_podman, environment: environment.clone() }
    }

    /// The login for an image at its registry; `None` where there is none. What cannot be read is told by `say`, and is
    /// none: most of what is fetched needs no login.
    pub(super) async fn of_image(&self, podman: bool, image: &str, say: &(impl Fn(&str) + Sync)) -> Option<Login> {
        // An engine's own program looks in its own files first.
        let (first, then) =
            if podman { (&self.of_podman, &self.of_docker) } else { (&self.of_docker, &self.of_podman) };
        for file in first.iter().chain(then) {
            let path = file.clone();
            let read = tokio::task::spawn_blocking(move || read(&path)).await.ok()?;
            let found = match read {
                Ok(Some(config)) => self.among(&config, image, say).await,
                Ok(None) => None,
                Err(why) => {
                    say(&format!("The logins in {} cannot be read: {why}.", file.display()));
                    None
                }
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// The logins for several images, by their registries as engines want them.
    pub(super) async fn of_images(
        &self,
        podman: bool,
        images: impl IntoIterator<Item = String>,
        say: &(impl Fn(&str) + Sync),
    ) -> HashMap<String, DockerCredentials> {
        let mut all = HashMap::new();
        for image in images {
            let server = server(registry(&image)).to_owned();
            if !all.contains_key(&server)
                && let Some(login) = self.of_image(podman, &image, say).await
            {
                all.insert(server, login.0);
            }
        }
        all
    }

    async fn among(&self, config: &Value, image: &str, say: &(impl Fn(&str) + Sync)) -> Option<Login> {
        let registry = registry(image);
        let helpers = config.get("credHelpers").and_then(Value::as_object);
        let own = helpers.into_iter().flatten().find(|(key, _)| host(key) == registry).map(|(_, name)| name);
        let helper = own.or_else(|| config.get("credsStore")).and_then(Value::as_str).filter(|name| !name.is_empty());
        if let Some(helper) = helper {
            match self.ask(helper, server(registry)).await {
                Ok(Some(login)) => return Some(login),
                Ok(None) => {}
                Err(why) => say(&format!("docker-credential-{helper} gave no login for {registry}: {why}.")),
            }
        }
        let entries = config.get("auths").and_then(Value::as_object)?;
        // Podman's may be for a part of a registry: the nearest counts.
        let whole = format!("{registry}/{}", below(image));
        let fits = |key: &str| {
            let rest = whole.strip_prefix(key)?;
            (rest.is_empty() || rest.starts_with('/')).then_some(key.len())
        };
        let nearest = entries.iter().filter_map(|(key, entry)| Some((fits(&plain(key))?, entry)));
        let (_, entry) = nearest.max_by_key(|(length, _)| *length)?;
        written(entry, server(registry))
    }

    /// Asks the program that keeps logins; `None` where it has none for the server.
    async fn ask(&self, helper: &str, server: &str) -> Result<Option<Login>, String> {
        if !helper.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter)) {
            return Err("that is not the name of a program".to_owned());
        }
        let path = self.path();
        let (name, search) = (format!("docker-credential-{helper}"), path.clone());
        let found = tokio::task::spawn_blocking(move || {
            std::env::split_paths(&search).map(|folder| folder.join(&name)).find(|file| file.is_file())
        });
        let program = found.await.ok().flatten().ok_or("there is no such program on PATH")?;
        let home = self.environment.home().map(OsString::from);
        let known = [("PATH", Some(path)), ("HOME", home)].into_iter().filter(|(_, value)| value.is_some());
        let program = Program {
            path: program,
            args: vec!["get".into()],
            folder: std::env::temp_dir(),
            environment: known.map(|(name, value)| (name.into(), value)).collect(),
        };
        let said = spawn::ask(&program, server.to_owned(), HELPER).await.map_err(|error| error.to_string())?;
        if !said.succeeded() {
            // Its words go to stdout as the login would, so that none of them are told but those that are known.
            let none = ["credentials not found", "no usernames for", "not logged in"];
            let words = said.stdout.to_lowercase();
            return if none.iter().any(|one| words.contains(one)) { Ok(None) } else { Err("it failed".to_owned()) };
        }
        let answer: Value = serde_json::from_str(&said.stdout).map_err(|_| "its answer is not JSON".to_owned())?;
        let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (user, secret) = (text("Username"), text("Secret"));
        Ok((!secret.is_empty()).then(|| login(server, user, secret)))
    }

    fn path(&self) -> OsString {
        let own = self.environment.os("PATH").unwrap_or_default();
        let home = self.environment.home().map(|home| [home.join(".docker/bin"), home.join(".local/bin")]);
        let usual = USUAL.iter().map(PathBuf::from).chain(home.into_iter().flatten());
        let folders = std::env::split_paths(&own).chain(usual).filter(|folder| folder.is_absolute());
        // What is on PATH can be put together again.
        std::env::join_paths(folders).unwrap_or(own)
    }
}

/// A file of logins; `None` where there is none. Says nothing of what is in it.
fn read(file: &Path) -> Result<Option<Value>, String> {
    let metadata = match std::fs::metadata(file) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    if !metadata.is_file() || metadata.len() > LARGEST {
        return Err("it is no file of a usual size".to_owned());
    }
    let bytes = std::fs::read(file).map_err(|error| error.to_string())?;
    serde_json::from_slice(&bytes).map(Some).map_err(|error| format!("line {} is not valid JSON", error.line()))
}

/// What an entry of a file says.
fn written(entry: &Value, server: &str) -> Option<Login> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(token) = text("identitytoken") {
        return Some(login(server, "<token>".to_owned(), token.to_owned()));
    }
    if let (Some(user), Some(password)) = (text("username"), text("password")) {
        return Some(login(server, user.to_owned(), password.to_owned()));
    }
    let pair = String::from_utf8(STANDARD.decode(text("auth")?.trim()).ok()?).ok()?;
    let (user, password) = pair.split_once(':')?;
    // Docker's own program once ended them so.
    Some(login(server, user.to_owned(), password.trim_end_matches('\0').to_owned()))
}

fn login(server: &str, user: String, secret: String) -> Login {
    let at = DockerCredentials { serveraddress: Some(server.to_owned()), ..DockerCredentials::default() };
    // By this name the programs say that it is a token of another kind.
    Login(if user == "<token>" {
        DockerCredentials { identitytoken: Some(secret), ..at }
    } else {
        DockerCredentials { username: Some(user), password: Some(secret), ..at }
    })
}

impl From<Login> for DockerCredentials {
    fn from(login: Login) -> Self {
        login.0
    }
}

/// What engines and the programs that keep logins call a registry.
fn server(registry: &str) -> &str {
    if registry == HUB.0 { HUB.1 } else { registry }
}

/// A key of a file without what surrounds the registry, and the part of it.
fn plain(key: &str) -> String {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let key = key.trim_end_matches('/');
    let key = key.strip_suffix("/v1").or_else(|| key.strip_suffix("/v2")).unwrap_or(key);
    match key.split_once('/') {
        Some((host, rest)) if ALSO_HUB.contains(&host) => format!("{}/{rest}", HUB.0),
        None if ALSO_HUB.contains(&key) => HUB.0.to_owned(),
        _ => key.to_owned(),
    }
}

/// The registry of such a key.
fn host(key: &str) -> String {
    let plain = plain(key);
    plain.split('/').next().unwrap_or_default().to_owned()
}

/// An image's name below its registry.
fn below(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => rest,
        _ => image,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Logins of a user who has these files below the home folder.
    fn logins(files: &[(&str, Value)]) -> (tempfile::TempDir, Logins) {
        let home = tempfile::tempdir().unwrap();
        for (path, value) in files {
            let file = home.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, value.to_string()).unwrap();
        }
        let text = home.path().display().to_string();
        let (bin, run) = (format!("{text}/bin"), format!("{text}/run"));
        let environment =
            Environment::of([("HOME", text.as_str()), ("PATH", bin.as_str()), ("XDG_RUNTIME_DIR", run.as_str())]);
        (home, Logins::of(&environment))
    }

    async fn user(logins: &Logins, podman: bool, image: &str) -> Option<String> {
        let said = std::sync::Mutex::new(Vec::new());
        let say = |line: &str| said.lock().unwrap().push(line.to_owned());
        let found = logins.of_image(podman, image, &say).await;
        assert_eq!(*said.lock().unwrap(), Vec::<String>::new(), "nothing is wrong with {image}");
        found.map(|Login(one)| one.username.or(one.identitytoken).unwrap())
    }

    fn pair(user: &str) -> Value {
        json!({"auth": STANDARD.encode(format!("{user}:secret"))})
    }

    #[tokio::test]
    async fn only_the_login_of_the_images_own_registry_is_found() {
        let docker = json!({"auths": {
            "https://index.docker.io/v1/": pair("hub"), "box:5000": pair("box"), "https://ghcr.io": pair("github"),
            "token.example": {"identitytoken": "a-token"}, "empty.example": {}
        }});
        let podman = json!({"auths": {"quay.io": pair("all"), "quay.io/team": pair("team"), "box:5000": pair("pod")}});
        let (_home, all) = logins(&[(".docker/config.json", docker), ("run/containers/auth.json", podman)]);
        for (podman, image, expected) in [
            (false, "debian", Some("hub")),
            (false, "library/debian:12", Some("hub")),
            (false, "docker.io/library/debian", Some("hub")),
            (false, "index.docker.io/a/b", Some("hub")),
            (false, "box:5000/a:1", Some("box")),
            (true, "box:5000/a:1", Some("pod")),
            (false, "box:5001/a:1", None),
            (false, "ghcr.io/a/b@sha256:00", Some("github")),
            (false, "evil-ghcr.io/a", None),
            (false, "token.example/a", Some("a-token")),
            (false, "empty.example/a", None),
            (false, "quay.io/team/a", Some("team")),
            (false, "quay.io/teams/a", Some("all")),
            (true, "quay.io/other/a", Some("all")),
            (false, "localhost/a", None),
        ] {
            assert_eq!(user(&all, podman, image).await.as_deref(), expected, "{image}, Podman: {podman}");
        }
        let images = ["box:5000/a", "debian", "node", "nowhere.example/x"].map(str::to_owned);
        let several = all.of_images(false, images, &|_| {}).await;
        let mut servers: Vec<&String> = several.keys().collect();
        servers.sort();
        assert_eq!(servers, ["box:5000", HUB.1], "those that are fetched from, and no others");
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_told_without_what_is_in_it() {
        let (home, all) = logins(&[]);
        assert_eq!(user(&all, false, "a").await, None, "there need not be any");
        let file = home.path().join(".docker/config.json");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "{\n\"auths\": secret}").unwrap();
        let said = std::sync::Mutex::new(String::new());
        let say = |line: &str| said.lock().unwrap().push_str(line);
        assert_eq!(all.of_image(false, "a", &say).await, None, "it is as if there were none");
        let said = said.into_inner().unwrap();
        assert!(said.contains("config.json") && said.contains("line 2"), "the place is named: {said}");
        assert!(!said.contains("secret"), "and nothing of it is: {said}");
        let login = login("box", "me".to_owned(), "hidden".to_owned());
        assert!(!format!("{login:?}").contains("hidden"), "Debug ends up in logs");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn programs_that_keep_logins_are_asked_for_the_one_registry() {
        use std::os::unix::fs::PermissionsExt;
        let config = json!({"credsStore": "store", "credHelpers": {"own.example": "own"}, "auths": {"file.example": pair("file")}});
        let (home, all) = logins(&[(".docker/config.json", config)]);
        let program = |name: &str, text: &str| {
            let file = home.path().join("bin").join(format!("docker-credential-{name}"));
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, format!("#!/bin/sh\n{text}")).unwrap();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
        };
        program(
            "store",
            "read -r server\nif [ \"$server\" = https://index.docker.io/v1/ ] && [ \"$*\" = get ]; then\n\
             echo '{\"ServerURL\":\"x\",\"Username\":\"kept\",\"Secret\":\"s\"}'; exit; fi\n\
             echo credentials not found in native keychain; exit 1\n",
        );
        program("own", "echo '{\"Username\":\"<token>\",\"Secret\":\"a-token\"}'\n");
        assert_eq!(
            user(&all, false, "debian").await.as_deref(),
            Some("kept"),
            "from the store, by the registry's name"
        );
        assert_eq!(user(&all, false, "own.example/a").await.as_deref(), Some("a-token"), "from the registry's own");
        assert_eq!(
            user(&all, false, "file.example/a").await.as_deref(),
            Some("file"),
            "what it has not is in the file"
        );
        assert_eq!(user(&all, false, "none.example/a").await, None, "or nowhere");
        program("own", "echo the secret is hidden; exit 3\n");
        let said = std::sync::Mutex::new(String::new());
        let say = |line: &str| said.lock().unwrap().push_str(line);
        assert_eq!(all.of_image(false, "own.example/a", &say).await, None, "a failure is no login");
        let said = said.into_inner().unwrap();
        assert!(said.contains("docker-credential-own gave no login for own.example"), "it is told: {said}");
        assert!(!said.contains("hidden"), "without its words: {said}");
    }
}
