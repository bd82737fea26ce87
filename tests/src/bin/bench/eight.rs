//! Eight tabs that move at once, against eight plain `docker run` at once, several times in one run, each way first in
//! every other pair; and how long the eight take to leave. The times are the app's own, read from its log.

use std::time::{Duration, Instant};

use ::tests::desktop::{App, Home, Options, flip};
use ::tests::engine::{Engine, see};
use ::tests::model_api::ModelApi;

use crate::plain::Plain;
use crate::report::Row;
use crate::{Trouble, figures, log, tell};

const TABS: usize = 8;
const PAIRS: usize = 5;
/// How much longer than eight `docker run` the eight tabs may take.
const BAR: f64 = 1.25;
/// How long the eight may take to leave, in milliseconds. There is nothing to compare with.
const LEAVE: f64 = 1000.0;
/// How long anything may take, the image's build included.
const PATIENCE: Duration = Duration::from_mins(15);
/// How often the log is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// Clicks the buttons of all tabs at once, as one page cannot show them together.
const TOGGLE: &str = "
for (const tab of document.querySelectorAll('[data-testid=tab]')) {
  const asked = { request: crypto.randomUUID(), tab: tab.dataset.tabId };
  void window.__TAURI_INTERNALS__.invoke('toggle_container', asked);
}
return true;";

/// Measures both rows.
pub(crate) async fn measure() -> Result<Vec<Row>, Trouble> {
    tell(&format!("eight tabs: {PAIRS} pairs"));
    let engine = Engine::shared();
    let api = ModelApi::start();
    let home = Home::new();
    let workspaces: Vec<_> = (0..TABS).map(|number| home.workspace(&format!("project-{number}"))).collect();
    let app = App::launch("bench-eight", &home, &api, &Options::real(&workspaces).engine()).await;
    let mut run = Run { app, answers: 0 };
    run.until_at_home().await?;
    // Once to warm up, and to see what is to be compared with.
    run.enter().await?;
    let mut plain = Vec::new();
    for container in flip::containers(&home).await {
        let id = container.id.unwrap_or_default();
        plain.push(Plain::like(engine.address(), &see::inspect(engine, &id).await, run.app.pid())?);
    }
    if plain.len() != TABS {
        return Err(Trouble::Measurement(format!("there are {} containers, not {TABS}", plain.len())));
    }
    run.leave().await?;
    Plain::run_all(&plain)?;
    let (mut ours, mut baseline, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        // Whichever is second has the warmer caches.
        if pair % 2 == 1 {
            baseline.push(Plain::run_all(&plain)?);
        }
        ours.push(run.enter().await?);
        left.push(run.leave().await?);
        if pair % 2 == 0 {
            baseline.push(Plain::run_all(&plain)?);
        }
    }
    let median = |samples: &[f64]| {
        figures::median(samples).ok_or_else(|| Trouble::Measurement("there is no sample of eight tabs".to_owned()))
    };
    Ok(vec![
        Row {
            name: "eight-tabs",
            figure: median(&ours)?,
            baseline: median(&baseline)?,
            bar: BAR,
            against: "eight docker run -i at once, until the last handshake",
            samples: vec![("app", ours), ("docker run", baseline)],
        },
        Row {
            name: "stop-eight",
            figure: median(&left)?,
            baseline: LEAVE,
            bar: 1.0,
            against: "what eight containers may take to be gone",
            samples: vec![("app", left)],
        },
    ])
}

struct Run {
    app: App,
    /// How many times an agent on the host has had to answer so far.
    answers: usize,
}

impl Run {
    /// All in, at once; how long the last one took, from the click.
    async fn enter(&self) -> Result<f64, Trouble> {
        let before = log::flips(&self.log()?).len();
        self.app.script(TOGGLE).await;
        let text = self.until("eight agents run in containers", |text| log::flips(text).len() >= before + TABS).await?;
        Ok(log::flips(&text)[before..].iter().copied().fold(0.0, f64::max))
    }

    /// All out, at once; how long it took until the last container was gone.
    async fn leave(&mut self) -> Result<f64, Trouble> {
        let before = log::changes(&self.log()?).len();
        self.app.script(TOGGLE).await;
        let gone = |text: &str| log::changes(text)[before..].iter().filter(|change| change.to == "off").count() == TABS;
        let text = self.until("eight tabs are off", gone).await?;
        let changes = log::changes(&text)[before..].to_vec();
        let (first, last) = (changes.iter().find(|change| change.to == "stopping"), changes.last());
        let took = first.zip(last).map(|(first, last)| log::between(first.at, last.at));
        self.until_at_home().await?;
        took.ok_or_else(|| Trouble::Measurement("the app's log does not tell of the way back".to_owned()))
    }

    /// Waits until the agents on the host have answered, since their start would be measured too.
    async fn until_at_home(&mut self) -> Result<(), Trouble> {
        self.answers += TABS;
        let answers = self.answers;
        self.until("eight agents are on the host", |text| log::answers_at_home(text) >= answers).await.map(drop)
    }

    /// Waits until the log tells it. The page is left in peace meanwhile: reading it again and again would be measured
    /// too.
    async fn until(&self, what: &str, told: impl Fn(&str) -> bool) -> Result<String, Trouble> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = self.log()?;
            if told(&text) {
                return Ok(text);
            }
            let failed = log::changes(&text).iter().any(|change| change.to == "error");
            if failed || Instant::now() >= deadline {
                self.app.fail(&format!("it did not come about that {what}:\n{text}")).await;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn log(&self) -> Result<String, Trouble> {
        log::of(&self.app)
    }
}
