//! What survives the server, and what is cleared up after it.

use pitlane_driver::{Driver as _, Liveness};

use crate::support::{Bench, Folder, files, spec};

crate::trials![
    sandboxes_run_on_without_the_server_and_the_next_one_has_them,
    what_nobody_owns_is_removed_at_the_start,
    a_sandbox_outlives_its_launcher,
];

/// Ends an engine as a crash would: nothing is closed, nobody is told.
fn crash(bench: Bench) -> Folder {
    let Bench { engine, folder } = bench;
    // Its threads and descriptors stay until the test ends, as a second holder of everything it had prepared. What a
    // real crash frees in addition is shown by the tests that kill the server.
    std::mem::forget(engine);
    folder
}

async fn sandboxes_run_on_without_the_server_and_the_next_one_has_them() {
    let bench = Bench::start().await;
    let spec = spec();
    bench.engine.create(&spec).await.expect("a sandbox");
    bench.exec(spec.id, "setsid sleep 1000 >/dev/null 2>&1 & echo $! > ~/pid").await;
    let stopped = crate::support::spec();
    bench.engine.create(&stopped).await.expect("a sandbox");
    bench.engine.stop(stopped.id, true).await.expect("it stops");

    let bench = Bench::start_in(crash(bench)).await;
    let mut inventory = bench.engine.inventory().await.expect("an inventory");
    inventory.sort_by_key(|existing| existing.liveness == Liveness::Stopped);
    let found: Vec<_> = inventory.iter().map(|existing| (existing.id, existing.liveness)).collect();
    assert_eq!(found, [(spec.id, Liveness::Running), (stopped.id, Liveness::Stopped)]);
    assert_eq!(bench.exec(spec.id, "kill -0 $(cat ~/pid) && echo alive").await.output, "alive\n");
    bench.engine.start(&stopped).await.expect("it starts");
    bench.close().await;
}

async fn what_nobody_owns_is_removed_at_the_start() {
    let bench = Bench::start().await;
    let spec = spec();
    bench.engine.create(&spec).await.expect("a sandbox");
    let owned = bench.folder.state().join("disks/owned");
    let disk = owned.join(&files(&owned)[0]);
    let folder = crash(bench);
    // The disk is gone, as after an operator's hand: its process must not go on as nobody's.
    std::fs::remove_file(disk).expect("the disk can be removed");

    let bench = Bench::start_in(folder).await;
    assert_eq!(bench.engine.inventory().await.expect("an inventory"), []);
    bench.close().await;
}

async fn a_sandbox_outlives_its_launcher() {
    let bench = Bench::start().await;
    let spec = spec();
    bench.engine.create(&spec).await.expect("a sandbox");
    let launcher = crate::support::launcher(&bench.folder.run()).expect("a launcher");
    let folder = crash(bench);
    rustix::process::kill_process(launcher, rustix::process::Signal::KILL)
        .expect("it can be ended");

    let bench = Bench::start_in(folder).await;
    assert_eq!(bench.exec(spec.id, "echo here").await.output, "here\n");
    bench.engine.stop(spec.id, false).await.expect("it stops");
    bench.engine.start(&spec).await.expect("it starts");
    bench.close().await;
}
