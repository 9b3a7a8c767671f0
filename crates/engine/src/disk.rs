//! Disks: one file per sandbox, holding a file system of a fixed size.
//!
//! The file is sparse, so a disk costs what was written to it, and its file system answers "no space left" inside the
//! sandbox when its size is reached. Its name says whose it is and what it lies on: `ID.SLOT.IMAGE.ext4`. Taking a prepared disk is one rename,
//! so a crash leaves it either prepared (and removed at the next start) or owned.
//!
//! A disk that is packed away is `archives/ID.IMAGE.zst` and has no slot. Where both exist, a crash came between the last
//! two steps of packing or unpacking; they hold the same then, and the disk is kept.

mod archive;
mod frozen;
mod growth;
mod layers;
pub(crate) mod sparse;
mod template;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use pitlane_model::SandboxId;
use pitlane_sys::{DetachedMount, FilesystemContext, LoopDevice, MountOptions, SyscallError};
use rustix::io::Errno;

pub(crate) use self::layers::{DiskLayer, DiskLayers};
pub(crate) use self::template::Blank;

/// The folders of disks in a state folder.
#[derive(Debug, Clone)]
pub(crate) struct Disks {
    owned: PathBuf,
    prepared: PathBuf,
    templates: PathBuf,
    archives: PathBuf,
    frozen: PathBuf,
}

/// Why a disk could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiskError {
    /// A file could not be made, copied or removed.
    #[error("cannot {action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: String,
        /// Why it failed.
        #[source]
        cause: io::Error,
    },
    /// The program that formats failed.
    #[error("mkfs.ext4 failed: {output}")]
    Format {
        /// What it said.
        output: String,
    },
    /// A program that makes a file system larger failed.
    #[error("{program} failed: {output}")]
    Grow {
        /// Which one.
        program: &'static str,
        /// What it said.
        output: String,
    },
    /// The disk could not be mounted.
    #[error("cannot mount {path}")]
    Mount {
        /// The disk.
        path: String,
        /// Why.
        #[source]
        cause: SyscallError,
    },
}

impl DiskError {
    /// Whether it is the host's file system that is full.
    pub(crate) fn is_for_want_of_room(&self) -> bool {
        match self {
            Self::File { cause, .. } => {
                matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::Grow { output, .. } | Self::Format { output } => {
                output.contains("No space left on device")
            }
            Self::Mount { cause, .. } => cause.is(Errno::NOSPC) || cause.is(Errno::DQUOT),
        }
    }

    /// Whether something could not be read from or written to a disk. What the kernel could not write for want of room on
    /// the host's file system is sometimes called so, and nothing else.
    pub(crate) fn is_of_the_device(&self) -> bool {
        matches!(self, Self::Mount { cause, .. } if cause.is(Errno::IO) || cause.is(Errno::ROFS))
    }
}

/// A disk that belongs to a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnedDisk {
    pub(crate) id: SandboxId,
    pub(crate) slot: u32,
    pub(crate) path: PathBuf,
}

/// The fingerprint of the image that an owned disk was made for: its files mean something on that image only.
pub(crate) fn fingerprint(disk: &Path) -> Option<&str> {
    disk.file_name()?.to_str()?.split('.').nth(2)
}

/// The same of a disk that is packed away.
pub(crate) fn fingerprint_of_archive(archive: &Path) -> Option<&str> {
    archive.file_name()?.to_str()?.split('.').nth(1)
}

pub(crate) fn file_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DiskError {
    let path = path.display().to_string();
    move |cause| DiskError::File { action, path, cause }
}

impl Disks {
    /// Opens the folders, making them if they are new, and removes what was prepared for a server that is gone.
    pub(crate) fn open(state: &Path) -> Result<Self, DiskError> {
        let folder = state.join("disks");
        let disks = Self {
            owned: folder.join("owned"),
            prepared: folder.join("prepared"),
            templates: folder.join("templates"),
            archives: state.join("archives"),
            frozen: folder.join("frozen"),
        };
        let all = [&disks.owned, &disks.prepared, &disks.templates, &disks.archives, &disks.frozen];
        for folder in all {
            std::fs::create_dir_all(folder).map_err(file_error("make", folder))?;
        }
        for (folder, kept) in [
            (&disks.prepared, None),
            (&disks.templates, Some("blank")),
            (&disks.archives, Some("zst")),
        ] {
            for entry in std::fs::read_dir(folder).map_err(file_error("list", folder))? {
                let path = entry.map_err(file_error("list", folder))?.path();
                let is_kept =
                    kept.is_some_and(|kept| path.extension().is_some_and(|end| end == kept));
                if !is_kept {
                    remove(&path)?;
                }
            }
        }
        Ok(disks)
    }

