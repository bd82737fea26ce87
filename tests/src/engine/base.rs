//! The base image: found, else pulled, else made from what the machine's own package registries have: Debian or
//! Ubuntu by debootstrap, Node and npm from npm. No registry's name is known here; all come from the machine's own
//! configuration.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt as _;
use tokio_util::io::ReaderStream;

use super::{BASE, Engine};
use crate::spawn;

/// How long a pull may say nothing.
const PULL_SILENCE: Duration = Duration::from_mins(1);
/// Where the machine's own certificates are, beside those of its distribution.
const EXTRA_CERTIFICATES: &str = "/usr/local/share/ca-certificates";
/// Where the base keeps a copy that `update-ca-certificates` does not rewrite while a build runs.
const BUNDLE: &str = "usr/local/share/host-certificates/bundle.pem";

/// Sees to it that the engine has the base.
pub(super) fn ensure(engine: &Engine) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let docker = engine.api();
        if docker.inspect_image(BASE).await.is_ok() {
            return;
        }
        let Err(refusal) = pull(&docker).await else { return };
        super::tell(&format!("{BASE} cannot be pulled ({refusal}); making a stand-in from the package registries"));
        assert!(
            rustix::process::geteuid().is_root(),
            "{BASE} is not here, cannot be pulled, and only root can make a stand-in"
        );
        let _turn = turn();
        let made = super::target().join("engine/base.tar");
        if !made.is_file() {
            make(&made);
        }
        import(&docker, &made).await;
    });
}

async fn pull(docker: &Docker) -> Result<(), String> {
    let (name, tag) = BASE.split_once(':').expect("the base has a tag");
    let options = CreateImageOptionsBuilder::new().from_image(name).tag(tag).build();
    let mut messages = docker.create_image(Some(options), None, None);
    loop {
        match tokio::time::timeout(PULL_SILENCE, messages.next()).await {
            Err(_) => return Err(format!("nothing was said for {PULL_SILENCE:?}")),
            Ok(None) => return docker.inspect_image(BASE).await.map(drop).map_err(|error| error.to_string()),
            Ok(Some(Err(error))) => return Err(error.to_string()),
            Ok(Some(Ok(_))) => {}
        }
    }
}

/// Held while the stand-in is made: engines of two kinds, which do not wait for each other, need the same one.
fn turn() -> std::fs::File {
    let lock = std::fs::File::create(super::target().join("engine/base.lock")).expect("the target folder is ours");
    lock.lock().expect("a lock can be waited for");
    lock
}

/// Makes the stand-in's archive, which stays: every kind of engine takes it from there.
fn make(made: &Path) {
    // Beside the engine's data: a temp folder may be too small, or mounted without devices.
    let folder = tempfile::tempdir_in(super::target().join("engine")).expect("room for the base");
    let root = folder.path().join("root");
    let source = Source::of_this_machine();
    run("debootstrap", |command| {
        command.args(["--variant=minbase", "--include=ca-certificates"]);
        command.arg(format!("--components={}", source.components.join(",")));
        command.arg(&source.codename).arg(&root).arg(&source.uri);
    });
    install_node(folder.path(), &root);
    trust(&root);
    configure(&root);
    run("chroot", |command| {
        command.arg(&root).args([
            "useradd",
            "--create-home",
            "--uid",
            "1000",
            "--user-group",
            "--shell",
            "/bin/bash",
            "node",
        ]);
    });
    let archive = folder.path().join("base.tar");
    run("tar", |command| {
        command.arg("--numeric-owner").arg("-C").arg(&root).arg("-cf").arg(&archive).arg(".");
    });
    std::fs::rename(archive, made).expect("both are in the target folder");
}

