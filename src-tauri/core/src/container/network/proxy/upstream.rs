//! A proxy of this machine's own, where it reaches the outside through one: which targets go through it, and how it is
//! asked. It knows no list of allowed names.

use std::collections::BTreeMap;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::request::LONGEST;
use crate::container::network::allow::{Host, Target};

/// The proxies of this machine's environment.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Upstream {
    plain: Option<Via>,
    tunnel: Option<Via>,
    past: Vec<String>,
}

/// A proxy. It may have a password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Via {
    address: Target,
    authorization: Option<String>,
}

/// A proxy that cannot be used. The password is not told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "This machine reaches the outside through the proxy of {0}, which is of a kind that Gemra cannot go through: only http:// is"
)]
pub struct BadProxy(&'static str);

impl std::fmt::Debug for Upstream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Upstream").finish_non_exhaustive()
    }
}

impl Upstream {
    /// Reads the usual variables.
    ///
    /// # Errors
    /// [`BadProxy`] names the variable that cannot be used.
    pub fn of(variables: &BTreeMap<String, String>) -> Result<Self, BadProxy> {
        let find = |names: [&'static str; 4]| {
            let found = names.into_iter().find_map(|name| Some((name, variables.get(name)?.trim())));
            found
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| Via::read(value).ok_or(BadProxy(name)))
                .transpose()
        };
        let past = ["no_proxy", "NO_PROXY"].into_iter().find_map(|name| variables.get(name));
        let past = past.map(|past| past.split(',').map(|one| one.trim().to_ascii_lowercase()).collect());
        Ok(Self {
            plain: find(["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])?,
            tunnel: find(["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?,
            past: past.unwrap_or_default(),
        })
    }

    /// The proxy that a request goes through.
    pub(super) fn via(&self, target: &Target, tunnel: bool) -> Option<&Via> {
        let via = if tunnel { &self.tunnel } else { &self.plain };
        via.as_ref().filter(|_| !self.goes_past(target))
    }

    fn goes_past(&self, target: &Target) -> bool {
        let name = match &target.host {
            Host::Name(name) if name == "localhost" => return true,
            Host::Address(address) if address.is_loopback() => return true,
            Host::Name(name) => name.clone(),
            Host::Address(address) => address.to_string(),
        };
        self.past.iter().any(|past| {
            let past = past.strip_suffix(&format!(":{}", target.port)).unwrap_or(past);
            let past = past.trim_start_matches('*').trim_start_matches('.');
            !past.is_empty() && (name == past || name.strip_suffix(past).is_some_and(|before| before.ends_with('.')))
        }) || self.past.iter().any(|past| past == "*")
    }
}

impl Via {
    fn read(value: &str) -> Option<Self> {
        let rest = match value.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some(_) => return None,
            None => value,
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        let authorization = user.map(|user| {
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            let both = [decoded(name), b":".to_vec(), decoded(password)].concat();
            format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(both))
        });
        Some(Self { address: Target::parse(host, Some(80)).ok()?, authorization })
    }

    pub(super) async fn connect(&self) -> io::Result<TcpStream> {
        match &self.address.host {
            Host::Name(name) => TcpStream::connect((name.as_str(), self.address.port)).await,
            Host::Address(address) => TcpStream::connect((*address, self.address.port)).await,
        }
    }

    /// A tunnel to the target.
    pub(super) async fn tunnel(&self, target: &Target) -> io::Result<TcpStream> {
        let mut stream = self.connect().await?;
        let authorization = self.authorization.as_deref().unwrap_or_default();
        let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n");
        stream.write_all(request.as_bytes()).await?;
        // Byte by byte, so that nothing of what follows the head is taken.
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() > LONGEST {
                return Err(io::Error::other("this machine's proxy does not end its answer"));
            }
            head.push(stream.read_u8().await?);
        }
        let first = String::from_utf8_lossy(head.split(|byte| *byte == b'\r').next().unwrap_or_default()).into_owned();
        if first.split(' ').nth(1).is_some_and(|status| status.starts_with('2')) {
            return Ok(stream);
        }
        Err(io::Error::other(format!("this machine's proxy says {first}")))
    }

    /// A plain request's head, as this proxy wants it.
    pub(super) fn head(&self, target: &Target, head: &str) -> String {
        let authorization = self.authorization.as_deref().unwrap_or_default();
        let (method, rest) = head.split_once(' ').unwrap_or((head, ""));
        let (first, fields) = rest.split_once("\r\n").unwrap_or((rest, ""));
        format!("{method} http://{target}{first}\r\n{authorization}{fields}")
    }
}

/// `%41` is `A`.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().iter();
    let mut all = Vec::with_capacity(text.len());
    while let Some(&byte) = bytes.next() {
        let rest = bytes.as_slice();
        let pair = rest.get(..2).and_then(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        match pair.filter(|_| byte == b'%') {
            Some(value) => {
                all.push(value);
                bytes.nth(1);
            }
            None => all.push(byte),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_goes_through_which_proxy() {
        let all = variables(&[
            ("HTTP_PROXY", "http://plain.example:3128"),
            ("https_proxy", "me:p%40ss@tunnel.example"),
            ("NO_PROXY", "localhost, .corp.example,10.0.0.1,other.example:8443"),
        ]);
        let upstream = Upstream::of(&all).unwrap();
        let cases = [
            ("example.org:443", true, Some("tunnel.example:80")),
            ("example.org:80", false, Some("plain.example:3128")),
            ("git.corp.example:443", true, None),
            ("corp.example:443", true, None),
            ("notcorp.example:443", true, Some("tunnel.example:80")),
            ("10.0.0.1:443", true, None),
            ("other.example:8443", true, None),
            ("other.example:443", true, Some("tunnel.example:80")),
            ("localhost:4000", true, None),
            ("127.0.0.1:4000", true, None),
        ];
        for (target, tunnel, expected) in cases {
            let target = Target::parse(target, None).unwrap();
            let via = upstream.via(&target, tunnel).map(|via| via.address.to_string());
            assert_eq!(via.as_deref(), expected, "{target}");
        }
        let said = upstream.tunnel.and_then(|via| via.authorization).unwrap();
        assert_eq!(said, format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode("me:p@ss")));
        let everything = Upstream::of(&variables(&[("ALL_PROXY", "http://x.example"), ("no_proxy", "*")])).unwrap();
        assert!(everything.via(&Target::parse("example.org:443", None).unwrap(), true).is_none(), "all goes past it");
    }

    #[test]
    fn proxies_of_other_kinds_are_refused_and_passwords_not_told() {
        for bad in ["socks5://x.example:1080", "https://me:secret@x.example", "http://:3128", "http://x.example:port"] {
            let error = Upstream::of(&variables(&[("HTTPS_PROXY", bad)])).unwrap_err().to_string();
            assert!(error.contains("HTTPS_PROXY") && !error.contains("secret"), "{bad}: {error}");
        }
        assert_eq!(Upstream::of(&variables(&[("HTTPS_PROXY", "")])), Ok(Upstream::default()), "empty means none");
    }
}
