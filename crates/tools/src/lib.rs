//! What an AI agent can ask for: one typed dispatcher over sandboxes, with capped output.
//!
//! A rim (MCP, JSON-RPC, REST, a command line) makes a [`Call`] of what it was sent, gives it to [`Tools::call`] and
//! translates the [`Answer`]. What fails is an answer too, with the message of the contract; a program's exit code other
//! than 0 is no failure. Dropping the future of a call kills the command that it runs.
//!
//! A Pitlane server, another one and Daytona's cloud differ by address and key only: where Pitlane offers more than
//! the Daytona API, there is another way without it.
#![forbid(unsafe_code)]

mod answer;
mod bounds;
mod call;
mod capture;
mod daytona;
mod execution;
mod failure;
mod figures;
mod file;
mod folders;
mod input;
mod logs;
mod operation;
mod output;
mod progress;
mod redact;
mod remote;
mod repository;
mod resource;
mod sandbox;
mod schema;
mod session;
mod settings;
mod shape;
mod tools;
mod visible;

pub use answer::{Answer, Missing, ResourceLink};
pub use call::{Call, CallError, InvalidParameter};
pub use daytona::DaytonaCall;
pub use failure::NO_KEY;
pub use figures::{
    METRICS, Metric, MetricKind, Unmade, count_backend_failure, count_unmade, describe_metrics,
};
pub use input::{
    CreateSandbox, DeleteSandbox, ExecSession, ExecuteCode, ExecuteShell, FileAction,
    FileOperation, GetPreviewUrl, GetSandboxInfo, GitAction, GitOperation, ListSandboxes,
    SessionAction,
};
pub use operation::{Annotations, Operation, Toolset, operations};
pub use pitlane_client::{Client, Endpoint, EndpointError, Key};
pub use progress::Progress;
pub use resource::{ReadError, Resource};
pub use settings::{OutputLimits, Permission, Settings};
pub use tools::Tools;

/// A name that nobody can guess.
fn random_name() -> String {
    let mut bytes = [0; 8];
    // Without random numbers there is no name; one that is taken is refused where it is used.
    if getrandom::fill(&mut bytes).is_err() {
        tracing::error!("the kernel gives no random numbers");
    }
    format!("{:016x}", u64::from_ne_bytes(bytes))
}
