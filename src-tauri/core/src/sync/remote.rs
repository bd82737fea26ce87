//! The other side: a volume at an engine that cannot see this machine's files, and a small companion container through
//! which it is listed and reached. It knows neither what changes mean nor who wins.

mod scripts;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bollard::container::{AttachContainerResults, LogOutput};
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::{
    ContainerCreateBody, ExecConfig, HostConfig, HostConfigLogConfig, Mount, MountType, MountVolumeOptions,
    VolumeCreateRequest,
};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder,
    StartContainerOptions, UploadToContainerOptionsBuilder,
};
use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

use super::SyncError;
use super::archive::{self, Parcel, Sent};
use super::rules::OURS;
use super::scan::LARGEST;
use super::tree::Tree;
use crate::container::engine::quirks::Lack;
use crate::container::engine::{Engine, words};
use crate::container::labels::Owner;
use crate::container::run;
pub(super) use scripts::{Listed, Listing};

/// How long one step at the engine may say nothing. A large file is read whole without a word.
const SILENCE: Duration = Duration::from_mins(5);
/// How long the engine may take to make or start the companion.
const MAKING: Duration = Duration::from_mins(1);
/// The longest answer that is taken, in bytes.
const LONGEST: usize = 256 * 1024 * 1024;
/// Where files wait for being fetched, in the companion's own part.
const STAGE: &str = "/tmp/gemra-outgoing";
/// The label that tells one life of a volume from the next of the same name.
const LIFE: &str = "dev.gemra.sync";

/// A volume, and where it is in the companion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shelf {
    pub(super) volume: String,
    pub(super) target: String,
}

/// A running companion. Dropped, it is removed.
#[derive(Debug)]
pub(super) struct Companion {
    engine: Arc<Engine>,
    id: String,
    owner: (u32, u32),
    attached: CancellationToken,
    removed: bool,
}

/// What is asked of the companion for one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deed {
    /// Removes a file or a link.
    Remove,
    /// Removes a folder with nothing in it.
    RemoveFolder,
    /// Makes a folder with these permissions.
    MakeFolder(u32),
    /// Puts in place what was sent under this deed's number.
    Move,
    /// Gives what is there this path, in the same folder, or one with a number where something is there.
    Aside(String),
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    InPlace,
    /// It was not as it was when it was listed.
    Changed,
    /// It had not been sent.
    Missing,
    Failed,
}

/// A deed, what has to be there before (none: nothing), and where. `Any` where that does not matter.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) deed: Deed,
    pub(super) before: Before,
    pub(super) path: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Before {
    Any,
    Nothing,
    Stamp(String),
}

/// Sees to it that a volume is there, and tells which life of it this is: one that was removed and made anew holds
/// nothing of what was known of it.
///
/// # Errors
/// [`SyncError::There`].
pub(super) async fn volume(engine: &Engine, name: &str, owner: &Owner) -> Result<String, SyncError> {
    let failed = |error: bollard::errors::Error| SyncError::there("The volume could not be made", words(&error));
    let mut labels = owner.labels(name);
    labels.insert(LIFE.to_owned(), uuid::Uuid::new_v4().simple().to_string());
    let request =
        VolumeCreateRequest { name: Some(name.to_owned()), labels: Some(labels), ..VolumeCreateRequest::default() };
    // An engine answers with the volume that is there already, labels and all; not every one gives them here.
    limited(MAKING, "The volume", engine.api().create_volume(request)).await?.map_err(failed)?;
    let found = limited(MAKING, "The volume", engine.api().inspect_volume(name)).await?.map_err(failed)?;
    found
        .labels
        .get(LIFE)
        .cloned()
        .ok_or_else(|| SyncError::there("The volume is not Gemra's", format!("{name} has none of our labels")))
}

