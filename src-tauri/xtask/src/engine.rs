//! Whether a container engine answers to this user, looked for where the tests' own fixture looks (`tests/src/engine.rs`),
//! so that it is told before anything is built and not by each test. It installs and starts nothing.

use std::env;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::spawn;
use crate::trouble::Trouble;

/// How long an engine may take to say that it is there. It needs a millisecond.
const PATIENCE: Duration = Duration::from_secs(2);
/// Sockets that do not depend on the user.
const COMMON: &[&str] = &["/var/run/docker.sock"];
/// Sockets below the folder of the user's session.
const OF_SESSION: &[&str] = &["docker.sock", PODMAN];
/// Podman's among them.
const PODMAN: &str = "podman/podman.sock";
/// Sockets below the user's home.
const OF_HOME: &[&str] = &[".docker/run/docker.sock", ".orbstack/run/docker.sock", ".colima/default/docker.sock"];

/// What came of looking at one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Answers,
    Forbidden,
    Silent,
}

/// Says what to do where no engine answers.
pub(crate) fn ensure_answer() -> Result<(), Trouble> {
    let addresses = addresses(named(), env::var_os("XDG_RUNTIME_DIR"), env::var_os("HOME"));
    let looks: Vec<(String, Look)> = addresses.into_iter().map(|address| (address.clone(), look(&address))).collect();
    trouble(&looks, spawn::is_on_path("docker") || spawn::is_on_path("dockerd")).map_or(Ok(()), Err)
}

/// True where this user's Podman answers.
pub(crate) fn podman_answers() -> bool {
    let socket = env::var_os("XDG_RUNTIME_DIR").map(|folder| PathBuf::from(folder).join(PODMAN));
    socket.is_some_and(|socket| look_at_socket(&socket) == Look::Answers)
}

fn named() -> Option<String> {
    env::var("DOCKER_HOST").ok().filter(|address| !address.is_empty())
}

/// The one that is named, or else all that engines are known to use.
fn addresses(
    named: Option<String>,
    session: Option<impl Into<PathBuf>>,
    home: Option<impl Into<PathBuf>>,
) -> Vec<String> {
    if let Some(named) = named {
        return vec![named];
    }
    let below = |folder: Option<PathBuf>, names: &[&str]| -> Vec<PathBuf> {
        folder.into_iter().flat_map(|folder| names.iter().map(move |name| folder.join(name))).collect()
    };
    let mut all: Vec<PathBuf> = COMMON.iter().map(PathBuf::from).collect();
    all.extend(below(session.map(Into::into), OF_SESSION));
    all.extend(below(home.map(Into::into), OF_HOME));
    all.into_iter().map(|path| format!("unix://{}", path.display())).collect()
}

fn trouble(looks: &[(String, Look)], has_docker: bool) -> Option<Trouble> {
    if looks.iter().any(|(_, look)| *look == Look::Answers) {
        return None;
    }
    if let Some((address, _)) = looks.iter().find(|(_, look)| *look == Look::Forbidden) {
        return Some(Trouble::Missing {
            what: format!("a container engine is at {address}, and this user may not use it"),
            next:
                "run `sudo usermod -aG docker $USER`, log out and in again, then run this again (members of that group \
                   are as good as root); or run the tests as root, with a daemon of their own"
                    .into(),
        });
    }
    let tried: Vec<&str> = looks.iter().map(|(address, _)| address.as_str()).collect();
    let start = match (cfg!(target_os = "linux"), has_docker) {
        (true, true) => "start it, as with `sudo systemctl start docker`",
        (true, false) => "start it, as Podman with `systemctl --user start podman.socket`",
        (false, _) => "open Docker Desktop, OrbStack or Colima",
    };
    Some(Trouble::Missing {
        what: format!("no container engine answers at {}", tried.join(", ")),
        next: format!("{start}, or set DOCKER_HOST to where one listens; then run this again"),
    })
}

fn look(address: &str) -> Look {
    match address.split_once("://") {
        Some(("unix", path)) => look_at_socket(Path::new(path)),
        Some(("tcp" | "http", host)) => {
            let found = host.to_socket_addrs().ok().and_then(|mut found| found.next());
            let asked = found.and_then(|found| TcpStream::connect_timeout(&found, PATIENCE).ok());
            asked.map_or(Look::Silent, |stream| {
                let limited = stream.set_read_timeout(Some(PATIENCE));
                if limited.is_ok() { ask(stream) } else { Look::Silent }
            })
        }
        _ => Look::Silent,
    }
}

