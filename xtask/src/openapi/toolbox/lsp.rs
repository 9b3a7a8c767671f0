//! `/lsp`: language servers.

use pitlane_wire::toolbox::{
    CompletionList, LspCompletionParams, LspDocumentRequest, LspServerRequest, LspSymbol,
};

use crate::openapi::operation::{Operation, text, word};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new("POST /lsp/start", "Starts a language server for a project")
            .reads::<LspServerRequest>()
            .succeeds(200, "It runs, maybe since before."),
        Operation::new("POST /lsp/stop", "Ends a language server")
            .reads::<LspServerRequest>()
            .succeeds(200, "It has ended, with everything it started."),
        Operation::new("POST /lsp/did-open", "Tells a language server of a document")
            .reads::<LspDocumentRequest>()
            .succeeds(200, "It knows what the file holds."),
        Operation::new("POST /lsp/did-close", "Tells a language server that a document is closed")
            .reads::<LspDocumentRequest>()
            .succeeds(200, "It is, or was."),
        Operation::new("POST /lsp/completions", "Finds what could be written at a place")
            .reads::<LspCompletionParams>()
            .answers::<CompletionList>(200, "What could be."),
        language(Operation::new("GET /lsp/document-symbols", "Finds the symbols of a document"))
            .needs("uri", word(), "`file://` and the file's path.")
            .answers::<Vec<LspSymbol>>(200, "The symbols, each before those in it."),
        language(Operation::new("GET /lsp/workspacesymbols", "Finds symbols of a project"))
            .needs("query", text(), "A part of their names.")
            .answers::<Vec<LspSymbol>>(200, "The symbols."),
    ]
}

fn language(operation: Operation) -> Operation {
    operation
        .needs("languageId", word(), "`python`, `typescript` or `javascript`.")
        .needs("pathToProject", word(), "The project's folder.")
        .refuses(&[408, 413])
}
