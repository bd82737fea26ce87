//! What of the user's own goes along into a container where they have wished it: GitHub's token, the SSH agent, their
//! git and SSH configuration. It is looked for anew at each start, and what is not there is told, not failed over.
//! Secrets are in the variables alone, which go in over stdin.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::app::Surroundings;
use crate::container::spec::{self, ExtraMount, MountSource, Wish};
use crate::credentials::{Kept, Name};
use crate::owner::Owner;
use crate::process::spawn::{self, Program};
use crate::settings::Variables;
use crate::settings::container::Wishes;

/// Where the SSH agent's socket is inside.
const AGENT: &str = "/run/gemra/ssh-agent.sock";
/// Where Docker Desktop offers the user's SSH agent to containers. Nothing is there outside of its own machine.
const DESKTOPS_AGENT: &str = "/run/host-services/ssh-auth.sock";
/// What every `ssh` reads beside its user's own file.
const KNOWN_HOSTS: &str = "/etc/ssh/ssh_known_hosts";
/// How long `gh` may take: it may ask a keyring.
const GH: Duration = Duration::from_secs(30);
/// Gives git the token of its environment. No secret is in it.
const HELPER: &str =
    r#"!f() { if test "$1" = get; then echo username=x-access-token; echo "password=$GITHUB_TOKEN"; fi; }; f"#;

/// What goes along.
#[derive(Debug, Default)]
pub(super) struct Lent {
    /// Variables for the gate: secrets.
    pub(super) variables: Variables,
    /// What could not be had, in words.
    pub(super) notes: Vec<String>,
    mounts: Vec<ExtraMount>,
    environment: Vec<(String, String)>,
    git: Vec<(String, String)>,
    groups: Vec<u32>,
    told: Vec<String>,
}

impl Lent {
    /// Adds it to what the container is wished for.
    pub(super) fn add_to(&self, wish: &mut Wish) {
        wish.mounts.extend(self.mounts.iter().cloned());
        wish.environment.extend(self.environment.iter().cloned());
        wish.git_settings.extend(self.git.iter().cloned());
        wish.groups.extend(self.groups.iter().filter(|&&group| group != wish.gid));
    }

    /// What goes along, in words; `None` where nothing does.
    pub(super) fn in_words(&self) -> Option<String> {
        (!self.told.is_empty()).then(|| self.told.join("\n"))
    }
}

/// For whom it is.
pub(super) struct Receiver<'a> {
    /// What every tab may use.
    pub(super) surroundings: &'a Surroundings,
    /// The project.
    pub(super) workspace: &'a Path,
    /// The agent's user inside.
    pub(super) uid: u32,
    /// Whose files it may read outside.
    pub(super) holder: Owner,
    /// The engine brings the SSH agent into containers itself.
    pub(super) engines_agent: bool,
}

/// Looks for what is wished. `variables` are what the agent gets anyhow.
pub(super) async fn lend(receiver: &Receiver<'_>, variables: &BTreeMap<String, String>) -> Lent {
    let surroundings = receiver.surroundings;
    let wishes = surroundings.settings().wishes(receiver.workspace);
    let mut lent = Lent::default();
    lent.told.extend(had_anyhow(surroundings, receiver.workspace, variables));
    if wishes.github == Some(true) {
        lend_github(surroundings, &wishes, variables, &mut lent).await;
    }
    let environment = surroundings.environment();
    let home = environment.home().unwrap_or_default();
    let files = Files {
        config: environment.path("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config")),
        home,
        agent: environment.path("SSH_AUTH_SOCK"),
        uid: receiver.uid,
        holder: receiver.holder,
        engines_agent: receiver.engines_agent,
    };
    let looked = tokio::task::spawn_blocking(move || {
        files.lend(&wishes, &mut lent);
        lent
    });
    looked.await.unwrap_or_else(|error| {
        let notes = vec![format!("Nothing of yours goes along: it could not be looked at ({error})")];
        Lent { notes, ..Lent::default() }
    })
}

/// Of what the agent gets in both places that which is a key, in words: whose it is, and never its value.
fn had_anyhow(surroundings: &Surroundings, workspace: &Path, variables: &BTreeMap<String, String>) -> Vec<String> {
    let own = surroundings.credentials().kept();
    let project = surroundings.settings().variables(workspace);
    let there = Name::ALL.into_iter().filter(|name| variables.contains_key(name.variable()));
    there
        .map(|name| {
            let origin = match own.iter().find(|(known, _)| *known == name) {
                _ if project.iter().any(|(known, _)| known == name.variable()) => "the project's variables",
                Some((_, Kept::Keyring)) => "Settings, kept in the keyring",
                Some((_, Kept::File)) => "Settings, kept in Gemra's file",
                None => "the environment that Gemra was started with",
            };
            format!("{} from {origin}", name.variable())
        })
        .collect()
}

