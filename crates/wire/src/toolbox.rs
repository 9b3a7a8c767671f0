//! The toolbox: what travels between a client and the daemon inside a sandbox.
//!
//! Field names, required fields and number types are the Daytona toolbox API's; unknown fields are ignored when read.
//! [`frames`] is Pitlane's own: a command's output as it happens, byte for byte.

mod files;
pub mod frames;
mod lsp;
mod process;
mod pty;
mod session;
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
pub use pty::{
    MAX_PTY_SIDE, PTY_ENVIRONMENT_PREFIX, PTY_EXIT_CONTROL, PTY_PATIENCE, PtyControl,
    PtyCreateRequest, PtyCreateResponse, PtyExit, PtyKilled, PtyListResponse, PtyResizeRequest,
    PtySessionInfo, PtyStatus,
};
pub use session::{
    CreateSessionRequest, Session, SessionCommand, SessionCommandLogsResponse, SessionExecuteRequest,
    SessionExecuteResponse, SessionSendInputRequest,
};
pub use system::{InitializeRequest, PortInUse, PortList, SystemMetrics};
