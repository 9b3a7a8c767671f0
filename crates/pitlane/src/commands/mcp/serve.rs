//! `pitlane mcp serve`: tools for MCP clients over HTTP, in a process that needs no privilege.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use pitlane_api::{Door, Metrics};
use pitlane_mcp::langswarm::configuration::{Backend, Sandboxes, Tool};
use pitlane_mcp::{Access, Server};
use pitlane_tools::Tools;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::configuration::{self, Keys};
use super::start::{PATIENCE, ToolArguments};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Format;
use crate::serve::{VERSION, listen, logging, watch_signals};
use crate::tool_server;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Callers bring their own API keys, as X-API-Key or Authorization: Bearer. The server with the sandboxes is the one that the other commands talk to."
)]
pub(crate) struct Arguments {
    /// Address and port; port 0 takes a free one
    #[arg(
        long,
        default_value = "127.0.0.1:8001",
        env = "PITLANE_MCP_LISTEN",
        hide_env_values = true,
        value_name = "ADDRESS"
    )]
    listen: SocketAddr,
    #[command(flatten)]
    tools: ToolArguments,
    /// Address and port of GET /metrics, which needs no key
    #[arg(long, env = "PITLANE_MCP_METRICS", hide_env_values = true, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    /// Let callers without a key use this process' own; for machines where everybody may
    #[arg(long, env = "PITLANE_MCP_SHARE_KEY", hide_env_values = true)]
    share_key: bool,
    /// Address under which clients reach this process, if a proxy stands before it
    #[arg(long, env = "PITLANE_MCP_PUBLIC_URL", hide_env_values = true, value_name = "URL")]
    public_url: Option<String>,
    /// OAuth issuer that clients are sent to for tokens; the API decides which tokens it takes
    #[arg(long, env = "PITLANE_MCP_ISSUER", hide_env_values = true, value_name = "URL")]
    issuer: Option<String>,
    /// Names under which this may be reached beside localhost and IP addresses
    #[arg(
        long,
        env = "PITLANE_MCP_HOSTS",
        hide_env_values = true,
        value_name = "NAMES",
        value_delimiter = ','
    )]
    hosts: Vec<String>,
    /// Web origins whose pages may call, beside those on this machine
    #[arg(
        long,
        env = "PITLANE_MCP_ORIGINS",
        hide_env_values = true,
        value_name = "ORIGINS",
        value_delimiter = ','
    )]
    origins: Vec<String>,
    /// Connections served at the same time; more wait
    #[arg(
        long,
        default_value_t = 1000,
        env = "PITLANE_MCP_MAX_CONNECTIONS",
        hide_env_values = true,
        value_name = "NUMBER"
    )]
    max_connections: usize,
    /// Add what the official conformance suite asks for, and let everybody call it
    #[arg(long, hide = true)]
    conformance: bool,
}

/// The line that a program reads.
#[derive(Debug, Serialize)]
struct Ready {
    url: String,
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<String>,
}

/// Serves until told to stop.
pub(super) fn serve(
    api_url: Option<&str>,
    arguments: &Arguments,
    format: Format,
) -> Result<ExitCode, Failure> {
    logging::start_plainly(arguments.tools.log.as_deref().or(Some("info")))?;
    // The suite's tools ask no server, so none has to be there.
    let keys = if arguments.share_key { Keys::Own } else { Keys::Callers };
    let tool = arguments.tools.configuration.tool()?;
    let behaviour = configuration::settings(arguments.tools.settings(), tool.as_ref());
    let (keys_of_callers, tools) =
        if let Some(tools) = configuration::remote(tool.as_ref(), &behaviour) {
            if keys == Keys::Callers {
                return Err(Failure::new(
                    "the file names another server, which callers' keys are not for",
                )
                .hint("--share-key lets callers without a key use what the file says")
                .exit(Exit::Usage));
            }
            (configuration::for_all(tools.clone()), tools)
        } else {
            let client = configuration::client(api_url, tool.as_ref(), keys)?;
            let tools = Tools::new(client.clone(), behaviour);
            let shared = (arguments.share_key || arguments.conformance)
                .then(|| Access::new("own", tools.clone()));
            (tool_server::keys(&client, &tools, shared), tools)
        };
    if let Some(Backend::Sandboxes(Sandboxes { api_key: Some(_), .. })) =
        tool.as_ref().map(|tool| &tool.backend)
        && keys == Keys::Callers
    {
        tracing::warn!(
            "the file's key is not used: callers bring their own unless --share-key says otherwise"
        );
    }
    if arguments.share_key && !arguments.listen.ip().is_loopback() {
        tracing::warn!(
            address = %arguments.listen,
            "--share-key: everybody who reaches this address may use this process' key"
        );
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(Box::pin(run(keys_of_callers, arguments, tool, format)));
    // Of calls that were dropped something may have to be ended.
    runtime.block_on(tools.finish(PATIENCE));
    served?;
    Ok(ExitCode::SUCCESS)
}

async fn run(
    keys: Arc<pitlane_mcp::Keys>,
    arguments: &Arguments,
    tool: Option<Tool>,
    format: Format,
) -> Result<(), Failure> {
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(watch_signals(stop.clone())?);
    let metrics = match arguments.metrics {
        Some(address) => {
            let metrics = Metrics::install(VERSION)?;
            pitlane_mcp::describe_metrics();
            let listener = listen(address, "--metrics").await?;
            let address = listener.local_addr()?;
            tasks.spawn(metrics.serve_process(listener, stop.clone()));
            Some(address)
        }
        None => None,
    };
    let listener = listen(arguments.listen, "--listen").await?;
    let address = listener.local_addr()?;
    let door = Door::open(listener, "mcp", arguments.max_connections, stop.clone());
    let server = Server::new(settings(arguments, tool.as_ref()), None)?;
    let langswarm = pitlane_mcp::langswarm::router(&server, Arc::clone(&keys));
    door.admit_to(pitlane_mcp::router(&server, keys).merge(langswarm));
    tasks.spawn(server.run_until(stop));
    tracing::info!(%address, "ready");
    let ready = Ready {
        url: format!("http://{address}/mcp"),
        version: VERSION,
        metrics: metrics.map(|address| format!("http://{address}/metrics")),
    };
    format.write(&ready, |ready| format!("MCP at {}\n", ready.url))?;
    door.serve().await;
    Ok(())
}

fn settings(arguments: &Arguments, tool: Option<&Tool>) -> pitlane_mcp::Settings {
    pitlane_mcp::Settings {
        toolset: arguments.tools.toolset,
        methods: tool.map(|tool| tool.methods.clone()).unwrap_or_default(),
        version: VERSION.to_owned(),
        issuer: arguments.issuer.clone(),
        public_url: arguments.public_url.clone(),
        hosts: arguments.hosts.clone(),
        origins: arguments.origins.clone(),
        max_calls: None,
        conformance: arguments.conformance,
    }
}
