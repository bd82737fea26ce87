//! Fetches an image by its name from wherever the engine fetches images, and tells how far it is.

use bollard::query_parameters::CreateImageOptionsBuilder;

use super::again::Tries;
use super::error::ImageError;
use super::logins::{self, Login};
use super::progress::Reader;
use super::shared::Told;
use super::{Image, Logins, Options, inspect};
use crate::container::engine::{self, Engine, quirks};

/// Finds an image by its name, or fetches it. With [`Options::fresh`] it is fetched even where it is there: it may have
/// changed.
pub(super) async fn image(
    engine: &Engine,
    name: &str,
    options: &Options,
    logins: &Logins,
    told: &Told,
) -> Result<Image, ImageError> {
    let there = inspect(engine, name).await?;
    let known = there.as_ref().and_then(|image| image.id.clone());
    if let Some(id) = known.clone()
        && (!options.fresh || options.offline)
        && options.platform.as_deref().is_none_or(|platform| is_of(platform, there.as_ref()))
    {
        return Ok(Image { id, tag: name.to_owned(), built: false });
    }
    if options.offline {
        return Err(ImageError::Offline { name: name.to_owned() });
    }
    if let Err(error) = fetch(engine, name, options.platform.as_deref(), logins, told).await {
        // What was there may be all that there is: an image of the user's own is in no registry.
        let Some(id) = known.filter(|_| options.platform.is_none()) else { return Err(error) };
        told.say(&format!("{error}."));
        told.say(&format!("{name} could not be fetched again. The one on this machine is used."));
        return Ok(Image { id, tag: name.to_owned(), built: false });
    }
    let fetched = inspect(engine, name).await?;
    if let Some(platform) = options.platform.as_deref().filter(|platform| !is_of(platform, fetched.as_ref())) {
        let cause = format!("{name} is not made for it");
        return Err(ImageError::Platform { platform: platform.to_owned(), cause });
    }
    let id = fetched.and_then(|image| image.id);
    let id = id.ok_or_else(|| ImageError::NotThere { name: name.to_owned() })?;
    Ok(Image { built: known.as_deref() != Some(&id), id, tag: name.to_owned() })
}

/// Fetches an image, whether it is there or not.
async fn fetch(
    engine: &Engine,
    name: &str,
    platform: Option<&str>,
    logins: &Logins,
    told: &Told,
) -> Result<(), ImageError> {
    told.say(&format!("Fetching {name}"));
    let login = logins.of_image(quirks::prefers_logins_of_podman(engine.about()), name, &|line| told.say(line)).await;
    let mut tries = Tries::default();
    while let Err(error) = once(engine, name, platform, login.clone(), told).await {
        if !tries.go_on(&error, told).await {
            return Err(error);
        }
    }
    Ok(())
}

async fn once(
    engine: &Engine,
    name: &str,
    platform: Option<&str>,
    login: Option<Login>,
    told: &Told,
) -> Result<(), ImageError> {
    let mut options = CreateImageOptionsBuilder::new().from_image(&in_full(name));
    if let Some(platform) = platform {
        options = options.platform(platform);
    }
    let mut messages = engine.api().create_image(Some(options.build()), None, login.map(Into::into));
    let mut reader = Reader::default();
    let patience = super::build::Patience::new(Options::default().silent);
    while let Some(message) = patience.next(&mut messages, &told.log).await? {
        let message = message.map_err(|error| why(name, platform, engine::words(&error)))?;
        if let Some(cause) = message.error_detail.as_ref().and_then(|detail| detail.message.clone()) {
            return Err(why(name, platform, cause));
        }
        reader.take_fetched(&message, &told.log);
        told.progress.send_replace(reader.progress().clone());
    }
    Ok(())
}

