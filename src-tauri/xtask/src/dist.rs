//! Installable packages, made by Tauri's own packager from the release programs. Signing and publishing are not done
//! here, so nothing in this file needs a secret.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::build;
use crate::node;
use crate::spawn;
use crate::system::Consent;
use crate::tree::Tree;
use crate::trouble::Trouble;

/// The kinds of package for this platform, and the endings of the files that come out.
#[cfg(target_os = "linux")]
const KINDS: (&str, &[&str]) = ("deb", &["deb"]);
#[cfg(target_os = "macos")]
const KINDS: (&str, &[&str]) = ("dmg", &["dmg"]);
#[cfg(windows)]
const KINDS: (&str, &[&str]) = ("nsis", &["exe"]);

/// Builds the programs, packs them, and says where the packages are.
pub(crate) fn dist(tree: &Tree, consent: Consent) -> Result<(), Trouble> {
    build::build(tree, consent)?;
    let packager = node::ensure_packager(tree)?;
    let (kind, endings) = KINDS;
    let bundles = tree.target.join("release/bundle").join(kind);
    // What an earlier version left there must not be handed out as this one.
    clear(&bundles)?;

    let mut tauri = spawn::command("node");
    tauri.arg(packager).args(["bundle", "--ci", "--bundles", kind, "--config", &command_line_too(tree)]);
    tauri.current_dir(&tree.root).env("CARGO_TARGET_DIR", &tree.target);
    spawn::run(&mut tauri, "tauri bundle", "look at what the packager said above")?;

    let folder = tree.target.join("dist");
    clear(&folder)?;
    fs::create_dir_all(&folder).map_err(Trouble::files(&folder))?;
    let made = packages(&bundles, endings)?;
    if made.is_empty() {
        return Err(Trouble::Failed {
            what: format!("packing into {}", bundles.display()),
            ended: "the packager ended well, and no package is there".into(),
            next: "look at what the packager said above",
        });
    }
    for package in made {
        let target = folder.join(package.file_name().unwrap_or_default());
        fs::copy(&package, &target).map_err(Trouble::files(&package))?;
        println!("{}", target.display());
    }
    Ok(())
}

/// Configuration that puts `gemra` beside the window's program in the Debian package.
fn command_line_too(tree: &Tree) -> String {
    let program = tree.program("gemra");
    // Debug text of a string is a JSON string for every path without control characters.
    format!(
        r#"{{"bundle":{{"linux":{{"deb":{{"files":{{"/usr/bin/gemra":{:?}}}}}}}}}}}"#,
        program.display().to_string()
    )
}

fn packages(folder: &Path, endings: &[&str]) -> Result<Vec<PathBuf>, Trouble> {
    let listed = fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let listed: Vec<PathBuf> = listed.map_err(Trouble::files(folder))?;
    let is_package =
        |path: &PathBuf| path.extension().and_then(OsStr::to_str).is_some_and(|end| endings.contains(&end));
    Ok(listed.into_iter().filter(is_package).collect())
}

fn clear(folder: &Path) -> Result<(), Trouble> {
    if folder.exists() { fs::remove_dir_all(folder).map_err(Trouble::files(folder)) } else { Ok(()) }
}
