//! Limits that hold, and a daemon that answers when they are reached.

use std::time::Duration;

use pitlane_driver::{Driver as _, DriverEvent};
use pitlane_model::Limits;
use serde_json::json;

use crate::support::{Bench, post, spec};

/// How soon something that is told at once has been told, on a machine that does much else.
const DEADLINE: Duration = Duration::from_secs(30);

crate::trials![
    using_up_memory_ends_the_workload_and_not_the_daemon,
    what_is_killed_for_want_of_memory_is_told_at_once,
    a_fork_bomb_is_stopped_and_the_daemon_answers,
    a_full_disk_is_an_error_inside_and_the_daemon_answers,
    a_busy_sandbox_gets_its_share_of_processor_time,
    shared_memory_is_limited,
    a_timeout_ends_what_a_command_started_wherever_it_went,
];

async fn using_up_memory_ends_the_workload_and_not_the_daemon() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    let hog = "python3 -c \"x = bytearray(3 << 30); print(len(x))\"";
    let done = bench.exec(id, hog).await;
    assert_eq!(done.exit_code, 137, "{done:?}");
    assert!(
        done.output.ends_with("[pitlane: killed: the sandbox's memory was used up]\n"),
        "{done:?}"
    );
    // Another signal of the same number is not mistaken for it.
    let killed = bench.exec(id, "kill -9 $$").await;
    assert_eq!((killed.exit_code, killed.output.as_str()), (137, ""));
    assert_eq!(bench.exec(id, "echo well").await.output, "well\n");
    bench.close().await;
}

async fn what_is_killed_for_want_of_memory_is_told_at_once() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    let hog = "python3 -c \"bytearray(3 << 30)\"";
    assert_eq!(bench.exec(id, hog).await.exit_code, 137);
    let told = async |wanted: u64| {
        let mut sum = 0;
        while sum < wanted {
            let event = tokio::time::timeout(DEADLINE, bench.engine.next_event()).await;
            match event.expect("it is told").expect("the engine runs") {
                DriverEvent::MemoryRanOut { id: whose, killed } if whose == id => sum += killed,
                other => panic!("{other:?}"),
            }
        }
        sum
    };
    assert_eq!(told(1).await, 1);
    // Several at a time, soon after, and from a service that nobody waits for.
    let done = bench.exec(id, &format!("for n in 1 2 3; do {hog}; done; true")).await;
    assert_eq!(done.exit_code, 0, "{done:?}");
    assert_eq!(told(3).await, 3);
    bench.exec(id, &format!("({hog} >/dev/null 2>&1 &)")).await;
    assert_eq!(told(1).await, 1);

    // A sandbox that was stopped and started is watched as before; one that was killed otherwise is not taken for it.
    let mut spec = spec();
    spec.id = id;
    bench.engine.stop(id, false).await.expect("it stops");
    bench.engine.start(&spec).await.expect("it starts");
    assert_eq!(bench.exec(id, "kill -9 $$").await.exit_code, 137);
    assert_eq!(bench.exec(id, hog).await.exit_code, 137);
    assert_eq!(told(1).await, 1);
    bench.close().await;
}

async fn a_fork_bomb_is_stopped_and_the_daemon_answers() {
    let bench = Bench::start().await;
    let mut spec = spec();
    spec.limits = Limits::new(1, 1, 3, 200).expect("legal limits");
    bench.engine.create(&spec).await.expect("a sandbox");
    let bomb = "for i in $(seq 1000); do sleep 30 & done 2>&1 | grep -m1 -o 'Resource temporarily unavailable'";
    let bomb = json!({"command": bomb, "timeout": 60});
    let done = bench.execute(spec.id, bomb).await;
    assert!(done.output.contains("Resource temporarily unavailable"), "{done:?}");
    // As many processes as are allowed still sleep: commands cannot start, and the answer says so.
    let answered = bench.exec(spec.id, "echo well").await;
    assert!(answered.exit_code == 0 || answered.exit_code == -1, "{answered:?}");
    bench.close().await;
}

async fn a_full_disk_is_an_error_inside_and_the_daemon_answers() {
    let bench = Bench::start().await;
    let mut spec = spec();
    spec.limits = Limits::new(1, 1, 1, 500).expect("legal limits");
    bench.engine.create(&spec).await.expect("a sandbox");
    let done = bench.exec(spec.id, "dd if=/dev/zero of=~/big bs=1M count=1500 2>&1").await;
    assert!(done.output.contains("No space left on device"), "{done:?}");
    let owned = bench.folder.state().join("disks/owned");
    let disk = owned.join(&crate::support::files(&owned)[0]);
    let used =
        std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(disk).expect("the disk")) * 512;
    assert!(used <= 1 << 30, "{used} bytes of the host");
    assert_eq!(
        bench.exec(spec.id, "rm ~/big && echo hello > ~/small && cat ~/small").await.output,
        "hello\n"
    );
    bench.close().await;
}

async fn a_busy_sandbox_gets_its_share_of_processor_time() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    // Two busy processes on a machine with two processors or more: together they may use one.
    let program = "import multiprocessing, os, time\n\
        def spin(end):\n    while time.monotonic() < end: pass\n\
        began = time.monotonic(); end = began + 2\n\
        ps = [multiprocessing.Process(target=spin, args=(end,)) for _ in range(2)]\n\
        [p.start() for p in ps]; [p.join() for p in ps]\n\
        t = os.times(); print((t.children_user + t.children_system) / (time.monotonic() - began))";
    let done = bench.exec(id, &format!("python3 -c {}", crate::support::quote(program))).await;
    let share: f64 = done.output.trim().parse().unwrap_or_else(|_| panic!("{done:?}"));
    assert!(share < 1.25, "{share} processors");
    bench.close().await;
}

async fn shared_memory_is_limited() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    let done = bench
        .exec(id, "dd if=/dev/zero of=/dev/shm/big bs=1M count=100 2>&1; stat -c %s /dev/shm/big")
        .await;
    assert!(done.output.contains("No space left on device"), "{done:?}");
    assert!(done.output.ends_with("67108864\n"), "{done:?}");
    bench.close().await;
}

async fn a_timeout_ends_what_a_command_started_wherever_it_went() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    let command = "(setsid sleep 1000 >/dev/null 2>&1 &); sleep 1000";
    let connection = bench.engine.connect(id).await.expect("a connection");
    let request = json!({"command": command, "timeout": 2});
    let (status, body) = post(connection, "/process/execute", request).await;
    assert_eq!((status, body["code"].as_str()), (408, Some("PROCESS_EXECUTION_TIMEOUT")));
    assert_eq!(bench.exec(id, "pgrep -c sleep").await.output, "0\n");
    bench.close().await;
}
