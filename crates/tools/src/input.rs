//! What the operations take. The comments are what a model reads, so they are short.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `create_sandbox`
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreateSandbox {
    /// python, javascript or typescript
    pub language: Option<String>,
    /// Image or snapshot; default image if absent
    pub image: Option<String>,
    /// Name to find it by
    pub name: Option<String>,
    /// Repository to clone into it
    pub git_repo: Option<String>,
    /// Branch to clone
    pub git_branch: Option<String>,
    /// Environment of every command
    pub environment_vars: Option<BTreeMap<String, String>>,
    /// Keep it when it stops
    pub persistent: Option<bool>,
}

/// `execute_code`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExecuteCode {
    /// Id or name
    pub sandbox_id: String,
    /// Source, any quotes, any length
    pub code: String,
    /// python (default), javascript or typescript
    pub language: Option<String>,
    /// Folder to run in
    pub working_directory: Option<String>,
    /// Seconds
    pub timeout: Option<u32>,
}

/// `execute_shell`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExecuteShell {
    /// Id or name
    pub sandbox_id: String,
    /// Shell command line
    pub command: String,
    /// Folder to run in
    pub working_directory: Option<String>,
    /// Seconds
    pub timeout: Option<u32>,
}

/// `file_operation`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileOperation {
    /// Id or name
    pub sandbox_id: String,
    /// What to do
    pub operation: FileAction,
    /// Path in the sandbox
    pub file_path: String,
    /// Text for write or create, kept byte for byte
    pub content: Option<String>,
    /// File of an allowed local folder, for upload and download
    pub local_path: Option<String>,
    /// First byte to read
    pub offset: Option<u64>,
}

/// `git_operation`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GitOperation {
    /// Id or name
    pub sandbox_id: String,
    /// What to do
    pub operation: GitAction,
    /// For clone
    pub repository_url: Option<String>,
    /// For clone or checkout
    pub branch: Option<String>,
    /// For commit, which takes all changes
    pub commit_message: Option<String>,
    /// The repository; for clone, where to put it
    pub working_directory: Option<String>,
}

/// `list_sandboxes`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListSandboxes {}

/// `delete_sandbox`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeleteSandbox {
    /// Id or name
    pub sandbox_id: String,
}

/// `get_sandbox_info`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetSandboxInfo {
    /// Id or name
    pub sandbox_id: String,
}

/// `get_preview_url`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetPreviewUrl {
    /// Id or name
    pub sandbox_id: String,
    /// Port of the web server
    #[schemars(range(min = 1))]
    pub port: u16,
    /// Default 3600
    pub expires_in_seconds: Option<u32>,
}

/// `exec_session`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExecSession {
    /// Id or name
    pub sandbox_id: String,
    /// What to do
    pub action: SessionAction,
    /// What start gave
    pub session_id: Option<String>,
    /// For start
    pub command: Option<String>,
    /// For start
    pub working_directory: Option<String>,
    /// Line for stdin
    pub input: Option<String>,
    /// For poll: next_offset of the last one
    pub offset: Option<u64>,
}

/// Makes an enum of words, with room for words that are none of them: the contract answers those itself.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
        #[serde(from = "String")]
        pub enum $name {
            $($(#[$doc])* $variant,)*
            /// A word that is none of them.
            Other(String),
        }

        impl $name {
            /// The words that mean something.
            pub const WORDS: &[&str] = &[$($word),*];

            /// Its word.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::Other(word) => word,
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                match word.as_str() {
                    $($word => Self::$variant,)*
                    _ => Self::Other(word),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": Self::WORDS })
            }
        }
    };
}

words! {
    /// What to do with a file.
    FileAction {
        /// From an allowed folder of this machine.
        Upload = "upload",
        /// To an allowed folder of this machine.
        Download = "download",
        /// What is in a folder.
        List = "list",
        /// A new file, or a folder if the path ends with a slash.
        Create = "create",
        /// A file, or a folder with all in it.
        Delete = "delete",
        /// Its text.
        Read = "read",
        /// Other text for it.
        Write = "write",
    }
}

words! {
    /// What to do with a repository.
    GitAction {
        /// Get one.
        Clone = "clone",
        /// Get what is new.
        Pull = "pull",
        /// Give what is new.
        Push = "push",
        /// What is changed.
        Status = "status",
        /// All changes become a commit.
        Commit = "commit",
        /// Another branch or commit.
        Checkout = "checkout",
    }
}

words! {
    /// What to do with a session.
    SessionAction {
        /// Run a command without waiting for it.
        Start = "start",
        /// Read what it said since.
        Poll = "poll",
        /// Give it a line.
        Stdin = "stdin",
        /// End it.
        Kill = "kill",
    }
}

impl fmt::Debug for CreateSandbox {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values of variables may be secret, and so may be what is in a repository's address.
        formatter
            .debug_struct("CreateSandbox")
            .field("language", &self.language)
            .field("image", &self.image)
            .field("name", &self.name)
            .field("git_branch", &self.git_branch)
            .field("persistent", &self.persistent)
            .finish_non_exhaustive()
    }
}
