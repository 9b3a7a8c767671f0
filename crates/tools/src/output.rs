//! What the operations answer with: the contract's models, and a few fields more.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Created {
    pub(crate) sandbox_id: String,
    pub(crate) name: String,
    pub(crate) language: String,
    pub(crate) status: String,
    pub(crate) preview_url: Option<String>,
    pub(crate) message: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Executed {
    pub(crate) sandbox_id: String,
    pub(crate) exit_code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) execution_time: f64,
    pub(crate) message: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FileDone {
    pub(crate) sandbox_id: String,
    pub(crate) operation: String,
    pub(crate) file_path: String,
    pub(crate) success: bool,
    pub(crate) content: Option<String>,
    pub(crate) files: Option<Vec<String>>,
    /// Where to read on
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_offset: Option<u64>,
    pub(crate) message: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GitDone {
    pub(crate) sandbox_id: String,
    pub(crate) operation: String,
    pub(crate) success: bool,
    pub(crate) output: String,
    pub(crate) message: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Listed {
    pub(crate) sandboxes: Vec<ListedSandbox>,
    pub(crate) count: usize,
    pub(crate) message: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct ListedSandbox {
    pub(crate) sandbox_id: String,
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) language: String,
    pub(crate) created_at: String,
    pub(crate) preview_url: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Deleted {
    pub(crate) sandbox_id: String,
    pub(crate) success: bool,
    pub(crate) message: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Info {
    pub(crate) sandbox_id: String,
    pub(crate) name: String,
    pub(crate) language: String,
    pub(crate) status: String,
    pub(crate) created_at: String,
    pub(crate) last_accessed: String,
    pub(crate) preview_url: Option<String>,
    pub(crate) git_repo: Option<String>,
    pub(crate) environment_vars: BTreeMap<String, String>,
    pub(crate) message: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Preview {
    pub(crate) sandbox_id: String,
    pub(crate) port: u16,
    pub(crate) url: Option<String>,
    pub(crate) success: bool,
    pub(crate) message: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SessionDone {
    pub(crate) sandbox_id: String,
    pub(crate) session_id: String,
    pub(crate) running: bool,
    pub(crate) exit_code: Option<i32>,
    pub(crate) output: String,
    pub(crate) next_offset: u64,
    pub(crate) success: bool,
    pub(crate) message: String,
}
