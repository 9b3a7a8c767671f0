//! Files and folders.

use serde::{Deserialize, Serialize};

/// One file or folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FileInfo {
    /// The last part of its path.
    pub name: String,
    /// Its absolute path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Bytes.
    pub size: u64,
    /// Kind and permissions as letters: `-rw-r--r--`.
    pub mode: String,
    /// When its contents changed, as `2026-08-20 12:00:00 +0000 UTC`.
    pub mod_time: String,
    /// When its contents changed, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified_at: Option<String>,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// The owner's id, in decimal.
    pub owner: String,
    /// The group's id, in decimal.
    pub group: String,
    /// Permissions in octal: `0644`.
    pub permissions: String,
}

/// The body of `POST /files/bulk-download`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DownloadFiles {
    /// The files, in the order of the answer's parts.
    pub paths: Vec<String>,
}

/// The answer of `POST /files/bulk-upload`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UploadedFiles {
    /// What failed, a sentence each; left out when nothing did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// What was written.
    #[serde(default)]
    pub files: Vec<UploadedFile>,
}

/// One file that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UploadedFile {
    /// The path as it was given.
    pub path: String,
    /// How many bytes it has.
    pub bytes: u64,
}

/// The answer of `POST /files/upload-v2`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UploadedResource {
    /// The last part of the path.
    pub name: String,
    /// The path as it was given.
    pub path: String,
    /// Always `file`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// One line of the answer of `GET /files/find`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FileMatch {
    /// The file.
    pub file: String,
    /// The line's number, from 1.
    pub line: u64,
    /// The line.
    pub content: String,
}

/// The answer of `GET /files/search`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FoundFiles {
    /// Paths.
    pub files: Vec<String>,
}

/// The body of `POST /files/replace`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReplaceInFiles {
    /// The files to change.
    pub files: Vec<String>,
    /// The text to look for.
    pub pattern: String,
    /// What takes its place.
    pub new_value: String,
}

/// One file of the answer of `POST /files/replace`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Replaced {
    /// The file.
    pub file: String,
    /// Whether it now has the new text.
    pub success: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
