//! What reaches an agent in a container on the whole way from the environment and the settings: the CLI's version,
//! proxies, keys, the project's variables, the user's name. And where it must not be seen.

use std::fmt::Write as _;

use std::os::unix::fs::{MetadataExt as _, PermissionsExt, chown};

use gemra_core::container::image::Source;
use tests::desktop::claude;
use tests::engine::desk::{Desk, fact};
use tests::engine::{BASE, Engine, see};
use tests::model_api::ModelApi;
use tests::needs;

fn unique() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

#[tokio::test]
async fn the_image_is_built_for_the_hosts_version_and_another_version_is_another_image() {
    let instructions = format!(
        "FROM {BASE}\nARG CLAUDE_CODE_VERSION=none\nRUN echo \"built for $CLAUDE_CODE_VERSION, {}\" >/built-for",
        unique()
    );
    let mut images = Vec::new();
    for version in ["9.9.8", "9.9.9"] {
        let desk = Desk::new().dockerfile(&instructions, "cat /built-for");
        let mut moving = desk.host_version(&format!("echo '{version} (Claude Code)'")).open().await;
        let view = moving.enter().await;
        let said = moving.said();
        assert!(said.starts_with(&format!("built for {version},")), "the build is told the host's version: {said}");
        assert!(fact(&view, "Agent").contains(version), "and so is the user: {:?}", view.facts);
        let used = moving.container().await.config.unwrap().image.unwrap();
        // Podman says of every name where it would come from.
        let used = used.trim_start_matches("docker.io/library/").to_owned();
        assert!(fact(&view, "Image").starts_with(&format!("{used} ")), "the image is the one that is told: {used}");
        images.push(used);
        moving.quit().await;
    }
    assert_ne!(images[0], images[1], "the same Dockerfile for another version is another image");
}

