//! What the machine itself must have: compilers, libraries, and for the tests an engine and a display. Installed with
//! apt where there is apt, after asking; named with the system's own words elsewhere. Knows nothing of npm packages.

use std::env;
use std::io::{IsTerminal, Write};
use std::process::Command;

use crate::engine;
use crate::spawn;
use crate::trouble::Trouble;

/// Whether system packages may be installed without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    Ask,
    Given,
}

impl Consent {
    /// `--yes` gives it, and so does CI, where there is nobody to ask.
    pub(crate) fn from_flag(yes: bool) -> Self {
        let ci = env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
        if yes || ci { Self::Given } else { Self::Ask }
    }
}

/// What the packages are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Compiling and opening the app.
    Build,
    /// Running the engine, command line and desktop suites as well.
    Tests,
    /// A container engine, for the demo's container mode.
    Engine,
}

/// A package of Debian and Ubuntu. `or` names programs that do as well, whoever has installed them.
struct Package {
    name: &'static str,
    or: &'static [&'static str],
}

const BUILD: &[Package] = &[
    Package { name: "build-essential", or: &[] },
    Package { name: "pkg-config", or: &["pkg-config"] },
    Package { name: "libwebkit2gtk-4.1-dev", or: &[] },
    Package { name: "librsvg2-dev", or: &[] },
    Package { name: "ca-certificates", or: &[] },
    Package { name: "git", or: &["git"] },
];

const TESTS: &[Package] = &[
    Package { name: "webkit2gtk-driver", or: &[] },
    Package { name: "xvfb", or: &["Xvfb"] },
    Package { name: "dbus-x11", or: &[] },
    Package { name: "iptables", or: &["iptables"] },
    // The second engine that the engine suite runs at, and what engines of ordinary users need: ids, a network, overlays.
    Package { name: "podman", or: &["podman"] },
    Package { name: "containernetworking-plugins", or: &["netavark"] },
    Package { name: "uidmap", or: &["newuidmap"] },
    Package { name: "slirp4netns", or: &["slirp4netns"] },
    Package { name: "fuse-overlayfs", or: &["fuse-overlayfs"] },
    Package { name: "rootlesskit", or: &["rootlesskit"] },
    // Engines that are far away are reached through ssh.
    Package { name: "openssh-server", or: &["sshd"] },
    Package { name: "openssh-client", or: &["ssh"] },
    Package { name: "debootstrap", or: &["debootstrap"] },
    Package { name: "xclip", or: &["xclip"] },
    // The keyring that the tests keep keys in, and the bus that it is asked by.
    Package { name: "dbus", or: &["dbus-daemon"] },
    Package { name: "gnome-keyring", or: &["gnome-keyring-daemon"] },
    Package { name: "fonts-dejavu-core", or: &[] },
    // Login shells that people have, for the search for the CLI.
    Package { name: "fish", or: &["fish"] },
    Package { name: "tcsh", or: &["tcsh"] },
    Package { name: "zsh", or: &["zsh"] },
];

/// Sees to the system's packages: finds them, or installs them with apt, or says what to do. And, before anything is
/// built for them, to an engine that answers.
pub(crate) fn ensure(purpose: Purpose, consent: Consent) -> Result<(), Trouble> {
    ensure_packages(purpose, consent)?;
    if cfg!(not(unix)) || purpose == Purpose::Build {
        return Ok(());
    }
    match (purpose, is_root()?) {
        // They start a daemon of their own.
        (Purpose::Tests, true) => Ok(()),
        (Purpose::Tests, false) => engine::ensure_answer(),
        // The app opens without one, and says the same.
        _ => {
            if let Err(trouble) = engine::ensure_answer() {
                println!("== the Container button will not work yet: {trouble}");
            }
            Ok(())
        }
    }
}

fn ensure_packages(purpose: Purpose, consent: Consent) -> Result<(), Trouble> {
    if cfg!(not(target_os = "linux")) {
        return ensure_elsewhere(purpose);
    }
    if !spawn::is_on_path("apt-get") || !spawn::is_on_path("dpkg-query") {
        return ensure_on_other_linux(purpose);
    }
    let root = is_root()?;
    let missing = missing_packages(&wanted(purpose, root))?;
    if missing.is_empty() { Ok(()) } else { install(&missing, root, consent) }
}

/// The components of the toolchain that the lint suite needs beyond the compiler.
pub(crate) fn ensure_components() -> Result<(), Trouble> {
    let has = |tool: &str| spawn::hear(spawn::cargo().args([tool, "--version"])).map(|(_, ok)| ok);
    if has("clippy")? && has("fmt")? {
        return Ok(());
    }
    if !spawn::is_on_path("rustup") {
        return Err(Trouble::Missing {
            what: "this toolchain has no clippy or no rustfmt, and there is no rustup to add them".into(),
            next: "install Rust with rustup, which reads rust-toolchain.toml".into(),
        });
    }
    let next = "look at what rustup said above";
    spawn::run(spawn::command("rustup").args(["component", "add", "clippy", "rustfmt"]), "rustup component add", next)
}

