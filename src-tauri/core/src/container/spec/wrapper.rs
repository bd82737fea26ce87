//! What runs in the container before the agent: a few lines of shell that read the secrets from stdin, so that they
//! are neither in the container's environment, where `inspect` shows them, nor in any argument list.

use std::collections::BTreeMap;

/// What the shell says on stderr where the image holds no agent. [`run`](crate::container::run) looks for it.
pub const AGENT_MISSING: &str = "gemra: this image has no claude";

/// The script; the agent's arguments follow as `"$@"`.
///
/// - `read` takes stdin byte by byte, so that the line after the first is left for the agent.
/// - An end of input before the first line means that nobody wants the agent any more: no failure.
/// - Values may hold newlines, which the one line spells as `$n`.
/// - The first process of a container takes no signal that it does not ask for, and nobody takes its place as parent.
///   Where the engine had no init process to put there, the image's own does.
pub(crate) const SCRIPT: &str = concat!(
    "IFS= read -r line || exit 0\n",
    "n='\n'\n",
    "eval \"$line\"\n",
    "unset line n\n",
    "command -v claude >/dev/null 2>&1 || { echo 'gemra: this image has no claude' >&2; exit 127; }\n",
    "if [ $$ = 1 ] && command -v tini >/dev/null 2>&1; then exec tini -- claude \"$@\"; fi\n",
    "exec claude \"$@\"\n",
);

/// Why a variable cannot be given to the agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VariableError {
    /// The shell knows no such name.
    #[error("{0:?} is not a name that an environment variable can have")]
    Name(String),
    /// No environment can hold a zero byte. The value is not told, because it may be a key.
    #[error("The value of {0} holds a zero byte")]
    Value(String),
}

/// The first line for the script's stdin, without its newline: variables for the agent, and arguments that follow
/// those of the container's own command. It holds secrets: never log it.
///
/// # Errors
/// [`VariableError`] where a name or a value cannot be in an environment.
pub fn first_line(variables: &BTreeMap<String, String>, args: &[String]) -> Result<String, VariableError> {
    let mut line = String::from(":");
    for (name, value) in variables {
        if !is_name(name) {
            return Err(VariableError::Name(name.clone()));
        }
        if value.contains('\0') {
            return Err(VariableError::Value(name.clone()));
        }
        line.push_str("; export ");
        line.push_str(name);
        line.push('=');
        line.push_str(&quoted(value));
    }
    if !args.is_empty() {
        line.push_str("; set -- \"$@\"");
        for arg in args {
            line.push(' ');
            line.push_str(&quoted(arg));
        }
    }
    Ok(line)
}

/// What the first line begins with where the container's own variables are taken away.
///
/// # Errors
/// [`VariableError::Name`].
pub fn taken_away(names: &[String]) -> Result<String, VariableError> {
    if let Some(name) = names.iter().find(|name| !is_name(name)) {
        return Err(VariableError::Name(name.clone()));
    }
    Ok(names.iter().flat_map(|name| ["unset ", name.as_str(), "; "]).collect())
}

/// True for what POSIX calls a name.
pub fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

