//! Disks: one file per sandbox, holding a file system of a fixed size.
//!
//! The file is sparse, so a disk costs what was written to it, and its file system answers "no space left" inside the
//! sandbox when its size is reached. Its name says whose it is and what it lies on: `ID.SLOT.IMAGE.ext4`. Taking a prepared disk is one rename,
//! so a crash leaves it either prepared (and removed at the next start) or owned.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use pitlane_model::SandboxId;
use pitlane_sys::{DetachedMount, FilesystemContext, LoopDevice, MountOptions, SyscallError};
use rustix::fs::{SeekFrom, copy_file_range, ftruncate, seek};
use rustix::io::Errno;

/// The folders of disks in a state folder.
#[derive(Debug, Clone)]
pub(crate) struct Disks {
    owned: PathBuf,
    prepared: PathBuf,
    templates: PathBuf,
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

fn file_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DiskError {
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
        };
        for folder in [&disks.owned, &disks.prepared, &disks.templates] {
            std::fs::create_dir_all(folder).map_err(file_error("make", folder))?;
        }
        for folder in [&disks.prepared, &disks.templates] {
            for entry in std::fs::read_dir(folder).map_err(file_error("list", folder))? {
                let path = entry.map_err(file_error("list", folder))?.path();
                let is_template =
                    folder == &disks.templates && path.extension().is_some_and(|end| end == "ext4");
                if !is_template {
                    remove(&path)?;
                }
            }
        }
        Ok(disks)
    }

    /// Makes a fresh disk of `gib` GiB for a slot.
    pub(crate) fn prepare(&self, slot: u32, gib: u32) -> Result<PathBuf, DiskError> {
        let template = self.template(gib)?;
        let path = self.prepared.join(format!("{slot}.ext4"));
        remove(&path)?;
        copy_sparse(&template, &path).map_err(file_error("copy the template to", &path))?;
        Ok(path)
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
        std::fs::rename(prepared, &path).map_err(file_error("rename", prepared))?;
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

    /// A formatted file of `gib` GiB, made once for each size.
    fn template(&self, gib: u32) -> Result<PathBuf, DiskError> {
        let path = self.templates.join(format!("{gib}.ext4"));
        if path.exists() {
            return Ok(path);
        }
        let draft = self.templates.join(format!("{gib}.{:?}.draft", std::thread::current().id()));
        let contents =
            self.templates.join(format!("{gib}.{:?}.contents", std::thread::current().id()));
        for name in ["upper", "work"] {
            let folder = contents.join(name);
            std::fs::create_dir_all(&folder).map_err(file_error("make", &folder))?;
        }
        let file = File::create(&draft).map_err(file_error("make", &draft))?;
        file.set_len(u64::from(gib) << 30).map_err(file_error("make", &draft))?;
        #[expect(
            clippy::disallowed_methods,
            reason = "formatting is done once per size, ahead of any sandbox"
        )]
        let output = std::process::Command::new("mkfs.ext4")
            // No journal: what a sandbox wrote does not survive a power cut half-way anyway, and a journal would cost
            // space, time and a kernel thread each. No reserved blocks: nothing in it belongs to the host's root.
            .args(["-q", "-F", "-m", "0", "-O", "^has_journal,^resize_inode", "-i", "16384"])
            .args(["-E", "lazy_itable_init=1,nodiscard,root_owner=0:0", "-d"])
            .arg(&contents)
            .arg(&draft)
            .stdin(Stdio::null())
            .output()
            .map_err(file_error("run mkfs.ext4 on", &draft))?;
        std::fs::remove_dir_all(&contents).map_err(file_error("remove", &contents))?;
        if !output.status.success() {
            return Err(DiskError::Format {
                output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            });
        }
        file.sync_all().map_err(file_error("sync", &draft))?;
        std::fs::rename(&draft, &path).map_err(file_error("rename", &draft))?;
        Ok(path)
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

/// Copies what a sparse file holds, and leaves the holes holes.
fn copy_sparse(from: &Path, to: &Path) -> io::Result<()> {
    let source = File::open(from)?;
    let target = File::create_new(to)?;
    ftruncate(&target, source.metadata()?.len())?;
    let mut position = 0;
    loop {
        let start = match seek(&source, SeekFrom::Data(position)) {
            Ok(start) => start,
            // Nothing but a hole is left.
            Err(Errno::NXIO) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        };
        let end = seek(&source, SeekFrom::Hole(start))?;
        let (mut read_at, mut write_at) = (start, start);
        while read_at < end {
            let length = usize::try_from(end - read_at).unwrap_or(usize::MAX);
            if copy_file_range(&source, Some(&mut read_at), &target, Some(&mut write_at), length)?
                == 0
            {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        position = end;
    }
}
