//! The system calls that processes in a sandbox may make, each group with its reason.
//!
//! What is not here answers "not implemented". Left out on purpose: everything that makes or joins namespaces
//! (`unshare`, `setns`, `clone3`, `clone` with namespace flags), mounts (`mount`, `umount2`, `pivot_root` and the
//! `fsopen` family), keyrings (`keyctl`, `add_key`, `request_key`), `bpf`, `io_uring_*`, `userfaultfd`,
//! `perf_event_open`, kernel modules, `kexec_*`, `reboot`, `swapon`, clocks that are set, `open_by_handle_at`,
//! `quotactl`, `acct`, `fanotify_init`, `move_pages`, `kcmp` and raw port access. So is `io_setup`, the old interface
//! for asynchronous files: all of a machine share one number of its requests, which one sandbox could use up.

use pitlane_sys::{Allowed, Argument, CompileError, Filter};

struct Group {
    why: &'static str,
    calls: &'static [i64],
}

/// Flags of `clone(2)` that would make a namespace.
const NAMESPACE_FLAGS: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET)
    .cast_unsigned();

const ALWAYS: &[Group] = &[
    Group {
        why: "open, read, write and position files",
        calls: &[
            libc::SYS_open,
            libc::SYS_openat,
            libc::SYS_openat2,
            libc::SYS_creat,
            libc::SYS_close,
            libc::SYS_close_range,
            libc::SYS_read,
            libc::SYS_write,
            libc::SYS_readv,
            libc::SYS_writev,
            libc::SYS_pread64,
            libc::SYS_pwrite64,
            libc::SYS_preadv,
            libc::SYS_pwritev,
            libc::SYS_preadv2,
            libc::SYS_pwritev2,
            libc::SYS_lseek,
            libc::SYS_readahead,
            libc::SYS_fadvise64,
            libc::SYS_sendfile,
            libc::SYS_splice,
            libc::SYS_tee,
            libc::SYS_vmsplice,
            libc::SYS_copy_file_range,
            libc::SYS_dup,
            libc::SYS_dup2,
            libc::SYS_dup3,
            libc::SYS_fcntl,
            libc::SYS_flock,
            libc::SYS_pipe,
            libc::SYS_pipe2,
        ],
    },
    Group {
        why: "keep data",
        calls: &[
            libc::SYS_fsync,
            libc::SYS_fdatasync,
            libc::SYS_sync,
            libc::SYS_syncfs,
            libc::SYS_sync_file_range,
            libc::SYS_msync,
            libc::SYS_fallocate,
            libc::SYS_truncate,
            libc::SYS_ftruncate,
        ],
    },
    Group {
        why: "look at and change folders, links, owners, modes, times and attributes, under the file system's own rules",
        calls: &[
            libc::SYS_stat,
            libc::SYS_fstat,
            libc::SYS_lstat,
            libc::SYS_newfstatat,
            libc::SYS_statx,
            libc::SYS_statfs,
            libc::SYS_fstatfs,
            libc::SYS_ustat,
            libc::SYS_access,
            libc::SYS_faccessat,
            libc::SYS_faccessat2,
            libc::SYS_getdents,
            libc::SYS_getdents64,
            libc::SYS_getcwd,
            libc::SYS_chdir,
            libc::SYS_fchdir,
            libc::SYS_mkdir,
            libc::SYS_mkdirat,
            libc::SYS_rmdir,
            libc::SYS_unlink,
            libc::SYS_unlinkat,
            libc::SYS_rename,
            libc::SYS_renameat,
            libc::SYS_renameat2,
            libc::SYS_link,
            libc::SYS_linkat,
            libc::SYS_symlink,
            libc::SYS_symlinkat,
            libc::SYS_readlink,
            libc::SYS_readlinkat,
            libc::SYS_chmod,
            libc::SYS_fchmod,
            libc::SYS_fchmodat,
            libc::SYS_fchmodat2,
            libc::SYS_chown,
            libc::SYS_fchown,
            libc::SYS_lchown,
            libc::SYS_fchownat,
            libc::SYS_utime,
            libc::SYS_utimes,
            libc::SYS_utimensat,
            libc::SYS_futimesat,
            libc::SYS_umask,
            libc::SYS_mknod,
            libc::SYS_mknodat,
            libc::SYS_setxattr,
            libc::SYS_lsetxattr,
            libc::SYS_fsetxattr,
            libc::SYS_getxattr,
            libc::SYS_lgetxattr,
            libc::SYS_fgetxattr,
            libc::SYS_listxattr,
            libc::SYS_llistxattr,
            libc::SYS_flistxattr,
            libc::SYS_removexattr,
            libc::SYS_lremovexattr,
            libc::SYS_fremovexattr,
            libc::SYS_name_to_handle_at,
        ],
    },
    Group {
        why: "chroot, inside the sandbox's own file system, for package tools and builds",
        calls: &[libc::SYS_chroot],
    },
    Group {
        why: "watch files and wait for events",
        calls: &[
            libc::SYS_inotify_init,
            libc::SYS_inotify_init1,
            libc::SYS_inotify_add_watch,
            libc::SYS_inotify_rm_watch,
            libc::SYS_poll,
            libc::SYS_ppoll,
            libc::SYS_select,
            libc::SYS_pselect6,
            libc::SYS_epoll_create,
            libc::SYS_epoll_create1,
            libc::SYS_epoll_ctl,
            libc::SYS_epoll_ctl_old,
            libc::SYS_epoll_wait,
            libc::SYS_epoll_wait_old,
            libc::SYS_epoll_pwait,
            libc::SYS_epoll_pwait2,
            libc::SYS_eventfd,
            libc::SYS_eventfd2,
            libc::SYS_signalfd,
            libc::SYS_signalfd4,
            libc::SYS_timerfd_create,
            libc::SYS_timerfd_settime,
            libc::SYS_timerfd_gettime,
        ],
    },
    Group {
        why: "memory of the process itself",
        calls: &[
            libc::SYS_brk,
            libc::SYS_mmap,
            libc::SYS_munmap,
            libc::SYS_mremap,
            libc::SYS_mprotect,
            libc::SYS_madvise,
            libc::SYS_mincore,
            libc::SYS_mlock,
            libc::SYS_mlock2,
            libc::SYS_mlockall,
            libc::SYS_munlock,
            libc::SYS_munlockall,
            libc::SYS_pkey_alloc,
            libc::SYS_pkey_free,
            libc::SYS_pkey_mprotect,
            libc::SYS_memfd_create,
            libc::SYS_memfd_secret,
            libc::SYS_membarrier,
            libc::SYS_remap_file_pages,
            libc::SYS_get_mempolicy,
            libc::SYS_set_mempolicy,
            libc::SYS_mbind,
            libc::SYS_mseal,
        ],
    },
    Group {
        why: "processes and threads; clone and prctl are below",
        calls: &[
            libc::SYS_fork,
            libc::SYS_vfork,
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_exit,
            libc::SYS_exit_group,
            libc::SYS_wait4,
            libc::SYS_waitid,
            libc::SYS_set_tid_address,
            libc::SYS_futex,
            libc::SYS_futex_waitv,
            libc::SYS_get_robust_list,
            libc::SYS_set_robust_list,
            libc::SYS_rseq,
            libc::SYS_gettid,
            libc::SYS_getpid,
            libc::SYS_getppid,
            libc::SYS_getpgid,
            libc::SYS_setpgid,
            libc::SYS_getpgrp,
            libc::SYS_getsid,
            libc::SYS_setsid,
            libc::SYS_arch_prctl,
            libc::SYS_set_thread_area,
            libc::SYS_get_thread_area,
            libc::SYS_modify_ldt,
            libc::SYS_pidfd_open,
            libc::SYS_pidfd_send_signal,
            libc::SYS_pidfd_getfd,
            libc::SYS_process_madvise,
            libc::SYS_process_mrelease,
        ],
    },
    Group {
        why: "debuggers, of processes with the same user only: nothing inside has CAP_SYS_PTRACE, and the daemon is not dumpable",
        calls: &[libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev],
    },
    Group {
        why: "users and groups of the sandbox's own user namespace, and giving up capabilities",
        calls: &[
            libc::SYS_getuid,
            libc::SYS_geteuid,
            libc::SYS_getgid,
            libc::SYS_getegid,
            libc::SYS_getresuid,
            libc::SYS_getresgid,
            libc::SYS_getgroups,
            libc::SYS_setuid,
            libc::SYS_setgid,
            libc::SYS_setreuid,
            libc::SYS_setregid,
            libc::SYS_setresuid,
            libc::SYS_setresgid,
            libc::SYS_setfsuid,
            libc::SYS_setfsgid,
            libc::SYS_setgroups,
            libc::SYS_capget,
            libc::SYS_capset,
        ],
    },
    Group {
        why: "restrict oneself further",
        calls: &[
            libc::SYS_seccomp,
            libc::SYS_landlock_create_ruleset,
            libc::SYS_landlock_add_rule,
            libc::SYS_landlock_restrict_self,
        ],
    },
    Group {
        why: "signals",
        calls: &[
            libc::SYS_rt_sigaction,
            libc::SYS_rt_sigprocmask,
            libc::SYS_rt_sigpending,
            libc::SYS_rt_sigqueueinfo,
            libc::SYS_rt_sigreturn,
            libc::SYS_rt_sigsuspend,
            libc::SYS_rt_sigtimedwait,
            libc::SYS_rt_tgsigqueueinfo,
            libc::SYS_sigaltstack,
            libc::SYS_kill,
            libc::SYS_tkill,
            libc::SYS_tgkill,
            libc::SYS_pause,
            libc::SYS_restart_syscall,
            libc::SYS_alarm,
            libc::SYS_getitimer,
            libc::SYS_setitimer,
        ],
    },
    Group {
        why: "read clocks, sleep, timers; setting a clock needs a capability of the host",
        calls: &[
            libc::SYS_clock_gettime,
            libc::SYS_clock_getres,
            libc::SYS_clock_nanosleep,
            libc::SYS_nanosleep,
            libc::SYS_gettimeofday,
            libc::SYS_time,
            libc::SYS_times,
            libc::SYS_timer_create,
            libc::SYS_timer_settime,
            libc::SYS_timer_gettime,
            libc::SYS_timer_getoverrun,
            libc::SYS_timer_delete,
            libc::SYS_adjtimex,
            libc::SYS_clock_adjtime,
        ],
    },
    Group {
        why: "scheduling, limits and usage of the sandbox's own processes; what changes them is below",
        calls: &[
            libc::SYS_sched_yield,
            libc::SYS_sched_getaffinity,
            libc::SYS_sched_getparam,
            libc::SYS_sched_getscheduler,
            libc::SYS_sched_getattr,
            libc::SYS_sched_get_priority_max,
            libc::SYS_sched_get_priority_min,
            libc::SYS_sched_rr_get_interval,
            libc::SYS_getpriority,
            libc::SYS_ioprio_get,
            libc::SYS_getrlimit,
            libc::SYS_setrlimit,
            libc::SYS_getrusage,
            libc::SYS_getcpu,
        ],
    },
    Group {
        why: "sockets that exist; making one is below, with family and protocol, and so are their options",
        calls: &[
            libc::SYS_socketpair,
            libc::SYS_bind,
            libc::SYS_connect,
            libc::SYS_listen,
            libc::SYS_accept,
            libc::SYS_accept4,
            libc::SYS_getsockname,
            libc::SYS_getpeername,
            libc::SYS_getsockopt,
            libc::SYS_sendto,
            libc::SYS_recvfrom,
            libc::SYS_sendmsg,
            libc::SYS_recvmsg,
            libc::SYS_sendmmsg,
            libc::SYS_recvmmsg,
            libc::SYS_shutdown,
        ],
    },
    Group {
        why: "System V and POSIX communication, in the sandbox's own IPC namespace",
        calls: &[
            libc::SYS_shmget,
            libc::SYS_shmat,
            libc::SYS_shmctl,
            libc::SYS_shmdt,
            libc::SYS_semget,
            libc::SYS_semop,
            libc::SYS_semctl,
            libc::SYS_semtimedop,
            libc::SYS_msgget,
            libc::SYS_msgsnd,
            libc::SYS_msgrcv,
            libc::SYS_msgctl,
            libc::SYS_mq_open,
            libc::SYS_mq_unlink,
            libc::SYS_mq_timedsend,
            libc::SYS_mq_timedreceive,
            libc::SYS_mq_notify,
            libc::SYS_mq_getsetattr,
        ],
    },
    Group {
        why: "what the machine is, and randomness",
        calls: &[libc::SYS_uname, libc::SYS_sysinfo, libc::SYS_getrandom, libc::SYS_sysfs],
    },
    Group {
        why: "host name calls answer a permission error, which programs expect, since the namespace is the host's",
        calls: &[libc::SYS_sethostname, libc::SYS_setdomainname],
    },
];

