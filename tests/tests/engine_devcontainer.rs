//! A project's `devcontainer.json` at a real engine: what its properties come to in the container, and that nothing of
//! what would widen the sandbox counts before somebody has allowed it.

use std::os::unix::fs::MetadataExt as _;

use gemra_core::container::state::State;
use gemra_core::failure::Code;
use gemra_core::tab::view::ContainerView;
use gemra_core::trust::Decision;
use tests::engine::desk::{Desk, fact};
use tests::engine::{BASE, Engine, see};

fn unique() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

fn keys(asked: &[gemra_core::trust::Widening]) -> Vec<&str> {
    asked.iter().map(|item| item.key.as_str()).collect()
}

fn running(view: &ContainerView) {
    assert_eq!(view.state, State::Running, "the agent runs in the container");
}

/// A line of the form `name=value` among what the script has said.
fn said(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
    line.unwrap_or_else(|| panic!("{name} is said in {text}")).to_owned()
}

#[tokio::test]
async fn build_users_environment_folder_and_commands_hold_inside() {
    let json = r#"{
        // As people write it.
        "name": "everything that asks for nothing",
        "build": {"dockerfile": "Dockerfile", "context": "..", "target": "dev", "args": {"WHAT": "argument"}},
        "containerEnv": {"IN_BODY": "body ${localWorkspaceFolderBasename}"},
        "remoteEnv": {"FOR_AGENT": "agent ${containerEnv:FROM_IMAGE} ${containerEnv:NONE:else}", "TAKEN": null},
        "mounts": ["type=tmpfs,target=/scratch"],
        "init": true,
        "remoteUser": "vscode",
        "onCreateCommand": "echo onCreate $PWD >>/home/vscode/order; echo once >>$IDS; id -u >/home/vscode/uid",
        "updateContentCommand": ["sh", "-c", "echo \"updateContent $FOR_AGENT\" >>/home/vscode/order"],
        "postCreateCommand": {"a": "echo a >/home/vscode/a", "b": ["sh", "-c", "echo b >/home/vscode/b"]},
        "postStartCommand": "echo postStart >>/home/vscode/order; echo start >>$IDS",
        "postAttachCommand": "echo postAttach >>/home/vscode/order",
        "features": {"example/feature:1": {}},
        "waitFor": "onCreateCommand", "overrideCommand": false,
        "customizations": {"vscode": {}},
    }"#;
    let instructions = format!(
        "FROM {BASE} AS dev\nARG WHAT\nRUN echo \"$WHAT {}\" >/what\n\
         RUN userdel node && rm -rf /home/node && useradd --uid 1234 --create-home vscode && echo dotfile >/home/vscode/.dotfile\n\
         ENV FROM_IMAGE=image TAKEN=there IDS=/workspace/ids.txt\n",
        unique()
    );
    let script = "echo what=$(cat /what)\necho body=$IN_BODY\necho agent=$FOR_AGENT\necho taken=${TAKEN-gone}\n\
                  echo name=$(id -un)\necho uid=$(id -u)\necho dotfile=$(cat ~/.dotfile)\necho home=$(stat -c %u ~/)\n\
                  echo same=$(test /workspaces/project/at-start.sh -ef at-start.sh && echo yes)\n\
                  echo scratch=$(stat -f -c %T /scratch)\necho parallel=$(cat ~/a ~/b | tr '\\n' ' ')\n\
                  echo order=$(tr '\\n' ' ' <~/order)\necho cwd=$PWD\necho ran=$(cat ~/uid)\n";
    let desk = Desk::new().devcontainer(json, &instructions, script);
    let dockerfile = desk.workspace().join(".devcontainer/Dockerfile");
    let text = std::fs::read_to_string(&dockerfile).unwrap();
    std::fs::write(&dockerfile, format!("{text}\nFROM nonexistent-stage-base AS last\n")).unwrap();
    let uid = std::fs::metadata(desk.workspace()).unwrap().uid().to_string();
    let mut moving = desk.open().await;
    let view = moving.enter().await;
    let told = moving.said();
    assert!(
        said(&told, "what").starts_with("argument "),
        "the argument reaches the build, and the stage is the one named"
    );
    assert_eq!(said(&told, "body"), "body project", "a variable of the container");
    assert_eq!(said(&told, "agent"), "agent image else", "a variable of the agent, made of the container's");
    assert_eq!(said(&told, "taken"), "gone", "null takes one away");
    assert_eq!(said(&told, "name"), "vscode", "the agent is the user who is named");
    assert_eq!(said(&told, "uid"), uid, "with the id of the workspace's owner");
    assert_eq!(said(&told, "dotfile"), "dotfile", "in that user's home folder");
    assert_eq!(said(&told, "home"), uid, "which belongs to it");
    assert_eq!(said(&told, "same"), "yes", "the project is where devcontainers have it, too");
    assert_eq!(said(&told, "cwd"), "/workspace", "and the agent works where it always does");
    assert_eq!(said(&told, "scratch"), "tmpfs", "memory is mounted");
    assert_eq!(said(&told, "parallel"), "a b", "an object's commands have all run");
    assert_eq!(said(&told, "ran"), uid, "commands run as the agent's user");
    let order = said(&told, "order");
    let expected = "onCreate /workspaces/project updateContent agent image else postStart postAttach";
    assert_eq!(order, expected, "one after another, before the agent");
    let not_applied = fact(&view, "Not applied");
    for words in ["features: example/feature:1", "customizations", "waitFor: onCreateCommand", "overrideCommand: "] {
        assert!(not_applied.contains(words), "what is not done is told, {words}: {not_applied}");
    }
    let container = moving.container().await;
    let inspected = format!("{container:?}");
    assert!(inspected.contains("IN_BODY=body project"), "the container's variable is in the body");
    assert!(!inspected.contains("FOR_AGENT"), "the agent's is not");

    moving.leave().await;
    let view = moving.enter().await;
    running(&view);
    let told = moving.said();
    assert_eq!(said(&told, "parallel"), "a b", "what was done once is still there");
    let order = said(&told, "order");
    assert_eq!(order.matches("onCreate").count(), 1, "and not done again: {order}");
    let ids = std::fs::read_to_string(moving.workspace().join("ids.txt")).unwrap();
    assert_eq!(ids, "once\nstart\nstart\n", "what belongs to each start ran again");
    moving.quit().await;
}

