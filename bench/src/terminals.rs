//! Terminals: from a key until the shell's prompt shows it.
//!
//! The key travels to the shell in the sandbox, which draws it, and back; one after the other.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::connection::{Connection, Sandbox};
use crate::options::Options;
use crate::quiet;
use crate::results::Terminals;
use crate::samples::Samples;
use crate::server::Server;

/// A terminal that says nothing for so long is broken.
const DEADLINE: Duration = Duration::from_secs(30);
/// The longest message that its length does not need more bytes for.
const SHORT: usize = 125;

/// Measures them.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Terminals> {
    let server = Server::start(options, &[])?;
    let mut connection = Connection::open(&server).await?;
    let sandbox = connection.create().await?;
    quiet::settle().await;
    let measured = measure(options, &server, &sandbox).await;
    connection.delete(&sandbox).await?;
    let echo = measured?;
    drop(connection);
    server.stop()?;
    Ok(Terminals { echo })
}

async fn measure(options: &Options, server: &Server, sandbox: &Sandbox) -> anyhow::Result<Samples> {
    let (authority, key) = (server.authority().to_owned(), server.key().to_owned());
    let path = format!("/toolbox/{}/process/pty/create-connect?id=echo&cols=1000", sandbox.id);
    let count = options.rounds;
    let work = move || -> anyhow::Result<Samples> {
        let mut terminal = Terminal::open(&authority, &key, &path)?;
        // A prompt without anything but the keys.
        terminal.send(b"PS1=; echo rea''dy\r")?;
        terminal.until(b"ready\r\n")?;
        let mut echo = Samples::default();
        for _ in 0..count {
            let started = Instant::now();
            terminal.send(b"x")?;
            terminal.until(b"x")?;
            echo.push(started.elapsed());
        }
        Ok(echo)
    };
    tokio::task::spawn_blocking(work).await?
}

/// A terminal's WebSocket, as far as it is needed here.
struct Terminal {
    stream: TcpStream,
    seen: Vec<u8>,
}

impl Terminal {
    fn open(authority: &str, key: &str, path: &str) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(authority)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {key}\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )?;
        let mut terminal = Self { stream, seen: Vec::new() };
        terminal.until(br#""connected"}"#)?;
        Ok(terminal)
    }

    /// Sends a short binary message, with a mask of zeros.
    fn send(&mut self, keys: &[u8]) -> anyhow::Result<()> {
        let length = u8::try_from(keys.len()).context("too many keys")?;
        ensure!(keys.len() <= SHORT, "too many keys");
        let message = [&[0x82, 0x80 | length, 0, 0, 0, 0], keys].concat();
        Ok(self.stream.write_all(&message)?)
    }

    /// Reads until this was shown, and forgets it. Heads of messages are among it, which nothing looked for is.
    fn until(&mut self, wanted: &[u8]) -> anyhow::Result<()> {
        loop {
            let mut windows = self.seen.windows(wanted.len());
            if let Some(at) = windows.position(|window| window == wanted) {
                self.seen.drain(..at + wanted.len());
                return Ok(());
            }
            let mut piece = [0; 4096];
            let count = self.stream.read(&mut piece)?;
            ensure!(count > 0, "the terminal ended");
            self.seen.extend_from_slice(piece.get(..count).unwrap_or_default());
        }
    }
}
