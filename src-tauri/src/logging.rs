//! Where the log goes: to a file in Gemra's own folder, and to stderr where `GEMRA_LOG` asks for it.

use std::fs::File;
use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// What is logged where `GEMRA_LOG` does not say.
const FILTER: &str = "warn,gemra_core=info,gemra_desktop=info";

/// What is never logged in more detail.
const QUIET: [&str; 1] = ["bollard=info"];

/// Starts logging. A log that cannot be written is no reason not to start.
pub(crate) fn start(folder: &Path, filter: Option<&str>) {
    let file = std::fs::create_dir_all(folder).and_then(|()| File::create(folder.join("gemra.log")));
    let layer = |filter: &str| {
        let wanted = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new(FILTER));
        // Whatever is asked for: at its debug level the engine's library writes down proxies with their passwords.
        QUIET.iter().filter_map(|directive| directive.parse().ok()).fold(wanted, EnvFilter::add_directive)
    };
    let file = file.ok().map(|file| tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Mutex::new(file)));
    let stderr = filter.map(|_| tracing_subscriber::fmt::layer().with_writer(std::io::stderr));
    tracing_subscriber::registry().with(layer(filter.unwrap_or(FILTER))).with(file).with(stderr).init();
}
