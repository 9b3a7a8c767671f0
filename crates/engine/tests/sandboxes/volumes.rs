//! Volumes: shared, kept, bounded, and no way out of a sandbox.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use pitlane_driver::{CreateError, Driver as _, LaunchSpec, StartError};
use pitlane_model::{MountPath, Subpath, VolumeId, VolumeMount};

use crate::crash::Held;
use crate::support::{Bench, files, launcher, spec, wait_until};

crate::trials! {
    sandboxes_share_a_volume_that_outlives_them,
    a_volume_is_as_large_as_it_is_and_no_larger,
    a_volume_is_mounted_where_the_sandbox_says_and_never_outside,
    a_folder_of_a_volume_shows_nothing_else_of_it,
    links_in_a_volume_lead_nowhere_outside_of_it,
    a_volume_lends_no_rights,
    a_new_server_finds_volumes_where_they_are_mounted,
    a_volume_that_is_gone_is_named_so_and_the_sandbox_starts_without_it,
    many_sandboxes_write_to_one_volume,
}

fn volume(number: u8) -> VolumeId {
    VolumeId::from_random([number; 16])
}

fn mount(number: u8, path: &str, subpath: Option<&str>) -> VolumeMount {
    VolumeMount {
        volume: volume(number),
        path: MountPath::new(path).unwrap(),
        subpath: subpath.map(|path| Subpath::new(path).unwrap()),
    }
}

fn with(volumes: Vec<VolumeMount>) -> LaunchSpec {
    LaunchSpec { volumes, ..spec() }
}

/// Files of this engine's volumes that the kernel has as block devices.
fn attached(state: &Path) -> BTreeSet<String> {
    let folder = state.join("volumes").to_string_lossy().into_owned();
    let devices = std::fs::read_dir("/sys/block").unwrap().flatten();
    let files = devices
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("loop/backing_file")).ok());
    files.map(|file| file.trim().to_owned()).filter(|file| file.starts_with(&folder)).collect()
}

async fn sandboxes_share_a_volume_that_outlives_them() {
    let bench = Bench::start().await;
    bench.engine.create_volume(volume(1)).await.unwrap();
    bench.engine.create_volume(volume(1)).await.expect("making it again is no harm");
    let (first, second) =
        (with(vec![mount(1, "/mnt/data", None)]), with(vec![mount(1, "/data", None)]));
    bench.engine.create(&first).await.unwrap();
    bench.engine.create(&second).await.unwrap();
    let written = bench
        .exec(
            first.id,
            "ls -A /mnt/data; echo one > /mnt/data/file; sudo sh -c 'echo two > /mnt/data/root'",
        )
        .await;
    assert_eq!((written.exit_code, written.output.as_str()), (0, ""));
    let read = bench
        .exec(second.id, "cat /data/file /data/root; stat -c '%U %a' /data /data/file /data/root")
        .await;
    assert_eq!(read.output, "one\ntwo\nroot 777\ndaytona 644\nroot 644\n");
    assert_eq!(attached(&bench.folder.state()).len(), 1, "one file, one device");

    bench.engine.destroy(first.id).await.unwrap();
    bench.engine.stop(second.id, true).await.unwrap();
    let state = bench.folder.state();
    wait_until("nobody has it", || attached(&state).is_empty()).await;
    bench.engine.start(&second).await.unwrap();
    assert_eq!(bench.exec(second.id, "cat /data/file").await.output, "one\n");
    bench.engine.stop(second.id, true).await.unwrap();
    bench.engine.archive(second.id).await.unwrap();
    bench.engine.restore(second.id).await.unwrap();
    bench.engine.start(&second).await.unwrap();
    assert_eq!(bench.exec(second.id, "cat /data/file").await.output, "one\n");
    assert_eq!(bench.engine.volumes().await.unwrap(), [volume(1)]);

    // Removed while it is mounted, it has no name any more and goes with its last user.
    bench.engine.delete_volume(volume(1)).await.unwrap();
    assert_eq!(bench.engine.volumes().await.unwrap(), []);
    assert_eq!(
        bench.exec(second.id, "echo x >> /data/file && cat /data/file").await.output,
        "one\nx\n"
    );
    bench.engine.destroy(second.id).await.unwrap();
    wait_until("its device is free", || attached(&state).is_empty()).await;
    assert_eq!(files(&state.join("volumes")), Vec::<String>::new());
    bench.close().await;
}

