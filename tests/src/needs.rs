//! What a test needs of the machine that not every machine has. Where it is missing, the test is skipped in words that
//! `cargo xtask test` counts; in CI, where nothing may be skipped, it fails. It knows nothing of what is tested.

use std::io::Write as _;
use std::path::PathBuf;

/// What `cargo xtask test` knows a skipped test by: this, the test, a colon, and the reason. libtest itself can only
/// skip what was marked when it was compiled.
const MARK: &str = "skipped by itself: ";

/// True where the tests run as root. Elsewhere it says that the test, by whose name libtest calls its thread, is skipped
/// because `why`; and the test returns.
///
/// # Panics
/// Where root is needed, is not there, and `CI` says that nothing may be skipped.
#[must_use]
pub fn root(why: &str) -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    skip("root", why);
    false
}

/// The program of this name, from PATH. Elsewhere the test is skipped likewise, and returns.
///
/// # Panics
/// Where it is needed, is not there, and `CI` says that nothing may be skipped.
#[must_use]
pub fn program(name: &str, why: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    if found.is_none() {
        skip(name, why);
    }
    found
}

fn skip(what: &str, why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
    assert!(!ci, "{test} needs {what}, because {why}, and CI skips nothing");
    // Not `println`, which libtest keeps to itself while a test passes. One write, so that no other test's line is
    // between its words, and a line of its own, though libtest may have begun one.
    let line = format!("\n{MARK}{test}: needs {what}, because {why}\n");
    std::io::stdout().write_all(line.as_bytes()).expect("stdout takes words");
}
