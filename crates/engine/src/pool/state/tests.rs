use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pitlane_image::ImageConfig;
use pitlane_model::{Limits, WarmPoolId};

use super::*;

/// Something that waits until it is told to have ended.
#[derive(Debug, Clone, Default)]
struct Waiter(Arc<AtomicBool>);

impl Wait for Waiter {
    fn has_ended(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

type Pools = State<Waiter>;

fn own(number: u8) -> PoolKey {
    PoolKey::Own(WarmPoolId::from_random([number; 16]))
}

fn image() -> ImageName {
    ImageName::new("image").unwrap()
}

fn wanted(key: PoolKey, count: u32) -> WantedPool {
    WantedPool { key, image: image(), limits: Limits::DEFAULT, count }
}

fn recipe(fingerprint: &str) -> Recipe {
    Recipe {
        layers: Arc::new([pitlane_image::Layer::Folder(PathBuf::from("/layer"))]),
        folders: Arc::new([None]),
        fingerprint: fingerprint.into(),
        config: Arc::new(ImageConfig::default()),
        disk_gib: Limits::DEFAULT.disk_gib(),
        network: NetworkPolicy::Open,
    }
}

/// Does what comes next until there is nothing to do now, and tells which pools were filled in which order.
fn fill(pools: &mut Pools, now: Instant) -> Vec<PoolKey> {
    let mut filled = Vec::new();
    loop {
        match pools.next(now) {
            Next::Prepare(wanted) => {
                filled.push(wanted.key);
                pools.resolve(&wanted, &recipe("1"));
                pools.put(&wanted, &recipe("1"), Waiter::default());
            }
            Next::Free(_) => {}
            Next::Wait(_) | Next::End(_) => return filled,
        }
    }
}

fn freed(pools: &mut Pools, now: Instant) -> usize {
    match pools.next(now) {
        Next::Free(stale) | Next::End(stale) => stale.len(),
        Next::Prepare(_) | Next::Wait(_) => 0,
    }
}

#[test]
fn pools_are_filled_in_turn() {
    let (a, b, c) = (PoolKey::General, own(1), own(2));
    let mut pools = Pools::default();
    pools.keep(vec![wanted(a, 3), wanted(b, 1), wanted(c, 2)]);
    assert_eq!(fill(&mut pools, Instant::now()), [a, b, c, a, c, a]);
    let ready: Vec<u32> = pools.report().pools.iter().map(|pool| pool.ready).collect();
    assert_eq!((ready, pools.ready()), (vec![3, 1, 2], 6));
}

#[test]
fn a_pool_that_fails_keeps_no_other_empty_and_is_tried_again_later_and_later() {
    let (bad, good) = (PoolKey::General, own(1));
    let mut pools = Pools::default();
    pools.keep(vec![wanted(bad, 1), wanted(good, 2)]);
    let mut now = Instant::now();
    for expected in [2, 4, 8, 16, 32, 60, 60] {
        let Next::Prepare(next) = pools.next(now) else { panic!("nothing to do") };
        assert_eq!(next.key, bad);
        pools.fail(&next, PoolTrouble::Host, now);
        drop(fill(&mut pools, now));
        let Next::Wait(Some(pause)) = pools.next(now) else { panic!("it is not tried again") };
        assert_eq!(pause, Duration::from_secs(expected));
        now += pause;
    }
    let report = pools.report().pools;
    let told: Vec<_> = report.iter().map(|pool| (pool.ready, pool.trouble.clone())).collect();
    assert_eq!(told, [(0, Some(PoolTrouble::Host)), (2, None)]);
    // Whoever changes what is wanted may have helped.
    pools.keep(vec![wanted(bad, 1), wanted(good, 2)]);
    assert_eq!(fill(&mut pools, now), [bad]);
    assert_eq!(pools.report().pools[0].trouble, None);
}

#[test]
fn what_nobody_wants_any_more_is_freed() {
    let (a, b) = (own(1), own(2));
    let now = Instant::now();
    let mut pools = Pools::default();
    pools.keep(vec![wanted(a, 3), wanted(b, 3)]);
    drop(fill(&mut pools, now));
    // One shrinks, the other is gone.
    pools.keep(vec![wanted(a, 1)]);
    assert_eq!(freed(&mut pools, now), 5);
    // Another image, another size of disk: nothing of what waits can be used.
    let other = ImageName::new("other").unwrap();
    pools.keep(vec![WantedPool { image: other, ..wanted(a, 1) }]);
    assert_eq!(freed(&mut pools, now), 1);
    pools.keep(vec![wanted(a, 2)]);
    drop(fill(&mut pools, now));
    let larger = Limits::new(1, 1, 10, 100).unwrap();
    pools.keep(vec![WantedPool { limits: larger, ..wanted(a, 2) }]);
    assert_eq!(freed(&mut pools, now), 2);
    drop(fill(&mut pools, now));
    pools.close();
    assert_eq!(freed(&mut pools, now), 2);
    // What was under way comes too late.
    pools.put(&wanted(a, 2), &recipe("1"), Waiter::default());
    assert_eq!(freed(&mut pools, now), 1);
}

#[test]
fn other_processors_and_memory_free_nothing() {
    let key = own(1);
    let mut pools = Pools::default();
    pools.keep(vec![wanted(key, 2)]);
    drop(fill(&mut pools, Instant::now()));
    let limits = Limits::new(2, 4, Limits::DEFAULT.disk_gib(), 100).unwrap();
    pools.keep(vec![WantedPool { limits, ..wanted(key, 2) }]);
    assert_eq!((freed(&mut pools, Instant::now()), pools.ready()), (0, 2));
}

#[test]
fn an_own_pool_comes_before_the_general_one_and_nobody_elses_is_touched() {
    let (mine, other) = (own(1), own(2));
    let mut pools = Pools::default();
    pools.keep(vec![wanted(PoolKey::General, 1), wanted(mine, 1), wanted(other, 1)]);
    drop(fill(&mut pools, Instant::now()));
    let keys = [mine, PoolKey::General];
    let mut take = || pools.claim(&keys, &image(), &recipe("1")).is_some();
    assert_eq!([take(), take(), take()], [true, true, false]);
    let report = pools.report();
    let expected = (Claims { hits: 1, misses: 1 }, Claims { hits: 1, misses: 2 }, 1);
    assert_eq!((report.general, report.own, pools.ready()), expected);
}

#[test]
fn a_pool_that_is_not_for_a_create_misses_nothing() {
    let key = own(1);
    let mut pools = Pools::default();
    pools.keep(vec![wanted(key, 1)]);
    drop(fill(&mut pools, Instant::now()));
    let other = ImageName::new("other").unwrap();
    let blocked = Recipe { network: NetworkPolicy::Blocked, ..recipe("1") };
    let large = Recipe { disk_gib: 10, ..recipe("1") };
    assert!(pools.claim(&[key], &other, &recipe("1")).is_none());
    assert!(pools.claim(&[key], &image(), &blocked).is_none());
    assert!(pools.claim(&[key], &image(), &large).is_none());
    assert!(pools.claim(&[], &image(), &recipe("1")).is_none());
    assert_eq!(pools.report().own, Claims::default());
    assert_eq!(pools.ready(), 1);
}

#[test]
fn what_waits_for_an_image_that_is_another_by_now_is_not_taken() {
    let key = own(1);
    let mut pools = Pools::default();
    pools.keep(vec![wanted(key, 2)]);
    drop(fill(&mut pools, Instant::now()));
    assert!(pools.claim(&[key], &image(), &recipe("2")).is_none());
    assert_eq!(pools.report().own, Claims { hits: 0, misses: 1 });
    assert_eq!(freed(&mut pools, Instant::now()), 2);
    // A folder with the same path that was made anew is another one.
    drop(fill(&mut pools, Instant::now()));
    let anew = Recipe { folders: Arc::new([]), ..recipe("1") };
    assert!(pools.claim(&[key], &image(), &anew).is_none());
}

#[test]
fn one_that_died_while_it_waited_is_passed_over() {
    let key = own(1);
    let mut pools = Pools::default();
    let now = Instant::now();
    pools.keep(vec![wanted(key, 2)]);
    let dead = Waiter::default();
    dead.0.store(true, Ordering::Relaxed);
    let Next::Prepare(next) = pools.next(now) else { panic!("nothing to do") };
    pools.resolve(&next, &recipe("1"));
    pools.put(&next, &recipe("1"), dead);
    drop(fill(&mut pools, now));
    let taken = pools.claim(&[key], &image(), &recipe("1")).expect("one that lives");
    assert!(!taken.has_ended());
    assert_eq!(freed(&mut pools, now), 1);
}

#[test]
fn refilling_waits_until_nobody_asks_unless_few_are_left() {
    let key = own(1);
    let mut pools = Pools::default();
    pools.keep(vec![wanted(key, 4)]);
    drop(fill(&mut pools, Instant::now()));
    let take = |pools: &mut Pools| pools.claim(&[key], &image(), &recipe("1"));
    assert!(take(&mut pools).is_some());
    let soon = Instant::now();
    let Next::Wait(Some(quiet)) = pools.next(soon) else { panic!("it does not wait") };
    assert!(quiet <= QUIET);
    assert_eq!(fill(&mut pools, soon + QUIET), [key]);
    // Once more than half are gone it waits for nothing, and stops when it is full.
    for _ in 0..3 {
        assert!(take(&mut pools).is_some());
    }
    assert_eq!(fill(&mut pools, Instant::now()), [key, key, key]);
}

#[test]
fn a_pool_whose_image_is_gone_gives_up_what_waits() {
    let key = own(1);
    let mut pools = Pools::default();
    let now = Instant::now();
    pools.keep(vec![wanted(key, 2)]);
    drop(fill(&mut pools, now));
    pools.fail(&wanted(key, 2), PoolTrouble::NoImage, now);
    assert_eq!(freed(&mut pools, now), 2);
    assert_eq!(pools.report().pools[0].trouble, Some(PoolTrouble::NoImage));
}
