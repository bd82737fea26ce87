//! A second start in a home whose instance runs already: it hands its folders to that instance, whose window comes to
//! the front, and ends. The two talk over a socket in the home; which of them is the first is the home's lock to say.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// What a second start asks of the first.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Wish {
    /// Folders to open a tab for, absolute.
    workspaces: Vec<String>,
}

impl Wish {
    /// The folders as the first instance has to read them, which stands in a folder of its own.
    fn of(workspaces: Vec<String>) -> Self {
        let absolute = |folder: String| match std::path::absolute(&folder) {
            Ok(path) => path.to_string_lossy().into_owned(),
            Err(_) => folder,
        };
        Self { workspaces: workspaces.into_iter().map(absolute).collect() }
    }
}

#[cfg(unix)]
pub(crate) use socket::{hand_over, listen};

#[cfg(unix)]
mod socket {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::Duration;

    use gemra_core::app::App;
    use tauri::{AppHandle, Manager};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{UnixListener, UnixStream};

    use super::{Path, Wish, io};

    /// How long one side waits for the other. Both are on this machine, and the first only has to look at folders.
    const PATIENCE: Duration = Duration::from_secs(10);
    /// More than any command line holds, in bytes.
    const LONGEST: u64 = 4 * 1024 * 1024;
    /// What the first answers when the tabs are open.
    const DONE: &[u8] = b"done\n";

    /// Takes what later starts ask for, for as long as the app runs. Where it cannot listen, they say that it runs
    /// already.
    pub(crate) fn listen(app: Arc<App>, handle: AppHandle) {
        tauri::async_runtime::spawn(async move {
            let path = socket(&app.home_folder());
            let listener = match bind(&path).await {
                Ok(listener) => listener,
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "a second start cannot reach this instance");
                    return;
                }
            };
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let served = tokio::time::timeout(PATIENCE, serve(stream, &app, &handle)).await;
                match served.map_err(|_| io::Error::from(io::ErrorKind::TimedOut)).flatten() {
                    Ok(()) => {}
                    Err(error) => tracing::warn!(%error, "a second start was not understood"),
                }
            }
        });
    }

    /// Asks the instance in the home `folder` to open the workspaces and to show itself.
    ///
    /// # Errors
    /// Where nobody answers there: an instance that is only just starting, or one that hangs.
    pub(crate) async fn hand_over(folder: &Path, workspaces: Vec<String>) -> io::Result<()> {
        let asked = async {
            let mut stream = UnixStream::connect(socket(folder)).await?;
            stream.write_all(&serde_json::to_vec(&Wish::of(workspaces))?).await?;
            stream.shutdown().await?;
            let mut answer = Vec::new();
            stream.take(LONGEST).read_to_end(&mut answer).await?;
            if answer == DONE { Ok(()) } else { Err(io::Error::other("it did not understand")) }
        };
        tokio::time::timeout(PATIENCE, asked).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    fn socket(folder: &Path) -> PathBuf {
        folder.join("instance.sock")
    }

    /// What is there belongs to an instance that is gone: the lock is ours.
    async fn bind(path: &Path) -> io::Result<UnixListener> {
        match tokio::fs::remove_file(path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        tokio::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).await?;
        Ok(listener)
    }

    async fn serve(mut stream: UnixStream, app: &Arc<App>, handle: &AppHandle) -> io::Result<()> {
        let mut asked = Vec::new();
        (&mut stream).take(LONGEST).read_to_end(&mut asked).await?;
        let wish: Wish = serde_json::from_slice(&asked)?;
        tracing::info!(folders = wish.workspaces.len(), "a second start");
        for folder in wish.workspaces {
            match app.open_at_start(folder).await {
                Ok(tab) => app.activate(Some(tab)),
                Err(failure) => app.report(failure),
            }
        }
        if let Some(window) = handle.get_webview_window("main") {
            let shown = window.unminimize().and_then(|()| window.show()).and_then(|()| window.set_focus());
            if let Err(error) = shown {
                tracing::warn!(%error, "the window could not be brought to the front");
            }
        }
        stream.write_all(DONE).await
    }
}

#[cfg(not(unix))]
pub(crate) fn listen(_app: std::sync::Arc<gemra_core::app::App>, _handle: tauri::AppHandle) {
    // There is no such socket here; a second start says that the app runs already.
}

#[cfg(not(unix))]
pub(crate) async fn hand_over(_folder: &Path, workspaces: Vec<String>) -> io::Result<()> {
    let _ = Wish::of(workspaces);
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_handed_over_as_seen_from_the_second_start() {
        let here = std::env::current_dir().unwrap();
        let wish = Wish::of(vec!["project".to_owned(), "/srv/a b".to_owned()]);
        let expected = vec![here.join("project").to_string_lossy().into_owned(), "/srv/a b".to_owned()];
        assert_eq!(wish.workspaces, expected, "the first instance stands in a folder of its own");
        let written = serde_json::to_vec(&wish).unwrap();
        assert_eq!(serde_json::from_slice::<Wish>(&written).unwrap(), wish, "it arrives as it was sent");
    }
}
