//! An engine's address, as the docker CLI spells it. Pure: it opens nothing.

use std::path::{Path, PathBuf};

use super::error::EngineError;

/// The addresses that are read, in words.
#[cfg(not(windows))]
pub const ACCEPTED: &str = "unix:///run/docker.sock or another socket's path, tcp://127.0.0.1:2375 or another host and \
                            port, https://box:2376 for one with TLS, ssh://user@box, and context:NAME for one of docker's \
                            contexts";
/// The addresses that are read, in words.
#[cfg(windows)]
pub const ACCEPTED: &str = "npipe:////./pipe/docker_engine or another pipe, tcp://127.0.0.1:2375 or another host and \
                            port, https://box:2376 for one with TLS, ssh://user@box, and context:NAME for one of docker's \
                            contexts";
/// How a setting names one of docker's contexts.
pub const CONTEXT: &str = "context:";

/// Where an engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// Plain HTTP over TCP: host and port.
    Tcp(String),
    /// HTTP over TLS: host and port, and the folder of `ca.pem`, `cert.pem` and `key.pem`.
    Tls {
        /// Host and port.
        host: String,
        /// Who is trusted, and who we are.
        certificates: PathBuf,
    },
    /// A socket on another machine, which the user's own ssh reaches.
    Ssh(Login),
    /// A named pipe of Windows, with slashes: `//./pipe/docker_engine`.
    Pipe(String),
}

/// Where ssh logs in, and which socket is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// As whom; ssh's own configuration says it otherwise.
    pub user: Option<String>,
    /// A host's name or address, or an alias of ssh's configuration.
    pub host: String,
    /// ssh's own configuration says it otherwise.
    pub port: Option<u16>,
    /// The engine's socket there; otherwise the usual places are looked at.
    pub socket: Option<String>,
}

impl std::fmt::Display for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "unix://{}", path.display()),
            Self::Tcp(host) => write!(formatter, "tcp://{host}"),
            Self::Tls { host, .. } => write!(formatter, "https://{host}"),
            Self::Ssh(login) => write!(formatter, "ssh://{login}"),
            Self::Pipe(path) => write!(formatter, "npipe://{path}"),
        }
    }
}

impl std::fmt::Display for Login {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(user) = &self.user {
            write!(formatter, "{user}@")?;
        }
        let brackets = self.host.contains(':');
        write!(formatter, "{}{}{}", if brackets { "[" } else { "" }, self.host, if brackets { "]" } else { "" })?;
        if let Some(port) = self.port {
            write!(formatter, ":{port}")?;
        }
        write!(formatter, "{}", self.socket.as_deref().unwrap_or_default())
    }
}

impl Address {
    /// Reads what somebody named; `origin` says where, for the error. `certificates` is where that place keeps those of
    /// TLS, if it asks for TLS.
    ///
    /// # Errors
    /// [`EngineError::BadAddress`].
    pub fn read(value: &str, origin: &str, certificates: Certificates<'_>) -> Result<Self, EngineError> {
        let value = value.trim();
        let bad = |why: &str| EngineError::BadAddress {
            value: value.to_owned(),
            origin: origin.to_owned(),
            why: why.to_owned(),
        };
        let Some((scheme, rest)) = value.split_once("://") else {
            return Err(bad("it has no scheme such as unix://"));
        };
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            "unix" => Err(bad("the path after unix:// must be absolute")),
            "tcp" | "http" | "https" => {
                let host = rest.trim_end_matches('/');
                match host.rsplit_once(':') {
                    Some((name, port)) if !name.is_empty() && port.parse::<u16>().is_ok() && !host.contains('/') => {}
                    _ => return Err(bad("it needs a host and a port, such as tcp://127.0.0.1:2375")),
                }
                let asked = scheme == "https" || certificates.asked;
                match (asked, certificates.folder) {
                    (false, _) => Ok(Self::Tcp(host.to_owned())),
                    (true, Some(folder)) => Ok(Self::Tls { host: host.to_owned(), certificates: folder.to_owned() }),
                    (true, None) => {
                        Err(bad("it is one with TLS, and there is no home folder to look for certificates"))
                    }
                }
            }
            "ssh" => Login::read(rest).map(Self::Ssh).map_err(bad),
            "npipe" if cfg!(windows) => Ok(Self::Pipe(rest.to_owned())),
            "npipe" => Err(bad("named pipes exist on Windows only")),
            other => Err(bad(&format!("{other}:// is not a kind of address that engines have"))),
        }
    }

    /// True where the engine does not see this machine's files, as far as an address tells: whatever is reached by ssh
    /// or TLS, and plain TCP to another machine. A loopback address may well lead elsewhere, but nobody protects the
    /// way to their own machine.
    pub fn is_remote(&self) -> bool {
        match self {
            Self::Unix(_) | Self::Pipe(_) => false,
            Self::Tls { .. } | Self::Ssh(_) => true,
            Self::Tcp(host) => {
                let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
                let name = name.trim_start_matches('[').trim_end_matches(']');
                let address = name.parse::<std::net::IpAddr>();
                name != "localhost" && !address.is_ok_and(|address| address.is_loopback())
            }
        }
    }
}

