//! A question to an engine without the library, for what it cannot read of the answer, or leaves out. It knows nothing of
//! what is asked.

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{Address, Engine, tls};

/// What the engine answers to a GET. `None` where there is no plain way to it.
pub(crate) async fn get(engine: &Engine, path: &str) -> std::io::Result<Option<Vec<u8>>> {
    let question = format!("GET {path} HTTP/1.0\r\nHost: engine\r\n\r\n");
    let answer = match engine.address() {
        #[cfg(unix)]
        Address::Unix(path) => ask(tokio::net::UnixStream::connect(path).await?, &question).await?,
        #[cfg(unix)]
        Address::Ssh(_) => match engine.tunnel_socket() {
            Some(path) => ask(tokio::net::UnixStream::connect(path).await?, &question).await?,
            None => return Ok(None),
        },
        Address::Tcp(host) => ask(tokio::net::TcpStream::connect(host).await?, &question).await?,
        Address::Tls { host, certificates } => ask(tls::connect(host, certificates).await?, &question).await?,
        _ => return Ok(None),
    };
    body(&answer).map(|body| Some(body.to_vec()))
}

/// True where Podman says beside everything that Docker says that it is rootless: not every release says it in Docker's
/// way too.
pub(super) async fn says_rootless(engine: &Engine) -> std::io::Result<bool> {
    let Some(body) = get(engine, "/info").await? else { return Ok(false) };
    let info: Value = serde_json::from_slice(&body)?;
    Ok(info.get("Rootless").and_then(Value::as_bool).unwrap_or_default())
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, question: &str) -> std::io::Result<Vec<u8>> {
    stream.write_all(question.as_bytes()).await?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer).await {
        // Not everybody takes leave before going, as TLS wants it. An answer that breaks off cannot be read.
        Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => Err(error),
        _ => Ok(answer),
    }
}

fn body(answer: &[u8]) -> std::io::Result<&[u8]> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = end.map_or((answer, &[][..]), |at| (&answer[..at], &answer[at + 4..]));
    let head = String::from_utf8_lossy(head);
    let first = head.lines().next().unwrap_or_default();
    if first.split(' ').nth(1) != Some("200") {
        return Err(std::io::Error::other(format!("the engine answered {first:?}")));
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_answer_is_one() {
        let answer = b"HTTP/1.0 200 OK\r\nServer: Libpod/4.3.1\r\n\r\n[]";
        assert_eq!(body(answer).unwrap(), b"[]", "what is after the head");
        let refused = body(b"HTTP/1.0 500 Internal Server Error\r\n\r\nno").unwrap_err().to_string();
        assert!(refused.contains("500"), "{refused}");
        assert!(body(b"").is_err(), "an answer that breaks off is none");
    }
}
