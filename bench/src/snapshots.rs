//! Snapshots of an empty sandbox and of one with many files, on a file system that shares blocks and on the host's own.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use http::Method;
use serde_json::json;

use crate::connection::{Connection, Sandbox};
use crate::options::Options;
use crate::program::{command, output};
use crate::quiet;
use crate::results::{SnapshotTimes, Snapshots};
use crate::server::{Server, borrow_image};

/// How often each is measured at most, in turns.
const TIMES: usize = 20;
/// Files of 4 MiB in the sandbox that is not empty.
const FILES: usize = 256;
/// Room for the disks of a few sandboxes.
const XFS_BYTES: u64 = 12 << 30;

/// Measures both.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Snapshots> {
    let host = measure(options).await?;
    let xfs = Xfs::mount(&options.scratch)?;
    let on_xfs = Options {
        scratch: xfs.folder().to_owned(),
        image_cache: xfs.folder().join("images"),
        ..options.clone()
    };
    borrow_image(options, &on_xfs.image_cache)?;
    let xfs_times = measure(&on_xfs).await?;
    drop(xfs);
    let find = ["--noheadings", "--output", "FSTYPE", "--target"];
    let host_kind = output(command("findmnt", find).arg(&options.scratch))?.trim().to_owned();
    Ok(Snapshots { mib: FILES * 4, host_kind, host, xfs: xfs_times })
}

async fn measure(options: &Options) -> anyhow::Result<SnapshotTimes> {
    let server = Server::start(options, &[])?;
    let mut connection = Connection::open(&server).await?;
    let sandboxes = [connection.create().await?, connection.create().await?];
    let measured = take_turns(options, &mut connection, &sandboxes).await;
    // Whatever happened: no sandbox is left behind.
    for sandbox in &sandboxes {
        connection.delete(sandbox).await.context("cannot delete what was created")?;
    }
    drop(connection);
    server.stop()?;
    measured
}

async fn take_turns(
    options: &Options,
    connection: &mut Connection,
    [empty, full]: &[Sandbox; 2],
) -> anyhow::Result<SnapshotTimes> {
    // What still waits to be written would be measured otherwise.
    let fill =
        format!("for n in $(seq {FILES}); do head -c 4M /dev/urandom > ~/$n || exit 1; done; sync");
    let path = format!("/toolbox/{}/process/execute", full.id);
    let body = json!({ "command": fill, "timeout": 600 });
    let filled = connection.call(Method::POST, &path, Some(body)).await?;
    let filled: serde_json::Value = serde_json::from_slice(&filled)?;
    ensure!(filled["exitCode"] == 0, "files were not made: {filled}");
    let mut times = SnapshotTimes::default();
    for _ in 0..options.rounds.min(TIMES) {
        times.empty.push(snapshot(connection, empty).await?);
        times.full.push(snapshot(connection, full).await?);
    }
    Ok(times)
}

/// One snapshot, taken and deleted, and how long the taking took.
async fn snapshot(connection: &mut Connection, sandbox: &Sandbox) -> anyhow::Result<Duration> {
    quiet::settle().await;
    let path = format!("/api/sandbox/{}/snapshot", sandbox.id);
    let started = Instant::now();
    let answer = connection.call(Method::POST, &path, Some(json!({ "name": "bench" }))).await?;
    let took = started.elapsed();
    let answer: serde_json::Value = serde_json::from_slice(&answer)?;
    ensure!(answer["state"] == "started", "it was not taken in time: {answer}");
    connection.call(Method::DELETE, "/api/snapshots/bench", None).await?;
    Ok(took)
}

/// A file system of the run's own, unmounted and removed with its value.
struct Xfs {
    /// Where it is mounted; short, since there are sockets in it.
    mounted: tempfile::TempDir,
    _file: tempfile::TempDir,
}

impl Xfs {
    fn mount(scratch: &Path) -> anyhow::Result<Self> {
        let holder = tempfile::Builder::new().prefix("xfs-").tempdir_in(scratch)?;
        let mounted = tempfile::Builder::new().prefix("xfs-").tempdir()?;
        let file = holder.path().join("file");
        std::fs::OpenOptions::new().write(true).create_new(true).open(&file)?.set_len(XFS_BYTES)?;
        output(command("mkfs.xfs", ["-q", "-m", "reflink=1"]).arg(&file))
            .context("it takes xfsprogs")?;
        output(command("mount", ["-o", "loop"]).arg(&file).arg(mounted.path()))?;
        Ok(Self { mounted, _file: holder })
    }

    fn folder(&self) -> &Path {
        self.mounted.path()
    }
}

impl Drop for Xfs {
    fn drop(&mut self) {
        // A launcher may end a moment after its server.
        for _ in 0..50 {
            if output(&mut command("umount", [self.mounted.path()])).is_ok() {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }
}
