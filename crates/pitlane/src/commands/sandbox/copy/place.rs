//! A place as it is said on the command line.

use std::path::PathBuf;

/// Where something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Standard input or output.
    Standard,
    /// On this machine.
    Local(PathBuf),
    /// In a sandbox; a path that is not absolute begins in its working folder.
    Sandbox { sandbox: String, path: String },
}

impl Place {
    /// A colon after something that is no path makes it a place in a sandbox: `./a:b` is a file here.
    pub(super) fn parse(text: &str) -> Self {
        if text == "-" {
            return Self::Standard;
        }
        match text.split_once(':') {
            Some((sandbox, path)) if !sandbox.is_empty() && !sandbox.contains('/') => {
                let path = if path.is_empty() { "." } else { path };
                Self::Sandbox { sandbox: sandbox.to_owned(), path: path.to_owned() }
            }
            Some(_) | None => Self::Local(PathBuf::from(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_sandbox_has_a_colon_after_its_name() {
        let sandbox = |sandbox: &str, path: &str| Place::Sandbox {
            sandbox: sandbox.to_owned(),
            path: path.to_owned(),
        };
        let cases = [
            ("-", Place::Standard),
            ("a", Place::Local("a".into())),
            ("./a:b", Place::Local("./a:b".into())),
            ("/a:b", Place::Local("/a:b".into())),
            (":a", Place::Local(":a".into())),
            ("box:", sandbox("box", ".")),
            ("box:a:b", sandbox("box", "a:b")),
            ("box:/tmp/x/", sandbox("box", "/tmp/x/")),
            ("./-", Place::Local("./-".into())),
        ];
        for (text, place) in cases {
            assert_eq!(Place::parse(text), place, "{text}");
        }
    }
}
