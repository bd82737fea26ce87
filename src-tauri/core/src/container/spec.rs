//! From a wish to the engine's create body: a pure function, so that every option can be looked at in a test. It asks
//! nobody anything and does nothing.

mod asked;
pub mod extra;
mod passed;
mod wish;
pub mod wrapper;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountType, MountVolumeOptions};
use sha2::{Digest, Sha256};

pub use super::engine::quirks::user;
use crate::digest::hexadecimal;
pub use asked::Asked;
pub use passed::{FOLDER, passed};
pub use wish::{Abilities, ExtraMount, Limits, MountSource, Network, VolumeFolder, Wish};

/// Where the workspace is in a container, beside its own path.
pub const WORKSPACE: &str = "/workspace";
/// Where the system's certificates are in images of Debian's family.
const TRUSTED: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Folders of the image that a workspace of that name would hide.
const SYSTEM: &[&str] = &[
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/lib32",
    "/lib64",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/local",
    "/usr/local/bin",
    "/usr/local/lib",
    "/var",
];

/// What the engine is to be asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The container's name.
    pub name: String,
    /// The create body. No secret is in it.
    pub body: ContainerCreateBody,
    /// Volumes that must be there before.
    pub volumes: Vec<Volume>,
    /// The fingerprint of the body, which is also its label.
    pub spec: String,
    /// What cannot be as it usually is, in words.
    pub notes: Vec<String>,
    /// How long the engine may take to start it, where not the usual time.
    pub start: Option<Duration>,
    /// The platform, which engines take beside the body.
    pub platform: Option<String>,
}

/// A named volume that outlives containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Where it is mounted.
    pub target: String,
    /// Folders in it that must be there and belong to the user, beside itself.
    pub folders: Vec<String>,
    /// Its labels.
    pub labels: HashMap<String, String>,
}

/// Why a wish cannot be granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// A path that the engine or the shell inside could not name.
    #[error("{path} cannot be mounted: {why}", path = path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
    /// A variable that no environment can hold.
    #[error(transparent)]
    Variable(#[from] wrapper::VariableError),
}

/// Makes the plan.
///
/// # Errors
/// [`SpecError`] where a path or a variable cannot be used.
pub fn plan(wish: &Wish) -> Result<Plan, SpecError> {
    let home = home(wish.uid);
    let volumes = volumes(wish, home);
    let (mounts, notes) = mounts(wish, home, &volumes)?;
    let body = ContainerCreateBody {
        image: Some(wish.image.clone()),
        entrypoint: Some(["/bin/sh", "-c", wrapper::SCRIPT, "gemra"].map(str::to_owned).to_vec()),
        cmd: Some(wish.args.clone()),
        user: Some(format!("{}:{}", wish.uid, wish.gid)),
        working_dir: Some(WORKSPACE.to_owned()),
        env: Some(environment(wish, home)?),
        // With `stdin_once` the engine ends the agent when this program dies, however it dies.
        open_stdin: Some(true),
        stdin_once: Some(true),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(false),
        stop_signal: Some("SIGTERM".to_owned()),
        host_config: Some(host_config(wish, home, mounts)),
        ..ContainerCreateBody::default()
    };
    Ok(Plan { notes, platform: wish.platform.clone(), ..seal(wish, body, volumes) })
}

/// The home folder of the user in the image.
pub fn home(uid: u32) -> &'static str {
    if uid == 0 { "/root" } else { "/home/node" }
}

fn seal(wish: &Wish, mut body: ContainerCreateBody, mut volumes: Vec<Volume>) -> Plan {
    // JSON of these types cannot fail; where it did, the label would say so and nothing else.
    let text = serde_json::to_vec(&body).unwrap_or_default();
    let spec = hexadecimal(&Sha256::digest(&text)[..16]);
    let labels = wish.owner.labels(&spec);
    for volume in &mut volumes {
        volume.labels.clone_from(&labels);
    }
    body.labels = Some(labels);
    let tab: String = wish.owner.tab.chars().filter(char::is_ascii_alphanumeric).take(24).collect();
    Plan {
        name: format!("gemra-{tab}-{}", wish.short_id),
        body,
        volumes,
        spec,
        notes: Vec::new(),
        start: wish.held.start,
        platform: None,
    }
}

