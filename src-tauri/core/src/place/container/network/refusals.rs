//! What a container was refused on its way out, counted and kept for the details and for the project's log. It refuses
//! nobody anything.

use crate::container::network::allow::Target;
use crate::container::network::proxy::Why;

/// How many refused targets are shown.
const SHOWN: usize = 20;
/// How many are known again.
const KNOWN: usize = 1000;
/// Of how many refused names a container's transcript tells: somebody who tries out names must not fill it.
const TOLD: usize = 20;
/// How many lines a container may write into the project's log: it must not push out what else is there.
const LOGGED: u32 = 1000;

/// What a container was refused, as the details show it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusals {
    /// The last ones, each target once, the last refused first.
    pub targets: Vec<Refusal>,
    /// How often a target was refused, those that are not shown too.
    pub times: u32,
    /// How many requests were none that can be passed on.
    pub malformed: u32,
}

/// A target that a container was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Host and port.
    pub target: String,
    /// The entry among the allowed names that would allow it.
    pub entry: String,
    /// Why, in words.
    pub why: &'static str,
    /// How often.
    pub times: u32,
}

/// What has been refused until now.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The last refused first.
    known: Vec<Refusal>,
    times: u32,
    malformed: u32,
    told: usize,
    logged: u32,
}

/// What follows from a refusal.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Noted {
    /// What the transcript says, where that is new.
    pub(super) notice: Option<String>,
    /// What the project's log says, as target and reason, as long as there is room for it.
    pub(super) line: Option<(String, String)>,
}

impl Log {
    /// What the details show.
    pub(super) fn shown(&self) -> Refusals {
        let targets = self.known.iter().take(SHOWN).cloned().collect();
        Refusals { targets, times: self.times, malformed: self.malformed }
    }

    /// Notes a refused target.
    pub(super) fn refused(&mut self, target: &Target, why: Why) -> Noted {
        self.times = self.times.saturating_add(1);
        let (name, words) = (target.to_string(), why.in_words());
        let before = self.known.iter().position(|known| known.target == name).map(|at| self.known.remove(at));
        let is_new = before.is_none();
        self.told += usize::from(is_new);
        let times = before.map_or(0, |before| before.times).saturating_add(1);
        let entry = target.entry(why == Why::LeadsBack);
        self.known.insert(0, Refusal { target: name.clone(), entry, why: words, times });
        self.known.truncate(KNOWN);
        let notice = (is_new && self.told <= TOLD).then(|| {
            format!(
                "The container wanted to reach {name} and was not let: {words}. The container's details can allow it."
            )
        });
        Noted { notice, line: self.line(name, words) }
    }

    /// Notes a request that was none, by its status.
    pub(super) fn malformed(&mut self, status: &str) -> Noted {
        self.malformed = self.malformed.saturating_add(1);
        Noted { notice: None, line: self.line("a malformed request".to_owned(), status) }
    }

    fn line(&mut self, target: String, why: &str) -> Option<(String, String)> {
        self.logged = self.logged.saturating_add(1);
        match self.logged {
            LOGGED => Some((target, format!("{why}; what this container is refused from now on is not written down"))),
            logged => (logged < LOGGED).then(|| (target, why.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        Target::parse(text, None).unwrap()
    }

    #[test]
    fn each_refused_name_is_told_once_and_counted_always() {
        let mut log = Log::default();
        let notice = log.refused(&target("a.example:443"), Why::Name).notice;
        assert!(notice.is_some_and(|notice| notice.contains("a.example:443")), "the first time is told");
        assert_eq!(log.refused(&target("a.example:443"), Why::Name).notice, None, "the second is counted");
        assert!(log.refused(&target("b.example:8443"), Why::LeadsBack).notice.is_some(), "another one is new");
        let shown = log.shown();
        let rows: Vec<_> = shown.targets.iter().map(|one| (one.entry.as_str(), one.times)).collect();
        assert_eq!(rows, [("b.example:8443", 1), ("a.example", 2)], "the last stands first");
        assert_eq!((shown.times, shown.malformed), (3, 0), "all are counted");
        let notices = (0..3000).filter_map(|at| log.refused(&target(&format!("x{at}.example:1")), Why::Name).notice);
        assert_eq!(notices.count(), TOLD - 2, "a flood of names does not fill the transcript");
        assert_eq!((log.known.len(), log.shown().targets.len()), (KNOWN, SHOWN), "nor the memory, nor the details");
        assert_eq!(log.shown().times, 3003, "and all are counted still");
    }

    #[test]
    fn the_projects_log_has_each_as_long_as_there_is_room() {
        let mut log = Log::default();
        let line = log.refused(&target("a.example:443"), Why::Name).line;
        assert_eq!(line, Some(("a.example:443".to_owned(), Why::Name.in_words().to_owned())), "target and reason");
        let line = log.malformed("400 Bad Request").line;
        assert_eq!(line, Some(("a malformed request".to_owned(), "400 Bad Request".to_owned())), "no target at all");
        assert_eq!(log.shown().malformed, 1, "which is counted by itself");
        let lines: Vec<_> = (0..3000).filter_map(|_| log.malformed("400 Bad Request").line).collect();
        assert_eq!(lines.len(), 998, "a container does not push out what else is there");
        assert!(lines.last().unwrap().1.contains("not written down"), "and that there is more is told");
    }
}
