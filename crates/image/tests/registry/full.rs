//! A disk that becomes full while an image comes.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;
use tar::EntryType;
use tokio::sync::Notify;

use crate::forge::{Image, Layer, digest, gzip};
use crate::server::{Answer, Cache, Registry};

pub(crate) fn tests() -> Vec<Trial> {
    vec![Trial::test("privileged::a_disk_that_becomes_full_leaves_nothing", || {
        // What is mounted here is seen by this thread alone, and by what it starts.
        let tested = std::thread::spawn(|| {
            pitlane_sys::new_mount_namespace().unwrap();
            pitlane_sys::make_mounts_private().unwrap();
            let outside = tempfile::tempdir().unwrap();
            let mount = outside.path().join("mount");
            mounted(&outside.path().join("image"), &mount);
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            runtime.unwrap().block_on(full(&mount));
            run("umount", &["--lazy", mount.to_str().unwrap()]);
        });
        tested.join().map_err(|_panic| "it failed".into())
    })]
}

#[expect(clippy::disallowed_methods, reason = "file systems are made by programs")]
fn run(program: &str, arguments: &[&str]) {
    let ran = Command::new(program).args(arguments).output().unwrap();
    assert!(ran.status.success(), "{program}: {}", String::from_utf8_lossy(&ran.stderr));
}

fn mounted(image: &Path, mount: &Path) {
    std::fs::create_dir(mount).unwrap();
    run("truncate", &["--size", "800M", image.to_str().unwrap()]);
    run("mkfs.ext4", &["-q", "-m", "0", image.to_str().unwrap()]);
    run("mount", &["-o", "loop", image.to_str().unwrap(), mount.to_str().unwrap()]);
}

/// What does not become smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

async fn full(mount: &Path) {
    let registry = Registry::start().await;
    let small = Layer::new().file("small", "x").archive();
    let noise = noise(6 << 20);
    let large = Layer::new().entry(EntryType::Regular, "noise", "", (0o644, 0), &noise).archive();
    let travels = gzip(&large);
    registry.has("large", "1", &Image::of(std::slice::from_ref(&large)));
    registry.has("small", "1", &Image::of(&[small]));
    let cache = Cache::below(mount, &registry);
    let name = |path: &str| format!("{}/{path}:1", registry.name());
    let blob = format!("/v2/large/blobs/{}", digest(&travels));
    let go_on = Arc::new(Notify::new());
    registry.set(&blob, Answer::Held(travels.clone(), Arc::clone(&go_on)));
    let ballast = mount.join("ballast");
    let filling = async {
        // It is being unpacked, so it was found that there is room.
        while !cache.half_made().iter().any(|folder| folder.join("noise").exists()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let status = rustix::fs::statvfs(mount).unwrap();
        let free = status.f_bavail * status.f_frsize;
        let taken = (free >> 20).saturating_sub(2).to_string() + "M";
        run("fallocate", &["--length", &taken, ballast.to_str().unwrap()]);
        go_on.notify_one();
    };
    let large = name("large");
    let (pulled, ()) = tokio::join!(cache.pull(&large), filling);
    let refused = pulled.unwrap_err();
    assert!(refused.is_for_want_of_room(), "{refused}");
    assert_eq!(cache.half_made(), Vec::<std::path::PathBuf>::new());
    assert_eq!(cache.images.stock(), []);
    // Nor is anything begun as long as it is full.
    let refused = cache.pull(&name("small")).await.unwrap_err();
    assert!(refused.is_for_want_of_room(), "{refused}");

    std::fs::remove_file(&ballast).unwrap();
    registry.set(&blob, Answer::Body(gzip(&Layer::new().file("other", "x").archive())));
    cache.pull(&name("small")).await.unwrap();
    cache.pull(&large).await.unwrap_err();
    registry.set(&blob, Answer::Body(travels));
    cache.pull(&large).await.unwrap();

    // Files without bytes are some of what a file system has as well.
    let many = (0..20_000).fold(Layer::new(), |layer, number| layer.file(&number.to_string(), ""));
    registry.has("many", "1", &Image::of(&[many.archive()]));
    let refused = cache.pull(&name("many")).await.unwrap_err().to_string();
    assert!(refused.contains("holds more than") && refused.ends_with(" entries"), "{refused}");
    assert_eq!(cache.half_made(), Vec::<std::path::PathBuf>::new());
}
