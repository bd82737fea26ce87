//! The baseline: what a person without Gemra would type. `docker run -i --rm` with everything that the app's container
//! has, read off that container, and the handshake with the agent in it. It knows nothing of how the app does it.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, ChildStdin, ChildStdout, Stdio};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use ::tests::spawn::{self, Running};
use bollard::models::{ContainerInspectResponse, HostConfig};
use gemra_core::container::spec;
use gemra_core::environment::Environment;
use serde_json::Value;

use crate::Trouble;

/// Where the conversations of the workspace are in the container.
const BUCKET: &str = "/.claude/projects/-workspace";
/// The question that an agent answers as soon as it is up, and the mark of its answer.
const HELLO: &str =
    r#"{"type":"control_request","request_id":"bench","request":{"subtype":"initialize","hooks":null}}"#;
/// How long `docker run` may take to end once the agent's input has.
const END: Duration = Duration::from_secs(30);
/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(10);
const NANO: f64 = 1e9;

/// A plain `docker run`, ready to be started again and again.
#[derive(Debug)]
pub(crate) struct Plain {
    before: Vec<String>,
    after: Vec<String>,
    /// The agent's variables. Some are keys, so they are in no argument.
    variables: Vec<(String, String)>,
    /// The folder of conversations on the host.
    bucket: PathBuf,
}

impl Plain {
    /// One like the container of the app with this process id.
    pub(crate) fn like(address: &str, container: &ContainerInspectResponse, app: u32) -> Result<Self, Trouble> {
        let config = container.config.clone().unwrap_or_default();
        let host = container.host_config.clone().unwrap_or_default();
        let missing = |what: &str| Trouble::Measurement(format!("the app's container has no {what}"));
        let mut before: Vec<String> =
            ["-H", address, "run", "-i", "--rm", "--pull=never", "--entrypoint=claude"].map(str::to_owned).into();
        let mut push = |name: &str, value: String| before.push(format!("--{name}={value}"));
        push("user", config.user.ok_or_else(|| missing("user"))?);
        push("workdir", config.working_dir.ok_or_else(|| missing("working folder"))?);
        for variable in config.env.unwrap_or_default() {
            push("env", variable);
        }
        let variables = passed(app)?;
        for (name, _) in &variables {
            push("env", name.clone());
        }
        before.extend(options(&host));
        let mut bucket = None;
        for mount in host.mounts.unwrap_or_default() {
            let kind = mount.typ.map(|kind| kind.to_string()).unwrap_or_default();
            let (source, target) = (mount.source.unwrap_or_default(), mount.target.unwrap_or_default());
            if target.ends_with(BUCKET) {
                bucket = Some(PathBuf::from(&source));
            }
            before.push(format!("--mount=type={kind},source={source},target={target}"));
        }
        before.push(config.image.ok_or_else(|| missing("image"))?);
        let after = config.cmd.ok_or_else(|| missing("arguments"))?;
        Ok(Self { before, after, variables, bucket: bucket.ok_or_else(|| missing("folder of conversations"))? })
    }

    /// Runs it once, with the conversation resumed: from the start of the docker CLI to the agent's answer to the
    /// handshake, in milliseconds. It returns when the container has ended.
    pub(crate) fn run(&self) -> Result<f64, Trouble> {
        self.run_beside(&Barrier::new(1))
    }

    /// Runs all of them at once, each until all have answered: from the start of the first docker CLI to the last answer.
    pub(crate) fn run_all(all: &[Self]) -> Result<f64, Trouble> {
        let together = Barrier::new(all.len());
        let each: Vec<Result<f64, Trouble>> = std::thread::scope(|scope| {
            let begun: Vec<_> = all.iter().map(|one| scope.spawn(|| one.run_beside(&together))).collect();
            let lost = |_| Err(Trouble::Measurement("docker run: its thread was lost".to_owned()));
            begun.into_iter().map(|one| one.join().unwrap_or_else(lost)).collect()
        });
        each.into_iter().try_fold(0.0, |longest: f64, one| one.map(|took| longest.max(took)))
    }

    /// The agent's input ends when everybody else's agent has answered, too.
    fn run_beside(&self, together: &Barrier) -> Result<f64, Trouble> {
        let begun = self.begin();
        let answered = begun.map(|(running, (stdin, stdout, stderr), began)| {
            let answered = ask(stdin, stdout).map(|rest| (rest, began.elapsed()));
            (running, stderr, answered)
        });
        // Whatever has become of it: the others wait.
        together.wait();
        let (mut running, mut stderr, answered) = answered?;
        let answered = answered.map(|((stdin, lines), took)| {
            drop(stdin);
            // What comes after is nobody's, but a full pipe would keep the agent from ending.
            lines.for_each(drop);
            took
        });
        let ended = wait(&mut running);
        match (answered, ended) {
            (Ok(took), Ok(())) => Ok(took.as_secs_f64() * 1000.0),
            (Err(cause), _) | (_, Err(cause)) => {
                let mut said = String::new();
                // Best effort: the cause is told in any case.
                let _ = std::io::Read::read_to_string(&mut stderr, &mut said);
                Err(failed(&format!("{cause}; it said: {}", said.trim())))
            }
        }
    }

    fn begin(&self) -> Result<(Running, Pipes, Instant), Trouble> {
        let mut command = spawn::command("docker");
        command.args(&self.before).args(&self.after).args(conversation(&self.bucket)?);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let began = Instant::now();
        let mut running = Running::start(&mut command).map_err(|error| failed(&error.to_string()))?;
        let child = running.child();
        match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
            (Some(stdin), Some(stdout), Some(stderr)) => Ok((running, (stdin, stdout, stderr), began)),
            _ => Err(failed("it has no pipes")),
        }
    }
}

