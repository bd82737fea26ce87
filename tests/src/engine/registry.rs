//! A registry on loopback that holds one image and can fail: what an engine that fetches sees of one. It takes its
//! image from a local engine's own export, and knows nothing of Gemra.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// What manifests of Docker's are called on the wire.
const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// A registry.
#[derive(Debug)]
pub struct Registry {
    /// The image's whole name, with the registry's address.
    pub name: String,
    shelf: Arc<Shelf>,
}

#[derive(Debug)]
struct Shelf {
    manifest: Mutex<Bytes>,
    blobs: Mutex<HashMap<String, Bytes>>,
    /// How many answers are still to be failures.
    failures: AtomicU32,
    asked: AtomicU32,
    /// What a client has to say, as the header has it; where nothing is, anybody may.
    password: Mutex<Option<String>>,
    /// Who came with another one, or a wrong one, and what they said.
    refused: Mutex<Vec<String>>,
}

impl Registry {
    /// Starts one that holds an image of one layer, in which there is one file besides what the layer's tar holds.
    ///
    /// # Panics
    /// Where loopback has no port left.
    pub async fn start(layer: Vec<u8>, config: Value) -> Self {
        let shelf = Arc::new(Shelf {
            manifest: Mutex::default(),
            blobs: Mutex::default(),
            failures: AtomicU32::new(0),
            asked: AtomicU32::new(0),
            password: Mutex::default(),
            refused: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
        let port = listener.local_addr().expect("it listens").port();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shelf));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let registry = Self { name: format!("127.0.0.1:{port}/gemra-test/image:1"), shelf };
        registry.hold(layer, config);
        registry
    }

    /// Holds another image under the same name.
    ///
    /// # Panics
    /// Where a test before has panicked within.
    pub fn hold(&self, layer: Vec<u8>, mut config: Value) {
        let layer = Bytes::from(layer);
        let layer_digest = digest(&layer);
        config["rootfs"] = json!({"type": "layers", "diff_ids": [layer_digest]});
        // Podman builds on nothing whose layers have no history.
        config["history"] = json!([{"created_by": "a test"}]);
        let config = Bytes::from(config.to_string());
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": config.len(), "digest": digest(&config)},
            "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar", "size": layer.len(), "digest": layer_digest}],
        });
        let mut blobs = self.shelf.blobs.lock().expect("nobody panics within");
        blobs.insert(digest(&config), config);
        blobs.insert(layer_digest, layer);
        *self.shelf.manifest.lock().expect("nobody panics within") = Bytes::from(manifest.to_string());
    }

    /// Answers the next requests for the manifest with 503.
    pub fn fail(&self, times: u32) {
        self.shelf.failures.store(times, Ordering::SeqCst);
    }

    /// Lets only this user in from now on.
    ///
    /// # Panics
    /// Where a test before has panicked within.
    pub fn admit(&self, user: &str, password: &str) {
        let pair = STANDARD.encode(format!("{user}:{password}"));
        *self.shelf.password.lock().expect("nobody panics within") = Some(format!("Basic {pair}"));
    }

    /// The logins that were refused, as the header has them.
    ///
    /// # Panics
    /// Where a test before has panicked within.
    pub fn refused(&self) -> Vec<String> {
        self.shelf.refused.lock().expect("nobody panics within").clone()
    }

    /// Its address, as images' names have it.
    pub fn address(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }

    /// How often the manifest was asked for.
    pub fn asked(&self) -> u32 {
        self.shelf.asked.load(Ordering::SeqCst)
    }
}

async fn answer(State(shelf): State<Arc<Shelf>>, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path();
    let wanted = shelf.password.lock().expect("nobody panics within").clone();
    let said = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if wanted.is_some() && said != wanted.as_deref() {
        shelf.refused.lock().expect("nobody panics within").extend(said.map(str::to_owned));
        let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"tests\"")];
        let errors = json!({"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]});
        return (StatusCode::UNAUTHORIZED, ask, errors.to_string()).into_response();
    }
    if path == "/v2/" {
        return StatusCode::OK.into_response();
    }
    if path.contains("/manifests/") {
        shelf.asked.fetch_add(1, Ordering::SeqCst);
        let failing = shelf.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if failing.is_ok() {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        let manifest = shelf.manifest.lock().expect("nobody panics within").clone();
        let digest = digest(&manifest);
        return respond(MANIFEST, &digest, manifest);
    }
    let wanted = path.rsplit('/').next().unwrap_or_default();
    let blob = shelf.blobs.lock().expect("nobody panics within").get(wanted).cloned();
    match blob {
        Some(blob) => respond("application/octet-stream", wanted, blob),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn respond(kind: &str, digest: &str, bytes: Bytes) -> Response {
    let headers = [(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_LENGTH, bytes.len().to_string())];
    (headers, [("docker-content-digest", digest.to_owned())], Body::from(bytes)).into_response()
}

fn digest(bytes: &[u8]) -> String {
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(bytes) {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