impl Companion {
    /// Makes and starts it.
    ///
    /// # Errors
    /// [`SyncError`]; nothing is left behind.
    pub(super) async fn start(
        engine: &Engine,
        (name, image): (&str, &str),
        owner: &Owner,
        user: (u32, u32),
        shelves: &[Shelf],
    ) -> Result<Self, SyncError> {
        let engine = Arc::new(engine.clone());
        let mut body = body(&engine, image, owner, shelves);
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        // A task of its own: one that is cut off between two calls would leave a container.
        let started = tokio::spawn(async move {
            let failed = |error: bollard::errors::Error| SyncError::there("The companion did not start", words(&error));
            let api = engine.api();
            let create = |body| limited(MAKING, "The companion", api.create_container(Some(options.clone()), body));
            let mut made = create(body.clone()).await?;
            // It does without what the engine lacks, as the agent does.
            if let Err(error) = &made
                && Lack::of(&words(error)).and_then(|lack| lack.give_in(&mut body)).is_some()
            {
                made = create(body).await?;
            }
            let id = made.map_err(failed)?.id;
            let companion = Self { engine, id, owner: user, attached: CancellationToken::new(), removed: false };
            let options =
                AttachContainerOptionsBuilder::new().stream(true).stdin(true).stdout(true).stderr(true).build();
            let api = companion.engine.api();
            let attached = limited(MAKING, "The companion", api.attach_container(&companion.id, Some(options))).await?;
            tokio::spawn(hold(attached.map_err(failed)?, companion.attached.clone()));
            let start = api.start_container(&companion.id, None::<StartContainerOptions>);
            limited(MAKING, "The companion", start).await?.map_err(failed)?;
            Ok::<_, SyncError>(companion)
        });
        let companion =
            started.await.map_err(|error| SyncError::there("The companion did not start", error.to_string()))??;
        companion.give(shelves).await?;
        Ok(companion)
    }

    /// Removes it and waits until it is gone.
    pub(super) async fn close(mut self) {
        self.removed = true;
        if let Err(error) = clear(&self.engine, &self.id).await {
            tracing::warn!(%error, "the companion could not be removed");
        }
    }

    /// Lists a folder without what is below `pruned`.
    pub(super) async fn list(&self, root: &str, pruned: &[String]) -> Result<Listing, SyncError> {
        let word = word();
        let mut args = vec![root.to_owned(), word.clone()];
        for path in pruned {
            args.extend(["-path".to_owned(), scripts::literal(path), "-prune".to_owned(), "-o".to_owned()]);
        }
        args.extend(["-name", &format!("{OURS}*"), "-prune", "-o"].map(str::to_owned));
        let said = self.run(scripts::LIST, args, Vec::new()).await?;
        scripts::listing(&said, &word)
            .ok_or_else(|| SyncError::there("The files there could not be listed", said.chars().take(2000).collect()))
    }

    /// The digests of files; those that have gone are missing.
    pub(super) async fn digests(&self, root: &str, paths: &[String]) -> Result<HashMap<String, String>, SyncError> {
        let (said, _) = self.ask(scripts::DIGEST, root, paths, &[]).await?;
        Ok(scripts::digests(&said))
    }

    /// Where links lead, in the order of `paths`.
    pub(super) async fn links(&self, root: &str, paths: &[String]) -> Result<Vec<Option<String>>, SyncError> {
        let (said, word) = self.ask(scripts::LINKS, root, paths, &[]).await?;
        let mut targets = scripts::links(&said, &word);
        targets.resize(paths.len(), None);
        Ok(targets)
    }

    /// Sends files and what else there is into `folder`, which is there.
    pub(super) async fn send(
        &self,
        folder: &str,
        tree: &Arc<Tree>,
        parcels: Vec<Parcel>,
        counted: &Arc<AtomicU64>,
    ) -> Result<Sent, SyncError> {
        let (mut pieces, packing) = archive::pack(Arc::clone(tree), parcels, self.owner, Arc::clone(counted));
        let body = futures_util::stream::poll_fn(move |context| pieces.poll_recv(context));
        let options = UploadToContainerOptionsBuilder::new().path(folder).no_overwrite_dir_non_dir("true").build();
        let sending = self.engine.api().upload_to_container(&self.id, Some(options), bollard::body_try_stream(body));
        let sent = moving(counted, sending).await?;
        let packed = packing.await;
        sent.map_err(|error| SyncError::there("Files could not be sent", words(&error)))?;
        let packed = packed.map_err(|error| SyncError::there("Files could not be sent", error.to_string()))?;
        packed.map_err(|error| SyncError::there("Files could not be sent", error.to_string()))
    }

    /// Fetches files: `take` is given each one's number in `paths` and its bytes, off the async runtime.
    pub(super) async fn fetch(
        &self,
        root: &str,
        paths: &[String],
        counted: &Arc<AtomicU64>,
        mut take: impl FnMut(usize, u64, &mut dyn std::io::Read) -> std::io::Result<()> + Send + 'static,
    ) -> Result<(), SyncError> {
        self.ask(scripts::STAGE, root, paths, &[STAGE.to_owned()]).await?;
        let options = DownloadFromContainerOptionsBuilder::new().path(STAGE).build();
        let mut stream = std::pin::pin!(self.engine.api().download_from_container(&self.id, Some(options)));
        let (pieces, arriving) = archive::arriving();
        let unpacking = tokio::task::spawn_blocking(move || {
            // The script counts from one.
            archive::unpack(arriving, LARGEST, |number, size, bytes| take(number.saturating_sub(1), size, bytes))
        });
        let fetching = async {
            while let Some(piece) = stream.next().await {
                let piece = piece.map_err(|error| std::io::Error::other(words(&error)));
                let (failed, length) = (piece.is_err(), piece.as_ref().map_or(0, bytes::Bytes::len));
                counted.fetch_add(length as u64, std::sync::atomic::Ordering::Relaxed);
                if pieces.send(piece).await.is_err() || failed {
                    break;
                }
            }
            drop(pieces);
        };
        moving(counted, fetching).await?;
        let unpacked = unpacking.await.map_err(std::io::Error::other).and_then(|done| done);
        unpacked.map_err(|error| SyncError::there("Files could not be fetched", error.to_string()))
    }

