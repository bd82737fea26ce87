//! Which names a container in an isolated network may reach: a pure table and its rules. It resolves nothing and
//! connects nobody.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What agents and the usual package sources need, as a domain and names below it; the empty one is the domain itself.
const USUAL: &[(&str, &[&str])] = &[
    // The model, and the renewal of a login. Not where statistics and crash reports go.
    ("anthropic.com", &["api", "console"]),
    ("claude.com", &["platform"]),
    ("npmjs.org", &["registry"]),
    ("yarnpkg.com", &["registry", "repo"]),
    ("crates.io", &["", "index", "static"]),
    ("pypi.org", &[""]),
    ("pythonhosted.org", &["files"]),
    ("github.com", &["", "api", "codeload"]),
    ("githubusercontent.com", &["raw", "objects", "release-assets"]),
    ("debian.org", &["deb", "security"]),
];
/// Where nobody names a port.
const PORTS: [u16; 2] = [80, 443];

/// Where somebody wants to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The host.
    pub host: Host,
    /// The port.
    pub port: u16,
}

/// A host, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// By its name, in small letters, without a last dot.
    Name(String),
    /// By its address.
    Address(IpAddr),
}

/// How far an allowed target may lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Out of this machine and its own network only: a name that leads back is somebody's trick.
    Outside,
    /// Anywhere: the user has named this very host and port.
    Anywhere,
}

/// One entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    host: Pattern,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Name(String),
    /// What lies below the domain, and not itself.
    Below(String),
    Address(IpAddr),
}

/// Why a text is no entry, or no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no name that can be allowed: {why}")]
pub struct BadName {
    text: String,
    why: &'static str,
}

/// Everything that one container may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    entries: Vec<Entry>,
}

impl Entry {
    /// Reads `example.com`, `*.example.com`, an address, or any of them with a port.
    ///
    /// # Errors
    /// [`BadName`] says why it is none.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let bad = |why| BadName { text: text.to_owned(), why };
        let (host, port) = split(text.trim()).map_err(bad)?;
        if let Some(domain) = host.strip_prefix("*.") {
            let Host::Name(domain) = Host::parse(domain).map_err(bad)? else {
                return Err(bad("there is nothing below an address"));
            };
            if !domain.contains('.') {
                return Err(bad("that would allow half the world"));
            }
            return Ok(Self { host: Pattern::Below(domain), port });
        }
        let host = match Host::parse(host).map_err(bad)? {
            Host::Name(name) => Pattern::Name(name),
            Host::Address(address) => Pattern::Address(address),
        };
        Ok(Self { host, port })
    }

    fn is(target: &Target) -> Self {
        let host = match &target.host {
            Host::Name(name) => Pattern::Name(name.clone()),
            Host::Address(address) => Pattern::Address(*address),
        };
        Self { host, port: Some(target.port) }
    }

    fn permits(&self, target: &Target) -> Option<Reach> {
        let host = match (&self.host, &target.host) {
            (Pattern::Name(name), Host::Name(wanted)) => name == wanted,
            (Pattern::Below(domain), Host::Name(wanted)) => {
                wanted.strip_suffix(domain.as_str()).is_some_and(|before| before.len() > 1 && before.ends_with('.'))
            }
            (Pattern::Address(address), Host::Address(wanted)) => address == wanted,
            _ => false,
        };
        let port = self.port.map_or_else(|| PORTS.contains(&target.port), |port| port == target.port);
        if !host || !port {
            return None;
        }
        let named = match self.host {
            Pattern::Name(_) => self.port.is_some(),
            Pattern::Below(_) => false,
            Pattern::Address(_) => true,
        };
        Some(if named { Reach::Anywhere } else { Reach::Outside })
    }
}

impl Allowed {
    /// The usual names and the user's entries. What is no entry is passed over: the settings refuse it, and a file that was written by hand must not open more than it says.
    pub fn of(entries: &[String]) -> Self {
        let usual = USUAL.iter().flat_map(|(domain, names)| {
            names.iter().map(move |name| {
                let name = if name.is_empty() { (*domain).to_owned() } else { format!("{name}.{domain}") };
                Entry { host: Pattern::Name(name), port: None }
            })
        });
        let own = entries.iter().filter_map(|text| match Entry::parse(text) {
            Ok(entry) => Some(entry),
            Err(error) => {
                tracing::warn!(%error, "an allowed name is passed over");
                None
            }
        });
        Self { entries: usual.chain(own).collect() }
    }

    /// And this very target, which the user has named.
    #[must_use]
    pub fn and(mut self, target: &Target) -> Self {
        self.entries.push(Entry::is(target));
        self
    }

