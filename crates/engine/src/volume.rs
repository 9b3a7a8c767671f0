//! Volumes: one file each, holding a file system of a fixed size that sandboxes mount side by side; or objects
//! ([`objects`]), where object storage is configured.
//!
//! A sandbox's user writes to a volume, so it must have an end that is not the host's: a file system in a sparse file
//! has one, on every kernel, and costs what was written to it. `volumes/ID.ext4` is the volume, and its name the only
//! record of it. It has a journal, unlike sandboxes' disks: it is kept when they are gone.
//!
//! Nothing here remembers what is mounted. The kernel knows which loop device a file is, and gives whoever mounts a device
//! that is mounted the same file system once more: so a server that is started anew finds volumes that sandboxes of the
//! one before have mounted, and a volume nobody has is unmounted and its device freed by the kernel.

mod objects;
mod subpath;

use std::collections::{BTreeSet, HashMap};
use std::fs::{File, OpenOptions};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use pitlane_model::{VolumeId, VolumeMount};
use pitlane_sys::{
    DetachedMount, FilesystemContext, LoopDevice, MountOptions, SyscallError, UserNamespace,
};

use crate::disk::{self, DiskError, Disks, file_error, sparse, sync_folder};

pub use self::objects::ObjectVolumes;
pub(crate) use self::objects::{CreateObjectsError, ObjectPlaces, ObjectStore};

/// The volumes of a state folder.
#[derive(Debug)]
pub(crate) struct Volumes {
    folder: PathBuf,
    templates: PathBuf,
    gib: u32,
    turns: Mutex<HashMap<VolumeId, Turn>>,
    /// Held while the template is made.
    template: Mutex<()>,
    /// Those that were there when this server started, and may be mounted since before.
    inherited: BTreeSet<VolumeId>,
    /// Where new ones are kept, if not here.
    objects: Option<ObjectStore>,
}

/// Held by whoever mounts a volume: two at once could both find it unmounted. Tells which loop device it last was.
type Turn = Arc<Mutex<Option<String>>>;

/// Why a volume, or a folder of it, is not mounted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MountVolumeError {
    /// It does not exist.
    #[error("volume {id} is gone")]
    Gone {
        /// Which one.
        id: VolumeId,
    },
    /// The folder of it cannot be one.
    #[error("subpath {path} of volume {id} {why}")]
    Subpath {
        /// The volume.
        id: VolumeId,
        /// Which folder.
        path: String,
        /// What is wrong with it, for whoever asked.
        why: &'static str,
    },
    /// Its files are objects, of which this server knows nothing.
    #[error("volume {id} is in object storage, which is not configured")]
    Unconfigured {
        /// Which one.
        id: VolumeId,
    },
    /// Its files are objects elsewhere.
    #[error(
        "volume {id} is in bucket {bucket} of {endpoint}, which is not the one that is configured"
    )]
    Elsewhere {
        /// Which one.
        id: VolumeId,
        /// Where.
        endpoint: String,
        /// In which bucket there.
        bucket: String,
    },
    /// What is its file system does not run.
    #[error("cannot start what serves volume {id}")]
    Process {
        /// Which one.
        id: VolumeId,
        /// Why.
        #[source]
        cause: pitlane_driver::Cause,
    },
    /// The file cannot be opened.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The kernel cannot mount it.
    #[error("cannot mount volume {id}")]
    Mount {
        /// Which one.
        id: VolumeId,
        /// Why.
        #[source]
        cause: SyscallError,
    },
}

const OPTIONS: MountOptions = MountOptions {
    read_only: false,
    no_devices: true,
    // Who is root in one sandbox must not lend that to a user of another.
    no_set_user_id: true,
    no_execute: false,
    no_access_times: true,
};

impl Volumes {
    /// Opens the folder, making it if it is new, and removes what an earlier server had half made.
    pub(crate) fn open(
        state: &Path,
        disks: &Disks,
        gib: u32,
        objects: Option<(ObjectVolumes, ObjectPlaces)>,
    ) -> Result<Self, pitlane_driver::Cause> {
        let folder = folder(state);
        std::fs::create_dir_all(&folder).map_err(file_error("make", &folder))?;
        for entry in std::fs::read_dir(&folder).map_err(file_error("list", &folder))? {
            let path = entry.map_err(file_error("list", &folder))?.path();
            if path.extension().is_some_and(|end| end == "draft") {
                disk::remove(&path)?;
            }
        }
        let objects = objects
            .map(|(volumes, places)| ObjectStore::open(&folder, volumes, places))
            .transpose()?;
        let mut volumes = Self {
            objects,
            folder,
            templates: disks.templates().to_owned(),
            gib,
            turns: Mutex::default(),
            template: Mutex::default(),
            inherited: BTreeSet::new(),
        };
        volumes.inherited = volumes.list()?.into_iter().collect();
        Ok(volumes)
    }