    /// Does all tasks, in their order; what became of each.
    pub(super) async fn apply(&self, root: &str, incoming: &str, tasks: &[Task]) -> Result<Vec<Done>, SyncError> {
        let mut lines = Vec::with_capacity(tasks.len() * 3);
        for Task { deed, before, path } in tasks {
            lines.push(match deed {
                Deed::Remove => "remove".to_owned(),
                Deed::RemoveFolder => "rmdir".to_owned(),
                Deed::MakeFolder(mode) => format!("mkdir {mode:o}"),
                Deed::Move => "move".to_owned(),
                Deed::Aside(path) => format!("aside {path}"),
            });
            lines.push(match before {
                Before::Any => "any".to_owned(),
                Before::Nothing => "-".to_owned(),
                Before::Stamp(stamp) => stamp.clone(),
            });
            lines.push(path.clone());
        }
        let (uid, gid) = self.owner;
        let more = [incoming.to_owned(), format!("{uid}:{gid}")];
        let (said, word) = self.ask(scripts::APPLY, root, &lines, &more).await?;
        let done = said.lines().filter_map(|line| line.strip_prefix(&word)?.strip_prefix(' ')).filter_map(|word| {
            Some(match word {
                "done" => Done::InPlace,
                "changed" => Done::Changed,
                "missing" => Done::Missing,
                "failed" => Done::Failed,
                _ => return None,
            })
        });
        let done: Vec<Done> = done.collect();
        if done.len() == tasks.len() {
            return Ok(done);
        }
        Err(SyncError::there("Files could not be put in place", said.chars().take(2000).collect()))
    }

    /// Gives the volumes themselves to the agent's user: an engine makes them root's.
    async fn give(&self, shelves: &[Shelf]) -> Result<(), SyncError> {
        let (uid, gid) = self.owner;
        let script = "word=$1; owner=$2; shift 2; chown \"$owner\" \"$@\" && echo \"$word end 0\"";
        let word = word();
        let mut args = vec![word.clone(), format!("{uid}:{gid}")];
        args.extend(shelves.iter().map(|shelf| shelf.target.clone()));
        let said = self.run(script, args, Vec::new()).await?;
        ended(&said, &word).then_some(()).ok_or_else(|| SyncError::there("The volume is not the agent's", said))
    }

    /// Runs a script of ours that takes lines over stdin, and sees to it that it came to its end.
    async fn ask(
        &self,
        script: &str,
        root: &str,
        lines: &[String],
        more: &[String],
    ) -> Result<(String, String), SyncError> {
        let word = word();
        let args = [root.to_owned(), word.clone()].into_iter().chain(more.iter().cloned()).collect();
        // The end is said, and not only brought about: not every way to an engine can close one direction.
        let mut text = lines.join("\n");
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&word);
        text.push('\n');
        let said = self.run(script, args, text.into_bytes()).await?;
        if ended(&said, &word) {
            return Ok((said, word));
        }
        Err(SyncError::there("A step in the companion failed", said.chars().take(2000).collect()))
    }

    async fn run(&self, script: &str, args: Vec<String>, input: Vec<u8>) -> Result<String, SyncError> {
        let failed = |error: bollard::errors::Error| SyncError::there("The companion does not answer", words(&error));
        let mut command = ["/bin/sh", "-c", script, "gemra"].map(str::to_owned).to_vec();
        command.extend(args);
        let config = ExecConfig {
            attach_stdin: Some(!input.is_empty()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            env: Some(vec!["LC_ALL=C".to_owned()]),
            cmd: Some(command),
            ..ExecConfig::default()
        };
        let api = self.engine.api();
        let made = limited(MAKING, "A step in the companion", api.create_exec(&self.id, config)).await?;
        let exec = made.map_err(failed)?.id;
        let started = api.start_exec(&exec, None::<StartExecOptions>);
        let started = limited(MAKING, "A step in the companion", started).await?.map_err(failed)?;
        let StartExecResults::Attached { mut output, input: mut to } = started else {
            return Err(SyncError::there("The companion does not answer", "its output was not given".to_owned()));
        };
        let write = async {
            if !input.is_empty() {
                // Where the script has ended, what it said tells why.
                let _ = to.write_all(&input).await;
                let _ = to.flush().await;
            }
            // Kept until the end: closing it would end the whole connection at some engines.
            to
        };
        let read = async {
            let mut said = Vec::new();
            loop {
                let Ok(piece) = tokio::time::timeout(SILENCE, output.next()).await else {
                    return Err(SyncError::Silent { what: "A step in the companion".to_owned(), limit: SILENCE });
                };
                match piece {
                    None => return Ok(said),
                    Some(Ok(LogOutput::StdErr { message })) => {
                        tracing::debug!(said = %String::from_utf8_lossy(&message), "the companion complains");
                    }
                    Some(Ok(piece)) => said.extend_from_slice(&piece.into_bytes()),
                    Some(Err(error)) => return Err(failed(error)),
                }
                if said.len() > LONGEST {
                    return Err(SyncError::TooMuch { limit: "256 MB of names".to_owned() });
                }
            }
        };
        let (_input, said) = tokio::join!(write, read);
        Ok(String::from_utf8_lossy(&said?).into_owned())
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        self.attached.cancel();
        if self.removed {
            return;
        }
        let (engine, id) = (Arc::clone(&self.engine), self.id.clone());
        // Without a runtime the app is ending, and with it the companion's input.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = clear(&engine, &id).await {
                    tracing::warn!(%error, "the companion could not be removed");
                }
            });
        }
    }
}

