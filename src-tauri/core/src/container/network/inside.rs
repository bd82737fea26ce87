//! The way by a socket, where this machine has no address in the container's network: a folder that both have, and in
//! the container a few lines of Node that listen on its loopback and pass everything on to the sockets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use futures_util::StreamExt as _;

use super::NetworkError;
use crate::container::engine::{self, Engine};

/// Where the folder is inside.
pub(super) const TARGET: &str = "/run/gemra-net";
/// The port at which the proxy is found inside.
pub(super) const PROXY_PORT: u16 = 31280;
/// How long the forwarder may take to listen.
const READY: Duration = Duration::from_secs(30);
/// Says `forwards` where the image has what [`FORWARDER`] needs.
pub const FORWARDS: &str = "node -e 'require(\"node:net\"); console.log(\"forwards\")'";
/// Arguments are `port=socket`. It says `ready` when it listens on all of them.
const FORWARDER: &str = "
const net = require('node:net');
const pairs = process.argv.slice(1).map(pair => pair.split('='));
let left = pairs.length;
for (const [port, path] of pairs) {
  net.createServer({ allowHalfOpen: true }, inner => {
    const outer = net.connect({ path, allowHalfOpen: true });
    inner.pipe(outer).pipe(inner);
    inner.on('error', () => outer.destroy()).on('close', () => outer.destroy());
    outer.on('error', () => inner.destroy()).on('close', () => inner.destroy());
  }).on('error', error => { console.log(error.message); process.exit(3); })
    .listen(Number(port), '127.0.0.1', () => { left -= 1; if (left === 0) console.log('ready'); });
}
";

/// A folder with sockets, which goes when it is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes it, so that nobody else of this machine can look into it and everybody in the container can.
    pub(super) fn make(path: PathBuf) -> std::io::Result<Self> {
        let folder = Self { path };
        std::fs::create_dir_all(folder.shared())?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&folder.path, PermissionsExt::from_mode(0o700))?;
            std::fs::set_permissions(folder.shared(), PermissionsExt::from_mode(0o755))?;
        }
        Ok(folder)
    }

    /// What the container has of it.
    pub(super) fn shared(&self) -> PathBuf {
        self.path.join("shared")
    }

    /// A socket in it. Its path may be longer than an address of a socket can be, so that it is said by the open folder.
    #[cfg(unix)]
    pub(super) fn listen(&self, name: &str) -> std::io::Result<super::ear::Ear> {
        use std::os::fd::AsRawFd as _;
        use std::os::unix::fs::PermissionsExt;
        let shared = self.shared();
        let open = std::fs::File::open(&shared)?;
        let short = Path::new("/proc/self/fd").join(open.as_raw_fd().to_string()).join(name);
        let path = if cfg!(target_os = "linux") { short } else { shared.join(name) };
        let listener = tokio::net::UnixListener::bind(path)?;
        std::fs::set_permissions(shared.join(name), PermissionsExt::from_mode(0o666))?;
        Ok(super::ear::Ear::Socket(listener))
    }

    #[cfg(not(unix))]
    pub(super) fn listen(&self, _name: &str) -> std::io::Result<super::ear::Ear> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Removes what dead instances have left: everything below `all` but what this one makes there.
pub fn clear(all: &Path, instance: &str) {
    for entry in std::fs::read_dir(all).into_iter().flatten().flatten() {
        if entry.file_name() != instance
            && let Err(error) = std::fs::remove_dir_all(entry.path())
        {
            tracing::debug!(%error, "a folder of sockets stays");
        }
    }
}

/// Starts the forwarder in a container, and returns when it listens.
pub(super) async fn forward(engine: &Engine, id: &str, sockets: &BTreeMap<u16, String>) -> Result<(), NetworkError> {
    let failed = |cause: String| NetworkError::Forwarder { cause };
    let pairs = sockets.iter().map(|(port, socket)| format!("{port}={TARGET}/{socket}"));
    let command = ["node", "-e", FORWARDER, "--"].map(str::to_owned).into_iter().chain(pairs).collect();
    let config = ExecConfig {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(command),
        ..ExecConfig::default()
    };
    let starting = async {
        let words = |error: bollard::errors::Error| failed(engine::words(&error));
        let exec = engine.api().create_exec(id, config).await.map_err(words)?.id;
        let started = engine.api().start_exec(&exec, None::<StartExecOptions>).await.map_err(words)?;
        let StartExecResults::Attached { mut output, .. } = started else {
            return Err(failed("the engine does not show what it says".to_owned()));
        };
        let mut said = String::new();
        loop {
            match output.next().await {
                Some(Ok(piece)) => said.push_str(&piece.to_string()),
                Some(Err(error)) => return Err(words(error)),
                None => return Err(failed(said.trim().to_owned())),
            }
            if said.lines().any(|line| line == "ready") {
                // Read on, whatever it says: a stream that nobody reads blocks more than itself.
                tokio::spawn(async move { while output.next().await.is_some() {} });
                return Ok(());
            }
        }
    };
    tokio::time::timeout(READY, starting)
        .await
        .unwrap_or_else(|_| Err(failed(format!("it did not listen within {READY:?}"))))
}
