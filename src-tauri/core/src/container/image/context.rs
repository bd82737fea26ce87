//! What is sent along with a Dockerfile: the certificates, and of the workspace only what COPY and ADD take, without
//! what `.dockerignore` names. The daemon honours that file too, but only after everything was sent.

use std::io::{Read, Write};
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use globset::{GlobBuilder, GlobMatcher};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::certificates::Certificate;
use super::dockerfile::CERTIFICATES;

/// How much is read ahead of the network, in pieces of [`PIECE`].
const AHEAD: usize = 16;
const PIECE: usize = 64 * 1024;
/// Said where a build may send only what the user has allowed, and what is there is something else by now.
pub(super) const CHANGED: &str = "the project's files are not those that you have allowed";

/// What is sent along with a Dockerfile.
#[derive(Debug, Clone, Default)]
pub(super) struct Context {
    root: PathBuf,
    /// Paths under `root`, sorted, folders before what is in them.
    entries: Vec<PathBuf>,
    /// A fingerprint of paths, sizes, modes and times of change: contents are not read twice.
    pub(super) digest: Vec<u8>,
    /// What [`Self::contents`] has to be, where nothing else may be sent.
    pub(super) allowed: Option<Vec<u8>>,
}

impl Context {
    /// Looks through the workspace for what `sources` take. `file` is the Dockerfile, which may have a `.dockerignore`
    /// of its own. Blocks: call it off the async runtime.
    pub(super) fn scan(root: &Path, file: Option<&Path>, sources: &[String]) -> std::io::Result<Self> {
        let mut context = Self { root: root.to_owned(), ..Self::default() };
        if sources.is_empty() {
            return Ok(context);
        }
        let wanted: Vec<PathBuf> = sources.iter().map(|source| fixed_part(source)).collect();
        let ignore = Ignore::read(root, file)?;
        let mut open = vec![PathBuf::new()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(root.join(&folder)).map_err(|error| named(&root.join(&folder), &error))? {
                let entry = entry?;
                let path = folder.join(entry.file_name());
                let kind = entry.file_type()?;
                let inside = wanted.iter().any(|wanted| path.starts_with(wanted));
                let above = wanted.iter().any(|wanted| wanted.starts_with(&path));
                let excluded = ignore.excludes(&path);
                if kind.is_dir() && (inside || above) && (!excluded || ignore.has_exceptions) {
                    open.push(path.clone());
                }
                // Sockets and pipes cannot be copied into an image.
                if inside && !excluded && (kind.is_dir() || kind.is_file() || kind.is_symlink()) {
                    context.entries.push(path);
                }
            }
        }
        context.entries.sort();
        context.digest = context.digest()?;
        Ok(context)
    }

    /// Writes the tar on a thread of its own and hands it on in pieces. An error ends the pieces.
    pub(super) fn send(
        self,
        dockerfile: String,
        certificates: Vec<Certificate>,
    ) -> mpsc::Receiver<Result<Bytes, std::io::Error>> {
        let (pieces, receiver) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || {
            let pipe = Pipe { pieces: pieces.clone(), buffer: Vec::with_capacity(PIECE) };
            if let Err(error) = self.write(pipe, &dockerfile, &certificates) {
                // Nobody listens where the build was cancelled, and then nobody needs to know.
                let _ = pieces.blocking_send(Err(error));
            }
        });
        receiver
    }

    /// The paths of what is sent, below the folder that it is taken from.
    pub(super) fn paths(&self) -> &[PathBuf] {
        &self.entries
    }

    /// A digest of all that is sent, read whole: unlike [`Self::digest`] nobody can keep it the same who changes a
    /// file. Blocks.
    pub(super) fn contents(&self) -> std::io::Result<Vec<u8>> {
        let mut digest = Sha256::new();
        for path in &self.entries {
            let full = self.root.join(path);
            let entry = Entry::look(&full, path, &mut digest).map_err(|error| named(&full, &error))?;
            if let Entry::File { length, .. } = entry {
                let mut file = Hashing::open(&full, length, &mut digest).map_err(|error| named(&full, &error))?;
                std::io::copy(&mut file, &mut std::io::sink()).map_err(|error| named(&full, &error))?;
            }
        }
        Ok(digest.finalize().to_vec())
    }

    fn write(&self, pipe: Pipe, dockerfile: &str, certificates: &[Certificate]) -> std::io::Result<()> {
        let mut tar = tar::Builder::new(pipe);
        // Owners and times would only break the builder's cache.
        tar.mode(tar::HeaderMode::Deterministic);
        tar.follow_symlinks(false);
        let mut digest = self.allowed.is_some().then(Sha256::new);
        for path in &self.entries {
            let full = self.root.join(path);
            let appended = match &mut digest {
                Some(digest) => {
                    Entry::look(&full, path, digest).and_then(|entry| entry.append(&mut tar, &full, path, digest))
                }
                None => tar.append_path_with_name(&full, path),
            };
            appended.map_err(|error| named(&full, &error))?;
        }
        // Before the end: a builder begins when it has all of it.
        if digest.map(|digest| digest.finalize().to_vec()) != self.allowed {
            return Err(std::io::Error::other(CHANGED));
        }
        for certificate in certificates {
            append(&mut tar, &format!("{CERTIFICATES}/{}", certificate.name), &certificate.pem)?;
        }
        // Last, so that it is this text that counts, whatever the workspace holds under its name.
        append(&mut tar, super::source::FILE, dockerfile)?;
        tar.into_inner()?.flush()
    }

    fn digest(&self) -> std::io::Result<Vec<u8>> {
        let mut digest = Sha256::new();
        for path in &self.entries {
            let full = self.root.join(path);
            let metadata = std::fs::symlink_metadata(&full).map_err(|error| named(&full, &error))?;
            // A folder's own time changes with files that are ignored.
            let changed = if metadata.is_dir() { None } else { metadata.modified().ok() };
            let changed = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
            let length = if metadata.is_dir() { 0 } else { metadata.len() };
            digest.update(format!("{}\0{length}\0{changed:?}\0{}\n", path.display(), is_executable(&metadata)));
        }
        Ok(digest.finalize().to_vec())
    }
}

