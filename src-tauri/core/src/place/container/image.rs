//! From a tab's order to an image: which source counts, what it is made of, and whether the agent can be in it. Other
//! ways to describe an image come in here too.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::away::Away;
use super::project::{Chosen, Said, Seen};
use super::{Image, News, Order, devcontainer, labels};
use crate::agent::claude::find;
use crate::container::devcontainer::Properties;
use crate::container::engine::Engine;
use crate::container::image::fit::{Fit, Question};
use crate::container::image::source::Kind;
use crate::container::image::{self, Building, ImageError, Ingredients, Options, Recipe, Source, certificates};
use crate::container::spec::extra;
use crate::failure::Failure;
use crate::settings::container::{Preset, Wishes};
use crate::tab::view::BuildStep;

/// How old a base may be before its age is worth a word.
const OLD_DAYS: u64 = 30;
/// In seconds.
const DAY: u64 = 24 * 60 * 60;

/// Finds or makes the image of an order, of what was chosen for it and of nothing else.
///
/// # Errors
/// A [`Failure`] of the image's class.
pub(super) async fn prepare(
    order: &Order,
    engine: &Engine,
    user: (u32, u32),
    project: Said,
    news: &(impl Fn(News) + Send + Sync),
) -> Result<Image, Failure> {
    news(News::Phase("Looking for the image".to_owned()));
    let wishes = order.surroundings.settings().wishes(order.workspace.path());
    let Said { chosen, widens, not_applied, seen } = project;
    let source = match chosen {
        Chosen::Named(name) => {
            devcontainer::tell(&not_applied, &Properties::default(), news);
            return named(order, engine, &wishes, &name, user, seen, news).await;
        }
        Chosen::Devcontainer(devcontainer, source) => {
            let asked = devcontainer::Asking { devcontainer: *devcontainer, source, widens, not_applied, seen };
            return devcontainer::prepare(order, engine, user, asked, news).await;
        }
        Chosen::Dockerfile(source) => source,
    };
    devcontainer::tell(&not_applied, &Properties::default(), news);
    let ingredients = recipe(order, &wishes, source, user).await?;
    let image = build(order, engine, ingredients, seen, news).await?;
    // What was built without what the user did not allow is not what was read.
    Ok(if widens { image } else { Image { seen: image.seen.copying(None), ..image } })
}

/// What an image of `source` is made of, for an order and under its user's wishes. `user` is the agent's, as
/// [`crate::container::spec::user`] gives it.
///
/// # Errors
/// A [`Failure`] where a certificate of the settings cannot be used.
pub(super) async fn recipe(
    order: &Order,
    wishes: &Wishes,
    source: Source,
    (uid, gid): (u32, u32),
) -> Result<Ingredients, Failure> {
    let surroundings = &order.surroundings;
    let certificates = certificates::read(&surroundings.settings().certificates).await;
    Ok(Ingredients {
        source,
        base: None,
        uid,
        gid,
        cli_version: surroundings.cli_version().await,
        sudo: wishes.preset == Some(Preset::WithSudo),
        certificates: certificates.map_err(|error| Failure::from(&error))?,
        proxies: image::proxies(surroundings.environment()),
        owner: labels(order),
        options: options(order, wishes),
    })
}

/// Builds an image, or finds it, and sees whether the agent can be in it.
///
/// # Errors
/// A [`Failure`] of the image's class.
pub(super) async fn build(
    order: &Order,
    engine: &Engine,
    ingredients: Ingredients,
    seen: Seen,
    news: &(impl Fn(News) + Send + Sync),
) -> Result<Image, Failure> {
    let (uid, gid, trusts) = (ingredients.uid, ingredients.gid, !ingredients.certificates.is_empty());
    let platform = ingredients.options.platform.clone();
    let brings_the_agent = ingredients.source.brings_the_agent();
    let (built, copied) = make(order, engine, ingredients, news).await?;
    let fit = match (brings_the_agent, &platform) {
        (true, None) => Fit::default(),
        _ => look(order, engine, &built, &built.tag, (uid, gid), platform.clone(), news).await?,
    };
    let fit = if brings_the_agent { Fit::default() } else { fit };
    Ok(Image {
        name: built.tag,
        engine: engine.clone(),
        uid,
        gid,
        certificates: trusts,
        fit,
        platform,
        seen: seen.copying(Some(copied)),
        granted: None,
        away: Away::default(),
    })
}

/// Builds an image, or finds it. Gives what is known of the files that it copies, too.
///
/// # Errors
/// A [`Failure`] of the image's class.
pub(super) async fn make(
    order: &Order,
    engine: &Engine,
    mut ingredients: Ingredients,
    news: &(impl Fn(News) + Send + Sync),
) -> Result<(image::Image, Vec<u8>), Failure> {
    let failed = |error: ImageError| Failure::from(&error);
    let wishes = order.surroundings.settings().wishes(order.workspace.path());
    let (limits, _) = extra::limits(&wishes, engine.about());
    // What a container of it may have, its steps may have.
    (ingredients.options.memory, ingredients.options.processors) = (limits.memory, limits.cpu_thousandths);
    let version = ingredients.cli_version.clone();
    let from = ingredients.source.in_words().to_owned();
    let ours = ingredients.source.workspace.is_none();
    let brings_the_agent = ingredients.source.brings_the_agent();
    let recipe = Recipe::of(ingredients).await.map_err(failed)?;
    let (copied, base) = (recipe.copied().to_vec(), recipe.base());
    news(News::Fact("Image", format!("{} ({from})", recipe.tag())));
    if !ours {
        let words = "its steps run as the image's root with the engine's usual capabilities, on this machine's network; \
                     each has at most the container's memory and processors, where the builder can keep to that";
        news(News::Fact("Build", words.to_owned()));
    }
    if let Some(version) = version.filter(|_| brings_the_agent) {
        // A Dockerfile of the workspace's may install what it likes.
        let words = if ours { ", as on the host" } else { " is asked for, as on the host" };
        news(News::Fact("Agent", format!("Claude CLI {version}{words}")));
    }
    let building = order.surroundings.builds().image(engine, recipe);
    let built = follow(&building, news).await;
    tell_log(&building, news);
    let built = built.map_err(failed)?;
    tell_age(engine, &base, news).await;
    Ok((built, copied))
}

