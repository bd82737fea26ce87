//! Starts an agent in a container: from a tab's order to an image, and from the image to a container that waits at a
//! gate until nobody else holds the conversation. The engine's rooms do the work; here it is put together.

mod away;
mod commands;
mod complaints;
mod credentials;
mod devcontainer;
mod engine;
mod grant;
mod guarded;
mod image;
mod network;
mod project;
mod sudo;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::agent::Mode;
use crate::agent::claude::launch::{self, Conversation, Launch};
use crate::agent::claude::sessions;
use crate::app::Surroundings;
use crate::container::engine::{Engine, quirks};
use crate::container::held::Held;
use crate::container::image::fit::Fit;
use crate::container::labels::Owner;
use crate::container::network::Inward;
use crate::container::run::{self, Prepared};
use crate::container::spec::{self, MountSource, Wish, extra};
use crate::failure::{Code, Failure};
use crate::git;
use crate::owner;
use crate::process::{Exit, Process};
use crate::settings::Variables;
use crate::sync::Told;
use crate::tab::TabId;
use crate::tab::view::BuildStep;
use crate::trust::{Question, Reply};
use crate::workspace::Workspace;
use away::Away;
pub use network::{Refusal, Refusals};

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Order {
    /// What every tab may use.
    pub surroundings: Arc<Surroundings>,
    /// The tab.
    pub tab: TabId,
    /// Where it works.
    pub workspace: Workspace,
    /// The model, where one was chosen.
    pub model: Option<String>,
    /// What the user has allowed for the rest of the conversation.
    pub allowed: Vec<String>,
    /// The permission mode.
    pub mode: Mode,
    /// Make the image from scratch, on a base that is fetched again.
    pub fresh: bool,
    /// Cancelled where nobody wants the container any more that is being made.
    pub wanted: CancellationToken,
}

/// How it goes.
#[derive(Debug, Clone)]
pub enum News {
    /// What is being done, in words.
    Phase(String),
    /// Something that is known now.
    Fact(&'static str, String),
    /// How far the build is.
    Step(BuildStep),
    /// The log: of the build, and of what the agent says on stderr.
    Log {
        /// True where a new one begins.
        reset: bool,
        /// More lines.
        lines: Vec<String>,
    },
    /// Something that belongs into the conversation.
    Notice(String),
    /// What the container was refused on its way out until now.
    Refused(Refusals),
    /// The container must not go on.
    Failed(Failure),
    /// To be cancelled when the agent in the container has answered: whoever waits for it leaves the start alone.
    WhenRunning(CancellationToken),
    /// The project asks for more than a container has. Nothing happens before the answer.
    Asks(Question, Reply),
    /// Whether what is done now has to be ready in the usual time.
    Hurry(bool),
}

/// An image that is there, and the engine that has it.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its name by fingerprint.
    pub name: String,
    engine: Engine,
    uid: u32,
    gid: u32,
    certificates: bool,
    fit: Fit,
    platform: Option<String>,
    /// What it was made from, as far as it is the project's to change.
    seen: project::Seen,
    granted: Option<Arc<devcontainer::Granted>>,
    /// Its folders, where the engine cannot see this machine's.
    away: Away,
}

impl Image {
    /// Who has it.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether a container that is made for `order` now would be another one: the Dockerfile has changed, or what it
    /// copies, or what else the project says of its containers. Fetches and builds nothing.
    pub async fn has_changed(&self, order: &Order) -> bool {
        self.seen.has_changed(order).await
    }
}

/// A container that has started and waits.
#[derive(Debug)]
pub struct Gate {
    held: Box<Held>,
    prepared: Prepared,
    order: Order,
    holder: owner::Owner,
    lent: Variables,
    inward: Inward,
    granted: Option<Arc<devcontainer::Granted>>,
    away: Away,
}

/// Finds the engine and the image, and builds it if need be. Dropped, it cancels its part in the build.
///
/// # Errors
/// A [`Failure`] of the engine's or the image's class.
pub async fn prepare(order: &Order, news: impl Fn(News) + Send + Sync) -> Result<Image, Failure> {
    let surroundings = &order.surroundings;
    surroundings.credentials().ready().await.map_err(|error| Failure::from(&error))?;
    let said = project::look(order, &news).await?;
    let engine = engine::find(order, &news).await?;
    let owner = owner_of(&order.workspace).await?;
    let (uid, gid) = spec::user(engine.about(), (owner.uid, owner.gid));
    news(News::Fact("User", in_words(uid, gid, &engine)));
    image::prepare(order, &engine, (uid, gid), said, &news).await
}

