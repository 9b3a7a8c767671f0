//! Disks and layers: the files that sandboxes see.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Command, Stdio};

use pitlane_engine::Room;
use pitlane_sys::{
    DetachedMount, FilesystemContext, LoopDevice, MountOptions, SyscallError, UserNamespace,
    on_workbench, with_filesystem_ids,
};
use rustix::fs::{Mode, OFlags, mkdirat, openat};
use tempfile::TempDir;

use super::check::{Check, whole};
use crate::settings::Settings;

/// A disk's smallest size that leaves room for a file or two.
const DISK_BYTES: u64 = 16 << 20;
/// Below this the engine makes no sandboxes; images need about as much.
const LEAST_FREE_MIB: u64 = 1024;
/// Below this there is no room for a handful of sandboxes that fill their disks.
const COMFORTABLE_MIB: u64 = 16 * 1024;

/// Tries disks, layers and the room for them.
pub(super) fn checks(
    settings: &Settings,
    users: &Result<UserNamespace, SyscallError>,
) -> Vec<Check> {
    let mut checks = Vec::new();
    let disk = disk_in(existing(&settings.state));
    checks.push(match &disk {
        Ok(_) => Check::good("disks", "made, attached to a loop device and mounted one"),
        Err((detail, fix)) => Check::bad("disks", detail, *fix),
    });
    checks.push(match (&disk, users) {
        (Ok((_folder, disk)), Ok(users)) => layers(settings, disk, users),
        _ => Check::untried("layers", "needs disks and user namespaces"),
    });
    checks.push(room(existing(&settings.state)));
    if settings.object_storage.endpoint.is_some() {
        checks.push(object_volumes());
    }
    checks
}

/// Volumes in object storage are served to the kernel by a process of ours.
fn object_volumes() -> Check {
    let name = "volumes";
    let fix = "load the kernel's module (modprobe fuse), and give containers the device";
    let opened = OpenOptions::new().read(true).write(true).open("/dev/fuse");
    let opened = opened.map_err(|cause| format!("cannot open /dev/fuse: {cause}"));
    let known = FilesystemContext::open("fuse")
        .map_err(|failure| format!("the kernel has no FUSE: {}", failure.errno));
    match opened.and(known) {
        Ok(_) => Check::good(name, "in object storage; the kernel has FUSE"),
        Err(detail) => Check::limited(name, detail, fix),
    }
}

/// The folder, or the nearest above it that is there already.
fn existing(folder: &Path) -> &Path {
    folder.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"))
}

fn scratch(folder: &Path) -> std::io::Result<TempDir> {
    tempfile::Builder::new().prefix(".pitlane-doctor-").tempdir_in(folder)
}