#[cfg(unix)]
fn look_at_socket(path: &Path) -> Look {
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(stream) if stream.set_read_timeout(Some(PATIENCE)).is_ok() => ask(stream),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Look::Forbidden,
        _ => Look::Silent,
    }
}

#[cfg(not(unix))]
fn look_at_socket(_path: &Path) -> Look {
    Look::Silent
}

/// An engine says that all is well; something else that listens there does not.
fn ask(mut stream: impl Read + Write) -> Look {
    let mut answer = String::new();
    let asked = stream.write_all(b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n");
    let heard = asked.and_then(|()| stream.read_to_string(&mut answer));
    if heard.is_ok() && answer.contains(" 200 ") { Look::Answers } else { Look::Silent }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_final_and_otherwise_every_known_socket_is_looked_at() {
        let named = addresses(Some("tcp://box:1".into()), Some("/run/me"), Some("/home/me"));
        assert_eq!(named, ["tcp://box:1"]);
        let known = addresses(None, Some("/run/me"), Some("/home/me"));
        assert_eq!(known[0], "unix:///var/run/docker.sock", "the system's own comes first");
        for socket in ["unix:///run/me/podman/podman.sock", "unix:///home/me/.orbstack/run/docker.sock"] {
            assert!(known.iter().any(|address| address == socket), "{socket} is among {known:?}");
        }
        assert_eq!(addresses(None, None::<PathBuf>, None::<PathBuf>), ["unix:///var/run/docker.sock"]);
    }

    #[test]
    fn each_trouble_has_its_own_next_step() {
        let looks = |looks: &[Look]| {
            let all = looks.iter().enumerate().map(|(number, look)| (format!("unix:///{number}.sock"), *look));
            all.collect::<Vec<_>>()
        };
        assert!(trouble(&looks(&[Look::Silent, Look::Answers, Look::Forbidden]), true).is_none(), "one is enough");
        let forbidden = trouble(&looks(&[Look::Silent, Look::Forbidden]), true).expect("none answers").to_string();
        assert!(
            forbidden.contains("unix:///1.sock") && forbidden.contains("sudo usermod -aG docker $USER"),
            "{forbidden}"
        );
        assert!(forbidden.contains("log out and in") && forbidden.contains("as root"), "{forbidden}");
        let silent = trouble(&looks(&[Look::Silent, Look::Silent]), true).expect("none answers").to_string();
        assert!(silent.contains("unix:///0.sock, unix:///1.sock") && silent.contains("DOCKER_HOST"), "{silent}");
        if cfg!(target_os = "linux") {
            assert!(silent.contains("systemctl start docker"), "{silent}");
            let podman = trouble(&looks(&[Look::Silent]), false).expect("none answers").to_string();
            assert!(podman.contains("podman.socket"), "{podman}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn an_engine_is_told_from_a_dead_socket_and_from_another_server() {
        let folder = env::temp_dir().join(format!("gemra-xtask-engine-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temp folder can be made");
        let path = folder.join("a.sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("the folder is ours");
        let address = format!("unix://{}", path.display());
        for (answer, expected) in [("HTTP/1.0 200 OK\r\n\r\nOK", Look::Answers), ("220 mail\r\n", Look::Silent)] {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let (mut stream, _) = listener.accept().expect("somebody asks");
                    let mut asked = [0; 64];
                    let count = stream.read(&mut asked).expect("the question is read");
                    assert!(asked[..count].starts_with(b"GET /_ping "), "it is asked as engines are");
                    stream.write_all(answer.as_bytes()).expect("the answer is taken");
                });
                assert_eq!(look(&address), expected, "{answer:?}");
            });
        }
        drop(listener);
        assert_eq!(look(&address), Look::Silent, "what a daemon leaves behind");
        assert_eq!(look("ssh://box"), Look::Silent, "nothing that the tests could use");
        std::fs::remove_dir_all(&folder).expect("the temp folder is ours");
    }
}
