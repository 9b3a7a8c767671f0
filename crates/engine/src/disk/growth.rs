//! Making a disk's file system larger.
//!
//! The bytes of a file system were written by the host's kernel alone, but what they say was decided inside a sandbox.
//! The kernel's own way to enlarge one needs a capability that servers in containers lack. So the programs for it read
//! and write a *copy*, as a user who owns nothing else, without a network and without a way to more rights; the copy
//! takes the disk's place when they are done. A crash leaves the disk as it was and a copy that the next start removes.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use pitlane_sys::new_network_namespace;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Gid, MemfdFlags, Uid, fchown, memfd_create};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::set_no_new_privs;

use super::{DiskError, file_error, sparse};

/// They take milliseconds; on a full and fragmented disk, seconds.
const DEADLINE: Duration = Duration::from_secs(300);
/// How much of what a program says is kept.
const MAX_OUTPUT: u64 = 4096;
/// What programs are looked for in.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Puts a copy of the disk at `disk` at `draft`, gives it `bytes` and lets the file system in it fill them.
pub(super) fn grow(disk: &Path, draft: &Path, bytes: u64, user: u32) -> Result<(), DiskError> {
    sparse::copy(disk, draft).map_err(file_error("copy the disk to", draft))?;
    let copy =
        OpenOptions::new().read(true).write(true).open(draft).map_err(file_error("open", draft))?;
    let own = |user: u32| {
        fchown(&copy, Some(Uid::from_raw(user)), Some(Gid::from_raw(user)))
            .map_err(|errno| file_error("change the owner of", draft)(errno.into()))
    };
    copy.set_len(bytes).map_err(file_error("enlarge", draft))?;
    own(user)?;
    // What a machine that lost its power left; 1 says that something was mended.
    run_confined("e2fsck", &["-f", "-p", IMAGE], &copy, user, &[0, 1])?;
    run_confined("resize2fs", &["-f", IMAGE], &copy, user, &[0])?;
    own(0)?;
    copy.sync_all().map_err(file_error("sync", draft))
}

/// The only file a confined program is given.
const IMAGE: &str = "/proc/self/fd/0";

/// Runs a program on `image` as `user`, in a thread whose namespace and lack of rights it inherits.
fn run_confined(
    program: &'static str,
    arguments: &[&str],
    image: &File,
    user: u32,
    good: &[i32],
) -> Result<(), DiskError> {
    let run = || {
        new_network_namespace().map_err(io::Error::other)?;
        set_no_new_privs(true)?;
        run(program, arguments, image, user)
    };
    let ran = std::thread::scope(|scope| {
        std::thread::Builder::new().name(program.to_owned()).spawn_scoped(scope, run).map(
            |thread| {
                thread
                    .join()
                    .unwrap_or_else(|_panic| Err(io::Error::other("its thread ended badly")))
            },
        )
    });
    let failed = |output: String| DiskError::Grow { program, output };
    match ran.and_then(|ran| ran) {
        Ok((status, _)) if status.code().is_some_and(|code| good.contains(&code)) => Ok(()),
        Ok((status, output)) => Err(failed(format!("{status}: {}", output.trim()))),
        Err(cause) => Err(failed(cause.to_string())),
    }
}

fn run(
    program: &str,
    arguments: &[&str],
    image: &File,
    user: u32,
) -> io::Result<(ExitStatus, String)> {
    let mut said = File::from(memfd_create("output", MemfdFlags::CLOEXEC)?);
    #[expect(
        clippy::disallowed_methods,
        reason = "a disk grows on somebody's request, not on a create's path"
    )]
    let mut command = Command::new(program);
    let mut child = command
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .current_dir("/")
        .uid(user)
        .gid(user)
        .stdin(Stdio::from(image.try_clone()?))
        .stdout(Stdio::null())
        .stderr(Stdio::from(said.try_clone()?))
        .spawn()?;
    let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
    let deadline = Timespec::try_from(DEADLINE).ok();
    let mut ended = [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
    if poll(&mut ended, deadline.as_ref())? == 0 {
        child.kill()?;
    }
    let status = child.wait()?;
    let mut output = Vec::new();
    said.rewind()?;
    said.take(MAX_OUTPUT).read_to_end(&mut output)?;
    Ok((status, String::from_utf8_lossy(&output).into_owned()))
}
