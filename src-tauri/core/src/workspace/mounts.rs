//! Further folders and files that the user wants inside, as they are written in the settings: read, and looked at on
//! this machine. It knows the names that are taken inside, and not how an engine mounts.

use std::path::{Path, PathBuf};

use super::expand;
use crate::container::spec::{self, WORKSPACE};

/// Sockets that engines listen at; whoever has one has the machine.
const ENGINES: &[&str] = &["docker.sock", "podman.sock", "containerd.sock", "buildkitd.sock", "crio.sock"];
/// Where they usually are, beside a user's own folder for such things.
const USUAL: &[&str] = &["/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock"];
/// What Gemra itself mounts below the home inside.
const OURS: &[&str] = &[".claude", ".cache"];
/// Folders that no image can do without, with all that is in them.
const KERNEL: &[&str] = &["/proc", "/sys", "/dev"];

/// A folder or a file of the host's, and where it is wanted inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// On the host. As it was written, `~/` included, until somebody has looked.
    pub host: PathBuf,
    /// Inside, absolute.
    pub target: String,
    /// Nobody inside can change it.
    pub read_only: bool,
}

/// Why an entry cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("The mount {entry:?} cannot be used: {why}")]
pub struct MountError {
    /// As it was written.
    pub entry: String,
    /// Why.
    pub why: String,
}

/// Reads `host:container:mode`. A colon in a name is written `\:`, a backslash before one `\\`; nothing else is special.
///
/// # Errors
/// [`MountError`] where it is not of that form, or names what must not be covered inside. Nothing is looked at.
pub fn read(entry: &str) -> Result<Mount, MountError> {
    let bad = |why: &str| MountError { entry: entry.to_owned(), why: why.to_owned() };
    let pieces = pieces(entry.trim());
    let (host, target, mode) = match pieces.as_slice() {
        [host, target] => (host, target, "rw"),
        [host, target, mode] => (host, target, mode.as_str()),
        _ => return Err(bad("it has to be host:container:mode, with \\: for a colon in a name")),
    };
    let read_only = match mode {
        "ro" => true,
        "rw" => false,
        _ => return Err(bad("its mode has to be ro or rw")),
    };
    let host = PathBuf::from(host);
    if !host.is_absolute() && !host.starts_with("~") {
        return Err(bad("the host's path has to be absolute, or to begin with ~/"));
    }
    if host.parent().is_none() {
        return Err(bad("it would be the whole machine"));
    }
    let target = target.trim_end_matches('/').to_owned();
    check_target(&target).map_err(|why| bad(&why))?;
    Ok(Mount { host, target, read_only })
}

/// Looks at the host's side: links resolved, it has to be there, and neither an engine's socket nor a folder with one.
///
/// # Errors
/// [`MountError`] says what is wrong with `entry`.
pub fn look(entry: &str, home: Option<&Path>) -> Result<Mount, MountError> {
    let bad = |why: String| MountError { entry: entry.to_owned(), why };
    let mount = read(entry)?;
    let written = mount.host.to_string_lossy().into_owned();
    let host = expand(&written, home);
    let host = match host.canonicalize() {
        Ok(host) => host,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(bad(format!("{} is not there", host.display())));
        }
        Err(error) => return Err(bad(format!("{} cannot be looked at: {error}", host.display()))),
    };
    if host.parent().is_none() {
        return Err(bad("it would be the whole machine".to_owned()));
    }
    let named = host.file_name().and_then(|name| name.to_str()).is_some_and(|name| ENGINES.contains(&name));
    if named || sockets().iter().any(|socket| socket.starts_with(&host)) {
        return Err(bad("through an engine's socket everything on this machine could be changed".to_owned()));
    }
    Ok(Mount { host, ..mount })
}

/// Looks at all of them, for a workspace.
///
/// # Errors
/// [`MountError`] for the first that cannot be used.
pub fn look_at_all(entries: &[String], home: Option<&Path>, workspace: &Path) -> Result<Vec<Mount>, MountError> {
    let mut all: Vec<Mount> = Vec::new();
    for entry in entries {
        let bad = |why: &str| MountError { entry: entry.clone(), why: why.to_owned() };
        let mount = look(entry, home)?;
        if Path::new(&mount.target).starts_with(workspace) {
            return Err(bad("inside, the project is there, and a place for it would have to be made in it"));
        }
        if all.iter().any(|known| known.target == mount.target) {
            return Err(bad("another one is at the same place inside"));
        }
        all.push(mount);
    }
    Ok(all)
}

/// The entry, cut at its colons.
fn pieces(entry: &str) -> Vec<String> {
    let mut piece = String::new();
    let mut pieces = Vec::new();
    let mut letters = entry.chars().peekable();
    while let Some(letter) = letters.next() {
        // `C:` begins a path of Windows.
        let drive =
            cfg!(windows) && pieces.is_empty() && piece.len() == 1 && matches!(letters.peek(), Some('\\' | '/'));
        match (letter, letters.peek().copied()) {
            ('\\', Some(next @ (':' | '\\'))) if !cfg!(windows) || next == ':' => {
                piece.extend(letters.next());
            }
            (':', _) if !drive => pieces.push(std::mem::take(&mut piece)),
            _ => piece.push(letter),
        }
    }
    pieces.push(piece);
    pieces
}