    /// Where what fresh disks are copies of is kept.
    pub(crate) fn templates(&self) -> &Path {
        &self.templates
    }

    /// Makes a fresh disk for a slot.
    pub(crate) fn prepare(&self, slot: u32, blank: Blank) -> Result<PathBuf, DiskError> {
        let template = blank.template(&self.templates)?;
        let path = self.prepared.join(format!("{slot}.ext4"));
        remove(&path)?;
        let copied =
            sparse::copy(&template, &path).map_err(file_error("copy the template to", &path));
        pitlane_fault::point("disk.copied");
        if copied.is_err() {
            remove_draft(&path);
        }
        copied.map(|()| path)
    }

    /// Makes a prepared disk a sandbox's own.
    pub(crate) fn own(
        &self,
        prepared: &Path,
        id: SandboxId,
        slot: u32,
        fingerprint: &str,
    ) -> Result<PathBuf, DiskError> {
        let path = self.owned.join(format!("{id}.{slot}.{fingerprint}.ext4"));
        pitlane_fault::point("disk.not-yet-owned");
        std::fs::rename(prepared, &path).map_err(file_error("rename", prepared))?;
        pitlane_fault::point("disk.owned");
        Ok(path)
    }

    /// The disks of all sandboxes. Files with other names are not ours and are left alone.
    pub(crate) fn list(&self) -> Result<Vec<OwnedDisk>, DiskError> {
        let mut disks = Vec::new();
        for entry in std::fs::read_dir(&self.owned).map_err(file_error("list", &self.owned))? {
            let path = entry.map_err(file_error("list", &self.owned))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let mut parts = name.split('.');
            let id = parts.next().and_then(|id| id.parse().ok());
            let slot = parts.next().and_then(|slot| slot.parse().ok());
            if let (Some(id), Some(slot), Some(_), Some("ext4"), None) =
                (id, slot, parts.next(), parts.next(), parts.next())
            {
                disks.push(OwnedDisk { id, slot, path });
            }
        }
        Ok(disks)
    }

    /// Makes a disk that nothing uses larger; it is whole at every moment. Blocks as long as copying it takes, and leaves
    /// the disk as it was when `is_given_up` says so in the end.
    pub(crate) fn grow(
        &self,
        disk: &Path,
        gib: u32,
        user: u32,
        is_given_up: &dyn Fn() -> bool,
    ) -> Result<(), DiskError> {
        let draft = self.draft_of(disk, "larger");
        let grown = growth::grow(disk, &draft, u64::from(gib) << 30, user)
            .inspect(|()| pitlane_fault::point("disk.grown"))
            .and_then(|()| match is_given_up() {
                true => Err(file_error("enlarge", disk)(io::ErrorKind::Interrupted.into())),
                false => std::fs::rename(&draft, disk).map_err(file_error("rename", &draft)),
            });
        if grown.is_err() {
            remove_draft(&draft);
        }
        grown
    }

    /// Packs a disk that nothing uses away, and removes it. Gives up, with the disk in place, when `is_given_up` says so.
    pub(crate) fn pack(
        &self,
        disk: &Path,
        id: SandboxId,
        is_given_up: &dyn Fn() -> bool,
    ) -> Result<PathBuf, DiskError> {
        let fingerprint = fingerprint(disk).unwrap_or_default();
        let path = self.archives.join(format!("{id}.{fingerprint}.zst"));
        let draft = self.archives.join(format!("{id}.draft"));
        let packed = archive::pack(disk, &draft, is_given_up)
            .map_err(file_error("archive", disk))
            .and_then(|()| std::fs::rename(&draft, &path).map_err(file_error("rename", &draft)))
            .and_then(|()| sync_folder(&self.archives));
        if packed.is_err() {
            remove_draft(&draft);
        }
        packed?;
        pitlane_fault::point("disk.packed");
        remove(disk)?;
        Ok(path)
    }

