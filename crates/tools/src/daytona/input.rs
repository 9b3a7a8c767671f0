//! What the twelve tools take.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

/// A call of one of Daytona's own twelve tools.
#[derive(Clone, PartialEq)]
pub struct DaytonaCall(pub(crate) Tool);

#[derive(Clone, PartialEq)]
pub(crate) enum Tool {
    /// `create_sandbox`
    CreateSandbox(Box<CreateSandbox>),
    /// `destroy_sandbox`
    DestroySandbox(DestroySandbox),
    /// `execute_command`
    ExecuteCommand(ExecuteCommand),
    /// `upload_file`
    UploadFile(UploadFile),
    /// `download_file`
    DownloadFile(DownloadFile),
    /// `create_folder`
    CreateFolder(CreateFolder),
    /// `get_file_info`
    GetFileInfo(GetFileInfo),
    /// `list_files`
    ListFiles(ListFiles),
    /// `move_file`
    MoveFile(MoveFile),
    /// `delete_file`
    DeleteFile(DeleteFile),
    /// `git_clone`
    GitClone(GitClone),
    /// `preview_link`
    PreviewLink(PreviewLink),
}

impl DaytonaCall {
    /// The name of its operation.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match &self.0 {
            Tool::CreateSandbox(_) => "create_sandbox",
            Tool::DestroySandbox(_) => "destroy_sandbox",
            Tool::ExecuteCommand(_) => "execute_command",
            Tool::UploadFile(_) => "upload_file",
            Tool::DownloadFile(_) => "download_file",
            Tool::CreateFolder(_) => "create_folder",
            Tool::GetFileInfo(_) => "get_file_info",
            Tool::ListFiles(_) => "list_files",
            Tool::MoveFile(_) => "move_file",
            Tool::DeleteFile(_) => "delete_file",
            Tool::GitClone(_) => "git_clone",
            Tool::PreviewLink(_) => "preview_link",
        }
    }
}

impl fmt::Debug for DaytonaCall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Arguments may hold passwords.
        formatter.debug_tuple("DaytonaCall").field(&self.name()).finish()
    }
}

/// `create_sandbox`
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateSandbox {
    /// Sandbox to use again if it exists
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    /// Region
    pub(super) target: Option<String>,
    pub(super) snapshot: Option<String>,
    pub(super) user: Option<String>,
    /// Environment variables
    pub(super) env: Option<BTreeMap<String, String>>,
    pub(super) labels: Option<BTreeMap<String, String>>,
    /// Whether previews are open to anyone
    pub(super) public: Option<bool>,
    /// Cores
    #[schemars(range(max = 4))]
    pub(super) cpu: Option<u32>,
    #[schemars(range(max = 1))]
    pub(super) gpu: Option<u32>,
    /// GiB
    #[schemars(range(max = 8))]
    pub(super) memory: Option<u32>,
    /// GiB
    #[schemars(range(max = 10))]
    pub(super) disk: Option<u32>,
    /// Idle minutes until it stops, 0 for never
    pub(super) auto_stop_interval: Option<i64>,
    /// Minutes from stop to archive
    pub(super) auto_archive_interval: Option<i64>,
    /// Minutes from stop to deletion, negative for never
    pub(super) auto_delete_interval: Option<i64>,
    pub(super) volumes: Option<Vec<Volume>>,
    pub(super) build_info: Option<BuildInfo>,
    pub(super) network_block_all: Option<bool>,
    /// CIDR ranges, comma separated
    pub(super) network_allow_list: Option<String>,
}

#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(super) struct Volume {
    pub(super) volume_id: String,
    pub(super) mount_path: String,
}

#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(super) struct BuildInfo {
    pub(super) dockerfile_content: String,
    pub(super) context_hashes: Option<Vec<String>>,
}

/// `destroy_sandbox`
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
pub(crate) struct DestroySandbox {
    /// Sandbox ID
    pub(super) id: String,
}

/// `execute_command`
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
pub(crate) struct ExecuteCommand {
    /// Sandbox ID
    pub(super) id: String,
    /// Command to execute
    pub(super) command: String,
}

/// `upload_file`
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UploadFile {
    /// Sandbox ID
    pub(super) id: String,
    pub(super) file_path: String,
    pub(super) content: String,
    /// text or base64
    pub(super) encoding: String,
    pub(super) overwrite: bool,
}

/// `download_file`
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DownloadFile {
    /// Sandbox ID
    pub(super) id: String,
    pub(super) file_path: String,
}

/// `create_folder`
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateFolder {
    /// Sandbox ID
    pub(super) id: String,
    pub(super) folder_path: String,
    /// Octal, default 0755
    pub(super) mode: Option<String>,
}

/// `get_file_info`
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GetFileInfo {
    /// Sandbox ID
    pub(super) id: String,
    pub(super) file_path: String,
}

/// `list_files`
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
pub(crate) struct ListFiles {
    /// Sandbox ID
    pub(super) id: String,
    /// Default: the working folder
    pub(super) path: Option<String>,
}

/// `move_file`
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MoveFile {
    /// Sandbox ID
    pub(super) id: String,
    pub(super) source_path: String,
    pub(super) dest_path: String,
}

/// `delete_file`
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeleteFile {
    /// Sandbox ID
    pub(super) id: String,
    pub(super) file_path: String,
}

/// `git_clone`
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GitClone {
    /// Sandbox ID
    pub(super) id: String,
    pub(super) url: String,
    /// Where to clone to
    pub(super) path: Option<String>,
    pub(super) branch: Option<String>,
    pub(super) commit_id: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
}

/// `preview_link`
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PreviewLink {
    /// Sandbox ID
    pub(super) id: String,
    #[schemars(range(min = 1))]
    pub(super) port: u16,
    /// What is served there
    pub(super) description: String,
    /// Whether something must listen there
    pub(super) check_server: bool,
}
