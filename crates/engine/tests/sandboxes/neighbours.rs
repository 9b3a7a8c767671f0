//! Attempts to use up what the whole machine has once, or to learn of what others do with it.

use crate::support::{Bench, quote};

crate::trials![
    one_sandbox_cannot_use_up_what_others_watch_and_send_with,
    one_sandbox_cannot_use_up_the_machines_terminals,
    asynchronous_requests_of_the_machine_cannot_be_used_up,
    the_kernels_stock_of_filters_cannot_be_used_up,
    sockets_cannot_hold_more_memory_than_the_sandbox_has,
    netlink_speaks_of_the_sandboxs_own_links_and_sockets_only,
    the_machine_cannot_be_told_to_watch_itself,
    no_name_of_another_sandbox_or_of_the_hosts_folders_is_shown,
];

/// Takes as many as there are and keeps them for a while, out of the command's reach.
const TAKE_ALL: &str = "import ctypes, os, sys, time\n\
    libc = ctypes.CDLL(None, use_errno=True)\n\
    class Queue(ctypes.Structure): _fields_ = [(n, ctypes.c_long) for n in ('flags', 'messages', 'size', 'current')] + [('rest', ctypes.c_long * 4)]\n\
    watches, queues = 0, 0\n\
    while watches < 20000 and libc.inotify_init1(0) >= 0: watches += 1\n\
    while queues < 200 and libc.syscall(240, b'q%d' % (queues + os.getpid() * 1000), 0o102, 0o600, ctypes.byref(Queue(0, 10, 8192, 0))) >= 0: queues += 1\n\
    print(watches > 0, queues > 0, flush=True)\n\
    if os.fork() == 0:\n\
    \x20   null = os.open('/dev/null', os.O_RDWR)\n\
    \x20   for number in range(3): os.dup2(null, number)\n\
    \x20   os.setsid(); time.sleep(60)";

async fn one_sandbox_cannot_use_up_what_others_watch_and_send_with() {
    let bench = Bench::start().await;
    let (one, other) = (bench.create().await, bench.create().await);
    // More than a process may have open otherwise.
    let take = format!("ulimit -n $(ulimit -H -n); python3 -c {}", quote(TAKE_ALL));
    assert_eq!(bench.exec(one, &take).await.output, "True True\n");
    assert_eq!(bench.exec(other, &take).await.output, "True True\n");
    bench.close().await;
}

async fn one_sandbox_cannot_use_up_the_machines_terminals() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    let program = "import os\ncount = 0\n\
        try:\n    while count < 1000: os.open('/dev/ptmx', os.O_RDWR); count += 1\n\
        except OSError: pass\nprint(count)";
    let done =
        bench.exec(id, &format!("ulimit -n $(ulimit -H -n); python3 -c {}", quote(program))).await;
    assert_eq!(done.output, "256\n");
    bench.close().await;
}

async fn asynchronous_requests_of_the_machine_cannot_be_used_up() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    let program = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n\
        print(libc.syscall(206, 128, ctypes.byref(ctypes.c_ulong(0))), ctypes.get_errno())";
    assert_eq!(bench.sudo_python(id, program).await.output, "-1 38\n");
    bench.close().await;
}

async fn the_kernels_stock_of_filters_cannot_be_used_up() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    // One instruction that lets everything pass, as SO_ATTACH_FILTER and SO_ATTACH_REUSEPORT_CBPF; the level also with
    // bits that the kernel does not look at.
    let program = "import ctypes, socket, struct\nlibc = ctypes.CDLL(None, use_errno=True)\n\
        code = ctypes.create_string_buffer(struct.pack('<HBBI', 6, 0, 0, 0xffff))\n\
        program = struct.pack('<HxxxxxxQ', 1, ctypes.addressof(code))\n\
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        for option in (26, 51, 0x10000001a):\n\
        \x20   for level in (1, 0x100000001):\n\
        \x20       print(libc.syscall(54, s.fileno(), ctypes.c_ulong(level), ctypes.c_ulong(option), program, 16), end=' ')\n\
        print(libc.syscall(54, s.fileno(), 1, 2, struct.pack('i', 1), 4))";
    assert_eq!(bench.sudo_python(id, program).await.output, "-1 -1 -1 -1 -1 -1 0\n");
    bench.close().await;
}

async fn sockets_cannot_hold_more_memory_than_the_sandbox_has() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    // Connections to itself that nobody reads from, each with as much as the kernel takes: without a limit, 1.3 GB.
    let program = "import socket\nlistener = socket.socket(); listener.bind(('127.0.0.1', 0)); listener.listen(200)\n\
        kept, total = [], 0\n\
        for _ in range(110):\n\
        \x20   client = socket.socket(); client.settimeout(5)\n\
        \x20   try: client.connect(listener.getsockname())\n    except OSError: break\n\
        \x20   kept += [client, listener.accept()[0]]; client.setblocking(False)\n\
        \x20   try:\n        while True: total += client.send(bytes(65536))\n    except BlockingIOError: pass\n\
        print(total)";
    let done = bench.exec(id, &format!("python3 -c {}", quote(program))).await;
    let held: u64 = done.output.trim().parse().unwrap_or_else(|_| panic!("{done:?}"));
    assert!(held < 1 << 30, "{held} bytes");
    bench.close().await;
}

async fn netlink_speaks_of_the_sandboxs_own_links_and_sockets_only() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    let program = "import socket\nfor protocol in range(32):\n\
        \x20   try: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol); print(protocol)\n\
        \x20   except OSError: pass";
    // Routes, sockets, and the audit log, which answers nobody but the host.
    let done = bench.sudo_python(id, program).await.output;
    assert!(done.lines().all(|protocol| ["0", "4", "9"].contains(&protocol)), "{done}");
    assert!(done.starts_with("0\n"), "{done}");
    bench.close().await;
}

async fn the_machine_cannot_be_told_to_watch_itself() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    let watch = "echo 'some 500000 2000000' 1<> /proc/pressure/cpu";
    assert_ne!(bench.exec(id, watch).await.exit_code, 0);
    assert_ne!(bench.sudo(id, watch).await.exit_code, 0);
    bench.close().await;
}

async fn no_name_of_another_sandbox_or_of_the_hosts_folders_is_shown() {
    let bench = Bench::start().await;
    let (one, other) = (bench.create().await, bench.create().await);
    let folder = bench.folder.root().file_name().expect("a name").to_string_lossy().into_owned();
    // Everything in the kernel's file systems that can be read, other processes' files aside, and every name there.
    let search = |pattern: &str| {
        format!(
            "timeout 50 grep -rslaF -D skip -e {pattern} /sys $(ls -d /proc/[a-z]* /proc/1 | grep -v -e self -e net -e mounts); \
             find /sys /proc -name '*{pattern}*' 2>/dev/null"
        )
    };
    assert_eq!(bench.sudo(one, &search(&folder)).await.output, "");
    assert_eq!(bench.sudo(one, &search(&other.to_string())).await.output, "");
    assert_eq!(bench.sudo(one, "ls -d /sys/block /proc/fs/*/loop* 2>/dev/null").await.output, "");
    assert_eq!(
        bench
            .exec(one, "ls /sys /sys/class /sys/class/net /sys/devices/virtual | tr '\\n' ' '")
            .await
            .output,
        "/sys: class devices fs  /sys/class: net  /sys/class/net: eth0 lo  /sys/devices/virtual: net "
    );
    assert_ne!(bench.exec(one, "cat /sys/devices/system/cpu/online").await.output, "");
    assert_ne!(bench.exec(one, "cat /sys/class/net/eth0/mtu").await.output, "");
    bench.close().await;
}
