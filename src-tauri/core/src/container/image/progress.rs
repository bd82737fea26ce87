//! What a build says while it runs, in our words: the step, the last line, and the whole log up to a limit.

use std::collections::VecDeque;
use std::sync::Mutex;

use bollard::models::{BuildInfo, BuildInfoAux, CreateImageInfo, ProgressDetail};

use super::vertices::{Said, Vertices};

/// How many lines of a build are kept.
const LOG_LINES: usize = 20_000;
/// How many of them go with an error.
const TAIL_LINES: usize = 30;

/// How far a build is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// The step under way, where one has begun.
    pub step: Option<Step>,
    /// The last thing that was said.
    pub line: Option<String>,
    /// How many lines were said in all: a reader of the [`BuildLog`] knows by it that there is more.
    pub lines: usize,
}

/// A step of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Counted from 1.
    pub index: u32,
    /// How many there are.
    pub total: u32,
    /// The instruction, such as `RUN make`.
    pub instruction: String,
}

/// The lines of a build, the oldest dropped beyond a limit.
#[derive(Debug, Default)]
pub struct BuildLog {
    lines: Mutex<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    kept: VecDeque<String>,
    dropped: usize,
}

impl BuildLog {
    /// The lines from number `from` on, as far as they are kept, and the number of the next one to come.
    pub fn after(&self, from: usize) -> (Vec<String>, usize) {
        let Ok(lines) = self.lines.lock() else { return (Vec::new(), from) };
        let skip = from.saturating_sub(lines.dropped);
        (lines.kept.iter().skip(skip).cloned().collect(), lines.dropped + lines.kept.len())
    }

    /// The last lines, for an error.
    pub fn tail(&self) -> String {
        let Ok(lines) = self.lines.lock() else { return String::new() };
        let skip = lines.kept.len().saturating_sub(TAIL_LINES);
        lines.kept.iter().skip(skip).map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// Every line that is kept.
    pub(super) fn whole(&self) -> String {
        let Ok(lines) = self.lines.lock() else { return String::new() };
        lines.kept.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }

    pub(super) fn push(&self, line: String) -> usize {
        let Ok(mut lines) = self.lines.lock() else { return 0 };
        if lines.kept.len() == LOG_LINES {
            lines.kept.pop_front();
            lines.dropped += 1;
        }
        lines.kept.push_back(line);
        lines.dropped + lines.kept.len()
    }
}

/// Makes progress out of the builder's messages.
#[derive(Debug, Default)]
pub(super) struct Reader {
    progress: Progress,
    /// What was said since the last newline.
    half: String,
    /// What `BuildKit` works on.
    vertices: Vertices,
}

impl Reader {
    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// What `BuildKit` works on; nothing where it does not build.
    pub(super) fn vertices(&self) -> &Vertices {
        &self.vertices
    }

    /// Takes a message about an image that is fetched.
    pub(super) fn take_fetched(&mut self, message: &CreateImageInfo, log: &BuildLog) {
        if let Some(status) = &message.status {
            self.status(message.id.as_deref(), status, message.progress_detail.as_ref(), log);
        }
    }

    /// Takes a message; true where it said something.
    pub(super) fn take(&mut self, message: &BuildInfo, log: &BuildLog) -> bool {
        if let Some(text) = &message.stream {
            return self.text(text, log);
        }
        if let Some(BuildInfoAux::BuildKit(status)) = &message.aux {
            let said = self.vertices.take(status);
            let any = !said.is_empty();
            for said in said {
                match said {
                    Said::Step(step) => self.progress.step = Some(step),
                    Said::Line(line) => self.line(&line, log),
                    Said::Text(text) => {
                        self.text(&text, log);
                    }
                    Said::Status(what, current, total) => self.amount(&what, current, total),
                }
            }
            return any;
        }
        let Some(status) = &message.status else { return false };
        self.status(message.id.as_deref(), status, message.progress_detail.as_ref(), log);
        true
    }

    fn status(&mut self, layer: Option<&str>, status: &str, detail: Option<&ProgressDetail>, log: &BuildLog) {
        let layer = layer.map(|id| format!("{id}: ")).unwrap_or_default();
        match detail.and_then(|detail| Some((detail.current?, detail.total?))) {
            Some((current, total)) if total > 0 => self.amount(&format!("{layer}{status}"), current, total),
            _ => self.line(&format!("{layer}{status}"), log),
        }
    }

    /// Dozens of these a second: shown, not kept.
    fn amount(&mut self, what: &str, current: i64, total: i64) {
        self.progress.line = Some(format!("{what} {} of {}", size(current), size(total)));
    }

    /// Takes what is left when the builder has ended.
    pub(super) fn end(&mut self, log: &BuildLog) {
        let half = std::mem::take(&mut self.half);
        self.line(&half, log);
    }

    fn text(&mut self, text: &str, log: &BuildLog) -> bool {
        self.half.push_str(text);
        let mut said = false;
        while let Some(at) = self.half.find('\n') {
            let rest = self.half.split_off(at + 1);
            let line = std::mem::replace(&mut self.half, rest);
            self.line(&line, log);
            said = true;
        }
        said
    }

