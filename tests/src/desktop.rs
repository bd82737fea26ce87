//! The desktop harness: it runs the release app on a display, a message bus and a `WebDriver` of its own, and reads and
//! works the page as a person would. It knows the page's test ids and nothing of the app's inside.
//!
//! Every wait is a condition with a deadline; one that passes panics with what was awaited, the page's text, the
//! app's last output, and a screenshot beside the others under `target/screens/`.

pub mod app;
pub mod flip;
pub mod gate;
pub mod home;
pub mod page;
mod settings;
mod stage;
pub mod verbs;

use std::path::{Path, PathBuf};

pub use app::{App, Options};
pub use home::Home;
pub use page::{Entry, Page, TabMark, Trouble};

/// The target folder that this test program was built into.
pub fn target() -> PathBuf {
    let exe = std::env::current_exe().unwrap_or_else(|error| panic!("a program knows its own path: {error}"));
    // Cargo marks the root of a target folder with this file.
    let root = exe.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    root.map_or_else(|| panic!("{} is in no target folder", exe.display()), Path::to_path_buf)
}

/// A program of this package, built beside this test program.
pub fn program(name: &str) -> PathBuf {
    present(target().join("release").join(name), "`cargo test --release -p tests` builds it")
}

/// The app: `GEMRA_DESKTOP_BIN`, else the release build.
pub fn desktop_program() -> PathBuf {
    let path =
        std::env::var_os("GEMRA_DESKTOP_BIN").map_or_else(|| target().join("release/gemra-desktop"), PathBuf::from);
    present(path, "`cargo xtask build` builds it; GEMRA_DESKTOP_BIN names another")
}

/// The real CLI: `GEMRA_TEST_CLAUDE`, else the one installed under the target folder.
pub fn claude() -> PathBuf {
    let path = std::env::var_os("GEMRA_TEST_CLAUDE")
        .map_or_else(|| target().join("claude/node_modules/.bin/claude"), PathBuf::from);
    present(path, "`cargo xtask test desktop` installs it; GEMRA_TEST_CLAUDE names another")
}

/// Lets everybody run the file.
pub fn make_executable(path: &Path) {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap_or_else(|error| panic!("{} can be made executable: {error}", path.display()));
}

fn present(path: PathBuf, advice: &str) -> PathBuf {
    assert!(path.exists(), "{} is missing: {advice}", path.display());
    path
}
