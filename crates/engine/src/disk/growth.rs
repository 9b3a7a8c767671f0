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
use rustix::fs::{Gid, MemfdFlags, SealFlags, Uid, fchown, fcntl_add_seals, memfd_create};
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
    let mut said = output()?;
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
    Ok((status, String::from_utf8_lossy(&output).trim_end_matches('\0').to_owned()))
}

/// A file in memory that takes so much and no more, whatever is written: who has taken over a program that reads what a
/// sandbox wrote could fill the host's memory otherwise.
fn output() -> io::Result<File> {
    let file = File::from(memfd_create("output", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    file.set_len(MAX_OUTPUT)?;
    fcntl_add_seals(&file, SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_a_program_says_without_end_takes_no_memory() {
        let mut file = output().unwrap();
        let most = usize::try_from(MAX_OUTPUT).unwrap();
        assert_eq!(file.write(&vec![b'x'; most - 1]).unwrap(), most - 1);
        file.write_all(&vec![b'y'; 2 * most]).unwrap_err();
        assert_eq!(file.metadata().unwrap().len(), MAX_OUTPUT);
        assert!(file.set_len(2 * MAX_OUTPUT).is_err());
    }

    /// Only root can make a namespace and be somebody else.
    mod privileged {
        use super::*;

        const SCRIPT: &str = r#"
            sed -nE 's/^(Uid|Gid|Groups|NoNewPrivs|CapPrm|CapEff):/\1 /p' /proc/self/status |
                tr -s ' \t' ' ' | sed 's/ *$//'
            echo cwd $(readlink /proc/self/cwd) stdin $(readlink /proc/self/fd/0)
            echo links $(sed 1,2d /proc/net/dev | cut -d: -f1) routes $(sed 1d /proc/net/route | wc -l)
            echo variables $(env | cut -d= -f1 | grep -v -e PWD -e _)
            sudo -n true 2>/dev/null || echo no sudo
            (echo x > /dev/core-of-a-host) 2>/dev/null || echo no files
            exit 7"#;

        #[test]
        fn a_confined_program_has_its_image_no_network_and_no_way_to_rights() {
            let image = File::from(memfd_create("image", MemfdFlags::CLOEXEC).unwrap());
            let script = format!("exec >/dev/null; {{ {SCRIPT}\n}} >&2");
            let ran = run_confined("sh", &["-c", &script], &image, 65_432, &[0]);
            let Err(DiskError::Grow { program: "sh", output }) = ran else { panic!("{ran:?}") };
            let said = output.strip_prefix("exit status: 7: ").unwrap_or(&output);
            let wanted = [
                "Uid 65432 65432 65432 65432",
                "Gid 65432 65432 65432 65432",
                "Groups",
                "CapPrm 0000000000000000",
                "CapEff 0000000000000000",
                "NoNewPrivs 1",
                "cwd / stdin /memfd:image (deleted)",
                "links lo routes 0",
                "variables PATH",
                "no sudo",
                "no files",
            ];
            assert_eq!(said.lines().collect::<Vec<_>>(), wanted);
        }
    }
}
