//! What a container uses: one streaming question to the engine for as long as somebody looks, and the arithmetic that
//! makes figures of its answers. Nothing is asked while nobody looks, since each single question costs the engine a
//! second.

use bollard::models::ContainerStatsResponse;
use bollard::query_parameters::StatsOptionsBuilder;
use futures_util::{Stream, StreamExt as _};

use super::engine::{self, Engine, EngineError};

/// What a container uses.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usage {
    /// Of one processor, in percent: 200 is two of them. `None` until there are two answers to compare.
    pub cpu: Option<f64>,
    /// How many processors it could use.
    pub cpus: u32,
    /// Memory in bytes, without what the kernel only keeps of files as long as nobody else wants the room.
    pub memory: u64,
    /// How much memory it may use, in bytes; 0 where nobody says.
    pub memory_limit: u64,
    /// Bytes that came in and went out. `None` where it shares the host's network, which nobody counts for it.
    pub network: Option<(u64, u64)>,
    /// Bytes read from disks and written to them.
    pub disk: (u64, u64),
    /// How many processes.
    pub processes: u64,
}

impl Usage {
    /// How much of its memory is used, from 0 to 1; `None` where it has no limit.
    #[allow(clippy::cast_precision_loss)] // Shares need no more than a few digits.
    pub fn memory_share(&self) -> Option<f64> {
        (self.memory_limit > 0).then(|| self.memory as f64 / self.memory_limit as f64)
    }
}

/// Processor time so far: the container's own, and that of the whole machine, in nanoseconds.
type Time = (u64, u64);

/// What a container uses, about once a second until it ends.
pub fn follow(engine: &Engine, id: &str) -> impl Stream<Item = Result<Usage, EngineError>> + Send + use<> {
    let options = StatsOptionsBuilder::new().stream(true).build();
    let refused = |error: &bollard::errors::Error| EngineError::Refused {
        call: "what the container uses",
        cause: engine::words(error),
    };
    let mut before = None;
    let (api, id) = (engine.api().clone(), id.to_owned());
    api.stats(&id, Some(options)).map(move |answer| match answer {
        Ok(answer) => Ok(read(&answer, &mut before)),
        Err(error) => Err(refused(&error)),
    })
}

/// What a container uses now: the second answer of the engine, which has something to compare with.
///
/// # Errors
/// [`EngineError`] where the engine gives none.
pub async fn now(engine: &Engine, id: &str) -> Result<Usage, EngineError> {
    let mut answers = std::pin::pin!(follow(engine, id));
    let mut last = Err(EngineError::Refused { call: "what the container uses", cause: "it told nothing".to_owned() });
    for _ in 0..2 {
        match tokio::time::timeout(engine::QUESTION * 5, answers.next()).await {
            Ok(Some(answer)) => last = Ok(answer?),
            Ok(None) => break,
            Err(_) => {
                return Err(EngineError::Timeout { call: "what the container uses", limit: engine::QUESTION * 5 });
            }
        }
    }
    last
}

