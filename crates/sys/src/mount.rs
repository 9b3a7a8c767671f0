//! Mounts that exist only as descriptors until somebody attaches them.
//!
//! A detached mount lives as long as its descriptor or the mount namespace it was attached in: nothing has to be
//! unmounted by hand, and a crash leaks nothing. See `fsopen(2)`, `open_tree(2)`, `mount_setattr(2)`.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_fd, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, mount_change, move_mount, open_tree, unmount,
};

use crate::error::{Context as _, SyscallError, check};
use crate::user_namespace::UserNamespace;

/// A file system that is being configured.
#[derive(Debug)]
pub struct FilesystemContext(OwnedFd);

/// A mount without a place.
#[derive(Debug)]
pub struct DetachedMount(OwnedFd);

/// What a mount forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent restrictions, as the kernel has them"
)]
pub struct MountOptions {
    /// Nothing can be written through it.
    pub read_only: bool,
    /// Device nodes on it do not work.
    pub no_devices: bool,
    /// Set-user-id bits and file capabilities on it do nothing.
    pub no_set_user_id: bool,
    /// Programs on it do not start.
    pub no_execute: bool,
    /// Reading does not record when.
    pub no_access_times: bool,
}

impl MountOptions {
    /// For files that are only written and read: no device and no program among them works, nor any set-user-id bit.
    pub const DATA: Self = Self {
        read_only: false,
        no_devices: true,
        no_set_user_id: true,
        no_execute: true,
        no_access_times: false,
    };

    const fn attributes(self) -> MountAttrFlags {
        let mut flags = MountAttrFlags::empty();
        if self.read_only {
            flags = flags.union(MountAttrFlags::MOUNT_ATTR_RDONLY);
        }
        if self.no_devices {
            flags = flags.union(MountAttrFlags::MOUNT_ATTR_NODEV);
        }
        if self.no_set_user_id {
            flags = flags.union(MountAttrFlags::MOUNT_ATTR_NOSUID);
        }
        if self.no_execute {
            flags = flags.union(MountAttrFlags::MOUNT_ATTR_NOEXEC);
        }
        if self.no_access_times {
            flags = flags.union(MountAttrFlags::MOUNT_ATTR_NOATIME);
        }
        flags
    }
}

impl FilesystemContext {
    /// Begins a file system of type `kind`. Types that belong to a namespace (proc, sysfs, mqueue) belong to the
    /// calling thread's.
    ///
    /// # Errors
    ///
    /// The kernel does not know the type or refuses the caller.
    pub fn open(kind: &'static str) -> Result<Self, SyscallError> {
        fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).map(Self).context("fsopen")
    }

    /// Sets an option to a text.
    ///
    /// # Errors
    ///
    /// The file system refuses the option.
    pub fn text(self, key: &'static str, value: &str) -> Result<Self, SyscallError> {
        fsconfig_set_string(&self.0, key, value).context(key)?;
        Ok(self)
    }

    /// Sets an option that has no value.
    ///
    /// # Errors
    ///
    /// The file system refuses the option.
    pub fn flag(self, key: &'static str) -> Result<Self, SyscallError> {
        fsconfig_set_flag(&self.0, key).context(key)?;
        Ok(self)
    }

    /// Sets an option to what a descriptor refers to.
    ///
    /// # Errors
    ///
    /// The file system refuses the option or the descriptor.
    pub fn descriptor(
        self,
        key: &'static str,
        value: BorrowedFd<'_>,
    ) -> Result<Self, SyscallError> {
        fsconfig_set_fd(&self.0, key, value).context(key)?;
        Ok(self)
    }

    /// Makes the file system and a mount of it.
    ///
    /// # Errors
    ///
    /// The file system cannot be made, for instance because its source is damaged.
    pub fn mount(self, options: MountOptions) -> Result<DetachedMount, SyscallError> {
        fsconfig_create(&self.0).context("fsconfig(create)")?;
        fsmount(&self.0, FsMountFlags::FSMOUNT_CLOEXEC, options.attributes())
            .map(DetachedMount)
            .context("fsmount")
    }
}

#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

impl DetachedMount {
    /// A new mount of the tree at `path`, without what is mounted below it.
    ///
    /// # Errors
    ///
    /// There is no such folder.
    pub fn of_path(path: &Path) -> Result<Self, SyscallError> {
        open_tree(CWD, path, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)
            .map(Self)
            .context("open_tree(path)")
    }

    /// A new mount of the folder at `path` that holds [`DATA`](MountOptions::DATA) and shows its owners as `users` does.
    ///
    /// # Errors
    ///
    /// There is no such folder, or its file system cannot be mapped.
    pub fn of_data(path: &Path, users: &UserNamespace) -> Result<Self, SyscallError> {
        let folder = Self::of_path(path)?;
        // On disk, owners are small numbers.
        folder.map_ids(users)?;
        folder.restrict(MountOptions::DATA)?;
        Ok(folder)
    }