/// The families of internet sockets. Other families (packet, vsock, the kernel's cryptography, …) have a long record of
/// escapes; Unix and netlink sockets are below.
const INTERNET: [libc::c_int; 2] = [libc::AF_INET, libc::AF_INET6];

/// What internet sockets may speak: what goes with their kind, and what `ping` asks for. A call for another protocol
/// (SCTP, DCCP, L2TP, SMC, multipath TCP, …) would have the host load its module, or reach code that few have looked at.
const INTERNET_PROTOCOLS: [libc::c_int; 6] = [
    libc::IPPROTO_IP,
    libc::IPPROTO_ICMP,
    libc::IPPROTO_TCP,
    libc::IPPROTO_UDP,
    libc::IPPROTO_ICMPV6,
    libc::IPPROTO_RAW,
];

/// What programs ask by netlink: addresses and routes, what sockets there are, and, as `sudo` does, whether there is
/// an audit log. Device events are not among it: the network namespace is the host's, and so would be the events.
const NETLINK_PROTOCOLS: [libc::c_int; 3] =
    [libc::NETLINK_ROUTE, libc::NETLINK_SOCK_DIAG, libc::NETLINK_AUDIT];

/// Options of `SOL_SOCKET` that hand the kernel a packet filter. Their machine code comes out of one limited stock for
/// the whole machine; without any left, no other sandbox could install its system call filter and start.
const PACKET_FILTERS: [libc::c_int; 2] = [libc::SO_ATTACH_FILTER, libc::SO_ATTACH_REUSEPORT_CBPF];