    /// How far the target may lead; `None` where it is not allowed.
    pub fn permits(&self, target: &Target) -> Option<Reach> {
        let found = self.entries.iter().filter_map(|entry| entry.permits(target));
        found.max_by_key(|reach| *reach == Reach::Anywhere)
    }
}

impl Target {
    /// Reads `host:port`; the port may be missing where there is a usual one.
    ///
    /// # Errors
    /// [`BadName`] says why it is none.
    pub fn parse(text: &str, usual: Option<u16>) -> Result<Self, BadName> {
        let bad = |why| BadName { text: text.chars().take(300).collect(), why };
        let (host, port) = split(text).map_err(bad)?;
        let port = port.or(usual).ok_or_else(|| bad("it has no port"))?;
        Ok(Self { host: Host::parse(host).map_err(bad)?, port })
    }
}

impl Target {
    /// The entry of the list that would allow it; with its port, where the way may lead `anywhere`.
    pub fn entry(&self, anywhere: bool) -> String {
        match &self.host {
            Host::Name(name) if !anywhere && PORTS.contains(&self.port) => name.clone(),
            Host::Name(_) | Host::Address(_) => self.to_string(),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.host {
            Host::Name(name) => write!(formatter, "{name}:{}", self.port),
            Host::Address(address) => write!(formatter, "{}", std::net::SocketAddr::new(*address, self.port)),
        }
    }
}

impl Host {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or("a bracket is open")?;
            return inner
                .parse::<Ipv6Addr>()
                .map(|address| Self::Address(plain(address.into())))
                .map_err(|_| "in brackets stands an IPv6 address");
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Address(plain(address)));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if name.is_empty() || name.len() > 253 {
            return Err("a name has 1 to 253 letters");
        }
        let label = |label: &str| {
            let letters = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
            (1..=63).contains(&label.len())
                && label.chars().all(letters)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if !name.split('.').all(label) {
            return Err("a name is made of letters, digits, dashes and dots");
        }
        // Systems read 127.1, 0x7f000001 and 2130706433 as addresses.
        let last = name.rsplit('.').next().unwrap_or_default();
        if last.starts_with(|first: char| first.is_ascii_digit()) {
            return Err("it ends as an address does, and is none");
        }
        Ok(Self::Name(name))
    }
}