/// The image that Gemra brings along, with the real CLI on both sides.
#[tokio::test]
async fn the_cli_inside_is_the_hosts_and_commits_are_the_users() {
    let version = format!("exec '{}' --version", claude().display());
    let desk = Desk::new()
        .host_version(&version)
        .env("ANTHROPIC_API_KEY", "made-up")
        .env("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
        .env("GIT_USER_NAME", "Ada Lovelace")
        .env("GIT_USER_EMAIL", "ada@example.org");
    assert_eq!(
        Source::of(&desk.workspace()).await.unwrap(),
        Source::embedded(),
        "the workspace brings none of its own"
    );
    let mut moving = desk.open().await;
    moving.enter().await;
    let id = moving.container().await.id.unwrap();
    let inside = see::exec(Engine::shared(), &id, &["claude", "--version"]).await;
    let host = tests::spawn::output(tests::spawn::command(claude()).arg("--version")).unwrap();
    assert_eq!(inside, String::from_utf8(host.stdout).unwrap(), "both sides have the same CLI");
    let commit = "git init -q . && echo x >file && git add file && git commit -qm first \
                  && git log -1 --format='%an <%ae>, %cn <%ce>'";
    let author = see::exec(Engine::shared(), &id, &["sh", "-c", commit]).await;
    let ada = "Ada Lovelace <ada@example.org>";
    assert_eq!(author.trim(), format!("{ada}, {ada}"), "what is committed inside is the user's");
    moving.quit().await;
}

#[tokio::test]
async fn proxies_reach_the_build_and_their_passwords_stay_out_of_the_image() {
    let password = format!("pass-{}", unique());
    let proxy = format!("http://someone:{password}@127.0.0.1:9/");
    // The Dockerfile is part of the image's history, so that it must not name the password itself.
    let seen = |name: &str, port: &str| {
        format!("RUN case \"${name}\" in http://someone:pass-*@127.0.0.1:{port}/) ;; *) exit 9;; esac\n")
    };
    // No step is one that was built before: for Podman a step with another proxy is the same.
    let instructions = || {
        format!(
            "FROM {BASE}\nRUN echo {}\n{}{}RUN test \"$NO_PROXY\" = localhost\n",
            unique(),
            seen("HTTP_PROXY", "9"),
            seen("https_proxy", "9")
        )
    };
    let mut moving = Desk::new()
        .env("HTTP_PROXY", &proxy)
        .env("https_proxy", &proxy)
        .env("NO_PROXY", "localhost")
        .dockerfile(&instructions(), "echo \"$HTTP_PROXY $https_proxy $NO_PROXY\"")
        .open()
        .await;
    moving.enter().await;
    let said = moving.said();
    assert!(said.starts_with(&format!("{proxy} {proxy} localhost\n")), "they reach the agent too: {said}");
    let container = moving.container().await;
    let image = container.config.clone().unwrap().image.unwrap();
    let api = Engine::shared().api();
    let history = format!("{:?}", api.image_history(&image).await.unwrap());
    assert!(history.contains("exit 9"), "the history holds the steps that saw them");
    let inspected = format!("{:?} {container:?}", api.inspect_image(&image).await.unwrap());
    for (what, text) in [("the image's history", history), ("an inspection", inspected)] {
        assert!(!text.contains(&password), "{what} does not hold the password");
    }
    moving.quit().await;

    // The steps are no decoration: without the proxies they fail.
    let failure = Desk::new().dockerfile(&instructions(), "true").open().await.refused().await;
    assert!(failure.cause.contains("with code 9"), "nobody else sets them: {}", failure.cause);
}

#[tokio::test]
async fn keys_and_the_projects_variables_reach_the_agent_and_no_inspection() {
    let mark = unique();
    let from_the_host = [
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "GITHUB_TOKEN",
        "DISABLE_TELEMETRY",
        "CLAUDE_CODE_ENTRYPOINT",
    ];
    let from_the_project = ["PROJECT_KEY", "ANTHROPIC_MODEL"];
    let value = |name: &str| format!("{mark}-{}", name.to_lowercase());
    let all = || from_the_host.iter().chain(&from_the_project);
    let script = all().fold(String::new(), |mut script, name| {
        let _ = writeln!(script, "echo \"{name}=${name}\"");
        script
    });
    let mut desk = Desk::new().env("AWS_SECRET_ACCESS_KEY", &mark).env("ANTHROPIC_MODEL", "the host's");
    for name in from_the_host {
        desk = desk.env(name, &value(name));
    }
    for name in from_the_project {
        desk = desk.project_variable(name, &value(name));
    }
    let script = format!("{script}echo \"others: $AWS_SECRET_ACCESS_KEY\"\n");
    let mut moving = desk.dockerfile(&format!("FROM {BASE}"), &script).open().await;
    moving.enter().await;
    let said = moving.said();
    for name in all() {
        assert!(said.lines().any(|line| line == format!("{name}={}", value(name))), "{name} is the agent's: {said}");
    }
    assert!(said.contains("others: \n"), "and what is none of its business stays outside: {said}");
    let inspected = serde_json::to_string(&moving.container().await).unwrap();
    assert!(inspected.contains("dev.gemra.tab"), "the inspection is the container's");
    assert!(!inspected.contains(&mark), "and shows none of the values");
    moving.quit().await;
}

#[tokio::test]
async fn a_project_cannot_part_the_conversations_and_is_told() {
    let desk = Desk::new();
    let on_the_host = desk.workspace().with_file_name("conversations").display().to_string();
    let mut moving = desk
        .env("CLAUDE_CONFIG_DIR", &on_the_host)
        .project_variable("CLAUDE_CONFIG_DIR", "/somewhere/else")
        .dockerfile(&format!("FROM {BASE}"), "echo \"$CLAUDE_CONFIG_DIR\"; ls \"$CLAUDE_CONFIG_DIR/projects\"")
        .open()
        .await;
    let view = moving.enter().await;
    let said = moving.said();
    let (folder, rest) = said.split_once('\n').unwrap();
    assert!(folder.ends_with("/.claude"), "the agent's folder is the container's own: {said}");
    assert!(rest.contains("-workspace"), "in which the conversations are: {said}");
    let note = fact(&view, "Note");
    assert!(note.contains("CLAUDE_CONFIG_DIR"), "what was left out is told: {note}");
    moving.quit().await;

    let plain = Desk::new().dockerfile(&format!("FROM {BASE}"), "true").open().await.enter().await;
    let notes = plain.facts.iter().filter(|(name, _)| name == "Note").flat_map(|(_, note)| note.lines());
    // Podman's init process is a package of its own, which the machine may lack.
    let podman = Engine::shared_is_podman().await;
    let others: Vec<_> = notes.filter(|note| !(podman && note.starts_with("The engine has no init process"))).collect();
    assert!(others.is_empty(), "usually there is nothing to note: {:?}", plain.facts);
}

/// The name of a folder of conversations says where they were held; that of a long path is shortened in a way of the
/// CLI's own. A real CLI on the host says something in such a folder, and an agent in the container looks for it.
#[tokio::test]
async fn a_conversation_in_a_folder_with_a_long_path_is_there_inside() {
    let desk = Desk::new().below(&[["long"; 30].concat(), ["päth"; 30].concat()].join("/"));
    let workspace = desk.workspace();
    assert!(workspace.as_os_str().len() > 200, "this is where the CLI shortens: {}", workspace.display());
    let conversations = workspace.with_file_name("conversations");
    let api = ModelApi::start();
    let mut cli = tests::spawn::command(claude());
    cli.args(["--print", "say: on the host"]).current_dir(&workspace).env_clear();
    cli.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", desk.workspace().with_file_name("user"));
    cli.env("CLAUDE_CONFIG_DIR", &conversations).env("DISABLE_AUTOUPDATER", "1");
    cli.env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1");
    cli.env("ANTHROPIC_BASE_URL", api.url()).env("ANTHROPIC_API_KEY", "made-up");
    let said = tests::spawn::output(&mut cli).unwrap();
    assert!(said.status.success() && said.stdout.starts_with(b"on the host"), "the CLI answers: {said:?}");
    let buckets = || -> Vec<_> {
        let listed = std::fs::read_dir(conversations.join("projects")).unwrap();
        listed.map(|entry| entry.unwrap().path()).collect()
    };
    let bucket = buckets().pop().unwrap();
    let files = std::fs::read_dir(&bucket).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: Vec<String> = files
        .filter(|name| std::path::Path::new(name).extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    assert_eq!(files.len(), 1, "one conversation was held: {files:?}");

    let mut moving = desk
        .env("CLAUDE_CONFIG_DIR", conversations.to_str().unwrap())
        .dockerfile(&format!("FROM {BASE}"), "cat \"$CLAUDE_CONFIG_DIR\"/projects/-workspace/*.jsonl")
        .open()
        .await;
    moving.enter().await;
    let seen = moving.said();
    let id = files[0].trim_end_matches(".jsonl");
    assert!(seen.contains(id) && seen.contains("on the host"), "the agent inside reads it: {seen:.2000}");
    assert_eq!(buckets(), [bucket], "and no other folder was made for this workspace");
    moving.quit().await;
}

/// A project that several people share: it belongs to somebody else, and to a group that they are all in.
#[tokio::test]
async fn a_workspace_that_is_shared_by_a_group_can_be_written_to_inside() {
    if !needs::root("only root can be another user, in groups of its choice") {
        return;
    }
    let (user, group) = (65534, 4321);
    let desk = || {
        let desk = Desk::new().dockerfile(&format!("FROM {BASE}"), "id -u; id -G; touch inside && echo written");
        chown(desk.workspace(), Some(1000), Some(group)).unwrap();
        // Files that are made in it are the group's too, as such projects have it.
        std::fs::set_permissions(desk.workspace(), PermissionsExt::from_mode(0o2777)).unwrap();
        desk
    };
    let shared = desk();
    // Nobody else may even look.
    std::fs::set_permissions(shared.workspace(), PermissionsExt::from_mode(0o2770)).unwrap();
    for name in ["Dockerfile.claude", "claude.js", "at-start.sh"] {
        chown(shared.workspace().join(name), Some(1000), Some(group)).unwrap();
    }
    let end = shared.enter_as(user, &[group]);
    assert!(end.starts_with("running"), "the agent answers: {end}");
    assert!(end.contains(&format!("(\"Groups\", \"{group}, ")), "and the user is told of the group: {end}");
    let said = shared.said();
    assert!(said.starts_with(&format!("{user}\n{user} {group}\nwritten\n")), "by that group alone: {said}");
    let made = shared.workspace().join("inside").metadata().unwrap();
    assert_eq!((made.uid(), made.gid()), (user, group), "what is written inside is the user's and the group's");

    // A group that the user is not in is not given, also where everybody may write.
    let foreign = desk();
    let end = foreign.enter_as(user, &[group + 1]);
    assert!(end.starts_with("running") && !end.contains("Groups"), "there is nothing to tell: {end}");
    let said = foreign.said();
    assert!(said.starts_with(&format!("{user}\n{user}\nwritten\n")), "the user's own group is all: {said}");
}
