//! The create body, option by option.

use super::*;
use crate::container::labels::{self, Owner};

fn wish() -> Wish {
    Wish {
        owner: Owner { instance: "i-1".to_owned(), tab: "t-1".to_owned(), workspace: "/home/me/project".to_owned() },
        short_id: "abc123".to_owned(),
        workspace: "/home/me/project".into(),
        session_bucket: "/home/me/.claude/projects/-home-me-project".into(),
        image: "gemra-claude:0123456789ab".to_owned(),
        uid: 1000,
        gid: 1001,
        network: Network::Host,
        limits: Limits {
            memory: Some(6 << 30),
            swap: true,
            cpu_thousandths: Some(1500),
            pids: Some(4096),
            shm: 1 << 28,
        },
        args: vec!["-p".to_owned(), "two words".to_owned()],
        ..Wish::default()
    }
}

fn made(change: impl FnOnce(&mut Wish)) -> Plan {
    let mut wish = wish();
    change(&mut wish);
    plan(&wish).unwrap()
}

fn host(plan: &Plan) -> &HostConfig {
    plan.body.host_config.as_ref().unwrap()
}

fn env(plan: &Plan) -> &[String] {
    plan.body.env.as_deref().unwrap()
}

fn mounted(plan: &Plan) -> Vec<String> {
    let all = host(plan).mounts.as_deref().unwrap();
    all.iter()
        .map(|mount| format!("{} -> {}", mount.source.as_deref().unwrap(), mount.target.as_deref().unwrap()))
        .collect()
}

#[test]
fn the_agent_is_the_main_process_and_ends_with_us() {
    let plan = made(|_| {});
    let body = &plan.body;
    assert_eq!(body.open_stdin.zip(body.stdin_once), Some((true, true)), "the engine ends it when we die");
    assert_eq!(
        (body.attach_stdin, body.attach_stdout, body.attach_stderr),
        (Some(true), Some(true), Some(true)),
        "all"
    );
    assert_eq!(body.tty, Some(false), "a terminal would mix stdout and stderr");
    assert_eq!(body.cmd.as_deref(), Some(["-p".to_owned(), "two words".to_owned()].as_slice()), "arguments stay apart");
    assert_eq!(body.working_dir.as_deref(), Some("/workspace"), "where the session bucket is from");
    assert_eq!(body.user.as_deref(), Some("1000:1001"), "the workspace's owner");
    assert_eq!(plan.name, "gemra-t1-abc123", "tab and short id");
    let labels = body.labels.as_ref().unwrap();
    let expected = [
        (labels::MANAGED, "1"),
        (labels::INSTANCE, "i-1"),
        (labels::TAB, "t-1"),
        (labels::WORKSPACE, "/home/me/project"),
        (labels::SPEC, plan.spec.as_str()),
    ];
    for (name, value) in expected {
        assert_eq!(labels.get(name).map(String::as_str), Some(value), "label {name}");
    }
}

#[test]
fn it_is_hardened_and_limited() {
    let plan = made(|_| {});
    let host = host(&plan);
    assert_eq!(host.cap_drop.as_deref(), Some(["ALL".to_owned()].as_slice()), "no capability is needed");
    assert_eq!(host.security_opt.as_deref(), Some(["no-new-privileges".to_owned()].as_slice()), "sudo gives nothing");
    assert_eq!((host.init, host.auto_remove), (Some(true), Some(true)), "signals work, nothing stays");
    assert_eq!(host.log_config.as_ref().unwrap().typ.as_deref(), Some("none"), "the log driver costs throughput");
    assert_eq!((host.memory, host.memory_swap), (Some(6 << 30), Some(6 << 30)), "no swap on top of the memory");
    assert_eq!(
        (host.nano_cpus, host.pids_limit, host.shm_size),
        (Some(1_500_000_000), Some(4096), Some(1 << 28)),
        "all"
    );
    assert!(host.binds.is_none(), "binds make missing folders as root");
    let unlimited = made(|wish| wish.limits = Limits { shm: 1 << 28, ..Limits::default() });
    let host = unlimited.body.host_config.unwrap();
    assert_eq!(
        (host.memory, host.memory_swap, host.nano_cpus, host.pids_limit),
        (None, None, None, None),
        "none asked"
    );
}

