//! What the page may ask about images as files. Nothing here thinks.

use std::sync::Arc;

use gemra_core::app::App;
use tauri::State;
use tauri::ipc::Channel;

use super::Answer;
use crate::wire::image::{ImageProgress, LoadedImage};

#[tauri::command]
pub(crate) async fn save_image(
    app: State<'_, Arc<App>>,
    request: String,
    name: String,
    file: String,
    replace: bool,
    channel: Channel<ImageProgress>,
) -> Answer<bool> {
    let tell = move |bytes, total| drop(channel.send(ImageProgress::of(bytes, total)));
    Ok(app.save_image(&request, &name, &file, replace, tell).await?)
}

#[tauri::command]
pub(crate) async fn load_image(
    app: State<'_, Arc<App>>,
    request: String,
    file: String,
    channel: Channel<ImageProgress>,
) -> Answer<Option<LoadedImage>> {
    let tell = move |bytes, total| drop(channel.send(ImageProgress::of(bytes, total)));
    Ok(app.load_image(&request, &file, tell).await?.map(Into::into))
}

#[tauri::command]
pub(crate) async fn cancel_image(app: State<'_, Arc<App>>, request: String) -> Answer<()> {
    app.cancel_image(&request);
    Ok(())
}
