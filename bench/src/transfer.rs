//! One large file, up and down, beside the same bytes over a bare local socket.
//!
//! All that this side does is blocking reads and writes of the same size, over Pitlane as over the bare socket.

mod bare;
mod http;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

use crate::connection::{Connection, Sandbox};
use crate::options::Options;
use crate::quiet;
use crate::results::Transfer;
use crate::samples::Samples;
use crate::server::Server;

use self::http::Door;

/// How often each is measured.
const TIMES: usize = 9;

/// How much is read or written at once, by everyone on this side.
const PIECE: usize = 256 << 10;

/// The file in the sandbox.
const NAME: &str = "large";

/// Measures it.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Transfer> {
    let server = Server::start(options, &[])?;
    let mut connection = Connection::open(&server).await?;
    let sandbox = connection.create_large().await?;
    let measured = measure(options, &server, &mut connection, &sandbox).await;
    connection.delete(&sandbox).await?;
    let transfer = measured?;
    drop(connection);
    server.stop()?;
    Ok(transfer)
}

async fn measure(
    options: &Options,
    server: &Server,
    connection: &mut Connection,
    sandbox: &Sandbox,
) -> anyhow::Result<Transfer> {
    let door = Door::of(server, sandbox);
    let path = options.scratch.join("transfer");
    let bytes = options.transfer_mib << 20;
    // What the first request of a kind takes is taken.
    through_pitlane(&door, 1 << 20).await?;
    connection.remove(sandbox, NAME).await?;
    server.forget_peak()?;
    let memory_before = server.memory_kib()?;
    let (mut bare, mut ours) =
        ([(); 2].map(|()| Samples::default()), [(); 2].map(|()| Samples::default()));
    for round in 0..TIMES {
        // Each goes first as often as the other: whoever is second finds memory that the first has just used.
        for is_bare in [round % 2 == 0, round % 2 != 0] {
            quiet::after_much_memory().await?;
            let (samples, times) = if is_bare {
                (&mut bare, over_a_bare_socket(path.clone(), bytes).await?)
            } else {
                let times = through_pitlane(&door, bytes).await?;
                connection.remove(sandbox, NAME).await?;
                (&mut ours, times)
            };
            samples.iter_mut().zip(times).for_each(|(samples, time)| samples.push(time));
        }
    }
    let ([bare_upload, bare_download], [upload, download]) = (bare, ours);
    let memory_after = server.memory_kib()?;
    Ok(Transfer {
        mib: options.transfer_mib,
        upload,
        download,
        bare_upload,
        bare_download,
        memory_before,
        memory_after,
    })
}

/// Up and down.
async fn over_a_bare_socket(path: PathBuf, bytes: usize) -> anyhow::Result<[Duration; 2]> {
    let work = move || {
        let times = [bare::upload(&path, bytes)?, bare::download(&path)?];
        std::fs::remove_file(&path).context("cannot remove the bare copy")?;
        Ok(times)
    };
    tokio::task::spawn_blocking(work).await?
}

/// Up and down.
async fn through_pitlane(door: &Door, bytes: usize) -> anyhow::Result<[Duration; 2]> {
    let door = door.clone();
    let work = move || Ok([door.upload(NAME, bytes)?, door.download(NAME, bytes)?]);
    tokio::task::spawn_blocking(work).await?
}

/// Bytes that cannot be guessed or compressed, nor contain a boundary by chance: what a file that was packed looks
/// like.
fn piece() -> Vec<u8> {
    // A linear congruential generator's upper bits: any noise does.
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    (0..PIECE).map(|_| next()).collect()
}
