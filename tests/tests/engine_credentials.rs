//! What of the user's own reaches the inside of a container and works there: keys, GitHub's token, the SSH agent, git's
//! configuration. And where none of it may be seen: inspections, argument lists, the settings.

#![allow(clippy::unwrap_used)] // What cannot be set up fails the test, which is what it is for.

use std::fmt::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use gemra_core::credentials::login::Step;
use gemra_core::failure::Code;
use gemra_core::settings::container::Wishes;
use tests::engine::desk::{Desk, Moving, fact};
use tests::engine::{BASE, Engine, see};
use tests::git_server::GitServer;
use tests::needs;
use tests::spawn;

/// How long a thing may take that takes a moment when the machine is not busy.
const SOON: Duration = Duration::from_mins(2);

fn unique() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// The image with git and ssh, in which a script of the test's runs before the agent answers.
fn with_tools() -> String {
    format!(
        "FROM {BASE}\nRUN apt-get update && apt-get install -y --no-install-recommends git openssh-client \
         && rm -rf /var/lib/apt/lists/*\n"
    )
}

/// Nobody who may look at the container, at the machine's processes or at the settings sees what holds the mark.
async fn unseen(moving: &Moving, home: &Path, mark: &str) {
    let inspected = serde_json::to_string(&moving.container().await).unwrap();
    assert!(inspected.contains("dev.gemra.tab"), "the inspection is the container's");
    assert!(!inspected.contains(mark), "and does not show it");
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let told: Vec<String> = ids.map(spawn::command_line).filter(|line| line.contains(mark)).collect();
    assert!(told.is_empty(), "no argument list holds it: {told:#?}");
    let settings = std::fs::read_to_string(home.join("settings.json")).unwrap();
    assert!(!settings.contains(mark), "neither do the settings: {settings}");
}

