//! The containers that an engine lists. Podman calls states what bollard does not know, for which it refuses the whole
//! list; then the engine is asked once more, in plain words. It decides nothing by a state.

use std::collections::HashMap;
use std::fmt::Write as _;

use bollard::models::ContainerSummary;
use bollard::query_parameters::ListContainersOptionsBuilder;
use serde_json::Value;

use super::{Engine, plain, quirks};

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
    let path = format!("/containers/json?all=true&size={sizes}&filters={encoded}");
    plain::get(engine, &path).await?.map(|body| read(&body)).transpose()
}

fn read(body: &[u8]) -> std::io::Result<Vec<Listed>> {
    let mut listed: Vec<Value> = serde_json::from_slice(body)?;
    let known = listed.iter_mut().map(|one| {
        let state = one.as_object_mut().and_then(|one| one.remove("State"));
        let told: ContainerSummary = serde_json::from_value(one.take())?;
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
        let answer = b"[{\"Id\":\"a\",\"Names\":[\"/gemra-x\"],\"Labels\":{\"l\":\"1\"},\"State\":\"stopped\",\"Status\":\"\",\"SizeRw\":7}]";
        let found = read(answer).unwrap();
        assert_eq!((found[0].id.as_str(), found[0].state.as_str()), ("a", "stopped"), "{found:?}");
        assert_eq!(found[0].labels.get("l").map(String::as_str), Some("1"), "{found:?}");
        assert_eq!(found[0].told.size_rw, Some(7), "and what else is told: {found:?}");
    }
}