/// True for an address that is neither this machine's nor in a network of its own. Asks the system which addresses it
/// has, which takes no time.
pub fn is_outside(address: IpAddr) -> bool {
    let within = match plain(address) {
        IpAddr::V4(address) => is_within(address),
        IpAddr::V6(address) => {
            let parts = address.segments();
            // Both carry an IPv4 address, to which somebody on the way may lead.
            let carried = match parts {
                [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => Some((high, low)),
                _ => None,
            };
            let carried = carried.map(|(high, low)| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
            address.is_loopback()
                || address.is_unspecified()
                || address.is_multicast()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || carried.is_some_and(is_within)
        }
    };
    !within && std::net::UdpSocket::bind((address, 0)).is_err()
}

fn is_within(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    let shared = first == 100 && (64..128).contains(&second);
    first == 0
        || shared
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
}

/// An IPv4 address in the clothes of IPv6 is an IPv4 address.
fn plain(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// A host and, where it is said, its port. An address of IPv6 without brackets has none.
fn split(text: &str) -> Result<(&str, Option<u16>), &'static str> {
    if text.starts_with('[') {
        let end = text.find(']').ok_or("a bracket is open")?;
        let (host, rest) = text.split_at(end + 1);
        return match rest {
            "" => Ok((host, None)),
            _ => Ok((host, Some(port(rest.strip_prefix(':').ok_or("after an address comes a colon")?)?))),
        };
    }
    match text.split_once(':') {
        Some((host, rest)) if !rest.contains(':') => Ok((host, Some(port(rest)?))),
        _ => Ok((text, None)),
    }
}

fn port(text: &str) -> Result<u16, &'static str> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port > 0).ok_or("a port is a number from 1 to 65535")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        Target::parse(text, None).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn entries_allow_what_they_say_and_no_more() {
        let own = [
            "example.org",
            "*.example.net",
            "Build.Example.COM.",
            "api.local:4000",
            "*.ports.example:8443",
            "10.1.2.3",
            "[fd00::7]:8080",
        ];
        let own: Vec<String> = own.iter().map(|&text| text.to_owned()).collect();
        let api = target("llm.corp.example:8000");
        let allowed = Allowed::of(&own).and(&api);
        let cases = [
            ("api.anthropic.com:443", Some(Reach::Outside)),
            ("github.com:443", Some(Reach::Outside)),
            ("github.com:22", None),
            ("gist.github.com:443", None),
            ("statsig.anthropic.com:443", None),
            ("sentry.io:443", None),
            ("deb.debian.org:80", Some(Reach::Outside)),
            ("example.org:443", Some(Reach::Outside)),
            ("example.org:80", Some(Reach::Outside)),
            ("example.org:8080", None),
            ("EXAMPLE.ORG.:443", Some(Reach::Outside)),
            ("www.example.org:443", None),
            ("notexample.org:443", None),
            ("example.org.evil.example:443", None),
            ("a.example.net:443", Some(Reach::Outside)),
            ("a.b.example.net:443", Some(Reach::Outside)),
            ("example.net:443", None),
            ("evilexample.net:443", None),
            ("build.example.com:443", Some(Reach::Outside)),
            ("api.local:4000", Some(Reach::Anywhere)),
            ("api.local:443", None),
            ("x.ports.example:8443", Some(Reach::Outside)),
            ("x.ports.example:443", None),
            ("llm.corp.example:8000", Some(Reach::Anywhere)),
            ("10.1.2.3:443", Some(Reach::Anywhere)),
            ("10.1.2.3:22", None),
            ("[::ffff:10.1.2.3]:443", Some(Reach::Anywhere)),
            ("10.1.2.4:443", None),
            ("[fd00::7]:8080", Some(Reach::Anywhere)),
            ("[fd00::8]:8080", None),
            ("127.0.0.1:80", None),
            ("localhost:80", None),
        ];
        for (text, expected) in cases {
            assert_eq!(allowed.permits(&target(text)), expected, "{text}");
        }
        assert_eq!(Allowed::default().permits(&target("github.com:443")), None, "an empty list allows nothing");
    }

    #[test]
    fn what_is_no_entry_is_refused_and_opens_nothing() {
        for text in [
            "",
            "*",
            "*.com",
            "a b",
            "https://example.org",
            "example.org/path",
            "a.*.b",
            "**.example.org",
            "*.1.2.3.4",
            "x.org:0",
            "x.org:70000",
            "x.org:",
            "[::1",
            "-a.org",
            "127.1",
            "0x7f000001",
            "2130706433",
            "ä.org",
            "x..org",
            "a@b.org",
        ] {
            assert!(Entry::parse(text).is_err(), "{text:?} is no entry");
        }
        let allowed = Allowed::of(&["*".to_owned(), "127.1".to_owned()]);
        assert_eq!(allowed, Allowed::of(&[]), "what is no entry opens nothing");
    }

    #[test]
    fn addresses_in_disguise_are_no_names() {
        for text in ["2130706433:80", "0x7f.1:80", "127.1:80", "017700000001:80", "1.2.3:80", "a.1:80"] {
            assert!(Target::parse(text, None).is_err(), "{text} would be read as an address");
        }
        for (text, address) in
            [("127.0.0.1:80", "127.0.0.1"), ("[::ffff:127.0.0.1]:80", "127.0.0.1"), ("[::1]:80", "::1")]
        {
            assert_eq!(target(text).host, Host::Address(address.parse().unwrap()), "{text} is an address");
        }
    }

    #[test]
    fn a_refused_target_tells_the_entry_that_would_allow_it_and_no_more() {
        for (text, anywhere, entry) in [
            ("example.org:443", false, "example.org"),
            ("example.org:80", false, "example.org"),
            ("example.org:8443", false, "example.org:8443"),
            ("example.org:443", true, "example.org:443"),
            ("10.1.2.3:443", false, "10.1.2.3:443"),
            ("[fd00::7]:8080", false, "[fd00::7]:8080"),
        ] {
            let (target, found) = (target(text), target(text).entry(anywhere));
            assert_eq!(found, entry, "{text}");
            let reach = Allowed::of(std::slice::from_ref(&found)).permits(&target);
            assert!(reach.is_some(), "with it {text} is allowed");
            assert!(!anywhere || reach == Some(Reach::Anywhere), "wherever it leads, where that was why");
        }
    }

    #[test]
    fn what_leads_back_is_not_outside() {
        for inside in [
            "127.0.0.1",
            "127.9.9.9",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ] {
            assert!(!is_outside(inside.parse().unwrap()), "{inside} is this machine's or its network's");
        }
        for outside in ["1.1.1.1", "140.82.112.3", "2606:4700::1111", "64:ff9b::101:101"] {
            assert!(is_outside(outside.parse().unwrap()), "{outside} is somebody else's");
        }
    }
}
