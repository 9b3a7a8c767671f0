//! Sandboxes that wait to be taken.

use std::collections::BTreeMap;
use std::path::Path;

use pitlane_driver::{Driver as _, LaunchSpec};
use pitlane_model::Limits;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::crash::Held;
use crate::support::{Bench, first_process, groups, spec, wait_until};

crate::trials![
    a_sandbox_that_waited_is_its_owners_in_everything,
    one_that_dies_while_it_waits_is_replaced_unnoticed,
    what_waits_ends_with_its_server,
];

/// The first processes of all sandboxes of an engine, taken or not.
fn first_processes(name: &str) -> Vec<Pid> {
    let mut all: Vec<i32> = groups(name)
        .iter()
        .flat_map(|group| [group.join("cgroup.procs"), group.join("daemon/cgroup.procs")])
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .flat_map(|text| text.lines().filter_map(|line| line.parse().ok()).collect::<Vec<i32>>())
        .collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter().filter_map(Pid::from_raw).collect()
}

/// What a group's file says, in whichever hierarchy and version has it.
fn setting(name: &str, slot: &str, files: [&str; 2]) -> String {
    groups(name)
        .iter()
        .filter(|group| group.ends_with(slot))
        .flat_map(|group| files.map(|file| group.join("workload").join(file)))
        .find_map(|file| std::fs::read_to_string(file).ok())
        .expect("a setting")
}

fn is_ready(name: &str, wanted: usize) -> bool {
    first_processes(name).len() >= wanted
}

async fn a_sandbox_that_waited_is_its_owners_in_everything() {
    let bench = Bench::start().await;
    let name = bench.folder.name().to_owned();
    wait_until("sandboxes wait", || is_ready(&name, 2)).await;
    let waiting = first_processes(&name);
    let spec = LaunchSpec {
        limits: Limits::new(2, 2, Limits::DEFAULT.disk_gib(), 300).expect("legal limits"),
        environment: BTreeMap::from([(String::from("OWNER"), String::from("me"))]),
        ..spec()
    };
    bench.engine.create(&spec).await.expect("a sandbox");
    let process = first_process(&bench.folder.state(), &name, spec.id).expect("a process");
    assert!(waiting.contains(&process), "it was not one of those that waited");
    let said = bench.exec(spec.id, "echo $OWNER $DAYTONA_SANDBOX_ID; whoami").await;
    assert_eq!(said.output, format!("me {}\ndaytona\n", spec.id));
    let slot = slot_of(&bench.folder.state(), &spec);
    let memory = setting(&name, &slot, ["memory.limit_in_bytes", "memory.max"]);
    assert_eq!(memory.trim(), (2u64 << 30).to_string());
    bench.close().await;
}

fn slot_of(state: &Path, spec: &LaunchSpec) -> String {
    let file = crate::support::files(&state.join("disks/owned"))
        .into_iter()
        .find(|file| file.starts_with(&spec.id.to_string()))
        .expect("a disk");
    format!("slot-{}", file.split('.').nth(1).expect("a slot"))
}

async fn one_that_dies_while_it_waits_is_replaced_unnoticed() {
    let bench = Bench::start().await;
    let name = bench.folder.name().to_owned();
    wait_until("sandboxes wait", || is_ready(&name, 2)).await;
    for process in first_processes(&name) {
        // With control groups of version 2, one of them may only have made a namespace for the next.
        let killed = kill_process(process, Signal::KILL);
        assert!(matches!(killed, Ok(()) | Err(Errno::SRCH)), "{killed:?}");
    }
    for _ in 0..3 {
        let id = bench.create().await;
        assert_eq!(bench.exec(id, "echo here").await.output, "here\n");
    }
    bench.close().await;
}

async fn what_waits_ends_with_its_server() {
    let held = Held::start();
    let name = held.folder().name().to_owned();
    // One runs, one is stopped, two wait.
    wait_until("sandboxes wait", || is_ready(&name, 3)).await;
    let before = first_processes(&name);
    let (folder, running, _stopped) = held.crash();
    let kept = first_process(&folder.state(), &name, running.id).expect("a process");
    wait_until("what waited has ended", || {
        before.iter().all(|process| *process == kept || test_kill_process(*process).is_err())
    })
    .await;
    assert!(test_kill_process(kept).is_ok());
    Bench::start_in(folder).await.close().await;
}
