//! `cargo xtask`: set-up, build, run, test, measure and package Gemra, with one command each.
//! It knows how to call the other parts and how to read their results; it refuses to know what is inside them.
//! The standard library only, so that it compiles in a second on a machine where nothing is set up yet.

// Talking to a person on the terminal is what this program is for; it has no log and no window.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod arguments;
mod bench;
mod build;
mod dist;
mod engine;
mod node;
mod run_app;
mod spawn;
mod stamp;
mod suites;
mod system;
mod tally;
mod tree;
mod trouble;

use std::process::ExitCode;

use arguments::{Request, TestRequest};
use system::Consent;
use tree::Tree;
use trouble::Trouble;

fn main() -> ExitCode {
    match Request::parse(std::env::args().skip(1)).and_then(perform) {
        Ok(code) => code,
        Err(trouble) => {
            eprintln!("xtask: {trouble}");
            ExitCode::from(if matches!(trouble, Trouble::Usage { .. }) { 2 } else { 1 })
        }
    }
}

fn perform(request: Request) -> Result<ExitCode, Trouble> {
    let tree = Tree::find()?;
    match request {
        Request::Help => print!("{}", arguments::HELP),
        Request::Run(run) => return run_app::run(&tree, &run),
        Request::Test(TestRequest { suites, yes }) => return suites::test(&tree, &suites, Consent::from_flag(yes)),
        Request::Build { yes } => build::build(&tree, Consent::from_flag(yes))?,
        Request::Bench { arguments, yes } => bench::bench(&tree, &arguments, Consent::from_flag(yes))?,
        Request::Dist { yes } => dist::dist(&tree, Consent::from_flag(yes))?,
    }
    Ok(ExitCode::SUCCESS)
}
