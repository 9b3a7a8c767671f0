//! The command line, for running outside a sandbox.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::boot::StartError;

/// How the daemon gets what it needs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Options {
    /// As inherited descriptors, from whoever made the sandbox.
    Inherited,
    /// By name, as an ordinary process.
    Ordinary(Ordinary),
}

/// What an ordinary process is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ordinary {
    /// `ADDRESS:PORT`, or the path of a Unix socket to make.
    pub(crate) listen: String,
    /// A file with the boot configuration.
    pub(crate) boot: PathBuf,
    /// The folder of a control group for commands.
    pub(crate) command_group: Option<PathBuf>,
}

impl Options {
    /// Reads the arguments after the program's name.
    pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Self, StartError> {
        let mut arguments = arguments.peekable();
        if arguments.peek().is_none() {
            return Ok(Self::Inherited);
        }
        let (mut listen, mut boot, mut command_group) = (None, None, None);
        while let Some(flag) = arguments.next() {
            let value = arguments.next();
            match (flag.to_str(), value) {
                (Some("--listen"), Some(value)) => listen = value.into_string().ok(),
                (Some("--boot"), Some(value)) => boot = Some(PathBuf::from(value)),
                (Some("--command-group"), Some(value)) => {
                    command_group = Some(PathBuf::from(value));
                }
                _ => return Err(StartError::Usage),
            }
        }
        match (listen, boot) {
            (Some(listen), Some(boot)) => {
                Ok(Self::Ordinary(Ordinary { listen, boot, command_group }))
            }
            _ => Err(StartError::Usage),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Options, Ordinary};

    fn parse(arguments: &[&str]) -> Option<Options> {
        Options::parse(arguments.iter().map(Into::into)).ok()
    }

    #[test]
    fn without_arguments_everything_is_inherited() {
        assert_eq!(parse(&[]), Some(Options::Inherited));
    }

    #[test]
    fn an_ordinary_process_needs_a_socket_and_a_configuration() {
        let wanted = Ordinary {
            listen: String::from("/run/x"),
            boot: "boot.json".into(),
            command_group: None,
        };
        assert_eq!(
            parse(&["--boot", "boot.json", "--listen", "/run/x"]),
            Some(Options::Ordinary(wanted))
        );
        for wrong in [&["--listen", "x"][..], &["--boot"], &["--help"], &["x", "y"]] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }
}
