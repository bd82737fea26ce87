//! A container with an agent in it: made, attached, started, stopped, gone. Gives the same
//! [`Process`] as the host does. It knows neither what the agent says nor which state the tab is in.

mod error;
mod memory;
mod supervise;
mod volumes;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptions, CreateContainerOptionsBuilder, InspectContainerOptions,
    RemoveContainerOptionsBuilder, StartContainerOptions,
};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub use error::{Phase, RunError, why};
pub(super) use volumes::remove_half_made;

use super::engine::quirks::{self, Lack};
use super::engine::{self, Engine, question};
use super::held::Held;
use super::labels;
use super::spec::{Plan, SpecError, wrapper};
use crate::process::ladder::Ladder;
use crate::process::lines::Tail;
use crate::process::{Input, Process, STDERR_TAIL, Stop};
use supervise::{Happened, Watched};

/// A container that runs and whose agent waits for its secrets. Dropping it removes the container.
///
/// The agent reads nothing of the conversation before [`release`](Self::release): that is what lets a container start
/// while the host's agent still leaves.
#[derive(Debug)]
pub struct Prepared {
    /// The engine's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What had to be done otherwise than planned, in words.
    pub notes: Vec<String>,
    /// How often a process in it was killed for want of memory, as far as is known.
    pub ran_out: watch::Receiver<u32>,
    /// Asks for a look at that, where the engine does not tell it by itself.
    pub look: Arc<Notify>,
    /// What is said on stderr, line by line, until the container has ended; `None` where somebody took it.
    pub errors: Option<mpsc::UnboundedReceiver<String>>,
    process: Process,
    gate: oneshot::Sender<String>,
}

impl Prepared {
    /// Lets the agent begin, with these variables and these arguments on top of the plan's. The variables go over
    /// stdin and are seen nowhere else.
    ///
    /// # Errors
    /// [`RunError::Spec`] where one of them cannot be in an environment; the container is then removed.
    pub fn release(self, variables: &BTreeMap<String, String>, args: &[String]) -> Result<Process, RunError> {
        self.release_without(variables, &[], args)
    }

    /// The same, without variables of the container's own that are named in `unset`.
    ///
    /// # Errors
    /// As [`Self::release`].
    pub fn release_without(
        self,
        variables: &BTreeMap<String, String>,
        unset: &[String],
        args: &[String],
    ) -> Result<Process, RunError> {
        let line = wrapper::first_line(variables, args).map_err(SpecError::from)?;
        let line = format!("{}{line}", wrapper::taken_away(unset).map_err(SpecError::from)?);
        // Where the container has gone meanwhile, the process's exit says so.
        let _ = self.gate.send(line);
        Ok(self.process)
    }

    /// Gives the container up before its agent began. Resolves with its end when it is gone, or when the engine would
    /// not remove it: [`Exit::left`](crate::process::Exit::left).
    pub async fn discard(self) -> crate::process::Exit {
        drop(self.gate);
        self.process.stop.stop().await
    }

    /// What holds on to it from outside, at the engine that has it.
    pub fn held(&self, engine: &Engine) -> Held {
        Held {
            engine: engine.clone(),
            id: self.id.clone(),
            name: self.name.clone(),
            ran_out: self.ran_out.clone(),
            look: Arc::clone(&self.look),
        }
    }

    /// Its end, whoever brings it about: a container may die while it waits.
    pub fn exit(&self) -> watch::Receiver<Option<crate::process::Exit>> {
        self.process.exit.clone()
    }
}

/// Makes, attaches and starts the container of `plan`. `phase` is told what is being done. Cancelled or dropped, it
/// removes what it has made; cancelled, it returns when that is gone.
///
/// # Errors
/// [`RunError`] says where on the way it failed; nothing is left behind.
pub async fn prepare(
    engine: &Engine,
    plan: Plan,
    cancel: &CancellationToken,
    phase: impl Fn(Phase) + Send + Sync + 'static,
) -> Result<Prepared, RunError> {
    let cancel = cancel.child_token();
    // A task of its own, so that a caller that is dropped cannot leave a container between two calls.
    let _guard = cancel.clone().drop_guard();
    let engine = Arc::new(engine.clone());
    let way = tokio::spawn(async move { Way { engine, plan, phase, notes: Vec::new() }.go(&cancel).await });
    match way.await {
        Ok(result) => result,
        Err(error) => Err(RunError::StartFailed { phase: Phase::Start, cause: error.to_string() }),
    }
}