/// Sends what a container is to see, where the engine is elsewhere: as long as the host's agent works.
///
/// # Errors
/// A [`Failure`] where it cannot be sent.
pub async fn send(order: &Order, image: &Image, news: impl Fn(News) + Send + Sync) -> Result<(), Failure> {
    image.away.go(order, image, &news).await
}

/// Creates and starts the container. It holds nothing of the conversation before the gate is opened.
///
/// # Errors
/// A [`Failure`] of the container's class; nothing is left behind.
pub async fn enter(
    order: &Order,
    image: &Image,
    news: impl Fn(News) + Send + Sync + Clone + 'static,
) -> Result<Gate, Failure> {
    // From here on whatever fails lets go of them.
    let away = image.away.take();
    let surroundings = &order.surroundings;
    let workspace = order.workspace.path().to_path_buf();
    let (known, holder) = (quirks::knows_groups(image.engine.about()), owner_of(&order.workspace).await?);
    let ground = ground(order, known, holder, &news).await?;
    let identity = surroundings.git_identity().await;
    engine::uses(order, &image.engine, &news).await;
    let stand_ins = away.stand_ins(order, image, &news).await?;
    let (wishes, about) = (surroundings.settings().wishes(&workspace), image.engine.about());
    let home = surroundings.environment().home();
    let grant = grant::look(&wishes, about, &workspace, home.as_deref(), (image.uid, holder)).await?;
    let (passed, left_out) = variables(order);
    let receiver = credentials::Receiver {
        surroundings,
        workspace: &workspace,
        uid: image.uid,
        holder,
        engines_agent: quirks::brings_ssh_agent(image.engine.about()),
    };
    let lent = credentials::lend(&receiver, &passed).await;
    let short_id = uuid::Uuid::new_v4().simple().to_string()[..6].to_owned();
    let mut given = image.granted.as_ref().map_or_else(|| Ok(BTreeMap::new()), |granted| granted.variables())?;
    given.extend(passed.into_iter().chain(lent.variables.0.clone()));
    let network = network::Network::hold(order, image, &short_id, given, news.clone()).await?;
    let mut wish = Wish {
        owner: labels(order),
        short_id,
        image: image.name.clone(),
        uid: image.uid,
        gid: image.gid,
        limits: grant.limits,
        held: grant.held,
        folders: grant.folders,
        certificates: image.certificates,
        git_name: identity.name,
        git_email: identity.email,
        git_settings: Vec::new(),
        mounts: grant.mounts.into_iter().chain(image.fit.mounts()).collect(),
        stand_ins,
        homeless: image.fit.homeless,
        platform: image.platform.clone(),
        environment: project(&order.workspace),
        // The conversation follows when the gate opens: only then is it known whether there is one to resume.
        args: launch(order, Conversation::New(String::new())).args_without_conversation(),
        engine: (&image.engine).into(),
        ..ground.wish()
    };
    let mut done = None;
    if let Some(granted) = &image.granted {
        granted.grant(&mut wish)?;
        done = granted.done(&image.engine).await?;
        wish.image = done.clone().unwrap_or(wish.image);
    }
    lent.add_to(&mut wish);
    if let Some(words) = lent.in_words() {
        news(News::Fact("Credentials", words));
    }
    network.apply(&mut wish);
    let stays_here = if image.engine.is_remote() { without_folders_of_ours(&mut wish) } else { Vec::new() };
    tell_wish(&wish, &news);
    let plan = spec::plan(&wish).map_err(|error| Failure::from(&run::RunError::from(error)))?;
    news(News::Fact("Container", plan.name.clone()));
    let mut notes = plan.notes.clone();
    notes.extend(grant.notes);
    notes.extend(quirks::notes(image.engine.about()));
    notes.extend(left_out);
    notes.extend(lent.notes);
    notes.extend(stays_here);
    tell_notes(&notes, &news);
    guarded::begin(order, &wish).await?;
    let mut prepared = start(order, image, plan, (&wish.session_bucket, holder), &away, news.clone()).await?;
    complaints::hand_on(prepared.errors.take(), news.clone());
    notes.extend(prepared.notes.clone());
    tell_notes(&notes, &news);
    let attended = network.attend(&image.engine, &prepared, news.clone()).await;
    let commanded = match (&image.granted, &attended) {
        (Some(granted), Ok(_)) => {
            let user = (image.uid, image.gid);
            granted.run(&image.engine, &prepared, user, done.is_some(), &order.wanted, &news).await
        }
        _ => Ok(()),
    };
    let inward = match attended.and_then(|inward| commanded.map(|()| inward)) {
        Ok(inward) => inward,
        Err(failure) => {
            prepared.discard().await;
            away.close(image.granted.is_some()).await;
            return Err(failure);
        }
    };
    news(News::Phase("Waiting for the host's agent to leave".to_owned()));
    let held = prepared.held(&image.engine);
    let (lent, granted) = (lent.variables, image.granted.clone());
    Ok(Gate { held: Box::new(held), prepared, order: order.clone(), holder, lent, inward, granted, away })
}