#[test]
fn groups_are_added_only_where_some_are_wished_for() {
    assert_eq!(host(&made(|_| {})).group_add, None, "usually the user's own is enough");
    let plan = made(|wish| wish.groups = vec![50, 4321]);
    assert_eq!(host(&plan).group_add.as_deref(), Some(["50".to_owned(), "4321".to_owned()].as_slice()), "by number");
    assert_eq!(plan.body.user.as_deref(), Some("1000:1001"), "the first one stays");
}

#[test]
fn selinux_leaves_the_users_labels_alone() {
    let plan = made(|wish| wish.engine.selinux = true);
    assert!(host(&plan).security_opt.as_ref().unwrap().contains(&"label=disable".to_owned()), "no relabelling");
}

#[test]
fn the_host_is_found_on_every_network() {
    let cases: &[(Network, bool, &str, &str)] = &[
        (Network::Host, false, "host", "host.docker.internal:127.0.0.1"),
        (Network::Host, true, "host", "host.docker.internal:host-gateway"),
        (Network::Bridge, false, "bridge", "host.docker.internal:host-gateway"),
    ];
    for &(network, desktop, mode, entry) in cases {
        let plan = made(|wish| {
            wish.network = network;
            wish.engine.desktop = desktop;
        });
        assert_eq!(host(&plan).network_mode.as_deref(), Some(mode), "{network:?}");
        assert_eq!(host(&plan).extra_hosts.as_deref(), Some([entry.to_owned()].as_slice()), "{network:?}, {desktop}");
    }
}

#[test]
fn a_network_of_its_own_is_named_and_asks_nobody_for_names() {
    let plan = made(|wish| {
        wish.network = Network::Isolated;
        wish.network_name = Some("gemra-net-1".to_owned());
        wish.host_address = Some([172, 18, 0, 1].into());
    });
    let config = host(&plan);
    assert_eq!(config.network_mode.as_deref(), Some("gemra-net-1"), "its own network");
    assert_eq!(config.dns.as_deref(), Some(["127.0.0.1".to_owned()].as_slice()), "where nobody answers");
    let entry = "host.docker.internal:172.18.0.1".to_owned();
    assert_eq!(config.extra_hosts.as_deref(), Some([entry].as_slice()), "and this machine's address in it");
    let plan = made(|wish| wish.network = Network::None);
    assert_eq!(host(&plan).network_mode.as_deref(), Some("none"), "or none at all");
    assert_eq!(host(&plan).extra_hosts, None, "where this machine has no address");
    assert_eq!(host(&made(|_| {})).dns, None, "elsewhere the engine's servers of names are used");
}

#[test]
fn the_workspace_is_at_both_paths_and_nothing_else_of_the_host() {
    let usual = [
        "gemra-claude-1000 -> /home/node/.claude",
        "gemra-cache-1000 -> /home/node/.cache",
        "/home/me/.claude/projects/-home-me-project -> /home/node/.claude/projects/-workspace",
        "/home/me/project -> /workspace",
        "/home/me/project -> /home/me/project",
    ];
    assert_eq!(mounted(&made(|_| {})), usual, "volumes, bucket, workspace twice");
    let worktree = mounted(&made(|wish| wish.git_common_dir = Some("/home/me/repo/.git".into())));
    assert_eq!(worktree.last().unwrap(), "/home/me/repo/.git -> /home/me/repo/.git", "a worktree's repository");
    let named = |name: &str| {
        made(|wish| {
            wish.git_common_dir = Some("/home/me/repo/.git".into());
            wish.git_common_names = vec![name.into()];
        })
    };
    let twice = mounted(&named("/repo/.git"));
    assert_eq!(twice[..6], worktree, "at its own path");
    assert_eq!(twice[6], "/home/me/repo/.git -> /repo/.git", "and where the worktree's files name it");
    let system = named("/usr");
    assert_eq!(mounted(&system), worktree, "never over the system");
    assert!(system.notes[0].contains("git does not work") && system.notes[0].contains("/usr"), "{:?}", system.notes);
    let inside = mounted(&made(|wish| wish.git_common_dir = Some("/home/me/project/.git".into())));
    assert_eq!(inside, usual, "a repository inside is there already");
    let same = mounted(&made(|wish| wish.workspace = "/workspace".into()));
    assert_eq!(same.iter().filter(|line| line.ends_with("-> /workspace")).count(), 1, "no path twice");
    assert!(made(|wish| wish.workspace = "/workspace".into()).notes.is_empty(), "and nothing is missing");
}

