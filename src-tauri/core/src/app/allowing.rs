//! Allows a name that a container was refused, for its project: a change of the settings like any other. It knows no
//! proxy; that asks the settings at each request.

use super::App;
use crate::failure::Failure;
use crate::tab::TabId;

impl App {
    /// Adds an entry to the names that a tab's project allows of its own. What counted for the project until now, be it
    /// said for all projects or by the project itself, goes on to count.
    ///
    /// # Errors
    /// [`Code::Gone`](crate::failure::Code::Gone) where the tab is closed, and those of [`Self::save_settings`].
    pub async fn allow_name(&self, tab: &TabId, entry: &str) -> Result<(), Failure> {
        let workspace = self.tab(tab)?.summary().borrow().workspace.clone();
        let mut allowed = self.surroundings.settings().wishes(&workspace).allowed_domains.unwrap_or_default();
        if allowed.iter().any(|known| known == entry) {
            return Ok(());
        }
        allowed.push(entry.to_owned());
        let mut settings = self.settings.borrow().clone();
        let project = settings.projects.entry(workspace.display().to_string()).or_default();
        project.container.allowed_domains = Some(allowed);
        self.save_settings(settings).await
    }
}