/// Removes a container, by its id, and waits until the engine no longer knows it. One that removes itself is waited for first.
pub(crate) async fn remove(engine: &Arc<Engine>, id: &str) -> Result<(), RunError> {
    let going = async {
        let mut pause = Duration::from_millis(5);
        let mut forced = false;
        let began = tokio::time::Instant::now();
        loop {
            match state(engine, id).await {
                Ok(None) => return Ok(()),
                Ok(Some(state)) => {
                    let leaving = matches!(state.as_str(), "removing" | "exited" | "dead" | "stopped");
                    if !forced && (!leaving || began.elapsed() > Duration::from_secs(1)) {
                        forced = true;
                        force_remove(engine, id).await?;
                        continue;
                    }
                }
                // Docker stumbles over a container that is just being removed; the next look is better.
                Err(error) if engine::status(&error).is_some_and(|status| status >= 500) => {}
                Err(error) => {
                    let cause = engine::words(&error);
                    return Err(RunError::StartFailed { phase: Phase::Remove, cause });
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    };
    limited(Phase::Remove, going).await?
}

/// The container's state as the engine names it; `None` where the engine lists no such container. The list is asked
/// and not `inspect`, since that is the last place from which Docker takes a container that it removes.
async fn state(engine: &Engine, id: &str) -> Result<Option<String>, bollard::errors::Error> {
    let filters = HashMap::from([("id".to_owned(), vec![id.to_owned()])]);
    let found = engine::list::containers(engine, &filters).await?;
    Ok(found.into_iter().next().map(|one| one.state))
}

/// Asks the engine to kill and remove a container. That it is gone or going already is what is wanted.
pub(crate) async fn force_remove(engine: &Engine, id: &str) -> Result<(), RunError> {
    let options = RemoveContainerOptionsBuilder::new().force(true).build();
    match limited(Phase::Remove, engine.api().remove_container(id, Some(options))).await? {
        Err(error) if !matches!(engine::status(&error), Some(404 | 409)) => {
            Err(RunError::StartFailed { phase: Phase::Remove, cause: engine::words(&error) })
        }
        _ => Ok(()),
    }
}

fn create_options(name: &str, platform: Option<&str>) -> CreateContainerOptions {
    let options = CreateContainerOptionsBuilder::new().name(name);
    platform.map_or(options.clone(), |platform| options.platform(platform)).build()
}

async fn limited<T>(phase: Phase, doing: impl Future<Output = T>) -> Result<T, RunError> {
    tokio::time::timeout(phase.limit(), doing).await.map_err(|_| RunError::Timeout { phase })
}

/// A started agent, what opens its gate, how often something inside ran out of memory and what asks for a look at that,
/// and what it says on stderr.
type Entered = (Process, oneshot::Sender<String>, watch::Receiver<u32>, Arc<Notify>, mpsc::UnboundedReceiver<String>);

/// The way from a plan to a running container.
struct Way<F> {
    engine: Arc<Engine>,
    plan: Plan,
    phase: F,
    notes: Vec<String>,
}

impl<F: Fn(Phase) + Send + Sync> Way<F> {
    async fn go(mut self, cancel: &CancellationToken) -> Result<Prepared, RunError> {
        if let Some(cause) = quirks::unspeakable(self.engine.about(), &self.plan.body) {
            return Err(RunError::Unspeakable { cause });
        }
        (self.phase)(Phase::Volumes);
        volumes::ensure(&self.engine, &self.plan, cancel).await?;
        (self.phase)(Phase::Create);
        // Not cancelled half way: nobody would know whether there is a container.
        let id = self.create().await?;
        let entered = tokio::select! {
            entered = self.enter(&id) => entered,
            () = cancel.cancelled() => Err(RunError::Cancelled),
        };
        match entered {
            Ok((process, gate, ran_out, look, errors)) => Ok(Prepared {
                id,
                name: self.plan.name,
                notes: self.notes,
                ran_out,
                look,
                errors: Some(errors),
                process,
                gate,
            }),
            Err(error) => {
                if let Err(left) = remove(&self.engine, &id).await {
                    tracing::warn!(id, error = %left, "a container that did not start could not be removed");
                }
                Err(error)
            }
        }
    }

    async fn create(&mut self) -> Result<String, RunError> {
        let mut body = self.plan.body.clone();
        if let Some(missing) = quirks::missing_source(self.engine.about(), &body).await {
            return Err(RunError::BadMount { cause: format!("{missing} is not there") });
        }
        let user = body.user.clone().unwrap_or_default();
        quirks::adapt(self.engine.about(), &mut body, &user);
        // Each refusal is answered at most once, so that this ends.
        for _ in 0..4 {
            let asked = self
                .engine
                .api()
                .create_container(Some(create_options(&self.plan.name, self.plan.platform.as_deref())), body.clone());
            let error = match tokio::time::timeout(Phase::Create.limit(), asked).await {
                Ok(Ok(made)) => return Ok(made.id),
                Ok(Err(error)) => error,
                Err(_) => {
                    // It may yet come to be.
                    force_remove(&self.engine, &self.plan.name).await?;
                    return Err(RunError::Timeout { phase: Phase::Create });
                }
            };
            if !self.give_in(&error, &mut body).await? {
                return Err(self.refused(Phase::Create, &error));
            }
        }
        let cause = "it was refused again and again".to_owned();
        Err(RunError::StartFailed { phase: Phase::Create, cause })
    }

    /// Changes what the engine cannot do and the agent can do without; false where it is something else.
    async fn give_in(
        &mut self,
        error: &bollard::errors::Error,
        body: &mut ContainerCreateBody,
    ) -> Result<bool, RunError> {
        if let Some(lack) = Lack::of(&engine::words(error)).and_then(|lack| lack.give_in(body)) {
            self.note(lack);
            return Ok(true);
        }
        if quirks::is_name_taken(engine::status(error), &engine::words(error)) {
            return self.take_name().await.map(|()| true);
        }
        Ok(false)
    }

    fn note(&mut self, words: &str) {
        tracing::warn!("{words}");
        self.notes.push(words.to_owned());
    }

    /// Frees the container's name where its holder is this tab's own, left from a start that went wrong.
    async fn take_name(&self) -> Result<(), RunError> {
        let name = &self.plan.name;
        let asked = Box::pin(async {
            let holder = self.engine.api().inspect_container(name, None::<InspectContainerOptions>).await?;
            let labels = holder.config.and_then(|config| config.labels);
            Ok((holder.id.unwrap_or_default(), labels.unwrap_or_default()))
        });
        let (id, theirs) = question("who has the container's name", asked).await?;
        let ours = self.plan.body.labels.clone().unwrap_or_default();
        let same = |label: &str| ours.get(label).is_some_and(|value| theirs.get(label) == Some(value));
        if same(labels::MANAGED) && same(labels::INSTANCE) && same(labels::TAB) {
            return remove(&self.engine, &id).await;
        }
        Err(RunError::NameConflict { name: name.clone() })
    }

    async fn enter(&mut self, id: &str) -> Result<Entered, RunError> {
        (self.phase)(Phase::Attach);
        let options = AttachContainerOptionsBuilder::new().stream(true).stdin(true).stdout(true).stderr(true).build();
        let attached = limited(Phase::Attach, self.engine.api().attach_container(id, Some(options))).await?;
        // Podman prepares the container here, so that what is wrong with it is said here.
        let attached = attached.map_err(|error| self.refused(Phase::Attach, &error))?;

        let (input, input_lines) = Input::channel();
        let (output_lines, output) = mpsc::unbounded_channel();
        let (exit_sender, exit) = watch::channel(None);
        let (stop, requests) = Stop::channel(exit.clone());
        let (gate, gate_receiver) = oneshot::channel();
        let (happened_sender, happened) = watch::channel(Happened::default());
        let (ran_out_sender, ran_out) = watch::channel(0);
        let tail = Arc::new(Mutex::new(Tail::new(STDERR_TAIL)));
        let (complaints, errors) = mpsc::unbounded_channel();
        let look = Arc::new(Notify::new());
        let looking = (!quirks::tells_of_memory(self.engine.about())).then(|| {
            let told = ran_out_sender.clone();
            let looking = memory::look(Arc::clone(&self.engine), id.to_owned(), Arc::clone(&look), told);
            AbortOnDropHandle::new(tokio::spawn(looking))
        });
        let unreleased = CancellationToken::new();
        tokio::spawn(supervise::write(attached.input, gate_receiver, unreleased.clone(), input_lines));
        let reader = tokio::spawn(supervise::drain(attached.output, output_lines, Arc::clone(&tail), complaints));
        let ended = tokio::spawn(supervise::verdict(Arc::clone(&self.engine), id.to_owned()));
        // A little before now, since the engine's clock may be a little behind.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map(|now| now.as_secs().saturating_sub(2));
        let events = tokio::spawn(supervise::follow(
            Arc::clone(&self.engine),
            id.to_owned(),
            since.unwrap_or_default(),
            happened_sender,
            ran_out_sender,
        ));

        (self.phase)(Phase::Start);
        let limit = self.plan.start.unwrap_or(Phase::Start.limit());
        let starting = self.engine.api().start_container(id, None::<StartContainerOptions>);
        let started = tokio::time::timeout(limit, starting).await.map_err(|_| RunError::StartTooSlow { limit });
        if let Err(error) = started.and_then(|started| started.map_err(|error| self.refused(Phase::Start, &error))) {
            reader.abort();
            ended.abort();
            events.abort();
            return Err(error);
        }
        tokio::spawn(supervise::supervise(Watched {
            engine: Arc::clone(&self.engine),
            id: id.to_owned(),
            input: input.clone(),
            ladder: Ladder::of(requests),
            ended,
            reader,
            happened,
            events,
            looking,
            unreleased,
            tail,
            exit: exit_sender,
        }));
        Ok((Process { input, output, exit, stop, group: None }, gate, ran_out, look, errors))
    }

    fn refused(&self, phase: Phase, error: &bollard::errors::Error) -> RunError {
        let cause = engine::words(error);
        let lower = cause.to_lowercase();
        let image = self.plan.body.image.clone().unwrap_or_default();
        match engine::status(error) {
            Some(404) if lower.contains("image") => RunError::ImageMissing { image },
            Some(_)
                if lower.contains("bind source") || lower.contains("invalid mount") || lower.contains("mounting") =>
            {
                RunError::BadMount { cause }
            }
            _ => RunError::StartFailed { phase, cause },
        }
    }
}
