//! The arguments for `docker run` in a `devcontainer.json`: those that Gemra knows how to grant, and the rest, which is
//! told.

use std::collections::BTreeSet;

use super::mounts::Mounted;
use super::properties::{Private, Properties};
use super::variables::Variables;
use crate::settings::container::NetworkChoice;

/// Flags that are followed by a value, as far as they are known here.
const WITH_VALUE: &[&str] = &[
    "--add-host",
    "--cap-add",
    "--cap-drop",
    "--cpus",
    "--device",
    "--dns",
    "--entrypoint",
    "--env",
    "--env-file",
    "--expose",
    "--gpus",
    "--group-add",
    "--hostname",
    "--ip",
    "--ipc",
    "--label",
    "--memory",
    "--memory-swap",
    "--mount",
    "--name",
    "--network",
    "--net",
    "--pid",
    "--pids-limit",
    "--platform",
    "--publish",
    "--restart",
    "--runtime",
    "--security-opt",
    "--shm-size",
    "--sysctl",
    "--tmpfs",
    "--ulimit",
    "--user",
    "--userns",
    "--volume",
    "--workdir",
    "-e",
    "-h",
    "-l",
    "-m",
    "-p",
    "-u",
    "-v",
    "-w",
];

/// Puts what the arguments ask for into `into`.
///
/// # Errors
/// In words, where a known one has a value that it cannot have.
pub fn read(args: &[String], variables: &Variables, into: &mut Properties) -> Result<(), String> {
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let (flag, value) = match arg.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
            // Short flags may have their value at once: `-m4g`.
            _ if arg.len() > 2 && arg.starts_with('-') && !arg.starts_with("--") => {
                let (flag, value) = arg.split_at(2);
                (flag, Some(value.to_owned()))
            }
            _ => (arg.as_str(), None),
        };
        let value = match value {
            None if WITH_VALUE.contains(&flag) => {
                Some(rest.next().cloned().ok_or_else(|| format!("{flag} has no value"))?)
            }
            value => value,
        };
        if !grant(flag, value.as_deref(), variables, into)? {
            into.not_applied.push(match value {
                Some(value) => format!("runArgs: {flag} {value}"),
                None => format!("runArgs: {flag}"),
            });
        }
        // What is a wish like the settings' has the same bounds.
        into.wishes.check().map_err(|error| format!("{flag}: {error}"))?;
    }
    Ok(())
}

/// False for what Gemra does not do.
fn grant(flag: &str, value: Option<&str>, variables: &Variables, into: &mut Properties) -> Result<bool, String> {
    let bad = |value: &str| format!("{flag} cannot be {value:?}");
    match (flag, value) {
        ("--init", None | Some("true")) => into.init = true,
        ("--privileged", None | Some("true")) => into.privileged = true,
        ("--cap-add", Some(value)) => into.cap_add.push(value.to_owned()),
        ("--security-opt", Some(value)) => into.security_opt.push(value.to_owned()),
        ("--add-host", Some(value)) if value.contains([':', '=']) => into.add_hosts.push(value.replacen('=', ":", 1)),
        ("--add-host", Some(value)) => return Err(bad(value)),
        ("--device", Some(value)) if value.starts_with('/') => into.devices.push(value.to_owned()),
        ("--memory" | "-m", Some(value)) => {
            let bytes = bytes(value).ok_or_else(|| bad(value))?;
            into.wishes.memory_mb = Some(mebibytes(bytes));
        }
        ("--shm-size", Some(value)) => {
            let bytes = bytes(value).ok_or_else(|| bad(value))?;
            into.wishes.shm_mb = Some(mebibytes(bytes));
        }
        ("--cpus", Some(value)) => {
            let cpus = value.parse::<f64>().ok().filter(|cpus| cpus.is_finite() && *cpus > 0.0);
            into.wishes.cpus = Some(cpus.ok_or_else(|| bad(value))?);
        }
        ("--network" | "--net", Some("host")) => into.wishes.network = Some(NetworkChoice::Host),
        ("--network" | "--net", Some("bridge" | "default")) => into.wishes.network = Some(NetworkChoice::Bridge),
        ("--network" | "--net", Some("none")) => {
            into.wishes.network = Some(NetworkChoice::Isolated);
            let words = "isolated instead, because the agent has to reach its model";
            into.not_applied.push(format!("runArgs: {flag} none: {words}"));
        }
        ("-e" | "--env", Some(pair)) => {
            let mut used = BTreeSet::new();
            let (name, text) = match pair.split_once('=') {
                Some((name, text)) => (name, Some(text.to_owned())),
                // The name alone means: as it is here.
                None => (pair, variables.local(pair, &mut used)),
            };
            if let Some(text) = text {
                let private = !used.is_empty();
                into.give(name, Private { text, private })?;
            }
            into.local.extend(used);
        }
        ("-v" | "--volume", Some(value)) => into.mounts.push(Mounted::volume(value)?),
        ("--mount", Some(value)) => into.mounts.push(Mounted::parse(value)?),
        _ => return Ok(false),
    }
    Ok(true)
}

/// A size as docker writes it: a number, and `b`, `k`, `m`, `g` or `t` after it.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let text = text.strip_suffix("ib").or_else(|| text.strip_suffix('b')).unwrap_or(&text);
    let (number, shift) = match text.chars().next_back()? {
        'k' => (&text[..text.len() - 1], 10),
        'm' => (&text[..text.len() - 1], 20),
        'g' => (&text[..text.len() - 1], 30),
        't' => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    number.parse::<u64>().ok().filter(|number| *number > 0)?.checked_mul(1 << shift)
}

