//! `gemra` as its users run it: what the doctor says of engines, settings and CLIs that are there, broken or missing, in
//! words and as JSON.

// The whole file is a test, its functions that are not marked so as well.
#![allow(clippy::unwrap_used)]

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;
use tests::engine::Engine;
use tests::{desktop, needs, spawn};

/// The command line, built as its users get it.
fn gemra() -> PathBuf {
    let path = desktop::target().join("release/gemra");
    assert!(path.exists(), "{} is missing: `cargo xtask build` builds it", path.display());
    path
}

/// What one run gave.
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// A user with folders of their own, and nothing of this process's environment but the path.
struct User {
    folder: TempDir,
}

impl User {
    fn new() -> Self {
        let user = Self { folder: tempfile::Builder::new().prefix("gemra-doctor-").tempdir().unwrap() };
        for name in ["home", "gemra", "docker"] {
            std::fs::create_dir(user.path(name)).unwrap();
        }
        user
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `gemra` with the real CLI and an engine that is gone, unless `environment` says otherwise; an empty value
    /// leaves a variable out.
    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Said {
        let mut command = spawn::command(gemra());
        command.args(arguments).env_clear().current_dir(self.folder.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("SHELL", "/bin/sh");
        command.env("HOME", self.path("home")).env("GEMRA_HOME", self.path("gemra"));
        command.env("GEMRA_CLAUDE", desktop::claude()).env("DOCKER_CONFIG", self.path("docker"));
        command.env("DOCKER_HOST", self.gone());
        for (name, value) in environment {
            if value.is_empty() {
                command.env_remove(name);
            } else {
                command.env(name, value);
            }
        }
        let output = spawn::output(&mut command).unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    fn gone(&self) -> String {
        format!("unix://{}", self.path("gone.sock").display())
    }

    /// The doctor's report both ways; both end with the same code.
    fn doctor(&self, environment: &[(&str, &str)]) -> (Option<i32>, String, Value) {
        let words = self.run(&["doctor"], environment);
        let json = self.run(&["doctor", "--json"], environment);
        assert_eq!(words.code, json.code, "the format decides nothing: {}", words.stdout);
        let value = serde_json::from_str(&json.stdout).unwrap_or_else(|error| panic!("{error}: {}", json.stdout));
        (words.code, words.stdout, value)
    }
}

/// Every text in the value, which the report in words has to hold as well; codes and addresses included.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => text.lines().collect(),
        Value::Array(all) => all.iter().flat_map(texts).collect(),
        Value::Object(all) => all.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// What it is, the environment, whether chat and container mode work, where the failure is, and its code.
type Case<'a> = (&'a str, Vec<(&'a str, &'a str)>, bool, bool, &'a str, &'a str);

#[test]
fn each_trouble_has_its_class_its_cause_and_its_next_step() {
    let user = User::new();
    let engine = Engine::shared().address();
    // A socket that nobody listens on any more, as a daemon leaves it behind.
    let dead = user.path("dead.sock");
    drop(UnixListener::bind(&dead).unwrap());
    let dead = format!("unix://{}", dead.display());
    let no_cli = user.path("no-cli").display().to_string();
    let mute = user.path("mute");
    std::fs::write(&mute, "#!/bin/sh\nexit 3\n").unwrap();
    desktop::make_executable(&mute);
    let mute = mute.display().to_string();
    let file = user.path("file");
    std::fs::write(&file, "").unwrap();
    let file = file.display().to_string();
    let cases: Vec<Case<'_>> = vec![
        ("all is well", vec![("DOCKER_HOST", engine)], true, true, "", ""),
        ("an engine that is gone", vec![], true, false, "/engine", "engine-not-running"),
        ("a dead DOCKER_HOST", vec![("DOCKER_HOST", &dead)], true, false, "/engine", "engine-not-running"),
        ("a DOCKER_HOST that is none", vec![("DOCKER_HOST", "nonsense")], true, false, "/engine", "engine-bad-address"),
        (
            "a context that is not there",
            vec![("DOCKER_HOST", ""), ("DOCKER_CONTEXT", "nowhere")],
            true,
            false,
            "/engine",
            "engine-bad-address",
        ),
        (
            "no CLI where it is named",
            vec![("DOCKER_HOST", engine), ("GEMRA_CLAUDE", &no_cli)],
            false,
            true,
            "/claude",
            "claude-missing",
        ),
        (
            "no CLI on PATH",
            vec![("DOCKER_HOST", engine), ("GEMRA_CLAUDE", ""), ("PATH", "/nowhere"), ("SHELL", "")],
            false,
            true,
            "/claude",
            "claude-missing",
        ),
        ("a CLI that does not run", vec![("GEMRA_CLAUDE", &mute)], false, false, "/claude", "agent-not-started"),
        (
            "a home that is a file",
            vec![("DOCKER_HOST", engine), ("GEMRA_HOME", &file)],
            false,
            false,
            "/home",
            "home-unusable",
        ),
    ];
    for (what, environment, chat, container, place, code) in cases {
        let (exit, words, json) = user.doctor(&environment);
        assert_eq!(exit, Some(i32::from(!chat)), "{what}: the code is about chat on the host\n{words}");
        assert_eq!(json["chat"]["works"], chat, "{what}: chat\n{words}");
        assert_eq!(json["container"]["works"], container, "{what}: container mode\n{words}");
        for (name, works) in [("Chat on the host", chat), ("Container mode", container)] {
            let says = if works { "works" } else { "does not work" };
            let line = words.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            assert_eq!(line.trim_start_matches(':').trim(), says, "{what}: {name} in words");
        }
        for text in texts(&json) {
            assert!(words.contains(text), "{what}: both reports hold the same, but in words there is no {text:?}");
        }
        if place.is_empty() {
            assert!(!words.contains("to do:"), "{what}: nothing is to be done\n{words}");
            continue;
        }
        let failure = json.pointer(&format!("{place}/failure")).unwrap();
        assert_eq!(failure["code"], code, "{what}: {failure:#}");
        for part in ["title", "cause", "action"] {
            assert!(failure[part].as_str().is_some_and(|text| !text.is_empty()), "{what} has a {part}: {failure:#}");
        }
        assert!(!words.contains("Retry"), "{what}: there is no such button here\n{words}");
    }
}

#[test]
fn what_was_tried_is_told() {
    let user = User::new();
    let (_, _, json) = user.doctor(&[]);
    assert_eq!(json["engine"]["asked"][1]["value"], user.gone(), "what DOCKER_HOST says: {json:#}");
    let tried = json["engine"]["tried"].to_string();
    assert!(tried.contains(&user.gone()) && tried.contains("DOCKER_HOST"), "and what came of it: {tried}");
    std::fs::write(user.path("gemra/settings.json"), r#"{"engine": "tcp://127.0.0.1:1"}"#).unwrap();
    let (_, _, json) = user.doctor(&[]);
    assert_eq!(json["engine"]["asked"][0]["value"], "tcp://127.0.0.1:1", "the setting comes first: {json:#}");
    let all = json["engine"]["all"].as_array().unwrap();
    let row = |origin: &str| all.iter().find(|row| row["origin"] == origin).unwrap_or(&Value::Null);
    assert_eq!(row("the settings")["kind"], "tcp", "how it would be reached: {json:#}");
    for origin in ["the settings", "DOCKER_HOST"] {
        let row = row(origin);
        assert_eq!(row["outcome"], "engine-not-running", "{origin}: {json:#}");
        assert!(row["next"].as_str().is_some_and(|next| next.contains("Start it")), "{origin}: {json:#}");
    }
    let tried = json["engine"]["tried"].to_string();
    assert!(tried.contains("tcp://127.0.0.1:1 (the settings)"), "and is final: {tried}");
    assert!(!tried.contains("gone.sock"), "and is final: {tried}");
}

#[test]
fn where_nothing_names_an_engine_known_sockets_are_tried() {
    let user = User::new();
    let (code, words, json) = user.doctor(&[("DOCKER_HOST", "")]);
    assert_eq!(code, Some(0), "chat needs no engine: {words}");
    // The machine's own engine, if it has one, is found; the truth about that comes from the sockets themselves.
    let sockets = ["/var/run/docker.sock", "/run/podman/podman.sock"];
    let alive = sockets.iter().any(|socket| std::os::unix::net::UnixStream::connect(socket).is_ok());
    assert_eq!(json["container"]["works"], alive, "{words}");
    if alive {
        assert_eq!(json["engine"]["origin"], "a known socket", "{words}");
    } else {
        let code = json["engine"]["failure"]["code"].as_str().unwrap();
        assert!(["engine-not-installed", "engine-not-running", "engine-no-permission"].contains(&code), "{words}");
        assert!(json["engine"]["tried"].to_string().contains("/var/run/docker.sock"), "what was tried: {json:#}");
    }
}

#[tokio::test]
async fn an_engine_that_answers_is_described() {
    let user = User::new();
    let engine = Engine::shared();
    let (api, address) = (engine.api(), engine.address());
    let (_, words, json) = user.doctor(&[("DOCKER_HOST", address)]);
    let engine = &json["engine"];
    assert_eq!(engine["address"], address, "{words}");
    assert_eq!(engine["origin"], "DOCKER_HOST", "{words}");
    assert_eq!(engine["rootless"], false, "the engine of the tests is root's: {words}");
    let cpus = std::thread::available_parallelism().unwrap().get() as u64;
    assert!(engine["cpus"].as_u64().is_some_and(|count| count >= cpus), "all processors of the machine: {engine:#}");
    assert!(engine["memory"].as_u64().is_some_and(|bytes| bytes > 100_000_000), "memory in bytes: {engine:#}");
    let told = format!("{} processors", engine["cpus"]);
    assert!(words.contains(&told), "in words too: {words}");
    let image = &json["image"];
    let tag = image["tag"].as_str().unwrap();
    assert!(tag.starts_with("gemra-claude:"), "its image: {image:#}");
    assert_eq!(image["there"], api.inspect_image(tag).await.is_ok(), "and whether it is there: {image:#}");
    let there = image["there"] == true;
    assert!(words.contains(if there { ": there" } else { "not there yet" }), "in words too: {words}");
}

#[test]
fn broken_settings_are_told_and_left_as_they_are() {
    let user = User::new();
    let path = user.path("gemra/settings.json");
    for broken in ["not json", "{\"engine\": 3}", ""] {
        std::fs::write(&path, broken).unwrap();
        let (code, words, json) = user.doctor(&[]);
        assert_eq!(code, Some(0), "chat goes on with the defaults: {words}");
        let failure = &json["settings"]["failure"];
        assert_eq!(failure["code"], "settings-invalid", "{broken:?}: {json:#}");
        assert!(failure["cause"].as_str().unwrap().contains(path.to_str().unwrap()), "the file is named: {failure:#}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), broken, "{broken:?} is still there");
    }
    std::fs::remove_file(&path).unwrap();
    let (_, words, json) = user.doctor(&[]);
    assert_eq!(json["settings"]["there"], false, "no file is no failure: {words}");
    assert_eq!(json["settings"]["failure"], Value::Null, "no file is no failure: {words}");
    assert_eq!(entries(&user.path("gemra")), 0, "the doctor has written nothing");
}

#[test]
fn the_cli_and_its_version_are_told() {
    let user = User::new();
    let (_, words, json) = user.doctor(&[]);
    let program = desktop::claude();
    let output = spawn::output(spawn::command(&program).arg("--version")).unwrap();
    let version = String::from_utf8(output.stdout).unwrap();
    let version = version.split_whitespace().next().unwrap();
    assert_eq!(json["claude"]["version"], version, "{words}");
    assert_eq!(json["claude"]["path"], program.to_str().unwrap(), "{words}");
}

/// A user whose terminal finds a CLI that is a script, and what runs it, in a folder that this shell's own file adds to
/// PATH; and a start from a desktop, where PATH has nothing.
fn found_by_a_terminals_shell(shell: &str, file: &str, text: &str) {
    let Some(shell) = needs::program(shell, "it is a login shell that people have") else { return };
    let user = User::new();
    let tools = user.path("home/tools");
    std::fs::create_dir(&tools).unwrap();
    std::os::unix::fs::symlink("/bin/sh", tools.join("runs-the-cli")).unwrap();
    let cli = tools.join("claude");
    std::fs::write(&cli, "#!/usr/bin/env runs-the-cli\necho '9.8.7 (Claude Code)'\n").unwrap();
    desktop::make_executable(&cli);
    let file = user.path("home").join(file);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, format!("echo welcome\n{text}\n")).unwrap();
    let shell = shell.to_str().unwrap();
    let environment = [("GEMRA_CLAUDE", ""), ("PATH", "/nowhere"), ("SHELL", shell)];
    let (_, words, json) = user.doctor(&environment);
    assert_eq!(json["claude"]["path"], cli.to_str().unwrap(), "{shell} leads to it: {words}");
    assert_eq!(json["claude"]["version"], "9.8.7", "{shell} leads to what runs it as well: {words}");
    std::fs::remove_file(&file).unwrap();
    let (_, words, json) = user.doctor(&environment);
    assert_eq!(json["claude"]["failure"]["code"], "claude-missing", "nothing else does: {words}");
}

#[test]
fn what_a_terminal_with_fish_finds_is_found() {
    found_by_a_terminals_shell("fish", ".config/fish/config.fish", "fish_add_path --global $HOME/tools");
}

#[test]
fn what_a_terminal_with_zsh_finds_is_found() {
    found_by_a_terminals_shell("zsh", ".zshrc", "path=($HOME/tools $path)");
}

#[test]
fn what_a_terminal_with_tcsh_finds_is_found() {
    found_by_a_terminals_shell("tcsh", ".tcshrc", "set path = ($HOME/tools $path)");
}

#[test]
fn the_command_line_is_read_or_refused() {
    let user = User::new();
    let version = user.run(&["--version"], &[]);
    assert_eq!((version.code, version.stdout.as_str()), (Some(0), "gemra 0.1.0\n"), "the version");
    for arguments in [&["--help"][..], &["-h"], &[]] {
        let help = user.run(arguments, &[]);
        assert!(help.code == Some(0) && help.stdout.contains("doctor [--json]"), "{arguments:?}: {}", help.stdout);
    }
    for (arguments, named) in
        [(&["docter"][..], "docter"), (&["doctor", "--jsn"], "--jsn"), (&["doctor", "all"], "all")]
    {
        let refused = user.run(arguments, &[]);
        assert_eq!(refused.code, Some(2), "{arguments:?} is refused: {}", refused.stdout);
        assert!(refused.stdout.is_empty(), "{arguments:?} is no answer: {}", refused.stdout);
        assert!(refused.stderr.contains(named) && refused.stderr.contains("--help"), "it is named: {}", refused.stderr);
    }
}

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}
