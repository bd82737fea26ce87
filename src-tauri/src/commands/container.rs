//! What the page may ask about containers beside the button: figures, shells, what is held. Nothing here thinks.

use std::sync::Arc;

use gemra_core::app::App;
use gemra_core::tab::TabId;
use tauri::State;
use tauri::ipc::Channel;

use super::{Answer, find};
use crate::wire::container::{ContainerFigures, Holdings, Pruned, ShellFrame};

#[tauri::command]
pub(crate) async fn refresh_container(app: State<'_, Arc<App>>, tab: String) -> Answer<()> {
    find(&app, tab).map(|tab| tab.refresh_container())
}

#[tauri::command]
pub(crate) async fn allow_name(app: State<'_, Arc<App>>, tab: String, entry: String) -> Answer<()> {
    Ok(app.allow_name(&TabId(tab), &entry).await?)
}

#[tauri::command]
pub(crate) async fn watch_container(
    app: State<'_, Arc<App>>,
    tab: String,
    channel: Channel<ContainerFigures>,
) -> Answer<u32> {
    Ok(app.watch_container(&TabId(tab), move |figures| channel.send(figures.into()).is_ok())?)
}

#[tauri::command]
pub(crate) async fn open_shell(
    app: State<'_, Arc<App>>,
    tab: String,
    columns: u16,
    rows: u16,
    channel: Channel<ShellFrame>,
) -> Answer<u32> {
    // A page that is gone ends with its window, and the shell with that.
    let sink = move |said: gemra_core::container::exec::Said| drop(channel.send(said.into()));
    Ok(app.open_shell(&TabId(tab), (columns, rows), sink).await?)
}

#[tauri::command]
pub(crate) async fn write_shell(app: State<'_, Arc<App>>, visit: u32, text: String) -> Answer<()> {
    app.with_shell(visit, |shell| shell.write(text.into_bytes()));
    Ok(())
}

#[tauri::command]
pub(crate) async fn resize_shell(app: State<'_, Arc<App>>, visit: u32, columns: u16, rows: u16) -> Answer<()> {
    app.with_shell(visit, |shell| shell.resize(columns, rows));
    Ok(())
}

#[tauri::command]
pub(crate) async fn shell_painted(app: State<'_, Arc<App>>, visit: u32) -> Answer<()> {
    app.with_shell(visit, gemra_core::container::exec::Shell::painted);
    Ok(())
}

#[tauri::command]
pub(crate) async fn end_visit(app: State<'_, Arc<App>>, visit: u32) -> Answer<()> {
    app.end_visit(visit);
    Ok(())
}

#[tauri::command]
pub(crate) async fn holdings(app: State<'_, Arc<App>>) -> Answer<Holdings> {
    Ok((&app.holdings().await?).into())
}

#[tauri::command]
pub(crate) async fn stop_container(app: State<'_, Arc<App>>, id: String) -> Answer<()> {
    Ok(app.stop_container(&id).await?)
}

#[tauri::command]
pub(crate) async fn prune(app: State<'_, Arc<App>>, shown: Vec<String>) -> Answer<Pruned> {
    Ok((&app.prune(&shown).await?).into())
}