    /// Gives up what waits for object storage; the next server goes on with it.
    pub(crate) fn close(&self) {
        if let Some(objects) = &self.objects {
            objects.close();
        }
    }

    /// How many bytes of this machine a new volume may take.
    pub(crate) const fn size_bytes(&self) -> u64 {
        if self.objects.is_some() { 0 } else { (self.gib as u64) << 30 }
    }

    /// Whether it is there.
    pub(crate) fn has(&self, id: VolumeId) -> bool {
        self.path(id).exists() || self.is_of_objects(id)
    }

    fn is_of_objects(&self, id: VolumeId) -> bool {
        objects::marker(&self.folder, id).exists()
    }

    /// Makes a volume; what answers is on the disk, or in object storage.
    pub(crate) fn create(&self, id: VolumeId) -> Result<(), CreateObjectsError> {
        let path = self.path(id);
        if path.exists() {
            return Ok(());
        }
        match &self.objects {
            Some(objects) => objects.create(id),
            None => Ok(self.create_file(&path)?),
        }
    }

    fn create_file(&self, path: &Path) -> Result<(), DiskError> {
        let template = self.template()?;
        let draft = path.with_extension("draft");
        disk::remove(&draft)?;
        let made = sparse::copy(&template, &draft)
            .and_then(|()| File::open(&draft)?.sync_all())
            .map_err(file_error("copy the template to", &draft));
        pitlane_fault::point("volume.drafted");
        let made = made.and_then(|()| {
            std::fs::rename(&draft, path).map_err(file_error("rename", &draft))?;
            pitlane_fault::point("volume.made");
            sync_folder(&self.folder)
        });
        if made.is_err() {
            drop(disk::remove(&draft));
        }
        made
    }

    /// Removes a volume. A sandbox that has it mounted keeps the file system, without a name, until it ends.
    ///
    /// What is in object storage is removed there first.
    pub(crate) fn delete(&self, id: VolumeId) -> Result<(), pitlane_driver::Cause> {
        if self.is_of_objects(id) {
            let Some(objects) = &self.objects else {
                return Err(MountVolumeError::Unconfigured { id }.into());
            };
            return objects.delete(id);
        }
        disk::remove(&self.path(id))?;
        pitlane_fault::point("volume.removed");
        sync_folder(&self.folder)?;
        self.turns.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        Ok(())
    }

