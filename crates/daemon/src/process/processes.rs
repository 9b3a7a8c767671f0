//! Starting processes, and ending all there are.

use std::collections::BTreeSet;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use pitlane_sys::{
    CommandGroup, CommandGroups, ExitStatus, Identity, Program, Reaper, SpawnError, SyscallError,
    descendants,
};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::launch::Launch;
use crate::boot::is_first_process;

/// What is killed first when memory is used up.
const OOM_SCORE_ADJUSTMENT: i32 = 1000;
/// How long killed processes may take to be gone; only a broken disk or device makes one take longer.
const KILL_DEADLINE: Duration = Duration::from_secs(10);
/// The first and the longest pause between two looks at what is left.
const KILL_PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

/// The processes of the sandbox.
#[derive(Debug)]
pub(crate) struct Processes {
    reaper: Reaper,
    groups: Option<Arc<CommandGroups>>,
    identity: Option<Identity>,
    oom_score_adjustment: Option<i32>,
}

/// A process that runs, with everything it started.
#[derive(Debug)]
pub(crate) struct Started {
    leader: i32,
    group: Option<GroupGuard>,
    /// How many processes had been killed for want of memory before it started.
    kills_before: u64,
    /// How the leader ended; an error when that was lost.
    pub(crate) exit: oneshot::Receiver<ExitStatus>,
}

/// A command's group, removed once it is empty.
#[derive(Debug)]
struct GroupGuard {
    groups: Arc<CommandGroups>,
    group: Option<CommandGroup>,
}

/// Why a process does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("cannot make a control group")]
    Group(#[source] SyscallError),
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

/// Why a tree of processes may still have members.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KillError {
    #[error("cannot look for processes")]
    Look(#[source] SyscallError),
    #[error("{0} processes were killed and did not end")]
    Remain(usize),
}

impl Processes {
    pub(crate) fn new(identity: Option<Identity>, groups: Option<CommandGroups>) -> Self {
        Self {
            reaper: Reaper::default(),
            groups: groups.map(Arc::new),
            identity,
            // Outside a sandbox, the daemon has no business with it.
            oom_score_adjustment: is_first_process().then_some(OOM_SCORE_ADJUSTMENT),
        }
    }

    /// Starts a program in a session and, where there are any, a control group of its own.
    pub(crate) fn start(
        &self,
        launch: &Launch,
        stdout: &OwnedFd,
        stderr: &OwnedFd,
    ) -> Result<Started, StartError> {
        let group = match &self.groups {
            Some(groups) => Some(GroupGuard {
                group: Some(groups.take().map_err(StartError::Group)?),
                groups: Arc::clone(groups),
            }),
            None => None,
        };
        let kills_before = group.as_ref().map_or(0, |guard| guard.groups.out_of_memory_kills());
        let joins = group.as_ref().map(GroupGuard::joins).unwrap_or_default();
        let spare: Vec<_> = launch.spare.iter().map(OwnedFd::as_fd).collect();
        let program = Program {
            candidates: &launch.candidates,
            arguments: &launch.arguments,
            environment: &launch.environment,
            folder: &launch.folder,
            identity: self.identity.as_ref(),
            standard: [launch.input.as_fd(), stdout.as_fd(), stderr.as_fd()],
            spare: &spare,
            has_terminal: launch.has_terminal,
            joins: &joins,
            oom_score_adjustment: self.oom_score_adjustment,
        };
        let (ended, exit) = oneshot::channel();
        let leader = self.reaper.spawn(program, move |status| {
            // Whoever started it may have lost interest.
            ended.send(status).ok();
        })?;
        drop(joins);
        Ok(Started { leader, group, kills_before, exit })
    }

    /// Does what no command has to wait for: call it when an answer is out.
    pub(crate) fn tidy(&self) {
        if let Some(groups) = &self.groups {
            groups.tidy();
        }
    }

    /// Waits for all that have ended; answers whether any are left.
    pub(crate) fn collect(&self) -> bool {
        self.reaper.collect()
    }

    /// Asks everything in the sandbox to end.
    pub(crate) fn terminate_all(&self) {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        // Without /proc there is nothing to be found, and the namespace ends with process 1.
        descendants::terminate_descendants(own).ok();
    }

    /// Kills everything in the sandbox and waits until it is gone, for a while.
    pub(crate) async fn kill_all(&self) {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let mut killed = BTreeSet::new();
        let killed = until_none(|| {
            let left = descendants::kill_descendants(own, &mut killed);
            self.collect();
            left
        });
        // What is left ends with this process' namespace.
        killed.await.ok();
    }
}

impl Started {
    /// Whether the kernel has killed a process for want of memory since this one started: one of its own, or of a
    /// command that ran at the same time.
    pub(crate) fn saw_memory_run_out(&self) -> bool {
        self.group
            .as_ref()
            .is_some_and(|guard| guard.groups.out_of_memory_kills() > self.kills_before)
    }

    /// Kills the process and everything it started, and waits until all of it is gone.
    pub(crate) async fn kill(&self) -> Result<(), KillError> {
        let group = self.group.as_ref().and_then(|guard| guard.group.as_ref());
        let mut killed = BTreeSet::new();
        until_none(|| match group {
            Some(group) => group.kill(),
            None => descendants::kill_session(self.leader, &mut killed),
        })
        .await
    }
}

async fn until_none(
    mut kill: impl FnMut() -> Result<usize, SyscallError>,
) -> Result<(), KillError> {
    let deadline = Instant::now().checked_add(KILL_DEADLINE);
    let (mut pause, longest) = KILL_PAUSES;
    loop {
        let left = kill().map_err(KillError::Look)?;
        if left == 0 {
            return Ok(());
        }
        if deadline.is_none_or(|deadline| Instant::now() > deadline) {
            return Err(KillError::Remain(left));
        }
        sleep(pause).await;
        pause = pause.saturating_mul(2).min(longest);
    }
}

impl GroupGuard {
    fn joins(&self) -> Vec<std::os::fd::BorrowedFd<'_>> {
        self.group.as_ref().map(|group| self.groups.joins(group)).unwrap_or_default()
    }
}

impl Drop for GroupGuard {
    fn drop(&mut self) {
        if let Some(group) = self.group.take() {
            self.groups.retire(group);
        }
    }
}
