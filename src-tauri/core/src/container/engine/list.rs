//! The containers that an engine lists. Podman calls states what bollard does not know, for which it refuses the whole
//! list; then the engine is asked once more, in plain words, as others may ask it what bollard passes over. It decides
//! nothing by a state.

use std::collections::HashMap;
use std::fmt::Write as _;

use bollard::query_parameters::ListContainersOptionsBuilder;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{Address, Engine};

/// A container, whatever its state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Listed {
    pub(crate) id: String,
    pub(crate) names: Vec<String>,
    pub(crate) labels: HashMap<String, String>,
    /// As the engine says it.
    pub(crate) state: String,
}

/// Those that the filters leave, in whatever state.
pub(crate) async fn containers(
    engine: &Engine,
    filters: &HashMap<String, Vec<String>>,
) -> Result<Vec<Listed>, bollard::errors::Error> {
    let options = ListContainersOptionsBuilder::new().all(true).filters(filters).build();
    let error = match engine.api().list_containers(Some(options)).await {
        Ok(found) => {
            return Ok(found
                .into_iter()
                .map(|one| Listed {
                    id: one.id.unwrap_or_default(),
                    names: one.names.unwrap_or_default(),
                    labels: one.labels.unwrap_or_default(),
                    state: one.state.map(|state| state.to_string()).unwrap_or_default(),
                })
                .collect());
        }
        Err(error @ bollard::errors::Error::JsonDataError { .. }) => error,
        Err(error) => return Err(error),
    };
    match plainly(engine, filters).await {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(error),
        Err(err) => Err(bollard::errors::Error::IOError { err }),
    }
}

/// `None` where there is no plain way to this engine.
async fn plainly(engine: &Engine, filters: &HashMap<String, Vec<String>>) -> std::io::Result<Option<Vec<Listed>>> {
    let filters = serde_json::to_string(filters)?;
    let mut encoded = String::new();
    for byte in filters.bytes() {
        // Writing to a text cannot fail.
        let _ = write!(encoded, "%{byte:02X}");
    }
    asked(engine, &format!("/containers/json?all=true&filters={encoded}")).await
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
        _ => return Ok(None),
    };
    read(&answer).map(Some)
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, question: &str) -> std::io::Result<Vec<u8>> {
    stream.write_all(question.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_nobody_knows_is_no_reason_to_know_nothing() {
        let answer = b"HTTP/1.0 200 OK\r\nServer: Libpod/4.3.1\r\n\r\n\
            [{\"Id\":\"a\",\"Names\":[\"/gemra-x\"],\"Labels\":{\"l\":\"1\"},\"State\":\"stopped\",\"Status\":\"\"}]";
        let found: Vec<Listed> = read(answer).unwrap();
        assert_eq!((found[0].id.as_str(), found[0].state.as_str()), ("a", "stopped"), "{found:?}");
        assert_eq!(found[0].labels.get("l").map(String::as_str), Some("1"), "{found:?}");
        let refused = read::<Vec<Listed>>(b"HTTP/1.0 500 Internal Server Error\r\n\r\nno").unwrap_err().to_string();
        assert!(refused.contains("500"), "{refused}");
        assert!(read::<Vec<Listed>>(b"").is_err(), "an answer that breaks off is none");
    }
}
