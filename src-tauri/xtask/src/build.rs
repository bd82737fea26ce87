//! The release programs: the window with the page embedded, and the command line. It decides nothing about profiles.

use crate::node;
use crate::spawn;
use crate::system::{self, Consent, Purpose};
use crate::tree::Tree;
use crate::trouble::Trouble;

/// Builds both programs, installing what that needs, and says where they are.
pub(crate) fn build(tree: &Tree, consent: Consent) -> Result<(), Trouble> {
    system::ensure(Purpose::Build, consent)?;
    node::ensure_page(tree)?;
    programs(tree)?;
    for name in ["gemra-desktop", "gemra"] {
        println!("{}", tree.program(name).display());
    }
    Ok(())
}

/// Builds both programs from a page that is already there.
pub(crate) fn programs(tree: &Tree) -> Result<(), Trouble> {
    let mut cargo = spawn::cargo();
    cargo.args(["build", "--release", "-p", "gemra-desktop", "-p", "gemra"]).current_dir(&tree.root);
    spawn::run(&mut cargo, "cargo build", "look at the compiler's errors above")
}