/// The docker client, which the bench measures against. The daemon alone does not bring it everywhere, and podman is not
/// what the bar is about.
pub(crate) fn ensure_docker_client(consent: Consent) -> Result<(), Trouble> {
    if spawn::is_on_path("docker") {
        return Ok(());
    }
    if cfg!(target_os = "linux") && spawn::is_on_path("apt-get") && spawn::is_on_path("apt-cache") {
        let mut search = spawn::command("apt-cache");
        let (listed, _) = spawn::hear(search.args(["search", "--names-only", "^docker-cli$"]))?;
        install(&[client_package(&listed)], is_root()?, consent)?;
        if spawn::is_on_path("docker") {
            return Ok(());
        }
    }
    Err(Trouble::Missing {
        what: "the bench compares with `docker run`, and there is no program called docker on PATH".into(),
        next: "install the docker client (Debian 13 and newer: docker-cli; older ones and Ubuntu: docker.io; Fedora: \
               docker-cli; Arch: docker; macOS, Windows: Docker Desktop), then run this again"
            .into(),
    })
}

/// The package that has the client: one of its own where apt lists that, as Debian does since its release 13, and
/// otherwise the daemon's.
fn client_package(listed: &str) -> &'static str {
    if listed.lines().any(|line| line.starts_with("docker-cli ")) { "docker-cli" } else { "docker.io" }
}

/// Why the engine suite cannot run at Podman here, where that is so: root starts one of its own, anybody else has to
/// have one that answers.
pub(crate) fn no_podman() -> Option<String> {
    let own = cfg!(target_os = "linux") && is_root().unwrap_or_default();
    (!own && !engine::podman_answers())
        .then(|| "the engine suite at Podman: it needs root, or `systemctl --user start podman.socket`".to_owned())
}

fn wanted(purpose: Purpose, root: bool) -> Vec<Package> {
    // As root the tests start a daemon of their own; otherwise any engine that can be reached does.
    let engine: &[&str] = if root { &["dockerd"] } else { &["dockerd", "docker", "podman"] };
    let engine = Package { name: "docker.io", or: engine };
    let listed = |table: &'static [Package]| table.iter().map(|package| Package { ..*package });
    match purpose {
        Purpose::Build => listed(BUILD).collect(),
        Purpose::Tests => listed(BUILD).chain(listed(TESTS)).chain([engine]).collect(),
        Purpose::Engine => vec![Package { name: "docker.io", or: &["dockerd", "docker", "podman"] }],
    }
}

fn missing_packages(wanted: &[Package]) -> Result<Vec<&'static str>, Trouble> {
    let names = wanted.iter().map(|package| package.name);
    // It exits with 1 as soon as one name is unknown to it, and still lists the others.
    let mut query = spawn::command("dpkg-query");
    let (listed, _) = spawn::hear(query.args(["-W", "-f", "${Package} ${db:Status-Status}\\n"]).args(names))?;
    let installed = installed_names(&listed);
    let is_missing = |package: &&Package| {
        !installed.contains(&package.name) && !package.or.iter().any(|program| spawn::is_on_path(program))
    };
    Ok(wanted.iter().filter(is_missing).map(|package| package.name).collect())
}

fn installed_names(listed: &str) -> Vec<&str> {
    listed.lines().filter_map(|line| line.strip_suffix(" installed")).collect()
}

fn install(missing: &[&str], root: bool, consent: Consent) -> Result<(), Trouble> {
    let command = format!("{}apt-get install {}", if root { "" } else { "sudo " }, missing.join(" "));
    if !root && consent == Consent::Ask && !is_agreed(&command) {
        return Err(Trouble::Packages { names: missing.iter().map(ToString::to_string).collect(), command });
    }
    println!("== installing system packages: {}", missing.join(" "));
    let next = "look at what apt said above; the package lists need a reachable mirror";
    spawn::run(apt(root).args(["-q", "update"]), "apt-get update", next)?;
    let mut apt = apt(root);
    apt.args(["-q", "install", "--yes", "--no-install-recommends"]).args(missing);
    spawn::run(&mut apt, &command, next)
}

fn apt(root: bool) -> Command {
    // sudo drops the environment, so what apt must know is set behind it.
    let mut apt = spawn::command(if root { "env" } else { "sudo" });
    if !root {
        apt.arg("env");
    }
    // Another apt may be at work, as a fresh machine's own first upgrade: wait for it.
    apt.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=300"]);
    apt
}

fn is_agreed(command: &str) -> bool {
    if !std::io::stdin().is_terminal() {
        return false;
    }
    print!("System packages are missing. Run `{command}` now? [Y/n] ");
    let mut answer = String::new();
    // A terminal that cannot be written to or read from has not agreed.
    let heard = std::io::stdout().flush().and_then(|()| std::io::stdin().read_line(&mut answer));
    matches!(heard, Ok(count) if count > 0) && matches!(answer.trim().to_lowercase().as_str(), "" | "y" | "yes")
}

fn is_root() -> Result<bool, Trouble> {
    spawn::hear(spawn::command("id").arg("-u")).map(|(uid, _)| uid.trim() == "0")
}

