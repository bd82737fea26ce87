//! What the engine suites need of Gemra's core: an engine that it found, images, and containers with an agent that
//! does what it is told, in shell.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use gemra_core::container::engine::Engine as CoreEngine;
use gemra_core::container::image::{Builds, Image, ImageError, Ingredients, Recipe, Source};
use gemra_core::container::labels::Owner;
use gemra_core::container::run::{self, Prepared, RunError};
use gemra_core::container::spec::{self, Abilities, Limits, Network, Wish};
use gemra_core::environment::Environment;
use gemra_core::process::{Output, Process};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{BASE, Engine};

/// An agent that runs each line of its stdin as shell and ends with it.
const AGENT: &str = r#"RUN printf '#!/bin/sh\nwhile IFS= read -r line; do eval "$line"; done\n' >/usr/local/bin/claude && chmod 755 /usr/local/bin/claude"#;

/// A workspace, a home and an instance of their own.
#[derive(Debug)]
pub struct Lab {
    /// The engine as Gemra found it.
    pub engine: CoreEngine,
    /// This test's own instance.
    pub instance: String,
    folder: TempDir,
}

impl Lab {
    /// Opens one at the shared engine.
    ///
    /// # Panics
    /// Where Gemra does not find that engine.
    pub async fn open() -> Self {
        let address = Engine::shared().address();
        let environment = Environment::of([("DOCKER_HOST", address)]);
        let engine = CoreEngine::find(None, &environment).await.expect("DOCKER_HOST names a live engine");
        let folder = tempfile::Builder::new().prefix("gemra-lab-").tempdir().expect("a temp folder");
        // Other users' agents must be able to go through it.
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("it is ours");
        let instance = uuid::Uuid::new_v4().simple().to_string();
        Self { engine, instance, folder }
    }

    /// A folder that belongs to `owner`, made on the first call; to ourselves where we are not root, since only root
    /// can give folders away.
    ///
    /// # Panics
    /// Where it cannot be made.
    pub fn folder(&self, name: &str, owner: (u32, u32)) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(&path).expect("a new folder");
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(owner.0), Some(owner.1)).expect("root gives folders away");
        }
        path
    }

    /// A Dockerfile of the workspace's own, on the base, with an agent that runs shell.
    pub fn scripted(&self, more: &str) -> Source {
        self.source(&format!("FROM {BASE}\n{AGENT}\n{more}\n"))
    }

    /// A Dockerfile of the workspace's own.
    pub fn source(&self, text: &str) -> Source {
        Source::own(self.folder("workspace", ids()), text.to_owned())
    }

    /// What an image of `source` is made of.
    pub fn ingredients(&self, source: Source, owner: (u32, u32)) -> Ingredients {
        Ingredients { source, uid: owner.0, gid: owner.1, owner: self.owner("t1"), ..Ingredients::default() }
    }

    /// Builds, or finds, the image.
    ///
    /// # Errors
    /// As Gemra says them.
    pub async fn image(&self, ingredients: Ingredients) -> Result<Image, ImageError> {
        let recipe = Recipe::of(ingredients).await?;
        Builds::default().image(&self.engine, recipe).outcome().await
    }

    /// An image with the agent that runs shell.
    ///
    /// # Panics
    /// Where it does not build.
    pub async fn agent_image(&self) -> Image {
        self.image(self.ingredients(self.scripted(""), (1000, 1000))).await.expect("the scripted image builds")
    }

    /// The usual wish: `owner`'s workspace, and a session bucket.
    pub fn wish(&self, image: &Image, owner: (u32, u32)) -> Wish {
        let about = self.engine.about();
        let name = format!("{}-{}", owner.0, owner.1);
        Wish {
            owner: self.owner("t1"),
            short_id: uuid::Uuid::new_v4().simple().to_string()[..8].to_owned(),
            workspace: self.folder(&format!("workspace-{name}"), owner),
            session_bucket: self.folder(&format!("bucket-{name}"), owner),
            image: image.tag.clone(),
            uid: owner.0,
            gid: owner.1,
            network: Network::Host,
            limits: Limits::usual(about),
            engine: Abilities::from(&self.engine),
            ..Wish::default()
        }
    }

    /// Makes and starts the container of a wish.
    ///
    /// # Errors
    /// As Gemra says them.
    ///
    /// # Panics
    /// Where the wish is one that Gemra refuses.
    pub async fn prepare(&self, wish: &Wish) -> Result<Prepared, RunError> {
        let plan = spec::plan(wish).expect("the wish can be granted");
        run::prepare(&self.engine, plan, &CancellationToken::new(), |_| {}).await
    }

    /// The same, with the agent let go.
    ///
    /// # Panics
    /// Where it does not start.
    pub async fn start(&self, wish: &Wish) -> Process {
        let prepared = self.prepare(wish).await.expect("the container starts");
        prepared.release(&BTreeMap::new(), &[]).expect("there is nothing to refuse")
    }

    /// The label that this lab's containers carry and no others.
    pub fn label(&self) -> String {
        format!("dev.gemra.instance={}", self.instance)
    }

    fn owner(&self, tab: &str) -> Owner {
        let workspace = self.folder.path().join("workspace").display().to_string();
        Owner { instance: self.instance.clone(), tab: tab.to_owned(), workspace }
    }
}

/// Whose files the tests' workspaces are, where it does not matter whose: an ordinary user's. Root has some made for
/// one; anybody else has only their own.
pub fn user() -> (u32, u32) {
    if rustix::process::geteuid().is_root() { (1000, 1000) } else { ids() }
}

/// Owners of every kind that workspaces can have here: for root itself and others, for anybody else only themselves.
pub fn owners() -> Vec<(u32, u32)> {
    if rustix::process::geteuid().is_root() { vec![(1000, 1000), (1234, 1234), (0, 0)] } else { vec![ids()] }
}

/// Our own ids.
pub fn ids() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

/// Sends a line of shell to the scripted agent and gives the next line that it says.
///
/// # Panics
/// Where it says nothing more.
pub async fn ask(process: &mut Process, line: &str) -> String {
    assert!(process.input.send(line.to_owned()), "the agent takes input");
    next_line_after(process, line).await
}

/// The next line of the agent's stdout.
///
/// # Panics
/// Where there is none within half a minute.
pub async fn next_line(process: &mut Process) -> String {
    next_line_after(process, "what was sent before").await
}

async fn next_line_after(process: &mut Process, sent: &str) -> String {
    let limit = std::time::Duration::from_secs(30);
    match tokio::time::timeout(limit, process.output.recv()).await {
        Ok(Some(Output::Line { text, .. })) => text,
        other => {
            process.stop.kill();
            let exit = process.stop.gone().await;
            panic!("the agent says a line after {sent:.200}, not {other:?}; it ended with {exit:?}")
        }
    }
}

/// Who owns a file.
///
/// # Panics
/// Where it is not there.
pub fn owner_of(path: &Path) -> (u32, u32) {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (metadata.uid(), metadata.gid())
}
