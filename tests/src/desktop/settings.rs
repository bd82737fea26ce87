//! The settings dialog, worked by a user. It knows the dialog's fields, and not what a setting means.

use super::App;
use super::app::SOON;

impl App {
    /// Opens the dialog.
    pub async fn open_settings(&self) {
        self.click("settings-button").await;
        self.until_settings(true).await;
    }

    /// Waits until the dialog is open, or closed.
    pub async fn until_settings(&self, open: bool) {
        let script = "return document.querySelector('[data-testid=settings]') !== null;";
        let what = if open { "the dialog is open" } else { "the dialog is closed" };
        self.until(what, SOON, async |_| (self.script(script).await == open).then_some(())).await;
    }

    /// Adds a variable to the project in the dialog, which has none yet.
    pub async fn add_variable(&self, name: &str, value: &str) {
        self.click_button("Add project").await;
        self.type_css("[data-testid=settings] input[aria-label=Name]", name).await;
        self.type_css("[data-testid=settings] input[aria-label^='Value of']", value).await;
    }

    /// Saves and waits until the dialog is closed.
    pub async fn save_settings(&self) {
        self.click("settings-save").await;
        self.until_settings(false).await;
    }
}
