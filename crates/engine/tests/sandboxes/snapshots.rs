//! Snapshots of sandboxes: what a former upper layer means as a lower one, and disks that stand still.

use std::time::{Duration, Instant};

use pitlane_driver::{Driver as _, LaunchSpec, SnapshotError};
use pitlane_image::Images;
use pitlane_model::{ImageName, ImageReference, SandboxId};
use pitlane_network::{Uplink, Upstreams};
use tokio::sync::mpsc;

use crate::support::{Bench, Folder, files, image, images, spec, wait_until};

crate::trials![
    what_was_changed_means_the_same_one_layer_lower,
    a_snapshot_of_a_snapshot_of_a_snapshot_has_the_files_of_all,
    a_disk_is_mounted_once_for_all_its_sandboxes_and_let_go,
    a_snapshot_while_commands_write_is_one_moment,
    many_snapshots_at_once,
    a_disk_that_stands_still_goes_on_with_the_next_server,
    a_chain_of_layers_ends_with_a_clear_error,
    an_image_may_have_the_same_layer_again_and_again,
];

/// An engine with images of its own, beside those of the recipes that all tests share.
struct Own {
    bench: Bench,
    cache: std::path::PathBuf,
}

impl Own {
    async fn start() -> Self {
        Self::start_in(Folder::new()).await
    }

    async fn start_in(folder: Folder) -> Self {
        // The shared one is there once it was prepared.
        let (progress, _steps) = mpsc::channel(1);
        let shared = images().prepare(&image(), progress).await.expect("the default image");
        let shared = shared.layers[0].path().parent().expect("a folder").to_owned();
        let cache = folder.root().join("images");
        std::fs::create_dir_all(&cache).expect("a folder");
        let link = cache.join(shared.file_name().expect("a name"));
        if !link.exists() {
            std::os::unix::fs::symlink(&shared, link).expect("a link");
        }
        let uplink = (Uplink::None, Upstreams::Fixed(Vec::new()));
        let bench = Bench::start_on(folder, uplink.0, uplink.1, Images::new(&cache)).await;
        Self { bench, cache }
    }

    async fn snapshot(&self, id: SandboxId, name: &str) -> ImageName {
        let made = self.bench.engine.snapshot(id, &named(name)).await;
        made.expect("a snapshot").image
    }

    async fn create_of(&self, image: &ImageName) -> LaunchSpec {
        let spec = LaunchSpec { image: image.clone(), pools: Vec::new(), ..spec() };
        self.bench.engine.create(&spec).await.expect("a sandbox of a snapshot");
        spec
    }

    /// The disks among the layers, drafts included.
    fn disks(&self) -> Vec<String> {
        let mut layers = files(&self.cache.join("layers"));
        layers.retain(|name| name.contains(".disk"));
        layers
    }

    /// The loop devices of them.
    fn devices(&self) -> usize {
        let layers = self.cache.join("layers");
        std::fs::read_dir("/sys/block")
            .expect("devices")
            .flatten()
            .filter_map(|device| {
                std::fs::read_to_string(device.path().join("loop/backing_file")).ok()
            })
            .filter(|file| file.starts_with(&*layers.to_string_lossy()))
            .count()
    }

    /// Ends everything and checks that no image and no device is left.
    async fn close(self, names: &[&str]) {
        for name in names {
            self.bench.engine.remove_image(&named(name)).await.expect("it can be removed");
        }
        let (cache, devices) = (self.cache.clone(), self.cache.join("layers"));
        let Self { bench, .. } = self;
        let frozen = bench.folder.state().join("disks/frozen");
        for existing in bench.engine.inventory().await.expect("an inventory") {
            bench.engine.destroy(existing.id).await.expect("it can be destroyed");
        }
        let left: Vec<String> =
            files(&cache).into_iter().filter(|name| name.starts_with("made-")).collect();
        assert_eq!(left, Vec::<String>::new());
        assert_eq!((files(&devices), files(&frozen)), (Vec::new(), Vec::new()));
        bench.close().await;
    }
}

fn named(name: &str) -> ImageReference {
    ImageReference::own("tests", name).expect("a legal name")
}

