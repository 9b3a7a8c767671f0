//! What an engine is told at its start.

use std::ffi::OsString;
use std::path::PathBuf;

use pitlane_image::Images;
use pitlane_network::RouterConfig;

use crate::ObjectVolumes;

/// An engine's configuration.
#[derive(Debug)]
pub struct EngineConfig {
    /// The state folder: the sandboxes' disks are kept in it.
    pub state: PathBuf,
    /// The folder of run-time files, empty after a boot: sockets and the launcher's log.
    pub run: PathBuf,
    /// What tells this engine's control groups, links and rules from those of others on the machine; derived from
    /// the state folder.
    pub state_id: String,
    /// How the launcher is started.
    pub launcher: LaunchCommand,
    /// The daemon's program: a static executable.
    pub daemon: Vec<u8>,
    /// The root file systems.
    pub images: Images,
    /// The network.
    pub network: RouterConfig,
    /// The host's id of the first sandbox's id 0; 65,536 ids for each sandbox follow.
    pub first_id: u32,
    /// Memory that sandboxes waiting in all pools together may take, in MiB; a quarter of the machine's if it is not said.
    pub pool_memory_mib: Option<u64>,
    /// How large a volume is, in GiB.
    pub volume_gib: u32,
    /// Where new volumes are kept, if not on this machine.
    pub object_volumes: Option<ObjectVolumes>,
    /// How many times the room that is left may be promised to sandboxes' disks; 0 sets no bound.
    pub disk_overcommit: u32,
}

/// A program with arguments that calls [`crate::run_launcher`] before it has threads.
#[derive(Debug, Clone)]
pub struct LaunchCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments, which lead to [`crate::run_launcher`] with the same run-time folder.
    pub arguments: Vec<OsString>,
}
