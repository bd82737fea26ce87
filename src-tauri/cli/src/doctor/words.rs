//! The report for people: what works first, then what was looked at, each failure with its cause and next step.

use std::fmt::Write as _;

use gemra_core::container::engine::survey::Surveyed;
use gemra_core::container::engine::{Engine, quirks};
use gemra_core::failure::Failure;

use super::{Claude, Container, Program, Report, SettingsFile};

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// The report.
pub(crate) fn of(report: &Report) -> String {
    let says = |works| if works { "works" } else { "does not work" };
    let mut text = format!(
        "gemra {}\n\nChat on the host:  {}\nContainer mode:    {}\n",
        env!("CARGO_PKG_VERSION"),
        says(report.chat_works()),
        says(report.container_works())
    );
    section(&mut text, "Gemra's own folder");
    match &report.home {
        Ok(located) => line(&mut text, &located.data.display().to_string()),
        Err(failure) => failed(&mut text, failure),
    }
    if let Some(file) = &report.settings {
        section(&mut text, "Settings");
        settings(&mut text, file);
    }
    section(&mut text, "Claude CLI on the host");
    match &report.claude {
        Ok(Claude { program, origin, version }) => {
            line(&mut text, &format!("{version} at {} (found through {origin})", program.display()));
        }
        Err(failure) => failed(&mut text, failure),
    }
    section(&mut text, "Container engine");
    container(&mut text, &report.container);
    section(&mut text, "Other programs");
    for program in &report.programs {
        line(&mut text, &in_words(program));
    }
    text.trim_end().to_owned()
}

fn settings(text: &mut String, file: &SettingsFile) {
    let path = file.path.display();
    match (&file.failure, file.there) {
        (Some(failure), _) => failed(text, failure),
        (None, true) => line(text, &format!("{path} (valid)")),
        (None, false) => line(text, &format!("{path} (not there: the defaults hold)")),
    }
}

fn container(text: &mut String, container: &Container) {
    line(text, "asked, in this order; the first that names an engine decides:");
    for named in &container.named {
        let value = named.value.as_deref().unwrap_or("not set");
        line(text, &format!("  {:<24}{value}", named.source));
    }
    line(text, "  then the current context of the docker CLI, then known sockets");
    match &container.engine {
        Ok(engine) => found(text, engine),
        Err(failure) => {
            failed(text, failure);
            // Most failures hold them as their detail already.
            let told = failure.detail.as_deref().unwrap_or_default();
            for attempt in container.attempts.iter().filter(|attempt| !told.contains(attempt.as_str())) {
                line(text, &format!("  tried {attempt}"));
            }
        }
    }
    line(text, "all that are named or known:");
    for one in &container.all {
        let setting = if one.setting == one.address { String::new() } else { format!(", {}", one.setting) };
        line(text, &format!("  {:<7} {} ({}{setting}): {}", one.kind, one.address, one.origin, outcome(one)));
    }
    match &container.image {
        Some(Ok(image)) if image.there => line(text, &format!("image {}: there", image.tag)),
        Some(Ok(image)) => {
            line(text, &format!("image {}: not there yet; the first click on Container builds it", image.tag));
        }
        Some(Err(failure)) => failed(text, failure),
        None => {}
    }
}

fn outcome(one: &Surveyed) -> String {
    match &one.outcome {
        Ok(about) => {
            let traits = [(quirks::is_rootless(about), ", rootless"), (one.remote, ", on another machine")];
            let traits = traits.iter().filter(|(there, _)| *there).map(|(_, words)| *words);
            ["answers: ", about.name.as_str()].into_iter().chain(traits).collect()
        }
        Err(_) if one.absent => "absent".to_owned(),
        Err(error) => {
            let failure = Failure::from(error);
            format!("{}: {} {}", failure.code.as_str(), failure.cause, super::next_step(&failure))
        }
    }
}

fn found(text: &mut String, engine: &Engine) {
    let about = engine.about();
    line(text, &format!("{} at {}, named by {}", about.name, engine.address(), engine.origin()));
    let rootless = if quirks::is_rootless(about) { "rootless" } else { "not rootless" };
    #[allow(clippy::cast_precision_loss)] // A rounded figure for people.
    let memory = about.memory as f64 / GIB;
    line(text, &format!("API {}, {rootless}, {} processors, {memory:.1} GiB of memory", about.api, about.cpus));
}

fn in_words(program: &Program) -> String {
    let Program { name, purpose, path, version } = program;
    let found = match (path, version) {
        (Some(path), Some(version)) => format!("{version} at {}", path.display()),
        (Some(path), None) => format!("at {}, but it does not tell its version", path.display()),
        (None, _) => "not on PATH".to_owned(),
    };
    format!("{name}: {found} ({purpose})")
}

fn section(text: &mut String, title: &str) {
    // Writing into a string cannot fail, here and below.
    let _ = write!(text, "\n{title}\n");
}

fn line(text: &mut String, words: &str) {
    let _ = writeln!(text, "  {words}");
}

fn failed(text: &mut String, failure: &Failure) {
    line(text, &format!("{} [{}]", failure.title, failure.code.as_str()));
    line(text, &format!("  why:     {}", failure.cause));
    line(text, &format!("  to do:   {}", super::next_step(failure)));
    for (index, detail) in failure.detail.iter().flat_map(|detail| detail.lines()).enumerate() {
        line(text, &format!("  {:<9}{detail}", if index == 0 { "detail:" } else { "" }));
    }
}
