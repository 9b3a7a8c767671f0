//! The long measurements: many lives of sandboxes, then many deaths of servers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::kills::{Figures, kill_at_random};
use crate::server::Server;
use crate::traces;

/// How many clients create and delete at once.
const CLIENTS: u64 = 8;

/// Prints what happened in `cycles` lives of a sandbox and `seconds` of random kills. Fails if anything was lost, and
/// if anything stays on the machine.
pub(crate) fn soak(cycles: u64, seconds: u64) {
    lives(cycles);
    let figures = kill_at_random(Duration::from_secs(seconds));
    let Figures { kills, operations, lost, failed, sandboxes, bytes } = figures;
    println!(
        "random kills: {kills} in {seconds} s; {operations} operations, {lost} of them cut off and {} refused; \
         {sandboxes} sandboxes, {} MiB uploaded",
        failed.values().sum::<u64>(),
        bytes >> 20
    );
    for (said, count) in failed {
        println!("refused {count} times: {said}");
    }
    println!("random kills: 0 acknowledged changes lost, 0 leaks");
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn lives(cycles: u64) {
    let server = Server::new(4);
    server.start();
    let began = Instant::now();
    let failures = AtomicU64::new(0);
    let round = |count: u64| {
        let next = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _client in 0..CLIENTS {
                scope.spawn(|| {
                    while next.fetch_add(1, Ordering::Relaxed) < count {
                        if let Err(what) = live(&server) {
                            failures.fetch_add(1, Ordering::Relaxed);
                            println!("failed: {what}");
                        }
                    }
                });
            }
        });
    };
    let memory = || (resident_kib(server.pid()), resident_kib(server.launcher().unwrap()));
    // What the first lives need stays.
    round(cycles / 10);
    let before = memory();
    round(cycles - cycles / 10);
    let after = memory();
    println!(
        "lives: {cycles} in {:.0} s, {} failures; KiB of the server {} then {}, of the launcher {} then {}",
        began.elapsed().as_secs_f64(),
        failures.load(Ordering::Relaxed),
        before.0,
        after.0,
        before.1,
        after.1,
    );
    assert_eq!(failures.into_inner(), 0);
    server.terminate();
    traces::gone(&server);
    println!("lives: 0 leaks");
}

fn live(server: &Server) -> Result<(), String> {
    let client = server.client();
    let text = |cause: std::io::Error| cause.to_string();
    let made = client.post("/api/sandbox", &serde_json::json!({})).map_err(text)?;
    let id = made.json()["id"].as_str().ok_or_else(|| made.text())?.to_owned();
    let ran = client.execute(&id, "echo lives").map_err(text)?;
    if ran.json()["result"] != "lives\n" {
        return Err(ran.text());
    }
    let deleted = client.delete(&format!("/api/sandbox/{id}")).map_err(text)?;
    if deleted.is_success() { Ok(()) } else { Err(deleted.text()) }
}
