//! Ends what the app has started when the app itself is killed.
//!
//! An agent in the middle of a turn does not end with its stdin, and the kernel does not end it with its parent. So a
//! second, small process is told of every agent, listens to the app through a pipe, and acts when the pipe breaks. It
//! knows process groups, and containers by their labels; not what they are.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};

use crate::container::engine::Engine;
use crate::container::sweep;
use crate::environment::Environment;
use crate::process::spawn::{self, Program, SpawnError};
use crate::process::{Input, Stop};

/// The argument that makes a program of ours be the reaper.
pub const ARGUMENT: &str = "--reaper";
/// How long what it ends may take to end by itself.
const GRACE: Duration = Duration::from_millis(1500);
/// How long an engine may take over a container that the app was making when it was killed: the engine goes on, and the
/// container appears when it has.
const IN_THE_MAKING: Duration = Duration::from_secs(5);
/// How often such a container is looked for.
const LOOK: Duration = Duration::from_millis(200);

/// The app's end of the pipe.
#[derive(Debug)]
pub struct Reaper {
    process: Option<(Input, Stop)>,
}

impl Reaper {
    /// Starts `program` as the reaper. As long as it may have something to end, it holds the file `lock`; see [`gone`].
    ///
    /// # Errors
    /// [`SpawnError`] where the system refuses.
    pub fn start(program: &Path, lock: &Path) -> Result<Self, SpawnError> {
        let process = spawn::spawn(&Program {
            path: program.to_path_buf(),
            args: vec![ARGUMENT.into()],
            // Not our own folder, which it would keep busy.
            folder: std::env::temp_dir(),
            environment: Vec::new(),
        })?;
        let reaper = Self { process: Some((process.input, process.stop)) };
        reaper.tell(format!("lock {}", lock.display()));
        Ok(reaper)
    }

    /// None: whoever kills this process leaves its agents behind.
    pub fn none() -> Self {
        Self { process: None }
    }

    /// From now on the process group `group` has to end with us.
    pub fn hold(&self, group: u32) {
        self.tell(format!("hold {group}"));
    }

    /// The process group `group` has ended.
    pub fn release(&self, group: u32) {
        self.tell(format!("release {group}"));
    }

    /// From now on the containers of `instance` at the engine `address` have to end with us.
    pub fn hold_containers(&self, address: &str, instance: &str) {
        self.tell(format!("containers {instance} {address}"));
    }

    /// From now on a container of this name may come to be at any moment, or one that prepares its volumes.
    pub fn expect_container(&self, name: &str) {
        self.tell(format!("expect {name}"));
    }

    /// The container of this name is there, or will not be.
    pub fn settle_container(&self, name: &str) {
        self.tell(format!("settle {name}"));
    }

    fn tell(&self, order: String) {
        if let Some((input, _)) = &self.process
            && !input.send(order)
        {
            tracing::warn!("the reaper is gone; agents would outlive a crash");
        }
    }
}

