//! What has to be settled before the first thread starts and the first window library is asked.

use gemra_core::environment::Environment;

/// With `GEMRA_HOME` set nothing is written elsewhere. Where the session has no runtime folder, the window's libraries
/// would make a cache in the user's home folder for what belongs into it, and GTK's settings would keep theirs there;
/// they get a folder under `GEMRA_HOME`, and the settings are kept in memory.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub(crate) fn keep_to_our_home(environment: &Environment) {
    use std::os::unix::fs::DirBuilderExt;

    use gemra_core::place::host::{RUNTIME_FOLDER, SETTINGS_BACKEND};

    let set = |name: &str| environment.os(name).is_some();
    let Some(home) = environment.path("GEMRA_HOME").and_then(|home| std::path::absolute(home).ok()) else { return };
    if set(RUNTIME_FOLDER) {
        return;
    }
    // A home that cannot be made or used is told by whoever opens it.
    let folder = home.join("runtime");
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).is_ok();
    // SAFETY: this is the first thing that `main` does, and no other thread runs yet that could read the environment at
    // the same time.
    unsafe {
        if made {
            std::env::set_var(RUNTIME_FOLDER, folder);
        }
        if !set(SETTINGS_BACKEND) {
            std::env::set_var(SETTINGS_BACKEND, "memory");
        }
    }
}

/// Other systems keep their windows' settings elsewhere.
#[cfg(not(target_os = "linux"))]
pub(crate) fn keep_to_our_home(_environment: &Environment) {}