fn check_target(target: &str) -> Result<(), String> {
    let path = Path::new(target);
    let is_plain = target.starts_with('/')
        && target.split('/').skip(1).all(|part| !part.is_empty() && part != "." && part != "..");
    if !is_plain {
        return Err("the path inside has to be absolute, without . and ..".to_owned());
    }
    if path.starts_with(WORKSPACE) {
        return Err(format!("{WORKSPACE} is the project inside"));
    }
    let homes = ["/home/node", "/root"];
    if spec::is_system(target) || homes.contains(&target) || KERNEL.iter().any(|folder| path.starts_with(folder)) {
        return Err(format!("{target} is part of the system inside"));
    }
    let ours = homes.iter().flat_map(|home| OURS.iter().map(move |name| format!("{home}/{name}")));
    match ours.into_iter().find(|own| target == own || (own.ends_with(".claude") && path.starts_with(own))) {
        Some(own) => Err(format!("{own} is Gemra's own volume inside")),
        None => Ok(()),
    }
}

/// The engines' sockets that are there, links resolved.
fn sockets() -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = USUAL.iter().map(PathBuf::from).collect();
    if let Ok(users) = std::fs::read_dir("/run/user") {
        for user in users.flatten() {
            all.extend(["docker.sock", "podman/podman.sock"].map(|name| user.path().join(name)));
        }
    }
    all.iter().filter_map(|path| path.canonicalize().ok()).collect()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read() {
        let cases = [
            ("/data:/data:ro", "/data", "/data", true),
            ("/data:/mnt/data:rw", "/data", "/mnt/data", false),
            ("/data:/data", "/data", "/data", false),
            ("~/shared:/shared/:ro", "~/shared", "/shared", true),
            ("/with space:/with space:ro", "/with space", "/with space", true),
            (r"/a\:b:/c\:d:ro", "/a:b", "/c:d", true),
            (r"/back\\:/x:ro", r"/back\", "/x", true),
            (r"/one\two:/x:ro", r"/one\two", "/x", true),
            ("/it's \"quoted\":/q'\":ro", "/it's \"quoted\"", "/q'\"", true),
            ("/Übung ☃:/Übung:ro", "/Übung ☃", "/Übung", true),
        ];
        for (entry, host, target, read_only) in cases {
            let expected = Mount { host: host.into(), target: target.to_owned(), read_only };
            assert_eq!(read(entry), Ok(expected), "{entry:?} is read");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_name() {
        let cases = [
            ("", "host:container:mode"),
            ("/data", "host:container:mode"),
            ("/a:/b:ro:more", "host:container:mode"),
            ("/a:/b:x", "ro or rw"),
            ("a:/b:ro", "absolute"),
            ("/a:b:ro", "absolute"),
            ("/a:/b/../c:ro", "absolute"),
            ("/a://:ro", "absolute"),
            ("/:/b:ro", "whole machine"),
            ("/a:/workspace:ro", "is the project"),
            ("/a:/workspace/deep:ro", "is the project"),
            ("/a:/usr/bin:ro", "part of the system"),
            ("/a:/home/node:ro", "part of the system"),
            ("/a:/proc/1:ro", "part of the system"),
            ("/a:/home/node/.claude/projects:ro", "own volume"),
            ("/a:/root/.cache:ro", "own volume"),
        ];
        for (entry, why) in cases {
            let error = read(entry).unwrap_err().to_string();
            assert!(error.contains(why), "{entry:?} is refused because {why}: {error}");
            assert!(error.contains(&format!("{entry:?}")), "the entry is named: {error}");
        }
    }

    #[test]
    fn the_hosts_side_is_looked_at() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let at = |name: &str| root.join(name);
        std::fs::create_dir_all(at("data")).unwrap();
        std::os::unix::fs::symlink(at("data"), at("link")).unwrap();
        std::os::unix::fs::symlink("/", at("all")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("docker.sock")).unwrap();
        let entry = |name: &str| format!("{}:/inside:ro", at(name).display());
        let data = look("~/data:/inside:ro", Some(&root)).unwrap();
        assert_eq!(data.host, at("data"), "~ is the home");
        assert_eq!(look(&entry("link"), None).unwrap().host, at("data"), "links are resolved once, here");
        for (name, why) in [("gone", "is not there"), ("all", "whole machine"), ("docker.sock", "engine's socket")] {
            let error = look(&entry(name), None).unwrap_err().to_string();
            assert!(error.contains(why), "{name} is refused because {why}: {error}");
        }
    }

    #[test]
    fn entries_must_not_meet_inside() {
        let root = tempfile::tempdir().unwrap();
        let entry = |target: &str| format!("{}:{target}:ro", root.path().display());
        let look = |entries: &[String]| look_at_all(entries, None, Path::new("/home/me/project"));
        assert_eq!(look(&[entry("/a"), entry("/b")]).unwrap().len(), 2, "two places, two mounts");
        let cases = [
            (vec![entry("/a"), entry("/a/")], "same place"),
            (vec![entry("/home/me/project/x")], "the project is there"),
        ];
        for (entries, why) in cases {
            let error = look(&entries).unwrap_err().to_string();
            assert!(error.contains(why), "{entries:?} are refused because {why}: {error}");
        }
    }
}