async fn lend_github(
    surroundings: &Surroundings,
    wishes: &Wishes,
    variables: &BTreeMap<String, String>,
    lent: &mut Lent,
) {
    // As GitHub's own runners call it, for a GitHub of one's own.
    let server = surroundings.environment().text("GITHUB_SERVER_URL");
    let server = server.as_deref().unwrap_or("https://github.com").trim_end_matches('/').to_owned();
    let host = server.split_once("://").map_or(server.as_str(), |(_, host)| host).to_owned();
    // What gh's own variable holds goes along only here, where it is wished.
    let given = ["GITHUB_TOKEN", "GH_TOKEN"].iter().find_map(|name| variables.get(*name).cloned());
    let given = given.or_else(|| surroundings.environment().text("GH_TOKEN"));
    let (token, origin) = match given.filter(|token| !token.is_empty()) {
        Some(token) => (token, ""),
        None => match ask_gh(surroundings, &host).await {
            Ok(token) => (token, " (what gh has on this machine)"),
            Err(why) => {
                lent.notes.push(format!("GitHub: there is no token. GITHUB_TOKEN is not set, and {why}"));
                return;
            }
        },
    };
    for name in ["GITHUB_TOKEN", "GH_TOKEN"] {
        lent.variables.0.insert(name.to_owned(), token.clone());
    }
    let helper = format!("credential.{server}.helper");
    // The empty one puts those of other configurations aside.
    lent.git.extend([(helper.clone(), String::new()), (helper, HELPER.to_owned())]);
    if wishes.ssh_agent != Some(true) && wishes.ssh_folder != Some(true) {
        // No key is there that an address of the other kind could work with.
        let name = format!("url.{server}/.insteadOf");
        lent.git.extend([(name.clone(), format!("git@{host}:")), (name, format!("ssh://git@{host}/"))]);
    }
    lent.told.push(format!("GITHUB_TOKEN{origin}, for git and gh at {host}"));
}

