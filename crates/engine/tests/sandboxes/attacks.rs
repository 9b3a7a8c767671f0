//! Attempts to get out of a sandbox or to learn of the host, from inside, as the user and as root. Each must fail.

use std::os::unix::fs::PermissionsExt as _;

use pitlane_driver::Driver as _;
use serde_json::json;

use crate::support::{Bench, get, quote, spec};

crate::trials![
    the_user_is_not_root_and_sudo_makes_root,
    only_the_sandboxs_own_processes_are_visible,
    no_file_of_the_host_is_visible,
    kernel_settings_cannot_be_written,
    dangerous_system_calls_do_not_exist,
    namespaces_cannot_be_made,
    device_nodes_cannot_be_made,
    the_daemon_cannot_be_read_traced_or_ended,
    the_daemon_cannot_be_made_to_starve,
    capabilities_are_the_listed_ones_and_cannot_be_raised,
    no_descriptor_leaks_into_a_command,
    a_working_folder_behind_a_descriptor_leads_nowhere,
    masked_files_tell_nothing,
    another_sandboxs_disk_is_out_of_reach,
    ids_on_the_host_are_the_sandboxs_own,
    callers_credentials_are_nowhere_inside,
    sockets_of_dangerous_families_cannot_be_made,
    code_of_the_kernel_that_nobody_needs_is_out_of_reach,
    no_system_call_that_is_newer_than_the_list_exists,
    terminals_cannot_be_typed_into,
    keys_of_the_host_are_not_held,
    the_host_name_and_control_groups_are_out_of_reach,
];

async fn the_user_is_not_root_and_sudo_makes_root() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    assert_eq!(bench.exec(id, "id -u; id -un; sudo -n id -u").await.output, "1000\ndaytona\n0\n");
    bench.close().await;
}

async fn only_the_sandboxs_own_processes_are_visible() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    let done = bench.sudo(id, "ls /proc | grep -c '^[0-9]*$'; cat /proc/1/comm").await;
    let count: u32 = done.output.lines().next().expect("a line").parse().expect("a number");
    // The daemon, sudo, the shell and what it starts.
    assert!(count < 12, "{done:?}");
    let host = std::process::id();
    let done =
        bench.sudo(id, &format!("kill -0 {host} 2>&1; ls /proc/{host} 2>&1 | head -1")).await;
    assert!(done.output.contains("No such process") || count > host, "{done:?}");
    bench.close().await;
}

async fn no_file_of_the_host_is_visible() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    let marker = bench.folder.state().join("host-marker");
    std::fs::write(&marker, "secret").expect("a marker");
    let path = marker.display();
    let done = bench
        .sudo(id, &format!("cat {path} /proc/1/root{path} /proc/self/root/../..{path} 2>&1"))
        .await;
    assert!(!done.output.contains("secret"), "{done:?}");
    let done = bench
        .sudo(id, "find / -xdev -name host-marker 2>/dev/null; cat /proc/self/mountinfo")
        .await;
    assert!(!done.output.contains("host-marker"), "{done:?}");
    // Nothing but what the launcher attached, and no path of the host in any of it.
    let roots: Vec<&str> = done.output.lines().filter_map(|line| line.split(' ').nth(4)).collect();
    let known = ["/", "/proc", "/sys", "/dev"];
    assert!(
        roots.iter().all(|root| known.contains(root)
            || root.starts_with("/proc/")
            || root.starts_with("/sys/")
            || root.starts_with("/dev/")),
        "{roots:?}"
    );
    assert!(!done.output.contains(&bench.folder.state().display().to_string()), "{done:?}");
    bench.close().await;
}

