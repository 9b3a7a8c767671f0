//! An unpacker as the server sees it: fed with an archive, then asked how it went.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, ResolveFlags, XattrFlags, fsetxattr, openat2};
use rustix::io::Errno;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};

use super::report::{Applied, Failure, FailureKind, Report};
use super::{UNPACK, UnpackCommand, UnpackLimits};

/// The longest report: two mebibytes of names of folders that hide others, each byte as a number.
const MAX_REPORT: u64 = 16 << 20;
/// How long an unpacker may take to write what it has been fed, and for its last words.
const WRITE_DEADLINE: Duration = Duration::from_secs(300);
const REPORT_DEADLINE: Duration = Duration::from_secs(900);

/// Why there is no layer. What was unpacked is the caller's to remove.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The program that unpacks was not started.
    #[error("cannot start the unpacker {program}")]
    Start {
        /// Which program.
        program: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The archive is none, or does what no archive may.
    #[error("a layer of the image is malformed: {reason}")]
    Archive {
        /// What is wrong with it; may contain names from the archive.
        reason: String,
    },
    /// It holds more than it may.
    #[error("a layer of the image is too large: {reason}")]
    Limit {
        /// What was too much.
        reason: String,
    },
    /// The disk is full.
    #[error("the disk has no room for a layer of the image")]
    Full,
    /// It came to an end without a word, or without doing anything for too long.
    #[error("the unpacker ended early: {reason}")]
    Lost {
        /// How it ended.
        reason: String,
    },
    /// This machine failed.
    #[error("cannot unpack a layer: {reason}")]
    Host {
        /// Why.
        reason: String,
    },
}

/// An unpacker at work. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Unpacking {
    child: Child,
    input: Option<ChildStdin>,
    folder: PathBuf,
}

impl Unpacking {
    /// Starts one that unpacks into `folder`, which is there and empty, with the `lane`th share of the ids.
    pub(crate) fn start(
        command: &UnpackCommand,
        lane: u32,
        folder: &Path,
        limits: UnpackLimits,
    ) -> Result<Self, UnpackError> {
        let first_id = command.first_id.saturating_add(lane.saturating_mul(super::IDS));
        let mut child = Command::new(&command.program);
        child
            .args(&command.arguments)
            .arg(folder)
            .args([first_id.to_string(), limits.bytes.to_string(), limits.entries.to_string()])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut child = child.spawn().map_err(|cause| UnpackError::Start {
            program: format!("{} {UNPACK}", command.program.display()),
            cause,
        })?;
        let input = child.stdin.take();
        if let Some(input) = &input {
            // Fewer turns between the two. The kernel may allow no more than it gave.
            rustix::pipe::fcntl_setpipe_size(input.as_fd(), 1 << 20).ok();
        }
        Ok(Self { child, input, folder: folder.to_owned() })
    }

    /// Feeds it with the next piece.
    ///
    /// # Errors
    ///
    /// It takes no more; [`Self::finish`] tells why.
    pub(crate) async fn feed(&mut self, piece: &[u8]) -> std::io::Result<()> {
        let Some(input) = &mut self.input else { return Ok(()) };
        match tokio::time::timeout(WRITE_DEADLINE, input.write_all(piece)).await {
            Ok(written) => written,
            Err(_elapsed) => Err(std::io::ErrorKind::TimedOut.into()),
        }
    }

    /// Ends it; afterwards nothing is written to the folder any more.
    pub(crate) async fn end(mut self) {
        if let Err(cause) = self.child.kill().await {
            tracing::warn!(%cause, "cannot end an unpacker");
        }
    }

    /// Says that this was all, and waits for the layer to be complete. Answers what it holds.
    pub(crate) async fn finish(mut self) -> Result<Applied, UnpackError> {
        drop(self.input.take());
        let lost = |reason: String| UnpackError::Lost { reason };
        let mut said = Vec::new();
        let output = self.child.stdout.take();
        let listening = async {
            if let Some(output) = output {
                output.take(MAX_REPORT).read_to_end(&mut said).await?;
            }
            self.child.wait().await
        };
        let status = match tokio::time::timeout(REPORT_DEADLINE, listening).await {
            Ok(Ok(status)) => status,
            Ok(Err(cause)) => return Err(lost(cause.to_string())),
            Err(_elapsed) => return Err(lost(String::from("it took too long"))),
        };
        match serde_json::from_slice(&said) {
            Ok(Report::Done(applied)) if status.success() => self.mark_opaque(applied),
            Ok(Report::Done(_)) | Err(_) => Err(lost(status.to_string())),
            Ok(Report::Failed(Failure { kind, reason })) => Err(match kind {
                FailureKind::Archive => UnpackError::Archive { reason },
                FailureKind::Limit => UnpackError::Limit { reason },
                FailureKind::Full => UnpackError::Full,
                FailureKind::Host => UnpackError::Host { reason },
            }),
        }
    }

    /// Marks folders that hide others. Overlays believe marks that only root outside can make.
    ///
    /// The process that made the folders has ended, so nothing changes while they are looked for; and no link is
    /// followed on the way.
    fn mark_opaque(&self, applied: Applied) -> Result<Applied, UnpackError> {
        let failed = |errno: Errno| match errno {
            Errno::NOSPC | Errno::DQUOT => UnpackError::Full,
            errno => UnpackError::Host { reason: format!("cannot mark a folder: {errno}") },
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root: OwnedFd = rustix::fs::open(&self.folder, flags, Mode::empty()).map_err(failed)?;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        for path in &applied.opaque {
            let path: &[u8] = if path.is_empty() { b"." } else { path };
            match openat2(&root, path, flags, Mode::empty(), resolve) {
                Ok(folder) => {
                    fsetxattr(&folder, "trusted.overlay.opaque", b"y", XattrFlags::empty())
                        .map_err(failed)?;
                }
                // A later entry took its place, and hides what is below by being there.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
        Ok(applied)
    }
}
