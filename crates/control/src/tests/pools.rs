//! Warm pools: what is wanted follows rows and snapshots, and nobody sees what waits.

use pitlane_driver::{Claims, NoRoomError, PoolKey, PoolTrouble};
use pitlane_model::{NetworkPolicy, OrganizationId, WarmPool};

use super::*;
use crate::{ChangePoolError, CreatePool, CreatePoolError, PoolView};

fn of(snapshot: &str, size: u32) -> CreatePool {
    CreatePool { snapshot: snapshot.to_owned(), target: None, size }
}

impl Server {
    async fn pool(&self, snapshot: &str, size: u32) -> PoolView {
        let made = self.control.warm_pools().create(&self.principal, of(snapshot, size)).await;
        made.unwrap()
    }

    /// The pools of the caller, in what matters: of what, how many wait, how many are to, and why not.
    fn pools(&self) -> Vec<(String, u32, u32, Option<String>)> {
        let pools = self.control.warm_pools().list(&self.principal);
        pools
            .into_iter()
            .map(|view| (view.pool.snapshot, view.ready, view.pool.size, view.error_reason))
            .collect()
    }

    /// What the driver keeps, but for the pool for everybody.
    fn own_counts(&self) -> Vec<u32> {
        let pools = pitlane_driver::Driver::pools(&self.driver).pools;
        let own = pools.iter().filter(|pool| pool.key != PoolKey::General);
        own.map(|pool| pool.wanted).collect()
    }

    /// Somebody of another organization.
    fn stranger(&self) -> Principal {
        Principal { organization: OrganizationId::from_random([9; 16]), ..self.principal.clone() }
    }
}

#[tokio::test]
async fn a_pool_is_filled_taken_from_resized_and_removed() {
    let machine = Machine::new();
    let server = machine.start().await;
    let made = server.pool("default", 3).await;
    assert_eq!(
        (made.ready, made.limits, made.user.as_str()),
        (3, Some(Limits::DEFAULT), "daytona")
    );
    assert_eq!(made.pool.target, "local");
    server.create("mine").await;
    let [general, own] = server.control.warm_pools().figures();
    assert_eq!((own.hits, own.misses, own.wanted), (1, 0, 3));
    assert_eq!((general.hits, general.wanted), (0, 8));

    let pools = server.control.warm_pools();
    let id = made.pool.id.to_string();
    machine.advance_clock(Duration::from_secs(5));
    let resized = pools.resize(&server.principal, &id, 5).await.unwrap();
    assert_eq!((resized.pool.size, resized.ready), (5, 5));
    assert!(resized.pool.updated_at > resized.pool.created_at);
    let drained = pools.resize(&server.principal, &id, 0).await.unwrap();
    assert_eq!((drained.pool.size, drained.ready, drained.error_reason), (0, 0, None));
    pools.delete(&server.principal, &id).await.unwrap();
    assert_eq!(server.pools(), []);
    let again = pools.delete(&server.principal, &id).await;
    assert!(matches!(again, Err(ChangePoolError::NotFound { .. })), "{again:?}");
    // Sandboxes that came from it stay, and what waits is in no list.
    assert_eq!(server.rows().await.len(), 1);
    server.shut_down().await;
}

#[tokio::test]
async fn pools_are_there_after_a_restart() {
    let machine = Machine::new();
    let server = machine.start().await;
    let made = server.pool("default", 2).await;
    server.shut_down().await;
    let server = machine.start().await;
    assert_eq!(server.control.warm_pools().list(&server.principal), [made]);
    server.shut_down().await;
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let machine = Machine::new();
    let server = machine.start().await;
    let pools = server.control.warm_pools();
    let create = async |request| pools.create(&server.principal, request).await.unwrap_err();
    for size in [0, WarmPool::MAX_SIZE + 1] {
        assert!(matches!(create(of("default", size)).await, CreatePoolError::Size));
    }
    let unknown = create(of("nothing", 1)).await;
    assert!(matches!(unknown, CreatePoolError::UnknownSnapshot { name } if name == "nothing"));
    server.pool("default", 1).await;
    let twice = create(of("default", 1)).await;
    assert_eq!(twice.to_string(), "there is a warm pool of snapshot default in local already");
    // The same snapshot elsewhere is another pool.
    let elsewhere = CreatePool { target: Some("moon".to_owned()), ..of("default", 1) };
    pools.create(&server.principal, elsewhere).await.unwrap();
    let unprivileged = Principal { permissions: [].into(), ..server.principal.clone() };
    let forbidden = pools.create(&unprivileged, of("default", 1)).await;
    assert!(matches!(forbidden, Err(CreatePoolError::Forbidden(_))), "{forbidden:?}");
    let id = server.control.warm_pools().list(&server.principal)[0].pool.id.to_string();
    for size in [0, 1] {
        let forbidden = pools.resize(&unprivileged, &id, size).await;
        assert!(matches!(forbidden, Err(ChangePoolError::Forbidden(_))), "{forbidden:?}");
    }
    let forbidden = pools.delete(&unprivileged, &id).await;
    assert!(matches!(forbidden, Err(ChangePoolError::Forbidden(_))), "{forbidden:?}");
    let large = pools.resize(&server.principal, &id, WarmPool::MAX_SIZE + 1).await;
    assert!(matches!(large, Err(ChangePoolError::Size)), "{large:?}");
    server.shut_down().await;
}