async fn kernel_settings_cannot_be_written() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    let files = [
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/modprobe",
        "/proc/sys/kernel/randomize_va_space",
        "/proc/sys/vm/drop_caches",
        "/proc/sys/vm/overcommit_memory",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/sys/net/ipv4/ip_unprivileged_port_start",
        "/proc/sys/fs/binfmt_misc/register",
        "/proc/sysrq-trigger",
        "/proc/irq/default_smp_affinity",
        "/sys/kernel/uevent_helper",
        "/sys/fs/cgroup/release_agent",
        "/sys/class/net/eth0/mtu",
    ];
    for file in files {
        let before = std::fs::read(file).ok();
        let done = bench.sudo(id, &format!("(echo 1 > {file}) 2>/dev/null && echo written")).await;
        assert!(!done.output.contains("written"), "{file}");
        if file.starts_with("/proc/sys/kernel") {
            assert_eq!(std::fs::read(file).ok(), before, "{file}");
        }
    }
    let done = bench.sudo(id, "mount -o remount,rw /sys 2>&1; mount -o remount,rw /proc/sys 2>&1; echo 1 > /proc/sys/vm/drop_caches").await;
    assert_ne!(done.exit_code, 0, "{done:?}");
    bench.close().await;
}

/// Numbers on x86_64 of calls that must answer "not implemented" (38) or "not permitted" (1), as root.
const REFUSED_CALLS: [(&str, i64); 38] = [
    ("mount", libc::SYS_mount),
    ("umount2", libc::SYS_umount2),
    ("pivot_root", libc::SYS_pivot_root),
    ("fsopen", libc::SYS_fsopen),
    ("fsmount", libc::SYS_fsmount),
    ("open_tree", libc::SYS_open_tree),
    ("move_mount", libc::SYS_move_mount),
    ("mount_setattr", libc::SYS_mount_setattr),
    ("unshare", libc::SYS_unshare),
    ("setns", libc::SYS_setns),
    ("clone3", libc::SYS_clone3),
    ("init_module", libc::SYS_init_module),
    ("finit_module", libc::SYS_finit_module),
    ("delete_module", libc::SYS_delete_module),
    ("kexec_load", libc::SYS_kexec_load),
    ("bpf", libc::SYS_bpf),
    ("io_uring_setup", libc::SYS_io_uring_setup),
    ("io_uring_enter", libc::SYS_io_uring_enter),
    ("userfaultfd", libc::SYS_userfaultfd),
    ("perf_event_open", libc::SYS_perf_event_open),
    ("keyctl", libc::SYS_keyctl),
    ("add_key", libc::SYS_add_key),
    ("request_key", libc::SYS_request_key),
    ("open_by_handle_at", libc::SYS_open_by_handle_at),
    ("reboot", libc::SYS_reboot),
    ("swapon", libc::SYS_swapon),
    ("swapoff", libc::SYS_swapoff),
    ("iopl", libc::SYS_iopl),
    ("ioperm", libc::SYS_ioperm),
    ("syslog", libc::SYS_syslog),
    ("acct", libc::SYS_acct),
    ("quotactl", libc::SYS_quotactl),
    ("settimeofday", libc::SYS_settimeofday),
    ("clock_settime", libc::SYS_clock_settime),
    ("fanotify_init", libc::SYS_fanotify_init),
    ("kcmp", libc::SYS_kcmp),
    ("sethostname", libc::SYS_sethostname),
    ("vhangup", libc::SYS_vhangup),
];

async fn dangerous_system_calls_do_not_exist() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    let table: Vec<String> =
        REFUSED_CALLS.iter().map(|(name, number)| format!("('{name}', {number})")).collect();
    let program = format!(
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n\
        for name, number in [{}]:\n    ctypes.set_errno(0)\n    r = libc.syscall(number, 0, 0, 0, 0, 0)\n\
        \n    e = ctypes.get_errno()\n    if r != -1 or e not in (1, 38): print(name, r, e)",
        table.join(", ")
    );
    let done = bench.sudo_python(id, &program).await;
    assert_eq!((done.exit_code, done.output.as_str()), (0, ""));
    bench.close().await;
}