#[tokio::test]
async fn keys_of_the_settings_reach_the_agent_before_inherited_ones() {
    let mark = unique();
    let own = format!("sk-{mark}");
    let names = ["ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "GITHUB_TOKEN", "GH_TOKEN"];
    let script = names.iter().fold(String::new(), |mut script, name| {
        let _ = writeln!(script, "echo \"{name}=${name}.\"");
        script
    });
    let desk = Desk::new()
        .env("ANTHROPIC_API_KEY", "inherited")
        .env("ANTHROPIC_AUTH_TOKEN", "inherited")
        .env("GH_TOKEN", "inherited")
        .credential("ANTHROPIC_API_KEY", &own)
        .credential("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
        .credential("GITHUB_TOKEN", &format!("ghp-{mark}"))
        .dockerfile(&format!("FROM {BASE}"), &script);
    let home = desk.gemra_home();
    let mut moving = desk.open().await;
    let view = moving.enter().await;
    let said = moving.said();
    let expected = [
        format!("ANTHROPIC_API_KEY={own}."),
        "ANTHROPIC_BASE_URL=http://127.0.0.1:9.".to_owned(),
        // The CLI would take it instead of the key.
        "ANTHROPIC_AUTH_TOKEN=.".to_owned(),
        format!("GITHUB_TOKEN=ghp-{mark}."),
        "GH_TOKEN=.".to_owned(),
    ];
    assert_eq!(said.lines().take(5).collect::<Vec<_>>(), expected, "the user's own come first");
    let told = fact(&view, "Credentials");
    assert!(told.contains("ANTHROPIC_API_KEY from Settings") && !told.contains(&mark), "which is told: {told}");
    unseen(&moving, &home, &mark).await;
    let kept = home.join("credentials.json");
    assert_eq!(kept.metadata().unwrap().mode() & 0o777, 0o600, "the file that keeps them is its owner's alone");
    assert!(std::fs::read_to_string(&kept).unwrap().contains(&mark), "with GEMRA_HOME set they are kept there");
    moving.quit().await;
}

#[tokio::test]
async fn git_inside_fetches_with_the_token_that_gh_has_on_the_host() {
    let token = format!("ghp-{}", unique());
    let server = GitServer::start("x-access-token", &token, "said by the repository").await;
    let script = format!(
        "export GIT_TERMINAL_PROMPT=0\n\
         git clone -q {url}/owner/project.git /tmp/one && cat /tmp/one/file\n\
         git clone -q git@{host}:owner/project.git /tmp/two && cat /tmp/two/file\n\
         test \"$GH_TOKEN\" = \"$GITHUB_TOKEN\" && echo the same for gh\n\
         git config --show-origin --get-all user.name\n",
        url = server.url(),
        host = server.host(),
    );
    let desk = Desk::new()
        .env("GITHUB_SERVER_URL", &server.url())
        .env("GIT_USER_NAME", "Ada")
        .wishes(Wishes { github: Some(true), ..Wishes::default() })
        .dockerfile(&with_tools(), &script);
    let tools = desk.user_home().join("tools");
    std::fs::create_dir(&tools).unwrap();
    let gh = tools.join("gh");
    let text = format!("#!/bin/sh\ntest \"$*\" = 'auth token --hostname {}' && echo {token}\n", server.host());
    std::fs::write(&gh, text).unwrap();
    std::fs::set_permissions(&gh, PermissionsExt::from_mode(0o755)).unwrap();
    let home = desk.gemra_home();
    let path = format!("{}:/usr/bin:/bin", tools.display());
    let mut moving = desk.env("PATH", &path).open().await;
    let view = moving.enter().await;
    let said = moving.said();
    assert_eq!(said.matches("said by the repository").count(), 2, "by either kind of address: {said}");
    assert!(said.contains("the same for gh"), "{said}");
    assert!(said.contains("command line:\tAda"), "git's identity is in the environment alone: {said}");
    assert!(fact(&view, "Credentials").contains("what gh has on this machine"), "{:?}", view.facts);
    assert!(server.refused() > 0, "the server does ask for a password");
    unseen(&moving, &home, &token).await;
    moving.quit().await;

    // Not asked for, nothing of it is there.
    let desk = Desk::new().env("GITHUB_SERVER_URL", &server.url()).env("GITHUB_TOKEN", &token);
    let mut moving = desk.env("PATH", &path).dockerfile(&with_tools(), &script).open().await;
    moving.enter().await;
    let said = moving.said();
    assert!(!said.contains("said by the repository"), "git is not given the token unasked: {said}");
    moving.quit().await;
}

#[tokio::test]
async fn a_token_that_is_nowhere_is_told() {
    let desk = Desk::new().env("PATH", "/nowhere").wishes(Wishes { github: Some(true), ..Wishes::default() });
    let mut moving = desk.dockerfile(&format!("FROM {BASE}"), "echo \"[$GITHUB_TOKEN]\"").open().await;
    let view = moving.enter().await;
    assert!(moving.said().starts_with("[]\n"), "the agent runs without");
    let note = fact(&view, "Note");
    assert!(note.contains("GITHUB_TOKEN is not set, and there is no gh"), "and why is told: {note}");
    moving.quit().await;
}

/// An SSH agent with one key. It ends with this.
struct SshAgent {
    _running: spawn::Running,
    socket: PathBuf,
    fingerprint: String,
}

impl SshAgent {
    /// Of this user, or of another one: root alone can start that.
    fn start(folder: &Path, user: Option<u32>) -> Self {
        std::fs::create_dir(folder).unwrap();
        if let Some(user) = user {
            chown(folder, Some(user), Some(user)).unwrap();
        }
        let (socket, key) = (folder.join("agent.sock"), folder.join("key"));
        let mut command = spawn::command_as(user, "ssh-agent");
        command.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).stderr(Stdio::null());
        let running = spawn::Running::start(&mut command).unwrap();
        // An agent listens to root, too; and its own user may be one that the machine does not know.
        let run = |command: &mut std::process::Command| {
            let output = spawn::output(command).unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        run(spawn::command("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "of the test", "-f"]).arg(&key));
        let deadline = std::time::Instant::now() + SOON;
        while !socket.exists() {
            assert!(std::time::Instant::now() < deadline, "the agent listens");
            std::thread::sleep(Duration::from_millis(20));
        }
        run(spawn::command("ssh-add").arg("-q").arg(&key).env("SSH_AUTH_SOCK", &socket));
        let listed = run(spawn::command("ssh-add").arg("-l").env("SSH_AUTH_SOCK", &socket));
        let fingerprint = listed.split_whitespace().nth(1).unwrap().to_owned();
        Self { _running: running, socket, fingerprint }
    }
}

#[tokio::test]
async fn the_ssh_agent_and_git_s_configuration_are_there_for_whom_they_are_meant() {
    // The workspace is user 1000's where root runs the tests; otherwise this user's, whose the agent is too.
    let root = rustix::process::geteuid().is_root();
    let mut cases = vec![("its own user", root.then_some(1000), root.then_some(1000), true)];
    if needs::root("only root can have workspaces and agents of others") {
        cases.push(("another user", Some(4711), Some(4711), true));
        cases.push(("root", Some(0), None, true));
        cases.push(("root's agent for user 1000", Some(1000), None, false));
    }
    let wishes = Wishes { ssh_agent: Some(true), git_config: Some(true), ..Wishes::default() };
    let script = "id -u; ssh-add -l; git config spice.name; head -c 9 /etc/ssh/ssh_known_hosts; \
                  touch \"$HOME/.gitconfig\" /etc/ssh/ssh_known_hosts 2>/dev/null || echo read-only; \
                  echo made >made.txt";
    for (case, owner, of_agent, works) in cases {
        let desk = Desk::new().wishes(wishes.clone()).dockerfile(&with_tools(), script);
        if let Some(owner) = owner {
            for path in [desk.workspace(), desk.workspace().join("at-start.sh"), desk.user_home()] {
                chown(path, Some(owner), Some(owner)).unwrap();
            }
        }
        let agent = SshAgent::start(&desk.user_home().with_file_name("agent"), of_agent);
        let link = desk.user_home().join("agent-of-the-day");
        std::os::unix::fs::symlink(&agent.socket, &link).unwrap();
        std::fs::create_dir(desk.user_home().join(".ssh")).unwrap();
        std::fs::write(desk.user_home().join(".ssh/known_hosts"), "box.of.ada ssh-ed25519 AAAA\n").unwrap();
        std::fs::create_dir(desk.user_home().join("dotfiles")).unwrap();
        std::fs::write(desk.user_home().join("dotfiles/git"), "[spice]\n\tname = saffron\n").unwrap();
        std::os::unix::fs::symlink("dotfiles/git", desk.user_home().join(".gitconfig")).unwrap();
        let workspace = desk.workspace();
        let link = link.display().to_string();
        let mut moving = desk.env("SSH_AUTH_SOCK", &link).open().await;
        let view = moving.enter().await;
        let said = moving.said();
        assert_eq!(said.contains(&agent.fingerprint), works, "{case}: the agent's key inside: {said}");
        assert!(said.contains("saffron"), "{case}: git's configuration, behind its link: {said}");
        assert!(said.contains("box.of.ad"), "{case}: the hosts that the user knows: {said}");
        assert!(said.contains("read-only"), "{case}: nobody inside can change them: {said}");
        let user = owner.unwrap_or_else(|| rustix::process::geteuid().as_raw());
        assert!(said.starts_with(&format!("{user}\n")), "{case}: {said}");
        assert_eq!(workspace.join("made.txt").metadata().unwrap().uid(), user, "{case}: what is made is the owner's");
        if works {
            let told = fact(&view, "Credentials");
            assert!(told.contains("can sign with all of its keys"), "{case}: it is told what that means: {told}");
        } else {
            let note = fact(&view, "Note");
            assert!(note.contains("it belongs to user 0, and the agent inside is user 1000"), "{case}: {note}");
        }
        moving.quit().await;
    }
}

#[tokio::test]
async fn nothing_of_the_users_is_there_unasked() {
    let desk = Desk::new();
    let agent = SshAgent::start(&desk.user_home().with_file_name("agent"), None);
    std::fs::create_dir(desk.user_home().join(".ssh")).unwrap();
    std::fs::write(desk.user_home().join(".ssh/known_hosts"), "box ssh-ed25519 AAAA\n").unwrap();
    std::fs::write(desk.user_home().join(".gitconfig"), "[spice]\n\tname = saffron\n").unwrap();
    let script = "echo \"[$SSH_AUTH_SOCK][$GH_TOKEN][$AWS_SECRET_ACCESS_KEY][$GITHUB_TOKEN]\"; ls -A \"$HOME\"; \
                  git config --get-all credential.https://github.com.helper; ls /run/gemra /etc/ssh/ssh_known_hosts";
    let socket = agent.socket.display().to_string();
    let desk = desk.env("SSH_AUTH_SOCK", &socket).env("GH_TOKEN", "ghp-gh").env("AWS_SECRET_ACCESS_KEY", "aws");
    // This one reaches agents wherever they are, as the model's key does.
    let desk = desk.env("GITHUB_TOKEN", "ghp-everywhere");
    let mut moving = desk.dockerfile(&with_tools(), script).open().await;
    let view = moving.enter().await;
    let said = moving.said();
    assert!(said.starts_with("[][][][ghp-everywhere]\n"), "no agent, and no token of another program's: {said}");
    assert!(!said.contains("x-access-token"), "git has nothing of it: {said}");
    for name in [".ssh", ".gitconfig"] {
        assert!(!said.lines().any(|line| line == name), "no {name}: {said}");
    }
    // An engine may have something to say of itself.
    let told = |value: &str| ["ssh", "gitconfig"].iter().any(|of| value.contains(of));
    let told = view.facts.iter().find(|(name, value)| told(value) && name != "Engine" && name != "Image");
    assert_eq!(told, None, "and nothing to tell");
    let only = "GITHUB_TOKEN from the environment that Gemra was started with";
    assert_eq!(fact(&view, "Credentials"), only, "but what is there, and whose it is");
    let mounts = see::inspect(Engine::shared(), moving.container().await.id.as_deref().unwrap()).await.mounts;
    let sources: Vec<String> = mounts.unwrap().into_iter().filter_map(|mount| mount.source).collect();
    let theirs = [".ssh", ".gitconfig", "agent.sock"];
    let lent = sources.iter().find(|source| theirs.iter().any(|name| source.contains(name)));
    assert_eq!(lent, None, "nothing of it is mounted: {sources:?}");
    moving.quit().await;
}

/// A login that takes one code, and keeps it where the agent's own would; all of it is said in one breath.
const LOGIN: &str = r#"#!/bin/sh
kept="$HOME/.login-of-the-test"
case "$1 $2" in
"auth login") printf 'Opening\nvisit: https://claude.com/cai/oauth/authorize?code=true&state=x\nPaste code here if prompted > '
  IFS= read -r code
  [ "$code" = right-code ] || { echo "Couldn't log in: that code is wrong"; exit 1; }
  echo >"$kept" ;;
"auth status") [ -e "$kept" ] && echo '{"loggedIn": true, "subscriptionType": "max"}' || echo '{"loggedIn": false}' ;;
"auth logout") rm -f "$kept" ;;
*) exec /usr/local/bin/claude "$@" ;;
esac
"#;

