//! What the settings wish for containers, on the whole way from the file to the engine's inspection and to what the agent
//! inside can do: limits, powers, read-only places, mounts, folders that are volumes.

use std::os::unix::fs::symlink;

use bollard::models::{HostConfig, MountPoint};
use bollard::query_parameters::RemoveVolumeOptions;
use gemra_core::container::engine::quirks;
use gemra_core::container::image::Source;
use gemra_core::container::spec::extra::{Gpus, Held};
use gemra_core::failure::Code;
use gemra_core::settings::container::{Preset, Wishes};
use tests::engine::desk::{Desk, fact};
use tests::engine::lab::{self, Lab, ask};
use tests::engine::{BASE, Engine, see};

/// What is wished, what the engine has to say of it, and a command inside with the answer that proves it.
struct Case {
    what: &'static str,
    wishes: Wishes,
    inspected: fn(&HostConfig) -> bool,
    command: &'static str,
    answer: &'static str,
}

fn cases() -> Vec<Case> {
    let none = Wishes::default;
    vec![
        Case {
            what: "open files",
            wishes: Wishes { open_files: Some(777), ..none() },
            inspected: |host| {
                host.ulimits.as_deref().unwrap_or_default().iter().any(|limit| {
                    limit.name.as_deref().is_some_and(|name| name.to_lowercase().ends_with("nofile"))
                        && (limit.soft, limit.hard) == (Some(777), Some(777))
                })
            },
            command: "ulimit -n",
            answer: "777",
        },
        Case {
            what: "shared memory",
            wishes: Wishes { shm_mb: Some(33), ..none() },
            inspected: |host| host.shm_size == Some(33 << 20),
            command: "df -k /dev/shm | awk 'NR == 2 { print $2 / 1024 }'",
            answer: "33",
        },
        Case {
            what: "a system that cannot be changed",
            wishes: Wishes { read_only_system: Some(true), ..none() },
            inspected: |host| host.readonly_rootfs == Some(true),
            command: "touch /opt/x 2>/dev/null || { touch /tmp/x /var/tmp/x ~/x ~/.cache/x ~/.claude/x /workspace/x && \
                      echo kept; }",
            answer: "kept",
        },
        Case {
            what: "a project that cannot be changed",
            wishes: Wishes { read_only_workspace: Some(true), ..none() },
            inspected: |_| true,
            command: "touch /workspace/x 2>/dev/null || { touch ~/.claude/projects/-workspace/x && echo kept; }",
            answer: "kept",
        },
        Case {
            what: "the usual preset",
            wishes: none(),
            inspected: |host| {
                host.security_opt.as_deref().unwrap_or_default().iter().any(|one| one.contains("no-new-privileges"))
            },
            command: "echo $(awk '/^(CapBnd|NoNewPrivs)/ { print $2 }' /proc/self/status)",
            answer: "0000000000000000 1",
        },
        Case {
            what: "the preset with sudo",
            wishes: Wishes { preset: Some(Preset::WithSudo), ..none() },
            inspected: |host| {
                leaves(host, "SETUID")
                    && !host.security_opt.as_deref().unwrap_or_default().iter().any(|one| one.contains("no-new"))
            },
            command: "echo $(awk '/^(CapBnd|NoNewPrivs)/ { print $2 }' /proc/self/status)",
            // What Docker leaves to containers usually, without the raw network.
            answer: "00000000a80405fb 0",
        },
    ]
}

/// True where a power is left to the container. Docker repeats what it was asked for; Podman tells what differs from
/// that which it leaves to containers usually, and this is among that.
fn leaves(host: &HostConfig, power: &str) -> bool {
    let plain = |all: &Option<Vec<String>>| -> Vec<String> {
        all.iter().flatten().map(|name| name.trim_start_matches("CAP_").to_owned()).collect()
    };
    let (added, dropped) = (plain(&host.cap_add), plain(&host.cap_drop));
    let named = |all: &[String], wanted: &str| all.iter().any(|name| name == wanted);
    let differs = !dropped.is_empty() && !named(&dropped, "ALL");
    named(&added, power) || differs && !named(&dropped, power)
}

#[tokio::test]
async fn every_wish_reaches_the_engine_and_holds_inside() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    for Case { what, wishes, inspected, command, answer } in cases() {
        let mut wish = lab.wish(&image, lab::user());
        (wish.limits, _) = gemra_core::container::spec::extra::limits(&wishes, lab.engine.about());
        wish.held = Held::of(&wishes);
        let prepared = lab.prepare(&wish).await.unwrap_or_else(|error| panic!("{what}: it starts: {error}"));
        let host = see::inspect(Engine::shared(), &prepared.id).await.host_config.unwrap();
        assert!(inspected(&host), "{what} reaches the engine: {host:#?}");
        let mut process = prepared.release(&std::collections::BTreeMap::new(), &[]).unwrap();
        assert_eq!(ask(&mut process, command).await.trim(), answer, "{what} holds inside");
        process.stop.stop().await;
    }
}