/// What is at a path of the context, as it is sent.
enum Entry {
    Folder,
    Link { to: PathBuf, metadata: std::fs::Metadata },
    File { length: u64, metadata: std::fs::Metadata },
}

impl Entry {
    /// Looks, and counts its kind and its name into a digest; of a file not yet what is in it.
    fn look(full: &Path, path: &Path, digest: &mut Sha256) -> std::io::Result<Self> {
        let metadata = std::fs::symlink_metadata(full)?;
        let mut part = |bytes: &[u8]| {
            // Lengths keep one part from running into the next.
            digest.update(bytes.len().to_be_bytes());
            digest.update(bytes);
        };
        part(path.as_os_str().as_encoded_bytes());
        Ok(if metadata.is_dir() {
            part(b"folder");
            Self::Folder
        } else if metadata.is_symlink() {
            let to = std::fs::read_link(full)?;
            part(b"link");
            part(to.as_os_str().as_encoded_bytes());
            Self::Link { to, metadata }
        } else {
            part(if is_executable(&metadata) { b"program" } else { b"file" });
            part(&metadata.len().to_be_bytes());
            Self::File { length: metadata.len(), metadata }
        })
    }

    /// Sends it, and counts into the digest what is sent of a file.
    fn append(
        self,
        tar: &mut tar::Builder<Pipe>,
        full: &Path,
        path: &Path,
        digest: &mut Sha256,
    ) -> std::io::Result<()> {
        match self {
            Self::Folder => tar.append_dir(path, full),
            Self::Link { to, metadata } => tar.append_link(&mut header(&metadata), path, to),
            Self::File { length, metadata } => {
                let mut header = header(&metadata);
                tar.append_data(&mut header, path, Hashing::open(full, length, digest)?)
            }
        }
    }
}

fn header(metadata: &std::fs::Metadata) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_metadata_in_mode(metadata, tar::HeaderMode::Deterministic);
    header
}

/// A file that is read, and what is read of it counted into a digest.
struct Hashing<'a> {
    file: std::io::Take<std::fs::File>,
    digest: &'a mut Sha256,
}

impl<'a> Hashing<'a> {
    /// Reads no more than `length`: what comes later does not belong to what was looked at.
    fn open(full: &Path, length: u64, digest: &'a mut Sha256) -> std::io::Result<Self> {
        Ok(Self { file: std::fs::File::open(full)?.take(length), digest })
    }
}

impl Read for Hashing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.digest.update(&buffer[..count]);
        // A file that has become shorter would make a tar that says something else than it holds.
        if count == 0 && !buffer.is_empty() && self.file.limit() > 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(count)
    }
}

fn append(tar: &mut tar::Builder<Pipe>, path: &str, text: &str) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    tar.append_data(&mut header, path, text.as_bytes())
}

#[cfg(unix)]
fn is_executable(metadata: &std::fs::Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_metadata: &std::fs::Metadata) -> bool {
    false
}