/// In single quotes, in which the shell reads nothing but the quote itself.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "'\\''").replace('\n', "'\"$n\"'"))
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::process::spawn::{Program, spawn};
    use crate::process::{Exit, Output};

    /// Runs the script with a stand-in `claude` on PATH, as a container does.
    async fn run(claude: Option<&str>, lines: &[&str]) -> (Vec<String>, Exit) {
        let folder = tempfile::tempdir().unwrap();
        if let Some(text) = claude {
            let file = folder.path().join("claude");
            std::fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
            std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let mut process = spawn(&Program {
            path: "/bin/sh".into(),
            args: ["-c", SCRIPT, "gemra", "--flag", "two words"].iter().map(Into::into).collect(),
            folder: "/".into(),
            environment: vec![("PATH".into(), Some(path.into()))],
        })
        .unwrap();
        for line in lines {
            process.input.send((*line).to_owned());
        }
        process.input.close();
        let mut seen = Vec::new();
        while let Ok(Some(Output::Line { text, .. })) =
            tokio::time::timeout(Duration::from_secs(10), process.output.recv()).await
        {
            seen.push(text);
        }
        (seen, process.stop.gone().await)
    }

    #[tokio::test]
    async fn any_value_arrives_as_it_was() {
        let values = [
            "plain",
            "",
            "it's \"quoted\" `x` $(touch /tmp/never) $HOME \\ \\n",
            "two\nlines\n\nand an end\n",
            "$n",
            "ümläut ☃ \u{1} \t*?[",
            "'",
            "''\n''",
        ];
        for value in values {
            let variables = BTreeMap::from([("V_1".to_owned(), value.to_owned())]);
            let line = first_line(&variables, &[]).unwrap();
            assert!(!line.contains('\n'), "one line whatever the value: {line:?}");
            let (seen, exit) =
                run(Some("printf '%s|' \"$V_1\"; echo; cat; echo \"$1,$2\""), &[&line, "the next line"]).await;
            assert_eq!(exit.code, Some(0), "the agent ran: {}", exit.stderr);
            assert_eq!(
                seen.join("\n"),
                format!("{value}|\nthe next line\n--flag,two words"),
                "value, next line and arguments arrive whole"
            );
        }
    }

    #[tokio::test]
    async fn the_wrappers_own_variables_are_gone() {
        let (seen, _) = run(Some("env"), &[&first_line(&BTreeMap::new(), &[]).unwrap()]).await;
        assert!(
            !seen.iter().any(|line| line.starts_with("line=") || line.starts_with("n=")),
            "nothing is left: {seen:?}"
        );
    }

    #[tokio::test]
    async fn what_is_taken_away_is_not_there() {
        let given = BTreeMap::from([("A".to_owned(), "given".to_owned())]);
        let names = ["PWD".to_owned(), "A".to_owned()];
        let line = format!("{}{}", taken_away(&names).unwrap(), first_line(&given, &[]).unwrap());
        let (seen, _) = run(Some("echo \"$A\""), &[&line]).await;
        assert_eq!(seen, ["given"], "what is given comes after what is taken");
        let (seen, _) = run(
            Some("echo \"${GONE-gone}\""),
            &[&format!("export GONE=1; {}:", taken_away(&["GONE".to_owned()]).unwrap())],
        )
        .await;
        assert_eq!(seen, ["gone"], "and what is taken is not set");
        assert!(taken_away(&["A;rm".to_owned()]).is_err(), "a name is a name");
    }

    #[tokio::test]
    async fn arguments_may_come_late() {
        let late = ["--resume".to_owned(), "it's late".to_owned()];
        let line = first_line(&BTreeMap::new(), &late).unwrap();
        let (seen, _) = run(Some("for a in \"$@\"; do echo \"$a\"; done"), &[&line]).await;
        assert_eq!(seen, ["--flag", "two words", "--resume", "it's late"], "they follow the command's own");
    }

    #[tokio::test]
    async fn an_image_without_an_agent_says_so() {
        let (_, exit) = run(None, &[":"]).await;
        assert_eq!((exit.code, exit.stderr.as_str()), (Some(127), AGENT_MISSING), "code and words are known");
    }

    #[tokio::test]
    async fn an_end_before_the_first_line_is_no_failure() {
        let (seen, exit) = run(Some("echo started"), &[]).await;
        assert_eq!((exit.code, seen.len()), (Some(0), 0), "the agent is never started");
    }

    #[test]
    fn impossible_variables_are_refused() {
        for name in ["", "1A", "A-B", "A B", "A=B", "A;rm", "Ä"] {
            let variables = BTreeMap::from([(name.to_owned(), "secret".to_owned())]);
            let error = first_line(&variables, &[]).unwrap_err();
            assert_eq!(error, VariableError::Name(name.to_owned()), "{name:?} is no name");
        }
        let zero = BTreeMap::from([("A".to_owned(), "secret\0".to_owned())]);
        let error = first_line(&zero, &[]).unwrap_err().to_string();
        assert!(error.contains('A') && !error.contains("secret"), "the name is told, the value is not: {error}");
    }
}
