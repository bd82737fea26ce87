//! What a desk has of its user's own: keys in the settings, wishes to have more of theirs inside, and a home folder to
//! have it in.

use std::path::PathBuf;

use gemra_core::tab::TabId;

use super::{Desk, Moving};

impl Desk {
    /// The same with a key of the user's own, set as in the dialog.
    #[must_use]
    pub fn credential(mut self, variable: &str, value: &str) -> Self {
        self.credentials.push((variable.to_owned(), value.to_owned()));
        self
    }

    /// What is `HOME` to the app.
    pub fn user_home(&self) -> PathBuf {
        self.folder.path().join("user")
    }

    /// What is `GEMRA_HOME` to the app.
    pub fn gemra_home(&self) -> PathBuf {
        self.folder.path().join("home")
    }
}

impl Moving {
    /// The tab's name.
    pub fn tab_id(&self) -> &TabId {
        &self.id
    }
}