fn named(path: &Path, error: &std::io::Error) -> std::io::Error {
    std::io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The part of a source before its first pattern or variable: everything below it may be wanted.
fn fixed_part(source: &str) -> PathBuf {
    Path::new(source)
        .components()
        .filter(|component| matches!(component, Component::Normal(_)))
        .take_while(|component| !component.as_os_str().to_string_lossy().contains(['*', '?', '[', '$', '\\']))
        .collect()
}

/// `.dockerignore`: the last rule that matches a path, or a folder above it, decides.
struct Ignore {
    rules: Vec<Rule>,
    has_exceptions: bool,
}

struct Rule {
    itself: GlobMatcher,
    below: GlobMatcher,
    exception: bool,
}

impl Ignore {
    fn read(root: &Path, dockerfile: Option<&Path>) -> std::io::Result<Self> {
        let own = dockerfile.map(|file| {
            let mut name = file.as_os_str().to_owned();
            name.push(".dockerignore");
            PathBuf::from(name)
        });
        let file = own.filter(|own| own.is_file()).unwrap_or_else(|| root.join(".dockerignore"));
        match std::fs::read_to_string(&file) {
            Ok(text) => Self::parse(&text).map_err(|error| named(&file, &error)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::parse(""),
            Err(error) => Err(named(&file, &error)),
        }
    }

    fn parse(text: &str) -> std::io::Result<Self> {
        let mut rules = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (exception, pattern) = match line.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line),
            };
            let pattern = pattern.trim_start_matches("./").trim_matches('/');
            if pattern.is_empty() || pattern == "." {
                continue;
            }
            let glob = |pattern: &str| {
                GlobBuilder::new(pattern)
                    .literal_separator(true)
                    .backslash_escape(true)
                    .build()
                    .map(|glob| glob.compile_matcher())
                    .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
            };
            rules.push(Rule { itself: glob(pattern)?, below: glob(&format!("{pattern}/**"))?, exception });
        }
        Ok(Self { has_exceptions: rules.iter().any(|rule| rule.exception), rules })
    }

    fn excludes(&self, path: &Path) -> bool {
        self.rules
            .iter()
            .rev()
            .find(|rule| rule.itself.is_match(path) || rule.below.is_match(path))
            .is_some_and(|rule| !rule.exception)
    }
}

