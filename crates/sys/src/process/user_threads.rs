//! Threads that work with a user's own rights.
//!
//! Ids and capabilities belong to threads in Linux; only the C library pretends otherwise. A thread that has become a
//! user and lost its capabilities opens and changes files exactly as that user's programs could, symbolic links
//! included, and there is nothing to check by hand and to get wrong.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::identity::Identity;
use crate::error::{Context as _, SyscallError};

type Task = Box<dyn FnOnce() + Send>;

/// A few threads, and a queue of work for them. They end when it is dropped.
#[derive(Debug)]
pub struct UserThreads {
    queue: Arc<Queue>,
}

/// Work that waits. A task wakes one thread and no more: of threads that wait in turn for a channel, each task would
/// wake the one that gets it and the next in line.
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    /// The most tasks that wait.
    room: usize,
}

#[derive(Default)]
struct Waiting {
    tasks: VecDeque<Task>,
    has_ended: bool,
}

/// Why work was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UserThreadsError {
    /// The queue is full: try again when something has been done.
    #[error("too much work is waiting")]
    Full,
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
        let queue = Queue { waiting: Mutex::default(), changed: Condvar::new(), room: waiting };
        // Dropped on the way out of here, it ends the threads that there are.
        let threads = Self { queue: Arc::new(queue) };
        let (ready, answers) = sync_channel::<Result<(), Errno>>(count);
        for _ in 0..count {
            let (identity, queue, ready) =
                (identity.cloned(), Arc::clone(&threads.queue), ready.clone());
            let body = move || {
                let became = identity.as_ref().map_or(Ok(()), Identity::assume);
                let is_user = became.is_ok();
                // `start` still waits for this answer.
                let is_awaited = ready.send(became).is_ok();
                drop(ready);
                if is_user && is_awaited {
                    work(&queue);
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
        Ok(threads)
    }

    /// Gives a task to the next free thread.
    ///
    /// # Errors
    ///
    /// The task was not taken and will not run.
    pub fn run(&self, task: impl FnOnce() + Send + 'static) -> Result<(), UserThreadsError> {
        let mut waiting = self.queue.lock();
        if waiting.tasks.len() >= self.queue.room {
            return Err(UserThreadsError::Full);
        }
        waiting.tasks.push_back(Box::new(task));
        drop(waiting);
        self.queue.changed.notify_one();
        Ok(())
    }
}

impl Drop for UserThreads {
    fn drop(&mut self) {
        self.queue.lock().has_ended = true;
        self.queue.changed.notify_all();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next task; `None` when all are done and no more can come.
    fn next(&self) -> Option<Task> {
        let is_idle = |waiting: &mut Waiting| waiting.tasks.is_empty() && !waiting.has_ended;
        let waiting = self.changed.wait_while(self.lock(), is_idle);
        waiting.unwrap_or_else(PoisonError::into_inner).tasks.pop_front()
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("room", &self.room).finish_non_exhaustive()
    }
}

fn work(queue: &Queue) {
    while let Some(task) = queue.next() {
        // A fault in one task must not take a thread from all others; whoever waits for it notices that it is gone.
        catch_unwind(AssertUnwindSafe(task)).ok();
    }
}
