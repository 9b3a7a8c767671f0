//! What a link is, from inside and among others.

use std::collections::HashSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use tokio::task::JoinSet;

use super::server::{TcpServer, ask, greeting};
use super::world::{config_without_uplink, eventually, inside, reach};
use crate::netlink::{Link as Interface, Netlink};
use crate::{LinkError, Router, SlotRangeError};

#[tokio::test]
async fn a_link_has_its_address_a_way_to_the_gateway_and_no_ipv6() {
    let router = Router::create(config_without_uplink()).await.unwrap();
    let link = router.link(7).await.unwrap();
    assert_eq!(
        (link.address, link.gateway),
        (Ipv4Addr::new(10, 213, 0, 11), Ipv4Addr::new(10, 213, 0, 1))
    );
    let found = inside(&link.namespace, || {
        let mut netlink = Netlink::open().unwrap();
        let names: Vec<String> =
            netlink.links().unwrap().into_iter().map(|Interface { name, .. }| name).collect();
        let read = |path: &str| fs::read_to_string(path).unwrap();
        let ports = read("/proc/sys/net/ipv4/ip_unprivileged_port_start").trim().to_owned();
        let addresses: Vec<String> = read("/proc/thread-self/net/if_inet6")
            .lines()
            .filter_map(|line| line.split_whitespace().last().map(str::to_owned))
            .collect();
        (names, ports, addresses)
    });
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    assert_eq!(found, (words(&["lo", "eth0"]), "0".to_owned(), words(&["lo"])));
    router.close().await.unwrap();
}

#[tokio::test]
async fn a_sandbox_does_not_reach_another() {
    let router = Router::create(config_without_uplink()).await.unwrap();
    let (first, second) = (router.link(1).await.unwrap(), router.link(2).await.unwrap());
    let server = inside(&first.namespace, || TcpServer::start(8080));
    let by_itself = reach(&first, first.address, 8080);
    let by_another = reach(&second, first.address, 8080);
    assert_eq!(
        (by_itself, by_another, server.accepted()),
        (Some(first.address.to_string()), None, 1)
    );
    router.close().await.unwrap();
}

#[tokio::test]
async fn an_isolated_namespace_has_its_loopback_alone() {
    let router = Router::create(config_without_uplink()).await.unwrap();
    let namespace = router.isolated().await.unwrap();
    let (loopback, gateway, names) = inside(&namespace, || {
        let _server = TcpServer::start(8080);
        let gateway = router.subnet().gateway();
        (
            greeting(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))),
            greeting(SocketAddr::from((gateway, 53))),
            ask(gateway, "public.test.", RecordType::A, Duration::from_millis(200)),
        )
    });
    assert_eq!((loopback.as_deref(), gateway, names), (Some("127.0.0.1"), None, None));
    router.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_router_has_no_door_but_its_resolver() {
    let router = Router::create(config_without_uplink()).await.unwrap();
    let link = router.link(1).await.unwrap();
    let residents = crate::resident::Residents::settle(
        "intruder",
        &Arc::new(router.namespace().try_clone_to_owned().unwrap()),
        1,
    )
    .await
    .unwrap();
    // A server of the launcher, which lives in the router's namespace, would be one.
    let server = residents.run(|_| TcpServer::start(8080)).await.unwrap();
    assert_eq!((reach(&link, link.gateway, 8080), server.accepted()), (None, 0));
    let by_resolver = inside(&link.namespace, || {
        ask(link.gateway, "public.test.", RecordType::A, Duration::from_secs(5)).unwrap().code
    });
    assert_eq!(by_resolver, ResponseCode::ServFail);
    residents.end().await;
    router.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_links_at_once_all_work() {
    let router = Arc::new(Router::create(config_without_uplink()).await.unwrap());
    let mut made = JoinSet::new();
    for slot in 0..200 {
        let router = Arc::clone(&router);
        made.spawn(async move { router.link(slot).await.unwrap() });
    }
    let links = made.join_all().await;
    let addresses: HashSet<Ipv4Addr> = links.iter().map(|link| link.address).collect();
    assert_eq!(addresses.len(), 200);
    for link in &links {
        let code = inside(&link.namespace, || {
            ask(link.gateway, "public.test.", RecordType::A, Duration::from_secs(5))
                .map(|it| it.code)
        });
        assert_eq!(code, Some(ResponseCode::ServFail), "{}", link.address);
    }
    drop(links);
    eventually("every link is gone", || async { link_count(&router).await == 0 }).await;
    Arc::into_inner(router).unwrap().close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_is_usable_again_while_its_last_link_lingers() {
    let router = Router::create(config_without_uplink()).await.unwrap();
    let old = router.link(3).await.unwrap();
    for _ in 0..5 {
        let link = router.link(3).await.unwrap();
        let answered = inside(&link.namespace, || {
            ask(link.gateway, "public.test.", RecordType::A, Duration::from_secs(5)).is_some()
        });
        assert!(answered);
    }
    drop(old);
    router.close().await.unwrap();
}

#[tokio::test]
async fn a_slot_that_the_subnet_does_not_have_is_refused() {
    let config = crate::RouterConfig {
        subnet: crate::Subnet::new("10.9.8.0/28".parse().unwrap()).unwrap(),
        ..config_without_uplink()
    };
    let subnet = config.subnet;
    let router = Router::create(config).await.unwrap();
    let refusal = match router.link(11).await {
        Err(LinkError::Slot(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(refusal, SlotRangeError { slot: 11, capacity: 11, subnet });
    assert!(router.link(10).await.is_ok());
    router.close().await.unwrap();
}

#[tokio::test]
async fn users_of_a_sandbox_may_listen_on_any_port() {
    let router = Router::create(config_without_uplink()).await.unwrap();
    let link = router.link(1).await.unwrap();
    let bound = inside(&link.namespace, || {
        // As someone without a capability: the thread's alone are given up.
        rustix::thread::set_capabilities(
            None,
            rustix::thread::CapabilitySets {
                effective: rustix::thread::CapabilitySet::empty(),
                permitted: rustix::thread::CapabilitySet::empty(),
                inheritable: rustix::thread::CapabilitySet::empty(),
            },
        )
        .unwrap();
        TcpListener::bind((Ipv4Addr::UNSPECIFIED, 80)).is_ok()
    });
    assert!(bound);
    router.close().await.unwrap();
}

async fn link_count(router: &Router) -> usize {
    let namespace = Arc::new(router.namespace().try_clone_to_owned().unwrap());
    let residents = crate::resident::Residents::settle("count", &namespace, 1).await.unwrap();
    let links = residents.run(|router| router.netlink.links().unwrap()).await.unwrap();
    residents.end().await;
    links.iter().filter(|link| link.name.starts_with("pl")).count()
}
