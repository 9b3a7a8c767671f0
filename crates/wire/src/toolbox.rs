//! The toolbox: what travels between a client and the daemon inside a sandbox.
//!
//! Field names, required fields and number types are the Daytona toolbox API's; unknown fields are ignored when read.
//! [`frames`] is Pitlane's own: a command's output as it happens, byte for byte.

mod files;
pub mod frames;
mod lsp;
mod process;
mod system;

pub use files::{
    DownloadFiles, FileInfo, FileMatch, FoundFiles, ReplaceInFiles, Replaced, UploadedFile,
    UploadedFiles, UploadedResource,
};
pub use lsp::{
    CompletionContext, CompletionItem, CompletionList, LspCompletionParams, LspDocumentRequest,
    LspDocumentation, LspLocation, LspPosition, LspRange, LspServerRequest, LspSymbol,
};
pub use process::{
    CodeRunRequest, Directory, ExecuteRequest, ExecuteResponse, StreamRequest, UpdateEnvironment,
    Version,
};
pub use system::{InitializeRequest, PortInUse, PortList, SystemMetrics};
