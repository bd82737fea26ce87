//! What the page may ask for: one line each, in the order of `ui/src/host/types.ts`. Nothing here thinks.

pub(crate) mod credentials;

pub(crate) mod container;
pub(crate) mod image;

use std::sync::Arc;

use gemra_core::app::{App, ProblemId};
use gemra_core::stream::Frame;
use gemra_core::tab::{Tab, TabId};
use gemra_core::transcript::EntryId;
use tauri::State;
use tauri::ipc::Channel;

use crate::convert;
use crate::wire::frames::{TabFrame, WindowFrame};
use crate::wire::image::Template;
use crate::wire::requests::{Choice, Completion, Engine};
use crate::wire::settings::Settings;
use crate::wire::tab::{Mode, TrustDecision};
use crate::wire::transcript::{Entry, Failure};

type Answer<T> = Result<T, Failure>;

fn find(app: &App, tab: String) -> Answer<Arc<Tab>> {
    Ok(app.tab(&TabId(tab))?)
}

#[tauri::command]
pub(crate) async fn watch_window(app: State<'_, Arc<App>>, channel: Channel<WindowFrame>) -> Answer<()> {
    let mut window = app.window();
    tauri::async_runtime::spawn(async move {
        loop {
            let state = Arc::clone(&window.borrow_and_update());
            let sent = channel.send(WindowFrame::State(Box::new((&*state).into())));
            if sent.is_err() || window.changed().await.is_err() {
                break;
            }
        }
    });
    Ok(())
}

#[tauri::command]
pub(crate) async fn watch_tab(app: State<'_, Arc<App>>, tab: String, channel: Channel<TabFrame>) -> Answer<u32> {
    let sink = move |frame: Frame| channel.send(frame.into()).is_ok();
    Ok(find(&app, tab)?.watch(Box::new(sink)).await.unwrap_or_default())
}

#[tauri::command]
pub(crate) async fn unwatch_tab(app: State<'_, Arc<App>>, tab: String, watch: u32) -> Answer<()> {
    find(&app, tab).map(|tab| tab.unwatch(watch))
}

#[tauri::command]
pub(crate) async fn acknowledge(app: State<'_, Arc<App>>, tab: String, watch: u32, seq: u32) -> Answer<()> {
    find(&app, tab).map(|tab| tab.acknowledge(watch, seq))
}

#[tauri::command]
pub(crate) async fn earlier(app: State<'_, Arc<App>>, tab: String, before: u32, count: u32) -> Answer<Vec<Entry>> {
    let entries = find(&app, tab)?.earlier(EntryId(before), count as usize).await;
    Ok(entries.iter().map(Into::into).collect())
}

#[tauri::command]
pub(crate) async fn open_tab(app: State<'_, Arc<App>>, request: String, workspace: String) -> Answer<String> {
    Ok(app.open_tab(&request, workspace).await?.to_string())
}

#[tauri::command]
pub(crate) async fn close_tab(app: State<'_, Arc<App>>, tab: String) -> Answer<()> {
    app.close_tab(&TabId(tab)).await;
    Ok(())
}

#[tauri::command]
pub(crate) async fn rename_tab(app: State<'_, Arc<App>>, tab: String, title: String) -> Answer<()> {
    find(&app, tab).map(|tab| tab.rename(title))
}

#[tauri::command]
pub(crate) async fn move_tab(app: State<'_, Arc<App>>, tab: String, index: u32) -> Answer<()> {
    app.move_tab(&TabId(tab), index as usize);
    Ok(())
}

#[tauri::command]
pub(crate) async fn activate_tab(app: State<'_, Arc<App>>, tab: Option<String>) -> Answer<()> {
    app.activate(tab.map(TabId));
    Ok(())
}

#[tauri::command]
pub(crate) async fn send(app: State<'_, Arc<App>>, request: String, tab: String, text: String) -> Answer<()> {
    if find(&app, tab.clone())?.send(request, text).await { Ok(()) } else { find(&app, tab).map(drop) }
}

#[tauri::command]
pub(crate) async fn unqueue(app: State<'_, Arc<App>>, tab: String, id: String) -> Answer<Option<String>> {
    Ok(find(&app, tab)?.unqueue(id).await)
}

#[tauri::command]
pub(crate) async fn stop_turn(app: State<'_, Arc<App>>, tab: String) -> Answer<()> {
    find(&app, tab).map(|tab| tab.stop_turn())
}

