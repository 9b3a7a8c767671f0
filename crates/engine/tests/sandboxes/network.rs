//! What a sandbox reaches, seen from inside; the router's own tests are in its crate.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::mpsc;

use pitlane_driver::Driver as _;
use pitlane_model::NetworkPolicy;
use pitlane_network::{Uplink, Upstreams};

use crate::support::{Bench, Folder, spec};

crate::trials![
    a_blocked_sandbox_has_no_link_and_no_names,
    the_hosts_loopback_is_not_the_sandboxs,
    sandboxes_do_not_reach_each_other,
    root_cannot_change_the_network,
    an_uplink_leads_to_the_internet_and_not_to_the_host,
];

/// A program that tries to connect and says what came of it.
fn connect(address: &str, port: u16) -> String {
    format!(
        "python3 -c \"import socket; s = socket.socket(); s.settimeout(3); print(s.connect_ex(('{address}', {port})))\""
    )
}

async fn a_blocked_sandbox_has_no_link_and_no_names() {
    let bench = Bench::start().await;
    let mut spec = spec();
    spec.network = NetworkPolicy::Blocked;
    bench.engine.create(&spec).await.expect("a sandbox");
    assert_eq!(bench.exec(spec.id, "ls /sys/class/net").await.output, "lo\n");
    assert_ne!(bench.exec(spec.id, "getent hosts example.com").await.exit_code, 0);
    // ENETUNREACH: there is no way at all.
    assert_eq!(bench.exec(spec.id, &connect("1.1.1.1", 80)).await.output, "101\n");
    assert_eq!(bench.exec(spec.id, "getent hosts localhost | head -c 9").await.exit_code, 0);
    bench.close().await;
}

async fn the_hosts_loopback_is_not_the_sandboxs() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    let listener = TcpListener::bind("0.0.0.0:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            drop(stream.and_then(|mut stream| stream.write_all(b"secret")));
        }
    });
    let gateway = bench.exec(id, "awk '/nameserver/ {print $2}' /etc/resolv.conf").await.output;
    for address in ["127.0.0.1", gateway.trim(), "192.168.0.1", "169.254.169.254", "10.0.0.1"] {
        let done = bench.exec(id, &connect(address, port)).await;
        assert_ne!(done.output, "0\n", "{address} answered");
        assert_eq!(done.exit_code, 0, "{done:?}");
    }
    bench.close().await;
}

async fn sandboxes_do_not_reach_each_other() {
    let bench = Bench::start().await;
    let server = bench.create().await;
    let client = bench.create().await;
    let serve = "setsid python3 -m http.server 8000 --bind 0.0.0.0 >/dev/null 2>&1 & \
        for i in $(seq 100); do curl -s -o /dev/null localhost:8000 && break; sleep 0.1; done; \
        python3 -c \"import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); \
        s.connect(('8.8.8.8', 9)); print(s.getsockname()[0])\"";
    let address = bench.exec(server, serve).await.output;
    let address = address.trim();
    assert!(address.starts_with("10.213."), "{address}");
    assert_eq!(bench.exec(server, &connect(address, 8000)).await.output, "0\n", "it serves");
    let done = bench.exec(client, &connect(address, 8000)).await;
    assert_ne!(done.output, "0\n", "the other sandbox reaches it");
    bench.close().await;
}

async fn root_cannot_change_the_network() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    let program = "import socket, fcntl, struct\n\
        def attempt(name, f):\n    try: f(); print(name, 'succeeded')\n    except OSError as e: print(name, 'failed')\n\
        attempt('raw', lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))\n\
        attempt('packet', lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3))\n\
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        attempt('down', lambda: fcntl.ioctl(s, 0x8914, struct.pack('16sh', b'eth0', 0)))\n\
        attempt('address', lambda: fcntl.ioctl(s, 0x8916, struct.pack('16sH2s4s8s', b'eth0', 2, b'', bytes([10, 213, 0, 9]), b'')))\n\
        t = socket.socket(); attempt('transparent', lambda: t.setsockopt(0, 19, 1))\n\
        attempt('low port', lambda: t.bind(('0.0.0.0', 80)))";
    let done = bench.sudo_python(id, program).await;
    let expected = "raw failed\npacket failed\ndown failed\naddress failed\ntransparent failed\nlow port succeeded\n";
    assert_eq!(done.output, expected);
    bench.close().await;
}

/// Runs `ip` in the network namespace of the calling thread.
fn ip(arguments: &str) {
    #[expect(clippy::disallowed_methods, reason = "preparing a test's surroundings")]
    let done = std::process::Command::new("ip").args(arguments.split(' ')).status();
    assert!(done.expect("iproute2 is installed").success(), "ip {arguments}");
}

/// Says `text` to whoever connects to port 80 in the network namespace of the calling thread.
fn say(text: &'static str) {
    let listener = TcpListener::bind("0.0.0.0:80").expect("a listener");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            drop(stream.and_then(|mut stream| stream.write_all(text.as_bytes())));
        }
    });
}

/// A made-up host with a made-up internet behind it: 93.184.216.34 is out there; 11.22.0.2 and 10.9.9.9 are the host's
/// own addresses. Answers the host's namespace.
fn made_up_host() -> OwnedFd {
    let (send_thread, thread) = mpsc::channel();
    let (send_linked, linked) = mpsc::channel();
    let internet = std::thread::spawn(move || {
        // The thread stays in it: its sockets and the commands it starts belong there.
        let _namespace = pitlane_sys::new_network_namespace().expect("a namespace");
        ip("link set lo up");
        ip("address add 93.184.216.34/32 dev lo");
        send_thread.send(rustix::thread::gettid()).expect("somebody waits");
        linked.recv().expect("a link");
        ip("address add 11.22.0.1/24 dev wan0");
        ip("link set wan0 up");
        say("the internet");
    });
    let host = std::thread::spawn(move || {
        let namespace = pitlane_sys::new_network_namespace().expect("a namespace");
        let there = thread.recv().expect("an internet");
        ip("link set lo up");
        ip("address add 10.9.9.9/32 dev lo");
        ip("link add wan type veth peer name wan0");
        ip(&format!("link set wan0 netns {}", there.as_raw_nonzero()));
        ip("address add 11.22.0.2/24 dev wan");
        ip("link set wan up");
        ip("route add default via 11.22.0.1");
        send_linked.send(()).expect("somebody waits");
        say("the host");
        namespace
    });
    internet.join().expect("an internet");
    host.join().expect("a host")
}

async fn an_uplink_leads_to_the_internet_and_not_to_the_host() {
    let uplink = Uplink::Namespace(made_up_host());
    let bench = Bench::start_with(Folder::new(), uplink, Upstreams::Fixed(Vec::new())).await;
    let id = bench.create().await;
    let read = |address: &str| {
        format!("timeout 5 bash -c 'exec 3<>/dev/tcp/{address}/80 && cat <&3' 2>/dev/null")
    };
    assert_eq!(bench.exec(id, &read("93.184.216.34")).await.output, "the internet");
    for address in ["11.22.0.2", "10.9.9.9", "127.0.0.1"] {
        assert_eq!(bench.exec(id, &read(address)).await.output, "", "{address}");
    }
    let mut blocked = spec();
    blocked.network = NetworkPolicy::Blocked;
    bench.engine.create(&blocked).await.expect("a sandbox");
    assert_eq!(bench.exec(blocked.id, &read("93.184.216.34")).await.output, "");
    bench.close().await;
}