/// What a tree is: kinds, modes, owners, sizes, link counts, targets, capabilities and contents.
const LOOK: &str = "cd / && find /srv /usr/share/doc /opt /var/tmp -printf '%p %y %m %U:%G %l\\n' \
    | sort | sha256sum; find /srv -type f -exec sha256sum {} + | sort; \
    find /srv -links +1 -type f -printf '%p %n\\n' | sort; \
    getcap -r /srv 2>/dev/null; ls /usr/games /usr/local 2>&1; cat /srv/moved/inner/file";

async fn what_was_changed_means_the_same_one_layer_lower() {
    let own = Own::start().await;
    let bench = &own.bench;
    let id = bench.create().await;
    let changes = "set -e
        mkdir -p /srv/a/b; echo one > /srv/a/b/file; ln /srv/a/b/file /srv/a/hard
        ln -s /srv/a /srv/link; mkfifo /srv/pipe; chown 1234:4321 /srv/a/b/file
        python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"/srv/socket\")'
        cp /bin/true /srv/setuid; chmod 4755 /srv/setuid
        cp /bin/true /srv/capable; setcap cap_net_bind_service+ep /srv/capable 2>/dev/null || true
        mkdir -p /srv/moved-from/inner; echo deep > /srv/moved-from/inner/file
        mv /srv/moved-from /srv/moved
        rm -rf /usr/games; rm -f /etc/issue
        rm -rf /usr/share/doc/bash; mkdir /usr/share/doc/bash; echo new > /usr/share/doc/bash/only
        mv /usr/share/doc/coreutils /usr/share/doc/renamed 2>/dev/null || true
        setfattr -n user.note -v kept /srv/a/b/file 2>/dev/null || true";
    let done = bench.sudo(id, changes).await;
    assert_eq!(done.exit_code, 0, "{}", done.output);
    let before = bench.sudo(id, LOOK).await.output;
    assert!(before.contains("deep"), "{before}");
    let image = own.snapshot(id, "changed").await;
    let next = own.create_of(&image).await;
    assert_eq!(bench.sudo(next.id, LOOK).await.output, before);
    assert_eq!(bench.sudo(next.id, "ls /usr/share/doc/bash; ls /etc/issue").await.exit_code, 2);
    // What was deleted and replaced below comes back as it was, and no more.
    let again = "rm -rf /usr/share/doc/bash && mkdir -p /usr/share/doc/bash /usr/games && \
        mv /srv/a /srv/z && mv /srv/moved/inner /srv/inner && \
        ls -A /usr/share/doc/bash /usr/games && cat /srv/z/b/file /srv/inner/file";
    let again = bench.sudo(next.id, again).await;
    assert_eq!(again.output, "/usr/games:\n\n/usr/share/doc/bash:\none\ndeep\n");
    let second = own.snapshot(next.id, "again").await;
    let before = bench.sudo(next.id, "find /srv /usr/games -printf '%p %y %m %U\\n'|sort").await;
    let third = own.create_of(&second).await;
    let after = bench.sudo(third.id, "find /srv /usr/games -printf '%p %y %m %U\\n'|sort").await;
    assert_eq!(after, before);
    // The first one is as it was.
    assert_eq!(bench.exec(id, "cat /srv/a/b/file").await.output, "one\n");
    own.close(&["changed", "again"]).await;
}

async fn a_snapshot_of_a_snapshot_of_a_snapshot_has_the_files_of_all() {
    let own = Own::start().await;
    let bench = &own.bench;
    let mut id = bench.create().await;
    let names = ["one", "two", "three", "four"];
    for name in names {
        bench.exec(id, &format!("echo {name} >> ~/all; echo {name} > ~/{name}")).await;
        let image = own.snapshot(id, name).await;
        bench.engine.destroy(id).await.expect("it can be destroyed");
        id = own.create_of(&image).await.id;
    }
    assert_eq!(own.disks().len(), 4);
    assert_eq!(
        bench.exec(id, "cat ~/all; cat ~/one ~/four").await.output,
        "one\ntwo\nthree\nfour\none\nfour\n"
    );
    // The names of those below can go: their layers are needed.
    for name in &names[..3] {
        bench.engine.remove_image(&named(name)).await.expect("it can be removed");
    }
    assert_eq!(own.disks().len(), 4);
    own.close(&names).await;
}