/// Hands on what is written, in pieces.
struct Pipe {
    pieces: mpsc::Sender<Result<Bytes, std::io::Error>>,
    buffer: Vec<u8>,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE)));
        self.pieces.blocking_send(Ok(piece)).map_err(|_| std::io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(files: &[&str], ignore: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file).unwrap();
        }
        std::fs::write(folder.path().join(".dockerignore"), ignore).unwrap();
        folder
    }

    #[test]
    fn only_what_is_copied_and_not_ignored_is_sent() {
        let files = ["a.txt", "b.txt", "src/main.rs", "src/deep/x.rs", "node_modules/big.js", "src/node_modules/y.js"];
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("", &[], &[]),
            ("", &["a.txt"], &["a.txt"]),
            (
                "",
                &["./src/"],
                &["src", "src/deep", "src/deep/x.rs", "src/main.rs", "src/node_modules", "src/node_modules/y.js"],
            ),
            ("node_modules\n", &["src/node_modules"], &["src/node_modules", "src/node_modules/y.js"]),
            ("**/node_modules\n", &["src/node_modules"], &[]),
            ("# all\n*\n!src/deep\n", &["."], &["src/deep", "src/deep/x.rs"]),
            ("*.txt\n!a.txt\nsrc\nnode_modules\n", &["."], &[".dockerignore", "a.txt"]),
            ("src\n", &["s*"], &[".dockerignore", "a.txt", "b.txt", "node_modules", "node_modules/big.js"]),
            (
                "",
                &["src/d*/x.rs"],
                &["src", "src/deep", "src/deep/x.rs", "src/main.rs", "src/node_modules", "src/node_modules/y.js"],
            ),
        ];
        for (ignore, sources, expected) in cases {
            let folder = workspace(&files, ignore);
            let sources: Vec<String> = sources.iter().map(|&source| source.to_owned()).collect();
            let context = Context::scan(folder.path(), None, &sources).unwrap();
            let found: Vec<String> = context.entries.iter().map(|path| path.display().to_string()).collect();
            // The folder itself that a source names is made by the files in it.
            assert_eq!(&found, expected, "with .dockerignore {ignore:?} and COPY {sources:?}");
        }
    }

    #[test]
    fn a_dockerfile_may_have_a_dockerignore_of_its_own() {
        let folder = workspace(&["a.txt", "b.txt"], "a.txt\n");
        std::fs::write(folder.path().join("Dockerfile.dockerignore"), "b.txt\n").unwrap();
        let found = |file: &str| {
            let file = folder.path().join(file);
            let sources = ["*.txt".to_owned()];
            let context = Context::scan(folder.path(), Some(&file), &sources).unwrap();
            context
                .entries
                .iter()
                .map(|path| path.display().to_string())
                // Builders that leave files out themselves want these, too.
                .filter(|path| !path.ends_with(".dockerignore"))
                .collect::<Vec<_>>()
        };
        assert_eq!(found("Dockerfile"), ["a.txt"], "its own counts");
        assert_eq!(found("Dockerfile.claude"), ["b.txt"], "one that has none takes the usual one");
    }

    #[test]
    fn the_digest_follows_what_is_sent_alone() {
        let folder = workspace(&["a.txt", "b.txt"], "");
        let sources = ["a.txt".to_owned()];
        let first = Context::scan(folder.path(), None, &sources).unwrap().digest;
        std::fs::write(folder.path().join("b.txt"), "changed, and longer").unwrap();
        assert_eq!(Context::scan(folder.path(), None, &sources).unwrap().digest, first, "b.txt is not copied");
        std::fs::write(folder.path().join("a.txt"), "changed, and longer").unwrap();
        assert_ne!(Context::scan(folder.path(), None, &sources).unwrap().digest, first, "a.txt is");
    }

    /// What a context sends with no Dockerfile and no certificates: all of it, or why not.
    async fn sent(context: Context) -> Result<Vec<u8>, String> {
        let mut pieces = context.send("FROM x".to_owned(), Vec::new());
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.recv().await {
            bytes.extend_from_slice(&piece.map_err(|error| error.to_string())?);
        }
        Ok(bytes)
    }

    #[tokio::test]
    async fn only_what_was_allowed_is_sent_where_something_was() {
        let folder = workspace(&["a.sh", "deep/b.txt"], "");
        let root = folder.path();
        #[cfg(unix)]
        std::os::unix::fs::symlink("a.sh", root.join("link")).unwrap();
        let scan = || Context::scan(root, None, &[".".to_owned()]).unwrap();
        let allowed = scan().contents().unwrap();
        let held = || Context { allowed: Some(allowed.clone()), ..scan() };
        assert_eq!(scan().contents().unwrap(), allowed, "the same files are the same");
        let plain = sent(scan()).await.unwrap();
        assert!(sent(held()).await.unwrap() == plain, "what was allowed is sent, as it would be anyhow");

        // As long as before, and with the time of before: neither tells that it is another.
        let (file, shown) = (root.join("a.sh"), scan().digest);
        let time = std::fs::metadata(&file).unwrap().modified().unwrap();
        std::fs::write(&file, "A.SH").unwrap();
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
        assert_eq!(scan().digest, shown, "nothing shows");
        assert_eq!(sent(held()).await.unwrap_err(), CHANGED, "another text is not sent to its end");
        assert!(sent(scan()).await.is_ok(), "and is no matter where nothing was asked");
        std::fs::write(&file, "a.sh").unwrap();
        assert!(sent(held()).await.is_ok(), "what was allowed is so again");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
            assert_eq!(sent(held()).await.unwrap_err(), CHANGED, "a program is another thing than a text");
            std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
            std::fs::remove_file(root.join("link")).unwrap();
            std::os::unix::fs::symlink("deep/b.txt", root.join("link")).unwrap();
            assert_eq!(sent(held()).await.unwrap_err(), CHANGED, "so is a link that leads elsewhere");
        }
    }

    #[tokio::test]
    async fn the_tar_holds_the_dockerfile_the_certificates_and_the_files() {
        let folder = workspace(&["src/main.rs"], "");
        let context = Context::scan(folder.path(), None, &["src".to_owned()]).unwrap();
        let certificate = Certificate { name: "one.crt".to_owned(), pem: "PEM\n".to_owned() };
        let mut pieces = context.send("FROM x".to_owned(), vec![certificate]);
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.recv().await {
            bytes.extend_from_slice(&piece.unwrap());
        }
        let mut archive = tar::Archive::new(bytes.as_slice());
        let names: Vec<String> =
            archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
        assert_eq!(names, ["src", "src/main.rs", ".gemra/certs/one.crt", "Dockerfile.claude"], "and nothing else");
    }

    #[tokio::test]
    async fn a_file_that_goes_away_is_an_error_and_no_short_tar() {
        let folder = workspace(&["a.txt"], "");
        let context = Context::scan(folder.path(), None, &["a.txt".to_owned()]).unwrap();
        std::fs::remove_file(folder.path().join("a.txt")).unwrap();
        let mut pieces = context.send("FROM x".to_owned(), Vec::new());
        let mut last = None;
        while let Some(piece) = pieces.recv().await {
            last = Some(piece);
        }
        let error = last.unwrap().unwrap_err().to_string();
        assert!(error.contains("a.txt"), "the error names the file: {error}");
    }
}