async fn namespaces_cannot_be_made() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    // clone(2) with each namespace flag, from C's point of view: a raw call with a null stack.
    let program = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n\
        for name, flag in dict(mount=0x20000, cgroup=0x2000000, uts=0x4000000, ipc=0x8000000, user=0x10000000, pid=0x20000000, net=0x40000000).items():\n\
        \x20   r = libc.syscall(56, flag | 17, 0, 0, 0, 0)\n\
        \x20   if r == 0: os._exit(0)\n\
        \x20   if r != -1: print(name, 'made')\n";
    for done in [
        bench.sudo_python(id, program).await,
        bench.exec(id, &format!("python3 -c {}", quote(program))).await,
    ] {
        assert_eq!((done.exit_code, done.output.as_str()), (0, ""));
    }
    assert_ne!(bench.exec(id, "unshare --user --map-root-user id").await.exit_code, 0);
    bench.close().await;
}

async fn device_nodes_cannot_be_made() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    let device = std::fs::metadata("/")
        .map(|root| std::os::unix::fs::MetadataExt::dev(&root))
        .expect("a device");
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    for folder in ["/tmp", "/dev", "/dev/shm"] {
        let made = bench
            .sudo(id, &format!("mknod {folder}/disk b {major} {minor} 2>&1 && cat {folder}/disk"))
            .await;
        assert!(made.output.contains("not permitted"), "{folder}: {made:?}");
    }
    assert_eq!(
        bench.exec(id, "ls /dev | tr '\\n' ' '").await.output,
        "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero "
    );
    assert_eq!(
        bench.exec(id, "echo x > /dev/null && head -c4 /dev/zero | wc -c").await.output,
        "4\n"
    );
    bench.close().await;
}

async fn the_daemon_cannot_be_read_traced_or_ended() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    for file in [
        "mem",
        "environ",
        "maps",
        "exe",
        "fd/3",
        "root/etc/passwd",
        "cwd/x",
        "auxv",
        "syscall",
        "stack",
    ] {
        let done = bench
            .sudo(id, &format!("(cat /proc/1/{file} > /tmp/out) 2>&1 && stat -c %s /tmp/out"))
            .await;
        assert!(done.exit_code != 0 || done.output.trim() == "0", "/proc/1/{file}: {done:?}");
    }
    let done = bench
        .sudo(
            id,
            "cp /bin/true /tmp/true; (cat /tmp/true > /proc/1/exe) 2>&1; ls -l /proc/1/fd 2>&1",
        )
        .await;
    assert!(done.output.contains("Permission denied"), "{done:?}");
    let program = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n\
        for request in (16, 0x4206): print(libc.ptrace(request, 1, 0, 0))\n\
        b = ctypes.create_string_buffer(64)\n\
        print(libc.syscall(438, libc.syscall(434, 1, 0), 3, 0))\n";
    let done = bench.sudo_python(id, program).await;
    assert_eq!(done.output, "-1\n-1\n-1\n");
    // Files are touched by threads of the daemon that belong to the user, who may send them signals.
    let (status, _) = get(bench.connect(id).await, "/files?path=/tmp").await;
    assert_eq!(status, 200);
    let all = "for task in 1 $(ls /proc/1/task); do for signal in TERM KILL STOP SEGV HUP INT XCPU; do kill -$signal $task; done; done 2>/dev/null; true";
    assert_eq!(bench.exec(id, all).await.exit_code, 0);
    assert_eq!(bench.sudo(id, all).await.exit_code, 0);
    // No processor time, no descriptors: as limits of process 1 and of its threads.
    let program = "import ctypes, os, struct\nlibc = ctypes.CDLL(None, use_errno=True)\n\
        for task in [1] + [int(name) for name in os.listdir('/proc/1/task')]:\n\
        \x20   for resource in (0, 7):\n\
        \x20       if libc.syscall(302, task, resource, struct.pack('QQ', 0, 0), 0) != -1: print('set', task, resource)\n\
        print(libc.syscall(302, 0, 7, None, bytes(16)))";
    assert_eq!(bench.exec(id, &format!("python3 -c {}", quote(program))).await.output, "0\n");
    assert_eq!(bench.sudo_python(id, program).await.output, "0\n");
    assert_eq!(bench.exec(id, "echo well").await.output, "well\n");
    bench.close().await;
}