/// The token that GitHub's command line has on the host.
async fn ask_gh(surroundings: &Surroundings, host: &str) -> Result<String, String> {
    let search = surroundings.search();
    // A program that was opened from a desktop has a shorter PATH than the terminal in which gh was logged in.
    let path = search.terminal_path().await.or(search.path);
    let environment = surroundings.environment();
    let home = environment.home().map(Into::into);
    let known = [("PATH", path), ("HOME", home), ("GH_CONFIG_DIR", environment.os("GH_CONFIG_DIR"))];
    let known = known.into_iter().filter(|(_, value)| value.is_some());
    let program = Program {
        path: "gh".into(),
        args: ["auth", "token", "--hostname", host].iter().map(Into::into).collect(),
        folder: std::env::temp_dir(),
        environment: known.map(|(name, value)| (name.into(), value)).collect(),
    };
    let finished = match spawn::run(&program, GH).await {
        Ok(finished) => finished,
        Err(spawn::RunError::Spawn(_)) => return Err("there is no gh on this machine".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    let token = finished.stdout.trim();
    if !finished.succeeded() || token.is_empty() || token.contains(char::is_whitespace) {
        return Err("gh on this machine has no login: run `gh auth login`".to_owned());
    }
    Ok(token.to_owned())
}

/// Where the user's files are, and for whom.
struct Files {
    home: PathBuf,
    config: PathBuf,
    agent: Option<PathBuf>,
    uid: u32,
    holder: Owner,
    engines_agent: bool,
}

impl Files {
    fn lend(&self, wishes: &Wishes, lent: &mut Lent) {
        let inside = spec::home(self.uid);
        if wishes.git_config == Some(true) {
            let places = [self.home.join(".gitconfig"), self.config.join("git/config")];
            let there = places.iter().find(|place| place.exists()).unwrap_or(&places[0]);
            if self.mount(there, "~/.gitconfig", &format!("{inside}/.gitconfig"), lent)
                && std::fs::read_to_string(there).is_ok_and(|text| text.to_lowercase().contains("[include"))
            {
                lent.notes.push("~/.gitconfig includes other files, which are not there inside".to_owned());
            }
        }
        let folder = self.home.join(".ssh");
        if wishes.ssh_folder == Some(true) && self.mount(&folder, "~/.ssh", &format!("{inside}/.ssh"), lent) {
            let lost = links_out_of(&folder);
            if !lost.is_empty() {
                lent.notes.push(format!("In ~/.ssh these are links that lead nowhere inside: {}", lost.join(", ")));
            }
        }
        if wishes.ssh_agent == Some(true) {
            self.lend_agent(lent);
            if wishes.ssh_folder != Some(true) {
                self.mount(&folder.join("known_hosts"), "~/.ssh/known_hosts", KNOWN_HOSTS, lent);
            }
        }
    }

    /// Mounts a file or folder read-only, links resolved; false where it cannot be, which is then noted.
    fn mount(&self, path: &Path, called: &str, target: &str, lent: &mut Lent) -> bool {
        let words = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => "this machine has none".to_owned(),
            _ => error.to_string(),
        };
        let usable = path.canonicalize().map_err(words).and_then(|real| {
            let metadata = std::fs::metadata(&real).map_err(words)?;
            let wanted = if metadata.is_dir() { 0o5 } else { 0o4 };
            let user = self.holder.uid;
            if may(&metadata, self.holder, wanted) { Ok(real) } else { Err(format!("user {user} may not read it")) }
        });
        match usable {
            Ok(real) => {
                let source = MountSource::Path(real);
                lent.mounts.push(ExtraMount { source, target: target.to_owned(), read_only: true });
                lent.told.push(format!("{called} → {target}, read-only"));
                true
            }
            Err(why) => {
                lent.notes.push(format!("{called} is not there inside: {why}"));
                false
            }
        }
    }

    fn lend_agent(&self, lent: &mut Lent) {
        let source = if self.engines_agent {
            // Its socket is root's and its group's.
            lent.groups.push(0);
            PathBuf::from(DESKTOPS_AGENT)
        } else {
            match self.agent_socket() {
                Ok(socket) => socket,
                Err(why) => {
                    lent.notes.push(format!("The SSH agent is not there inside: {why}"));
                    return;
                }
            }
        };
        lent.mounts.push(ExtraMount { source: MountSource::Path(source), target: AGENT.to_owned(), read_only: false });
        lent.environment.push(("SSH_AUTH_SOCK".to_owned(), AGENT.to_owned()));
        lent.told.push("The SSH agent: whoever is inside can sign with all of its keys".to_owned());
    }

    #[cfg(unix)]
    fn agent_socket(&self) -> Result<PathBuf, String> {
        use std::os::unix::fs::{FileTypeExt, MetadataExt};
        let named = self.agent.as_ref().ok_or("SSH_AUTH_SOCK is not set, so that there seems to be none")?;
        let failed = |error: std::io::Error| format!("{}: {error}", named.display());
        let socket = named.canonicalize().map_err(failed)?;
        let metadata = std::fs::metadata(&socket).map_err(failed)?;
        if !metadata.file_type().is_socket() {
            return Err(format!("{} is no socket", named.display()));
        }
        // The agent itself serves its own user alone, and root.
        let served = self.holder.uid == metadata.uid() || self.holder.uid == 0;
        if !served || !may(&metadata, self.holder, 0o2) {
            let (owner, user) = (metadata.uid(), self.holder.uid);
            return Err(format!("it belongs to user {owner}, and the agent inside is user {user}"));
        }
        Ok(socket)
    }

    #[cfg(windows)]
    fn agent_socket(&self) -> Result<PathBuf, String> {
        let _ = &self.agent;
        Err("on Windows it is no socket that a container could use".to_owned())
    }
}

/// True where the mode of a file lets a user do `wanted`. Root has no more rights than others inside, where it has no
/// capabilities.
#[cfg(unix)]
fn may(metadata: &std::fs::Metadata, user: Owner, wanted: u32) -> bool {
    use std::os::unix::fs::MetadataExt;
    let shift = if metadata.uid() == user.uid {
        6
    } else if metadata.gid() == user.gid {
        3
    } else {
        0
    };
    (metadata.mode() >> shift) & wanted == wanted
}

#[cfg(windows)]
fn may(_metadata: &std::fs::Metadata, _user: Owner, _wanted: u32) -> bool {
    // What the engine's machine shows of a Windows folder is everybody's.
    true
}

/// The names in a folder that are links to somewhere outside of it.
fn links_out_of(folder: &Path) -> Vec<String> {
    let Ok((real, entries)) = folder.canonicalize().and_then(|real| Ok((real.clone(), std::fs::read_dir(real)?)))
    else {
        return Vec::new();
    };
    let leads_out = |entry: &std::fs::DirEntry| {
        let path = entry.path();
        path.is_symlink() && path.canonicalize().is_ok_and(|target| !target.starts_with(&real))
    };
    let mut names: Vec<String> =
        entries.flatten().filter(leads_out).map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn files(home: &Path) -> Files {
        Files {
            home: home.to_owned(),
            config: home.join(".config"),
            agent: None,
            uid: 1000,
            holder: crate::owner::of_us(),
            engines_agent: false,
        }
    }

    fn lent(files: &Files, wishes: &Wishes) -> Lent {
        let mut lent = Lent::default();
        files.lend(wishes, &mut lent);
        lent
    }

    fn all() -> Wishes {
        let yes = Some(true);
        Wishes { git_config: yes, ssh_folder: yes, ssh_agent: yes, ..Wishes::default() }
    }

    #[test]
    fn nothing_goes_along_unasked_and_what_is_missing_is_told() {
        let home = tempfile::tempdir().unwrap();
        let files = files(home.path());
        let nothing = lent(&files, &Wishes::default());
        assert!(nothing.mounts.is_empty() && nothing.in_words().is_none() && nothing.notes.is_empty(), "{nothing:?}");
        let missing = lent(&files, &all());
        assert!(missing.mounts.is_empty() && missing.environment.is_empty(), "there is nothing to mount: {missing:?}");
        for called in ["~/.gitconfig", "~/.ssh", "SSH_AUTH_SOCK"] {
            assert!(missing.notes.iter().any(|note| note.contains(called)), "{called} is told: {:?}", missing.notes);
        }
    }

    #[test]
    fn links_are_resolved_and_those_that_cannot_be_are_told() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let home = root.join("home");
        std::fs::create_dir_all(home.join(".ssh")).unwrap();
        std::fs::create_dir(root.join("dotfiles")).unwrap();
        std::fs::write(root.join("dotfiles/gitconfig"), "[Include]\n\tpath = other\n").unwrap();
        std::fs::write(root.join("dotfiles/config"), "").unwrap();
        symlink(root.join("dotfiles/gitconfig"), home.join(".gitconfig")).unwrap();
        symlink(root.join("dotfiles/config"), home.join(".ssh/config")).unwrap();
        symlink("config", home.join(".ssh/again")).unwrap();
        let socket = root.join("agent.1");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        symlink(&socket, root.join("agent")).unwrap();
        let files = Files { agent: Some(root.join("agent")), ..files(&home) };
        let lent = lent(&files, &all());
        let mounted = |target: &str| {
            lent.mounts.iter().find(|mount| mount.target == target).map(|mount| (mount.source.clone(), mount.read_only))
        };
        let path = |path: PathBuf| MountSource::Path(path);
        assert_eq!(mounted("/home/node/.gitconfig"), Some((path(root.join("dotfiles/gitconfig")), true)), "the file");
        assert_eq!(mounted("/home/node/.ssh"), Some((path(home.join(".ssh")), true)), "the folder");
        assert_eq!(mounted(AGENT), Some((path(socket), false)), "the socket behind the link");
        assert_eq!(mounted(KNOWN_HOSTS), None, "it is in the folder already");
        assert_eq!(lent.environment, [("SSH_AUTH_SOCK".to_owned(), AGENT.to_owned())], "ssh is told where it is");
        let notes = lent.notes.join("\n");
        assert!(notes.contains("includes other files"), "what does not go along is told: {notes}");
        assert!(notes.contains("again, config"), "both links: {notes}");
    }

    #[test]
    fn what_the_agents_user_may_not_read_is_told() {
        let home = tempfile::tempdir().unwrap();
        let stranger = Owner { uid: 54321, gid: 54321 };
        std::fs::write(home.path().join(".gitconfig"), "").unwrap();
        std::fs::set_permissions(home.path().join(".gitconfig"), PermissionsExt::from_mode(0o600)).unwrap();
        let socket = home.path().join("agent");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o666)).unwrap();
        let files = Files { agent: Some(socket), holder: stranger, ..files(home.path()) };
        let lent = lent(&files, &all());
        assert!(lent.mounts.is_empty(), "nothing that would only fail inside: {:?}", lent.mounts);
        let notes = lent.notes.join("\n");
        assert!(notes.contains("user 54321 may not read it"), "{notes}");
        assert!(notes.contains("the agent inside is user 54321"), "an agent serves its own user alone: {notes}");
    }

    #[test]
    fn docker_desktop_has_the_agent_at_a_place_of_its_own() {
        let home = tempfile::tempdir().unwrap();
        let files = Files { engines_agent: true, ..files(home.path()) };
        let wishes = Wishes { ssh_agent: Some(true), ..Wishes::default() };
        let lent = lent(&files, &wishes);
        let source = MountSource::Path(DESKTOPS_AGENT.into());
        assert!(lent.mounts.iter().any(|mount| mount.source == source), "nothing is at that path outside: {lent:?}");
        assert_eq!(lent.groups, [0], "by root's group, since the socket is root's");
    }
}