async fn a_volume_is_as_large_as_it_is_and_no_larger() {
    let bench = Bench::start().await;
    bench.engine.create_volume(volume(1)).await.unwrap();
    let file = bench.folder.state().join("volumes").join(format!("{}.ext4", volume(1)));
    let taken = || std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(&file).unwrap()) * 512;
    assert!(taken() < 2 << 20, "an empty one takes {} bytes", taken());
    let spec = with(vec![mount(1, "/data", None)]);
    bench.engine.create(&spec).await.unwrap();
    let filled = bench.exec(spec.id, "dd if=/dev/zero of=/data/a bs=1M count=1100 2>&1").await;
    assert!(filled.output.contains("No space left on device"), "{}", filled.output);
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 1 << 30);
    // What is removed goes back to the host.
    bench.exec(spec.id, "rm /data/a; sync").await;
    wait_until("the room is back", || taken() < 64 << 20).await;
    bench.close().await;
}

async fn a_volume_is_mounted_where_the_sandbox_says_and_never_outside() {
    const LINKS: &str = "
        ln -s /etc /to-etc; ln -s ../../../../../../mnt /up; ln -s /nowhere /dangling
        ln -s /round1 /round2; ln -s /round2 /round1; echo x > /file; ln -s /proc/self /process
        ln -s /proc/1/root/mnt /magic; ln -s / /everything; ln -s /data /alias; ln -s /dev/shm /memory";
    let bench = Bench::start().await;
    for number in [1, 2] {
        bench.engine.create_volume(volume(number)).await.unwrap();
    }
    let mut spec = spec();
    bench.engine.create(&spec).await.unwrap();
    assert_eq!(bench.sudo(spec.id, LINKS).await.exit_code, 0);
    for (path, wanted) in [
        ("/dangling", "leads through a symbolic link to nothing"),
        ("/dangling/x", "leads through a symbolic link to nothing"),
        ("/round1", "leads through a loop of symbolic links"),
        ("/file", "is, or leads through, a file"),
        ("/file/x", "is, or leads through, a file"),
        ("/process", "leads into another volume or a file system of the system"),
        ("/process/x", "leads into another volume or a file system of the system"),
        ("/magic", "leads into another volume or a file system of the system"),
        ("/memory/x", "leads into another volume or a file system of the system"),
        ("/everything", "leads to the root folder"),
    ] {
        bench.engine.stop(spec.id, true).await.unwrap();
        spec.volumes = vec![mount(1, path, None)];
        match bench.engine.start(&spec).await {
            Err(StartError::Mount { id, reason }) if id == spec.id => {
                assert_eq!(reason, format!("mount path {path} {wanted}"));
            }
            other => panic!("{path}: {other:?}"),
        }
    }
    // Two names of one place, of which the second is inside what was mounted at the first.
    spec.volumes = vec![mount(1, "/data", None), mount(2, "/alias/x", None)];
    let refused = bench.engine.start(&spec).await;
    assert!(matches!(refused, Err(StartError::Mount { .. })), "{refused:?}");

    // What leads elsewhere inside is where it leads; what is missing is made.
    spec.volumes = vec![mount(1, "/up/new/er", None), mount(2, "/to-etc/volume", None)];
    bench.engine.start(&spec).await.unwrap();
    let seen = bench
        .exec(spec.id, "echo 1 > /mnt/new/er/f; echo 2 > /etc/volume/f; stat -c %U /mnt/new; grep -c ext4 /proc/self/mountinfo")
        .await;
    assert_eq!(seen.output, "root\n2\n");
    let bare = with(vec![mount(1, "/a", None), mount(2, "/b", None)]);
    bench.engine.create(&bare).await.unwrap();
    assert_eq!(bench.exec(bare.id, "cat /a/f /b/f").await.output, "1\n2\n");
    // A create that is refused leaves nothing.
    let refused = with(vec![mount(1, "/usr/bin/env", None)]);
    match bench.engine.create(&refused).await {
        Err(CreateError::Mount { id, .. }) if id == refused.id => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.engine.inventory().await.unwrap().len(), 2);
    bench.close().await;
}

