//! The process that is a volume's file system for one sandbox.
//!
//! It begins as root, shuts itself in ([`shut_in`]) before it answers the first request, and then has an id that nobody
//! else on the machine has, no capability, a root with nothing in it but what names of machines are looked up with, and
//! a folder for files without names. It keeps the host's network, since the storage may be anywhere. Standard input is
//! its order, standard output the kernel's device.

mod calls;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};

use pitlane_sys::{
    Capabilities, CompileError, Confinement, Context as _, DetachedMount, FilesystemContext,
    Filter, MountOptions, SingleThreaded, SyscallError, UserNamespace,
};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::process::Resource;
use serde::{Deserialize, Serialize};
use tokio::task::LocalSet;

use crate::bucket::{Bucket, OpenBucketError};
use crate::files::{Files, Staging};
use crate::fuse;
use crate::key::KeyFolder;
use crate::storage::ObjectStorage;

/// The word that makes a program of ours this process.
pub const VOLUME_FILES: &str = "volume-files";

/// Address space: memory for the pieces on their way, lists, and stacks that are mostly unused.
const MEMORY_BYTES: u64 = 2 << 30;
const OPEN_FILES: u64 = 16_384;
/// This process has one thread for everything, and few that look up names.
const THREADS: usize = 4;
const PROCESSES: u64 = 16;
/// What all files that are not uploaded yet may take.
const STAGING_BYTES: u64 = 16 << 30;
/// The longest order.
const LONGEST_ORDER: u64 = 64 << 10;
/// The longest file of those that names are looked up with.
const LONGEST_FILE: u64 = 256 << 10;
/// How much it says of failures in its life.
const MOST_LINES: u32 = 1000;

/// What the process is told. Has the secret key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MountOrder {
    /// The storage.
    pub storage: ObjectStorage,
    /// The volume's name in it.
    pub volume: String,
    /// The file that says that the volume exists. It is locked as long as something may still be uploaded.
    pub marker: PathBuf,
    /// The folder for files without names.
    pub staging: PathBuf,
    /// The host's user id that the process takes.
    pub id: u32,
}

/// Is the process; returns when nobody has the volume mounted any more. Must be called before the process has threads.
#[must_use]
pub fn run_volume_files() -> ExitCode {
    match prepare().and_then(serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let mut line = format!("{failure}");
            let mut cause = std::error::Error::source(&failure);
            while let Some(deeper) = cause {
                line = format!("{line}: {deeper}");
                cause = deeper.source();
            }
            say(&line);
            ExitCode::FAILURE
        }
    }
}

