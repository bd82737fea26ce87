//! What is read of a project, chosen and asked about, in folders of the tests' own: no engine and nobody who answers.

use serde_json::json;

use super::*;
use crate::container::image::source::{FILE, USUAL};
use crate::environment::Environment;

#[test]
fn a_projects_own_wishes_are_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(WISHES);
    assert_eq!(read_wishes(&path).unwrap(), None, "there are none");
    std::fs::write(&path, "// ours\n{\"cpus\": 2,}").unwrap();
    assert_eq!(read_wishes(&path).unwrap().unwrap().cpus, Some(2.0), "as the settings spell them");
    for broken in ["", "[]", "{\"cpus\": \"many\"}"] {
        std::fs::write(&path, broken).unwrap();
        let failure = read_wishes(&path).unwrap_err();
        assert_eq!(failure.code, Code::SettingsInvalid, "{broken:?} is refused");
        assert!(failure.cause.contains(WISHES), "the file is named: {}", failure.cause);
    }
}

#[test]
fn a_value_that_cannot_be_is_refused_by_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(WISHES);
    for (text, key) in [
        (r#"{"cpus": 0}"#, "cpus: 0 processors"),
        (r#"{"memoryMb": 1}"#, "memoryMb: 1 cannot be: from 64"),
        (r#"{"gpus": "some"}"#, "gpus: \"some\" is neither all"),
        (r#"{"mounts": ["/a"]}"#, "mounts: "),
        (r#"{"allowedDomains": ["*"]}"#, "allowedDomains: "),
    ] {
        std::fs::write(&path, text).unwrap();
        let failure = read_wishes(&path).unwrap_err();
        assert_eq!(failure.code, Code::SettingsInvalid, "{text} is refused");
        let named = failure.cause.contains(WISHES) && failure.cause.contains(key);
        assert!(named, "{text}: the file and the key are named: {}", failure.cause);
    }
    std::fs::write(&path, r#"{"hostMode": "bypassPermissions", "soon": 1}"#).unwrap();
    assert!(read_wishes(&path).is_ok(), "what does not count is told, and no failure");
}

async fn read(root: &Path, for_all: serde_json::Value) -> Read {
    let variables = Variables::new(root, &Environment::of([]));
    let for_all = serde_json::from_value(for_all).unwrap();
    Read::under(root.to_path_buf(), variables, for_all, Wishes::default()).await.unwrap()
}

fn words(chosen: &Chosen) -> String {
    match chosen {
        Chosen::Named(name) => name.clone(),
        Chosen::Devcontainer(..) => "a devcontainer".to_owned(),
        Chosen::Dockerfile(source) => source.in_words().to_owned(),
    }
}

#[tokio::test]
async fn the_first_that_applies_is_chosen_and_nothing_behind_it_is_asked_about() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let write = |name: &str, text: &str| std::fs::write(root.join(name), text).unwrap();
    let chosen = async |for_all| words(&read(root, for_all).await.chosen);
    assert_eq!(chosen(json!({})).await, "Gemra's own Dockerfile.claude", "there is nothing else");
    write(USUAL, "FROM usual\n");
    assert_eq!(chosen(json!({})).await, "Gemra's own Dockerfile.claude", "nobody asked for the usual one");
    assert_eq!(chosen(json!({"useDockerfile": true})).await, "the workspace's Dockerfile", "somebody did");
    write(".devcontainer.json", r#"{"image": "a", "privileged": true}"#);
    assert_eq!(chosen(json!({"useDockerfile": true})).await, "a devcontainer", "it comes before the usual one");
    let not = json!({"useDevcontainer": false});
    assert_eq!(chosen(not.clone()).await, "Gemra's own Dockerfile.claude", "the user may not want it");
    write(WISHES, r#"{"useDevcontainer": true}"#);
    assert_eq!(chosen(not).await, "Gemra's own Dockerfile.claude", "whose word counts more");
    write(WISHES, r#"{"useDevcontainer": false}"#);
    assert_eq!(chosen(json!({})).await, "Gemra's own Dockerfile.claude", "nor may the project want it");
    assert_eq!(chosen(json!({"useDevcontainer": true})).await, "a devcontainer", "the user's word counts more");
    write(FILE, "FROM own\n");
    assert_eq!(chosen(json!({})).await, "the workspace's Dockerfile.claude", "what is written for Gemra comes first");
    assert_eq!(chosen(json!({"image": "mine"})).await, "mine", "but for an image of the user's");

    std::fs::remove_file(root.join(FILE)).unwrap();
    write(WISHES, r#"{"image": "theirs"}"#);
    let read = read(root, json!({})).await;
    assert_eq!(words(&read.chosen), "theirs", "or of the project's choice");
    let judged = read.judged();
    let keys: Vec<String> = read.items(&judged).into_iter().map(|item| item.key).collect();
    assert_eq!(keys, ["image"], "a devcontainer that would not be used is not asked about beside it");
    let mut not_applied = Vec::new();
    let without = read.without(&judged, false, &mut not_applied).await.unwrap();
    assert_eq!(words(&without), "Gemra's own Dockerfile.claude", "without it the next that needs no asking");
    assert!(not_applied[0].contains(".devcontainer.json"), "and what is not used is told: {not_applied:?}");
}

#[tokio::test]
async fn a_build_is_asked_about_with_its_text_and_all_that_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let write = |name: &str, text: &str| std::fs::write(root.join(name), text).unwrap();
    write(USUAL, "FROM a\nCOPY setup.sh /\nRUN /setup.sh\n");
    write("setup.sh", "echo 1\n");
    write("other.txt", "not copied\n");
    let asked = async || {
        let read = read(root, json!({"useDockerfile": true, "network": "isolated"})).await;
        let judged = read.judged();
        let shown = read.shown(&judged, true).await.unwrap();
        let question = read.question(&judged, shown.as_ref(), None).await.unwrap();
        (question, read.allowed(shown))
    };
    let (first, chosen) = asked().await;
    let [item] = &first.items[..] else { panic!("the build is asked about: {:?}", first.items) };
    assert_eq!((item.key.as_str(), item.file.as_str()), ("build", USUAL), "as a build, by its file");
    assert_eq!(item.text.as_deref(), Some("FROM a\nCOPY setup.sh /\nRUN /setup.sh\n"), "in full");
    assert!(item.value.contains("setup.sh") && !item.value.contains("other.txt"), "with what it copies: {item:?}");
    let Chosen::Dockerfile(source) = chosen else { panic!("it is the Dockerfile") };
    assert!(source.allowed.is_some(), "and nothing else may be sent");
    write("other.txt", "changed\n");
    assert_eq!(asked().await.0, first, "what is not copied is no matter");
    write("setup.sh", "echo 2\n");
    assert_ne!(asked().await.0.hash, first.hash, "what a step runs is");
    write("setup.sh", "echo 1\n");
    assert_eq!(asked().await.0, first, "the same is not asked twice");
    write(WISHES, r#"{"buildArgs": {"WHAT": "x"}}"#);
    let (with, _) = asked().await;
    assert!(with.hash != first.hash && with.items[0].value.contains("WHAT"), "arguments count: {with:?}");

    let plain = read(root, json!({"useDockerfile": true})).await;
    assert!(plain.shown(&plain.judged(), false).await.unwrap().is_none(), "on the host's network it is as usual");
    let named = read(root, json!({"useDockerfile": true, "image": "mine"})).await;
    assert!(named.shown(&named.judged(), true).await.unwrap().is_none(), "nor where nothing is built");
}

#[tokio::test]
async fn what_is_written_is_known_again_and_a_change_of_it_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let write = |name: &str, text: &str| std::fs::write(root.join(name), text).unwrap();
    let written = async || read(root, json!({})).await.written();
    let mut before = written().await;
    let mut changes = async |what: &str| {
        let now = written().await;
        assert_ne!(now, before, "{what} is seen");
        assert_eq!(written().await, now, "{what}: and is the same the next time");
        before = now;
    };
    write(WISHES, r#"{"pids": 100}"#);
    changes("a new .gemra.json").await;
    write("Dockerfile", "FROM a\n");
    write(".devcontainer.json", r#"{"build": {"dockerfile": "Dockerfile"}}"#);
    changes("a new devcontainer.json").await;
    write("Dockerfile", "FROM b\n");
    changes("its Dockerfile").await;
    write(".devcontainer.json", r#"{"build": {"dockerfile": "Dockerfile"}, "capAdd": ["SYS_PTRACE"]}"#);
    changes("what it asks for").await;
    write(FILE, "FROM c\n");
    changes("a Dockerfile that comes before it").await;
}