/// Linux without apt: what is needed is looked for, and named where it is missing.
fn ensure_on_other_linux(purpose: Purpose) -> Result<(), Trouble> {
    let mut missing = Vec::new();
    let (_, webkit) = spawn::hear(spawn::command("pkg-config").args(["--exists", "webkit2gtk-4.1", "librsvg-2.0"]))
        .unwrap_or_default();
    if !webkit && purpose != Purpose::Engine {
        missing.push("the development files of WebKitGTK 4.1 and librsvg, and pkg-config");
    }
    let has_engine = ["dockerd", "docker", "podman"].into_iter().any(spawn::is_on_path);
    if purpose != Purpose::Build && !has_engine {
        missing.push("Docker or Podman");
    }
    if purpose == Purpose::Tests {
        let programs = ["WebKitWebDriver", "Xvfb", "dbus-daemon", "debootstrap", "xclip"];
        missing.extend(programs.into_iter().filter(|program| !spawn::is_on_path(program)));
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(Trouble::Missing {
        what: format!("this system has no apt, and these are missing: {}", missing.join(", ")),
        next: "install them with the system's own packages: on Fedora webkit2gtk4.1-devel librsvg2-devel gcc, on Arch \
               webkit2gtk-4.1 librsvg base-devel; then run this again"
            .into(),
    })
}

/// macOS and Windows. xtask is linked with the system's own linker, so where it runs at all, the compiler's tools (Xcode
/// Command Line Tools, MSVC build tools) are there. Only Windows' webview may be missing.
fn ensure_elsewhere(purpose: Purpose) -> Result<(), Trouble> {
    if cfg!(windows) && purpose != Purpose::Engine && !has_webview2()? {
        return Err(Trouble::Missing {
            what: "the WebView2 runtime is missing; it is the page's webview on Windows".into(),
            next: "install Microsoft Edge WebView2 Runtime (Evergreen) from Microsoft, then run this again".into(),
        });
    }
    let has_engine = ["docker", "podman"].into_iter().any(spawn::is_on_path);
    if purpose == Purpose::Build || has_engine { Ok(()) } else { Err(no_engine(cfg!(windows))) }
}

/// Engines come with a window of their own there, and not as packages.
fn no_engine(windows: bool) -> Trouble {
    let engines = if windows { "Docker Desktop" } else { "Docker Desktop, OrbStack or Colima" };
    Trouble::Missing {
        what: "no container engine is installed: there is no program called docker or podman on PATH".into(),
        next: format!("install {engines} and start it, then run this again"),
    }
}

fn has_webview2() -> Result<bool, Trouble> {
    // Where the runtime registers itself, as Microsoft's distribution page for WebView2 says: for all users, or for one.
    const CLIENT: &str = r"Microsoft\EdgeUpdate\Clients\{F3017226-FE2A-4295-8BDF-00C3A9A7E4C5}";
    for hive in [r"HKLM\SOFTWARE\WOW6432Node\", r"HKLM\SOFTWARE\", r"HKCU\Software\"] {
        let key = format!("{hive}{CLIENT}");
        if spawn::hear(spawn::command("reg").args(["query", &key, "/v", "pv"]))?.1 {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_dpkg_calls_installed_counts() {
        let listed = "git installed\nxvfb not-installed\ndocker.io config-files\nxclip installed\n";
        assert_eq!(installed_names(listed), ["git", "xclip"], "removed packages leave configuration behind");
    }

    #[test]
    fn the_tests_need_whatever_the_build_needs() {
        let names = |purpose| wanted(purpose, true).iter().map(|package| package.name).collect::<Vec<_>>();
        let (build, tests) = (names(Purpose::Build), names(Purpose::Tests));
        assert!(build.iter().all(|name| tests.contains(name)), "the suites compile the app too");
        assert!(!build.contains(&"docker.io"), "running the app installs no engine by itself");
    }

    #[test]
    fn the_client_is_looked_for_where_this_release_has_it() {
        assert_eq!(client_package("docker-cli - Linux container runtime -- client CLI\n"), "docker-cli");
        assert_eq!(client_package(""), "docker.io", "before, the daemon's package has it");
        assert_eq!(client_package("docker-cli-plugins - others\n"), "docker.io", "another package is not it");
    }

    #[test]
    fn an_engine_is_named_for_each_system() {
        let (windows, macos) = (no_engine(true).to_string(), no_engine(false).to_string());
        assert!(windows.contains("Docker Desktop") && !windows.contains("OrbStack"), "{windows}");
        assert!(macos.contains("Docker Desktop, OrbStack or Colima"), "{macos}");
    }

    #[test]
    fn root_needs_the_daemon_itself() {
        let engine = |root| wanted(Purpose::Tests, root).into_iter().find(|package| package.name == "docker.io");
        assert_eq!(engine(true).map(|package| package.or), Some(&["dockerd"][..]), "root starts a private daemon");
        assert!(engine(false).is_some_and(|package| package.or.contains(&"podman")), "a user reaches any engine");
    }
}