async fn the_daemon_cannot_be_made_to_starve() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    // By its number, its group, its user; other processes may be.
    let program = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n\
        mask = ctypes.c_ulong(1)\n\
        zero = (ctypes.c_char * 64)()\n\
        for call in ((141, 0, 1, 19), (141, 1, 1, 19), (141, 2, 0, 19), (251, 1, 1, 3 << 13), (251, 3, 0, 3 << 13), \
            (144, 1, 5, zero), (142, 1, zero), (203, 1, 8, ctypes.byref(mask)), (314, 1, zero, 0)):\n\
        \x20   assert libc.syscall(*call) == -1 and ctypes.get_errno() == 38, call\n\
        own = os.getpid()\n\
        for call in ((141, 0, own, 1), (141, 0, 0, 2), (251, 1, own, 3 << 13), (203, 0, 8, ctypes.byref(mask)), \
            (144, own, 5, zero)):\n\
        \x20   assert libc.syscall(*call) == 0, call\n\
        print(open('/proc/1/stat').read().split()[18])";
    let done = bench.sudo_python(id, program).await;
    assert_eq!((done.exit_code, done.output.as_str()), (0, "0\n"), "{done:?}");
    bench.close().await;
}

async fn capabilities_are_the_listed_ones_and_cannot_be_raised() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    let show = "grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)|Seccomp:' /proc/self/status | tr -d '\\t' | tr '\\n' ' '";
    // chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service, sys_chroot, setfcap.
    let listed = "00000000800405fb";
    let none = "0000000000000000";
    assert_eq!(
        bench.sudo(id, show).await.output,
        format!(
            "CapInh:{none} CapPrm:{listed} CapEff:{listed} CapBnd:{listed} CapAmb:{none} Seccomp:2 "
        )
    );
    assert_eq!(
        bench.exec(id, show).await.output,
        format!(
            "CapInh:{none} CapPrm:{none} CapEff:{none} CapBnd:{listed} CapAmb:{none} Seccomp:2 "
        )
    );
    // A file may claim any capability; the bounding set decides.
    let program = "import os, struct, subprocess\n\
        import shutil; shutil.copy('/bin/cat', '/tmp/cat')\n\
        caps = struct.pack('<IIIII', 0x02000001, 0xffffffff, 0, 0xffffffff, 0)\n\
        os.setxattr('/tmp/cat', 'security.capability', caps)\n\
        r = subprocess.run(['/tmp/cat', '/proc/self/status'], capture_output=True, text=True)\n\
        print([l for l in r.stdout.splitlines() if l.startswith('CapPrm')])";
    let done = bench.sudo_python(id, program).await;
    assert!(!done.output.contains("ffffffff"), "{done:?}");
    bench.close().await;
}

async fn no_descriptor_leaks_into_a_command() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    let program = "import os\nfor fd in sorted(map(int, os.listdir('/proc/self/fd'))):\n\
        \x20   try: print(fd, os.readlink(f'/proc/self/fd/{fd}').split(':')[0])\n    except FileNotFoundError: pass";
    let done = bench.exec(id, &format!("python3 -c {}", quote(program))).await;
    let numbers: Vec<&str> =
        done.output.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(numbers, ["0", "1", "2"], "{done:?}");
    bench.close().await;
}

async fn a_working_folder_behind_a_descriptor_leads_nowhere() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    for number in 0..=20 {
        for process in ["self", "1"] {
            let cwd = format!("/proc/{process}/fd/{number}");
            let done = bench.execute(id, json!({"command": "ls -a ../../../../etc/hostname; cat ../../../../etc/hostname", "cwd": cwd})).await;
            assert_eq!(done.exit_code, -1, "{cwd}: {done:?}");
        }
    }
    bench.close().await;
}

