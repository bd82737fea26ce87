//! What the page may ask about the user's own keys, and about the login inside a container. Nothing here thinks.

use std::sync::Arc;

use gemra_core::app::App;
use gemra_core::tab::TabId;
use tauri::State;
use tauri::ipc::Channel;

use super::Answer;
use crate::wire::credentials::{Account, Credentials, Kept, LoginStep};

#[tauri::command]
pub(crate) async fn credentials(app: State<'_, Arc<App>>) -> Answer<Credentials> {
    Ok(app.credentials().await?.into())
}

#[tauri::command]
pub(crate) async fn set_credential(app: State<'_, Arc<App>>, variable: String, value: String) -> Answer<Kept> {
    Ok(app.set_credential(&variable, &value).await?.into())
}

#[tauri::command]
pub(crate) async fn forget_credential(app: State<'_, Arc<App>>, variable: String) -> Answer<()> {
    Ok(app.forget_credential(&variable).await?)
}

#[tauri::command]
pub(crate) async fn account_inside(app: State<'_, Arc<App>>, tab: String) -> Answer<Account> {
    Ok(app.account_inside(&TabId(tab)).await?.into())
}

#[tauri::command]
pub(crate) async fn log_in_inside(app: State<'_, Arc<App>>, tab: String, channel: Channel<LoginStep>) -> Answer<()> {
    // A page that has gone hears of it no more; the login is given up when it says so, or the tab's container ends.
    let tell = move |step: gemra_core::credentials::login::Step| drop(channel.send(step.into()));
    Ok(app.log_in_inside(&TabId(tab), tell).await?)
}

#[tauri::command]
pub(crate) async fn send_login_code(app: State<'_, Arc<App>>, tab: String, code: String) -> Answer<()> {
    Ok(app.send_login_code(&TabId(tab), &code)?)
}

#[tauri::command]
pub(crate) async fn cancel_login(app: State<'_, Arc<App>>, tab: String) -> Answer<()> {
    app.cancel_login(&TabId(tab));
    Ok(())
}

#[tauri::command]
pub(crate) async fn log_out_inside(app: State<'_, Arc<App>>, tab: String) -> Answer<Account> {
    Ok(app.log_out_inside(&TabId(tab)).await?.into())
}
