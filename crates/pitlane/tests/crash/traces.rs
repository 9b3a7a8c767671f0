//! What a server leaves on the machine: files, control groups, loop devices, mounts, links, processes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::server::{Server, signal};

/// All of it, sorted. Names of sandboxes' parts are those that the server gives them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Traces {
    /// Disks of sandboxes: `ID.SLOT.IMAGE.ext4`.
    pub(crate) disks: Vec<String>,
    /// Disks that are packed away: `ID.IMAGE.zst`.
    pub(crate) archives: Vec<String>,
    /// Everything else under the state folder that may come and go.
    pub(crate) drafts: Vec<String>,
    /// Images that were made here, and parts of them.
    pub(crate) images: Vec<String>,
    /// Sockets of sandboxes.
    pub(crate) sockets: Vec<String>,
    /// Slots that have a control group.
    pub(crate) groups: BTreeSet<String>,
    /// Files of the state folder that are on a loop device.
    pub(crate) devices: Vec<String>,
    /// Volumes that are.
    pub(crate) volumes: Vec<String>,
    /// Mounts of the host that name the state folder.
    pub(crate) mounts: usize,
    /// Links to sandboxes in the router's namespace.
    pub(crate) links: usize,
    /// Sandboxes' first processes.
    pub(crate) processes: usize,
    /// Processes that serve volumes in object storage.
    pub(crate) servers: usize,
}

/// Names in a folder; none if there is no such folder.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn group_folders(server: &Server) -> Vec<PathBuf> {
    ["memory", "cpu", "pids", "freezer", "."]
        .iter()
        .map(|hierarchy| Path::new("/sys/fs/cgroup").join(hierarchy).join("pitlane"))
        .map(|parent| parent.join(server.id()))
        .collect()
}