async fn a_folder_of_a_volume_shows_nothing_else_of_it() {
    let bench = Bench::start().await;
    bench.engine.create_volume(volume(1)).await.unwrap();
    let whole = with(vec![mount(1, "/data", None)]);
    bench.engine.create(&whole).await.unwrap();
    bench.exec(whole.id, "echo secret > /data/secret; mkdir -p /data/users/alice; echo hers > /data/users/alice/file; echo x > /data/plain").await;
    let part = with(vec![
        mount(1, "/mine", Some("users/alice")),
        mount(1, "/fresh", Some("users/bob/new")),
    ]);
    bench.engine.create(&part).await.unwrap();
    let seen = bench.sudo(part.id, "cat /mine/file; ls -A /mine /mine/.. | grep -c secret; echo his > /fresh/file; stat -c '%U %a' /fresh").await;
    assert_eq!(seen.output, "hers\n0\nroot 777\n");
    assert_eq!(bench.exec(whole.id, "cat /data/users/bob/new/file").await.output, "his\n");
    let wrong = with(vec![mount(1, "/x", Some("plain/folder"))]);
    match bench.engine.create(&wrong).await {
        Err(CreateError::Mount { reason, .. }) => assert_eq!(
            reason,
            format!(
                "subpath plain/folder of volume {} is, or leads through, something that is no folder",
                volume(1)
            )
        ),
        other => panic!("{other:?}"),
    }
    bench.close().await;
}

async fn links_in_a_volume_lead_nowhere_outside_of_it() {
    const SWAP: &str = "
        cd /data; mkdir real; ln -s /etc link; ln -s ../../../../etc up; ln -s /proc/1/root magic
        for i in $(seq 1 40000); do mv -T real swap && mv -T link real && mv -T real link && mv -T swap real; done 2>/dev/null &
        echo begun";
    let bench = Bench::start().await;
    bench.engine.create_volume(volume(1)).await.unwrap();
    let attacker = with(vec![mount(1, "/data", None)]);
    bench.engine.create(&attacker).await.unwrap();
    let said = bench.exec(attacker.id, SWAP).await;
    assert_eq!(said.output, "begun\n");
    for subpath in ["link", "up", "magic", "link/ssl", "magic/etc"] {
        let refused = bench.engine.create(&with(vec![mount(1, "/x", Some(subpath))])).await;
        match refused {
            Err(CreateError::Mount { .. }) => {}
            // While names change places, one of them may be a folder of the volume's for a moment.
            Ok(_) if subpath.starts_with("link") => {}
            other => panic!("{subpath}: {other:?}"),
        }
    }
    for _ in 0..20 {
        let victim = with(vec![mount(1, "/x", Some("real/inner"))]);
        if bench.engine.create(&victim).await.is_ok() {
            let seen = bench.exec(victim.id, "stat -f -c %T /x; ls -A /x").await;
            assert_eq!(seen.output, "ext2/ext3\n", "it is the volume's own, and empty");
        }
        bench.engine.destroy(victim.id).await.unwrap();
    }
    // Whatever was made was made in the volume.
    assert!(!Path::new("/etc/inner").exists());
    bench.close().await;
}

async fn a_volume_lends_no_rights() {
    const MAKE: &str = "
        cp /bin/cat /data/cat && chown root /data/cat && chmod 4755 /data/cat
        mknod /data/null c 1 3 2>&1 | head -c 0; cp /bin/true /data/true; chmod 755 /data/true";
    let bench = Bench::start().await;
    bench.engine.create_volume(volume(1)).await.unwrap();
    let (first, second) =
        (with(vec![mount(1, "/data", None)]), with(vec![mount(1, "/data", None)]));
    bench.engine.create(&first).await.unwrap();
    bench.engine.create(&second).await.unwrap();
    bench.sudo(first.id, MAKE).await;
    let tried = bench.exec(second.id, "/data/cat /etc/shadow >/dev/null 2>&1 && echo read it; /data/true && echo ran; findmnt -no OPTIONS /data | tr , '\\n' | grep -E '^(nosuid|nodev|rw)$' | sort").await;
    assert_eq!(tried.output, "ran\nnodev\nnosuid\nrw\n");
    // Nobody inside can even ask to change how it is mounted, root or not.
    const REMOUNT: u64 = 0x20;
    let program = format!(
        "import ctypes, os\nc = ctypes.CDLL(None, use_errno=True)\n\
         for call in [lambda: c.mount(None, b'/data', None, ctypes.c_ulong({REMOUNT}), None), lambda: c.umount(b'/data')]:\n    \
         print(call(), os.strerror(ctypes.get_errno()))"
    );
    let changed = bench.sudo_python(second.id, &program).await;
    assert_eq!(changed.output, "-1 Function not implemented\n-1 Function not implemented\n");
    bench.close().await;
}

