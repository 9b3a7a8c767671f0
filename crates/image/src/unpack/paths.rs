//! Names of entries, which may be anything, as paths inside a layer.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// The longest path and the longest part of one that the kernel takes, and how deep folders may be.
const MAX_PATH: usize = 4095;
const MAX_PART: usize = 255;
pub(super) const MAX_DEPTH: usize = 256;

/// What an entry's name means to layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The root folder itself.
    Root,
    /// Something in a folder.
    Entry {
        /// The folder, relative to the layer's root; empty for the root.
        folder: PathBuf,
        /// The name in it.
        name: OsString,
    },
    /// Whatever lower layers have there is gone.
    Whiteout {
        /// The folder.
        folder: PathBuf,
        /// The name in it.
        name: OsString,
    },
    /// Whatever lower layers have in this folder is gone.
    Opaque {
        /// The folder.
        folder: PathBuf,
    },
    /// Notes of another tool, which mean nothing here.
    Note,
}

/// Why a name is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlaceError {
    #[error("leads out of its folder by \"..\"")]
    Parent,
    #[error("is longer or deeper than a path can be")]
    TooLong,
    #[error("contains a NUL")]
    Nul,
    #[error("removes nothing")]
    NamelessWhiteout,
}

/// Reads an entry's name. A leading `/` or `./` means nothing.
pub(crate) fn place(name: &[u8]) -> Result<Place, PlaceError> {
    let mut parts = parts(name)?;
    let Some(last) = parts.pop() else { return Ok(Place::Root) };
    let folder: PathBuf = parts.iter().map(|part| OsStr::from_bytes(part)).collect();
    let Some(hidden) = last.strip_prefix(b".wh.") else {
        return Ok(Place::Entry { folder, name: OsStr::from_bytes(last).to_owned() });
    };
    match hidden {
        b"" | b"." | b".." => Err(PlaceError::NamelessWhiteout),
        b".wh..opq" => Ok(Place::Opaque { folder }),
        hidden if hidden.starts_with(b".wh.") => Ok(Place::Note),
        hidden => Ok(Place::Whiteout { folder, name: OsStr::from_bytes(hidden).to_owned() }),
    }
}

/// A path of the layer as a hard link names it.
pub(crate) fn target(name: &[u8]) -> Result<PathBuf, PlaceError> {
    Ok(parts(name)?.iter().map(|part| OsStr::from_bytes(part)).collect())
}

fn parts(name: &[u8]) -> Result<Vec<&[u8]>, PlaceError> {
    if name.len() > MAX_PATH {
        return Err(PlaceError::TooLong);
    }
    if name.contains(&0) {
        return Err(PlaceError::Nul);
    }
    let mut parts = Vec::new();
    for part in name.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err(PlaceError::Parent),
            part if part.len() > MAX_PART => return Err(PlaceError::TooLong),
            part => parts.push(part),
        }
    }
    if parts.len() > MAX_DEPTH { Err(PlaceError::TooLong) } else { Ok(parts) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(folder: &str, name: &str) -> Result<Place, PlaceError> {
        Ok(Place::Entry { folder: folder.into(), name: name.into() })
    }

    #[test]
    fn names_are_relative_to_the_layer() {
        for (name, wanted) in [
            ("etc/passwd", entry("etc", "passwd")),
            ("./etc/", entry("", "etc")),
            ("/etc//./x", entry("etc", "x")),
            ("./", Ok(Place::Root)),
            ("", Ok(Place::Root)),
            ("a/..b/...", entry("a/..b", "...")),
        ] {
            assert_eq!(place(name.as_bytes()), wanted, "{name}");
        }
    }

    #[test]
    fn nothing_leads_out() {
        for name in ["..", "../etc/passwd", "a/../../b", "a/..", "/.."] {
            assert_eq!(place(name.as_bytes()), Err(PlaceError::Parent), "{name}");
            assert_eq!(target(name.as_bytes()), Err(PlaceError::Parent), "{name}");
        }
        assert_eq!(place(b"a\0b"), Err(PlaceError::Nul));
        assert_eq!(place(&[b'a'; 300]), Err(PlaceError::TooLong));
        assert_eq!(place(&b"a/".repeat(300)), Err(PlaceError::TooLong));
        assert_eq!(place(&b"/".repeat(5000)), Err(PlaceError::TooLong));
    }

    #[test]
    fn whiteouts_are_known() {
        let gone = |folder: &str, name: &str| {
            Ok(Place::Whiteout { folder: folder.into(), name: name.into() })
        };
        assert_eq!(place(b"etc/.wh.passwd"), gone("etc", "passwd"));
        assert_eq!(place(b".wh.a.wh.b"), gone("", "a.wh.b"));
        assert_eq!(place(b"etc/.wh..wh..opq"), Ok(Place::Opaque { folder: "etc".into() }));
        assert_eq!(place(b".wh..wh.plnk/"), Ok(Place::Note));
        for name in [".wh.", ".wh..", ".wh..."] {
            assert_eq!(place(name.as_bytes()), Err(PlaceError::NamelessWhiteout), "{name}");
        }
    }
}
