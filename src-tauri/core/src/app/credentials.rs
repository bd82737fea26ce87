//! What the window may ask about the user's own keys, and about the login of a tab's container. The rooms of the
//! credentials do it; here it is found which tab, engine and container are meant.

use super::App;
use crate::container::engine::EngineError;
use crate::credentials::login::{Account, Inside, Step};
use crate::credentials::{CredentialsError, Kept, Listing, Name};
use crate::failure::{Code, Failure};
use crate::place::container;
use crate::tab::TabId;

impl App {
    /// What of the user's own keys is set, and where it is kept. Never a value.
    ///
    /// # Errors
    /// [`Code::CredentialsFailed`] where what is kept cannot be read.
    pub async fn credentials(&self) -> Result<Listing, Failure> {
        let listed = self.surroundings.credentials().list(self.surroundings.environment()).await;
        listed.map_err(|error| Failure::from(&error))
    }

    /// Keeps one for every agent that starts from now on, and says where.
    ///
    /// # Errors
    /// [`Code::CredentialsFailed`]; what was kept before still is.
    pub async fn set_credential(&self, variable: &str, value: &str) -> Result<Kept, Failure> {
        let set = self.surroundings.credentials().set(named(variable)?, value).await;
        set.map_err(|error: CredentialsError| Failure::from(&error))
    }

    /// Forgets one.
    ///
    /// # Errors
    /// [`Code::CredentialsFailed`]; it may still be there then.
    pub async fn forget_credential(&self, variable: &str) -> Result<(), Failure> {
        let forgotten = self.surroundings.credentials().forget(named(variable)?).await;
        forgotten.map_err(|error: CredentialsError| Failure::from(&error))
    }

    /// Who is logged in where the tab's container is.
    ///
    /// # Errors
    /// [`Code::LoginFailed`] where the agent is in none, or does not say.
    pub async fn account_inside(&self, tab: &TabId) -> Result<Account, Failure> {
        self.inside(tab).await?.account().await
    }

    /// Begins a login there; `tell` hears how it goes. One that waits already is given up.
    ///
    /// # Errors
    /// [`Code::LoginFailed`] where it cannot begin.
    pub async fn log_in_inside(&self, tab: &TabId, tell: impl Fn(Step) + Send + Sync + 'static) -> Result<(), Failure> {
        self.open().logins.remove(tab);
        let login = self.inside(tab).await?.log_in(tell).await?;
        self.open().logins.insert(tab.clone(), login);
        Ok(())
    }

    /// Hands the code of the page over to the login that waits for it.
    ///
    /// # Errors
    /// [`Code::LoginFailed`] where none does.
    pub fn send_login_code(&self, tab: &TabId, code: &str) -> Result<(), Failure> {
        if self.open().logins.get(tab).is_some_and(|login| login.send(code)) {
            return Ok(());
        }
        let cause = "No login waits for a code any more.";
        Err(Failure::new(Code::LoginFailed, "The login inside did not work", cause, "Begin again."))
    }

    /// Gives up a login that waits.
    pub fn cancel_login(&self, tab: &TabId) {
        self.open().logins.remove(tab);
    }

    /// Logs out there.
    ///
    /// # Errors
    /// [`Code::LoginFailed`] where the agent is in no container, or would not.
    pub async fn log_out_inside(&self, tab: &TabId) -> Result<Account, Failure> {
        self.inside(tab).await?.log_out().await
    }

    async fn inside(&self, tab: &TabId) -> Result<Inside, Failure> {
        let workspace = self.tab(tab)?.summary().borrow().workspace.clone();
        let engine = self.surroundings.engine_of(&workspace).await;
        let engine = engine.map_err(|error: EngineError| Failure::from(&error))?;
        let (variables, _) = container::variables_of(&self.surroundings, &workspace);
        Inside::find(engine, self.surroundings.instance(), &tab.0, variables).await
    }
}

fn named(variable: &str) -> Result<Name, Failure> {
    let unknown = || {
        let cause = format!("{variable} is none that Gemra keeps.");
        Failure::new(Code::CredentialsFailed, "The keys could not be used", cause, "Choose one that is listed.")
    };
    Name::of(variable).ok_or_else(unknown)
}
