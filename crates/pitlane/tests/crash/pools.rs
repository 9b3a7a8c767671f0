//! A server that is killed while it fills pools.

use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::json;

use crate::client::Client;
use crate::kills::Random;
use crate::server::Server;
use crate::{traces, trial, wait_until};

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("what_fills_pools_leaves_nothing_when_it_is_killed", pools_are_filled_and_killed)]
}

/// How often the server is killed.
const KILLS: usize = 8;
/// How many sandboxes wait in each pool.
const SIZE: u64 = 4;

fn make_pool(client: &Client, snapshot: &str) {
    let made = client.post("/api/warm-pools", &json!({ "snapshot": snapshot, "pool": SIZE }));
    let made = made.unwrap();
    assert_eq!(made.status, 201, "{}", made.text());
}

/// Ids of the pools, and how many sandboxes wait in all.
fn pools(client: &Client) -> (Vec<String>, u64) {
    let all = client.get("/api/warm-pools").unwrap().json();
    let all = all.as_array().expect("a list").clone();
    let ready = all.iter().filter_map(|pool| pool["currentSize"].as_u64()).sum();
    let ids = all.iter().filter_map(|pool| pool["id"].as_str().map(str::to_owned)).collect();
    (ids, ready)
}

fn pools_are_filled_and_killed() {
    let mut random = Random::new(7);
    let server = Server::new(0);
    server.start();
    // Two sizes of disks, which are two kinds of sandboxes.
    let snapshots = ["default", "daytona-medium"];
    for snapshot in snapshots {
        make_pool(&server.client(), snapshot);
    }
    let before = pools(&server.client()).0;
    assert_eq!(before.len(), snapshots.len());
    let mut names = Vec::new();
    for number in 0..KILLS {
        // At any moment of the filling; every other time with sandboxes taken from what waits.
        std::thread::park_timeout(Duration::from_millis(random.below(60)));
        if number % 2 == 1 {
            for snapshot in snapshots {
                let name = format!("{snapshot}-{number}");
                let wish = json!({ "name": name, "snapshot": snapshot });
                let made = server.client().post("/api/sandbox", &wish).unwrap();
                assert!(made.is_success(), "{}", made.text());
                names.push(name);
            }
        }
        server.kill();
        server.start();
        assert_eq!(pools(&server.client()).0, before);
    }
    let full = SIZE * u64::try_from(snapshots.len()).unwrap();
    wait_until("the pools are full", || pools(&server.client()).1 == full);

    // What was acknowledged works, and what waits is besides it and nothing else.
    let client = server.client();
    let sandboxes = client.sandboxes().unwrap();
    assert_eq!(sandboxes.len(), names.len());
    for (_, id, state) in &sandboxes {
        assert_eq!(state, "started");
        assert!(client.execute(id, "true").unwrap().is_success());
    }
    let expected = names.len() + usize::try_from(full).unwrap();
    wait_until("nothing else is left", || {
        let found = traces::Traces::of(&server);
        found.groups.len() == expected && found.processes == expected && found.links == expected
    });

    for id in before {
        let gone = client.delete(&format!("/api/warm-pools/{id}")).unwrap();
        assert_eq!(gone.status, 204, "{}", gone.text());
    }
    for (_, id, _) in sandboxes {
        assert!(client.delete(&format!("/api/sandbox/{id}")).unwrap().is_success());
    }
    traces::settle(&server, &[], &[], &[]);
    server.terminate();
    traces::gone(&server);
}
