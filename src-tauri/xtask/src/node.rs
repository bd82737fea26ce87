//! npm packages: the page's own, the agent's CLI for suites and demo, the packager. Installed from lock files only, and
//! only where a lock file has changed since the last time. Knows nothing of Cargo.

use std::fs;
use std::path::{Path, PathBuf};

use crate::spawn;
use crate::stamp::Stamp;
use crate::tree::Tree;
use crate::trouble::Trouble;

/// The oldest Node.js that the page's tools run on.
const OLDEST: (u32, u32) = (20, 19);

/// Folders inside `ui` that steps make, so they are no input of any step.
const MADE: &[&str] = &["node_modules", "dist", "coverage", ".svelte-kit"];

/// The page's packages in `ui/node_modules`.
pub(crate) fn ensure_page_packages(tree: &Tree) -> Result<(), Trouble> {
    install(tree, "ui", &tree.ui(), &tree.ui())
}

/// The page in `ui/dist`, which the window's build embeds.
pub(crate) fn ensure_page(tree: &Tree) -> Result<(), Trouble> {
    ensure_page_packages(tree)?;
    let stamp = Stamp::of(tree, "page", &[tree.ui()], MADE)?;
    if stamp.is_current() && tree.ui().join("dist/index.html").is_file() {
        return Ok(());
    }
    println!("== building the page");
    let mut npm = spawn::npm();
    npm.args(["run", "build"]).current_dir(tree.ui());
    spawn::run(&mut npm, "npm run build in ui", "look at what the build said above")?;
    stamp.set()
}

/// The agent's CLI under the target folder, at the version that the suites are written against. Answers its path.
pub(crate) fn ensure_claude(tree: &Tree) -> Result<PathBuf, Trouble> {
    install(tree, "claude", &tree.root.join("tests/claude"), &tree.target.join("claude"))?;
    let claude = tree.claude();
    let (version, works) = spawn::hear(spawn::command(&claude).arg("--version"))?;
    if works {
        return Ok(claude);
    }
    Err(Trouble::Failed {
        what: format!("{} --version", claude.display()),
        ended: format!("it said: {}", version.trim()),
        next: "remove the folder target/claude and run this again",
    })
}

/// Tauri's packager under the target folder. Answers the script that Node.js runs.
pub(crate) fn ensure_packager(tree: &Tree) -> Result<PathBuf, Trouble> {
    let folder = tree.target.join("packager");
    install(tree, "packager", &tree.root.join("src-tauri/xtask/packager"), &folder)?;
    Ok(folder.join("node_modules/@tauri-apps/cli/tauri.js"))
}

/// Installs what the lock file in `source` names into `folder`, unless that is what is there already.
fn install(tree: &Tree, step: &str, source: &Path, folder: &Path) -> Result<(), Trouble> {
    ensure_node()?;
    let files = ["package.json", "package-lock.json"];
    let stamp = Stamp::of(tree, &format!("npm-{step}"), &files.map(|file| source.join(file)), &[])?;
    if stamp.is_current() && folder.join("node_modules").is_dir() {
        return Ok(());
    }
    println!("== installing npm packages: {step}");
    if source != folder {
        fs::create_dir_all(folder).map_err(Trouble::files(folder))?;
        for file in files {
            fs::copy(source.join(file), folder.join(file)).map_err(Trouble::files(&source.join(file)))?;
        }
    }
    let mut npm = spawn::npm();
    npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(folder);
    spawn::run(&mut npm, &format!("npm ci for {step}"), "look at what npm said above; it needs its registry")?;
    stamp.set()
}

fn ensure_node() -> Result<(), Trouble> {
    let (least_major, least_minor) = OLDEST;
    let missing = |what: String| Trouble::Missing {
        what,
        next: format!("install Node.js {least_major}.{least_minor} or newer with npm, from nodejs.org or with nvm"),
    };
    if !spawn::is_on_path("node") || !spawn::is_on_path("npm") {
        return Err(missing("Node.js or npm is not on PATH".into()));
    }
    let (said, _) = spawn::hear(spawn::command("node").arg("--version"))?;
    match version(&said) {
        Some(found) if found >= OLDEST => Ok(()),
        _ => Err(missing(format!("Node.js says it is {}, which is too old", said.trim()))),
    }
}

fn version(said: &str) -> Option<(u32, u32)> {
    let mut parts = said.trim().strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_node_are_compared_as_numbers() {
        for (said, enough) in [("v20.19.0\n", true), ("v22.0.1", true), ("v20.9.0", false), ("v18.20.4", false)] {
            let found = version(said).expect("node says its version so");
            assert_eq!(found >= OLDEST, enough, "{said}");
        }
        assert_eq!(version("no node here"), None, "other words are not a version");
    }
}