/// The option of TCP that puts the kernel's own encryption, or another protocol, upon a connection: code that programs
/// in a sandbox do not need, and that has had holes.
const TCP_ULP: libc::c_int = 31;

/// What `prctl` must not do: keep other programs, also of other sandboxes and of the host, off the second thread of a
/// processor (`PR_SCHED_CORE`).
const OTHERS_PROCESSORS: libc::c_int = 62;

/// What sets how a process is scheduled, by its number.
const SCHEDULING: [i64; 4] = [
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_setattr,
];

/// The calls that set priorities, and their word for all processes of a user: `PRIO_USER`, `IOPRIO_WHO_USER`.
const PRIORITIES: [(i64, u32); 2] = [(libc::SYS_setpriority, 2), (libc::SYS_ioprio_set, 3)];

/// The daemon's number. Root inside is the same user and could have it starve.
const DAEMON: u32 = 1;

/// Personalities that change nothing about protection: Linux, Linux reporting a 2.6 release, and the question.
const PERSONALITIES: [u64; 3] = [0, 0x0002_0000, 0xffff_ffff];

/// Requests to terminals: pushing characters into another program's (`TIOCSTI`, `TIOCLINUX`), and line disciplines
/// (`TIOCSETD`), of which the host would load the modules.
const TERMINAL_REQUESTS: [u32; 3] = [0x5412, 0x541C, 0x5423];

