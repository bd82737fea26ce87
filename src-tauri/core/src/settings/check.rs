//! Whether settings can be used: each value that cannot is named by its field, as the page and the file call it. What
//! is on this machine is looked at only where the value is worth nothing without it.

use std::path::Path;

use super::container::{Project, Wishes};
use super::{Settings, SettingsError};
use crate::agent::Mode;
use crate::container::engine::address::{ACCEPTED, Address, CONTEXT, Certificates};
use crate::container::network::allow::Entry;
use crate::container::spec::extra::Gpus;
use crate::container::spec::wrapper::is_name;
use crate::workspace::{folders, mounts};

type Checked = Result<(), SettingsError>;

/// Checks what can be known without a look at the user's folders.
pub(super) fn all(settings: &Settings) -> Checked {
    engine("engine", &settings.engine)?;
    for certificate in &settings.certificates {
        let name = certificate.display();
        let text = match std::fs::read_to_string(certificate) {
            Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => continue,
            Ok(_) => format!("{name} holds no certificate in PEM form"),
            Err(error) => format!("the certificate {name} cannot be read: {error}"),
        };
        return bad("certificates", text);
    }
    for (path, variables) in &settings.environment {
        if let Some(name) = variables.0.keys().find(|name| !is_name(name)) {
            return bad(&format!("environment.{path}"), format!("{name:?} is not the name of an environment variable"));
        }
    }
    wishes("container", &settings.container)?;
    for (path, project) in &settings.projects {
        let Project { engine: address, container, rest: _ } = project;
        engine(&format!("projects.{path}.engine"), address)?;
        wishes(&format!("projects.{path}.container"), container)?;
    }
    Ok(())
}

/// Checks that what is to be mounted is there. `~` means `home`.
///
/// # Errors
/// [`SettingsError::BadValue`] for the first entry that cannot be used.
pub(super) fn folders_of(settings: &Settings, home: Option<&Path>) -> Checked {
    let projects = settings
        .projects
        .iter()
        .map(|(path, project)| (format!("projects.{path}.container.mounts"), &project.container));
    for (field, wishes) in std::iter::once(("container.mounts".to_owned(), &settings.container)).chain(projects) {
        for entry in wishes.mounts.iter().flatten() {
            if let Err(error) = mounts::look(entry, home) {
                return bad(&field, error.to_string());
            }
        }
    }
    Ok(())
}

fn engine(field: &str, address: &str) -> Checked {
    let address = address.trim();
    if address.is_empty() || address.starts_with(CONTEXT) {
        return Ok(());
    }
    // Where certificates are is the environment's affair.
    let certificates = Certificates { asked: false, folder: Some(Path::new("")) };
    match Address::read(address, "the settings", certificates) {
        Ok(_) => Ok(()),
        Err(error) => {
            bad(field, format!("{error}. Accepted are {ACCEPTED}; left empty, the engine is found as docker finds it"))
        }
    }
}

/// A number with its least and its most.
type Range = (&'static str, Option<u32>, u32, u32);

/// Checks wishes, which stand at `at`; where that is empty, in a file of their own.
///
/// # Errors
/// [`SettingsError::BadValue`] for the first that nothing could come of.
pub(super) fn wishes(at: &str, wishes: &Wishes) -> Checked {
    let field = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    if let Some(cpus) = wishes.cpus
        && !(0.01..=1024.0).contains(&cpus)
    {
        return bad(&field("cpus"), format!("{cpus} processors cannot be: from 0.01 to 1024 can"));
    }
    let ranges: [Range; 7] = [
        ("memoryMb", wishes.memory_mb, 64, 16 * 1024 * 1024),
        ("pids", wishes.pids, 16, 4 * 1024 * 1024),
        ("openFiles", wishes.open_files, 64, 1024 * 1024),
        ("shmMb", wishes.shm_mb, 1, 1024 * 1024),
        ("startSeconds", wishes.start_seconds, 1, 3600),
        ("buildSilentMinutes", wishes.build_silent_minutes, 1, 24 * 60),
        ("refreshHours", wishes.refresh_hours, 0, 24 * 365),
    ];
    for (name, value, least, most) in ranges {
        if let Some(value) = value.filter(|value| !(least..=most).contains(value)) {
            return bad(&field(name), format!("{value} cannot be: from {least} to {most} can"));
        }
    }
    if let Some(text) = wishes.gpus.as_deref().filter(|text| Gpus::read(text).is_none()) {
        return bad(&field("gpus"), format!("{text:?} is neither all nor a number of graphics cards"));
    }
    for domain in wishes.allowed_domains.iter().flatten() {
        if let Err(error) = Entry::parse(domain) {
            return bad(&field("allowedDomains"), error.to_string());
        }
    }
    for entry in wishes.mounts.iter().flatten() {
        if let Err(error) = mounts::read(entry) {
            return bad(&field("mounts"), error.to_string());
        }
    }
    for pattern in wishes.volume_folders.iter().flatten() {
        if let Err(error) = folders::check(pattern) {
            return bad(&field("volumeFolders"), error.to_string());
        }
    }
    let texts = [
        ("image", &wishes.image, is_image as fn(&str) -> bool, "is not an image's name such as node:22-bookworm"),
        ("platform", &wishes.platform, is_platform, "is not a platform such as linux/arm64"),
        ("buildTarget", &wishes.build_target, is_stage, "is not the name of a stage"),
    ];
    for (name, value, is_good, words) in texts {
        if let Some(text) = value.as_deref().map(str::trim).filter(|text| !text.is_empty() && !is_good(text)) {
            return bad(&field(name), format!("{text:?} {words}"));
        }
    }
    if let Some(name) = wishes.build_args.iter().flatten().map(|(name, _)| name).find(|name| !is_name(name)) {
        return bad(&field("buildArgs"), format!("{name:?} is not the name of a build argument"));
    }
    if wishes.host_mode == Some(Mode::BypassPermissions) {
        let why = "on the host the agent may not act without asking: nothing contains it there";
        return bad(&field("hostMode"), why.to_owned());
    }
    Ok(())
}

/// A registry's host, a path, a tag, a digest; the engine has the last word.
fn is_image(text: &str) -> bool {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._-/:@".contains(letter);
    text.len() <= 512
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.ends_with(|last: char| last.is_ascii_alphanumeric())
        && text.chars().all(allowed)
        && !text.contains("//")
}

/// A system, a processor, and perhaps its variant.
fn is_platform(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    let word = |part: &&str| {
        !part.is_empty()
            && part.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
    };
    matches!(parts.len(), 2 | 3) && parts.iter().all(word)
}

fn is_stage(text: &str) -> bool {
    text.chars().all(|letter| letter.is_ascii_alphanumeric() || "_.-".contains(letter))
}

fn bad(field: &str, why: String) -> Checked {
    Err(SettingsError::BadValue { field: field.to_owned(), why })
}
