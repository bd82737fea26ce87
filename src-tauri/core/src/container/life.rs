//! When a container is made anew, and when a crashed agent is started again: decisions about figures that others have
//! taken, and the taking of those that only the engine knows.

use std::time::Duration;

use super::engine::{EngineError, list, question};
use super::exec::{self, End, Order, Piece};
use super::held::Held;
use super::stats;

/// How often an agent that crashes is started again before that is an error: the pause before each try.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(15)];
/// Hours after which a container is made anew where nobody says otherwise.
pub const HOURS: u32 = 72;
/// How full a disk may be.
const DISK: f64 = 0.80;
/// How much of it the container must have written, in bytes: a new one changes nothing about anybody else's files.
const WRITTEN: u64 = 256 * 1024 * 1024;
/// How much of its memory a container that does nothing may use.
const MEMORY: f64 = 0.90;
/// How many checks may go unanswered.
pub const CHECKS: u32 = 3;

/// Why a container is made anew.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reason {
    /// The user wants it.
    Asked,
    /// It is older than so many hours.
    Old(u32),
    /// The disk is full, in percent, and the container has written some of it.
    Disk(u32),
    /// Its memory is full, in percent, while the agent does nothing.
    Memory(u32),
    /// The agent does not answer.
    Silent,
}

impl Reason {
    /// In words that follow "because".
    pub fn in_words(self) -> String {
        match self {
            Self::Asked => "you asked for it".to_owned(),
            Self::Old(hours) => format!("it was older than {hours} hours"),
            Self::Disk(percent) => format!("the disk is {percent} % full, and the container has written some of that"),
            Self::Memory(percent) => format!("{percent} % of its memory was used while the agent did nothing"),
            Self::Silent => format!("the agent did not answer {CHECKS} checks"),
        }
    }
}

/// What is known of a container.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Measured {
    /// Share of its memory that is used, from 0 to 1.
    pub memory: Option<f64>,
    /// Share of the disk below it that is used, and bytes that the container has written.
    pub disk: Option<(f64, u64)>,
}

/// Why a container that is so old is to be made anew; 0 hours: age is no reason.
pub fn is_old(age: Duration, hours: u32) -> Option<Reason> {
    (hours > 0 && age >= Duration::from_secs(u64::from(hours) * 3600)).then_some(Reason::Old(hours))
}

/// Why a container of which this was measured is to be made anew.
pub fn is_full(measured: &Measured) -> Option<Reason> {
    let disk = measured.disk.filter(|(used, written)| *used > DISK && *written >= WRITTEN);
    disk.map(|(used, _)| Reason::Disk(percent(used)))
        .or_else(|| measured.memory.filter(|used| *used > MEMORY).map(|used| Reason::Memory(percent(used))))
}

/// How long to wait before an agent that has crashed `tries` times in a row is started again; `None`: not any more.
pub fn back_off(tries: u32) -> Option<Duration> {
    PAUSES.get(tries as usize).copied()
}

/// How many tries there are.
pub fn tries() -> usize {
    PAUSES.len()
}

/// Measures a container. What an engine does not tell is left out.
pub async fn measure(held: &Held) -> Measured {
    let (memory, disk) = tokio::join!(stats::now(&held.engine, &held.id), disk(held));
    let told = |what: &str, error: &EngineError| tracing::debug!(what, %error, "a container could not be measured");
    Measured {
        memory: memory.inspect_err(|error| told("memory", error)).ok().and_then(|usage| usage.memory_share()),
        disk: disk.inspect_err(|error| told("disk", error)).ok().flatten(),
    }
}

async fn disk(held: &Held) -> Result<Option<(f64, u64)>, EngineError> {
    let filters = std::collections::HashMap::from([("id".to_owned(), vec![held.id.clone()])]);
    let listed = question("what the container has written", list::measured(&held.engine, &filters)).await?;
    let written = listed.into_iter().next().and_then(|one| u64::try_from(one.told.size_rw?).ok()).unwrap_or_default();
    let mut said = Vec::new();
    let order =
        Order { command: ["df", "-Pk", "/"].map(str::to_owned).to_vec(), timeout: Some(Duration::from_secs(20)) };
    let end = exec::run(&held.engine, &held.id, &order, |piece| {
        if let Piece::Out(bytes) = piece {
            said.extend(bytes);
        }
    });
    Ok(match end.await? {
        End::Code(0) => used(&String::from_utf8_lossy(&said)).map(|used| (used, written)),
        _ => None,
    })
}

/// The share that `df -Pk` tells: the file system, blocks, used ones, free ones, and more.
fn used(said: &str) -> Option<f64> {
    let mut fields = said.lines().nth(1)?.split_whitespace().skip(2);
    let used: f64 = fields.next()?.parse().ok()?;
    let free: f64 = fields.next()?.parse().ok()?;
    (used + free > 0.0).then(|| used / (used + free))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A share is between 0 and 1.
fn percent(share: f64) -> u32 {
    (share * 100.0).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_counts_unless_it_must_not() {
        let hour = Duration::from_hours(1);
        for (age, hours, expected) in [
            (hour * 71, 72, None),
            (hour * 72, 72, Some(Reason::Old(72))),
            (hour * 1000, 0, None),
            (hour, 1, Some(Reason::Old(1))),
        ] {
            assert_eq!(is_old(age, hours), expected, "{age:?} at a limit of {hours} hours");
        }
    }

    #[test]
    fn full_disks_and_memory_count_where_a_new_container_would_help() {
        let mega = 1024 * 1024;
        for (memory, disk, expected) in [
            (None, None, None),
            (Some(0.9), Some((0.8, 5000 * mega)), None),
            (Some(0.91), None, Some(Reason::Memory(91))),
            (None, Some((0.81, 5000 * mega)), Some(Reason::Disk(81))),
            (None, Some((0.99, mega)), None),
            (Some(0.95), Some((0.99, mega)), Some(Reason::Memory(95))),
        ] {
            assert_eq!(is_full(&Measured { memory, disk }), expected, "memory {memory:?}, disk {disk:?}");
        }
    }

    #[test]
    fn three_tries_each_later_than_the_one_before() {
        let pauses: Vec<_> = (0..4).map(back_off).collect();
        assert!(pauses[0] < pauses[1] && pauses[1] < pauses[2], "they back off: {pauses:?}");
        assert_eq!(pauses[3], None, "and end");
        assert_eq!(tries(), 3, "as the user is told");
    }

    #[test]
    fn df_is_read_as_posix_has_it() {
        let said = "Filesystem 1024-blocks Used Available Capacity Mounted on\noverlay 1000 600 200 75% /\n";
        assert_eq!(used(said), Some(0.75), "of what can be used at all");
        for odd in ["", "Filesystem\n", "a\noverlay x y z\n", "a\noverlay 0 0 0 0% /\n"] {
            assert_eq!(used(odd), None, "{odd:?} tells nothing");
        }
    }
}
