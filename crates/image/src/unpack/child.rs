//! The process that unpacks: it shuts itself in, reads an archive from standard input and says how it went on standard
//! output.

use std::ffi::OsString;
use std::io::{self, Read, Write as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::ExitCode;

use pitlane_sys::{
    Allowed, Capabilities, CompileError, Confinement, DetachedMount, Filter, SingleThreaded,
    SyscallError, UserNamespace, new_network_namespace,
};
use rustix::fs::{Mode, OFlags};
use rustix::process::Resource;

use super::apply::apply;
use super::report::{Failure, FailureKind, Report};
use super::{IDS, UnpackLimits};

/// The word that makes a program of ours an unpacker.
pub const UNPACK: &str = "unpack";

/// Memory for a window of 128 MiB and everything else.
const MEMORY_BYTES: u64 = 1 << 30;
/// Processor time: more than the largest layer takes.
const PROCESSOR_SECONDS: u64 = 3600;
/// Folders are removed with one descriptor for each level.
const OPEN_FILES: u64 = 2048;

/// Is an unpacker; returns when it has said how it went. Must be called before the process has threads.
///
/// Expects the layer's folder, the first of its ids, and the most bytes and entries, in this order.
#[must_use]
pub fn run_unpacker(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let report = match Order::read(arguments) {
        Some(order) => unpack(&order),
        None => Report::Failed(Failure::new(FailureKind::Host, "it was not told what to unpack")),
    };
    let mut line = serde_json::to_vec(&report).unwrap_or_default();
    line.push(b'\n');
    // Nobody may be there to hear it.
    let told = io::stdout().write_all(&line);
    match (told, report) {
        (Ok(()), Report::Done(_)) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

struct Order {
    folder: PathBuf,
    first_id: u32,
    limits: UnpackLimits,
}

impl Order {
    fn read(mut arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let folder = PathBuf::from(arguments.next()?);
        let mut number = || arguments.next()?.to_str()?.parse::<u64>().ok();
        let first_id = u32::try_from(number()?).ok()?;
        let limits = UnpackLimits { bytes: number()?, entries: number()? };
        Some(Self { folder, first_id, limits })
    }
}

fn unpack(order: &Order) -> Report {
    let host = |cause: &dyn std::fmt::Display| {
        let reason = format!("cannot shut itself in: {cause}");
        Report::Failed(Failure::new(FailureKind::Host, &reason))
    };
    if let Err(cause) = shut_in(order) {
        return host(&cause);
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = match rustix::fs::open("/", flags, Mode::empty()) {
        Ok(root) => root,
        Err(errno) => return host(&errno),
    };
    match apply(Input, root.as_fd(), &order.limits) {
        Ok(applied) => Report::Done(applied),
        Err(error) => Report::Failed(Failure::from(&error)),
    }
}

/// Standard input without the buffer of its own, since everything is read in large pieces.
struct Input;

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(rustix::stdio::stdin(), buffer)?)
    }
}

/// Why a process is not shut in, and must not read what others wrote.
#[derive(Debug, thiserror::Error)]
enum ShutInError {
    #[error(transparent)]
    Call(#[from] SyscallError),
    #[error(transparent)]
    Filter(#[from] CompileError),
}

/// Leaves the calling process one folder, and rights over nothing else.
fn shut_in(order: &Order) -> Result<(), ShutInError> {
    let single = SingleThreaded::check()?;
    let users = UserNamespace::new(single, order.first_id, IDS)?;
    let root = DetachedMount::of_data(&order.folder, &users)?;
    drop(new_network_namespace()?);
    let confinement = Confinement {
        users,
        root,
        folders: Vec::new(),
        umask: Mode::empty(),
        limits: &[
            (Resource::As, MEMORY_BYTES),
            (Resource::Cpu, PROCESSOR_SECONDS),
            (Resource::Nofile, OPEN_FILES),
            (Resource::Nproc, 1),
            (Resource::Core, 0),
            (Resource::Fsize, order.limits.bytes),
        ],
        filter: Filter::allow(&calls())?,
        capabilities: Capabilities::SANDBOX,
    };
    confinement.enter(single)?;
    Ok(())
}

/// What is needed to make files and nothing else: no processes, sockets, mounts, or memory that can be executed.
fn calls() -> Vec<Allowed> {
    #[cfg(target_arch = "x86_64")]
    const OLD: &[i64] = &[libc::SYS_readlink, libc::SYS_open, libc::SYS_stat, libc::SYS_fstat];
    #[cfg(not(target_arch = "x86_64"))]
    const OLD: &[i64] = &[libc::SYS_fstat];
    // Reading, writing, and what a program's memory and end need.
    const PROGRAM: &[i64] = &[
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_lseek,
        libc::SYS_close,
        libc::SYS_fcntl,
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_futex,
        libc::SYS_getrandom,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_prctl,
        libc::SYS_capset,
        libc::SYS_capget,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_tgkill,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_clock_gettime,
        libc::SYS_restart_syscall,
    ];
    // Files.
    const FILES: &[i64] = &[
        libc::SYS_openat,
        libc::SYS_openat2,
        libc::SYS_mkdirat,
        libc::SYS_mknodat,
        libc::SYS_symlinkat,
        libc::SYS_linkat,
        libc::SYS_unlinkat,
        libc::SYS_fchmod,
        libc::SYS_fchmodat,
        libc::SYS_fchown,
        libc::SYS_fchownat,
        libc::SYS_utimensat,
        libc::SYS_fsetxattr,
        libc::SYS_newfstatat,
        libc::SYS_statx,
        libc::SYS_getdents64,
        libc::SYS_dup,
    ];
    let all = [OLD, PROGRAM, FILES].concat();
    all.into_iter().map(|call| Allowed { call, when: Vec::new() }).collect()
}