#[tokio::test]
async fn an_images_label_counts_and_a_taken_id_is_used() {
    // The base's own user has the id of the workspace's owner already.
    let label = r#"[{"remoteUser": "vscode", "containerEnv": {"OF_LABEL": "label", "BOTH": "label"}},
                    {"id": "feature", "postStartCommand": "echo label >>~/order"}]"#;
    let instructions = format!(
        "FROM {BASE}\nRUN echo {} && useradd --uid 4321 --create-home vscode\nLABEL devcontainer.metadata='{}'\n",
        unique(),
        label.replace('\n', " ")
    );
    let json = r#"{"build": {"dockerfile": "Dockerfile", "context": ".."}, "containerEnv": {"BOTH": "file"},
                   "postStartCommand": "echo file >>~/order"}"#;
    let script = "echo label=$OF_LABEL\necho both=$BOTH\necho name=$(id -un)\necho uid=$(id -u)\n\
                  echo order=$(tr '\\n' ' ' <~/order)\ntouch ~/mine && echo writes=yes\n";
    let desk = Desk::new().devcontainer(json, &instructions, script);
    let uid = std::fs::metadata(desk.workspace()).unwrap().uid();
    let mut moving = desk.open().await;
    running(&moving.enter().await);
    let told = moving.said();
    assert_eq!(said(&told, "label"), "label", "the image's own words count");
    assert_eq!(said(&told, "both"), "file", "the file's count more");
    assert_eq!(said(&told, "order"), "label file", "commands of both, the image's first");
    assert_eq!(said(&told, "uid"), uid.to_string(), "the agent has the owner's id");
    if uid == 1000 {
        assert_eq!(said(&told, "name"), "node", "the user who has that id already is the agent");
    }
    assert_eq!(said(&told, "writes"), "yes", "its home folder is its own");
    moving.quit().await;
}

