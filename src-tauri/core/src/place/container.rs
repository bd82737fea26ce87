//! Starts an agent in a container: from a tab's order to an image, and from the image to a container that waits at a
//! gate until nobody else holds the conversation. The engine's rooms do the work; here it is put together.

mod away;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::agent::Mode;
use crate::agent::claude::launch::{self, Conversation, Launch};
use crate::agent::claude::sessions;
use crate::app::Surroundings;
use crate::container::engine::{Engine, quirks};
use crate::container::image::{self, Building, Ingredients, Recipe, Source, certificates};
use crate::container::labels::Owner;
use crate::container::run::{self, Prepared};
use crate::container::spec::{self, Limits, Network, Wish};
use crate::failure::{Code, Failure};
use crate::git;
use crate::owner;
use crate::process::{Exit, Process};
use crate::sync::Told;
use crate::tab::TabId;
use crate::tab::view::BuildStep;
use crate::workspace::Workspace;
use away::Away;

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
    /// The build log.
    Log {
        /// True where a new one begins.
        reset: bool,
        /// More lines.
        lines: Vec<String>,
    },
}

/// An image that is there, and the engine that has it.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its name by fingerprint.
    pub name: String,
    engine: Engine,
    uid: u32,
    gid: u32,
    /// Whose the files are on this machine.
    holder: owner::Owner,
    certificates: bool,
    /// Its folders, where the engine cannot see this machine's.
    away: Away,
}

/// A container that has started and waits.
#[derive(Debug)]
pub struct Gate {
    prepared: Prepared,
    order: Order,
    holder: owner::Owner,
    away: Away,
}

/// Finds the engine and the image, and builds it if need be. Dropped, it cancels its part in the build.
///
/// # Errors
/// A [`Failure`] of the engine's or the image's class.
pub async fn prepare(order: &Order, news: impl Fn(News) + Send + Sync) -> Result<Image, Failure> {
    let surroundings = &order.surroundings;
    let settings = surroundings.settings();
    news(News::Phase("Looking for the container engine".to_owned()));
    let engine = surroundings.engine_of(order.workspace.path()).await.map_err(|error| Failure::from(&error))?;
    news(News::Fact("Engine", format!("{} at {} ({})", engine.about().name, engine.address(), engine.origin())));
    let owner = owner_of(&order.workspace).await?;
    let (uid, gid) = spec::user(engine.about(), (owner.uid, owner.gid));
    news(News::Fact("User", in_words(uid, gid, &engine)));
    news(News::Phase("Looking for the image".to_owned()));
    let failed = |error: image::ImageError| Failure::from(&error);
    let certificates = certificates::read(&settings.certificates).await.map_err(failed)?;
    let trusts = !certificates.is_empty();
    let source = Source::of(order.workspace.path()).await.map_err(failed)?;
    let from = source.in_words();
    let ours = source.workspace.is_none();
    let ingredients = Ingredients {
        source,
        base: None,
        uid,
        gid,
        cli_version: surroundings.cli_version().await,
        certificates,
        proxies: image::proxies(surroundings.environment()),
        owner: labels(order),
    };
    let version = ingredients.cli_version.clone();
    let recipe = Recipe::of(ingredients).await.map_err(failed)?;
    news(News::Fact("Image", format!("{} ({from})", recipe.tag())));
    if let Some(version) = version {
        // A Dockerfile of the workspace's may install what it likes.
        let words = if ours { ", as on the host" } else { " is asked for, as on the host" };
        news(News::Fact("Agent", format!("Claude CLI {version}{words}")));
    }
    let building = surroundings.builds().image(&engine, recipe);
    let image = follow(&building, &news).await.map_err(failed)?;
    let image = Image { name: image.tag, engine, uid, gid, holder: owner, certificates: trusts, away: Away::default() };
    image.away.go(order, &image, &news).await?;
    Ok(image)
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
    let surroundings = &order.surroundings;
    let workspace = order.workspace.path().to_path_buf();
    let (rootless, holder) = (image.engine.about().rootless, image.holder);
    let common = {
        let (workspace, folder) = (workspace.clone(), surroundings.claude_folder(&workspace));
        let guard = surroundings.guard().clone();
        tokio::task::spawn_blocking(move || {
            // Before anything of the image's can run, the shell at the gate included.
            guard.begin(&workspace).map_err(|error| Failure::from(&error))?;
            let bucket = sessions::bucket(&folder, &workspace);
            let git_common_dir = git::common_folder(&workspace);
            let groups = if rootless { Ok(Vec::new()) } else { groups(&workspace, git_common_dir.as_deref()) };
            Ok::<_, Failure>((owner::hand_over(&bucket, holder), bucket, git_common_dir, groups))
        })
    };
    let (handed, bucket, git_common_dir, groups) = common.await.map_err(|error| start_failed(&error.to_string()))??;
    handed.map_err(|(path, error)| bad_mount(&format!("{} cannot be used: {error}", path.display())))?;
    let groups = groups.map_err(|error| bad_mount(&format!("The workspace cannot be looked at: {error}")))?;
    if !groups.is_empty() {
        news(News::Fact("Groups", format!("{}, through which you may use these folders", numbers(&groups))));
    }
    let identity = surroundings.git_identity().await;
    surroundings.uses(&image.engine);
    // From here on whatever fails lets go of them.
    let away = image.away.take();
    let stand_ins = away.go(order, image, &news).await?;
    let launch = launch(order, Conversation::New(String::new()));
    let wish = Wish {
        owner: labels(order),
        short_id: uuid::Uuid::new_v4().simple().to_string()[..6].to_owned(),
        workspace: workspace.clone(),
        git_common_dir: git_common_dir.clone(),
        session_bucket: bucket,
        image: image.name.clone(),
        uid: image.uid,
        gid: image.gid,
        groups,
        network: Network::Host,
        limits: Limits::usual(image.engine.about()),
        certificates: image.certificates,
        git_name: identity.name,
        git_email: identity.email,
        mounts: Vec::new(),
        stand_ins,
        environment: Vec::new(),
        // The conversation follows when the gate opens: only then is it known whether there is one to resume.
        args: launch.args_without_conversation(),
        engine: image.engine.about().into(),
    };
    news(News::Fact("Network", "host: everything that listens on this machine can be reached".to_owned()));
    news(News::Fact("Mounts", mounts(&wish)));
    news(News::Fact("Limits", limits(&wish.limits)));
    let plan = spec::plan(&wish).map_err(|error| Failure::from(&run::RunError::from(error)))?;
    news(News::Fact("Container", plan.name.clone()));
    let mut notes = plan.notes.clone();
    notes.extend(quirks::notes(image.engine.about()));
    notes.extend(variables(order).1);
    tell_notes(&notes, &news);
    let tell = news.clone();
    let phase = move |phase: run::Phase| tell(News::Phase(phase.in_words().to_owned()));
    // While it is made the engine may not list it yet: whoever clears up after us has to know that it may come.
    let name = plan.name.clone();
    surroundings.reaper().expect_container(&name);
    let prepared = run::prepare(&image.engine, plan, &CancellationToken::new(), phase).await;
    // What the engine has not answered in time may come yet.
    if !matches!(prepared, Err(run::RunError::Timeout { phase: run::Phase::Create })) {
        surroundings.reaper().settle_container(&name);
    }
    let prepared = prepared.map_err(|error| Failure::from(&error))?;
    notes.extend(prepared.notes.clone());
    tell_notes(&notes, &news);
    news(News::Phase("Waiting for the host's agent to leave".to_owned()));
    Ok(Gate { prepared, order: order.clone(), holder, away })
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
        let Self { prepared, order, holder, away } = self;
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
            Ok((Ok(()), conversation)) => match away.catch_up(&tell).await {
                Ok(()) => {
                    let (variables, _) = variables(&order);
                    let released = prepared.release(&variables, &conversation.args());
                    return released.map(|process| away.follow(process, tell)).map_err(|error| Failure::from(&error));
                }
                Err(failure) => failure,
            },
            Ok((Err((path, error)), _)) => bad_mount(&format!("{} cannot be used: {error}", path.display())),
            Err(error) => start_failed(&error.to_string()),
        };
        prepared.discard().await;
        away.close().await;
        Err(released)
    }

    /// Removes the container; resolves with its end when it is gone, or the engine would not remove it.
    pub async fn discard(self) -> Exit {
        let exit = self.prepared.discard().await;
        self.away.close().await;
        exit
    }
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