/// No machine that tests run on has a graphics card, so that the engine's answer is about its want of one.
#[tokio::test]
async fn graphics_cards_are_asked_for_where_the_engine_hears_it_and_else_it_is_told() {
    let lab = Lab::open().await;
    let image = lab.agent_image().await;
    let mut wish = lab.wish(&image, lab::user());
    wish.held.gpus = Some(Gpus::All);
    match lab.prepare(&wish).await {
        Ok(prepared) => {
            let host = see::inspect(Engine::shared(), &prepared.id).await.host_config.unwrap();
            // A Podman that hears it has no such card, and says so.
            let unheard = !quirks::gives_cards(lab.engine.about());
            assert!(unheard || host.device_requests.is_some(), "they are asked for: {host:#?}");
            prepared.discard().await;
        }
        Err(error) => assert!(error.to_string().contains("gpu"), "the engine says what it lacks: {error}"),
    }
    if !quirks::gives_cards(lab.engine.about()) {
        let desk = Desk::new().dockerfile(&format!("FROM {BASE}"), "true");
        let mut moving = desk.wishes(Wishes { gpus: Some("all".to_owned()), ..Wishes::default() }).open().await;
        let view = moving.enter().await;
        assert!(fact(&view, "Note").contains("No graphics card is inside"), "it is told: {:?}", view.facts);
        assert!(!view.facts.iter().any(|(name, _)| name == "Graphics cards"), "and none promised: {:?}", view.facts);
        moving.quit().await;
    }
}

/// The image that Gemra brings along, built for the preset: whoever is inside becomes its root without a password.
#[tokio::test]
async fn with_sudo_the_agent_becomes_root_inside_and_otherwise_it_does_not() {
    let lab = Lab::open().await;
    let owner = lab::user();
    for (sudo, expected) in [(true, "0"), (false, "refused")] {
        let mut ingredients = lab.ingredients(Source::embedded(), owner);
        ingredients.cli_version = Some("2.1.329".to_owned());
        ingredients.sudo = sudo;
        let image = lab.image(ingredients).await.unwrap();
        let mut wish = lab.wish(&image, owner);
        wish.held.preset = if sudo { Preset::WithSudo } else { Preset::Hardened };
        let prepared = lab.prepare(&wish).await.unwrap();
        let become_root = "sudo -n id -u 2>/dev/null || echo refused";
        let said = see::exec(Engine::shared(), &prepared.id, &["sh", "-c", become_root]).await;
        assert_eq!(said.trim(), expected, "with the preset for it: {sudo}");
        prepared.discard().await;
    }
}

/// A folder's name that nothing on the way may take apart.
const ODD: &str = "it's a: proj\u{eb}kt \u{2603}";

#[tokio::test]
async fn mounts_and_folders_that_are_volumes_are_inside_whatever_their_names() {
    let script = "cat \"/mnt/d: ata/word\"; touch '/mnt/d: ata/x' 2>/dev/null || echo read-only\n\
                  for folder in heavy packages/a/node_modules; do\n\
                  ls -A /workspace/$folder; echo made >/workspace/$folder/inside; cat \"$OWN/$folder/inside\"\n\
                  done; pwd; cat \"$OWN/file\"\n";
    let desk = Desk::new().below(ODD);
    let workspace = desk.workspace();
    std::fs::create_dir_all(workspace.join("packages/a/node_modules/left-pad")).unwrap();
    std::fs::write(workspace.join("file"), "own path\n").unwrap();
    let data = workspace.parent().unwrap().join("da:ta");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("word"), "from outside\n").unwrap();
    let entry = format!("{}:/mnt/d\\: ata:ro", data.display().to_string().replace(':', "\\:"));
    let wishes = Wishes {
        mounts: Some(vec![entry]),
        volume_folders: Some(vec!["heavy".to_owned(), "packages/*/node_modules".to_owned()]),
        ..Wishes::default()
    };
    let desk = desk
        .dockerfile(&format!("FROM {BASE}"), script)
        .project_variable("OWN", workspace.to_str().unwrap())
        .wishes(wishes);
    let mut moving = desk.open().await;
    let view = moving.enter().await;
    let expected = "from outside\nread-only\nmade\nmade\n/workspace\nown path\nended with 0\n";
    assert_eq!(moving.said(), expected, "mounted, read-only, and volumes at both paths");
    assert!(fact(&view, "Mounts").contains("/mnt/d: ata, read-only"), "it is told: {:?}", view.facts);
    assert!(fact(&view, "Mounts").contains("heavy of the project"), "and so are the volumes: {:?}", view.facts);
    assert!(fact(&view, "Note").contains("Made in the project"), "what was made in it too: {:?}", view.facts);
    let heavy = workspace.join("heavy");
    assert_eq!(lab::owner_of(&heavy), lab::owner_of(&workspace), "the place for a volume is the user's");
    assert_eq!(heavy.read_dir().unwrap().count(), 0, "what is written there stays in the volume");
    assert!(workspace.join("packages/a/node_modules/left-pad").is_dir(), "what the host has is untouched");
    let mounts = moving.container().await.mounts.unwrap();
    moving.quit().await;
    remove_folders(mounts).await;
}