/// What a devcontainer gives to the agent alone, and what it takes away.
fn granted_to(granted: Option<&devcontainer::Granted>) -> Result<(BTreeMap<String, String>, Vec<String>), Failure> {
    granted.map_or_else(|| Ok((BTreeMap::new(), Vec::new())), |granted| Ok((granted.variables()?, granted.unset())))
}

fn tell_wish(wish: &Wish, news: &impl Fn(News)) {
    news(News::Fact("Mounts", mounts(wish)));
    news(News::Fact("Limits", extra::limits_in_words(&wish.limits, &wish.held)));
    wish.held.facts().into_iter().for_each(|(name, value)| news(News::Fact(name, value)));
}

/// Leaves out what is on this machine, and gives what is left out, in words. It cannot be mounted on another, and a
/// socket of this one even less.
fn without_folders_of_ours(wish: &mut Wish) -> Vec<String> {
    let mut left_out = Vec::new();
    wish.mounts.retain(|mount| match &mount.source {
        MountSource::Volume(_) => true,
        MountSource::Path(path) => {
            left_out.push(format!("{} is not inside: the engine is on another machine", path.display()));
            false
        }
    });
    left_out
}

/// What a workspace brings along into every container.
struct Ground {
    workspace: PathBuf,
    /// Its conversations.
    bucket: PathBuf,
    git_common_dir: Option<PathBuf>,
    git_common_names: Vec<PathBuf>,
    groups: Vec<u32>,
}

impl Ground {
    fn wish(self) -> Wish {
        Wish {
            workspace: self.workspace,
            session_bucket: self.bucket,
            git_common_dir: self.git_common_dir,
            git_common_names: self.git_common_names,
            groups: self.groups,
            ..Wish::default()
        }
    }
}

/// Looks at it, and gives the conversations to `holder`. `known`: groups mean the same inside.
async fn ground(order: &Order, known: bool, holder: owner::Owner, news: &impl Fn(News)) -> Result<Ground, Failure> {
    let surroundings = &order.surroundings;
    let workspace = order.workspace.path().to_path_buf();
    let folder = surroundings.claude_folder(&workspace);
    let looked = tokio::task::spawn_blocking(move || {
        let bucket = sessions::bucket(&folder, &workspace);
        owner::hand_over(&bucket, holder)
            .map_err(|(path, error)| bad_mount(&format!("{} cannot be used: {error}", path.display())))?;
        let git_common_dir = git::common_folder(&workspace);
        let names = |common: &PathBuf| git::common_names(&workspace, common, Path::new(spec::WORKSPACE));
        let git_common_names = git_common_dir.as_ref().map(names).unwrap_or_default();
        let groups = if known { groups(&workspace, git_common_dir.as_deref()) } else { Ok(Vec::new()) };
        let groups = groups.map_err(|error| bad_mount(&format!("The workspace cannot be looked at: {error}")))?;
        Ok::<_, Failure>(Ground { workspace, bucket, git_common_dir, git_common_names, groups })
    });
    let ground = looked.await.map_err(|error| start_failed(&error.to_string()))??;
    if !ground.groups.is_empty() {
        news(News::Fact("Groups", format!("{}, through which you may use these folders", numbers(&ground.groups))));
    }
    Ok(ground)
}

