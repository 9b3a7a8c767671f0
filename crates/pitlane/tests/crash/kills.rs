//! Clients at work while server and launcher are killed again and again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use crate::client::Client;
use crate::ledger::{Ledger, Lost, tell};
use crate::points::contents;
use crate::server::{Server, signal};
use crate::{traces, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("what_was_acknowledged_survives_random_kills", || {
        let figures = kill_at_random(Duration::from_secs(25));
        assert!(figures.kills >= 5 && figures.operations >= 20, "{figures:?}");
    })]
}

/// What happened.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) kills: u64,
    pub(crate) operations: u64,
    /// Operations whose end nobody was told.
    pub(crate) lost: u64,
    /// Those that the server said had failed, by what it said: for want of the launcher that was just killed.
    pub(crate) failed: BTreeMap<String, u64>,
    pub(crate) sandboxes: u64,
    pub(crate) bytes: u64,
}

/// Small random numbers, the same in every run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Tells the workers that it is over.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

const WORKERS: u64 = 4;
/// Sandboxes that a worker has at once.
const AT_ONCE: usize = 3;
/// Sandboxes of which a worker does not know what became.
const LEFT_ALONE: usize = 10;

#[derive(Debug, Default)]
struct Counts {
    operations: AtomicU64,
    lost: AtomicU64,
    failed: Mutex<BTreeMap<String, u64>>,
    sandboxes: AtomicU64,
    bytes: AtomicU64,
}

/// Lets clients work for a while on a server that is killed all the time, and checks everything at the end.
pub(crate) fn kill_at_random(duration: Duration) -> Figures {
    let mut server = Server::new(2);
    server.start();
    let is_over = AtomicBool::new(false);
    let counts = Counts::default();
    let mut kills = 0;
    let mut ledger = Ledger::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|number| {
                let (server, is_over, counts) = (&server, &is_over, &counts);
                scope.spawn(move || work(number, server, is_over, counts))
            })
            .collect();
        // Also if this thread fails.
        let over = Over(&is_over);
        let mut random = Random::new(42);
        let began = Instant::now();
        while began.elapsed() < duration {
            std::thread::park_timeout(Duration::from_millis(200 + random.below(1300)));
            let victims = random.below(10);
            if victims >= 6
                && let Some(launcher) = server.launcher()
            {
                signal("KILL", launcher);
            }
            if victims != 9 {
                server.kill();
                server.start();
            }
            kills += 1;
        }
        drop(over);
        for worker in workers {
            ledger.merge(worker.join().expect("a worker"));
        }
    });
    server.kill();
    // What waits would be in the way of counting.
    server.keep_ready(0);
    server.start();
    ledger.check(&server);
    let client = server.client();
    for (name, ..) in client.sandboxes().unwrap() {
        ledger.delete(&client, &name).unwrap();
    }
    traces::settle(&server, &[], &[], &[]);
    server.terminate();
    traces::gone(&server);
    let count = |counter: AtomicU64| counter.into_inner();
    Figures {
        kills,
        operations: count(counts.operations),
        lost: count(counts.lost),
        failed: counts.failed.into_inner().unwrap(),
        sandboxes: count(counts.sandboxes),
        bytes: count(counts.bytes),
    }
}

fn work(number: u64, server: &Server, is_over: &AtomicBool, counts: &Counts) -> Ledger {
    let mut ledger = Ledger::default();
    let mut random = Random::new(number + 1);
    // Name and id of those that are surely there.
    let mut own: Vec<(String, String)> = Vec::new();
    // Those that may be there. The last are left to be looked at in the end; all of them would fill the machine.
    let mut doubtful = VecDeque::new();
    let mut made = 0;
    while !is_over.load(Ordering::Relaxed) {
        let Some(client) = server.try_client() else {
            std::thread::park_timeout(Duration::from_millis(5));
            continue;
        };
        let name = format!("w{number}-{made}");
        let worked = if doubtful.len() > LEFT_ALONE {
            let name: String = doubtful.pop_front().unwrap();
            ledger.clear_away(&client, &name).inspect_err(|_lost| doubtful.push_back(name))
        } else if own.is_empty() || (own.len() < AT_ONCE && random.below(4) == 0) {
            made += 1;
            counts.sandboxes.fetch_add(1, Ordering::Relaxed);
            match ledger.create(&client, &name) {
                Ok(id) => {
                    own.push((name, id));
                    Ok(())
                }
                Err(lost) => {
                    doubtful.push_back(name);
                    Err(lost)
                }
            }
        } else {
            let index = usize::try_from(random.below(own.len() as u64)).unwrap();
            let (name, id) = own[index].clone();
            let worked = use_one(&client, &mut ledger, (&name, &id), &mut random, counts);
            if !matches!(worked, Ok(true)) {
                own.remove(index);
            }
            if worked.is_err() {
                doubtful.push_back(name);
            }
            worked.map(drop)
        };
        counts.operations.fetch_add(1, Ordering::Relaxed);
        if let Err(lost) = worked {
            match lost {
                Lost::Broken => drop(counts.lost.fetch_add(1, Ordering::Relaxed)),
                Lost::Failed(said) => {
                    *counts.failed.lock().unwrap().entry(without_ids(&said)).or_default() += 1;
                }
            }
            // Its server is dead or about to be: the next one has another address.
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
    ledger
}

/// A message as all of its kind are.
fn without_ids(message: &str) -> String {
    let is_id = |word: &&str| word.len() >= 32;
    message.split(' ').filter(|word| !is_id(word)).collect::<Vec<_>>().join(" ")
}

/// Does something with a sandbox; false when it is gone then.
fn use_one(
    client: &Client,
    ledger: &mut Ledger,
    (name, id): (&str, &str),
    random: &mut Random,
    counts: &Counts,
) -> Result<bool, Lost> {
    match random.below(10) {
        0 | 1 => ledger.delete(client, name).map(|()| false),
        2 => {
            ledger.change(client, name, "stop", "stopped")?;
            ledger.change(client, name, "start", "started")?;
            Ok(true)
        }
        3..=6 => {
            let file = format!("/home/daytona/{}", random.below(3));
            let length = usize::try_from(random.below(300_000)).unwrap();
            ledger.upload(client, (name, id), &file, contents(length))?;
            counts.bytes.fetch_add(length as u64, Ordering::Relaxed);
            Ok(true)
        }
        _ => {
            let number = random.below(1_000_000).to_string();
            let answer = tell(client.execute(id, &format!("echo {number}; exit 3")))?.json();
            assert_eq!(
                (answer["result"].as_str(), answer["exitCode"].as_i64()),
                (Some(format!("{number}\n").as_str()), Some(3))
            );
            Ok(true)
        }
    }
}
