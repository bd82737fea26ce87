//! The tests' engine as it is seen from another machine: on loopback, behind TLS, with certificates of the test's own.
//! It knows nothing of Gemra.

#![allow(clippy::unwrap_used)] // What cannot be set up fails the test, which is what it is for.

use std::path::Path;
use std::sync::Arc;

pub use rcgen::ExtendedKeyUsagePurpose as Purpose;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::Engine;

/// The engine behind TLS, and the folder of certificates by which one gets in.
#[derive(Debug)]
pub struct Far {
    /// Its address.
    pub address: String,
    folder: TempDir,
}

impl Far {
    /// Opens the way to the shared engine, for as long as the async runtime is there.
    ///
    /// # Panics
    /// Where it cannot be opened.
    pub async fn open() -> Self {
        let ours = Authority::new();
        let port = serve(&ours, &["127.0.0.1"]).await;
        let client = ours.sign(&["me"], Purpose::ClientAuth);
        Self { address: format!("tcp://127.0.0.1:{port}"), folder: certificates(&ours, Some(&client)) }
    }

    /// What `DOCKER_CERT_PATH` names.
    pub fn certificates(&self) -> &Path {
        self.folder.path()
    }
}

/// An authority, and what it has signed.
#[derive(Debug)]
pub struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate, and its key.
pub type Signed = (rcgen::Certificate, KeyPair);

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// A new one, which nobody knows.
    ///
    /// # Panics
    /// Where no key can be made.
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(parameters, key) }
    }

    /// A certificate for one side, under these names.
    ///
    /// # Panics
    /// Where no key can be made.
    pub fn sign(&self, names: &[&str], purpose: Purpose) -> Signed {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        parameters.extended_key_usages.push(purpose);
        (parameters.signed_by(&key, &self.issuer).unwrap(), key)
    }
}

/// The folder that `DOCKER_CERT_PATH` names.
///
/// # Panics
/// Where it cannot be written.
pub fn certificates(authority: &Authority, client: Option<&Signed>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), authority.certificate.pem()).unwrap();
    if let Some((certificate, key)) = client {
        std::fs::write(folder.path().join("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
    }
    folder
}

/// Serves the shared engine behind TLS to whom `authority` has signed, and gives the port.
///
/// # Panics
/// Where nobody can listen on loopback.
pub async fn serve(authority: &Authority, names: &[&str]) -> u16 {
    serve_saying(authority, names, None).await
}

/// What an engine says, and what is passed on for it: as long, so that what counts its letters stays true.
pub type Saying = (&'static [u8], &'static [u8]);

/// The same, with other words for some.
///
/// # Panics
/// Where nobody can listen on loopback.
pub async fn serve_saying(authority: &Authority, names: &[&str], saying: Option<Saying>) -> u16 {
    let (certificate, key) = authority.sign(names, Purpose::ServerAuth);
    let mut trusted = RootCertStore::empty();
    trusted.add(CertificateDer::from(authority.certificate.der().to_vec())).unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(trusted)).build().unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![CertificateDer::from(certificate.der().to_vec())], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let socket = Engine::shared().address().strip_prefix("unix://").unwrap().to_owned();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, socket) = (acceptor.clone(), socket.clone());
            tokio::spawn(async move { pass_on(acceptor, stream, &socket, saying).await });
        }
    });
    port
}

async fn pass_on(acceptor: TlsAcceptor, stream: TcpStream, socket: &str, saying: Option<Saying>) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let Ok(mut engine) = UnixStream::connect(socket).await else { return };
    let Some(saying) = saying else {
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut engine).await;
        return;
    };
    let (mut asked, mut answered) = tokio::io::split(stream);
    let (mut answers, mut asks) = engine.into_split();
    let asking = async {
        let _ = tokio::io::copy(&mut asked, &mut asks).await;
        let _ = asks.shutdown().await;
    };
    let answering = async {
        let mut kept = Vec::new();
        while answers.read_buf(&mut kept).await.is_ok_and(|read| read > 0) {
            let whole = said_otherwise(&mut kept, saying);
            if answered.write_all(&kept[..whole]).await.is_err() || answered.flush().await.is_err() {
                return;
            }
            kept.drain(..whole);
        }
        let _ = answered.write_all(&kept).await;
        let _ = answered.shutdown().await;
    };
    tokio::join!(asking, answering);
}

/// Puts the other words in their places, and gives how much of it can go: at its end the words may have begun.
fn said_otherwise(text: &mut [u8], (words, others): Saying) -> usize {
    for at in 0..text.len().saturating_sub(words.len() - 1) {
        if text[at..].starts_with(words) {
            text[at..at + words.len()].copy_from_slice(others);
        }
    }
    let begun = (1..words.len()).rev().find(|&length| text.ends_with(&words[..length]));
    text.len() - begun.unwrap_or(0)
}
