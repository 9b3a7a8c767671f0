//! Disks of running sandboxes that stand still while they are copied.
//!
//! Whoever writes to such a disk waits in the kernel, and would wait for ever if this process died. So a file named as
//! the sandbox says so as long as its disk may stand still, and the next start has it go on: `frozen/ID`.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use pitlane_model::SandboxId;
use pitlane_sys::{
    DetachedMount, FilesystemContext, FrozenFilesystem, LoopDevice, MountOptions, SyscallError,
    thaw,
};

use super::{DiskError, Disks, file_error, remove};

/// A disk that stands still until the value is dropped.
#[derive(Debug)]
pub(crate) struct FrozenDisk {
    /// Dropped first: while it is there, the mark has to be.
    frozen: Option<FrozenFilesystem>,
    _mount: DetachedMount,
    mark: PathBuf,
}

impl Disks {
    /// Has the disk of a running sandbox stand still; `None` if no running sandbox has it mounted.
    pub(crate) fn freeze(
        &self,
        disk: &Path,
        id: SandboxId,
    ) -> Result<Option<FrozenDisk>, DiskError> {
        let Some(mount) = mount_of_running(disk)? else { return Ok(None) };
        let mark = self.frozen.join(id.to_string());
        // A crash of this process leaves it; after one of the machine nothing stands still.
        File::create(&mark).map_err(file_error("make", &mark))?;
        pitlane_fault::point("disk.about-to-freeze");
        let mut still = FrozenDisk { frozen: None, _mount: mount, mark };
        still.frozen = Some(FrozenFilesystem::freeze(&still._mount).map_err(failed(disk))?);
        pitlane_fault::point("disk.frozen");
        Ok(Some(still))
    }

    /// Has disks go on that a server which is gone left standing still. Comes before anything waits for a sandbox's
    /// processes: those that write would never end.
    pub(crate) fn thaw_all(&self) -> Result<(), DiskError> {
        let folder = &self.frozen;
        let entries = std::fs::read_dir(folder).map_err(file_error("list", folder))?;
        let marks: Vec<PathBuf> = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<_>>()
            .map_err(file_error("list", folder))?;
        if marks.is_empty() {
            return Ok(());
        }
        let disks = self.list()?;
        for mark in marks {
            let name = mark.file_name().unwrap_or_default().to_string_lossy().into_owned();
            for disk in disks.iter().filter(|disk| disk.id.to_string() == name) {
                if let Some(mount) = mount_of_running(&disk.path)? {
                    let stood_still = thaw(&mount).map_err(failed(&disk.path))?;
                    tracing::warn!(sandbox = name, stood_still, "a snapshot was interrupted");
                }
            }
            remove(&mark)?;
        }
        Ok(())
    }
}

impl Drop for FrozenDisk {
    fn drop(&mut self) {
        pitlane_fault::point("disk.about-to-thaw");
        drop(self.frozen.take());
        pitlane_fault::point("disk.thawed");
        if let Err(failure) = remove(&self.mark) {
            tracing::warn!(%failure, "the next start thaws a disk for nothing");
        }
    }
}

/// Another mount of the file system of a disk that is in use, or whose file system the kernel keeps because it stands
/// still.
fn mount_of_running(disk: &Path) -> Result<Option<DetachedMount>, DiskError> {
    let file = File::open(disk).map_err(file_error("open", disk))?;
    let mounted = LoopDevice::of_image(file.as_fd()).and_then(|device| {
        let Some(device) = device else { return Ok(None) };
        let options = MountOptions { no_devices: true, ..MountOptions::default() };
        FilesystemContext::open("ext4")?.text("source", device.path())?.mount(options).map(Some)
    });
    mounted.map_err(failed(disk))
}

fn failed(path: &Path) -> impl FnOnce(SyscallError) -> DiskError {
    let path = path.display().to_string();
    move |cause| DiskError::Mount { path, cause }
}
