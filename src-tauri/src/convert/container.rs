//! The types around containers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gemra_core::app::{Figures, Holdings};
use gemra_core::container::exec::Said;
use gemra_core::container::holdings::{Container, Holding, Kind, Pruned};
use gemra_core::container::stats::Usage;
use gemra_core::tab::Health;

use super::{count, milliseconds};
use crate::wire::container as wire;

/// Bytes, as a page counts.
#[allow(clippy::cast_precision_loss)] // Nobody reads more than a few digits of it.
fn bytes(number: u64) -> f64 {
    number as f64
}

impl From<Figures> for wire::ContainerFigures {
    fn from(figures: Figures) -> Self {
        let Figures { usage, health } = figures;
        let Usage { cpu, cpus, memory, memory_limit, network, disk, processes } = usage;
        let Health { said, answered, unanswered } = health;
        Self {
            cpu,
            cpus,
            memory: bytes(memory),
            memory_limit: bytes(memory_limit),
            network: network.map(|(received, sent)| (bytes(received), bytes(sent))),
            disk: (bytes(disk.0), bytes(disk.1)),
            processes: count(processes),
            said: said.map(milliseconds),
            answered: answered.map(milliseconds),
            unanswered,
        }
    }
}

impl From<Said> for wire::ShellFrame {
    fn from(said: Said) -> Self {
        match said {
            Said::Output(bytes) => Self::Output { data: STANDARD.encode(bytes) },
            Said::Ended(code) => Self::Ended { code: code.and_then(|code| i32::try_from(code).ok()) },
        }
    }
}

impl From<&Holdings> for wire::Holdings {
    fn from(holdings: &Holdings) -> Self {
        let Holdings { engine, containers, all, images } = holdings;
        let container = |(container, memory, ours): &(Container, Option<u64>, bool)| {
            // Which instance made it is told as whether it was this one; the image is in the other list.
            let Container { id, name, instance: _, tab, workspace, state, since, image: _ } = container;
            wire::HeldContainer {
                id: id.clone(),
                name: name.clone(),
                tab: tab.clone(),
                workspace: workspace.clone(),
                state: state.clone(),
                since: milliseconds(*since),
                memory: memory.map(bytes),
                ours: *ours,
            }
        };
        Self {
            engine: engine.clone(),
            containers: containers.iter().map(container).collect(),
            all: all.iter().map(Into::into).collect(),
            images: images.iter().map(Into::into).collect(),
        }
    }
}

impl From<&Holding> for wire::Holding {
    fn from(holding: &Holding) -> Self {
        let Holding { kind, id, name, workspace, size, used } = holding;
        let kind = match kind {
            Kind::Container => wire::HoldingKind::Container,
            Kind::Image => wire::HoldingKind::Image,
            Kind::Volume => wire::HoldingKind::Volume,
            Kind::Network => wire::HoldingKind::Network,
        };
        Self {
            kind,
            id: id.clone(),
            name: name.clone(),
            workspace: workspace.clone(),
            size: size.map(bytes),
            used: *used,
        }
    }
}

impl From<&Pruned> for wire::Pruned {
    fn from(pruned: &Pruned) -> Self {
        let Pruned { removed, stayed } = pruned;
        Self {
            removed: removed.iter().map(Into::into).collect(),
            stayed: stayed.iter().map(|(holding, why)| (holding.into(), why.clone())).collect(),
        }
    }
}