#[test]
fn what_lies_under_the_name_that_is_taken_is_told_and_never_mounted_into_the_project() {
    let folder = made(|wish| wish.workspace = "/workspace/shop".into());
    let into = |plan: &Plan, target: &str| mounted(plan).iter().any(|line| line.ends_with(&format!("-> {target}")));
    assert!(into(&folder, "/workspace"), "the project is where it always is");
    assert!(!into(&folder, "/workspace/shop"), "and not within itself: {:?}", mounted(&folder));
    assert_eq!(folder.notes.len(), 1, "which is told: {:?}", folder.notes);
    assert!(folder.notes[0].contains("/workspace/shop"), "with its path: {:?}", folder.notes);
    for workspace in ["/workspace/shop", "/home/me/project"] {
        let plan = made(|wish| {
            wish.workspace = workspace.into();
            wish.git_common_dir = Some("/workspace/repo/.git".into());
        });
        assert!(!into(&plan, "/workspace/repo/.git"), "nothing is made in the project: {:?}", mounted(&plan));
        let told = plan.notes.last().unwrap();
        assert!(told.contains("git does not work") && told.contains("/workspace/repo/.git"), "it is told: {told}");
    }
    let beside = made(|wish| wish.workspace = "/workspaces/shop".into());
    assert!(into(&beside, "/workspaces/shop") && beside.notes.is_empty(), "a name that only begins like it is free");
    let inside = made(|wish| {
        wish.workspace = "/workspace".into();
        wish.git_common_dir = Some("/workspace/repo/.git".into());
    });
    assert!(inside.notes.is_empty(), "what is in the project is there: {:?}", inside.notes);
}

#[test]
fn root_has_its_own_home_and_volumes() {
    let plan = made(|wish| (wish.uid, wish.gid) = (0, 0));
    assert_eq!(plan.body.user.as_deref(), Some("0:0"), "root's workspace");
    for line in ["HOME=/root", "USER=root", "CLAUDE_CONFIG_DIR=/root/.claude", "IS_SANDBOX=1"] {
        assert!(env(&plan).contains(&line.to_owned()), "{line} is in {:?}", env(&plan));
    }
    assert!(mounted(&plan).contains(&"gemra-claude-0 -> /root/.claude".to_owned()), "per user");
    assert!(!env(&made(|_| {})).iter().any(|line| line.starts_with("IS_SANDBOX")), "others need no such word");
}

#[test]
fn git_knows_the_folders_and_the_user() {
    let plan = made(|wish| {
        wish.git_common_dir = Some("/home/me/repo/.git".into());
        wish.git_name = Some("A B".to_owned());
        wish.git_email = Some("a@example.org".to_owned());
    });
    let expected = [
        "GIT_CONFIG_COUNT=6",
        "GIT_CONFIG_KEY_0=safe.directory",
        "GIT_CONFIG_VALUE_0=/workspace",
        "GIT_CONFIG_KEY_1=safe.directory",
        "GIT_CONFIG_VALUE_1=/home/me/project",
        "GIT_CONFIG_KEY_2=safe.directory",
        "GIT_CONFIG_VALUE_2=/home/me/repo/.git",
        "GIT_CONFIG_KEY_3=gc.worktreePruneExpire",
        "GIT_CONFIG_VALUE_3=never",
        "GIT_CONFIG_KEY_4=user.name",
        "GIT_CONFIG_VALUE_4=A B",
        "GIT_CONFIG_KEY_5=user.email",
        "GIT_CONFIG_VALUE_5=a@example.org",
    ];
    let found: Vec<&str> = env(&plan).iter().map(String::as_str).filter(|line| line.starts_with("GIT_")).collect();
    assert_eq!(found, expected, "by environment alone");
}

