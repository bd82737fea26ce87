//! The settings dialog, worked by a user. It knows the dialog's fields, and not what a setting means.

use super::App;
use super::app::SOON;

impl App {
    /// Opens the dialog.
    pub async fn open_settings(&self) {
        self.click("settings-button").await;
        self.until_settings(true).await;
    }

    /// Waits until the dialog is open and has taken the keyboard's focus, which would otherwise leave a field that is
    /// typed into; or closed.
    pub async fn until_settings(&self, open: bool) {
        let script = if open {
            "return document.querySelector('[data-testid=settings]')?.contains(document.activeElement) ?? false;"
        } else {
            "return document.querySelector('[data-testid=settings]') !== null;"
        };
        let what = if open { "the dialog is open" } else { "the dialog is closed" };
        self.until(what, SOON, async |_| (self.script(script).await == open).then_some(())).await;
    }

    /// Goes to a section of the dialog.
    pub async fn settings_section(&self, section: &str) {
        self.click_css(&format!("[data-testid=settings] [data-section={section}]")).await;
    }

    /// Types into the field of a wish, by its path in the settings, such as `container.cpus`.
    pub async fn type_wish(&self, path: &str, text: &str) {
        self.type_css(&format!("[data-testid=settings] [id='{path}']"), text).await;
    }

    /// Chooses in the field of a wish.
    pub async fn choose_wish(&self, path: &str, value: &str) {
        self.click_css(&format!("[data-testid=settings] [id='{path}'] option[value='{value}']")).await;
    }

    /// What stands in the field of a wish, and its error where it has one.
    pub async fn wish(&self, path: &str) -> (String, String) {
        let script = format!(
            "const field = document.getElementById('{path}');
             const error = field.closest('[data-field]').querySelector('[role=alert]');
             return [field.value, error?.textContent.trim() ?? ''];"
        );
        let said = self.script(&script).await;
        let text = |at: usize| said[at].as_str().unwrap_or_default().to_owned();
        (text(0), text(1))
    }

    /// Adds a variable to the project in the dialog.
    pub async fn add_variable(&self, name: &str, value: &str) {
        self.settings_section("projects").await;
        self.click_button("Variable").await;
        self.type_css("[data-testid=settings] input[aria-label=Name]", name).await;
        self.type_css("[data-testid=settings] input[aria-label^='Value of']", value).await;
    }

    /// Saves and waits until the dialog is closed.
    pub async fn save_settings(&self) {
        self.click("settings-save").await;
        self.until_settings(false).await;
    }
}
