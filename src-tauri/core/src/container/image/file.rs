//! Images as files, for machines that cannot fetch any: saved from one engine, looked at before they are given to
//! another, and found there under the same fingerprint. It knows nothing of how images are built.

use std::io::{Read as _, Seek as _};
use std::path::Path;
use std::sync::Arc;

use bollard::query_parameters::{ImportImageOptionsBuilder, TagImageOptionsBuilder};
use futures_util::StreamExt as _;
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::ReaderStream;

use super::error::ImageError;
use super::{AUTO, LATEST, NAME, Options, build, inspect};
use crate::container::engine::{self, Engine};
use crate::container::labels;

/// Larger than any description of an image.
const LARGEST: u64 = 16 * 1024 * 1024;
/// Why a file was not written that somebody else has written.
const THERE: &str = "it is there already, and is not overwritten";

/// An image that was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Its names at the engine, of which there is at least one.
    pub names: Vec<String>,
    /// True where Gemra has built it: it is found by its fingerprint then, and nothing is built.
    pub ours: bool,
}

/// What a file says of the image in it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct About {
    names: Vec<String>,
    /// The fingerprint, where Gemra has built it.
    spec: Option<String>,
}

/// What becomes of a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and nothing is saved.
    Keep,
    /// The image takes its place, when it is there whole: the user has said so.
    Replace,
}

/// Saves an image. `tell` is told how many bytes of how many are written; the whole is the engine's estimate. Dropped, it
/// leaves nothing.
///
/// # Errors
/// [`ImageError::NotThere`]; [`ImageError::NotSaved`] where the file is there already or cannot be written. Nothing is
/// left of it then.
pub async fn save(
    engine: &Engine,
    name: &str,
    file: &Path,
    existing: Existing,
    tell: impl Fn(u64, u64),
) -> Result<(), ImageError> {
    let bad = |cause: String| ImageError::NotSaved { file: file.to_owned(), cause };
    let image = inspect(engine, name).await?.ok_or_else(|| ImageError::NotThere { name: name.to_owned() })?;
    let whole = image.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
    // Asked before all the work too.
    if existing == Existing::Keep && tokio::fs::symlink_metadata(file).await.is_ok() {
        return Err(bad(THERE.to_owned()));
    }
    let beside = file.to_owned();
    let half = tokio::task::spawn_blocking(move || half(&beside)).await.map_err(|error| bad(error.to_string()))?;
    let (out, half) = half.map_err(|error| bad(error.to_string()))?.into_parts();
    write(engine, name, tokio::fs::File::from_std(out), whole, tell).await.map_err(bad)?;
    let to = file.to_owned();
    let put = tokio::task::spawn_blocking(move || match existing {
        Existing::Keep => half.persist_noclobber(to),
        Existing::Replace => half.persist(to),
    });
    let put = put.await.map_err(|error| bad(error.to_string()))?;
    put.map_err(|refused| match refused.error.kind() {
        std::io::ErrorKind::AlreadyExists => bad(THERE.to_owned()),
        _ => bad(refused.error.to_string()),
    })
}

/// An open file beside the one that is meant, which goes when it is dropped. Blocks.
fn half(file: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = file.file_name().ok_or(std::io::ErrorKind::IsADirectory)?;
    let mut half = tempfile::Builder::new();
    half.prefix(name).suffix(".part");
    // As any other file of the user's: an image is no secret, and is saved for others.
    #[cfg(unix)]
    half.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    half.tempfile_in(folder)
}

async fn write(
    engine: &Engine,
    name: &str,
    mut out: tokio::fs::File,
    whole: u64,
    tell: impl Fn(u64, u64),
) -> Result<(), String> {
    let words = |error: std::io::Error| error.to_string();
    let mut pieces = std::pin::pin!(engine.api().export_image(name));
    let mut done = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| engine::words(&error))?;
        out.write_all(&piece).await.map_err(words)?;
        done += piece.len() as u64;
        tell(done, whole.max(done));
    }
    out.sync_all().await.map_err(words)
}

