//! The report for programs: the same facts as in words. Names are added freely and never change their meaning.

use gemra_core::container::engine::survey::Surveyed;
use gemra_core::container::engine::{Engine, quirks};
use gemra_core::failure::Failure;
use serde_json::{Value, json};

use super::{Claude, Container, Image, Program, Report};

/// The report as JSON, indented.
pub(crate) fn of(report: &Report) -> String {
    let Report { home, settings, claude, container, programs } = report;
    let value = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "chat": { "works": report.chat_works() },
        "container": { "works": report.container_works() },
        "home": match home {
            Ok(located) => json!({ "path": located.data, "failure": null }),
            Err(failure) => json!({ "path": null, "failure": failed(failure) }),
        },
        "settings": settings.as_ref().map(|file| json!({
            "path": file.path,
            "there": file.there,
            "failure": file.failure.as_ref().map(failed),
        })),
        "claude": match claude {
            Ok(Claude { program, origin, version }) => {
                json!({ "path": program, "origin": origin, "version": version, "failure": null })
            }
            Err(failure) => json!({ "path": null, "origin": null, "version": null, "failure": failed(failure) }),
        },
        "engine": engine(container),
        "image": container.image.as_ref().map(|image| match image {
            Ok(Image { tag, there }) => json!({ "tag": tag, "there": there, "failure": null }),
            Err(failure) => json!({ "tag": null, "there": null, "failure": failed(failure) }),
        }),
        "programs": programs.iter().map(|Program { name, purpose, path, version }| json!({
            "name": name, "purpose": purpose, "path": path, "version": version,
        })).collect::<Vec<_>>(),
    });
    format!("{value:#}")
}

fn engine(container: &Container) -> Value {
    let asked: Vec<Value> =
        container.named.iter().map(|named| json!({ "source": named.source, "value": named.value })).collect();
    let mut value = match &container.engine {
        Ok(engine) => found(engine),
        Err(failure) => json!({ "failure": failed(failure) }),
    };
    value["asked"] = json!(asked);
    value["tried"] = json!(container.attempts);
    value["all"] = json!(container.all.iter().map(row).collect::<Vec<_>>());
    value
}

/// `outcome` is `answers`, `absent` for a known socket that is not there, or the failure's code.
fn row(one: &Surveyed) -> Value {
    // A socket that is not there is no trouble, only no engine.
    let failure = one.outcome.as_ref().err().filter(|_| !one.absent).map(Failure::from);
    let about = one.outcome.as_ref().ok();
    let code = failure.as_ref().map(|failure| failure.code.as_str());
    json!({
        "kind": one.kind,
        "address": one.address,
        "origin": one.origin,
        "setting": one.setting,
        "remote": one.remote,
        "outcome": if one.absent { "absent" } else { code.unwrap_or("answers") },
        "version": about.map(|about| &about.name),
        "rootless": about.map(quirks::is_rootless),
        "cause": failure.as_ref().map(|failure| &failure.cause),
        "next": failure.as_ref().map(super::next_step),
    })
}

/// Memory is in bytes.
fn found(engine: &Engine) -> Value {
    let about = engine.about();
    json!({
        "name": about.name,
        "api": about.api,
        "address": engine.address().to_string(),
        "origin": engine.origin(),
        "rootless": quirks::is_rootless(about),
        "cpus": about.cpus,
        "memory": about.memory,
        "failure": null,
    })
}

fn failed(failure: &Failure) -> Value {
    json!({
        "code": failure.code.as_str(),
        "title": failure.title,
        "cause": failure.cause,
        "action": super::next_step(failure),
        "detail": failure.detail,
    })
}
