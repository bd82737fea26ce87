//! Where the log goes: to a file in Gemra's own folder, and to stderr where `GEMRA_LOG` asks for it. What may never be in
//! it is decided here too, since other crates write to it as well.

use std::fs::File;
use std::path::Path;
use std::sync::Mutex;

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// What is logged where `GEMRA_LOG` does not say.
const FILTER: &str = "warn,gemra_core=info,gemra_desktop=info";

/// The parts that are logged in no more detail than `info`, whatever is asked for: below that, the engine's library
/// writes down whole requests, with the build's proxies and their passwords, and the message bus whole messages.
const QUIET: [&str; 2] = ["bollard", "zbus"];

/// Starts logging. A log that cannot be written is no reason not to start.
pub(crate) fn start(folder: &Path, filter: Option<&str>) {
    let file = std::fs::create_dir_all(folder).and_then(|()| File::create(folder.join("gemra.log")));
    let (wanted, misread) = match EnvFilter::try_new(filter.unwrap_or(FILTER)) {
        Ok(wanted) => (wanted, None),
        Err(error) => (EnvFilter::new(FILTER), Some(error)),
    };
    let file = file.ok().map(|file| tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Mutex::new(file)));
    let stderr = filter.map(|_| tracing_subscriber::fmt::layer().with_writer(std::io::stderr));
    tracing_subscriber::registry().with(capped(wanted)).with(file).with(stderr).init();
    if let Some(error) = misread {
        tracing::warn!(%error, "GEMRA_LOG is no filter, so that what is usual is logged");
    }
}

/// The filter, but for what is never let through. A directive of the user's own could undo another directive.
fn capped<S: Subscriber>(wanted: EnvFilter) -> impl Layer<S> {
    wanted.and_then(filter_fn(is_harmless))
}

fn is_harmless(metadata: &Metadata<'_>) -> bool {
    let is_of = |part: &&str| {
        metadata.target().strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    *metadata.level() <= Level::INFO || !QUIET.iter().any(is_of)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, PoisonError};

    use super::*;

    /// Where the log goes in a test.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is logged with this filter when the engine's library and others say something at each level.
    fn logged(filter: &str) -> String {
        let written = Written::default();
        let writer = written.clone();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(capped(EnvFilter::new(filter))).with(layer);
        {
            let _here = subscriber.set_default();
            // The library itself writes through the `log` crate; a later one may not.
            log::trace!(target: "bollard::docker", "trace of a password");
            log::debug!(target: "bollard::docker", "debug of a password");
            log::debug!(target: "bollard", "debug of a password");
            tracing::debug!(target: "bollard::docker", "debug of a password");
            log::info!(target: "bollard::docker", "the library's info");
            log::debug!(target: "bollards", "another crate's debug");
            tracing::debug!(target: "gemra_core", "our own debug");
        }
        let bytes = written.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(bytes).expect("a log is text")
    }

    #[test]
    fn no_filter_brings_the_engines_requests_into_the_log() {
        for filter in
            ["trace", "debug,bollard=trace", "debug,bollard::docker=debug", "debug,bollard::docker=trace,bollard=debug"]
        {
            let text = logged(filter);
            assert!(!text.contains("password"), "{filter}: {text}");
            for harmless in ["the library's info", "another crate's debug", "our own debug"] {
                assert!(text.contains(harmless), "{filter} logs {harmless}: {text}");
            }
        }
        assert_eq!(logged("warn"), "", "the filter itself holds all the same");
    }
}
