//! Learns whether memory ran out in a container at an engine that tells no event of it: the kernel's own count is read
//! inside, whenever somebody has a reason to ask. It knows no agent.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::container::engine::{Engine, EngineError};
use crate::container::exec::{self, Order, Piece};

/// Where the kernel counts: with the second version of control groups, and with the first.
const COUNTS: [&str; 2] = ["/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"];
/// How long a look may take. It needs a tenth of a second.
const LIMIT: Duration = Duration::from_secs(20);
/// The least time between two looks: each is a process inside.
const REST: Duration = Duration::from_secs(2);

/// Looks each time that it is asked to, and tells how often a process was killed for want of memory. Never ends by
/// itself.
pub(super) async fn look(engine: Arc<Engine>, id: String, asked: Arc<Notify>, ran_out: watch::Sender<u32>) {
    loop {
        asked.notified().await;
        match kills(&engine, &id).await {
            Ok(Some(count)) => {
                ran_out.send_if_modified(|known| std::mem::replace(known, count.max(*known)) < count);
            }
            Ok(None) => tracing::debug!(id, "the kernel's count of those that ran out of memory is not to be seen"),
            // It may just have ended.
            Err(error) => tracing::debug!(id, %error, "it could not be seen whether memory ran out"),
        }
        tokio::time::sleep(REST).await;
    }
}

async fn kills(engine: &Engine, id: &str) -> Result<Option<u32>, EngineError> {
    let command = std::iter::once("cat").chain(COUNTS).map(str::to_owned).collect();
    let mut said = Vec::new();
    // Only one of the two is there, so that its code says nothing.
    exec::run(engine, id, &Order { command, timeout: Some(LIMIT) }, |piece| {
        if let Piece::Out(bytes) = piece {
            said.extend(bytes);
        }
    })
    .await?;
    Ok(count(&String::from_utf8_lossy(&said)))
}

/// The number of kills that the kernel tells.
fn count(said: &str) -> Option<u32> {
    said.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_count_is_read_as_both_versions_tell_it() {
        let second = "low 0\nhigh 0\nmax 310\noom 4\noom_kill 3\noom_group_kill 0\n";
        let first = "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n";
        for (said, expected) in [(second, Some(3)), (first, Some(2)), ("oom_kill_disable 0\n", None), ("", None)] {
            assert_eq!(count(said), expected, "{said:?}");
        }
    }
}
