//! The measurements: `bench [--json FILE] [--log FILE]`. Each is a figure over a baseline of the same run, against a
//! bar. It runs the release programs as people do and looks at nothing of their inside but what they say themselves.
//!
//! It ends with code 0 whatever the figures are, and with 1 where a measurement itself failed: a slow machine is no
//! failure, a figure that nobody measured is one.

mod arguments;
mod click;
mod eight;
mod figures;
mod log;
mod paint;
mod plain;
mod report;

use std::io::Write as _;
use std::process::ExitCode;

use arguments::Arguments;
use report::Row;

fn main() -> ExitCode {
    let wanted = arguments::parse(std::env::args().skip(1)).map_err(Trouble::Usage);
    match wanted.and_then(|wanted| caught(|| run(&wanted))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            tell(&format!("bench: {trouble}"));
            trouble.code()
        }
    }
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// Something was not measured, or not what was meant.
    #[error("the measurement failed: {0}")]
    Measurement(String),
    /// The figures could not be written down.
    #[error("{path} could not be written: {source}", path = path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
}

impl Trouble {
    fn code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Measurement(_) | Self::File { .. } => ExitCode::FAILURE,
        }
    }
}

/// The fixtures panic, with all that helps to see why, where they cannot go on: that too is a failed measurement.
fn caught(work: impl FnOnce() -> Result<(), Trouble>) -> Result<(), Trouble> {
    // Nothing of what the work has changed is looked at afterwards.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Trouble::Measurement("a fixture could not go on; see above".to_owned())))
}

fn run(wanted: &Arguments) -> Result<(), Trouble> {
    let Arguments { json, log, help } = wanted;
    if *help {
        return report::print(arguments::HELP);
    }
    if cfg!(debug_assertions) {
        return Err(Trouble::Measurement("only release builds are worth measuring; run with --release".to_owned()));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Trouble::Measurement(format!("there is no runtime: {error}")))?;
    let measured = async {
        let mut rows: Vec<Row> = Vec::new();
        rows.extend(paint::measure().await?);
        rows.extend(click::measure(log.as_deref()).await?);
        rows.extend(eight::measure().await?);
        Ok::<_, Trouble>(rows)
    };
    let rows = runtime.block_on(measured)?;
    // The file first: a closed terminal must not cost the figures.
    if let Some(path) = json {
        let text = format!("{:#}\n", report::json(&rows));
        std::fs::write(path, text).map_err(|source| Trouble::File { path: path.clone(), source })?;
    }
    report::print(&report::table(&rows))
}

/// Says how far it is to whoever waits. Where stderr is closed nobody does.
fn tell(words: &str) {
    let _ = writeln!(std::io::stderr(), "{words}");
}
