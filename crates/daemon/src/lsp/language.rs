//! The languages that have a server, and how each server is started.

use std::path::Path;

use pitlane_daemon::input::language::Capabilities;
use serde_json::{Value, json};

use crate::http::Refusal;

/// A language of the reference's clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Language {
    Python,
    TypeScript,
    JavaScript,
}

impl Language {
    /// The language of that name.
    pub(super) fn parse(id: &str) -> Result<Self, Refusal> {
        match id {
            "python" => Ok(Self::Python),
            "typescript" => Ok(Self::TypeScript),
            "javascript" => Ok(Self::JavaScript),
            _ => Err(Refusal::bad_request("languageId must be python, typescript or javascript")),
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::TypeScript => "typescript",
            Self::JavaScript => "javascript",
        }
    }

    /// The server's program and its arguments.
    pub(super) const fn program(self) -> (&'static str, &'static [&'static std::ffi::CStr]) {
        match self {
            Self::Python => ("pylsp", &[]),
            Self::TypeScript | Self::JavaScript => ("typescript-language-server", &[c"--stdio"]),
        }
    }

    /// How the program comes into an image.
    pub(super) const fn installation(self) -> &'static str {
        match self {
            Self::Python => "pip install python-lsp-server",
            Self::TypeScript | Self::JavaScript => {
                "npm install -g typescript typescript-language-server"
            }
        }
    }

    /// What the names of its files end with.
    pub(super) const fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Python => &[".py", ".pyi"],
            Self::TypeScript => &[".ts", ".tsx", ".mts", ".cts"],
            Self::JavaScript => &[".js", ".jsx", ".mjs", ".cjs"],
        }
    }

    /// What a server calls the language of a file.
    pub(super) fn of_file(self, path: &Path) -> &'static str {
        let extension =
            path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        match (self, extension) {
            (Self::Python, _) => "python",
            (_, "tsx") => "typescriptreact",
            (_, "jsx") => "javascriptreact",
            (_, "ts" | "mts" | "cts") => "typescript",
            (_, "js" | "mjs" | "cjs") => "javascript",
            _ => self.name(),
        }
    }

    /// What its server is told beside the protocol's own.
    pub(super) fn options(self) -> Value {
        match self {
            Self::Python => json!({}),
            // One process instead of two, and no downloads of types that nobody asked for.
            Self::TypeScript | Self::JavaScript => json!({
                "hostInfo": "pitlane",
                "disableAutomaticTypingAcquisition": true,
                "tsserver": { "useSyntaxServer": "never" },
            }),
        }
    }

    /// Whether its server knows a project only when it knows one of its documents.
    pub(super) const fn needs_a_document(self) -> bool {
        matches!(self, Self::TypeScript | Self::JavaScript)
    }

    /// Whether its server counts characters where the protocol counts units of UTF-16.
    pub(super) const fn counts_code_points(self, capabilities: Capabilities) -> bool {
        matches!(self, Self::Python) && !capabilities.counts
    }
}
