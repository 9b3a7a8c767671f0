//! What an earlier server left: found by what is really there, taken over or removed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pitlane_driver::Cause;
use pitlane_model::SandboxId;

use super::{Inner, KILL_DEADLINE, Parts, Run, Sandbox, lock};
use crate::disk::{self, DiskError, OwnedDisk};
use crate::launcher::FirstProcess;
use crate::layer::LayerHold;
use crate::prepared::{DiskFile, Groups, remove_unused_groups};
use crate::running::{Running, SocketFile};
use crate::slot::Slot;

/// How long all sandboxes together may take to be linked to a new router.
const RELINK_DEADLINE: Duration = Duration::from_secs(5);
const RELINK_PAUSE: Duration = Duration::from_millis(20);

impl Inner {
    /// Takes over what an earlier server left, by what is really there: disks, and processes that the launcher has.
    pub(super) fn find_sandboxes(&self) -> Result<(), DiskError> {
        let running = self.launcher.list().unwrap_or_default();
        let mut sandboxes = lock(&self.sandboxes);
        for OwnedDisk { id, slot, path } in self.preparer.disks.list()? {
            let Some(slot) = self.slots.take_number(slot) else {
                tracing::error!(sandbox = %id, slot, "two disks claim one slot; this one is left alone");
                continue;
            };
            let groups = Groups::adopt(&self.preparer.groups, &slot);
            let process = self.find_process(id, &slot, &groups);
            let running = process.map(|(process, name)| Running {
                process: Arc::new(process),
                name,
                socket: SocketFile::find(&self.preparer.sockets, id),
                groups,
                hello: None,
                layers: LayerHold::default(),
            });
            let parts = Parts {
                slot: Some(slot),
                disk: Some(DiskFile::owned(path)),
                running,
                archive: None,
            };
            sandboxes.insert(id, Arc::new(Sandbox::new(parts)));
        }
        let names: BTreeSet<String> = sandboxes
            .values()
            .filter_map(|sandbox| {
                lock(&sandbox.parts).running.as_ref().map(|running| running.name.clone())
            })
            .collect();
        for name in running.into_iter().filter(|name| !names.contains(name)) {
            self.end_unowned(&name);
        }
        let used: Vec<u32> = sandboxes
            .values()
            .filter_map(|sandbox| {
                let parts = lock(&sandbox.parts);
                parts.running.as_ref().and(parts.slot.as_ref()).map(Slot::number)
            })
            .collect();
        drop(sandboxes);
        remove_unused_groups(&self.preparer.groups, |slot| used.contains(&slot));
        self.remove_unused_sockets();
        Ok(())
    }

    /// Ends a process that belongs to no sandbox, if it still runs: one that waited for a sandbox, or one whose disk is
    /// gone.
    fn end_unowned(&self, name: &str) {
        if let Ok(Some(process)) = self.launcher.open(name)
            && process.kill().is_ok()
        {
            tracing::warn!(name, "ended a process that belongs to no sandbox");
            process.wait(KILL_DEADLINE);
        }
        if let Err(failure) = self.launcher.collect(name) {
            tracing::warn!(name, %failure, "the launcher keeps an exit");
        }
    }

    /// Process 1 of a sandbox and its name, by the launcher or, when that has died, by what is in the sandbox's group.
    fn find_process(
        &self,
        id: SandboxId,
        slot: &Slot,
        groups: &Groups,
    ) -> Option<(FirstProcess, String)> {
        let name = slot.name();
        match self.launcher.open(&name) {
            Ok(Some(process)) => return Some((process, name)),
            Ok(None) => {}
            Err(failure) => {
                tracing::error!(sandbox = %id, %failure, "cannot ask the launcher for a sandbox");
            }
        }
        let process = groups.orphan()?;
        tracing::warn!(sandbox = %id, "adopted a sandbox whose launcher has died; how it ends will be unknown");
        Some((process, name))
    }

    fn remove_unused_sockets(&self) {
        let Ok(entries) = std::fs::read_dir(&self.preparer.sockets) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let id = name.split('.').next().and_then(|id| id.parse().ok());
            let is_used = id
                .and_then(|id| self.get(id))
                .is_some_and(|sandbox| lock(&sandbox.parts).running.is_some());
            if !is_used && let Err(failure) = disk::remove(&path) {
                tracing::warn!(%failure, "a socket that nobody uses stays behind");
            }
        }
    }

    /// Links the sandboxes that run to a router that is new: with the launcher and the server before this one, the
    /// router that they were linked to has died.
    pub(super) fn relink(&self) {
        let deadline = Instant::now() + RELINK_DEADLINE;
        let found: Vec<(SandboxId, Arc<Sandbox>)> =
            lock(&self.sandboxes).iter().map(|(id, sandbox)| (*id, Arc::clone(sandbox))).collect();
        for (id, sandbox) in found {
            let (slot, process) = {
                let parts = lock(&sandbox.parts);
                let linked = parts.running.as_ref().filter(|running| running.socket.has_network());
                let process = linked.map(|running| Arc::clone(&running.process));
                (parts.slot.as_ref().map(Slot::number), process)
            };
            let (Some(slot), Some(process)) = (slot, process) else { continue };
            let relinked = loop {
                let relinked = self.link_again(slot, &process);
                // The kernel takes the old link down some time after the router that it led to.
                if relinked.is_ok() || Instant::now() > deadline {
                    break relinked;
                }
                std::thread::park_timeout(RELINK_PAUSE);
            };
            match relinked {
                Ok(()) => {
                    tracing::warn!(sandbox = %id, "linked to a new router; its connections are lost");
                }
                Err(cause) => {
                    tracing::error!(sandbox = %id, cause = &*cause as &dyn std::error::Error, "has no network until it is started again");
                }
            }
        }
    }

    fn link_again(&self, slot: u32, process: &FirstProcess) -> Result<(), Cause> {
        let relinked = self.preparer.router.relink(slot, process.network()?);
        Ok(self.preparer.runtime.block_on(relinked)?)
    }

    /// Begins to watch the processes that were found.
    pub(super) fn adopt(self: Arc<Self>) -> Arc<Self> {
        let found: Vec<(SandboxId, Arc<Sandbox>)> =
            lock(&self.sandboxes).iter().map(|(id, sandbox)| (*id, Arc::clone(sandbox))).collect();
        for (id, sandbox) in found {
            let process =
                lock(&sandbox.parts).running.as_ref().map(|running| Arc::clone(&running.process));
            if let Some(process) = process {
                self.watch(id, &sandbox, Run { process, is_new: false });
            }
        }
        // Images whose making or removal was interrupted.
        let inner = Arc::clone(&self);
        self.tasks.spawn_blocking(move || inner.collect_images());
        self
    }
}