/// Makes and starts the container, and lets the reaper know of it meanwhile.
async fn start(
    order: &Order,
    image: &Image,
    plan: spec::Plan,
    (bucket, holder): (&Path, owner::Owner),
    away: &Away,
    news: impl Fn(News) + Send + Sync + Clone + 'static,
) -> Result<Prepared, Failure> {
    away.lend().await?;
    let reaper = order.surroundings.reaper();
    let told = news.clone();
    let phase = move |phase: run::Phase| news(News::Phase(phase.in_words().to_owned()));
    // While it is made the engine may not list it yet: whoever clears up after us has to know that it may come.
    let name = plan.name.clone();
    reaper.expect_container(&name);
    let cancel = CancellationToken::new();
    let mut prepared = run::prepare(&image.engine, plan.clone(), &cancel, phase.clone()).await;
    let (again, missing) = (bucket.to_path_buf(), matches!(prepared, Err(run::RunError::BadMount { .. })));
    // An agent on the host that leaves takes a folder of conversations along in which there is none.
    if missing
        && matches!(
            tokio::task::spawn_blocking(move || !again.is_dir() && owner::hand_over(&again, holder).is_ok()).await,
            Ok(true)
        )
    {
        prepared = run::prepare(&image.engine, plan, &cancel, phase).await;
    }
    // What the engine has not answered in time may come yet.
    if !matches!(prepared, Err(run::RunError::Timeout { phase: run::Phase::Create })) {
        reaper.settle_container(&name);
    }
    if prepared.is_err() {
        away.close(false).await;
    }
    let prepared = prepared.map_err(|error| Failure::from(&error))?;
    sudo::look(order, &image.engine, &prepared.id, image.uid, told);
    Ok(prepared)
}

impl Gate {
    /// Lets the agent begin, in the conversation `id`. Nobody else may hold it any more.
    ///
    /// # Errors
    /// A [`Failure`] where the conversation's files cannot be given to the agent's user, or a variable not to the
    /// agent; the container is then removed.
    pub async fn open(
        self,
        id: String,
        tell: impl Fn(Told) + Send + Sync + Clone + 'static,
    ) -> Result<Process, Failure> {
        let Self { held: _, prepared, order, holder, lent, inward, granted, away } = self;
        let surroundings = &order.surroundings;
        let workspace = order.workspace.path().to_path_buf();
        let folder = surroundings.claude_folder(&workspace);
        let looked = tokio::task::spawn_blocking(move || {
            // What the host's agent has written last belongs to its user still.
            let handed = owner::hand_over(&sessions::bucket(&folder, &workspace), holder);
            (handed, sessions::take_up(&folder, &workspace, id))
        });
        let released = match looked.await {
            // What the host's agent has done last has to be there when the next one reads it.
            Ok((Ok(()), conversation)) => {
                match away.catch_up(&tell).await.and_then(|()| granted_to(granted.as_deref())) {
                    Ok((mut given, unset)) => {
                        // The user's own word counts more than the project's.
                        given.extend(variables(&order).0);
                        given.extend(lent.0);
                        inward.rewrite(&mut given);
                        let released = prepared.release_without(&given, &unset, &conversation.args());
                        return released
                            .map(|process| away.follow(process, tell))
                            .map_err(|error| Failure::from(&error));
                    }
                    Err(failure) => failure,
                }
            }
            Ok((Err((path, error)), _)) => bad_mount(&format!("{} cannot be used: {error}", path.display())),
            Err(error) => start_failed(&error.to_string()),
        };
        prepared.discard().await;
        away.close(granted.is_some()).await;
        Err(released)
    }

    /// The container, for whoever looks into it.
    pub fn held(&self) -> Held {
        (*self.held).clone()
    }

    /// Removes the container; resolves with its end when it is gone, or the engine would not remove it.
    pub async fn discard(self) -> Exit {
        let exit = self.prepared.discard().await;
        self.away.close(self.granted.is_some()).await;
        exit
    }
}

/// What tells programs inside which project they are in.
fn project(workspace: &Workspace) -> Vec<(String, String)> {
    // A name can hold what an environment cannot.
    let name: String = workspace.name().chars().filter(|character| !character.is_control()).collect();
    vec![("PROJECT_NAME".to_owned(), name), ("PROJECT_PATH".to_owned(), spec::WORKSPACE.to_owned())]
}

fn launch(order: &Order, conversation: Conversation) -> Launch {
    Launch {
        conversation,
        model: order.model.clone(),
        mode: order.mode,
        allowed: order.allowed.clone(),
        system_prompt: launch::system_prompt(order.workspace.path()),
        contained: true,
    }
}