#[test]
fn certificates_and_more_variables_are_set() {
    let plan = made(|wish| {
        wish.certificates = true;
        wish.environment = vec![("LANG".to_owned(), "de_DE.UTF-8".to_owned())];
    });
    assert!(
        env(&plan).contains(&"NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt".to_owned()),
        "node trusts too"
    );
    let languages: Vec<_> = env(&plan).iter().filter(|line| line.starts_with("LANG=")).collect();
    assert_eq!(languages, ["LANG=de_DE.UTF-8"], "what is wished replaces what is usual");
}

#[test]
fn the_spec_label_follows_the_body() {
    let first = made(|_| {}).spec;
    assert_eq!(made(|_| {}).spec, first, "the same wish, the same label");
    assert_eq!(made(|wish| wish.short_id = "other".to_owned()).spec, first, "the name is not part of it");
    assert_ne!(made(|wish| wish.network = Network::Bridge).spec, first, "an option is");
}

#[test]
fn a_user_whom_the_image_does_not_know_gets_a_home_and_the_platform_stands_beside_the_body() {
    let homes = |change: fn(&mut Wish)| host(&made(change)).tmpfs.clone().unwrap_or_default();
    assert!(homes(|_| {}).is_empty(), "an image that has one keeps it");
    let docker = homes(|wish| (wish.homeless, wish.uid, wish.gid) = (true, 7, 8));
    assert_eq!(docker["/home/node"], "rw,exec,nosuid,uid=7,gid=8,mode=755", "it belongs to the user");
    let podman = homes(|wish| (wish.homeless, wish.engine.podman) = (true, true));
    assert_eq!(podman["/home/node"], "rw,exec,nosuid,U,mode=755", "Podman has a letter for that");
    let plan = made(|wish| wish.platform = Some("linux/arm64".to_owned()));
    assert_eq!(plan.platform.as_deref(), Some("linux/arm64"), "engines take it beside the body");
}

/// A change that makes a wish impossible, and a part of the error.
type Refused = (fn(&mut Wish), &'static str);

#[test]
fn impossible_wishes_are_refused() {
    let refused = |change: fn(&mut Wish)| {
        let mut wish = wish();
        change(&mut wish);
        plan(&wish).unwrap_err().to_string()
    };
    let cases: &[Refused] = &[
        (|wish| wish.workspace = "relative".into(), "not absolute"),
        (|wish| wish.workspace = "/".into(), "part of the system"),
        (|wish| wish.workspace = "/usr".into(), "part of the system"),
        (|wish| wish.workspace = "/home/node".into(), "part of the system"),
        (|wish| wish.environment.push(("A B".to_owned(), String::new())), "not a name"),
    ];
    for (change, part) in cases {
        let error = refused(*change);
        assert!(error.contains(part), "{error:?} says {part:?}");
    }
}

#[test]
fn where_the_engine_cannot_see_the_hosts_folders_volumes_stand_for_them() {
    let folders = ["/home/me/project", "/home/me/.claude/projects/-home-me-project", "/home/me/repository/.git"];
    let plan = made(|wish| {
        wish.git_common_dir = Some(folders[2].into());
        wish.stand_ins = folders.iter().map(|folder| (folder.into(), format!("copy of {folder}"))).collect();
    });
    let all = host(&plan).mounts.as_deref().unwrap();
    assert!(
        all.iter().all(|mount| mount.typ == Some(MountType::VOLUME)),
        "nothing of this machine's is named: {all:?}"
    );
    let copies: Vec<_> = all.iter().filter(|mount| mount.source.as_deref().unwrap().starts_with("copy of")).collect();
    assert_eq!(copies.len(), 4, "the workspace twice, its conversations and its repository");
    for mount in copies {
        let options = mount.volume_options.as_ref();
        assert_eq!(options.and_then(|options| options.no_copy), Some(true), "the image's files stay out of {mount:?}");
    }
    let targets: Vec<_> = all.iter().filter_map(|mount| mount.target.as_deref()).collect();
    for target in
        ["/workspace", "/home/me/project", "/home/node/.claude/projects/-workspace", "/home/me/repository/.git"]
    {
        assert!(targets.contains(&target), "{target} is where it is with a bind mount: {targets:?}");
    }
}
