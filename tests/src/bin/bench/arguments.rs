//! The command line: `bench [--json FILE] [--log FILE]`.

use std::path::PathBuf;

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// Where the figures go as JSON, beside the table.
    pub(crate) json: Option<PathBuf>,
    /// Where a copy of the app's own log of the flips goes.
    pub(crate) log: Option<PathBuf>,
    /// Only say how it is used.
    pub(crate) help: bool,
}

/// Reads the command line, without the program's name.
///
/// # Errors
/// One sentence that says what is wrong with it.
pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Arguments, String> {
    let mut read = Arguments::default();
    let mut arguments = arguments.into_iter();
    while let Some(name) = arguments.next() {
        let mut file = || arguments.next().map(PathBuf::from).ok_or_else(|| format!("{name} needs a file"));
        match name.as_str() {
            "--json" => read.json = Some(file()?),
            "--log" => read.log = Some(file()?),
            "--help" | "-h" => read.help = true,
            other => return Err(format!("{other:?} is not known; see --help")),
        }
    }
    Ok(read)
}

/// How it is used.
pub(crate) const HELP: &str = "Gemra's measurements, as ratios to a baseline of the same run

Usage: bench [--json FILE] [--log FILE]

  --json FILE  write the figures down as JSON too
  --log FILE   keep the app's log of the flips; GEMRA_LOG=gemra_core=debug makes it say more
  --help       print this";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_read() {
        let read = |line: &str| parse(line.split_whitespace().map(str::to_owned));
        assert_eq!(read(""), Ok(Arguments::default()), "nothing is asked for but the table");
        let all = Arguments { json: Some("a".into()), log: Some("b".into()), help: false };
        assert_eq!(read("--json a --log b"), Ok(all), "both files");
        assert!(read("--help").is_ok_and(|read| read.help), "help");
        for wrong in ["--json", "--log", "--jsn a", "a"] {
            assert!(read(wrong).is_err(), "{wrong} is an error, not ignored");
        }
    }
}
