//! The programs that are not Gemra's but that it uses where they are there: node, npm and git.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gemra_core::environment::Environment;
use gemra_core::process::spawn;

/// How long one may take to tell its version.
const LIMIT: Duration = Duration::from_secs(10);
/// Each with what it is for.
const KNOWN: [(&str, &str); 3] = [
    ("node", "the Claude CLI from npm runs on it"),
    ("npm", "installs the Claude CLI"),
    ("git", "tells the agent in a container who you are"),
];

/// A program that was looked for on PATH.
#[derive(Debug)]
pub(crate) struct Program {
    /// Its name.
    pub(crate) name: &'static str,
    /// What Gemra uses it for.
    pub(crate) purpose: &'static str,
    /// Where it is; none where it is on no folder of PATH.
    pub(crate) path: Option<PathBuf>,
    /// What it says its version is; none where it says nothing.
    pub(crate) version: Option<String>,
}

/// Looks for all of them at once.
pub(crate) async fn look(environment: &Environment) -> Vec<Program> {
    let [node, npm, git] = KNOWN;
    let (node, npm, git) = tokio::join!(one(node, environment), one(npm, environment), one(git, environment));
    vec![node, npm, git]
}

async fn one((name, purpose): (&'static str, &'static str), environment: &Environment) -> Program {
    let path = environment.os("PATH").unwrap_or_default();
    let files: &[String] =
        &if cfg!(windows) { vec![format!("{name}.exe"), format!("{name}.cmd")] } else { vec![name.to_owned()] };
    let path = std::env::split_paths(&path)
        .flat_map(|folder| files.iter().map(move |file| folder.join(file)))
        .find(|candidate| candidate.is_file());
    let version = match &path {
        Some(path) => version(path).await,
        None => None,
    };
    Program { name, purpose, path, version }
}

async fn version(path: &Path) -> Option<String> {
    let program = spawn::Program {
        path: path.to_path_buf(),
        args: vec!["--version".into()],
        folder: std::env::temp_dir(),
        environment: Vec::new(),
    };
    let finished = spawn::run(&program, LIMIT).await.ok()?;
    // "git version 2.39.5", "v20.19.0", "10.8.2".
    let words = finished.stdout.split_whitespace();
    let number = |word: &&str| word.trim_start_matches('v').starts_with(|first: char| first.is_ascii_digit());
    words.map(str::to_owned).find(|word| number(&word.as_str()))
}