    /// Brings a disk that was packed away back for a slot, and removes the archive. Gives up, with the archive in place,
    /// when `is_given_up` says so.
    pub(crate) fn unpack(
        &self,
        archive: &Path,
        id: SandboxId,
        slot: u32,
        is_given_up: &dyn Fn() -> bool,
    ) -> Result<PathBuf, DiskError> {
        let draft = self.draft_of(archive, "back");
        let fingerprint = fingerprint_of_archive(archive).unwrap_or_default();
        let unpacked = archive::unpack(archive, &draft, is_given_up)
            .map_err(file_error("restore", archive))
            .and_then(|()| self.own(&draft, id, slot, fingerprint))
            .and_then(|path| sync_folder(&self.owned).map(|()| path));
        if unpacked.is_err() {
            remove_draft(&draft);
        }
        let path = unpacked?;
        pitlane_fault::point("disk.unpacked");
        remove(archive)?;
        Ok(path)
    }

    /// Copies a disk into an empty file: at once, whatever its size, where the file systems share what files hold.
    /// Ends with [`io::ErrorKind::Interrupted`] when `is_given_up` says so.
    ///
    /// `has_room` is asked whether so many bytes can be written where they are not shared.
    pub(crate) fn copy(
        disk: &Path,
        target: &File,
        has_room: &dyn Fn(u64) -> bool,
        is_given_up: &dyn Fn() -> bool,
    ) -> Result<(), DiskError> {
        let copied = File::open(disk).and_then(|source| {
            if sparse::share(&source, target)? {
                return Ok(());
            }
            if !has_room(source.metadata()?.blocks().saturating_mul(512)) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            sparse::copy_data(&source, target, is_given_up)
        });
        copied.map_err(file_error("copy", disk))
    }

    /// The disks that are packed away. Files with other names are not ours and are left alone.
    pub(crate) fn list_archives(&self) -> Result<Vec<(SandboxId, PathBuf)>, DiskError> {
        let mut archives = Vec::new();
        let folder = &self.archives;
        for entry in std::fs::read_dir(folder).map_err(file_error("list", folder))? {
            let path = entry.map_err(file_error("list", folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let [id, _, "zst"] = *name.split('.').collect::<Vec<_>>()
                && let Ok(id) = id.parse()
            {
                archives.push((id, path));
            }
        }
        Ok(archives)
    }

    /// Where something that is to become another file is made: the next start removes what is left there.
    fn draft_of(&self, file: &Path, becomes: &str) -> PathBuf {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        self.prepared.join(format!("{name}.{becomes}"))
    }
}

/// The size of a disk, in GiB.
pub(crate) fn size_gib(disk: &Path) -> Result<u32, DiskError> {
    let length = std::fs::metadata(disk).map_err(file_error("look at", disk))?.len();
    Ok(u32::try_from(length >> 30).unwrap_or(u32::MAX))
}

pub(crate) fn sync_folder(folder: &Path) -> Result<(), DiskError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(file_error("sync", folder))
}

fn remove_draft(draft: &Path) {
    if let Err(failure) = remove(draft) {
        tracing::warn!(%failure, "a draft stays behind until the next start");
    }
}

/// Mounts a disk; the loop device and the mount are gone when their last user is.
pub(crate) fn mount(path: &Path) -> Result<DetachedMount, DiskError> {
    let image =
        OpenOptions::new().read(true).write(true).open(path).map_err(file_error("open", path))?;
    let mounted = LoopDevice::attach(image.as_fd()).and_then(|device| {
        FilesystemContext::open("ext4")?
            .text("source", device.path())?
            // Freed blocks go back to the host.
            .flag("discard")?
            .mount(MountOptions {
                no_devices: true,
                no_access_times: true,
                ..MountOptions::default()
            })
    });
    mounted.map_err(|cause| DiskError::Mount { path: path.display().to_string(), cause })
}

/// Removes a file; one that is not there is no error.
pub(crate) fn remove(path: &Path) -> Result<(), DiskError> {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(path),
        _ => std::fs::remove_file(path),
    };
    match removed {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            Err(file_error("remove", path)(cause))
        }
        _ => Ok(()),
    }
}