async fn a_disk_is_mounted_once_for_all_its_sandboxes_and_let_go() {
    let own = Own::start().await;
    let bench = &own.bench;
    let id = bench.create().await;
    let image = own.snapshot(id, "shared").await;
    assert_eq!(own.devices(), 0);
    let one = own.create_of(&image).await;
    let two = own.create_of(&image).await;
    assert_eq!(own.devices(), 1);
    let write =
        bench.sudo(one.id, "echo mine > /home/daytona/mine; grep -c loop /proc/self/mounts").await;
    assert_eq!(write.output, "0\n", "no device is seen inside");
    assert_eq!(bench.exec(two.id, "ls ~/mine").await.exit_code, 2);
    bench.engine.stop(one.id, false).await.expect("it stops");
    bench.engine.destroy(two.id).await.expect("it can be destroyed");
    wait_until("the device is free", || own.devices() == 0).await;
    bench.engine.start(&one).await.expect("it starts");
    assert_eq!(bench.exec(one.id, "cat ~/mine").await.output, "mine\n");
    own.close(&["shared"]).await;
}

async fn a_snapshot_while_commands_write_is_one_moment() {
    let own = Own::start().await;
    let bench = &own.bench;
    let id = bench.create().await;
    // The second file is never ahead of the first, at no moment.
    let writer = "setsid bash -c 'n=0; while :; do n=$((n+1)); echo $n > ~/first.new; mv ~/first.new \
        ~/first; echo $n > ~/second.new; mv ~/second.new ~/second; done' >/dev/null 2>&1 & \
        until [ -s ~/second ]; do sleep 0.05; done";
    bench.exec(id, writer).await;
    for round in 0..5 {
        let image = own.snapshot(id, "moment").await;
        let next = own.create_of(&image).await;
        let found = bench.exec(next.id, "cat ~/first ~/second; pgrep -c mv").await.output;
        let numbers: Vec<u64> = found.lines().filter_map(|line| line.parse().ok()).collect();
        assert!(
            numbers[0] == numbers[1] || numbers[0] == numbers[1] + 1,
            "round {round}: {numbers:?}"
        );
        bench.engine.destroy(next.id).await.expect("it can be destroyed");
    }
    let before = bench.exec(id, "cat ~/second").await.output;
    let goes_on = async || bench.exec(id, "cat ~/second").await.output != before;
    let began = Instant::now();
    while !goes_on().await {
        assert!(began.elapsed() < Duration::from_secs(10), "it does not go on");
    }
    own.close(&["moment"]).await;
}

async fn many_snapshots_at_once() {
    let own = Own::start().await;
    let bench = &own.bench;
    let id = bench.create().await;
    bench.exec(id, "echo here > ~/file").await;
    let names: Vec<String> = (0..20).map(|number| format!("n{number}")).collect();
    let mut all = futures_util::future::join_all((0..4).map(|_| bench.create())).await;
    all.insert(0, id);
    let all = names.iter().zip(all.iter().cycle());
    let made = all.map(|(name, id)| own.snapshot(*id, name));
    let images = futures_util::future::join_all(made).await;
    assert_eq!(own.disks().len(), 20);
    let next = own.create_of(&images[5]).await;
    assert_eq!(bench.exec(next.id, "cat ~/file").await.output, "here\n");
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    own.close(&names).await;
}

