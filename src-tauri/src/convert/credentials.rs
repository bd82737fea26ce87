//! The user's own keys and the login inside, to the page.

use gemra_core::credentials::login::{Account, Step};
use gemra_core::credentials::{Kept, Known, Listing};

use crate::wire::credentials as wire;

impl From<Listing> for wire::Credentials {
    fn from(listing: Listing) -> Self {
        let Listing { known, keeps_in, file, reason } = listing;
        Self {
            known: known.into_iter().map(Into::into).collect(),
            keeps_in: keeps_in.into(),
            file: file.display().to_string(),
            reason,
        }
    }
}

impl From<Known> for wire::Credential {
    fn from(known: Known) -> Self {
        let Known { name, kept, inherited, shown } = known;
        Self { variable: name.variable().to_owned(), kept: kept.map(Into::into), inherited, shown }
    }
}

impl From<Kept> for wire::Kept {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Keyring => Self::Keyring,
            Kept::File => Self::File,
        }
    }
}

impl From<Account> for wire::Account {
    fn from(account: Account) -> Self {
        let Account { logged_in, email, plan } = account;
        Self { logged_in, email, plan }
    }
}

impl From<Step> for wire::LoginStep {
    fn from(step: Step) -> Self {
        match step {
            Step::Address(address) => Self::Address { address },
            Step::Done(account) => Self::Done { account: account.into() },
            Step::Failed(failure) => Self::Failed { failure: (&failure).into() },
        }
    }
}
