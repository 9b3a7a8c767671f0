//! Disks that are layers of images: mounted once for all sandboxes that lie on them, and let go by the last.
//!
//! What is in them was written by a sandbox through a file system that the kernel made, and is seen through read-only
//! mounts of a device that cannot be written to. Nothing on the host opens a path in them.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use pitlane_sys::{DetachedMount, FilesystemContext, LoopDevice, MountOptions, SyscallError};

use super::{DiskError, file_error};

/// The disks that sandboxes of this process lie on.
#[derive(Debug, Default)]
pub(crate) struct DiskLayers(Mutex<HashMap<PathBuf, Weak<DiskLayer>>>);

/// A disk that can be mounted again and again, as one file system. It is let go with the last of its values and mounts.
#[derive(Debug)]
pub(crate) struct DiskLayer {
    path: PathBuf,
    device: LoopDevice,
    /// Keeps the file system, and so what the kernel remembers of it, between two of its mounts.
    _mount: DetachedMount,
}

impl DiskLayers {
    /// The disk at a path, attached unless it is.
    pub(crate) fn attach(&self, path: &Path) -> Result<Arc<DiskLayer>, DiskError> {
        // Held while attaching, so that two who need the same disk do not attach it twice.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(layer) = known.get(path).and_then(Weak::upgrade) {
            return Ok(layer);
        }
        known.retain(|_, layer| layer.strong_count() > 0);
        let file = File::open(path).map_err(file_error("open", path))?;
        let attached = LoopDevice::attach_read_only(file.as_fd()).and_then(|device| {
            let mount = mount_again(&device)?;
            Ok(DiskLayer { path: path.to_owned(), device, _mount: mount })
        });
        let layer = Arc::new(attached.map_err(failed(path))?);
        known.insert(path.to_owned(), Arc::downgrade(&layer));
        Ok(layer)
    }
}

impl DiskLayer {
    /// A mount of its own for whoever maps its ids.
    pub(crate) fn mount(&self) -> Result<DetachedMount, DiskError> {
        mount_again(&self.device).map_err(failed(&self.path))
    }
}

fn failed(path: &Path) -> impl FnOnce(SyscallError) -> DiskError {
    let path = path.display().to_string();
    move |cause| DiskError::Mount { path, cause }
}

/// The kernel has one file system for a device, however often it is mounted.
fn mount_again(device: &LoopDevice) -> Result<DetachedMount, SyscallError> {
    FilesystemContext::open("ext4")?.text("source", device.path())?.flag("ro")?.mount(
        MountOptions {
            read_only: true,
            no_devices: true,
            no_access_times: true,
            ..MountOptions::default()
        },
    )
}