    /// All volumes. Files with other names are not ours and are left alone.
    pub(crate) fn list(&self) -> Result<Vec<VolumeId>, DiskError> {
        let mut volumes = Vec::new();
        let listed = std::fs::read_dir(&self.folder).map_err(file_error("list", &self.folder))?;
        for entry in listed {
            let path = entry.map_err(file_error("list", &self.folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let id = name.strip_suffix(".ext4").or_else(|| name.strip_suffix(".objects"));
            volumes.extend(id.and_then(|id| id.parse::<VolumeId>().ok()));
        }
        Ok(volumes)
    }

    /// A mount of a volume, or of a folder of it, on which a sandbox's ids are what they are in the sandbox. Sandboxes
    /// that run at the same time have different numbers.
    pub(crate) fn mount(
        &self,
        wanted: &VolumeMount,
        users: &UserNamespace,
        number: u32,
    ) -> Result<DetachedMount, MountVolumeError> {
        let id = wanted.volume;
        let failed = |cause| MountVolumeError::Mount { id, cause };
        let is_of_objects = self.is_of_objects(id);
        let whole = match (&self.objects, is_of_objects) {
            (Some(objects), true) => objects.mount(id, number)?,
            (None, true) => return Err(MountVolumeError::Unconfigured { id }),
            (_, false) => self.mount_whole(id)?,
        };
        pitlane_fault::point("volume.mounted");
        let mount = match &wanted.subpath {
            None => whole,
            Some(path) => subpath::open(&whole, path.as_str())
                .map_err(failed)?
                .map_err(|why| MountVolumeError::Subpath { id, path: path.to_string(), why })?,
        };
        // Objects have no owners: their file system shows whoever looks.
        if !is_of_objects {
            mount.map_ids(users).map_err(failed)?;
        }
        Ok(mount)
    }

    fn mount_whole(&self, id: VolumeId) -> Result<DetachedMount, MountVolumeError> {
        let failed = |cause| MountVolumeError::Mount { id, cause };
        let path = self.path(id);
        let image = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(image) => image,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                return Err(MountVolumeError::Gone { id });
            }
            Err(cause) => return Err(file_error("open", &path)(cause).into()),
        };
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(id).or_default())
        };
        let mut known = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let device = self.device(id, &image, known.as_deref()).map_err(failed)?;
        *known = Some(device.path().to_owned());
        pitlane_fault::point("volume.looped");
        FilesystemContext::open("ext4")
            .and_then(|context| {
                // Freed blocks go back to the host.
                context.text("source", device.path())?.flag("discard")?.mount(OPTIONS)
            })
            .map_err(failed)
    }

    /// The loop device that the file is; the one that it is already, if somebody has it mounted.
    fn device(
        &self,
        id: VolumeId,
        image: &File,
        known: Option<&str>,
    ) -> Result<LoopDevice, SyscallError> {
        let present = match known {
            Some(path) => LoopDevice::at(path, image.as_fd())?,
            // Nobody but this server mounts volumes: one that it has made, and not mounted, is not.
            None if !self.inherited.contains(&id) => None,
            None => LoopDevice::of_image(image.as_fd())?,
        };
        match present {
            Some(device) => Ok(device),
            None => LoopDevice::attach(image.as_fd()),
        }
    }

    fn path(&self, id: VolumeId) -> PathBuf {
        self.folder.join(format!("{id}.ext4"))
    }

    /// The formatted file that new volumes are copies of, made when it is not there yet.
    fn template(&self) -> Result<PathBuf, DiskError> {
        let _turn = self.template.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.templates.join(format!("volume.{}.blank", self.gib));
        if path.exists() {
            return Ok(path);
        }
        let draft = self.templates.join("volume.draft");
        disk::remove(&draft)?;
        let made = format(&draft, self.gib).and_then(|()| open_to_all(&draft));
        pitlane_fault::point("volume.template-drafted");
        let made = made
            .and_then(|()| std::fs::rename(&draft, &path).map_err(file_error("rename", &draft)));
        if made.is_err() {
            drop(disk::remove(&draft));
        }
        made.map(|()| path)
    }
}

/// Where the volumes of a state folder are.
pub(crate) fn folder(state: &Path) -> PathBuf {
    state.join("volumes")
}

/// Makes a file of `gib` GiB with an empty file system.
fn format(path: &Path, gib: u32) -> Result<(), DiskError> {
    let file = File::create_new(path).map_err(file_error("make", path))?;
    file.set_len(u64::from(gib) << 30).map_err(file_error("make", path))?;
    #[expect(
        clippy::disallowed_methods,
        reason = "formatting is done once per size, ahead of any volume"
    )]
    let mut program = std::process::Command::new("mkfs.ext4");
    // A journal, since a volume outlives a power cut, but a small one. No reserved blocks: nothing in it belongs to the
    // host's root.
    program
        .args(["-q", "-F", "-m", "0", "-O", "^resize_inode", "-i", "16384", "-J", "size=16"])
        .args(["-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0"])
        .arg(path);
    run(&mut program, path)?;
    file.sync_all().map_err(file_error("sync", path))
}

/// Lets everybody write to the root folder of a file system that nobody has mounted yet, and removes what only a checker
/// of file systems needs.
fn open_to_all(path: &Path) -> Result<(), DiskError> {
    for request in ["rmdir lost+found", "set_inode_field / mode 040777"] {
        #[expect(
            clippy::disallowed_methods,
            reason = "formatting is done once per size, ahead of any volume"
        )]
        let mut program = std::process::Command::new("debugfs");
        run(program.args(["-w", "-R", request]).arg(path), path)?;
    }
    File::open(path).and_then(|file| file.sync_all()).map_err(file_error("sync", path))
}

fn run(program: &mut std::process::Command, path: &Path) -> Result<(), DiskError> {
    let output = program
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()
        .map_err(file_error("run mkfs.ext4 or debugfs on", path))?;
    if output.status.success() {
        return Ok(());
    }
    Err(DiskError::Format { output: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}