/// Loads an image, and gives it the names by which Gemra finds it. `tell` is told how many bytes of how many are sent.
///
/// # Errors
/// [`ImageError::BadFile`] where the file cannot be read, holds no image, or the engine does not take it.
pub async fn load(
    engine: &Engine,
    file: &Path,
    tell: impl Fn(u64, u64) + Send + Sync + 'static,
) -> Result<Loaded, ImageError> {
    let bad = |cause: String| ImageError::BadFile { file: file.to_owned(), cause };
    let looked = file.to_owned();
    let about = tokio::task::spawn_blocking(move || look(&looked)).await.map_err(|error| bad(error.to_string()))?;
    let About { names, spec } = about.map_err(bad)?;
    let read = tokio::fs::File::open(file).await.map_err(|error| bad(error.to_string()))?;
    let whole = read.metadata().await.map_err(|error| bad(error.to_string()))?.len();
    let tell = Arc::new(tell);
    let mut done = 0;
    let body = ReaderStream::with_capacity(read, 256 * 1024).map(move |piece| {
        done += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        tell(done, whole);
        piece
    });
    let options = ImportImageOptionsBuilder::new().quiet(false).build();
    let mut messages = std::pin::pin!(engine.api().import_image_stream(options, body, None));
    let patience = build::Patience::new(Options::default().silent);
    let log = super::BuildLog::default();
    let mut said = String::new();
    while let Some(message) = patience.next(&mut messages, &log).await? {
        let message = message.map_err(|error| bad(engine::words(&error)))?;
        said.extend(message.stream);
    }
    // One that was saved by its id has no name but that.
    let by_id = || said.lines().find_map(|line| line.strip_prefix("Loaded image ID: ")).map(|id| id.trim().to_owned());
    let known = names.first().cloned().or_else(by_id);
    let known = known.ok_or_else(|| bad("the engine did not say what it loaded".to_owned()))?;
    let image =
        inspect(engine, &known).await?.ok_or_else(|| bad("the engine took it and does not have it".to_owned()))?;
    let mut names = names;
    if let Some(spec) = &spec {
        let ours = if known.starts_with(AUTO) { AUTO } else { NAME };
        let id = image.id.as_deref().unwrap_or(&known);
        let tag = &spec[..12.min(spec.len())];
        let mut tags = vec![tag];
        tags.extend((ours == NAME).then(|| LATEST.rsplit(':').next().unwrap_or_default()));
        for tag in tags {
            let options = TagImageOptionsBuilder::new().repo(ours).tag(tag).build();
            engine::question("to name the image", engine.api().tag_image(id, Some(options))).await?;
            let name = format!("{ours}:{tag}");
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    if names.is_empty() {
        names.push(known);
    }
    Ok(Loaded { names, ours: spec.is_some() })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Manifest {
    config: String,
    repo_tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Config {
    os: String,
    config: Option<Settings>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Settings {
    labels: Option<std::collections::HashMap<String, String>>,
}

/// What a file holds. Blocks.
fn look(file: &Path) -> Result<About, String> {
    let mut open = std::fs::File::open(file).map_err(|error| error.to_string())?;
    let no_image = || "it holds no image: there is no manifest.json in it".to_owned();
    let text = entry(&mut open, "manifest.json")?.ok_or_else(no_image)?;
    let manifests: Vec<Manifest> =
        serde_json::from_str(&text).map_err(|error| format!("its manifest.json is not valid: {error}"))?;
    let [manifest] = &manifests[..] else {
        return Err(format!("it holds {} images, and Gemra takes one at a time", manifests.len()));
    };
    let text = entry(&mut open, &manifest.config)?.ok_or_else(|| format!("{} is missing in it", manifest.config))?;
    let config: Config =
        serde_json::from_str(&text).map_err(|error| format!("{} in it is not valid: {error}", manifest.config))?;
    if config.os != "linux" {
        return Err(format!("its image is for {}, and containers are Linux", config.os));
    }
    let labels = config.config.and_then(|config| config.labels).unwrap_or_default();
    let ours = labels.get(labels::MANAGED).is_some_and(|value| value == "1");
    let is_spec = |spec: &&String| spec.len() == 64 && spec.chars().all(|letter| letter.is_ascii_hexdigit());
    let spec = labels.get(labels::SPEC).filter(|_| ours).filter(is_spec).cloned();
    Ok(About { names: manifest.repo_tags.clone().unwrap_or_default(), spec })
}

/// The text of an entry; `None` where there is none.
fn entry(file: &mut std::fs::File, name: &str) -> Result<Option<String>, String> {
    let no_tar = |error: std::io::Error| format!("it holds no image: {error}");
    file.rewind().map_err(no_tar)?;
    let mut archive = tar::Archive::new(file);
    for entry in archive.entries_with_seek().map_err(no_tar)? {
        let entry = entry.map_err(no_tar)?;
        if entry.path().map_err(no_tar)? == Path::new(name) {
            let mut text = String::new();
            entry.take(LARGEST).read_to_string(&mut text).map_err(no_tar)?;
            return Ok(Some(text));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(entries: &[(&str, &str)]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut tar = tar::Builder::new(file.reopen().unwrap());
        for (name, text) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap();
        file
    }

    #[test]
    fn a_file_is_looked_at_before_an_engine_gets_it() {
        let spec = "0123456789abcdef".repeat(4);
        let ours =
            format!(r#"{{"os":"linux","config":{{"Labels":{{"dev.gemra.managed":"1","dev.gemra.spec":"{spec}"}}}}}}"#);
        let manifest = r#"[{"Config":"c.json","RepoTags":["a:1"],"Layers":[]}]"#;
        let found = look(file(&[("c.json", &ours), ("manifest.json", manifest)]).path());
        assert_eq!(found, Ok(About { names: vec!["a:1".to_owned()], spec: Some(spec) }), "an image of ours");
        let plain = r#"{"os":"linux","config":{}}"#;
        let nameless = r#"[{"Config":"c.json","RepoTags":null}]"#;
        let found = look(file(&[("c.json", plain), ("manifest.json", nameless)]).path());
        assert_eq!(found, Ok(About { names: Vec::new(), spec: None }), "one of somebody else's");
        let forged = r#"{"os":"linux","config":{"Labels":{"dev.gemra.managed":"1","dev.gemra.spec":"../x"}}}"#;
        let found = look(file(&[("c.json", forged), ("manifest.json", manifest)]).path());
        assert_eq!(found.unwrap().spec, None, "what is no fingerprint names nothing");
        for (entries, words) in [
            (vec![("other", "x")], "no manifest.json"),
            (vec![("manifest.json", "[")], "not valid"),
            (vec![("manifest.json", "[]")], "0 images"),
            (vec![("manifest.json", manifest)], "c.json is missing"),
            (vec![("manifest.json", manifest), ("c.json", r#"{"os":"windows"}"#)], "for windows"),
        ] {
            let error = look(file(&entries).path()).unwrap_err();
            assert!(error.contains(words), "{entries:?}: {error}");
        }
        let text = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(text.path(), "no tar at all").unwrap();
        assert!(look(text.path()).unwrap_err().contains("no image"), "a text is no image");
    }
}