/// Resolves when no reaper of an earlier run holds the file `lock`: what that run had started has ended. Gives up
/// after `limit`, and says false.
pub async fn gone(lock: &Path, limit: Duration) -> bool {
    let ends = tokio::time::Instant::now() + limit;
    loop {
        let lock = lock.to_path_buf();
        let free = tokio::task::spawn_blocking(move || {
            !OpenOptions::new()
                .write(true)
                .open(lock)
                .is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
        });
        if free.await.unwrap_or(true) {
            return true;
        }
        if tokio::time::Instant::now() >= ends {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Is the reaper: takes orders on stdin until it ends, then ends what is still held.
pub async fn run() {
    ignore_signals();
    let mut held = Held::default();
    let mut lock = None;
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(order)) = orders.next_line().await {
        match order.strip_prefix("lock ") {
            Some(path) => lock = take_lock(path.into()).await,
            None => take(&mut held, &order),
        }
    }
    reap(&held, lock).await;
}

/// Takes the lock, after an earlier reaper that still has it.
async fn take_lock(path: PathBuf) -> Option<File> {
    let taken = tokio::task::spawn_blocking(move || {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        file.lock()?;
        Ok::<_, std::io::Error>(file)
    });
    taken.await.ok()?.ok()
}

/// What has to end with the app.
#[derive(Debug, Default, PartialEq, Eq)]
struct Held {
    groups: BTreeSet<i32>,
    /// Instances and the addresses of their engines.
    containers: BTreeSet<(String, String)>,
    /// Names of containers that were being made.
    expected: BTreeSet<String>,
}

fn take(held: &mut Held, order: &str) {
    // 0 and 1 would mean our own group, and everybody.
    let group = |text: &str| text.parse::<i32>().ok().filter(|group| *group > 1);
    match order.split_once(' ') {
        Some(("hold", rest)) => held.groups.extend(group(rest)),
        Some(("release", rest)) => drop(group(rest).map(|group| held.groups.remove(&group))),
        Some(("expect", name)) if !name.is_empty() => drop(held.expected.insert(name.to_owned())),
        Some(("settle", name)) => drop(held.expected.remove(name)),
        Some(("containers", rest)) => {
            if let Some((instance, address)) = rest.split_once(' ').filter(|(instance, _)| !instance.is_empty()) {
                held.containers.insert((instance.to_owned(), address.to_owned()));
            }
        }
        _ => {}
    }
}

async fn reap(held: &Held, lock: Option<File>) {
    let engines = held.containers.iter().map(|(instance, address)| async move {
        let engine = Engine::find(Some(address), &Environment::default()).await.ok()?;
        let missing = remove(&engine, instance, held.expected.clone()).await;
        Some((engine, instance, missing))
    });
    let ((), engines) = tokio::join!(end_groups(&held.groups), futures_util::future::join_all(engines));
    // No agent is left. What may still appear waits for a word of the app's before it begins.
    drop(lock);
    let late = engines.into_iter().flatten().map(|(engine, instance, missing)| async move {
        remove_late(&engine, instance, missing).await;
    });
    futures_util::future::join_all(late).await;
}

/// Waits a while for what was being made. A start makes one container after the other, so that one that belongs to it
/// is its last: nothing more can come when each start has shown one.
async fn remove_late(engine: &Engine, instance: &str, mut missing: BTreeSet<String>) {
    let ends = tokio::time::Instant::now() + IN_THE_MAKING;
    while !missing.is_empty() && tokio::time::Instant::now() < ends {
        tokio::time::sleep(LOOK).await;
        missing = remove(engine, instance, missing).await;
    }
}

/// Removes what is there; the names that had nothing yet.
async fn remove(engine: &Engine, instance: &str, mut missing: BTreeSet<String>) -> BTreeSet<String> {
    // Whatever stays is swept at the app's next start.
    if let Ok(swept) = sweep::own(engine, instance).await {
        let seen = |name: &String| {
            let mut all = swept.removed.iter().chain(swept.stayed.iter().map(|(one, _)| one));
            all.any(|one| one.name.starts_with(name.as_str()))
        };
        missing.retain(|name| !seen(name));
    }
    missing
}

#[cfg(unix)]
async fn end_groups(held: &BTreeSet<i32>) {
    use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
    let groups: Vec<Pid> = held.iter().filter_map(|group| Pid::from_raw(*group)).collect();
    for group in &groups {
        let _ = kill_process_group(*group, Signal::TERM);
    }
    let deadline = tokio::time::Instant::now() + GRACE;
    while groups.iter().any(|group| test_kill_process_group(*group).is_ok()) && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for group in &groups {
        let _ = kill_process_group(*group, Signal::KILL);
    }
}

#[cfg(windows)]
async fn end_groups(_held: &BTreeSet<i32>) {
    // A job object ends with the handle that the app holds.
}

/// Whoever ends a whole session asks everybody to go; we go when the app has.
#[cfg(unix)]
fn ignore_signals() {
    use tokio::signal::unix::{SignalKind, signal};
    for kind in [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()] {
        if let Ok(mut signals) = signal(kind) {
            tokio::spawn(async move { while signals.recv().await.is_some() {} });
        }
    }
}

#[cfg(windows)]
fn ignore_signals() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_kept_and_nonsense_is_not() {
        let mut held = Held::default();
        for order in ["hold 12", "hold 13", "release 12", "hold 0", "hold 1", "hold -1", "hold x", "hold", "burn 7", ""]
        {
            take(&mut held, order);
        }
        for order in ["containers me-1 unix:///a b.sock", "containers me-1 unix:///a b.sock", "containers  x"] {
            take(&mut held, order);
        }
        for order in ["expect gemra-a-1", "expect gemra-a-2", "settle gemra-a-1", "settle gemra-a-9", "expect "] {
            take(&mut held, order);
        }
        let containers = [("me-1".to_owned(), "unix:///a b.sock".to_owned())].into();
        let expected = ["gemra-a-2".to_owned()].into();
        let expected = Held { groups: [13].into(), containers, expected };
        assert_eq!(held, expected, "one group and one instance are held; nobody else's is ever ended");
    }
}