/// The processes in a sandbox's outer group: its first, and on version 2 those in the leaf where that is.
fn first_processes(group: &Path) -> Vec<u32> {
    [group.to_owned(), group.join("daemon")]
        .iter()
        .filter_map(|folder| std::fs::read_to_string(folder.join("cgroup.procs")).ok())
        .flat_map(|text| text.lines().filter_map(|line| line.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// How many links to sandboxes the router has; none without a router.
fn links(server: &Server) -> usize {
    let Some(launcher) = server.launcher() else { return 0 };
    let descriptors = names(Path::new(&format!("/proc/{launcher}/fd")));
    let router =
        descriptors.into_iter().map(|name| format!("/proc/{launcher}/fd/{name}")).find(|path| {
            std::fs::read_link(path)
                .is_ok_and(|target| target.to_string_lossy().starts_with("net:["))
        });
    let Some(router) = router else { return 0 };
    let listed = Command::new("nsenter")
        .arg(format!("--net={router}"))
        .args(["ip", "-oneline", "link", "show", "type", "veth"])
        .output()
        .unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    String::from_utf8_lossy(&listed.stdout).lines().filter(|line| line.contains(": pl")).count()
}

/// How many processes serve volumes: each has the file open that says that its volume exists.
fn servers(volumes: &Path) -> usize {
    let serves = |process: &Path| {
        let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
        let is_one = line.split(|byte| *byte == 0).any(|word| word == b"volume-files");
        is_one
            && std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten().any(|file| {
                // The name that it had when it was opened, whatever root the process has now.
                std::fs::read_link(file.path()).is_ok_and(|name| name.starts_with(volumes))
            })
    };
    std::fs::read_dir("/proc").unwrap().flatten().filter(|entry| serves(&entry.path())).count()
}

impl Traces {
    /// What there is now.
    pub(crate) fn of(server: &Server) -> Self {
        let state = server.state();
        let mut drafts: Vec<String> = names(&state)
            .into_iter()
            .filter(|name| name.ends_with(".new") || name.ends_with("-journal"))
            .collect();
        drafts.extend(names(&state.join("disks/prepared")));
        let is_template = |name: &String| !name.ends_with(".blank");
        drafts.extend(names(&state.join("disks/templates")).into_iter().filter(is_template));
        drafts.extend(names(&state.join("disks/frozen")));
        let is_draft = |name: &String| name.ends_with(".draft");
        drafts.extend(names(&state.join("volumes")).into_iter().filter(is_draft));
        let cache = server.images();
        let is_made = |name: &String| name.contains("made-") || name.contains(".disk");
        let mut images = names(&cache);
        images.extend(names(&cache.join("layers")));
        images.retain(is_made);
        images.extend(names(&cache.join("references")));
        let state_text = state.to_str().unwrap().to_owned();
        let backing_files: Vec<String> = names(Path::new("/sys/block"))
            .into_iter()
            .filter_map(|name| {
                std::fs::read_to_string(format!("/sys/block/{name}/loop/backing_file")).ok()
            })
            .collect();
        let is_layer = |file: &&String| file.starts_with(cache.to_str().unwrap());
        images.extend(backing_files.iter().filter(is_layer).cloned());
        let devices = backing_files
            .into_iter()
            .filter(|file| file.starts_with(&state_text))
            .map(|file| file.trim().rsplit('/').next().unwrap_or_default().to_owned());
        let (mut devices, volumes): (Vec<String>, Vec<String>) =
            devices.partition(|name| !state.join("volumes").join(name).exists());
        devices.sort();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let folders = group_folders(server);
        let groups: BTreeSet<String> = folders
            .iter()
            .flat_map(|folder| {
                names(folder)
                    .into_iter()
                    .filter(|name| name.starts_with("slot-"))
                    .collect::<Vec<_>>()
            })
            .collect();
        let processes: BTreeSet<u32> = folders
            .iter()
            .flat_map(|folder| groups.iter().map(|group| folder.join(group)).collect::<Vec<_>>())
            .flat_map(|group| first_processes(&group))
            .collect();
        let is_socket = |name: &String| name.ends_with(".sock");
        Self {
            disks: names(&state.join("disks/owned")),
            archives: names(&state.join("archives")),
            drafts,
            images,
            sockets: names(&server.run().join("sandboxes")).into_iter().filter(is_socket).collect(),
            groups,
            devices,
            volumes,
            mounts: mounts.lines().filter(|line| line.contains(&format!("{state_text}/"))).count(),
            links: links(server),
            processes: processes.len(),
            servers: servers(&state.join("volumes")),
        }
    }

    /// What there is when these sandboxes run and those rest, and nothing else is.
    fn expected(&self, running: &[String], resting: &[String], packed: &[String]) -> Self {
        let of = |ids: &[String]| -> Vec<String> {
            let is_one = |disk: &&String| ids.iter().any(|id| disk.starts_with(id));
            self.disks.iter().filter(is_one).cloned().collect()
        };
        let mut disks = [of(running), of(resting)].concat();
        disks.sort();
        let devices = of(running);
        let slot = |disk: &String| format!("slot-{}", disk.split('.').nth(1).unwrap_or_default());
        let mut sockets: Vec<String> = running.iter().map(|id| format!("{id}.sock")).collect();
        sockets.sort();
        let is_packed = |archive: &&String| packed.iter().any(|id| archive.starts_with(id));
        Self {
            disks,
            archives: self.archives.iter().filter(is_packed).cloned().collect(),
            drafts: Vec::new(),
            images: self.images.clone(),
            sockets,
            groups: devices.iter().map(slot).collect(),
            devices,
            // Sandboxes that run may have some.
            volumes: if running.is_empty() { Vec::new() } else { self.volumes.clone() },
            mounts: 0,
            links: running.len(),
            processes: running.len(),
            servers: if running.is_empty() { 0 } else { self.servers },
        }
    }
}

/// Waits until exactly these sandboxes are on the machine: those that run, and those that rest. Nothing else is.
pub(crate) fn settle(server: &Server, running: &[String], resting: &[String], packed: &[String]) {
    let mut now = Traces::of(server);
    let mut wanted = now.expected(running, resting, packed);
    let began = std::time::Instant::now();
    // The kernel takes links and devices down some time after their last user has gone.
    while now != wanted
        || now.disks.len() != running.len() + resting.len()
        || now.archives.len() != packed.len()
    {
        assert!(
            began.elapsed() < std::time::Duration::from_secs(30),
            "found {now:#?}\nwanted {wanted:#?}\nrunning {running:?}, resting {resting:?}\n{}",
            server.last_words()
        );
        std::thread::park_timeout(std::time::Duration::from_millis(20));
        now = Traces::of(server);
        wanted = now.expected(running, resting, packed);
    }
}

/// Waits until no image is left that was made here.
pub(crate) fn free_of_images(server: &Server) {
    let began = std::time::Instant::now();
    loop {
        let left = Traces::of(server).images;
        if left.is_empty() {
            return;
        }
        assert!(
            began.elapsed() < std::time::Duration::from_secs(30),
            "images {left:#?}, needed {:?}\n{}",
            std::fs::read_to_string(server.state().join("needed-images.json")),
            server.last_words()
        );
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
}

/// Checks that a server without sandboxes that was ended left nothing but its state folder.
pub(crate) fn gone(server: &Server) {
    crate::wait_until("the launcher ends", || server.launcher().is_none());
    assert_eq!(Traces::of(server), Traces::default());
    assert!(!server.run().exists(), "{:?}", names(&server.run()));
    let left: Vec<_> = group_folders(server).into_iter().filter(|folder| folder.is_dir()).collect();
    assert_eq!(left, Vec::<PathBuf>::new());
}

/// Takes away what a failed test left.
pub(crate) fn remove_all(server: &Server) {
    if let Some(launcher) = server.launcher() {
        signal("KILL", launcher);
    }
    let folders = group_folders(server);
    let groups = || {
        folders.iter().flat_map(|folder| names(folder).into_iter().map(|name| folder.join(name)))
    };
    for group in groups().filter(|group| group.is_dir()) {
        for pid in first_processes(&group) {
            signal("KILL", pid);
        }
    }
    for folder in folders {
        // The deepest first; a group that is busy yet is a failed test's.
        for _attempt in 0..50 {
            remove_groups(&folder);
            if !folder.exists() {
                break;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
    }
}

fn remove_groups(folder: &Path) {
    for name in names(folder) {
        let child = folder.join(name);
        if child.is_dir() {
            remove_groups(&child);
        }
    }
    drop(std::fs::remove_dir(folder));
}