/// Podman writes a mount into one line with commas between its parts, or as a bind with colons between them.
#[tokio::test]
async fn a_path_with_a_comma_is_mounted_and_what_the_engine_cannot_be_told_is_named() {
    let script = "cat \"/mnt/d,ata/word\"; touch '/mnt/d,ata/x' 2>/dev/null || echo read-only\n\
                  echo made >'/workspace/he,avy/inside'; cat \"$OWN/he,avy/inside\"; cat \"$OWN/file\"\n";
    let desk = Desk::new().below("red, green");
    let workspace = desk.workspace();
    std::fs::create_dir(workspace.join("he,avy")).unwrap();
    std::fs::write(workspace.join("file"), "own path\n").unwrap();
    let data = workspace.parent().unwrap().join("da,ta");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("word"), "from outside\n").unwrap();
    let wishes = Wishes {
        mounts: Some(vec![format!("{}:/mnt/d,ata:ro", data.display())]),
        volume_folders: Some(vec!["he,avy".to_owned()]),
        ..Wishes::default()
    };
    let desk = desk
        .dockerfile(&format!("FROM {BASE}"), script)
        .project_variable("OWN", workspace.to_str().unwrap())
        .wishes(wishes);
    let mut moving = desk.open().await;
    moving.enter().await;
    let expected = "from outside\nread-only\nmade\nown path\nended with 0\n";
    assert_eq!(moving.said(), expected, "mounted, read-only, and a volume at both paths");
    assert_eq!(workspace.join("he,avy").read_dir().unwrap().count(), 0, "what is written there stays in the volume");
    let mounts = moving.container().await.mounts.unwrap();
    moving.quit().await;
    remove_folders(mounts).await;

    let desk = Desk::new().below("red, green: blue").dockerfile(&format!("FROM {BASE}"), "echo inside");
    let workspace = desk.workspace().display().to_string();
    let mut moving = desk.open().await;
    if Engine::shared_is_podman().await {
        let failure = moving.refused().await;
        assert_eq!(failure.code, Code::BadMount, "Podman has no way to be told: {failure:?}");
        assert!(failure.cause.contains(&workspace), "of which path: {failure:?}");
    } else {
        moving.enter().await;
        assert_eq!(moving.said(), "inside\nended with 0\n", "Docker takes any path");
    }
    moving.quit().await;
}

/// Removes the volumes that stood for folders of a project.
async fn remove_folders(mounts: Vec<MountPoint>) {
    for name in mounts.into_iter().filter_map(|mount| mount.name).filter(|name| name.starts_with("gemra-folder-")) {
        let _ = Engine::shared().api().remove_volume(&name, None::<RemoveVolumeOptions>).await;
    }
}

#[tokio::test]
async fn a_mount_that_cannot_be_is_named_and_nothing_starts() {
    let desk = Desk::new();
    let data = desk.workspace().parent().unwrap().join("data");
    std::fs::create_dir(&data).unwrap();
    let entry = format!("{}:/data:ro", data.display());
    let desk = desk.dockerfile(&format!("FROM {BASE}"), "true");
    let mut moving = desk.wishes(Wishes { mounts: Some(vec![entry.clone()]), ..Wishes::default() }).open().await;
    // It was there when it was saved.
    std::fs::remove_dir(&data).unwrap();
    let failure = moving.refused().await;
    assert_eq!(failure.code, Code::BadMount, "{failure:?}");
    assert!(failure.cause.contains(&entry) && failure.cause.contains("is not there"), "it is named: {failure:?}");
    moving.quit().await;

    let desk = Desk::new().dockerfile(&format!("FROM {BASE}"), "true");
    symlink("/", desk.workspace().join("heavy")).unwrap();
    let wishes = Wishes { volume_folders: Some(vec!["heavy".to_owned()]), ..Wishes::default() };
    let mut moving = desk.wishes(wishes).open().await;
    let failure = moving.refused().await;
    assert!(failure.cause.contains("heavy") && failure.cause.contains("link"), "a link is not followed: {failure:?}");
    moving.quit().await;
}