/// What the sandbox of a server that is going to be killed has mounted.
pub(crate) fn held() -> VolumeMount {
    mount(1, "/mnt/held", None)
}

async fn a_new_server_finds_volumes_where_they_are_mounted() {
    let (folder, first, _) = Held::start().crash();
    let bench = Bench::start_in(folder).await;
    let second = with(vec![mount(1, "/data", None)]);
    bench.engine.create(&second).await.unwrap();
    bench.exec(second.id, "echo two > /data/two").await;
    // A second file system on the same file would show neither to the other, and destroy both.
    let seen =
        bench.exec(first.id, "echo one > /mnt/held/one; cat /mnt/held/one /mnt/held/two").await;
    assert_eq!(seen.output, "one\ntwo\n");
    assert_eq!(bench.exec(second.id, "cat /data/one /data/two").await.output, "one\ntwo\n");
    assert_eq!(attached(&bench.folder.state()).len(), 1);
    // Nor does a launcher that died, and knows of none of it, lose them.
    let launcher = launcher(&bench.folder.run()).expect("a launcher");
    rustix::process::kill_process(launcher, rustix::process::Signal::KILL).unwrap();
    let third = with(vec![mount(1, "/data", None)]);
    bench.engine.create(&third).await.unwrap();
    assert_eq!(bench.exec(third.id, "cat /data/one /data/two").await.output, "one\ntwo\n");
    assert_eq!(attached(&bench.folder.state()).len(), 1);
    bench.close().await;
}

async fn a_volume_that_is_gone_is_named_so_and_the_sandbox_starts_without_it() {
    let bench = Bench::start().await;
    bench.engine.create_volume(volume(1)).await.unwrap();
    let mut spec = with(vec![mount(1, "/data", None)]);
    bench.engine.create(&spec).await.unwrap();
    bench.engine.stop(spec.id, true).await.unwrap();
    bench.engine.delete_volume(volume(1)).await.unwrap();
    match bench.engine.start(&spec).await {
        Err(StartError::Mount { reason, .. }) => {
            assert_eq!(reason, format!("volume {} is gone", volume(1)));
        }
        other => panic!("{other:?}"),
    }
    bench.engine.create_volume(volume(1)).await.unwrap();
    // What is no file system is the machine's trouble, not the caller's, and harms nobody else.
    let file = bench.folder.state().join("volumes").join(format!("{}.ext4", volume(1)));
    std::fs::write(&file, vec![7; 1 << 20]).unwrap();
    match bench.engine.start(&spec).await {
        Err(StartError::Host { .. }) => {}
        other => panic!("{other:?}"),
    }
    spec.volumes.clear();
    bench.engine.start(&spec).await.unwrap();
    bench.close().await;
}

async fn many_sandboxes_write_to_one_volume() {
    const SANDBOXES: usize = 50;
    let bench = Arc::new(Bench::start().await);
    bench.engine.create_volume(volume(1)).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..SANDBOXES {
        let bench = Arc::clone(&bench);
        tasks.spawn(async move {
            let spec = with(vec![mount(1, "/data", None)]);
            bench.engine.create(&spec).await.unwrap();
            let written = bench.exec(spec.id, "for i in 1 2 3 4 5; do head -c 10000 /dev/zero > /data/$(hostname)-$$-$RANDOM-$i && echo x >> /data/log; done").await;
            assert_eq!(written.exit_code, 0, "{written:?}");
            spec.id
        });
    }
    let made = tasks.join_all().await;
    assert_eq!(attached(&bench.folder.state()).len(), 1);
    let counted = bench.exec(made[0], "wc -l < /data/log").await;
    assert_eq!(counted.output, format!("{}\n", 5 * SANDBOXES));
    let bench = Arc::into_inner(bench).expect("nobody else has it");
    bench.close().await;
}