async fn masked_files_tell_nothing() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    for file in [
        "cmdline",
        "diskstats",
        "interrupts",
        "kallsyms",
        "kcore",
        "key-users",
        "keys",
        "locks",
        "partitions",
        "softirqs",
        "swaps",
        "timer_list",
    ] {
        let file = format!("/proc/{file}");
        let done = bench
            .sudo(id, &format!("[ ! -e {file} ] || head -c 100 {file} 2>/dev/null | wc -c"))
            .await;
        assert!(done.output.is_empty() || done.output == "0\n", "{file}: {done:?}");
    }
    for folder in ["/sys/fs/cgroup", "/proc/acpi", "/proc/fs", "/proc/pressure", "/proc/scsi"] {
        let done = bench.sudo(id, &format!("ls -A {folder} 2>/dev/null | wc -l")).await;
        assert_eq!(done.output, "0\n", "{folder}");
    }
    for folder in
        ["/sys/kernel", "/sys/firmware", "/sys/module", "/sys/block", "/sys/bus", "/sys/dev"]
    {
        let done = bench.sudo(id, &format!("ls -d {folder} 2>/dev/null")).await;
        assert_eq!(done.output, "", "{folder}");
    }
    bench.close().await;
}

async fn another_sandboxs_disk_is_out_of_reach() {
    let bench = Bench::start().await;
    let (one, other) = (bench.create().await, bench.create().await);
    bench.exec(one, "echo treasure-of-one > ~/treasure").await;
    let done = bench.sudo(other, "cat /home/daytona/treasure 2>&1; grep -rls treasure-of-one /home /tmp /var /dev/shm /run 2>/dev/null").await;
    assert!(!done.output.contains("treasure-of-one"), "{done:?}");
    let devices = bench.sudo(other, "ls -d /dev/loop* /sys/block 2>/dev/null").await;
    assert_eq!(devices.output, "");
    bench.close().await;
}

async fn ids_on_the_host_are_the_sandboxs_own() {
    let bench = Bench::start().await;
    let (one, other) = (bench.create().await, bench.create().await);
    let map = |id| {
        bench.exec(
            id,
            "cat /proc/self/uid_map /proc/self/gid_map | awk '{print $1, $3, ($2 >= 1879048192)}'",
        )
    };
    assert_eq!(map(one).await.output, "0 65536 1\n0 65536 1\n");
    let base = |id| bench.exec(id, "awk '{print $2}' /proc/self/uid_map");
    assert_ne!(base(one).await.output, base(other).await.output);
    // On disk the owners are small numbers, whatever the range.
    assert_eq!(
        bench
            .sudo(
                one,
                "touch /root/x && stat -c %u /root/x && chown 65535 /root/x && stat -c %u /root/x"
            )
            .await
            .output,
        "0\n65535\n"
    );
    bench.close().await;
}

async fn callers_credentials_are_nowhere_inside() {
    let bench = Bench::start().await;
    let mut spec = spec();
    spec.environment.insert(String::from("VISIBLE"), String::from("yes"));
    bench.engine.create(&spec).await.expect("a sandbox");
    let done = bench.exec(spec.id, "env | cut -d= -f1 | sort | tr '\\n' ' '").await;
    for name in ["AUTHORIZATION", "COOKIE", "TOKEN", "API_KEY", "SECRET"] {
        assert!(!done.output.to_uppercase().contains(name), "{done:?}");
    }
    assert!(done.output.contains("VISIBLE"), "{done:?}");
    bench.close().await;
}

async fn sockets_of_dangerous_families_cannot_be_made() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    // Every family but unix, IPv4, IPv6 and netlink.
    let program = "import socket\nfor family in range(1, 46):\n    if family in (1, 2, 10, 16): continue\n\
        \x20   for kind in (1, 2, 3, 5):\n\
        \x20       try: socket.socket(family, kind); print(family, kind)\n        except OSError: pass";
    let done = bench.sudo_python(id, program).await;
    assert_eq!((done.exit_code, done.output.as_str()), (0, ""));
    bench.close().await;
}

