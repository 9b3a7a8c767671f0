//! What the kernel kills in a sandbox for want of memory, told as it happens.
//!
//! The kernel's notice begins it; nothing is asked in turns. A sandbox that runs out of memory again and again is told
//! of at longer and longer intervals, each time with everything that was killed meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pitlane_driver::{Cause, DriverEvent};
use pitlane_model::SandboxId;
use pitlane_sys::{MemoryAlarm, SyscallError};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::Sender;
use tokio::time::sleep;

use super::{Run, Sandbox, lock};

/// Version 1 gives notice before it kills: how long after a notice the count is read, and read again while it is what it
/// was.
const SETTLE: [Duration; 6] = [
    Duration::from_millis(1),
    Duration::from_millis(4),
    Duration::from_millis(16),
    Duration::from_millis(64),
    Duration::from_millis(256),
    Duration::from_secs(1),
];
/// How long nothing is told after something was; doubles while there is more, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// The memory of one run of a sandbox: of its commands, and of its daemon.
#[derive(Debug)]
pub(super) struct MemoryWatch {
    alarm: AsyncFd<MemoryAlarm>,
    /// How many killed processes have been told.
    told: AtomicU64,
}

impl MemoryWatch {
    /// Begins to watch a run, unless it is over. What was killed before is told only of a new run: of one that was taken
    /// over, an earlier server may have told it.
    pub(super) async fn begin(sandbox: &Sandbox, run: &Run) -> Result<Option<Self>, Cause> {
        let is_new = run.is_new;
        let groups = lock(&sandbox.parts)
            .running
            .as_ref()
            .filter(|running| Arc::ptr_eq(&running.process, &run.process))
            .map(|running| (running.groups.workload().clone(), running.groups.daemon()));
        let Some((workload, daemon)) = groups else { return Ok(None) };
        let opened = tokio::task::spawn_blocking(move || {
            let alarm = workload.memory_alarm(&[daemon])?;
            let told = if is_new { 0 } else { alarm.kills()? };
            Ok::<_, SyscallError>((alarm, told))
        });
        let (alarm, told) = opened.await??;
        let interest = interest(&alarm);
        #[expect(
            deprecated,
            reason = "unsound for types whose descriptor changes; an alarm has one for life"
        )]
        let alarm = AsyncFd::with_interest(alarm, interest)?;
        Ok(Some(Self { alarm, told: AtomicU64::new(told) }))
    }

    /// Tells how many processes were killed since it last did, each time that some were. Ends only by failing.
    pub(super) async fn tell(&self, id: SandboxId, events: &Sender<DriverEvent>) -> Cause {
        let mut pause = FIRST_PAUSE;
        // There was no alarm yet when it began.
        let mut killed = self.killed();
        loop {
            if let Some(killed) = killed {
                if let Err(unheard) = events.send(DriverEvent::MemoryRanOut { id, killed }).await {
                    return Box::new(unheard);
                }
                sleep(pause).await;
            } else {
                pause = FIRST_PAUSE;
                if let Err(cause) = self.alarmed().await {
                    return cause;
                }
            }
            let is_first = killed.is_none();
            killed = if is_first { self.settled().await } else { self.killed() };
            if !is_first {
                pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            }
        }
    }

    /// Waits for the kernel's next notice.
    async fn alarmed(&self) -> Result<(), Cause> {
        let interest = interest(self.alarm.get_ref());
        self.alarm.ready(interest).await?.clear_ready();
        Ok(self.alarm.get_ref().silence()?)
    }

    /// What a notice was about; nothing, if the kernel found memory after all.
    async fn settled(&self) -> Option<u64> {
        for moment in SETTLE {
            let killed = self.killed();
            if killed.is_some() {
                return killed;
            }
            sleep(moment).await;
        }
        self.killed()
    }

    /// How many were killed and not told, if any. Nobody knows once the groups are gone.
    pub(super) fn killed(&self) -> Option<u64> {
        let kills = self.alarm.get_ref().kills().ok()?;
        let told = self.told.fetch_max(kills, Ordering::Relaxed);
        kills.checked_sub(told).filter(|killed| *killed > 0)
    }
}

fn interest(alarm: &MemoryAlarm) -> Interest {
    if alarm.is_readable_when_told() { Interest::READABLE } else { Interest::PRIORITY }
}
