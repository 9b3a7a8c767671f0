//! What a sandbox learns of names.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::server::{Learned, ask, ask_by_stream, ask_without_waiting};
use super::world::{NAME_SERVER, PUBLIC, World, config_without_uplink, inside};
use crate::{Link, Router};

const PATIENCE: Duration = Duration::from_secs(10);

fn learn(link: &Link, name: &str, kind: RecordType) -> Option<Learned> {
    inside(&link.namespace, || ask(link.gateway, name, kind, PATIENCE))
}

fn learned(code: ResponseCode, addresses: &[Ipv4Addr]) -> Option<Learned> {
    Some(Learned { code, addresses: addresses.to_vec(), is_truncated: false })
}

#[tokio::test(flavor = "multi_thread")]
async fn names_resolve_but_not_to_closed_addresses() {
    let world = World::new().await;
    let router = Router::create(world.config(&[])).await.unwrap();
    let link = router.link(1).await.unwrap();
    let nothing = learned(ResponseCode::NXDomain, &[]);
    assert_eq!(
        learn(&link, "public.test.", RecordType::A),
        learned(ResponseCode::NoError, &[PUBLIC])
    );
    assert_eq!(
        learn(&link, "mixed.test.", RecordType::A),
        learned(ResponseCode::NoError, &[PUBLIC])
    );
    for name in ["private.test.", "metadata.test.", "loopback.test.", "unknown.test."] {
        assert_eq!(learn(&link, name, RecordType::A), nothing, "{name}");
    }
    assert_eq!(learn(&link, "public.test.", RecordType::AAAA), learned(ResponseCode::NoError, &[]));
    router.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_range_is_answered() {
    let world = World::new().await;
    let router = Router::create(world.config(&["10.1.0.0/16"])).await.unwrap();
    let link = router.link(1).await.unwrap();
    let private = learned(ResponseCode::NoError, &[Ipv4Addr::new(10, 1, 2, 3)]);
    assert_eq!(learn(&link, "private.test.", RecordType::A), private);
    assert_eq!(learn(&link, "metadata.test.", RecordType::A), learned(ResponseCode::NXDomain, &[]));
    router.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_fit_is_had_by_stream() {
    let world = World::new().await;
    let router = Router::create(world.config(&[])).await.unwrap();
    let link = router.link(1).await.unwrap();
    let short = learn(&link, "many.test.", RecordType::A).unwrap();
    let long = inside(&link.namespace, || ask_by_stream(link.gateway, "many.test.")).unwrap();
    assert_eq!((short.is_truncated, short.addresses.len()), (true, 0));
    assert_eq!((long.is_truncated, long.addresses.len()), (false, 200));
    router.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_name_server_may_be_asked_directly() {
    let world = World::new().await;
    let router = Router::create(world.config(&[])).await.unwrap();
    let link = router.link(1).await.unwrap();
    let direct =
        inside(&link.namespace, || ask(NAME_SERVER, "public.test.", RecordType::A, PATIENCE));
    assert_eq!(direct, learned(ResponseCode::NoError, &[PUBLIC]));
    router.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_nobody_answers_fails_before_its_asker_gives_up() {
    let world = World::new().await;
    let router = Router::create(world.config(&[])).await.unwrap();
    let link = router.link(1).await.unwrap();
    let start = Instant::now();
    let answer = learn(&link, "silent.test.", RecordType::A);
    assert_eq!(answer, learned(ResponseCode::ServFail, &[]));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    router.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_that_asks_too_much_does_not_starve_another() {
    let world = World::new().await;
    let router = Router::create(world.config(&[])).await.unwrap();
    let (greedy, modest) = (router.link(1).await.unwrap(), router.link(2).await.unwrap());
    let names = (0..2000).map(|number| format!("n{number}.silent.test."));
    inside(&greedy.namespace, || ask_without_waiting(greedy.gateway, names));
    // As resolvers of programs do: what was dropped on the way is asked again.
    let answer = (0..3).find_map(|_| learn(&modest, "public.test.", RecordType::A));
    assert_eq!(answer, learned(ResponseCode::NoError, &[PUBLIC]));
    router.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_uplink_every_name_fails_at_once() {
    let router = Router::create(config_without_uplink()).await.unwrap();
    let link = router.link(1).await.unwrap();
    let start = Instant::now();
    assert_eq!(learn(&link, "public.test.", RecordType::A), learned(ResponseCode::ServFail, &[]));
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    router.close().await.unwrap();
}
