//! The same bytes over a local socket with nothing between.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};

use super::{PIECE, piece};

/// From memory over the socket into a file; ends when the other side has said that it wrote everything.
pub(super) fn upload(path: &Path, bytes: usize) -> anyhow::Result<Duration> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let piece = piece();
    std::thread::scope(|scope| {
        let receiver = scope.spawn(|| -> anyhow::Result<()> {
            let (mut stream, _) = listener.accept()?;
            let mut file = File::create(path).context("cannot make the bare copy")?;
            copy(&mut stream, &mut file)?;
            Ok(stream.write_all(b"!")?)
        });
        let started = Instant::now();
        let mut stream = TcpStream::connect(address)?;
        send(&mut stream, &piece, bytes)?;
        stream.shutdown(std::net::Shutdown::Write)?;
        stream.read_exact(&mut [0])?;
        let took = started.elapsed();
        receiver.join().map_err(|_panic| anyhow!("the receiver ended"))??;
        Ok(took)
    })
}

/// From a file over the socket to nowhere.
pub(super) fn download(path: &Path) -> anyhow::Result<Duration> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| -> anyhow::Result<()> {
            let (mut stream, _) = listener.accept()?;
            copy(&mut File::open(path)?, &mut stream)
        });
        let started = Instant::now();
        let mut stream = TcpStream::connect(address)?;
        copy(&mut stream, &mut std::io::sink())?;
        let took = started.elapsed();
        sender.join().map_err(|_panic| anyhow!("the sender ended"))??;
        Ok(took)
    })
}

/// Writes a piece again and again until there are so many bytes.
pub(super) fn send(stream: &mut TcpStream, piece: &[u8], bytes: usize) -> anyhow::Result<()> {
    let mut left = bytes;
    while left > 0 {
        let now = piece.get(..left.min(piece.len())).unwrap_or(piece);
        stream.write_all(now)?;
        left -= now.len();
    }
    Ok(())
}

/// Through memory: the kernel could do it without, and Pitlane could not.
fn copy(from: &mut impl Read, to: &mut impl Write) -> anyhow::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        let count = from.read(&mut buffer)?;
        let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else { return Ok(()) };
        to.write_all(read)?;
    }
}
