//! Settings, there and back. What another version has put into them is not the page's business; core keeps it.

use gemra_core::settings::container::{NetworkChoice, Preset, Project, Wishes};
use gemra_core::settings::{Settings, Variables};

use crate::wire;

impl From<&Settings> for wire::settings::Settings {
    fn from(settings: &Settings) -> Self {
        // `rest` is another version's and not the page's business; core keeps it.
        let Settings { engine, fresh_on_toggle, certificates, environment, container, projects, asked: _, rest: _ } =
            settings;
        Self {
            engine: engine.clone(),
            fresh_on_toggle: *fresh_on_toggle,
            certificates: certificates.iter().map(|path| path.display().to_string()).collect(),
            environment: environment
                .iter()
                .map(|(path, Variables(variables))| (path.clone(), variables.clone()))
                .collect(),
            container: container.into(),
            projects: projects.iter().map(|(path, project)| (path.clone(), project.into())).collect(),
        }
    }
}

impl From<wire::settings::Settings> for Settings {
    fn from(settings: wire::settings::Settings) -> Self {
        let wire::settings::Settings { engine, fresh_on_toggle, certificates, environment, container, projects } =
            settings;
        Self {
            engine,
            fresh_on_toggle,
            certificates: certificates.into_iter().map(Into::into).collect(),
            environment: environment.into_iter().map(|(path, variables)| (path, Variables(variables))).collect(),
            container: container.into(),
            projects: projects.into_iter().map(|(path, project)| (path, project.into())).collect(),
            asked: std::collections::BTreeMap::new(),
            rest: serde_json::Map::new(),
        }
    }
}

/// The wishes there and back, by the one list of them.
macro_rules! wishes {
    ($($(#[$doc:meta])* $name:ident: $kind:ty,)*) => {
        impl From<&Wishes> for wire::settings::Wishes {
            fn from(wishes: &Wishes) -> Self {
                let Wishes { $($name,)* rest: _ } = wishes.clone();
                Self { $($name: $name.map(Into::into),)* }
            }
        }

        impl From<wire::settings::Wishes> for Wishes {
            fn from(wishes: wire::settings::Wishes) -> Self {
                let wire::settings::Wishes { $($name,)* } = wishes;
                Self { $($name: $name.map(Into::into),)* rest: serde_json::Map::new() }
            }
        }
    };
}

// Most kinds are the same on both sides.
#[allow(clippy::useless_conversion)]
mod each {
    use super::{Wishes, wire};

    gemra_core::each_wish!(wishes);
}

impl From<&Project> for wire::settings::Project {
    fn from(project: &Project) -> Self {
        let Project { engine, container, rest: _ } = project;
        Self { engine: engine.clone(), container: container.into() }
    }
}

impl From<wire::settings::Project> for Project {
    fn from(project: wire::settings::Project) -> Self {
        let wire::settings::Project { engine, container } = project;
        Self { engine, container: container.into(), rest: serde_json::Map::new() }
    }
}

impl From<NetworkChoice> for wire::settings::NetworkChoice {
    fn from(choice: NetworkChoice) -> Self {
        match choice {
            NetworkChoice::Host => Self::Host,
            NetworkChoice::Bridge => Self::Bridge,
            NetworkChoice::Isolated => Self::Isolated,
        }
    }
}

impl From<wire::settings::NetworkChoice> for NetworkChoice {
    fn from(choice: wire::settings::NetworkChoice) -> Self {
        match choice {
            wire::settings::NetworkChoice::Host => Self::Host,
            wire::settings::NetworkChoice::Bridge => Self::Bridge,
            wire::settings::NetworkChoice::Isolated => Self::Isolated,
        }
    }
}

impl From<Preset> for wire::settings::Preset {
    fn from(choice: Preset) -> Self {
        match choice {
            Preset::Hardened => Self::Hardened,
            Preset::WithSudo => Self::WithSudo,
        }
    }
}

impl From<wire::settings::Preset> for Preset {
    fn from(choice: wire::settings::Preset) -> Self {
        match choice {
            wire::settings::Preset::Hardened => Self::Hardened,
            wire::settings::Preset::WithSudo => Self::WithSudo,
        }
    }
}
