//! Disks of sandboxes that do not run: they grow, are packed away and come back, whatever happens in between.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Command;

use pitlane_driver::{Driver as _, Existing, LaunchSpec, Liveness, RestoreError};
use pitlane_model::Limits;

use crate::support::{Bench, files, spec};

crate::trials![
    a_grown_disk_is_sound_and_holds_what_was_on_it,
    limits_of_a_running_sandbox_are_its_groups_at_once,
    an_archive_takes_little_room,
    what_a_crash_left_of_packing_and_unpacking_is_cleared_up,
    a_damaged_archive_is_refused_and_kept,
];

/// An engine with one stopped sandbox that has something on its disk.
async fn stopped() -> (Bench, LaunchSpec) {
    let bench = Bench::start().await;
    let spec = spec();
    bench.engine.create(&spec).await.expect("a sandbox");
    let done =
        bench.sudo(spec.id, "echo kept > /file && chown 7:8 /file && ln -s /file /link").await;
    assert_eq!(done.exit_code, 0, "{done:?}");
    bench.engine.stop(spec.id, false).await.expect("it stops");
    (bench, spec)
}

async fn check_contents(bench: &Bench, spec: &LaunchSpec) {
    bench.engine.start(spec).await.expect("it starts");
    let found = bench.exec(spec.id, "cat /link; stat -c %u:%g /file").await;
    assert_eq!(found.output, "kept\n7:8\n");
    bench.engine.stop(spec.id, true).await.expect("it stops");
}

async fn restarted(bench: Bench) -> Bench {
    let Bench { engine, folder } = bench;
    engine.close().await;
    drop(engine);
    Bench::start_in(folder).await
}

fn only(bench: &Bench, folder: &str) -> PathBuf {
    let folder = bench.folder.state().join(folder);
    let names = files(&folder);
    assert_eq!(names.len(), 1, "{names:?}");
    folder.join(&names[0])
}

async fn a_grown_disk_is_sound_and_holds_what_was_on_it() {
    let (bench, mut spec) = stopped().await;
    // Across the size up to which one block describes all groups of blocks.
    for gib in [4, 10] {
        spec.limits = Limits::new(1, 1, gib, 1024).expect("legal limits");
        bench.engine.resize(spec.id, spec.limits).await.expect("it grows");
        let disk = only(&bench, "disks/owned");
        let metadata = std::fs::metadata(&disk).expect("the disk");
        assert_eq!((metadata.len(), metadata.uid()), (u64::from(gib) << 30, 0));
        #[expect(clippy::disallowed_methods, reason = "looks at the disk from outside")]
        let checked = Command::new("e2fsck").args(["-f", "-n"]).arg(&disk).output();
        let checked = checked.expect("e2fsck");
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
        check_contents(&bench, &spec).await;
    }
    bench.close().await;
}

async fn limits_of_a_running_sandbox_are_its_groups_at_once() {
    let bench = Bench::start().await;
    let id = bench.create().await;
    let hog = "python3 -c 'print(len(bytearray(1200 << 20)) >> 20)'";
    assert_eq!(bench.exec(id, hog).await.exit_code, 137);
    let more = Limits::new(2, 2, 3, 1024).expect("legal limits");
    bench.engine.resize(id, more).await.expect("more");
    assert_eq!(bench.exec(id, hog).await.output, "1200\n");
    let less = Limits::new(1, 1, 3, 1024).expect("legal limits");
    bench.engine.resize(id, less).await.expect("less");
    assert_eq!(bench.exec(id, hog).await.exit_code, 137);
    bench.close().await;
}

async fn an_archive_takes_little_room() {
    let (bench, spec) = stopped().await;
    bench.engine.archive(spec.id).await.expect("an archive");
    assert_eq!(files(&bench.folder.state().join("disks/owned")), [""; 0]);
    let archive = only(&bench, "archives");
    let metadata = std::fs::metadata(&archive).expect("the archive");
    assert!(metadata.len() < 200_000, "{} bytes", metadata.len());
    assert_eq!(metadata.mode() & 0o777, 0o600);
    // Its ids and its address are free meanwhile: it comes back to others.
    let other = bench.create().await;
    bench.engine.restore(spec.id).await.expect("its disk");
    check_contents(&bench, &spec).await;
    assert_eq!(bench.exec(other, "ls /file").await.exit_code, 2);
    bench.close().await;
}

async fn what_a_crash_left_of_packing_and_unpacking_is_cleared_up() {
    let (bench, spec) = stopped().await;
    bench.engine.archive(spec.id).await.expect("an archive");
    let archive = only(&bench, "archives");
    let bench = restarted(bench).await;
    let existing = |liveness| vec![Existing { id: spec.id, liveness }];
    assert_eq!(bench.engine.inventory().await.unwrap(), existing(Liveness::Archived));

    // Between the last two steps of unpacking, or of packing: both are there.
    let packed = std::fs::read(&archive).expect("the archive");
    bench.engine.restore(spec.id).await.expect("its disk");
    assert_eq!(files(&bench.folder.state().join("archives")), [""; 0]);
    std::fs::write(&archive, &packed).expect("the archive again");
    // In the middle of packing, unpacking and growing.
    let state = bench.folder.state();
    std::fs::write(state.join(format!("archives/{}.draft", spec.id)), &packed[..9]).unwrap();
    for name in ["back", "larger"] {
        std::fs::write(state.join(format!("disks/prepared/{}.{name}", spec.id)), "half").unwrap();
    }
    let bench = restarted(bench).await;
    assert_eq!(bench.engine.inventory().await.unwrap(), existing(Liveness::Stopped));
    assert_eq!(files(&state.join("archives")), [""; 0]);
    let left = files(&state.join("disks/prepared"));
    assert!(left.iter().all(|name| !name.contains(&spec.id.to_string())), "{left:?}");
    check_contents(&bench, &spec).await;
    bench.close().await;
}

async fn a_damaged_archive_is_refused_and_kept() {
    let (bench, spec) = stopped().await;
    bench.engine.archive(spec.id).await.expect("an archive");
    let archive = only(&bench, "archives");
    let packed = std::fs::read(&archive).expect("the archive");
    std::fs::write(&archive, &packed[..packed.len() / 2]).expect("half of it");
    let refused = bench.engine.restore(spec.id).await;
    assert!(matches!(refused, Err(RestoreError::Host { .. })), "{refused:?}");
    assert_eq!(files(&bench.folder.state().join("disks/owned")), [""; 0]);
    std::fs::write(&archive, &packed).expect("all of it");
    bench.engine.restore(spec.id).await.expect("its disk");
    check_contents(&bench, &spec).await;
    bench.close().await;
}
