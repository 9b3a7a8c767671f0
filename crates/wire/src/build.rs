//! What the server and the daemon of a build sandbox say to each other; no caller of the toolbox gets to it.
//!
//! Files travel as records: four bytes for the length of a JSON text (big-endian), the text, and after an [`Entry`] of a
//! file as many bytes as it says. A length of zero ends them: what ends otherwise was cut off.

mod pattern;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use self::pattern::{is_pattern, matches_name, matches_path};

/// The media type of records.
pub const MEDIA_TYPE: &str = "application/vnd.pitlane.records";
/// The longest JSON text of a record, in bytes.
pub const MAX_TEXT: usize = 64 << 10;
/// What ends records.
pub const END: [u8; 4] = [0; 4];

/// `POST /pitlane/build/run`: a command, with nothing around it that is not said here. Answered with frames.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStep {
    /// The program and its arguments.
    pub arguments: Vec<String>,
    /// A text that is executed itself, instead of the program: its first line names what reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// All of its variables; its user's home folder is added if none is said.
    pub environment: BTreeMap<String, String>,
    /// Where it starts.
    pub folder: String,
    /// Whom it runs as: `NAME`, `UID`, `NAME:GROUP` or `UID:GID`.
    pub user: String,
}

/// `POST /pitlane/build/place`: the first record of files that are to be written, before their entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// Where they go, from the root of the file system.
    pub destination: String,
    /// Whether that is a folder in any case. Otherwise it is the name of the one file that follows, unless there is a
    /// folder of this name.
    pub is_folder: bool,
    /// Whom they belong to, if not to whom they say: `NAME`, `UID`, `NAME:GROUP` or `UID:GID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Their permissions, if not what they say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// Whether archives are unpacked.
    #[serde(default)]
    pub unpacks: bool,
}

/// `POST /pitlane/build/pack`: files that are wanted. Answered with a [`Packed`] and their entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packing {
    /// Where they are, from the root of the file system; `*`, `?` and `[…]` stand for what they stand for everywhere.
    pub sources: Vec<String>,
    /// Names that are left out, as patterns from the source on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Whether nothing at all is an answer.
    #[serde(default)]
    pub may_be_missing: bool,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// Whether there is anything.
    pub exists: bool,
    /// Whether it can only go into a folder: it is one, or several files.
    pub is_folder: bool,
}

/// `POST /pitlane/build/clear`: a folder that is to be empty, and exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clearing {
    /// Where it is, from the root of the file system.
    pub folder: String,
    /// Whether it is removed instead.
    pub removes: bool,
}

/// `POST /pitlane/build/folder`: a folder that is to exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewFolder {
    /// Where, from the root of the file system.
    pub folder: String,
    /// Whom it belongs to if it is made.
    pub owner: String,
}

/// A file, folder or symbolic link that is on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its path below the destination; empty for the destination itself.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// Its permissions.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// When it was last written, in seconds since 1970.
    pub modified: i64,
    /// How many bytes follow.
    #[serde(default)]
    pub size: u64,
    /// Where a symbolic link leads.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// A regular file; its bytes follow.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
}

/// Why bytes are no records. Nothing after them can be understood.
#[derive(Debug)]
pub enum RecordError {
    /// They cannot be read, or end too early.
    Read(io::Error),
    /// A text above [`MAX_TEXT`].
    TooLong(u32),
    /// A text that says something else.
    Text(serde_json::Error),
}

impl fmt::Display for RecordError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(_) => formatter.write_str("the files were cut off"),
            Self::TooLong(length) => write!(formatter, "a record of {length} bytes"),
            Self::Text(error) => write!(formatter, "a record that says something else: {error}"),
        }
    }
}

impl std::error::Error for RecordError {}

/// Appends a record's text.
///
/// # Errors
///
/// It is longer than [`MAX_TEXT`] or cannot be written as JSON.
pub fn write_record(value: &impl Serialize, output: &mut Vec<u8>) -> Result<(), RecordError> {
    let text = serde_json::to_vec(value).map_err(RecordError::Text)?;
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    if text.len() > MAX_TEXT {
        return Err(RecordError::TooLong(length));
    }
    output.extend_from_slice(&length.to_be_bytes());
    output.extend_from_slice(&text);
    Ok(())
}

/// Reads a record's text; `None` at the end.
///
/// # Errors
///
/// [`RecordError`]: nothing after it can be understood.
pub fn read_record<T: DeserializeOwned>(input: &mut impl Read) -> Result<Option<T>, RecordError> {
    let mut length = [0; 4];
    input.read_exact(&mut length).map_err(RecordError::Read)?;
    let length = u32::from_be_bytes(length);
    if length == 0 {
        return Ok(None);
    }
    let count = usize::try_from(length).unwrap_or(usize::MAX);
    if count > MAX_TEXT {
        return Err(RecordError::TooLong(length));
    }
    let mut text = vec![0; count];
    input.read_exact(&mut text).map_err(RecordError::Read)?;
    serde_json::from_slice(&text).map(Some).map_err(RecordError::Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            path: String::from("a/b"),
            kind: EntryKind::File,
            mode: 0o644,
            uid: 0,
            gid: 1000,
            modified: -1,
            size: 3,
            target: String::new(),
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let mut bytes = Vec::new();
        write_record(&entry(), &mut bytes).unwrap();
        bytes.extend_from_slice(b"abc");
        bytes.extend_from_slice(&END);
        let mut input = bytes.as_slice();
        assert_eq!(read_record::<Entry>(&mut input).unwrap(), Some(entry()));
        let mut contents = [0; 3];
        input.read_exact(&mut contents).unwrap();
        assert_eq!(&contents, b"abc");
        assert_eq!(read_record::<Entry>(&mut input).unwrap(), None);
    }

    #[test]
    fn what_is_cut_off_or_too_long_is_no_record() {
        let mut bytes = Vec::new();
        write_record(&entry(), &mut bytes).unwrap();
        for end in 0..bytes.len() {
            let mut input = &bytes[..end];
            assert!(read_record::<Entry>(&mut input).is_err(), "{end}");
        }
        assert!(read_record::<Entry>(&mut [255; 8].as_slice()).is_err());
        let long = Entry { path: "x".repeat(MAX_TEXT), ..entry() };
        assert!(write_record(&long, &mut Vec::new()).is_err());
    }
}
