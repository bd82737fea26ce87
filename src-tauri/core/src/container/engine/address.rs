//! An engine's address, as the docker CLI spells it. Pure: it opens nothing.

use std::path::PathBuf;

use super::error::EngineError;

/// The addresses that are read, in words.
#[cfg(not(windows))]
pub const ACCEPTED: &str =
    "unix:///run/docker.sock or another socket's path, and tcp://127.0.0.1:2375 or another host and port without TLS";
/// The addresses that are read, in words.
#[cfg(windows)]
pub const ACCEPTED: &str =
    "npipe:////./pipe/docker_engine or another pipe, and tcp://127.0.0.1:2375 or another host and port without TLS";

/// Where an engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// Plain HTTP over TCP: host and port.
    Tcp(String),
    /// A named pipe of Windows, with slashes: `//./pipe/docker_engine`.
    Pipe(String),
}

impl std::fmt::Display for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "unix://{}", path.display()),
            Self::Tcp(host) => write!(formatter, "tcp://{host}"),
            Self::Pipe(path) => write!(formatter, "npipe://{path}"),
        }
    }
}

impl Address {
    /// Reads what somebody named; `origin` says where, for the error. `tls` is true where that place asks for TLS.
    ///
    /// # Errors
    /// [`EngineError::BadAddress`], and [`EngineError::NotSupported`] for ssh and TLS.
    pub fn read(value: &str, origin: &str, tls: bool) -> Result<Self, EngineError> {
        let value = value.trim();
        let bad = |why: &str| EngineError::BadAddress {
            value: value.to_owned(),
            origin: origin.to_owned(),
            why: why.to_owned(),
        };
        let unsupported = |what| EngineError::NotSupported { value: value.to_owned(), origin: origin.to_owned(), what };
        let Some((scheme, rest)) = value.split_once("://") else {
            return Err(bad("it has no scheme such as unix://"));
        };
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            "unix" => Err(bad("the path after unix:// must be absolute")),
            "tcp" | "http" if tls => Err(unsupported("TLS")),
            "tcp" | "http" => {
                let host = rest.trim_end_matches('/');
                match host.rsplit_once(':') {
                    Some((name, port)) if !name.is_empty() && port.parse::<u16>().is_ok() && !host.contains('/') => {
                        Ok(Self::Tcp(host.to_owned()))
                    }
                    _ => Err(bad("it needs a host and a port, such as tcp://127.0.0.1:2375")),
                }
            }
            "npipe" if cfg!(windows) => Ok(Self::Pipe(rest.to_owned())),
            "npipe" => Err(bad("named pipes exist on Windows only")),
            "ssh" => Err(unsupported("ssh")),
            "https" => Err(unsupported("TLS")),
            other => Err(bad(&format!("{other}:// is not a kind of address that engines have"))),
        }
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
            ("unix://docker.sock", false, Err("must be absolute")),
            ("/run/docker.sock", false, Err("no scheme")),
            ("tcp://box", false, Err("a host and a port")),
            ("tcp://:2375", false, Err("a host and a port")),
            ("tcp://box:99999", false, Err("a host and a port")),
            ("tcp://box:2376", true, Err("TLS are not supported yet")),
            ("https://box:2376", false, Err("TLS are not supported yet")),
            ("ssh://user@box", false, Err("ssh are not supported yet")),
            ("ftp://box", false, Err("ftp:// is not a kind")),
            ("", false, Err("no scheme")),
        ];
        for (value, tls, expected) in cases {
            match (Address::read(value, "the test", *tls), expected) {
                (Ok(address), Ok(text)) => assert_eq!(&address.to_string(), text, "{value:?} is read"),
                (Err(error), Err(text)) => {
                    let error = error.to_string();
                    assert!(error.contains(text) && error.contains("the test"), "{value:?} is refused with: {error}");
                }
                (got, _) => panic!("{value:?} gave {got:?}, not {expected:?}"),
            }
        }
    }
}