#[tokio::test]
async fn a_pool_that_does_not_fit_is_refused_with_numbers() {
    let machine = Machine::new();
    machine.driver.let_wait(12);
    let server = machine.start().await;
    let pools = server.control.warm_pools();
    let refused = pools.create(&server.principal, of("default", 5)).await.unwrap_err();
    let expected = NoRoomError::Count { more: 5, left: 4 };
    assert!(matches!(refused, CreatePoolError::NoRoom(why) if why == expected), "{refused}");
    let made = server.pool("default", 3).await;
    let refused = pools.resize(&server.principal, &made.pool.id.to_string(), 5).await.unwrap_err();
    assert_eq!(refused.to_string(), "2 more sandboxes cannot wait: this server has room for 1");
    assert_eq!(server.pools(), [("default".to_owned(), 3, 3, None)]);
    server.shut_down().await;

    // A machine that has become smaller keeps its pools, as full as they can be.
    machine.driver.let_wait(10);
    let server = machine.start().await;
    let [(_, ready, wanted, reason)] = &server.pools()[..] else { panic!("there is one pool") };
    assert_eq!((*ready, *wanted), (2, 3));
    assert!(reason.as_ref().is_some_and(|reason| reason.contains("room for 10")), "{reason:?}");
    let status = &pitlane_driver::Driver::pools(&machine.driver).pools[1];
    assert!(matches!(status.trouble, Some(PoolTrouble::Room(_))), "{status:?}");
    server.shut_down().await;
}

#[tokio::test]
async fn nobody_else_sees_or_takes_what_waits_for_an_organization() {
    let machine = Machine::new();
    let server = machine.start().await;
    let id = server.pool("default", 2).await.pool.id.to_string();
    let pools = server.control.warm_pools();
    let stranger = server.stranger();
    assert_eq!(pools.list(&stranger), []);
    for refused in
        [pools.resize(&stranger, &id, 1).await.map(drop), pools.delete(&stranger, &id).await]
    {
        assert!(matches!(refused, Err(ChangePoolError::NotFound { .. })), "{refused:?}");
    }
    let claims = pitlane_driver::Driver::pools(&machine.driver);
    assert_eq!((claims.general, claims.own), (Claims::default(), Claims::default()));
    server.shut_down().await;
}

#[tokio::test]
async fn a_pool_waits_while_its_snapshot_cannot_be_used() {
    let machine = Machine::new();
    let server = machine.start().await;
    let snapshots = server.control.snapshots();
    let request = crate::CreateSnapshot {
        name: "mine".to_owned(),
        source: crate::SnapshotSource::Image("image:1".parse().unwrap()),
        entrypoint: None,
        limits: Default::default(),
    };
    snapshots.create(&server.principal, request.clone()).await.unwrap();
    let active = async |server: &Server| {
        let found = server.control.snapshots().find(&server.principal, "mine").unwrap();
        found.state == pitlane_model::SnapshotState::Active
    };
    eventually("the image is here", async || active(&server).await).await;
    server.pool("mine", 2).await;
    eventually("they wait", async || server.own_counts() == [2]).await;

    snapshots.deactivate(&server.principal, "mine").await.unwrap();
    eventually("they are freed", async || server.own_counts().is_empty()).await;
    let reason = Some("snapshot mine is inactive".to_owned());
    assert_eq!(server.pools(), [("mine".to_owned(), 0, 2, reason)]);
    snapshots.activate(&server.principal, "mine").await.unwrap();
    eventually("they wait again", async || server.own_counts() == [2]).await;

    snapshots.delete(&server.principal, "mine").await.unwrap();
    eventually("they are freed", async || server.own_counts().is_empty()).await;
    let reason = Some("there is no snapshot mine".to_owned());
    assert_eq!(server.pools(), [("mine".to_owned(), 0, 2, reason)]);
    // One that is added under the same name is the same to the pool.
    snapshots.create(&server.principal, request).await.unwrap();
    eventually("they wait again", async || server.own_counts() == [2]).await;
    server.shut_down().await;
}

#[tokio::test]
async fn only_creates_that_a_pool_is_for_come_from_it() {
    let machine = Machine::new();
    let server = machine.start().await;
    let elsewhere = CreatePool { target: Some("moon".to_owned()), ..of("default", 2) };
    server.control.warm_pools().create(&server.principal, elsewhere).await.unwrap();
    let create = async |name: &str, target: Option<&str>, network| {
        let request = CreateSandbox { target: target.map(str::to_owned), network, ..named(name) };
        server.control.sandboxes().create(&server.principal, request).await.unwrap();
        let [general, own] = server.control.warm_pools().figures();
        (general.hits, own.hits)
    };
    assert_eq!(create("here", None, NetworkPolicy::Open).await, (1, 0));
    assert_eq!(create("there", Some("moon"), NetworkPolicy::Open).await, (1, 1));
    // Those that wait have a network.
    assert_eq!(create("alone", Some("moon"), NetworkPolicy::Blocked).await, (1, 1));
    server.shut_down().await;
}