    /// A new mount of one file or folder of another, with what is mounted below it. A symbolic link is not followed.
    ///
    /// # Errors
    ///
    /// There is no such entry.
    pub fn of_entry(parent: BorrowedFd<'_>, name: &CStr) -> Result<Self, SyscallError> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_SYMLINK_NOFOLLOW
            | OpenTreeFlags::AT_RECURSIVE;
        open_tree(parent, name, flags).map(Self).context("open_tree(entry)")
    }

    /// A second mount of the same file system.
    ///
    /// # Errors
    ///
    /// The kernel refuses the caller.
    pub fn duplicate(&self) -> Result<Self, SyscallError> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH;
        open_tree(&self.0, c"", flags).map(Self).context("open_tree(mount)")
    }

    /// Shows owner 0 of the file system as the first id of `namespace`, and so on.
    ///
    /// # Errors
    ///
    /// The file system cannot be mapped, or is mapped already.
    pub fn map_ids(&self, namespace: &UserNamespace) -> Result<(), SyscallError> {
        self.set_attributes(&MountAttributes {
            set: libc::MOUNT_ATTR_IDMAP,
            clear: 0,
            propagation: 0,
            user_namespace: u64::try_from(namespace.as_fd().as_raw_fd()).unwrap_or(u64::MAX),
        })
    }

    /// Adds restrictions; none is ever taken back.
    ///
    /// # Errors
    ///
    /// The kernel refuses the caller.
    pub fn restrict(&self, options: MountOptions) -> Result<(), SyscallError> {
        let set = u64::from(options.attributes().bits());
        self.set_attributes(&MountAttributes { set, clear: 0, propagation: 0, user_namespace: 0 })
    }

    #[expect(unsafe_code, reason = "mount_setattr has no wrapper")]
    fn set_attributes(&self, attributes: &MountAttributes) -> Result<(), SyscallError> {
        // SAFETY: mount_setattr(2) reads a NUL-terminated path and `size` bytes of attributes; the path is a C string
        // literal, and the size is that of the borrowed structure, whose layout is the kernel's `struct mount_attr`.
        let result = unsafe {
            libc::syscall(
                libc::SYS_mount_setattr,
                self.0.as_raw_fd(),
                c"".as_ptr(),
                libc::AT_EMPTY_PATH,
                std::ptr::from_ref(attributes),
                size_of::<MountAttributes>(),
            )
        };
        check(result).context("mount_setattr").map(|_| ())
    }

    /// Opens a folder of the mount, without following a symbolic link.
    ///
    /// # Errors
    ///
    /// There is no such folder.
    pub fn open_folder(&self, name: &CStr) -> Result<OwnedFd, SyscallError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&self.0, name, flags, Mode::empty()).context("openat(mount)")
    }

    /// A new mount of the open folder `folder`, which must be on a mount that is attached in the calling thread's
    /// namespace.
    ///
    /// # Errors
    ///
    /// It is not, or the kernel refuses the caller.
    pub fn of_folder(folder: BorrowedFd<'_>) -> Result<Self, SyscallError> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH;
        open_tree(folder, c"", flags).map(Self).context("open_tree(folder)")
    }

    /// Puts the mount on the open folder `place`, of the calling thread's mount namespace.
    ///
    /// # Errors
    ///
    /// It is no folder, or the kernel refuses the caller.
    pub fn attach_on(&self, place: BorrowedFd<'_>) -> Result<(), SyscallError> {
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(&self.0, c"", place, c"", flags).context("move_mount(folder)")
    }

    /// Puts the mount on `name` in `parent`, of the calling thread's mount namespace. A symbolic link is not followed.
    ///
    /// # Errors
    ///
    /// There is no such folder or file, or the kernel refuses the caller.
    pub fn attach(&self, parent: BorrowedFd<'_>, name: &CStr) -> Result<(), SyscallError> {
        move_mount(&self.0, c"", parent, name, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
            .context("move_mount")
    }
}

impl AsFd for DetachedMount {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for DetachedMount {
    /// Takes a mount that another process sent.
    fn from(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }
}

impl From<DetachedMount> for OwnedFd {
    fn from(mount: DetachedMount) -> Self {
        mount.0
    }
}

/// Keeps mounts of the calling thread's namespace from reaching other namespaces and theirs from reaching it.
///
/// # Errors
///
/// The kernel refuses the caller.
pub fn make_mounts_private() -> Result<(), SyscallError> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .context("mount(private)")
}

/// Makes the folder `root`, which must be a mount, the root of the calling process and of its mount namespace, and
/// drops everything else that was mounted there.
///
/// # Errors
///
/// The kernel refuses; the process should end, since its view of the file system is undefined.
pub fn change_root(root: BorrowedFd<'_>) -> Result<(), SyscallError> {
    rustix::process::fchdir(root).context("fchdir(root)")?;
    rustix::process::pivot_root(".", ".").context("pivot_root")?;
    unmount(".", UnmountFlags::DETACH).context("umount2(old root)")?;
    rustix::process::chdir("/").context("chdir(/)")
}
