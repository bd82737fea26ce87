//! What has to be settled before the first thread starts and the first window library is asked.

use gemra_core::environment::Environment;

/// With `GEMRA_HOME` set nothing is written elsewhere. GTK's settings keep a cache in the user's home folder where the
/// session has no runtime folder; there they are kept in memory instead.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub(crate) fn keep_to_our_home(environment: &Environment) {
    let set = |name: &str| environment.os(name).is_some();
    if set("GEMRA_HOME") && !set("XDG_RUNTIME_DIR") && !set(gemra_core::place::host::SETTINGS_BACKEND) {
        // SAFETY: this is the first thing that `main` does, and no other thread runs yet that could read the
        // environment at the same time.
        unsafe { std::env::set_var(gemra_core::place::host::SETTINGS_BACKEND, "memory") };
    }
}

/// Other systems keep their windows' settings elsewhere.
#[cfg(not(target_os = "linux"))]
pub(crate) fn keep_to_our_home(_environment: &Environment) {}