/// What the agent gets over stdin.
fn variables(order: &Order) -> (BTreeMap<String, String>, Option<String>) {
    variables_of(&order.surroundings, order.workspace.path())
}

/// What an agent gets over stdin: the host's variables, on top of them the user's own keys, and on top of those the
/// project's variables. And a note where one of the project's is left out.
pub(crate) fn variables_of(
    surroundings: &Surroundings,
    workspace: &Path,
) -> (BTreeMap<String, String>, Option<String>) {
    let mut all = spec::passed(surroundings.environment());
    for (name, value) in surroundings.credentials().changes(surroundings.settings().variables(workspace)) {
        match value {
            Some(value) => all.insert(name, value),
            None => all.remove(&name),
        };
    }
    let dropped = all.remove(spec::FOLDER).map(|_| {
        format!(
            "{} of the project's settings is left out inside, where the conversations have their own folder",
            spec::FOLDER
        )
    });
    (all, dropped)
}

/// One fact for all of them, because each fact replaces the one of its name.
fn tell_notes(notes: &[String], news: &impl Fn(News)) {
    if !notes.is_empty() {
        news(News::Fact("Note", notes.join("\n")));
    }
}

fn labels(order: &Order) -> Owner {
    Owner {
        instance: order.surroundings.instance().to_owned(),
        tab: order.tab.to_string(),
        workspace: order.workspace.path().display().to_string(),
    }
}

async fn owner_of(workspace: &Workspace) -> Result<owner::Owner, Failure> {
    let path = workspace.path().to_path_buf();
    let found = tokio::task::spawn_blocking(move || owner::of(&path)).await;
    found
        .map_err(std::io::Error::other)
        .and_then(|owner| owner)
        .map_err(|error| bad_mount(&format!("The workspace cannot be looked at: {error}")))
}

/// The groups by which the user may use the workspace and its repository, beside the first one. The ids that a rootless
/// engine's container knows are others, so that this is not asked there.
fn groups(workspace: &Path, git_common_dir: Option<&Path>) -> std::io::Result<Vec<u32>> {
    let mut groups = Vec::new();
    for folder in [Some(workspace), git_common_dir].into_iter().flatten() {
        groups.extend(owner::shared_group(folder)?.filter(|group| !groups.contains(group)));
    }
    Ok(groups)
}

fn numbers(groups: &[u32]) -> String {
    groups.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

fn in_words(uid: u32, gid: u32, engine: &Engine) -> String {
    if quirks::is_rootless(engine.about()) && uid == 0 {
        return "root inside, which is you outside: the engine is rootless".to_owned();
    }
    match uid {
        0 => "root, as the workspace's owner".to_owned(),
        uid if owner::of_us().uid == 0 => format!("{uid}:{gid}, as the workspace's owner"),
        uid => format!("{uid}:{gid}, which is you"),
    }
}

fn mounts(wish: &Wish) -> String {
    let own = wish.workspace.display();
    if !wish.stand_ins.is_empty() {
        return format!("a copy of {own} → /workspace\na copy of its conversations → ~/.claude/projects");
    }
    let twice = wish.workspace != Path::new(spec::WORKSPACE) && spec::is_at_own_path(&wish.workspace);
    let mut lines = vec![format!("{own} → /workspace{}", if twice { " and the same path" } else { "" })];
    if let Some(common) = wish.git_common_dir.as_ref().filter(|common| spec::is_at_own_path(common)) {
        let others =
            wish.git_common_names.iter().fold(String::new(), |text, name| format!("{text} and {}", name.display()));
        lines.push(format!("{} → the same path{others} (the worktree's repository)", common.display()));
    }
    lines.push("its conversations → ~/.claude/projects".to_owned());
    lines.extend(grant::lines(wish));
    lines.extend(wish.asked.volumes.iter().map(|(name, target)| format!("the volume {name} → {target}")));
    lines.join("\n")
}

fn bad_mount(cause: &str) -> Failure {
    let action = "Give yourself the right to use it, then press Retry.";
    Failure::new(Code::BadMount, "A folder could not be mounted", format!("{cause}."), action)
}

fn start_failed(cause: &str) -> Failure {
    Failure::new(Code::StartFailed, "The container did not start", format!("{cause}."), "Press Retry.")
}
