//! `gemra image list`, `save` and `load`: the images that Gemra has built, and images as files. It uses the engine that
//! the app would, and decides nothing.

use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use gemra_core::container::image::disk;
use gemra_core::container::image::file::{self, Existing};
use gemra_core::environment::Environment;
use gemra_core::failure::Failure;

use crate::doctor::next_step;
use crate::holdings::engine;

/// How often it is said how far it is.
const TOLD: Duration = Duration::from_millis(500);

/// What is asked of images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    /// Tell which there are.
    List,
    /// Write one to a file.
    Save {
        /// Its name.
        name: String,
        /// The file.
        file: String,
    },
    /// Read one from a file.
    Load {
        /// The file.
        file: String,
    },
}

/// Does it and gives what is to be said.
///
/// # Errors
/// What failed and what to do, in words.
pub(crate) async fn run(order: &Order, environment: &Environment) -> Result<String, String> {
    let words = |failure: Failure| {
        let detail = failure.detail.as_ref().map(|detail| format!("\n{detail}")).unwrap_or_default();
        format!("{}: {}\n{}{detail}", failure.title, failure.cause, next_step(&failure))
    };
    let engine = engine(environment).await.map_err(words)?;
    match order {
        Order::List => {
            let images = disk::list(&engine).await.map_err(|error| words(Failure::from(&error)))?;
            let lines: Vec<String> = images.iter().map(line).collect();
            Ok(if lines.is_empty() { "Gemra has built no images here.".to_owned() } else { lines.join("\n") })
        }
        Order::Save { name, file } => {
            let saved = file::save(&engine, name, Path::new(file), Existing::Keep, teller("Saved")).await;
            saved.map_err(|error| words(Failure::from(&error)))?;
            Ok(format!("Saved {name} as {file}."))
        }
        Order::Load { file } => {
            let loaded = file::load(&engine, Path::new(file), teller("Loaded")).await;
            let loaded = loaded.map_err(|error| words(Failure::from(&error)))?;
            let end = if loaded.ours { "" } else { " Gemra has not built it: name it in the settings to use it." };
            Ok(format!("Loaded {}.{end}", loaded.names.join(", ")))
        }
    }
}

fn line(image: &disk::Kept) -> String {
    let name = if image.names.is_empty() { image.id.clone() } else { image.names.join(", ") };
    let used = if image.used { ", in use" } else { "" };
    format!("{name}  {} MB{used}  {}", image.bytes / 1_000_000, image.source)
}

/// Says on stderr how far it is, now and then: stdout is for the answer.
fn teller(what: &'static str) -> impl Fn(u64, u64) + Send + Sync + 'static {
    let last = Mutex::new(None::<Instant>);
    move |bytes, total| {
        let Ok(mut last) = last.lock() else { return };
        if last.is_none_or(|last| last.elapsed() >= TOLD) {
            *last = Some(Instant::now());
            // Where stderr is closed nobody wants to know.
            let _ = writeln!(std::io::stderr(), "{what} {} of about {} MB", bytes / 1_000_000, total / 1_000_000);
        }
    }
}
