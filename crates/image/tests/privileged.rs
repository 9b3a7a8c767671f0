//! Images made for real: needs root, mmdebstrap and a source of Debian packages.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use pitlane_image::{Images, Progress};
use pitlane_model::ImageName;
use tokio::sync::mpsc;

fn minimal() -> ImageName {
    ImageName::new("minimal").expect("a legal name")
}

#[expect(clippy::disallowed_methods, reason = "looks into a file system the way its user would")]
fn inside(rootfs: &Path, command: &str) -> String {
    let output = Command::new("/usr/sbin/chroot")
        .arg("--userspec=1000:1000")
        .arg(rootfs)
        .args(["/bin/sh", "-c", command])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .output()
        .expect("chroot runs");
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Names in a folder.
fn names(folder: &Path) -> BTreeSet<String> {
    std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_makers_of_an_image_make_it_once_and_it_works() {
    assert!(
        rustix::process::geteuid().is_root(),
        "making images needs root\nhint: run the tests as root"
    );
    let cache = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(cache.path(), std::fs::Permissions::from_mode(0o711))
        .expect("permissions");
    let images = Images::new(cache.path());
    let (progress, mut received) = mpsc::channel::<Progress>(1024);
    let image = minimal();
    let (first, second) =
        tokio::join!(images.prepare(&image, progress.clone()), images.prepare(&image, progress));
    let rootfs = first.expect("an image");
    assert_eq!(second.expect("an image"), rootfs);
    assert_eq!(images.find(&image), Some(rootfs.clone()));

    let mut steps = BTreeSet::new();
    while let Some(step) = received.recv().await {
        steps.insert(step.step);
    }
    for step in ["downloading packages", "finishing", "waiting for another server that makes it"] {
        assert!(steps.contains(step), "{step} is missing in {steps:?}");
    }
    let folder = format!("minimal-{}", rootfs.fingerprint);
    assert_eq!(names(cache.path()), BTreeSet::from([folder, "minimal.lock".to_owned()]));

    let [layer] = &*rootfs.layers else { panic!("one layer: {rootfs:?}") };
    let layer = layer.path();
    assert_eq!(rootfs.config.user.as_deref(), Some("daytona"));
    assert_eq!(
        inside(layer, "id -u; python -c 'print(6 * 7)'; ls -d ~daytona"),
        "1000\n42\n/home/daytona\n"
    );
    let size_mib = rootfs.size_bytes >> 20;
    assert!((20..100).contains(&size_mib), "{size_mib} MiB");
    let resolver = layer.join("etc/resolv.conf").symlink_metadata().expect("a file");
    assert!(resolver.is_file() && resolver.len() == 0 && resolver.uid() == 0, "{resolver:?}");
    assert_eq!(
        inside(layer, "find /etc/apt /etc/dpkg/dpkg.cfg.d -type f"),
        "",
        "something of the host's sources stayed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_maker_that_is_dropped_leaves_no_image_and_no_process() {
    assert!(
        rustix::process::geteuid().is_root(),
        "making images needs root\nhint: run the tests as root"
    );
    let cache = tempfile::tempdir().expect("a folder");
    let images = Images::new(cache.path());
    let (progress, mut received) = mpsc::channel::<Progress>(1024);
    let image = minimal();
    {
        let mut making = Box::pin(images.prepare(&image, progress));
        loop {
            tokio::select! {
                made = &mut making => panic!("ended before it was interrupted: {made:?}"),
                step = received.recv() => {
                    if step.expect("a step").step == "reading the lists of packages" {
                        break;
                    }
                }
            }
        }
    }
    assert_eq!(images.find(&image), None);
    // Everything in the process namespace of the bootstrap ends with its process 1.
    let folder = cache.path().to_string_lossy().into_owned();
    tokio::time::timeout(std::time::Duration::from_secs(10), async {
        while has_process_about(&folder) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the bootstrap still runs");
}

/// Whether a process has `text` in its command line.
fn has_process_about(text: &str) -> bool {
    std::fs::read_dir("/proc").expect("/proc").flatten().any(|entry| {
        std::fs::read(entry.path().join("cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(text))
    })
}
