//! What keeps a sandbox apart: namespaces, filters of system calls, a daemon that lies in no file system.

use std::os::fd::AsFd as _;

use pitlane_sys::{
    Allowed, CloneFlags, ExitStatus, Filter, NextProgram, SingleThreaded, SyscallError,
    UserNamespace, clone_process, execute, sealed_memory_file,
};
use rustix::io::Errno;

use super::check::{Check, whole};

/// Every sandbox has this many user ids.
const IDS: u32 = 65_536;

/// The numbers of the only calls that the filter under test allows, on x86-64.
const EXIT: i64 = 60;
const EXIT_GROUP: i64 = 231;

/// A program that exits with 0.
///
/// An ELF header, one program header that loads the whole file, and `xor edi, edi; mov eax, 60; syscall`.
const PROGRAM: [u8; 129] = {
    let mut program = [0u8; 129];
    let parts: [(usize, &[u8]); 12] = [
        (0, b"\x7fELF\x02\x01\x01"),
        // Type: executable; machine: x86-64; version 1.
        (16, &[2, 0, 62, 0, 1]),
        // Entry at 0x400078; program headers at 64.
        (24, &[0x78, 0, 0x40]),
        (32, &[64]),
        // Sizes of the two headers; one program header.
        (52, &[64, 0, 56, 0, 1]),
        // Load, readable and executable.
        (64, &[1, 0, 0, 0, 5]),
        (82, &[0x40]),
        (90, &[0x40]),
        (96, &[129]),
        (104, &[129]),
        (113, &[0x10]),
        (120, &[0x31, 0xff, 0xb8, 60, 0, 0, 0, 0x0f, 0x05]),
    ];
    let mut part = 0;
    while part < parts.len() {
        let (start, bytes) = parts[part];
        let mut index = 0;
        while index < bytes.len() {
            program[start + index] = bytes[index];
            index += 1;
        }
        part += 1;
    }
    program
};

/// A user namespace as sandboxes have it; other checks need it.
pub(super) fn users(single: SingleThreaded, first: u32) -> Result<UserNamespace, SyscallError> {
    UserNamespace::new(single, first, IDS)
}

pub(super) fn told(users: Result<UserNamespace, SyscallError>) -> Check {
    match users {
        Ok(_made) => Check::good("user namespaces", "made one with ids of its own"),
        Err(failure) => Check::bad(
            "user namespaces",
            whole(&failure),
            "sysctl user.max_user_namespaces=65536; in a container, let it make namespaces",
        ),
    }
}

pub(super) fn processes(single: SingleThreaded) -> Check {
    let name = "namespaces";
    // The first process of a new process namespace has number 1.
    let is_first = || i32::from(rustix::process::getpid() != rustix::process::Pid::INIT);
    match child(single, CloneFlags::NEW_SANDBOX, is_first) {
        Ok(()) => Check::good(name, "mount, process, IPC and host name"),
        Err(detail) => Check::bad(
            name,
            detail,
            "use a kernel with namespaces; in a container, let it make namespaces",
        ),
    }
}

pub(super) fn system_calls(single: SingleThreaded) -> Check {
    let name = "system call filters";
    let allowed = [EXIT, EXIT_GROUP].map(|call| Allowed { call, when: Vec::new() });
    let filter = match Filter::allow(&allowed) {
        Ok(filter) => filter,
        Err(failure) => return Check::bad(name, whole(&failure), "report this as a bug"),
    };
    let is_refused = || match filter.install() {
        Ok(()) => i32::from(rustix::fs::stat("/").err() != Some(Errno::NOSYS)),
        Err(_) => 2,
    };
    // Comparing results above needs no more calls than the two that are allowed.
    match child(single, CloneFlags::default(), is_refused) {
        Ok(()) => Check::good(name, "a call that was not allowed was refused"),
        Err(detail) => Check::bad(name, detail, "use a kernel with CONFIG_SECCOMP_FILTER"),
    }
}

pub(super) fn memory_program(single: SingleThreaded) -> Check {
    let name = "programs in memory";
    let file = match sealed_memory_file("pitlane-doctor", &PROGRAM) {
        Ok(file) => file,
        Err(failure) => return Check::bad(name, whole(&failure), FIX_MEMORY),
    };
    let program = NextProgram {
        file: file.as_fd(),
        arguments: &[c"doctor"],
        environment: &[],
        descriptors: &[],
    };
    let replace = || {
        let _failed = execute(&program);
        1
    };
    match child(single, CloneFlags::default(), replace) {
        Ok(()) => Check::good(name, "a sealed memory file was executed"),
        Err(detail) => Check::bad(name, detail, FIX_MEMORY),
    }
}

const FIX_MEMORY: &str = "sysctl vm.memfd_noexec=0";

/// Whether a child does what `body` does without a complaint.
pub(super) fn child(
    single: SingleThreaded,
    flags: CloneFlags,
    body: impl FnOnce() -> i32,
) -> Result<(), String> {
    let ended = clone_process(single, flags, None, body).and_then(|child| child.wait());
    match ended {
        Ok(ExitStatus::Code(0)) => Ok(()),
        Ok(ExitStatus::Code(code)) => Err(format!("the process that tried ended with {code}")),
        Ok(ExitStatus::Signal(signal)) => {
            Err(format!("signal {signal} ended the process that tried"))
        }
        Err(failure) => Err(whole(&failure)),
    }
}
