//! Gemra's window. Starts core, opens one window on the page, and hands commands through; nothing here could be in a
//! library.

#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

mod arguments;
mod commands;
mod convert;
mod logging;
mod quit;
mod second;
mod startup;
mod wire;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use gemra_core::app::App;
use gemra_core::environment::Environment;
use gemra_core::home::HomeError;
use tauri::{Manager, WebviewUrl, WebviewWindowBuilder};

use crate::arguments::Arguments;

fn main() -> ExitCode {
    // A folder whose name is no text is told as one that is not there, not with a panic.
    let arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    let workspaces = match arguments::parse(arguments) {
        Ok(Arguments::Open { workspaces }) => workspaces,
        Ok(Arguments::Reap) => {
            tauri::async_runtime::block_on(gemra_core::reaper::run());
            return ExitCode::SUCCESS;
        }
        Ok(Arguments::Say(text)) => return say(&text),
        Err(wrong) => return fail(&wrong),
    };
    let environment = Environment::of_this_process();
    startup::keep_to_our_home(&environment);
    let filter = environment.text("GEMRA_LOG");
    let app = match tauri::async_runtime::block_on(App::start(environment, own_program().as_deref())) {
        Ok(app) => app,
        Err(HomeError::Taken(folder)) => return hand_over(&folder, workspaces),
        Err(error) => return fail(&format!("{error}.")),
    };
    logging::start(&app.log_folder(), filter.as_deref());
    tauri::async_runtime::block_on(open_workspaces(&app, workspaces));
    match run(app) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("The window could not be opened: {error}.")),
    }
}

fn hand_over(folder: &Path, workspaces: Vec<String>) -> ExitCode {
    match tauri::async_runtime::block_on(second::hand_over(folder, workspaces)) {
        Ok(()) => say("Gemra is already running; its window is in front."),
        Err(error) => fail(&format!("{}, and does not answer: {error}.", HomeError::Taken(folder.to_path_buf()))),
    }
}

/// This program, which can also be the reaper.
fn own_program() -> Option<std::path::PathBuf> {
    std::env::current_exe().ok()
}

async fn open_workspaces(app: &Arc<App>, workspaces: Vec<String>) {
    let mut opened = Vec::new();
    for folder in workspaces {
        match app.open_at_start(folder).await {
            Ok(tab) if opened.contains(&tab) => {}
            Ok(tab) => opened.push(tab),
            Err(failure) => app.report(failure),
        }
    }
    // A tab that was taken up stands where it was; what was asked for comes first, in the order in which it was.
    for (index, tab) in opened.iter().enumerate() {
        app.move_tab(tab, index);
    }
    if let Some(first) = opened.into_iter().next() {
        app.activate(Some(first));
    }
}

fn run(app: Arc<App>) -> tauri::Result<()> {
    let folder = app.webview_folder();
    let quit = quit::Quit::new(Arc::clone(&app));
    let managed = Arc::clone(&app);
    tauri::Builder::default()
        .plugin(tauri_plugin_dialog::init())
        .plugin(tauri_plugin_opener::init())
        .plugin(tauri_plugin_clipboard_manager::init())
        .manage(managed)
        .invoke_handler(tauri::generate_handler![
            commands::watch_window,
            commands::watch_tab,
            commands::unwatch_tab,
            commands::acknowledge,
            commands::earlier,
            commands::open_tab,
            commands::close_tab,
            commands::rename_tab,
            commands::move_tab,
            commands::activate_tab,
            commands::send,
            commands::unqueue,
            commands::stop_turn,
            commands::answer,
            commands::retry_turn,
            commands::toggle_container,
            commands::use_host,
            commands::rebuild,
            commands::answer_guard,
            commands::answer_trust,
            commands::answer_conflict,
            commands::set_model,
            commands::set_mode,
            commands::install_agent,
            commands::retry_agent,
            commands::start_fresh,
            commands::complete_path,
            commands::list_engines,
            commands::save_settings,
            commands::templates,
            commands::write_template,
            commands::dismiss_problem,
            commands::credentials::credentials,
            commands::credentials::set_credential,
            commands::credentials::forget_credential,
            commands::credentials::account_inside,
            commands::credentials::log_in_inside,
            commands::credentials::send_login_code,
            commands::credentials::cancel_login,
            commands::credentials::log_out_inside,
            commands::container::refresh_container,
            commands::container::allow_name,
            commands::container::watch_container,
            commands::container::open_shell,
            commands::container::write_shell,
            commands::container::resize_shell,
            commands::container::shell_painted,
            commands::container::end_visit,
            commands::container::holdings,
            commands::container::stop_container,
            commands::container::prune,
            commands::image::save_image,
            commands::image::load_image,
            commands::image::cancel_image,
        ])
        .setup(move |tauri| {
            WebviewWindowBuilder::new(tauri, "main", WebviewUrl::default())
                .title("Gemra")
                .inner_size(1120.0, 780.0)
                .min_inner_size(560.0, 420.0)
                .data_directory(folder)
                .build()?;
            quit::on_signals(tauri.app_handle().clone());
            second::listen(app, tauri.app_handle().clone());
            Ok(())
        })
        .build(tauri::generate_context!())?
        .run(move |handle, event| quit.on_event(handle, &event));
    Ok(())
}

#[allow(clippy::print_stdout)] // A command line's answer belongs on stdout.
fn say(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}

#[allow(clippy::print_stderr)] // There is no window to show it in.
fn fail(text: &str) -> ExitCode {
    eprintln!("gemra-desktop: {text}");
    ExitCode::FAILURE
}
