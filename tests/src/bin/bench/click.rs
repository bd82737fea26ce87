//! From the click on the Container button to `running`, against a plain `docker run` of the same thing: ten pairs, one
//! after the other in one run, each way first in every other pair. The app's own figure is read from its log.

use std::path::Path;
use std::time::{Duration, Instant};

use ::tests::desktop::app::{LONG, SOON};
use ::tests::desktop::{App, Home, Options, flip};
use ::tests::engine::Engine;
use ::tests::model_api::ModelApi;

use crate::plain::Plain;
use crate::report::Row;
use crate::{Trouble, figures, tell};

const PAIRS: usize = 10;
/// How long the image may take to be built, where it is not there yet.
const BUILD: Duration = Duration::from_mins(15);
/// What the app writes to its log for each flip, before the time in milliseconds.
const LOGGED: (&str, &str) = ("click to running", "milliseconds=");

/// What it writes where a flip failed.
const FAILED: &str = "to=\"error\"";
/// How often the log is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Measures the row; `keep` is where the app's log goes.
pub(crate) async fn measure(keep: Option<&Path>) -> Result<Row, Trouble> {
    tell("click to running: the engine");
    let engine = Engine::shared();
    let api = ModelApi::start();
    let home = Home::new();
    let workspace = home.workspace("project");
    let mut options = Options::real(&[workspace]).engine();
    if let Ok(filter) = std::env::var("GEMRA_LOG") {
        options = options.env("GEMRA_LOG", &filter);
    }
    let app = App::launch("bench-click", &home, &api, &options).await;
    let run = Run { app };
    for exchange in 0..3 {
        run.talk(&format!("before number {exchange}")).await;
    }
    tell("click to running: the image, and both ways once to warm up");
    run.enter(BUILD).await?;
    let plain = Plain::like(engine.address(), &flip::container(&home).await, run.app.pid())?;
    run.app.leave().await;
    run.talk("warm").await;
    plain.run()?;
    tell(&format!("click to running: {PAIRS} pairs"));
    let mut baseline = Vec::new();
    for pair in 0..PAIRS {
        // Whichever is second has the warmer caches.
        if pair % 2 == 0 {
            run.flip(pair).await?;
            baseline.push(plain.run()?);
        } else {
            baseline.push(plain.run()?);
            run.flip(pair).await?;
        }
    }
    let text = run.log()?;
    if let Some(keep) = keep {
        std::fs::write(keep, &text).map_err(|source| Trouble::File { path: keep.to_path_buf(), source })?;
    }
    let ours = times(&text);
    // The first was to warm up.
    let Some((_, ours)) = ours.split_first().filter(|(_, ours)| ours.len() == PAIRS) else {
        return Err(Trouble::Measurement(format!("the app's log tells {} flips, not {}", ours.len(), PAIRS + 1)));
    };
    let nothing = || Trouble::Measurement("there is no sample of click-to-running".to_owned());
    Ok(Row {
        name: "click-to-running",
        figure: figures::median(ours).ok_or_else(nothing)?,
        baseline: figures::median(&baseline).ok_or_else(nothing)?,
        bar: 1.0,
        against: "docker run -i with the same mounts, then the same handshake",
        samples: vec![("app", ours.to_vec()), ("docker run", baseline.clone())],
    })
}

/// The flips' times in milliseconds, in the order of the log.
fn times(log: &str) -> Vec<f64> {
    let of = |line: &str| {
        let (_, rest) = line.split_once(LOGGED.0)?;
        let (_, rest) = rest.split_once(LOGGED.1)?;
        rest.split_whitespace().next()?.parse().ok()
    };
    log.lines().filter_map(of).collect()
}

struct Run {
    app: App,
}

impl Run {
    /// One exchange, after which the agent is known to be there and idle.
    async fn talk(&self, words: &str) {
        self.app.send(&format!("say: {words}")).await;
        self.app.until_entry("assistant", words, LONG).await;
        self.app.until_idle(SOON).await;
    }

    /// Into the container and back, and an exchange, so that the next click finds a tab at rest on the host.
    async fn flip(&self, pair: usize) -> Result<(), Trouble> {
        self.enter(LONG).await?;
        self.app.leave().await;
        self.talk(&format!("after pair {pair}")).await;
        Ok(())
    }

    /// Clicks and waits until the app says that it took so long. The page is left in peace meanwhile: reading it again
    /// and again would be measured too.
    async fn enter(&self, within: Duration) -> Result<(), Trouble> {
        let before = times(&self.log()?).len();
        self.app.click("container-button").await;
        let deadline = Instant::now() + within;
        loop {
            let log = self.log()?;
            if times(&log).len() > before {
                return Ok(());
            }
            if log.contains(FAILED) || Instant::now() >= deadline {
                let details = self.app.details().await;
                self.app.fail(&format!("the agent did not get into the container within {within:?}:\n{details}")).await;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn log(&self) -> Result<String, Trouble> {
        let path = self.app.home().gemra().join("logs/gemra.log");
        std::fs::read_to_string(&path)
            .map_err(|error| Trouble::Measurement(format!("{} cannot be read: {error}", path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_apps_own_figures_are_read_from_its_log() {
        let log = "2026-01-01T00:00:00Z  INFO gemra_core::tab::flip: container tab=t1 from=\"off\" to=\"building\"\n\
                   2026-01-01T00:00:01Z  INFO gemra_core::tab::flip: click to running tab=t1 milliseconds=987.25\n\
                   2026-01-01T00:00:02Z  INFO gemra_core::tab::flip: click to running tab=t1 milliseconds=1001\n";
        assert_eq!(times(log), [987.25, 1001.0], "those lines and no others, in their order");
    }
}