#[tokio::test]
async fn a_failing_command_says_why_and_no_agent_starts() {
    let json = r#"{"build": {"dockerfile": "Dockerfile", "context": ".."},
        "onCreateCommand": "echo fine >/workspace/ran.txt",
        "postCreateCommand": "echo the reason; echo more of it >&2; exit 7",
        "postStartCommand": "echo late >>/workspace/ran.txt"}"#;
    let desk = Desk::new().devcontainer(json, &format!("FROM {BASE}\nRUN echo {}\n", unique()), "echo started");
    let mut moving = desk.open().await;
    let failure = moving.refused().await;
    assert_eq!(failure.code, Code::CommandFailed, "it is a class of its own: {failure:?}");
    assert!(
        failure.cause.contains("postCreateCommand") && failure.cause.contains("code 7"),
        "named: {}",
        failure.cause
    );
    let detail = failure.detail.unwrap_or_default();
    assert!(detail.contains("the reason") && detail.contains("more of it"), "with what it said: {detail}");
    let ran = std::fs::read_to_string(moving.workspace().join("ran.txt")).unwrap();
    assert_eq!(ran, "fine\n", "what follows a failure does not run");
    assert!(!moving.workspace().join("said.txt").exists(), "nor does the agent");
    moving.quit().await;
}

#[tokio::test]
async fn what_widens_waits_for_the_answer_and_counts_after_it() {
    let secret = format!("secret-{}", unique());
    let volume = format!("gemra-test-{}", unique());
    let json = format!(
        r#"{{"build": {{"dockerfile": "Dockerfile", "context": ".."}},
        "initializeCommand": "echo here >>initialized.txt",
        "mounts": ["source={volume},target=/data,type=volume", {{"type": "bind", "source": "/etc/hostname", "target": "/mnt/host name", "readonly": true}}],
        "capAdd": ["SYS_PTRACE"], "securityOpt": ["seccomp=unconfined"],
        "runArgs": ["--add-host=box:10.9.8.7", "--device", "/dev/fuse", "--hostname", "mine"],
        "containerEnv": {{"FROM_HERE": "${{localEnv:GEMRA_TEST_SECRET}}"}},
        "workspaceMount": "type=bind,source=${{localWorkspaceFolder}},target=/code", "workspaceFolder": "/code"}}"#
    );
    let script = "echo secret=$FROM_HERE\necho box=$(getent hosts box | cut -d' ' -f1)\n\
                  echo data=$(touch /data/x && echo yes)\necho code=$(test -f /code/at-start.sh && echo yes)\n\
                  echo mounted=$(test -f '/mnt/host name' && echo yes)\n";
    let instructions = format!("FROM {BASE}\nRUN echo {}\n", unique());
    let desk = Desk::new().env("GEMRA_TEST_SECRET", &secret).devcontainer(&json, &instructions, script);
    let mut moving = desk.open().await;
    let asked = moving.asked().await;
    let expected = ["add-host", "capAdd", "device", "initializeCommand", "localEnv", "mounts", "mounts", "securityOpt"];
    assert_eq!(keys(&asked), expected, "all of it is shown: {asked:#?}");
    assert!(!format!("{asked:?}").contains(&secret), "no value of this machine's is shown");
    let initialized = moving.workspace().join("initialized.txt");
    assert!(!initialized.exists(), "nothing has run yet");
    let view = moving.answer(Decision::Refuse).await;
    assert_eq!(view.state, State::Off, "a no leads back");
    assert!(!initialized.exists(), "and nothing has run");

    moving.asked().await;
    let view = moving.answer(Decision::Without).await;
    running(&view);
    assert!(!initialized.exists(), "nothing runs on this machine");
    let told = moving.said();
    for (name, expected) in [("secret", ""), ("box", ""), ("data", ""), ("mounted", ""), ("code", "yes")] {
        assert_eq!(said(&told, name), expected, "without what widens, {name}");
    }
    let host = moving.container().await.host_config.unwrap();
    assert_eq!(host.cap_add.unwrap_or_default(), Vec::<String>::new(), "no capability");
    moving.leave().await;

    moving.asked().await;
    running(&moving.answer(Decision::Allow).await);
    assert_eq!(std::fs::read_to_string(&initialized).unwrap(), "here\n", "the command has run on this machine, once");
    let told = moving.said();
    for (name, expected) in
        [("secret", secret.as_str()), ("box", "10.9.8.7"), ("data", "yes"), ("mounted", "yes"), ("code", "yes")]
    {
        assert_eq!(said(&told, name), expected, "{name}");
    }
    let container = moving.container().await;
    let host = container.host_config.clone().unwrap();
    let inspected = format!("{container:?}");
    assert!(!inspected.contains(&secret), "what came from this machine is in no inspection");
    assert!(host.cap_add.unwrap_or_default().iter().any(|one| one.ends_with("SYS_PTRACE")), "the capability");
    assert!(host.security_opt.unwrap_or_default().contains(&"seccomp=unconfined".to_owned()), "the option");
    assert!(inspected.contains("/dev/fuse"), "the device");
    moving.leave().await;
    // It was remembered for exactly this, and what the command has written itself changes nothing of it.
    running(&moving.enter().await);
    assert_eq!(std::fs::read_to_string(&initialized).unwrap(), "here\nhere\n", "it has run again, unasked");
    moving.leave().await;
    let file = moving.workspace().join(".devcontainer/devcontainer.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("SYS_PTRACE", "SYS_ADMIN")).unwrap();
    let asked = moving.asked().await;
    assert!(asked.iter().any(|item| item.value == "SYS_ADMIN"), "a changed file asks again: {asked:#?}");
    assert_eq!(moving.answer(Decision::Refuse).await.state, State::Off, "and may be refused");
    moving.quit().await;
    let _ = Engine::shared().api().remove_volume(&volume, None::<bollard::query_parameters::RemoveVolumeOptions>).await;
}

