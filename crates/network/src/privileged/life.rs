//! Routers that end, and routers that are found.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use hickory_proto::rr::RecordType;

use super::server::{ask, connect, line};
use super::world::{HOST, PORT, PUBLIC, World, config_without_uplink, eventually, inside, reach};
use crate::netlink::Batch;
use crate::{Link, OpenRouterError, Router, RouterConfig, Subnet, Uplink};

fn namespace(router: &Router) -> OwnedFd {
    router.namespace().try_clone_to_owned().unwrap()
}

fn resolves(link: &Link) -> bool {
    inside(&link.namespace, || {
        ask(link.gateway, "public.test.", RecordType::A, Duration::from_secs(10))
            .is_some_and(|learned| learned.addresses == [PUBLIC])
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_outlives_the_server() {
    let world = World::new().await;
    let router = Router::create(world.config(&[])).await.unwrap();
    let link = router.link(1).await.unwrap();
    let kept = namespace(&router);
    let mut stream = inside(&link.namespace, || connect(SocketAddr::from((PUBLIC, PORT)))).unwrap();
    assert_eq!(line(&mut stream), HOST.to_string());

    drop(router);
    stream.write_all(b"alone\n").unwrap();
    assert_eq!(line(&mut stream), "alone");

    let router = adopt(&world, &kept).await;
    stream.write_all(b"adopted\n").unwrap();
    assert_eq!(line(&mut stream), "adopted");
    assert_eq!(reach(&link, PUBLIC, PORT), Some(HOST.to_string()));
    assert!(resolves(&link));
    let other = router.link(2).await.unwrap();
    assert_eq!(reach(&other, PUBLIC, PORT), Some(HOST.to_string()));
    router.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adopted_router_gets_its_uplink_and_its_rules_back() {
    let world = World::new().await;
    let router = Router::create(world.config(&[])).await.unwrap();
    let link = router.link(1).await.unwrap();
    let kept = namespace(&router);
    drop(router);
    world
        .host
        .run(|host| {
            let uplink = host.netlink.find_link("pl-test").unwrap().unwrap();
            host.netlink.execute(Batch::default().delete_link(uplink.index)).unwrap();
            crate::firewall::load("delete table ip pitlane_test").unwrap();
        })
        .await
        .unwrap();
    assert_eq!(reach(&link, PUBLIC, PORT), None);

    let router = adopt(&world, &kept).await;
    assert_eq!(reach(&link, PUBLIC, PORT), Some(HOST.to_string()));
    assert_eq!(reach(&link, HOST, PORT), None);
    router.close().await.unwrap();
}

#[tokio::test]
async fn a_router_takes_the_place_of_one_that_was_lost() {
    let world = World::new().await;
    // Its namespace lives on in a link that nobody has found yet.
    let lost = Router::create(world.config(&[])).await.unwrap();
    let kept = namespace(&lost);
    drop(lost);
    let router = Router::create(world.config(&[])).await.unwrap();
    let link = router.link(1).await.unwrap();
    assert_eq!(reach(&link, PUBLIC, PORT), Some(HOST.to_string()));
    drop(kept);
    router.close().await.unwrap();
}

#[tokio::test]
async fn a_closed_router_leaves_nothing_on_the_host() {
    let world = World::new().await;
    let (links, rules) = (world.host_links().await, world.host_rules().await);
    let router = Router::create(world.config(&[])).await.unwrap();
    let link = router.link(1).await.unwrap();
    assert_ne!(
        (world.host_links().await, world.host_rules().await),
        (links.clone(), rules.clone())
    );
    router.close().await.unwrap();
    drop(link);
    assert_eq!((world.host_links().await, world.host_rules().await), (links, rules));
}

#[tokio::test]
async fn a_router_that_nobody_holds_is_freed_by_the_kernel() {
    let world = World::new().await;
    let links = world.host_links().await;
    let router = Router::create(world.config(&[])).await.unwrap();
    let link = router.link(1).await.unwrap();
    drop((router, link));
    eventually("the uplink is gone", || async { world.host_links().await == links }).await;
}

#[tokio::test]
async fn an_adopted_router_keeps_its_subnet() {
    let router = Router::create(config_without_uplink()).await.unwrap();
    let kept = namespace(&router);
    router.close().await.unwrap();
    let subnet = Subnet::new("10.99.0.0/16".parse().unwrap()).unwrap();
    let config = RouterConfig { subnet, ..config_without_uplink() };
    match Router::adopt(kept, config).await {
        Err(OpenRouterError::SubnetChanged { found, subnet: wanted }) => {
            assert_eq!((found, wanted), (Ipv4Addr::new(10, 213, 0, 1), subnet));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_host_is_where_the_server_lives() {
    let world = World::new().await;
    let config = RouterConfig { uplink: Uplink::Host, ..world.config(&[]) };
    // A server in the made-up host, for which that is the host.
    let server = world.host.run(|_| {
        thread::spawn(|| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let router = Router::create(config).await.unwrap();
                let link = router.link(1).await.unwrap();
                let reached = reach(&link, PUBLIC, PORT);
                router.close().await.unwrap();
                reached
            })
        })
    });
    assert_eq!(server.await.unwrap().join().unwrap(), Some(HOST.to_string()));
}

/// Takes a router over as the next server does, which may have to wait for the last one's threads to be gone.
async fn adopt(world: &World, kept: &OwnedFd) -> Router {
    let mut adopted = None;
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while adopted.is_none() {
        match Router::adopt(kept.try_clone().unwrap(), world.config(&[])).await {
            Ok(router) => adopted = Some(router),
            Err(error) => assert!(std::time::Instant::now() < deadline, "{error:?}"),
        }
    }
    adopted.unwrap()
}
