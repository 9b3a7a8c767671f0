//! A thread that owns a database connection and works off closures.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

/// How many closures wait at most; the next caller waits for room.
const QUEUE: usize = 1024;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The worker has ended, or ended before it answered.
#[derive(Debug)]
pub(crate) struct Gone;

/// A connection that only its own thread touches.
#[derive(Debug)]
pub(crate) struct Worker {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Worker {
    /// Opens a connection on a new thread by `open`, and waits for it.
    pub(crate) fn start<E: Send + 'static>(
        name: &str,
        path: PathBuf,
        open: impl FnOnce(&Path) -> Result<Connection, E> + Send + 'static,
    ) -> Result<Self, StartWorkerError<E>> {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        let (opened, opening) = std::sync::mpsc::sync_channel(1);
        let thread = Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let mut connection = match open(&path) {
                    Ok(connection) => {
                        drop(opened.send(Ok(())));
                        connection
                    }
                    Err(error) => return drop(opened.send(Err(error))),
                };
                while let Some(job) = queue.blocking_recv() {
                    job(&mut connection);
                }
            })
            .map_err(StartWorkerError::Thread)?;
        match opening.recv() {
            Ok(Ok(())) => {
                Ok(Self { jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)) })
            }
            Ok(Err(error)) => Err(StartWorkerError::Open(error)),
            Err(ended) => Err(StartWorkerError::Thread(io::Error::other(ended))),
        }
    }

    /// Runs `job` on the connection and gives its answer. Once queued it runs, even if this future is dropped.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> T + Send + 'static,
    ) -> Result<T, Gone> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or(Gone)?;
        let (answer, answered) = oneshot::channel();
        // A caller that no longer waits for the answer is no failure.
        let job: Job = Box::new(move |connection| drop(answer.send(job(connection))));
        jobs.send(job).await.ok().ok_or(Gone)?;
        drop(jobs);
        answered.await.ok().ok_or(Gone)
    }

    /// Queues `job` if there is room, and waits for nothing.
    pub(crate) fn offer(&self, job: impl FnOnce(&mut Connection) + Send + 'static) {
        if let Some(jobs) = &*self.jobs.lock().unwrap_or_else(PoisonError::into_inner) {
            // A worker that has more than enough to do is left alone.
            drop(jobs.try_send(Box::new(job)));
        }
    }

    /// Ends the thread after what is queued and gives it back to be joined.
    pub(crate) fn end(&self) -> Option<JoinHandle<()>> {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Why a worker did not start.
#[derive(Debug)]
pub(crate) enum StartWorkerError<E> {
    Thread(io::Error),
    Open(E),
}
