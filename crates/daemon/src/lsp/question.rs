//! What a server can be asked, and what comes of it.

use std::path::PathBuf;

use http::StatusCode;
use pitlane_wire::toolbox::{CompletionContext, LspPosition};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::language::Language;
use crate::files::{Document, DocumentError};
use crate::http::Refusal;

/// Something for the task that owns a server.
#[derive(Debug)]
pub(super) enum Command {
    /// The first of these paths that is a file is a document now.
    Open { paths: Vec<PathBuf>, reply: oneshot::Sender<Result<(), Refusal>> },
    /// None of these is a document any more.
    Close { paths: Vec<PathBuf>, reply: oneshot::Sender<Result<(), Refusal>> },
    /// A question for the server.
    Ask(Box<Question>),
}

/// A question.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) method: &'static str,
    pub(super) subject: Subject,
    pub(super) reply: oneshot::Sender<Result<Reply, Refusal>>,
    /// Cancelled when nobody waits for the answer any more.
    pub(super) gone: CancellationToken,
}

/// What a question is about.
#[derive(Debug)]
pub(super) enum Subject {
    /// The first of these paths that is a file, which the server is told of.
    File { paths: Vec<PathBuf>, cursor: Option<Cursor> },
    /// A file that was read already, which the server reads itself unless it was told of it.
    Text(Document),
    /// Everything in the project with a name like this. A server that knows a project only by its documents is told of
    /// the `example` when it knows none.
    Project { query: String, example: Option<Document> },
}

/// A place in a document where somebody writes.
#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) position: LspPosition,
    pub(super) context: Option<CompletionContext>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    /// JSON, as the server sent it.
    pub(super) result: String,
    /// The document that was asked about, as the server had it then.
    pub(super) document: Option<Document>,
}

/// Why a document cannot be asked about.
pub(super) fn unreadable(error: &DocumentError) -> Refusal {
    match error {
        DocumentError::Unreadable { path, errno } => Refusal::of_file(path, *errno),
        DocumentError::Large { .. } => {
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "BAD_REQUEST", error.to_string())
        }
        DocumentError::Threads(error) => Refusal::internal(error.to_string()),
    }
}

/// There is no server, or none any more.
pub(super) fn not_running(language: Language, reason: &str) -> Refusal {
    let message = format!(
        "the {} language server of this project is not running: {reason}: start it first",
        language.name()
    );
    Refusal::new(StatusCode::BAD_REQUEST, "LSP_SERVER_NOT_INITIALIZED", message)
}
