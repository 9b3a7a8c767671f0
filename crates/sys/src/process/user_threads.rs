//! Threads that work with a user's own rights.
//!
//! Ids and capabilities belong to threads in Linux; only the C library pretends otherwise. A thread that has become a
//! user and lost its capabilities opens and changes files exactly as that user's programs could, symbolic links
//! included, and there is nothing to check by hand and to get wrong.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;

use super::identity::Identity;
use crate::error::{Context as _, SyscallError};

type Task = Box<dyn FnOnce() + Send>;

/// A few threads, and a queue of work for them. They end when it is dropped.
#[derive(Debug)]
pub struct UserThreads {
    queue: SyncSender<Task>,
}

/// Why work was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UserThreadsError {
    /// The queue is full: try again when something has been done.
    #[error("too much work is waiting")]
    Full,
    /// The threads are gone.
    #[error("the threads have ended")]
    Ended,
}

impl UserThreads {
    /// Starts `count` threads that belong to `identity`, or to the caller without one, and a queue for as many tasks as
    /// `waiting`.
    ///
    /// # Errors
    ///
    /// A thread cannot be made or cannot become the user: no thread is left then, and nothing ran.
    pub fn start(
        identity: Option<&Identity>,
        count: usize,
        waiting: usize,
    ) -> Result<Self, SyscallError> {
        let (queue, tasks) = sync_channel::<Task>(waiting);
        let tasks = Arc::new(Mutex::new(tasks));
        let (ready, answers) = sync_channel::<Result<(), Errno>>(count);
        for _ in 0..count {
            let (identity, tasks, ready) = (identity.cloned(), Arc::clone(&tasks), ready.clone());
            let body = move || {
                let became = identity.as_ref().map_or(Ok(()), Identity::assume);
                let is_user = became.is_ok();
                // `start` still waits for this answer.
                let is_awaited = ready.send(became).is_ok();
                drop(ready);
                if is_user && is_awaited {
                    work(&tasks);
                }
            };
            std::thread::Builder::new()
                .name(String::from("files"))
                .stack_size(256 * 1024)
                .spawn(body)
                .context("start a thread")?;
        }
        drop(ready);
        for _ in 0..count {
            let became = answers.recv().unwrap_or(Err(Errno::SRCH));
            became.context("become the user")?;
        }
        Ok(Self { queue })
    }

    /// Gives a task to the next free thread.
    ///
    /// # Errors
    ///
    /// The task was not taken and will not run.
    pub fn run(&self, task: impl FnOnce() + Send + 'static) -> Result<(), UserThreadsError> {
        self.queue.try_send(Box::new(task)).map_err(|refused| match refused {
            TrySendError::Full(_) => UserThreadsError::Full,
            TrySendError::Disconnected(_) => UserThreadsError::Ended,
        })
    }
}

fn work(tasks: &Mutex<Receiver<Task>>) {
    loop {
        let next = tasks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(task) = next else { return };
        // A fault in one task must not take a thread from all others; whoever waits for it notices that it is gone.
        catch_unwind(AssertUnwindSafe(task)).ok();
    }
}
