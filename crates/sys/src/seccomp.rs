//! Filters of system calls. See `seccomp(2)`.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::error::{Context as _, SyscallError, check};

/// What an argument of a system call must be for the call to be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argument {
    /// The argument at this position equals the value.
    Equals(u8, u64),
    /// The low 32 bits of the argument at this position differ from the value's.
    Differs(u8, u64),
    /// The argument at this position has none of these bits.
    HasNone(u8, u64),
}

/// A system call that is allowed: always, or when one of several lists of conditions holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// Its number, `libc::SYS_…`.
    pub call: i64,
    /// Alternatives; in each, every condition must hold. Empty means always.
    pub when: Vec<Vec<Argument>>,
}

/// A compiled filter.
#[derive(Debug, Clone)]
pub struct Filter(BpfProgram);

/// A list of rules that cannot be compiled.
#[derive(Debug, thiserror::Error)]
#[error("cannot compile the system call filter")]
pub struct CompileError(#[source] seccompiler::BackendError);

impl Filter {
    /// Compiles an allow list. Every other call answers `ENOSYS`, as if the kernel did not have it, so that programs
    /// fall back to what it has; a call of another architecture ends the process.
    ///
    /// # Errors
    ///
    /// The list is too long or a condition names an argument beyond the sixth.
    pub fn allow(list: &[Allowed]) -> Result<Self, CompileError> {
        let condition = |argument: &Argument| match *argument {
            Argument::Equals(position, value) => {
                SeccompCondition::new(position, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, value)
            }
            Argument::Differs(position, value) => {
                SeccompCondition::new(position, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, value)
            }
            Argument::HasNone(position, bits) => SeccompCondition::new(
                position,
                SeccompCmpArgLen::Qword,
                SeccompCmpOp::MaskedEq(bits),
                0,
            ),
        };
        let mut rules = BTreeMap::new();
        for allowed in list {
            let alternatives = allowed
                .when
                .iter()
                .map(|all| {
                    all.iter()
                        .map(condition)
                        .collect::<Result<Vec<_>, _>>()
                        .and_then(SeccompRule::new)
                })
                .collect::<Result<Vec<_>, _>>()
                .map_err(CompileError)?;
            rules.insert(allowed.call, alternatives);
        }
        let missing = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
        #[cfg(target_arch = "x86_64")]
        let architecture = TargetArch::x86_64;
        #[cfg(target_arch = "aarch64")]
        let architecture = TargetArch::aarch64;
        let filter = SeccompFilter::new(rules, missing, SeccompAction::Allow, architecture)
            .map_err(CompileError)?;
        filter.try_into().map(Self).map_err(CompileError)
    }

    /// Applies the filter to the calling thread and everything it executes, for ever.
    ///
    /// Does not set `no_new_privs`: the caller has `CAP_SYS_ADMIN` in its user namespace.
    ///
    /// # Errors
    ///
    /// The kernel has no filters, or the caller lacks the capability.
    #[expect(
        unsafe_code,
        reason = "the crate that compiles filters only installs them with no_new_privs"
    )]
    pub fn install(&self) -> Result<(), SyscallError> {
        let program = libc::sock_fprog {
            len: u16::try_from(self.0.len()).unwrap_or(0),
            filter: self.0.as_ptr().cast::<libc::sock_filter>().cast_mut(),
        };
        // SAFETY: SECCOMP_SET_MODE_FILTER reads `len` instructions at `filter`. Both come from the same vector, which
        // outlives the call, and its elements have the layout of the kernel's `struct sock_filter`.
        let result = unsafe {
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program)
        };
        check(result).context("seccomp").map(|_| ())
    }
}
