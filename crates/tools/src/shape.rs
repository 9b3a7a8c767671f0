//! What a failed operation answers: the form of a success, with the contract's message.

use serde::Serialize;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::{
    Created, Deleted, Executed, FileDone, GitDone, Info, Listed, Preview, SessionDone,
};
use crate::{Answer, Call};

/// What of a call comes back in its failure.
#[derive(Debug)]
pub(crate) struct Shape {
    tool: &'static str,
    kind: Kind,
    sandbox_id: String,
}

#[derive(Debug)]
enum Kind {
    Create { name: String, language: String },
    Code,
    Shell,
    File { operation: String, file_path: String },
    Git { operation: String },
    List,
    Delete,
    Info,
    Preview { port: u16 },
    Session { session_id: String },
    Text,
}

/// As what an answer travels.
pub(crate) fn value<T: Serialize>(output: &T) -> Value {
    // Only maps whose keys are no texts fail, and there are none.
    serde_json::to_value(output).unwrap_or_default()
}

impl Shape {
    pub(crate) fn of(call: &Call) -> Self {
        let (kind, sandbox_id) = match call {
            Call::CreateSandbox(asked) => {
                let name = asked.name.clone().unwrap_or_default();
                let language = asked.language.clone().unwrap_or_default();
                (Kind::Create { name, language }, "")
            }
            Call::ExecuteCode(asked) => (Kind::Code, asked.sandbox_id.as_str()),
            Call::ExecuteShell(asked) => (Kind::Shell, asked.sandbox_id.as_str()),
            Call::FileOperation(asked) => {
                let operation = asked.operation.to_string();
                let file_path = asked.file_path.clone();
                (Kind::File { operation, file_path }, asked.sandbox_id.as_str())
            }
            Call::GitOperation(asked) => {
                (Kind::Git { operation: asked.operation.to_string() }, asked.sandbox_id.as_str())
            }
            Call::ListSandboxes(_) => (Kind::List, ""),
            Call::DeleteSandbox(asked) => (Kind::Delete, asked.sandbox_id.as_str()),
            Call::GetSandboxInfo(asked) => (Kind::Info, asked.sandbox_id.as_str()),
            Call::GetPreviewUrl(asked) => {
                (Kind::Preview { port: asked.port }, asked.sandbox_id.as_str())
            }
            Call::ExecSession(asked) => {
                let session_id = asked.session_id.clone().unwrap_or_default();
                (Kind::Session { session_id }, asked.sandbox_id.as_str())
            }
            Call::Daytona(_) => (Kind::Text, ""),
        };
        Self { tool: call.name(), kind, sandbox_id: sandbox_id.to_owned() }
    }

    pub(crate) const fn tool(&self) -> &'static str {
        self.tool
    }

    const fn prefix(&self) -> &'static str {
        match &self.kind {
            Kind::Create { .. } => "Error creating sandbox: ",
            Kind::Code => "Error executing code: ",
            Kind::Shell => "Error executing command: ",
            Kind::File { .. } => "Error performing file operation: ",
            Kind::Git { .. } => "Error performing git operation: ",
            Kind::List => "Error listing sandboxes: ",
            Kind::Delete => "Error deleting sandbox: ",
            Kind::Info => "Error getting sandbox info: ",
            Kind::Preview { .. } => "Error getting preview URL: ",
            Kind::Session { .. } => "Error performing session operation: ",
            Kind::Text => "",
        }
    }

    pub(crate) fn failed(self, failure: Failure) -> Answer {
        let prefix = if failure.is_whole { "" } else { self.prefix() };
        let message = format!("{prefix}{}", failure.message);
        let mut text = message.clone();
        if let Some(next) = &failure.next {
            text.push_str(if text.ends_with(['.', '!', '?']) { " " } else { ". " });
            text.push_str(next);
        }
        if let Some(partial) = &failure.partial {
            for (name, said) in [("stdout", &partial.stdout), ("stderr", &partial.stderr)] {
                if !said.is_empty() {
                    text.push_str(&format!("\n{name} until then:\n{said}"));
                }
            }
        }
        let structured = self.structured(&failure, message);
        Answer { failed: true, missing: failure.missing, ..Answer::new(structured, text) }
    }

    fn structured(self, failure: &Failure, message: String) -> Value {
        let sandbox_id = self.sandbox_id;
        let error = || String::from("error");
        match self.kind {
            Kind::Create { name, language } => value(&Created {
                sandbox_id,
                name,
                language,
                status: error(),
                preview_url: None,
                message,
            }),
            Kind::Code | Kind::Shell => {
                let cause = &failure.message;
                value(&match &failure.partial {
                    None => Executed {
                        sandbox_id,
                        exit_code: 1,
                        stdout: String::new(),
                        stderr: cause.clone(),
                        execution_time: 0.0,
                        message,
                    },
                    Some(partial) => Executed {
                        sandbox_id,
                        exit_code: partial.exit_code,
                        stdout: partial.stdout.clone(),
                        stderr: partial.stderr.clone(),
                        execution_time: partial.seconds,
                        message,
                    },
                })
            }
            Kind::File { operation, file_path } => value(&FileDone {
                sandbox_id,
                operation,
                file_path,
                success: false,
                content: None,
                files: None,
                next_offset: None,
                message,
            }),
            Kind::Git { operation } => value(&GitDone {
                sandbox_id,
                operation,
                success: false,
                output: failure.message.clone(),
                message,
            }),
            Kind::List => value(&Listed { sandboxes: Vec::new(), count: 0, message }),
            Kind::Delete => value(&Deleted { sandbox_id, success: false, message }),
            Kind::Info => value(&Info {
                sandbox_id,
                name: String::new(),
                language: String::new(),
                status: error(),
                created_at: String::new(),
                last_accessed: String::new(),
                preview_url: None,
                git_repo: None,
                environment_vars: std::collections::BTreeMap::new(),
                message,
            }),
            Kind::Preview { port } => {
                value(&Preview { sandbox_id, port, url: None, success: false, message })
            }
            Kind::Session { session_id } => value(&SessionDone {
                sandbox_id,
                session_id,
                running: false,
                exit_code: None,
                output: String::new(),
                next_offset: 0,
                success: false,
                message,
            }),
            Kind::Text => json!(message),
        }
    }
}
