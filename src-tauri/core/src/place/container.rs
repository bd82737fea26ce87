//! Starts an agent in a container.

use std::sync::Arc;

use crate::agent::Mode;
use crate::app::Surroundings;
use crate::failure::{Code, Failure};
use crate::process::Process;
use crate::tab::TabId;
use crate::tab::view::BuildStep;
use crate::workspace::Workspace;

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
    Fact(String, String),
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

/// An image that is there.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its name.
    pub name: String,
}

/// A container that waits.
#[derive(Debug)]
pub struct Gate {
    process: Process,
}

impl Gate {
    /// Opens.
    pub fn open(self, _conversation: &str) -> Process {
        self.process
    }

    /// Discards.
    pub async fn discard(self) -> Result<(), Failure> {
        self.process.stop.stop().await;
        Ok(())
    }
}

/// Prepares.
pub async fn prepare(_order: &Order, _news: impl Fn(News) + Send + Sync + Clone + 'static) -> Result<Image, Failure> {
    Err(Failure::new(Code::EngineFailed, "Not yet", "Not yet.", "Wait."))
}

/// Enters.
pub async fn enter(
    _order: &Order,
    _image: &Image,
    _news: impl Fn(News) + Send + Sync + Clone + 'static,
) -> Result<Gate, Failure> {
    Err(Failure::new(Code::EngineFailed, "Not yet", "Not yet.", "Wait."))
}
