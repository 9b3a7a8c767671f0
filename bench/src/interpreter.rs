//! Interpreters: a trivial run in a context that waits, from its connection to its end.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use http::Method;
use serde::Deserialize;
use serde_json::json;

use crate::connection::{Connection, Sandbox};
use crate::options::Options;
use crate::quiet;
use crate::results::Interpreters;
use crate::samples::Samples;
use crate::server::Server;

/// How many runs one round has: each by itself is short.
const RUNS: usize = 10;
/// The last message of a run.
const END: &[u8] = b"\"completed\"";

#[derive(Debug, Deserialize)]
struct Made {
    id: String,
}

/// Measures them.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Interpreters> {
    let server = Server::start(options, &[])?;
    let mut connection = Connection::open(&server).await?;
    let sandbox = connection.create().await?;
    let measured = measure(options, &server, &mut connection, &sandbox).await;
    connection.delete(&sandbox).await?;
    let interpreters = measured?;
    drop(connection);
    server.stop()?;
    Ok(interpreters)
}

async fn measure(
    options: &Options,
    server: &Server,
    connection: &mut Connection,
    sandbox: &Sandbox,
) -> anyhow::Result<Interpreters> {
    let prefix = format!("/toolbox/{}/process/interpreter", sandbox.id);
    let contexts = format!("{prefix}/context");
    let [mut context, mut round_trip] = [(); 2].map(|()| Samples::default());
    // The first one starts the default context.
    time_run(server, &prefix).await?;
    for _ in 0..options.rounds {
        quiet::settle().await;
        let started = Instant::now();
        let answer = connection.call(Method::POST, &contexts, Some(json!({}))).await?;
        context.push(started.elapsed());
        let made: Made = serde_json::from_slice(&answer).context("cannot read what was made")?;
        connection.call(Method::DELETE, &format!("{contexts}/{}", made.id), None).await?;
        for _ in 0..RUNS {
            round_trip.push(time_run(server, &prefix).await?);
        }
    }
    Ok(Interpreters { context, round_trip })
}

async fn time_run(server: &Server, prefix: &str) -> anyhow::Result<Duration> {
    let (authority, key) = (server.authority().to_owned(), server.key().to_owned());
    let prefix = prefix.to_owned();
    let work = move || -> anyhow::Result<Duration> {
        let started = Instant::now();
        let mut stream = TcpStream::connect(&authority)?;
        stream.set_nodelay(true)?;
        write!(
            stream,
            "GET {prefix}/execute HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {key}\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )?;
        read_until(&mut stream, b"\r\n\r\n")?;
        let request = br#"{"code":"print(1)"}"#;
        // A short text message, masked with zeros.
        let length = u8::try_from(request.len())?;
        stream.write_all(&[&[0x81, 0x80 | length, 0, 0, 0, 0], &request[..]].concat())?;
        let heard = read_until(&mut stream, END)?;
        let took = started.elapsed();
        let text = String::from_utf8_lossy(&heard);
        ensure!(text.contains(r#"{"type":"stdout","text":"1\n"}"#), "the run said {text}");
        Ok(took)
    };
    tokio::task::spawn_blocking(work).await?
}

/// Reads until this has come.
fn read_until(stream: &mut TcpStream, end: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    while !heard.windows(end.len()).any(|part| part == end) {
        let count = stream.read(&mut buffer)?;
        ensure!(count > 0, "only this came: {}", String::from_utf8_lossy(&heard));
        heard.extend(buffer.iter().take(count));
    }
    Ok(heard)
}