async fn a_disk_that_stands_still_goes_on_with_the_next_server() {
    let (folder, running, _) = crate::crash::Held::start().crash();
    let (id, state) = (running.id, folder.state());
    let disk =
        files(&state.join("disks/owned")).into_iter().find(|it| it.starts_with(&id.to_string()));
    let disk = state.join("disks/owned").join(disk.expect("a disk"));
    // As a server that dies in the middle of a snapshot leaves it.
    let device = std::fs::read_dir("/sys/block")
        .expect("devices")
        .flatten()
        .find(|device| {
            std::fs::read_to_string(device.path().join("loop/backing_file"))
                .is_ok_and(|file| file.trim() == disk.to_string_lossy())
        })
        .expect("a device");
    let device = format!("/dev/{}", device.file_name().to_string_lossy());
    let mount = pitlane_sys::FilesystemContext::open("ext4")
        .and_then(|context| context.text("source", &device)?.mount(Default::default()))
        .expect("a mount");
    let frozen = pitlane_sys::FrozenFilesystem::freeze(&mount).expect("it stands still");
    std::mem::forget(frozen);
    drop(mount);
    std::fs::write(state.join("disks/frozen").join(id.to_string()), "").expect("a mark");
    let bench = Bench::start_in(folder).await;
    let wrote = tokio::time::timeout(
        Duration::from_secs(20),
        bench.exec(id, "echo goes-on > ~/file; cat ~/file"),
    );
    assert_eq!(wrote.await.expect("it goes on").output, "goes-on\n");
    assert_eq!(files(&state.join("disks/frozen")), Vec::<String>::new());
    bench.close().await;
}

async fn a_chain_of_layers_ends_with_a_clear_error() {
    let own = Own::start().await;
    let bench = &own.bench;
    let id = bench.create().await;
    let first = own.snapshot(id, "first").await;
    bench.engine.destroy(id).await.expect("it can be destroyed");
    // The same layer again and again is as deep as different ones.
    let folder = files(&own.cache).into_iter().find(|it| it.starts_with("made-")).expect("it");
    let path = own.cache.join(&folder).join("image.json");
    let text = std::fs::read_to_string(&path).expect("a manifest");
    let mut manifest: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let layers = manifest["layers"].as_array_mut().expect("layers");
    for number in 0..98 {
        let name = format!("{number:064x}");
        std::fs::create_dir(own.cache.join("layers").join(&name)).expect("a folder");
        layers.insert(1, name.into());
    }
    assert_eq!(layers.len(), Images::MOST_LAYERS);
    std::fs::write(&path, manifest.to_string()).expect("a manifest");
    let deep = own.create_of(&first).await;
    assert_eq!(bench.exec(deep.id, "echo works").await.output, "works\n");
    let failed = bench.engine.snapshot(deep.id, &named("deeper")).await;
    assert!(matches!(failed, Err(SnapshotError::TooManyLayers { most: 100, .. })), "{failed:?}");
    bench.engine.destroy(deep.id).await.expect("it can be destroyed");
    for number in 0..98 {
        let layer = own.cache.join("layers").join(format!("{number:064x}"));
        std::fs::remove_dir(layer).expect("a folder");
    }
    own.close(&["first"]).await;
}

/// Many do: each folder that was there already is a layer without files, and all of those are one.
async fn an_image_may_have_the_same_layer_again_and_again() {
    let own = Own::start().await;
    let bench = &own.bench;
    let id = bench.create().await;
    assert_eq!(bench.exec(id, "echo written > ~/file").await.exit_code, 0);
    let image = own.snapshot(id, "again").await;
    bench.engine.destroy(id).await.expect("it can be destroyed");
    let folder = files(&own.cache).into_iter().find(|it| it.starts_with("made-")).expect("it");
    let path = own.cache.join(&folder).join("image.json");
    let text = std::fs::read_to_string(&path).expect("a manifest");
    let mut manifest: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let empty = "0".repeat(64);
    std::fs::create_dir(own.cache.join("layers").join(&empty)).expect("a folder");
    let layers = manifest["layers"].as_array_mut().expect("layers");
    let disk = layers[1].clone();
    layers.extend([empty.clone().into(), disk, empty.clone().into()]);
    std::fs::write(&path, manifest.to_string()).expect("a manifest");
    let spec = own.create_of(&image).await;
    assert_eq!(bench.exec(spec.id, "cat ~/file").await.output, "written\n");
    bench.engine.destroy(spec.id).await.expect("it can be destroyed");
    std::fs::remove_dir(own.cache.join("layers").join(&empty)).expect("a folder");
    own.close(&["again"]).await;
}
