//! The twelve tools as a model sees them.

use schemars::JsonSchema;

use super::input;
use crate::operation::{READS, RUNS};
use crate::{Annotations, Operation, Permission, schema};

pub(crate) fn operations() -> Vec<Operation> {
    let writes = Annotations { open_world: false, ..RUNS };
    let adds = Annotations { destructive: false, ..writes };
    vec![
        tool::<input::CreateSandbox>(
            [
                "create_sandbox",
                "Create sandbox",
                "Create a new sandbox, or use the one with this id again.",
            ],
            Annotations { destructive: false, ..RUNS },
        ),
        tool::<input::DestroySandbox>(
            ["destroy_sandbox", "Destroy sandbox", "Destroy a sandbox with everything in it."],
            writes,
        ),
        tool::<input::ExecuteCommand>(
            ["execute_command", "Execute command", "Execute a shell command in a sandbox."],
            RUNS,
        ),
        tool::<input::UploadFile>(
            ["upload_file", "Upload file", "Write a file of a sandbox from text or base64."],
            writes,
        ),
        tool::<input::DownloadFile>(
            ["download_file", "Download file", "Read a file of a sandbox."],
            READS,
        ),
        tool::<input::CreateFolder>(
            ["create_folder", "Create folder", "Create a folder in a sandbox."],
            adds,
        ),
        tool::<input::GetFileInfo>(
            ["get_file_info", "File information", "Get information about a file in a sandbox."],
            READS,
        ),
        tool::<input::ListFiles>(
            ["list_files", "List files", "List the files of a folder in a sandbox."],
            READS,
        ),
        tool::<input::MoveFile>(
            ["move_file", "Move file", "Move or rename a file in a sandbox."],
            writes,
        ),
        tool::<input::DeleteFile>(
            ["delete_file", "Delete file", "Delete a file or folder in a sandbox."],
            writes,
        ),
        tool::<input::GitClone>(
            ["git_clone", "Clone repository", "Clone a Git repository into a sandbox."],
            Annotations { destructive: false, ..RUNS },
        ),
        tool::<input::PreviewLink>(
            [
                "preview_link",
                "Preview link",
                "Get a web address of a port of a sandbox, good for a day.",
            ],
            Annotations { idempotent: false, ..READS },
        ),
    ]
}

fn tool<T: JsonSchema>(texts: [&'static str; 3], annotations: Annotations) -> Operation {
    let [name, title, description] = texts;
    let permission =
        if annotations.read_only { Permission::Anonymous } else { Permission::Authenticated };
    Operation {
        name,
        title,
        description,
        input_schema: schema::input::<T>(),
        output_schema: None,
        annotations,
        permission,
    }
}