/// Why there are no files.
#[derive(Debug, thiserror::Error)]
enum VolumeFilesError {
    #[error("cannot shut itself in")]
    Call(#[from] SyscallError),
    #[error("cannot shut itself in")]
    Filter(#[from] CompileError),
    #[error("it was not told which volume it is")]
    Order,
    #[error(transparent)]
    Bucket(#[from] OpenBucketError),
    #[error("cannot use {what}")]
    File {
        what: &'static str,
        #[source]
        cause: std::io::Error,
    },
    #[error("cannot go on serving the kernel")]
    Device(#[source] rustix::io::Errno),
}

/// What is left of the order when the process has shut itself in.
struct Prepared {
    device: OwnedFd,
    bucket: Bucket,
    keys: KeyFolder,
    staging: OwnedFd,
    /// Locked until the process ends.
    _marker: File,
}

fn prepare() -> Result<Prepared, VolumeFilesError> {
    let order = order()?;
    let stdout = std::io::stdout();
    let device = stdout.as_fd().try_clone_to_owned().map_err(file("the device"))?;
    let marker = File::open(&order.marker).map_err(file("the volume's marker"))?;
    flock(&marker, FlockOperation::NonBlockingLockShared).context("flock(marker)")?;
    pitlane_fault::point("files.locked");
    let keys = KeyFolder::new(&order.storage.location().prefix, &order.volume);
    let (staging, id) = (order.staging, order.id);
    // Certificates are read while there are files.
    let bucket = Bucket::open(order.storage)?;
    shut_in(&staging, id)?;
    pitlane_fault::point("files.shut-in");
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let staging =
        rustix::fs::open("/staging", flags, Mode::empty()).context("open(staging folder)")?;
    Ok(Prepared { device, bucket, keys, staging, _marker: marker })
}

fn file(what: &'static str) -> impl FnOnce(std::io::Error) -> VolumeFilesError {
    move |cause| VolumeFilesError::File { what, cause }
}

fn order() -> Result<MountOrder, VolumeFilesError> {
    let mut text = Vec::new();
    std::io::stdin()
        .lock()
        .take(LONGEST_ORDER)
        .read_to_end(&mut text)
        .map_err(file("standard input"))?;
    serde_json::from_slice(&text).map_err(|_malformed| VolumeFilesError::Order)
}

fn serve(prepared: Prepared) -> Result<(), VolumeFilesError> {
    let Prepared { device, bucket, keys, staging, _marker } = prepared;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(THREADS)
        .build()
        .map_err(file("the kernel's events"))?;
    let files = Files::new(bucket, keys, Staging::new(staging, STAGING_BYTES), say);
    let served = LocalSet::new().block_on(&runtime, fuse::serve(device, files));
    // Names may still be being looked up; nobody waits for that.
    runtime.shutdown_background();
    served.map_err(VolumeFilesError::Device)
}

/// Says something to the operator; of a storage that fails for long, not everything.
fn say(line: &str) {
    static SAID: AtomicU32 = AtomicU32::new(0);
    if SAID.fetch_add(1, Ordering::Relaxed) < MOST_LINES {
        // Nobody is left to tell if this fails as well.
        drop(writeln!(std::io::stderr(), "pitlane {VOLUME_FILES}: {line}"));
    }
}

/// Leaves the calling process the storage, the device, one folder, and rights over nothing else.
fn shut_in(staging: &std::path::Path, id: u32) -> Result<(), VolumeFilesError> {
    let single = SingleThreaded::check()?;
    let users = UserNamespace::new(single, id, 1)?;
    let staging = DetachedMount::of_data(staging, &users)?;
    let null = OFlags::RDWR | OFlags::CLOEXEC;
    let null = rustix::fs::open("/dev/null", null, Mode::empty()).context("open(null)")?;
    rustix::stdio::dup2_stdin(&null).context("dup2(stdin)")?;
    rustix::stdio::dup2_stdout(&null).context("dup2(stdout)")?;
    drop(null);
    let confinement = Confinement {
        users,
        root: root()?,
        folders: vec![(c"staging", staging)],
        umask: Mode::from_raw_mode(0o077),
        limits: &[
            (Resource::As, MEMORY_BYTES),
            (Resource::Nofile, OPEN_FILES),
            (Resource::Nproc, PROCESSES),
            (Resource::Core, 0),
            (Resource::Fsize, STAGING_BYTES),
        ],
        filter: Filter::allow(&calls::allowed())?,
        capabilities: Capabilities::NONE,
    };
    confinement.enter(single)?;
    Ok(())
}

/// A root with what names of machines are looked up with, as it is now.
fn root() -> Result<DetachedMount, VolumeFilesError> {
    let root = FilesystemContext::open("tmpfs")?
        .text("mode", "0755")?
        .text("size", "2m")?
        .mount(MountOptions::default())?;
    for name in [c"etc", c"staging"] {
        rustix::fs::mkdirat(&root, name, Mode::from_raw_mode(0o755)).context("mkdir(root)")?;
    }
    let write = |name: &str, contents: &[u8]| {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&root, name, flags, Mode::from_raw_mode(0o644))
            .context("open(root)")?;
        File::from(file).write_all(contents).map_err(self::file("its root"))
    };
    for name in ["etc/resolv.conf", "etc/hosts"] {
        let mut contents = Vec::new();
        // Without one, what it would say is said by the rest.
        if let Ok(found) = File::open(format!("/{name}")) {
            found
                .take(LONGEST_FILE)
                .read_to_end(&mut contents)
                .map_err(file("the resolver's files"))?;
        }
        write(name, &contents)?;
    }
    write("etc/nsswitch.conf", b"hosts: files dns\n")?;
    root.restrict(MountOptions { read_only: true, ..MountOptions::DATA })?;
    Ok(root)
}
