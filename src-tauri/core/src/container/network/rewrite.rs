//! Addresses in variables that mean this machine, and mean the container itself once they are inside: found, and said
//! so that they mean this machine again. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::allow::Target;

/// The variables that name proxies.
pub(super) const PROXIES: [&str; 6] =
    ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
/// What goes past a proxy.
pub(super) const PAST: [&str; 2] = ["NO_PROXY", "no_proxy"];
/// This machine, as containers call it.
pub const HOST: &str = "host.docker.internal";

/// An address apart: what is before the host, the host, its port, and what follows.
struct Parts<'a> {
    before: &'a str,
    host: &'a str,
    port: u16,
    rest: &'a str,
}

/// True for a variable that may hold such an address.
fn concerns(name: &str, proxies: bool) -> bool {
    (name.starts_with("ANTHROPIC_") && name.ends_with("_URL")) || (proxies && PROXIES.contains(&name))
}

/// The ports of this machine's loopback that the variables name.
pub(super) fn ports(variables: &BTreeMap<String, String>, proxies: bool) -> BTreeSet<u16> {
    let concerned = variables.iter().filter(|(name, _)| concerns(name, proxies));
    concerned
        .filter_map(|(_, value)| parts(value))
        .filter(|parts| is_local(parts.host))
        .map(|parts| parts.port)
        .collect()
}

/// The hosts of the model's API that the variables name and that are not this machine.
pub fn apis(variables: &BTreeMap<String, String>) -> Vec<Target> {
    let concerned = variables.iter().filter(|(name, _)| concerns(name, false));
    let away = concerned.filter_map(|(_, value)| parts(value)).filter(|parts| !is_local(parts.host));
    away.filter_map(|parts| Target::parse(parts.host, Some(parts.port)).ok()).collect()
}

/// Says each local address of the variables anew, where `known` knows one for its port.
pub(super) fn rewrite(variables: &mut BTreeMap<String, String>, proxies: bool, known: &BTreeMap<u16, (String, u16)>) {
    for (name, value) in variables.iter_mut() {
        if concerns(name, proxies)
            && let Some(parts) = parts(value)
            && is_local(parts.host)
            && let Some((host, port)) = known.get(&parts.port)
        {
            *value = format!("{}{host}:{port}{}", parts.before, parts.rest);
        }
    }
}

fn parts(value: &str) -> Option<Parts<'_>> {
    let from = value.find("://").map_or(0, |at| at + 3);
    let usual = match value[..from].to_ascii_lowercase().as_str() {
        "https://" => 443,
        scheme if scheme.starts_with("socks") => 1080,
        _ => 80,
    };
    let end = value[from..].find(['/', '?', '#']).map_or(value.len(), |at| from + at);
    let host_from = value[from..end].rfind('@').map_or(from, |at| from + at + 1);
    let authority = &value[host_from..end];
    let host_length = if authority.starts_with('[') {
        authority.find(']')? + 1
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (host, port) = authority.split_at(host_length);
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => usual,
        Some("") => usual,
        Some(port) => port.parse().ok()?,
        None => return None,
    };
    (!host.is_empty()).then_some(Parts { before: &value[..host_from], host, port, rest: &value[end..] })
}

