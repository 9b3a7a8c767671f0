//! A disk of a test's own that can be filled. It is mounted where the test's thread alone sees it, and what that starts.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of a few hundred MiB.
pub(crate) struct SmallDisk {
    mount: PathBuf,
    _outside: tempfile::TempDir,
}

/// What takes room away, in the order in which it comes.
const BALLAST: [&str; 3] = ["ballast", "more", "rest"];

/// Runs a test on a thread that sees mounts of its own.
pub(crate) fn alone(test: fn()) {
    let ran = std::thread::spawn(move || {
        pitlane_sys::new_mount_namespace().unwrap();
        pitlane_sys::make_mounts_private().unwrap();
        test();
    });
    ran.join().expect("the test");
}

fn run(program: &str, arguments: &[&str]) {
    let ran = Command::new(program).args(arguments).output().unwrap();
    assert!(ran.status.success(), "{program}: {}", String::from_utf8_lossy(&ran.stderr));
}

impl SmallDisk {
    /// Makes and mounts one. The caller is [`alone`].
    pub(crate) fn of_mib(mib: u64) -> Self {
        let outside = tempfile::tempdir().unwrap();
        let (image, mount) = (outside.path().join("image"), outside.path().join("mount"));
        std::fs::create_dir(&mount).unwrap();
        let image = image.to_str().unwrap();
        run("truncate", &["--size", &format!("{mib}M"), image]);
        run("mkfs.ext4", &["-q", "-m", "0", image]);
        run("mount", &["-o", "loop", image, mount.to_str().unwrap()]);
        Self { mount, _outside: outside }
    }

    /// A folder on it.
    pub(crate) fn folder(&self) -> tempfile::TempDir {
        tempfile::Builder::new().prefix("s-").tempdir_in(&self.mount).unwrap()
    }

    /// Takes room away, all but so many MiB of it.
    pub(crate) fn leave(&self, mib: u64) {
        self.take("ballast", mib);
    }

    /// Takes all the room there is.
    pub(crate) fn fill_up(&self) {
        self.take("more", 0);
        let rest = format!("of={}", self.mount.join("rest").display());
        // Ends when it cannot write any more.
        let filled = Command::new("dd").args(["if=/dev/zero", "bs=4k", &rest]).output().unwrap();
        assert!(!filled.status.success(), "there is room");
    }

    /// Gives all of it back.
    pub(crate) fn make_room(&self) {
        for ballast in BALLAST {
            match std::fs::remove_file(self.mount.join(ballast)) {
                Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => panic!("{cause}"),
                _ => {}
            }
        }
    }

    /// Unmounts it, which nothing may use any more.
    pub(crate) fn unmount(self) {
        let mut said = String::new();
        // What a launcher had mounted ends a moment after it.
        for _attempt in 0..100 {
            let ran = Command::new("umount").arg(&self.mount).output().unwrap();
            if ran.status.success() {
                return;
            }
            said = String::from_utf8_lossy(&ran.stderr).into_owned();
            std::thread::park_timeout(std::time::Duration::from_millis(50));
        }
        panic!("in use: {said}");
    }

    fn take(&self, ballast: &str, leave_mib: u64) {
        let free_mib = free_bytes(&self.mount) >> 20;
        let length = format!("{}M", free_mib.saturating_sub(leave_mib).max(1));
        let path = self.mount.join(ballast);
        let taken = Command::new("fallocate").args(["--length", &length]).arg(path).output();
        // Somebody else may be about to take it as well.
        assert!(taken.unwrap().status.success() || leave_mib == 0, "cannot take {length}");
    }
}

fn free_bytes(folder: &Path) -> u64 {
    let status = rustix::fs::statvfs(folder).unwrap();
    status.f_bavail * status.f_frsize
}