fn why(name: &str, platform: Option<&str>, cause: String) -> ImageError {
    let lower = cause.to_lowercase();
    if lower.contains("no space left on device") {
        return ImageError::DiskFull { cause };
    }
    if let Some(platform) = platform
        && (lower.contains("no matching manifest") || lower.contains("does not match the specified platform"))
    {
        return ImageError::Platform { platform: platform.to_owned(), cause };
    }
    unreachable(name, cause)
}

/// Why an image could not be fetched: its registry wants to know who asks, or does not have it, or is not there.
pub(super) fn unreachable(name: &str, cause: String) -> ImageError {
    // As registries, and engines that were refused by one, put it.
    let refusals = [
        "unauthorized",
        "authentication required",
        "no basic auth credentials",
        "requested access to the resource is denied",
        "pull access denied",
        "401 unauthorized",
        "403 forbidden",
        "incorrect username or password",
    ];
    let lower = cause.to_lowercase();
    if refusals.iter().any(|words| lower.contains(words)) {
        return ImageError::NeedsLogin { image: name.to_owned(), registry: logins::registry(name).to_owned(), cause };
    }
    ImageError::BaseUnreachable { base: name.to_owned(), cause }
}

/// With a tag: without one, every image of the name would be fetched.
fn in_full(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains(':') || name.contains('@') { name.to_owned() } else { format!("{name}:latest") }
}

/// True where an image is of a platform. Variants are left to the engine.
pub(super) fn is_of(platform: &str, image: Option<&bollard::models::ImageInspect>) -> bool {
    let mut parts = platform.split('/');
    let system = parts.next();
    let machine = parts.next().map(|machine| match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    });
    image.is_some_and(|image| image.os.as_deref() == system && image.architecture.as_deref() == machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_compared_by_system_and_machine() {
        let image = |machine: &str| bollard::models::ImageInspect {
            os: Some("linux".to_owned()),
            architecture: Some(machine.to_owned()),
            ..bollard::models::ImageInspect::default()
        };
        for (platform, machine, expected) in [
            ("linux/amd64", "amd64", true),
            ("linux/x86_64", "amd64", true),
            ("linux/arm/v7", "arm", true),
            ("linux/arm64", "amd64", false),
            ("windows/amd64", "amd64", false),
            ("linux", "amd64", false),
        ] {
            assert_eq!(is_of(platform, Some(&image(machine))), expected, "{platform} and {machine}");
        }
        assert!(!is_of("linux/amd64", None), "an image that is not there is of none");
    }

    #[test]
    fn a_registry_that_wants_to_know_who_asks_is_named() {
        for (cause, refused) in [
            ("Get http://box:5000/v2/a/manifests/1: no basic auth credentials", true),
            ("pull access denied for box:5000/a, repository does not exist or may require 'docker login'", true),
            (
                "unable to retrieve auth token: invalid username/password: unauthorized: Incorrect username or password",
                true,
            ),
            ("dial tcp 127.0.0.1:5000: connect: connection refused", false),
            ("manifest for box:5000/a:1 not found: manifest unknown", false),
        ] {
            let error = unreachable("box:5000/a:1", cause.to_owned());
            assert_eq!(matches!(error, ImageError::NeedsLogin { .. }), refused, "{cause}");
            let action = crate::failure::Failure::from(&error).action;
            assert_eq!(action.contains("docker login box:5000"), refused, "{cause} leads to: {action}");
        }
        let hub = crate::failure::Failure::from(&unreachable("me/private", "pull access denied".to_owned()));
        assert!(hub.action.contains("`docker login`"), "the usual registry needs no name: {}", hub.action);
    }

    #[test]
    fn a_name_without_a_tag_means_the_latest() {
        for (name, expected) in [
            ("a", "a:latest"),
            ("a:1", "a:1"),
            ("box:5000/a", "box:5000/a:latest"),
            ("box:5000/a:1", "box:5000/a:1"),
            ("a@sha256:00", "a@sha256:00"),
        ] {
            assert_eq!(in_full(name), expected, "{name} in full");
        }
    }
}
