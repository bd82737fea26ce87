//! An engine behind TLS: who is trusted and who we are, from a folder as the docker CLI keeps it. It reads no settings.

use std::path::Path;

use bollard::{API_DEFAULT_VERSION, Docker};

use super::error::{Attempt, EngineError};

/// A client for `host`, with the folder's `ca.pem`, and with `cert.pem` and `key.pem` where the engine wants to know who
/// we are. Blocks on small files, and on those of the system that say whom it trusts.
pub(super) fn open(host: &str, folder: &Path, silence: u64) -> Result<Docker, EngineError> {
    let file = |name: &str| folder.join(name);
    let (authority, certificate, key) = (file("ca.pem"), file("cert.pem"), file("key.pem"));
    look(&authority)?;
    // The engine decides whether it wants to know who we are, but half of an answer is a mistake.
    if certificate.exists() || key.exists() {
        look(&certificate)?;
        look(&key)?;
    }
    let address = format!("tcp://{host}");
    Docker::connect_with_ssl(&address, &key, &certificate, &authority, silence, API_DEFAULT_VERSION)
        .map_err(|error| EngineError::BadConfig { file: authority, cause: super::words(&error) })
}

/// An error that is about certificates, where this one is: bollard has no kind for it.
pub(super) fn refusal(words: &str, tried: &Attempt) -> Option<EngineError> {
    let tried = tried.clone();
    if words.contains("invalid peer certificate") {
        Some(EngineError::NotTrusted { tried })
    } else if words.contains("received fatal alert") || words.contains("alert: ") {
        Some(EngineError::NotLetIn { tried })
    } else {
        None
    }
}

fn look(file: &Path) -> Result<(), EngineError> {
    std::fs::File::open(file)
        .map(drop)
        .map_err(|error| EngineError::BadConfig { file: file.to_owned(), cause: error.to_string() })
}