fn equals(position: u8, value: libc::c_int) -> Argument {
    Argument::Equals(position, u64::from(value.cast_unsigned()))
}

/// Compiles the filter.
pub(super) fn filter() -> Result<Filter, CompileError> {
    let mut list: Vec<Allowed> = ALWAYS
        .iter()
        .flat_map(|group| {
            debug_assert!(!group.why.is_empty());
            group.calls.iter().map(|call| Allowed { call: *call, when: Vec::new() })
        })
        .collect();
    list.push(Allowed {
        call: libc::SYS_clone,
        when: vec![vec![Argument::HasNone(0, NAMESPACE_FLAGS)]],
    });
    list.push(Allowed { call: libc::SYS_socket, when: sockets() });
    list.push(Allowed { call: libc::SYS_setsockopt, when: socket_options() });
    list.push(Allowed {
        call: libc::SYS_prctl,
        when: vec![vec![Argument::Differs(0, OTHERS_PROCESSORS.cast_unsigned())]],
    });
    list.push(Allowed {
        call: libc::SYS_prlimit64,
        // Its own limits, or only a look: root inside could end the daemon by a limit on its processor time.
        when: vec![vec![Argument::Equals(0, 0)], vec![Argument::Equals(2, 0)]],
    });
    list.extend(
        SCHEDULING.map(|call| Allowed { call, when: vec![vec![Argument::Differs(0, DAEMON)]] }),
    );
    list.extend(PRIORITIES.map(|(call, user)| Allowed {
        call,
        when: vec![vec![Argument::Differs(0, user), Argument::Differs(1, DAEMON)]],
    }));
    list.push(Allowed {
        call: libc::SYS_personality,
        when: PERSONALITIES.iter().map(|persona| vec![Argument::Equals(0, *persona)]).collect(),
    });
    list.push(Allowed {
        call: libc::SYS_ioctl,
        // The kernel looks at the low half of the request only, so the comparison must as well.
        when: vec![
            TERMINAL_REQUESTS.iter().map(|request| Argument::Differs(1, *request)).collect(),
        ],
    });
    Filter::allow(&list)
}

