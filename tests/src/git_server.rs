//! A git server on the loopback that speaks the smart protocol and asks for a password, as GitHub does. It has one
//! repository, at any path, and counts whom it sent away.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tempfile::TempDir;

use crate::spawn;

/// A git server that ends with this.
#[derive(Debug)]
pub struct GitServer {
    host: String,
    shared: Arc<Shared>,
    serving: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    folder: TempDir,
    user: String,
    password: String,
    refused: AtomicUsize,
}

impl GitServer {
    /// One whose repository holds `file` with this text, for this user and password.
    ///
    /// # Panics
    /// Where git is not there, or no port is free.
    pub async fn start(user: &str, password: &str, text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temp folder");
        fill(folder.path(), text);
        let (user, password) = (user.to_owned(), password.to_owned());
        let shared = Arc::new(Shared { folder, user, password, refused: AtomicUsize::new(0) });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let host = listener.local_addr().expect("it is bound").to_string();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it serves until it is ended");
        });
        Self { host, shared, serving }
    }

    /// Its address, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.host)
    }

    /// Its host and port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// How often it has asked for a password.
    pub fn refused(&self) -> usize {
        self.shared.refused.load(Ordering::SeqCst)
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn fill(folder: &Path, text: &str) {
    let git = |args: &[&str]| {
        let mut command = spawn::command("git");
        command.args(["-c", "user.name=Test", "-c", "user.email=test@example.org"]).args(args).current_dir(folder);
        let output = spawn::output(&mut command).expect("git is there");
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    git(&["init", "-q", "-b", "main", "."]);
    std::fs::write(folder.join("file"), format!("{text}\n")).expect("the folder is ours");
    git(&["add", "file"]);
    git(&["commit", "-q", "-m", "first"]);
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if given != basic(&shared.user, &shared.password) {
        shared.refused.fetch_add(1, Ordering::SeqCst);
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"git\"")], "who are you?")
            .into_response();
    }
    let kind = |name: &'static str| [(header::CONTENT_TYPE, name)];
    if method == Method::GET && uri.path().ends_with("/info/refs") {
        let listed = upload_pack(shared, &["--advertise-refs"], Bytes::new()).await;
        let mut text = b"001e# service=git-upload-pack\n0000".to_vec();
        text.extend(listed);
        return (kind("application/x-git-upload-pack-advertisement"), text).into_response();
    }
    if method == Method::POST && uri.path().ends_with("/git-upload-pack") {
        let packed = upload_pack(shared, &[], body).await;
        return (kind("application/x-git-upload-pack-result"), packed).into_response();
    }
    StatusCode::NOT_FOUND.into_response()
}

async fn upload_pack(shared: Arc<Shared>, args: &'static [&'static str], input: Bytes) -> Vec<u8> {
    let run = move || {
        let mut command = spawn::command("git");
        command.args(["-c", "safe.directory=*", "upload-pack", "--stateless-rpc"]).args(args);
        command.arg(shared.folder.path().join(".git"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut running = spawn::Running::start(&mut command).expect("git is there");
        let mut stdin = running.child().stdin.take().expect("it was asked for");
        // What is asked is small; it never waits for a reader.
        stdin.write_all(&input).expect("git listens");
        drop(stdin);
        let mut stdout = running.child().stdout.take().expect("it was asked for");
        let mut said = Vec::new();
        std::io::Read::read_to_end(&mut stdout, &mut said).expect("git answers");
        said
    };
    tokio::task::spawn_blocking(run).await.expect("it does not panic")
}

fn basic(user: &str, password: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = format!("{user}:{password}");
    let mut coded = String::from("Basic ");
    for three in text.as_bytes().chunks(3) {
        let number =
            three.iter().chain([0; 2].iter()).take(3).fold(0_usize, |number, &byte| number << 8 | usize::from(byte));
        for place in 0..4 {
            let letter = char::from(LETTERS[number >> (18 - 6 * place) & 63]);
            coded.push(if place <= three.len() { letter } else { '=' });
        }
    }
    coded
}
