//! Leaving in order: whatever ends the app, its agents and containers are ended first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gemra_core::app::App;
use tauri::{AppHandle, Manager as _, RunEvent, WindowEvent};

/// Ends core before the process ends.
pub(crate) struct Quit {
    app: Arc<App>,
    under_way: AtomicBool,
}

impl Quit {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app, under_way: AtomicBool::new(false) }
    }

    /// Holds the first wish to exit back until core has ended, and lets the second through, which is ours, or that of a
    /// user who does not want to wait.
    pub(crate) fn on_event(&self, handle: &AppHandle, event: &RunEvent) {
        match event {
            RunEvent::WindowEvent { event: WindowEvent::CloseRequested { api, .. }, .. } => {
                // The window stays for what it may have to say.
                api.prevent_close();
                handle.exit(0);
            }
            RunEvent::ExitRequested { api, .. } if !self.under_way.swap(true, Ordering::SeqCst) => {
                api.prevent_exit();
                let (app, handle) = (Arc::clone(&self.app), handle.clone());
                if !app.brings_back() {
                    // It is done in a moment, which is no sight.
                    handle.webview_windows().values().for_each(|window| drop(window.hide()));
                }
                tauri::async_runtime::spawn(async move {
                    app.quit().await;
                    handle.exit(0);
                });
            }
            _ => {}
        }
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
        // Whoever says it again does not want to wait.
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            handle.exit(0);
        }
    });
}

#[cfg(windows)]
pub(crate) fn on_signals(_handle: AppHandle) {
    // Closing the window is the only way out there.
}
