//! An engine behind TLS: who is trusted and who we are, from a folder as the docker CLI keeps it. It reads no settings.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bollard::{API_DEFAULT_VERSION, Docker};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

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

/// A way to `host` beside the client's, on which the same are trusted and we are the same: for what the client cannot
/// read.
pub(super) async fn connect(host: &str, folder: &Path) -> io::Result<TlsStream<TcpStream>> {
    let folder = folder.to_path_buf();
    let config = tokio::task::spawn_blocking(move || config(&folder)).await.map_err(io::Error::other)??;
    let (name, _port) = host.rsplit_once(':').unwrap_or((host, ""));
    let name = name.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(name).map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(host).await?).await
}

/// Blocks on small files.
fn config(folder: &Path) -> io::Result<ClientConfig> {
    let file = |name: &str| folder.join(name);
    let read = |name: &str| {
        let all = CertificateDer::pem_file_iter(file(name)).map_err(io::Error::other)?;
        all.collect::<Result<Vec<_>, _>>().map_err(io::Error::other)
    };
    let mut trusted = RootCertStore::empty();
    trusted.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    trusted.add_parsable_certificates(read("ca.pem")?);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(trusted);
    if !file("cert.pem").exists() {
        return Ok(config.with_no_client_auth());
    }
    let key = PrivateKeyDer::from_pem_file(file("key.pem")).map_err(io::Error::other)?;
    config.with_client_auth_cert(read("cert.pem")?, key).map_err(io::Error::other)
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