#[tokio::test]
async fn a_login_inside_takes_the_code_and_one_that_is_given_up_ends() {
    let desk = Desk::new().dockerfile(&format!("FROM {BASE}\nCOPY login.sh /usr/local/sbin/claude"), "true");
    let file = desk.workspace().join("login.sh");
    std::fs::write(&file, LOGIN).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    let mut moving = desk.env("ANTHROPIC_API_KEY", "none of the login's business").open().await;
    let failure = moving.app().account_inside(moving.tab_id()).await.unwrap_err();
    assert_eq!(failure.code, Code::LoginFailed, "there is no inside yet: {failure}");
    moving.enter().await;
    let (app, tab) = (moving.app(), moving.tab_id());
    assert!(!app.account_inside(tab).await.unwrap().logged_in, "nobody is logged in at first");
    for (code, works) in [("wrong-code", false), ("right-code\n", true)] {
        let (sender, mut steps) = tokio::sync::mpsc::unbounded_channel();
        app.log_in_inside(tab, move |step| drop(sender.send(step))).await.unwrap();
        let address = tokio::time::timeout(SOON, steps.recv()).await.expect("it says where to go");
        assert!(matches!(&address, Some(Step::Address(page)) if page.ends_with("state=x")), "{address:?}");
        app.send_login_code(tab, code).unwrap();
        let over = tokio::time::timeout(SOON, steps.recv()).await.expect("the code is taken").unwrap();
        match over {
            Step::Done(account) => assert!(works && account.plan.as_deref() == Some("max"), "{code}: {account:?}"),
            Step::Failed(failure) => {
                assert!(!works && failure.cause.contains("that code is wrong"), "{code}: {failure}");
            }
            Step::Address(_) => panic!("the address is told once"),
        }
    }
    assert!(!app.log_out_inside(tab).await.unwrap().logged_in, "and out again");
    let (sender, mut steps) = tokio::sync::mpsc::unbounded_channel();
    app.log_in_inside(tab, move |step| drop(sender.send(step))).await.unwrap();
    tokio::time::timeout(SOON, steps.recv()).await.expect("it waits for a code").unwrap();
    app.cancel_login(tab);
    let id = moving.container().await.id.unwrap();
    let look = ["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"];
    see::until("what was given up is gone", SOON, async || {
        (!see::exec(Engine::shared(), &id, &look).await.contains("auth login")).then_some(())
    })
    .await;
    moving.quit().await;
}
