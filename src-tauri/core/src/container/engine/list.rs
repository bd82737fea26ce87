//! The containers that an engine lists. Podman calls states what bollard does not know, for which it refuses the whole
//! list; then the engine is asked once more, in plain words, as others may ask it what bollard passes over. It decides
//! nothing by a state.

use std::collections::HashMap;
use std::fmt::Write as _;

use bollard::models::ContainerSummary;
use bollard::query_parameters::ListContainersOptionsBuilder;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{Address, Engine, quirks, tls};

/// A container, whatever its state.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Listed {
    pub(crate) id: String,
    pub(crate) names: Vec<String>,
    pub(crate) labels: HashMap<String, String>,
    /// As the engine says it.
    pub(crate) state: String,
    /// What else is told of it.
    pub(crate) told: ContainerSummary,
}

impl From<ContainerSummary> for Listed {
    fn from(mut told: ContainerSummary) -> Self {
        Self {
            id: told.id.take().unwrap_or_default(),
            names: told.names.take().unwrap_or_default(),
            labels: told.labels.take().unwrap_or_default(),
            state: told.state.take().map(|state| state.to_string()).unwrap_or_default(),
            told,
        }
    }
}

/// Those that the filters leave, in whatever state.
pub(crate) async fn containers(
    engine: &Engine,
    filters: &HashMap<String, Vec<String>>,
) -> Result<Vec<Listed>, bollard::errors::Error> {
    all(engine, filters, false).await
}

/// The same, with what each has written, for which the engine walks through its files.
pub(crate) async fn measured(
    engine: &Engine,
    filters: &HashMap<String, Vec<String>>,
) -> Result<Vec<Listed>, bollard::errors::Error> {
    all(engine, filters, true).await
}

async fn all(
    engine: &Engine,
    filters: &HashMap<String, Vec<String>>,
    sizes: bool,
) -> Result<Vec<Listed>, bollard::errors::Error> {
    let options = ListContainersOptionsBuilder::new().all(true).size(sizes).filters(filters).build();
    let error = match engine.api().list_containers(Some(options)).await {
        Ok(found) => return Ok(found.into_iter().map(Listed::from).collect()),
        Err(error) if quirks::names_unknown_states(&error) => error,
        Err(error) => return Err(error),
    };
    match plainly(engine, filters, sizes).await {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(error),
        Err(err) => Err(bollard::errors::Error::IOError { err }),
    }
}

/// `None` where there is no plain way to this engine.
async fn plainly(
    engine: &Engine,
    filters: &HashMap<String, Vec<String>>,
    sizes: bool,
) -> std::io::Result<Option<Vec<Listed>>> {
    let filters = serde_json::to_string(filters)?;
    let mut encoded = String::new();
    for byte in filters.bytes() {
        // Writing to a text cannot fail.
        let _ = write!(encoded, "%{byte:02X}");
    }
    let listed = asked(engine, &format!("/containers/json?all=true&size={sizes}&filters={encoded}")).await?;
    listed.map(whatever_their_states).transpose()
}

/// What the engine answers to a plain question; `None` where there is no plain way to it.
pub(crate) async fn asked<T: DeserializeOwned>(engine: &Engine, path: &str) -> std::io::Result<Option<T>> {
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
    read(&answer).map(Some)
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

fn read<T: DeserializeOwned>(answer: &[u8]) -> std::io::Result<T> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = end.map_or((answer, &[][..]), |at| (&answer[..at], &answer[at + 4..]));
    let head = String::from_utf8_lossy(head);
    let first = head.lines().next().unwrap_or_default();
    if first.split(' ').nth(1) != Some("200") {
        return Err(std::io::Error::other(format!("the engine answered {first:?}")));
    }
    Ok(serde_json::from_slice(body)?)
}

/// What is told of containers, with their states as the engine says them.
fn whatever_their_states(listed: Vec<Value>) -> std::io::Result<Vec<Listed>> {
    let known = listed.into_iter().map(|mut one| {
        let state = one.as_object_mut().and_then(|one| one.remove("State"));
        let told: ContainerSummary = serde_json::from_value(one)?;
        let state = state.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Listed { state, ..Listed::from(told) })
    });
    known.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_nobody_knows_is_no_reason_to_know_nothing() {
        let answer = b"HTTP/1.0 200 OK\r\nServer: Libpod/4.3.1\r\n\r\n\
            [{\"Id\":\"a\",\"Names\":[\"/gemra-x\"],\"Labels\":{\"l\":\"1\"},\"State\":\"stopped\",\"Status\":\"\",\"SizeRw\":7}]";
        let found = whatever_their_states(read(answer).unwrap()).unwrap();
        assert_eq!((found[0].id.as_str(), found[0].state.as_str()), ("a", "stopped"), "{found:?}");
        assert_eq!(found[0].labels.get("l").map(String::as_str), Some("1"), "{found:?}");
        assert_eq!(found[0].told.size_rw, Some(7), "and what else is told: {found:?}");
        let refused = read::<Value>(b"HTTP/1.0 500 Internal Server Error\r\n\r\nno").unwrap_err().to_string();
        assert!(refused.contains("500"), "{refused}");
        assert!(read::<Value>(b"").is_err(), "an answer that breaks off is none");
    }
}
