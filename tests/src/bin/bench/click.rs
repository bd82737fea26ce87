//! From the click on the Container button to `running`, against a plain `docker run` of the same thing: ten pairs, one
//! after the other in one run, each way first in every other pair. The app's own figure is read from its log, and so is
//! what an image costs that is there.

use std::path::Path;
use std::time::{Duration, Instant};

use ::tests::desktop::app::{LONG, SOON};
use ::tests::desktop::{App, Home, Options, flip};
use ::tests::engine::Engine;
use ::tests::model_api::ModelApi;

use crate::plain::Plain;
use crate::report::Row;
use crate::{Trouble, figures, log, tell};

const PAIRS: usize = 10;
/// How long the image may take to be built, where it is not there yet.
const BUILD: Duration = Duration::from_mins(15);
/// How long an image that is there may keep the agent from starting, in milliseconds. There is nothing to compare with.
const THERE: f64 = 20.0;
/// What it writes where a flip failed.
const FAILED: &str = "to=\"error\"";
/// How often the log is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Measures both rows; `keep` is where the app's log goes.
pub(crate) async fn measure(keep: Option<&Path>) -> Result<Vec<Row>, Trouble> {
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
    let ours = log::flips(&text);
    // The first was to warm up.
    let Some((_, ours)) = ours.split_first().filter(|(_, ours)| ours.len() == PAIRS) else {
        return Err(Trouble::Measurement(format!("the app's log tells {} flips, not {}", ours.len(), PAIRS + 1)));
    };
    let nothing = || Trouble::Measurement("there is no sample of click-to-running".to_owned());
    let row = Row {
        name: "click-to-running",
        figure: figures::median(ours).ok_or_else(nothing)?,
        baseline: figures::median(&baseline).ok_or_else(nothing)?,
        bar: 1.0,
        against: "docker run -i with the same mounts, then the same handshake",
        samples: vec![("app", ours.to_vec()), ("docker run", baseline.clone())],
    };
    Ok(vec![row, there(&text)?])
}

/// What the unchanged image has cost: from the click, which makes the tab look for it, until the container is started.
fn there(text: &str) -> Result<Row, Trouble> {
    let stays = log::stays(&log::changes(text), "building", "starting");
    // In the first the image was built.
    let Some((_, stays)) = stays.split_first().filter(|(_, stays)| stays.len() == PAIRS) else {
        return Err(Trouble::Measurement(format!("the app's log tells {} starts, not {}", stays.len(), PAIRS + 1)));
    };
    let nothing = || Trouble::Measurement("there is no sample of image-there".to_owned());
    Ok(Row {
        name: "image-there",
        figure: figures::median(stays).ok_or_else(nothing)?,
        baseline: THERE,
        bar: 1.0,
        against: "what an unchanged image may cost on the way to starting",
        samples: vec![("app", stays.to_vec())],
    })
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
        let before = log::flips(&self.log()?).len();
        self.app.click("container-button").await;
        let deadline = Instant::now() + within;
        loop {
            let text = self.log()?;
            if log::flips(&text).len() > before {
                return Ok(());
            }
            if text.contains(FAILED) || Instant::now() >= deadline {
                let details = self.app.details().await;
                self.app.fail(&format!("the agent did not get into the container within {within:?}:\n{details}")).await;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn log(&self) -> Result<String, Trouble> {
        log::of(&self.app)
    }
}
