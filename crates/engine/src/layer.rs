//! The file systems of a sandbox, assembled as detached mounts before there is a process to use them.
//!
//! The image's folders and disks are the lower layers, shared and never written; the sandbox's disk holds the upper one. All
//! are seen through a mapping of ids, so that on disk every owner is a small number and in the kernel it is one of the sandbox's
//! own ids. Nothing here runs on a file that a sandbox could have changed.

use std::ffi::{CStr, CString};
use std::os::fd::AsFd as _;
use std::sync::Arc;

use pitlane_image::Layer;
use pitlane_sys::{
    Context as _, DetachedMount, FilesystemContext, MountOptions, SyscallError, UserNamespace,
    on_workbench, with_filesystem_ids,
};
use rustix::fs::AtFlags;
use rustix::fs::{FileType, Gid, Mode, Uid, chmodat, chownat, mkdirat, mknodat, statat, symlinkat};
use rustix::io::Errno;

use crate::disk::{DiskError, DiskLayer, DiskLayers};

/// Where a sandbox's root file system comes from.
#[derive(Debug)]
pub(crate) struct Layers<'a> {
    /// What the image is made of, the lowest first.
    pub(crate) image: &'a [Lower],
    /// The sandbox's disk, mounted.
    pub(crate) disk: DetachedMount,
    /// The sandbox's ids.
    pub(crate) users: &'a UserNamespace,
    /// The host's id of the sandbox's id 0.
    pub(crate) first_id: u32,
}

/// One layer of an image, mounted.
#[derive(Debug)]
pub(crate) struct Lower {
    mount: DetachedMount,
    /// Where the layer is in it; the whole of it otherwise.
    folder: Option<&'static CStr>,
}

/// Mounts the layers of an image, for one sandbox.
pub(crate) fn mount_lower(
    image: &[Layer],
    disks: &DiskLayers,
) -> Result<(Vec<Lower>, LayerHold), DiskError> {
    let mut lower = Vec::with_capacity(image.len());
    let mut hold = Vec::new();
    for layer in image {
        lower.push(match layer {
            Layer::Folder(path) => {
                let failed = |cause| DiskError::Mount { path: path.display().to_string(), cause };
                Lower { mount: DetachedMount::of_path(path).map_err(failed)?, folder: None }
            }
            Layer::Disk(path) => {
                let disk = disks.attach(path)?;
                let mount = disk.mount()?;
                hold.push(disk);
                Lower { mount, folder: Some(UPPER) }
            }
        });
    }
    Ok((lower, LayerHold(hold.into())))
}