type Pipes = (ChildStdin, ChildStdout, ChildStderr);

fn failed(cause: &str) -> Trouble {
    Trouble::Measurement(format!("docker run: {cause}"))
}

/// Asks and waits for the answer; then the agent's input, which is to end, and what it says further.
fn ask(mut stdin: ChildStdin, stdout: ChildStdout) -> Result<(ChildStdin, Lines<BufReader<ChildStdout>>), String> {
    stdin.write_all(format!("{HELLO}\n").as_bytes()).map_err(|error| error.to_string())?;
    let mut lines = BufReader::new(stdout).lines();
    let answer = lines.by_ref().find_map(|line| match line {
        Ok(line) => is_answer(&line).map(Ok),
        Err(error) => Some(Err(error.to_string())),
    });
    match answer {
        Some(Ok(true)) => Ok((stdin, lines)),
        Some(Ok(false)) => Err("the agent refused the handshake".to_owned()),
        Some(Err(cause)) => Err(cause),
        None => Err("it ended without an answer to the handshake".to_owned()),
    }
}

/// Whether the line is the answer, and a good one.
fn is_answer(line: &str) -> Option<bool> {
    let value: Value = serde_json::from_str(line).ok()?;
    let response = (value["type"] == "control_response").then(|| &value["response"])?;
    (response["request_id"] == "bench").then(|| response["subtype"] == "success")
}

fn wait(running: &mut Running) -> Result<(), String> {
    let deadline = Instant::now() + END;
    loop {
        match running.ended().map_err(|error| error.to_string())? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(format!("it ended with {status}")),
            None if Instant::now() >= deadline => return Err(format!("it did not end within {END:?}")),
            None => std::thread::sleep(LOOK),
        }
    }
}

/// The variables that the app gives to its agents: read off the app itself, and chosen as it chooses them.
fn passed(app: u32) -> Result<Vec<(String, String)>, Trouble> {
    let path = format!("/proc/{app}/environ");
    let raw = std::fs::read(&path)
        .map_err(|error| Trouble::Measurement(format!("the app's environment cannot be read: {error}")))?;
    let text = String::from_utf8_lossy(&raw);
    let pairs = text.split('\0').filter_map(|entry| entry.split_once('='));
    Ok(spec::passed(&Environment::of(pairs)).into_iter().collect())
}

/// The conversation of the one tab: the one that it has, or else a new one.
fn conversation(bucket: &Path) -> Result<[String; 2], Trouble> {
    // An agent on the host that leaves takes an empty one along, and nothing can be mounted that is not there.
    let entries = std::fs::create_dir_all(bucket)
        .and_then(|()| std::fs::read_dir(bucket))
        .map_err(|error| Trouble::Measurement(format!("{} cannot be read: {error}", bucket.display())))?;
    let names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".jsonl").map(str::to_owned))
        .collect();
    match names.as_slice() {
        [one] => Ok(["--resume".to_owned(), one.clone()]),
        [] => Ok(["--session-id".to_owned(), uuid::Uuid::new_v4().to_string()]),
        others => Err(Trouble::Measurement(format!("there is not one conversation to resume but {others:?}"))),
    }
}

/// Network, limits and hardening.
fn options(host: &HostConfig) -> Vec<String> {
    let mut all = Vec::new();
    let mut push = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            all.push(format!("--{name}={value}"));
        }
    };
    let number = |value: Option<i64>| value.filter(|value| *value > 0).map(|value| value.to_string());
    push("init", host.init.map(|init| init.to_string()));
    push("network", host.network_mode.clone());
    push("log-driver", host.log_config.as_ref().and_then(|log| log.typ.clone()));
    push("memory", number(host.memory));
    push("memory-swap", number(host.memory_swap));
    push("pids-limit", number(host.pids_limit));
    push("shm-size", number(host.shm_size));
    #[allow(clippy::cast_precision_loss)] // A machine has fewer processors than a float has digits.
    push("cpus", host.nano_cpus.filter(|nano| *nano > 0).map(|nano| (nano as f64 / NANO).to_string()));
    for (name, values) in
        [("add-host", &host.extra_hosts), ("cap-drop", &host.cap_drop), ("security-opt", &host.security_opt)]
    {
        for value in values.iter().flatten() {
            push(name, Some(value.clone()));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_from_other_lines() {
        let cases = [
            (r#"{"type":"control_response","response":{"subtype":"success","request_id":"bench"}}"#, Some(true)),
            (r#"{"type":"control_response","response":{"subtype":"error","request_id":"bench"}}"#, Some(false)),
            (r#"{"type":"control_response","response":{"subtype":"success","request_id":"other"}}"#, None),
            (r#"{"type":"system","subtype":"init"}"#, None),
            ("no JSON", None),
        ];
        for (line, expected) in cases {
            assert_eq!(is_answer(line), expected, "{line}");
        }
    }

    #[test]
    fn what_the_container_has_is_asked_for() {
        let host = HostConfig {
            init: Some(true),
            network_mode: Some("host".to_owned()),
            memory: Some(1024),
            memory_swap: Some(0),
            nano_cpus: Some(1_500_000_000),
            cap_drop: Some(vec!["ALL".to_owned()]),
            ..HostConfig::default()
        };
        let expected = ["--init=true", "--network=host", "--memory=1024", "--cpus=1.5", "--cap-drop=ALL"];
        assert_eq!(options(&host), expected, "and what it has not is not");
    }
}