async fn import(docker: &Docker, archive: &Path) {
    let (name, tag) = BASE.split_once(':').expect("the base has a tag");
    let mut changes = vec!["CMD [\"node\"]".to_owned()];
    if certificates().next().is_some() {
        changes.push(format!("ENV NODE_EXTRA_CA_CERTS=/{BUNDLE}"));
    }
    let mut options = CreateImageOptionsBuilder::new().from_src("-").repo(name).tag(tag).build();
    options.changes = changes;
    let file = tokio::fs::File::open(archive).await.expect("the archive was just made");
    let body = bollard::body_try_stream(ReaderStream::new(file));
    let mut messages = docker.create_image(Some(options), Some(body), None);
    while let Some(message) = messages.next().await {
        message.expect("the engine imports the base");
    }
    docker.inspect_image(BASE).await.expect("the imported base is there");
}

fn install_node(folder: &Path, root: &Path) {
    let machine = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => panic!("Node has no npm package for {other}"),
    };
    let library = root.join("usr/local/lib/node_modules/npm");
    std::fs::create_dir_all(library.parent().expect("it has a parent")).expect("the root is ours");
    std::fs::create_dir_all(root.join("usr/local/bin")).expect("the root is ours");
    let node = unpack(folder, &format!("node-linux-{machine}@22"));
    run("cp", |command| {
        command.arg(node.join("bin/node")).arg(root.join("usr/local/bin/node"));
    });
    let npm = unpack(folder, "npm@10");
    run("cp", |command| {
        command.arg("-r").arg(&npm).arg(&library);
    });
    for name in ["npm", "npx"] {
        let link = root.join("usr/local/bin").join(name);
        std::os::unix::fs::symlink(format!("../lib/node_modules/npm/bin/{name}-cli.js"), link).expect("a new link");
    }
}

/// Fetches a package from npm and gives its unpacked folder.
fn unpack(folder: &Path, package: &str) -> PathBuf {
    let place = folder.join(package.replace(['/', '@'], "-"));
    std::fs::create_dir(&place).expect("a new folder");
    let said = run("npm", |command| {
        command.current_dir(&place).args(["pack", "--silent", package]);
    });
    let file = said.lines().last().unwrap_or_else(|| panic!("npm names the file of {package}")).trim().to_owned();
    run("tar", |command| {
        command.current_dir(&place).args(["--no-same-owner", "-xzf"]).arg(&file);
    });
    place.join("package")
}

/// What the machine trusts beyond its distribution.
fn certificates() -> impl Iterator<Item = PathBuf> {
    let files = std::fs::read_dir(EXTRA_CERTIFICATES).into_iter().flatten().flatten().map(|entry| entry.path());
    files.filter(|file| file.extension().is_some_and(|extension| extension == "crt"))
}

/// Makes the base trust what the machine trusts beyond its distribution.
fn trust(root: &Path) {
    let mut bundle = Vec::new();
    for file in certificates() {
        let text = std::fs::read(&file).expect("certificates can be read");
        let name = file.file_name().expect("a file has a name");
        std::fs::write(root.join(&EXTRA_CERTIFICATES[1..]).join(name), &text).expect("the root is ours");
        bundle.extend_from_slice(&text);
        bundle.push(b'\n');
    }
    if bundle.is_empty() {
        return;
    }
    let file = root.join(BUNDLE);
    std::fs::create_dir_all(file.parent().expect("it has a parent")).expect("the root is ours");
    std::fs::write(file, bundle).expect("the root is ours");
    run("chroot", |command| {
        command.arg(root).arg("update-ca-certificates");
    });
}

/// Lets builds on the base reach the registries that this machine reaches, and in the same way.
fn configure(root: &Path) {
    let write = |path: &str, text: String| {
        if !text.is_empty() {
            let file = root.join(path);
            std::fs::create_dir_all(file.parent().expect("it has a parent")).expect("the root is ours");
            std::fs::write(file, text).expect("the root is ours");
        }
    };
    let proxied = |line: &&str| line.starts_with("Acquire::http") && line.contains("Proxy");
    write("etc/apt/apt.conf.d/90host", lines(&said("apt-config", &["dump"]), proxied));
    write("usr/local/etc/npmrc", npm_registry());
    let pip = said("pip3", &["config", "list"]);
    let pip: Vec<String> = pip
        .lines()
        .filter_map(|line| line.split_once('='))
        .filter_map(|(name, value)| {
            let name = name.rsplit('.').next()?;
            let wanted = matches!(name, "index-url" | "extra-index-url" | "trusted-host");
            wanted.then(|| format!("{name} = {}\n", value.trim_matches('\'')))
        })
        .collect();
    write("etc/pip.conf", if pip.is_empty() { String::new() } else { format!("[global]\n{}", pip.concat()) });
}

