//! Gemra on the command line.
fn main() {}
