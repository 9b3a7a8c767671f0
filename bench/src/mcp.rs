//! MCP: a tool that runs a command, beside the toolbox call that it makes.
//!
//! The two take turns on kept connections, so that whatever else the machine does meets both.

use std::time::Instant;

use anyhow::{Context as _, bail};
use http::Method;
use serde_json::{Value, json};

use crate::connection::{Connection, Sandbox};
use crate::options::Options;
use crate::quiet;
use crate::results::Mcp;
use crate::server::Server;

/// How many of each one round has: each by itself is short.
const CALLS: usize = 10;

/// Measures it.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Mcp> {
    let server = Server::start(options, &[])?;
    let mut toolbox = Connection::open(&server).await?;
    let mut tools = Connection::open(&server).await?;
    let sandbox = toolbox.create().await?;
    // The first call of a key opens connections of its own.
    call(&mut tools, &sandbox).await?;
    let mut mcp = Mcp::default();
    for _ in 0..options.rounds {
        quiet::settle().await;
        for _ in 0..CALLS {
            let started = Instant::now();
            bare(&mut toolbox, &sandbox).await?;
            mcp.bare.push(started.elapsed());
            let started = Instant::now();
            call(&mut tools, &sandbox).await?;
            mcp.call.push(started.elapsed());
        }
    }
    toolbox.delete(&sandbox).await?;
    drop((toolbox, tools));
    server.stop()?;
    Ok(mcp)
}

/// The call of the toolbox that the tool makes.
async fn bare(connection: &mut Connection, sandbox: &Sandbox) -> anyhow::Result<()> {
    let path = format!("/toolbox/{}/process/execute/stream", sandbox.id);
    connection.call(Method::POST, &path, Some(json!({ "command": "true" }))).await?;
    Ok(())
}

/// The tool, as a client of 2026-07-28 calls it.
async fn call(connection: &mut Connection, sandbox: &Sandbox) -> anyhow::Result<()> {
    let headers = [
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "execute_shell"),
    ];
    let message = json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {
            "name": "execute_shell",
            "arguments": { "sandbox_id": sandbox.id, "command": "true" },
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": { "name": "bench", "version": "1" },
            },
        },
    });
    let answer = connection.call_with(Method::POST, "/mcp", Some(message), &headers).await?;
    let answer: Value = serde_json::from_slice(&answer).context("cannot read a tool's result")?;
    if answer["result"]["structuredContent"]["exit_code"] != 0 {
        bail!("the tool gave {answer}");
    }
    Ok(())
}