/// Where certificates are, and whether TLS is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Certificates<'a> {
    /// An address of either kind means TLS.
    pub asked: bool,
    /// The folder of `ca.pem`, `cert.pem` and `key.pem`.
    pub folder: Option<&'a Path>,
}

impl Login {
    fn read(text: &str) -> Result<Self, &'static str> {
        let (place, socket) = match text.find('/') {
            Some(at) => (&text[..at], Some(text[at..].trim_end_matches('/')).filter(|path| !path.is_empty())),
            None => (text, None),
        };
        let (user, place) = place.rsplit_once('@').map_or((None, place), |(user, place)| (Some(user), place));
        let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map(str::parse).transpose().map_err(|_| "what follows the host's colon is not a port")?;
        if user.is_some_and(|user| user.contains(':')) {
            return Err("it holds a password, which ssh takes from nobody; use a key");
        }
        // Either would be read by ssh as an option of its own.
        if host.is_empty() || host.starts_with('-') || user.is_some_and(|user| user.is_empty() || user.starts_with('-'))
        {
            return Err("it needs a host, such as ssh://user@box");
        }
        Ok(Self { user: user.map(str::to_owned), host: host.to_owned(), port, socket: socket.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_or_refused_for_a_reason() {
        let cases: &[(&str, bool, Result<&str, &str>)] = &[
            ("unix:///run/docker.sock", false, Ok("unix:///run/docker.sock")),
            ("  unix:///run/docker.sock ", false, Ok("unix:///run/docker.sock")),
            ("unix:///run/docker.sock", true, Ok("unix:///run/docker.sock")),
            ("tcp://127.0.0.1:2375", false, Ok("tcp://127.0.0.1:2375")),
            ("tcp://[::1]:2375/", false, Ok("tcp://[::1]:2375")),
            ("http://box:2375", false, Ok("tcp://box:2375")),
            ("tcp://box:2376", true, Ok("https://box:2376")),
            ("https://box:2376", false, Ok("https://box:2376")),
            ("ssh://user@box", false, Ok("ssh://user@box")),
            ("ssh://box/", false, Ok("ssh://box")),
            ("ssh://me@box:2222/run/podman/podman.sock", true, Ok("ssh://me@box:2222/run/podman/podman.sock")),
            ("ssh://[::1]:22", false, Ok("ssh://[::1]:22")),
            ("ssh://", false, Err("needs a host")),
            ("ssh://-oProxyCommand=x", false, Err("needs a host")),
            ("ssh://-l@box", false, Err("needs a host")),
            ("ssh://me:secret@box", false, Err("holds a password")),
            ("ssh://box:door", false, Err("not a port")),
            ("unix://docker.sock", false, Err("must be absolute")),
            ("/run/docker.sock", false, Err("no scheme")),
            ("tcp://box", false, Err("a host and a port")),
            ("https://box", true, Err("a host and a port")),
            ("tcp://:2375", false, Err("a host and a port")),
            ("tcp://box:99999", false, Err("a host and a port")),
            ("ftp://box", false, Err("ftp:// is not a kind")),
            ("", false, Err("no scheme")),
        ];
        for (value, asked, expected) in cases {
            let certificates = Certificates { asked: *asked, folder: Some(Path::new("/certificates")) };
            match (Address::read(value, "the test", certificates), expected) {
                (Ok(address), Ok(text)) => {
                    assert_eq!(&address.to_string(), text, "{value:?} is read");
                    let again = Address::read(text, "the test", certificates).unwrap();
                    assert_eq!(again, address, "what it is told as means the same");
                }
                (Err(error), Err(text)) => {
                    let error = error.to_string();
                    assert!(error.contains(text) && error.contains("the test"), "{value:?} is refused with: {error}");
                }
                (got, _) => panic!("{value:?} gave {got:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn an_address_tells_whether_the_engine_sees_our_files() {
        let certificates = Certificates { asked: false, folder: Some(Path::new("/certificates")) };
        let cases = [
            ("unix:///run/docker.sock", false),
            ("tcp://127.0.0.1:2375", false),
            ("tcp://localhost:2375", false),
            ("tcp://[::1]:2375", false),
            ("tcp://box:2375", true),
            ("tcp://10.0.0.1:2375", true),
            ("https://127.0.0.1:2376", true),
            ("ssh://127.0.0.1", true),
        ];
        for (value, remote) in cases {
            let address = Address::read(value, "the test", certificates).unwrap();
            assert_eq!(address.is_remote(), remote, "{value}");
        }
    }
}
