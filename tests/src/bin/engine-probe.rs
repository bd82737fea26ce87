//! What the engine suites must do in a process of its own: look for an engine or move an agent as another user, and die
//! with a container in hand.
//!
//! `engine-probe find SOCKET…` says the engine's name, or the code of the failure. With sockets, those are all that
//! is known here, and no program is installed.
//! `engine-probe hold TAG INSTANCE WORKSPACE` starts a container as the workspace's owner, says "running", and does
//! nothing more.
//! `engine-probe enter WORKSPACE` moves a tab's agent into a container and quits. It says "running" and the facts that
//! were told, or the failure. `engine-probe enter-and-leave WORKSPACE` moves it back to the host before that.
//! `engine-probe --reaper` is the reaper, as the app's own program can be.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use gemra_core::app::App;
use gemra_core::container::engine::{Address, Engine, Places};
use gemra_core::container::labels::Owner;
use gemra_core::container::run;
use gemra_core::container::spec::{self, Abilities, Limits, Network, Wish};
use gemra_core::container::state::State;
use gemra_core::environment::Environment;
use gemra_core::failure::Failure;
use gemra_core::reaper;
use gemra_core::stream::{Change, Frame};
use gemra_core::tab::view::ContainerView;
use tokio::sync::watch;
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
        ["enter", workspace] => println!("{}", enter(environment, workspace, false).await?),
        ["enter-and-leave", workspace] => println!("{}", enter(environment, workspace, true).await?),
        other => return Err(format!("unknown arguments: {other:?}").into()),
    }
    Ok(())
}

async fn enter(environment: Environment, workspace: &str, leave: bool) -> Result<String, Box<dyn std::error::Error>> {
    let app = App::start(environment, None).await?;
    let id = app.open_tab("open", workspace.to_owned()).await?;
    let tab = app.tab(&id)?;
    let (sender, mut seen) = watch::channel(None);
    let sink = move |frame: Frame| {
        let views = match frame {
            Frame::Snapshot(snapshot) => vec![snapshot.view.container],
            Frame::Changes { changes, .. } => changes.into_iter().filter_map(container).collect(),
        };
        if let Some(view) = views.into_iter().next_back() {
            sender.send_replace(Some(view));
        }
        true
    };
    tab.watch(Box::new(sink)).await.ok_or("the tab ended")?;
    tab.toggle_container("click".to_owned());
    let settled = |view: &Option<ContainerView>| {
        view.as_ref().is_some_and(|view| matches!(view.state, State::Running | State::Error { .. }))
    };
    let view = seen.wait_for(settled).await?.clone().ok_or("the state was seen")?;
    if leave && view.state == State::Running {
        tab.toggle_container("back".to_owned());
        let back = |view: &Option<ContainerView>| view.as_ref().is_some_and(|view| view.state == State::Off);
        seen.wait_for(back).await?;
    }
    app.quit().await;
    Ok(match view.state {
        State::Error { failure, .. } => format!("{failure} {:?}", failure.detail),
        _ => format!("running {:?}", view.facts),
    })
}

fn container(change: Change) -> Option<ContainerView> {
    if let Change::View(view) = change { Some(view.container) } else { None }
}

fn wish(engine: &Engine, tag: &str, instance: &str, workspace: &str) -> std::io::Result<Wish> {
    let owner = std::fs::metadata(workspace)?;
    Ok(Wish {
        owner: Owner { instance: instance.to_owned(), tab: "held".to_owned(), workspace: workspace.to_owned() },
        short_id: "held".to_owned(),
        workspace: PathBuf::from(workspace),
        session_bucket: PathBuf::from(workspace),
        image: tag.to_owned(),
        uid: owner.uid(),
        gid: owner.gid(),
        network: Network::Host,
        limits: Limits::usual(engine.about()),
        engine: Abilities::from(engine),
        ..Wish::default()
    })
}
