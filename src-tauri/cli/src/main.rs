//! Gemra on the command line: what needs no window. It reads its arguments, prints the answer and gives the exit code;
//! what is looked at is `doctor`'s.

mod arguments;
mod doctor;
mod exec;
mod holdings;
mod image;

use std::io::Write;
use std::process::ExitCode;

use gemra_core::environment::Environment;
use gemra_core::failure::Failure;

use crate::arguments::Arguments;

/// For what is wrong with the command line itself, as shells have it.
const USAGE: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    match arguments::parse(std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned())) {
        Ok(Arguments::Say(text)) => say(&text, ExitCode::SUCCESS),
        Ok(Arguments::Doctor { json }) => {
            let report = doctor::examine(&Environment::of_this_process()).await;
            let code = if report.chat_works() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
            let text = if json { doctor::json::of(&report) } else { doctor::words::of(&report) };
            say(&text, code)
        }
        Ok(Arguments::Ps { json, project }) => {
            answer(holdings::ps(&Environment::of_this_process(), json, project.as_deref()).await)
        }
        Ok(Arguments::Disk { json, project }) => {
            answer(holdings::disk(&Environment::of_this_process(), json, project.as_deref()).await)
        }
        Ok(Arguments::Prune { yes, project }) => {
            answer(holdings::prune(&Environment::of_this_process(), yes, project.as_deref()).await)
        }
        Ok(Arguments::Exec(asked)) => exec::run(&Environment::of_this_process(), &asked).await,
        Ok(Arguments::Image(order)) => match image::run(&order, &Environment::of_this_process()).await {
            Ok(said) => say(&said, ExitCode::SUCCESS),
            Err(failed) => {
                // Where stderr is closed nobody is left to tell.
                let _ = writeln!(std::io::stderr(), "{failed}");
                ExitCode::FAILURE
            }
        },
        Err(wrong) => {
            // Where stderr is closed nobody is left to tell.
            let _ = writeln!(std::io::stderr(), "gemra: {wrong}");
            ExitCode::from(USAGE)
        }
    }
}

/// Prints an answer of the engine's, or why there is none.
fn answer(found: Result<String, Failure>) -> ExitCode {
    match found {
        Ok(text) => say(&text, ExitCode::SUCCESS),
        Err(failure) => {
            // Where stderr is closed nobody is left to tell.
            let _ = writeln!(std::io::stderr(), "gemra: {}", holdings::failed(&failure));
            ExitCode::FAILURE
        }
    }
}

/// Prints the answer. A reader that has seen enough, as `head` has, is no failure of ours: hence no `println!`, which
/// would panic.
fn say(text: &str, code: ExitCode) -> ExitCode {
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) => code,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => code,
        Err(error) => {
            // The same: stderr is the last place to say it.
            let _ = writeln!(std::io::stderr(), "gemra: the answer could not be printed: {error}");
            ExitCode::FAILURE
        }
    }
}
