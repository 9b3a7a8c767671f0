//! What a sandbox reaches through the uplink.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketType, bind, ipproto, recv, sendto, socket,
};

use super::server::TcpServer;
use super::world::{
    HOST, HOST_LAN, PORT, PRIVATE, PUBLIC, World, config_without_uplink, inside, reach,
};
use crate::subnet::Subnet;
use crate::{OpenRouterError, Router, RouterConfig, UplinkError};

#[tokio::test]
async fn a_sandbox_reaches_the_internet_as_the_host() {
    let world = World::new().await;
    let router = Router::create(world.config(&[])).await.unwrap();
    let link = router.link(1).await.unwrap();
    assert_eq!(reach(&link, PUBLIC, PORT), Some(HOST.to_string()));
    router.close().await.unwrap();
}

#[tokio::test]
async fn a_sandbox_reaches_no_private_address_though_someone_answers_there() {
    let world = World::new().await;
    let router = Router::create(world.config(&[])).await.unwrap();
    let link = router.link(1).await.unwrap();
    for address in PRIVATE {
        assert_eq!(reach(&link, address, PORT), None, "{address}");
    }
    assert_eq!(world.internet_server.accepted(), 0);
    router.close().await.unwrap();
}

/// The test above would hold without any rule if nobody could be reached there.
#[tokio::test]
async fn an_operator_who_allows_everything_opens_everything() {
    let world = World::new().await;
    let router = Router::create(world.config(&["0.0.0.0/0"])).await.unwrap();
    let (link, other) = (router.link(1).await.unwrap(), router.link(2).await.unwrap());
    for address in PRIVATE.into_iter().chain([PUBLIC]) {
        assert_eq!(reach(&link, address, PORT), Some(HOST.to_string()), "{address}");
    }
    assert!(reach(&link, HOST, PORT).is_some() && reach(&link, HOST_LAN, PORT).is_some());
    // But for what is never open.
    let server = inside(&other.namespace, || TcpServer::start(PORT));
    let uplink = [router.subnet().uplink_near(), router.subnet().uplink_far()];
    for address in [other.address].into_iter().chain(uplink) {
        assert_eq!(reach(&link, address, PORT), None, "{address}");
    }
    assert_eq!(server.accepted(), 0);
    router.close().await.unwrap();
}

#[tokio::test]
async fn an_allowed_range_opens_itself_and_nothing_else() {
    let world = World::new().await;
    let router = Router::create(world.config(&["172.16.0.0/16"])).await.unwrap();
    let link = router.link(1).await.unwrap();
    let reached: Vec<Ipv4Addr> =
        PRIVATE.into_iter().filter(|&address| reach(&link, address, PORT).is_some()).collect();
    assert_eq!(reached, [Ipv4Addr::new(172, 16, 5, 5)]);
    router.close().await.unwrap();
}

#[tokio::test]
async fn a_sandbox_reaches_the_host_at_none_of_its_addresses() {
    let world = World::new().await;
    let router = Router::create(world.config(&[])).await.unwrap();
    let link = router.link(1).await.unwrap();
    for address in [HOST, HOST_LAN, router.subnet().uplink_far(), Ipv4Addr::LOCALHOST] {
        assert_eq!(reach(&link, address, PORT), None, "{address}");
    }
    assert_eq!(world.host_server.accepted(), 0);
    router.close().await.unwrap();
}

#[tokio::test]
async fn a_port_that_the_host_forwards_is_no_way_in() {
    let world = World::new().await;
    let router = Router::create(world.config(&[])).await.unwrap();
    let link = router.link(1).await.unwrap();
    // As container runtimes do for what they publish.
    let forward = "table ip published { chain in { type nat hook prerouting priority dstnat; \
                   ip daddr 11.22.0.2 tcp dport 8080 dnat to 10.1.2.3:80; }; }";
    world.host.run(move |_| crate::firewall::load(forward).unwrap()).await.unwrap();
    assert_eq!((reach(&link, HOST, 8080), world.internet_server.accepted()), (None, 0));
    router.close().await.unwrap();
}

#[tokio::test]
async fn datagrams_do_not_reach_private_addresses_either() {
    let world = World::new().await;
    let router = Router::create(world.config(&[])).await.unwrap();
    let link = router.link(1).await.unwrap();
    let refused = inside(&link.namespace, || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.connect((Ipv4Addr::new(169, 254, 169, 254), 53)).unwrap();
        socket.send(b"hello").unwrap();
        // The refusal is told, so that nobody waits for long.
        socket.recv(&mut [0; 16]).map_err(|error| error.kind())
    });
    assert_eq!(refused, Err(std::io::ErrorKind::HostUnreachable));
    router.close().await.unwrap();
}

