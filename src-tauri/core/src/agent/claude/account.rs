//! Who the CLI is logged in as: its commands for that, and what they print (seen with 2.1.329). It refuses to know where
//! they run.

use serde_json::Value;

/// Prints the address of a page, waits for the code from that page on stdin, and ends with 0 where it was right.
pub(crate) const LOG_IN: &[&str] = &["auth", "login"];
/// Forgets the login.
pub(crate) const LOG_OUT: &[&str] = &["auth", "logout"];
/// Prints who is logged in, as JSON.
pub(crate) const STATUS: &[&str] = &["auth", "status"];

/// Who is logged in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// True where somebody is.
    pub logged_in: bool,
    /// Who, where the CLI knows it.
    pub email: Option<String>,
    /// What they have subscribed to, such as `max`.
    pub plan: Option<String>,
}

impl Account {
    /// Reads what [`STATUS`] has printed; `None` where it is nothing of the kind.
    pub(crate) fn read(printed: &str) -> Option<Self> {
        let start = printed.find('{')?;
        let status: Value = serde_json::from_str(printed[start..].trim()).ok()?;
        let text = |name: &str| status[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        Some(Self { logged_in: status["loggedIn"].as_bool()?, email: text("email"), plan: text("subscriptionType") })
    }
}

/// The address in a line of [`LOG_IN`].
pub(crate) fn address(line: &str) -> Option<&str> {
    let start = line.find("https://")?;
    let address = line[start..].split(|end: char| end.is_whitespace() || end.is_control()).next()?;
    address.contains('?').then_some(address)
}

/// Why [`LOG_IN`] ended without a login, in its own words: the last that it said, behind its question for the code.
pub(crate) fn refusal(printed: &str) -> String {
    let last = printed.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    last.rsplit_once("prompted >").map_or(last, |(_, words)| words).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENING: &str = "If the browser didn't open, visit: https://claude.com/cai/oauth/authorize?code=true&state=x";

    #[test]
    fn the_address_is_found_and_nothing_else_is_taken_for_it() {
        assert_eq!(address(OPENING), Some("https://claude.com/cai/oauth/authorize?code=true&state=x"), "as printed");
        assert_eq!(address("Opening browser to sign in…"), None, "no address");
        assert_eq!(address("See https://claude.com/help for help"), None, "a page that asks for nothing");
    }

    #[test]
    fn the_status_is_read_as_it_is_printed() {
        let out = "{\n  \"loggedIn\": false,\n  \"authMethod\": \"none\",\n  \"loginExpiresAt\": null\n}\n";
        assert_eq!(Account::read(out), Some(Account::default()), "nobody is logged in");
        let of = "{\"loggedIn\": true, \"email\": \"ada@example.org\", \"subscriptionType\": \"max\"}";
        let account = Account::read(of).unwrap();
        assert_eq!(
            (account.email.as_deref(), account.plan.as_deref()),
            (Some("ada@example.org"), Some("max")),
            "who it is, where it is known"
        );
        for odd in ["", "error: unknown command 'auth'", "{\"loggedIn\": \"yes\"}", "{}"] {
            assert_eq!(Account::read(odd), None, "{odd:?} says nothing");
        }
    }

    #[test]
    fn a_refusal_is_told_in_the_clis_words() {
        let printed = format!("{OPENING}\nPaste code here if prompted > Couldn't log in: getaddrinfo ENOTFOUND x\n\n");
        assert_eq!(refusal(&printed), "Couldn't log in: getaddrinfo ENOTFOUND x", "without the question");
        assert_eq!(refusal(""), "", "silence stays silence");
    }
}
