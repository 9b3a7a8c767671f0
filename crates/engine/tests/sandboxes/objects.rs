//! Volumes in object storage: shared, kept, and nothing of theirs where it does not belong.

use std::time::{Duration, Instant};

use pitlane_driver::{CreateError, CreateVolumeError, Driver as _, LaunchSpec};
use pitlane_model::{MountPath, Subpath, VolumeId, VolumeMount};

use crate::crash::Held;
use crate::support::{Bench, Folder, files, spec, wait_until};

#[path = "../../../objects/tests/storage/mod.rs"]
#[expect(dead_code, reason = "each test uses a part of it")]
mod storage;

use storage::{Mood, Storage};

crate::trials! {
    sandboxes_share_a_volume_of_objects_that_outlives_them,
    ordinary_programs_work_on_objects,
    a_folder_of_a_volume_of_objects_shows_nothing_else_of_it,
    the_files_of_a_volume_are_served_by_a_process_that_may_nothing_else,
    a_storage_that_hangs_holds_nobody_up_who_is_killed,
    sandboxes_keep_their_volumes_of_objects_without_the_server,
    a_storage_that_takes_no_volume_is_told,
}

fn volume(number: u8) -> VolumeId {
    VolumeId::from_random([number; 16])
}

fn mount(path: &str, subpath: Option<&str>) -> VolumeMount {
    VolumeMount {
        volume: volume(1),
        path: MountPath::new(path).unwrap(),
        subpath: subpath.map(|path| Subpath::new(path).unwrap()),
    }
}

fn with(volumes: Vec<VolumeMount>) -> LaunchSpec {
    LaunchSpec { volumes, ..spec() }
}

async fn bench() -> (Storage, Bench) {
    let storage = Storage::start().await;
    let bench = Bench::start_in(Folder::new().with_objects(storage.access("all"))).await;
    (storage, bench)
}

fn key(path: &str) -> String {
    format!("all/{}/{path}", volume(1))
}

/// Ids of processes that serve volumes of this test's engine: they have its volumes' folder open.
fn servers(bench: &Bench) -> Vec<i32> {
    let marker = bench.folder.state().join("volumes").join(format!("{}.objects", volume(1)));
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let serves = |id: &i32| {
        let Ok(open) = std::fs::read_dir(format!("/proc/{id}/fd")) else { return false };
        // The name that it had when it was opened, whatever root the process has now.
        open.flatten().any(|file| std::fs::read_link(file.path()).is_ok_and(|name| name == marker))
    };
    ids.filter(serves).collect()
}

async fn sandboxes_share_a_volume_of_objects_that_outlives_them() {
    let (storage, bench) = bench().await;
    bench.engine.create_volume(volume(1)).await.unwrap();
    bench.engine.create_volume(volume(1)).await.expect("making it again is no harm");
    assert_eq!(storage.keys(), [key("")]);
    let (first, second) = (with(vec![mount("/mnt/data", None)]), with(vec![mount("/data", None)]));
    bench.engine.create(&first).await.unwrap();
    bench.engine.create(&second).await.unwrap();
    let written = bench
        .exec(first.id, "ls -A /mnt/data; echo one > /mnt/data/file; mkdir /mnt/data/folder; sudo sh -c 'echo two > /mnt/data/folder/root'")
        .await;
    assert_eq!((written.exit_code, written.output.as_str()), (0, ""));
    assert_eq!(storage.get(&key("file")).unwrap(), b"one\n");
    assert_eq!(storage.keys(), [key(""), key("file"), key("folder/"), key("folder/root")]);
    let read = bench
        .exec(second.id, "cat /data/file /data/folder/root; find /data | sort; stat -c '%U %F' /data /data/folder/root; sudo stat -c %U /data/file")
        .await;
    assert_eq!(
        read.output,
        "one\ntwo\n/data\n/data/file\n/data/folder\n/data/folder/root\n\
         daytona directory\ndaytona regular file\nroot\n"
    );
    // What is closed here is there at the next opening.
    bench.exec(second.id, "echo more >> /data/file").await;
    assert_eq!(bench.exec(first.id, "cat /mnt/data/file").await.output, "one\nmore\n");
    let processes = servers(&bench);
    assert_eq!(processes.len(), 2);

    bench.engine.destroy(first.id).await.unwrap();
    bench.engine.stop(second.id, true).await.unwrap();
    wait_until("nobody serves it", || servers(&bench).is_empty()).await;
    let is_there = |process: &i32| std::path::Path::new(&format!("/proc/{process}")).exists();
    wait_until("nobody waits for an end", || !processes.iter().any(is_there)).await;
    bench.engine.start(&second).await.unwrap();
    assert_eq!(bench.exec(second.id, "cat /data/file").await.output, "one\nmore\n");
    assert_eq!(bench.engine.volumes().await.unwrap(), [volume(1)]);
    bench.engine.destroy(second.id).await.unwrap();
    bench.engine.delete_volume(volume(1)).await.unwrap();
    bench.engine.delete_volume(volume(1)).await.unwrap();
    assert_eq!(storage.keys(), Vec::<String>::new());
    assert_eq!(bench.engine.volumes().await.unwrap(), []);
    assert_eq!(files(&bench.folder.state().join("volumes")), ["staging"]);
    bench.close().await;
}

