//! The command line: `gemra-desktop [--workspace DIR]…`. Decides nothing about the folders.

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arguments {
    /// Open the window with a tab for each of these folders.
    Open { workspaces: Vec<String> },
    /// Be the reaper of another instance.
    Reap,
    /// Say this and end well.
    Say(String),
}

/// Reads the command line, without the program's name.
///
/// # Errors
/// One sentence that says what is wrong with it.
pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Arguments, String> {
    let mut workspaces = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--workspace" => match arguments.next() {
                Some(folder) => workspaces.push(folder),
                None => return Err("--workspace needs a folder".to_owned()),
            },
            gemra_core::reaper::ARGUMENT => return Ok(Arguments::Reap),
            "--version" => return Ok(Arguments::Say(format!("gemra-desktop {}", env!("CARGO_PKG_VERSION")))),
            "--help" | "-h" => return Ok(Arguments::Say(HELP.to_owned())),
            other => match other.strip_prefix("--workspace=") {
                Some(folder) => workspaces.push(folder.to_owned()),
                None => return Err(format!("{other:?} is not known; see gemra-desktop --help")),
            },
        }
    }
    Ok(Arguments::Open { workspaces })
}

const HELP: &str = "Gemra: a coding agent in chat tabs, on the host or in a container

Usage: gemra-desktop [--workspace DIR]…

  --workspace DIR  open a tab for this folder; may be given several times
  --version        print the version
  --help           print this";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_read() {
        let read = |line: &str| parse(line.split_whitespace().map(str::to_owned));
        let open = |folders: &[&str]| {
            Ok(Arguments::Open { workspaces: folders.iter().map(|folder| (*folder).to_owned()).collect() })
        };
        assert_eq!(read(""), open(&[]), "nothing opens the window as it is");
        assert_eq!(read("--workspace /a --workspace=/b"), open(&["/a", "/b"]), "both spellings, in their order");
        assert!(matches!(read("--version"), Ok(Arguments::Say(said)) if said.contains("0.1.0")), "the version is said");
        for wrong in ["--workspace", "--wrokspace /a", "/a"] {
            assert!(read(wrong).is_err(), "{wrong} is an error, not ignored");
        }
    }
}
