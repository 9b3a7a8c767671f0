//! Starting processes, and ending all there are.

use std::collections::BTreeSet;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use pitlane_sys::{
    CommandGroup, CommandGroups, ExitStatus, Identity, Program, Reaper, SpawnError, SyscallError,
    descendants,
};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, getsid, kill_process_group};
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
    /// Closed when nobody watches it any more.
    lease: Option<oneshot::Sender<()>>,
    /// How the leader ended; an error when that was lost.
    pub(crate) exit: oneshot::Receiver<ExitStatus>,
}

/// A place for a process that somebody else starts.
#[derive(Debug)]
pub(crate) struct Room {
    group: Option<GroupGuard>,
    /// What the process has to write `0` to, where there are control groups.
    pub(crate) admission: Option<OwnedFd>,
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
        match (self.start_as_it_is(launch, stdout, stderr), &launch.otherwise) {
            (Err(StartError::Spawn(SpawnError::Execute(_))), Some(shell)) => {
                self.start_as_it_is(shell, stdout, stderr)
            }
            (started, _) => started,
        }
    }

    fn start_as_it_is(
        &self,
        launch: &Launch,
        stdout: &OwnedFd,
        stderr: &OwnedFd,
    ) -> Result<Started, StartError> {
        let group = self.group()?;
        let kills_before = self.out_of_memory_kills();
        let joins = group.as_ref().map(GroupGuard::joins).unwrap_or_default();
        let spare: Vec<_> = launch.spare.iter().map(OwnedFd::as_fd).collect();
        let program = Program {
            candidates: &launch.candidates,
            name: launch.name.as_deref(),
            arguments: &launch.arguments,
            environment: &launch.environment,
            folder: &launch.folder,
            identity: launch.user.as_ref().or(self.identity.as_ref()),
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
        Ok(Started { leader, group, kills_before, exit, lease: None })
    }

    fn group(&self) -> Result<Option<GroupGuard>, StartError> {
        let Some(groups) = &self.groups else { return Ok(None) };
        let group = Some(groups.take().map_err(StartError::Group)?);
        Ok(Some(GroupGuard { groups: Arc::clone(groups), group }))
    }

    fn out_of_memory_kills(&self) -> u64 {
        self.groups.as_ref().map_or(0, |groups| groups.out_of_memory_kills())
    }

    /// Makes room for a process that another one of the user's is going to start.
    pub(crate) fn make_room(&self) -> Result<Room, StartError> {
        let guard = self.group()?;
        let admission = match guard.as_ref().and_then(|guard| Some((guard, guard.group.as_ref()?)))
        {
            Some((guard, group)) => {
                let admission = guard.groups.admission(group, self.identity.as_ref());
                Some(admission.map_err(StartError::Group)?)
            }
            None => None,
        };
        Ok(Room { group: guard, admission })
    }

    /// Takes in a process that says it has gone into its room. It may say what it likes: it must be an orphan that
    /// nobody has asked for, lead a session, and be where it was let in.
    pub(crate) fn take_in(&self, leader: i32, room: Room) -> Result<Started, StartError> {
        let strange = |errno| StartError::Spawn(SpawnError::Process(errno));
        let group = room.group.as_ref().and_then(|guard| guard.group.as_ref());
        let process = Pid::from_raw(leader).filter(|_| leader > 0).ok_or(strange(Errno::CHILD))?;
        let leads = getsid(Some(process)).map_err(strange)? == process;
        if !leads || group.is_some_and(|group| !group.contains(leader)) {
            return Err(strange(Errno::PERM));
        }
        let (ended, exit) = oneshot::channel();
        let tell = move |status| {
            ended.send(status).ok();
        };
        self.reaper.adopt(leader, tell).map_err(strange)?;
        Ok(Started { leader, group: room.group, kills_before: 0, exit, lease: None })
    }

    /// Has a process that was taken in count as one that starts now, and tells `lease` by closing it when it is over.
    pub(crate) fn begin(&self, started: &mut Started, lease: oneshot::Sender<()>) {
        started.kills_before = self.out_of_memory_kills();
        started.lease = Some(lease);
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
        let killed = until_none(KILL_DEADLINE, || {
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

    /// Interrupts the process and what it started in its own process group, as a key of a terminal would. Not to be
    /// called once `exit` has told the end: the number may be another's then.
    pub(crate) fn interrupt(&self) {
        if let Some(leader) = Pid::from_raw(self.leader) {
            // It may have ended just now.
            kill_process_group(leader, Signal::INT).ok();
        }
    }

    /// Asks the process and everything it started to end, waits until all of it is gone or `grace` is over, and kills
    /// what is left.
    pub(crate) async fn end(&self, grace: Duration) -> Result<(), KillError> {
        let group = self.group.as_ref().and_then(|guard| guard.group.as_ref());
        let mut is_told = false;
        let ended = until_none(grace, || {
            let is_first = !std::mem::replace(&mut is_told, true);
            match (group, is_first) {
                (Some(group), true) => group.terminate(),
                (Some(group), false) => group.count(),
                (None, true) => descendants::terminate_session(self.leader),
                (None, false) => descendants::count_session(self.leader),
            }
        });
        match ended.await {
            Ok(()) => Ok(()),
            Err(_some_remain) => self.kill().await,
        }
    }

    /// Kills the process and everything it started, and waits until all of it is gone.
    pub(crate) async fn kill(&self) -> Result<(), KillError> {
        let group = self.group.as_ref().and_then(|guard| guard.group.as_ref());
        let mut killed = BTreeSet::new();
        until_none(KILL_DEADLINE, || match group {
            Some(group) => group.kill(),
            None => descendants::kill_session(self.leader, &mut killed),
        })
        .await
    }
}

async fn until_none(
    deadline: Duration,
    mut kill: impl FnMut() -> Result<usize, SyscallError>,
) -> Result<(), KillError> {
    let deadline = Instant::now().checked_add(deadline);
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