async fn named(
    order: &Order,
    engine: &Engine,
    wishes: &Wishes,
    name: &str,
    (uid, gid): (u32, u32),
    seen: Seen,
    news: &(impl Fn(News) + Send + Sync),
) -> Result<Image, Failure> {
    let failed = |error: ImageError| Failure::from(&error);
    news(News::Fact("Image", format!("{name} (by its name)")));
    let options = options(order, wishes);
    let platform = options.platform.clone();
    let building = order.surroundings.builds().named(engine, name, options);
    let found = follow(&building, news).await;
    tell_log(&building, news);
    let found = found.map_err(failed)?;
    if !order.surroundings.settings().certificates.is_empty() {
        // Its own store of certificates can be written by its root alone: so there is an image of it that has them.
        let ingredients = recipe(order, wishes, trusting(name, &found.id), (uid, gid)).await?;
        let options = Options { target: None, fresh: false, offline: true, ..ingredients.options.clone() };
        return build(order, engine, Ingredients { options, ..ingredients }, seen, news).await;
    }
    tell_age(engine, name, news).await;
    let fit = look(order, engine, &found, name, (uid, gid), platform.clone(), news).await?;
    Ok(Image {
        name: name.to_owned(),
        engine: engine.clone(),
        uid,
        gid,
        certificates: false,
        fit,
        platform,
        seen,
        granted: None,
        away: Away::default(),
    })
}

/// An image by its name, to be built from: a newer one under the same name makes another.
fn trusting(name: &str, id: &str) -> Source {
    let words = format!("{name}, and the certificates of the settings");
    Source::of_kind(None, format!("# {id}\nFROM {name}\n"), Kind::Named { file: None, words })
}

/// Sees whether the agent can be in an image, and how.
///
/// # Errors
/// A [`Failure`] where it cannot.
pub(super) async fn look(
    order: &Order,
    engine: &Engine,
    found: &image::Image,
    name: &str,
    user: (u32, u32),
    platform: Option<String>,
    news: &(impl Fn(News) + Send + Sync),
) -> Result<Fit, Failure> {
    news(News::Phase("Looking for the agent in the image".to_owned()));
    let claude = find::find(order.surroundings.search()).await.ok().map(|found| found.program);
    let (name, id, owner) = (name.to_owned(), found.id.clone(), labels(order));
    let question = Question { name, id, user, claude, platform, owner };
    let fit = order.surroundings.builds().fit(engine, question).await.map_err(|error| Failure::from(&error))?;
    let words = match &fit.claude {
        Some(claude) => format!("{} of this machine, mounted read-only: the image has none", claude.display()),
        None => "the image's own Claude CLI".to_owned(),
    };
    news(News::Fact("Agent", words));
    Ok(fit)
}

fn options(order: &Order, wishes: &Wishes) -> Options {
    let usual = Options::default();
    let minutes = wishes.build_silent_minutes.filter(|minutes| *minutes > 0);
    Options {
        arguments: wishes.build_args.clone().unwrap_or_default(),
        target: said(wishes.build_target.as_deref()).map(str::to_owned),
        platform: said(wishes.platform.as_deref()).map(str::to_owned),
        silent: minutes.map_or(usual.silent, |minutes| Duration::from_mins(minutes.into())),
        fresh: order.fresh,
        offline: wishes.offline.unwrap_or(usual.offline),
        ..usual
    }
}

fn said(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

fn tell_log(building: &Building, news: &impl Fn(News)) {
    if let Some(file) = building.log_file() {
        news(News::Fact("Build log", file.display().to_string()));
    }
}

/// Says how old the base is, or why that is not known: `BuildKit` keeps bases to itself.
async fn tell_age(engine: &Engine, base: &str, news: &impl Fn(News)) {
    let Ok(inspected) = image::inspect(engine, base).await else { return };
    let there = inspected.is_some();
    let Some(days) = inspected.and_then(|image| image.created).and_then(|made| days(made.unix_timestamp())) else {
        let why = if there { "the image does not say" } else { "the builder keeps it to itself, as BuildKit does" };
        news(News::Fact("Base", format!("{base}, its age is not known: {why}")));
        return;
    };
    let age = match days {
        0 => "made today".to_owned(),
        1 => "1 day old".to_owned(),
        days => format!("{days} days old"),
    };
    let hint = if days > OLD_DAYS { ". Rebuild fetches a newer one, where there is one" } else { "" };
    news(News::Fact("Base", format!("{base}, {age}{hint}")));
}

/// Whole days since a time in seconds since the Unix epoch; `None` for the years that engines write where they do not
/// know.
fn days(made: i64) -> Option<u64> {
    let made = u64::try_from(made).ok().filter(|made| *made > 365 * DAY)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(now.saturating_sub(made) / DAY)
}

/// Tells the build's progress until there is an image, or none.
async fn follow(building: &Building, news: &(impl Fn(News) + Send + Sync)) -> Result<image::Image, ImageError> {
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