    fn line(&mut self, line: &str, log: &BuildLog) {
        // A carriage return draws the line again; only the last drawing counts.
        let line = plain(line.trim_end_matches(['\n', '\r']).rsplit('\r').next().unwrap_or_default());
        let line = line.trim_end();
        if line.is_empty() {
            return;
        }
        if let Some(step) = step(line) {
            self.progress.step = Some(step);
        }
        self.progress.lines = log.push(line.to_owned());
        self.progress.line = Some(line.to_owned());
    }
}

/// `Step 3/7 : RUN make`, or as Podman says it, `STEP 3/7: RUN make`. Where there are stages Podman counts the steps of
/// each, and says first which it is: `[1/2] STEP 3/7: RUN make`.
fn step(line: &str) -> Option<Step> {
    let docker = line.strip_prefix("Step ").and_then(|rest| rest.split_once(" : "));
    let of_stage = line.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map_or(line, |(_, rest)| rest);
    let (numbers, instruction) = docker.or_else(|| of_stage.strip_prefix("STEP ")?.split_once(": "))?;
    let (index, total) = numbers.split_once('/')?;
    Some(Step { index: index.parse().ok()?, total: total.parse().ok()?, instruction: instruction.trim().to_owned() })
}

/// Without the escape sequences that colour a terminal.
fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character != '\u{1b}' {
            text.push(character);
            continue;
        }
        if characters.next() == Some('[') {
            for inside in characters.by_ref() {
                if ('@'..='~').contains(&inside) {
                    break;
                }
            }
        }
    }
    text
}

fn size(bytes: i64) -> String {
    // Whole tenths are exact enough for people, and exact in integers.
    let tenths = bytes / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use bollard::models::ProgressDetail;

    use super::*;

    fn said(text: &str) -> BuildInfo {
        BuildInfo { stream: Some(text.to_owned()), ..BuildInfo::default() }
    }

    #[test]
    fn lines_come_whole_plain_and_numbered() {
        let log = BuildLog::default();
        let mut reader = Reader::default();
        for piece in [
            "Step 1/3 : FROM a\n",
            " ---> 123\nStep 2/3 : RUN ",
            "make\n",
            "\u{1b}[91mred\u{1b}[0m\n",
            "50%\r100%\n",
            "\n",
            "half",
        ] {
            reader.take(&said(piece), &log);
        }
        reader.end(&log);
        let (lines, next) = log.after(0);
        assert_eq!(
            lines,
            ["Step 1/3 : FROM a", " ---> 123", "Step 2/3 : RUN make", "red", "100%", "half"],
            "as a person reads them"
        );
        assert_eq!(next, 6, "the next line's number");
        assert_eq!(log.after(5).0, ["half"], "a reader goes on where it was");
        let step = Step { index: 2, total: 3, instruction: "RUN make".to_owned() };
        assert_eq!(
            reader.progress(),
            &Progress { step: Some(step), line: Some("half".to_owned()), lines: 6 },
            "where it stands"
        );
    }

    #[test]
    fn layers_are_told_and_their_progress_is_not_kept() {
        let log = BuildLog::default();
        let mut reader = Reader::default();
        let layer = |status: &str, detail| BuildInfo {
            status: Some(status.to_owned()),
            id: Some("abc".to_owned()),
            progress_detail: detail,
            ..BuildInfo::default()
        };
        reader.take(&layer("Pulling fs layer", None), &log);
        reader.take(
            &layer("Downloading", Some(ProgressDetail { current: Some(1_250_000), total: Some(40_000_000) })),
            &log,
        );
        assert_eq!(reader.progress().line.as_deref(), Some("abc: Downloading 1.2 MB of 40.0 MB"), "in words");
        assert_eq!(log.after(0).0, ["abc: Pulling fs layer"], "the log keeps what happened, not every percent");
    }

    #[test]
    fn the_log_is_bounded() {
        let log = BuildLog::default();
        for number in 0..LOG_LINES + 5 {
            log.push(number.to_string());
        }
        let (lines, next) = log.after(0);
        assert_eq!((lines.len(), lines[0].as_str(), next), (LOG_LINES, "5", LOG_LINES + 5), "the oldest went");
        assert_eq!(log.after(LOG_LINES + 4).0, [(LOG_LINES + 4).to_string()], "numbers stay true after that");
    }

    #[test]
    fn each_engine_counts_its_steps_in_its_own_words() {
        for line in ["Step 3/7 : RUN make: all", "STEP 3/7: RUN make: all", "[1/2] STEP 3/7: RUN make: all"] {
            let known = Step { index: 3, total: 7, instruction: "RUN make: all".to_owned() };
            assert_eq!(step(line), Some(known), "{line}");
        }
        for line in ["STEP by step: slowly", "[1/2] COMMIT gemra-claude:1", "[warning] STEP by step"] {
            assert_eq!(step(line), None, "other words are none: {line}");
        }
    }
}
