//! Leaving in order: whatever ends the app, its agents and containers are ended first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gemra_core::app::App;
use tauri::{AppHandle, RunEvent};

/// Ends core before the process ends.
pub(crate) struct Quit {
    app: Arc<App>,
    under_way: AtomicBool,
}

impl Quit {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app, under_way: AtomicBool::new(false) }
    }

    /// Holds the first wish to exit back until core has ended, and lets the second through, which is ours.
    pub(crate) fn on_event(&self, handle: &AppHandle, event: &RunEvent) {
        let RunEvent::ExitRequested { api, .. } = event else { return };
        if self.under_way.swap(true, Ordering::SeqCst) {
            return;
        }
        api.prevent_exit();
        let (app, handle) = (Arc::clone(&self.app), handle.clone());
        tauri::async_runtime::spawn(async move {
            app.quit().await;
            handle.exit(0);
        });
    }
}

/// Takes SIGTERM and SIGINT as the wish to exit.
#[cfg(unix)]
pub(crate) fn on_signals(handle: AppHandle) {
    use tokio::signal::unix::{SignalKind, signal};
    tauri::async_runtime::spawn(async move {
        let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            tracing::warn!("signals cannot be listened to");
            return;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        handle.exit(0);
    });
}

#[cfg(windows)]
pub(crate) fn on_signals(_handle: AppHandle) {
    // Closing the window is the only way out there.
}
