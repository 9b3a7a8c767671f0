//! Sessions: a command in a shell that waits, and a log that is followed while it grows.
//!
//! The command is beside itself without any sandbox; the log beside the same program's output over a bare local socket.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use http::Method;
use serde::Deserialize;
use serde_json::json;

use crate::connection::{Connection, Sandbox};
use crate::options::Options;
use crate::program::command;
use crate::quiet;
use crate::results::Sessions;
use crate::samples::Samples;
use crate::server::{Server, root_filesystem};
use crate::spawner::Spawner;

/// How often the log is followed.
const TIMES: usize = 9;
/// How much is read or written at once, by everyone on this side.
const PIECE: usize = 256 << 10;
/// A program of its own: the shell must not do it by itself.
const PROGRAM: &str = "/usr/bin/true";
/// The file whose contents are the log.
const NAME: &str = "said";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Begun {
    cmd_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ended {
    exit_code: i32,
}

/// Measures them.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Sessions> {
    let server = Server::start(options, &[])?;
    let mut connection = Connection::open(&server).await?;
    let sandbox = connection.create_large().await?;
    let measured = measure(options, &server, &mut connection, &sandbox).await;
    connection.delete(&sandbox).await?;
    let sessions = measured?;
    drop(connection);
    server.stop()?;
    Ok(sessions)
}

async fn measure(
    options: &Options,
    server: &Server,
    connection: &mut Connection,
    sandbox: &Sandbox,
) -> anyhow::Result<Sessions> {
    let prefix = format!("/toolbox/{}/process/session", sandbox.id);
    open(connection, &prefix).await?;
    let mut spawner = Spawner::inside(&root_filesystem(options)?, &options.scratch)?;
    let order = [PROGRAM.to_owned()];
    let [mut bare, mut execute, mut exec] = [(); 3].map(|()| Samples::default());
    for _ in 0..options.rounds {
        quiet::settle().await;
        bare.push(spawner.time(&order)?);
        let started = Instant::now();
        connection.exec_true(sandbox).await?;
        execute.push(started.elapsed());
        let started = Instant::now();
        session_exec(connection, &prefix, PROGRAM).await?;
        exec.push(started.elapsed());
    }
    let mib = options.transfer_mib;
    session_exec(connection, &prefix, &format!("head -c {mib}M /dev/zero > {NAME}")).await?;
    let file = options.scratch.join(NAME);
    std::fs::write(&file, vec![0; mib << 20]).context("cannot make the bare file")?;
    let [mut bare_stream, mut bare_kept] = [(); 2].map(|()| Samples::default());
    let [mut stream, mut again] = [(); 2].map(|()| Samples::default());
    let kept = options.scratch.join("kept");
    for round in 0..TIMES {
        // Each goes first as often as the other: whoever is second finds memory that the first has just used.
        for is_bare in [round % 2 == 0, round % 2 != 0] {
            quiet::after_much_memory().await?;
            if is_bare {
                bare_stream.push(bare_copy(file.clone(), None, mib << 20).await?);
                bare_kept.push(bare_copy(file.clone(), Some(kept.clone()), mib << 20).await?);
                std::fs::remove_file(&kept).context("cannot remove what was kept")?;
                continue;
            }
            let started = Instant::now();
            let body = json!({ "command": format!("cat {NAME}"), "runAsync": true });
            let answer =
                connection.call(Method::POST, &format!("{prefix}/s/exec"), Some(body)).await?;
            let begun: Begun =
                serde_json::from_slice(&answer).context("cannot read what was begun")?;
            let path = format!("{prefix}/s/command/{}/logs?follow=true", begun.cmd_id);
            follow(server, &path, mib << 20).await?;
            stream.push(started.elapsed());
            let started = Instant::now();
            follow(server, &path, mib << 20).await?;
            again.push(started.elapsed());
            // Its logs go with a session: the disk has no room for all of them.
            connection.call(Method::DELETE, &format!("{prefix}/s"), None).await?;
            open(connection, &prefix).await?;
        }
    }
    std::fs::remove_file(&file).context("cannot remove the bare file")?;
    Ok(Sessions { bare, execute, exec, mib, bare_stream, bare_kept, stream, again })
}

async fn open(connection: &mut Connection, prefix: &str) -> anyhow::Result<()> {
    connection.call(Method::POST, prefix, Some(json!({ "sessionId": "s" }))).await?;
    Ok(())
}

async fn session_exec(
    connection: &mut Connection,
    prefix: &str,
    command: &str,
) -> anyhow::Result<()> {
    let body = json!({ "command": command });
    let answer = connection.call(Method::POST, &format!("{prefix}/s/exec"), Some(body)).await?;
    let ended: Ended = serde_json::from_slice(&answer).context("cannot read how it ended")?;
    ensure!(ended.exit_code == 0, "{command} gave {}", ended.exit_code);
    Ok(())
}

/// What a program writes into a pipe, moved over a local socket to nowhere, and into a file as a log is.
async fn bare_copy(file: PathBuf, kept: Option<PathBuf>, bytes: usize) -> anyhow::Result<Duration> {
    let work = move || -> anyhow::Result<Duration> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let started = Instant::now();
        std::thread::scope(|scope| {
            let sender = scope.spawn(|| -> anyhow::Result<()> {
                let (mut stream, _) = listener.accept()?;
                let mut kept = kept.map(std::fs::File::create).transpose()?;
                let mut child =
                    command("cat", [file.as_os_str()]).stdout(Stdio::piped()).spawn()?;
                let mut output = child.stdout.take().context("no output")?;
                let mut buffer = vec![0; PIECE];
                loop {
                    let count = output.read(&mut buffer)?;
                    let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else {
                        break;
                    };
                    stream.write_all(read)?;
                    if let Some(kept) = &mut kept {
                        kept.write_all(read)?;
                    }
                }
                child.wait()?;
                Ok(())
            });
            let count = read_to_end(&mut TcpStream::connect(address)?, bytes)?;
            ensure!(count >= bytes, "only {count} bytes came");
            let took = started.elapsed();
            sender.join().map_err(|_panic| anyhow!("the sender ended"))??;
            Ok(took)
        })
    };
    tokio::task::spawn_blocking(work).await?
}

/// Reads a log as a WebSocket until so many bytes have come.
async fn follow(server: &Server, path: &str, bytes: usize) -> anyhow::Result<()> {
    let (authority, key, path) =
        (server.authority().to_owned(), server.key().to_owned(), path.to_owned());
    let work = move || -> anyhow::Result<()> {
        let mut stream = TcpStream::connect(&authority)?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {key}\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )?;
        let count = read_to_end(&mut stream, bytes)?;
        ensure!(count >= bytes, "only {count} bytes of {path} came");
        Ok(())
    };
    tokio::task::spawn_blocking(work).await?
}

/// Reads until so many bytes have come, or the end.
fn read_to_end(stream: &mut TcpStream, bytes: usize) -> anyhow::Result<usize> {
    let mut buffer = vec![0; PIECE];
    let mut total = 0;
    while total < bytes {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        total += count;
    }
    Ok(total)
}
