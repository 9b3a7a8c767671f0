//! The toolbox: what travels between a client and the daemon inside a sandbox.
//!
//! Field names, required fields and number types are the Daytona toolbox API's; unknown fields are ignored when read.
//! [`frames`] is Pitlane's own: a command's output as it happens, byte for byte.

mod charts;
mod files;
pub mod frames;
mod git;
mod interpreter;
mod lsp;
mod process;
mod pty;
mod session;
mod system;

pub use charts::{Axes, Chart, ChartElement, CodeRunArtifacts, CodeRunResponse};
pub use files::{
    DownloadFiles, FileInfo, FileMatch, FoundFiles, ReplaceInFiles, Replaced, UploadedFile,
    UploadedFiles, UploadedResource,
};
pub use git::{
    GitAddRemoteRequest, GitAddRequest, GitAuthenticateRequest, GitBranchRequest,
    GitCheckoutRequest, GitCloneRequest, GitCommitInfo, GitCommitRequest, GitCommitResponse,
    GitConfigResponse, GitConfigureUserRequest, GitDeleteBranchRequest, GitFileState,
    GitFileStatus, GitInitRequest, GitPullRequest, GitPushRequest, GitRemote, GitResetRequest,
    GitRestoreRequest, GitSetConfigRequest, GitStatus, ListBranchResponse, ListRemotesResponse,
};
pub use interpreter::{
    ContextDeleted, CreateContextRequest, InterpreterContext, InterpreterMessage,
    InterpreterRequest, ListContextsResponse,
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
    CreateSessionRequest, Session, SessionCommand, SessionCommandLogsResponse,
    SessionExecuteRequest, SessionExecuteResponse, SessionLogPiece, SessionSendInputRequest,
};
pub use system::{InitializeRequest, PortInUse, PortList, SystemMetrics};
