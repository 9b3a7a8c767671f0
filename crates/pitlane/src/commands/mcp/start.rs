//! `pitlane mcp start`: tools for the MCP client that started this process.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use pitlane_mcp::{Access, Server};
use pitlane_tools::{Permission, Tools, Toolset};
use tokio_util::sync::CancellationToken;

use super::configuration::{self, ConfigurationArguments, Keys};
use crate::commands::wait;
use crate::failure::Failure;
use crate::serve::{VERSION, logging, watch_signals};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The client's messages are read from standard input and answered on standard output; the log goes to standard error."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    tools: ToolArguments,
    /// Add what the official conformance suite asks for
    #[arg(long, hide = true)]
    conformance: bool,
}

/// How long what calls left is tidied at the end.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// What both ways to serve tools have.
#[derive(Debug, clap::Args)]
pub(super) struct ToolArguments {
    /// Which tools there are: default, daytona (the names of Daytona's own MCP server) or minimal
    #[arg(long, default_value = "default", env = "PITLANE_MCP_TOOLSET", hide_env_values = true)]
    pub(super) toolset: Toolset,
    /// What the tools may do: anonymous (look), authenticated (make and use sandboxes), developer (push, and copy from
    /// and to this machine, too) or admin (all)
    #[arg(
        long,
        default_value = "admin",
        env = "PITLANE_MCP_PERMISSION",
        hide_env_values = true,
        value_name = "PERMISSION"
    )]
    pub(super) permission: Permission,
    /// What is logged: a level (error, warn, info, debug, trace), or levels by module
    #[arg(long, env = "PITLANE_LOG", hide_env_values = true, value_name = "FILTER")]
    pub(super) log: Option<String>,
    /// A folder of this machine whose files may be copied to sandboxes, and into which may be copied; can be repeated
    #[arg(long = "folder", value_name = "DIR")]
    pub(super) folders: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) configuration: ConfigurationArguments,
}

impl ToolArguments {
    /// How the tools behave.
    pub(super) fn settings(&self) -> pitlane_tools::Settings {
        pitlane_tools::Settings {
            permission: self.permission,
            folders: self.folders.clone(),
            ..pitlane_tools::Settings::default()
        }
    }
}

/// Serves the client until it closes standard input.
pub(super) fn start(api_url: Option<&str>, arguments: &Arguments) -> Result<ExitCode, Failure> {
    logging::start_plainly(arguments.tools.log.as_deref())?;
    let tool = arguments.tools.configuration.tool()?;
    let settings = pitlane_mcp::Settings {
        toolset: arguments.tools.toolset,
        methods: tool.as_ref().map(|tool| tool.methods.clone()).unwrap_or_default(),
        version: VERSION.to_owned(),
        conformance: arguments.conformance,
        ..pitlane_mcp::Settings::default()
    };
    let behaviour = configuration::settings(arguments.tools.settings(), tool.as_ref());
    let tools = match configuration::remote(tool.as_ref(), &behaviour) {
        Some(tools) => tools,
        None => Tools::new(configuration::client(api_url, tool.as_ref(), Keys::Own)?, behaviour),
    };
    let server = Server::new(settings, Some(Access::new("own", tools.clone())))?;
    wait(async move {
        let stop = CancellationToken::new();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(watch_signals(stop.clone())?);
        tasks.spawn(server.clone().run_until(stop));
        let served = pitlane_mcp::serve_stdio(server).await;
        // Of a call that was dropped something may have to be ended.
        tools.finish(PATIENCE).await;
        served?;
        Ok(ExitCode::SUCCESS)
    })
}
