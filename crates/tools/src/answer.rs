//! What a call comes to.

use serde_json::Value;

/// What a call came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The operation's output model, as its output schema says. A failure has the same form.
    pub structured: Value,
    /// The same for a model to read: short, and it says how to get what was left out.
    pub text: String,
    /// Whether the operation failed. A program's exit code other than 0 is no failure.
    pub failed: bool,
    /// What must be known before it can be done; asking for it and calling again is the way on.
    pub missing: Vec<Missing>,
    /// Where more can be read.
    pub links: Vec<ResourceLink>,
}

/// An argument that is needed and was not given.
#[derive(Debug, Clone, PartialEq)]
pub struct Missing {
    /// Its name.
    pub parameter: &'static str,
    /// What it is, as a question or a phrase for people.
    pub description: String,
    /// The JSON schema of its value: a flat one, as forms need it.
    pub schema: Value,
}

/// Something that [`crate::Tools::read`] reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceLink {
    /// `sandbox://ID/logs/EXECUTION` or `sandbox://ID/files/PATH`.
    pub uri: String,
    /// A short name.
    pub name: String,
    /// What is there.
    pub description: String,
    /// Its media type, if known.
    pub media_type: Option<&'static str>,
}

impl Answer {
    /// An answer without links.
    pub(crate) fn new(structured: Value, text: impl Into<String>) -> Self {
        Self {
            structured,
            text: text.into(),
            failed: false,
            missing: Vec::new(),
            links: Vec::new(),
        }
    }
}
