//! Reads the head of a request to the proxy, strictly: what two readers could understand differently is refused, so
//! that nobody hides one request in another. It decides nothing.

use crate::container::network::allow::Target;

/// The longest head that is read, in bytes.
pub(super) const LONGEST: usize = 16 * 1024;
/// The methods of plain requests.
const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
/// What is said from one hop to the next, and not to the end.
const OF_THE_HOP: &[&str] = &[
    "connection",
    "proxy-connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "upgrade",
    "host",
];

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    /// A tunnel.
    Tunnel(Target),
    /// A plain request to be passed on.
    Plain {
        /// To whom.
        target: Target,
        /// The head to send there.
        head: String,
        /// How many bytes of body follow.
        body: u64,
    },
}

/// Why a request is none; each is answered with its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadRequest {
    /// It breaks the grammar, or can be read in two ways.
    #[error("400 Bad Request")]
    Malformed,
    /// The method is none that is passed on.
    #[error("405 Method Not Allowed")]
    Method,
    /// The length of its body is not said beforehand.
    #[error("411 Length Required")]
    Length,
    /// Its head is too long.
    #[error("431 Request Header Fields Too Large")]
    TooLong,
    /// It is of another version.
    #[error("505 HTTP Version Not Supported")]
    Version,
}

/// Where the head ends in what was read so far; `None` while it does not.
pub(super) fn end(read: &[u8]) -> Option<usize> {
    read.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// Reads a whole head, its last empty line included.
pub(super) fn read(head: &[u8]) -> Result<Request, BadRequest> {
    let text = std::str::from_utf8(head).map_err(|_| BadRequest::Malformed)?;
    let text = text.strip_suffix("\r\n\r\n").ok_or(BadRequest::Malformed)?;
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let mut words = first.split(' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(BadRequest::Malformed);
    };
    if method.is_empty() || !method.bytes().all(is_token) || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BadRequest::Malformed);
    }
    match version {
        "HTTP/1.1" | "HTTP/1.0" => {}
        other if other.starts_with("HTTP/") => return Err(BadRequest::Version),
        _ => return Err(BadRequest::Malformed),
    }
    let fields = lines.map(field).collect::<Result<Vec<_>, _>>()?;
    if method == "CONNECT" {
        return Target::parse(target, None).map(Request::Tunnel).map_err(|_| BadRequest::Malformed);
    }
    if !METHODS.contains(&method) {
        return Err(BadRequest::Method);
    }
    let (target, path) = absolute(target)?;
    let body = length(&fields)?;
    // Named by `Connection`, a field is of the hop as well.
    let named: Vec<String> = fields
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("connection"))
        .flat_map(|(_, value)| value.split(',').map(|name| name.trim().to_ascii_lowercase()))
        .collect();
    let host = target.to_string();
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
        host.strip_suffix(":80").unwrap_or(&host)
    );
    for (name, value) in &fields {
        let small = name.to_ascii_lowercase();
        if !OF_THE_HOP.contains(&small.as_str()) && (small == "content-length" || !named.contains(&small)) {
            head.push_str(name);
            head.push_str(": ");
            head.push_str(value);
            head.push_str("\r\n");
        }
    }
    head.push_str("\r\n");
    Ok(Request::Plain { target, head, body })
}

fn field(line: &str) -> Result<(&str, &str), BadRequest> {
    // A line that begins with a space would go on with the one before; nobody sends such any more but to deceive.
    let (name, value) = line.split_once(':').ok_or(BadRequest::Malformed)?;
    let value = value.trim_matches([' ', '\t']);
    let visible = |letter: char| letter == '\t' || !letter.is_control();
    if name.is_empty() || !name.bytes().all(is_token) || !value.chars().all(visible) {
        return Err(BadRequest::Malformed);
    }
    Ok((name, value))
}