fn host_config(wish: &Wish, home: &str, mounts: Vec<Mount>) -> HostConfig {
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let memory = wish.limits.memory.map(signed);
    let mut host = HostConfig {
        init: Some(true),
        auto_remove: Some(true),
        network_mode: Some(wish.network_name.clone().unwrap_or_else(|| wish.network.as_str().to_owned())),
        extra_hosts: (wish.network != Network::None).then(|| vec![host_entry(wish)]),
        // The engine's own server of names would ask others, and names can carry anything out.
        dns: (wish.network == Network::Isolated).then(|| vec!["127.0.0.1".to_owned()]),
        log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
        pids_limit: wish.limits.pids.map(signed),
        memory,
        // The same number means: no swap on top.
        memory_swap: memory.filter(|_| wish.limits.swap),
        nano_cpus: wish.limits.cpu_thousandths.map(|thousandths| signed(thousandths.saturating_mul(1_000_000))),
        shm_size: Some(signed(wish.limits.shm)),
        mounts: Some(mounts),
        tmpfs: wish
            .homeless
            .then(|| [(home.to_owned(), format!("rw,exec,nosuid,{}", extra::of_the_user(wish)))].into()),
        group_add: (!wish.groups.is_empty()).then(|| wish.groups.iter().map(u32::to_string).collect()),
        ..HostConfig::default()
    };
    extra::apply(wish, home, &mut host);
    wish.asked.apply(&mut host);
    host
}

/// With the host's own network the host is 127.0.0.1, where services that listen on loopback alone are reached too.
/// Elsewhere the engine knows the host's address.
fn host_entry(wish: &Wish) -> String {
    let address = match wish.host_address {
        Some(address) => address.to_string(),
        None if wish.network == Network::Host && !wish.engine.desktop => "127.0.0.1".to_owned(),
        None => "host-gateway".to_owned(),
    };
    format!("host.docker.internal:{address}")
}

fn environment(wish: &Wish, home: &str) -> Result<Vec<String>, SpecError> {
    let user = if wish.uid == 0 { "root" } else { "node" };
    let mut all: Vec<(String, String)> = [
        ("HOME", home),
        ("USER", user),
        ("LOGNAME", user),
        ("LANG", "C.UTF-8"),
        // With it, what the CLI keeps beside its folder is inside of it, in the volume.
        ("CLAUDE_CONFIG_DIR", &format!("{home}/.claude")),
        ("DISABLE_AUTOUPDATER", "1"),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
        ("npm_config_cache", &format!("{home}/.cache/npm")),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    if wish.uid == 0 {
        // Without it the CLI refuses some permission modes to root, even in a container.
        all.push(("IS_SANDBOX".to_owned(), "1".to_owned()));
    }
    if wish.certificates {
        all.push(("NODE_EXTRA_CA_CERTS".to_owned(), TRUSTED.to_owned()));
    }
    all.extend(git(wish));
    for (name, value) in &wish.environment {
        wrapper::first_line(&[(name.clone(), value.clone())].into(), &[])?;
        all.retain(|(known, _)| known != name);
        all.push((name.clone(), value.clone()));
    }
    Ok(all.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
}

/// git's configuration by environment: no file is written, and none of the host's is mounted.
fn git(wish: &Wish) -> Vec<(String, String)> {
    let mut settings = vec![("safe.directory".to_owned(), WORKSPACE.to_owned())];
    for path in own_path(&wish.workspace).into_iter().chain(wish.git_common_dir.as_deref().and_then(own_path)) {
        settings.push(("safe.directory".to_owned(), path));
    }
    // The repository's other worktrees are not inside, and git would take them for gone.
    settings.push(("gc.worktreePruneExpire".to_owned(), "never".to_owned()));
    let people = [("user.name", &wish.git_name), ("user.email", &wish.git_email)];
    settings.extend(people.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))));
    settings.extend(wish.git_settings.iter().cloned());
    let mut all = vec![("GIT_CONFIG_COUNT".to_owned(), settings.len().to_string())];
    for (index, (key, value)) in settings.into_iter().enumerate() {
        all.push((format!("GIT_CONFIG_KEY_{index}"), key));
        all.push((format!("GIT_CONFIG_VALUE_{index}"), value));
    }
    all
}

fn volumes(wish: &Wish, home: &str) -> Vec<Volume> {
    let volume = |kind: &str, folder: &str, folders: &[&str]| Volume {
        name: format!("gemra-{kind}-{}", wish.uid),
        target: format!("{home}/{folder}"),
        folders: folders.iter().map(|&folder| folder.to_owned()).collect(),
        labels: HashMap::new(),
    };
    let mut all = vec![volume("claude", ".claude", &["projects"]), volume("cache", ".cache", &["npm", "pip", "zig"])];
    all.extend(wish.folders.iter().map(|folder| Volume {
        name: folder.volume.clone(),
        target: format!("{WORKSPACE}/{}", folder.path),
        folders: Vec::new(),
        labels: HashMap::new(),
    }));
    all.extend(wish.asked.volumes());
    all
}

/// True for folders of the image that nothing may be mounted over.
pub fn is_system(path: &str) -> bool {
    SYSTEM.contains(&path)
}