/// Keeps the disks among the layers attached for the next sandbox of the same image.
#[derive(Debug, Clone, Default)]
pub(crate) struct LayerHold(#[expect(dead_code, reason = "held, not read")] Arc<[Arc<DiskLayer>]>);

/// Unites the layers to a root file system.
pub(crate) fn assemble(layers: Layers<'_>) -> Result<DetachedMount, SyscallError> {
    for layer in layers.image {
        layer.mount.map_ids(layers.users)?;
    }
    let lower = layers.image;
    let disk = layers.disk;
    disk.map_ids(layers.users)?;
    // The overlay acts on its layers as whoever mounted it, and only the sandbox's own ids exist on them.
    let united = match with_filesystem_ids(layers.first_id, || unite(lower, &disk))? {
        Err(refused) if refuses_detached(refused.errno) => {
            unite_attached(lower, &disk, layers.first_id)
        }
        united => united,
    }?;
    make_mount_points(&united, layers.first_id)?;
    Ok(united)
}

/// Whether this is how a kernel says that it takes no detached layers: Linux 6.1 says the first, 6.12 the second, and the
/// third is what is said of options that are not known.
fn refuses_detached(errno: Errno) -> bool {
    matches!(errno, Errno::OPNOTSUPP | Errno::BADF | Errno::INVAL)
}

/// The folders that every sandbox has something mounted on.
const MOUNT_POINTS: [&CStr; 3] = [c"proc", c"dev", c"sys"];

/// Makes the folders that an image may lack. Only the sandbox's own ids can: nobody else has a place on its disk.
fn make_mount_points(root: &DetachedMount, first_id: u32) -> Result<(), SyscallError> {
    for name in MOUNT_POINTS {
        if let Err(Errno::NOENT) = statat(root, name, AtFlags::SYMLINK_NOFOLLOW) {
            with_filesystem_ids(first_id, || mkdirat(root, name, Mode::from_raw_mode(0o755)))?
                .context("mkdir(mount point)")?;
        }
    }
    Ok(())
}

/// The folder of a disk that is a layer.
const UPPER: &CStr = c"upper";

const UNION: MountOptions = MountOptions {
    no_devices: true,
    read_only: false,
    no_set_user_id: false,
    no_execute: false,
    no_access_times: false,
};

/// Since Linux 6.15, an overlay's layers may be detached.
fn unite(lower: &[Lower], disk: &DetachedMount) -> Result<DetachedMount, SyscallError> {
    let (upper, work) = (disk.open_folder(UPPER)?, disk.open_folder(c"work")?);
    let mut union = FilesystemContext::open("overlay")?;
    // An overlay names its layers from the top.
    for layer in lower.iter().rev() {
        union = match layer.folder {
            None => union.descriptor("lowerdir+", layer.mount.as_fd())?,
            Some(folder) => {
                union.descriptor("lowerdir+", layer.mount.open_folder(folder)?.as_fd())?
            }
        };
    }
    union.descriptor("upperdir", upper.as_fd())?.descriptor("workdir", work.as_fd())?.mount(UNION)
}

/// Before that they must be attached somewhere, and before 6.13 they are named by paths.
fn unite_attached(
    lower: &[Lower],
    disk: &DetachedMount,
    first_id: u32,
) -> Result<DetachedMount, SyscallError> {
    let names: Vec<CString> = (0..lower.len()).filter_map(layer_name).collect();
    if names.len() < lower.len() {
        return Err(SyscallError { call: "name layers", errno: Errno::NAMETOOLONG });
    }
    let lowers = names.iter().map(|name| name.to_string_lossy()).collect::<Vec<_>>().join(":");
    on_workbench(|bench| {
        let attach = |mount: &DetachedMount, name: &CStr| {
            mkdirat(bench, name, Mode::from_raw_mode(0o755)).context("mkdir(layer)")?;
            mount.attach(bench, name)
        };
        for (layer, name) in lower.iter().rev().zip(names.iter().map(CString::as_c_str)) {
            attach(&layer.mount, name)?;
            if let Some(folder) = layer.folder {
                // Its name alone has room: the folder is put where the whole is.
                let mount = DetachedMount::of_entry(layer.mount.as_fd(), folder)?;
                mount.attach(bench, name)?;
            }
        }
        attach(disk, c"disk")?;
        with_filesystem_ids(first_id, || {
            FilesystemContext::open("overlay")?
                .text("lowerdir", &lowers)?
                .text("upperdir", "disk/upper")?
                .text("workdir", "disk/work")?
                .mount(UNION)
        })?
    })?
}

/// A name of one or two letters for each layer: all of them together must fit into the 255 bytes that the kernel takes.
fn layer_name(number: usize) -> Option<CString> {
    const LETTERS: &[u8] =
        b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-+=@%^~!#&";
    let name = match number.checked_sub(LETTERS.len()) {
        None => vec![*LETTERS.get(number)?],
        Some(rest) => vec![b'_', *LETTERS.get(rest)?],
    };
    CString::new(name).ok()
}

/// The device nodes of a sandbox, with their major and minor numbers.
const NODES: [(&CStr, u32, u32); 6] = [
    (c"null", 1, 3),
    (c"zero", 1, 5),
    (c"full", 1, 7),
    (c"random", 1, 8),
    (c"urandom", 1, 9),
    (c"tty", 5, 0),
];
const LINKS: [(&CStr, &CStr); 5] = [
    (c"fd", c"/proc/self/fd"),
    (c"stdin", c"/proc/self/fd/0"),
    (c"stdout", c"/proc/self/fd/1"),
    (c"stderr", c"/proc/self/fd/2"),
    (c"ptmx", c"pts/ptmx"),
];
const FOLDERS: [(&CStr, u32); 3] = [(c"pts", 0o755), (c"shm", 0o1777), (c"mqueue", 0o1777)];

/// `/dev`, `/dev/pts` and `/dev/shm` of a sandbox.
#[derive(Debug)]
pub(crate) struct Devices {
    pub(crate) devices: DetachedMount,
    pub(crate) terminals: DetachedMount,
    pub(crate) shared_memory: DetachedMount,
}

impl Devices {
    /// Makes the three file systems, owned by the sandbox's root.
    pub(crate) fn new(first_id: u32) -> Result<Self, SyscallError> {
        let owner = first_id.to_string();
        let no_set_user_id = MountOptions { no_set_user_id: true, ..MountOptions::default() };
        let devices = FilesystemContext::open("tmpfs")?
            .text("mode", "0755")?
            .text("size", "64k")?
            .text("nr_inodes", "64")?
            .text("uid", &owner)?
            .text("gid", &owner)?
            .mount(MountOptions { no_execute: true, ..no_set_user_id })?;
        let (uid, gid) = (Uid::from_raw(first_id), Gid::from_raw(first_id));
        for (name, major, minor) in NODES {
            let device = rustix::fs::makedev(major, minor);
            mknodat(&devices, name, FileType::CharacterDevice, Mode::from_raw_mode(0o666), device)
                .context("mknod")?;
            // The mode above was subject to the server's umask.
            chmodat(&devices, name, Mode::from_raw_mode(0o666), AtFlags::empty())
                .context("chmod(device)")?;
        }
        for (name, target) in LINKS {
            symlinkat(target, &devices, name).context("symlink(device)")?;
            chownat(&devices, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                .context("chown(device)")?;
        }
        for (name, mode) in FOLDERS {
            mkdirat(&devices, name, Mode::from_raw_mode(mode)).context("mkdir(device)")?;
            chownat(&devices, name, Some(uid), Some(gid), AtFlags::empty())
                .context("chown(device)")?;
        }
        let terminals = FilesystemContext::open("devpts")?
            .flag("newinstance")?
            .text("ptmxmode", "0666")?
            .text("mode", "0620")?
            // The whole machine has 3,072 for all of its containers.
            .text("max", "256")?
            // Group "tty" of the image.
            .text("gid", &first_id.saturating_add(5).to_string())?
            .mount(MountOptions { no_execute: true, ..no_set_user_id })?;
        let shared_memory = FilesystemContext::open("tmpfs")?
            .text("mode", "1777")?
            .text("size", "64m")?
            .text("uid", &owner)?
            .text("gid", &owner)?
            .mount(MountOptions { no_execute: true, no_devices: true, ..no_set_user_id })?;
        Ok(Self { devices, terminals, shared_memory })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernels_no_to_detached_layers_is_understood() {
        for errno in [Errno::OPNOTSUPP, Errno::BADF, Errno::INVAL] {
            assert!(refuses_detached(errno), "{errno}");
        }
        assert!(!refuses_detached(Errno::PERM) && !refuses_detached(Errno::NOMEM));
    }
}
