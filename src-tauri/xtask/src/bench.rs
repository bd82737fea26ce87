//! Starts the measurements. What is measured and how is the business of `tests/src/bin/bench`.

use crate::node;
use crate::spawn;
use crate::suites;
use crate::system::{self, Consent, Purpose};
use crate::tree::Tree;
use crate::trouble::Trouble;

/// Builds everything that is measured, then runs the measurements with `arguments`, untouched.
pub(crate) fn bench(tree: &Tree, arguments: &[String], consent: Consent) -> Result<(), Trouble> {
    system::ensure(Purpose::Tests, consent)?;
    system::ensure_docker_client(consent)?;
    node::ensure_page(tree)?;
    node::ensure_claude(tree)?;
    crate::build::programs(tree)?;
    let mut cargo = spawn::cargo();
    // The working folder stays the caller's, so that `--json FILE` means the caller's file.
    cargo.args(["run", "--release", "--manifest-path"]).arg(tree.root.join("Cargo.toml"));
    cargo.args(["-p", "tests", "--bin", "bench", "--"]).args(arguments);
    suites::set_environment(tree, &mut cargo);
    spawn::run(&mut cargo, "the bench", "look at what it said above")
}