fn is_local(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
    let address = host.parse::<std::net::IpAddr>().map(|address| address.to_canonical());
    host == "localhost"
        || host.ends_with(".localhost")
        || address.is_ok_and(|address| address.is_loopback() || address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(name: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn local_addresses_are_said_anew_and_nothing_else() {
        let known = BTreeMap::from([
            (4000, (HOST.to_owned(), 4000)),
            (80, (HOST.to_owned(), 40123)),
            (443, (HOST.to_owned(), 443)),
            (1080, (HOST.to_owned(), 1080)),
        ]);
        let cases = [
            ("ANTHROPIC_BASE_URL", "http://127.0.0.1:4000", "http://host.docker.internal:4000"),
            ("ANTHROPIC_BASE_URL", "http://localhost:4000/v1?x=1", "http://host.docker.internal:4000/v1?x=1"),
            ("ANTHROPIC_BASE_URL", "http://[::1]:4000/", "http://host.docker.internal:4000/"),
            ("ANTHROPIC_BASE_URL", "HTTP://LOCALHOST.:4000", "HTTP://host.docker.internal:4000"),
            ("ANTHROPIC_BASE_URL", "http://127.1.2.3:4000", "http://host.docker.internal:4000"),
            ("ANTHROPIC_BASE_URL", "http://0.0.0.0:4000", "http://host.docker.internal:4000"),
            ("ANTHROPIC_BASE_URL", "http://localhost", "http://host.docker.internal:40123"),
            ("ANTHROPIC_BASE_URL", "https://localhost/x", "https://host.docker.internal:443/x"),
            ("ANTHROPIC_BEDROCK_BASE_URL", "http://api.localhost:4000", "http://host.docker.internal:4000"),
            ("HTTPS_PROXY", "http://me:p@ss@127.0.0.1:4000", "http://me:p@ss@host.docker.internal:4000"),
            ("http_proxy", "localhost:4000", "host.docker.internal:4000"),
            ("ALL_PROXY", "socks5h://127.0.0.1", "socks5h://host.docker.internal:1080"),
            ("ANTHROPIC_BASE_URL", "https://api.example.org/localhost:4000", "https://api.example.org/localhost:4000"),
            ("ANTHROPIC_BASE_URL", "https://localhost.example.org:4000", "https://localhost.example.org:4000"),
            ("ANTHROPIC_BASE_URL", "https://localhost:4000@example.org", "https://localhost:4000@example.org"),
            ("ANTHROPIC_BASE_URL", "http://192.168.1.7:4000", "http://192.168.1.7:4000"),
            ("ANTHROPIC_BASE_URL", "http://localhost:4001", "http://localhost:4001"),
            ("ANTHROPIC_BASE_URL", "http://localhost:port", "http://localhost:port"),
            ("ANTHROPIC_BASE_URL", "http://[::1", "http://[::1"),
            ("ANTHROPIC_BASE_URL", "", ""),
            ("ANTHROPIC_API_KEY", "http://127.0.0.1:4000", "http://127.0.0.1:4000"),
            ("NO_PROXY", "127.0.0.1:4000", "127.0.0.1:4000"),
        ];
        for (name, before, after) in cases {
            let mut all = variables(name, before);
            rewrite(&mut all, true, &known);
            assert_eq!(all[name], after, "{name}={before}");
        }
        let mut proxy = variables("HTTP_PROXY", "http://127.0.0.1:4000");
        rewrite(&mut proxy, false, &known);
        assert_eq!(proxy["HTTP_PROXY"], "http://127.0.0.1:4000", "proxies only where they are asked for");
    }

    #[test]
    fn ports_and_hosts_are_found() {
        let mut all = variables("ANTHROPIC_BASE_URL", "http://localhost:4000/v1");
        all.insert("HTTPS_PROXY".to_owned(), "http://127.0.0.1:3128".to_owned());
        assert_eq!(ports(&all, true), BTreeSet::from([3128, 4000]), "with the proxies");
        assert_eq!(ports(&all, false), BTreeSet::from([4000]), "and without");
        assert!(apis(&all).is_empty(), "this machine is no host of its own");
        for (url, expected) in [
            ("https://llm.example.org/x", "llm.example.org:443"),
            ("http://10.0.0.1:8000", "10.0.0.1:8000"),
            ("http://[fd00::1]:81/", "[fd00::1]:81"),
        ] {
            let found: Vec<String> =
                apis(&variables("ANTHROPIC_BASE_URL", url)).iter().map(ToString::to_string).collect();
            assert_eq!(found, [expected], "{url}");
        }
    }
}