/// `http://host[:port]/path`; everything else goes through a tunnel.
fn absolute(target: &str) -> Result<(Target, &str), BadRequest> {
    let (scheme, rest) = target.split_at_checked(7).ok_or(BadRequest::Malformed)?;
    if !scheme.eq_ignore_ascii_case("http://") {
        return Err(BadRequest::Malformed);
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if authority.contains('@') || path.contains('#') {
        return Err(BadRequest::Malformed);
    }
    let target = Target::parse(authority, Some(80)).map_err(|_| BadRequest::Malformed)?;
    match path {
        "" => Ok((target, "/")),
        path if path.starts_with('/') => Ok((target, path)),
        _ => Err(BadRequest::Malformed),
    }
}

fn length(fields: &[(&str, &str)]) -> Result<u64, BadRequest> {
    let all = |wanted: &'static str| {
        fields.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| *value)
    };
    let mut lengths = all("content-length");
    let said = lengths.next();
    if lengths.next().is_some() {
        return Err(BadRequest::Malformed);
    }
    if all("transfer-encoding").next().is_some() {
        return Err(if said.is_some() { BadRequest::Malformed } else { BadRequest::Length });
    }
    match said {
        None => Ok(0),
        Some(said) if !said.is_empty() && said.bytes().all(|byte| byte.is_ascii_digit()) => {
            said.parse().map_err(|_| BadRequest::Malformed)
        }
        Some(_) => Err(BadRequest::Malformed),
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        Target::parse(text, None).unwrap()
    }

    #[test]
    fn tunnels_and_plain_requests_are_read() {
        let tunnel = read(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n");
        assert_eq!(tunnel, Ok(Request::Tunnel(target("example.org:443"))));
        let plain = read(b"POST http://Example.org/a?b=c HTTP/1.1\r\nHost: elsewhere.example\r\nConnection: keep-alive, X-Hop, content-length\r\nX-Hop: 1\r\nProxy-Authorization: secret\r\nContent-Length: 3\r\nAccept: */*\r\n\r\n");
        let head = "POST /a?b=c HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\nContent-Length: 3\r\nAccept: */*\r\n\r\n";
        let expected = Request::Plain { target: target("example.org:80"), head: head.to_owned(), body: 3 };
        assert_eq!(plain, Ok(expected), "the host is the target's, and what is of the hop stays behind");
        let port = read(b"GET http://example.org:8080 HTTP/1.0\r\n\r\n").unwrap();
        let Request::Plain { head, target: to, .. } = port else { panic!("it is a plain request") };
        assert_eq!(
            (to, head.starts_with("GET / HTTP/1.1\r\nHost: example.org:8080\r\n")),
            (target("example.org:8080"), true)
        );
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        use BadRequest::{Length, Malformed, Method, Version};
        let get = |fields: &str| format!("GET http://example.org/ HTTP/1.1\r\n{fields}\r\n");
        let cases = [
            (get("Content-Length: 3\r\nContent-Length: 4\r\n"), Malformed),
            (get("Content-Length: 3\r\nContent-Length: 3\r\n"), Malformed),
            (get("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), Malformed),
            (get("Transfer-Encoding: chunked\r\n"), Length),
            (get("Transfer-Encoding: identity\r\n"), Length),
            (get("Content-Length: +3\r\n"), Malformed),
            (get("Content-Length: 3, 3\r\n"), Malformed),
            (get("Content-Length: -1\r\n"), Malformed),
            (get("Content-Length: 0x3\r\n"), Malformed),
            (get("Content-Length: 99999999999999999999999\r\n"), Malformed),
            (get("Content-Length : 3\r\n"), Malformed),
            (get(" folded: 1\r\n"), Malformed),
            (get("A: 1\r\n more\r\n"), Malformed),
            (get("A: 1\nB: 2\r\n"), Malformed),
            (get("A: 1\rB: 2\r\n"), Malformed),
            (get("A: \0\r\n"), Malformed),
            (get("no colon\r\n"), Malformed),
            (get(": nameless\r\n"), Malformed),
            ("GET  http://example.org/ HTTP/1.1\r\n\r\n".to_owned(), Malformed),
            ("GET http://example.org/ HTTP/1.1 more\r\n\r\n".to_owned(), Malformed),
            ("GET http://example.org/\thttp://b/ HTTP/1.1\r\n\r\n".to_owned(), Malformed),
            ("GET http://user@example.org/ HTTP/1.1\r\n\r\n".to_owned(), Malformed),
            ("GET http://example.org@evil.example/ HTTP/1.1\r\n\r\n".to_owned(), Malformed),
            ("GET http://example.org\\@evil.example/ HTTP/1.1\r\n\r\n".to_owned(), Malformed),
            ("GET http://example.org?x HTTP/1.1\r\n\r\n".to_owned(), Malformed),
            ("GET http://2130706433/ HTTP/1.1\r\n\r\n".to_owned(), Malformed),
            ("GET https://example.org/ HTTP/1.1\r\n\r\n".to_owned(), Malformed),
            ("GET ftp://example.org/ HTTP/1.1\r\n\r\n".to_owned(), Malformed),
            ("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n".to_owned(), Malformed),
            ("CONNECT example.org HTTP/1.1\r\n\r\n".to_owned(), Malformed),
            ("CONNECT example.org:443/x HTTP/1.1\r\n\r\n".to_owned(), Malformed),
            ("CONNECT example.org:443 HTTP/2.0\r\n\r\n".to_owned(), Version),
            ("TRACE http://example.org/ HTTP/1.1\r\n\r\n".to_owned(), Method),
            ("PRI * HTTP/2.0\r\n\r\n".to_owned(), Version),
            ("BREW http://example.org/ HTTP/1.1\r\n\r\n".to_owned(), Method),
            ("G=T http://example.org/ HTTP/1.1\r\n\r\n".to_owned(), Malformed),
            ("\r\n\r\n".to_owned(), Malformed),
            ("\u{16}\u{3}\u{1}\r\n\r\n".to_owned(), Malformed),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text.as_bytes()), Err(expected), "{text:?}");
        }
        assert_eq!(read(b"GET http://example.org/\xff HTTP/1.1\r\n\r\n"), Err(Malformed), "it is no text");
    }
}