fn mebibytes(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::container::devcontainer::mounts::Source;
    use crate::environment::Environment;

    fn read_all(args: &[&str]) -> Result<Properties, String> {
        let variables = Variables::new(Path::new("/p"), &Environment::of([("TOKEN", "secret")]));
        let mut properties = Properties::default();
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        read(&args, &variables, &mut properties)?;
        Ok(properties)
    }

    #[test]
    fn each_known_argument_is_granted_in_each_spelling() {
        let both = |flag: &str, value: &str| [vec![format!("{flag}={value}")], vec![flag.to_owned(), value.to_owned()]];
        let got = |args: &[String]| {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let all = read_all(&args).unwrap();
            assert!(all.not_applied.is_empty(), "{args:?} is known: {:?}", all.not_applied);
            all
        };
        for args in both("--cap-add", "SYS_PTRACE") {
            assert_eq!(got(&args).cap_add, ["SYS_PTRACE"], "{args:?}");
        }
        for args in both("--security-opt", "seccomp=unconfined") {
            assert_eq!(got(&args).security_opt, ["seccomp=unconfined"], "{args:?}");
        }
        for args in both("--add-host", "box:10.0.0.1") {
            assert_eq!(got(&args).add_hosts, ["box:10.0.0.1"], "{args:?}");
        }
        for args in both("--device", "/dev/fuse") {
            assert_eq!(got(&args).devices, ["/dev/fuse"], "{args:?}");
        }
        for (value, expected) in [("512m", 512), ("2g", 2048), ("1073741824", 1024), ("1GiB", 1024)] {
            for args in both("--memory", value) {
                assert_eq!(got(&args).wishes.memory_mb, Some(expected), "{args:?}");
            }
        }
        assert_eq!(got(&["-m4g".to_owned()]).wishes.memory_mb, Some(4096), "the short flag with its value");
        for args in both("--shm-size", "64m") {
            assert_eq!(got(&args).wishes.shm_mb, Some(64), "{args:?}");
        }
        for args in both("--cpus", "1.5") {
            assert_eq!(got(&args).wishes.cpus, Some(1.5), "{args:?}");
        }
        for (value, expected) in [("host", NetworkChoice::Host), ("bridge", NetworkChoice::Bridge)] {
            for args in both("--network", value) {
                assert_eq!(got(&args).wishes.network, Some(expected), "{args:?}");
            }
        }
        assert!(got(&["--init".to_owned()]).init, "an init process");
        assert!(got(&["--privileged".to_owned()]).privileged, "everything");
        for args in both("--env", "A=b=c") {
            assert_eq!(got(&args).container_env["A"].text, "b=c", "{args:?}");
        }
        for args in both("--volume", "/a:/b:ro") {
            let mounts = got(&args).mounts;
            assert_eq!((&mounts[0].source, mounts[0].read_only), (&Source::Path("/a".to_owned()), true), "{args:?}");
        }
        for args in both("--mount", "type=tmpfs,target=/b") {
            assert_eq!(got(&args).mounts[0].source, Source::Memory, "{args:?}");
        }
    }

    #[test]
    fn a_variable_without_a_value_is_this_machines_and_private() {
        let all = read_all(&["-e", "TOKEN", "-e", "NONE"]).unwrap();
        assert_eq!(all.container_env["TOKEN"], Private { text: "secret".to_owned(), private: true }, "as it is here");
        assert!(!all.container_env.contains_key("NONE"), "what is not set here is not set there");
        assert!(all.local.contains("TOKEN"), "and it is noted");
    }

    #[test]
    fn the_rest_is_told_with_its_value() {
        let all =
            read_all(&["--name", "mine", "--rm", "--network=other", "-p", "80:80", "--pid=host", "--init"]).unwrap();
        let told = [
            "runArgs: --name mine",
            "runArgs: --rm",
            "runArgs: --network other",
            "runArgs: -p 80:80",
            "runArgs: --pid host",
        ];
        assert_eq!(all.not_applied, told, "nothing is dropped silently");
        assert!(all.init, "and what follows is still read");
    }

    #[test]
    fn no_network_is_the_narrowest_in_which_an_agent_can_be() {
        for args in [&["--network=none"][..], &["--net", "none"]] {
            let all = read_all(args).unwrap();
            assert_eq!(all.wishes.network, Some(NetworkChoice::Isolated), "{args:?}: it is not the usual one");
            assert!(all.not_applied[0].contains("isolated instead"), "{args:?}: and told: {:?}", all.not_applied);
        }
    }

    #[test]
    fn values_that_cannot_be_are_refused() {
        for args in [
            &["--memory", "much"][..],
            &["--cpus=0"],
            &["--shm-size="],
            &["--add-host", "box"],
            &["--cap-add"],
            &["-v", "/a"],
        ] {
            assert!(read_all(args).is_err(), "{args:?} is refused");
        }
        for (args, named) in [
            (&["--memory=1k"][..], "--memory: 1 cannot be"),
            (&["--cpus", "0.001"], "--cpus: 0.001 processors"),
            (&["--shm-size=4096t"], "--shm-size: "),
        ] {
            let error = read_all(args).unwrap_err();
            assert!(error.contains(named), "{args:?}: the argument is named, with what can be: {error}");
        }
    }
}
