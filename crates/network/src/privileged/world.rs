//! A made-up host and a made-up internet.
//!
//! ```text
//! sandboxes ── router ── [ host: 11.22.0.2, 192.168.77.1 ] ── [ internet: 11.22.0.1, 11.22.33.44, 10.1.2.3, … ]
//! ```
//!
//! Behind the host everything answers, whatever its address: what cannot be reached is kept from being reached.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use pitlane_sys::enter_network;

use super::server::{NameServer, TcpServer};
use crate::config::{RouterConfig, RouterName, Uplink, Upstreams};
use crate::netlink::{Batch, End, Pair, Route};
use crate::resident::{Residents, new_namespace};
use crate::subnet::Subnet;
use crate::sysctl;
use crate::{Ipv4Net, Link};

pub(super) const HOST: Ipv4Addr = Ipv4Addr::new(11, 22, 0, 2);
pub(super) const HOST_LAN: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 1);
pub(super) const PUBLIC: Ipv4Addr = Ipv4Addr::new(11, 22, 33, 44);
pub(super) const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(11, 22, 33, 53);
/// Addresses of the internet that are nobody's business.
pub(super) const PRIVATE: [Ipv4Addr; 9] = [
    Ipv4Addr::new(10, 1, 2, 3),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(172, 16, 5, 5),
    Ipv4Addr::new(172, 31, 255, 254),
    Ipv4Addr::new(192, 168, 1, 1),
    Ipv4Addr::new(198, 18, 0, 1),
    Ipv4Addr::new(203, 0, 113, 9),
];
pub(super) const PORT: u16 = 80;

/// The host and the internet.
pub(super) struct World {
    pub(super) host: Residents,
    host_namespace: Arc<OwnedFd>,
    pub(super) host_server: TcpServer,
    pub(super) internet_server: TcpServer,
    _internet: Residents,
    _names: NameServer,
}

impl World {
    pub(super) async fn new() -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "these tests make namespaces: run them as root"
        );
        let host_namespace = Arc::new(new_namespace().await.unwrap());
        let internet_namespace = Arc::new(new_namespace().await.unwrap());
        let host = Residents::settle("host", &host_namespace, 1).await.unwrap();
        let internet = Residents::settle("internet", &internet_namespace, 1).await.unwrap();

        let there = Arc::clone(&internet_namespace);
        host.run(move |host| {
            let pair = Pair {
                here: End {
                    name: "wan",
                    index: 7,
                    hardware_address: [2, 0, 0, 0, 0, 1],
                    is_up: true,
                },
                there: End {
                    name: "wan",
                    index: 8,
                    hardware_address: [2, 0, 0, 0, 0, 2],
                    is_up: false,
                },
                namespace: there.as_fd(),
            };
            host.netlink
                .execute(
                    Batch::default()
                        .add_pair(&pair)
                        .set_up(1)
                        .add_address(7, HOST, 24)
                        .add_address(1, HOST_LAN, 32)
                        .add_route(Route {
                            destination: Ipv4Addr::UNSPECIFIED,
                            prefix: 0,
                            link: 7,
                            gateway: Some(Ipv4Addr::new(11, 22, 0, 1)),
                            source: None,
                        }),
                )
                .unwrap();
        })
        .await
        .unwrap();
        internet
            .run(|internet| {
                let mut batch = Batch::default();
                batch.set_up(1).set_up(8).add_address(8, Ipv4Addr::new(11, 22, 0, 1), 24);
                for address in [PUBLIC, NAME_SERVER].into_iter().chain(PRIVATE) {
                    batch.add_address(1, address, 32);
                }
                internet.netlink.execute(&batch).unwrap();
                // Only a host that translates addresses gets an answer.
                sysctl::write("ipv4/ip_forward", "0").unwrap();
            })
            .await
            .unwrap();
        let host_server = host.run(|_| TcpServer::start(PORT)).await.unwrap();
        let internet_server = internet.run(|_| TcpServer::start(PORT)).await.unwrap();
        let names = internet.run(|_| NameServer::start(NAME_SERVER)).await.unwrap();
        Self {
            host,
            host_namespace,
            host_server,
            internet_server,
            _internet: internet,
            _names: names,
        }
    }

    /// A router's configuration with this world at its uplink.
    pub(super) fn config(&self, allow_private: &[&str]) -> RouterConfig {
        let allow_private: Vec<Ipv4Net> =
            allow_private.iter().map(|network| network.parse().unwrap()).collect();
        RouterConfig {
            allow_private,
            uplink: Uplink::Namespace(self.host_namespace.try_clone().unwrap()),
            ..config_without_uplink()
        }
    }

    /// The names of the host's interfaces.
    pub(super) async fn host_links(&self) -> Vec<String> {
        let links = self.host.run(|host| host.netlink.links().unwrap()).await.unwrap();
        links.into_iter().map(|link| link.name).collect()
    }

    /// What the host's packet filter holds, as `nft` says it.
    pub(super) async fn host_rules(&self) -> String {
        self.host.run(|_| rules()).await.unwrap()
    }
}

pub(super) fn config_without_uplink() -> RouterConfig {
    RouterConfig {
        name: RouterName::parse("test").unwrap(),
        subnet: Subnet::standard(),
        allow_private: Vec::new(),
        uplink: Uplink::None,
        upstreams: Upstreams::Fixed(vec![SocketAddr::from((NAME_SERVER, 53))]),
    }
}

/// Runs a piece of work as a process of a sandbox would.
pub(super) fn inside<T: Send>(namespace: &OwnedFd, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            enter_network(namespace.as_fd()).unwrap();
            work()
        });
        thread.join().unwrap()
    })
}

/// Whom a sandbox reaches: what the server there says, or nothing.
pub(super) fn reach(link: &Link, address: Ipv4Addr, port: u16) -> Option<String> {
    inside(&link.namespace, || super::server::greeting(SocketAddr::from((address, port))))
}

/// Waits until something is so.
pub(super) async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < deadline, "not so in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "what the kernel holds, said by someone else")]
fn rules() -> String {
    let output = std::process::Command::new("nft").args(["list", "ruleset"]).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}