async fn clear(engine: &Arc<Engine>, id: &str) -> Result<(), run::RunError> {
    run::force_remove(engine, id).await?;
    run::remove(engine, id).await
}

/// Holds the companion's input open: with its end, however we end, the companion ends.
async fn hold(attached: AttachContainerResults, until: CancellationToken) {
    let AttachContainerResults { mut output, input } = attached;
    let drain = async { while output.next().await.is_some() {} };
    tokio::select! {
        () = drain => {}
        () = until.cancelled() => {}
    }
    drop(input);
}

fn body(engine: &Engine, image: &str, owner: &Owner, shelves: &[Shelf]) -> ContainerCreateBody {
    let mount = |shelf: &Shelf| Mount {
        typ: Some(MountType::VOLUME),
        source: Some(shelf.volume.clone()),
        target: Some(shelf.target.clone()),
        // What the image has at that path is none of the workspace's.
        volume_options: Some(MountVolumeOptions { no_copy: Some(true), ..MountVolumeOptions::default() }),
        ..Mount::default()
    };
    let mut security = vec!["no-new-privileges".to_owned()];
    if engine.about().selinux {
        security.push("label=disable".to_owned());
    }
    ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some(["/bin/sh", "-c", "cat >/dev/null", "gemra"].map(str::to_owned).to_vec()),
        cmd: Some(Vec::new()),
        user: Some("0:0".to_owned()),
        working_dir: Some("/".to_owned()),
        labels: Some(owner.labels("companion")),
        open_stdin: Some(true),
        stdin_once: Some(true),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        host_config: Some(HostConfig {
            init: Some(true),
            auto_remove: Some(true),
            network_mode: Some("none".to_owned()),
            log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
            cap_drop: Some(vec!["ALL".to_owned()]),
            // The agent's files are the agent's, and some it may have closed to everybody.
            cap_add: Some(["CHOWN", "DAC_OVERRIDE", "FOWNER"].map(str::to_owned).to_vec()),
            security_opt: Some(security),
            mounts: Some(shelves.iter().map(mount).collect()),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

fn word() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

fn ended(said: &str, word: &str) -> bool {
    said.lines().next_back().is_some_and(|line| line.strip_prefix(word) == Some(" end 0"))
}

/// Gives up on what has moved no byte for a while.
async fn moving<T>(counted: &AtomicU64, work: impl Future<Output = T>) -> Result<T, SyncError> {
    let mut work = std::pin::pin!(work);
    loop {
        let before = counted.load(std::sync::atomic::Ordering::Relaxed);
        if let Ok(done) = tokio::time::timeout(SILENCE, &mut work).await {
            return Ok(done);
        }
        if counted.load(std::sync::atomic::Ordering::Relaxed) == before {
            return Err(SyncError::Silent { what: "The transfer of files".to_owned(), limit: SILENCE });
        }
    }
}

async fn limited<T>(limit: Duration, what: &str, doing: impl Future<Output = T>) -> Result<T, SyncError> {
    tokio::time::timeout(limit, doing).await.map_err(|_| SyncError::Silent { what: what.to_owned(), limit })
}
