//! The figures as a table for people and as JSON for scripts. The JSON's names are relied upon elsewhere: they stay.

use std::io::Write as _;

use serde_json::{Value, json};

use super::Trouble;

/// One measurement.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// Its name.
    pub(crate) name: &'static str,
    /// What was measured, in milliseconds.
    pub(crate) figure: f64,
    /// What it is compared with, in milliseconds.
    pub(crate) baseline: f64,
    /// The ratio that it must not exceed.
    pub(crate) bar: f64,
    /// What the baseline is, in words.
    pub(crate) against: &'static str,
    /// The single samples in milliseconds, where they are few enough to be read.
    pub(crate) samples: Vec<(&'static str, Vec<f64>)>,
}

impl Row {
    /// The figure over the baseline: below 1 is faster.
    pub(crate) fn ratio(&self) -> f64 {
        self.figure / self.baseline
    }

    fn is_met(&self) -> bool {
        self.ratio() <= self.bar
    }
}

/// The table, and what has to be kept in mind.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut lines = vec![format!(
        "{:<24}{:>12}{:>14}{:>8}{:>6}  {:<9}baseline is",
        "measurement", "figure", "baseline", "ratio", "bar", ""
    )];
    for row in rows {
        let verdict = if row.is_met() { "met" } else { "NOT met" };
        lines.push(format!(
            "{:<24}{:>9.1} ms{:>11.1} ms{:>8.2}{:>6.2}  {verdict:<9}{}",
            row.name,
            row.figure,
            row.baseline,
            row.ratio(),
            row.bar,
            row.against
        ));
    }
    for row in rows {
        for (what, samples) in &row.samples {
            let samples: Vec<String> = samples.iter().map(|sample| format!("{sample:.0}")).collect();
            lines.push(format!("{}, {what}: {} ms", row.name, samples.join(" ")));
        }
    }
    lines.push(
        "Machines are noisy: what else runs moves these figures. Compare ratios, and repeat before you believe one."
            .to_owned(),
    );
    lines.join("\n")
}

/// The rows for scripts; every time is in milliseconds.
pub(crate) fn json(rows: &[Row]) -> Value {
    let one = |row: &Row| {
        let samples: serde_json::Map<String, Value> =
            row.samples.iter().map(|(what, samples)| ((*what).to_owned(), json!(samples))).collect();
        json!({
            "name": row.name,
            "ratio": row.ratio(),
            "figure": row.figure,
            "baseline": row.baseline,
            "bar": row.bar,
            "unit": "ms",
            "samples": samples,
        })
    };
    json!({ "rows": rows.iter().map(one).collect::<Vec<_>>() })
}

/// Prints to stdout.
pub(crate) fn print(text: &str) -> Result<(), Trouble> {
    match writeln!(std::io::stdout(), "{text}") {
        // A reader that has seen enough is no failure.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Trouble::File { path: "stdout".into(), source: error })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(figure: f64) -> Row {
        Row { name: "a", figure, baseline: 50.0, bar: 1.0, against: "b", samples: vec![("c", vec![1.0, 2.0])] }
    }

    #[test]
    fn rows_are_told_in_both_ways() {
        let value = json(&[row(40.0)]);
        let expected = json!({"name": "a", "ratio": 0.8, "figure": 40.0, "baseline": 50.0, "bar": 1.0, "unit": "ms",
            "samples": {"c": [1.0, 2.0]}});
        assert_eq!(value["rows"][0], expected, "the names that scripts rely on");
        let text = table(&[row(40.0), row(60.0)]);
        let verdicts: Vec<bool> =
            text.lines().filter(|line| line.starts_with("a  ")).map(|line| line.contains("NOT met")).collect();
        assert_eq!(verdicts, [false, true], "each row says whether the bar is met:\n{text}");
    }
}