async fn code_of_the_kernel_that_nobody_needs_is_out_of_reach() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    // Protocols of modules, line disciplines, the kernel's own TLS and core scheduling; what is left works.
    let program = "import ctypes, fcntl, os, socket, struct\n\
        def refused(call, *arguments):\n\
        \x20   try: call(*arguments)\n\
        \x20   except OSError as error: return error.errno == 38\n\
        for family in (2, 10):\n\
        \x20   for protocol in (33, 115, 132, 136, 256, 262):\n\
        \x20       for kind in (1, 2, 5): assert refused(socket.socket, family, kind, protocol), protocol\n\
        \x20   for kind, protocol in ((1, 0), (1, 6), (2, 0), (2, 17)): socket.socket(family, kind, protocol)\n\
        main, sub = os.openpty()\n\
        for discipline in (0, 2, 21): assert refused(fcntl.ioctl, sub, 0x5423, struct.pack('i', discipline))\n\
        one = socket.socket()\n\
        assert refused(one.setsockopt, 6, 31, b'tls')\n\
        assert refused(one.setsockopt, 1, 26, b'x' * 16)\n\
        one.setsockopt(6, 1, 1)\n\
        one.setsockopt(1, 2, 1)\n\
        one.setsockopt(0, 1, 8)\n\
        libc = ctypes.CDLL(None, use_errno=True)\n\
        assert libc.prctl(62, 1, 0, 0, 0) == -1 and ctypes.get_errno() == 38\n\
        assert libc.prctl(15, b'name', 0, 0, 0) == 0\n\
        print('done')";
    let done = bench.sudo_python(id, program).await;
    assert_eq!((done.exit_code, done.output.as_str()), (0, "done\n"), "{done:?}");
    bench.close().await;
}

async fn no_system_call_that_is_newer_than_the_list_exists() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    // Beyond `mseal`; among them those that list mounts and change attributes by descriptors.
    let program = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n\
        for number in [*range(453, 462), *range(463, 1100), *range(0x40000000, 0x40000460)]:\n\
        \x20   libc.syscall(number, -1, -1, -1, -1, -1, -1)\n\
        \x20   assert ctypes.get_errno() == 38, number\n\
        print('done')";
    let done = bench.sudo_python(id, program).await;
    assert_eq!((done.exit_code, done.output.as_str()), (0, "done\n"), "{done:?}");
    bench.close().await;
}

async fn terminals_cannot_be_typed_into() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    let program = "import fcntl, os\nmain, sub = os.openpty()\nos.setsid()\nfcntl.ioctl(sub, 0x540E, 0)\n\
        for request in (0x5412, 0x100005412, 0x541C):\n\
        \x20   import ctypes\n    libc = ctypes.CDLL(None, use_errno=True)\n\
        \x20   print(libc.ioctl(sub, ctypes.c_ulong(request), b'x'))";
    let done = bench
        .exec(id, &format!("setsid -w python3 -c {}", quote(&program.replace("os.setsid()\n", ""))))
        .await;
    assert_eq!(done.output, "-1\n-1\n-1\n");
    bench.close().await;
}

async fn keys_of_the_host_are_not_held() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    let program = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nprint(libc.syscall(250, 0, -3, 0))";
    assert_eq!(bench.sudo_python(id, program).await.output, "-1\n");
    bench.close().await;
}

async fn the_host_name_and_control_groups_are_out_of_reach() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    let done = bench.sudo(id, "hostname other 2>&1; cat /proc/sys/kernel/hostname").await;
    assert!(done.output.ends_with("sandbox\n"), "{done:?}");
    let done = bench
        .exec(id, "find /sys/fs/cgroup -name tasks -o -name cgroup.procs 2>/dev/null | wc -l")
        .await;
    assert_eq!(done.output, "0\n");
    // The path that a process sees begins at the sandbox's own group.
    let done = bench.exec(id, "cut -d: -f3 /proc/self/cgroup | sort -u").await;
    assert!(!done.output.contains(bench.folder.name()), "{done:?}");
    let mode = std::fs::metadata(bench.folder.run()).expect("the folder").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    bench.close().await;
}