#[tauri::command]
pub(crate) async fn answer(app: State<'_, Arc<App>>, tab: String, ask: String, choice: Choice) -> Answer<()> {
    find(&app, tab).map(|tab| tab.answer(ask, choice.into()))
}

#[tauri::command]
pub(crate) async fn retry_turn(app: State<'_, Arc<App>>, tab: String, entry: u32) -> Answer<()> {
    find(&app, tab).map(|tab| tab.retry_turn(EntryId(entry)))
}

#[tauri::command]
pub(crate) async fn toggle_container(app: State<'_, Arc<App>>, request: String, tab: String) -> Answer<()> {
    find(&app, tab).map(|tab| tab.toggle_container(request))
}

#[tauri::command]
pub(crate) async fn use_host(app: State<'_, Arc<App>>, tab: String) -> Answer<()> {
    find(&app, tab).map(|tab| tab.use_host())
}

#[tauri::command]
pub(crate) async fn answer_guard(
    app: State<'_, Arc<App>>,
    tab: String,
    keep: bool,
    path: Option<String>,
) -> Answer<()> {
    find(&app, tab).map(|tab| tab.answer_guard(keep, path.map(Into::into)))
}

#[tauri::command]
pub(crate) async fn rebuild(app: State<'_, Arc<App>>, tab: String, fresh: bool) -> Answer<()> {
    find(&app, tab).map(|tab| tab.rebuild(fresh))
}

#[tauri::command]
pub(crate) async fn answer_trust(app: State<'_, Arc<App>>, tab: String, decision: TrustDecision) -> Answer<()> {
    find(&app, tab).map(|tab| tab.answer_trust(decision.into()))
}

#[tauri::command]
pub(crate) async fn answer_conflict(
    app: State<'_, Arc<App>>,
    tab: String,
    root: String,
    path: String,
    theirs: bool,
) -> Answer<()> {
    find(&app, tab).map(|tab| tab.answer_conflict(root.into(), path, theirs))
}

#[tauri::command]
pub(crate) async fn set_model(app: State<'_, Arc<App>>, tab: String, model: String) -> Answer<()> {
    find(&app, tab).map(|tab| tab.set_model(model))
}

#[tauri::command]
pub(crate) async fn set_mode(app: State<'_, Arc<App>>, tab: String, mode: Mode) -> Answer<()> {
    find(&app, tab).map(|tab| tab.set_mode(mode.into()))
}

#[tauri::command]
pub(crate) async fn install_agent(app: State<'_, Arc<App>>, tab: String) -> Answer<()> {
    find(&app, tab).map(|tab| tab.install())
}

#[tauri::command]
pub(crate) async fn retry_agent(app: State<'_, Arc<App>>, tab: String) -> Answer<()> {
    find(&app, tab).map(|tab| tab.retry_agent())
}

#[tauri::command]
pub(crate) async fn start_fresh(app: State<'_, Arc<App>>, tab: String) -> Answer<()> {
    find(&app, tab).map(|tab| tab.start_fresh())
}

#[tauri::command]
pub(crate) async fn complete_path(app: State<'_, Arc<App>>, path: String) -> Answer<Completion> {
    Ok(Completion { folders: app.complete_path(path).await })
}

#[tauri::command]
pub(crate) async fn list_engines(app: State<'_, Arc<App>>) -> Answer<Vec<Engine>> {
    Ok(convert::engine::engines(app.engines().await))
}

#[tauri::command]
pub(crate) async fn save_settings(app: State<'_, Arc<App>>, settings: Settings) -> Answer<()> {
    Ok(app.save_settings(settings.into()).await?)
}

#[tauri::command]
pub(crate) async fn templates() -> Answer<Vec<Template>> {
    Ok(gemra_core::container::image::templates::ALL.iter().map(Into::into).collect())
}

#[tauri::command]
pub(crate) async fn write_template(app: State<'_, Arc<App>>, workspace: String, template: String) -> Answer<String> {
    Ok(app.write_template(workspace, template).await?.display().to_string())
}

#[tauri::command]
pub(crate) async fn dismiss_problem(app: State<'_, Arc<App>>, id: u32) -> Answer<()> {
    app.dismiss_problem(ProblemId(id));
    Ok(())
}
