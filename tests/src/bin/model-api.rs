//! The stand-in Messages API as a program: `model-api [--port N] [--bind ADDR]`. It prints one line with its address
//! and ends when its stdin ends or SIGTERM comes, so that it never outlives whoever started it.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;

use tests::model_api::ModelApi;
use tokio::io::AsyncReadExt as _;

const USAGE: &str = "usage: model-api [--port N] [--bind ADDR]";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Nothing is left to tell it to if stderr is closed.
            let _ = writeln!(std::io::stderr(), "model-api: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let (bind, port) = arguments(std::env::args().skip(1))?;
    let api = ModelApi::start_at(bind, port).map_err(|error| format!("cannot listen on {bind}:{port}: {error}"))?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "listening on {}", api.url()).and_then(|()| stdout.flush()).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let waited = runtime.block_on(until_told());
    // The reader of stdin sits in a blocking thread that a signal does not wake.
    runtime.shutdown_background();
    waited
}

async fn until_told() -> Result<(), String> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(|error| format!("cannot watch for SIGTERM: {error}"))?;
    #[cfg(unix)]
    let told = terminate.recv();
    #[cfg(not(unix))]
    let told = tokio::signal::ctrl_c();
    tokio::select! {
        _ = told => Ok(()),
        ended = stdin_end() => ended,
    }
}

async fn stdin_end() -> Result<(), String> {
    let mut stdin = tokio::io::stdin();
    let mut buffer = [0_u8; 1024];
    loop {
        match stdin.read(&mut buffer).await {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(format!("cannot read stdin: {error}")),
        }
    }
}

fn arguments(mut given: impl Iterator<Item = String>) -> Result<(IpAddr, u16), String> {
    let mut bind = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut port = 0;
    while let Some(name) = given.next() {
        let mut value = || given.next().ok_or_else(|| format!("{name} needs a value; {USAGE}"));
        match name.as_str() {
            "--port" => port = value()?.parse().map_err(|_| format!("--port takes a number; {USAGE}"))?,
            "--bind" => bind = value()?.parse().map_err(|_| format!("--bind takes an IP address; {USAGE}"))?,
            _ => return Err(format!("unknown argument {name}; {USAGE}")),
        }
    }
    Ok((bind, port))
}