async fn ordinary_programs_work_on_objects() {
    let (storage, bench) = bench().await;
    bench.engine.create_volume(volume(1)).await.unwrap();
    storage.put(&key("..//x"), b"hidden");
    let spec = with(vec![mount("/data", None)]);
    bench.engine.create(&spec).await.unwrap();
    for (command, wanted) in [
        (
            "cd /data && git init -q repo 2>&1 && cd repo && git config user.email a@b && git config user.name a && echo x > f && git add f && git commit -qm m 2>&1 && git status --short && git fsck 2>&1 && git log --format=%s",
            "m\n",
        ),
        (
            "cd /data && python3 -c \"import sqlite3; d = sqlite3.connect('d.sqlite'); d.execute('create table t(a)'); d.execute('insert into t values (7)'); d.commit(); d.close(); print(sqlite3.connect('d.sqlite').execute('select a from t').fetchall())\"",
            "[(7,)]\n",
        ),
        (
            "cd /data && head -c 20000000 /dev/urandom > big && cp big copy && cmp big copy && mv copy moved && cmp big moved && wc -c < moved",
            "20000000\n",
        ),
        (
            "cd /data && mkdir -p a/b && cp -rp /usr/share/doc/bash a/b/ 2>/dev/null; mv a c && test -d c/b && rm -r c && ls -d a c 2>/dev/null; echo gone",
            "gone\n",
        ),
        (
            "cd /data && printf '#!/bin/sh\\necho ran\\n' > program && chmod +x program && ./program",
            "ran\n",
        ),
        (
            "cd /data && ln -s x link 2>/dev/null || echo no links; sudo mknod device c 1 3 2>/dev/null || echo no devices; mkfifo pipe 2>/dev/null || echo no pipes",
            "no links\nno devices\nno pipes\n",
        ),
        (
            "cd /data && python3 -c \"import mmap, os; f = open('m', 'w+b'); f.truncate(8192); m = mmap.mmap(f.fileno(), 0); m[5000:5003] = b'abc'; m.flush(); m.close(); f.close(); print(open('m', 'rb').read()[5000:5003])\"",
            "b'abc'\n",
        ),
    ] {
        let done = bench.exec(spec.id, command).await;
        assert_eq!((done.exit_code, done.output.as_str()), (0, wanted), "{command}");
    }
    assert_eq!(storage.get(&key("moved")).unwrap().len(), 20_000_000);
    assert_eq!(storage.get(&key("program")).unwrap(), b"#!/bin/sh\necho ran\n");
    bench.close().await;
}

async fn a_folder_of_a_volume_of_objects_shows_nothing_else_of_it() {
    let (storage, bench) = bench().await;
    bench.engine.create_volume(volume(1)).await.unwrap();
    storage.put(&key("users/bob/secret"), b"x");
    storage.put(&key("file"), b"x");
    let spec = with(vec![mount("/data", Some("users/alice"))]);
    bench.engine.create(&spec).await.unwrap();
    let seen = bench.exec(spec.id, "echo mine > /data/file; ls -A /data /data/..| head -3").await;
    assert!(seen.output.starts_with("/data:\nfile\n"), "{seen:?}");
    assert_eq!(storage.get(&key("users/alice/file")).unwrap(), b"mine\n");
    assert_eq!(bench.exec(spec.id, "find /data -name secret").await.output, "");
    let through_a_file = with(vec![mount("/data", Some("file/folder"))]);
    match bench.engine.create(&through_a_file).await {
        Err(CreateError::Mount { reason, .. }) => assert!(reason.contains("no folder"), "{reason}"),
        other => panic!("{other:?}"),
    }
    bench.close().await;
}

