//! From a delta at the agent's stdout to the first animation frame after the document holds it, in a conversation of
//! 50 entries. The page itself writes the times down; the agent is the real CLI on the host, the model a stand-in.

use std::time::{Duration, Instant};

use ::tests::desktop::app::{LONG, SOON};
use ::tests::desktop::{App, Home, Options};
use ::tests::model_api::{ModelApi, Recorded};
use serde::Deserialize;

use crate::report::Row;
use crate::{Trouble, figures, tell};

/// Exchanges before the measurement: each is two entries.
const EXCHANGES: usize = 25;
/// How many deltas are streamed.
const DELTAS: usize = 200;
/// The pause before each, in milliseconds: 20 a second.
const PAUSE: usize = 50;
/// The bars, in milliseconds. There is nothing to compare with in the same run, so that the bar is the baseline.
const MEDIAN: f64 = 25.0;
const P95: f64 = 60.0;
/// How often the model's book is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Clocks of two processes on one machine may differ by as much as they are rounded.
const ROUNDING: f64 = -2.0;

/// What the page writes down, in milliseconds since the Unix epoch.
#[derive(Debug, Deserialize)]
struct Paint {
    arrived: f64,
    painted: f64,
}

/// Measures both rows.
pub(crate) async fn measure() -> Result<Vec<Row>, Trouble> {
    tell(&format!("delta to frame: {EXCHANGES} exchanges, then {DELTAS} deltas, one each {PAUSE} ms"));
    let api = ModelApi::start();
    let home = Home::new();
    let app = App::launch("bench-paint", &home, &api, &Options::real(&[home.workspace("project")])).await;
    for exchange in 0..EXCHANGES {
        app.send(&format!("say: answer number {exchange} of the conversation")).await;
        app.until_entry("assistant", &format!("answer number {exchange} of"), LONG).await;
        app.until_idle(SOON).await;
    }
    app.script("window.__gemraPaints = []; return true;").await;
    app.send(&format!("stream: {DELTAS} {PAUSE}")).await;
    until_streamed(&api).await?;
    app.until_idle(SOON).await;
    let written = app.script("return window.__gemraPaints;").await;
    let paints: Vec<Paint> = serde_json::from_value(written)
        .map_err(|error| Trouble::Measurement(format!("the page wrote down no times: {error}")))?;
    rows(&paints.iter().map(|paint| paint.painted - paint.arrived).collect::<Vec<_>>())
}

/// Waits until the model has said everything. The page is left in peace meanwhile: reading it again and again would be
/// measured too.
async fn until_streamed(api: &ModelApi) -> Result<(), Trouble> {
    let deadline = Instant::now() + LONG;
    let said = |request: &Recorded| request.conversation().contains("stream:") && request.ended.is_some();
    while !api.last().as_ref().is_some_and(said) {
        if Instant::now() >= deadline {
            return Err(Trouble::Measurement(format!("the answer was not streamed within {LONG:?}")));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

fn rows(delays: &[f64]) -> Result<Vec<Row>, Trouble> {
    // Deltas that arrive together are one frame, but most of these are 50 ms apart.
    if delays.len() < DELTAS / 2 {
        let cause = format!("the page painted {} frames of {DELTAS} deltas", delays.len());
        return Err(Trouble::Measurement(cause));
    }
    if let Some(early) = delays.iter().find(|delay| **delay < ROUNDING) {
        return Err(Trouble::Measurement(format!("a delta was painted {early} ms after it arrived: clocks differ")));
    }
    let row = |name, figure: Option<f64>, bar_in_ms| {
        let figure = figure.ok_or_else(|| Trouble::Measurement(format!("there is no sample for {name}")))?;
        let against = "the bar itself, in milliseconds";
        Ok(Row { name, figure, baseline: bar_in_ms, bar: 1.0, against, samples: Vec::new() })
    };
    Ok(vec![
        row("delta-to-frame-median", figures::median(delays), MEDIAN)?,
        row("delta-to-frame-p95", figures::percentile(delays, 95), P95)?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_that_nobody_measured_are_refused() {
        assert!(rows(&[]).is_err(), "nothing was painted");
        assert!(rows(&vec![10.0; DELTAS / 2 - 1]).is_err(), "most deltas were not painted");
        let mut early = vec![10.0; DELTAS];
        early[7] = -40.0;
        assert!(rows(&early).is_err(), "nothing is painted before it arrives");
        let rows = rows(&vec![10.0; DELTAS]).unwrap();
        assert_eq!((rows[0].figure, rows[0].baseline), (10.0, MEDIAN), "the median against its bar");
        assert_eq!((rows[1].figure, rows[1].baseline), (10.0, P95), "the 95th percentile against its own");
    }
}