#[tokio::test]
async fn a_sandbox_with_too_many_flows_leaves_room_for_others() {
    let world = World::new().await;
    let router = Router::create(world.config(&[])).await.unwrap();
    let (greedy, modest) = (router.link(1).await.unwrap(), router.link(2).await.unwrap());
    inside(&greedy.namespace, || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        for port in 1000..8000 {
            // What is refused is told at the next attempt.
            let _refused = socket.send_to(b"hello", (PUBLIC, port));
        }
    });
    let flows = flows(&router);
    assert!((4000..4200).contains(&flows), "{flows}");
    assert_eq!(reach(&modest, PUBLIC, PORT), Some(HOST.to_string()));
    router.close().await.unwrap();
}

#[tokio::test]
async fn pings_of_the_gateway_and_what_it_refuses_take_no_room_for_connections() {
    let router = Router::create(config_without_uplink()).await.unwrap();
    let link = router.link(1).await.unwrap();
    let gateway = SocketAddr::from((router.subnet().gateway(), 0));
    let answered = inside(&link.namespace, || {
        let mut answered = 0;
        for number in 1..3000_u16 {
            let socket =
                socket(AddressFamily::INET, SocketType::DGRAM, Some(ipproto::ICMP)).unwrap();
            // The kernel counts a conversation by this number.
            bind(&socket, &SocketAddr::from((Ipv4Addr::UNSPECIFIED, number))).unwrap();
            sendto(&socket, &[8, 0, 0, 0, 0, 0, 0, 1], SendFlags::empty(), &gateway).unwrap();
            set_socket_timeout(&socket, Timeout::Recv, Some(Duration::from_secs(5))).unwrap();
            answered += u32::from(recv(&socket, &mut [0_u8; 64], RecvFlags::empty()).is_ok());
        }
        let datagrams = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        for port in 1000..4000 {
            let _refused = datagrams.send_to(b"hello", (gateway.ip(), port));
        }
        answered
    });
    assert_eq!((answered, flows(&router)), (2999, 0));
    router.close().await.unwrap();
}

/// The conversations that a router remembers.
fn flows(router: &Router) -> u32 {
    let namespace = router.namespace().try_clone_to_owned().unwrap();
    inside(&namespace, || {
        let text = std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count").unwrap();
        text.trim().parse().unwrap()
    })
}

#[tokio::test]
async fn without_an_uplink_every_connection_fails_at_once() {
    let router = Router::create(config_without_uplink()).await.unwrap();
    let link = router.link(1).await.unwrap();
    let failure = inside(&link.namespace, || {
        let server = SocketAddr::from((PUBLIC, PORT));
        std::net::TcpStream::connect_timeout(&server, Duration::from_secs(5)).unwrap_err().kind()
    });
    assert_eq!(failure, std::io::ErrorKind::NetworkUnreachable);
    router.close().await.unwrap();
}

#[tokio::test]
async fn nobody_outside_reaches_a_sandbox() {
    let world = World::new().await;
    let router = Router::create(world.config(&[])).await.unwrap();
    let link = router.link(1).await.unwrap();
    let server = inside(&link.namespace, || TcpServer::start(8080));
    let target = SocketAddr::from((link.address, 8080));
    let by_host = world.host.run(move |_| super::server::greeting(target)).await.unwrap();
    assert_eq!((by_host, server.accepted()), (None, 0));
    router.close().await.unwrap();
}

#[tokio::test]
async fn a_subnet_that_the_host_uses_is_refused() {
    let world = World::new().await;
    for taken in ["192.168.0.0/16", "11.22.0.0/28", "10.0.0.0/8"] {
        let subnet = Subnet::new(taken.parse().unwrap()).unwrap();
        let outcome = Router::create(RouterConfig { subnet, ..world.config(&[]) }).await;
        if taken == "10.0.0.0/8" {
            outcome.unwrap().close().await.unwrap();
            continue;
        }
        match outcome {
            Err(OpenRouterError::Uplink(UplinkError::SubnetTaken { subnet: named, .. })) => {
                assert_eq!(named, subnet);
            }
            other => panic!("{other:?}"),
        }
    }
}