/// The sockets that can be made.
fn sockets() -> Vec<Vec<Argument>> {
    let of = |family: libc::c_int, protocols: &[libc::c_int]| -> Vec<Vec<Argument>> {
        protocols.iter().map(|protocol| vec![equals(0, family), equals(2, *protocol)]).collect()
    };
    let internet = INTERNET.iter().flat_map(|family| of(*family, &INTERNET_PROTOCOLS));
    let netlink = of(libc::AF_NETLINK, &NETLINK_PROTOCOLS);
    std::iter::once(vec![equals(0, libc::AF_UNIX)]).chain(internet).chain(netlink).collect()
}

/// The options of sockets that can be set: all but some of two levels, each refused where its level is meant.
fn socket_options() -> Vec<Vec<Argument>> {
    let not_at = |level: libc::c_int| vec![Argument::Differs(1, level.cast_unsigned())];
    let none_of = |options: &[libc::c_int]| -> Vec<Argument> {
        options.iter().map(|option| Argument::Differs(2, option.cast_unsigned())).collect()
    };
    let sockets = [not_at(libc::SOL_SOCKET), none_of(&PACKET_FILTERS)];
    let tcp = [not_at(libc::IPPROTO_TCP), none_of(&[TCP_ULP])];
    sockets.iter().flat_map(|one| tcp.iter().map(|other| [&**one, other].concat())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_compiles() {
        filter().expect("the list is short enough and well-formed");
    }

    #[test]
    fn no_call_is_listed_twice() {
        let mut calls: Vec<i64> =
            ALWAYS.iter().flat_map(|group| group.calls.iter().copied()).collect();
        calls.sort_unstable();
        let count = calls.len();
        calls.dedup();
        assert_eq!(calls.len(), count);
    }

    #[test]
    fn what_breaks_isolation_is_not_listed() {
        let refused = [
            libc::SYS_mount,
            libc::SYS_umount2,
            libc::SYS_pivot_root,
            libc::SYS_fsopen,
            libc::SYS_fsmount,
            libc::SYS_move_mount,
            libc::SYS_open_tree,
            libc::SYS_mount_setattr,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_clone3,
            libc::SYS_keyctl,
            libc::SYS_add_key,
            libc::SYS_request_key,
            libc::SYS_bpf,
            libc::SYS_io_uring_setup,
            libc::SYS_io_uring_enter,
            libc::SYS_io_uring_register,
            libc::SYS_userfaultfd,
            libc::SYS_perf_event_open,
            libc::SYS_init_module,
            libc::SYS_finit_module,
            libc::SYS_delete_module,
            libc::SYS_kexec_load,
            libc::SYS_kexec_file_load,
            libc::SYS_reboot,
            libc::SYS_open_by_handle_at,
            libc::SYS_quotactl,
            libc::SYS_acct,
            libc::SYS_swapon,
            libc::SYS_swapoff,
            libc::SYS_iopl,
            libc::SYS_ioperm,
            libc::SYS_syslog,
            libc::SYS_settimeofday,
            libc::SYS_clock_settime,
            libc::SYS_fanotify_init,
            libc::SYS_kcmp,
            libc::SYS_move_pages,
            libc::SYS_lookup_dcookie,
            libc::SYS_io_setup,
        ];
        for call in refused {
            assert!(!ALWAYS.iter().any(|group| group.calls.contains(&call)), "system call {call}");
        }
    }
}
