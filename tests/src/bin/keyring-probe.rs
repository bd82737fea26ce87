//! Gemra's credentials in a process of their own, so that it can have a message bus of the test's: the keyring's library
//! reads the process's own environment, once. It prints what it is told to and decides nothing.
//!
//! `keyring-probe FILE list | values | set VARIABLE | forget VARIABLE`; a value to set comes on stdin.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use gemra_core::credentials::{Credentials, CredentialsError, Name};
use gemra_core::environment::Environment;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [file, rest @ ..] = words.as_slice() else { return say("a file is missing", false) };
    // Without GEMRA_HOME, as users have it.
    let environment = Environment::of([]);
    let credentials = Credentials::new(file.into(), &environment);
    match act(&credentials, &environment, rest).await {
        Ok(text) => say(&text, true),
        Err(error) => say(&error.to_string(), false),
    }
}

async fn act(credentials: &Credentials, environment: &Environment, words: &[&str]) -> Result<String, CredentialsError> {
    match words {
        ["list"] => Ok(format!("{:?}", credentials.list(environment).await?)),
        ["values"] => {
            credentials.ready().await?;
            let values = credentials.values();
            let lines: Vec<_> = values.iter().map(|(name, value)| format!("{}={value}", name.variable())).collect();
            Ok(lines.join("\n"))
        }
        ["set", variable] => {
            let mut value = String::new();
            // What cannot be read is empty, and is refused as such.
            let _ = std::io::stdin().read_to_string(&mut value);
            Ok(format!("{:?}", credentials.set(named(variable), &value).await?))
        }
        ["forget", variable] => credentials.forget(named(variable)).await.map(|()| "forgotten".to_owned()),
        other => Ok(format!("what is {other:?}?")),
    }
}

fn named(variable: &str) -> Name {
    Name::of(variable).unwrap_or_else(|| panic!("{variable} is none that is kept"))
}

fn say(text: &str, good: bool) -> ExitCode {
    // Whoever does not listen any more needs no answer.
    let _ = writeln!(std::io::stdout(), "{text}");
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