async fn the_files_of_a_volume_are_served_by_a_process_that_may_nothing_else() {
    let (_storage, bench) = bench().await;
    bench.engine.create_volume(volume(1)).await.unwrap();
    let spec = with(vec![mount("/data", None)]);
    bench.engine.create(&spec).await.unwrap();
    assert_eq!(bench.exec(spec.id, "echo x > /data/a && cat /data/a").await.output, "x\n");
    let [server] = servers(&bench)[..] else { panic!("one process") };
    let status = std::fs::read_to_string(format!("/proc/{server}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    let user: u32 = field("Uid:").parse().unwrap();
    assert!(user >= 0x7000_0000, "{user}");
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert_eq!(field("Seccomp:"), "2");
    assert_eq!(files(format!("/proc/{server}/root").as_ref()), ["etc", "staging"]);
    assert_eq!(
        files(format!("/proc/{server}/root/etc").as_ref()),
        ["hosts", "nsswitch.conf", "resolv.conf"]
    );
    // The key came another way.
    for file in ["cmdline", "environ"] {
        let told = std::fs::read(format!("/proc/{server}/{file}")).unwrap();
        assert!(!String::from_utf8_lossy(&told).contains("word"), "{file}");
    }
    let inside = bench
        .sudo(
            spec.id,
            "grep -rl volume-[f]iles /proc/[0-9]*/cmdline 2>/dev/null; grep data /proc/mounts",
        )
        .await;
    assert!(
        inside.output.starts_with("volume /data fuse rw,nosuid,nodev,noatime,"),
        "{}",
        inside.output
    );
    // Without it, files are in error, and at the next start they are there again.
    let pid = rustix::process::Pid::from_raw(server).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let lost = bench.exec(spec.id, "cat /data/a 2>&1").await;
    assert!(lost.output.contains("not connected") || lost.output.contains("abort"), "{lost:?}");
    bench.engine.stop(spec.id, true).await.unwrap();
    bench.engine.start(&spec).await.unwrap();
    assert_eq!(bench.exec(spec.id, "cat /data/a").await.output, "x\n");
    bench.close().await;
}

async fn a_storage_that_hangs_holds_nobody_up_who_is_killed() {
    let (storage, bench) = bench().await;
    bench.engine.create_volume(volume(1)).await.unwrap();
    let spec = with(vec![mount("/data", None)]);
    bench.engine.create(&spec).await.unwrap();
    bench.exec(spec.id, "echo x > /data/a").await;
    storage.be(Mood::Hanging);
    let began = Instant::now();
    let killed = bench
        .exec(spec.id, "timeout -s KILL 1 cat /data/b; echo $?; timeout -s KILL 1 sh -c 'echo y > /data/c'; echo $?")
        .await;
    assert!(killed.output.contains("137"), "{killed:?}");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    // What is no business of the storage's goes on.
    assert_eq!(bench.exec(spec.id, "echo z > /tmp/z && cat /tmp/z").await.output, "z\n");
    bench.engine.stop(spec.id, true).await.unwrap();
    storage.be(Mood::Working);
    bench.engine.start(&spec).await.unwrap();
    assert_eq!(bench.exec(spec.id, "cat /data/a").await.output, "x\n");
    storage.be(Mood::Failing);
    let failed = bench.exec(spec.id, "cat /data/none 2>&1; echo y > /data/a; echo $?").await;
    assert!(failed.output.contains("Input/output error"), "{failed:?}");
    storage.be(Mood::Working);
    bench.close().await;
}

async fn sandboxes_keep_their_volumes_of_objects_without_the_server() {
    let storage = Storage::start().await;
    let held = Held::start_in(Folder::new().with_objects(storage.access("all")));
    let (folder, running, _) = held.crash();
    let bench = Bench::start_in(folder).await;
    assert_eq!(servers(&bench).len(), 1, "what serves it outlived the server");
    let done = bench.exec(running.id, "echo later > /mnt/held/later && cat /mnt/held/later").await;
    assert_eq!(done.output, "later\n");
    assert_eq!(storage.get(&key("later")).unwrap(), b"later\n");
    let second = with(vec![mount("/data", None)]);
    bench.engine.create(&second).await.unwrap();
    assert_eq!(bench.exec(second.id, "cat /data/later").await.output, "later\n");
    bench.close().await;
}

async fn a_storage_that_takes_no_volume_is_told() {
    let (storage, bench) = bench().await;
    storage.be(Mood::ReadOnly);
    match bench.engine.create_volume(volume(1)).await {
        Err(CreateVolumeError::Storage { reason }) => {
            assert_eq!(reason, "object storage refuses: 403 AccessDenied");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.engine.volumes().await.unwrap(), []);
    storage.be(Mood::WriteOnly);
    bench.engine.create_volume(volume(1)).await.unwrap_err();
    assert_eq!(bench.engine.volumes().await.unwrap(), []);
    assert_eq!(storage.keys(), Vec::<String>::new(), "what was begun is undone");
    // Nobody knows what a storage did that fails: it is there until it is surely not.
    storage.be(Mood::Failing);
    bench.engine.create_volume(volume(1)).await.unwrap_err();
    assert_eq!(bench.engine.volumes().await.unwrap(), [volume(1)]);
    storage.be(Mood::Working);
    bench.engine.delete_volume(volume(1)).await.unwrap();
    assert_eq!(bench.engine.volumes().await.unwrap(), []);
    bench.engine.create_volume(volume(1)).await.unwrap();
    storage.put(&key("a"), b"x");
    storage.be(Mood::ReadOnly);
    bench.engine.delete_volume(volume(1)).await.unwrap_err();
    assert_eq!(bench.engine.volumes().await.unwrap(), [volume(1)], "it is there until it is empty");
    storage.be(Mood::Working);
    bench.engine.delete_volume(volume(1)).await.unwrap();
    assert_eq!(storage.keys(), Vec::<String>::new());
    bench.close().await;
}