fn npm_registry() -> String {
    let registry = said("npm", &["config", "get", "registry"]);
    if registry.trim().starts_with("http") { format!("registry={}\n", registry.trim()) } else { String::new() }
}

fn lines(text: &str, wanted: impl Fn(&&str) -> bool) -> String {
    text.lines().filter(wanted).flat_map(|line| [line, "\n"]).collect()
}

/// What a program says; nothing where it is not installed, since then it has no configuration to copy either.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = spawn::output(spawn::command(program).args(arguments));
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

/// Runs a program that must succeed and gives its stdout.
fn run(program: &str, prepare: impl FnOnce(&mut std::process::Command)) -> String {
    let mut command = spawn::command(program);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin")).env("DEBIAN_FRONTEND", "noninteractive");
    prepare(&mut command);
    let output = spawn::output(&mut command).unwrap_or_else(|error| panic!("{error}"));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed with {}:\n{stdout}\n{stderr}", output.status);
    stdout
}

/// Where this machine gets its own distribution from.
struct Source {
    uri: String,
    codename: String,
    components: Vec<String>,
}

impl Source {
    fn of_this_machine() -> Self {
        let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
        let codename = codename.expect("a Debian or an Ubuntu, which name their release").trim_matches('"').to_owned();
        let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
        files.extend(
            std::fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten().map(|entry| entry.path()),
        );
        let mut texts = files.iter().filter_map(|file| std::fs::read_to_string(file).ok());
        let found = texts.find_map(|text| one_line(&text, &codename).or_else(|| paragraphs(&text, &codename)));
        let (uri, components) = found.unwrap_or_else(|| panic!("apt's sources name no archive of {codename}"));
        Self { uri, codename, components }
    }
}

/// `deb [options] URI suite component…`
fn one_line(text: &str, codename: &str) -> Option<(String, Vec<String>)> {
    text.lines().find_map(|line| {
        let rest = line.trim().strip_prefix("deb ")?.trim();
        let rest = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(rest, |(_, rest)| rest);
        let mut words = rest.split_whitespace().map(str::to_owned);
        let (uri, suite) = (words.next()?, words.next()?);
        (suite == codename).then(|| (uri, words.collect()))
    })
}

/// `Types: deb`, `URIs: …`, `Suites: …`, `Components: …`, paragraph by paragraph.
fn paragraphs(text: &str, codename: &str) -> Option<(String, Vec<String>)> {
    text.split("\n\n").find_map(|paragraph| {
        let field = |name: &str| {
            let line = paragraph.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            Some(line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        };
        let fits = field("Types")?.contains(&"deb".to_owned()) && field("Suites")?.contains(&codename.to_owned());
        if fits { Some((field("URIs")?.into_iter().next()?, field("Components")?)) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_archive_is_read_in_both_forms() {
        let expected = Some(("http://mirror.example/debian".to_owned(), vec!["main".to_owned(), "contrib".to_owned()]));
        let line = "# old\ndeb http://other.example stable main\ndeb [arch=amd64] http://mirror.example/debian bookworm main contrib\n";
        assert_eq!(one_line(line, "bookworm"), expected, "the line of this release");
        let form = "Types: deb\n# x\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\nComponents: main contrib\n\nTypes: deb\nURIs: http://security.example\nSuites: bookworm-security\nComponents: main\n";
        assert_eq!(paragraphs(form, "bookworm"), expected, "the paragraph of this release");
        assert_eq!(paragraphs(form, "trixie"), None, "and of no other");
    }
}