/// What failed, and what to do about it.
type Trouble = (String, &'static str);

fn disk_in(state: &Path) -> Result<(TempDir, DetachedMount), Trouble> {
    let unwritable = |cause: std::io::Error| {
        let detail = format!("cannot write to {}: {cause}", state.display());
        (detail, "--state DIR takes another folder for disks")
    };
    let folder = scratch(state).map_err(unwritable)?;
    let contents = folder.path().join("contents");
    for name in ["upper", "work"] {
        std::fs::create_dir_all(contents.join(name)).map_err(unwritable)?;
    }
    let path = folder.path().join("disk.ext4");
    File::create(&path).and_then(|file| file.set_len(DISK_BYTES)).map_err(unwritable)?;
    format(&contents, &path)?;
    let image = OpenOptions::new().read(true).write(true).open(&path).map_err(unwritable)?;
    let device = LoopDevice::attach(image.as_fd()).map_err(|failure| {
        (whole(&failure), "modprobe loop; in a container, give it /dev/loop-control and /dev/loop*")
    })?;
    let mounted = FilesystemContext::open("ext4")
        .and_then(|context| context.text("source", device.path())?.flag("discard"))
        .and_then(|context| context.mount(MountOptions::default()));
    let mounted = mounted.map_err(|failure| (whole(&failure), "use a kernel with ext4"))?;
    Ok((folder, mounted))
}

fn format(contents: &Path, disk: &Path) -> Result<(), Trouble> {
    const FIX: &str = "apt-get install e2fsprogs";
    #[expect(clippy::disallowed_methods, reason = "a program of the system, not one of a sandbox")]
    let output = Command::new("mkfs.ext4")
        // A loop device here has sectors of 4 KiB, and a file system has no smaller blocks than its device.
        .args(["-q", "-F", "-b", "4096", "-O", "^has_journal"].map(OsStr::new))
        .args([OsStr::new("-d"), contents.as_os_str(), disk.as_os_str()])
        .stdin(Stdio::null())
        .output()
        .map_err(|cause| (format!("cannot run mkfs.ext4: {cause}"), FIX))?;
    if output.status.success() {
        return Ok(());
    }
    Err((format!("mkfs.ext4: {}", String::from_utf8_lossy(&output.stderr).trim()), FIX))
}

/// Unites a folder where images are kept with a disk, as a sandbox sees both.
fn layers(settings: &Settings, disk: &DetachedMount, users: &UserNamespace) -> Check {
    let name = "layers";
    let cache = existing(&settings.image_cache);
    let image = match scratch(cache) {
        Ok(image) => image,
        Err(cause) => {
            let detail = format!("cannot write to {}: {cause}", cache.display());
            return Check::bad(name, detail, "--image-cache DIR takes another folder for images");
        }
    };
    match unite(image.path(), disk, users, settings.first_id) {
        Ok(()) => Check::good(name, "wrote through an overlay of an image with mapped ids"),
        Err(failure) => Check::bad(
            name,
            format!("{} on {}", whole(&failure), cache.display()),
            "use Linux 6.1 or newer, and keep images and disks on ext4, xfs or btrfs",
        ),
    }
}

fn unite(
    image: &Path,
    disk: &DetachedMount,
    users: &UserNamespace,
    first_id: u32,
) -> Result<(), SyscallError> {
    let lower = DetachedMount::of_path(image)?;
    lower.map_ids(users)?;
    disk.map_ids(users)?;
    // As the engine does it where the kernel is too old for detached layers.
    on_workbench(|bench| {
        for (mount, name) in [(&lower, c"lower"), (disk, c"disk")] {
            mkdirat(bench, name, Mode::from_raw_mode(0o755))
                .map_err(|errno| SyscallError { call: "mkdir(layer)", errno })?;
            mount.attach(bench, name)?;
        }
        with_filesystem_ids(first_id, || {
            let root = FilesystemContext::open("overlay")?
                .text("lowerdir", "lower")?
                .text("upperdir", "disk/upper")?
                .text("workdir", "disk/work")?
                .mount(MountOptions::default())?;
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            openat(&root, c"file", flags, Mode::from_raw_mode(0o600))
                .map(drop)
                .map_err(|errno| SyscallError { call: "create(file in the overlay)", errno })
        })?
    })?
}

fn room(state: &Path) -> Check {
    let name = "room";
    let status = match rustix::fs::statvfs(state) {
        Ok(status) => status,
        Err(errno) => {
            let detail = format!("cannot measure {}: {errno}", state.display());
            return Check::bad(name, detail, "--state DIR takes another folder for disks");
        }
    };
    let free_mib = status.f_bavail.saturating_mul(status.f_frsize) >> 20;
    // Without sandboxes nothing is promised.
    let promised_mib = Room::of(state).map_or(0, |room| room.promised) >> 20;
    let detail = format!(
        "{} has {} GiB left; {} GiB are promised to sandboxes",
        state.display(),
        free_mib >> 10,
        promised_mib >> 10
    );
    let fix = "make room, or --state DIR takes a folder on another file system";
    if free_mib < LEAST_FREE_MIB {
        Check::bad(name, detail, fix)
    } else if free_mib < COMFORTABLE_MIB {
        Check::limited(name, detail, fix)
    } else {
        Check::good(name, detail)
    }
}
