//! What the engine suites must do in a process of its own: look for an engine as another user, and die with a
//! container in hand.
//!
//! `engine-probe find SOCKET…` says the engine's name, or the code of the failure. With sockets, those are all that
//! is known here, and no program is installed.
//! `engine-probe hold TAG INSTANCE WORKSPACE` starts a container as the workspace's owner, says "running", and does
//! nothing more.
//! `engine-probe --reaper` is the reaper, as the app's own program can be.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use gemra_core::container::engine::{Address, Engine, Places};
use gemra_core::container::labels::Owner;
use gemra_core::container::run;
use gemra_core::container::spec::{self, Abilities, Limits, Network, Wish};
use gemra_core::environment::Environment;
use gemra_core::failure::Failure;
use gemra_core::reaper;
use tokio_util::sync::CancellationToken;

#[allow(clippy::print_stdout)] // What it says is what it is for.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if arguments == [reaper::ARGUMENT] {
        reaper::run().await;
        return Ok(());
    }
    let environment = Environment::of_this_process();
    match arguments.as_slice() {
        ["find", sockets @ ..] => {
            let mut places = Places::usual(&environment);
            if !sockets.is_empty() {
                let sockets = sockets.iter().map(|socket| Address::Unix(PathBuf::from(socket))).collect();
                places = Places { sockets, folders: Vec::new() };
            }
            match Engine::find_among(&places, None, None, &environment).await {
                Ok(engine) => println!("{}", engine.about().name),
                Err(error) => println!("{}", Failure::from(&error).code.as_str()),
            }
        }
        ["hold", tag, instance, workspace] => {
            let engine = Engine::find(None, &environment).await?;
            let plan = spec::plan(&wish(&engine, tag, instance, workspace)?)?;
            let prepared = run::prepare(&engine, plan, &CancellationToken::new(), |_| {}).await?;
            let process = prepared.release(&BTreeMap::new(), &[])?;
            println!("running");
            let exit = process.stop.gone().await;
            println!("ended with {:?}", exit.code);
        }
        other => return Err(format!("unknown arguments: {other:?}").into()),
    }
    Ok(())
}

fn wish(engine: &Engine, tag: &str, instance: &str, workspace: &str) -> std::io::Result<Wish> {
    let owner = std::fs::metadata(workspace)?;
    Ok(Wish {
        owner: Owner { instance: instance.to_owned(), tab: "held".to_owned(), workspace: workspace.to_owned() },
        short_id: "held".to_owned(),
        workspace: PathBuf::from(workspace),
        git_common_dir: None,
        session_bucket: PathBuf::from(workspace),
        image: tag.to_owned(),
        uid: owner.uid(),
        gid: owner.gid(),
        network: Network::Host,
        limits: Limits::usual(engine.about()),
        certificates: false,
        git_name: None,
        git_email: None,
        environment: Vec::new(),
        args: Vec::new(),
        engine: Abilities::from(engine.about()),
    })
}
