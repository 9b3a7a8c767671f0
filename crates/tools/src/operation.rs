//! The operations by their names, as a model sees them.

use std::sync::LazyLock;

use serde_json::Value;

use crate::{Permission, input, output, schema};

/// One operation, described.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The name by which it is called.
    pub name: &'static str,
    /// A name for people.
    pub title: &'static str,
    /// What it does and when to use it, for a model.
    pub description: &'static str,
    /// What it takes.
    pub input_schema: Value,
    /// What it answers with; absent where the answer is a text.
    pub output_schema: Option<Value>,
    /// What it may change.
    pub annotations: Annotations,
    /// Who may use it. Single actions of it may need more.
    pub permission: Permission,
}

/// What an operation may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Annotations {
    /// Nothing.
    pub read_only: bool,
    /// What is there may be lost.
    pub destructive: bool,
    /// Doing it twice changes no more than doing it once.
    pub idempotent: bool,
    /// It may reach other places than the sandbox.
    pub open_world: bool,
}

/// Which operations there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Toolset {
    /// LangSwarm's eight, and two more.
    #[default]
    Default,
    /// The twelve names of Daytona's own MCP server.
    Daytona,
    /// What an agent needs that writes and runs code: five of the default ones.
    Minimal,
}

impl std::str::FromStr for Toolset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "default" => Ok(Self::Default),
            "daytona" => Ok(Self::Daytona),
            "minimal" => Ok(Self::Minimal),
            other => Err(format!("'{other}' is not one of default, daytona and minimal")),
        }
    }
}

/// The operations of the default set.
#[must_use]
pub fn operations() -> &'static [Operation] {
    Toolset::Default.operations()
}

impl Toolset {
    /// The operations, always in the same order.
    #[must_use]
    pub fn operations(self) -> &'static [Operation] {
        static DEFAULT: LazyLock<Vec<Operation>> = LazyLock::new(default_operations);
        static DAYTONA: LazyLock<Vec<Operation>> = LazyLock::new(crate::daytona::operations);
        static MINIMAL: LazyLock<Vec<Operation>> = LazyLock::new(|| {
            let wanted = [
                "create_sandbox",
                "execute_code",
                "execute_shell",
                "file_operation",
                "delete_sandbox",
            ];
            DEFAULT.iter().filter(|one| wanted.contains(&one.name)).cloned().collect()
        });
        match self {
            Self::Default => &DEFAULT,
            Self::Daytona => &DAYTONA,
            Self::Minimal => &MINIMAL,
        }
    }
}

pub(crate) const READS: Annotations =
    Annotations { read_only: true, destructive: false, idempotent: true, open_world: false };
pub(crate) const RUNS: Annotations =
    Annotations { read_only: false, destructive: true, idempotent: false, open_world: true };

fn default_operations() -> Vec<Operation> {
    [working_operations(), sandbox_operations()].concat()
}

/// What is done with and in sandboxes.
fn working_operations() -> Vec<Operation> {
    vec![
        Operation {
            name: "create_sandbox",
            title: "Create sandbox",
            description: "Create an isolated Linux sandbox to run code in. It stops when idle, usually after 15 minutes, and is \
                          then deleted unless persistent.",
            input_schema: schema::input::<input::CreateSandbox>(),
            output_schema: Some(schema::output::<output::Created>()),
            annotations: Annotations { destructive: false, ..RUNS },
            permission: Permission::Authenticated,
        },
        Operation {
            name: "execute_code",
            title: "Run code",
            description: "Run a program in a fresh interpreter. A non-zero exit_code is a result.",
            input_schema: schema::input::<input::ExecuteCode>(),
            output_schema: Some(schema::output::<output::Executed>()),
            annotations: RUNS,
            permission: Permission::Authenticated,
        },
        Operation {
            name: "execute_shell",
            title: "Run shell command",
            description: "Run a shell command and wait for it. For servers and long work use exec_session.",
            input_schema: schema::input::<input::ExecuteShell>(),
            output_schema: Some(schema::output::<output::Executed>()),
            annotations: RUNS,
            permission: Permission::Authenticated,
        },
        Operation {
            name: "file_operation",
            title: "Work with files",
            description: "Read, write, list, create or delete files of a sandbox, or copy them from or to this machine.",
            input_schema: schema::input::<input::FileOperation>(),
            output_schema: Some(schema::output::<output::FileDone>()),
            annotations: Annotations { open_world: false, ..RUNS },
            permission: Permission::Anonymous,
        },
        Operation {
            name: "git_operation",
            title: "Use git",
            description: "Clone, pull, push, status, commit (all changes) or checkout in a sandbox.",
            input_schema: schema::input::<input::GitOperation>(),
            output_schema: Some(schema::output::<output::GitDone>()),
            annotations: RUNS,
            permission: Permission::Anonymous,
        },
    ]
}

/// Sandboxes themselves, and what outlasts a call.
fn sandbox_operations() -> Vec<Operation> {
    vec![
        Operation {
            name: "list_sandboxes",
            title: "List sandboxes",
            description: "List your sandboxes.",
            input_schema: schema::input::<input::ListSandboxes>(),
            output_schema: Some(schema::output::<output::Listed>()),
            annotations: READS,
            permission: Permission::Anonymous,
        },
        Operation {
            name: "delete_sandbox",
            title: "Delete sandbox",
            description: "Delete a sandbox with all its files.",
            input_schema: schema::input::<input::DeleteSandbox>(),
            output_schema: Some(schema::output::<output::Deleted>()),
            annotations: Annotations { idempotent: true, open_world: false, ..RUNS },
            permission: Permission::Authenticated,
        },
        Operation {
            name: "get_sandbox_info",
            title: "Sandbox details",
            description: "State and settings of a sandbox.",
            input_schema: schema::input::<input::GetSandboxInfo>(),
            output_schema: Some(schema::output::<output::Info>()),
            annotations: READS,
            permission: Permission::Anonymous,
        },
        Operation {
            name: "get_preview_url",
            title: "Preview address",
            description: "Web address of a port of a sandbox, open to whoever has it until it expires.",
            input_schema: schema::input::<input::GetPreviewUrl>(),
            output_schema: Some(schema::output::<output::Preview>()),
            annotations: Annotations { idempotent: false, ..READS },
            permission: Permission::Authenticated,
        },
        Operation {
            name: "exec_session",
            title: "Background command",
            description: "Start a command without waiting, then poll its output, send stdin lines or kill it.",
            input_schema: schema::input::<input::ExecSession>(),
            output_schema: Some(schema::output::<output::SessionDone>()),
            annotations: RUNS,
            permission: Permission::Authenticated,
        },
    ]
}