#[tokio::test]
async fn an_image_by_its_name_is_asked_about_and_used() {
    let name = format!("gemra-test-named:{}", &unique()[..8]);
    let instructions = format!("FROM {BASE}\nRUN echo {}\n", unique());
    // Built by the usual way first, so that there is an image with an agent to name.
    let mut first = Desk::new().dockerfile(&instructions, "true").open().await;
    first.enter().await;
    let built = first.container().await.config.unwrap().image.unwrap();
    let (repo, tag) = name.split_once(':').unwrap();
    let options = bollard::query_parameters::TagImageOptionsBuilder::new().repo(repo).tag(tag).build();
    Engine::shared().api().tag_image(&built, Some(options)).await.unwrap();
    first.quit().await;

    let desk = Desk::new()
        .file(".devcontainer.json", &format!(r#"{{"image": "{name}", "containerEnv": {{"A": "b"}}}}"#))
        .file("at-start.sh", "echo a=$A\n");
    let mut moving = desk.open().await;
    let asked = moving.asked().await;
    assert_eq!(keys(&asked), ["image"], "an image of the project's choice is asked about");
    assert_eq!(asked[0].value, name, "by its name");
    running(&moving.answer(Decision::Allow).await);
    assert_eq!(said(&moving.said(), "a"), "b", "it is used as the file says");
    moving.quit().await;
    see_no_image(&name).await;
}

async fn see_no_image(name: &str) {
    let _ =
        Engine::shared().api().remove_image(name, None::<bollard::query_parameters::RemoveImageOptions>, None).await;
    let left = see::containers(Engine::shared(), "dev.gemra.tab=none").await;
    assert!(left.is_empty(), "nobody else's container is touched");
}

#[tokio::test]
async fn compose_is_refused_by_name() {
    let desk = Desk::new().file(".devcontainer.json", r#"{"dockerComposeFile": "compose.yml", "service": "app"}"#);
    let mut moving = desk.open().await;
    let failure = moving.refused().await;
    assert_eq!(failure.code, Code::NeedsCompose, "a class of its own: {failure:?}");
    assert!(failure.cause.contains("dockerComposeFile"), "the property is named: {}", failure.cause);
    moving.quit().await;
}

#[tokio::test]
async fn a_projects_own_wishes_are_asked_about_where_they_widen() {
    let instructions = format!("FROM {BASE}\nRUN echo {}\n", unique());
    let desk = Desk::new().dockerfile(&instructions, "true").file(
        ".gemra.json",
        r#"{"pids": 5000, "shmMb": 64, "restartAfterCrash": true, "hostMode": "bypassPermissions", "fromTheFuture": 1}"#,
    );
    let mut moving = desk.open().await;
    let asked = moving.asked().await;
    assert_eq!(keys(&asked), ["pids"], "what widens, and nothing else");
    assert_eq!(asked[0].file, ".gemra.json", "with its file");
    let view = moving.answer(Decision::Without).await;
    running(&view);
    assert!(fact(&view, "Not applied").contains("hostMode"), "what is not the project's to say is told");
    assert!(fact(&view, "Not applied").contains("fromTheFuture"), "so is what Gemra does not know");
    moving.quit().await;
}

#[tokio::test]
async fn a_users_image_and_a_dockerfile_for_gemra_come_before_a_devcontainer() {
    // Nobody could read it, so that a start shows that nobody has.
    let broken = r#"{"initializeCommand": "echo here >ran.txt", "image": "#;
    let instructions = format!("FROM {BASE}\nRUN echo {}\n", unique());
    let desk = Desk::new().dockerfile(&instructions, "echo dockerfile=yes\n").file(".devcontainer.json", broken);
    let mut moving = desk.open().await;
    let view = moving.enter().await;
    assert_eq!(said(&moving.said(), "dockerfile"), "yes", "what is written for Gemra counts");
    assert!(fact(&view, "Image").contains("Dockerfile.claude"), "and is named: {:?}", view.facts);
    let built = moving.container().await.config.unwrap().image.unwrap();
    moving.quit().await;

    let desk = Desk::new()
        .file(".devcontainer.json", broken)
        .file("at-start.sh", "echo named=yes\n")
        .wishing(|wishes| wishes.image = Some(built.clone()));
    let mut moving = desk.open().await;
    let view = moving.enter().await;
    assert_eq!(said(&moving.said(), "named"), "yes", "the image of the settings counts");
    assert!(fact(&view, "Image").starts_with(&built), "and is named: {:?}", view.facts);
    assert!(!moving.workspace().join("ran.txt").exists(), "nothing of the file has run");
    moving.quit().await;

    let mut moving = Desk::new().file(".devcontainer.json", broken).open().await;
    let failure = moving.refused().await;
    assert_eq!(failure.code, Code::BadDevcontainer, "where it does count, it is read: {failure:?}");
    moving.quit().await;
}

#[tokio::test]
async fn limits_and_networks_of_the_arguments_reach_the_container() {
    for (network, mode, told) in [
        ("host", Some("host"), "host: "),
        ("bridge", Some("bridge"), "bridge: "),
        // A network of its own.
        ("none", None, "isolated: "),
    ] {
        let json = format!(
            r#"{{"build": {{"dockerfile": "Dockerfile", "context": ".."}},
                "runArgs": ["--memory=700m", "--cpus", "1.5", "--shm-size=48m", "--network", "{network}"]}}"#
        );
        let instructions = format!("FROM {BASE}\nRUN echo {}\n", unique());
        let mut moving = Desk::new().devcontainer(&json, &instructions, "true").open().await;
        let view = if network == "host" {
            moving.enter().await
        } else {
            // Less than usual, so that only the build, which has more, is a question.
            assert_eq!(keys(&moving.asked().await), ["build"], "{network}: the rest is narrower than usual");
            moving.answer(Decision::Allow).await
        };
        running(&view);
        let host = moving.container().await.host_config.unwrap();
        assert_eq!(host.memory, Some(700 << 20), "{network}: the memory");
        assert_eq!(host.nano_cpus, Some(1_500_000_000), "{network}: the processors");
        assert_eq!(host.shm_size, Some(48 << 20), "{network}: the shared memory");
        let own = host.network_mode.unwrap_or_default();
        match mode {
            Some(mode) => assert_eq!(own, mode, "{network}: the network"),
            None => assert!(!["host", "bridge", "default", ""].contains(&own.as_str()), "{network}: and not {own:?}"),
        }
        let fact = moving.until_fact("Network", told).await;
        assert!(!fact.contains("From the next start on"), "{network}: it is what is wished for: {fact}");
        let listed = view.facts.iter().any(|(name, value)| name == "Not applied" && value.contains("--network none"));
        assert_eq!(listed, network == "none", "{network}: what is not done as it is written is told: {:?}", view.facts);
        moving.quit().await;
    }
}
