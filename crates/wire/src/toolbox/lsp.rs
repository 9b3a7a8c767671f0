//! Language servers: completions and symbols for editors and agents.
//!
//! Positions are those of the Language Server Protocol: lines from 0, and characters from 0 in units of UTF-16.

use serde::{Deserialize, Serialize};

/// The body of `POST /lsp/start` and `/lsp/stop`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LspServerRequest {
    /// `python`, `typescript` or `javascript`.
    pub language_id: String,
    /// The project's folder; a relative one is in the work folder.
    pub path_to_project: String,
}

/// The body of `POST /lsp/did-open` and `/lsp/did-close`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LspDocumentRequest {
    /// `python`, `typescript` or `javascript`.
    pub language_id: String,
    /// The project's folder; a relative one is in the work folder.
    pub path_to_project: String,
    /// `file://` and the file's path; a relative one is in the project, or else in the work folder.
    pub uri: String,
}

/// The body of `POST /lsp/completions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LspCompletionParams {
    /// `python`, `typescript` or `javascript`.
    pub language_id: String,
    /// The project's folder; a relative one is in the work folder.
    pub path_to_project: String,
    /// `file://` and the file's path; a relative one is in the project, or else in the work folder.
    pub uri: String,
    /// Where the cursor is.
    pub position: LspPosition,
    /// What made the client ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<CompletionContext>,
}

/// What made a client ask for completions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CompletionContext {
    /// 1: the user or their typing; 2: a character that is made for it; 3: the last list was incomplete.
    pub trigger_kind: u32,
    /// The character, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger_character: Option<String>,
}

/// The answer of `POST /lsp/completions`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CompletionList {
    /// Whether there are more, or others after more typing.
    pub is_incomplete: bool,
    /// What could be written.
    pub items: Vec<CompletionItem>,
}

/// Something that could be written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CompletionItem {
    /// What is shown, and written where nothing else is said.
    pub label: String,
    /// What it is, as the protocol numbers it: 3 is a function, 7 a class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<u32>,
    /// A type or a signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What is written about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documentation: Option<LspDocumentation>,
    /// What it is sorted by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort_text: Option<String>,
    /// What typing is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_text: Option<String>,
    /// What is written instead of the label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insert_text: Option<String>,
}

/// What is written about a completion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LspDocumentation {
    /// `plaintext` or `markdown`.
    pub kind: String,
    /// The text.
    pub value: String,
}

/// A function, class, variable or the like: `GET /lsp/document-symbols` and `/lsp/workspacesymbols` answer lists of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LspSymbol {
    /// Its name.
    pub name: String,
    /// What it is, as the protocol numbers it: 5 is a class, 12 a function.
    pub kind: u32,
    /// Where it is.
    pub location: LspLocation,
}

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LspLocation {
    /// The file.
    pub uri: String,
    /// The part.
    pub range: LspRange,
}

/// From one position to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LspRange {
    /// Where it begins.
    pub start: LspPosition,
    /// Where it ends: this is no part of it any more.
    pub end: LspPosition,
}

/// A place between two characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LspPosition {
    /// The line, from 0.
    pub line: u32,
    /// How many units of UTF-16 of it are before this place.
    pub character: u32,
}