/// True where a host's folder can be at its own path in a container. What lies under the one name that is taken there
/// cannot: a mount point for it would have to be made in the user's project, and would show the project within
/// itself, where a tool that clears away the one clears away the other.
pub fn is_at_own_path(path: &Path) -> bool {
    own_path(path).is_some() && (path == Path::new(WORKSPACE) || !path.starts_with(WORKSPACE))
}

fn mounts(wish: &Wish, home: &str, volumes: &[Volume]) -> Result<(Vec<Mount>, Vec<String>), SpecError> {
    let mut all: Vec<Mount> =
        volumes.iter().map(|volume| mount(MountType::VOLUME, &volume.name, &volume.target)).collect();
    // The bucket lies inside the volume's folder; engines mount the outer one first.
    let bucket = text(&wish.session_bucket)?;
    all.push(folder(wish, &bucket, &format!("{home}/.claude/projects/-workspace")));
    let workspace = text(&wish.workspace)?;
    if SYSTEM.contains(&workspace.as_str()) || workspace == home {
        let why = "a folder of that name is part of the system inside";
        return Err(SpecError::Path { path: wish.workspace.clone(), why });
    }
    let fixed = Some(wish.held.read_only_workspace);
    all.push(Mount { read_only: fixed, ..folder(wish, &workspace, WORKSPACE) });
    // At its own path too, so that what was said before a move still holds; and a worktree's repository at its own,
    // because git's files name it so.
    let mut seen = vec![wish.workspace.clone()];
    let mut notes = Vec::new();
    if let Some(own) = own_path(&wish.workspace).filter(|own| own != WORKSPACE) {
        if is_at_own_path(&wish.workspace) {
            all.push(Mount { read_only: fixed, ..folder(wish, &workspace, &own) });
            for folder in &wish.folders {
                all.push(mount(MountType::VOLUME, &folder.volume, &format!("{own}/{}", folder.path)));
            }
        } else {
            notes.push(format!("Inside, the project is at {WORKSPACE} alone: {own} would lie within itself"));
            seen.clear();
        }
    }
    repository(wish, &seen, &mut all, &mut notes)?;
    for extra in &wish.mounts {
        let (kind, source) = match &extra.source {
            MountSource::Path(path) => (MountType::BIND, text(path)?),
            MountSource::Volume(name) => (MountType::VOLUME, name.clone()),
        };
        all.push(Mount { read_only: Some(extra.read_only), ..mount(kind, &source, &extra.target) });
    }
    Ok((all, notes))
}

/// A worktree's repository, where git will look for it. `seen` are the folders that are inside already.
fn repository(wish: &Wish, seen: &[PathBuf], all: &mut Vec<Mount>, notes: &mut Vec<String>) -> Result<(), SpecError> {
    let Some(common) = &wish.git_common_dir else { return Ok(()) };
    for name in [common].into_iter().chain(&wish.git_common_names) {
        let Some(own) = own_path(name).filter(|_| !seen.iter().any(|above| name.starts_with(above))) else { continue };
        if !is_at_own_path(name) {
            notes.push(format!(
                "git does not work inside: {WORKSPACE} is the project there, and hides its repository {own}"
            ));
        } else if is_system(&own) {
            notes.push(format!("git does not work inside: its repository would be {own} there, which is the system's"));
        } else {
            // What of it the agent may change, hooks and branches, is the project's as well.
            let fixed = Some(wish.held.read_only_workspace);
            all.push(Mount { read_only: fixed, ..folder(wish, &text(common)?, &own) });
        }
    }
    Ok(())
}

/// The path itself, where it is one that can be in a container: those of Windows cannot.
fn own_path(path: &Path) -> Option<String> {
    path.to_str().filter(|text| text.starts_with('/')).map(str::to_owned)
}

fn text(path: &Path) -> Result<String, SpecError> {
    let bad = |why| SpecError::Path { path: path.to_owned(), why };
    if !path.is_absolute() {
        return Err(bad("it is not absolute"));
    }
    path.to_str().map(str::to_owned).ok_or_else(|| bad("its name is not UTF-8"))
}

/// A folder of the host's, or the volume that stands for it. What the image has there is not copied into that.
fn folder(wish: &Wish, source: &str, target: &str) -> Mount {
    let Some(volume) = wish.stand_ins.get(Path::new(source)) else { return mount(MountType::BIND, source, target) };
    let options = MountVolumeOptions { no_copy: Some(true), ..MountVolumeOptions::default() };
    Mount { volume_options: Some(options), ..mount(MountType::VOLUME, volume, target) }
}

/// `Mounts`, not `Binds`: these refuse a source that is not there, instead of making it as root.
fn mount(kind: MountType, source: &str, target: &str) -> Mount {
    Mount {
        typ: Some(kind),
        source: Some(source.to_owned()),
        target: Some(target.to_owned()),
        read_only: Some(false),
        ..Mount::default()
    }
}

#[cfg(test)]
mod tests;