/// What the agent gets over stdin: the host's variables, and on top of them the project's. And a note where one of the
/// project's is left out.
fn variables(order: &Order) -> (BTreeMap<String, String>, Option<String>) {
    let surroundings = &order.surroundings;
    let mut all = spec::passed(surroundings.environment());
    all.extend(surroundings.settings().variables(order.workspace.path()));
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

/// Tells the build's progress until there is an image, or none.
async fn follow(building: &Building, news: &(impl Fn(News) + Send + Sync)) -> Result<image::Image, image::ImageError> {
    let mut progress = building.progress();
    let mut told = 0;
    let mut outcome = std::pin::pin!(building.outcome());
    loop {
        let ended = tokio::select! {
            result = &mut outcome => Some(result),
            changed = progress.changed() => if changed.is_ok() { None } else { Some((&mut outcome).await) },
        };
        let now = progress.borrow_and_update().clone();
        let (lines, next) = building.log().after(told);
        if !lines.is_empty() {
            news(News::Log { reset: told == 0, lines });
        }
        told = next;
        if let Some(result) = ended {
            return result;
        }
        if now.lines > 0 {
            news(News::Phase("Building the image".to_owned()));
        }
        if let Some(step) = now.step {
            // The builder's talk about its own layers says nothing to anybody; the instruction does.
            let talk =
                |line: &String| line.trim_start().starts_with("--->") || line.starts_with("Removing intermediate");
            let line = now.line.filter(|line| !talk(line)).unwrap_or(step.instruction);
            news(News::Step(BuildStep { index: step.index, total: step.total, line }));
        }
    }
}

fn in_words(uid: u32, gid: u32, engine: &Engine) -> String {
    if engine.about().rootless && uid == 0 {
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
        lines.push(format!("{} → the same path (the worktree's repository)", common.display()));
    }
    lines.push("its conversations → ~/.claude/projects".to_owned());
    lines.join("\n")
}

fn limits(limits: &Limits) -> String {
    let mut said = Vec::new();
    if let Some(memory) = limits.memory {
        said.push(format!("{} MB of memory", memory / (1024 * 1024)));
    }
    if let Some(cpus) = limits.cpu_thousandths {
        said.push(format!("{} processors", cpus / 1000));
    }
    if let Some(pids) = limits.pids {
        said.push(format!("{pids} processes"));
    }
    if said.is_empty() { "none that this engine can keep".to_owned() } else { said.join(", ") }
}

fn bad_mount(cause: &str) -> Failure {
    let action = "Give yourself the right to use it, then press Retry.";
    Failure::new(Code::BadMount, "A folder could not be mounted", format!("{cause}."), action)
}

fn start_failed(cause: &str) -> Failure {
    Failure::new(Code::StartFailed, "The container did not start", format!("{cause}."), "Press Retry.")
}
