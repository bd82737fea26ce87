//! What crosses the bridge to the page: serialisable twins of core's types, and nothing that thinks.
//!
//! Core's types are free to change shape; these are the contract with the UI. Each twin is made by an exhaustive
//! `From`, so a new field in core does not compile until somebody has decided whether the page sees it.
//! The TypeScript in `ui/src/host/wire/` is generated from here (`cargo xtask test shell` checks that it is fresh).

pub(crate) mod container;
pub(crate) mod credentials;
pub(crate) mod frames;
pub(crate) mod image;
pub(crate) mod requests;
pub(crate) mod settings;
pub(crate) mod tab;
pub(crate) mod transcript;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use ts_rs::{Config, TS};

    /// Where the page reads them.
    const GENERATED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../ui/src/host/wire");
    /// Set to write them anew.
    const UPDATE: &str = "GEMRA_UPDATE_WIRE";

    fn generate(folder: &Path) {
        let config = Config::new().with_out_dir(folder);
        // Everything else is reached from these.
        super::frames::WindowFrame::export_all(&config).unwrap();
        super::frames::TabFrame::export_all(&config).unwrap();
        super::credentials::Credentials::export_all(&config).unwrap();
        super::credentials::LoginStep::export_all(&config).unwrap();
        super::image::Template::export_all(&config).unwrap();
        super::image::ImageProgress::export_all(&config).unwrap();
        super::image::LoadedImage::export_all(&config).unwrap();
        super::requests::Choice::export_all(&config).unwrap();
        super::requests::Completion::export_all(&config).unwrap();
        super::container::ContainerFigures::export_all(&config).unwrap();
        super::container::ShellFrame::export_all(&config).unwrap();
        super::container::Holdings::export_all(&config).unwrap();
        super::container::Pruned::export_all(&config).unwrap();
        super::requests::Engine::export_all(&config).unwrap();
        super::tab::TrustDecision::export_all(&config).unwrap();
    }

    fn read(folder: &Path) -> BTreeMap<String, String> {
        let file = |file: std::fs::DirEntry| {
            (file.file_name().into_string().unwrap(), std::fs::read_to_string(file.path()).unwrap())
        };
        std::fs::read_dir(folder).unwrap().map(|entry| file(entry.unwrap())).collect()
    }

    #[test]
    fn the_pages_types_are_generated_from_these() {
        let generated = Path::new(GENERATED);
        if std::env::var_os(UPDATE).is_some() {
            std::fs::remove_dir_all(generated).unwrap();
            generate(generated);
        }
        let fresh = tempfile::tempdir().unwrap();
        generate(fresh.path());
        let (fresh, known) = (read(fresh.path()), read(generated));
        for (name, text) in &fresh {
            assert_eq!(known.get(name), Some(text), "{name} is stale: run the tests with {UPDATE}=1 and commit it");
        }
        let (fresh, known): (Vec<_>, Vec<_>) = (fresh.into_keys().collect(), known.into_keys().collect());
        assert_eq!(known, fresh, "no type is left over");
    }

    #[test]
    fn failures_look_like_this_to_the_page() {
        use gemra_core::failure::{Code, Failure};
        let failure = Failure::new(Code::EngineNotRunning, "T", "C", "A").with_detail("D");
        let wire = super::transcript::Failure::from(&failure);
        assert_eq!(
            serde_json::to_value(wire).unwrap(),
            serde_json::json!({"code": "engine-not-running", "title": "T", "cause": "C", "action": "A", "detail": "D"}),
            "the page branches on `code` and shows the rest"
        );
    }

    #[test]
    fn kinds_are_the_ones_that_outside_checks_know() {
        use super::transcript::Body;
        let kind = |body: Body| serde_json::to_value(body).unwrap()["kind"].as_str().unwrap().to_owned();
        assert_eq!(kind(Body::User { text: String::new(), interrupted: false }), "user", "CONTRACT.md, In the page");
        assert_eq!(kind(Body::Assistant { text: String::new() }), "assistant", "CONTRACT.md, In the page");
        assert_eq!(kind(Body::Thinking { text: String::new() }), "thinking", "CONTRACT.md, In the page");
        let state = serde_json::to_value(super::tab::ContainerState::Building).unwrap();
        assert_eq!(state, "building", "CONTRACT.md, data-state");
    }
}
