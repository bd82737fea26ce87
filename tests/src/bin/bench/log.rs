//! What the app's own log tells: when the agent moved, and how long that took. It knows no other line of the log.

use ::tests::desktop::App;

use crate::Trouble;

/// What the app writes to its log for each flip, before the time in milliseconds.
const FLIPPED: (&str, &str) = ("click to running", "milliseconds=");
/// What it writes for each change of a Container button's state.
const CHANGED: &str = "flip: container tab=";
/// What it writes where an agent on the host has answered the handshake.
const AT_HOME: &str = "the agent has answered tab=";
const DAY: f64 = 86_400_000.0;

/// A change of state.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    /// When, in milliseconds of the day.
    pub(crate) at: f64,
    pub(crate) tab: String,
    pub(crate) from: String,
    pub(crate) to: String,
}

/// The log as it is now.
pub(crate) fn of(app: &App) -> Result<String, Trouble> {
    let path = app.home().gemra().join("logs/gemra.log");
    std::fs::read_to_string(&path)
        .map_err(|error| Trouble::Measurement(format!("{} cannot be read: {error}", path.display())))
}

/// The flips' times in milliseconds, in the order of the log.
pub(crate) fn flips(log: &str) -> Vec<f64> {
    let of = |line: &str| {
        let (_, rest) = line.split_once(FLIPPED.0)?;
        word(rest, FLIPPED.1)?.parse().ok()
    };
    log.lines().filter_map(of).collect()
}

/// The changes of state, in the order of the log.
pub(crate) fn changes(log: &str) -> Vec<Change> {
    let of = |line: &str| {
        line.contains(CHANGED).then_some(())?;
        let part = |name| word(line, name).map(|value| value.trim_matches('"').to_owned());
        Some(Change { at: time(line)?, tab: part(" tab=")?, from: part(" from=")?, to: part(" to=")? })
    };
    log.lines().filter_map(of).collect()
}

/// How often an agent on the host has answered the handshake.
pub(crate) fn answers_at_home(log: &str) -> usize {
    log.lines().filter(|line| line.contains(AT_HOME) && line.contains("place=Host")).count()
}

/// How long each stay of a tab between two states took, in milliseconds: from its first change to `from` until its
/// next to `to`.
pub(crate) fn stays(changes: &[Change], from: &str, to: &str) -> Vec<f64> {
    let stay = |(index, began): (usize, &Change)| {
        let next = changes[index + 1..].iter().find(|next| next.tab == began.tab)?;
        (next.to == to).then(|| between(began.at, next.at))
    };
    changes.iter().enumerate().filter(|(_, change)| change.to == from).filter_map(stay).collect()
}

/// The milliseconds between two times of the day, of which the second may be of the next day.
pub(crate) fn between(before: f64, after: f64) -> f64 {
    if after < before { after + DAY - before } else { after - before }
}

fn word<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split_once(name)?.1.split_whitespace().next()
}

/// The time that a line begins with, such as `2026-01-01T10:20:30.123456Z`.
fn time(line: &str) -> Option<f64> {
    let (_, time) = line.split_whitespace().next()?.split_once('T')?;
    let mut parts = time.trim_end_matches('Z').splitn(3, ':').map(str::parse::<f64>);
    let (hours, minutes, seconds) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    Some(((hours * 60.0 + minutes) * 60.0 + seconds) * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
        2026-01-01T23:59:59.750000Z  INFO gemra_core::tab::flip: container tab=t1 from=\"off\" to=\"building\"\n\
        2026-01-01T23:59:59.900000Z  INFO gemra_core::tab::flip: container tab=t2 from=\"off\" to=\"building\"\n\
        2026-01-02T00:00:00.250000Z  INFO gemra_core::tab::flip: container tab=t1 from=\"building\" to=\"starting\"\n\
        2026-01-02T00:00:00.500000Z  INFO gemra_core::tab::flip: container tab=t2 from=\"building\" to=\"error\"\n\
        2026-01-02T00:00:01.000000Z  INFO gemra_core::tab::talk: the agent has answered tab=t1 place=Container\n\
        2026-01-02T00:00:01.000000Z  INFO gemra_core::tab::talk: the agent has answered tab=t2 place=Host\n\
        2026-01-02T00:00:01.000000Z  INFO gemra_core::tab::flip: click to running tab=t1 milliseconds=987.25\n\
        2026-01-02T00:00:02.000000Z  INFO gemra_core::tab::flip: click to running tab=t1 milliseconds=1001\n";

    #[test]
    fn the_apps_own_figures_are_read_from_its_log() {
        assert_eq!(flips(LOG), [987.25, 1001.0], "those lines and no others, in their order");
        assert_eq!(answers_at_home(LOG), 1, "those of the host alone");
    }

    #[test]
    fn changes_of_state_are_told_with_their_times() {
        let changes = changes(LOG);
        assert_eq!(changes.len(), 4, "each of them: {changes:?}");
        assert_eq!((changes[3].tab.as_str(), changes[3].to.as_str()), ("t2", "error"), "whose, and to what");
        assert_eq!(stays(&changes, "building", "starting"), [500.0], "over midnight, and none that ended otherwise");
    }
}