/// Makes figures of an answer, and keeps what the next one is compared with.
fn read(answer: &ContainerStatsResponse, before: &mut Option<Time>) -> Usage {
    let cpu_stats = answer.cpu_stats.as_ref();
    let used = cpu_stats.and_then(|cpu| cpu.cpu_usage.as_ref());
    let cpus = cpu_stats
        .and_then(|cpu| cpu.online_cpus.filter(|&count| count > 0))
        .or_else(|| used.and_then(|used| u32::try_from(used.percpu_usage.as_ref()?.len()).ok()))
        .unwrap_or(1)
        .max(1);
    let time = used.and_then(|used| used.total_usage).zip(cpu_stats.and_then(|cpu| cpu.system_cpu_usage));
    let cpu = before.zip(time).and_then(|(before, now)| share(before, now, cpus));
    *before = time.or(*before);
    let memory = answer.memory_stats.as_ref();
    let kept = memory.and_then(|memory| memory.stats.as_ref()).map_or(0, |stats| {
        // The second is what the first version of control groups calls it.
        stats.get("total_inactive_file").or_else(|| stats.get("inactive_file")).copied().unwrap_or_default()
    });
    let network = answer.networks.as_ref().filter(|networks| !networks.is_empty()).map(|networks| {
        networks.values().fold((0, 0), |(received, sent), one| {
            (received + one.rx_bytes.unwrap_or_default(), sent + one.tx_bytes.unwrap_or_default())
        })
    });
    let entries = answer.blkio_stats.as_ref().and_then(|disk| disk.io_service_bytes_recursive.as_deref());
    let disk = entries.unwrap_or_default().iter().fold((0, 0), |(read, written), entry| {
        let bytes = entry.value.unwrap_or_default();
        match entry.op.as_deref().map(str::to_ascii_lowercase).as_deref() {
            Some("read") => (read + bytes, written),
            Some("write") => (read, written + bytes),
            _ => (read, written),
        }
    });
    Usage {
        cpu,
        cpus,
        memory: memory.and_then(|memory| memory.usage).unwrap_or_default().saturating_sub(kept),
        memory_limit: memory.and_then(|memory| memory.limit).unwrap_or_default(),
        network,
        disk,
        processes: answer.pids_stats.as_ref().and_then(|processes| processes.current).unwrap_or_default(),
    }
}

/// The share of the machine's time that was the container's, in percent of one processor.
#[allow(clippy::cast_precision_loss)] // Between two answers lie a few seconds' nanoseconds.
fn share(before: Time, now: Time, cpus: u32) -> Option<f64> {
    let (used, passed) = (now.0.checked_sub(before.0)?, now.1.checked_sub(before.1)?);
    (passed > 0).then(|| used as f64 / passed as f64 * f64::from(cpus) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> ContainerStatsResponse {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn figures_are_made_of_answers() {
        let first = answer(
            r#"{"cpu_stats": {"cpu_usage": {"total_usage": 1000000000}, "system_cpu_usage": 10000000000, "online_cpus": 4},
                "memory_stats": {"usage": 300, "limit": 1000, "stats": {"inactive_file": 100}},
                "networks": {"eth0": {"rx_bytes": 5, "tx_bytes": 6}, "eth1": {"rx_bytes": 1, "tx_bytes": 1}},
                "blkio_stats": {"io_service_bytes_recursive": [{"op": "Read", "value": 7}, {"op": "write", "value": 8},
                                                               {"op": "Total", "value": 15}]},
                "pids_stats": {"current": 3}}"#,
        );
        let mut before = None;
        let usage = read(&first, &mut before);
        assert_eq!(usage.cpu, None, "one answer alone tells nothing of the time between two");
        assert_eq!((usage.memory, usage.memory_limit), (200, 1000), "what the kernel could give back is not counted");
        assert_eq!(usage.memory_share(), Some(0.2), "and its share");
        assert_eq!(usage.network, Some((6, 7)), "of all its networks");
        assert_eq!((usage.disk, usage.processes), ((7, 8), 3), "whatever the case of the words");
        let second = answer(
            r#"{"cpu_stats": {"cpu_usage": {"total_usage": 1500000000}, "system_cpu_usage": 14000000000, "online_cpus": 4}}"#,
        );
        let usage = read(&second, &mut before);
        assert_eq!(usage.cpu, Some(50.0), "half a second of the one that passed on each of four processors");
        assert_eq!(usage.network, None, "no figures for the host's own network");
    }

    #[test]
    fn what_an_engine_does_not_tell_is_not_made_up() {
        let mut before = Some((5, 5));
        let usage = read(&ContainerStatsResponse::default(), &mut before);
        assert_eq!(usage, Usage { cpus: 1, ..Usage::default() }, "nothing is known");
        assert_eq!(usage.memory_share(), None, "no limit, no share");
        assert_eq!(before, Some((5, 5)), "what was known is not lost by an answer that says nothing");
        assert_eq!(share((10, 10), (5, 20), 1), None, "a counter that went back is no share");
        assert_eq!(share((10, 10), (15, 10), 1), None, "nor is one over no time");
    }
}
