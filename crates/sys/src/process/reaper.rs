//! The only place of a program that waits for child processes.
//!
//! A process that adopts orphans must wait for children it does not know. It then takes the exits of those it does know
//! along with them, so both go through here: each exit is handed to whoever started the process, or forgotten.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, wait, waitid};

use super::spawn::{self, Program, SpawnError};
use crate::fork::ExitStatus;

type Waiter = Box<dyn FnOnce(ExitStatus) + Send>;

/// Starts processes, waits for all children, and tells who started one how it ended.
#[derive(Default)]
pub struct Reaper {
    waiters: Mutex<HashMap<i32, Waiter>>,
}

impl fmt::Debug for Reaper {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reaper").finish_non_exhaustive()
    }
}

impl Reaper {
    /// Starts a program in a session of its own and gives back its process id.
    ///
    /// `on_exit` is called once, by [`Self::collect`], when the process has ended; it must not block. It is dropped
    /// without a call only with the reaper itself. The calling thread waits until the program is executed.
    ///
    /// # Errors
    ///
    /// The step that failed; there is no process, and `on_exit` is dropped.
    pub fn spawn(
        &self,
        program: Program<'_>,
        on_exit: impl FnOnce(ExitStatus) + Send + 'static,
    ) -> Result<i32, SpawnError> {
        // Held until the process is known: one that ends at once is not taken for a stranger.
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        let pid = spawn::spawn(program)?;
        waiters.insert(pid, Box::new(on_exit));
        Ok(pid)
    }

    /// Takes note of a child that the caller did not start itself, an orphan that came to it: `on_exit` is called as that
    /// of [`Self::spawn`] is. A child keeps its number until it is waited for, so the number means this process.
    ///
    /// # Errors
    ///
    /// `ECHILD` when there is no such child, `EEXIST` when its exit is somebody's already; `on_exit` is dropped.
    pub fn adopt(
        &self,
        pid: i32,
        on_exit: impl FnOnce(ExitStatus) + Send + 'static,
    ) -> Result<(), Errno> {
        // Held until it is known, as above.
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        let child = Pid::from_raw(pid).filter(|_| pid > 0).ok_or(Errno::CHILD)?;
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(child), options)?;
        if waiters.contains_key(&pid) {
            return Err(Errno::EXIST);
        }
        waiters.insert(pid, Box::new(on_exit));
        Ok(())
    }

    /// Waits for every child that has ended, whoever started it. To be called whenever SIGCHLD arrived.
    ///
    /// Answers whether there are children left.
    pub fn collect(&self) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    let ended = status
                        .exit_status()
                        .map(ExitStatus::Code)
                        .or_else(|| status.terminating_signal().map(ExitStatus::Signal));
                    let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
                    let Some(ended) = ended else { continue };
                    let waiter = waiters.remove(&pid.as_raw_nonzero().get());
                    drop(waiters);
                    if let Some(waiter) = waiter {
                        waiter(ended);
                    }
                }
                Ok(None) => return true,
                Err(Errno::INTR) => {}
                // ECHILD: there are none.
                Err(_) => return false,
            }
        }
    }
}
